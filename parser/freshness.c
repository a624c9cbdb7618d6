#include "freshness.h"

#include <limits.h>

/* A path that no system call would take cannot have been recorded by us: it counts as changed. */
static enum source_change compare_recorded(const struct index_source *source)
{
	char path[PATH_MAX];

	if (source->path.len == 0 || source->path.len >= sizeof(path) ||
		memchr(source->path.ptr, '\0', source->path.len))
		return SOURCE_CHANGED;
	memcpy(path, source->path.ptr, source->path.len);
	path[source->path.len] = '\0';
	return source_compare(path, &source->stamp);
}

enum freshness freshness_of(const struct index_meta *meta, size_t *out_source)
{
	enum freshness freshness = FRESHNESS_FRESH;
	size_t decisive = 0;

	for (size_t i = 0; i < meta->source_count && freshness != FRESHNESS_STALE; i++) {
		switch (compare_recorded(&meta->sources[i])) {
		case SOURCE_SAME:
		case SOURCE_UNSEEN:
			break;
		case SOURCE_RACY:
			if (freshness == FRESHNESS_FRESH)
				decisive = i;
			freshness = FRESHNESS_RACY;
			break;
		case SOURCE_CHANGED:
			freshness = FRESHNESS_STALE;
			decisive = i;
			break;
		}
	}
	if (freshness != FRESHNESS_FRESH && out_source)
		*out_source = decisive;
	return freshness;
}
