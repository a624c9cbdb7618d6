#include "server/check/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf_endpoint.h"
#include "server/net/port_holder.h"

/* Between a change of the lease files and its answer. */
#define DAEMON_SETTLE_MS 500

/* It is the daemon, or its sockets wait for it. */
static bool daemon_holds(const char *holder)
{
	return strstr(holder, "'leasedns'") || strstr(holder, "'systemd'");
}

/* The address that nobody else is likely to have. */
static const struct conf_endpoint daemon_spare = {
	.family = 4, .octets = {127, 0, 0, 57}, .port = 53};

static void daemon_mend_taken(struct check *check, const char *how)
{
	struct check_report *report = &check->report;

	check_mend(report, "%s; then systemctl restart leasedns", how);
	if (check->is_activated) {
		check_mend(report, "or choose another address:");
		check_mend_socket(check, &daemon_spare);
		return;
	}
	check_mend(report, "or choose another address: [server] listen = 127.0.0.57 in '%s'",
		check->conf->path);
}

static void daemon_tell_silent(struct check *check, const char *where, const char *holder)
{
	struct check_report *report = &check->report;
	uid_t uid;

	if (!holder[0]) {
		if (!check_find(report, CHECK_DAEMON_NOT_RUNNING, "nobody answers at %s", where))
			return;
		check_mend(report, "systemctl enable --now leasedns");
		check_mend(report, "if that fails: journalctl -u leasedns");
		if (geteuid() != 0)
			check_unseen(check, "which program has the port");
		return;
	}
	if (!daemon_holds(holder)) {
		if (check_find(report, CHECK_PORT_TAKEN, "%s is taken by %s, which does not answer",
			    where, holder))
			daemon_mend_taken(check, "stop it");
		return;
	}
	/* It just told where it answers. */
	if (check->listen_is_told) {
		if (!check_find(report, CHECK_DAEMON_SILENT, "%s runs, but no answer comes from %s",
			    holder, where))
			return;
		check_mend(report, "nft list ruleset: does a firewall drop port 53 of %s?", where);
		check_mend(report, "ip link set lo up, if 'ip link show lo' does not say UP");
		return;
	}
	if (check_find(report, CHECK_DAEMON_SILENT, "%s at %s does not answer", holder, where)) {
		if (check->is_activated &&
			check_probe_user(check->host->daemon_user, &uid) == CHECK_USER_ABSENT)
			check_mend(report, "systemd-sysusers: there is no user '%s'",
				check->host->daemon_user);
		check_mend(report, "systemctl status leasedns; journalctl -u leasedns");
		check_mend(report, "systemctl restart leasedns");
	}
}

/* Somebody answered, but not with our SOA. */
static void daemon_tell_other(struct check *check, const struct check_question *question,
	const char *where, const char *holder)
{
	struct check_report *report = &check->report;
	char word[CHECK_DNS_WORD_SIZE];

	check_dns_word(question, word);
	if (daemon_holds(holder)) {
		if (!check_find(report, CHECK_DAEMON_OTHER_ZONE, "%s at %s does not serve '%s': %s",
			    holder, where, check_zone(check), word))
			return;
		check_mend(report, "systemctl reload leasedns");
		return;
	}
	if (!check_find(report, CHECK_PORT_TAKEN, "%s is taken by %s, which does not know '%s': %s",
		    where, holder[0] ? holder : "another program", check_zone(check), word))
		return;
	daemon_mend_taken(check,
		"stop it, or keep it off that address (dnsmasq: bind-interfaces and "
		"except-interface=lo)");
}

static void daemon_look(struct check *check, size_t position)
{
	const struct check_listen *listen = &check->listen[position];
	const struct check_question *question = &check->asked.daemon[position];
	char holder[PORT_HOLDER_TEXT_SIZE];
	char where[CONF_ENDPOINT_TEXT_SIZE];

	conf_endpoint_format(&listen->endpoint, where);
	/* Without UDP there: that was said. */
	if (check->listen_is_told && !listen->has_udp)
		return;
	if (question->has_replied && check_dns_is_ours(question, check_zone(check))) {
		check->daemon_answers = true;
		check_fact(
			&check->report, "daemon", "%s answers for '%s'", where, check_zone(check));
		return;
	}
	port_holder_format(&listen->endpoint, false, holder);
	if (question->has_replied)
		daemon_tell_other(check, question, where, holder);
	else
		daemon_tell_silent(check, where, holder);
}

/* The addresses that the lease files give for the name of a question. */
static void daemon_expect(const struct check *check, const struct check_question *question,
	struct check_addresses *out_expected)
{
	size_t len = strlen(question->name) - strlen(check_zone(check)) - 1;
	struct bytes name = {(const uint8_t *)question->name, len};
	uint8_t family = question->type == DNS_TYPE_AAAA ? ADDRESS_IPV6 : ADDRESS_IPV4;

	memset(out_expected, 0, sizeof(*out_expected));
	for (size_t i = 0; i < check->listing.count; i++) {
		const struct listing_row *row = &check->listing.rows[i];

		if (row->address.family == family && bytes_equal_fold(row->name, name))
			check_addresses_add(out_expected, &row->address);
	}
}

static bool daemon_agrees(const struct check *check, const struct check_question *question)
{
	struct check_addresses expected;

	/* Silence is told elsewhere. */
	if (!question->has_replied)
		return true;
	daemon_expect(check, question, &expected);
	return expected.count == CHECK_ADDRESSES_MAX ||
	       check_addresses_same(&expected, &question->addresses);
}

/* The first name of which the daemon says something else, or NULL. */
static const struct check_question *daemon_find_difference(const struct check *check)
{
	for (size_t i = 0; i < check->asked.compared_count; i++) {
		if (!daemon_agrees(check, &check->asked.compared[i]))
			return &check->asked.compared[i];
	}
	return NULL;
}

/* A directory of leases that leasedns.service keeps from the daemon, or NULL. */
static const char *daemon_find_hidden(const struct check *check)
{
	static const char *const seen[] = {"/usr/", "/etc/", "/run/", "/var/lib/"};
	const struct conf *conf = &check->conf->conf;

	for (size_t i = 0; check->is_activated && i < conf->lease_directory_count; i++) {
		const char *directory = conf->lease_directories[i];
		bool is_seen = false;

		for (size_t k = 0; k < sizeof(seen) / sizeof(seen[0]); k++)
			is_seen = is_seen || strncmp(directory, seen[k], strlen(seen[k])) == 0;
		if (!is_seen)
			return directory;
	}
	return NULL;
}

/* True if that was said. */
static bool daemon_tell_hidden(struct check *check)
{
	const char *hidden = daemon_find_hidden(check);

	if (!hidden)
		return false;
	if (check_find(&check->report, CHECK_LEASES_HIDDEN_FROM_DAEMON,
		    "leasedns.service sees /usr, /etc, /run and /var/lib only, and the leases are "
		    "in '%s'",
		    hidden)) {
		check_mend(&check->report, "systemctl edit leasedns, and write");
		check_mend(&check->report, "    [Service]");
		check_mend(&check->report, "    BindReadOnlyPaths=%s", hidden);
		check_mend(&check->report, "systemctl restart leasedns");
	}
	return true;
}

static void daemon_compare(struct check *check)
{
	const struct timespec pause = {.tv_nsec = DAEMON_SETTLE_MS * 1000000L};
	const struct check_question *other = daemon_find_difference(check);
	char said[CHECK_ADDRESSES_TEXT_SIZE];
	char right[CHECK_ADDRESSES_TEXT_SIZE];
	struct check_question again;
	struct check_addresses expected;

	if (!other)
		return;
	/* A lease may have come just now. */
	again = *other;
	again.has_replied = false;
	again.addresses.count = 0;
	nanosleep(&pause, NULL);
	check_dns_ask(&again, 1);
	if (daemon_agrees(check, &again))
		return;
	if (daemon_tell_hidden(check))
		return;
	daemon_expect(check, &again, &expected);
	check_addresses_format(&again.addresses, said);
	check_addresses_format(&expected, right);
	if (!check_find(&check->report, CHECK_DAEMON_INDEX_DIFFERS,
		    "asked for %s the daemon says: %s; the lease files say: %s", again.name, said,
		    right))
		return;
	check_mend(&check->report, "systemctl restart leasedns");
}

/* resolv.conf knows addresses only. */
static void daemon_tell_port(struct check *check)
{
	static const struct conf_endpoint usual = {
		.family = 4, .octets = {127, 0, 0, 56}, .port = 53};

	if (!check_find(&check->report, CHECK_DAEMON_PORT,
		    "the daemon is not on port 53, but on %u", check->listen[0].endpoint.port))
		return;
	if (check->is_activated)
		check_mend_socket(check, &usual);
	else
		check_mend(&check->report, "write [server] listen = 127.0.0.56 in '%s'",
			check->conf->path);
}

void check_daemon(struct check *check)
{
	bool has_port_53 = false;

	if (!check->asked.all)
		return;
	for (size_t i = 0; i < check->listen_count; i++) {
		daemon_look(check, i);
		has_port_53 = has_port_53 || check->listen[i].endpoint.port == 53;
	}
	if (!has_port_53)
		daemon_tell_port(check);
	if (check->asked.compared_count > 0 &&
		check_dns_is_ours(&check->asked.daemon[0], check_zone(check)))
		daemon_compare(check);
}
