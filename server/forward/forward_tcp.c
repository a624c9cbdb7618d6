/* A question over a connection of its own: for clients that came by TCP, for replies that do not
 * fit a datagram, and where datagrams cannot be believed. */
#include <stdlib.h>
#include <string.h>

#include "server/forward/forward_query.h"

#define PREFIX_OCTETS 2u

static void tcp_on_closed(uv_handle_t *handle)
{
	struct forward_attempt *attempt = handle->data;
	struct forward *forward = attempt->forward;

	free(attempt->received);
	free(attempt);
	forward->handles_open--;
	forward_free_if_unused(forward);
}

void forward_tcp_close(struct forward_attempt *attempt)
{
	uv_close((uv_handle_t *)&attempt->tcp, tcp_on_closed);
}

/* Octets that are wanted: the prefix, and once it is there, all that it tells. */
static size_t tcp_wanted(const struct forward_attempt *attempt)
{
	if (attempt->received_len < PREFIX_OCTETS)
		return PREFIX_OCTETS;
	return PREFIX_OCTETS + (size_t)dns_read_u16(attempt->received);
}

/* Room for what is wanted and not more, so that a server cannot make us keep what we do not need.
 */
static void tcp_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buffer)
{
	struct forward_attempt *attempt = handle->data;
	const size_t wanted = tcp_wanted(attempt);

	(void)suggested;
	*out_buffer = uv_buf_init(NULL, 0); /* UV_ENOBUFS in the read callback. */
	if (attempt->received_cap < wanted) {
		uint8_t *grown = realloc(attempt->received, wanted);

		if (!grown)
			return;
		attempt->received = grown;
		attempt->received_cap = wanted;
	}
	*out_buffer = uv_buf_init((char *)attempt->received + attempt->received_len,
		(unsigned)(wanted - attempt->received_len));
}

static void tcp_on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct forward_attempt *attempt = stream->data;

	(void)buffer;
	if (!attempt->query || count == 0)
		return;
	if (count < 0) {
		forward_query_attempt_failed(attempt->query, attempt);
		return;
	}
	attempt->received_len += (size_t)count;
	if (attempt->received_len < PREFIX_OCTETS || attempt->received_len < tcp_wanted(attempt))
		return;
	uv_read_stop(stream);
	forward_query_take(attempt->query, attempt, attempt->received + PREFIX_OCTETS,
		attempt->received_len - PREFIX_OCTETS);
}

static void tcp_on_written(uv_write_t *write, int status)
{
	struct forward_attempt *attempt = write->data;

	if (attempt->query && status < 0)
		forward_query_attempt_failed(attempt->query, attempt);
}

static void tcp_on_connected(uv_connect_t *connect, int status)
{
	struct forward_attempt *attempt = connect->data;
	uv_stream_t *stream = (uv_stream_t *)&attempt->tcp;
	uv_buf_t buffer = uv_buf_init(
		(char *)attempt->octets, (unsigned)(PREFIX_OCTETS + attempt->query_octets));

	if (!attempt->query)
		return;
	attempt->write.data = attempt;
	if (status == 0)
		status = uv_write(&attempt->write, stream, &buffer, 1, tcp_on_written);
	if (status == 0)
		status = uv_read_start(stream, tcp_alloc, tcp_on_read);
	if (status < 0)
		forward_query_attempt_failed(attempt->query, attempt);
}

int forward_tcp_send(struct forward_attempt *attempt)
{
	struct forward *forward = attempt->query->forward;
	const struct upstream_server *server = &attempt->query->list->servers[attempt->server];
	struct sockaddr_storage address;
	int rc = uv_tcp_init(forward->loop, &attempt->tcp);

	if (rc < 0)
		return rc;
	upstream_sockaddr(&server->endpoint, &address);
	dns_write_u16(attempt->octets, (uint16_t)attempt->query_octets);
	attempt->tcp.data = attempt;
	attempt->connect.data = attempt;
	forward->handles_open++;
	forward->stats.sockets++;
	forward->stats.attempts_tcp++;
	rc = uv_tcp_connect(&attempt->connect, &attempt->tcp, (const struct sockaddr *)&address,
		tcp_on_connected);
	/* From here on the handle is the loop's: an error is told as that of the connection is. */
	return rc;
}
