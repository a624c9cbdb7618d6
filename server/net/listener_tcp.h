/** @file One listening TCP socket and its connections (RFC 7766, RFC 9210): pipelined queries,
 *  bounded in number, time and memory. Runs on the loop thread.
 *
 *  A connection over a limit is never turned away: an old one makes room (RFC 7766 section 6.2.4
 * lets a server close to save resources), so nobody who holds connections open keeps others out.
 * The client's own go first, if it is over its share. While half of the connections or more have
 * not asked anything yet, the oldest of these goes, so a flood of silent ones displaces itself;
 * else the one whose last query or taken reply is longest ago.
 *
 *  Replies that come later (ANSWER_FORWARD) are sent as they come, in any order (RFC 7766 section
 *  6.2.1.1). A connection that waits for some is not idle; it reads no more while it waits for as
 *  many as it may.
 *
 *  A message without octets, and one that gets no reply (ANSWER_DROP, listener_drop()), ends the
 * connection after the replies to what came before: a peer that is no DNS client, or out of step
 * with its lengths, would wait in vain. */
#ifndef SERVER_NET_LISTENER_TCP_H
#define SERVER_NET_LISTENER_TCP_H

#include "server/net/listener.h"

struct listener_tcp;

struct listener_tcp_limits {
	unsigned connections_max;            /**< In total on this listener. */
	unsigned connections_per_client_max; /**< From one address. */
	uint64_t first_octet_ms;             /**< From accept to the first octet. */
	uint64_t idle_ms;       /**< Between messages; also for one message to be whole, however its
				     octets drip in, and for some of a reply to be taken. */
	unsigned unsettled_max; /**< Queries of one connection that wait for a later reply:
				     reading pauses there. */
	size_t write_queue_octets_max; /**< Replies not yet taken, with what it costs to keep them:
					    reading pauses above. May be exceeded by what was
					    gathered at that time, 128 KiB, and by replies that
					    come later. */
	size_t unread_octets_max;      /**< The same of all connections: with more than that, a
					    later reply ends a connection that is over its own. */
};

/** Sensible limits, each with its reason. */
extern const struct listener_tcp_limits listener_tcp_limits_default;

struct listener_tcp_stats {
	uint64_t accepted;
	uint64_t refused; /**< Closed at once: no memory. */
	uint64_t evicted; /**< Closed so that others had room. */
	uint64_t queries;
	uint64_t replies;
	uint64_t timed_out;
	unsigned connections; /**< Open now. */
};

/** SIGPIPE must be ignored in this process: libuv writes without MSG_NOSIGNAL.
 *  @param fd a bound TCP socket, listening or not yet; taken over, also on failure.
 *  @param limits copied.
 *  @return 0 or a negative libuv error. */
int listener_tcp_start(uv_loop_t *loop, int fd, const struct listener_tcp_limits *limits,
	const struct listener_ops *ops, struct listener_tcp **out_listener);

/** Closes the socket and all its connections; frees itself when the last is closed, and all clients
 *  are settled that were handed to `forward`. NULL is fine, and so is a second call before that. */
void listener_tcp_stop(struct listener_tcp *listener);

const struct listener_tcp_stats *listener_tcp_stats(const struct listener_tcp *listener);

#endif
