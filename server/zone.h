/** @file A zone is an immutable snapshot of all that answers depend on: the mapped index, its
 *  meta data decoded, and the zones' names in wire format. Built off the loop, swapped on it. */
#ifndef SERVER_ZONE_H
#define SERVER_ZONE_H

#include <stddef.h>

#include "parser/index.h"

struct zone;

/** Maps the index that this process wrote and knows to be immutable.
 *  @param fd stays the caller's; may be closed afterwards.
 *  @param out_zone the caller's; zone_free().
 *  @return PARSER_OK, PARSER_E_NO_MEMORY, PARSER_E_IO, PARSER_E_CORRUPT. */
enum parser_status zone_new(int fd, struct zone **out_zone);

void zone_free(struct zone *zone);

/** The index and its meta data, for the command line and statistics. */
const struct index *zone_index(const struct zone *zone);
const struct index_meta *zone_meta(const struct zone *zone);

#endif
