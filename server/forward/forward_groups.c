#include "server/forward/forward_groups.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf_endpoint.h"
#include "server/forward/resolv_conf.h"
#include "server/net/sockets.h"
#include "server/support/log.h"

#define SERVERS_TEXT_SIZE 512

struct forward_groups {
	struct forward_groups_settings settings;
	struct conf_endpoint *own;       /* A copy of that of the settings. */
	struct resolv_conf *resolv_conf; /* NULL: not followed. */
	enum conf_upstream upstream;
	struct forward_group *all; /* Those of single domains, longest first; then the rest. */
	size_t count;
};

/* Upstreams --------------------------------------------------------------------------------- */

/* Leaves out ourselves. @return how many are left in `servers`. */
static size_t servers_not_own(
	const struct forward_groups *groups, struct conf_endpoint *servers, size_t count)
{
	char text[SOCKETS_TEXT_SIZE];
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (upstream_is_own(&servers[i], groups->own, groups->settings.own_count))
			log_warning("upstream %s is leasedns itself: it is not asked",
				sockets_endpoint_format(&servers[i], text));
		else
			servers[kept++] = servers[i];
	}
	return kept;
}

/* Held once; NULL if memory is short. */
static struct upstream_list *list_make(const struct forward_groups *groups,
	const struct conf_endpoint *servers, size_t count, const struct upstream_list *old)
{
	struct conf_endpoint usable[UPSTREAM_SERVERS_MAX];

	if (count > UPSTREAM_SERVERS_MAX)
		count = UPSTREAM_SERVERS_MAX;
	if (count > 0)
		memcpy(usable, servers, count * sizeof(*servers));
	count = servers_not_own(groups, usable, count);
	return upstream_list_new(usable, count, old, uv_now(groups->settings.loop));
}

static const char *list_text(const struct upstream_list *list, char text[SERVERS_TEXT_SIZE])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		char server[SOCKETS_TEXT_SIZE];
		size_t server_len;

		sockets_endpoint_format(&list->servers[i].endpoint, server);
		server_len = strlen(server);
		if (len + server_len + sizeof(", ...") > SERVERS_TEXT_SIZE) {
			memcpy(text + len, ", ...", sizeof(", ..."));
			break;
		}
		memcpy(text + len, ", ", 2);
		len += len > 0 ? 2 : 0;
		memcpy(text + len, server, server_len + 1);
		len += server_len;
	}
	return text;
}

static void log_list(const struct forward_groups *groups, const struct upstream_list *list)
{
	char text[SERVERS_TEXT_SIZE];
	const bool is_followed = groups->upstream == CONF_UPSTREAM_RESOLV_CONF;

	if (list->count == 0)
		log_warning("forwarding: %s names no server to ask; names that are not ours cannot "
			    "be found",
			is_followed ? groups->settings.resolv_conf : "[forward] upstream");
	else
		log_info("forwarding to %s%s%s", list_text(list, text),
			is_followed ? ", from " : "",
			is_followed ? groups->settings.resolv_conf : "");
}

static struct upstream_list *list_of_upstream(const struct forward_groups *groups,
	const struct conf *conf, enum conf_upstream upstream, const struct upstream_list *old)
{
	struct conf_endpoint servers[UPSTREAM_SERVERS_MAX];

	switch (upstream) {
	case CONF_UPSTREAM_NONE:
		break;
	case CONF_UPSTREAM_RESOLV_CONF:
		return list_make(groups, servers,
			resolv_conf_read(groups->settings.resolv_conf, servers), old);
	case CONF_UPSTREAM_SERVERS:
		return list_make(groups, conf->upstream_servers, conf->upstream_server_count, old);
	}
	return NULL;
}

bool forward_groups_same(const struct upstream_list *a, const struct upstream_list *b)
{
	if (!a || !b || a->count != b->count)
		return a == b;
	for (size_t i = 0; i < a->count; i++) {
		if (!conf_endpoint_equal(&a->servers[i].endpoint, &b->servers[i].endpoint))
			return false;
	}
	return true;
}

/* Groups ------------------------------------------------------------------------------------ */

/* "a.b" in wire format; the configuration has checked it. */
static void group_set_name(struct forward_group *group, const char *text)
{
	size_t at = 0;

	while (*text) {
		size_t len = strcspn(text, ".");

		group->name[at] = (uint8_t)len;
		memcpy(group->name + at + 1, text, len);
		at += 1 + len;
		text += len + (text[len] ? 1 : 0);
	}
	group->name[at] = 0;
	group->octets = (uint8_t)(at + 1);
}

/* And back. The root's dot is left out. */
static void group_name_text(
	const struct forward_group *group, char text[static DNS_NAME_OCTETS_MAX])
{
	size_t len = group->octets - 2u;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)group->name[i + 1];
	text[len] = '\0';
	for (size_t at = 0; group->name[at]; at += 1u + group->name[at]) {
		if (at > 0)
			text[at - 1] = '.';
	}
}

static int group_compare(const void *a, const void *b)
{
	const struct forward_group *left = a;
	const struct forward_group *right = b;

	return (left->octets < right->octets) - (left->octets > right->octets);
}

static void groups_release(struct forward_group *all, size_t count)
{
	for (size_t i = 0; all && i < count; i++)
		upstream_list_release(all[i].list);
	free(all);
}

static const struct upstream_list *groups_old_list(
	const struct forward_groups *groups, const struct forward_group *group)
{
	for (size_t i = 0; i < groups->count; i++) {
		if (groups->all[i].octets == group->octets &&
			memcmp(groups->all[i].name, group->name, group->octets) == 0)
			return groups->all[i].list;
	}
	return NULL;
}

/* NULL if memory is short. */
static struct forward_group *groups_make(
	const struct forward_groups *groups, const struct conf *conf, size_t count)
{
	struct forward_group *fresh = calloc(count, sizeof(*fresh));
	struct forward_group *rest;

	if (!fresh)
		return NULL;
	for (size_t i = 0; i < conf->forward_zone_count; i++) {
		const struct conf_forward_zone *zone = &conf->forward_zones[i];

		group_set_name(&fresh[i], zone->name);
		fresh[i].list = list_make(groups, zone->servers, zone->server_count,
			groups_old_list(groups, &fresh[i]));
		if (!fresh[i].list)
			goto fail;
	}
	qsort(fresh, conf->forward_zone_count, sizeof(*fresh), group_compare);
	rest = &fresh[count - 1];
	if (conf->upstream != CONF_UPSTREAM_NONE) {
		rest->list = list_of_upstream(
			groups, conf, conf->upstream, groups_old_list(groups, rest));
		if (!rest->list)
			goto fail;
	}
	return fresh;
fail:
	groups_release(fresh, count);
	return NULL;
}

static bool group_holds(const struct forward_group *group, struct bytes name)
{
	size_t at = 0;

	if (group->octets == 0)
		return true;
	while (name.len - at > group->octets)
		at += 1u + name.ptr[at];
	return name.len - at == group->octets &&
	       memcmp(name.ptr + at, group->name, group->octets) == 0;
}

const struct forward_group *forward_groups_find(
	const struct forward_groups *groups, struct bytes name)
{
	const struct forward_group *group = groups->all;

	while (!group_holds(group, name))
		group++; /* The last one holds all. */
	return group;
}

static bool groups_same(
	const struct forward_groups *groups, const struct forward_group *fresh, size_t count)
{
	if (groups->count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct forward_group *old = &groups->all[i];

		if (old->octets != fresh[i].octets ||
			memcmp(old->name, fresh[i].name, old->octets) != 0 ||
			!forward_groups_same(old->list, fresh[i].list))
			return false;
	}
	return true;
}

/* Configuration ----------------------------------------------------------------------------- */

static int groups_watch(
	struct forward_groups *groups, const struct forward_group *all, size_t count)
{
	struct upstream_list **lists = calloc(count, sizeof(struct upstream_list *));
	size_t list_count = 0;
	int rc;

	if (!lists)
		return UV_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (all[i].list)
			lists[list_count++] = all[i].list;
	}
	rc = prober_watch(groups->settings.prober, lists, list_count);
	free(lists);
	return rc;
}

static void groups_tell(const struct forward_groups *groups)
{
	if (groups->settings.changed)
		groups->settings.changed(groups->settings.ctx);
}

static void groups_on_resolv_conf(void *ctx)
{
	struct forward_groups *groups = ctx;
	struct forward_group *rest = &groups->all[groups->count - 1];
	struct upstream_list *old = rest->list;
	struct upstream_list *fresh =
		list_of_upstream(groups, NULL, CONF_UPSTREAM_RESOLV_CONF, old);

	if (!fresh || forward_groups_same(old, fresh)) {
		upstream_list_release(fresh);
		return;
	}
	rest->list = fresh;
	if (groups_watch(groups, groups->all, groups->count) < 0) {
		rest->list = old;
		upstream_list_release(fresh);
		return;
	}
	upstream_list_release(old);
	log_list(groups, fresh);
	if (fresh->count > 0)
		groups_tell(groups);
}

int forward_groups_configure(struct forward_groups *groups, const struct conf *conf)
{
	const size_t count = conf->forward_zone_count + 1;
	struct forward_group *fresh = groups_make(groups, conf, count);
	struct resolv_conf *follower = groups->resolv_conf;
	bool is_same;
	bool tells;

	if (!fresh)
		return UV_ENOMEM;
	if (conf->upstream == CONF_UPSTREAM_RESOLV_CONF && !follower &&
		resolv_conf_start(groups->settings.loop, groups->settings.resolv_conf,
			groups_on_resolv_conf, groups, &follower) < 0)
		goto fail;
	if (groups_watch(groups, fresh, count) < 0)
		goto fail;
	is_same = groups->all && groups->upstream == conf->upstream &&
		  forward_groups_same(groups->all[groups->count - 1].list, fresh[count - 1].list);
	tells = groups->all && !groups_same(groups, fresh, count);
	groups_release(groups->all, groups->count);
	groups->all = fresh;
	groups->count = count;
	groups->upstream = conf->upstream;
	if (conf->upstream != CONF_UPSTREAM_RESOLV_CONF) {
		resolv_conf_stop(follower);
		follower = NULL;
	}
	groups->resolv_conf = follower;
	if (!is_same && fresh[count - 1].list)
		log_list(groups, fresh[count - 1].list);
	if (tells)
		groups_tell(groups);
	return 0;
fail:
	if (follower != groups->resolv_conf)
		resolv_conf_stop(follower);
	groups_release(fresh, count);
	return UV_ENOMEM;
}

bool forward_groups_any(const struct forward_groups *groups)
{
	return groups->upstream != CONF_UPSTREAM_NONE || groups->count > 1;
}

void forward_groups_each_server(const struct forward_groups *groups,
	void (*on_server)(void *ctx, const char *zone, const struct upstream_server *server),
	void *ctx)
{
	for (size_t i = 0; i < groups->count; i++) {
		const struct forward_group *group = &groups->all[i];
		char zone[DNS_NAME_OCTETS_MAX];

		if (group->octets > 0)
			group_name_text(group, zone);
		for (size_t j = 0; group->list && j < group->list->count; j++)
			on_server(ctx, group->octets > 0 ? zone : NULL, &group->list->servers[j]);
	}
}

struct forward_groups *forward_groups_new(const struct forward_groups_settings *settings)
{
	struct forward_groups *groups = calloc(1, sizeof(*groups));
	const size_t count = settings->own_count;

	if (!groups)
		return NULL;
	groups->settings = *settings;
	groups->own = calloc(count ? count : 1, sizeof(*groups->own));
	if (!groups->own) {
		free(groups);
		return NULL;
	}
	if (count > 0)
		memcpy(groups->own, settings->own, count * sizeof(*groups->own));
	return groups;
}

void forward_groups_free(struct forward_groups *groups)
{
	if (!groups)
		return;
	resolv_conf_stop(groups->resolv_conf);
	groups_release(groups->all, groups->count);
	free(groups->own);
	free(groups);
}
