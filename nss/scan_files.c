#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nss/scan_internal.h"

/* Records that are kept for one question. With what the draft makes of them a record takes about
 * 700 octets of somebody's heap, which are to be less than 1 MiB. */
#define SCAN_RECORDS_MAX 1000u
/* A file that changes while it is read is read again. */
#define SCAN_TRIES 3

/* A record that was kept, with its texts behind it. */
struct scan_kept {
	struct scan_kept *next;
	uint8_t texts[];
};

struct scan_file {
	struct store_file file; /* First, so that a file is its scan_file. */
	size_t record_cap;
};

/* One file being parsed. */
struct scan_pass {
	struct scan *scan;
	struct scan_file *file;
	scan_wants wants;
	enum parser_status status;
};

/* --- Directories and files ----------------------------------------------------------------- */

bool scan_is_transient(int system_error)
{
	return system_error == EMFILE || system_error == ENFILE || system_error == ENOMEM;
}

static void scan_note_failure(struct scan *scan, int system_error)
{
	if (system_error == ENOENT)
		return;
	scan->report.failed = true;
	if (scan_is_transient(system_error))
		scan->report.transient = true;
}

static bool scan_add_file(
	struct scan *scan, struct store_directory *directory, const char *name, size_t *cap)
{
	const struct format *format = format_find(name);
	struct scan_file *file;

	if (!format)
		return true;
	if (directory->file_count == STORE_FILES_MAX) {
		scan->report.failed = true;
		return true;
	}
	if (directory->file_count == *cap) {
		size_t larger = *cap ? *cap * 2 : 16;
		struct store_file **files =
			realloc(directory->files, larger * sizeof(*directory->files));

		if (!files)
			return false;
		directory->files = files;
		*cap = larger;
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return false;
	file->file.format = format;
	file->file.name = strdup(name);
	if (!file->file.name) {
		free(file);
		return false;
	}
	file->file.stem = format_stem_of(format, file->file.name);
	directory->files[directory->file_count++] = &file->file;
	return true;
}

static int scan_compare_files(const void *a, const void *b)
{
	return strcmp(
		(*(struct store_file *const *)a)->name, (*(struct store_file *const *)b)->name);
}

static bool scan_list(struct scan *scan, struct store_directory *directory)
{
	DIR *stream = opendir(directory->path);
	const struct dirent *entry;
	bool done = true;
	size_t cap = 0;

	if (!stream) {
		scan_note_failure(scan, errno);
		return errno != ENOMEM;
	}
	scan->report.seen = true;
	do {
		errno = 0; /* NULL may be the end of the directory, or an error. */
		entry = readdir(stream);
		done = !entry || scan_add_file(scan, directory, entry->d_name, &cap);
	} while (entry && done);
	if (done && errno)
		scan_note_failure(scan, errno);
	closedir(stream);
	/* In the order in which the index takes them: its answers may depend on it. */
	if (directory->file_count)
		qsort((void *)directory->files, directory->file_count, sizeof(*directory->files),
			scan_compare_files);
	return done;
}

struct scan *scan_new(const struct conf *conf)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	bool done = scan != NULL;

	if (!scan)
		return NULL;
	scan->reader = piece_reader_new();
	scan->directories = calloc(conf->lease_directory_count + 1, sizeof(*scan->directories));
	done = scan->reader && scan->directories;
	for (size_t i = 0; i < conf->lease_directory_count && done; i++) {
		struct store_directory *directory = &scan->directories[scan->directory_count++];

		directory->path = conf->lease_directories[i];
		done = scan_list(scan, directory);
	}
	if (!done) {
		scan_free(scan);
		return NULL;
	}
	return scan;
}

void scan_drop_records(struct scan *scan)
{
	for (size_t d = 0; d < scan->directory_count; d++) {
		for (size_t f = 0; f < scan->directories[d].file_count; f++)
			scan->directories[d].files[f]->record_count = 0;
	}
	scan->kept_count = 0;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	for (size_t d = 0; d < scan->directory_count; d++) {
		for (size_t f = 0; f < scan->directories[d].file_count; f++) {
			struct store_file *file = scan->directories[d].files[f];

			free(file->name);
			free((void *)(uintptr_t)file->records);
			free(file);
		}
		free(scan->directories[d].files);
	}
	while (scan->kept) {
		struct scan_kept *next = scan->kept->next;

		free(scan->kept);
		scan->kept = next;
	}
	piece_reader_free(scan->reader);
	free(scan->directories);
	free(scan);
}

const struct store_directory *scan_directories(const struct scan *scan, size_t *out_count)
{
	*out_count = scan->directory_count;
	return scan->directories;
}

const struct scan_report *scan_report(const struct scan *scan)
{
	return &scan->report;
}

/* --- Keeping ------------------------------------------------------------------------------- */

uint8_t *scan_room(struct scan *scan, size_t len)
{
	struct scan_kept *kept = malloc(sizeof(*kept) + len + 1);

	if (!kept)
		return NULL;
	kept->next = scan->kept;
	scan->kept = kept;
	return kept->texts;
}

static bool scan_keep(struct scan *scan, struct scan_file *file, const struct record *record)
{
	struct record *records = (struct record *)(uintptr_t)file->file.records;
	uint8_t *texts = scan_room(scan, record->name.len + record->duid.len);
	struct record *kept;

	if (!texts)
		return false;
	if (file->file.record_count == file->record_cap) {
		size_t larger = file->record_cap ? file->record_cap * 2 : 4;

		records = realloc(records, larger * sizeof(*records));
		if (!records)
			return false;
		file->file.records = records;
		file->record_cap = larger;
	}
	kept = &records[file->file.record_count++];
	*kept = *record;
	kept->name.ptr = texts;
	kept->duid.ptr = texts + record->name.len;
	if (record->name.len)
		memcpy(texts, record->name.ptr, record->name.len);
	if (record->duid.len)
		memcpy(texts + record->name.len, record->duid.ptr, record->duid.len);
	scan->kept_count++;
	return true;
}

/* A record_sink. */
static bool scan_take(void *ctx, const struct record *record)
{
	struct scan_pass *pass = ctx;

	if (!pass->wants(pass->scan, record))
		return true;
	if (pass->scan->kept_count == SCAN_RECORDS_MAX)
		pass->status = PARSER_E_LIMIT;
	else if (!scan_keep(pass->scan, pass->file, record))
		pass->status = PARSER_E_NO_MEMORY;
	return pass->status == PARSER_OK;
}

static enum parser_status scan_read_file(struct scan *scan, struct store_directory *directory,
	struct scan_file *file, scan_wants wants)
{
	struct scan_pass pass = {.scan = scan, .file = file, .wants = wants};
	size_t before = file->file.record_count;
	enum parser_status status = PARSER_E_TORN;
	int system_error = 0;

	for (int i = 0; i < SCAN_TRIES && status == PARSER_E_TORN; i++) {
		scan->kept_count -= file->file.record_count - before;
		file->file.record_count = before;
		status = piece_reader_parse(
			scan->reader, directory->path, &file->file, scan_take, &pass);
		system_error = errno;
		if (pass.status != PARSER_OK)
			return pass.status;
	}
	if (status == PARSER_E_NO_MEMORY)
		return status;
	if (status == PARSER_OK || status == PARSER_E_ABSENT)
		return PARSER_OK;
	/* One bad file costs that file. */
	scan->kept_count -= file->file.record_count - before;
	file->file.record_count = before;
	scan->report.failed = true;
	if (status == PARSER_E_TORN || (status == PARSER_E_IO && scan_is_transient(system_error)))
		scan->report.transient = true;
	return PARSER_OK;
}

enum parser_status scan_read(struct scan *scan, bool leases, scan_wants wants)
{
	enum parser_status status = PARSER_OK;

	for (size_t d = 0; d < scan->directory_count; d++) {
		struct store_directory *directory = &scan->directories[d];

		for (size_t f = 0; f < directory->file_count && status == PARSER_OK; f++) {
			struct scan_file *file = (struct scan_file *)directory->files[f];

			if (file->file.format->holds_leases == leases)
				status = scan_read_file(scan, directory, file, wants);
		}
	}
	return status;
}

enum parser_status scan_each(struct scan *scan, scan_visit visit)
{
	enum parser_status status = PARSER_OK;

	for (size_t d = 0; d < scan->directory_count; d++) {
		for (size_t f = 0; f < scan->directories[d].file_count; f++) {
			const struct store_file *file = scan->directories[d].files[f];

			for (size_t r = 0; r < file->record_count && status == PARSER_OK; r++)
				status = visit(scan, &file->records[r]);
		}
	}
	return status;
}
