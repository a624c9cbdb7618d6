#include "freshness.h"

/* A path that no system call would take cannot have been recorded by us: it counts as changed. */
static enum source_change compare_recorded(
	const char *path, size_t len, const struct source_stamp *stamp)
{
	if (len == 0 || memchr(path, '\0', len))
		return SOURCE_CHANGED;
	return source_compare(path, stamp);
}

/* The next source. False if the index is corrupt. */
static bool next_source(struct index_meta_cursor *cursor, struct bytes excused,
	char path[INDEX_META_TEXT_SIZE], enum source_change *out_change)
{
	struct source_stamp stamp;
	size_t len;

	if (index_meta_next_text(cursor, path, &len) != PARSER_OK ||
		index_meta_next_stamp(cursor, &stamp) != PARSER_OK)
		return false;
	if (excused.len && bytes_equal((struct bytes){(const uint8_t *)path, len}, excused))
		*out_change = SOURCE_SAME;
	else
		*out_change = compare_recorded(path, len, &stamp);
	return true;
}

static enum freshness judge(
	const struct index *index, struct bytes excused, char out_path[INDEX_META_TEXT_SIZE])
{
	char path[INDEX_META_TEXT_SIZE];
	struct index_meta_cursor cursor;
	struct index_meta meta;
	enum source_change change;
	enum freshness freshness = FRESHNESS_FRESH;
	size_t len;

	if (out_path)
		out_path[0] = '\0';
	if (index_meta_open(index, &cursor, &meta) != PARSER_OK)
		return FRESHNESS_STALE;
	for (size_t i = 0; i < meta.zone_count; i++) {
		if (index_meta_next_text(&cursor, path, &len) != PARSER_OK)
			return FRESHNESS_STALE;
	}
	for (size_t i = 0; i < meta.source_count && freshness != FRESHNESS_STALE; i++) {
		bool decides = false;

		if (!next_source(&cursor, excused, path, &change))
			return FRESHNESS_STALE;
		switch (change) {
		case SOURCE_SAME:
		case SOURCE_UNSEEN:
			break;
		case SOURCE_RACY:
			decides = freshness == FRESHNESS_FRESH;
			freshness = FRESHNESS_RACY;
			break;
		case SOURCE_CHANGED:
			decides = true;
			freshness = FRESHNESS_STALE;
			break;
		}
		if (decides && out_path)
			memcpy(out_path, path, sizeof(path));
	}
	return freshness;
}

enum freshness freshness_of(const struct index *index, char out_path[INDEX_META_TEXT_SIZE])
{
	return judge(index, (struct bytes){NULL, 0}, out_path);
}

enum freshness freshness_but_for(const struct index *index, const char *excused)
{
	return judge(index, bytes_of_text(excused), NULL);
}
