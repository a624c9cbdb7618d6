#include "server/check.h"

#include <stdio.h>
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

static void upstream_look(struct check *check, size_t i)
{
	const struct check_question *root = &check->asked.upstream[i];
	const struct check_question *back = &check->asked.back[i];
	char server[CONF_ENDPOINT_TEXT_SIZE];

	conf_endpoint_format(&root->server, server);
	if (!root->has_replied) {
		if (check_find(&check->report, CHECK_UPSTREAM_SILENT,
			    "upstream server %s does not answer", server))
			check_mend(&check->report,
				"remove or replace it: [forward] upstream in '%s', or %s",
				check->conf->path, check->host->resolv_conf_path);
		return;
	}
	if (root->rcode == DNS_RCODE_NOERROR) {
		check_fact(&check->report, "upstream", "%s answers", server);
		return;
	}
	/* It asks us for what we ask it. */
	if (!check_dns_is_ours(back, check_zone(check)) ||
		!check_find(&check->report, CHECK_UPSTREAM_LOOP,
			"upstream server %s asks leasedns for '%s', and answers nothing else: it "
			"seems to send all questions back",
			server, check_zone(check)))
		return;
	check_mend(&check->report,
		"let it ask leasedns for '%s' only, and others for the rest (dnsmasq: no-resolv "
		"and server=ADDRESS)",
		check_zone(check));
	check_mend(
		&check->report, "or take it out of [forward] upstream in '%s'", check->conf->path);
}

void check_upstream(struct check *check)
{
	for (size_t i = 0; i < check->asked.upstream_count; i++)
		upstream_look(check, i);
	if (check->asked.upstream_count == 0 && upstream_is_needed(check))
		upstream_tell_none(check);
}
