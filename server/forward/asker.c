#include "server/forward/asker.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* c-ares has one socket for UDP and one for TCP for each server; it may open a next one in the
 * callback of the last. */
#define SOCKETS_MAX 4
#define ATTEMPTS    2

struct asker_socket {
	uv_poll_t poll;
	struct asker *asker;
	ares_socket_t fd; /* ARES_SOCKET_BAD: free. */
};

struct asker {
	uv_loop_t *loop;
	ares_channel channel;
	uv_timer_t timer;
	struct asker_socket *sockets[SOCKETS_MAX]; /* Freed by their close callbacks. */
	asker_done done;                           /* NULL: `heard` is told. */
	asker_heard heard;                         /* NULL: `done` is told. */
	void *ctx;
	uint8_t *reply; /* For `heard`. */
	size_t reply_len;
	uint64_t started_ns;
	bool is_answered; /* c-ares has called back. */
	bool has_replied;
	bool was_repeated;
	bool is_stopped;
};

static void asker_on_socket_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void asker_on_timer_closed(uv_handle_t *handle)
{
	struct asker *asker = handle->data;

	free(asker->reply);
	free(asker);
}

void asker_stop(struct asker *asker)
{
	if (!asker || asker->is_stopped)
		return;
	asker->is_stopped = true;
	/* Closes its sockets, and tells so. */
	ares_destroy(asker->channel);
	uv_close((uv_handle_t *)&asker->timer, asker_on_timer_closed);
}

static void asker_on_timer(uv_timer_t *timer);

/* c-ares may not be destroyed from within its own callback, so its caller looks afterwards. */
static void asker_settle(struct asker *asker)
{
	struct timeval room;
	struct timeval *next;

	if (asker->is_answered && asker->heard) {
		/* The reply lives until the timer has closed. */
		const struct bytes reply = {asker->reply, asker->reply_len};

		asker_stop(asker);
		asker->heard(asker->ctx, reply);
		return;
	}
	if (asker->is_answered) {
		asker_done done = asker->done;
		void *ctx = asker->ctx;
		const bool has_replied = asker->has_replied;
		const uint64_t took_us =
			asker->was_repeated ? 0 : (uv_hrtime() - asker->started_ns) / 1000;

		asker_stop(asker);
		done(ctx, has_replied, took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX);
		return;
	}
	next = ares_timeout(asker->channel, NULL, &room);
	if (next) {
		uint64_t ms = (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000;

		uv_timer_start(&asker->timer, asker_on_timer, ms + 1, 0);
	}
}

static void asker_on_timer(uv_timer_t *timer)
{
	struct asker *asker = timer->data;
	ares_socket_t fd = ARES_SOCKET_BAD;

	/* A process that was stopped, or had no processor for a while, hears of its timers first.
	 * What lies in the socket is read before its time is judged. */
	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		if (asker->sockets[i])
			fd = asker->sockets[i]->fd;
	}
	ares_process_fd(asker->channel, fd, ARES_SOCKET_BAD);
	asker_settle(asker);
}

static void asker_on_socket(uv_poll_t *poll, int status, int events)
{
	struct asker_socket *socket = poll->data;
	struct asker *asker = socket->asker;
	bool reads = status < 0 || (events & UV_READABLE);
	bool writes = status < 0 || (events & UV_WRITABLE);

	ares_process_fd(asker->channel, reads ? socket->fd : ARES_SOCKET_BAD,
		writes ? socket->fd : ARES_SOCKET_BAD);
	asker_settle(asker);
}

static struct asker_socket *asker_find_socket(
	struct asker *asker, ares_socket_t fd, struct asker_socket ***out_place)
{
	*out_place = NULL;
	for (size_t i = 0; i < SOCKETS_MAX; i++) {
		if (asker->sockets[i] && asker->sockets[i]->fd == fd) {
			*out_place = &asker->sockets[i];
			return asker->sockets[i];
		}
		if (!asker->sockets[i])
			*out_place = &asker->sockets[i];
	}
	return NULL;
}

/* c-ares tells which sockets it waits for; neither direction: it is about to close the socket. */
static void asker_on_state(void *ctx, ares_socket_t fd, int reads, int writes)
{
	struct asker *asker = ctx;
	struct asker_socket **place;
	struct asker_socket *socket = asker_find_socket(asker, fd, &place);

	if (!reads && !writes) {
		if (socket) {
			*place = NULL;
			uv_close((uv_handle_t *)&socket->poll, asker_on_socket_closed);
		}
		return;
	}
	if (!socket) {
		/* Without room or memory the question runs into its time-out. */
		if (!place)
			return;
		socket = calloc(1, sizeof(*socket));
		if (!socket || uv_poll_init(asker->loop, &socket->poll, fd) < 0) {
			free(socket);
			return;
		}
		socket->asker = asker;
		socket->fd = fd;
		socket->poll.data = socket;
		*place = socket;
	}
	uv_poll_start(&socket->poll, (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0),
		asker_on_socket);
}

static void asker_on_answer(void *ctx, int status, int timeouts, unsigned char *octets, int len)
{
	struct asker *asker = ctx;

	if (asker->is_stopped)
		return;
	asker->is_answered = true;
	if (asker->heard && octets && len > 0)
		asker->reply = malloc((size_t)len);
	if (asker->reply) {
		memcpy(asker->reply, octets, (size_t)len);
		asker->reply_len = (size_t)len;
	}
	asker->was_repeated = timeouts > 0;
	switch (status) {
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED:
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
	case ARES_ENOMEM:
		asker->has_replied = false;
		break;
	default:
		/* There was one, whatever it says. */
		asker->has_replied = true;
		break;
	}
}

/* The only server of this channel. The path spares it the host's own list. */
static int asker_open(struct asker *asker, const struct conf_endpoint *server, unsigned timeout_ms)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP,
		.timeout = (int)timeout_ms,
		.tries = ATTEMPTS,
		.lookups = (char *)"b",
		.resolvconf_path = (char *)"/dev/null",
		.sock_state_cb = asker_on_state,
		.sock_state_cb_data = asker,
	};
	struct ares_addr_port_node node = {
		.family = server->family == 4 ? AF_INET : AF_INET6,
		.udp_port = server->port,
		.tcp_port = server->port,
	};

	memcpy(&node.addr, server->octets, server->family == 4 ? 4 : 16);
	if (ares_init_options(&asker->channel, &options,
		    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
			    ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
		return UV_ENOMEM;
	if (ares_set_servers_ports(asker->channel, &node) != ARES_SUCCESS) {
		ares_destroy(asker->channel);
		return UV_ENOMEM;
	}
	return 0;
}

/* An asker with a channel, that has not asked yet. */
static int asker_new(uv_loop_t *loop, const struct conf_endpoint *server, unsigned timeout_ms,
	struct asker **out_asker)
{
	struct asker *asker;
	int rc;

	if (server->scope_id != 0)
		return UV_ENOTSUP;
	asker = calloc(1, sizeof(*asker));
	if (!asker)
		return UV_ENOMEM;
	asker->loop = loop;
	asker->started_ns = uv_hrtime();
	rc = asker_open(asker, server, timeout_ms);
	if (rc < 0) {
		free(asker);
		return rc;
	}
	uv_timer_init(loop, &asker->timer);
	asker->timer.data = asker;
	*out_asker = asker;
	return 0;
}

/* It may have failed already; the caller hears of it from the loop in any case. */
static void asker_wait(struct asker *asker, unsigned timeout_ms)
{
	uv_timer_start(&asker->timer, asker_on_timer, asker->is_answered ? 0 : timeout_ms, 0);
}

int asker_start(uv_loop_t *loop, const struct conf_endpoint *server, const char *name,
	unsigned timeout_ms, asker_done done, void *ctx, struct asker **out_asker)
{
	struct asker *asker;
	int rc = asker_new(loop, server, timeout_ms, &asker);

	if (rc < 0)
		return rc;
	asker->done = done;
	asker->ctx = ctx;
	ares_query(asker->channel, name, 1 /* IN */, 1 /* A */, asker_on_answer, asker);
	asker_wait(asker, timeout_ms);
	*out_asker = asker;
	return 0;
}

int asker_send(uv_loop_t *loop, const struct conf_endpoint *server, struct bytes query,
	unsigned timeout_ms, asker_heard heard, void *ctx, struct asker **out_asker)
{
	struct asker *asker;
	int rc;

	if (query.len > INT16_MAX)
		return UV_EINVAL;
	rc = asker_new(loop, server, timeout_ms, &asker);
	if (rc < 0)
		return rc;
	asker->heard = heard;
	asker->ctx = ctx;
	ares_send(asker->channel, query.ptr, (int)query.len, asker_on_answer, asker);
	asker_wait(asker, timeout_ms);
	*out_asker = asker;
	return 0;
}
