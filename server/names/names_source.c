#include "server/names/names_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parser/freshness.h"
#include "parser/index_file.h"
#include "server/support/text.h"

void names_source_done(struct names_source *source)
{
	index_meta_done(&source->meta);
	if (source->fd >= 0)
		close(source->fd);
	free(source->copy);
	free(source->origin);
	*source = (struct names_source){.fd = -1};
}

/* Reads all of it, so that a walk costs no system call for each record. A copy and no mapping:
 * whatever happens to the file, a command answers with a message and not with SIGBUS. */
static enum parser_status names_source_copy(struct names_source *source)
{
	struct stat st;
	size_t size;

	if (fstat(source->fd, &st) < 0)
		return PARSER_E_IO;
	if (st.st_size < 0 || (uint64_t)st.st_size > INDEX_FILE_OCTETS_MAX)
		return PARSER_E_LIMIT;
	size = (size_t)st.st_size;
	source->copy = malloc(size + 1);
	if (!source->copy)
		return PARSER_E_NO_MEMORY;
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(source->fd, source->copy + done, size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return PARSER_E_IO;
		if (got == 0)
			return PARSER_E_CORRUPT;
		done += (size_t)got;
	}
	return index_init_memory(&source->index, source->copy, size);
}

static enum parser_status names_source_init(struct names_source *source, enum names_access access)
{
	enum parser_status status = PARSER_OK;

	switch (access) {
	case NAMES_ACCESS_LOOKUP:
		status = index_init_fd(&source->index, source->fd, &source->window);
		break;
	case NAMES_ACCESS_WALK:
		status = names_source_copy(source);
		break;
	}
	return status == PARSER_OK ? index_meta_init(&source->meta, &source->index) : status;
}

static void names_source_move(struct names_source *from, struct names_source *to)
{
	*to = *from;
	if (to->index.window)
		to->index.window = &to->window;
	*from = (struct names_source){.fd = -1};
}

/* True if the index was built with the configuration in use: the same file in the same state, by
 * whatever path, or none where there was none. */
static bool names_source_same_conf(const struct index_meta *meta, const struct snapshot_conf *conf)
{
	for (size_t i = 0; i < meta->source_count; i++) {
		const struct index_source *source = &meta->sources[i];

		if (!source_stamp_same(&source->stamp, &conf->stamp))
			continue;
		if (source->stamp.state == SOURCE_FILE ||
			bytes_equal(source->path, bytes_of_text(conf->path)))
			return true;
	}
	return false;
}

/* What happened to a source that is no longer as recorded: "virbr0.status changed". */
static char *names_source_change(const struct index_source *source)
{
	struct bytes name = source->path;
	char *path = strndup((const char *)source->path.ptr, source->path.len);
	const char *verb = "changed";
	struct source_stamp now;
	char *printable;
	char *text = NULL;

	if (!path)
		return NULL;
	source_stamp_take(path, &now);
	if (source->stamp.state == SOURCE_ABSENT)
		verb = "appeared";
	else if (now.state == SOURCE_ABSENT)
		verb = "vanished";
	/* A directory without its path says little; a file's name is enough. */
	if (source->stamp.state == SOURCE_FILE) {
		for (size_t i = name.len; i-- > 0;) {
			if (name.ptr[i] == '/') {
				name = (struct bytes){name.ptr + i + 1, name.len - i - 1};
				break;
			}
		}
	}
	printable = text_printable(name);
	if (printable && asprintf(&text, "%s %s", printable, verb) < 0)
		text = NULL;
	free(printable);
	free(path);
	return text;
}

static const struct index_source *names_source_find(const struct index_meta *meta, const char *path)
{
	for (size_t i = 0; i < meta->source_count; i++) {
		if (bytes_equal(meta->sources[i].path, bytes_of_text(path)))
			return &meta->sources[i];
	}
	return NULL;
}

/* Why the opened index is not believed, or NULL if it is.
 * @return PARSER_OK or PARSER_E_NO_MEMORY. */
static enum parser_status names_source_judge(
	const struct names_source *source, const struct snapshot_conf *conf, char **out_doubt)
{
	char path[INDEX_META_TEXT_SIZE];
	enum freshness freshness = freshness_of(&source->index, path);
	const struct index_source *decisive = names_source_find(&source->meta, path);
	char *change = NULL;
	char *doubt = NULL;
	int len = 0;

	if (freshness != FRESHNESS_FRESH && decisive) {
		change = names_source_change(decisive);
		if (!change)
			return PARSER_E_NO_MEMORY;
	}
	switch (freshness) {
	case FRESHNESS_FRESH:
		if (!names_source_same_conf(&source->meta, conf))
			len = asprintf(&doubt, "the index was built with another configuration");
		break;
	case FRESHNESS_STALE:
		len = asprintf(&doubt, "the index is stale: %s", change ? change : "it is old");
		break;
	case FRESHNESS_RACY:
		len = asprintf(&doubt, "the index may be stale: %s while it was read",
			change ? change : "something changed");
		break;
	}
	free(change);
	if (len < 0)
		return PARSER_E_NO_MEMORY;
	*out_doubt = doubt;
	return PARSER_OK;
}

static enum parser_status names_source_index_doubt(
	const struct snapshot_conf *conf, enum parser_status status, char **out_doubt)
{
	int len;

	if (status == PARSER_E_NO_MEMORY)
		return status;
	if (status == PARSER_E_ABSENT)
		len = asprintf(out_doubt, "there is no index %s", conf->conf.index_file);
	else
		len = asprintf(out_doubt, "the index %s cannot be used: %s", conf->conf.index_file,
			status == PARSER_E_IO ? strerror(errno) : parser_strerror(status));
	return len < 0 ? PARSER_E_NO_MEMORY : PARSER_OK;
}

/* Opens the published index.
 * @param out_doubt NULL if it is believed, and `source` holds it; else why not.
 * @return PARSER_OK, or PARSER_E_NO_MEMORY. */
static enum parser_status names_source_open_index(const struct snapshot_conf *conf,
	enum names_access access, struct names_source *source, char **out_doubt)
{
	enum parser_status status = index_file_open(conf->conf.index_file, &source->fd, NULL);

	*out_doubt = NULL;
	if (status == PARSER_OK)
		status = names_source_init(source, access);
	if (status != PARSER_OK)
		return names_source_index_doubt(conf, status, out_doubt);
	status = names_source_judge(source, conf, out_doubt);
	if (status != PARSER_OK || *out_doubt)
		return status;
	source->from_index = true;
	if (asprintf(&source->origin, "from the index %s", conf->conf.index_file) < 0) {
		source->origin = NULL;
		return PARSER_E_NO_MEMORY;
	}
	return PARSER_OK;
}

/* "from the lease files in A, B (doubt)" */
static char *names_source_files_origin(const struct conf *conf, const char *doubt)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("from the lease files in ", out);
	for (size_t i = 0; i < conf->lease_directory_count; i++)
		fprintf(out, "%s%s", i ? ", " : "", conf->lease_directories[i]);
	if (doubt)
		fprintf(out, " (%s)", doubt);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static enum parser_status names_source_from_store(const struct snapshot_conf *conf,
	struct store *store, const struct snapshot_sinks *sinks, const char *doubt,
	struct names_source *source)
{
	enum parser_status status = snapshot_memory(conf, store, NULL, sinks, &source->fd);

	if (status != PARSER_OK)
		return status;
	status = names_source_init(source, NAMES_ACCESS_WALK);
	if (status != PARSER_OK)
		return status;
	source->origin = names_source_files_origin(&conf->conf, doubt);
	return source->origin ? PARSER_OK : PARSER_E_NO_MEMORY;
}

enum parser_status names_source_build(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_sinks *sinks, struct names_source *out_source)
{
	struct names_source source = {.fd = -1};
	enum parser_status status = names_source_from_store(conf, store, sinks, NULL, &source);

	if (status == PARSER_OK)
		names_source_move(&source, out_source);
	else
		names_source_done(&source);
	return status;
}

enum parser_status names_source_open(const struct snapshot_conf *conf,
	const struct snapshot_sinks *sinks, enum names_access access,
	struct names_source *out_source)
{
	struct names_source source = {.fd = -1};
	struct store *store = NULL;
	char *doubt = NULL;
	int saved_errno;
	enum parser_status status = names_source_open_index(conf, access, &source, &doubt);

	if (status == PARSER_OK && doubt) {
		names_source_done(&source);
		store = snapshot_store_new(conf);
		status = store ? snapshot_settle(store, sinks) : PARSER_E_NO_MEMORY;
		if (status == PARSER_OK)
			status = names_source_from_store(conf, store, sinks, doubt, &source);
	}
	saved_errno = errno;
	if (status == PARSER_OK)
		names_source_move(&source, out_source);
	else
		names_source_done(&source);
	store_free(store);
	free(doubt);
	errno = saved_errno;
	return status;
}
