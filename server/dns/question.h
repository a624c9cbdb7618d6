/** @file The question of a message, found without judging the message: for counters and logs, which
 *  also meet what query_parse() refuses. Allocates nothing, copies nothing. */
#ifndef SERVER_DNS_QUESTION_H
#define SERVER_DNS_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "parser/bytes.h"

/** Room for question_name_text(): four characters for an octet, dots, NUL. */
#define QUESTION_NAME_SIZE 1024

struct question {
	struct bytes name; /**< Wire format, as asked; lives as long as the message. */
	uint16_t type;
	uint16_t class;
	bool is_reverse; /**< Below in-addr.arpa or ip6.arpa. */
};

/** @return false if there is not exactly one question, or none that can be read. */
bool question_read(struct bytes message, struct question *out_question);

/** The name in presentation format (RFC 1035 section 5.1) without the dot at the end; the root is
 *  ".". What is not printable ASCII is `\DDD`, the blank too, so that it is one word; a dot and
 *  other characters with a meaning have a backslash in front. Returns `out_text`. */
const char *question_name_text(
	const struct question *question, char out_text[static QUESTION_NAME_SIZE]);

#endif
