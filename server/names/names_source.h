/** @file Where a command finds names: the index if it is believed, else one built in memory from
 *  the lease files. Never logs; says in words what it chose and why. */
#ifndef SERVER_NAMES_NAMES_SOURCE_H
#define SERVER_NAMES_NAMES_SOURCE_H

#include "server/names/snapshot.h"

/** An opened index. What was found in it points to `index`, so the struct may not move meanwhile.
 */
struct names_source {
	struct index_window window; /**< What `index` reads through, if by descriptor. */
	struct index index;
	struct index_meta meta;
	char *origin; /**< For people: "from the index /run/…" or "from the lease files in …". */
	bool from_index; /**< False: from the lease files. */
	int fd;
	uint8_t *copy; /**< The whole index, or NULL if it is read by descriptor. */
};

enum names_access {
	NAMES_ACCESS_LOOKUP, /**< A few keys: read what is asked for. */
	NAMES_ACCESS_WALK,   /**< All keys: read the file once. */
};

/** Opens the index that `conf` names if it is fresh and was built with this very configuration;
 *  otherwise reads the lease files.
 *  @param sinks told of the lease files' problems if they are read.
 *  @param out_source names_source_done() when done with it; untouched on failure.
 *  @return PARSER_OK; PARSER_E_NO_MEMORY, PARSER_E_IO (errno), PARSER_E_LIMIT,
 *  PARSER_E_CORRUPT. */
enum parser_status names_source_open(const struct snapshot_conf *conf,
	const struct snapshot_sinks *sinks, enum names_access access,
	struct names_source *out_source);

/** Reads the lease files, whatever the index says, by refreshing `store`. As
 *  names_source_open(), with NAMES_ACCESS_WALK. */
enum parser_status names_source_build(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_sinks *sinks, struct names_source *out_source);

void names_source_done(struct names_source *source);

#endif
