#include "view.h"

/* Ranks beyond every kind that has addresses. */
#define VIEW_RANK_NODE INDEX_KIND_NODE

/* Which kinds stand together: a reservation is a static entry. */
static uint8_t view_rank(enum index_kind kind)
{
	return kind == INDEX_KIND_RESERVATION ? INDEX_KIND_STATIC : (uint8_t)kind;
}

static bool view_counts(const struct view *view, const struct index_record *record)
{
	return view->network == INDEX_NETWORK_NONE ? !record->duplicate
						   : record->network == view->network;
}

/* Chooses the rank that counts and finds out whether something of it is alive. The records come
 * sorted by rank, those that live longest first. */
static enum index_match view_choose(struct view *view, int64_t now_unix_s)
{
	size_t count = index_record_count(&view->value);
	struct index_record record;
	bool chosen = false;

	view->exists = false;
	view->rank = VIEW_RANK_NODE;
	for (size_t i = 0; i < count && !view->exists; i++) {
		if (index_record_at(&view->value, i, &record) != PARSER_OK)
			return INDEX_CORRUPT;
		if (!view_counts(view, &record))
			continue;
		if (!chosen)
			view->rank = view_rank(record.kind);
		chosen = true;
		if (view_rank(record.kind) == view->rank || record.kind == INDEX_KIND_NODE)
			view->exists = index_is_alive(
				record.valid_from_unix_s, record.expires_unix_s, now_unix_s);
	}
	return view->exists ? INDEX_NODATA : INDEX_ABSENT;
}

/* `head.network`, for a network whose label may hold dots itself (`br0.100`). */
static enum index_match view_find_on_network(const struct index *index, enum index_key_kind kind,
	struct bytes name, int64_t now_unix_s, struct view *out_view)
{
	for (size_t i = name.len; i > 1; i--) {
		struct bytes label = {name.ptr + i, name.len - i};
		struct view view = {.network = INDEX_NETWORK_NONE};
		enum index_match match;

		if (name.ptr[i - 1] != '.')
			continue;
		view.network = index_network(index, label);
		if (view.network == INDEX_NETWORK_NONE)
			continue;
		match = index_find(index, kind, (struct bytes){name.ptr, i - 1}, &view.value);
		if (match == INDEX_FOUND)
			match = view_choose(&view, now_unix_s);
		if (match == INDEX_NODATA)
			*out_view = view;
		if (match != INDEX_ABSENT)
			return match;
	}
	return INDEX_ABSENT;
}

enum index_match view_find(const struct index *index, enum index_key_kind kind, struct bytes name,
	int64_t now_unix_s, struct view *out_view)
{
	struct view literal = {.network = INDEX_NETWORK_NONE};
	enum index_match match = index_find(index, kind, name, &literal.value);
	enum index_match on_network;

	if (match == INDEX_FOUND)
		match = view_choose(&literal, now_unix_s);
	*out_view = literal;
	if (match == INDEX_CORRUPT || (match == INDEX_NODATA && literal.rank != VIEW_RANK_NODE))
		return match;
	/* An empty non-terminal of that name keeps it alive, no more. */
	on_network = view_find_on_network(index, kind, name, now_unix_s, out_view);
	return on_network == INDEX_ABSENT ? match : on_network;
}

bool view_next(
	struct view *view, uint8_t family, int64_t now_unix_s, struct index_record *out_record)
{
	size_t count = index_record_count(&view->value);
	struct index_record record;

	while (view->position < count) {
		if (index_record_at(&view->value, view->position, &record) != PARSER_OK)
			return false;
		view->position++;
		if (view_rank(record.kind) > view->rank)
			return false;
		if (view_rank(record.kind) != view->rank || record.kind == INDEX_KIND_NODE ||
			!view_counts(view, &record))
			continue;
		if (record.address.family == ADDRESS_NONE ||
			(family != ADDRESS_NONE && record.address.family != family))
			continue;
		if (index_is_alive(record.valid_from_unix_s, record.expires_unix_s, now_unix_s)) {
			*out_record = record;
			return true;
		}
	}
	return false;
}
