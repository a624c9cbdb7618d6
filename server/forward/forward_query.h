/** @file One question in flight: its clients, the servers that it is sent to one after the other,
 *  and what comes back. Private to forward*.c. */
#ifndef SERVER_FORWARD_FORWARD_QUERY_H
#define SERVER_FORWARD_FORWARD_QUERY_H

#include "server/forward/forward.h"
#include "server/forward/forward_groups.h"
#include "server/forward/message.h"
#include "server/forward/prober.h"
#include "server/forward/upstream.h"
#include "server/support/random.h"
#include "server/support/siphash.h"

/** Each costs a timer, a socket and about 3 KiB. With an upstream that takes 100 ms, 40,000
 *  questions a second. */
#define FORWARD_PENDING_MAX 4096u
/** Also those that wait for a question of somebody else. */
#define FORWARD_CLIENTS_MAX (2u * FORWARD_PENDING_MAX)
/** Of one address: half, because all programs of this host share one, and yet no virtual machine
 *  may keep the host from asking. */
#define FORWARD_SHARE_MAX (FORWARD_CLIENTS_MAX / 2)
/** Addresses are counted by their hash; who shares a place, shares a share. */
#define FORWARD_SHARE_PLACES 1024u
#define FORWARD_BUCKETS      4096u

/** glibc gives up after 5 s (resolv.conf(5), timeout), dig too: they hear of it before that. */
#define FORWARD_DEADLINE_MS 4500u
/** For the first reply of each server; doubled each time that all have been asked. Most answers
 *  that are not cached anywhere come in 50 to 300 ms. */
#define FORWARD_ATTEMPT_MS 400u
/** A connection takes a round trip more, and a lost SYN is repeated after 1 s. */
#define FORWARD_TCP_ATTEMPT_MS 1500u
/** Attempts whose replies are still welcome; the oldest is given up for the next. */
#define FORWARD_ATTEMPTS_MAX 6u
/** Datagrams on one socket that are not the reply: then TCP, which cannot be guessed into. */
#define FORWARD_JUNK_MAX 16u
/** From this round on EDNS is left out: old routers and firewalls drop what has it. */
#define FORWARD_PLAIN_ROUND 2u
/** Of all replies that do not answer the best: it says that there is more. */
#define FORWARD_RANK_TRUNCATED 4u
/** RFC 8767 section 5: the client response timer. */
#define FORWARD_STALE_MS 1800u

/** RFC 8914 section 4.15. */
#define FORWARD_EDE_NOT_READY 14u

/** One that waits. */
struct forward_client {
	struct forward_client *next;
	struct listener_client from;
	struct message_client how;
};

struct forward_query;

/** Why TCP, or why plain text: what follows if that fails too. */
enum forward_reason {
	FORWARD_FIRST,     /**< As any. */
	FORWARD_TRUNCATED, /**< The datagram had TC. */
	FORWARD_SPOOFED,   /**< Too many datagrams that were no reply. */
	FORWARD_CASE,      /**< The reply's case was not ours. */
};

/** One message to one server. Outlives its query until its handle is closed. */
struct forward_attempt {
	struct forward *forward;
	struct forward_query *query;  /**< NULL: given up. */
	struct forward_attempt *next; /**< The one before. */
	uint8_t server;               /**< Which of the query's list. */
	uint16_t id;
	enum forward_reason reason;
	bool is_tcp;
	bool has_edns;
	bool has_case;  /**< 0x20: random case. */
	bool is_late;   /**< Counted as a failure already. */
	bool is_unsent; /**< Over UDP: to be sent before the loop waits. */
	unsigned junk;
	uint64_t sent_ns;
	size_t query_octets;
	uint8_t octets[2 + MESSAGE_QUERY_OCTETS_MAX]; /**< The message behind TCP's length. */
	int fd;                                       /**< Of UDP. */
	struct forward_attempt *next_unsent;          /**< While `is_unsent`. */
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	uint8_t *received; /**< Over TCP: length and message, as far as they are there. */
	size_t received_len;
	size_t received_cap;
};

struct forward_query {
	struct forward *forward;
	struct forward_query *next; /**< In its bucket. */
	struct cache_key key;
	struct forward_client *clients;
	struct upstream_list *list; /**< Held. */
	uint8_t order[UPSTREAM_SERVERS_MAX];
	size_t order_count;
	size_t position;          /**< In `order`, of the next server. */
	unsigned round;           /**< How often all have been asked. */
	uint32_t answered;        /**< Servers that gave a reply that is no use, a bit each. */
	uint32_t tcp_failed;      /**< Servers that could not be asked over TCP, or not in time. */
	uint32_t refused_edns;    /**< Servers that said that they do not know it. */
	bool wants_tcp;           /**< The first client came by TCP. */
	bool is_stale_given;      /**< Clients got an old answer; a new one is for the cache. */
	bool has_network_error;   /**< The last attempt failed at once. */
	unsigned refused_in_turn; /**< Attempts that failed at once, one after the other. */
	unsigned from_upstream;   /**< Clients with the address of the server that is asked. */
	uint64_t started_ms;
	uint64_t attempt_due_ms;          /**< When the next server is asked. */
	struct forward_attempt *attempts; /**< Newest first. */
	uv_timer_t timer;
	uint8_t *best; /**< The least bad reply. */
	size_t best_len;
	unsigned best_rank; /**< 0: there is none. */
};

/** Replies over UDP are sent, and questions asked, many by one system call or at least one right
 *  behind the other: whoever waits for them is woken once. */
#define FORWARD_BURST_MAX 64u

/** Replies to be sent when all that has come from upstreams is worked off. */
struct forward_outbox {
	size_t count;
	struct listener_client clients[FORWARD_BURST_MAX];
	struct bytes replies[FORWARD_BURST_MAX];
	uint8_t octets[FORWARD_BURST_MAX][ANSWER_UDP_OCTETS_MAX];
};

struct forward {
	uv_loop_t *loop;
	struct random_pool random;
	struct cache *cache;
	struct cache_settings cache_settings;
	struct prober *prober;
	struct forward_groups *groups;
	struct forward_settings settings; /**< `own` is void after the start. */
	struct forward_query *buckets[FORWARD_BUCKETS];
	uint16_t shares[FORWARD_SHARE_PLACES];
	struct siphash_key share_key;
	struct forward_stats stats;
	uv_poll_t udp_poll;                 /**< Of `udp_epoll`. */
	int udp_epoll;                      /**< All sockets of attempts over UDP; -1: none. */
	bool is_taking;                     /**< Datagrams of upstreams are being worked off. */
	struct forward_attempt *udp_closed; /**< To be freed behind them. */
	struct forward_outbox outbox;       /**< Empty unless `is_taking`. */
	uv_prepare_t udp_prepare;           /**< Sends what is unsent before the loop waits. */
	struct forward_attempt *udp_unsent; /**< Oldest first. */
	struct forward_attempt **udp_unsent_end;
	size_t udp_unsent_count;
	size_t handles_open; /**< Of queries, attempts over TCP and `udp_poll`. */
	bool is_stopped;
	uint8_t received[ANSWER_TCP_OCTETS_MAX]; /**< Used within one callback only. */
	uint8_t reply[ANSWER_TCP_OCTETS_MAX];    /**< Likewise. */
};

/** Monotonic seconds that go on while the host sleeps: TTLs do. */
int64_t forward_now_s(void);

/** Frees `forward` if it was stopped and the last handle is closed. */
void forward_free_if_unused(struct forward *forward);

/** Sends a client away, and counts it no longer (forward_clients.c). @param reply empty: no reply.
 */
void forward_settle(struct forward *forward, struct forward_client *client, struct bytes reply);
/** Sends what is in the outbox. */
void forward_outbox_flush(struct forward *forward);

/** A query without clients, in its bucket. NULL if memory is short.
 *  @param list held by the query; forward_query_start() then asks it. */
struct forward_query *forward_query_new(
	struct forward *forward, const struct cache_key *key, struct upstream_list *list);
void forward_query_start(struct forward_query *query);

/** Begins anew with other servers, within the time that it has. Nothing if they are the same, or
 *  there is none. @param list held by the query; may be NULL. */
void forward_query_move(struct forward_query *query, struct upstream_list *list);

/** Settles all clients with SERVFAIL, or, with `is_quiet`, without a reply, and frees itself. */
void forward_query_fail(struct forward_query *query, uint32_t extended_error, bool is_quiet);

/** Whom it was sent to. Not once it was given up. */
static inline struct upstream_server *forward_attempt_server(const struct forward_attempt *attempt)
{
	return &attempt->query->list->servers[attempt->server];
}

/** Gives an attempt up: what may still come for it is not read. */
void forward_attempt_close(struct forward_attempt *attempt);

/** Asks a server of the list. If that cannot be sent, the next one. The query may be gone
 *  afterwards; likewise for the others below. */
void forward_query_send(struct forward_query *query, uint8_t server, enum forward_reason reason,
	bool is_tcp, bool has_edns);
/** Asks the next server that has not said yet that it has no answer. If all have, clients get the
 *  best of what they said. */
void forward_query_next(struct forward_query *query);
/** Settles all clients with a reply, which is kept in the cache. */
void forward_query_finish(struct forward_query *query, const struct message *message);

/** Something came (forward_reply.c). The query may be gone afterwards; the attempt's `query` is
 * NULL then.
 *  @param octets may be written to. */
void forward_query_take(
	struct forward_query *query, struct forward_attempt *attempt, uint8_t *octets, size_t len);
/** It could not be sent, was refused, or the connection ended. */
void forward_query_attempt_failed(struct forward_query *query, struct forward_attempt *attempt);

/** Before the first and after the last attempt. @return 0 or a negative libuv error. */
int forward_udp_start(struct forward *forward);
void forward_udp_stop(struct forward *forward);
/** Opens the socket; sends before the loop waits again, with others. @return 0 or a negative libuv
 *  error; then the attempt is as before. */
int forward_udp_send(struct forward_attempt *attempt);
/** Connects; sends when connected. The attempt is to be closed also if that fails.
 *  @return 0 or a negative libuv error. */
int forward_tcp_send(struct forward_attempt *attempt);
/** Takes what has come for a query already, before its time is judged. It may be closing
 *  afterwards. */
void forward_udp_look(struct forward_query *query);
/** Sends what waits for the loop to wait. */
void forward_udp_flush(struct forward *forward);
/** Gives the attempt up: its descriptor is free at once, its memory later. */
void forward_udp_close(struct forward_attempt *attempt);
void forward_tcp_close(struct forward_attempt *attempt);

#endif
