/** @file A view of bytes that somebody else owns. */
#ifndef PARSER_BYTES_H
#define PARSER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** May be read, is not owned. `ptr` may be NULL if `len` is 0; there is no NUL at the end. */
struct bytes {
	const uint8_t *ptr;
	size_t len;
};

/** The view of a C string, without its NUL. */
static inline struct bytes bytes_of_text(const char *text)
{
	return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** ASCII lower case, whatever the locale (RFC 4343: only A-Z fold). */
static inline uint8_t byte_lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/** Equal without regard to ASCII case. */
static inline bool bytes_equal_fold(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (byte_lower(a.ptr[i]) != byte_lower(b.ptr[i]))
			return false;
	}
	return true;
}

#endif
