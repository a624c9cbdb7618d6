#include "server/check/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "parser/freshness.h"
#include "parser/index_file.h"

/* A daemon that runs is done with a change long before. */
#define INDEX_PATIENCE_MS 1000
#define INDEX_PAUSE_MS    50

/* What an opened index says of itself. */
struct index_look {
	enum parser_status status;
	int system_error;
	enum freshness freshness;
	char changed[INDEX_META_TEXT_SIZE]; /* The source that is not as it was. */
	bool is_other_conf;
	size_t names;
};

static bool index_has_conf(const struct index_meta *meta, const struct source_stamp *stamp)
{
	for (size_t i = 0; i < meta->source_count; i++) {
		if (source_stamp_same(&meta->sources[i].stamp, stamp))
			return true;
	}
	return false;
}

static size_t index_count_names(const struct index *index)
{
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	uint32_t offset = 0;
	enum index_key_kind kind;
	struct bytes key;
	struct index_value value;
	size_t count = 0;

	while (index_entry_next(index, &offset, buffer, &kind, &key, &value) == PARSER_OK)
		count += kind == INDEX_KEY_NAME && index_record_count(&value) > 0;
	return count;
}

static void index_look(const struct check *check, const char *path, struct index_look *look)
{
	struct index_window window;
	struct index_meta meta;
	struct index index;
	int fd = -1;

	memset(look, 0, sizeof(*look));
	look->status = index_file_open(path, &fd, NULL);
	if (look->status == PARSER_OK)
		look->status = index_init_fd(&index, fd, &window);
	if (look->status == PARSER_OK)
		look->status = index_meta_init(&meta, &index);
	look->system_error = look->status == PARSER_E_IO ? errno : 0;
	if (look->status == PARSER_OK) {
		look->freshness = freshness_of(&index, look->changed);
		look->is_other_conf = !index_has_conf(&meta, &check->conf->stamp);
		look->names = index_count_names(&index);
		index_meta_done(&meta);
	}
	if (fd >= 0)
		close(fd);
}

static void index_mend_build(struct check *check)
{
	check_mend(&check->report, "systemctl restart leasedns (or, without the daemon: leasedns "
				   "index)");
}

static void index_tell_untrusted(struct check *check, const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 0;
	struct stat file = {0};
	struct stat directory = {0};
	char *parent = NULL;

	if (asprintf(&parent, "%.*s", len, path) < 0)
		return;
	if (lstat(path, &file) == 0 && stat(parent, &directory) == 0 &&
		check_find(&check->report, CHECK_INDEX_UNTRUSTED,
			"'%s' is not to be trusted: owner %u, mode %o; its directory: owner %u, "
			"mode %o",
			path, file.st_uid, file.st_mode & 07777, directory.st_uid,
			directory.st_mode & 07777)) {
		check_mend(&check->report, "chmod go-w '%s'", parent);
		if (S_ISREG(file.st_mode))
			check_mend(&check->report, "chown %u '%s'; chmod 644 '%s'",
				directory.st_uid, path, path);
		else
			check_mend(&check->report, "rm '%s', which is no regular file", path);
		index_mend_build(check);
	}
	free(parent);
}

static void index_tell_failure(struct check *check, const char *path, const struct index_look *look)
{
	const char *reason =
		look->system_error ? strerror(look->system_error) : parser_strerror(look->status);

	if (look->status == PARSER_E_ABSENT) {
		if (!check_find(&check->report, CHECK_INDEX_MISSING, "there is no '%s'", path))
			return;
		check_mend(&check->report, "systemctl enable --now leasedns (or, without the "
					   "daemon: leasedns index)");
	} else if (look->status == PARSER_E_UNTRUSTED) {
		index_tell_untrusted(check, path);
	} else if (check_find(&check->report, CHECK_INDEX_UNUSABLE, "'%s' cannot be used: %s", path,
			   reason)) {
		check_mend(&check->report, "rm '%s'", path);
		index_mend_build(check);
	}
}

static void index_tell_state(struct check *check, const char *path, const struct index_look *look)
{
	if (look->freshness != FRESHNESS_FRESH) {
		if (check_find(&check->report, CHECK_INDEX_STALE,
			    "'%s' is older than what it was built from: '%s' changed", path,
			    look->changed))
			index_mend_build(check);
	} else if (look->is_other_conf) {
		if (check_find(&check->report, CHECK_INDEX_OTHER_CONF,
			    "'%s' was built with another configuration than '%s'", path,
			    check->conf->path))
			index_mend_build(check);
	} else {
		check_fact(&check->report, "index", "%s: fresh, %zu name%s", path, look->names,
			look->names == 1 ? "" : "s");
	}
}

/* NSS modules are compiled for one place each. */
static void index_tell_places(struct check *check)
{
	const char *path = check->conf->conf.index_file;

	if (strcmp(path, check->host->module_index) != 0 &&
		check_find(&check->report, CHECK_INDEX_ELSEWHERE,
			"the index is '%s', but NSS modules look for '%s'", path,
			check->host->module_index))
		check_mend(&check->report, "remove the line 'file = %s' below [index] from '%s'",
			path, check->conf->path);
	if (strcmp(check->conf->path, check->host->module_conf) != 0 &&
		check_find(&check->report, CHECK_CONF_ELSEWHERE,
			"this is about '%s', but NSS modules read '%s'", check->conf->path,
			check->host->module_conf))
		check_mend(&check->report, "put the configuration into '%s'",
			check->host->module_conf);
}

void check_index(struct check *check)
{
	const char *path = check->conf->conf.index_file;
	struct index_look look;

	for (int waited_ms = 0;; waited_ms += INDEX_PAUSE_MS) {
		const struct timespec pause = {.tv_nsec = INDEX_PAUSE_MS * 1000000L};

		index_look(check, path, &look);
		if (look.status != PARSER_OK || look.freshness == FRESHNESS_FRESH ||
			waited_ms >= INDEX_PATIENCE_MS)
			break;
		nanosleep(&pause, NULL);
	}
	if (look.status == PARSER_OK)
		index_tell_state(check, path, &look);
	else
		index_tell_failure(check, path, &look);
	if (look.status != PARSER_OK && check->leases_unseen &&
		check_find(&check->report, CHECK_LEASES_UNREADABLE,
			"this user may read neither the lease files nor the index"))
		check_mend(&check->report, "systemctl enable --now leasedns");
	index_tell_places(check);
}
