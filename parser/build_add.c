/* What the index is made of: records under names, names under addresses. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "hostname.h"
#include "index_format.h"

struct bytes build_key(struct build *build, enum index_key_kind kind, struct bytes name)
{
	if (name.len > INDEX_KEY_OCTETS_MAX)
		return (struct bytes){NULL, 0};
	build->key[0] = (uint8_t)kind;
	for (size_t i = 0; i < name.len; i++)
		build->key[1 + i] = byte_lower(name.ptr[i]);
	return (struct bytes){build->key, 1 + name.len};
}

struct bytes build_network_label(const struct build *build, uint16_t network)
{
	const struct build_network *entry;

	if (network >= build->network_count)
		return (struct bytes){NULL, 0};
	entry = &build->networks[network];
	return bytes_of_text(entry->bridge[0] ? entry->bridge : entry->name);
}

void build_tell(const struct build *build, enum index_event_kind kind, struct bytes name,
	uint16_t network, const struct address *address)
{
	struct index_event event = {.kind = kind, .name = name};

	if (!build->sink)
		return;
	event.network = build_network_label(build, network);
	if (address)
		event.address = *address;
	build->sink(build->ctx, &event);
}

/* A lower-case copy that lives as long as the build. */
bool build_keep(struct build *build, struct bytes text, struct bytes *out_kept)
{
	struct build_text *block = malloc(sizeof(*block) + text.len + 1);

	if (!block)
		return false;
	for (size_t i = 0; i < text.len; i++)
		block->octets[i] = byte_lower(text.ptr[i]);
	block->octets[text.len] = '\0';
	block->next = build->texts;
	build->texts = block;
	*out_kept = (struct bytes){block->octets, text.len};
	return true;
}

/* Makes room for one more element of an array. */
bool build_grow(void **array, size_t *cap, size_t count, size_t octets)
{
	size_t wanted = *cap ? *cap * 2 : 16;
	void *grown;

	if (count < *cap)
		return true;
	grown = realloc(*array, wanted * octets);
	if (!grown)
		return false;
	*array = grown;
	*cap = wanted;
	return true;
}

enum parser_status build_add_record(struct build *build, enum index_key_kind kind,
	struct bytes name, const struct index_record *record)
{
	struct bytes key = build_key(build, kind, name);

	return key.len ? grouping_add(build->records, key, record) : PARSER_OK;
}

/* The names above a name of several labels exist as well (RFC 8020: a resolver believes that
 * nothing is below a name that does not). */
enum parser_status build_add_parents(struct build *build, struct bytes name, uint16_t network)
{
	struct index_record node = {.kind = INDEX_KIND_NODE, .network = network};
	enum parser_status rc = PARSER_OK;

	if (!hostname_is_dns_name(name))
		return PARSER_OK;
	for (size_t i = 0; i < name.len && rc == PARSER_OK; i++) {
		if (name.ptr[i] == '.')
			rc = build_add_record(build, INDEX_KEY_NAME,
				(struct bytes){name.ptr + i + 1, name.len - i - 1}, &node);
	}
	return rc;
}

enum parser_status build_add_reverse(struct build *build, const struct address *address)
{
	size_t prefix = index_prefix_octets(address->family);
	uint8_t key[1 + ADDRESS_IPV6_OCTETS];
	struct bytes view = {key, 1 + prefix * 2};

	key[0] = INDEX_KEY_REVERSE;
	put_hex(key + 1, address->octets, prefix);
	if (grouping_find(build->reverse, view) != SIZE_MAX)
		return PARSER_OK;
	return grouping_add(build->reverse, view, NULL);
}

/* Notes that `record` gives its address to `name`: in the reverse direction. */
enum parser_status build_add_name(
	struct build *build, const struct index_record *record, struct bytes name, bool rejected)
{
	uint8_t alias[INDEX_NAME_OCTETS_MAX];
	uint8_t key[1 + ADDRESS_IPV6_OCTETS * 2];
	size_t octets = address_octets(record->address.family);
	struct build_name entry = {
		.name = name,
		.kind = record->kind,
		.address = record->address,
		.network = record->network,
		.has_mac = record->has_mac,
		.mac = record->mac,
		.valid_from_unix_s = record->valid_from_unix_s,
		.expires_unix_s = record->expires_unix_s,
		.sequence = (uint32_t)grouping_item_total(build->names),
		.rejected = rejected,
	};

	if (name.len == 0 || name.len > INDEX_NAME_OCTETS_MAX)
		return PARSER_OK;
	entry.plain = hostname_alias(name, alias) == 0;
	key[0] = INDEX_KEY_ADDRESS;
	put_hex(key + 1, record->address.octets, octets);
	return grouping_add(build->names, (struct bytes){key, 1 + octets * 2}, &entry);
}

/* A name for an address in the merged view, both ways. */
enum parser_status build_add_both(
	struct build *build, const struct index_record *record, struct bytes name)
{
	enum parser_status rc = build_add_record(build, INDEX_KEY_NAME, name, record);

	return rc == PARSER_OK ? build_add_name(build, record, name, false) : rc;
}
