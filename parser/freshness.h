/** @file Is the index still the truth? Compares each source that it recorded with what is there. */
#ifndef PARSER_FRESHNESS_H
#define PARSER_FRESHNESS_H

#include "index.h"

enum freshness {
	FRESHNESS_FRESH,
	FRESHNESS_STALE, /**< Some source changed, vanished or came. */
	FRESHNESS_RACY,  /**< All same, but one was observed within a tick of its last change. */
};

/** @param out_source position of the source that decided, if not fresh; may be NULL.
 *  A source that this process may not see leaves the index believed: its expiries still bound it.
 */
enum freshness freshness_of(const struct index_meta *meta, size_t *out_source);

#endif
