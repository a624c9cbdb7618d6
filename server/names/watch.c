#include "server/names/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parser/format.h"
#include "parser/source.h"
#include "server/support/log.h"

/* What inotify cannot tell (a mount over the directory, a link swapped further up, limits) is
 * noticed after at most this long. One stat() for each directory. */
#define WATCH_SAFETY_NET_MS 2000

/* libvirt writes `virbr0.status.new` and renames it within a millisecond or two. The temporary
 * moves the directory's mtime, so it counts; waiting a moment spares the first of two rebuilds. */
#define WATCH_ASIDE_MS 5

/* While we arm, directories may come and go: then again, but not forever. The safety net covers
 * the rest. */
#define WATCH_ARM_ATTEMPTS 4

/* A few hundred events a read; a read needs room for at least one (inotify(7)). */
#define WATCH_BUFFER_SIZE 16384

/* What moves the mtime of a directory: the index must be stamped anew. */
#define WATCH_ENTRIES (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
/* What changes a file in place. IN_ATTRIB: utimensat(), chmod(). */
#define WATCH_CONTENT (IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB)
#define WATCH_SELF    (IN_DELETE_SELF | IN_MOVE_SELF)

/* One directory. Two watches: on itself, and on the deepest directory above it that exists, which
 * tells of its coming, its going, and of a link in its place that is swapped. */
struct watch_path {
	char *path;
	int self;     /* Watch descriptor or -1. */
	int ancestor; /* Watch descriptor or -1. */
	char *next;   /* What is looked for in the ancestor: a part of `path`. Owned. */
	struct source_stamp seen;
};

struct watch {
	uv_poll_t poll;
	uv_timer_t safety_net;
	uv_timer_t aside;
	unsigned open_handles;
	int inotify;     /* -1: none could be had. */
	bool is_limited; /* Said in the log. */
	bool hit_limit;  /* In the last attempt. */
	bool is_stopped;
	watch_changed changed;
	void *ctx;
	size_t count;
	struct watch_path paths[];
};

static bool watch_is_limit(int error)
{
	return error == ENOSPC || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static void watch_limited(struct watch *watch, int error)
{
	if (!watch->is_limited)
		log_warning("inotify: %s; lease directories are looked at every %d s instead "
			    "(sysctl fs.inotify.max_user_watches and max_user_instances)",
			strerror(error), WATCH_SAFETY_NET_MS / 1000);
	watch->is_limited = true;
	watch->hit_limit = true;
}

/* Watch descriptor, or -1 with errno. Masks add up: two paths may share a directory. */
static int watch_add(struct watch *watch, const char *directory, uint32_t mask)
{
	int wd = inotify_add_watch(watch->inotify, directory, mask | IN_ONLYDIR | IN_MASK_ADD);

	if (wd < 0 && watch_is_limit(errno))
		watch_limited(watch, errno);
	return wd;
}

static bool watch_is_used(const struct watch *watch, int wd)
{
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->paths[i].self == wd || watch->paths[i].ancestor == wd)
			return true;
	}
	return false;
}

static void watch_drop(struct watch *watch, int wd)
{
	if (wd >= 0 && !watch_is_used(watch, wd))
		inotify_rm_watch(watch->inotify, wd);
}

/* Watches the deepest existing directory above `path->path`.
 * @param copy room for the path.
 * @return how much of the path lies in that directory: what is looked for is its last part. */
static size_t watch_add_ancestor(struct watch *watch, struct watch_path *path, char *copy)
{
	size_t end = strlen(path->path);
	size_t next_end = end;

	path->ancestor = -1;
	while (path->ancestor < 0 && end > 0) {
		next_end = end;
		while (end > 0 && path->path[end - 1] != '/')
			end--;
		memcpy(path->next, path->path + end, next_end - end);
		path->next[next_end - end] = '\0';
		while (end > 0 && path->path[end - 1] == '/')
			end--;
		memcpy(copy, path->path, end);
		copy[end] = '\0';
		/* IN_ATTRIB: a directory that could not be watched may be now. */
		path->ancestor = watch_add(
			watch, end > 0 ? copy : "/", WATCH_ENTRIES | WATCH_SELF | IN_ATTRIB);
		if (path->ancestor < 0 && watch_is_limit(errno))
			break;
	}
	return next_end;
}

/* True if what is now there is what was armed, and nothing came between the two calls. */
static bool watch_is_settled(const struct watch_path *path, size_t next_end, char *copy)
{
	struct stat st;

	if (path->self >= 0)
		return path->path[next_end] == '\0';
	memcpy(copy, path->path, next_end);
	copy[next_end] = '\0';
	return lstat(copy, &st) < 0;
}

/* Sets both watches of a path to what is there now. */
static void watch_arm(struct watch *watch, struct watch_path *path)
{
	char *copy = malloc(strlen(path->path) + 1);
	bool is_settled = !copy || watch->inotify < 0;

	for (int attempt = 0; !is_settled && attempt < WATCH_ARM_ATTEMPTS; attempt++) {
		const int old_self = path->self;
		const int old_ancestor = path->ancestor;
		size_t next_end = watch_add_ancestor(watch, path, copy);

		path->self =
			watch_add(watch, path->path, WATCH_ENTRIES | WATCH_CONTENT | WATCH_SELF);
		watch_drop(watch, old_self);
		watch_drop(watch, old_ancestor);
		is_settled = watch_is_settled(path, next_end, copy);
	}
	free(copy);
}

/* Compares each directory with how it was last seen, and arms those anew that are others now.
 * @return true if something differs. */
static bool watch_look(struct watch *watch, bool arm_all)
{
	bool differs = false;

	for (size_t i = 0; i < watch->count; i++) {
		struct watch_path *path = &watch->paths[i];
		struct source_stamp now;
		bool is_other;

		source_stamp_take(path->path, &now);
		is_other = now.state != path->seen.state || now.device != path->seen.device ||
			   now.inode != path->seen.inode;
		differs |= is_other || now.mtime_ns != path->seen.mtime_ns;
		path->seen = now;
		if (is_other || arm_all)
			watch_arm(watch, path);
	}
	return differs;
}

static void watch_report(struct watch *watch)
{
	uv_timer_stop(&watch->aside);
	watch->changed(watch->ctx);
}

static void watch_on_aside(uv_timer_t *timer)
{
	watch_report(timer->data);
}

/* Events ------------------------------------------------------------------------------------ */

/* What a batch of events amounts to. */
struct watch_batch {
	bool changed; /* Report now. */
	bool aside;   /* Report soon: a name that is none of ours moved the directory's mtime. */
	bool arm;     /* Watches may be gone or point elsewhere. */
};

static void watch_sort_entry(const struct inotify_event *event, struct watch_batch *batch)
{
	const char *name = event->len > 0 ? event->name : NULL;

	if (name && !format_find(name)) {
		if (event->mask & WATCH_ENTRIES)
			batch->aside = true;
		return;
	}
	batch->changed = true;
}

static void watch_sort(
	const struct watch *watch, const struct inotify_event *event, struct watch_batch *batch)
{
	if (event->mask & IN_Q_OVERFLOW) {
		batch->changed = true;
		batch->arm = true;
		return;
	}
	for (size_t i = 0; i < watch->count; i++) {
		const struct watch_path *path = &watch->paths[i];

		if (event->wd != path->self && event->wd != path->ancestor)
			continue;
		if (event->mask & (WATCH_SELF | IN_UNMOUNT | IN_IGNORED)) {
			batch->changed = true;
			batch->arm = true;
			continue;
		}
		if (event->wd == path->ancestor && event->len > 0 &&
			strcmp(event->name, path->next) == 0) {
			batch->changed = true;
			batch->arm = true;
		}
		if (event->wd == path->self)
			watch_sort_entry(event, batch);
	}
}

static void watch_read(struct watch *watch, struct watch_batch *batch)
{
	_Alignas(struct inotify_event) char buffer[WATCH_BUFFER_SIZE];

	for (;;) {
		ssize_t len = read(watch->inotify, buffer, sizeof(buffer));

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return;
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event = (const void *)(buffer + at);

			watch_sort(watch, event, batch);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

static void watch_on_events(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct watch_batch batch = {0};

	(void)status;
	(void)events;
	watch_read(watch, &batch);
	/* What this sees now needs no second report by the safety net. */
	if (watch_look(watch, batch.arm))
		batch.aside = true;
	if (batch.changed)
		watch_report(watch);
	else if (batch.aside && !uv_is_active((const uv_handle_t *)&watch->aside))
		uv_timer_start(&watch->aside, watch_on_aside, WATCH_ASIDE_MS, 0);
}

/* Start and stop ---------------------------------------------------------------------------- */

static void watch_free(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++) {
		free(watch->paths[i].path);
		free(watch->paths[i].next);
	}
	if (watch->inotify >= 0)
		close(watch->inotify);
	free(watch);
}

static void watch_on_close(uv_handle_t *handle)
{
	struct watch *watch = handle->data;

	if (--watch->open_handles == 0)
		watch_free(watch);
}

void watch_stop(struct watch *watch)
{
	if (!watch || watch->is_stopped)
		return;
	watch->is_stopped = true;
	if (watch->inotify >= 0)
		uv_close((uv_handle_t *)&watch->poll, watch_on_close);
	uv_close((uv_handle_t *)&watch->safety_net, watch_on_close);
	uv_close((uv_handle_t *)&watch->aside, watch_on_close);
}

/* Begins to listen to the inotify descriptor; false if none can be had. */
static bool watch_open(struct watch *watch, uv_loop_t *loop)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0) {
		watch_limited(watch, errno);
		return false;
	}
	if (uv_poll_init(loop, &watch->poll, fd) < 0) {
		close(fd);
		return false;
	}
	watch->inotify = fd;
	watch->poll.data = watch;
	watch->open_handles++;
	uv_poll_start(&watch->poll, UV_READABLE, watch_on_events);
	return true;
}

/* Limits that were exhausted may have room again. */
static void watch_retry(struct watch *watch, uv_loop_t *loop)
{
	watch->hit_limit = false;
	if (watch->inotify < 0 && !watch_open(watch, loop))
		return;
	watch_look(watch, true);
	if (watch->hit_limit)
		return;
	watch->is_limited = false;
	log_info("inotify: lease directories are watched again");
}

static void watch_on_safety_net(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	/* While nothing is watched, a change in place shows only by reading. */
	bool must_report = watch->is_limited;

	if (watch->is_limited)
		watch_retry(watch, timer->loop);
	if (watch_look(watch, false) || must_report)
		watch_report(watch);
}

static int watch_copy_paths(struct watch *watch, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct watch_path *path = &watch->paths[i];
		size_t len = strlen(paths[i]);

		/* A slash at the end is no name to wait for. */
		while (len > 1 && paths[i][len - 1] == '/')
			len--;
		path->self = -1;
		path->ancestor = -1;
		path->path = strndup(paths[i], len);
		path->next = calloc(1, len + 1);
		watch->count++;
		if (!path->path || !path->next)
			return UV_ENOMEM;
	}
	return 0;
}

int watch_start(uv_loop_t *loop, const char *const *paths, size_t count, watch_changed changed,
	void *ctx, struct watch **out_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch) + count * sizeof(watch->paths[0]));

	if (!watch)
		return UV_ENOMEM;
	watch->inotify = -1;
	watch->changed = changed;
	watch->ctx = ctx;
	if (watch_copy_paths(watch, paths, count) < 0) {
		watch_free(watch);
		return UV_ENOMEM;
	}
	uv_timer_init(loop, &watch->safety_net);
	uv_timer_init(loop, &watch->aside);
	watch->safety_net.data = watch;
	watch->aside.data = watch;
	watch->open_handles += 2;
	watch_open(watch, loop);
	watch_look(watch, true);
	uv_timer_start(
		&watch->safety_net, watch_on_safety_net, WATCH_SAFETY_NET_MS, WATCH_SAFETY_NET_MS);
	*out_watch = watch;
	return 0;
}
