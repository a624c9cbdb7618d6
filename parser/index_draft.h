/** @file An index that is not written: what an index of these records would hold, asked in place.
 *  For a process that has one question, no index to believe, and no business to write files. */
#ifndef PARSER_INDEX_DRAFT_H
#define PARSER_INDEX_DRAFT_H

#include "index_builder.h"

struct index_draft;

/** @param directories the records; borrowed like `options` until index_draft_free().
 *  @param out_index reads from the draft: index_find() and what follows from it work, meta data and
 *  walks do not.
 *  @return PARSER_OK, PARSER_E_NO_MEMORY, PARSER_E_LIMIT. */
enum parser_status index_draft_new(const struct store_directory *directories,
	size_t directory_count, const struct index_options *options, struct index_draft **out_draft,
	struct index *out_index);
void index_draft_free(struct index_draft *draft);

/** True if a value could not be made since memory was short; see index_has_failed(). */
bool index_draft_has_failed(const struct index_draft *draft);

/** As index_find(), which calls it. If memory is short: INDEX_CORRUPT. */
enum index_match index_draft_find(struct index_draft *draft, enum index_key_kind kind,
	struct bytes key, struct index_value *out_value);

#endif
