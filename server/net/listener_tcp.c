#include "server/net/listener_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/net/tcp_connection.h"

/* Connections that the kernel completes while we are busy; more are not lost but retried by the
 * clients' kernels, after a second. */
#define BACKLOG 128

/* Less than an eighth of the default limit, so that a connection whose query came with it is read
 * before a flood can have displaced it. */
#define ACCEPTS_PER_WAKE_MAX 16u

/* How long accepting rests after an error that would only repeat itself. */
#define ACCEPT_RETRY_MS 100u

/* What the kernel may buffer for one connection in each direction, which it doubles. Without it a
 * client that reads nothing is given up to 4 MiB (net.ipv4.tcp_wmem) outside our own accounts. */
#define SOCKET_BUFFER_OCTETS 65536

const struct listener_tcp_limits listener_tcp_limits_default = {
	/* With queue, gathered replies and a kept message at their worst, 100 MiB; far above what
	 * resolvers keep open to one server, and below the usual limit of 1,024 descriptors. */
	.connections_max = 256,
	/* A quarter: one address cannot displace the connections of all others. Programs on this
	 * host share one, so not less. */
	.connections_per_client_max = 64,
	/* A client connects because it has a question: 3 s is one lost and repeated packet, with
	 * room. */
	.first_octet_ms = 3000,
	/* RFC 7766 section 6.2.3: of the order of seconds. */
	.idle_ms = 10000,
	/* A browser that opens a page asks for some dozens of names at once. */
	.unsettled_max = 128,
	/* One longest reply: who has not taken that has no use for a second. */
	.write_queue_octets_max = TCP_FRAME_OCTETS_MAX,
	/* Replies that come later find reading paused too late: 128 of them, each up to 64 KiB, for
	 * each of 256 connections would be 2 GiB. Two connections may be as greedy as that. */
	.unread_octets_max = 16 << 20,
};

struct listener_tcp {
	uv_poll_t poll;
	uv_timer_t retry;
	unsigned handles_open;
	int fd;
	struct tcp_connections connections;
};

/* The room for one more. */

/* Closes an old connection of `client`, or of anybody if that is NULL, as told in the header. */
static bool evict_one(struct tcp_connections *all, const struct tcp_client *client)
{
	struct tcp_connection *oldest = NULL;
	struct tcp_connection *oldest_silent = NULL;
	unsigned count = 0;
	unsigned silent = 0;

	for (struct tcp_connection *connection = all->oldest; connection;
		connection = tcp_connection_next(connection)) {
		if (client &&
			memcmp(client, tcp_connection_client(connection), sizeof(*client)) != 0)
			continue;
		count++;
		if (!oldest)
			oldest = connection;
		if (tcp_connection_has_asked(connection))
			continue;
		silent++;
		if (!oldest_silent)
			oldest_silent = connection;
	}
	if (!oldest)
		return false;
	tcp_connection_stop(silent > 0 && silent >= count - silent ? oldest_silent : oldest);
	all->stats.evicted++;
	return true;
}

static unsigned count_of_client(const struct tcp_connections *all, const struct tcp_client *client)
{
	unsigned count = 0;

	for (const struct tcp_connection *connection = all->oldest; connection;
		connection = tcp_connection_next(connection)) {
		if (memcmp(client, tcp_connection_client(connection), sizeof(*client)) == 0)
			count++;
	}
	return count;
}

static void make_room(struct tcp_connections *all, const struct tcp_client *client)
{
	if (count_of_client(all, client) >= all->limits.connections_per_client_max)
		evict_one(all, client);
	else if (all->stats.connections >= all->limits.connections_max)
		evict_one(all, NULL);
}

/* Accepting. Not by uv_listen(): libuv 1.44 accepts until nothing is left, however long a flood
 * lasts, and when its spare descriptor is lost (another thread took the number), it repeats a
 * failing accept() for ever. */

static struct tcp_client client_of(const struct sockaddr_storage *address)
{
	struct tcp_client client = {.family = address->ss_family};

	if (address->ss_family == AF_INET)
		memcpy(client.address, &((const struct sockaddr_in *)address)->sin_addr, 4);
	else if (address->ss_family == AF_INET6)
		memcpy(client.address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	return client;
}

static bool is_somebody_waiting(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) > 0;
}

/* Returns true if another accept() may follow. */
static bool accept_failed(struct listener_tcp *listener, int error);

static bool accept_one(struct listener_tcp *listener)
{
	struct tcp_connections *all = &listener->connections;
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	struct tcp_client client;
	int fd = accept4(
		listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return accept_failed(listener, errno);
	all->stats.accepted++;
	client = client_of(&address);
	make_room(all, &client);
	if (tcp_connection_start(all, fd, &client) < 0)
		all->stats.refused++;
	return true;
}

static void listener_wake(uv_poll_t *poll, int status, int events)
{
	struct listener_tcp *listener = poll->data;
	unsigned accepts = 0;

	(void)events;
	if (status < 0) {
		/* The socket has an error, and libuv stopped the handle. accept() tells it. */
		uv_poll_start(poll, UV_READABLE, listener_wake);
	}
	while (accepts < ACCEPTS_PER_WAKE_MAX && accept_one(listener))
		accepts++;
}

static void listener_retry(uv_timer_t *timer)
{
	struct listener_tcp *listener = timer->data;

	uv_poll_start(&listener->poll, UV_READABLE, listener_wake);
}

static bool accept_failed(struct listener_tcp *listener, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED:
		return true;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		/* The kernel looks for a descriptor first, and then whether it needs one. */
		if (!is_somebody_waiting(listener->fd))
			return false;
		/* The newest makes an old one go; its descriptor is free when this returns. */
		if (evict_one(&listener->connections, NULL))
			return true;
		break;
	}
	/* The socket stays readable, so polling would spin. */
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->retry, listener_retry, ACCEPT_RETRY_MS, 0);
	return false;
}

/* Starting and stopping. */

static void listener_free_if_unused(struct listener_tcp *listener)
{
	if (listener->handles_open > 0 || listener->connections.unfreed > 0)
		return;
	close(listener->fd);
	free(listener);
}

static void listener_handle_closed(uv_handle_t *handle)
{
	struct listener_tcp *listener = handle->data;

	listener->handles_open--;
	listener_free_if_unused(listener);
}

static void listener_connection_freed(struct tcp_connections *connections)
{
	listener_free_if_unused(
		(struct listener_tcp *)((char *)connections -
					offsetof(struct listener_tcp, connections)));
}

/* Connections inherit these options. All but listen() is best effort. */
static int prepare_socket(int fd)
{
	const int on = 1;
	const int octets = SOCKET_BUFFER_OCTETS;

	/* A reply must not wait for the acknowledgement of the one before. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets));
	return listen(fd, BACKLOG) < 0 ? uv_translate_sys_error(errno) : 0;
}

int listener_tcp_start(uv_loop_t *loop, int fd, const struct listener_tcp_limits *limits,
	const struct listener_ops *ops, struct listener_tcp **out_listener)
{
	struct listener_tcp *listener = calloc(1, sizeof(*listener));
	int rc = UV_ENOMEM;

	if (!listener)
		goto fail;
	listener->fd = fd;
	listener->connections.loop = loop;
	listener->connections.ops = ops;
	listener->connections.limits = *limits;
	listener->connections.on_freed = listener_connection_freed;
	rc = prepare_socket(fd);
	if (rc < 0)
		goto fail;
	rc = uv_poll_init(loop, &listener->poll, fd); /* Makes the socket non-blocking. */
	if (rc < 0)
		goto fail;
	uv_timer_init(loop, &listener->retry); /* Cannot fail. */
	listener->handles_open = 2;
	listener->poll.data = listener;
	listener->retry.data = listener;
	rc = uv_poll_start(&listener->poll, UV_READABLE, listener_wake);
	if (rc < 0) {
		listener_tcp_stop(listener); /* The handles are the loop's from here on. */
		return rc;
	}
	*out_listener = listener;
	return 0;
fail:
	close(fd);
	free(listener);
	return rc;
}

void listener_tcp_stop(struct listener_tcp *listener)
{
	struct tcp_connections *all;

	if (!listener || uv_is_closing((const uv_handle_t *)&listener->poll))
		return;
	all = &listener->connections;
	while (all->oldest)
		tcp_connection_stop(all->oldest);
	uv_close((uv_handle_t *)&listener->poll, listener_handle_closed);
	uv_close((uv_handle_t *)&listener->retry, listener_handle_closed);
}

const struct listener_tcp_stats *listener_tcp_stats(const struct listener_tcp *listener)
{
	return &listener->connections.stats;
}
