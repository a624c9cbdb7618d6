/** @file The daemon's statistics in other words: from its JSON to tables for people, and to the
 * text exposition format of Prometheus. What the document does not have is left out, what is not
 * known here too: either may be the newer one. Pure. */
#ifndef SERVER_STATS_STATS_VIEW_H
#define SERVER_STATS_STATS_VIEW_H

#include <json-c/json.h>
#include <stdint.h>

#include "server/support/table.h"

/** @param format of both tables.
 *  @param shows_all also counters that are 0.
 *  @return the caller's to free; NULL if memory is short. */
char *stats_view_table(struct json_object *document, const struct table_format *format,
	bool shows_all, int64_t now_unix_s);

/** https://prometheus.io/docs/instrumenting/exposition_formats/: version 0.0.4.
 *  @return the caller's to free; NULL if memory is short. */
char *stats_view_prometheus(struct json_object *document);

#endif
