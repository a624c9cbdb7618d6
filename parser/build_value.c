/* The values of the index: what stands under a name and under an address. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "hostname.h"
#include "index_format.h"

/* So many leases of one name are searched for those of one network; a hidden name with more has no
 * reverse entry. Bounds the work for a guest that takes every address of a /16 under one name. */
#define BUILD_SEARCH_MAX 1024u

static bool build_reserve(void **block, size_t *octets, size_t wanted)
{
	void *grown;

	if (wanted <= *octets)
		return true;
	grown = realloc(*block, wanted * 2);
	if (!grown)
		return false;
	*block = grown;
	*octets = wanted * 2;
	return true;
}

static bool build_reserve_items(struct build_scratch *scratch, size_t octets)
{
	return build_reserve(&scratch->items, &scratch->items_octets, octets);
}

bool build_reserve_value(struct build_scratch *scratch, size_t octets)
{
	void *value = scratch->value;
	bool done = build_reserve(&value, &scratch->value_octets, octets);

	scratch->value = value;
	return done;
}

static void build_encode_record(const struct index_record *record, uint8_t *out)
{
	unsigned flags = (record->has_mac ? INDEX_FLAG_MAC : 0u) |
			 (record->duplicate ? INDEX_FLAG_DUPLICATE : 0u);

	out[0] = record->address.family;
	out[1] = (uint8_t)record->kind;
	put_u16(out + 2, record->network);
	memcpy(out + 4, record->mac.octets, MAC_OCTETS);
	put_u16(out + 10, (uint16_t)flags);
	put_u64(out + 12, (uint64_t)record->valid_from_unix_s);
	put_u64(out + 20, (uint64_t)record->expires_unix_s);
	memcpy(out + 28, record->address.octets, ADDRESS_IPV6_OCTETS);
}

/* Do both MACs belong to one guest of libvirt? */
static bool build_is_one_guest(const struct build *build, const struct mac *a, const struct mac *b)
{
	struct build_guest_mac owners[2][BUILD_OWNERS_MAX];
	size_t counts[2];

	for (size_t i = 0; i < 2; i++) {
		struct bytes mac = {i ? b->octets : a->octets, MAC_OCTETS};
		size_t group = grouping_find(build->guest_macs, mac);

		counts[i] = group == SIZE_MAX ? 0 : grouping_item_count(build->guest_macs, group);
		if (counts[i] == 0 || counts[i] > BUILD_OWNERS_MAX)
			return false;
		grouping_items(build->guest_macs, group, owners[i]);
	}
	for (size_t i = 0; i < counts[0]; i++) {
		for (size_t k = 0; k < counts[1]; k++) {
			if (owners[0][i].guest == owners[1][k].guest)
				return true;
		}
	}
	return false;
}

/* Living leases of different machines under one hostname: clones, most often. */
static void build_tell_shared(const struct build *build, struct bytes name,
	const struct index_record *records, size_t count)
{
	int64_t now_unix_s = build->options->built_unix_ns / 1000000000;
	const struct index_record *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!records[i].has_mac || !index_is_alive(records[i].valid_from_unix_s,
						   records[i].expires_unix_s, now_unix_s))
			continue;
		if (!first)
			first = &records[i];
		if (memcmp(first->mac.octets, records[i].mac.octets, MAC_OCTETS) == 0 ||
			build_is_one_guest(build, &first->mac, &records[i].mac))
			continue;
		build_tell(build, INDEX_EVENT_HOSTNAME_SHARED, name, records[i].network,
			&records[i].address);
		return;
	}
}

enum parser_status build_value_records(
	struct build *build, struct build_scratch *scratch, size_t position, size_t *out_len)
{
	struct bytes key = grouping_key(build->records, position);
	size_t count = grouping_item_count(build->records, position);
	struct index_record *records;

	if (!build_reserve_items(scratch, count * sizeof(*records)) ||
		!build_reserve_value(scratch, count * INDEX_RECORD_OCTETS))
		return PARSER_E_NO_MEMORY;
	records = scratch->items;
	grouping_items(build->records, position, records);
	count = build_tidy_records(records, count);
	if (key.ptr[0] == INDEX_KEY_HOSTNAME)
		build_tell_shared(build, (struct bytes){key.ptr + 1, key.len - 1}, records, count);
	for (size_t i = 0; i < count; i++)
		build_encode_record(&records[i], scratch->value + i * INDEX_RECORD_OCTETS);
	*out_len = count * INDEX_RECORD_OCTETS;
	return PARSER_OK;
}

/* --- Names of an address ------------------------------------------------------------------- */

/* The best rank among the records of a name on one network (INDEX_NETWORK_NONE: anywhere), and
 * whether `address` is among those that have it. */
static int build_best_rank(const struct index_record *records, size_t count, uint16_t network,
	const struct address *address, bool *out_has_address)
{
	int best = INDEX_KIND_NODE;

	*out_has_address = false;
	for (size_t i = 0; i < count; i++) {
		int rank = build_rank(records[i].kind);

		if (network != INDEX_NETWORK_NONE && records[i].network != network)
			continue;
		if (rank < best) {
			best = rank;
			*out_has_address = false;
		}
		if (rank == best && address_compare(&records[i].address, address) == 0)
			*out_has_address = true;
	}
	return best;
}

/* Is something better called `name.network`, literally? */
static bool build_is_taken(struct build *build, const struct build_name *name)
{
	struct bytes label = build_network_label(build, name->network);
	uint8_t text[INDEX_KEY_OCTETS_MAX];
	size_t len = name->name.len + 1 + label.len;
	size_t group;

	if (len > sizeof(text))
		return true;
	memcpy(text, name->name.ptr, name->name.len);
	text[name->name.len] = '.';
	memcpy(text + name->name.len + 1, label.ptr, label.len);
	group = grouping_find(
		build->records, build_key(build, INDEX_KEY_NAME, (struct bytes){text, len}));
	return group != SIZE_MAX && build->best_ranks[group] != INDEX_KIND_NODE;
}

/* A name that a better kind hides may still be given for this address as `name.network`. */
static enum parser_status build_decide_hidden(
	struct build *build, struct build_scratch *scratch, size_t group, struct build_name *name)
{
	size_t count = grouping_item_count(build->records, group);
	const struct address *address = &name->address;
	struct index_record *records;
	bool answered;

	if (count > BUILD_SEARCH_MAX || name->network == INDEX_NETWORK_NONE)
		return PARSER_OK;
	if (!build_reserve_value(scratch, count * sizeof(*records)))
		return PARSER_E_NO_MEMORY;
	records = (struct index_record *)(void *)scratch->value;
	grouping_items(build->records, group, records);
	build_best_rank(records, count, INDEX_NETWORK_NONE, address, &answered);
	if (answered)
		return PARSER_OK;
	if (name->kind == INDEX_KIND_HOSTNAME)
		build_tell(build, INDEX_EVENT_HOSTNAME_HIDDEN, name->name, name->network, address);
	name->qualified = build_best_rank(records, count, name->network, address, &answered) ==
				  build_rank(name->kind) &&
			  !build_is_taken(build, name);
	name->published = name->qualified;
	return PARSER_OK;
}

/* Does the merged view give the address for this name? */
static enum parser_status build_decide(
	struct build *build, struct build_scratch *scratch, struct build_name *name)
{
	size_t group;

	if (name->rejected)
		return PARSER_OK;
	group = grouping_find(build->records, build_key(build, INDEX_KEY_NAME, name->name));
	if (group == SIZE_MAX)
		return PARSER_OK;
	name->published = build->best_ranks[group] == build_rank(name->kind);
	return name->published ? PARSER_OK : build_decide_hidden(build, scratch, group, name);
}

/* Names of guests that need an alias come behind it: few programs can look them up. */
static int build_name_order(const struct build_name *name)
{
	if (name->kind == INDEX_KIND_GUEST && !name->plain)
		return INDEX_KIND_HOSTNAME + 1;
	return (int)name->kind;
}

static int build_compare_names(const void *left, const void *right)
{
	const struct build_name *a = left;
	const struct build_name *b = right;
	size_t shorter = a->name.len < b->name.len ? a->name.len : b->name.len;
	int order = build_compare_numbers(b->published, a->published);

	if (order == 0)
		order = build_compare_numbers(a->qualified, b->qualified);
	if (order == 0)
		order = build_name_order(a) - build_name_order(b);
	if (order == 0)
		order = build_compare_numbers(
			build_end(b->expires_unix_s), build_end(a->expires_unix_s));
	/* hosts(5): the first name of a line is the canonical one. Leases come in no stable order.
	 */
	if (order == 0 && a->kind == INDEX_KIND_STATIC)
		order = build_compare_numbers(a->sequence, b->sequence);
	if (order == 0)
		order = memcmp(a->name.ptr, b->name.ptr, shorter);
	if (order == 0)
		order = build_compare_numbers((int64_t)a->name.len, (int64_t)b->name.len);
	if (order == 0)
		order = build_compare_numbers(a->valid_from_unix_s, b->valid_from_unix_s);
	return order ? order : build_compare_numbers(a->network, b->network);
}

static bool build_same_name(const struct build_name *a, const struct build_name *b)
{
	return a->kind == b->kind && a->network == b->network && a->qualified == b->qualified &&
	       a->valid_from_unix_s == b->valid_from_unix_s &&
	       a->expires_unix_s == b->expires_unix_s && bytes_equal_fold(a->name, b->name);
}

/* @return how many octets were written; 0 if the name is too long to be kept. */
static size_t build_encode_name(
	const struct build *build, const struct build_name *name, uint8_t *out)
{
	struct bytes label = build_network_label(build, name->network);
	struct bytes text = {out + INDEX_NAME_HEADER_OCTETS, name->name.len};
	uint8_t *end = out + INDEX_NAME_HEADER_OCTETS;
	unsigned flags = name->has_mac ? INDEX_FLAG_MAC : 0u;

	if (name->qualified)
		text.len += 1 + label.len;
	if (text.len > INDEX_NAME_OCTETS_MAX)
		return 0;
	memcpy(end, name->name.ptr, name->name.len);
	if (name->qualified) {
		end[name->name.len] = '.';
		memcpy(end + name->name.len + 1, label.ptr, label.len);
	}
	flags |= name->published ? INDEX_FLAG_PUBLISHED : 0u;
	flags |= hostname_is_dns_name(text) ? INDEX_FLAG_DNS_NAME : 0u;
	out[0] = (uint8_t)name->kind;
	out[1] = (uint8_t)flags;
	put_u16(out + 2, name->network);
	memcpy(out + 4, name->mac.octets, MAC_OCTETS);
	put_u16(out + 10, (uint16_t)text.len);
	put_u64(out + 12, (uint64_t)name->valid_from_unix_s);
	put_u64(out + 20, (uint64_t)name->expires_unix_s);
	return INDEX_NAME_HEADER_OCTETS + text.len;
}

enum parser_status build_value_names(
	struct build *build, struct build_scratch *scratch, size_t position, size_t *out_len)
{
	size_t count = grouping_item_count(build->names, position);
	enum parser_status rc = PARSER_OK;
	struct build_name *names;
	size_t len = 0;

	if (!build_reserve_items(scratch, count * sizeof(*names)))
		return PARSER_E_NO_MEMORY;
	names = scratch->items;
	grouping_items(build->names, position, names);
	for (size_t i = 0; i < count && rc == PARSER_OK; i++)
		rc = build_decide(build, scratch, &names[i]);
	if (rc != PARSER_OK)
		return rc;
	qsort(names, count, sizeof(*names), build_compare_names);
	if (!build_reserve_value(
		    scratch, count * (INDEX_NAME_HEADER_OCTETS + INDEX_NAME_OCTETS_MAX)))
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !build_same_name(&names[i - 1], &names[i]))
			len += build_encode_name(build, &names[i], scratch->value + len);
	}
	*out_len = len;
	return PARSER_OK;
}

void build_scratch_done(struct build_scratch *scratch)
{
	free(scratch->items);
	free(scratch->value);
	*scratch = (struct build_scratch){0};
}
