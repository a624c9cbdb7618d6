/** @file One UDP socket: batches of queries in, replies out from the address that was asked.
 *  Allocates at start only. Runs on the loop thread. */
#ifndef SERVER_NET_LISTENER_UDP_H
#define SERVER_NET_LISTENER_UDP_H

#include "server/net/listener.h"

/** Datagrams taken or sent by one system call: the cost of the call is spread thin by then, and
 *  the buffers still fit a second-level cache. */
#define LISTENER_UDP_BATCH 64u

/** A longer query is dropped unread. 4096 is the largest size that EDNS proposes (RFC 6891
 *  section 6.2.5); a question with options, cookie, padding and TSIG stays below 1,000. No FORMERR:
 *  its sender would have to be told from the half that we have. */
#define LISTENER_UDP_QUERY_OCTETS_MAX 4096u

struct listener_udp;

struct listener_udp_stats {
	uint64_t queries;   /**< Datagrams received. */
	uint64_t replies;   /**< Datagrams sent. */
	uint64_t dropped;   /**< Not answered: by verdict, too long, or from port 0. */
	uint64_t forwarded; /**< To be answered later, or dropped then. */
	uint64_t send_lost; /**< Replies that the kernel did not take. */
};

/** A socket bound to a wildcard address replies from the address that each query was sent to. The
 *  receive buffer is raised as far as this process may.
 *  @param fd a bound UDP socket; taken over, also on failure.
 *  @return 0 or a negative libuv error. */
int listener_udp_start(uv_loop_t *loop, int fd, const struct listener_ops *ops,
	struct listener_udp **out_listener);

/** Closes; frees itself in its close callback, or when the last client is settled that was handed
 *  to `forward`. NULL is fine, and so is a second call before the close callback ran. */
void listener_udp_stop(struct listener_udp *listener);

const struct listener_udp_stats *listener_udp_stats(const struct listener_udp *listener);

#endif
