/** @file Is the index still the truth? Compares each source that it recorded with what is there. */
#ifndef PARSER_FRESHNESS_H
#define PARSER_FRESHNESS_H

#include "index.h"

enum freshness {
	FRESHNESS_FRESH,
	FRESHNESS_STALE, /**< Some source changed, vanished or came; or the index is corrupt. */
	FRESHNESS_RACY,  /**< All same, but one was observed within a tick of its last change. */
};

/** Allocates nothing. A source that this process may not see leaves the index believed: its
 *  expiries still bound it.
 *  @param out_path the path of the source that decided, empty if fresh; may be NULL. */
enum freshness freshness_of(const struct index *index, char out_path[INDEX_META_TEXT_SIZE]);

/** As freshness_of(), whatever has become of the source at `excused`. */
enum freshness freshness_but_for(const struct index *index, const char *excused);

#endif
