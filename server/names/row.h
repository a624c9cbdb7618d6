/** @file A row of a listing in words: table cells and JSON. */
#ifndef SERVER_NAMES_ROW_H
#define SERVER_NAMES_ROW_H

#include <json-c/json.h>

#include "server/names/listing.h"
#include "server/support/table.h"

/** The columns that a row can fill, in the order of a table. */
enum row_column {
	ROW_NAME = 1 << 0,    /**< As in the index. */
	ROW_FQDN = 1 << 1,    /**< With the canonical zone. */
	ROW_KIND = 1 << 2,    /**< "guest", … */
	ROW_ADDRESS = 1 << 3, /**< "-" if there is none. */
	ROW_TTL = 1 << 4,     /**< Seconds. */
	ROW_MAC = 1 << 5,
	ROW_NETWORK = 1 << 6, /**< Its name if known, else its bridge. */
	ROW_EXPIRES = 1 << 7, /**< "in 43 min" */
	ROW_STATE = 1 << 8,   /**< "live", "hidden" or "expired" */
};

/** A table of all rows, with the columns of that set. NULL if memory is short. */
struct table *row_table(const struct listing *listing, const struct index_meta *meta,
	int64_t now_unix_s, unsigned columns);

/** One row as a JSON object; its texts are text_utf8(). NULL if memory is short. The caller's to
 *  put. */
struct json_object *row_json(
	const struct listing_row *row, const struct index_meta *meta, int64_t now_unix_s);

/** All rows as a JSON array. */
struct json_object *row_json_array(
	const struct listing *listing, const struct index_meta *meta, int64_t now_unix_s);

/** How long an answer may be kept: the configured time, but not beyond the lease. */
uint32_t row_ttl_s(
	const struct listing_row *row, const struct index_meta *meta, int64_t now_unix_s);

/** Enough for row_when(). */
#define ROW_WHEN_SIZE 48

/** "never" (0), "in 43 min", "12 s ago", "now"; the last second of a lease is still "now". Returns
 *  `out_text`. */
const char *row_when(int64_t expires_unix_s, int64_t now_unix_s, char out_text[ROW_WHEN_SIZE]);

#endif
