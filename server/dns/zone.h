/** @file A zone is an immutable snapshot of all that answers depend on: the mapped index, its
 *  meta data decoded, and the zones' names in wire format. Built off the loop, swapped on it. */
#ifndef SERVER_DNS_ZONE_H
#define SERVER_DNS_ZONE_H

#include <stddef.h>

#include "parser/index.h"
#include "server/dns/dns.h"

struct query;
struct zone;

/** A zone's apex. */
struct zone_origin {
	uint8_t label_count;               /**< Without the root. */
	uint8_t octets;                    /**< With the root. */
	uint8_t name[DNS_NAME_OCTETS_MAX]; /**< Wire format, lower case. */
};

/** Maps the index that this process wrote and knows to be immutable.
 *  @param fd stays the caller's; may be closed afterwards.
 *  @param out_zone the caller's; zone_free().
 *  @return PARSER_OK, PARSER_E_NO_MEMORY, PARSER_E_IO, PARSER_E_CORRUPT. */
enum parser_status zone_new(int fd, struct zone **out_zone);

void zone_free(struct zone *zone);

/** The index and its meta data, for answers, the command line and statistics. */
const struct index *zone_index(const struct zone *zone);
const struct index_meta *zone_meta(const struct zone *zone);

/** The zone in which we call our own server, and guests in reverse zones: the first. */
const struct zone_origin *zone_canonical(const struct zone *zone);

/** The zone with the longest name that the question's name ends with, or NULL. `query` has a
 *  question. */
const struct zone_origin *zone_find(const struct zone *zone, const struct query *query);

/** The SOA's serial: seconds of unix time at which the index was built (RFC 1912 section 2.2
 *  allows any that grows; RFC 1982 lets it wrap in 2106). Two builds within a second share it. */
uint32_t zone_serial(const struct zone *zone);

#endif
