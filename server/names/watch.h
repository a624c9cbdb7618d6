/** @file Tells that a lease directory, or what is in it, changed. Owns an inotify descriptor on the
 *  loop, and compares the directories by a slow timer as a safety net.
 *
 *  A directory may be absent, appear, vanish, be renamed, unmounted or swapped by a symbolic link;
 *  a false alarm is possible, a lost change is not. Knows nothing of what the files hold. */
#ifndef SERVER_NAMES_WATCH_H
#define SERVER_NAMES_WATCH_H

#include <stddef.h>
#include <uv.h>

struct watch;

/** Something may have changed. On the loop thread; at most once for each batch of events. */
typedef void (*watch_changed)(void *ctx);

/** Changes count from the return of this call on.
 *  @param paths absolute paths of directories; copied.
 *  @return 0 or a negative libuv error. Exhausted inotify limits are no error: the log says so,
 *  and the timer reports every tick until they allow. */
int watch_start(uv_loop_t *loop, const char *const *paths, size_t count, watch_changed changed,
	void *ctx, struct watch **out_watch);

/** No call of `changed` after this. Frees itself when its handles are closed. NULL is fine. */
void watch_stop(struct watch *watch);

#endif
