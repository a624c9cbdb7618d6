/** @file The configuration as text; conf_print() itself is public. Private to conf/ and to what
 *  documents it. */
#ifndef CONF_CONF_PRINT_H
#define CONF_CONF_PRINT_H

#include "conf_table.h"

/** Writes the sample file, conf/leasedns.conf: every key with its help, commented out, at its
 *  default. */
void conf_print_sample(conf_emit emit, void *ctx);

/** Writes the value in force, so that conf_value_set() takes it.
 *  @param position which of those whose keys the user chose; of other entries everything is one
 *  value. */
void conf_print_value(const struct conf_entry *entry, const struct conf *conf, size_t position,
	conf_emit emit, void *ctx);

/** Octets that conf_print_value() writes. */
size_t conf_print_value_octets(
	const struct conf_entry *entry, const struct conf *conf, size_t position);

#endif
