/** @file Writes one reply: header, the question as it was asked, records, OPT. Never beyond its
 *  limit, and room for OPT is kept from the start, so that a record never crowds it out.
 *
 *  Knows nothing of zones. What an answer means (response code, bits) are fields that the caller
 *  sets and reply_finish() writes. */
#ifndef SERVER_DNS_REPLY_H
#define SERVER_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/dns/dns.h"
#include "server/dns/query.h"

/** What we announce in OPT that we take (see ANSWER_UDP_OCTETS_MAX). */
#define REPLY_EDNS_UDP_OCTETS 1232u
/** Where the question's name stands in every reply that repeats it. */
#define REPLY_QUESTION_OFFSET DNS_HEADER_OCTETS

enum reply_section { REPLY_ANSWER, REPLY_AUTHORITY, REPLY_ADDITIONAL };

struct reply {
	const struct query *query;
	uint8_t *octets;
	size_t len;         /**< Written so far. */
	size_t limit;       /**< Where records must end. */
	uint16_t counts[3]; /**< By enum reply_section. */
	bool opt_due;       /**< OPT is still to be written; its room is behind `limit`. */

	enum dns_rcode rcode;
	bool authoritative;
	bool recursion_available;
	bool truncated;
};

/** Starts a reply to `query` with the header's room and the question.
 *  @param limit octets that the whole reply may have; `octets` has room for them.
 *  @return false if not even header, question and OPT fit. */
bool reply_start(struct reply *reply, const struct query *query, uint8_t *octets, size_t limit);

/** Takes `len` octets to write to, or NULL if there is no room for them. */
uint8_t *reply_take(struct reply *reply, size_t len);

/** Writes a record of class IN up to its RDATA, and counts it.
 *  @param owner_offset where the owner's name stands in this reply: below 16,384.
 *  @return where `rdata_octets` octets of RDATA are to be written; NULL if there is no room for
 *  the whole record, and then nothing changed. */
uint8_t *reply_record(struct reply *reply, enum reply_section section, uint16_t owner_offset,
	enum dns_type type, uint32_t ttl_s, size_t rdata_octets);

/** Takes back what was written to `section` since `len` was `mark`: the `count` last records. */
void reply_cut(struct reply *reply, enum reply_section section, size_t mark, uint16_t count);

/** Writes OPT now, if it is due: for a record that must come behind it. */
void reply_opt(struct reply *reply);

/** Writes OPT, if it is due, and the header. @return the reply's octets. */
size_t reply_finish(struct reply *reply);

/** A pointer to a name at `offset` of the reply (RFC 1035 section 4.1.4). */
static inline uint8_t *reply_write_pointer(uint8_t *octets, uint16_t offset)
{
	dns_write_u16(octets, (uint16_t)(DNS_POINTER | offset));
	return octets + 2;
}

#endif
