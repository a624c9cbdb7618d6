#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_draft.h"
#include "index_format.h"

/* Slots that are read at once from a file: a lookup rarely needs more. */
#define INDEX_SLOTS_AT_ONCE 16u

/* Fills the window from `offset`. False if less than `len` octets come. */
static bool index_read(const struct index *index, uint32_t offset, size_t len)
{
	struct index_window *window = index->window;
	size_t done = 0;

	/* Header and meta data, and all of a small file, are wanted one after the other. */
	window->offset = offset + len <= sizeof(window->octets) ? 0 : offset;
	window->len = 0;
	len += offset - window->offset;
	while (done < len) {
		ssize_t got = pread(index->fd, window->octets + done, sizeof(window->octets) - done,
			(off_t)(window->offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	window->len = (uint32_t)done;
	return true;
}

/* Remembers it, for those who ask index_has_failed(). */
static void index_fail(const struct index *index)
{
	if (index->window)
		index->window->failed = true;
}

bool index_has_failed(const struct index *index)
{
	if (index->draft)
		return index_draft_has_failed(index->draft);
	return index->window && index->window->failed;
}

const uint8_t *index_bytes(const struct index *index, uint64_t offset, size_t len, uint8_t *buffer)
{
	const struct index_window *window = index->window;

	if (offset > index->size || len > index->size - offset) {
		index_fail(index);
		return NULL;
	}
	if (index->map)
		return index->map + offset;
	if (offset < window->offset || len > window->len ||
		offset - window->offset > window->len - len) {
		if (len > sizeof(window->octets) - CDB_HEADER_OCTETS ||
			!index_read(index, (uint32_t)offset, len)) {
			index_fail(index);
			return NULL;
		}
	}
	if (!buffer)
		return window->octets + (offset - window->offset);
	memcpy(buffer, window->octets + (offset - window->offset), len);
	return buffer;
}

/* Do all hash tables lie within the file? A lookup finds out by itself; who maps the file and
 * serves from it wants to know before. */
static bool index_tables_fit(const uint8_t *map, size_t size)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t table = get_u32(map + i * 8);
		uint32_t slots = get_u32(map + i * 8 + 4);

		if (slots && (table > size || slots > (size - table) / CDB_SLOT_OCTETS))
			return false;
	}
	return true;
}

enum parser_status index_init_memory(struct index *index, const uint8_t *map, size_t size)
{
	if (size < CDB_HEADER_OCTETS || size > INDEX_FILE_OCTETS_MAX ||
		!index_tables_fit(map, size))
		return PARSER_E_CORRUPT;
	*index = (struct index){.map = map, .fd = -1, .size = (uint32_t)size};
	return PARSER_OK;
}

enum parser_status index_init_sized(
	struct index *index, int fd, uint32_t size, struct index_window *window)
{
	if (size < CDB_HEADER_OCTETS || size > INDEX_FILE_OCTETS_MAX)
		return PARSER_E_CORRUPT;
	window->len = 0;
	window->failed = false;
	*index = (struct index){.fd = fd, .size = size, .window = window};
	return PARSER_OK;
}

enum parser_status index_init_fd(struct index *index, int fd, struct index_window *window)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return PARSER_E_IO;
	if (st.st_size < 0 || st.st_size > (off_t)INDEX_FILE_OCTETS_MAX)
		return PARSER_E_CORRUPT;
	return index_init_sized(index, fd, (uint32_t)st.st_size, window);
}

/* cdb's hash: h = (h * 33) ^ c, from 5381. */
static uint32_t index_hash(uint8_t kind, struct bytes key)
{
	uint32_t hash = (5381u * 33u) ^ kind;

	for (size_t i = 0; i < key.len; i++)
		hash = (hash * 33u) ^ key.ptr[i];
	return hash;
}

static enum index_match index_corrupt(const struct index *index)
{
	index_fail(index);
	return INDEX_CORRUPT;
}

/* Does the record at `position` have that key? */
static enum index_match index_compare(const struct index *index, uint32_t position, uint8_t kind,
	struct bytes key, struct index_value *out_value)
{
	const uint8_t *record = index_bytes(index, position, CDB_RECORD_HEADER_OCTETS, NULL);
	uint64_t value_at;
	uint32_t value_len;

	if (!record)
		return INDEX_CORRUPT;
	value_len = get_u32(record + 4);
	if (get_u32(record) != key.len + 1)
		return INDEX_ABSENT;
	record = index_bytes(index, position, CDB_RECORD_HEADER_OCTETS + 1 + key.len, NULL);
	if (!record)
		return INDEX_CORRUPT;
	if (record[CDB_RECORD_HEADER_OCTETS] != kind ||
		(key.len && memcmp(record + CDB_RECORD_HEADER_OCTETS + 1, key.ptr, key.len) != 0))
		return INDEX_ABSENT;
	value_at = (uint64_t)position + CDB_RECORD_HEADER_OCTETS + 1 + key.len;
	if (value_at > index->size || value_len > index->size - value_at)
		return index_corrupt(index);
	*out_value = (struct index_value){
		.index = index, .offset = (uint32_t)value_at, .len = value_len};
	return INDEX_FOUND;
}

enum index_match index_find(const struct index *index, enum index_key_kind kind, struct bytes key,
	struct index_value *out_value)
{
	uint8_t buffer[INDEX_SLOTS_AT_ONCE * CDB_SLOT_OCTETS];
	uint32_t hash = index_hash((uint8_t)kind, key);
	const uint8_t *octets;
	uint32_t table;
	uint32_t slots;
	uint32_t slot;
	uint32_t probes = 0;

	if (index->draft)
		return index_draft_find(index->draft, kind, key, out_value);
	octets = index_bytes(index, (hash & 0xff) * 8u, 8, NULL);
	if (!octets)
		return INDEX_CORRUPT;
	table = get_u32(octets);
	slots = get_u32(octets + 4);
	if (key.len > INDEX_KEY_OCTETS_MAX || slots == 0)
		return INDEX_ABSENT;
	if (table > index->size || slots > (index->size - table) / CDB_SLOT_OCTETS)
		return index_corrupt(index);
	for (slot = (hash >> 8) % slots; probes < slots;) {
		uint32_t run = slots - slot; /* To the table's end; then it wraps around. */

		if (run > INDEX_SLOTS_AT_ONCE)
			run = INDEX_SLOTS_AT_ONCE;
		if (run > slots - probes)
			run = slots - probes;
		octets = index_bytes(index, (uint64_t)table + (uint64_t)slot * CDB_SLOT_OCTETS,
			(size_t)run * CDB_SLOT_OCTETS, buffer);
		if (!octets)
			return INDEX_CORRUPT;
		for (uint32_t i = 0; i < run; i++, octets += CDB_SLOT_OCTETS) {
			uint32_t position = get_u32(octets + 4);
			enum index_match match;

			if (position == 0)
				return INDEX_ABSENT;
			if (++probes > INDEX_PROBES_MAX)
				return index_corrupt(index);
			if (get_u32(octets) != hash)
				continue;
			match = index_compare(index, position, (uint8_t)kind, key, out_value);
			if (match != INDEX_ABSENT)
				return match;
		}
		slot = (slot + run) % slots;
	}
	return INDEX_ABSENT;
}

/* Finds the key that is the first `count` octets of an address. */
static enum index_match index_find_octets(const struct index *index, enum index_key_kind kind,
	const struct address *address, size_t count, struct index_value *out_value)
{
	uint8_t key[ADDRESS_IPV6_OCTETS * 2];

	put_hex(key, address->octets, count);
	return index_find(index, kind, (struct bytes){key, count * 2}, out_value);
}

enum index_match index_find_address(
	const struct index *index, const struct address *address, struct index_value *out_value)
{
	return index_find_octets(
		index, INDEX_KEY_ADDRESS, address, address_octets(address->family), out_value);
}

enum index_match index_find_reverse(const struct index *index, const struct address *address)
{
	struct index_value ignored;

	return index_find_octets(
		index, INDEX_KEY_REVERSE, address, index_prefix_octets(address->family), &ignored);
}

static enum parser_status value_corrupt(const struct index_value *value)
{
	index_fail(value->index);
	return PARSER_E_CORRUPT;
}

/* `len` octets at `offset` of a value; as index_bytes(). */
static const uint8_t *value_bytes(
	const struct index_value *value, size_t offset, size_t len, uint8_t *buffer)
{
	if (value->octets)
		return value->octets + offset;
	return index_bytes(value->index, (uint64_t)value->offset + offset, len, buffer);
}

enum parser_status index_record_at(
	const struct index_value *value, size_t position, struct index_record *out_record)
{
	const uint8_t *octets;
	uint16_t flags;

	if (position >= index_record_count(value))
		return PARSER_E_CORRUPT;
	octets = value_bytes(value, position * INDEX_RECORD_OCTETS, INDEX_RECORD_OCTETS, NULL);
	if (!octets)
		return PARSER_E_IO;
	if (octets[1] > INDEX_KIND_NODE ||
		(octets[0] != ADDRESS_NONE && octets[0] != ADDRESS_IPV4 &&
			octets[0] != ADDRESS_IPV6))
		return value_corrupt(value);
	flags = get_u16(octets + 10);
	out_record->address.family = octets[0];
	out_record->kind = (enum index_kind)octets[1];
	out_record->network = get_u16(octets + 2);
	memcpy(out_record->mac.octets, octets + 4, MAC_OCTETS);
	out_record->has_mac = flags & INDEX_FLAG_MAC;
	out_record->duplicate = flags & INDEX_FLAG_DUPLICATE;
	out_record->valid_from_unix_s = (int64_t)get_u64(octets + 12);
	out_record->expires_unix_s = (int64_t)get_u64(octets + 20);
	memcpy(out_record->address.octets, octets + 28, ADDRESS_IPV6_OCTETS);
	return PARSER_OK;
}

enum parser_status index_name_next(const struct index_value *value, uint32_t *offset,
	uint8_t buffer[INDEX_NAME_OCTETS_MAX], struct index_name *out_name)
{
	uint8_t header_buffer[INDEX_NAME_HEADER_OCTETS];
	const uint8_t *header;
	const uint8_t *name;
	uint32_t left = value->len - *offset;
	uint16_t len;

	if (*offset >= value->len)
		return PARSER_E_ABSENT;
	if (left < INDEX_NAME_HEADER_OCTETS)
		return value_corrupt(value);
	header = value_bytes(value, *offset, INDEX_NAME_HEADER_OCTETS, header_buffer);
	if (!header)
		return PARSER_E_IO;
	len = get_u16(header + 10);
	if (header[0] > INDEX_KIND_NODE || len > INDEX_NAME_OCTETS_MAX ||
		len > left - INDEX_NAME_HEADER_OCTETS)
		return value_corrupt(value);
	name = value_bytes(value, *offset + INDEX_NAME_HEADER_OCTETS, len, buffer);
	if (!name)
		return PARSER_E_IO;
	*out_name = (struct index_name){
		.name = {name, len},
		.kind = (enum index_kind)header[0],
		.published = header[1] & INDEX_FLAG_PUBLISHED,
		.dns_name = header[1] & INDEX_FLAG_DNS_NAME,
		.has_mac = header[1] & INDEX_FLAG_MAC,
		.network = get_u16(header + 2),
		.valid_from_unix_s = (int64_t)get_u64(header + 12),
		.expires_unix_s = (int64_t)get_u64(header + 20),
	};
	memcpy(out_name->mac.octets, header + 4, MAC_OCTETS);
	*offset += INDEX_NAME_HEADER_OCTETS + len;
	return PARSER_OK;
}

/* tinycdb writes the hash tables in order, right behind the last record. */
static enum parser_status index_records_end(const struct index *index, uint32_t *out_end)
{
	const uint8_t *header = index_bytes(index, 0, CDB_SLOT_OCTETS, NULL);

	if (!header)
		return PARSER_E_IO;
	if (get_u32(header) > index->size)
		return PARSER_E_CORRUPT;
	*out_end = get_u32(header);
	return PARSER_OK;
}

enum parser_status index_entry_next(const struct index *index, uint32_t *offset,
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1], enum index_key_kind *out_kind,
	struct bytes *out_key, struct index_value *out_value)
{
	uint32_t at = *offset ? *offset : CDB_HEADER_OCTETS;
	const uint8_t *octets;
	uint32_t key_len;
	uint32_t value_len;
	uint32_t end;
	enum parser_status rc = index_records_end(index, &end);

	if (rc != PARSER_OK)
		return rc;
	if (at >= end)
		return PARSER_E_ABSENT;
	octets = index_bytes(index, at, CDB_RECORD_HEADER_OCTETS, NULL);
	if (!octets)
		return PARSER_E_IO;
	key_len = get_u32(octets);
	value_len = get_u32(octets + 4);
	at += CDB_RECORD_HEADER_OCTETS;
	if (key_len < 1 || key_len > INDEX_KEY_OCTETS_MAX + 1 || at > end || key_len > end - at ||
		value_len > end - at - key_len)
		return PARSER_E_CORRUPT;
	octets = index_bytes(index, at, key_len, buffer);
	if (!octets)
		return PARSER_E_IO;
	*out_kind = (enum index_key_kind)octets[0];
	*out_key = (struct bytes){octets + 1, key_len - 1};
	*out_value = (struct index_value){.index = index, .offset = at + key_len, .len = value_len};
	*offset = at + key_len + value_len;
	return PARSER_OK;
}

uint16_t index_network(const struct index *index, struct bytes label)
{
	struct index_value value;
	const uint8_t *octets;

	if (label.len == 0 || index_find(index, INDEX_KEY_NETWORK, label, &value) != INDEX_FOUND)
		return INDEX_NETWORK_NONE;
	if (value.len != 2) {
		index_fail(index);
		return INDEX_NETWORK_NONE;
	}
	octets = value_bytes(&value, 0, 2, NULL);
	return octets ? get_u16(octets) : INDEX_NETWORK_NONE;
}
