#include "server/check/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/support/log.h"

/* What went wrong while the files were read ------------------------------------------------- */

/* A user that may not read them can still have names: from the index. */
static bool leases_is_unseen(struct check *check, const struct store_event *event)
{
	if (geteuid() == 0 || event->system_error != EACCES)
		return false;
	check->leases_unseen = true;
	return true;
}

static void leases_on_failed(struct check *check, const struct store_event *event)
{
	const char *reason = event->system_error ? strerror(event->system_error)
						 : parser_strerror(event->status);

	if (leases_is_unseen(check, event))
		return;
	if (!event->format || event->system_error) {
		if (check_find(&check->report, CHECK_LEASES_UNREADABLE, "'%s' cannot be read: %s",
			    event->path, reason))
			check_mend(&check->report, "ls -ld '%s'", event->path);
		return;
	}
	if (check_find(&check->report, CHECK_LEASES_FILE_BAD, "%s '%s', line %zu: %s",
		    event->format->name, event->path, event->report.line, reason))
		check_mend(&check->report,
			"libvirt writes it anew when its network is restarted (virsh net-destroy, "
			"virsh net-start)");
}

static void leases_on_event(void *ctx, const struct store_event *event)
{
	struct check *check = ctx;

	switch (event->kind) {
	case STORE_EVENT_DIRECTORY_ABSENT:
		if (check_find(&check->report, CHECK_LEASES_MISSING, "there is no directory '%s'",
			    event->path)) {
			check_mend(&check->report, "install libvirt and start a network: virsh "
						   "net-start default");
			check_mend(&check->report,
				"or, if libvirt keeps its leases elsewhere, set [leases] libvirt "
				"in '%s'",
				check->conf->path);
		}
		break;
	case STORE_EVENT_DIRECTORY_FAILED:
	case STORE_EVENT_FILE_FAILED:
		leases_on_failed(check, event);
		break;
	case STORE_EVENT_RECORDS_SKIPPED:
		check_find(&check->report, CHECK_LEASES_RECORD_BAD,
			"%s '%s', line %zu: %s; %zu skipped, %zu read", event->format->name,
			event->path, event->report.line, format_defect_text(event->report.defect),
			event->report.skipped, event->report.records);
		break;
	case STORE_EVENT_FILE_RECOVERED:
	case STORE_EVENT_DIRECTORY_FOUND:
		break;
	}
}

static void leases_on_index_event(void *ctx, const struct index_event *event)
{
	check_names_add_event(ctx, event);
}

/* What is there ----------------------------------------------------------------------------- */

/* Is it a place where libvirt ever wrote? It keeps its dnsmasq's configuration there too. */
static bool leases_is_foreign(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool has_any = false;
	bool has_ours = false;

	if (!directory)
		return false;
	while ((entry = readdir(directory))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (entry->d_name[0] == '.')
			continue;
		has_any = true;
		has_ours = has_ours || format_find(entry->d_name) ||
			   (dot && strcmp(dot, ".conf") == 0);
	}
	closedir(directory);
	return has_any && !has_ours;
}

static size_t leases_count_live(const struct store_file *file, int64_t now_unix_s, size_t *ended)
{
	size_t live = 0;

	for (size_t i = 0; i < file->record_count; i++) {
		const struct record *record = &file->records[i];

		if (record->kind != RECORD_LEASE)
			continue;
		if (index_is_alive(0, record->expires_unix_s, now_unix_s))
			live++;
		else
			(*ended)++;
	}
	return live;
}

/* The bridge of a network that runs is an interface of this host. */
static void leases_look_for_bridge(
	struct check *check, const struct store_directory *directory, const struct store_file *file)
{
	char bridge[LOG_ESCAPED_SIZE];
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%.*s", check->host->interfaces, (int)file->stem.len,
		(const char *)file->stem.ptr);
	if (stat(check->host->interfaces, &st) < 0 || lstat(path, &st) == 0 || errno != ENOENT)
		return;
	log_escape(file->stem, bridge);
	if (!check_find(&check->report, CHECK_LEASES_STALE_NETWORK,
		    "there is no interface '%s', but '%s/%s' still has living leases", bridge,
		    directory->path, file->name))
		return;
	check_mend(&check->report, "start its network (virsh net-list --all; virsh net-start "
				   "NETWORK)");
	check_mend(&check->report, "or, if it is gone for good: rm '%s/%s'", directory->path,
		file->name);
}

static void leases_look_at_directory(struct check *check, const struct store_directory *directory)
{
	size_t networks = 0;
	size_t live_here = 0;

	for (size_t i = 0; i < directory->file_count; i++) {
		const struct store_file *file = directory->files[i];
		size_t live = leases_count_live(file, check->now_unix_s, &check->ended_count);

		if (!file->format->holds_leases)
			continue;
		networks++;
		live_here += live;
		if (live > 0)
			leases_look_for_bridge(check, directory, file);
	}
	check->network_count += networks;
	check->lease_count += live_here;
	if (directory->file_count > 0) {
		check_fact(&check->report, "leases", "%s: %zu network%s, %zu living lease%s",
			directory->path, networks, networks == 1 ? "" : "s", live_here,
			live_here == 1 ? "" : "s");
	} else if (leases_is_foreign(directory->path)) {
		if (check_find(&check->report, CHECK_LEASES_FOREIGN,
			    "nothing in '%s' is a file of libvirt's networks", directory->path))
			check_mend(&check->report,
				"set [leases] libvirt = /var/lib/libvirt/dnsmasq in '%s'",
				check->conf->path);
	} else if (directory->stamp.state == SOURCE_DIRECTORY && !check->leases_unseen &&
		   !check_report_has(&check->report, CHECK_LEASES_UNREADABLE) &&
		   check_find(
			   &check->report, CHECK_LEASES_EMPTY, "'%s' is empty", directory->path)) {
		check_mend(&check->report, "start a network: virsh net-start default");
	}
}

/* The daemon gives up root to this user. */
static void leases_look_as_daemon(struct check *check, const char *directory)
{
	struct check_access access = {0};
	uid_t uid = 0;

	if (check_probe_user(check->host->daemon_user, &uid) != CHECK_USER_FOUND || uid == 0)
		return;
	if (!check_probe_access(uid, directory, &access)) {
		check_unseen(check, "whether the daemon's user may read the leases");
		return;
	}
	if (access.system_error == 0 || access.system_error == ENOENT)
		return;
	if (!check_find(&check->report, CHECK_LEASES_UNREADABLE_FOR_DAEMON,
		    "'%s' cannot be %s by user '%s', whom the daemon becomes: %s", access.path,
		    access.is_above ? "passed" : "read", check->host->daemon_user,
		    strerror(access.system_error)))
		return;
	check_mend(&check->report, "chmod %s '%s'", access.is_above ? "o+x" : "o+rX", access.path);
	check_mend(&check->report, "systemctl restart leasedns");
}

/* Samples ----------------------------------------------------------------------------------- */

static void leases_sample(struct check_sample *sample, const struct listing_row *row)
{
	/* Of our own name server nothing is learned about guests; text stays text. */
	if (sample->is_set || row->address.family == ADDRESS_NONE || !row->dns_name ||
		row->name.len >= sizeof(sample->name) || memchr(row->name.ptr, '.', row->name.len))
		return;
	for (size_t i = 0; i < row->name.len; i++) {
		if (row->name.ptr[i] <= ' ' || row->name.ptr[i] > '~' ||
			strchr("\\\"()@;$'", row->name.ptr[i]))
			return;
	}
	memcpy(sample->name, row->name.ptr, row->name.len);
	sample->name[row->name.len] = '\0';
	sample->address = row->address;
	sample->is_set = true;
}

static void leases_gather_names(struct check *check)
{
	struct snapshot_sinks sinks = {
		.store_event = leases_on_event, .index_event = leases_on_index_event, .ctx = check};

	enum parser_status status =
		check->leases_unseen
			? names_source_open(check->conf, &sinks, NAMES_ACCESS_WALK, &check->names)
			: names_source_build(check->conf, check->store, &sinks, &check->names);

	if (status != PARSER_OK)
		return;
	check->has_names = true;
	if (listing_gather(&check->listing, &check->names.index, &check->names.meta,
		    LISTING_SCOPE_LIVE, check->now_unix_s) != PARSER_OK)
		check->report.no_memory = true;
	for (size_t i = 0; i < check->listing.count; i++) {
		const struct listing_row *row = &check->listing.rows[i];

		leases_sample(&check->sample, row);
		if (row->kind == INDEX_KIND_HOSTNAME)
			leases_sample(&check->hostname, row);
		if (row->kind == INDEX_KIND_GUEST)
			leases_sample(&check->guest, row);
	}
}

void check_leases(struct check *check)
{
	const struct conf *conf = &check->conf->conf;
	struct snapshot_sinks sinks = {.store_event = leases_on_event, .ctx = check};
	const struct store_directory *directories;
	size_t count = 0;

	check->store = snapshot_store_new(check->conf);
	if (!check->store || snapshot_settle(check->store, &sinks) != PARSER_OK) {
		check->report.no_memory = true;
		return;
	}
	directories = store_directories(check->store, &count);
	for (size_t i = 0; i < count; i++)
		leases_look_at_directory(check, &directories[i]);
	if (check->leases_unseen)
		check_unseen(check, "all lease files");
	for (size_t i = 0; i < conf->lease_directory_count; i++)
		leases_look_as_daemon(check, conf->lease_directories[i]);
	if (check->lease_count == 0 && check->ended_count > 0)
		check_find(&check->report, CHECK_LEASES_ENDED,
			"all %zu leases that are known have ended", check->ended_count);
	leases_gather_names(check);
}
