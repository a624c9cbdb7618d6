/** @file The text of a configuration file over what is in force. Private to conf/ and its tests.
 *
 *  The syntax is inih's: sections in brackets; `key = value` or `key: value`; comments from '#' or
 *  ';' at the start of a line, and from a ';' behind a blank. There are no continued lines. A
 *  byte order mark and CRLF are tolerated. */
#ifndef CONF_CONF_PARSE_H
#define CONF_CONF_PARSE_H

#include "conf_value.h"

/** inih's own figure: it reads lines into 200 octets, of which it needs 3 for CR, LF and NUL, and
 *  would cut the rest off in silence. */
#define CONF_LINE_OCTETS_MAX 197
/** What fits into such a line behind the longest key, a bridge's, and " = ": so whatever has been
 *  read can be printed to be read again. */
#define CONF_VALUE_OCTETS_MAX (CONF_LINE_OCTETS_MAX - CONF_BRIDGE_OCTETS_MAX - 3)

/** Reads `len` octets of text (need not end in a NUL) over `conf`.
 *  @param conf an initialised one; on failure half of the file may be in it.
 *  @param out_error filled on failure, line included. */
enum conf_status conf_parse(
	const char *text, size_t len, struct conf *conf, struct conf_error *out_error);

#endif
