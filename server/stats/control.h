/** @file The control socket: tells programs on this host how the daemon does.
 *
 *  It is a unix stream socket beside the index (`/run/leasedns/control`). A client connects and
 * sends one line; the server writes one JSON document, ended by a newline, and closes. By hand:
 *
 *      echo stats | nc -U /run/leasedns/control
 *
 *  `stats` gives counters (stats_json.h). Any other line gives an object whose "error" says so.
 *  Everybody on the host may ask: there is nothing in it of who asked for which name, and nothing
 *  that changes the daemon.
 *
 *  Bounded: clients in number and time, requests in octets. A client over the number makes the
 *  oldest go. Runs on the loop thread. */
#ifndef SERVER_STATS_CONTROL_H
#define SERVER_STATS_CONTROL_H

#include <uv.h>

/** With the newline. */
#define CONTROL_REQUEST_OCTETS_MAX 64u

struct control;

struct control_limits {
	unsigned clients_max;
	uint64_t client_ms; /**< From accept to close: asked and answered. */
};

extern const struct control_limits control_limits_default;

/** Whom the socket asks. */
struct control_ops {
	/** The document without the newline; freed by the callee's caller. NULL if memory is short.
	 */
	char *(*stats)(void *ctx);
	void *ctx;
};

/** Opens nothing yet.
 *  @param limits copied. @param ops copied.
 *  @return 0 or a negative libuv error. */
int control_start(uv_loop_t *loop, const struct control_limits *limits,
	const struct control_ops *ops, struct control **out_control);

/** Serves beside `index_file` from now on, and nowhere else. If that cannot be, the log says why,
 *  and serving beside an earlier one ends all the same; the next call tries again. */
void control_serve(struct control *control, const char *index_file);

/** Closes everything and removes the socket; frees itself when all handles are closed. NULL is
 *  fine. */
void control_stop(struct control *control);

#endif
