/** @file One listening TCP socket and its connections (RFC 7766, RFC 9210): pipelined queries,
 *  bounded in number, time and memory. Runs on the loop thread. */
#ifndef SERVER_LISTENER_TCP_H
#define SERVER_LISTENER_TCP_H

#include "server/listener.h"

struct listener_tcp;

struct listener_tcp_limits {
	unsigned connections_max;            /**< In total on this listener. */
	unsigned connections_per_client_max; /**< From one address. */
	uint64_t first_octet_ms;             /**< From accept to the first octet. */
	uint64_t idle_ms;              /**< Between messages; also for one message to be whole,
					    and for a reply to be taken. */
	size_t write_queue_octets_max; /**< Replies not yet taken: reading pauses above. */
};

/** Sensible limits, each with its reason. */
extern const struct listener_tcp_limits listener_tcp_limits_default;

struct listener_tcp_stats {
	uint64_t accepted;
	uint64_t refused; /**< Closed at once: too many connections. */
	uint64_t queries;
	uint64_t replies;
	uint64_t timed_out;
	unsigned connections; /**< Open now. */
};

/** @param fd a bound TCP socket, listening or not yet; taken over, also on failure.
 *  @param limits copied.
 *  @return 0 or a negative libuv error. */
int listener_tcp_start(uv_loop_t *loop, int fd, const struct listener_tcp_limits *limits,
	const struct listener_ops *ops, struct listener_tcp **out_listener);

/** Closes the socket and all its connections; frees itself when the last is closed. NULL is
 *  fine. */
void listener_tcp_stop(struct listener_tcp *listener);

const struct listener_tcp_stats *listener_tcp_stats(const struct listener_tcp *listener);

#endif
