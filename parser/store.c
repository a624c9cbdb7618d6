#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who is caught in the middle of a change so often in a row goes on changing: keep what we have,
 * and look again when the caller does. */
#define STORE_READ_TRIES 4
#define STORE_LIST_TRIES 4
/* A program that rewrites a file in place empties it and fills it again, and for a line-based
 * format every part in between is a valid file. It has done so when the file looks the same for
 * this long. */
#define STORE_REWRITE_NS INT64_C(10000000)

/* Copies of the records of one file, and one block with the bytes that they view. */
struct content {
	struct record *records;
	size_t count;
	size_t cap;
	uint8_t *text;
	size_t text_len;
	size_t text_cap;
	bool no_memory;
};

enum entry_state {
	ENTRY_NEW,    /* Never read. */
	ENTRY_READ,   /* What the stamp describes was read, and was good or bad. */
	ENTRY_UNREAD, /* What the stamp describes could not be read, or not as a whole. */
};

/* A file, and what only the store knows of it. */
struct entry {
	struct store_file file; /* First, so that a file is its entry. */
	char *path;             /* The name is its end. */
	enum entry_state state;
	struct source_stamp pending; /* A file only while a change in place is waited out. */
	bool listed;                 /* Only while its directory is listed. */
	bool unsettled;
	struct content content;
	enum parser_status failure; /* As last reported. */
	int failure_errno;
	size_t skipped; /* As last reported. */
	enum format_defect defect;
};

/* What only the store knows of a directory. */
struct condition {
	enum parser_status status; /* As last reported. */
	int system_error;
	bool unsettled;
};

struct store {
	struct store_directory *directories;
	struct condition *conditions; /* One for each directory. */
	size_t count;
};

/* Who is told, and where we are. */
struct pass {
	store_event_sink sink;
	void *ctx;
	struct store_directory *directory;
	struct condition *condition;
	int fd; /* Of the directory. */
};

/* What came of one attempt to read a file. */
enum look_verdict {
	LOOK_UNCHANGED,
	LOOK_TOO_EARLY, /* It is being rewritten in place, or just was. */
	LOOK_GOOD,
	LOOK_BAD,
	LOOK_TORN,
	LOOK_UNREADABLE,
	LOOK_GONE,
	LOOK_NO_MEMORY,
};

struct look {
	struct source_stamp stamp;
	struct content content; /* Owned if LOOK_GOOD. */
	struct format_report report;
	enum parser_status status;
	int system_error;
};

static struct entry *entry_of(struct store_file *file)
{
	return (struct entry *)file;
}

/* Makes room for `needed` items of `octets` each in a block that holds `*cap` of them.
 * Returns the block, or NULL if memory is short; then the old one stays valid. */
static void *grown(void *block, size_t *cap, size_t needed, size_t octets)
{
	size_t larger = *cap ? *cap : 16;
	void *moved;

	if (needed <= *cap)
		return block;
	while (larger < needed)
		larger *= 2; /* Files are capped, so this cannot overflow. */
	moved = realloc(block, larger * octets);
	if (moved)
		*cap = larger;
	return moved;
}

static void content_done(struct content *content)
{
	free(content->records);
	free(content->text);
	*content = (struct content){0};
}

/* Appends bytes to the text; there is room for them. */
static void content_append(struct content *content, struct bytes bytes)
{
	if (bytes.len)
		memcpy(content->text + content->text_len, bytes.ptr, bytes.len);
	content->text_len += bytes.len;
}

/* A record_sink. The views are set when the text no longer moves. */
static bool content_add(void *ctx, const struct record *record)
{
	struct content *content = ctx;
	size_t octets = record->name.len + record->duid.len;
	struct record *records = grown(
		content->records, &content->cap, content->count + 1, sizeof(*content->records));
	uint8_t *text;

	content->no_memory = true;
	if (!records)
		return false;
	content->records = records;
	/* At least one octet, so that there is a block to point into. */
	text = grown(content->text, &content->text_cap, content->text_len + octets + 1, 1);
	if (!text)
		return false;
	content->text = text;
	content->no_memory = false;
	content->records[content->count++] = *record;
	content_append(content, record->name);
	content_append(content, record->duid);
	return true;
}

/* Gives back what is too much, and points the records into the text. */
static void content_finish(struct content *content)
{
	const uint8_t *at;
	void *smaller;

	if (content->count == 0)
		return;
	smaller = realloc(content->records, content->count * sizeof(*content->records));
	if (smaller)
		content->records = smaller;
	smaller = realloc(content->text, content->text_len + 1);
	if (smaller)
		content->text = smaller;
	at = content->text;
	for (size_t i = 0; i < content->count; i++) {
		struct record *record = &content->records[i];

		record->name.ptr = at;
		record->duid.ptr = at + record->name.len;
		at += record->name.len + record->duid.len;
	}
}

static void tell(const struct pass *pass, const struct store_event *event)
{
	if (pass->sink)
		pass->sink(pass->ctx, event);
}

static struct entry *entry_new(const char *directory, const char *name, const struct format *format)
{
	size_t directory_len = strlen(directory);
	size_t size = directory_len + 1 + strlen(name) + 1;
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->path = malloc(size);
	if (!entry->path) {
		free(entry);
		return NULL;
	}
	memcpy(entry->path, directory, directory_len);
	entry->path[directory_len] = '/';
	entry->file.name = entry->path + directory_len + 1;
	memcpy(entry->file.name, name, size - directory_len - 1);
	entry->file.format = format;
	entry->file.stem = format_stem_of(format, entry->file.name);
	return entry;
}

static void entry_set_content(struct entry *entry, struct content content)
{
	content_done(&entry->content);
	entry->content = content;
	entry->file.records = content.records;
	entry->file.record_count = content.count;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	content_done(&entry->content);
	free(entry->path);
	free(entry);
}

static enum look_verdict look_failed(struct look *look, enum parser_status status, int error)
{
	if (error == ENOMEM)
		return LOOK_NO_MEMORY;
	look->status = status;
	look->system_error = status == PARSER_E_IO ? error : 0;
	return LOOK_UNREADABLE;
}

/* A file that could not be opened. What lasts (mode, kind) is stamped as it is, so that an index
 * with the last good content is believed; what passes (too many open files) is not. */
static enum look_verdict look_unopened(
	const struct pass *pass, const struct entry *entry, int error, struct look *look)
{
	/* A symbolic link; a socket. */
	bool wrong_kind = error == ELOOP || error == ENXIO;
	struct stat st;

	if (error == ENOENT) {
		look->stamp = (struct source_stamp){
			.state = SOURCE_ABSENT, .observed_ns = source_clock_ns()};
		return LOOK_GONE;
	}
	if (wrong_kind || error == EACCES || error == EPERM) {
		/* Follows links, as source_compare() will. */
		if (fstatat(pass->fd, entry->file.name, &st, 0) == 0)
			source_stamp_of(&st, source_clock_ns(), &look->stamp);
		else
			look->stamp = (struct source_stamp){
				.state = SOURCE_ABSENT, .observed_ns = source_clock_ns()};
	}
	return look_failed(look, wrong_kind ? PARSER_E_UNTRUSTED : PARSER_E_IO, error);
}

/* Reads `size` octets from the start of `fd`: PARSER_OK, PARSER_E_TORN if it ends before,
 * PARSER_E_IO. */
static enum parser_status read_whole(int fd, uint8_t *buffer, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t got = pread(fd, buffer + len, size - len, (off_t)len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? PARSER_E_IO : PARSER_E_TORN;
		len += (size_t)got;
	}
	return PARSER_OK;
}

static enum look_verdict look_parse(const struct entry *entry, struct bytes text, struct look *look)
{
	struct content content = {0};
	enum parser_status status =
		format_parse(entry->file.format, text, content_add, &content, &look->report);

	if (status == PARSER_OK && !content.no_memory) {
		content_finish(&content);
		look->content = content;
		return LOOK_GOOD;
	}
	look->status = status;
	if (status == PARSER_E_NO_MEMORY || content.no_memory) {
		content_done(&content);
		return LOOK_NO_MEMORY;
	}
	content_done(&content);
	return LOOK_BAD;
}

/* Reads an open file as its stamp describes it, and parses it. Never maps: whoever truncates the
 * file would kill us. */
static enum look_verdict look_read(const struct entry *entry, int fd, struct look *look)
{
	size_t size = (size_t)look->stamp.size;
	uint8_t *buffer = malloc(size + 1);
	enum look_verdict verdict;
	enum parser_status status;
	struct source_stamp after;
	struct stat st;

	if (!buffer)
		return LOOK_NO_MEMORY;
	status = read_whole(fd, buffer, size);
	if (status == PARSER_E_IO || fstat(fd, &st) < 0) {
		verdict = look_failed(look, PARSER_E_IO, errno);
		goto out;
	}
	source_stamp_of(&st, 0, &after);
	if (status == PARSER_E_TORN || !source_stamp_same(&look->stamp, &after)) {
		look->status = PARSER_E_TORN;
		verdict = LOOK_TORN;
		goto out;
	}
	verdict = look_parse(entry, (struct bytes){buffer, size}, look);
out:
	free(buffer);
	return verdict;
}

/* False if the file that we know was changed in place, and has not looked the same for a while
 * since. A glance at its time of change would not do: while the kernel truncates, the size is the
 * new one and the time still the old. What comes by rename is another inode and complete. */
static bool is_at_rest(struct entry *entry, const struct source_stamp *now)
{
	const struct source_stamp *known = &entry->file.stamp;
	const struct source_stamp *since =
		entry->pending.state == SOURCE_FILE ? &entry->pending : known;

	if (entry->state == ENTRY_NEW || known->state != SOURCE_FILE ||
		known->device != now->device || known->inode != now->inode)
		return true;
	/* Also after the clock was set back: it may take long to catch up. */
	if (!source_stamp_same(since, now) || now->observed_ns < since->observed_ns) {
		entry->pending = *now;
		return false;
	}
	return now->observed_ns - since->observed_ns >= STORE_REWRITE_NS;
}

static enum look_verdict look_at(struct entry *entry, int fd, struct look *look)
{
	const struct source_stamp *known = &entry->file.stamp;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return look_failed(look, PARSER_E_IO, errno);
	source_stamp_of(&st, source_clock_ns(), &look->stamp);
	if (look->stamp.state != SOURCE_FILE)
		return look_failed(look, PARSER_E_UNTRUSTED, 0);
	if (entry->state == ENTRY_READ && source_stamp_same(known, &look->stamp) &&
		!source_stamp_is_racy(known))
		return LOOK_UNCHANGED;
	if (!is_at_rest(entry, &look->stamp))
		return LOOK_TOO_EARLY;
	if (look->stamp.size > FORMAT_FILE_OCTETS_MAX) {
		look->status = PARSER_E_LIMIT;
		return LOOK_BAD;
	}
	return look_read(entry, fd, look);
}

/* One attempt. O_NONBLOCK, because a FIFO without a writer would hold us forever. */
static enum look_verdict look_once(const struct pass *pass, struct entry *entry, struct look *look)
{
	enum look_verdict verdict;
	int fd = openat(pass->fd, entry->file.name,
		O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return look_unopened(pass, entry, errno, look);
	verdict = look_at(entry, fd, look);
	close(fd);
	return verdict;
}

/* Takes the new content in, and tells what changed: good again, other bad records than before. */
static void entry_succeed(const struct pass *pass, struct entry *entry, const struct look *seen)
{
	struct store_event event = {
		.path = entry->path, .format = entry->file.format, .report = seen->report};
	bool recovered = entry->failure != PARSER_OK;
	bool skips = seen->report.skipped > 0 && (seen->report.skipped != entry->skipped ||
							 seen->report.defect != entry->defect);

	entry_set_content(entry, seen->content);
	entry->failure = PARSER_OK;
	entry->failure_errno = 0;
	entry->skipped = seen->report.skipped;
	entry->defect = seen->report.defect;
	if (recovered) {
		event.kind = STORE_EVENT_FILE_RECOVERED;
		tell(pass, &event);
	}
	if (skips) {
		event.kind = STORE_EVENT_RECORDS_SKIPPED;
		tell(pass, &event);
	}
}

static void entry_fail(const struct pass *pass, struct entry *entry, const struct look *seen)
{
	struct store_event event = {
		.kind = STORE_EVENT_FILE_FAILED,
		.path = entry->path,
		.format = entry->file.format,
		.status = seen->status,
		.system_error = seen->system_error,
		.report = seen->report,
		.kept = entry->file.record_count,
	};

	if (entry->failure == seen->status && entry->failure_errno == seen->system_error)
		return;
	entry->failure = seen->status;
	entry->failure_errno = seen->system_error;
	tell(pass, &event);
}

/* Acts on what the last attempt said. */
static enum parser_status entry_settle(const struct pass *pass, struct entry *entry,
	enum look_verdict verdict, const struct look *seen)
{
	switch (verdict) {
	case LOOK_UNCHANGED:
		entry->pending.state = SOURCE_ABSENT;
		entry->unsettled = false;
		return PARSER_OK;
	case LOOK_TOO_EARLY:
		/* The old stamp stays, so that nobody takes the old content for the new. */
		entry->unsettled = true;
		return PARSER_OK;
	case LOOK_NO_MEMORY:
		return PARSER_E_NO_MEMORY;
	case LOOK_GONE:
		/* The directory's stamp has moved: it is listed again. */
		entry_set_content(entry, (struct content){0});
		entry->state = ENTRY_NEW;
		break;
	case LOOK_GOOD:
		entry_succeed(pass, entry, seen);
		entry->state = ENTRY_READ;
		break;
	case LOOK_BAD:
		entry_fail(pass, entry, seen);
		entry->state = ENTRY_READ;
		break;
	case LOOK_TORN:
	case LOOK_UNREADABLE:
		entry_fail(pass, entry, seen);
		entry->state = ENTRY_UNREAD;
		break;
	}
	entry->pending = (struct source_stamp){.state = SOURCE_ABSENT};
	entry->file.stamp = seen->stamp;
	entry->unsettled = verdict == LOOK_TORN || source_stamp_is_racy(&seen->stamp);
	return PARSER_OK;
}

static enum parser_status entry_refresh(const struct pass *pass, struct entry *entry)
{
	enum look_verdict verdict = LOOK_TORN;
	struct look seen = {0};

	for (int tries = 0; verdict == LOOK_TORN && tries < STORE_READ_TRIES; tries++) {
		seen = (struct look){.stamp = entry->file.stamp};
		verdict = look_once(pass, entry, &seen);
	}
	return entry_settle(pass, entry, verdict, &seen);
}

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
	files = grown((void *)listing->files, &listing->cap, listing->count + 1,
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
static void directory_take_listing(struct store_directory *directory, struct listing *listing)
{
	if (listing->count)
		qsort((void *)listing->files, listing->count, sizeof(struct store_file *),
			compare_files);
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
	tell(pass, &event);
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
	directory_take_listing(directory, &listing);
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
