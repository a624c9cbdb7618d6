/** @file Values: text into struct conf, one function per type of the table. Knows nothing
 *  of files and lines. Private to conf/. */
#ifndef CONF_CONF_VALUE_H
#define CONF_CONF_VALUE_H

#include "conf_table.h"

/** An interface's name, as IFNAMSIZ counts it without the NUL. */
#define CONF_BRIDGE_OCTETS_MAX 15

/** Puts a value in force. What was there is replaced, and freed; where the user chooses the key,
 *  one more is added.
 *  @param key as written; the entry's own unless that takes any.
 *  @return CONF_OK, or, with `conf` unchanged and the message set, CONF_E_VALUE or
 *  CONF_E_NO_MEMORY. */
enum conf_status conf_value_set(const struct conf_entry *entry, const char *key, const char *text,
	struct conf *conf, struct conf_error *out_error);

#endif
