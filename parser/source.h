/** @file A source is a file or a directory that answers come from; its stamp tells later whether
 *  it is still the one that was read. */
#ifndef PARSER_SOURCE_H
#define PARSER_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum source_state {
	SOURCE_ABSENT = 0, /**< There was nothing of that name. */
	SOURCE_FILE = 1,
	SOURCE_DIRECTORY = 2,
	SOURCE_OTHER = 3, /**< FIFO, device, …: not read. */
};

struct source_stamp {
	enum source_state state;
	uint64_t device;
	uint64_t inode;
	uint64_t size;       /**< Octets of a file; else 0: a directory's size says nothing. */
	int64_t mtime_ns;    /**< Last change of a file or directory, nanoseconds of unix time. */
	int64_t observed_ns; /**< CLOCK_REALTIME_COARSE after stat() and before the first read. */
};

/** How a source compares with its stamp. */
enum source_change {
	SOURCE_SAME,
	SOURCE_CHANGED, /**< Different, vanished, or new where it was absent. */
	SOURCE_UNSEEN,  /**< This process may not see it (EACCES, EPERM, or its whole directory is
			     missing where the stamp has something: a sandbox). */
	SOURCE_RACY,    /**< Same, but it was observed so soon after its last change that another
			     change in the same tick would look alike. */
};

/** The coarse clock (the one that the kernel stamps files with), nanoseconds of unix time. */
int64_t source_clock_ns(void);

/** A stamp from what stat() said.
 *  @param observed_ns source_clock_ns(), taken after that stat() and before the content is read: a
 *  clock taken earlier may lie before a change that was read, which then looks like one in the
 *  future and not racy. */
void source_stamp_of(const struct stat *st, int64_t observed_ns, struct source_stamp *out_stamp);

/** Looks at `path` (following links). A path that cannot be seen is stamped as absent. Read the
 *  content after, not before. */
void source_stamp_take(const char *path, struct source_stamp *out_stamp);

/** True if both describe the same state of the same file; when it was observed does not count. */
bool source_stamp_same(const struct source_stamp *a, const struct source_stamp *b);

/** True if the source was observed less than 10 ms (two ticks at 250 Hz) after its last change,
 *  the "racy clean" problem that git knows; or as little before, since fine time stamps run ahead
 *  of the coarse clock. A time further in the future is not racy. */
bool source_stamp_is_racy(const struct source_stamp *stamp);

/** Compares what is at `path` now with `stamp`. One stat() call, a second only if it fails. */
enum source_change source_compare(const char *path, const struct source_stamp *stamp);

#endif
