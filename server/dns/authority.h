/** @file What a zone says of itself: SOA and NS, and the SOA of negative answers. Our server is
 *  `leasedns` in the zone itself, for a reverse zone in the canonical zone. */
#ifndef SERVER_DNS_AUTHORITY_H
#define SERVER_DNS_AUTHORITY_H

#include "server/dns/reply.h"
#include "server/dns/zone.h"

/** A zone of ours as the suffix of a question's name. */
struct authority {
	const struct zone *zone;
	uint16_t apex_offset; /**< Where the apex's name stands in the reply (in the question). */
	bool is_reverse;      /**< The apex is no place for names: the server's is elsewhere. */
};

/** Answers a question for the apex: SOA (also for ANY, RFC 8482 section 4.1), NS with addresses
 *  of the server, NODATA for all else. */
void authority_apex(const struct authority *authority, int64_t now_unix_s, struct reply *reply);

/** Makes a negative answer: `rcode` is NXDOMAIN, or NOERROR for NODATA. The SOA is a required part
 *  of it (RFC 2308 section 3); in the rare case that it does not fit, TC is set. */
void authority_negative(
	const struct authority *authority, enum dns_rcode rcode, struct reply *reply);

#endif
