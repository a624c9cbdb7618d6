/** @file Gathers fixed-size items under byte-string keys in the order of their coming: the
 *  in-memory stage between lease records and the index. */
#ifndef PARSER_GROUPING_H
#define PARSER_GROUPING_H

#include "bytes.h"
#include "parser_status.h"

struct grouping;

struct grouping *grouping_new(size_t item_octets);
void grouping_free(struct grouping *grouping);

/** Makes room at once for what will come. Not to have it is no failure.
 *  @param key_octets of all keys together. */
void grouping_expect(struct grouping *grouping, size_t keys, size_t items, size_t key_octets);

/** Copies `key` and `item`. */
enum parser_status grouping_add(struct grouping *grouping, struct bytes key, const void *item);

size_t grouping_count(const struct grouping *grouping);

/** Key number `position`, in the order in which keys first came. */
struct bytes grouping_key(const struct grouping *grouping, size_t position);

/** Position of `key`, or SIZE_MAX. */
size_t grouping_find(const struct grouping *grouping, struct bytes key);

/** How many items the key at `position` holds. */
size_t grouping_item_count(const struct grouping *grouping, size_t position);

/** How many items there are under all keys. */
size_t grouping_item_total(const struct grouping *grouping);

/** Copies the items of that key to `out_items`, which has room for grouping_item_count() items. */
void grouping_items(const struct grouping *grouping, size_t position, void *out_items);

#endif
