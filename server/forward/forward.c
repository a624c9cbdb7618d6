#include "server/forward/forward.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "server/dns/tsig.h"
#include "server/forward/forward_query.h"
#include "server/forward/special.h"

/* Descriptors that are left to the listeners, their connections, builds and the rest. */
#define DESCRIPTORS_RESERVED 640u
/* Each question may have more than one at a time, few do. */
#define SOCKETS_MAX (2u * FORWARD_PENDING_MAX)

int64_t forward_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
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

static bool forward_keeps_cache(
	const struct forward *forward, const struct cache_settings *settings)
{
	return forward->cache && settings->octets_max == forward->cache_settings.octets_max &&
	       settings->ttl_max_s == forward->cache_settings.ttl_max_s &&
	       settings->stale_s == forward->cache_settings.stale_s;
}

static struct cache *cache_new_with_keys_of(
	const struct cache_settings *settings, const struct cache *old)
{
	struct cache *cache = cache_new(settings);

	/* Questions in flight have theirs. */
	if (cache && old)
		cache_share_keys(cache, old);
	return cache;
}

int forward_configure(struct forward *forward, const struct conf *conf)
{
	const struct cache_settings settings = cache_settings_of(conf);
	struct cache *cache = forward->cache;
	int rc;

	if (!forward_keeps_cache(forward, &settings))
		cache = cache_new_with_keys_of(&settings, forward->cache);
	if (!cache)
		return UV_ENOMEM;
	rc = forward_groups_configure(forward->groups, conf);
	if (cache == forward->cache)
		return rc;
	cache_free(rc < 0 ? cache : forward->cache);
	if (rc < 0)
		return rc;
	forward->cache = cache;
	forward->cache_settings = settings;
	return 0;
}

/* Other servers may say otherwise: about names behind a VPN, or behind a portal, about all. */
static void forward_on_other_servers(void *ctx)
{
	struct forward *forward = ctx;

	cache_flush(forward->cache);
	for (size_t i = 0; i < FORWARD_BUCKETS; i++) {
		struct forward_query *query = forward->buckets[i];

		while (query) {
			struct forward_query *next = query->next;

			forward_query_move(query,
				forward_groups_find(forward->groups, cache_key_name(&query->key))
					->list);
			query = next;
		}
	}
}

bool forward_is_on(const struct forward *forward)
{
	return forward_groups_any(forward->groups);
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
	group = forward_groups_find(
		forward->groups, (struct bytes){query->name, query->name_octets});
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

/* Starting and stopping --------------------------------------------------------------------- */

const struct forward_stats *forward_stats(const struct forward *forward)
{
	return &forward->stats;
}

void forward_each_server(const struct forward *forward,
	void (*on_server)(void *ctx, const char *zone, const struct upstream_server *server),
	void *ctx)
{
	forward_groups_each_server(forward->groups, on_server, ctx);
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
	forward_groups_free(forward->groups);
	forward->groups = NULL;
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

static int forward_start_parts(struct forward *forward)
{
	struct forward_groups_settings settings = {
		.loop = forward->loop,
		.resolv_conf = forward->settings.resolv_conf,
		.own = forward->settings.own,
		.own_count = forward->settings.own_count,
		.changed = forward_on_other_servers,
		.ctx = forward,
	};
	int rc = prober_start(forward->loop, &forward->random, &forward->prober);

	if (rc < 0)
		return rc;
	settings.prober = forward->prober;
	forward->groups = forward_groups_new(&settings);
	return forward->groups ? forward_udp_start(forward) : UV_ENOMEM;
}

int forward_start(uv_loop_t *loop, const struct conf *conf, const struct forward_settings *settings,
	struct forward **out_forward)
{
	struct forward *forward = calloc(1, sizeof(*forward));
	int rc;

	if (!forward)
		return UV_ENOMEM;
	forward->loop = loop;
	forward->udp_epoll = -1;
	forward->settings = *settings;
	forward->settings.sockets_max = sockets_limit(settings->sockets_max);
	random_take(&forward->random, &forward->share_key, sizeof(forward->share_key));
	rc = forward_start_parts(forward);
	if (rc == 0)
		rc = forward_configure(forward, conf);
	if (rc < 0) {
		forward_stop(forward);
		return rc;
	}
	*out_forward = forward;
	return 0;
}
