#include "server/names/lookup.h"

#include "parser/view.h"

void lookup_done(struct lookup *lookup)
{
	listing_done(&lookup->answers);
	*lookup = (struct lookup){0};
}

static void lookup_note_end(struct lookup *lookup, int64_t expires_unix_s, int64_t now_unix_s)
{
	if (expires_unix_s != 0 && expires_unix_s < now_unix_s &&
		expires_unix_s > lookup->ended_unix_s)
		lookup->ended_unix_s = expires_unix_s;
}

/* Why a name has no address: the last lease that it had, and whether it is a guest. */
static enum parser_status lookup_explain(const struct index *index, enum index_key_kind kind,
	struct bytes name, int64_t now_unix_s, struct lookup *lookup)
{
	struct index_value value;
	struct index_record record;

	switch (index_find(index, kind, name, &value)) {
	case INDEX_CORRUPT:
		return PARSER_E_CORRUPT;
	case INDEX_ABSENT:
	case INDEX_NODATA:
		return PARSER_OK;
	case INDEX_FOUND:
		break;
	}
	if (kind == INDEX_KEY_GUEST)
		lookup->is_guest = true;
	for (size_t i = 0; i < index_record_count(&value); i++) {
		enum parser_status status = index_record_at(&value, i, &record);

		if (status != PARSER_OK)
			return status;
		if (record.kind == INDEX_KIND_GUEST_ALIAS)
			lookup->is_guest = true;
		if (record.address.family != ADDRESS_NONE)
			lookup_note_end(lookup, record.expires_unix_s, now_unix_s);
	}
	return PARSER_OK;
}

/* One spelling of the name, in lower case. */
static enum parser_status lookup_spelling(
	const struct index *index, struct bytes name, int64_t now_unix_s, struct lookup *out_lookup)
{
	struct lookup lookup = {.match = INDEX_ABSENT};
	struct view view;
	struct index_record record;
	enum parser_status status = PARSER_OK;

	lookup.match = view_find(index, INDEX_KEY_NAME, name, now_unix_s, &view);
	if (lookup.match == INDEX_CORRUPT)
		return PARSER_E_CORRUPT;
	while (status == PARSER_OK && lookup.match != INDEX_ABSENT &&
		view_next(&view, ADDRESS_NONE, now_unix_s, &record))
		status = listing_add(&lookup.answers, name, LISTING_LIVE, &record);
	if (lookup.answers.count > 0)
		lookup.match = INDEX_FOUND;
	if (status == PARSER_OK && lookup.match != INDEX_FOUND)
		status = lookup_explain(index, INDEX_KEY_GUEST, name, now_unix_s, &lookup);
	if (status == PARSER_OK && lookup.match != INDEX_FOUND)
		status = lookup_explain(index, INDEX_KEY_NAME, name, now_unix_s, &lookup);
	if (status != PARSER_OK) {
		lookup_done(&lookup);
		return status;
	}
	*out_lookup = lookup;
	return PARSER_OK;
}

/* Cuts a zone of ours off. True if `name` ended with it; what is left may be empty (the apex). */
static bool lookup_strip_zone(const struct index_meta *meta, struct bytes *name)
{
	for (size_t i = 0; i < meta->zone_count; i++) {
		struct bytes zone = meta->zones[i];
		struct bytes tail;

		if (name->len < zone.len)
			continue;
		tail = (struct bytes){name->ptr + (name->len - zone.len), zone.len};
		if (!bytes_equal(tail, zone))
			continue;
		if (name->len == zone.len) {
			name->len = 0;
			return true;
		}
		/* `.libvirt` is no spelling of the apex. */
		if (name->len > zone.len + 1 && name->ptr[name->len - zone.len - 1] == '.') {
			name->len -= zone.len + 1;
			return true;
		}
	}
	return false;
}

static enum parser_status lookup_stripped(const struct index *index, const struct index_meta *meta,
	struct bytes name, int64_t now_unix_s, struct lookup *out_lookup)
{
	if (!lookup_strip_zone(meta, &name)) {
		*out_lookup = (struct lookup){.match = INDEX_ABSENT};
		return PARSER_OK;
	}
	if (name.len == 0) {
		*out_lookup = (struct lookup){.match = INDEX_NODATA}; /* The apex exists. */
		return PARSER_OK;
	}
	return lookup_spelling(index, name, now_unix_s, out_lookup);
}

/* An address beats mere existence, existence beats the memory of an ended lease. */
static bool lookup_is_better(const struct lookup *a, const struct lookup *b)
{
	if (a->match != b->match)
		return a->match > b->match;
	return a->ended_unix_s > b->ended_unix_s;
}

enum parser_status lookup_name(const struct index *index, const struct index_meta *meta,
	struct bytes name, int64_t now_unix_s, struct lookup *out_lookup)
{
	/* A key and a zone, and the dots behind them. */
	uint8_t lower[INDEX_KEY_OCTETS_MAX + 1 + 255 + 1];
	struct bytes spelling = {lower, name.len};
	struct lookup literal;
	struct lookup stripped;
	enum parser_status status;

	if (name.len > sizeof(lower) || name.len == 0) {
		*out_lookup = (struct lookup){.match = INDEX_ABSENT};
		return PARSER_OK;
	}
	for (size_t i = 0; i < name.len; i++)
		lower[i] = byte_lower(name.ptr[i]);
	if (lower[name.len - 1] == '.' && name.len > 1)
		spelling.len--;
	status = lookup_spelling(index, spelling, now_unix_s, &literal);
	if (status != PARSER_OK)
		return status;
	status = lookup_stripped(index, meta, spelling, now_unix_s, &stripped);
	if (status != PARSER_OK) {
		lookup_done(&literal);
		return status;
	}
	if (lookup_is_better(&stripped, &literal)) {
		lookup_done(&literal);
		*out_lookup = stripped;
	} else {
		lookup_done(&stripped);
		*out_lookup = literal;
	}
	return PARSER_OK;
}

static enum parser_status lookup_add_name(struct lookup *lookup, const struct address *address,
	const struct index_name *name, int64_t now_unix_s)
{
	struct index_record record = {.address = *address,
		.kind = name->kind,
		.network = name->network,
		.has_mac = name->has_mac,
		.mac = name->mac,
		.valid_from_unix_s = name->valid_from_unix_s,
		.expires_unix_s = name->expires_unix_s};

	if (!index_is_alive(name->valid_from_unix_s, name->expires_unix_s, now_unix_s)) {
		lookup_note_end(lookup, name->expires_unix_s, now_unix_s);
		return PARSER_OK;
	}
	if (!name->published)
		return PARSER_OK;
	return listing_add(&lookup->answers, name->name, LISTING_LIVE, &record);
}

enum parser_status lookup_address(const struct index *index, const struct address *address,
	int64_t now_unix_s, struct lookup *out_lookup)
{
	struct lookup lookup = {.match = INDEX_ABSENT};
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct index_value value;
	struct index_name name;
	uint32_t offset = 0;
	enum parser_status status = PARSER_OK;

	lookup.match = index_find_address(index, address, &value);
	if (lookup.match == INDEX_CORRUPT)
		return PARSER_E_CORRUPT;
	while (status == PARSER_OK && lookup.match == INDEX_FOUND) {
		status = index_name_next(&value, &offset, buffer, &name);
		if (status == PARSER_OK)
			status = lookup_add_name(&lookup, address, &name, now_unix_s);
	}
	if (status == PARSER_E_ABSENT)
		status = PARSER_OK;
	if (status != PARSER_OK) {
		lookup_done(&lookup);
		return status;
	}
	if (lookup.match == INDEX_FOUND && lookup.answers.count == 0)
		lookup.match = lookup.ended_unix_s ? INDEX_ABSENT : INDEX_NODATA;
	*out_lookup = lookup;
	return PARSER_OK;
}
