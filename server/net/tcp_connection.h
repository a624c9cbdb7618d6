/** @file One TCP connection: messages with their length in front in, replies out (RFC 1035 section
 *  4.2.2, RFC 7766). Knows nothing of the listening socket, and not how many connections there may
 *  be; only listener_tcp uses it. Runs on the loop thread. */
#ifndef SERVER_NET_TCP_CONNECTION_H
#define SERVER_NET_TCP_CONNECTION_H

#include "server/net/listener_tcp.h"

/** Two octets of length and the longest message that they can tell (RFC 1035 section 4.2.2). */
#define TCP_FRAME_OCTETS_MAX (2u + ANSWER_TCP_OCTETS_MAX)

/** Read at once from one connection, and then the others have their turn: about 1,000 queries, a
 *  millisecond of answers. */
#define TCP_READ_OCTETS 32768u

/** Replies gathered for one write: when a longest one would no longer fit, they are written. */
#define TCP_GATHER_OCTETS (2u * TCP_FRAME_OCTETS_MAX)

/** Where a connection comes from; equal octets, equal client. */
struct tcp_client {
	uint16_t family;
	uint8_t address[16]; /**< IPv4: the first four, the rest zero. */
};

struct tcp_connection;

/** What the connections of one listener share. They enter and leave the list themselves, and move
 *  to its end with each read that completes a message and each reply that is taken. */
struct tcp_connections {
	uv_loop_t *loop;
	const struct listener_ops *ops;
	struct listener_tcp_limits limits;
	struct listener_tcp_stats stats;
	struct tcp_connection *oldest; /**< Longest without such progress. */
	struct tcp_connection *newest;
	size_t queued_octets; /**< Replies not taken, of all of them. */
	unsigned unfreed;     /**< Also those whose close callbacks are still to come. */
	void (*on_freed)(struct tcp_connections *connections); /**< One is gone. */
	size_t gathered;                                       /**< Octets in `replies`. */
	uint8_t read[TCP_READ_OCTETS];      /**< Used within one callback only. */
	uint8_t replies[TCP_GATHER_OCTETS]; /**< Likewise. */
};

/** @param fd a connected, non-blocking TCP socket; taken over, also on failure.
 *  @return 0 or a negative libuv error. On success the connection lives until it closes itself or
 *  is told to. */
int tcp_connection_start(
	struct tcp_connections *connections, int fd, const struct tcp_client *client);

/** Closes at once; the descriptor is free when this returns, the memory in the last close callback.
 *  A second call does nothing. */
void tcp_connection_stop(struct tcp_connection *connection);

/** The next in the list, NULL after the newest. */
struct tcp_connection *tcp_connection_next(const struct tcp_connection *connection);

const struct tcp_client *tcp_connection_client(const struct tcp_connection *connection);

/** Whether a whole message has come in yet. */
bool tcp_connection_has_asked(const struct tcp_connection *connection);

#endif
