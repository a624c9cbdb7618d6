#include "server/stats/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/stats/control_socket.h"
#include "server/support/log.h"

/* Enough for people and their monitoring; a client is there for a millisecond. The time is for
 * those that are stopped or swapped out. */
const struct control_limits control_limits_default = {.clients_max = 16, .client_ms = 2000};

/* Then others have their turn. */
#define ACCEPTS_PER_WAKE_MAX 8u
/* While there are no descriptors. */
#define ACCEPT_RETRY_MS 200u

struct control_client {
	struct control *control;
	struct control_client *older;
	struct control_client *newer;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	unsigned handles_open;
	bool is_closing;
	size_t request_len;
	char request[CONTROL_REQUEST_OCTETS_MAX];
	char *document;
};

/* One listening socket. Lives until its close callback. */
struct control_door {
	struct control *control;
	struct control_socket socket;
	int fd;
	uv_poll_t poll;
};

struct control {
	uv_loop_t *loop;
	struct control_limits limits;
	struct control_ops ops;
	struct control_door *door; /* NULL: none. */
	struct control_client *oldest;
	struct control_client *newest;
	unsigned client_count;
	uv_timer_t retry;
	unsigned
		unfreed; /* The timer, doors and clients whose close callbacks are still to come. */
};

static void control_forget_one(struct control *control)
{
	if (--control->unfreed == 0)
		free(control);
}

/* Clients ----------------------------------------------------------------------------------- */

static void client_on_closed(uv_handle_t *handle)
{
	struct control_client *client = handle->data;

	if (--client->handles_open > 0)
		return;
	control_forget_one(client->control);
	free(client->document);
	free(client);
}

static void client_close(struct control_client *client)
{
	struct control *control = client->control;

	if (client->is_closing)
		return;
	client->is_closing = true;
	if (client->older)
		client->older->newer = client->newer;
	else
		control->oldest = client->newer;
	if (client->newer)
		client->newer->older = client->older;
	else
		control->newest = client->older;
	control->client_count--;
	uv_close((uv_handle_t *)&client->pipe, client_on_closed);
	uv_close((uv_handle_t *)&client->timer, client_on_closed);
}

static void client_on_timer(uv_timer_t *timer)
{
	client_close(timer->data);
}

static void client_on_written(uv_write_t *write, int status)
{
	(void)status;
	client_close(write->data);
}

/* The document and a newline; NULL if memory is short. */
static char *client_document(const struct control_client *client)
{
	static const char refusal[] = "{\"error\":\"unknown request; 'stats' is known\"}";
	const struct control_ops *ops = &client->control->ops;
	char *document =
		strcmp(client->request, "stats") == 0 ? ops->stats(ops->ctx) : strdup(refusal);
	const size_t len = document ? strlen(document) : 0;
	char *ended = document ? realloc(document, len + 2) : NULL;

	if (!ended) {
		free(document);
		return NULL;
	}
	memcpy(ended + len, "\n", 2);
	return ended;
}

static void client_answer(struct control_client *client)
{
	uv_buf_t buffer;

	client->document = client_document(client);
	if (!client->document) {
		client_close(client);
		return;
	}
	buffer = uv_buf_init(client->document, (unsigned)strlen(client->document));
	client->write.data = client;
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, client_on_written) <
		0)
		client_close(client);
}

static void client_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buffer)
{
	struct control_client *client = handle->data;

	(void)suggested;
	*out_buffer = uv_buf_init(client->request + client->request_len,
		(unsigned)(sizeof(client->request) - client->request_len));
}

static void client_on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct control_client *client = stream->data;
	char *end;

	(void)buffer;
	if (count == 0)
		return;
	if (count < 0) {
		client_close(client);
		return;
	}
	client->request_len += (size_t)count;
	end = memchr(client->request, '\n', client->request_len);
	if (end) {
		*end = '\0';
		uv_read_stop(stream);
		client_answer(client);
	} else if (client->request_len == sizeof(client->request)) {
		client_close(client);
	}
}

static void client_list(struct control_client *client)
{
	struct control *control = client->control;

	client->older = control->newest;
	if (control->newest)
		control->newest->newer = client;
	else
		control->oldest = client;
	control->newest = client;
	control->client_count++;
	control->unfreed++;
}

/* Takes the descriptor over, also on failure. */
static void client_start(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (!client || uv_pipe_init(control->loop, &client->pipe, 0) < 0) {
		free(client);
		close(fd);
		return;
	}
	uv_timer_init(control->loop, &client->timer); /* Cannot fail. */
	client->control = control;
	client->handles_open = 2;
	client->pipe.data = client;
	client->timer.data = client;
	client_list(client);
	if (uv_pipe_open(&client->pipe, fd) < 0) {
		close(fd);
		client_close(client);
		return;
	}
	uv_timer_start(&client->timer, client_on_timer, control->limits.client_ms, 0);
	if (uv_read_start((uv_stream_t *)&client->pipe, client_alloc, client_on_read) < 0)
		client_close(client);
}

/* Accepting, not by uv_listen(): see listener_tcp.c. ------------------------------------------ */

static void door_on_wake(uv_poll_t *poll, int status, int events);

static void control_on_retry(uv_timer_t *timer)
{
	struct control *control = timer->data;

	if (control->door)
		uv_poll_start(&control->door->poll, UV_READABLE, door_on_wake);
}

/* True if another accept() may follow. */
static bool door_accept_failed(struct control_door *door, int error)
{
	struct control *control = door->control;

	if (error == EAGAIN)
		return false;
	if (error == EINTR || error == ECONNABORTED)
		return true;
	/* No descriptor or memory is left. The socket stays readable, so polling would spin. */
	uv_poll_stop(&door->poll);
	uv_timer_start(&control->retry, control_on_retry, ACCEPT_RETRY_MS, 0);
	return false;
}

static bool door_accept(struct control_door *door)
{
	struct control *control = door->control;
	int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return door_accept_failed(door, errno);
	if (control->client_count >= control->limits.clients_max)
		client_close(control->oldest);
	client_start(control, fd);
	return true;
}

static void door_on_wake(uv_poll_t *poll, int status, int events)
{
	struct control_door *door = poll->data;
	unsigned accepts = 0;

	(void)events;
	if (status < 0) /* libuv stopped the handle; accept() tells why. */
		uv_poll_start(poll, UV_READABLE, door_on_wake);
	while (accepts < ACCEPTS_PER_WAKE_MAX && door_accept(door))
		accepts++;
}

static void door_on_closed(uv_handle_t *handle)
{
	struct control_door *door = handle->data;

	close(door->fd);
	control_forget_one(door->control);
	free(door);
}

static void door_close(struct control_door *door)
{
	if (!door)
		return;
	control_socket_close(&door->socket);
	uv_close((uv_handle_t *)&door->poll, door_on_closed);
}

/* NULL: the log says why. */
static struct control_door *door_open(struct control *control, const char *path)
{
	struct control_door *door = calloc(1, sizeof(*door));

	if (!door || control_socket_open(path, &door->socket) < 0) {
		free(door);
		return NULL;
	}
	door->control = control;
	door->fd = door->socket.fd;
	if (uv_poll_init(control->loop, &door->poll, door->fd) < 0) {
		control_socket_close(&door->socket);
		free(door);
		return NULL;
	}
	door->socket.fd = -1; /* Closed when the handle is. */
	door->poll.data = door;
	control->unfreed++;
	uv_poll_start(&door->poll, UV_READABLE, door_on_wake);
	log_debug("control socket '%s': open", path);
	return door;
}

/* Starting and stopping --------------------------------------------------------------------- */

int control_start(uv_loop_t *loop, const struct control_limits *limits,
	const struct control_ops *ops, struct control **out_control)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return UV_ENOMEM;
	control->loop = loop;
	control->limits = *limits;
	control->ops = *ops;
	control->unfreed = 1;
	control->retry.data = control;
	uv_timer_init(loop, &control->retry); /* Cannot fail. */
	*out_control = control;
	return 0;
}

void control_serve(struct control *control, const char *index_file)
{
	char *path = control_socket_path(index_file);

	if (!path) {
		log_warning("control socket: %s", strerror(ENOMEM));
		return;
	}
	if (!control->door || strcmp(control->door->socket.path, path) != 0 ||
		!control_socket_is_there(&control->door->socket)) {
		door_close(control->door);
		control->door = door_open(control, path);
	}
	free(path);
}

static void control_on_closed(uv_handle_t *handle)
{
	control_forget_one(handle->data);
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	while (control->oldest)
		client_close(control->oldest);
	door_close(control->door);
	control->door = NULL;
	uv_close((uv_handle_t *)&control->retry, control_on_closed);
}
