/** @file Questions outside our zones: private names are answered here, others from the cache, the
 *  rest by upstream servers. Runs on the loop thread; a slow upstream never holds up anything else.
 *
 *  A client's question travels in a message of our own, on a socket of its own: a fresh port, a
 *  random id, random case (RFC 5452). What comes back is carried byte for byte. Equal questions in
 *  flight are one. Everything is bounded: queries, clients, their share, sockets and time. */
#ifndef SERVER_FORWARD_FORWARD_H
#define SERVER_FORWARD_FORWARD_H

#include <uv.h>

#include "conf/conf.h"
#include "server/forward/cache.h"
#include "server/forward/upstream.h"
#include "server/net/listener.h"

struct forward;

struct forward_settings {
	const char *resolv_conf; /**< RESOLV_CONF_FILE, or another in tests. */
	/** Where our own sockets are bound: never an upstream. */
	const struct conf_endpoint *own;
	size_t own_count;
	unsigned sockets_max; /**< Open to upstreams at a time; 0: as many as may be useful. */
};

struct forward_stats {
	uint64_t queries; /**< Seen here at all. */
	uint64_t special; /**< Answered as a name that never leaves. */
	uint64_t refused; /**< No upstream is configured for it. */
	uint64_t cached;
	uint64_t stale;
	uint64_t merged;       /**< With one in flight. */
	uint64_t asked;        /**< Sent upstream: questions, not attempts. */
	uint64_t answered;     /**< By an upstream: questions. */
	uint64_t failed;       /**< No upstream had an answer: SERVFAIL. */
	uint64_t overloaded;   /**< SERVFAIL at once: too many were waiting. */
	uint64_t attempts_udp; /**< Messages sent. */
	uint64_t attempts_tcp; /**< Connections made. */
	uint64_t timeouts;     /**< Attempts without a reply in time. */
	uint64_t truncated;    /**< Replies that were asked for again over TCP. */
	uint64_t mismatched;   /**< Datagrams and messages that were no reply to what was asked. */
	uint64_t loops;        /**< Our own probes that came back. */
	unsigned pending;      /**< Questions in flight now. */
	unsigned clients;      /**< That wait now. */
	unsigned sockets;      /**< Open to upstreams now. */
};

/** @param conf read here, not kept.
 *  @param settings `own` is copied.
 *  @return 0 or a negative libuv error. */
int forward_start(uv_loop_t *loop, const struct conf *conf, const struct forward_settings *settings,
	struct forward **out_forward);

/** Puts another configuration in force. Questions in flight go on, with the servers that are in
 *  force now. What is cached stays unless its settings or any servers changed.
 *  @return 0, or UV_ENOMEM, and then nothing changed. */
int forward_configure(struct forward *forward, const struct conf *conf);

/** Whether there is anything to ask upstream: what RA says. */
bool forward_is_on(const struct forward *forward);

/** Answers a query for which answer_query() gave ANSWER_FORWARD, if that needs no upstream.
 *  @param reply room for ANSWER_UDP_OCTETS_MAX octets, over TCP ANSWER_TCP_OCTETS_MAX.
 *  @param out_answered set for ANSWER_REPLY only.
 *  @return ANSWER_REPLY; or ANSWER_FORWARD: forward_take() it. */
enum answer_verdict forward_answer(struct forward *forward, bool is_tcp, struct bytes query,
	uint8_t *reply, size_t *out_reply_len, enum answered *out_answered);

/** Asks upstream, and settles the client (with `answered` set) when there is a reply, or after a
 * few seconds.
 *  @param query one for which forward_answer() just gave ANSWER_FORWARD. */
void forward_take(
	struct forward *forward, const struct listener_client *client, struct bytes query);

const struct forward_stats *forward_stats(const struct forward *forward);

/** Tells of each upstream server in turn, those of single domains first.
 *  @param on_server `zone` is the domain that the server is asked for, in lower case, without the
 *  root's dot; NULL: all that have none. Both are borrowed for the call. */
void forward_each_server(const struct forward *forward,
	void (*on_server)(void *ctx, const char *zone, const struct upstream_server *server),
	void *ctx);
struct cache_stats forward_cache_stats(const struct forward *forward);

/** Lets all clients go. Call it before the listeners are stopped, so that these can be freed. Frees
 *  itself when all its handles are closed. NULL is fine. */
void forward_stop(struct forward *forward);

#endif
