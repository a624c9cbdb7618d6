#include "grouping.h"

#include <stdlib.h>
#include <string.h>

/* Offsets and positions are 32 bits: the index that comes of it is below 64 MiB. */
#define GROUPING_NONE UINT32_MAX

struct group {
	uint32_t hash;
	uint32_t key_offset;
	uint32_t key_len;
	uint32_t first_item;
	uint32_t last_item;
	uint32_t item_count;
};

struct grouping {
	size_t item_octets;
	struct group *groups;
	size_t group_count;
	size_t group_cap;
	uint32_t *slots; /* Positions in `groups`; open addressing, at most half full. */
	size_t slot_count;
	uint8_t *keys;
	size_t keys_len;
	size_t keys_cap;
	uint8_t *items;
	uint32_t *next_item;
	size_t item_count;
	size_t item_cap;
};

struct grouping *grouping_new(size_t item_octets)
{
	struct grouping *grouping = calloc(1, sizeof(*grouping));

	if (grouping)
		grouping->item_octets = item_octets;
	return grouping;
}

void grouping_free(struct grouping *grouping)
{
	if (!grouping)
		return;
	free(grouping->groups);
	free(grouping->slots);
	free(grouping->keys);
	free(grouping->items);
	free(grouping->next_item);
	free(grouping);
}

/* FNV-1a. A guest may make its hostnames collide, but has no more of them than its network has
 * addresses. */
static uint32_t grouping_hash(struct bytes key)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ key.ptr[i]) * 16777619u;
	return hash;
}

/* The slot where `key` is, or would be. */
static size_t grouping_slot(const struct grouping *grouping, struct bytes key, uint32_t hash)
{
	size_t mask = grouping->slot_count - 1;
	size_t slot = hash & mask;

	for (; grouping->slots[slot] != GROUPING_NONE; slot = (slot + 1) & mask) {
		const struct group *group = &grouping->groups[grouping->slots[slot]];

		if (group->hash == hash && group->key_len == key.len &&
			memcmp(grouping->keys + group->key_offset, key.ptr, key.len) == 0)
			break;
	}
	return slot;
}

static enum parser_status grouping_rehash(struct grouping *grouping, size_t slot_count)
{
	uint32_t *slots = malloc(slot_count * sizeof(*slots));

	if (!slots)
		return PARSER_E_NO_MEMORY;
	memset(slots, 0xff, slot_count * sizeof(*slots));
	for (size_t i = 0; i < grouping->group_count; i++) {
		size_t slot = grouping->groups[i].hash & (slot_count - 1);

		while (slots[slot] != GROUPING_NONE)
			slot = (slot + 1) & (slot_count - 1);
		slots[slot] = (uint32_t)i;
	}
	free(grouping->slots);
	grouping->slots = slots;
	grouping->slot_count = slot_count;
	return PARSER_OK;
}

/* Makes room for `more` beyond `len` elements; false if memory or 32 bits are short. */
static bool grouping_reserve(void **array, size_t *cap, size_t len, size_t more, size_t octets)
{
	size_t wanted = *cap ? *cap : 256;
	void *grown;

	if (len + more <= *cap)
		return true;
	while (wanted < len + more)
		wanted *= 2;
	if (wanted >= GROUPING_NONE)
		return false;
	grown = realloc(*array, wanted * (octets ? octets : 1));
	if (!grown)
		return false;
	*array = grown;
	*cap = wanted;
	return true;
}

static bool grouping_reserve_items(struct grouping *grouping, size_t more)
{
	size_t links_cap = grouping->item_cap;
	void *links = grouping->next_item;
	void *items = grouping->items;
	bool done =
		grouping_reserve(&links, &links_cap, grouping->item_count, more, sizeof(uint32_t));

	grouping->next_item = links;
	done = done && grouping_reserve(&items, &grouping->item_cap, grouping->item_count, more,
			       grouping->item_octets);
	grouping->items = items;
	return done;
}

/* Finds the group of `key`, or opens it. */
static enum parser_status grouping_open(
	struct grouping *grouping, struct bytes key, struct group **out_group)
{
	uint32_t hash = grouping_hash(key);
	void *groups = grouping->groups;
	void *keys = grouping->keys;
	struct group *group;
	size_t slot;

	if (grouping->group_count * 2 >= grouping->slot_count &&
		grouping_rehash(grouping, grouping->slot_count ? grouping->slot_count * 2 : 64) !=
			PARSER_OK)
		return PARSER_E_NO_MEMORY;
	slot = grouping_slot(grouping, key, hash);
	if (grouping->slots[slot] != GROUPING_NONE) {
		*out_group = &grouping->groups[grouping->slots[slot]];
		return PARSER_OK;
	}
	if (!grouping_reserve(
		    &groups, &grouping->group_cap, grouping->group_count, 1, sizeof(*group)))
		return PARSER_E_NO_MEMORY;
	grouping->groups = groups;
	if (!grouping_reserve(&keys, &grouping->keys_cap, grouping->keys_len, key.len, 1))
		return PARSER_E_NO_MEMORY;
	grouping->keys = keys;
	if (key.len)
		memcpy(grouping->keys + grouping->keys_len, key.ptr, key.len);
	group = &grouping->groups[grouping->group_count];
	*group = (struct group){
		.hash = hash,
		.key_offset = (uint32_t)grouping->keys_len,
		.key_len = (uint32_t)key.len,
		.first_item = GROUPING_NONE,
	};
	grouping->keys_len += key.len;
	grouping->slots[slot] = (uint32_t)grouping->group_count++;
	*out_group = group;
	return PARSER_OK;
}

enum parser_status grouping_add(struct grouping *grouping, struct bytes key, const void *item)
{
	struct group *group;
	uint32_t position = (uint32_t)grouping->item_count;

	if (!grouping_reserve_items(grouping, 1) ||
		grouping_open(grouping, key, &group) != PARSER_OK)
		return PARSER_E_NO_MEMORY;
	if (grouping->item_octets)
		memcpy(grouping->items + position * grouping->item_octets, item,
			grouping->item_octets);
	grouping->next_item[position] = GROUPING_NONE;
	if (group->item_count == 0)
		group->first_item = position;
	else
		grouping->next_item[group->last_item] = position;
	group->last_item = position;
	group->item_count++;
	grouping->item_count++;
	return PARSER_OK;
}

void grouping_expect(struct grouping *grouping, size_t keys, size_t items, size_t key_octets)
{
	void *groups = grouping->groups;
	void *octets = grouping->keys;
	size_t slot_count = 64;

	while (slot_count < keys * 2)
		slot_count *= 2;
	if (slot_count > grouping->slot_count)
		grouping_rehash(grouping, slot_count);
	grouping_reserve(
		&groups, &grouping->group_cap, grouping->group_count, keys, sizeof(struct group));
	grouping->groups = groups;
	grouping_reserve(&octets, &grouping->keys_cap, grouping->keys_len, key_octets, 1);
	grouping->keys = octets;
	grouping_reserve_items(grouping, items);
}

size_t grouping_count(const struct grouping *grouping)
{
	return grouping->group_count;
}

struct bytes grouping_key(const struct grouping *grouping, size_t position)
{
	const struct group *group = &grouping->groups[position];

	return (struct bytes){grouping->keys + group->key_offset, group->key_len};
}

size_t grouping_find(const struct grouping *grouping, struct bytes key)
{
	uint32_t position;

	if (grouping->slot_count == 0)
		return SIZE_MAX;
	position = grouping->slots[grouping_slot(grouping, key, grouping_hash(key))];
	return position == GROUPING_NONE ? SIZE_MAX : position;
}

size_t grouping_item_count(const struct grouping *grouping, size_t position)
{
	return grouping->groups[position].item_count;
}

size_t grouping_item_total(const struct grouping *grouping)
{
	return grouping->item_count;
}

void grouping_items(const struct grouping *grouping, size_t position, void *out_items)
{
	uint8_t *out = out_items;
	uint32_t item = grouping->groups[position].first_item;

	for (; item != GROUPING_NONE; item = grouping->next_item[item]) {
		memcpy(out, grouping->items + item * grouping->item_octets, grouping->item_octets);
		out += grouping->item_octets;
	}
}
