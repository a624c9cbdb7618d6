#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_entry.h"

/* Who goes on changing is listed again when the caller looks again. */
#define STORE_LIST_TRIES 4

struct store {
	struct store_directory *directories;
	struct condition *conditions; /* One for each directory. */
	size_t count;
	uint64_t generation;
};

/* The files of a directory as it is listed now. Those that the store has already are marked. */
struct listing {
	struct store_file **files;
	size_t count;
	size_t cap;
	bool overflow; /* There are more than STORE_FILES_MAX. */
};

static int compare_files(const void *a, const void *b)
{
	const struct store_file *const *file_a = a;
	const struct store_file *const *file_b = b;

	return strcmp((*file_a)->name, (*file_b)->name);
}

static int compare_name(const void *name, const void *file)
{
	const struct store_file *const *known = file;

	return strcmp(name, (*known)->name);
}

static struct entry *find_entry(const struct store_directory *directory, const char *name)
{
	struct store_file **found = NULL;

	if (directory->file_count)
		found = bsearch(name, directory->files, directory->file_count,
			sizeof(struct store_file *), compare_name);
	return found ? entry_of(*found) : NULL;
}

static enum parser_status listing_add(
	struct listing *listing, const struct store_directory *directory, const char *name)
{
	const struct format *format = format_find(name);
	struct entry *entry;
	void *files;

	if (!format)
		return PARSER_OK;
	entry = find_entry(directory, name);
	/* A directory that changes while it is listed may give a name twice. (Twice a new one: it
	 * is listed again, because it changed.) */
	if (entry && entry->listed)
		return PARSER_OK;
	listing->overflow = listing->count == STORE_FILES_MAX;
	if (listing->overflow)
		return PARSER_OK;
	files = store_grown((void *)listing->files, &listing->cap, listing->count + 1,
		sizeof(struct store_file *));
	if (!files)
		return PARSER_E_NO_MEMORY;
	listing->files = files;
	if (entry)
		entry->listed = true;
	else
		entry = entry_new(directory->path, name, format);
	if (!entry)
		return PARSER_E_NO_MEMORY;
	listing->files[listing->count++] = &entry->file;
	return PARSER_OK;
}

/* PARSER_OK, PARSER_E_NO_MEMORY, or PARSER_E_IO with errno. */
static enum parser_status listing_read(
	struct listing *listing, const struct store_directory *directory, DIR *stream)
{
	enum parser_status status = PARSER_OK;
	struct dirent *item;

	while (status == PARSER_OK && !listing->overflow) {
		errno = 0;
		item = readdir(stream);
		if (!item)
			return errno == 0 ? PARSER_OK : PARSER_E_IO;
		status = listing_add(listing, directory, item->d_name);
	}
	return status;
}

/* Frees those files that are not `listed`, takes the mark from the others, and frees the array. */
static void files_drop_unlisted(struct store_file **files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (entry_of(files[i])->listed)
			entry_of(files[i])->listed = false;
		else
			entry_free(entry_of(files[i]));
	}
	free((void *)files);
}

/* Replaces the directory's files by those that are listed; those that vanished are gone. */
/* Files come and go with whatever they name; one without records, too, names its network. */
static bool listing_is_new(const struct store_directory *directory, const struct listing *listing)
{
	if (directory->file_count != listing->count)
		return true;
	for (size_t i = 0; i < listing->count; i++) {
		if (directory->files[i] != listing->files[i])
			return true;
	}
	return false;
}

static void directory_take_listing(const struct pass *pass, struct listing *listing)
{
	struct store_directory *directory = pass->directory;

	if (listing->count)
		qsort((void *)listing->files, listing->count, sizeof(struct store_file *),
			compare_files);
	if (listing_is_new(directory, listing))
		++*pass->generation;
	files_drop_unlisted(directory->files, directory->file_count);
	directory->files = listing->files;
	directory->file_count = listing->count;
}

static size_t directory_record_count(const struct store_directory *directory)
{
	size_t count = 0;

	for (size_t i = 0; i < directory->file_count; i++)
		count += directory->files[i]->record_count;
	return count;
}

/* Tells if the condition of the directory is another than it was. */
static void directory_tell(const struct pass *pass, enum parser_status status, int system_error)
{
	struct condition *condition = pass->condition;
	struct store_event event = {
		.kind = STORE_EVENT_DIRECTORY_FAILED,
		.path = pass->directory->path,
		.status = status,
		.system_error = system_error,
		.kept = directory_record_count(pass->directory),
	};

	if (condition->status == status && condition->system_error == system_error)
		return;
	condition->status = status;
	condition->system_error = system_error;
	if (status == PARSER_OK)
		event.kind = STORE_EVENT_DIRECTORY_FOUND;
	else if (status == PARSER_E_ABSENT)
		event.kind = STORE_EVENT_DIRECTORY_ABSENT;
	store_tell(pass, &event);
}

/* A directory that could not be opened or listed; `before` was taken before that. */
static enum parser_status directory_fail(
	const struct pass *pass, const struct source_stamp *before, int error)
{
	struct store_directory *directory = pass->directory;

	pass->condition->unsettled = false;
	if (error == ENOMEM)
		return PARSER_E_NO_MEMORY;
	if (error == ENOENT || error == ENOTDIR) {
		if (directory->file_count)
			++*pass->generation;
		files_drop_unlisted(directory->files, directory->file_count);
		directory->files = NULL;
		directory->file_count = 0;
		directory->stamp = *before;
		directory_tell(pass, PARSER_E_ABSENT, 0);
		return PARSER_OK;
	}
	/* As for files: what lasts is stamped as it is, what passes is not. */
	if (error == EACCES || error == EPERM) {
		directory->stamp = *before;
		pass->condition->unsettled = source_stamp_is_racy(before);
	}
	directory_tell(pass, PARSER_E_IO, error);
	return PARSER_OK;
}

/* Lists the opened directory and brings its files up to date. */
static enum parser_status directory_read(const struct pass *pass, DIR *stream)
{
	struct store_directory *directory = pass->directory;
	struct listing listing = {0};
	enum parser_status status = listing_read(&listing, directory, stream);
	int error = errno;

	if (status != PARSER_OK) {
		/* What is new goes, what the store has stays. */
		files_drop_unlisted(listing.files, listing.count);
		errno = error;
		return status;
	}
	directory_take_listing(pass, &listing);
	for (size_t i = 0; i < directory->file_count; i++) {
		/* Short memory for one file is no reason to miss the next, smaller one. */
		if (entry_refresh(pass, entry_of(directory->files[i])) != PARSER_OK)
			status = PARSER_E_NO_MEMORY;
	}
	directory_tell(pass, listing.overflow ? PARSER_E_LIMIT : PARSER_OK, 0);
	return status;
}

/* One walk through the directory.
 * out_settled: whether it stayed as it was meanwhile, and its path still leads to it. */
static enum parser_status directory_walk(struct pass *pass, bool *out_settled)
{
	struct store_directory *directory = pass->directory;
	enum parser_status status;
	struct source_stamp before;
	struct source_stamp after;
	struct stat st;
	DIR *stream = NULL;

	*out_settled = true;
	source_stamp_take(directory->path, &before);
	pass->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (pass->fd >= 0)
		stream = fdopendir(pass->fd);
	if (!stream || fstat(pass->fd, &st) < 0) {
		status = directory_fail(pass, &before, errno);
		goto out;
	}
	source_stamp_of(&st, source_clock_ns(), &before);
	status = directory_read(pass, stream);
	if (status == PARSER_E_IO) {
		status = directory_fail(pass, &before, errno);
		goto out;
	}
	/* After short memory the old stamp stays, so that nobody believes that all was read. */
	if (status == PARSER_OK)
		directory->stamp = before;
	source_stamp_take(directory->path, &after);
	*out_settled = source_stamp_same(&before, &after);
	pass->condition->unsettled = !*out_settled || source_stamp_is_racy(&before);
out:
	if (stream)
		closedir(stream);
	else if (pass->fd >= 0)
		close(pass->fd);
	return status;
}

static enum parser_status directory_refresh(struct pass *pass)
{
	enum parser_status status = PARSER_OK;
	bool settled = false;

	for (int tries = 0; status == PARSER_OK && !settled && tries < STORE_LIST_TRIES; tries++)
		status = directory_walk(pass, &settled);
	return status;
}

struct store *store_new(const char *const *paths, size_t count)
{
	struct store *store = calloc(1, sizeof(*store));
	/* calloc(0) may be NULL without being short of memory. */
	size_t cap = count ? count : 1;

	if (!store)
		return NULL;
	store->directories = calloc(cap, sizeof(*store->directories));
	store->conditions = calloc(cap, sizeof(*store->conditions));
	if (!store->directories || !store->conditions)
		goto fail;
	for (; store->count < count; store->count++) {
		size_t size = strlen(paths[store->count]) + 1;
		char *path = malloc(size);

		if (!path)
			goto fail;
		memcpy(path, paths[store->count], size);
		store->directories[store->count].path = path;
	}
	return store;
fail:
	store_free(store);
	return NULL;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->count; i++) {
		struct store_directory *directory = &store->directories[i];

		files_drop_unlisted(directory->files, directory->file_count);
		free(directory->path);
	}
	free(store->directories);
	free(store->conditions);
	free(store);
}

enum parser_status store_refresh(struct store *store, store_event_sink sink, void *ctx)
{
	enum parser_status status = PARSER_OK;

	for (size_t i = 0; i < store->count; i++) {
		struct pass pass = {
			.sink = sink,
			.ctx = ctx,
			.directory = &store->directories[i],
			.condition = &store->conditions[i],
			.generation = &store->generation,
			.fd = -1,
		};

		if (directory_refresh(&pass) != PARSER_OK)
			status = PARSER_E_NO_MEMORY;
	}
	return status;
}

const struct store_directory *store_directories(const struct store *store, size_t *out_count)
{
	*out_count = store->count;
	return store->directories;
}

bool store_is_unsettled(const struct store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		const struct store_directory *directory = &store->directories[i];

		if (store->conditions[i].unsettled)
			return true;
		for (size_t j = 0; j < directory->file_count; j++) {
			if (entry_of(directory->files[j])->unsettled)
				return true;
		}
	}
	return false;
}

uint64_t store_generation(const struct store *store)
{
	return store->generation;
}
