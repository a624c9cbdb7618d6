/** @file The two readers behind `<bridge>.status`: a quick one for entries in libvirt's plain
 * shape, and json-c for all others. Private to parser/format_status.c and its tests, which hold the
 * one against the other. */
#ifndef PARSER_FORMAT_STATUS_INTERNAL_H
#define PARSER_FORMAT_STATUS_INTERNAL_H

#include "format.h"
#include "json_slices.h"

/** Values of an entry that we use. */
enum status_key {
	STATUS_ADDRESS,
	STATUS_MAC,
	STATUS_HOSTNAME,
	STATUS_CLIENT_ID,
	STATUS_EXPIRY,
	STATUS_KEY_COUNT,
};

enum status_type {
	STATUS_ABSENT = 0,
	STATUS_TEXT,
	STATUS_INTEGER,
	STATUS_OTHER, /**< Anything else that JSON has. */
};

struct status_value {
	enum status_type type;
	struct bytes text; /**< STATUS_TEXT */
	int64_t number;    /**< STATUS_INTEGER; clamped to what fits. */
};

struct status_entry {
	struct status_value values[STATUS_KEY_COUNT];
};

/** Reads an entry in the plain shape: an object whose values are strings and non-negative integers,
 *  of ASCII without backslash and control characters, with no key of ours twice.
 *  @return false if it is anything else, sound or not; then `out_entry` is void. */
bool format_status_read_plain(struct bytes element, struct status_entry *out_entry);

/** Reads any entry with json-c; otherwise as json_slices_build(), which says the parameters. The
 *  texts of `out_entry` live as long as `out_object`. */
enum parser_status format_status_read_json(struct json_tokener **tokener, struct bytes element,
	struct json_object **out_object, struct status_entry *out_entry);

/** Turns an entry into a record, or says why not.
 *  @param duid room for the record's DUID, which the record then points into. */
enum format_defect format_status_judge(const struct status_entry *entry,
	uint8_t duid[RECORD_DUID_OCTETS_MAX], struct record *out_record);

#endif
