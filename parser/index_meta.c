/* The value of `m`, both ways. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "index.h"
#include "index_format.h"
#include "index_meta.h"

/* version 4, built 8, ttl 4, negative ttl 4, counts of zones 2, networks 2, sources 2. */
#define META_HEADER_OCTETS 26u
/* state 1, device 8, inode 8, size 8, mtime 8, observed 8. */
#define META_STAMP_OCTETS 41u

struct meta_cursor {
	const uint8_t *ptr;
	size_t left;
	bool broken;
};

static const uint8_t *meta_take(struct meta_cursor *cursor, size_t len)
{
	const uint8_t *taken = cursor->ptr;

	if (cursor->broken || len > cursor->left) {
		cursor->broken = true;
		return NULL;
	}
	cursor->ptr += len;
	cursor->left -= len;
	return taken;
}

static struct bytes meta_take_text(struct meta_cursor *cursor)
{
	const uint8_t *len = meta_take(cursor, 2);
	struct bytes text = {NULL, 0};

	if (!len)
		return text;
	text.len = get_u16(len);
	text.ptr = meta_take(cursor, text.len);
	return text;
}

static void meta_take_stamp(struct meta_cursor *cursor, struct source_stamp *stamp)
{
	const uint8_t *octets = meta_take(cursor, META_STAMP_OCTETS);

	if (!octets)
		return;
	if (octets[0] > SOURCE_OTHER)
		cursor->broken = true;
	stamp->state = (enum source_state)octets[0];
	stamp->device = get_u64(octets + 1);
	stamp->inode = get_u64(octets + 9);
	stamp->size = get_u64(octets + 17);
	stamp->mtime_ns = (int64_t)get_u64(octets + 25);
	stamp->observed_ns = (int64_t)get_u64(octets + 33);
}

static enum parser_status meta_decode(struct index_meta *meta, struct meta_cursor *cursor)
{
	const uint8_t *header = meta_take(cursor, META_HEADER_OCTETS);

	if (!header || get_u32(header) != INDEX_VERSION)
		return PARSER_E_CORRUPT;
	meta->version = get_u32(header);
	meta->built_unix_ns = (int64_t)get_u64(header + 4);
	meta->ttl_s = get_u32(header + 12);
	meta->negative_ttl_s = get_u32(header + 16);
	meta->zone_count = get_u16(header + 20);
	meta->network_count = get_u16(header + 22);
	meta->source_count = get_u16(header + 24);
	meta->zones = calloc(meta->zone_count + 1, sizeof(*meta->zones));
	meta->networks = calloc(meta->network_count + 1, sizeof(*meta->networks));
	meta->sources = calloc(meta->source_count + 1, sizeof(*meta->sources));
	if (!meta->zones || !meta->networks || !meta->sources)
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < meta->zone_count; i++)
		meta->zones[i] = meta_take_text(cursor);
	for (size_t i = 0; i < meta->network_count; i++) {
		meta->networks[i].bridge = meta_take_text(cursor);
		meta->networks[i].name = meta_take_text(cursor);
	}
	for (size_t i = 0; i < meta->source_count; i++) {
		meta->sources[i].path = meta_take_text(cursor);
		meta_take_stamp(cursor, &meta->sources[i].stamp);
	}
	return cursor->broken || cursor->left || meta->zone_count == 0 ? PARSER_E_CORRUPT
								       : PARSER_OK;
}

enum parser_status index_meta_init(struct index_meta *meta, const struct index *index)
{
	struct index_meta fresh = {0};
	struct index_value value;
	struct meta_cursor cursor = {0};
	enum parser_status rc = PARSER_E_CORRUPT;

	if (index_find(index, INDEX_KEY_META, (struct bytes){NULL, 0}, &value) != INDEX_FOUND)
		return PARSER_E_CORRUPT;
	fresh.storage = malloc(value.len + 1u);
	if (!fresh.storage)
		return PARSER_E_NO_MEMORY;
	if (index->map)
		memcpy(fresh.storage, index->map + value.offset, value.len);
	else if (pread(index->fd, fresh.storage, value.len, value.offset) != (ssize_t)value.len)
		rc = PARSER_E_IO;
	if (rc != PARSER_E_IO) {
		cursor = (struct meta_cursor){fresh.storage, value.len, false};
		rc = meta_decode(&fresh, &cursor);
	}
	if (rc == PARSER_OK)
		*meta = fresh;
	else
		index_meta_done(&fresh);
	return rc;
}

void index_meta_done(struct index_meta *meta)
{
	free(meta->zones);
	free(meta->networks);
	free(meta->sources);
	free(meta->storage);
	*meta = (struct index_meta){0};
}

/* Appends; the lengths were checked when the room was sized. */
static uint8_t *meta_put_text(uint8_t *out, struct bytes text)
{
	put_u16(out, (uint16_t)text.len);
	if (text.len)
		memcpy(out + 2, text.ptr, text.len);
	return out + 2 + text.len;
}

static uint8_t *meta_put_stamp(uint8_t *out, const struct source_stamp *stamp)
{
	out[0] = (uint8_t)stamp->state;
	put_u64(out + 1, stamp->device);
	put_u64(out + 9, stamp->inode);
	put_u64(out + 17, stamp->size);
	put_u64(out + 25, (uint64_t)stamp->mtime_ns);
	put_u64(out + 33, (uint64_t)stamp->observed_ns);
	return out + META_STAMP_OCTETS;
}

static size_t meta_octets(const struct index_meta *meta)
{
	size_t octets = META_HEADER_OCTETS;

	for (size_t i = 0; i < meta->zone_count; i++)
		octets += 2 + meta->zones[i].len;
	for (size_t i = 0; i < meta->network_count; i++)
		octets += 4 + meta->networks[i].bridge.len + meta->networks[i].name.len;
	for (size_t i = 0; i < meta->source_count; i++)
		octets += 2 + meta->sources[i].path.len + META_STAMP_OCTETS;
	return octets;
}

enum parser_status index_meta_encode(
	const struct index_meta *meta, uint8_t **out_octets, size_t *out_len)
{
	size_t len = meta_octets(meta);
	uint8_t *octets;
	uint8_t *out;

	if (meta->zone_count > UINT16_MAX || meta->network_count > INDEX_NETWORK_NONE ||
		meta->source_count > UINT16_MAX)
		return PARSER_E_LIMIT;
	octets = malloc(len);
	if (!octets)
		return PARSER_E_NO_MEMORY;
	put_u32(octets, meta->version);
	put_u64(octets + 4, (uint64_t)meta->built_unix_ns);
	put_u32(octets + 12, meta->ttl_s);
	put_u32(octets + 16, meta->negative_ttl_s);
	put_u16(octets + 20, (uint16_t)meta->zone_count);
	put_u16(octets + 22, (uint16_t)meta->network_count);
	put_u16(octets + 24, (uint16_t)meta->source_count);
	out = octets + META_HEADER_OCTETS;
	for (size_t i = 0; i < meta->zone_count; i++)
		out = meta_put_text(out, meta->zones[i]);
	for (size_t i = 0; i < meta->network_count; i++) {
		out = meta_put_text(out, meta->networks[i].bridge);
		out = meta_put_text(out, meta->networks[i].name);
	}
	for (size_t i = 0; i < meta->source_count; i++) {
		out = meta_put_text(out, meta->sources[i].path);
		out = meta_put_stamp(out, &meta->sources[i].stamp);
	}
	*out_octets = octets;
	*out_len = len;
	return PARSER_OK;
}
