/** @file Builds the index off the loop and hands each fresh zone to the loop thread. One build at a
 *  time; what is asked for while one runs makes exactly one more.
 *
 *  Owns the configuration in force and the store; the worker thread has both while a build runs.
 *  Logs what builds noticed. Knows nothing of sockets or of who answers. */
#ifndef SERVER_NAMES_REBUILD_H
#define SERVER_NAMES_REBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "server/dns/zone.h"
#include "server/names/snapshot.h"

struct rebuild;

struct rebuild_stats {
	uint64_t built;
	uint64_t failed;
	uint64_t last_ns;    /**< How long the last one took. */
	int64_t last_unix_s; /**< When it ended. */
	bool is_published;   /**< The last index that was built is where NSS modules look for it. */
};

/** Takes a fresh zone. On the loop thread, between two answers.
 *  @param fresh the callee's to free.
 *  @param names how many names with an address it holds, alive or not. */
typedef void (*rebuild_publish)(void *ctx, struct zone *fresh, size_t names);

/** Starts the worker thread too, so give up privileges before.
 *  @param conf allocated; taken over, also on failure.
 *  @return 0 or a negative libuv error. */
int rebuild_start(uv_loop_t *loop, struct snapshot_conf *conf, rebuild_publish publish, void *ctx,
	struct rebuild **out_rebuild);

/** Builds once, here and now, before the loop runs.
 *  @return 0 if a zone was handed to `publish`, else -1; the log says why. */
int rebuild_first(struct rebuild *rebuild);

/** Something changed. Starts at once, unless the last build was so short a time ago that rebuilding
 *  would take more than half of a core. */
void rebuild_request(struct rebuild *rebuild);

/** Puts another configuration in force with the next build, and requests it.
 *  @param conf allocated; taken over. */
void rebuild_configure(struct rebuild *rebuild, struct snapshot_conf *conf);

/** The configuration in force, or about to be. Valid until the next rebuild_configure(). */
const struct snapshot_conf *rebuild_conf(const struct rebuild *rebuild);

struct rebuild_stats rebuild_stats(const struct rebuild *rebuild);

/** No call of `publish` after this. Frees itself when a running build has ended. NULL is fine. */
void rebuild_stop(struct rebuild *rebuild);

#endif
