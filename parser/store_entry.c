#include "store_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who is caught in the middle of a change so often in a row goes on changing: keep what we have,
 * and look again when the caller does. */
#define STORE_READ_TRIES 4
/* A program that rewrites a file in place empties it and fills it again, and for a line-based
 * format every part in between is a valid file. It has done so when the file looks the same for
 * this long. */
#define STORE_REWRITE_NS INT64_C(10000000)

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

void store_tell(const struct pass *pass, const struct store_event *event)
{
	if (pass->sink)
		pass->sink(pass->ctx, event);
}

struct entry *entry_new(const char *directory, const char *name, const struct format *format)
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

void entry_free(struct entry *entry)
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
	enum parser_status status;

	content_reserve(&content, text.len);
	status = format_parse(entry->file.format, text, content_add, &content, &look->report);

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

	if (!content_equal(&entry->content, &seen->content))
		++*pass->generation;
	entry_set_content(entry, seen->content);
	entry->failure = PARSER_OK;
	entry->failure_errno = 0;
	entry->skipped = seen->report.skipped;
	entry->defect = seen->report.defect;
	if (recovered) {
		event.kind = STORE_EVENT_FILE_RECOVERED;
		store_tell(pass, &event);
	}
	if (skips) {
		event.kind = STORE_EVENT_RECORDS_SKIPPED;
		store_tell(pass, &event);
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
	store_tell(pass, &event);
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
		++*pass->generation;
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

enum parser_status entry_refresh(const struct pass *pass, struct entry *entry)
{
	enum look_verdict verdict = LOOK_TORN;
	struct look seen = {0};

	for (int tries = 0; verdict == LOOK_TORN && tries < STORE_READ_TRIES; tries++) {
		seen = (struct look){.stamp = entry->file.stamp};
		verdict = look_once(pass, entry, &seen);
	}
	return entry_settle(pass, entry, verdict, &seen);
}
