/** @file One DNS message from a client, parsed in place: header, question, and of the rest what an
 *  answer depends on (EDNS, TSIG). Allocates nothing, makes no text, knows no zone.
 *
 *  What is malformed anywhere makes the whole message malformed, also trailing octets: a message
 *  that two readers understand differently is not worth an answer. Counts in the header bound
 *  nothing but loops that end with the message. */
#ifndef SERVER_DNS_QUERY_H
#define SERVER_DNS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/bytes.h"
#include "server/dns/dns.h"

/** What is to be done about a message. */
enum query_verdict {
	QUERY_OK,          /**< One question to answer. */
	QUERY_DROP,        /**< Under 12 octets or itself a response: never answered. */
	QUERY_NO_QUESTION, /**< Asks for a server cookie only (RFC 7873 section 5.4). */
	QUERY_FORMERR,
	QUERY_NOTIMP,  /**< An opcode other than QUERY. */
	QUERY_BADVERS, /**< An EDNS version that we do not speak. */
};

/** Views of the message live as long as it does. Unless query_parse() says QUERY_DROP, the first
 *  group is set; the other groups as their comments tell. */
struct query {
	struct bytes message;
	uint16_t id;
	uint8_t opcode;
	bool recursion_desired;

	/** Octets of the question behind the header; 0 if there is none or it is malformed. Only
	 *  if it is not 0, the fields of this group are set. */
	uint16_t question_octets;
	uint16_t type;
	uint16_t class;
	uint8_t name_octets;            /**< With the root. */
	uint8_t label_count;            /**< Without the root. */
	uint8_t labels[DNS_LABELS_MAX]; /**< Where each label's length octet stands in `name`. */
	/** The question's name in ASCII lower case, wire format, uncompressed. A whole number of
	 *  64-bit words, in which it is folded; what lies behind the name is void. */
	uint8_t name[DNS_NAME_OCTETS_MAX + 1];

	/** If true, the reply must carry OPT too (RFC 6891 section 6.1.1), also an error. */
	bool has_edns;
	bool dnssec_ok;
	bool has_cookie; /**< A COOKIE option of a valid length. */
	uint8_t edns_version;
	uint16_t udp_octets; /**< What the client takes; 0 without EDNS. */

	/** The TSIG record's owner and RDATA in the message; 0 if there is none. */
	uint16_t tsig_owner_offset;
	uint16_t tsig_rdata_offset;
	uint16_t tsig_rdata_octets;
};

/** Parses `message`, at most 65,535 octets. */
enum query_verdict query_parse(struct bytes message, struct query *out_query);

/** Moves over a name without following pointers: what the owner of an ignored record is does not
 *  matter, and following would cost work that the message does not pay for (RFC 9267 section 2).
 *  @param offset where it starts in `message`; then where it ended.
 *  @return false, with nothing changed, if it is malformed, over 255 octets, or has a pointer that
 *  does not point strictly backwards, behind the header. */
bool query_name_skip(struct bytes message, size_t *offset);

/** Reads a name that may be compressed, e.g. a record's owner.
 *  @param offset where it starts in `message`.
 *  @param out_name wire format, uncompressed, case kept.
 *  @return its octets; 0 if it is malformed, over 255 octets, or has a pointer that does not
 *  point strictly backwards. */
size_t query_name_read(
	struct bytes message, size_t offset, uint8_t out_name[static DNS_NAME_OCTETS_MAX]);

#endif
