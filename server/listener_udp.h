/** @file One UDP socket: batches of queries in, replies out from the address that was asked.
 *  Allocates at start only. Runs on the loop thread. */
#ifndef SERVER_LISTENER_UDP_H
#define SERVER_LISTENER_UDP_H

#include "server/listener.h"

struct listener_udp;

struct listener_udp_stats {
	uint64_t queries;   /**< Datagrams received. */
	uint64_t replies;   /**< Datagrams sent. */
	uint64_t dropped;   /**< Not answered, by verdict. */
	uint64_t send_lost; /**< Replies that the kernel did not take. */
};

/** @param fd a bound UDP socket; taken over, also on failure.
 *  @return 0 or a negative libuv error. */
int listener_udp_start(uv_loop_t *loop, int fd, const struct listener_ops *ops,
	struct listener_udp **out_listener);

/** Closes; frees itself in its close callback. NULL is fine. */
void listener_udp_stop(struct listener_udp *listener);

const struct listener_udp_stats *listener_udp_stats(const struct listener_udp *listener);

#endif
