#include "server/net/tcp_connection_state.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The list: oldest progress first. */

static void list_append(struct tcp_connection *connection)
{
	struct tcp_connections *all = connection->all;

	connection->older = all->newest;
	connection->newer = NULL;
	if (all->newest)
		all->newest->newer = connection;
	else
		all->oldest = connection;
	all->newest = connection;
}

static void list_remove(struct tcp_connection *connection)
{
	struct tcp_connections *all = connection->all;

	if (connection->older)
		connection->older->newer = connection->newer;
	else
		all->oldest = connection->newer;
	if (connection->newer)
		connection->newer->older = connection->older;
	else
		all->newest = connection->older;
}

void tcp_connection_refresh(struct tcp_connection *connection)
{
	if (connection->state == TCP_CLOSED || connection == connection->all->newest)
		return;
	list_remove(connection);
	list_append(connection);
}

/* Closing. */

void tcp_connection_free_if_unused(struct tcp_connection *connection)
{
	struct tcp_connections *all = connection->all;

	if (connection->handles_open > 0 || connection->unsettled > 0)
		return;
	free(connection->pending);
	free(connection);
	all->unfreed--;
	all->on_freed(all);
}

static void connection_handle_closed(uv_handle_t *handle)
{
	struct tcp_connection *connection = handle->data;

	connection->handles_open--;
	tcp_connection_free_if_unused(connection);
}

void tcp_connection_stop(struct tcp_connection *connection)
{
	if (connection->state == TCP_CLOSED)
		return;
	list_remove(connection);
	connection->state = TCP_CLOSED;
	connection->all->stats.connections--;
	uv_close((uv_handle_t *)&connection->stream, connection_handle_closed);
	uv_close((uv_handle_t *)&connection->timer, connection_handle_closed);
}

void tcp_connection_finish(struct tcp_connection *connection)
{
	if (connection->state == TCP_CLOSED)
		return;
	connection->state = TCP_FINISHING;
	connection->pending_len = 0;
	uv_read_stop(tcp_connection_stream(connection));
}

/* Time. The timer is set only when it would fire too late, and otherwise finds out by itself when
 * it fires that there is time left: no timer is moved for each message. */

static uint64_t connection_due_ms(const struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;
	uint64_t due_ms = UINT64_MAX;

	if (connection->queued_octets > 0)
		due_ms = connection->write_since_ms + limits->idle_ms;
	/* Who still waits for replies or takes them may be silent; but not stop within a message.
	 */
	if (connection->state == TCP_READING &&
		((connection->queued_octets == 0 && connection->unsettled == 0) ||
			connection->pending_len > 0)) {
		uint64_t wait_ms =
			connection->has_sent_octets ? limits->idle_ms : limits->first_octet_ms;

		if (connection->read_since_ms + wait_ms < due_ms)
			due_ms = connection->read_since_ms + wait_ms;
	}
	return due_ms;
}

/* Whether something came in time after all, or can be sent: a process that was stopped, or had no
 * processor for a while, hears of its timers first. Only once, so that octets that drip in gain
 * nothing. */
static bool connection_has_last_look(struct tcp_connection *connection)
{
	struct pollfd ready = {.fd = -1};

	if (connection->had_last_look ||
		uv_fileno((uv_handle_t *)&connection->stream, &ready.fd) < 0)
		return false;
	connection->had_last_look = true;
	if (connection->state == TCP_READING)
		ready.events |= POLLIN;
	if (connection->queued_octets > 0)
		ready.events |= POLLOUT;
	return poll(&ready, 1, 0) > 0;
}

static void connection_expire(uv_timer_t *timer)
{
	struct tcp_connection *connection = timer->data;
	uint64_t now_ms = tcp_connection_now_ms(connection);
	size_t unsent = uv_stream_get_write_queue_size(tcp_connection_stream(connection));
	uint64_t due_ms;

	/* A long reply is taken in parts. So a reader is cut off after one to two idle_ms. */
	if (unsent < connection->unsent_octets) {
		connection->unsent_octets = unsent;
		connection->write_since_ms = now_ms;
		connection->had_last_look = false;
	}
	due_ms = connection_due_ms(connection);
	if (due_ms <= now_ms && connection_has_last_look(connection))
		due_ms = now_ms + 1; /* The loop looks at the socket before. */
	if (due_ms <= now_ms) {
		connection->all->stats.timed_out++;
		tcp_connection_stop(connection);
		return;
	}
	connection->timer_due_ms = due_ms;
	uv_timer_start(timer, connection_expire, due_ms - now_ms, 0);
}

void tcp_connection_arm(struct tcp_connection *connection)
{
	uint64_t now_ms = tcp_connection_now_ms(connection);
	uint64_t due_ms = connection_due_ms(connection);

	if (due_ms >= connection->timer_due_ms)
		return;
	connection->timer_due_ms = due_ms;
	uv_timer_start(
		&connection->timer, connection_expire, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* Starting, and what the list's owner asks. */

static void connection_set_client(
	struct tcp_connection *connection, const struct tcp_client *client)
{
	struct listener_client *asker = &connection->asker;

	connection->client = *client;
	*asker = (struct listener_client){.origin = &connection->origin, .is_tcp = true};
	asker->peer.any.sa_family = client->family;
	if (client->family == AF_INET)
		memcpy(&asker->peer.v4.sin_addr, client->address, sizeof(asker->peer.v4.sin_addr));
	else
		memcpy(&asker->peer.v6.sin6_addr, client->address,
			sizeof(asker->peer.v6.sin6_addr));
}

/* Both handles belong to the loop from here on, so only their close callbacks may free. */
static int connection_init(struct tcp_connection *connection)
{
	uv_loop_t *loop = connection->all->loop;
	int rc = uv_tcp_init(loop, &connection->stream);

	if (rc < 0)
		return rc;
	uv_timer_init(loop, &connection->timer); /* Cannot fail. */
	connection->handles_open = 2;
	connection->stream.data = connection;
	connection->timer.data = connection;
	connection->timer_due_ms = UINT64_MAX;
	connection->read_since_ms = tcp_connection_now_ms(connection);
	connection->all->unfreed++;
	connection->all->stats.connections++;
	list_append(connection);
	return 0;
}

int tcp_connection_start(
	struct tcp_connections *connections, int fd, const struct tcp_client *client)
{
	struct tcp_connection *connection = calloc(1, sizeof(*connection));
	int rc = UV_ENOMEM;

	if (!connection)
		goto fail;
	connection->all = connections;
	connection->origin = (struct listener_origin){
		.settle = tcp_connection_settle_client, .ops = connections->ops};
	connection_set_client(connection, client);
	rc = connection_init(connection);
	if (rc < 0)
		goto fail;
	rc = uv_tcp_open(&connection->stream, fd);
	if (rc < 0) {
		tcp_connection_stop(connection);
		close(fd);
		return rc;
	}
	rc = tcp_connection_read(connection);
	if (rc < 0) {
		tcp_connection_stop(connection); /* The descriptor is the stream's by now. */
		return rc;
	}
	tcp_connection_arm(connection);
	return 0;
fail:
	free(connection);
	close(fd);
	return rc;
}

struct tcp_connection *tcp_connection_next(const struct tcp_connection *connection)
{
	return connection->newer;
}

const struct tcp_client *tcp_connection_client(const struct tcp_connection *connection)
{
	return &connection->client;
}

bool tcp_connection_has_asked(const struct tcp_connection *connection)
{
	return connection->has_asked;
}
