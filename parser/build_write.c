/* The last stage of the index builder: decides what is published, sorts, writes the cdb. */
#include <cdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "hostname.h"
#include "index_format.h"
#include "index_meta.h"

/* So many leases of one name are searched for those of one network; a hidden name with more has no
 * reverse entry. Bounds the work for a guest that takes every address of a /16 under one name. */
#define BUILD_SEARCH_MAX 1024u

/* Room that grows with the largest key and is used for all. */
struct build_scratch {
	void *items;
	size_t items_octets;
	uint8_t *value;
	size_t value_octets;
};

struct build_writer {
	struct build *build;
	struct build_scratch scratch;
	uint8_t *best_ranks; /* Of each key in build->records. */
	struct cdb_make cdb;
};

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

static bool build_reserve_value(struct build_scratch *scratch, size_t octets)
{
	void *value = scratch->value;
	bool done = build_reserve(&value, &scratch->value_octets, octets);

	scratch->value = value;
	return done;
}

/* --- Records of a name --------------------------------------------------------------------- */

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

static enum parser_status build_put(struct build_writer *writer, struct bytes key, size_t value_len)
{
	if (cdb_make_add(&writer->cdb, key.ptr, (unsigned)key.len, writer->scratch.value,
		    (unsigned)value_len) == 0)
		return PARSER_OK;
	return errno == ENOMEM ? PARSER_E_NO_MEMORY : PARSER_E_IO;
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
		if (memcmp(first->mac.octets, records[i].mac.octets, MAC_OCTETS) == 0)
			continue;
		build_tell(build, INDEX_EVENT_HOSTNAME_SHARED, name, records[i].network,
			&records[i].address);
		return;
	}
}

static enum parser_status build_write_records(struct build_writer *writer)
{
	struct grouping *grouping = writer->build->records;
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < grouping_count(grouping) && rc == PARSER_OK; i++) {
		struct bytes key = grouping_key(grouping, i);
		size_t count = grouping_item_count(grouping, i);
		struct index_record *records;

		if (!build_reserve_items(&writer->scratch, count * sizeof(*records)) ||
			!build_reserve_value(&writer->scratch, count * INDEX_RECORD_OCTETS))
			return PARSER_E_NO_MEMORY;
		records = writer->scratch.items;
		grouping_items(grouping, i, records);
		count = build_tidy_records(records, count);
		writer->best_ranks[i] = (uint8_t)build_rank(records[0].kind);
		if (key.ptr[0] == INDEX_KEY_HOSTNAME)
			build_tell_shared(writer->build, (struct bytes){key.ptr + 1, key.len - 1},
				records, count);
		for (size_t r = 0; r < count; r++)
			build_encode_record(
				&records[r], writer->scratch.value + r * INDEX_RECORD_OCTETS);
		rc = build_put(writer, key, count * INDEX_RECORD_OCTETS);
	}
	return rc;
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

/* A name that a better kind hides may still be given for this address as `name.network`. */
static enum parser_status build_decide_hidden(struct build_writer *writer, size_t group,
	struct build_name *name, const struct address *address)
{
	struct build *build = writer->build;
	size_t count = grouping_item_count(build->records, group);
	struct index_record *records;
	bool answered;

	if (count > BUILD_SEARCH_MAX || name->network == INDEX_NETWORK_NONE)
		return PARSER_OK;
	if (!build_reserve_value(&writer->scratch, count * sizeof(*records)))
		return PARSER_E_NO_MEMORY;
	records = (struct index_record *)(void *)writer->scratch.value;
	grouping_items(build->records, group, records);
	build_best_rank(records, count, INDEX_NETWORK_NONE, address, &answered);
	if (answered)
		return PARSER_OK;
	if (name->kind == INDEX_KIND_HOSTNAME)
		build_tell(build, INDEX_EVENT_HOSTNAME_HIDDEN, name->name, name->network, address);
	name->qualified = build_best_rank(records, count, name->network, address, &answered) ==
			  build_rank(name->kind);
	name->published = name->qualified;
	return PARSER_OK;
}

/* Is the address given for this name by the merged view? */
static enum parser_status build_decide(
	struct build_writer *writer, struct build_name *name, const struct address *address)
{
	struct build *build = writer->build;
	struct bytes text =
		name->kind == INDEX_KIND_HOSTNAME ? hostname_first_label(name->name) : name->name;
	size_t group;

	if (name->rejected)
		return PARSER_OK;
	group = grouping_find(build->records, build_key(build, INDEX_KEY_NAME, text));
	if (group == SIZE_MAX)
		return PARSER_OK;
	name->name = text;
	name->published = writer->best_ranks[group] == build_rank(name->kind);
	return name->published ? PARSER_OK : build_decide_hidden(writer, group, name, address);
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

static enum parser_status build_write_address(struct build_writer *writer, size_t position)
{
	struct grouping *grouping = writer->build->names;
	struct bytes key = grouping_key(grouping, position);
	size_t count = grouping_item_count(grouping, position);
	struct address address = {.family = key.len == 5 ? ADDRESS_IPV4 : ADDRESS_IPV6};
	enum parser_status rc = PARSER_OK;
	struct build_name *names;
	size_t len = 0;

	memcpy(address.octets, key.ptr + 1, key.len - 1);
	if (!build_reserve_items(&writer->scratch, count * sizeof(*names)))
		return PARSER_E_NO_MEMORY;
	names = writer->scratch.items;
	grouping_items(grouping, position, names);
	for (size_t i = 0; i < count && rc == PARSER_OK; i++)
		rc = build_decide(writer, &names[i], &address);
	if (rc != PARSER_OK)
		return rc;
	qsort(names, count, sizeof(*names), build_compare_names);
	if (!build_reserve_value(
		    &writer->scratch, count * (INDEX_NAME_HEADER_OCTETS + INDEX_NAME_OCTETS_MAX)))
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !build_same_name(&names[i - 1], &names[i]))
			len += build_encode_name(
				writer->build, &names[i], writer->scratch.value + len);
	}
	return build_put(writer, key, len);
}

/* Bridges and names of networks, so that `vm.virbr0` is understood without reading the meta
 * data. */
static enum parser_status build_write_label(
	struct build_writer *writer, const char *label, uint16_t network)
{
	struct bytes key = build_key(writer->build, INDEX_KEY_NETWORK, bytes_of_text(label));

	if (key.len < 2)
		return PARSER_OK;
	if (!build_reserve_value(&writer->scratch, 2))
		return PARSER_E_NO_MEMORY;
	put_u16(writer->scratch.value, network);
	return build_put(writer, key, 2);
}

static enum parser_status build_write_networks(struct build_writer *writer)
{
	const struct build *build = writer->build;
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < build->network_count && rc == PARSER_OK; i++) {
		rc = build_write_label(writer, build->networks[i].bridge, (uint16_t)i);
		if (rc == PARSER_OK)
			rc = build_write_label(writer, build->networks[i].name, (uint16_t)i);
	}
	return rc;
}

/* --- The rest ------------------------------------------------------------------------------ */

static enum parser_status build_write_reverse(struct build_writer *writer)
{
	struct grouping *grouping = writer->build->reverse;
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < grouping_count(grouping) && rc == PARSER_OK; i++)
		rc = build_put(writer, grouping_key(grouping, i), 0);
	return rc;
}

static size_t build_count_sources(const struct build *build)
{
	size_t directory_count;
	const struct store_directory *directories =
		store_directories(build->store, &directory_count);
	size_t count = build->options->source_count + directory_count;

	for (size_t d = 0; d < directory_count; d++)
		count += directories[d].file_count;
	return count;
}

/* "directory/file" in fresh memory. NULL if that is short. */
static char *build_join_path(const char *directory, const char *file)
{
	size_t directory_len = strlen(directory);
	size_t file_len = strlen(file);
	char *path = malloc(directory_len + 1 + file_len + 1);

	if (!path)
		return NULL;
	memcpy(path, directory, directory_len);
	path[directory_len] = '/';
	memcpy(path + directory_len + 1, file, file_len + 1);
	return path;
}

/* The sources in the order in which they are compared later: the configuration, then each
 * directory before its files. Paths of files are made here. */
static enum parser_status build_list_sources(
	const struct build *build, struct index_source *sources, size_t *out_count)
{
	size_t directory_count;
	const struct store_directory *directories =
		store_directories(build->store, &directory_count);
	size_t count = build->options->source_count;

	for (size_t i = 0; i < count; i++)
		sources[i] = build->options->sources[i];
	for (size_t d = 0; d < directory_count; d++) {
		sources[count++] = (struct index_source){
			bytes_of_text(directories[d].path), directories[d].stamp};
		for (size_t f = 0; f < directories[d].file_count; f++) {
			const struct store_file *file = directories[d].files[f];
			char *path = build_join_path(directories[d].path, file->name);

			*out_count = count;
			if (!path)
				return PARSER_E_NO_MEMORY;
			sources[count++] = (struct index_source){bytes_of_text(path), file->stamp};
		}
	}
	*out_count = count;
	return PARSER_OK;
}

/* Frees the paths of files among the sources. */
static void build_free_sources(
	const struct build *build, struct index_source *sources, size_t count)
{
	size_t directory_count;
	const struct store_directory *directories =
		store_directories(build->store, &directory_count);
	size_t position = build->options->source_count;

	for (size_t d = 0; d < directory_count; d++) {
		position++;
		for (size_t f = 0; f < directories[d].file_count && position < count; f++)
			free((void *)(uintptr_t)sources[position++].path.ptr);
	}
	free(sources);
}

static enum parser_status build_fill_meta(struct build *build, struct index_meta *meta)
{
	const struct index_options *options = build->options;

	*meta = (struct index_meta){
		.version = INDEX_VERSION,
		.built_unix_ns = options->built_unix_ns,
		.ttl_s = options->ttl_s,
		.negative_ttl_s = options->negative_ttl_s,
		.zones = calloc(options->zone_count + 1, sizeof(*meta->zones)),
		.zone_count = options->zone_count,
		.networks = calloc(build->network_count + 1, sizeof(*meta->networks)),
		.network_count = build->network_count,
		.sources = calloc(build_count_sources(build) + 1, sizeof(*meta->sources)),
	};
	if (!meta->zones || !meta->networks || !meta->sources)
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < options->zone_count; i++)
		meta->zones[i] = options->zones[i];
	for (size_t i = 0; i < build->network_count; i++) {
		meta->networks[i].bridge = bytes_of_text(build->networks[i].bridge);
		meta->networks[i].name = bytes_of_text(build->networks[i].name);
	}
	return build_list_sources(build, meta->sources, &meta->source_count);
}

static enum parser_status build_write_meta(struct build_writer *writer)
{
	static const uint8_t key[] = {INDEX_KEY_META};
	struct index_meta meta;
	uint8_t *octets = NULL;
	size_t len;
	enum parser_status rc = build_fill_meta(writer->build, &meta);

	if (rc == PARSER_OK)
		rc = index_meta_encode(&meta, &octets, &len);
	if (rc == PARSER_OK && !build_reserve_value(&writer->scratch, len))
		rc = PARSER_E_NO_MEMORY;
	if (rc == PARSER_OK) {
		memcpy(writer->scratch.value, octets, len);
		rc = build_put(writer, (struct bytes){key, sizeof(key)}, len);
	}
	free(octets);
	free(meta.zones);
	free(meta.networks);
	if (meta.sources)
		build_free_sources(writer->build, meta.sources, meta.source_count);
	return rc;
}

enum parser_status build_write(struct build *build, int fd)
{
	struct build_writer writer = {.build = build};
	enum parser_status rc;
	off_t octets;

	writer.best_ranks = malloc(grouping_count(build->records) + 1);
	if (!writer.best_ranks)
		return PARSER_E_NO_MEMORY;
	if (cdb_make_start(&writer.cdb, fd) < 0) {
		free(writer.best_ranks);
		return errno == ENOMEM ? PARSER_E_NO_MEMORY : PARSER_E_IO;
	}
	rc = build_write_meta(&writer);
	if (rc == PARSER_OK)
		rc = build_write_records(&writer);
	for (size_t i = 0; i < grouping_count(build->names) && rc == PARSER_OK; i++)
		rc = build_write_address(&writer, i);
	if (rc == PARSER_OK)
		rc = build_write_reverse(&writer);
	if (rc == PARSER_OK)
		rc = build_write_networks(&writer);
	/* Frees what it holds also after a failure. */
	if (cdb_make_finish(&writer.cdb) < 0 && rc == PARSER_OK)
		rc = errno == ENOMEM ? PARSER_E_NO_MEMORY : PARSER_E_IO;
	octets = lseek(fd, 0, SEEK_END);
	if (rc == PARSER_OK && octets > (off_t)INDEX_FILE_OCTETS_MAX)
		rc = PARSER_E_LIMIT;
	free(writer.best_ranks);
	free(writer.scratch.items);
	free(writer.scratch.value);
	return rc;
}
