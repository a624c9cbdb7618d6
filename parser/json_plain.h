/** @file Reads JSON in the plain shape that libvirt writes, in place and without allocating:
 * strings of ASCII without backslash and control characters, and non-negative integers. What it
 * takes, json-c takes likewise; what it refuses may be sound JSON all the same. Private to
 * parser/format_*.c. */
#ifndef PARSER_JSON_PLAIN_H
#define PARSER_JSON_PLAIN_H

#include "bytes.h"

/** What is left of a text. */
struct json_plain {
	const uint8_t *at;
	const uint8_t *end;
};

static inline struct json_plain json_plain_of(struct bytes text)
{
	/* Nothing may be added to NULL, not even nothing. */
	return (struct json_plain){text.ptr, text.len ? text.ptr + text.len : text.ptr};
}

/** The octet at the cursor, or 0 at the end: no octet of the plain shape is 0. */
static inline uint8_t json_plain_peek(const struct json_plain *cursor)
{
	return cursor->at < cursor->end ? *cursor->at : 0;
}

/** RFC 8259 section 2. */
static inline void json_plain_skip_space(struct json_plain *cursor)
{
	uint8_t byte = json_plain_peek(cursor);

	while (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r') {
		cursor->at++;
		byte = json_plain_peek(cursor);
	}
}

/** Takes `byte` and the white space behind it. */
static inline bool json_plain_take(struct json_plain *cursor, uint8_t byte)
{
	if (json_plain_peek(cursor) != byte)
		return false;
	cursor->at++;
	json_plain_skip_space(cursor);
	return true;
}

/** Takes a string and the white space behind it.
 *  @param out_text what stands between the quotes; void if false. */
bool json_plain_text(struct json_plain *cursor, struct bytes *out_text);

/** Takes at least one digit, and no more than surely fit; leading zeros are allowed here. */
bool json_plain_digits(struct json_plain *cursor, int64_t *out_number);

/** Takes a number without sign, fraction and exponent, and the white space behind it. */
bool json_plain_integer(struct json_plain *cursor, int64_t *out_number);

#endif
