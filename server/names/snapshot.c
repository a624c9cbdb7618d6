#include "server/names/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf_index.h"
#include "parser/index_file.h"

/* An editor replaces the file once; whoever changes it without end is told what was read first. */
#define SNAPSHOT_CONF_READS_MAX 3
/* A file that is still being written after this many ticks is taken as it is. */
#define SNAPSHOT_REFRESHES_MAX 4

/* The recorded path is compared by processes that stand elsewhere, so it must be absolute. Links
 * stay: a stamp follows them. */
static char *snapshot_absolute(const char *path)
{
	char *directory = NULL;
	char *absolute = NULL;

	if (path[0] == '/')
		return strdup(path);
	directory = getcwd(NULL, 0);
	if (!directory)
		return NULL;
	if (asprintf(&absolute, "%s/%s", directory, path) < 0)
		absolute = NULL;
	free(directory);
	return absolute;
}

/* Longer than a file's last change makes its stamp racy. */
static void snapshot_wait_tick(void)
{
	const struct timespec tick = {.tv_nsec = 12 * 1000 * 1000};

	nanosleep(&tick, NULL);
}

/* Loads `path` and the stamp that belongs to what was read. A file just changed has a stamp that
 * nobody believes, and every index would carry it for as long as this configuration is in use:
 * rather wait until the tick has passed. */
static enum conf_status snapshot_conf_read(const char *path, struct conf *out_conf,
	struct source_stamp *out_stamp, struct conf_error *out_error)
{
	struct source_stamp before;
	struct source_stamp after;
	struct conf conf;
	enum conf_status status;

	source_stamp_take(path, &before);
	for (int reads = 1;; reads++) {
		status = conf_load(path, &conf, out_error);
		if (status != CONF_OK)
			return status;
		source_stamp_take(path, &after);
		if (reads == SNAPSHOT_CONF_READS_MAX ||
			(source_stamp_same(&before, &after) && !source_stamp_is_racy(&before)))
			break;
		conf_done(&conf);
		if (source_stamp_is_racy(&after))
			snapshot_wait_tick();
		source_stamp_take(path, &before);
	}
	*out_conf = conf;
	*out_stamp = before;
	return CONF_OK;
}

enum conf_status snapshot_conf_load(
	const char *path, struct snapshot_conf *out_conf, struct conf_error *out_error)
{
	struct snapshot_conf conf = {.path = snapshot_absolute(path ? path : LEASEDNS_CONF_FILE)};
	enum conf_status status;

	if (!conf.path) {
		status = errno == ENOMEM ? CONF_E_NO_MEMORY : CONF_E_IO;
		*out_error = (struct conf_error){0};
		snprintf(out_error->message, sizeof(out_error->message), "%s", strerror(errno));
		return status;
	}
	status = snapshot_conf_read(conf.path, &conf.conf, &conf.stamp, out_error);
	if (status == CONF_E_ABSENT && !path) {
		conf.stamp = (struct source_stamp){
			.state = SOURCE_ABSENT, .observed_ns = source_clock_ns()};
		status = conf_init_defaults(&conf.conf);
	}
	if (status != CONF_OK) {
		free(conf.path);
		return status;
	}
	*out_conf = conf;
	return CONF_OK;
}

void snapshot_conf_done(struct snapshot_conf *conf)
{
	conf_done(&conf->conf);
	free(conf->path);
	conf->path = NULL;
}

struct store *snapshot_store_new(const struct snapshot_conf *conf)
{
	return store_new((const char *const *)conf->conf.lease_directories,
		conf->conf.lease_directory_count);
}

enum parser_status snapshot_settle(struct store *store, const struct snapshot_sinks *sinks)
{
	enum parser_status status;

	for (int refreshes = 1;; refreshes++) {
		status = store_refresh(store, sinks->store_event, sinks->ctx);
		if (status != PARSER_OK || !store_is_unsettled(store) ||
			refreshes == SNAPSHOT_REFRESHES_MAX)
			return status;
		snapshot_wait_tick();
	}
}

enum parser_status snapshot_build(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, int fd, const struct snapshot_sinks *sinks)
{
	struct conf_index options;
	enum parser_status status;
	int saved_errno;

	status = store_refresh(store, sinks->store_event, sinks->ctx);
	if (status != PARSER_OK)
		return status;
	status = conf_index_init(&options, &conf->conf, conf->path, &conf->stamp);
	if (status != PARSER_OK)
		return status;
	status = PARSER_E_CORRUPT;
	if (last && last->fd >= 0 && last->generation == store_generation(store))
		status = index_restamp(last->fd, store, &options.options, fd);
	if (status == PARSER_E_CORRUPT)
		status = index_build(store, &options.options, fd, sinks->index_event, sinks->ctx);
	saved_errno = errno;
	conf_index_done(&options);
	errno = saved_errno;
	return status;
}

enum parser_status snapshot_publish(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, const struct snapshot_sinks *sinks, int *out_fd)
{
	struct index_file file;
	enum parser_status status;
	int saved_errno;

	status = index_file_create(conf->conf.index_file, &file);
	if (status != PARSER_OK)
		return status;
	status = snapshot_build(conf, store, last, file.fd, sinks);
	if (status != PARSER_OK) {
		saved_errno = errno;
		index_file_discard(&file);
		errno = saved_errno;
		return status;
	}
	return index_file_publish(&file, out_fd);
}

enum parser_status snapshot_memory(const struct snapshot_conf *conf, struct store *store,
	const struct snapshot_last *last, const struct snapshot_sinks *sinks, int *out_fd)
{
	enum parser_status status;
	int saved_errno;
	int fd = memfd_create("leasedns-index", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return PARSER_E_IO;
	status = snapshot_build(conf, store, last, fd, sinks);
	/* Sealed, its mapping can neither change nor end in SIGBUS. */
	if (status == PARSER_OK &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0)
		status = PARSER_E_IO;
	if (status != PARSER_OK) {
		saved_errno = errno;
		close(fd);
		errno = saved_errno;
		return status;
	}
	*out_fd = fd;
	return PARSER_OK;
}
