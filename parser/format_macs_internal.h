/** @file The quick reader behind `<bridge>.macs`, for entries in libvirt's plain shape; json-c
 * reads all others. Private to parser/format_macs.c and its test. */
#ifndef PARSER_FORMAT_MACS_INTERNAL_H
#define PARSER_FORMAT_MACS_INTERNAL_H

#include "bytes.h"

struct macs_entry {
	struct bytes name; /**< Empty if there is none. */
	struct bytes macs; /**< Plain strings, parted by commas; may be empty. */
};

/** Reads an entry in the plain shape: an object of strings, non-negative integers and, under
 *  "macs", a list of strings; with no key of ours twice.
 *  @return false if it is anything else, sound or not; then `out_entry` is void. */
bool format_macs_read_plain(struct bytes element, struct macs_entry *out_entry);

#endif
