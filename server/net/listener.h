/** @file What the UDP and TCP listeners share: whom they ask for a reply, and how one is given
 *  later. */
#ifndef SERVER_NET_LISTENER_H
#define SERVER_NET_LISTENER_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include "parser/bytes.h"
#include "server/dns/answer.h"
#include "server/dns/answered.h"

struct listener_client;
struct listener_ops;

/** Where a query came in: part of a UDP listener or of a TCP connection. */
struct listener_origin {
	/** Sends `reply`; none if it is empty. Gives the client back. */
	void (*settle)(const struct listener_client *client, struct bytes reply);
	/** The same for many that came in here, with fewer system calls; NULL: one by one. */
	void (*settle_many)(
		const struct listener_client *clients, const struct bytes *replies, size_t count);
	const struct listener_ops *ops; /**< Whose `settled` is told; NULL: nobody's. */
};

/** Who waits for a reply. A value: copy it. Keeps the memory of its listener or connection alive,
 *  so each is settled exactly once, by listener_reply() or listener_drop(), whatever has become of
 *  the listener meanwhile. */
struct listener_client {
	struct listener_origin *origin;
	bool is_tcp;
	enum answered answered; /**< Set by who settles it. */
	uint64_t arrived_ns;    /**< uv_hrtime(); set by who hands it on. */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer; /**< Of TCP only family and address. */
	/** The address that was asked, where it is not the socket's own; else family 0. */
	struct {
		int family;
		union {
			struct in_pktinfo v4;
			struct in6_pktinfo v6;
		} info;
	} local;
};

/** Whom a listener asks. Borrowed; must outlive the listener and the clients it handed out. */
struct listener_ops {
	/** As answer_query(), on the loop thread.
	 *  @param peer who asks; of TCP only family and address. */
	enum answer_verdict (*answer)(void *ctx, bool is_tcp, const struct sockaddr *peer,
		struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len);
	/** Takes a query for which `answer` gave ANSWER_FORWARD; settles the client sooner or
	 * later, or at once. NULL: such queries are dropped.
	 *  @param client copied if it is needed after the return.
	 *  @param query likewise. */
	void (*forward)(void *ctx, const struct listener_client *client, struct bytes query);
	/** Is told of each client that was handed to `forward`, just before it is settled; may be
	 *  NULL. @param reply empty: none. */
	void (*settled)(void *ctx, const struct listener_client *client, struct bytes reply);
	void *ctx;
};

/** For the functions below. */
static inline void listener_tell_settled(const struct listener_client *client, struct bytes reply)
{
	const struct listener_ops *ops = client->origin->ops;

	if (ops && ops->settled)
		ops->settled(ops->ctx, client, reply);
}

/** Sends a reply. On a connection, or by a listener, that has been closed it does nothing but give
 *  the client back.
 *  @param reply at most ANSWER_UDP_OCTETS_MAX octets over UDP and ANSWER_TCP_OCTETS_MAX over TCP.
 */
static inline void listener_reply(const struct listener_client *client, struct bytes reply)
{
	listener_tell_settled(client, reply);
	client->origin->settle(client, reply);
}

/** The same for many at once. Those of one listener should stand together. */
static inline void listener_reply_many(
	const struct listener_client *clients, const struct bytes *replies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		listener_tell_settled(&clients[i], replies[i]);
	while (count > 0) {
		struct listener_origin *origin = clients->origin;
		size_t same = 1;

		if (origin->settle_many) {
			while (same < count && clients[same].origin == origin)
				same++;
			origin->settle_many(clients, replies, same);
		} else {
			origin->settle(clients, *replies);
		}
		clients += same;
		replies += same;
		count -= same;
	}
}

/** Lets a client go without a reply. A TCP connection ends then, like for ANSWER_DROP. */
static inline void listener_drop(const struct listener_client *client)
{
	listener_reply(client, (struct bytes){NULL, 0});
}

#endif
