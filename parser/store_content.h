/** @file Copies of records: an array of them, and one block with the bytes that they view. Private
 *  to the store. */
#ifndef PARSER_STORE_CONTENT_H
#define PARSER_STORE_CONTENT_H

#include "record.h"

struct content {
	struct record *records;
	size_t count;
	size_t cap;
	uint8_t *text;
	size_t text_len;
	size_t text_cap;
	bool no_memory; /**< An allocation failed: what is there is void. */
};

/** Makes room for the records of a file of so many octets, as libvirt writes them. Not to have it
 *  is no failure. */
void content_reserve(struct content *content, size_t file_octets);

/** A record_sink: appends a copy. The views are set by content_finish(). */
bool content_add(void *ctx, const struct record *record);

/** Gives back what is too much, and points the records into the text. */
void content_finish(struct content *content);

/** Do both say the same, record by record? */
bool content_equal(const struct content *a, const struct content *b);

void content_done(struct content *content);

/** Makes room for `needed` items of `octets` each in a block that holds `*cap` of them.
 *  @return the block, or NULL if memory is short; then the old one stays valid. */
void *store_grown(void *block, size_t *cap, size_t needed, size_t octets);

#endif
