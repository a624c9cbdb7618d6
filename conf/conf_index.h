/** @file What the index builder is asked for under a configuration: the one place where the words
 * of conf/ become those of parser/, so that whoever builds, builds the same. A library of its own:
 *  the rest of conf/ knows nothing of parser/. A guest in NSS processes like both. */
#ifndef CONF_CONF_INDEX_H
#define CONF_CONF_INDEX_H

#include <limits.h>

#include "conf/conf.h"
#include "parser/index_builder.h"

/** How our own name server is called below each zone (SOA MNAME and NS). */
#define CONF_INDEX_SERVER_NAME "leasedns"

/** Options of the builder and what they point to. Must not move. */
struct conf_index {
	struct index_options options;
	struct bytes *zones;
	struct index_network *networks;
	struct index_own_name *own_names;
	struct index_source source;
	char host_name[HOST_NAME_MAX + 1];
};

/** @param conf borrowed until conf_index_done().
 *  @param path, stamp the configuration file, recorded as a source; the path is borrowed.
 *  @return PARSER_OK or PARSER_E_NO_MEMORY. */
enum parser_status conf_index_init(struct conf_index *options, const struct conf *conf,
	const char *path, const struct source_stamp *stamp);
void conf_index_done(struct conf_index *options);

#endif
