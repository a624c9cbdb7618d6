/* The last stage of the index builder: writes the cdb. */
#include <cdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "index_format.h"
#include "index_meta.h"

struct build_writer {
	struct build *build;
	struct build_scratch scratch;
	struct cdb_make cdb;
};

static enum parser_status build_put(struct build_writer *writer, struct bytes key, size_t value_len)
{
	if (cdb_make_add(&writer->cdb, key.ptr, (unsigned)key.len, writer->scratch.value,
		    (unsigned)value_len) == 0)
		return PARSER_OK;
	return errno == ENOMEM ? PARSER_E_NO_MEMORY : PARSER_E_IO;
}

static enum parser_status build_write_records(struct build_writer *writer)
{
	struct grouping *records = writer->build->records;
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < grouping_count(records) && rc == PARSER_OK; i++) {
		size_t len;

		rc = build_value_records(writer->build, &writer->scratch, i, &len);
		if (rc == PARSER_OK)
			rc = build_put(writer, grouping_key(records, i), len);
	}
	return rc;
}

static enum parser_status build_write_names(struct build_writer *writer)
{
	struct grouping *names = writer->build->names;
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < grouping_count(names) && rc == PARSER_OK; i++) {
		size_t len;

		rc = build_value_names(writer->build, &writer->scratch, i, &len);
		if (rc == PARSER_OK)
			rc = build_put(writer, grouping_key(names, i), len);
	}
	return rc;
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

size_t build_count_sources(const struct build *build)
{
	size_t count = build->options->source_count + build->directory_count;

	for (size_t d = 0; d < build->directory_count; d++)
		count += build->directories[d].file_count;
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

enum parser_status build_list_sources(
	const struct build *build, struct index_source *sources, size_t *out_count)
{
	size_t count = build->options->source_count;

	for (size_t i = 0; i < count; i++)
		sources[i] = build->options->sources[i];
	for (size_t d = 0; d < build->directory_count; d++) {
		sources[count++] = (struct index_source){
			bytes_of_text(build->directories[d].path), build->directories[d].stamp};
		for (size_t f = 0; f < build->directories[d].file_count; f++) {
			const struct store_file *file = build->directories[d].files[f];
			char *path = build_join_path(build->directories[d].path, file->name);

			*out_count = count;
			if (!path)
				return PARSER_E_NO_MEMORY;
			sources[count++] = (struct index_source){bytes_of_text(path), file->stamp};
		}
	}
	*out_count = count;
	return PARSER_OK;
}

void build_free_sources(const struct build *build, struct index_source *sources, size_t count)
{
	size_t position = build->options->source_count;

	for (size_t d = 0; d < build->directory_count; d++) {
		position++;
		for (size_t f = 0; f < build->directories[d].file_count && position < count; f++)
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

	if (cdb_make_start(&writer.cdb, fd) < 0)
		return errno == ENOMEM ? PARSER_E_NO_MEMORY : PARSER_E_IO;
	rc = build_write_meta(&writer);
	if (rc == PARSER_OK)
		rc = build_write_records(&writer);
	if (rc == PARSER_OK)
		rc = build_write_names(&writer);
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
	build_scratch_done(&writer.scratch);
	return rc;
}
