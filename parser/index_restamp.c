/* An index whose names are still right gets the stamps of today: copied, but for its meta data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "index_format.h"
#include "index_meta.h"

/* As much as one read and write handle well. */
#define RESTAMP_OCTETS (64u * 1024)

static enum parser_status restamp_write(int fd, const uint8_t *octets, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, octets, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return PARSER_E_IO;
		octets += done;
		len -= (size_t)done;
	}
	return PARSER_OK;
}

/* Copies what lies from `from` up to `to`. */
static enum parser_status restamp_copy(int old_fd, off_t from, off_t to, int fd)
{
	uint8_t *buffer = malloc(RESTAMP_OCTETS);
	enum parser_status rc = buffer ? PARSER_OK : PARSER_E_NO_MEMORY;

	while (from < to && rc == PARSER_OK) {
		size_t left = (size_t)(to - from);
		ssize_t got =
			pread(old_fd, buffer, left < RESTAMP_OCTETS ? left : RESTAMP_OCTETS, from);

		if (got < 0 && errno == EINTR)
			continue;
		rc = got > 0 ? restamp_write(fd, buffer, (size_t)got) : PARSER_E_IO;
		from += got;
	}
	free(buffer);
	return rc;
}

static bool restamp_fits(
	const struct index_meta *meta, const struct index_source *sources, size_t count)
{
	if (meta->source_count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!bytes_equal(meta->sources[i].path, sources[i].path))
			return false;
	}
	return true;
}

/* The meta data, of the same length, with other stamps. */
static enum parser_status restamp_meta(const struct store *store,
	const struct index_options *options, const struct index_meta *meta, uint8_t **out_octets,
	size_t *out_len)
{
	struct build build = {.options = options};
	struct index_meta fresh = *meta;
	size_t count = 0;
	enum parser_status rc;

	build.directories = store_directories(store, &build.directory_count);
	fresh.sources = calloc(build_count_sources(&build) + 1, sizeof(*fresh.sources));
	if (!fresh.sources)
		return PARSER_E_NO_MEMORY;
	rc = build_list_sources(&build, fresh.sources, &count);
	if (rc == PARSER_OK && !restamp_fits(meta, fresh.sources, count))
		rc = PARSER_E_CORRUPT;
	if (rc == PARSER_OK)
		rc = index_meta_encode(&fresh, out_octets, out_len);
	build_free_sources(&build, fresh.sources, count);
	return rc;
}

enum parser_status index_restamp(
	int old_fd, const struct store *store, const struct index_options *options, int fd)
{
	const off_t value_at = CDB_HEADER_OCTETS + CDB_RECORD_HEADER_OCTETS + 1;
	struct index_window window;
	struct index_meta meta = {0};
	struct index_value value;
	struct index old;
	uint8_t *octets = NULL;
	size_t len = 0;
	enum parser_status rc = index_init_fd(&old, old_fd, &window);

	if (rc == PARSER_OK)
		rc = index_meta_init(&meta, &old);
	if (rc == PARSER_OK)
		rc = restamp_meta(store, options, &meta, &octets, &len);
	if (rc == PARSER_OK &&
		(index_find(&old, INDEX_KEY_META, (struct bytes){NULL, 0}, &value) != INDEX_FOUND ||
			value.len != len || value.offset != value_at))
		rc = PARSER_E_CORRUPT;
	if (rc == PARSER_OK)
		rc = restamp_copy(old_fd, 0, value_at, fd);
	if (rc == PARSER_OK)
		rc = restamp_write(fd, octets, len);
	if (rc == PARSER_OK)
		rc = restamp_copy(old_fd, value_at + (off_t)len, (off_t)old.size, fd);
	free(octets);
	index_meta_done(&meta);
	return rc;
}
