/* Any octets as an index: whatever they are, reading ends, and the ways to read say the same: from
 * memory, and by descriptor through the window that NSS modules have. Asked for are the keys that
 * the file itself lists, and some that it may not have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parser/freshness.h"
#include "parser/view.h"
#include "tests/fuzz/fuzz_check.h"

#define NOW_UNIX_S  INT64_C(1800000000)
#define ENTRIES_MAX 200
#define RECORDS_MAX 1000

/* All that was read, as one number. FNV-1a: every octet is looked at, so that a sanitizer sees a
 * view that is stale or too long. */
struct digest {
	uint64_t sum;
};

static void digest_add(struct digest *digest, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	for (size_t i = 0; i < len; i++)
		digest->sum = (digest->sum ^ at[i]) * 0x100000001b3;
}

static void digest_number(struct digest *digest, int64_t number)
{
	digest_add(digest, &number, sizeof(number));
}

static void digest_record(struct digest *digest, const struct index_record *record)
{
	digest_add(digest, record->address.octets, sizeof(record->address.octets));
	digest_number(digest, record->address.family);
	digest_number(digest, record->kind);
	digest_number(digest, record->network);
	digest_number(digest, record->expires_unix_s);
}

static void read_view(struct digest *digest, const struct index *index, enum index_key_kind kind,
	struct bytes name)
{
	struct index_record record;
	struct view view;
	enum index_match match = view_find(index, kind, name, NOW_UNIX_S, &view);

	digest_number(digest, match);
	if (match != INDEX_NODATA)
		return;
	for (int i = 0; i < RECORDS_MAX && view_next(&view, ADDRESS_NONE, NOW_UNIX_S, &record);
		i++) {
		CHECK(record.address.family != ADDRESS_NONE);
		digest_record(digest, &record);
	}
}

static void read_records(struct digest *digest, const struct index_value *value)
{
	struct index_record record;

	for (size_t i = 0; i < index_record_count(value) && i < RECORDS_MAX; i++) {
		enum parser_status status = index_record_at(value, i, &record);

		digest_number(digest, status == PARSER_OK);
		if (status == PARSER_OK)
			digest_record(digest, &record);
	}
}

static void read_names(struct digest *digest, const struct index_value *value)
{
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct index_name name;
	uint32_t offset = 0;
	uint32_t before = 0;

	while (index_name_next(value, &offset, buffer, &name) == PARSER_OK) {
		CHECK(offset > before && offset <= value->len);
		CHECK(name.name.len <= INDEX_NAME_OCTETS_MAX);
		before = offset;
		digest_add(digest, name.name.ptr, name.name.len);
		digest_number(digest, name.expires_unix_s);
	}
}

static void read_key(struct digest *digest, const struct index *index, enum index_key_kind kind,
	struct bytes key)
{
	struct index_value value;
	enum index_match match = index_find(index, kind, key, &value);

	CHECK(match == INDEX_FOUND || match == INDEX_ABSENT || match == INDEX_CORRUPT);
	digest_number(digest, match);
	if (match != INDEX_FOUND)
		return;
	CHECK(value.offset <= index->size && value.len <= index->size - value.offset);
	if (kind == INDEX_KEY_ADDRESS)
		read_names(digest, &value);
	else
		read_records(digest, &value);
	if (kind == INDEX_KEY_NAME || kind == INDEX_KEY_HOSTNAME || kind == INDEX_KEY_GUEST)
		read_view(digest, index, kind, key);
}

static void read_meta(struct digest *digest, const struct index *index)
{
	struct index_meta meta;

	digest_number(digest, freshness_of(index, NULL));
	digest_number(digest, freshness_but_for(index, "/etc/leasedns.conf"));
	if (index_meta_init(&meta, index) != PARSER_OK)
		return;
	for (size_t i = 0; i < meta.zone_count; i++)
		digest_add(digest, meta.zones[i].ptr, meta.zones[i].len);
	for (size_t i = 0; i < meta.source_count; i++) {
		digest_add(digest, meta.sources[i].path.ptr, meta.sources[i].path.len);
		digest_number(digest, meta.sources[i].stamp.mtime_ns);
	}
	for (size_t i = 0; i < meta.network_count; i++) {
		digest_add(digest, meta.networks[i].bridge.ptr, meta.networks[i].bridge.len);
		digest_add(digest, meta.networks[i].name.ptr, meta.networks[i].name.len);
		digest_number(digest, index_network(index, meta.networks[i].bridge));
	}
	index_meta_done(&meta);
}

static void read_all(struct digest *digest, const struct index *index)
{
	static const uint8_t names[] = "web.virbr0";
	static const struct address address = {ADDRESS_IPV4, {192, 168, 122, 10}};
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	struct index_value value;
	enum index_key_kind kind;
	struct bytes key;
	uint32_t offset = 0;

	read_meta(digest, index);
	read_view(digest, index, INDEX_KEY_NAME, (struct bytes){names, 3});
	read_view(digest, index, INDEX_KEY_NAME, (struct bytes){names, sizeof(names) - 1});
	if (index_find_address(index, &address, &value) == INDEX_FOUND)
		read_names(digest, &value);
	digest_number(digest, index_find_reverse(index, &address));
	for (int i = 0; i < ENTRIES_MAX; i++) {
		uint8_t copy[INDEX_KEY_OCTETS_MAX];

		if (index_entry_next(index, &offset, buffer, &kind, &key, &value) != PARSER_OK)
			break;
		/* The key is a view of what the next read replaces. */
		memcpy(copy, key.ptr, key.len);
		read_key(digest, index, kind, (struct bytes){copy, key.len});
	}
}

/* Through a window. @return false if it is none at all. */
static bool read_by_descriptor(struct digest *digest, const uint8_t *data, size_t size)
{
	struct index_window window;
	struct index index;
	int fd = memfd_create("index", MFD_CLOEXEC);
	bool is_index;

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	is_index = index_init_fd(&index, fd, &window) == PARSER_OK;
	if (is_index)
		read_all(digest, &index);
	close(fd);
	return is_index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest by_descriptor = {0};
	struct digest in_memory = {0};
	struct index index;
	/* A copy of its exact size, so that a read beyond it is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	bool is_index = read_by_descriptor(&by_descriptor, data, size);

	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	if (index_init_memory(&index, copy, size) == PARSER_OK) {
		CHECK(is_index);
		read_all(&in_memory, &index);
		CHECK(in_memory.sum == by_descriptor.sum);
	} else {
		/* A table outside is found out when it is looked into. */
		CHECK(size < 2048 || is_index);
	}
	free(copy);
	return 0;
}
