#include "server/check/check.h"

#include <json-c/json.h>
#include <string.h>

#include "conf/conf_endpoint.h"

/* Does this host itself ask leasedns for all names? */
static bool upstream_is_needed(const struct check *check)
{
	return check->resolver.count > 0 && check_is_us(check, &check->resolver.servers[0]);
}

static void upstream_tell_none(struct check *check)
{
	const char *how = check->conf->conf.upstream == CONF_UPSTREAM_RESOLV_CONF
				  ? "names only leasedns itself"
				  : "names leasedns, which forwards nothing";

	if (!check_find(&check->report, CHECK_UPSTREAM_NONE, "%s %s", check->host->resolv_conf_path,
		    how))
		return;
	check_mend(&check->report,
		"in %s, name the servers of your network: [forward] upstream = ADDRESSES",
		check->conf->path);
	check_mend(&check->report, "systemctl reload leasedns");
}

/* For the user who is to mend it. */
static void upstream_mend_replace(struct check *check)
{
	check_mend(&check->report, "remove or replace it: [forward] in '%s', or %s",
		check->conf->path, check->host->resolv_conf_path);
}

static void upstream_look(struct check *check, size_t i)
{
	const struct check_question *root = &check->asked.upstream[i];
	char server[CONF_ENDPOINT_TEXT_SIZE];

	conf_endpoint_format(&root->server, server);
	if (!root->has_replied) {
		if (check_find(&check->report, CHECK_UPSTREAM_SILENT,
			    "upstream server %s does not answer", server))
			upstream_mend_replace(check);
	} else if (root->rcode == DNS_RCODE_NOERROR) {
		check_fact(&check->report, "upstream", "%s answers", server);
	}
}

/* What the daemon has found out of a server. */
static void upstream_take(struct check *check, struct json_object *object)
{
	const char *server = check_json_text(object, "server");
	const char *zone = check_json_text(object, "zone");
	const char *state = check_json_text(object, "state");

	if (strcmp(state, "loop") == 0) {
		if (!check_find(&check->report, CHECK_UPSTREAM_LOOP,
			    "upstream server %s asks leasedns for what leasedns asks it", server))
			return;
		check_mend(&check->report,
			"let it ask leasedns for '%s' only, and others for the rest (dnsmasq: "
			"no-resolv and server=ADDRESS)",
			check_zone(check));
		check_mend(
			&check->report, "or take it out of [forward] in '%s'", check->conf->path);
	} else if (strcmp(state, "down") == 0 && zone[0] &&
		   check_find(&check->report, CHECK_UPSTREAM_SILENT,
			   "upstream server %s does not answer, of zone.%s", server, zone)) {
		upstream_mend_replace(check);
	}
}

static void upstream_ask_daemon(struct check *check)
{
	struct json_object *document = check_ask_control(check);
	struct json_object *servers = NULL;

	if (json_object_is_type(document, json_type_object) &&
		json_object_object_get_ex(document, "upstreams", &servers) &&
		json_object_is_type(servers, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(servers); i++)
			upstream_take(check, json_object_array_get_idx(servers, i));
	}
	json_object_put(document);
}

void check_upstream(struct check *check)
{
	for (size_t i = 0; i < check->asked.upstream_count; i++)
		upstream_look(check, i);
	if (check->asked.upstream_count == 0 && upstream_is_needed(check))
		upstream_tell_none(check);
	if (check->daemon_answers)
		upstream_ask_daemon(check);
}
