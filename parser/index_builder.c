#include "index_builder.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "hostname.h"

/* --- Networks ------------------------------------------------------------------------------ */

static uint16_t build_find_network(struct build *build, struct bytes label)
{
	size_t group = grouping_find(build->labels, build_key(build, INDEX_KEY_NETWORK, label));
	uint16_t network = INDEX_NETWORK_NONE;

	if (group != SIZE_MAX)
		grouping_items(build->labels, group, &network);
	return network;
}

/* Who has a label first keeps it. */
static enum parser_status build_add_label(struct build *build, struct bytes label, uint16_t network)
{
	struct bytes key = build_key(build, INDEX_KEY_NETWORK, label);

	if (label.len == 0 || key.len == 0 || grouping_find(build->labels, key) != SIZE_MAX)
		return PARSER_OK;
	return grouping_add(build->labels, key, &network);
}

static enum parser_status build_add_network(
	struct build *build, struct bytes bridge, struct bytes name)
{
	void *networks = build->networks;
	uint16_t network = (uint16_t)build->network_count;
	struct bytes kept_bridge;
	struct bytes kept_name;
	enum parser_status rc;

	if (build->network_count >= INDEX_NETWORK_NONE)
		return PARSER_E_LIMIT;
	if (!build_grow(
		    &networks, &build->network_cap, build->network_count, sizeof(*build->networks)))
		return PARSER_E_NO_MEMORY;
	build->networks = networks;
	if (!build_keep(build, bridge, &kept_bridge) || !build_keep(build, name, &kept_name))
		return PARSER_E_NO_MEMORY;
	build->networks[build->network_count++] = (struct build_network){
		.bridge = (char *)(uintptr_t)kept_bridge.ptr,
		.name = (char *)(uintptr_t)kept_name.ptr,
	};
	rc = build_add_label(build, bridge, network);
	return rc == PARSER_OK ? build_add_label(build, name, network) : rc;
}

static enum parser_status build_add_file_network(struct build *build, const struct store_file *file)
{
	struct bytes none = {NULL, 0};

	if (build_find_network(build, file->stem) != INDEX_NETWORK_NONE)
		return PARSER_OK;
	if (file->format->stem == FORMAT_STEM_BRIDGE)
		return build_add_network(build, file->stem, none);
	return build_add_network(build, none, file->stem);
}

/* --- All together -------------------------------------------------------------------------- */

typedef enum parser_status (*build_add)(
	struct build *build, const struct record *record, uint16_t network);

/* Hands all records of one kind to `add`. */
static enum parser_status build_each(struct build *build, enum record_kind kind, build_add add)
{
	enum parser_status rc = PARSER_OK;

	for (size_t d = 0; d < build->directory_count; d++) {
		for (size_t f = 0; f < build->directories[d].file_count; f++) {
			const struct store_file *file = build->directories[d].files[f];
			uint16_t network = build_find_network(build, file->stem);

			for (size_t r = 0; r < file->record_count && rc == PARSER_OK; r++) {
				if (file->records[r].kind == kind)
					rc = add(build, &file->records[r], network);
			}
		}
	}
	return rc;
}

/* What stands below a network's label has a parent. */
static enum parser_status build_mark_network(
	struct build *build, const char *label, uint16_t network)
{
	struct index_record node = {.kind = INDEX_KIND_NODE, .network = network};
	struct bytes name = bytes_of_text(label);
	enum parser_status rc = PARSER_OK;

	if (hostname_is_dns_name(name))
		rc = build_add_record(build, INDEX_KEY_NAME, name, &node);
	return rc == PARSER_OK ? build_add_parents(build, name, network) : rc;
}

static enum parser_status build_gather_networks(struct build *build)
{
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < build->options->network_count && rc == PARSER_OK; i++)
		rc = build_add_network(build, build->options->networks[i].bridge,
			build->options->networks[i].name);
	for (size_t d = 0; d < build->directory_count; d++) {
		for (size_t f = 0; f < build->directories[d].file_count && rc == PARSER_OK; f++)
			rc = build_add_file_network(build, build->directories[d].files[f]);
	}
	for (size_t i = 0; i < build->network_count && rc == PARSER_OK; i++) {
		rc = build_mark_network(build, build->networks[i].bridge, (uint16_t)i);
		if (rc == PARSER_OK)
			rc = build_mark_network(build, build->networks[i].name, (uint16_t)i);
	}
	return rc;
}

/* Guests and reservations first: leases are joined with them. */
static enum parser_status build_gather(struct build *build)
{
	enum parser_status rc = build_gather_networks(build);

	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_GUEST, build_add_guest);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_GUEST, build_mark_alias);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_RESERVATION, build_add_reservation);
	if (rc == PARSER_OK)
		rc = build_add_own_names(build);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_STATIC, build_add_static);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_LEASE, build_add_lease);
	for (size_t i = 0; i < build->reservation_count && rc == PARSER_OK; i++)
		rc = build_add_reserved_address(build, &build->reservations[i]);
	if (rc == PARSER_OK)
		build_tell_shared_aliases(build);
	return rc;
}

/* Which kind counts under each name: the lowest that is there. */
static enum parser_status build_rank_names(struct build *build)
{
	size_t count = grouping_count(build->records);
	struct index_record *records = NULL;
	size_t room = 0;

	build->best_ranks = malloc(count + 1);
	if (!build->best_ranks)
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		size_t items = grouping_item_count(build->records, i);
		uint8_t best = INDEX_KIND_NODE;

		if (items > room) {
			free(records);
			room = items * 2;
			records = malloc(room * sizeof(*records));
			if (!records)
				return PARSER_E_NO_MEMORY;
		}
		grouping_items(build->records, i, records);
		for (size_t r = 0; r < items; r++) {
			uint8_t rank = (uint8_t)build_rank(records[r].kind);

			best = rank < best ? rank : best;
		}
		build->best_ranks[i] = best;
	}
	free(records);
	return PARSER_OK;
}

/* Most records are leases with a hostname of their own: one key for that, one in the merged view,
 * one for the address, of some ten octets each. */
static void build_expect(struct build *build)
{
	size_t count = 0;

	for (size_t d = 0; d < build->directory_count; d++) {
		for (size_t f = 0; f < build->directories[d].file_count; f++)
			count += build->directories[d].files[f]->record_count;
	}
	grouping_expect(build->records, count * 2, count * 2, count * 20);
	grouping_expect(build->names, count, count, count * 10);
}

enum parser_status build_init(struct build *build, const struct store_directory *directories,
	size_t directory_count, const struct index_options *options, index_event_sink sink,
	void *ctx)
{
	enum parser_status rc;

	*build = (struct build){
		.directories = directories,
		.directory_count = directory_count,
		.options = options,
		.sink = sink,
		.ctx = ctx,
		.guest_names = grouping_new(sizeof(size_t)),
		.guest_macs = grouping_new(sizeof(struct build_guest_mac)),
		.aliases = grouping_new(sizeof(size_t)),
		.reserved_for = grouping_new(sizeof(size_t)),
		.labels = grouping_new(sizeof(uint16_t)),
		.records = grouping_new(sizeof(struct index_record)),
		.names = grouping_new(sizeof(struct build_name)),
		.reverse = grouping_new(0),
	};
	if (!build->guest_names || !build->guest_macs || !build->aliases || !build->reserved_for ||
		!build->labels || !build->records || !build->names || !build->reverse)
		return PARSER_E_NO_MEMORY;
	build_expect(build);
	rc = build_gather(build);
	return rc == PARSER_OK ? build_rank_names(build) : rc;
}

void build_done(struct build *build)
{
	while (build->texts) {
		struct build_text *next = build->texts->next;

		free(build->texts);
		build->texts = next;
	}
	grouping_free(build->guest_names);
	grouping_free(build->guest_macs);
	grouping_free(build->aliases);
	grouping_free(build->reserved_for);
	grouping_free(build->labels);
	grouping_free(build->records);
	grouping_free(build->names);
	grouping_free(build->reverse);
	free(build->best_ranks);
	free(build->networks);
	free(build->guests);
	free(build->reservations);
}

enum parser_status index_build(const struct store *store, const struct index_options *options,
	int fd, index_event_sink sink, void *ctx)
{
	struct build build;
	size_t directory_count;
	const struct store_directory *directories = store_directories(store, &directory_count);
	enum parser_status rc =
		build_init(&build, directories, directory_count, options, sink, ctx);

	if (rc == PARSER_OK)
		rc = build_write(&build, fd);
	build_done(&build);
	return rc;
}
