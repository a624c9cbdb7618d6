#include "server/forward/forward_query.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A server that has been slow lately is given some more time, up to this. */
#define PATIENCE_MAX_MS 2000u

static uint64_t query_now_ms(const struct forward_query *query)
{
	return uv_now(query->forward->loop);
}

/* Attempts ---------------------------------------------------------------------------------- */

void forward_attempt_close(struct forward_attempt *attempt)
{
	struct forward_attempt **place = &attempt->query->attempts;

	while (*place != attempt)
		place = &(*place)->next;
	*place = attempt->next;
	attempt->query = NULL;
	attempt->forward->stats.sockets--;
	if (attempt->is_tcp)
		forward_tcp_close(attempt);
	else
		forward_udp_close(attempt);
}

static void attempts_close_oldest(struct forward_query *query)
{
	struct forward_attempt *oldest = query->attempts;
	size_t count = 0;

	for (struct forward_attempt *attempt = query->attempts; attempt; attempt = attempt->next) {
		oldest = attempt;
		count++;
	}
	if (count >= FORWARD_ATTEMPTS_MAX)
		forward_attempt_close(oldest);
}

static void attempt_write_message(struct forward_attempt *attempt)
{
	struct forward_query *query = attempt->query;
	uint8_t case_bits[MESSAGE_CASE_OCTETS];
	uint8_t *message = attempt->octets + 2;

	random_take(&query->forward->random, &attempt->id, sizeof(attempt->id));
	random_take(&query->forward->random, case_bits, sizeof(case_bits));
	attempt->query_octets = message_query_to_upstream(cache_key_question(&query->key),
		cache_key_dnssec_ok(&query->key), cache_key_checking_disabled(&query->key),
		attempt->id, attempt->has_case ? case_bits : NULL, message);
	if (attempt->has_edns)
		return;
	/* OPT is the last record, and the only one (ARCOUNT). */
	attempt->query_octets -= MESSAGE_OPT_OCTETS;
	dns_write_u16(message + 10, 0);
}

/* Time. */

static void query_on_timer(uv_timer_t *timer);

/* Sets the timer to what comes first: the next server, the old answer, the end. */
static void query_arm(struct forward_query *query)
{
	const uint64_t now_ms = query_now_ms(query);
	uint64_t due_ms = query->attempt_due_ms;

	if (due_ms > query->started_ms + FORWARD_DEADLINE_MS)
		due_ms = query->started_ms + FORWARD_DEADLINE_MS;
	if (query->forward->cache_settings.stale_s > 0 && !query->is_stale_given &&
		now_ms < query->started_ms + FORWARD_STALE_MS &&
		due_ms > query->started_ms + FORWARD_STALE_MS)
		due_ms = query->started_ms + FORWARD_STALE_MS;
	uv_timer_start(&query->timer, query_on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static uint64_t attempt_patience_ms(const struct forward_attempt *attempt)
{
	const unsigned round = attempt->query->round < 4 ? attempt->query->round : 4;
	uint64_t patience_ms = (uint64_t)FORWARD_ATTEMPT_MS << round;
	uint64_t usual_ms = forward_attempt_server(attempt)->latency_us / 1000 * 3;

	if (usual_ms > PATIENCE_MAX_MS)
		usual_ms = PATIENCE_MAX_MS;
	if (patience_ms < usual_ms)
		patience_ms = usual_ms;
	if (attempt->is_tcp && patience_ms < FORWARD_TCP_ATTEMPT_MS)
		patience_ms = FORWARD_TCP_ATTEMPT_MS;
	return patience_ms;
}

/* Asking. */

/* Nothing more is to be sent for a while: all servers were asked, and none could be. */
static void query_rest(struct forward_query *query)
{
	const unsigned round = query->round < 4 ? query->round : 4;

	query->refused_in_turn = 0;
	query->attempt_due_ms = query_now_ms(query) + ((uint64_t)FORWARD_ATTEMPT_MS << round);
	query_arm(query);
}

static void query_server_refused(struct forward_query *query)
{
	query->has_network_error = true;
	if (++query->refused_in_turn >= query->order_count)
		query_rest(query);
	else
		forward_query_next(query);
}

static bool speaks_edns(const struct forward_query *query, const struct upstream_server *server)
{
	const uint64_t now_ms = query_now_ms(query);

	if (now_ms < server->no_edns_until_ms)
		return false;
	return cache_key_dnssec_ok(&query->key) ||
	       (now_ms >= server->drops_edns_until_ms && query->round < FORWARD_PLAIN_ROUND);
}

static struct forward_attempt *attempt_new(struct forward_query *query, uint8_t server,
	enum forward_reason reason, bool is_tcp, bool has_edns)
{
	const struct upstream_server *its = &query->list->servers[server];
	const uint64_t now_ms = query_now_ms(query);
	struct forward_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->forward = query->forward;
	attempt->query = query;
	attempt->server = server;
	attempt->reason = reason;
	attempt->is_tcp = is_tcp;
	attempt->has_edns = has_edns && speaks_edns(query, its);
	attempt->has_case =
		now_ms >= its->breaks_case_until_ms && !(reason == FORWARD_CASE && !is_tcp);
	attempt->sent_ns = uv_hrtime();
	attempt_write_message(attempt);
	return attempt;
}

/* Asks a server. If that cannot be sent, the next one. */
void forward_query_send(struct forward_query *query, uint8_t server, enum forward_reason reason,
	bool is_tcp, bool has_edns)
{
	struct forward_attempt *attempt = attempt_new(query, server, reason, is_tcp, has_edns);
	int rc;

	if (!attempt) {
		query_rest(query);
		return;
	}
	attempts_close_oldest(query);
	query->list->servers[server].queries++;
	rc = is_tcp ? forward_tcp_send(attempt) : forward_udp_send(attempt);
	if (rc < 0 && !is_tcp) {
		free(attempt);
		query_server_refused(query);
		return;
	}
	attempt->next = query->attempts;
	query->attempts = attempt;
	if (rc < 0) {
		forward_query_attempt_failed(query, attempt);
		return;
	}
	query->attempt_due_ms = query_now_ms(query) + attempt_patience_ms(attempt);
	query_arm(query);
}

/* The next server that has not said yet that it has no answer. */
static bool query_pick(struct forward_query *query, uint8_t *out_server)
{
	for (size_t i = 0; i <= query->order_count; i++) {
		if (query->position == query->order_count) {
			query->position = 0;
			query->round++;
		}
		const uint8_t server = query->order[query->position++];

		if ((query->answered & 1u << server) == 0 &&
			!query->list->servers[server].is_loop) {
			*out_server = server;
			return true;
		}
	}
	return false;
}

static void query_give_best(struct forward_query *query);

/* A server that has said nothing yet may have to ask around first, and then say more than an error.
 * One that did not answer twice in a row is not waited for. */
static bool query_awaits_better(const struct forward_query *query)
{
	if (query->best_rank == FORWARD_RANK_TRUNCATED)
		return false;
	for (size_t i = 0; i < query->order_count; i++) {
		const struct upstream_server *server = &query->list->servers[query->order[i]];

		if ((query->answered & 1u << query->order[i]) == 0 && !server->is_loop &&
			server->failures < 2)
			return true;
	}
	return false;
}

void forward_query_next(struct forward_query *query)
{
	uint8_t server = 0;

	/* All have been asked, and one has said something. */
	if (query->best && (query->round > 0 || query->position == query->order_count) &&
		!query_awaits_better(query)) {
		query_give_best(query);
		return;
	}
	if (!query_pick(query, &server)) {
		query_give_best(query);
		return;
	}
	forward_query_send(query, server, FORWARD_FIRST,
		query->wants_tcp && (query->tcp_failed & 1u << server) == 0, true);
}

/* Ending ------------------------------------------------------------------------------------ */

static void query_on_closed(uv_handle_t *handle)
{
	struct forward_query *query = handle->data;
	struct forward *forward = query->forward;

	upstream_list_release(query->list);
	free(query->best);
	free(query);
	forward->handles_open--;
	forward_free_if_unused(forward);
}

static void query_close(struct forward_query *query)
{
	struct forward *forward = query->forward;
	struct forward_query **place = &forward->buckets[query->key.hash % FORWARD_BUCKETS];

	while (query->attempts)
		forward_attempt_close(query->attempts);
	while (*place != query)
		place = &(*place)->next;
	*place = query->next;
	forward->stats.pending--;
	uv_close((uv_handle_t *)&query->timer, query_on_closed);
}

static struct forward_client *query_take_clients(struct forward_query *query)
{
	struct forward_client *clients = query->clients;

	query->clients = NULL;
	return clients;
}

/* Settling a client may bring in the next query of its connection, so nothing is touched here that
 * a new query changes. */
static void clients_reply(struct forward *forward, struct forward_client *client,
	const struct message_reply *reply, uint32_t extended_error)
{
	while (client) {
		struct forward_client *next = client->next;
		size_t len;

		/* Over TCP there is no way to ask for the rest of it. */
		if (reply && !(client->how.reply_octets_max == ANSWER_TCP_OCTETS_MAX &&
				     (reply->octets.ptr[2] & 0x02) != 0)) {
			client->from.answered =
				reply->is_stale ? ANSWERED_STALE : ANSWERED_FORWARDED;
			len = message_to_client(reply, &client->how, forward->reply);
		} else {
			client->from.answered = ANSWERED_FAILED;
			len = message_error_to_client(
				&client->how, DNS_RCODE_SERVFAIL, extended_error, forward->reply);
		}
		forward_settle(forward, client, (struct bytes){forward->reply, len});
		client = next;
	}
}

/* Out of the cache, in which whatever settling a client brings in may be kept. @return what the
 * reply lies in from then on; NULL if memory is short. */
static void *reply_copy(struct message_reply *reply)
{
	const size_t offsets_octets = reply->ttl_count * sizeof(*reply->ttl_offsets);
	uint16_t *offsets = malloc(offsets_octets + reply->octets.len);
	uint8_t *octets = (uint8_t *)offsets + offsets_octets;

	if (!offsets)
		return NULL;
	memcpy(offsets, reply->ttl_offsets, offsets_octets);
	memcpy(octets, reply->octets.ptr, reply->octets.len);
	reply->ttl_offsets = offsets;
	reply->octets.ptr = octets;
	return offsets;
}

/* False if there is no old answer. */
static bool query_give_stale(struct forward_query *query)
{
	struct forward *forward = query->forward;
	struct message_reply reply;
	void *copy;

	if (forward->cache_settings.stale_s == 0 ||
		cache_find(forward->cache, &query->key, forward_now_s(), true, &reply) !=
			CACHE_STALE)
		return false;
	copy = reply_copy(&reply);
	if (!copy)
		return false;
	forward->stats.stale++;
	query->is_stale_given = true;
	clients_reply(forward, query_take_clients(query), &reply, MESSAGE_EDE_NONE);
	free(copy);
	return true;
}

void forward_query_fail(struct forward_query *query, uint32_t extended_error, bool is_quiet)
{
	struct forward *forward = query->forward;
	struct forward_client *client;

	query_close(query); /* It lives until its close callback. */
	if (!is_quiet) {
		forward->stats.failed++;
		cache_store_failure(forward->cache, &query->key, extended_error, forward_now_s());
		if (!query_give_stale(query))
			clients_reply(forward, query_take_clients(query), NULL, extended_error);
		return;
	}
	client = query_take_clients(query);
	while (client) {
		struct forward_client *next = client->next;

		client->from.answered = ANSWERED_DROPPED;
		forward_settle(forward, client, (struct bytes){NULL, 0});
		client = next;
	}
}

void forward_query_finish(struct forward_query *query, const struct message *message)
{
	struct forward *forward = query->forward;
	const struct message_reply reply = message_reply_of(message);

	cache_store(forward->cache, &query->key, message, forward_now_s());
	forward->stats.answered++;
	query_close(query);
	clients_reply(
		forward, query_take_clients(query), &reply, MESSAGE_EDE_NO_REACHABLE_AUTHORITY);
}

/* No server has a good answer: the best of the bad ones, if any. */
static void query_give_best(struct forward_query *query)
{
	struct message message;
	struct bytes octets = {query->best, query->best_len};
	struct bytes question;

	if (!query->best) {
		forward_query_fail(query,
			query->has_network_error ? MESSAGE_EDE_NETWORK_ERROR
						 : MESSAGE_EDE_NO_REACHABLE_AUTHORITY,
			false);
		return;
	}
	question = (struct bytes){query->best + DNS_HEADER_OCTETS, query->key.question_octets};
	/* It was checked when it was kept. */
	message_check(octets, dns_read_u16(query->best), question, &message);
	if (query->forward->cache_settings.stale_s > 0 && !message.is_truncated) {
		forward_query_fail(query, message.extended_error, false);
		return;
	}
	forward_query_finish(query, &message);
}

/* Failing ----------------------------------------------------------------------------------- */

/* Many a small forwarder knows no TCP, and many a firewall drops it. What a datagram may tell is
 * asked for in one. */
static bool can_do_without_tcp(enum forward_reason reason)
{
	return reason == FORWARD_FIRST || reason == FORWARD_CASE;
}

void forward_query_attempt_failed(struct forward_query *query, struct forward_attempt *attempt)
{
	struct upstream_server *server = forward_attempt_server(attempt);
	const uint8_t number = attempt->server;
	const enum forward_reason reason = attempt->reason;
	const bool is_tcp = attempt->is_tcp;
	const bool has_edns = attempt->has_edns;
	const bool is_newest = attempt == query->attempts;

	if (is_tcp)
		query->tcp_failed |= 1u << number;
	forward_attempt_close(attempt);
	if (is_tcp && can_do_without_tcp(reason)) {
		forward_query_send(query, number, reason, false, has_edns);
		return;
	}
	if (is_tcp) {
		query->answered |= reason == FORWARD_TRUNCATED ? 1u << number : 0;
		forward_query_next(query);
		return;
	}
	if (upstream_failed(server, 0))
		prober_doubts(query->forward->prober, server);
	if (is_newest)
		query_server_refused(query);
}

/* The attempt stays open: what comes late is welcome. */
static void attempt_is_late(struct forward_attempt *attempt)
{
	struct forward_query *query = attempt->query;
	struct upstream_server *server = forward_attempt_server(attempt);

	attempt->is_late = true;
	if (attempt->is_tcp)
		query->tcp_failed |= 1u << attempt->server;
	query->forward->stats.timeouts++;
	if (upstream_failed(server, FORWARD_ATTEMPT_MS * 1000))
		prober_doubts(query->forward->prober, server);
}

/* Beginning --------------------------------------------------------------------------------- */

static void query_on_timer(uv_timer_t *timer)
{
	struct forward_query *query = timer->data;
	const uint64_t now_ms = query_now_ms(query);
	struct forward_attempt *attempt;

	/* A process that was stopped, or had no processor for a while, hears of its timers first.
	 */
	forward_udp_look(query);
	if (uv_is_closing((const uv_handle_t *)timer))
		return;
	attempt = query->attempts;
	if (now_ms >= query->started_ms + FORWARD_DEADLINE_MS) {
		query_give_best(query);
		return;
	}
	if (now_ms >= query->started_ms + FORWARD_STALE_MS && !query->is_stale_given)
		query_give_stale(query);
	if (now_ms < query->attempt_due_ms) {
		query_arm(query);
		return;
	}
	if (attempt && !attempt->is_late) {
		attempt_is_late(attempt);
		if (attempt->is_tcp && can_do_without_tcp(attempt->reason)) {
			forward_query_send(
				query, attempt->server, attempt->reason, false, attempt->has_edns);
			return;
		}
	}
	/* Twice is enough where nobody listens. */
	if (!attempt && query->has_network_error && query->round >= 1) {
		query_give_best(query);
		return;
	}
	forward_query_next(query);
}

static void query_set_list(struct forward_query *query, struct upstream_list *list)
{
	query->list = upstream_list_hold(list);
	query->order_count = upstream_list_order(list, query->order);
}

struct forward_query *forward_query_new(
	struct forward *forward, const struct cache_key *key, struct upstream_list *list)
{
	struct forward_query **bucket = &forward->buckets[key->hash % FORWARD_BUCKETS];
	struct forward_query *query = calloc(1, sizeof(*query));

	if (!query)
		return NULL;
	query->forward = forward;
	query->key = *key;
	query_set_list(query, list);
	query->started_ms = uv_now(forward->loop);
	uv_timer_init(forward->loop, &query->timer);
	query->timer.data = query;
	query->next = *bucket;
	*bucket = query;
	forward->handles_open++;
	forward->stats.pending++;
	forward->stats.asked++;
	return query;
}

void forward_query_start(struct forward_query *query)
{
	assert(query->order_count > 0);
	forward_query_next(query);
}

void forward_query_move(struct forward_query *query, struct upstream_list *list)
{
	struct upstream_list *old = query->list;

	if (uv_is_closing((const uv_handle_t *)&query->timer) || !list || list->count == 0 ||
		forward_groups_same(old, list))
		return;
	while (query->attempts)
		forward_attempt_close(query->attempts);
	query_set_list(query, list);
	upstream_list_release(old);
	query->position = 0;
	query->round = 0;
	query->answered = 0;
	query->tcp_failed = 0;
	query->refused_edns = 0;
	query->has_network_error = false;
	query->refused_in_turn = 0;
	query->from_upstream = 0;
	free(query->best);
	query->best = NULL;
	query->best_rank = 0;
	forward_query_next(query);
}
