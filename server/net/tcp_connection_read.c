/* Messages in: the octets of a stream become queries, and are answered or handed on. */
#include <stdlib.h>
#include <string.h>

#include "server/net/tcp_connection_state.h"

/* Most queries fit; a longer message doubles this as its octets arrive, so that a client holds no
 * more of our memory than twice what it sent. */
#define PENDING_OCTETS_MIN 512u

/* Answering. */

static void connection_forward(struct tcp_connection *connection, struct bytes query)
{
	const struct listener_ops *ops = connection->all->ops;

	connection->unsettled++;
	ops->forward(ops->ctx, &connection->asker, query);
	tcp_connection_pause_if_full(connection);
}

static void connection_answer(struct tcp_connection *connection, struct bytes query)
{
	struct tcp_connections *all = connection->all;
	uint8_t *frame = all->replies + all->gathered;
	size_t len = 0;

	connection->has_asked = true;
	all->stats.queries++;
	switch (all->ops->answer(all->ops->ctx, true, &connection->asker.peer.any, query,
		frame + TCP_PREFIX_OCTETS, ANSWER_TCP_OCTETS_MAX, &len)) {
	case ANSWER_REPLY:
		frame[0] = (uint8_t)(len >> 8);
		frame[1] = (uint8_t)len;
		all->gathered += TCP_PREFIX_OCTETS + len;
		all->stats.replies++;
		if (TCP_GATHER_OCTETS - all->gathered < TCP_FRAME_OCTETS_MAX)
			tcp_connection_flush(connection);
		return;
	case ANSWER_FORWARD:
		if (all->ops->forward) {
			connection_forward(connection, query);
			return;
		}
		tcp_connection_finish(connection);
		return;
	case ANSWER_DROP:
		/* Who sends no query, or is out of step with its own lengths, would wait for a
		 * reply that never comes. The close tells it. */
		tcp_connection_finish(connection);
		return;
	}
}

/* The whole frame's length once its prefix is there, and until then the prefix's. */
static size_t frame_octets(const uint8_t *octets, size_t len)
{
	return len < TCP_PREFIX_OCTETS ? TCP_PREFIX_OCTETS
				       : TCP_PREFIX_OCTETS + (((size_t)octets[0] << 8) | octets[1]);
}

/* Answers the whole messages at the front, until one is not whole or the connection does not read
 * any more. Returns how many octets were used up. */
static size_t connection_consume(
	struct tcp_connection *connection, const uint8_t *octets, size_t len)
{
	size_t used = 0;

	connection->is_consuming = true;
	while (connection->state == TCP_READING && len - used >= TCP_PREFIX_OCTETS) {
		size_t frame = frame_octets(octets + used, len - used);

		if (frame == TCP_PREFIX_OCTETS) {
			/* RFC 1035 section 4.1.1: a message has a header, so none is empty. */
			tcp_connection_finish(connection);
			break;
		}
		if (frame > len - used)
			break;
		connection_answer(connection, (struct bytes){octets + used + TCP_PREFIX_OCTETS,
						      frame - TCP_PREFIX_OCTETS});
		used += frame;
	}
	connection->is_consuming = false;
	return used;
}

/* Reading. */

/* Appends to what is pending. */
static int connection_keep(struct tcp_connection *connection, const uint8_t *octets, size_t len)
{
	size_t needed = connection->pending_len + len;

	if (needed > connection->pending_cap) {
		size_t cap = connection->pending_cap ? connection->pending_cap : PENDING_OCTETS_MIN;
		uint8_t *grown;

		while (cap < needed)
			cap *= 2;
		grown = realloc(connection->pending, cap);
		if (!grown)
			return UV_ENOMEM;
		connection->pending = grown;
		connection->pending_cap = cap;
	}
	memcpy(connection->pending + connection->pending_len, octets, len);
	connection->pending_len = needed;
	return 0;
}

/* Takes octets out of the front of what is pending. A connection between messages holds no
 * buffer. */
static void connection_forget(struct tcp_connection *connection, size_t used)
{
	if (used < connection->pending_len) {
		memmove(connection->pending, connection->pending + used,
			connection->pending_len - used);
		connection->pending_len -= used;
		return;
	}
	free(connection->pending);
	connection->pending = NULL;
	connection->pending_len = 0;
	connection->pending_cap = 0;
}

/* Completes the pending message from new octets, and answers it if it is whole.
 * @param out_taken how many of the new octets belong to it. */
static int connection_complete(
	struct tcp_connection *connection, const uint8_t *octets, size_t len, size_t *out_taken)
{
	size_t taken = 0;

	for (;;) {
		size_t frame = frame_octets(connection->pending, connection->pending_len);
		size_t missing = frame - connection->pending_len;
		size_t part = missing < len - taken ? missing : len - taken;

		if (part == 0)
			break;
		if (connection_keep(connection, octets + taken, part) < 0)
			return UV_ENOMEM;
		taken += part;
	}
	connection_forget(connection,
		connection_consume(connection, connection->pending, connection->pending_len));
	*out_taken = taken;
	return 0;
}

static int connection_receive(struct tcp_connection *connection, const uint8_t *octets, size_t len)
{
	size_t used = 0;

	if (connection->pending_len > 0 && connection_complete(connection, octets, len, &used) < 0)
		return UV_ENOMEM;
	used += connection_consume(connection, octets + used, len - used);
	/* What is left is the beginning of a message, or all that a paused one will answer later.
	 */
	if (used < len && (connection->state == TCP_READING || connection->state == TCP_PAUSED))
		return connection_keep(connection, octets + used, len - used);
	return 0;
}

static void connection_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buffer)
{
	struct tcp_connection *connection = handle->data;

	(void)suggested;
	/* libuv reads up to 32 times in a row while the buffer is filled; offering none ends it. */
	*out_buffer = connection->had_its_turn
			      ? uv_buf_init(NULL, 0)
			      : uv_buf_init((char *)connection->all->read, TCP_READ_OCTETS);
	connection->had_its_turn = false;
}

static void connection_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct tcp_connection *connection = stream->data;
	uint64_t queries = connection->all->stats.queries;

	if (count == 0 || count == UV_ENOBUFS)
		return; /* Nothing there, or no buffer offered: the loop comes back. */
	if (count == UV_EOF) {
		/* RFC 1035 section 4.2.2: closing is delayed until what was asked is answered. */
		tcp_connection_finish(connection);
	} else if (count < 0) {
		tcp_connection_stop(connection);
	} else {
		bool was_between = connection->pending_len == 0;

		connection->had_its_turn = (size_t)count == TCP_READ_OCTETS;
		connection->has_sent_octets = true;
		if (connection_receive(connection, (const uint8_t *)buffer->base, (size_t)count) <
			0)
			tcp_connection_stop(connection);
		/* A message must be whole in time: octets within it gain none. */
		if (was_between || connection->all->stats.queries != queries) {
			connection->read_since_ms = tcp_connection_now_ms(connection);
			connection->had_last_look = false;
		}
		if (connection->all->stats.queries != queries)
			tcp_connection_refresh(connection);
	}
	tcp_connection_settle(connection);
}

int tcp_connection_read(struct tcp_connection *connection)
{
	return uv_read_start(tcp_connection_stream(connection), connection_alloc, connection_read);
}

/* Answers what was kept, and reads on if that did not fill the queue again. */
static void connection_resume(struct tcp_connection *connection)
{
	connection->state = TCP_READING;
	connection->had_its_turn = false;
	connection->read_since_ms = tcp_connection_now_ms(connection);
	connection_forget(connection,
		connection_consume(connection, connection->pending, connection->pending_len));
	tcp_connection_flush(connection);
	if (connection->state == TCP_READING && uv_read_start(tcp_connection_stream(connection),
							connection_alloc, connection_read) < 0)
		tcp_connection_stop(connection);
}

/* Half, so that a connection does not pause and resume with each reply. */
void tcp_connection_resume_if_room(struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;

	if (connection->state == TCP_PAUSED &&
		connection->queued_octets <= limits->write_queue_octets_max / 2 &&
		connection->unsettled <= limits->unsettled_max / 2)
		connection_resume(connection);
}
