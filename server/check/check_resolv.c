#include "server/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_endpoint.h"

/* MAXNS of <resolv.h>: glibc asks no others. */
#define RESOLV_SERVERS_ASKED 3u

/* What a name server is to us. */
enum resolv_leads {
	RESOLV_SILENT,
	RESOLV_DECLINES,  /* It answers with an error, and glibc asks the next one. */
	RESOLV_ELSEWHERE, /* It answers, but does not know our zone: glibc is content. */
	RESOLV_HERE,      /* It is leasedns, or asks it. */
	RESOLV_DISBELIEVES,
};

static enum resolv_leads resolv_leads(const struct check *check, size_t i)
{
	const struct check_question *question = &check->asked.resolver[i];

	if (check_dns_is_ours(question, check_zone(check)))
		return RESOLV_HERE;
	if (check_dns_is_ours(&check->asked.unchecked[i], check_zone(check)))
		return RESOLV_DISBELIEVES;
	if (!question->has_replied)
		return RESOLV_SILENT;
	return question->rcode == DNS_RCODE_NOERROR || question->rcode == DNS_RCODE_NXDOMAIN
		       ? RESOLV_ELSEWHERE
		       : RESOLV_DECLINES;
}

static size_t resolv_asked_count(const struct check *check)
{
	size_t count = check->resolver.count;

	return count < RESOLV_SERVERS_ASKED ? count : RESOLV_SERVERS_ASKED;
}

static size_t resolv_count(const struct check *check, enum resolv_leads wanted)
{
	size_t count = 0;

	for (size_t i = 0; i < resolv_asked_count(check); i++)
		count += resolv_leads(check, i) == wanted;
	return count;
}

static const char *resolv_text(
	const struct check *check, size_t i, char out_text[CONF_ENDPOINT_TEXT_SIZE])
{
	conf_endpoint_format(&check->resolver.servers[i], out_text);
	return out_text;
}

/* systemd-resolved's own addresses. */
static bool resolv_is_resolved(const struct conf_endpoint *server)
{
	return server->family == 4 && server->port == 53 &&
	       (memcmp(server->octets, (uint8_t[]){127, 0, 0, 53}, 4) == 0 ||
		       memcmp(server->octets, (uint8_t[]){127, 0, 0, 54}, 4) == 0);
}

/* "nameserver 127.0.0.56" and "[Resolve]\nDNS=": where others are to ask us. */
static void resolv_our_address(const struct check *check, char out_text[CONF_ENDPOINT_TEXT_SIZE])
{
	struct conf_endpoint us = check_our_address(check);

	conf_endpoint_format(&us, out_text);
}

/* dnsmasq has its own way to write a port. */
static void resolv_dnsmasq_address(
	const struct check *check, char out_text[CONF_ENDPOINT_TEXT_SIZE + sizeof("#65535")])
{
	struct conf_endpoint us = check_our_address(check);
	unsigned port = us.port;

	us.port = 53;
	conf_endpoint_format(&us, out_text);
	if (port != 53)
		sprintf(out_text + strlen(out_text), "#%u", port);
}

static void resolv_mend_resolved(struct check *check)
{
	char us[CONF_ENDPOINT_TEXT_SIZE];
	bool is_zone = strcmp(check_zone(check), "libvirt") == 0;
	bool is_address;

	resolv_our_address(check, us);
	is_address = strcmp(us, "127.0.0.56") == 0;
	check_mend(&check->report, "systemctl enable --now leasedns-resolved (from "
				   "contrib/resolvers)");
	if (is_zone && is_address)
		return;
	check_mend(&check->report, "before that, systemctl edit leasedns-resolved, and write");
	check_mend(&check->report, "    [Service]");
	/* Of the reverse zones, the unit's own may be as right as it was. */
	if (!is_zone)
		check_mend(&check->report,
			"    Environment=\"DOMAINS=~%s ~122.168.192.in-addr.arpa\"",
			check_zone(check));
	if (!is_address)
		check_mend(&check->report, "    Environment=\"SERVER=%s\"", us);
}

/* leasedns as the only server. */
static void resolv_mend_alone(struct check *check, const char * or)
{
	char us[CONF_ENDPOINT_TEXT_SIZE];

	resolv_our_address(check, us);
	check_mend(&check->report,
		"%slet leasedns answer all: [forward] upstream = ADDRESSES in '%s', then "
		"'nameserver %s' in %s",
		or, check->conf->path, us, check->host->resolv_conf_path);
}

/* There is none to tell of us. */
static void resolv_tell_none(struct check *check)
{
	char target[512];
	ssize_t len = readlink(check->host->resolv_conf_path, target, sizeof(target) - 1);
	bool is_dangling = len > 0 && access(check->host->resolv_conf_path, F_OK) < 0;

	target[len > 0 ? len : 0] = '\0';
	if (!check_find(&check->report, CHECK_RESOLVER_NONE, "%s names no server%s%s",
		    check->host->resolv_conf_path,
		    is_dangling ? ": it is a link, and there is no " : "",
		    is_dangling ? target : ""))
		return;
	if (is_dangling && strstr(target, "/systemd/resolve/"))
		check_mend(&check->report, "systemctl enable --now systemd-resolved, or");
	if (check_our_address(check).port == 53)
		resolv_mend_alone(check, "");
	else
		check_mend(&check->report, "write 'nameserver ADDRESS' into %s",
			check->host->resolv_conf_path);
}

static void resolv_mend_others(struct check *check)
{
	char dnsmasq[CONF_ENDPOINT_TEXT_SIZE + sizeof("#65535")];
	char us[CONF_ENDPOINT_TEXT_SIZE];

	resolv_our_address(check, us);
	resolv_dnsmasq_address(check, dnsmasq);
	check_mend(&check->report,
		"let that server ask %s for '%s' (dnsmasq: server=/%s/%s; more in "
		"contrib/resolvers)",
		us, check_zone(check), check_zone(check), dnsmasq);
	if (check_our_address(check).port == 53)
		resolv_mend_alone(check, "or ");
}

static void resolv_tell_elsewhere(struct check *check, size_t i)
{
	char server[CONF_ENDPOINT_TEXT_SIZE];
	char word[CHECK_DNS_WORD_SIZE];

	resolv_text(check, i, server);
	check_dns_word(&check->asked.resolver[i], word);
	if (resolv_is_resolved(&check->resolver.servers[i])) {
		if (check_find(&check->report, CHECK_RESOLVED_NO_ROUTE,
			    "systemd-resolved (%s) does not ask leasedns for '%s': %s", server,
			    check_zone(check), word))
			resolv_mend_resolved(check);
		return;
	}
	if (check_find(&check->report, CHECK_RESOLVER_NOT_US,
		    "name server %s does not know '%s': %s", server, check_zone(check), word))
		resolv_mend_others(check);
}

static void resolv_tell_disbelief(struct check *check, size_t i)
{
	char server[CONF_ENDPOINT_TEXT_SIZE];

	if (!check_find(&check->report, CHECK_RESOLVER_DNSSEC,
		    "name server %s gets answers for '%s', but validates them by DNSSEC: SERVFAIL",
		    resolv_text(check, i, server), check_zone(check)))
		return;
	check_mend(&check->report, "unbound: domain-insecure: \"%s\"", check_zone(check));
	check_mend(&check->report, "systemd-resolved: contrib/resolvers/libvirt.negative in "
				   "/etc/dnssec-trust-anchors.d");
	check_mend(&check->report, "BIND: validate-except { \"%s\"; };", check_zone(check));
}

static void resolv_tell_rebind(struct check *check, size_t i)
{
	const struct check_question *passed = check->asked.passed ? &check->asked.passed[i] : NULL;
	char server[CONF_ENDPOINT_TEXT_SIZE];
	char word[CHECK_DNS_WORD_SIZE];

	if (!passed || !passed->has_replied || passed->addresses.count > 0 ||
		check_report_has(&check->report, CHECK_DAEMON_INDEX_DIFFERS) ||
		check_report_has(&check->report, CHECK_LEASES_HIDDEN_FROM_DAEMON))
		return;
	if (!check_find(&check->report, CHECK_RESOLVER_REBIND,
		    "name server %s knows '%s', but gives no address of %s: %s",
		    resolv_text(check, i, server), check_zone(check), passed->name,
		    check_dns_word(passed, word)))
		return;
	check_mend(&check->report, "dnsmasq: rebind-domain-ok=/%s/", check_zone(check));
	check_mend(&check->report, "unbound: private-domain: \"%s\"", check_zone(check));
}

/* Who wrote it took [server] listen for where we are. */
static bool resolv_was_to_be_us(const struct check *check, const struct conf_endpoint *server)
{
	const struct conf *conf = &check->conf->conf;

	for (size_t i = 0; i < conf->listen_count; i++) {
		if (conf_endpoint_equal(&conf->listen[i], server))
			return true;
	}
	return false;
}

static void resolv_tell_silent(struct check *check, size_t i)
{
	char server[CONF_ENDPOINT_TEXT_SIZE];
	char us[CONF_ENDPOINT_TEXT_SIZE];

	/* If it is us, the daemon is what is wrong, and that was said. */
	if (check_is_us(check, &check->resolver.servers[i]))
		return;
	if (!check_find(&check->report, CHECK_RESOLVER_SILENT, "name server %s does not answer",
		    resolv_text(check, i, server)))
		return;
	if (check->listen_is_told && resolv_was_to_be_us(check, &check->resolver.servers[i])) {
		resolv_our_address(check, us);
		check_mend(&check->report, "leasedns answers at %s: write 'nameserver %s' in %s",
			us, us, check->host->resolv_conf_path);
		return;
	}
	if (resolv_is_resolved(&check->resolver.servers[i]))
		check_mend(&check->report, "systemctl enable --now systemd-resolved (and no "
					   "DNSStubListener=no in its configuration), or");
	check_mend(&check->report, "remove or replace it in %s", check->host->resolv_conf_path);
}

static void resolv_tell_mixed(struct check *check)
{
	char server[CONF_ENDPOINT_TEXT_SIZE] = "";

	for (size_t i = 0; i < resolv_asked_count(check) && !server[0]; i++) {
		if (resolv_leads(check, i) == RESOLV_ELSEWHERE)
			resolv_text(check, i, server);
	}
	if (!check_find(&check->report, CHECK_RESOLVER_MIXED,
		    "of the name servers in %s, some know '%s', %s does not",
		    check->host->resolv_conf_path, check_zone(check), server))
		return;
	check_mend(&check->report, "remove 'nameserver %s' from %s", server,
		check->host->resolv_conf_path);
}

static void resolv_look_at_servers(struct check *check)
{
	size_t here = resolv_count(check, RESOLV_HERE);
	bool has_first = false;

	for (size_t i = 0; i < resolv_asked_count(check); i++) {
		enum resolv_leads leads = resolv_leads(check, i);
		char server[CONF_ENDPOINT_TEXT_SIZE];

		switch (leads) {
		case RESOLV_SILENT:
			resolv_tell_silent(check, i);
			break;
		case RESOLV_DECLINES:
		case RESOLV_ELSEWHERE:
			if (here == 0)
				resolv_tell_elsewhere(check, i);
			break;
		case RESOLV_DISBELIEVES:
			resolv_tell_disbelief(check, i);
			break;
		case RESOLV_HERE:
			check_fact(&check->report, "resolver", "%s %s",
				resolv_text(check, i, server),
				check_is_us(check, &check->resolver.servers[i])
					? "is leasedns"
					: "asks leasedns for its zone");
			resolv_tell_rebind(check, i);
			break;
		}
		if (!has_first && (leads == RESOLV_HERE || leads == RESOLV_ELSEWHERE)) {
			has_first = true;
			check->dns_leads_here = leads == RESOLV_HERE;
		}
	}
	if (here > 0 && resolv_count(check, RESOLV_ELSEWHERE) > 0)
		resolv_tell_mixed(check);
}

static void resolv_look_beyond(struct check *check)
{
	char server[CONF_ENDPOINT_TEXT_SIZE];

	for (size_t i = RESOLV_SERVERS_ASKED; i < check->resolver.count; i++) {
		if (resolv_leads(check, i) == RESOLV_HERE &&
			check_find(&check->report, CHECK_RESOLVER_BEYOND_THIRD,
				"name server %s knows our zone, but stands behind three others",
				resolv_text(check, i, server)))
			check_mend(&check->report, "move it to the top of %s",
				check->host->resolv_conf_path);
	}
}

static void resolv_look_at_search(struct check *check)
{
	const struct check_search *search = &check->resolver.search;
	unsigned dots = 1;

	for (const char *at = check_zone(check); *at; at++)
		dots += *at == '.';
	if (search->count > 0 && search->ndots > dots &&
		check_find(&check->report, CHECK_NDOTS_HIGH,
			"%s says ndots:%u, and vm.%s has %u dot%s", check->host->resolv_conf_path,
			search->ndots, check_zone(check), dots, dots == 1 ? "" : "s"))
		check_mend(&check->report, "write options ndots:1 in %s",
			check->host->resolv_conf_path);
}

/* Why glibc (res_init.c) ignores a line that names a server; NULL: it takes it.
 * @param out_server set if it can be told which was meant. */
static const char *resolv_refuses(const char *line, struct conf_endpoint *out_server)
{
	struct conf_error unused;
	const struct conf_place place = {"", "", &unused};
	const char *word = line + strspn(line, " \t");
	bool is_first = word == line;
	size_t len;

	word += sizeof("nameserver") - 1;
	word += strspn(word, " \t");
	len = strcspn(word, " \t");
	if (conf_endpoint_parse(&place, word, strcspn(word, " \t\r"), out_server) != CONF_OK)
		return "that is no address";
	if (!is_first)
		return "it begins with a blank";
	if (memchr(word, '\r', len))
		return "a carriage return ends it, as on Windows";
	if (word[0] == '[' || (out_server->family == 4 && memchr(word, ':', len)))
		return "it has no place for a port";
	return NULL;
}

static bool resolv_names_server(const char *line)
{
	line += strspn(line, " \t");
	return strncmp(line, "nameserver", 10) == 0 && (line[10] == ' ' || line[10] == '\t');
}

static void resolv_tell_line(
	struct check *check, unsigned number, const char *why, const struct conf_endpoint *server)
{
	struct conf_endpoint plain = *server;
	char text[CONF_ENDPOINT_TEXT_SIZE];

	if (!check_find(&check->report, CHECK_RESOLVER_LINE_IGNORED,
		    "%s, line %u: glibc ignores it: %s", check->host->resolv_conf_path, number,
		    why))
		return;
	plain.port = 53;
	conf_endpoint_format(&plain, text);
	if (server->family)
		check_mend(&check->report, "in %s, let line %u be: nameserver %s",
			check->host->resolv_conf_path, number, text);
	else
		check_mend(&check->report, "write an address there, or remove the line");
}

/* Leaves the servers that glibc asks, and tells of lines that it ignores. */
void check_resolv_lines(struct check *check)
{
	struct check_resolver *resolver = &check->resolver;
	struct conf_endpoint taken[UPSTREAM_SERVERS_MAX];
	size_t taken_count = 0;
	size_t kept = 0;
	unsigned number = 0;
	char *text = NULL;
	size_t len = 0;
	char *rest;
	char *line;

	if (check_read(check->host->resolv_conf_path, &text, &len) != 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		struct conf_endpoint server = {0};
		const char *why;

		number++;
		if (!resolv_names_server(line))
			continue;
		why = resolv_refuses(line, &server);
		if (why)
			resolv_tell_line(check, number, why, &server);
		else if (taken_count < UPSTREAM_SERVERS_MAX)
			taken[taken_count++] = server;
	}
	free(text);
	for (size_t i = 0; i < resolver->count; i++) {
		for (size_t k = 0; k < taken_count; k++) {
			if (conf_endpoint_equal(&resolver->servers[i], &taken[k])) {
				resolver->servers[kept++] = resolver->servers[i];
				break;
			}
		}
	}
	resolver->count = kept;
}

void check_resolv(struct check *check)
{
	char *text = NULL;
	size_t len = 0;

	check->resolver.search.ndots = 1;
	if (check_read(check->host->resolv_conf_path, &text, &len) == 0)
		check_search_parse(text, len, &check->resolver.search);
	free(text);
	if (!check->asked.all)
		return;
	if (check->resolver.count == 0)
		resolv_tell_none(check);
	resolv_look_at_servers(check);
	resolv_look_beyond(check);
	resolv_look_at_search(check);
}
