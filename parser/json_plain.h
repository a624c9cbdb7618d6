/** @file Reads JSON in the plain shape that libvirt writes, in place: strings of ASCII without
 *  backslash and control characters. Whoever meets anything else leaves it to json-c, sound or not.
 */
#ifndef PARSER_JSON_PLAIN_H
#define PARSER_JSON_PLAIN_H

#include "bytes.h"

/** What is left of an element. */
struct json_plain {
	const uint8_t *at;
	const uint8_t *end;
};

static inline struct json_plain json_plain_of(struct bytes element)
{
	return (struct json_plain){element.ptr, element.ptr + element.len};
}

/** The octet at the cursor, or 0 at the end: no octet of the plain shape is 0. */
static inline uint8_t json_plain_peek(const struct json_plain *cursor)
{
	return cursor->at < cursor->end ? *cursor->at : 0;
}

static inline void json_plain_skip_space(struct json_plain *cursor)
{
	uint8_t byte = json_plain_peek(cursor);

	while (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r') {
		cursor->at++;
		byte = json_plain_peek(cursor);
	}
}

/** Takes `byte` and the white space behind it. */
static inline bool json_plain_take(struct json_plain *cursor, uint8_t byte)
{
	if (json_plain_peek(cursor) != byte)
		return false;
	cursor->at++;
	json_plain_skip_space(cursor);
	return true;
}

/** Takes a string and the white space behind it. False if it is not plain; then the cursor is
 *  void.
 *  @param out_text what stands between the quotes. */
bool json_plain_text(struct json_plain *cursor, struct bytes *out_text);

#endif
