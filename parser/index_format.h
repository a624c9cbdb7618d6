/** @file How numbers lie in the index: little-endian, unaligned. Private to parser/. */
#ifndef PARSER_INDEX_FORMAT_H
#define PARSER_INDEX_FORMAT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** 256 pairs of position and slot count stand at the start of a cdb. */
#define CDB_HEADER_OCTETS 2048u
/** A slot of a hash table: hash and position. */
#define CDB_SLOT_OCTETS 8u
/** Before each key: its length and that of the value. */
#define CDB_RECORD_HEADER_OCTETS 8u

/** Flags of records and names. */
enum {
	INDEX_FLAG_MAC = 1,
	INDEX_FLAG_DUPLICATE = 2,
	INDEX_FLAG_PUBLISHED = 4,
	INDEX_FLAG_DNS_NAME = 8,
};

/** Octets of a name before its text: kind 1, flags 1, network 2, MAC 6, length 2, valid-from 8,
 *  expires 8. */
#define INDEX_NAME_HEADER_OCTETS 28u

static inline uint16_t get_u16(const uint8_t *octets)
{
	uint16_t value;

	memcpy(&value, octets, sizeof(value));
	return le16toh(value);
}

static inline uint32_t get_u32(const uint8_t *octets)
{
	uint32_t value;

	memcpy(&value, octets, sizeof(value));
	return le32toh(value);
}

static inline uint64_t get_u64(const uint8_t *octets)
{
	uint64_t value;

	memcpy(&value, octets, sizeof(value));
	return le64toh(value);
}

static inline void put_u16(uint8_t *octets, uint16_t value)
{
	value = htole16(value);
	memcpy(octets, &value, sizeof(value));
}

static inline void put_u32(uint8_t *octets, uint32_t value)
{
	value = htole32(value);
	memcpy(octets, &value, sizeof(value));
}

static inline void put_u64(uint8_t *octets, uint64_t value)
{
	value = htole64(value);
	memcpy(octets, &value, sizeof(value));
}

/** Octets of an address in the key of `r`: a /24 or a /64. */
static inline size_t index_prefix_octets(uint8_t family)
{
	return family == 4 ? 3 : 8;
}

/** Writes `count` octets as lower-case hexadecimal text, two characters each. */
static inline void put_hex(uint8_t *out, const uint8_t *octets, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		out[i * 2] = (uint8_t)digits[octets[i] >> 4];
		out[i * 2 + 1] = (uint8_t)digits[octets[i] & 15];
	}
}

struct index;

/** `len` octets at `offset`. In the mapping, or in the window until the next read; with `buffer`,
 *  what was read through the window is copied there.
 *  @return NULL if they lie beyond the end or cannot be read. */
const uint8_t *index_bytes(const struct index *index, uint64_t offset, size_t len, uint8_t *buffer);

#endif
