/** @file The lease directories as last read: which files they hold, their stamps, and their
 *  records.
 *
 *  Owns copies of all records. A refresh reads only files whose stamp changed; a file that is
 *  torn, corrupt, unreadable or too large keeps the records of its last good content. A known
 *  file that is rewritten in place may be half of it, so it is read when it has looked the same
 *  for 10 ms; until then the store is unsettled. What comes by rename is read at once. Used by
 *  one thread at a time. Knows nothing of the index that is built from it. */
#ifndef PARSER_STORE_H
#define PARSER_STORE_H

#include <stddef.h>

#include "format.h"
#include "parser_status.h"
#include "record.h"
#include "source.h"

/** More files in a lease directory than any host has networks (four files each). */
#define STORE_FILES_MAX 4096

struct store_file {
	char *name; /**< Without directory. */
	const struct format *format;
	struct bytes stem;            /**< Bridge or network; a view of `name`. */
	struct source_stamp stamp;    /**< Of the content last looked at, good or bad. */
	const struct record *records; /**< The last good content. */
	size_t record_count;
};

struct store_directory {
	char *path;
	struct source_stamp stamp;
	struct store_file **files; /**< Sorted by name. */
	size_t file_count;
};

enum store_event_kind {
	STORE_EVENT_FILE_FAILED,      /**< Could not be read or parsed: `kept` records stay. */
	STORE_EVENT_RECORDS_SKIPPED,  /**< Read, but `report.skipped` records were bad. */
	STORE_EVENT_FILE_RECOVERED,   /**< Good again after a failure. */
	STORE_EVENT_DIRECTORY_FAILED, /**< Cannot be listed: its files' records stay; or has more
				       *   than STORE_FILES_MAX files (PARSER_E_LIMIT). */
	STORE_EVENT_DIRECTORY_ABSENT, /**< Is not there (yet). */
	STORE_EVENT_DIRECTORY_FOUND,  /**< Is there, and listed, after it was not. */
};

/** Told once per change of a file's or directory's state, not at every refresh. */
struct store_event {
	enum store_event_kind kind;
	const char *path;            /**< Whole path; valid during the call. */
	const struct format *format; /**< NULL for directories. */
	enum parser_status status;   /**< What failed. */
	int system_error;            /**< errno of PARSER_E_IO, else 0. */
	struct format_report report; /**< Line and defect of the first bad record. */
	size_t kept;                 /**< Records that stay from the last good content. */
};

typedef void (*store_event_sink)(void *ctx, const struct store_event *event);

struct store;

/** @param paths absolute paths of lease directories; copied.
 *  @return NULL if memory is short. Nothing is read yet. */
struct store *store_new(const char *const *paths, size_t count);
void store_free(struct store *store);

/** Brings the store up to date.
 *  @param sink may be NULL.
 *  @return PARSER_OK, also if files were bad (events say so); PARSER_E_NO_MEMORY, after which the
 *  store is as it was or newer, file by file, and can be refreshed again. */
enum parser_status store_refresh(struct store *store, store_event_sink sink, void *ctx);

/** The directories, in the order given to store_new(). Valid until the next refresh. */
const struct store_directory *store_directories(const struct store *store, size_t *out_count);

/** Another number after each refresh that changed records or the list of files; the same after one
 *  that changed stamps alone. */
uint64_t store_generation(const struct store *store);

/** True if some file or directory was caught in the middle of a change (torn, racy, or
 *  rewritten in place a moment ago): refresh again after 10 ms. */
bool store_is_unsettled(const struct store *store);

#endif
