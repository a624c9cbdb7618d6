/* Replies out: at once, or when the client takes them. */
#include <stdlib.h>
#include <string.h>

#include "server/net/tcp_connection_state.h"

/* A reply, or several, that the kernel did not take at once. */
struct tcp_write {
	uv_write_t request;
	size_t len;
	uint8_t octets[];
};

static bool connection_is_full(const struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;

	return connection->queued_octets > limits->write_queue_octets_max ||
	       connection->unsettled >= limits->unsettled_max;
}

void tcp_connection_pause_if_full(struct tcp_connection *connection)
{
	if (connection->state != TCP_READING || !connection_is_full(connection))
		return;
	connection->state = TCP_PAUSED;
	uv_read_stop(tcp_connection_stream(connection));
}

static void connection_written(uv_write_t *request, int status);

static int connection_queue(struct tcp_connection *connection, const uint8_t *octets, size_t len)
{
	struct tcp_write *write = malloc(sizeof(*write) + len);
	uv_buf_t buffer;
	int rc;

	if (!write)
		return UV_ENOMEM;
	write->request.data = connection;
	write->len = len;
	memcpy(write->octets, octets, len);
	buffer = uv_buf_init((char *)write->octets, (unsigned)len);
	rc = uv_write(
		&write->request, tcp_connection_stream(connection), &buffer, 1, connection_written);
	if (rc < 0) {
		free(write);
		return rc;
	}
	if (connection->queued_octets == 0)
		connection->write_since_ms = tcp_connection_now_ms(connection);
	connection->queued_octets += sizeof(*write) + len;
	connection->all->queued_octets += sizeof(*write) + len;
	connection->unsent_octets =
		uv_stream_get_write_queue_size(tcp_connection_stream(connection));
	tcp_connection_pause_if_full(connection);
	return 0;
}

void tcp_connection_flush(struct tcp_connection *connection)
{
	struct tcp_connections *all = connection->all;
	size_t len = all->gathered;
	uv_buf_t buffer = uv_buf_init((char *)all->replies, (unsigned)len);
	int taken;
	int rc = 0;

	all->gathered = 0;
	if (len == 0 || connection->state == TCP_CLOSED)
		return;
	taken = uv_try_write(tcp_connection_stream(connection), &buffer, 1);
	if (taken == UV_EAGAIN)
		taken = 0; /* Also if earlier replies are queued: these go behind them. */
	if (taken < 0)
		rc = taken;
	else if ((size_t)taken < len)
		rc = connection_queue(connection, all->replies + taken, len - (size_t)taken);
	if (rc < 0)
		tcp_connection_stop(connection);
}

void tcp_connection_settle(struct tcp_connection *connection)
{
	tcp_connection_flush(connection);
	if (connection->state == TCP_CLOSED)
		return;
	if (connection->state == TCP_FINISHING && connection->queued_octets == 0 &&
		connection->unsettled == 0)
		tcp_connection_stop(connection);
	else
		tcp_connection_arm(connection);
}

static void connection_written(uv_write_t *request, int status)
{
	struct tcp_connection *connection = request->data;
	struct tcp_write *write = (struct tcp_write *)request;

	connection->queued_octets -= sizeof(*write) + write->len;
	connection->all->queued_octets -= sizeof(*write) + write->len;
	free(write);
	if (connection->state == TCP_CLOSED)
		return;
	if (status < 0) {
		tcp_connection_stop(connection);
		return;
	}
	connection->write_since_ms = tcp_connection_now_ms(connection);
	connection->had_last_look = false;
	connection->unsent_octets =
		uv_stream_get_write_queue_size(tcp_connection_stream(connection));
	tcp_connection_refresh(connection);
	if (connection->queued_octets == 0 && connection->pending_len == 0)
		connection->read_since_ms = tcp_connection_now_ms(connection);
	tcp_connection_resume_if_room(connection);
	tcp_connection_settle(connection);
}

/* Later replies. Not gathered: what is being gathered may be another connection's. */

/* What is queued for connections that are closed counts until its memory is free. */
static bool connection_takes_too_little(const struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;

	return connection->queued_octets > limits->write_queue_octets_max &&
	       connection->all->queued_octets > limits->unread_octets_max;
}

static void connection_send(struct tcp_connection *connection, struct bytes reply)
{
	uint8_t prefix[TCP_PREFIX_OCTETS] = {(uint8_t)(reply.len >> 8), (uint8_t)reply.len};
	uv_buf_t buffers[] = {uv_buf_init((char *)prefix, TCP_PREFIX_OCTETS),
		uv_buf_init((char *)reply.ptr, (unsigned)reply.len)};
	int taken;
	size_t sent;
	int rc;

	if (connection_takes_too_little(connection)) {
		connection->all->stats.evicted++;
		tcp_connection_stop(connection);
		return;
	}
	taken = uv_try_write(tcp_connection_stream(connection), buffers, 2);
	sent = taken > 0 ? (size_t)taken : 0;
	rc = taken < 0 && taken != UV_EAGAIN ? taken : 0;
	connection->all->stats.replies++;
	if (rc == 0 && sent < TCP_PREFIX_OCTETS)
		rc = connection_queue(connection, prefix + sent, TCP_PREFIX_OCTETS - sent);
	sent = sent < TCP_PREFIX_OCTETS ? 0 : sent - TCP_PREFIX_OCTETS;
	if (rc == 0 && sent < reply.len)
		rc = connection_queue(connection, reply.ptr + sent, reply.len - sent);
	if (rc < 0)
		tcp_connection_stop(connection);
}

void tcp_connection_settle_client(const struct listener_client *client, struct bytes reply)
{
	struct tcp_connection *connection = (struct tcp_connection *)client->origin;

	connection->unsettled--;
	if (connection->state == TCP_CLOSED) {
		tcp_connection_free_if_unused(connection);
		return;
	}
	if (reply.len == 0)
		tcp_connection_finish(connection);
	else
		connection_send(connection, reply);
	if (connection->state == TCP_CLOSED || connection->is_consuming)
		return; /* In the latter case, what is consuming goes on from here. */
	tcp_connection_refresh(connection);
	if (connection->unsettled == 0 && connection->pending_len == 0)
		connection->read_since_ms = tcp_connection_now_ms(connection);
	tcp_connection_resume_if_room(connection);
	if (connection->state == TCP_FINISHING && connection->queued_octets == 0 &&
		connection->unsettled == 0)
		tcp_connection_stop(connection);
	else if (connection->state != TCP_CLOSED)
		tcp_connection_arm(connection);
}
