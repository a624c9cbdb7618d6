/* A question in one datagram, on a connected socket of its own: the kernel chooses the port, and
 * passes on only what comes from the server's address and port. The sockets have an epoll
 * descriptor of their own, which libuv watches: with a handle for each, libuv spends seven more
 * system calls on a question. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/forward/forward_query.h"

/* Datagrams taken of one socket in one turn; a flood on it must not hold up the others. */
#define READS_MAX 8
/* Sockets looked at in one turn: then timers and listeners have theirs. */
#define EVENTS_MAX 64

/* Attempts that were closed while events for them may be at hand are freed behind these. */
static void udp_free_closed(struct forward *forward)
{
	while (forward->udp_closed) {
		struct forward_attempt *attempt = forward->udp_closed;

		forward->udp_closed = attempt->next;
		free(attempt);
	}
}

static void unsent_append(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->forward;

	attempt->is_unsent = true;
	attempt->next_unsent = NULL;
	*forward->udp_unsent_end = attempt;
	forward->udp_unsent_end = &attempt->next_unsent;
	forward->udp_unsent_count++;
}

static void unsent_remove(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->forward;
	struct forward_attempt **place = &forward->udp_unsent;

	while (*place != attempt)
		place = &(*place)->next_unsent;
	*place = attempt->next_unsent;
	if (!*place)
		forward->udp_unsent_end = place;
	attempt->is_unsent = false;
	forward->udp_unsent_count--;
}

void forward_udp_flush(struct forward *forward)
{
	/* What fails may bring in the next attempt. */
	while (forward->udp_unsent) {
		struct forward_attempt *attempt = forward->udp_unsent;

		unsent_remove(attempt);
		if (send(attempt->fd, attempt->octets + 2, attempt->query_octets, MSG_DONTWAIT) < 0)
			forward_query_attempt_failed(attempt->query, attempt);
	}
	uv_prepare_stop(&forward->udp_prepare);
}

static void udp_on_prepare(uv_prepare_t *prepare)
{
	forward_udp_flush(prepare->data);
}

void forward_udp_close(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->forward;

	if (attempt->is_unsent)
		unsent_remove(attempt);
	close(attempt->fd); /* The only descriptor of the socket: epoll forgets it. */
	attempt->next = forward->udp_closed;
	forward->udp_closed = attempt;
	if (!forward->is_taking)
		udp_free_closed(forward);
}

static void udp_take(struct forward_attempt *attempt)
{
	uint8_t *buffer = attempt->forward->received;

	for (int i = 0; attempt->query && i < READS_MAX; i++) {
		ssize_t len = recv(attempt->fd, buffer, ANSWER_TCP_OCTETS_MAX, MSG_DONTWAIT);

		if (len >= 0)
			forward_query_take(attempt->query, attempt, buffer, (size_t)len);
		else if (errno == EAGAIN || errno == EINTR)
			return;
		else /* ECONNREFUSED and the like: an ICMP message for this very socket. */
			forward_query_attempt_failed(attempt->query, attempt);
	}
}

static void udp_end_taking(struct forward *forward)
{
	forward_outbox_flush(forward);
	forward->is_taking = false;
	udp_free_closed(forward);
}

static void udp_on_ready(uv_poll_t *poll, int status, int events)
{
	struct forward *forward = poll->data;
	struct epoll_event ready[EVENTS_MAX];
	int count = epoll_wait(forward->udp_epoll, ready, EVENTS_MAX, 0);

	(void)status;
	(void)events;
	forward->is_taking = true;
	for (int i = 0; i < count; i++)
		udp_take(ready[i].data.ptr);
	udp_end_taking(forward);
}

void forward_udp_look(struct forward_query *query)
{
	struct forward *forward = query->forward;
	struct forward_attempt *attempts[FORWARD_ATTEMPTS_MAX];
	size_t count = 0;

	/* What comes makes and ends attempts. */
	for (struct forward_attempt *attempt = query->attempts;
		attempt && count < FORWARD_ATTEMPTS_MAX; attempt = attempt->next) {
		if (!attempt->is_tcp)
			attempts[count++] = attempt;
	}
	forward->is_taking = true;
	for (size_t i = 0; i < count; i++)
		udp_take(attempts[i]);
	udp_end_taking(forward);
}

int forward_udp_send(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->query->forward;
	const struct upstream_server *server = &attempt->query->list->servers[attempt->server];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = attempt};
	struct sockaddr_storage address;
	socklen_t len = upstream_sockaddr(&server->endpoint, &address);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return uv_translate_sys_error(errno);
	if (connect(fd, (const struct sockaddr *)&address, len) < 0 ||
		epoll_ctl(forward->udp_epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		rc = uv_translate_sys_error(errno);
		close(fd);
		return rc;
	}
	attempt->fd = fd;
	uv_prepare_start(&forward->udp_prepare, udp_on_prepare); /* Once is enough. */
	unsent_append(attempt);
	forward->stats.sockets++;
	forward->stats.attempts_udp++;
	return 0;
}

int forward_udp_start(struct forward *forward)
{
	int rc;

	forward->udp_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (forward->udp_epoll < 0)
		return uv_translate_sys_error(errno);
	rc = uv_poll_init(forward->loop, &forward->udp_poll, forward->udp_epoll);
	if (rc < 0) {
		close(forward->udp_epoll);
		forward->udp_epoll = -1;
		return rc;
	}
	uv_prepare_init(forward->loop, &forward->udp_prepare); /* Cannot fail. */
	forward->udp_poll.data = forward;
	forward->udp_prepare.data = forward;
	forward->udp_unsent_end = &forward->udp_unsent;
	forward->handles_open += 2;
	return uv_poll_start(&forward->udp_poll, UV_READABLE, udp_on_ready);
}

static void udp_on_closed(uv_handle_t *handle)
{
	struct forward *forward = handle->data;

	forward->handles_open--;
	forward_free_if_unused(forward);
}

void forward_udp_stop(struct forward *forward)
{
	if (forward->udp_epoll < 0)
		return;
	uv_close((uv_handle_t *)&forward->udp_poll, udp_on_closed);
	uv_close((uv_handle_t *)&forward->udp_prepare, udp_on_closed);
	close(forward->udp_epoll);
	forward->udp_epoll = -1;
}
