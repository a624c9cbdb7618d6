/** @file The configuration file as octets. Knows nothing of what they say. Private to conf/ and to
 *  who reads a file of the same kind. */
#ifndef CONF_CONF_FILE_H
#define CONF_CONF_FILE_H

#include "conf.h"

/** A file with every key at its longest, every network, and help to all of it is below 100 KiB. */
#define CONF_FILE_OCTETS_MAX (1024 * 1024)

/** Reads the whole of a regular file (a symbolic link to one is fine) in one piece: a file that
 *  changes while it is read is refused, for half a configuration may be a valid one.
 *  @param out_text the caller's to free; a NUL follows the last octet.
 *  @param out_error filled on failure.
 *  @return CONF_OK, CONF_E_ABSENT, CONF_E_NO_MEMORY, or CONF_E_IO with errno: EISDIR or EINVAL for
 *  what is no regular file, EFBIG over CONF_FILE_OCTETS_MAX, EAGAIN if it changed. */
enum conf_status conf_file_read(
	const char *path, char **out_text, size_t *out_len, struct conf_error *out_error);

#endif
