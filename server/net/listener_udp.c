#include "server/net/listener_udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* 256 queries are well under a millisecond; then timers and the other listeners have their turn. */
#define BATCHES_PER_WAKE_MAX 4u

/* What may arrive while this thread is kept off the processor. On two busy cores, with a rebuild
 * on the other thread, that is some 20 ms: 8,000 queries at 400,000 a second. The kernel charges
 * 768 octets for a small datagram and doubles the value set here: room for 10,900. */
#define RECEIVE_BUFFER_OCTETS (4 << 20)

union udp_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Room for one message of either kind, aligned as a struct cmsghdr, which starts with a size_t. */
union udp_control {
	size_t align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* All that belongs to one datagram lies together. The size is no multiple of 4096, or the first
 * lines of all slots would compete for the same few places of a first-level cache. */
struct udp_slot {
	union udp_address peer;
	union udp_control asked;  /* As received: the address that was asked. */
	union udp_control source; /* To send: the address to reply from. */
	struct iovec query_iov;
	struct iovec reply_iov;
	uint8_t query[LISTENER_UDP_QUERY_OCTETS_MAX];
	uint8_t reply[ANSWER_UDP_OCTETS_MAX];
};

struct listener_udp {
	struct listener_origin origin;
	uv_poll_t poll;
	size_t unsettled; /* Clients that wait for a later reply. */
	bool is_closed;
	int fd;
	bool is_wildcard;
	const struct listener_ops *ops;
	struct listener_udp_stats stats;
	struct mmsghdr queries[LISTENER_UDP_BATCH];
	struct mmsghdr replies[LISTENER_UDP_BATCH];
	struct udp_slot slots[LISTENER_UDP_BATCH];
};

static bool set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* RFC 9715 R2 and appendix C: of Linux's settings, OMIT neither believes an ICMP message that
 * claims a small path MTU, which would make us send fragments that can be forged, nor refuses to
 * send. No reply is larger than ANSWER_UDP_OCTETS_MAX, so none is fragmented by us. */
static void avoid_fragments(int fd, int family)
{
	if (family == AF_INET) {
		if (!set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT))
			set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	} else {
		if (!set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT))
			set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	}
}

/* The first way needs CAP_NET_ADMIN. The second is cut to net.core.rmem_max, so it would shrink
 * what a service manager has set; the kernel doubles that. */
static void enlarge_receive_buffer(int fd)
{
	int octets = 0;
	socklen_t len = sizeof(octets);

	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS))
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, &len) < 0 ||
		octets < 2 * RECEIVE_BUFFER_OCTETS)
		set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_OCTETS);
}

/* Without the address that was asked, a wildcard socket would reply from the wrong one: an error.
 * All else is best effort. */
static int prepare_socket(int fd, bool *out_is_wildcard)
{
	union udp_address bound = {0};
	socklen_t len = sizeof(bound);
	bool is_wildcard = false;

	if (getsockname(fd, &bound.any, &len) < 0)
		return uv_translate_sys_error(errno);
	if (bound.any.sa_family == AF_INET) {
		is_wildcard = bound.v4.sin_addr.s_addr == htonl(INADDR_ANY);
		if (is_wildcard && !set_option(fd, IPPROTO_IP, IP_PKTINFO, 1))
			return uv_translate_sys_error(errno);
		/* Whoever made the socket may have asked for an error queue. Nobody here would
		 * read it, and unread it makes the socket look ready for ever. */
		set_option(fd, IPPROTO_IP, IP_RECVERR, 0);
	} else if (bound.any.sa_family == AF_INET6) {
		is_wildcard = IN6_IS_ADDR_UNSPECIFIED(&bound.v6.sin6_addr);
		if (is_wildcard && !set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1))
			return uv_translate_sys_error(errno);
		set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	} else {
		return UV_EAFNOSUPPORT;
	}
	avoid_fragments(fd, bound.any.sa_family);
	enlarge_receive_buffer(fd);
	*out_is_wildcard = is_wildcard;
	return 0;
}

/* What never changes between batches. */
static void prepare_slots(struct listener_udp *listener)
{
	for (unsigned i = 0; i < LISTENER_UDP_BATCH; i++) {
		struct udp_slot *slot = &listener->slots[i];

		slot->query_iov = (struct iovec){slot->query, sizeof(slot->query)};
		slot->reply_iov = (struct iovec){slot->reply, 0};
		listener->queries[i].msg_hdr = (struct msghdr){
			.msg_name = &slot->peer,
			.msg_iov = &slot->query_iov,
			.msg_iovlen = 1,
			.msg_control = listener->is_wildcard ? &slot->asked : NULL,
		};
	}
}

/* The kernel overwrote these with what it delivered. */
static void prepare_batch(struct listener_udp *listener)
{
	for (unsigned i = 0; i < LISTENER_UDP_BATCH; i++) {
		struct msghdr *header = &listener->queries[i].msg_hdr;

		header->msg_namelen = sizeof(listener->slots[i].peer);
		header->msg_controllen =
			listener->is_wildcard ? sizeof(listener->slots[i].asked) : 0;
	}
}

static void put_control(struct msghdr *reply, union udp_control *room, int level, int type,
	const void *value, size_t len)
{
	struct cmsghdr *control;

	reply->msg_control = room;
	reply->msg_controllen = CMSG_SPACE(len);
	control = CMSG_FIRSTHDR(reply);
	control->cmsg_level = level;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(control), value, len);
}

static void source_v4(struct msghdr *reply, union udp_control *room, const void *data)
{
	struct in_pktinfo info;

	memcpy(&info, data, sizeof(info));
	/* ipi_spec_dst is a local address also if a broadcast was asked. The interface is left to
	 * routing: the way back need not be the way in. */
	info.ipi_ifindex = 0;
	put_control(reply, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void source_v6(struct msghdr *reply, union udp_control *room, const void *data)
{
	struct in6_pktinfo info;

	memcpy(&info, data, sizeof(info));
	if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
		info.ipi6_addr = in6addr_any; /* No source address; the kernel finds one. */
	else if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		info.ipi6_ifindex = 0; /* A link-local address means nothing without its link. */
	put_control(reply, room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

/* Only the address is copied, since other control messages that the socket may deliver (a time
 * stamp) are errors when sent. */
static void set_source(struct msghdr *query, struct msghdr *reply, union udp_control *room)
{
	reply->msg_control = NULL;
	reply->msg_controllen = 0;
	for (struct cmsghdr *control = CMSG_FIRSTHDR(query); control;
		control = CMSG_NXTHDR(query, control)) {
		if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO &&
			control->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo)))
			source_v4(reply, room, CMSG_DATA(control));
		else if (control->cmsg_level == IPPROTO_IPV6 &&
			 control->cmsg_type == IPV6_PKTINFO &&
			 control->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
			source_v6(reply, room, CMSG_DATA(control));
	}
}

/* The address that was asked, to be kept. */
static void keep_local(struct msghdr *query, struct listener_client *client)
{
	for (struct cmsghdr *control = CMSG_FIRSTHDR(query); control;
		control = CMSG_NXTHDR(query, control)) {
		if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO &&
			control->cmsg_len >= CMSG_LEN(sizeof(client->local.info.v4))) {
			client->local.family = AF_INET;
			memcpy(&client->local.info.v4, CMSG_DATA(control),
				sizeof(client->local.info.v4));
		} else if (control->cmsg_level == IPPROTO_IPV6 &&
			   control->cmsg_type == IPV6_PKTINFO &&
			   control->cmsg_len >= CMSG_LEN(sizeof(client->local.info.v6))) {
			client->local.family = AF_INET6;
			memcpy(&client->local.info.v6, CMSG_DATA(control),
				sizeof(client->local.info.v6));
		}
	}
}

static void forward_one(struct listener_udp *listener, unsigned i)
{
	const struct listener_ops *ops = listener->ops;
	struct udp_slot *slot = &listener->slots[i];
	struct listener_client client = {.origin = &listener->origin};

	memcpy(&client.peer, &slot->peer, sizeof(slot->peer));
	if (listener->is_wildcard)
		keep_local(&listener->queries[i].msg_hdr, &client);
	listener->unsettled++;
	listener->stats.forwarded++;
	ops->forward(ops->ctx, &client, (struct bytes){slot->query, listener->queries[i].msg_len});
}

static bool can_be_answered(const struct msghdr *query, const union udp_address *peer)
{
	if (query->msg_flags & MSG_TRUNC)
		return false;
	/* Port 0 is nobody: a spoofed packet, and an error when sent to. */
	return peer->any.sa_family == AF_INET ? peer->v4.sin_port != 0 : peer->v6.sin6_port != 0;
}

/* Returns true if there is a reply, written and addressed in `reply`. */
static bool answer_one(struct listener_udp *listener, unsigned i, struct msghdr *reply)
{
	const struct listener_ops *ops = listener->ops;
	struct msghdr *query = &listener->queries[i].msg_hdr;
	struct udp_slot *slot = &listener->slots[i];
	struct bytes message = {slot->query, listener->queries[i].msg_len};
	size_t reply_len = 0;

	if (!can_be_answered(query, &slot->peer)) {
		listener->stats.dropped++;
		return false;
	}
	switch (ops->answer(ops->ctx, false, &slot->peer.any, message, slot->reply,
		sizeof(slot->reply), &reply_len)) {
	case ANSWER_REPLY:
		break;
	case ANSWER_FORWARD:
		if (ops->forward)
			forward_one(listener, i);
		else
			listener->stats.dropped++;
		return false;
	case ANSWER_DROP:
		listener->stats.dropped++;
		return false;
	}
	slot->reply_iov.iov_len = reply_len;
	reply->msg_name = &slot->peer;
	reply->msg_namelen = query->msg_namelen;
	reply->msg_iov = &slot->reply_iov;
	reply->msg_iovlen = 1;
	if (listener->is_wildcard)
		set_source(query, reply, &slot->source);
	return true;
}

static unsigned answer_batch(struct listener_udp *listener, unsigned count)
{
	unsigned replies = 0;

	for (unsigned i = 0; i < count; i++) {
		if (answer_one(listener, i, &listener->replies[replies].msg_hdr))
			replies++;
	}
	listener->stats.queries += count;
	return replies;
}

/* An error is always that of the first message not yet sent. It costs this message, whatever it
 * is: waiting would hold up the others, and a client asks again. Each turn sends or gives up at
 * least one. */
static void send_batch(struct listener_udp *listener, struct mmsghdr *messages, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(listener->fd, messages + done, count - done, MSG_DONTWAIT);

		if (sent > 0) {
			listener->stats.replies += (unsigned)sent;
			done += (unsigned)sent;
		} else if (sent == 0 || errno != EINTR) {
			listener->stats.send_lost++;
			done++;
		}
	}
}

static void listener_wake(uv_poll_t *poll, int status, int events);

/* libuv stops a poll handle when the socket has an error. For UDP that is an old datagram's ICMP
 * message: it is fetched, so that it is gone, and polling goes on. */
static void listener_rearm(struct listener_udp *listener)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	uv_poll_start(&listener->poll, UV_READABLE, listener_wake);
}

static void listener_wake(uv_poll_t *poll, int status, int events)
{
	struct listener_udp *listener = poll->data;

	(void)events;
	if (status < 0)
		listener_rearm(listener);
	for (unsigned turn = 0; turn < BATCHES_PER_WAKE_MAX; turn++) {
		int count;

		prepare_batch(listener);
		count = recvmmsg(
			listener->fd, listener->queries, LISTENER_UDP_BATCH, MSG_DONTWAIT, NULL);
		if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (count < 0)
			continue; /* EINTR, or an ICMP message's error, now fetched. */
		send_batch(listener, listener->replies, answer_batch(listener, (unsigned)count));
		/* Less than was asked for: the socket is empty. The answer may have stopped us. */
		if ((unsigned)count < LISTENER_UDP_BATCH ||
			uv_is_closing((const uv_handle_t *)poll))
			return;
	}
}

static void listener_free_if_unused(struct listener_udp *listener)
{
	if (listener->is_closed && listener->unsettled == 0)
		free(listener);
}

/* A reply to a client that waited. */
struct udp_reply {
	union udp_address peer;
	union udp_control room;
	struct iovec iov;
};

static void address_reply(const struct listener_client *client, struct bytes octets,
	struct udp_reply *reply, struct msghdr *out_header)
{
	const bool is_v4 = client->peer.any.sa_family == AF_INET;

	memcpy(&reply->peer, &client->peer, sizeof(reply->peer));
	reply->iov = (struct iovec){(void *)octets.ptr, octets.len};
	*out_header = (struct msghdr){
		.msg_name = &reply->peer,
		.msg_namelen = is_v4 ? sizeof(reply->peer.v4) : sizeof(reply->peer.v6),
		.msg_iov = &reply->iov,
		.msg_iovlen = 1,
	};
	if (client->local.family == AF_INET)
		source_v4(out_header, &reply->room, &client->local.info.v4);
	else if (client->local.family == AF_INET6)
		source_v6(out_header, &reply->room, &client->local.info.v6);
}

static void listener_settle_many(
	const struct listener_client *clients, const struct bytes *replies, size_t count)
{
	struct listener_udp *listener = (struct listener_udp *)clients->origin;
	const bool is_open = !uv_is_closing((const uv_handle_t *)&listener->poll);
	struct udp_reply room[LISTENER_UDP_BATCH];
	struct mmsghdr messages[LISTENER_UDP_BATCH];
	unsigned waiting = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_open && replies[i].len > 0) {
			address_reply(&clients[i], replies[i], &room[waiting],
				&messages[waiting].msg_hdr);
			waiting++;
		}
		if (waiting == LISTENER_UDP_BATCH || i + 1 == count) {
			send_batch(listener, messages, waiting);
			waiting = 0;
		}
	}
	listener->unsettled -= count;
	listener_free_if_unused(listener);
}

static void listener_settle(const struct listener_client *client, struct bytes reply)
{
	listener_settle_many(client, &reply, 1);
}

int listener_udp_start(
	uv_loop_t *loop, int fd, const struct listener_ops *ops, struct listener_udp **out_listener)
{
	struct listener_udp *listener = calloc(1, sizeof(*listener));
	int rc = UV_ENOMEM;

	if (!listener)
		goto fail;
	listener->fd = fd;
	listener->ops = ops;
	listener->origin = (struct listener_origin){
		.settle = listener_settle, .settle_many = listener_settle_many, .ops = ops};
	rc = prepare_socket(fd, &listener->is_wildcard);
	if (rc < 0)
		goto fail;
	prepare_slots(listener);
	rc = uv_poll_init(loop, &listener->poll, fd); /* Makes the socket non-blocking. */
	if (rc < 0)
		goto fail;
	listener->poll.data = listener;
	rc = uv_poll_start(&listener->poll, UV_READABLE, listener_wake);
	if (rc < 0) {
		listener_udp_stop(listener); /* The handle is the loop's from here on. */
		return rc;
	}
	*out_listener = listener;
	return 0;
fail:
	close(fd);
	free(listener);
	return rc;
}

static void listener_closed(uv_handle_t *handle)
{
	struct listener_udp *listener = handle->data;

	close(listener->fd);
	listener->is_closed = true;
	listener_free_if_unused(listener);
}

void listener_udp_stop(struct listener_udp *listener)
{
	if (listener && !uv_is_closing((const uv_handle_t *)&listener->poll))
		uv_close((uv_handle_t *)&listener->poll, listener_closed);
}

const struct listener_udp_stats *listener_udp_stats(const struct listener_udp *listener)
{
	return &listener->stats;
}
