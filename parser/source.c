#include "source.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
/* Two ticks of the slowest clock in use: the kernel stamps files with the tick before, and at
 * CONFIG_HZ=250 a tick lasts 4 ms. */
#define SOURCE_RACY_NS INT64_C(10000000)

/* ext4 counts to the year 2446, nanoseconds in 64 bits end in 2262: the rest is the last of them.
 */
static int64_t timespec_ns(const struct timespec *at)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)at->tv_sec, NS_PER_S, &ns) ||
		__builtin_add_overflow(ns, (int64_t)at->tv_nsec, &ns))
		return at->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

int64_t source_clock_ns(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return timespec_ns(&now);
}

static enum source_state state_of(mode_t mode)
{
	if (S_ISREG(mode))
		return SOURCE_FILE;
	return S_ISDIR(mode) ? SOURCE_DIRECTORY : SOURCE_OTHER;
}

void source_stamp_of(const struct stat *st, int64_t observed_ns, struct source_stamp *out_stamp)
{
	enum source_state state = state_of(st->st_mode);

	/* What passes through a FIFO or a device is never read, so its size and time say nothing.
	 */
	*out_stamp = (struct source_stamp){
		.state = state,
		.device = (uint64_t)st->st_dev,
		.inode = (uint64_t)st->st_ino,
		.size = state == SOURCE_FILE ? (uint64_t)st->st_size : 0,
		.mtime_ns = state == SOURCE_OTHER ? 0 : timespec_ns(&st->st_mtim),
		.observed_ns = observed_ns,
	};
}

void source_stamp_take(const char *path, struct source_stamp *out_stamp)
{
	struct stat st;

	if (stat(path, &st) < 0)
		*out_stamp = (struct source_stamp){
			.state = SOURCE_ABSENT, .observed_ns = source_clock_ns()};
	else
		source_stamp_of(&st, source_clock_ns(), out_stamp);
}

bool source_stamp_same(const struct source_stamp *a, const struct source_stamp *b)
{
	if (a->state != b->state)
		return false;
	return a->state == SOURCE_ABSENT ||
	       (a->device == b->device && a->inode == b->inode && a->size == b->size &&
		       a->mtime_ns == b->mtime_ns);
}

bool source_stamp_is_racy(const struct source_stamp *stamp)
{
	int64_t age_ns;

	if (stamp->state != SOURCE_FILE && stamp->state != SOURCE_DIRECTORY)
		return false;
	/* A stamp may come out of a hostile file: its numbers may be any. */
	if (__builtin_sub_overflow(stamp->observed_ns, stamp->mtime_ns, &age_ns))
		return false;
	/* In either direction: kernels with fine time stamps (Linux 6.13) stamp ahead of the coarse
	 * clock, which then catches up, and what was settled must not become racy by that. */
	return age_ns > -SOURCE_RACY_NS && age_ns < SOURCE_RACY_NS;
}

/* Writes the directory that holds `path`, as dirname(3) says it. */
static void holder_of(const char *path, char out_holder[PATH_MAX])
{
	size_t len = strnlen(path, PATH_MAX - 1);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0)
		path = ".", len = 1;
	memcpy(out_holder, path, len);
	out_holder[len] = '\0';
}

/* What it means that `path` is not there although it was recorded. In a sandbox that hides a whole
 * tree the directory that held it is missing as well; where that can be seen, it was removed. */
static enum source_change compare_missing(const char *path)
{
	char holder[PATH_MAX];
	struct stat st;

	holder_of(path, holder);
	if (stat(holder, &st) == 0)
		return S_ISDIR(st.st_mode) ? SOURCE_CHANGED : SOURCE_UNSEEN;
	return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM
		       ? SOURCE_UNSEEN
		       : SOURCE_CHANGED;
}

enum source_change source_compare(const char *path, const struct source_stamp *stamp)
{
	struct source_stamp now;
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == EACCES || errno == EPERM)
			return SOURCE_UNSEEN;
		if (stamp->state == SOURCE_ABSENT)
			return SOURCE_SAME;
		return errno == ENOENT || errno == ENOTDIR ? compare_missing(path) : SOURCE_CHANGED;
	}
	source_stamp_of(&st, stamp->observed_ns, &now);
	if (!source_stamp_same(&now, stamp))
		return SOURCE_CHANGED;
	return source_stamp_is_racy(stamp) ? SOURCE_RACY : SOURCE_SAME;
}
