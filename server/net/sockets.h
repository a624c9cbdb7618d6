/** @file Gets the sockets that DNS is served on: those that a service manager hands over
 *  (sd_listen_fds(3)), else those of the configuration, bound here.
 *
 *  Says in the log, in plain words, why a socket cannot be had, who holds the port and what to do.
 *  Knows nothing of DNS and no event loop. */
#ifndef SERVER_NET_SOCKETS_H
#define SERVER_NET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/** "[ffff:…:ffff%4294967295]:65535" and NUL. */
#define SOCKETS_TEXT_SIZE 72

/** More than any host has addresses to serve; a service manager's own limit is far above. */
#define SOCKETS_INHERITED_MAX 256

struct sockets_socket {
	int fd; /**< Bound, O_NONBLOCK, close-on-exec. -1: taken over by a listener. */
	bool is_tcp;
	struct conf_endpoint endpoint; /**< Where it is bound. */
};

struct sockets {
	struct sockets_socket *sockets;
	size_t count;
	bool is_inherited; /**< A service manager bound them: `listen` was not used. */
};

/** Takes LISTEN_FDS if they are meant for this process, else binds each endpoint for UDP and TCP.
 *  LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are removed from the environment.
 *  @param out_sockets sockets_done().
 *  @return 0; -1 if no DNS could be served, or not on every endpoint; the log says why. */
int sockets_open(
	const struct conf_endpoint *listen, size_t listen_count, struct sockets *out_sockets);

/** Closes what nobody took over. */
void sockets_done(struct sockets *sockets);

/** Hands a descriptor over to the caller. */
int sockets_take(struct sockets_socket *socket);

/** Writes "127.0.0.56:53" or "[::1]:53". Returns `out_text`. */
const char *sockets_endpoint_format(
	const struct conf_endpoint *endpoint, char out_text[SOCKETS_TEXT_SIZE]);

#endif
