#include "server/forward.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "server/forward_query.h"
#include "server/log.h"
#include "server/sockets.h"
#include "server/special.h"
#include "server/tsig.h"

/* Descriptors that are left to the listeners, their connections, builds and the rest. */
#define DESCRIPTORS_RESERVED 640u
/* Each question may have more than one at a time, few do. */
#define SOCKETS_MAX       (2u * FORWARD_PENDING_MAX)
#define SERVERS_TEXT_SIZE 512

int64_t forward_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* Upstreams --------------------------------------------------------------------------------- */

/* Leaves out ourselves. @return how many are left in `servers`. */
static size_t servers_not_own(
	const struct forward *forward, struct conf_endpoint *servers, size_t count)
{
	char text[SOCKETS_TEXT_SIZE];
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (upstream_is_own(&servers[i], forward->own, forward->settings.own_count))
			log_warning("upstream %s is leasedns itself: it is not asked",
				sockets_endpoint_format(&servers[i], text));
		else
			servers[kept++] = servers[i];
	}
	return kept;
}

/* Held once; NULL if memory is short. */
static struct upstream_list *list_make(const struct forward *forward,
	const struct conf_endpoint *servers, size_t count, const struct upstream_list *old)
{
	struct conf_endpoint usable[UPSTREAM_SERVERS_MAX];

	if (count > UPSTREAM_SERVERS_MAX)
		count = UPSTREAM_SERVERS_MAX;
	if (count > 0)
		memcpy(usable, servers, count * sizeof(*servers));
	count = servers_not_own(forward, usable, count);
	return upstream_list_new(usable, count, old, uv_now(forward->loop));
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

static void log_list(const struct forward *forward, const struct upstream_list *list)
{
	char text[SERVERS_TEXT_SIZE];
	const bool is_followed = forward->upstream == CONF_UPSTREAM_RESOLV_CONF;

	if (list->count == 0)
		log_warning("forwarding: %s names no server to ask; names that are not ours cannot "
			    "be found",
			is_followed ? forward->settings.resolv_conf : "[forward] upstream");
	else
		log_info("forwarding to %s%s%s", list_text(list, text),
			is_followed ? ", from " : "",
			is_followed ? forward->settings.resolv_conf : "");
}

static struct upstream_list *list_of_upstream(const struct forward *forward,
	const struct conf *conf, enum conf_upstream upstream, const struct upstream_list *old)
{
	struct conf_endpoint servers[UPSTREAM_SERVERS_MAX];

	switch (upstream) {
	case CONF_UPSTREAM_NONE:
		break;
	case CONF_UPSTREAM_RESOLV_CONF:
		return list_make(forward, servers,
			resolv_conf_read(forward->settings.resolv_conf, servers), old);
	case CONF_UPSTREAM_SERVERS:
		return list_make(forward, conf->upstream_servers, conf->upstream_server_count, old);
	}
	return NULL;
}

static bool lists_same(const struct upstream_list *a, const struct upstream_list *b)
{
	if (!a || !b || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!sockets_endpoint_equal(&a->servers[i].endpoint, &b->servers[i].endpoint))
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

static void groups_free(struct forward_group *groups, size_t count)
{
	for (size_t i = 0; groups && i < count; i++)
		upstream_list_release(groups[i].list);
	free(groups);
}

static const struct upstream_list *groups_old_list(
	const struct forward *forward, const struct forward_group *group)
{
	for (size_t i = 0; i < forward->group_count; i++) {
		if (forward->groups[i].octets == group->octets &&
			memcmp(forward->groups[i].name, group->name, group->octets) == 0)
			return forward->groups[i].list;
	}
	return NULL;
}

/* NULL if memory is short. */
static struct forward_group *groups_make(
	const struct forward *forward, const struct conf *conf, size_t count)
{
	struct forward_group *groups = calloc(count, sizeof(*groups));

	if (!groups)
		return NULL;
	for (size_t i = 0; i < conf->forward_zone_count; i++) {
		const struct conf_forward_zone *zone = &conf->forward_zones[i];

		group_set_name(&groups[i], zone->name);
		groups[i].list = list_make(forward, zone->servers, zone->server_count,
			groups_old_list(forward, &groups[i]));
		if (!groups[i].list)
			goto fail;
	}
	qsort(groups, conf->forward_zone_count, sizeof(*groups), group_compare);
	if (conf->upstream != CONF_UPSTREAM_NONE) {
		groups[count - 1].list = list_of_upstream(forward, conf, conf->upstream,
			groups_old_list(forward, &groups[count - 1]));
		if (!groups[count - 1].list)
			goto fail;
	}
	return groups;
fail:
	groups_free(groups, count);
	return NULL;
}

static bool group_holds(const struct forward_group *group, const struct query *query)
{
	const size_t at = (size_t)query->name_octets - group->octets;

	if (group->octets == 0)
		return true;
	if (query->name_octets < group->octets ||
		memcmp(query->name + at, group->name, group->octets) != 0)
		return false;
	for (size_t i = 0; i < query->label_count; i++) {
		if (query->labels[i] == at)
			return true;
	}
	return false;
}

static const struct forward_group *group_find(
	const struct forward *forward, const struct query *query)
{
	const struct forward_group *group = forward->groups;

	while (!group_holds(group, query))
		group++; /* The last one holds all. */
	return group;
}

static int groups_watch(struct forward *forward, struct forward_group *groups, size_t count)
{
	struct upstream_list **lists = calloc(count, sizeof(struct upstream_list *));
	size_t list_count = 0;
	int rc;

	if (!lists)
		return UV_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (groups[i].list)
			lists[list_count++] = groups[i].list;
	}
	rc = prober_watch(forward->prober, lists, list_count);
	free(lists);
	return rc;
}

static void forward_on_resolv_conf(void *ctx)
{
	struct forward *forward = ctx;
	struct forward_group *rest = &forward->groups[forward->group_count - 1];
	struct upstream_list *old = rest->list;
	struct upstream_list *fresh =
		list_of_upstream(forward, NULL, CONF_UPSTREAM_RESOLV_CONF, old);

	if (!fresh || lists_same(old, fresh)) {
		upstream_list_release(fresh);
		return;
	}
	rest->list = fresh;
	if (groups_watch(forward, forward->groups, forward->group_count) < 0) {
		rest->list = old;
		upstream_list_release(fresh);
		return;
	}
	upstream_list_release(old);
	log_list(forward, fresh);
}

/* Configuration ----------------------------------------------------------------------------- */

static struct cache_settings cache_settings_of(const struct conf *conf)
{
	return (struct cache_settings){
		.octets_max = (size_t)conf->cache_kib * 1024,
		.ttl_max_s = conf->max_ttl_s,
		.stale_s = conf->serve_stale_s,
	};
}

/* Questions in flight keep keys of the old cache, so they end with it. */
static int forward_renew_cache(struct forward *forward, const struct conf *conf)
{
	const struct cache_settings settings = cache_settings_of(conf);
	struct cache *fresh;

	if (forward->cache && settings.octets_max == forward->cache_settings.octets_max &&
		settings.ttl_max_s == forward->cache_settings.ttl_max_s &&
		settings.stale_s == forward->cache_settings.stale_s)
		return 0;
	fresh = cache_new(&settings);
	if (!fresh)
		return UV_ENOMEM;
	for (size_t i = 0; i < FORWARD_BUCKETS; i++) {
		while (forward->buckets[i])
			forward_query_fail(forward->buckets[i], FORWARD_EDE_NOT_READY, false);
	}
	cache_free(forward->cache);
	forward->cache = fresh;
	forward->cache_settings = settings;
	return 0;
}

int forward_configure(struct forward *forward, const struct conf *conf)
{
	const size_t count = conf->forward_zone_count + 1;
	struct forward_group *groups = groups_make(forward, conf, count);
	struct resolv_conf *follower = forward->resolv_conf;
	bool is_same;

	if (!groups)
		return UV_ENOMEM;
	if (conf->upstream == CONF_UPSTREAM_RESOLV_CONF && !follower &&
		resolv_conf_start(forward->loop, forward->settings.resolv_conf,
			forward_on_resolv_conf, forward, &follower) < 0)
		goto fail;
	if (forward_renew_cache(forward, conf) < 0 || groups_watch(forward, groups, count) < 0)
		goto fail;
	is_same =
		forward->groups && forward->upstream == conf->upstream &&
		lists_same(forward->groups[forward->group_count - 1].list, groups[count - 1].list);
	groups_free(forward->groups, forward->group_count);
	forward->groups = groups;
	forward->group_count = count;
	forward->upstream = conf->upstream;
	if (conf->upstream != CONF_UPSTREAM_RESOLV_CONF) {
		resolv_conf_stop(follower);
		follower = NULL;
	}
	forward->resolv_conf = follower;
	if (!is_same && groups[count - 1].list)
		log_list(forward, groups[count - 1].list);
	return 0;
fail:
	if (follower != forward->resolv_conf)
		resolv_conf_stop(follower);
	groups_free(groups, count);
	return UV_ENOMEM;
}

bool forward_is_on(const struct forward *forward)
{
	return forward->upstream != CONF_UPSTREAM_NONE || forward->group_count > 1;
}

/* Answers ----------------------------------------------------------------------------------- */

static size_t answer_error(const struct query *query, bool is_tcp, enum dns_rcode rcode,
	uint32_t extended_error, uint8_t *reply)
{
	struct message_client client;

	message_client_of(query, is_tcp, &client);
	return message_error_to_client(&client, rcode, extended_error, reply);
}

static size_t answer_signed(const struct query *query, bool is_tcp, uint8_t *octets)
{
	struct message_client client;
	struct reply reply;

	message_client_of(query, is_tcp, &client);
	if (!reply_start(&reply, query, octets, client.reply_octets_max))
		return 0;
	tsig_refuse(&reply);
	reply.recursion_available = true;
	return reply_finish(&reply);
}

static size_t answer_special(
	const struct special_name *special, const struct query *query, bool is_tcp, uint8_t *octets)
{
	struct message_client client;

	message_client_of(query, is_tcp, &client);
	return special_answer(special, query, octets, client.reply_octets_max);
}

/* 0: not cached. */
static size_t answer_cached(struct forward *forward, const struct query *query, bool is_tcp,
	bool accept_stale, uint8_t *octets, enum answered *out_answered)
{
	struct cache_key key;
	struct message_reply reply;
	struct message_client client;

	cache_key_of(forward->cache, query, &key);
	switch (cache_find(forward->cache, &key, forward_now_s(), accept_stale, &reply)) {
	case CACHE_MISS:
		return 0;
	case CACHE_HIT:
		forward->stats.cached++;
		*out_answered = ANSWERED_CACHED;
		break;
	case CACHE_STALE:
		forward->stats.stale++;
		*out_answered = ANSWERED_STALE;
		break;
	}
	message_client_of(query, is_tcp, &client);
	return message_to_client(&reply, &client, octets);
}

static bool list_is_usable(const struct upstream_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!list->servers[i].is_loop)
			return true;
	}
	return false;
}

/* 0: it must be asked for. */
static size_t answer_here(struct forward *forward, const struct query *query, bool is_tcp,
	uint8_t *octets, enum answered *out_answered)
{
	const struct forward_group *group;
	const struct special_name *special;
	size_t len;

	*out_answered = ANSWERED_INVALID;
	if (query->tsig_rdata_offset != 0)
		return answer_signed(query, is_tcp, octets);
	if (prober_recognises(forward->prober, query)) {
		forward->stats.loops++;
		*out_answered = ANSWERED_SPECIAL;
		return answer_error(query, is_tcp, DNS_RCODE_NXDOMAIN, MESSAGE_EDE_NONE, octets);
	}
	group = group_find(forward, query);
	if (!group->list) {
		forward->stats.refused++;
		*out_answered = ANSWERED_REFUSED;
		return answer_error(query, is_tcp, DNS_RCODE_REFUSED, MESSAGE_EDE_NONE, octets);
	}
	special = group->octets == 0 ? special_find(query) : NULL;
	if (special) {
		forward->stats.special++;
		*out_answered = ANSWERED_SPECIAL;
		return answer_special(special, query, is_tcp, octets);
	}
	len = answer_cached(forward, query, is_tcp, false, octets, out_answered);
	if (len > 0 || list_is_usable(group->list))
		return len;
	len = answer_cached(forward, query, is_tcp, true, octets, out_answered);
	if (len > 0)
		return len;
	forward->stats.failed++;
	*out_answered = ANSWERED_FAILED;
	return answer_error(
		query, is_tcp, DNS_RCODE_SERVFAIL, MESSAGE_EDE_NO_REACHABLE_AUTHORITY, octets);
}

enum answer_verdict forward_answer(struct forward *forward, bool is_tcp, struct bytes query_octets,
	uint8_t *reply, size_t *out_reply_len, enum answered *out_answered)
{
	enum answered answered;
	struct query query;
	size_t len;

	if (query_parse(query_octets, &query) != QUERY_OK)
		return ANSWER_DROP;
	forward->stats.queries++;
	len = answer_here(forward, &query, is_tcp, reply, &answered);
	if (len == 0)
		return ANSWER_FORWARD;
	*out_reply_len = len;
	*out_answered = answered;
	return ANSWER_REPLY;
}

/* Clients ----------------------------------------------------------------------------------- */

static uint16_t *forward_share(struct forward *forward, const struct listener_client *client)
{
	struct bytes address = {
		(const uint8_t *)&client->peer.v4.sin_addr, sizeof(client->peer.v4.sin_addr)};

	if (client->peer.any.sa_family == AF_INET6)
		address = (struct bytes){(const uint8_t *)&client->peer.v6.sin6_addr,
			sizeof(client->peer.v6.sin6_addr)};
	return &forward->shares[siphash_1_3(&forward->share_key, address.ptr, address.len) %
				FORWARD_SHARE_PLACES];
}

void forward_settle(struct forward *forward, struct forward_client *client, struct bytes reply)
{
	const struct listener_client from = client->from;

	--*forward_share(forward, &from);
	forward->stats.clients--;
	free(client);
	/* Last: it may bring in the next query. */
	listener_reply(&from, reply);
}

static struct forward_query *query_find(struct forward *forward, const struct cache_key *key)
{
	struct forward_query *query = forward->buckets[key->hash % FORWARD_BUCKETS];

	while (query && !cache_key_equal(&query->key, key))
		query = query->next;
	return query;
}

/* A question that comes back from the server that it was sent to is merged with itself, and stops
 * there; but others will follow. */
static void forward_look_for_loop(struct forward_query *query, const struct listener_client *client)
{
	struct upstream_server *server;

	if (!query->attempts)
		return;
	server = &query->list->servers[query->attempts->server];
	if (upstream_is_host(&server->endpoint, &client->peer.any) && ++query->from_upstream >= 2)
		prober_suspects(query->forward->prober, server);
}

static bool forward_has_room(struct forward *forward, const struct listener_client *client)
{
	return forward->stats.clients < FORWARD_CLIENTS_MAX &&
	       *forward_share(forward, client) < FORWARD_SHARE_MAX;
}

static struct forward_query *query_find_or_new(
	struct forward *forward, const struct query *query, bool is_tcp, bool *out_is_new)
{
	struct cache_key key;
	struct forward_query *pending;

	cache_key_of(forward->cache, query, &key);
	pending = query_find(forward, &key);
	*out_is_new = !pending;
	if (pending)
		return pending;
	if (forward->stats.pending >= FORWARD_PENDING_MAX ||
		forward->stats.sockets >= forward->settings.sockets_max)
		return NULL;
	pending = forward_query_new(forward, &key, group_find(forward, query)->list);
	if (pending)
		pending->wants_tcp = is_tcp;
	return pending;
}

static void forward_refuse(
	struct forward *forward, const struct listener_client *client, const struct query *query)
{
	struct listener_client failed = *client;
	size_t len = answer_error(
		query, client->is_tcp, DNS_RCODE_SERVFAIL, FORWARD_EDE_NOT_READY, forward->reply);

	failed.answered = ANSWERED_FAILED;
	forward->stats.overloaded++;
	listener_reply(&failed, (struct bytes){forward->reply, len});
}

void forward_take(
	struct forward *forward, const struct listener_client *client, struct bytes query_octets)
{
	struct forward_client *waiting = NULL;
	struct forward_query *pending = NULL;
	struct query query;
	bool is_new = false;

	if (query_parse(query_octets, &query) != QUERY_OK) {
		listener_drop(client);
		return;
	}
	if (forward_has_room(forward, client))
		waiting = malloc(sizeof(*waiting));
	if (waiting)
		pending = query_find_or_new(forward, &query, client->is_tcp, &is_new);
	if (!pending) {
		free(waiting);
		forward_refuse(forward, client, &query);
		return;
	}
	waiting->from = *client;
	message_client_of(&query, client->is_tcp, &waiting->how);
	waiting->next = pending->clients;
	pending->clients = waiting;
	forward->stats.clients++;
	++*forward_share(forward, client);
	if (is_new) {
		forward_query_start(pending);
	} else {
		forward->stats.merged++;
		forward_look_for_loop(pending, client);
	}
}

/* Starting and stopping --------------------------------------------------------------------- */

const struct forward_stats *forward_stats(const struct forward *forward)
{
	return &forward->stats;
}

void forward_each_server(const struct forward *forward,
	void (*on_server)(void *ctx, const char *zone, const struct upstream_server *server),
	void *ctx)
{
	for (size_t i = 0; i < forward->group_count; i++) {
		const struct forward_group *group = &forward->groups[i];
		char zone[DNS_NAME_OCTETS_MAX];

		if (group->octets > 0)
			group_name_text(group, zone);
		for (size_t j = 0; group->list && j < group->list->count; j++)
			on_server(ctx, group->octets > 0 ? zone : NULL, &group->list->servers[j]);
	}
}

struct cache_stats forward_cache_stats(const struct forward *forward)
{
	return cache_stats(forward->cache);
}

void forward_free_if_unused(struct forward *forward)
{
	if (!forward->is_stopped || forward->handles_open > 0)
		return;
	cache_free(forward->cache);
	groups_free(forward->groups, forward->group_count);
	free(forward->own);
	free(forward);
}

void forward_stop(struct forward *forward)
{
	if (!forward || forward->is_stopped)
		return;
	for (size_t i = 0; i < FORWARD_BUCKETS; i++) {
		while (forward->buckets[i])
			forward_query_fail(forward->buckets[i], MESSAGE_EDE_NONE, true);
	}
	resolv_conf_stop(forward->resolv_conf);
	prober_stop(forward->prober);
	forward_udp_stop(forward);
	forward->is_stopped = true;
	forward_free_if_unused(forward);
}

static unsigned sockets_limit(unsigned wanted)
{
	struct rlimit limit;

	if (wanted > 0)
		return wanted;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DESCRIPTORS_RESERVED / 2;
	if (limit.rlim_cur >= SOCKETS_MAX + DESCRIPTORS_RESERVED)
		return SOCKETS_MAX;
	if (limit.rlim_cur > 2 * DESCRIPTORS_RESERVED)
		return (unsigned)limit.rlim_cur - DESCRIPTORS_RESERVED;
	return (unsigned)limit.rlim_cur / 2;
}

static int forward_copy_own(struct forward *forward)
{
	const size_t count = forward->settings.own_count;

	forward->own = calloc(count ? count : 1, sizeof(*forward->own));
	if (!forward->own)
		return UV_ENOMEM;
	if (count > 0)
		memcpy(forward->own, forward->settings.own, count * sizeof(*forward->own));
	return 0;
}

int forward_start(uv_loop_t *loop, const struct conf *conf, const struct forward_settings *settings,
	struct forward **out_forward)
{
	struct forward *forward = calloc(1, sizeof(*forward));
	int rc = UV_ENOMEM;

	if (!forward)
		return UV_ENOMEM;
	forward->loop = loop;
	forward->udp_epoll = -1;
	forward->settings = *settings;
	forward->settings.sockets_max = sockets_limit(settings->sockets_max);
	random_take(&forward->random, &forward->share_key, sizeof(forward->share_key));
	if (forward_copy_own(forward) == 0)
		rc = prober_start(loop, &forward->random, &forward->prober);
	if (rc == 0)
		rc = forward_udp_start(forward);
	if (rc == 0)
		rc = forward_configure(forward, conf);
	if (rc < 0) {
		forward_stop(forward);
		return rc;
	}
	*out_forward = forward;
	return 0;
}
