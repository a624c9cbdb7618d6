/** @file One file of the store: reads it when it changed, keeps its last good content, tells what
 * is wrong with it. Private to the store. */
#ifndef PARSER_STORE_ENTRY_H
#define PARSER_STORE_ENTRY_H

#include "store.h"
#include "store_content.h"

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

/* Who is told, and where we are. */
struct pass {
	store_event_sink sink;
	void *ctx;
	struct store_directory *directory;
	struct condition *condition;
	uint64_t *generation; /* Moved on by whatever changes names. */
	int fd;               /* Of the directory. */
};

static inline struct entry *entry_of(struct store_file *file)
{
	return (struct entry *)file;
}

/** Tells the caller of store_refresh(). */
void store_tell(const struct pass *pass, const struct store_event *event);

/** NULL if memory is short. Nothing is read yet. */
struct entry *entry_new(const char *directory, const char *name, const struct format *format);
void entry_free(struct entry *entry);

/** Looks at the file and reads it if need be. PARSER_OK, also if it is bad; PARSER_E_NO_MEMORY. */
enum parser_status entry_refresh(const struct pass *pass, struct entry *entry);

#endif
