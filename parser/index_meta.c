/* The value of `m`, both ways. */
#include <stdlib.h>

#include "index.h"
#include "index_format.h"
#include "index_meta.h"

/* version 4, built 8, ttl 4, negative ttl 4, counts of zones 2, networks 2, sources 2. */
#define META_HEADER_OCTETS 26u
/* state 1, device 8, inode 8, size 8, mtime 8, observed 8. */
#define META_STAMP_OCTETS 41u
/* Well below what the window holds at any offset. */
#define META_PIECE_OCTETS 1024u

enum parser_status index_meta_open(const struct index *index, struct index_meta_cursor *out_cursor,
	struct index_meta *out_meta)
{
	/* The builder writes `m` first, so that it comes with the header in one read. */
	const uint8_t *octets = index_bytes(
		index, CDB_HEADER_OCTETS, CDB_RECORD_HEADER_OCTETS + 1 + META_HEADER_OCTETS, NULL);
	uint32_t value_at = CDB_HEADER_OCTETS + CDB_RECORD_HEADER_OCTETS + 1;
	uint32_t value_len;

	if (!octets)
		return PARSER_E_CORRUPT;
	value_len = get_u32(octets + 4);
	if (get_u32(octets) != 1 || octets[CDB_RECORD_HEADER_OCTETS] != INDEX_KEY_META ||
		value_len < META_HEADER_OCTETS || value_len > index->size - value_at)
		return PARSER_E_CORRUPT;
	octets += CDB_RECORD_HEADER_OCTETS + 1;
	if (get_u32(octets) != INDEX_VERSION || get_u16(octets + 20) == 0)
		return PARSER_E_CORRUPT;
	*out_meta = (struct index_meta){
		.version = INDEX_VERSION,
		.built_unix_ns = (int64_t)get_u64(octets + 4),
		.ttl_s = get_u32(octets + 12),
		.negative_ttl_s = get_u32(octets + 16),
		.zone_count = get_u16(octets + 20),
		.network_count = get_u16(octets + 22),
		.source_count = get_u16(octets + 24),
	};
	*out_cursor = (struct index_meta_cursor){
		index, value_at + META_HEADER_OCTETS, value_at + value_len};
	return PARSER_OK;
}

/* The next `len` octets, until the next read; NULL beyond the end. */
static const uint8_t *meta_take(struct index_meta_cursor *cursor, size_t len)
{
	const uint8_t *octets;

	if (len > cursor->end - cursor->offset)
		return NULL;
	octets = index_bytes(cursor->index, cursor->offset, len, NULL);
	cursor->offset += (uint32_t)len;
	return octets;
}

enum parser_status index_meta_next_text(
	struct index_meta_cursor *cursor, char out_text[INDEX_META_TEXT_SIZE], size_t *out_len)
{
	const uint8_t *octets = meta_take(cursor, 2);
	size_t len = octets ? get_u16(octets) : 0;
	size_t done = 0;

	if (!octets || len >= INDEX_META_TEXT_SIZE)
		return PARSER_E_CORRUPT;
	/* In pieces that fit the window. */
	while (done < len) {
		size_t piece = len - done < META_PIECE_OCTETS ? len - done : META_PIECE_OCTETS;

		octets = meta_take(cursor, piece);
		if (!octets)
			return PARSER_E_CORRUPT;
		memcpy(out_text + done, octets, piece);
		done += piece;
	}
	out_text[len] = '\0';
	*out_len = len;
	return PARSER_OK;
}

enum parser_status index_meta_next_stamp(
	struct index_meta_cursor *cursor, struct source_stamp *out_stamp)
{
	const uint8_t *octets = meta_take(cursor, META_STAMP_OCTETS);

	if (!octets || octets[0] > SOURCE_OTHER)
		return PARSER_E_CORRUPT;
	*out_stamp = (struct source_stamp){
		.state = (enum source_state)octets[0],
		.device = get_u64(octets + 1),
		.inode = get_u64(octets + 9),
		.size = get_u64(octets + 17),
		.mtime_ns = (int64_t)get_u64(octets + 25),
		.observed_ns = (int64_t)get_u64(octets + 33),
	};
	return PARSER_OK;
}

/* Copies the next text into the storage behind `*used`. */
static enum parser_status meta_store_text(struct index_meta_cursor *cursor, struct index_meta *meta,
	size_t *used, struct bytes *out_text)
{
	char text[INDEX_META_TEXT_SIZE];
	size_t len;
	enum parser_status rc = index_meta_next_text(cursor, text, &len);

	if (rc != PARSER_OK)
		return rc;
	/* All texts together are shorter than the value that they come from. */
	memcpy(meta->storage + *used, text, len);
	*out_text = (struct bytes){meta->storage + *used, len};
	*used += len;
	return PARSER_OK;
}

static enum parser_status meta_store_all(struct index_meta_cursor *cursor, struct index_meta *meta)
{
	enum parser_status rc = PARSER_OK;
	size_t used = 0;

	for (size_t i = 0; i < meta->zone_count && rc == PARSER_OK; i++)
		rc = meta_store_text(cursor, meta, &used, &meta->zones[i]);
	for (size_t i = 0; i < meta->source_count && rc == PARSER_OK; i++) {
		rc = meta_store_text(cursor, meta, &used, &meta->sources[i].path);
		if (rc == PARSER_OK)
			rc = index_meta_next_stamp(cursor, &meta->sources[i].stamp);
	}
	for (size_t i = 0; i < meta->network_count && rc == PARSER_OK; i++) {
		rc = meta_store_text(cursor, meta, &used, &meta->networks[i].bridge);
		if (rc == PARSER_OK)
			rc = meta_store_text(cursor, meta, &used, &meta->networks[i].name);
	}
	if (rc == PARSER_OK && cursor->offset != cursor->end)
		rc = PARSER_E_CORRUPT;
	return rc;
}

enum parser_status index_meta_init(struct index_meta *meta, const struct index *index)
{
	struct index_meta fresh;
	struct index_meta_cursor cursor;
	enum parser_status rc = index_meta_open(index, &cursor, &fresh);

	if (rc != PARSER_OK)
		return rc;
	fresh.storage = malloc(cursor.end - cursor.offset + 1u);
	fresh.zones = calloc(fresh.zone_count + 1, sizeof(*fresh.zones));
	fresh.networks = calloc(fresh.network_count + 1, sizeof(*fresh.networks));
	fresh.sources = calloc(fresh.source_count + 1, sizeof(*fresh.sources));
	if (fresh.storage && fresh.zones && fresh.networks && fresh.sources)
		rc = meta_store_all(&cursor, &fresh);
	else
		rc = PARSER_E_NO_MEMORY;
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
	for (size_t i = 0; i < meta->source_count; i++) {
		out = meta_put_text(out, meta->sources[i].path);
		out = meta_put_stamp(out, &meta->sources[i].stamp);
	}
	for (size_t i = 0; i < meta->network_count; i++) {
		out = meta_put_text(out, meta->networks[i].bridge);
		out = meta_put_text(out, meta->networks[i].name);
	}
	*out_octets = octets;
	*out_len = len;
	return PARSER_OK;
}
