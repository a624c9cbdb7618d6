#include "nss/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nss/piece.h"
#include "parser/hostname.h"

/* Records that are kept for one question. With what the draft makes of them a record takes about
 * 700 octets of somebody's heap, which are to be less than 1 MiB. */
#define SCAN_RECORDS_MAX 1000u
/* Names of one address, and so of the machines that have it. */
#define SCAN_NAMES_MAX 64u
/* MAC addresses and DUIDs that bear on one question. */
#define SCAN_CLIENTS_MAX 256u
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

struct scan {
	struct store_directory *directories;
	size_t directory_count;
	struct scan_report report;
	struct scan_kept *kept;
	size_t kept_count;
	struct bytes names[SCAN_NAMES_MAX]; /* Lower case; views of what was kept or asked. */
	size_t name_count;
	struct bytes clients[SCAN_CLIENTS_MAX]; /* MAC or DUID octets; views likewise. */
	size_t client_count;
	struct address address; /* Of a question for an address; else ADDRESS_NONE. */
	struct piece_reader *reader;
};

/* Decides whether a record is kept. */
typedef bool (*scan_wants)(const struct scan *scan, const struct record *record);

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
	while (done && (entry = readdir(stream)) != NULL)
		done = scan_add_file(scan, directory, entry->d_name, &cap);
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

static void scan_drop_records(struct scan *scan)
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

/* Octets that live as long as the scan. NULL if memory is short. */
static uint8_t *scan_room(struct scan *scan, size_t len)
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

static enum parser_status scan_read(struct scan *scan, bool leases, scan_wants wants)
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

/* --- What bears on a question -------------------------------------------------------------- */

/* `longer` ends with a dot and `tail`. */
static bool scan_is_below(struct bytes longer, struct bytes tail)
{
	size_t head = longer.len - tail.len;

	return longer.len > tail.len + 1 && longer.ptr[head - 1] == '.' &&
	       bytes_equal_fold((struct bytes){longer.ptr + head, tail.len}, tail);
}

/* A name that is literally `vm.<network>` takes that from the address whose name is `vm`. */
static bool scan_hides(const struct scan *scan, struct bytes name, struct bytes asked)
{
	return scan->address.family != ADDRESS_NONE && name.len > asked.len &&
	       name.ptr[asked.len] == '.' &&
	       bytes_equal_fold((struct bytes){name.ptr, asked.len}, asked);
}

/* Is the name asked for; is it what stands before the network's name in the question; or does it
 * make an empty non-terminal of either? */
static bool scan_name_matters(const struct scan *scan, struct bytes name)
{
	for (size_t i = 0; i < scan->name_count; i++) {
		const struct bytes asked = scan->names[i];

		if (scan_hides(scan, name, asked))
			return true;
		for (size_t len = asked.len; len > 0; len--) {
			const struct bytes head = {asked.ptr, len};

			if (len < asked.len && asked.ptr[len] != '.')
				continue;
			if (bytes_equal_fold(name, head) || scan_is_below(name, head))
				return true;
		}
	}
	return false;
}

static bool scan_client_matters(const struct scan *scan, struct bytes client)
{
	for (size_t i = 0; i < scan->client_count && client.len; i++) {
		if (bytes_equal(scan->clients[i], client))
			return true;
	}
	return false;
}

static struct bytes scan_mac(const struct record *record)
{
	return (struct bytes){record->mac.octets, record->has_mac ? MAC_OCTETS : 0};
}

static bool scan_wants_by_name(const struct scan *scan, const struct record *record)
{
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	struct bytes name = record->name;

	if (name.len == 0 || name.len > INDEX_KEY_OCTETS_MAX)
		return false;
	if (scan_name_matters(scan, name))
		return true;
	return record->kind == RECORD_GUEST &&
	       scan_name_matters(scan, (struct bytes){alias, hostname_alias(name, alias)});
}

static bool scan_wants_lease(const struct scan *scan, const struct record *record)
{
	struct bytes name = record->name;

	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len && (scan_name_matters(scan, name) ||
				scan_name_matters(scan, hostname_first_label(name))))
		return true;
	return scan_client_matters(scan, scan_mac(record)) ||
	       scan_client_matters(scan, record->duid);
}

static bool scan_wants_address(const struct scan *scan, const struct record *record)
{
	return address_compare(&record->address, &scan->address) == 0;
}

static bool scan_wants_client(const struct scan *scan, const struct record *record)
{
	return scan_client_matters(scan, scan_mac(record)) ||
	       scan_client_matters(scan, record->duid);
}

/* Adds a view of what lives as long as the scan; what comes twice is added once. */
static enum parser_status scan_add(struct bytes *list, size_t *count, size_t max, struct bytes view)
{
	for (size_t i = 0; i < *count; i++) {
		if (bytes_equal(list[i], view))
			return PARSER_OK;
	}
	if (view.len == 0)
		return PARSER_OK;
	if (*count == max)
		return PARSER_E_LIMIT;
	list[(*count)++] = view;
	return PARSER_OK;
}

/* Copied, since the arrays of records move. */
static enum parser_status scan_add_client(struct scan *scan, struct bytes client)
{
	uint8_t *room;

	if (client.len == 0 || scan_client_matters(scan, client))
		return PARSER_OK;
	room = scan_room(scan, client.len);
	if (!room)
		return PARSER_E_NO_MEMORY;
	memcpy(room, client.ptr, client.len);
	return scan_add(scan->clients, &scan->client_count, SCAN_CLIENTS_MAX,
		(struct bytes){room, client.len});
}

static enum parser_status scan_add_name(struct scan *scan, struct bytes name)
{
	uint8_t *room = scan_room(scan, name.len);

	if (!room)
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < name.len; i++)
		room[i] = byte_lower(name.ptr[i]);
	return scan_add(
		scan->names, &scan->name_count, SCAN_NAMES_MAX, (struct bytes){room, name.len});
}

typedef enum parser_status (*scan_visit)(struct scan *scan, const struct record *record);

/* All that was kept so far. */
static enum parser_status scan_each(struct scan *scan, scan_visit visit)
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

static enum parser_status scan_visit_client(struct scan *scan, const struct record *record)
{
	enum parser_status status = scan_add_client(scan, scan_mac(record));

	return status == PARSER_OK ? scan_add_client(scan, record->duid) : status;
}

static enum parser_status scan_visit_names(struct scan *scan, const struct record *record)
{
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	struct bytes name = record->name;
	enum parser_status status;

	if (name.len == 0 || name.len > INDEX_KEY_OCTETS_MAX)
		return PARSER_OK;
	status = scan_add_name(scan, name);
	if (status == PARSER_OK && record->kind == RECORD_LEASE)
		status = scan_add_name(scan, hostname_first_label(name));
	if (status == PARSER_OK && record->kind == RECORD_GUEST)
		status = scan_add_name(scan, (struct bytes){alias, hostname_alias(name, alias)});
	return status;
}

/* Guests and reservations of the names first, then all leases of their clients and of the names. */
static enum parser_status scan_for_names(struct scan *scan)
{
	enum parser_status status = scan_read(scan, false, scan_wants_by_name);

	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK)
		status = scan_read(scan, true, scan_wants_lease);
	return status;
}

/* The guest's leases have its MAC addresses. */
static enum parser_status scan_for_guest(struct scan *scan)
{
	enum parser_status status = scan_read(scan, false, scan_wants_by_name);

	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK && scan->client_count)
		status = scan_read(scan, true, scan_wants_client);
	return status;
}

enum parser_status scan_for_name(
	struct scan *scan, enum index_key_kind names, const struct question *question)
{
	enum parser_status status = scan_add_name(scan, question_literal(question));

	if (status == PARSER_OK && question->stripped_len)
		status = scan_add_name(scan, question_stripped(question));
	if (status != PARSER_OK)
		return status;
	/* Whether a lease has that hostname is said by leases alone. */
	if (names == INDEX_KEY_HOSTNAME)
		return scan_read(scan, true, scan_wants_lease);
	if (names == INDEX_KEY_GUEST)
		return scan_for_guest(scan);
	return scan_for_names(scan);
}

/* Who has the address, what are their names, and who else has those? */
enum parser_status scan_for_address(struct scan *scan, const struct address *address)
{
	enum parser_status status;

	scan->address = *address;
	status = scan_read(scan, false, scan_wants_address);
	if (status == PARSER_OK)
		status = scan_read(scan, true, scan_wants_address);
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_names);
	if (status == PARSER_OK) {
		scan_drop_records(scan);
		status = scan_read(scan, false, scan_wants_client);
	}
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_names);
	if (status == PARSER_OK) {
		scan_drop_records(scan);
		status = scan_for_names(scan);
	}
	return status;
}
