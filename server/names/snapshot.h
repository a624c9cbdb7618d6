/** @file From a configuration to an index: what `serve`, `list`, `lookup` and `index` share.
 *  Translates struct conf into what parser/ asks for, and runs refresh and build. Blocking; runs on
 *  the main thread of a command or on a worker of the daemon. Never logs. */
#ifndef SERVER_NAMES_SNAPSHOT_H
#define SERVER_NAMES_SNAPSHOT_H

#include "conf/conf.h"
#include "parser/index_builder.h"
#include "parser/store.h"

/** A configuration as it was read. */
struct snapshot_conf {
	struct conf conf;
	char *path;                /**< Where it came from; recorded as a source. */
	struct source_stamp stamp; /**< Taken before it was read; absent if there was none. */
};

/** Who is told what. All may be NULL. */
struct snapshot_sinks {
	store_event_sink store_event;
	index_event_sink index_event;
	void *ctx;
};

/** Reads the configuration.
 *  @param path NULL for the default file, which may be missing; a file that is named must exist.
 *  @return CONF_OK, or what conf_load() said, with `out_error`. */
enum conf_status snapshot_conf_load(
	const char *path, struct snapshot_conf *out_conf, struct conf_error *out_error);
void snapshot_conf_done(struct snapshot_conf *conf);

/** A store of the lease directories that the configuration names. NULL if memory is short. */
struct store *snapshot_store_new(const struct snapshot_conf *conf);

/** Refreshes `store` until no file is in the middle of a change, for at most a few ticks: for
 *  commands that read but once.
 *  @return as store_refresh(). */
enum parser_status snapshot_settle(struct store *store, const struct snapshot_sinks *sinks);

/** An index that was built from the same store under the same configuration. */
struct snapshot_last {
	int fd;              /**< -1: none. */
	uint64_t generation; /**< store_generation() when it was built. */
};

/** Refreshes `store` and builds the index of it into `fd` (see index_build()).
 *  @param last copied with new stamps if nothing else has changed; may be NULL. */
enum parser_status snapshot_build(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, int fd, const struct snapshot_sinks *sinks);

/** Builds and publishes at the configured place.
 *  @param out_fd descriptor of the published inode, the caller's to close.
 *  @return what snapshot_build() or index_file_*() said. */
enum parser_status snapshot_publish(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, const struct snapshot_sinks *sinks, int *out_fd);

/** Builds into memory (memfd), for hosts where the index cannot be published.
 *  @param out_fd the caller's to close. */
enum parser_status snapshot_memory(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, const struct snapshot_sinks *sinks, int *out_fd);

#endif
