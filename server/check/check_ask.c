/* The first round of questions: all that can be asked without knowing any answer, at once. */
#include "server/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward/resolv_conf.h"

/* Whom the daemon forwards to; none if it does not forward. */
static size_t ask_list_upstreams(
	const struct check *check, struct conf_endpoint out_servers[static UPSTREAM_SERVERS_MAX])
{
	const struct conf *conf = &check->conf->conf;
	const struct conf_endpoint *servers = conf->upstream_servers;
	size_t server_count = conf->upstream_server_count;
	size_t count = 0;

	switch (conf->upstream) {
	case CONF_UPSTREAM_NONE:
		return 0;
	case CONF_UPSTREAM_RESOLV_CONF:
		servers = check->resolver.servers;
		server_count = check->resolver.count;
		break;
	case CONF_UPSTREAM_SERVERS:
		break;
	}
	for (size_t i = 0; i < server_count && count < UPSTREAM_SERVERS_MAX; i++) {
		if (!check_is_us(check, &servers[i]))
			out_servers[count++] = servers[i];
	}
	return count;
}

/* Takes the next question of the array. */
static struct check_question *ask_add(struct check_asked *asked, const struct conf_endpoint *server,
	uint16_t type, const char *name)
{
	struct check_question *question = &asked->all[asked->count++];

	question->server = *server;
	question->type = type;
	snprintf(question->name, sizeof(question->name), "%s", name);
	return question;
}

static uint16_t ask_type_of(const struct address *address)
{
	return address->family == ADDRESS_IPV6 ? DNS_TYPE_AAAA : DNS_TYPE_A;
}

/* Can it be asked for as it stands, in the text form of names? */
static bool ask_is_plain(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] < 0x20 || name.ptr[i] > 0x7e || strchr("\\\"();@$", name.ptr[i]))
			return false;
	}
	return true;
}

static void ask_daemon(struct check *check)
{
	struct check_asked *asked = &check->asked;
	struct conf_endpoint first = check_our_address(check);

	asked->daemon = asked->all + asked->count;
	for (size_t i = 0; i < check->listen_count; i++) {
		struct conf_endpoint server = check_reachable(&check->listen[i].endpoint);

		ask_add(asked, &server, DNS_TYPE_SOA, check_zone(check));
	}
	asked->compared = asked->all + asked->count;
	for (size_t i = 0; i < check->listing.count && asked->compared_count < CHECK_COMPARED_MAX;
		i++) {
		const struct listing_row *row = &check->listing.rows[i];
		char name[CHECK_DNS_NAME_SIZE];

		if (!row->dns_name || row->address.family == ADDRESS_NONE ||
			!ask_is_plain(row->name))
			continue;
		snprintf(name, sizeof(name), "%.*s.%s", (int)row->name.len,
			(const char *)row->name.ptr, check_zone(check));
		ask_add(asked, &first, ask_type_of(&row->address), name);
		asked->compared_count++;
	}
}

static void ask_resolver(struct check *check)
{
	struct check_asked *asked = &check->asked;
	const struct check_resolver *resolver = &check->resolver;
	char name[CHECK_DNS_NAME_SIZE];

	asked->resolver = asked->all + asked->count;
	for (size_t i = 0; i < resolver->count; i++)
		ask_add(asked, &resolver->servers[i], DNS_TYPE_SOA, check_zone(check));
	asked->unchecked = asked->all + asked->count;
	for (size_t i = 0; i < resolver->count; i++)
		ask_add(asked, &resolver->servers[i], DNS_TYPE_SOA, check_zone(check))
			->is_unchecked = true;
	if (!check->sample.is_set)
		return;
	asked->passed = asked->all + asked->count;
	snprintf(name, sizeof(name), "%s.%s", check->sample.name, check_zone(check));
	for (size_t i = 0; i < resolver->count; i++)
		ask_add(asked, &resolver->servers[i], ask_type_of(&check->sample.address), name);
}

static void ask_others(struct check *check, const struct conf_endpoint *upstreams)
{
	struct check_asked *asked = &check->asked;
	const struct conf *conf = &check->conf->conf;
	const struct conf_endpoint *other = asked->upstream_count > 0 ? upstreams : NULL;

	asked->upstream = asked->all + asked->count;
	for (size_t i = 0; i < asked->upstream_count; i++)
		ask_add(asked, &upstreams[i], DNS_TYPE_SOA, ".");
	for (size_t i = 0; i < check->resolver.count && !other; i++) {
		if (!check_is_us(check, &check->resolver.servers[i]))
			other = &check->resolver.servers[i];
	}
	asked->outside = asked->all + asked->count;
	for (size_t i = 0; i < conf->zone_count && other; i++) {
		ask_add(asked, other, DNS_TYPE_SOA, conf->zones[i]);
		asked->outside_count++;
	}
}

void check_ask(struct check *check)
{
	const struct conf *conf = &check->conf->conf;
	struct check_asked *asked = &check->asked;
	struct conf_endpoint upstreams[UPSTREAM_SERVERS_MAX];

	check->resolver.count =
		resolv_conf_read(check->host->resolv_conf_path, check->resolver.servers);
	asked->upstream_count = ask_list_upstreams(check, upstreams);
	/* The daemon takes more for a server than glibc does. */
	check_resolv_lines(check);
	asked->all = calloc(check->listen_count + CHECK_COMPARED_MAX + 3 * check->resolver.count +
				    asked->upstream_count + conf->zone_count,
		sizeof(*asked->all));
	if (!asked->all) {
		check->report.no_memory = true;
		check->resolver.count = asked->upstream_count = 0;
		return;
	}
	ask_daemon(check);
	ask_resolver(check);
	ask_others(check, upstreams);
	check_dns_ask(asked->all, asked->count);
}
