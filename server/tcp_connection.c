#include "server/tcp_connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Most queries fit; a longer message doubles this as its octets arrive, so that a client holds no
 * more of our memory than twice what it sent. */
#define PENDING_OCTETS_MIN 512u

#define PREFIX_OCTETS 2u

enum tcp_state {
	TCP_READING,
	TCP_PAUSED,    /* Too many replies not taken or not there yet: reads nothing, keeps what it
			  has read. */
	TCP_FINISHING, /* Reads no more; closes when all replies are there and taken. */
	TCP_CLOSED,    /* Waits for the close callbacks. */
};

struct tcp_connection {
	struct listener_origin origin;
	struct tcp_connections *all;
	struct tcp_connection *older;
	struct tcp_connection *newer;
	uv_tcp_t stream;
	uv_timer_t timer;
	unsigned handles_open;
	unsigned unsettled; /* Queries that wait for a later reply. */
	struct tcp_client client;
	struct listener_client asker; /* The same, for whom we ask. */
	enum tcp_state state;
	bool has_sent_octets;
	bool has_asked;
	bool is_consuming; /* Queries are being answered: `pending` must not move. */
	bool had_its_turn; /* The last read filled the buffer. */
	uint8_t *pending;  /* Read and not answered yet: when reading, less than a message. */
	size_t pending_len;
	size_t pending_cap;
	size_t queued_octets;    /* Replies not taken, with what we spend on keeping them. */
	size_t unsent_octets;    /* Of these, what the kernel has not taken, when last looked at. */
	uint64_t read_since_ms;  /* Since when the next message, or its rest, is awaited. */
	uint64_t write_since_ms; /* Since when no reply was seen to be taken. */
	uint64_t timer_due_ms;
};

/* A reply, or several, that the kernel did not take at once. */
struct tcp_write {
	uv_write_t request;
	size_t len;
	uint8_t octets[];
};

static uv_stream_t *connection_stream(struct tcp_connection *connection)
{
	return (uv_stream_t *)&connection->stream;
}

static uint64_t connection_now_ms(const struct tcp_connection *connection)
{
	return uv_now(connection->all->loop);
}

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

static void list_refresh(struct tcp_connection *connection)
{
	if (connection->state == TCP_CLOSED || connection == connection->all->newest)
		return;
	list_remove(connection);
	list_append(connection);
}

/* Closing. */

static void connection_free_if_unused(struct tcp_connection *connection)
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
	connection_free_if_unused(connection);
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

/* Reads no more. What was asked before is still answered. */
static void connection_finish(struct tcp_connection *connection)
{
	if (connection->state == TCP_CLOSED)
		return;
	connection->state = TCP_FINISHING;
	connection->pending_len = 0;
	uv_read_stop(connection_stream(connection));
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

static void connection_expire(uv_timer_t *timer)
{
	struct tcp_connection *connection = timer->data;
	uint64_t now_ms = connection_now_ms(connection);
	size_t unsent = uv_stream_get_write_queue_size(connection_stream(connection));
	uint64_t due_ms;

	/* A long reply is taken in parts. So a reader is cut off after one to two idle_ms. */
	if (unsent < connection->unsent_octets) {
		connection->unsent_octets = unsent;
		connection->write_since_ms = now_ms;
	}
	due_ms = connection_due_ms(connection);
	if (due_ms <= now_ms) {
		connection->all->stats.timed_out++;
		tcp_connection_stop(connection);
		return;
	}
	connection->timer_due_ms = due_ms;
	uv_timer_start(timer, connection_expire, due_ms - now_ms, 0);
}

static void connection_arm(struct tcp_connection *connection)
{
	uint64_t now_ms = connection_now_ms(connection);
	uint64_t due_ms = connection_due_ms(connection);

	if (due_ms >= connection->timer_due_ms)
		return;
	connection->timer_due_ms = due_ms;
	uv_timer_start(
		&connection->timer, connection_expire, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* Writing. */

static bool connection_is_full(const struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;

	return connection->queued_octets > limits->write_queue_octets_max ||
	       connection->unsettled >= limits->unsettled_max;
}

static void connection_pause_if_full(struct tcp_connection *connection)
{
	if (connection->state != TCP_READING || !connection_is_full(connection))
		return;
	connection->state = TCP_PAUSED;
	uv_read_stop(connection_stream(connection));
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
		&write->request, connection_stream(connection), &buffer, 1, connection_written);
	if (rc < 0) {
		free(write);
		return rc;
	}
	if (connection->queued_octets == 0)
		connection->write_since_ms = connection_now_ms(connection);
	connection->queued_octets += sizeof(*write) + len;
	connection->unsent_octets = uv_stream_get_write_queue_size(connection_stream(connection));
	connection_pause_if_full(connection);
	return 0;
}

/* Writes the gathered replies: usually the kernel takes them all, and nothing is allocated. */
static void connection_flush(struct tcp_connection *connection)
{
	struct tcp_connections *all = connection->all;
	size_t len = all->gathered;
	uv_buf_t buffer = uv_buf_init((char *)all->replies, (unsigned)len);
	int taken;
	int rc = 0;

	all->gathered = 0;
	if (len == 0 || connection->state == TCP_CLOSED)
		return;
	taken = uv_try_write(connection_stream(connection), &buffer, 1);
	if (taken == UV_EAGAIN)
		taken = 0; /* Also if earlier replies are queued: these go behind them. */
	if (taken < 0)
		rc = taken;
	else if ((size_t)taken < len)
		rc = connection_queue(connection, all->replies + taken, len - (size_t)taken);
	if (rc < 0)
		tcp_connection_stop(connection);
}

/* What each event ends with. */
static void connection_settle(struct tcp_connection *connection)
{
	connection_flush(connection);
	if (connection->state == TCP_CLOSED)
		return;
	if (connection->state == TCP_FINISHING && connection->queued_octets == 0 &&
		connection->unsettled == 0)
		tcp_connection_stop(connection);
	else
		connection_arm(connection);
}

/* Answering. */

static void connection_forward(struct tcp_connection *connection, struct bytes query)
{
	const struct listener_ops *ops = connection->all->ops;

	connection->unsettled++;
	ops->forward(ops->ctx, &connection->asker, query);
	connection_pause_if_full(connection);
}

static void connection_answer(struct tcp_connection *connection, struct bytes query)
{
	struct tcp_connections *all = connection->all;
	uint8_t *frame = all->replies + all->gathered;
	size_t len = 0;

	connection->has_asked = true;
	all->stats.queries++;
	switch (all->ops->answer(all->ops->ctx, true, &connection->asker.peer.any, query,
		frame + PREFIX_OCTETS, ANSWER_TCP_OCTETS_MAX, &len)) {
	case ANSWER_REPLY:
		frame[0] = (uint8_t)(len >> 8);
		frame[1] = (uint8_t)len;
		all->gathered += PREFIX_OCTETS + len;
		all->stats.replies++;
		if (TCP_GATHER_OCTETS - all->gathered < TCP_FRAME_OCTETS_MAX)
			connection_flush(connection);
		return;
	case ANSWER_FORWARD:
		if (all->ops->forward) {
			connection_forward(connection, query);
			return;
		}
		connection_finish(connection);
		return;
	case ANSWER_DROP:
		/* Who sends no query, or is out of step with its own lengths, would wait for a
		 * reply that never comes. The close tells it. */
		connection_finish(connection);
		return;
	}
}

/* The whole frame's length once its prefix is there, and until then the prefix's. */
static size_t frame_octets(const uint8_t *octets, size_t len)
{
	return len < PREFIX_OCTETS ? PREFIX_OCTETS
				   : PREFIX_OCTETS + (((size_t)octets[0] << 8) | octets[1]);
}

/* Answers the whole messages at the front, until one is not whole or the connection does not read
 * any more. Returns how many octets were used up. */
static size_t connection_consume(
	struct tcp_connection *connection, const uint8_t *octets, size_t len)
{
	size_t used = 0;

	connection->is_consuming = true;
	while (connection->state == TCP_READING && len - used >= PREFIX_OCTETS) {
		size_t frame = frame_octets(octets + used, len - used);

		if (frame == PREFIX_OCTETS) {
			/* RFC 1035 section 4.1.1: a message has a header, so none is empty. */
			connection_finish(connection);
			break;
		}
		if (frame > len - used)
			break;
		connection_answer(connection,
			(struct bytes){octets + used + PREFIX_OCTETS, frame - PREFIX_OCTETS});
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
		connection_finish(connection);
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
		if (was_between || connection->all->stats.queries != queries)
			connection->read_since_ms = connection_now_ms(connection);
		if (connection->all->stats.queries != queries)
			list_refresh(connection);
	}
	connection_settle(connection);
}

/* Answers what was kept, and reads on if that did not fill the queue again. */
static void connection_resume(struct tcp_connection *connection)
{
	connection->state = TCP_READING;
	connection->had_its_turn = false;
	connection->read_since_ms = connection_now_ms(connection);
	connection_forget(connection,
		connection_consume(connection, connection->pending, connection->pending_len));
	connection_flush(connection);
	if (connection->state == TCP_READING &&
		uv_read_start(connection_stream(connection), connection_alloc, connection_read) < 0)
		tcp_connection_stop(connection);
}

/* Half, so that a connection does not pause and resume with each reply. */
static void connection_resume_if_room(struct tcp_connection *connection)
{
	const struct listener_tcp_limits *limits = &connection->all->limits;

	if (connection->state == TCP_PAUSED &&
		connection->queued_octets <= limits->write_queue_octets_max / 2 &&
		connection->unsettled <= limits->unsettled_max / 2)
		connection_resume(connection);
}

static void connection_written(uv_write_t *request, int status)
{
	struct tcp_connection *connection = request->data;
	struct tcp_write *write = (struct tcp_write *)request;

	connection->queued_octets -= sizeof(*write) + write->len;
	free(write);
	if (connection->state == TCP_CLOSED)
		return;
	if (status < 0) {
		tcp_connection_stop(connection);
		return;
	}
	connection->write_since_ms = connection_now_ms(connection);
	connection->unsent_octets = uv_stream_get_write_queue_size(connection_stream(connection));
	list_refresh(connection);
	if (connection->queued_octets == 0 && connection->pending_len == 0)
		connection->read_since_ms = connection_now_ms(connection);
	connection_resume_if_room(connection);
	connection_settle(connection);
}

/* Later replies. Not gathered: what is being gathered may be another connection's. */

static void connection_send(struct tcp_connection *connection, struct bytes reply)
{
	uint8_t prefix[PREFIX_OCTETS] = {(uint8_t)(reply.len >> 8), (uint8_t)reply.len};
	uv_buf_t buffers[] = {uv_buf_init((char *)prefix, PREFIX_OCTETS),
		uv_buf_init((char *)reply.ptr, (unsigned)reply.len)};
	int taken = uv_try_write(connection_stream(connection), buffers, 2);
	size_t sent = taken > 0 ? (size_t)taken : 0;
	int rc = taken < 0 && taken != UV_EAGAIN ? taken : 0;

	connection->all->stats.replies++;
	if (rc == 0 && sent < PREFIX_OCTETS)
		rc = connection_queue(connection, prefix + sent, PREFIX_OCTETS - sent);
	sent = sent < PREFIX_OCTETS ? 0 : sent - PREFIX_OCTETS;
	if (rc == 0 && sent < reply.len)
		rc = connection_queue(connection, reply.ptr + sent, reply.len - sent);
	if (rc < 0)
		tcp_connection_stop(connection);
}

static void connection_settle_client(const struct listener_client *client, struct bytes reply)
{
	struct tcp_connection *connection = (struct tcp_connection *)client->origin;

	connection->unsettled--;
	if (connection->state == TCP_CLOSED) {
		connection_free_if_unused(connection);
		return;
	}
	if (reply.len == 0)
		connection_finish(connection);
	else
		connection_send(connection, reply);
	if (connection->state == TCP_CLOSED || connection->is_consuming)
		return; /* In the latter case, what is consuming goes on from here. */
	list_refresh(connection);
	if (connection->unsettled == 0 && connection->pending_len == 0)
		connection->read_since_ms = connection_now_ms(connection);
	connection_resume_if_room(connection);
	if (connection->state == TCP_FINISHING && connection->queued_octets == 0 &&
		connection->unsettled == 0)
		tcp_connection_stop(connection);
	else if (connection->state != TCP_CLOSED)
		connection_arm(connection);
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
	connection->read_since_ms = connection_now_ms(connection);
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
	connection->origin = (struct listener_origin){connection_settle_client, connections->ops};
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
	rc = uv_read_start(connection_stream(connection), connection_alloc, connection_read);
	if (rc < 0) {
		tcp_connection_stop(connection); /* The descriptor is the stream's by now. */
		return rc;
	}
	connection_arm(connection);
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
