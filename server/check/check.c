#include "server/check/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_file.h"
#include "server/forward/resolv_conf.h"
#include "server/support/privileges.h"

const struct check_host check_host_default = {
	.nsswitch_path = "/etc/nsswitch.conf",
	.resolv_conf_path = RESOLV_CONF_FILE,
	.hosts_path = "/etc/hosts",
	.nscd_conf_path = "/etc/nscd.conf",
	.nscd_socket = "/run/nscd/socket",
	.interfaces = "/sys/class/net",
	.daemon_user = PRIVILEGES_USER,
	.module_index = LEASEDNS_INDEX_FILE,
	.module_conf = LEASEDNS_CONF_FILE,
	.systemd = "/run/systemd/system",
	.units = {"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
		"/lib/systemd/system"},
};

/* Each may use what those before it found out. */
static void (*const check_steps[])(struct check *check) = {
	check_leases,
	check_index,
	check_files,
	check_listen,
	check_ask,
	check_daemon,
	check_resolv,
	check_nsswitch,
	check_upstream,
	check_zones,
	check_clones,
	check_names,
	check_trace,
};

void check_run(const struct check_host *host, const struct snapshot_conf *conf, const char *wanted,
	int64_t now_unix_s, struct check *out_check)
{
	struct check *check = out_check;
	bool has_way;

	memset(check, 0, sizeof(*check));
	check->host = host;
	check->conf = conf;
	check->wanted = wanted;
	check->now_unix_s = now_unix_s;
	check->names.fd = -1;
	for (size_t i = 0; i < sizeof(check_steps) / sizeof(check_steps[0]); i++)
		check_steps[i](check);
	has_way = check->names_resolve;
	check_report_settle(&check->report, has_way);
	check->names_resolve = check_report_count(&check->report, CHECK_ERROR) == 0;
}

void check_done(struct check *check)
{
	for (size_t i = 0; i < check->step_count; i++) {
		free(check->steps[i].name);
		free(check->steps[i].answer);
	}
	free(check->asked.all);
	listing_done(&check->listing);
	if (check->has_names)
		names_source_done(&check->names);
	store_free(check->store);
	check_report_done(&check->report);
}

void check_unseen(struct check *check, const char *what)
{
	if (check_find(&check->report, CHECK_NOT_SEEN, "not looked at: %s", what))
		check_mend(&check->report, "run 'leasedns check' as root");
}

const char *check_zone(const struct check *check)
{
	return check->conf->conf.zones[0];
}

int check_read(const char *path, char **out_text, size_t *out_len)
{
	struct conf_error unused;

	switch (conf_file_read(path, out_text, out_len, &unused)) {
	case CONF_OK:
		return 0;
	case CONF_E_ABSENT:
		return ENOENT;
	case CONF_E_IO:
		return errno ? errno : EIO;
	case CONF_E_NO_MEMORY:
	case CONF_E_SYNTAX:
	case CONF_E_KEY:
	case CONF_E_VALUE:
		break;
	}
	return ENOMEM;
}

size_t check_module_in_use(const struct check *check)
{
	size_t i = 0;

	while (i < check->line.count &&
		!(check_nss_is_ours(check->line.services[i].name) && check->modules[i].is_loaded))
		i++;
	return i;
}

void check_verdict(const struct check *check, char out_text[CHECK_VERDICT_SIZE])
{
	const struct check_report *report = &check->report;
	size_t errors = check_report_count(report, CHECK_ERROR);
	size_t warnings = check_report_count(report, CHECK_WARNING);
	size_t notes = check_report_count(report, CHECK_NOTE);
	char subject[256] = "Names";

	if (check->step_count > 0)
		snprintf(subject, sizeof(subject), "%.200s", check->steps[0].name);
	snprintf(out_text, CHECK_VERDICT_SIZE, "%s %s: %zu error%s, %zu warning%s, %zu note%s.",
		subject,
		check->step_count > 0 ? errors ? "does not resolve as it should" : "resolves"
		: errors              ? "would not resolve"
				      : "resolve",
		errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s", notes,
		notes == 1 ? "" : "s");
}
