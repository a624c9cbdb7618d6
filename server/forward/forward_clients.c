/* Clients that wait: each is bound to a question in flight, counted, and settled once. */
#include <stdlib.h>
#include <string.h>

#include "server/forward/forward_query.h"

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

void forward_outbox_flush(struct forward *forward)
{
	struct forward_outbox *outbox = &forward->outbox;

	listener_reply_many(outbox->clients, outbox->replies, outbox->count);
	outbox->count = 0;
}

static void outbox_put(
	struct forward *forward, const struct listener_client *client, struct bytes reply)
{
	struct forward_outbox *outbox = &forward->outbox;
	uint8_t *octets = outbox->octets[outbox->count];

	memcpy(octets, reply.ptr, reply.len);
	outbox->clients[outbox->count] = *client;
	outbox->replies[outbox->count] = (struct bytes){octets, reply.len};
	if (++outbox->count == FORWARD_BURST_MAX)
		forward_outbox_flush(forward);
}

void forward_settle(struct forward *forward, struct forward_client *client, struct bytes reply)
{
	const struct listener_client from = client->from;

	--*forward_share(forward, &from);
	forward->stats.clients--;
	free(client);
	if (forward->is_taking && !from.is_tcp && reply.len > 0)
		outbox_put(forward, &from, reply);
	else /* Last: it may bring in the next query. */
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
	pending = forward_query_new(
		forward, &key, forward_groups_find(forward->groups, cache_key_name(&key))->list);
	if (pending)
		pending->wants_tcp = is_tcp;
	return pending;
}

static void forward_refuse(
	struct forward *forward, const struct listener_client *client, const struct query *query)
{
	struct listener_client failed = *client;
	struct message_client how;
	size_t len;

	message_client_of(query, client->is_tcp, &how);
	len = message_error_to_client(
		&how, DNS_RCODE_SERVFAIL, FORWARD_EDE_NOT_READY, forward->reply);
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
	if (forward->udp_unsent_count >= FORWARD_BURST_MAX)
		forward_udp_flush(forward);
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
