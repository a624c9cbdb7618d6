/* A question in one datagram, on a connected socket of its own: the kernel chooses the port, and
 * passes on only what comes from the server's address and port. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/forward_query.h"

/* Datagrams taken in one callback; a flood on one socket must not hold up the others. */
#define READS_MAX 8

static void udp_on_closed(uv_handle_t *handle)
{
	struct forward_attempt *attempt = handle->data;

	forward_attempt_closed(attempt);
}

void forward_udp_close(struct forward_attempt *attempt)
{
	uv_close(&attempt->handle.any, udp_on_closed);
	close(attempt->fd); /* libuv does not look at it any more. */
}

static void udp_on_ready(uv_poll_t *poll, int status, int events)
{
	struct forward_attempt *attempt = poll->data;
	uint8_t *buffer = attempt->query->forward->received;
	int error = 0;
	socklen_t error_len = sizeof(error);

	(void)events;
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(attempt->fd, buffer, ANSWER_TCP_OCTETS_MAX, MSG_DONTWAIT);

		if (len >= 0) {
			forward_query_take(attempt->query, attempt, buffer, (size_t)len);
			if (!attempt->query)
				return;
		} else if (errno == EAGAIN || errno == EINTR) {
			break;
		} else {
			/* ECONNREFUSED and the like: an ICMP message for this very socket. */
			forward_query_attempt_failed(attempt->query, attempt);
			return;
		}
	}
	if (status < 0) {
		/* libuv stopped the handle for an error that recv() has told, or nobody will. */
		getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
		uv_poll_start(poll, UV_READABLE, udp_on_ready);
	}
}

static void udp_avoid_fragments(int fd, int family)
{
	const int value = family == AF_INET ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT;

	/* RFC 9715 section 3.1, R2: a query is small; this is against false ICMP messages. */
	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof(value));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &value, sizeof(value));
}

int forward_udp_send(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->query->forward;
	const struct upstream_server *server = &attempt->query->list->servers[attempt->server];
	struct sockaddr_storage address;
	socklen_t len = upstream_sockaddr(&server->endpoint, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return uv_translate_sys_error(errno);
	udp_avoid_fragments(fd, address.ss_family);
	if (connect(fd, (const struct sockaddr *)&address, len) < 0 ||
		send(fd, attempt->octets + 2, attempt->query_octets, MSG_DONTWAIT) < 0) {
		rc = uv_translate_sys_error(errno);
		close(fd);
		return rc;
	}
	rc = uv_poll_init(forward->loop, &attempt->handle.poll, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	attempt->fd = fd;
	attempt->handle.poll.data = attempt;
	forward->handles_open++;
	forward->stats.sockets++;
	forward->stats.attempts_udp++;
	uv_poll_start(&attempt->handle.poll, UV_READABLE, udp_on_ready); /* Cannot fail. */
	return 0;
}
