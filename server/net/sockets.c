#include "server/net/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/net/port_holder.h"
#include "server/support/log.h"

/* sd_listen_fds(3): SD_LISTEN_FDS_START. */
#define SOCKETS_INHERITED_FIRST 3

/* Only until a listener sets its own: connections wait here while the first index is built. */
#define SOCKETS_BACKLOG 128

static socklen_t sockets_address_encode(
	const struct conf_endpoint *endpoint, struct sockaddr_storage *out_address)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out_address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out_address;

	memset(out_address, 0, sizeof(*out_address));
	if (endpoint->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(endpoint->port);
		memcpy(&v4->sin_addr, endpoint->octets, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(endpoint->port);
	v6->sin6_scope_id = endpoint->scope_id;
	memcpy(&v6->sin6_addr, endpoint->octets, 16);
	return sizeof(*v6);
}

static bool sockets_endpoint_of(int fd, struct conf_endpoint *out_endpoint)
{
	struct conf_endpoint endpoint = {0};
	struct sockaddr_storage address = {0};
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return false;
	if (address.ss_family == AF_INET) {
		endpoint.family = 4;
		endpoint.port = ntohs(v4->sin_port);
		memcpy(endpoint.octets, &v4->sin_addr, 4);
	} else if (address.ss_family == AF_INET6) {
		endpoint.family = 6;
		endpoint.port = ntohs(v6->sin6_port);
		endpoint.scope_id = v6->sin6_scope_id;
		memcpy(endpoint.octets, &v6->sin6_addr, 16);
	} else {
		return false;
	}
	*out_endpoint = endpoint;
	return true;
}

const char *sockets_endpoint_format(
	const struct conf_endpoint *endpoint, char out_text[SOCKETS_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(endpoint->family == 4 ? AF_INET : AF_INET6, endpoint->octets, address,
		sizeof(address));
	if (endpoint->family == 4)
		snprintf(out_text, SOCKETS_TEXT_SIZE, "%s:%u", address, (unsigned)endpoint->port);
	else if (endpoint->scope_id == 0)
		snprintf(out_text, SOCKETS_TEXT_SIZE, "[%s]:%u", address, (unsigned)endpoint->port);
	else
		snprintf(out_text, SOCKETS_TEXT_SIZE, "[%s%%%u]:%u", address,
			(unsigned)endpoint->scope_id, (unsigned)endpoint->port);
	return out_text;
}

/* Binding ----------------------------------------------------------------------------------- */

static void sockets_explain(const struct conf_endpoint *endpoint, bool is_tcp, int error)
{
	const char *transport = is_tcp ? "TCP" : "UDP";
	char where[SOCKETS_TEXT_SIZE];
	char holder[PORT_HOLDER_TEXT_SIZE] = "";

	sockets_endpoint_format(endpoint, where);
	if (error == EADDRINUSE)
		port_holder_format(endpoint, is_tcp, holder);
	log_error("cannot listen on %s (%s): %s%s%s", where, transport, strerror(error),
		holder[0] != '\0' ? ", held by " : "", holder);
	if (error == EADDRINUSE)
		log_error("usual holders of a DNS port: a second leasedns; libvirt's dnsmasq on "
			  "the address of a bridge; systemd-resolved on 127.0.0.53 and "
			  "127.0.0.54; dnsmasq, unbound or named on 0.0.0.0. Stop it, or give "
			  "leasedns an address of its own: `[server] listen = 127.0.0.57`");
	else if (error == EACCES)
		log_error("a port below 1024 needs root or CAP_NET_BIND_SERVICE (leasedns.socket "
			  "has systemd bind it); or choose a higher one: `[server] listen = "
			  "127.0.0.56:5353`");
	else if (error == EADDRNOTAVAIL)
		log_error("no interface of this host has that address (yet); every address of "
			  "127.0.0.0/8 is there from the start: `[server] listen = 127.0.0.57`");
	else if (error == EAFNOSUPPORT)
		log_error("this host has no IPv%u; take the address out of `[server] listen`",
			(unsigned)endpoint->family);
}

static bool sockets_is_wildcard(const struct conf_endpoint *endpoint)
{
	static const uint8_t zero[sizeof(endpoint->octets)];

	return memcmp(endpoint->octets, zero, endpoint->family == 4 ? 4 : sizeof(zero)) == 0;
}

/* The listener asks for it as well, and says so if it cannot be had. */
static void sockets_want_destination(int fd, sa_family_t family)
{
	int on = 1;

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

/* A bound socket, or -1 with errno. */
static int sockets_bind(const struct conf_endpoint *endpoint, bool is_tcp)
{
	struct sockaddr_storage address;
	socklen_t len = sockets_address_encode(endpoint, &address);
	const int on = 1;
	int error;
	int fd = socket(address.ss_family,
		(is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* TCP: connections of a predecessor in TIME_WAIT are not in the way. Not for UDP: a second
	 * server could bind the same port and take our queries. */
	if (is_tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		goto fail;
	if (endpoint->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		goto fail;
	/* A query that comes before the listener is there must tell where it was sent to, too. */
	if (!is_tcp && sockets_is_wildcard(endpoint))
		sockets_want_destination(fd, address.ss_family);
	if (bind(fd, (const struct sockaddr *)&address, len) < 0)
		goto fail;
	if (is_tcp && listen(fd, SOCKETS_BACKLOG) < 0)
		goto fail;
	return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int sockets_bind_all(
	const struct conf_endpoint *listen, size_t listen_count, struct sockets *sockets)
{
	bool failed = false;

	for (size_t i = 0; i < listen_count * 2; i++) {
		struct sockets_socket *socket = &sockets->sockets[sockets->count];

		socket->is_tcp = i % 2 == 1;
		socket->endpoint = listen[i / 2];
		socket->fd = sockets_bind(&socket->endpoint, socket->is_tcp);
		if (socket->fd < 0) {
			sockets_explain(&socket->endpoint, socket->is_tcp, errno);
			failed = true;
			/* Its TCP twin would fail for the same reason: say it once. */
			i |= 1;
			continue;
		}
		/* Port 0: the kernel chose one. */
		sockets_endpoint_of(socket->fd, &socket->endpoint);
		sockets->count++;
	}
	return failed ? -1 : 0;
}

/* Inheriting -------------------------------------------------------------------------------- */

static bool sockets_option(int fd, int option, int *out_value)
{
	socklen_t len = sizeof(*out_value);

	return getsockopt(fd, SOL_SOCKET, option, out_value, &len) == 0;
}

/* Fills `socket` and returns NULL, or says what is wrong with the descriptor. */
static const char *sockets_sort(int fd, struct sockets_socket *socket)
{
	int type = 0;
	int protocol = 0;
	int listening = 0;

	if (!sockets_option(fd, SO_TYPE, &type))
		return errno == ENOTSOCK ? "it is no socket" : "it is not open";
	if (!sockets_endpoint_of(fd, &socket->endpoint))
		return "it is neither an IPv4 nor an IPv6 socket";
	sockets_option(fd, SO_PROTOCOL, &protocol);
	sockets_option(fd, SO_ACCEPTCONN, &listening);
	if (type == SOCK_DGRAM && protocol == IPPROTO_UDP)
		socket->is_tcp = false;
	else if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
		socket->is_tcp = true;
	else
		return "it is neither UDP nor TCP";
	if (socket->is_tcp && !listening)
		return "it is a TCP socket that does not listen (the unit needs Accept=no)";
	if (socket->endpoint.port == 0)
		return "it is not bound to a port";
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return "it cannot be made non-blocking";
	socket->fd = fd;
	return NULL;
}

/* How many descriptors were handed to this very process. */
static size_t sockets_inherited_count(void)
{
	const char *pid_text = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	char *pid_end;
	char *count_end;
	long count;

	if (!pid_text || !count_text)
		return 0;
	/* A parent may have been meant: then the descriptors are not ours to touch. */
	if (strtol(pid_text, &pid_end, 10) != (long)getpid() || *pid_end != '\0')
		return 0;
	count = strtol(count_text, &count_end, 10);
	if (count_end == count_text || *count_end != '\0' || count < 0)
		return 0;
	return count > SOCKETS_INHERITED_MAX ? SOCKETS_INHERITED_MAX : (size_t)count;
}

static int sockets_inherit_all(size_t inherited, struct sockets *sockets)
{
	const char *names = getenv("LISTEN_FDNAMES");

	sockets->is_inherited = true;
	for (size_t i = 0; i < inherited; i++) {
		int fd = SOCKETS_INHERITED_FIRST + (int)i;
		int name_len = names ? (int)strcspn(names, ":") : 0;
		const char *defect = NULL;
		char text[LOG_ESCAPED_SIZE];

		log_escape((struct bytes){(const uint8_t *)names, (size_t)name_len}, text);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		defect = sockets_sort(fd, &sockets->sockets[sockets->count]);
		if (defect) {
			log_error("descriptor %d ('%s') from the service manager: %s; it is "
				  "closed, the others are served",
				fd, text, defect);
			close(fd);
		} else {
			log_debug("descriptor %d ('%s') from the service manager: %s", fd, text,
				sockets->sockets[sockets->count].is_tcp ? "TCP" : "UDP");
			sockets->count++;
		}
		if (names)
			names = names[name_len] == ':' ? names + name_len + 1 : NULL;
	}
	if (sockets->count > 0)
		return 0;
	log_error("the service manager handed over %zu descriptors, and DNS can be served on none "
		  "of them: the socket unit needs ListenDatagram= and ListenStream=",
		inherited);
	return -1;
}

int sockets_open(
	const struct conf_endpoint *listen, size_t listen_count, struct sockets *out_sockets)
{
	size_t inherited = sockets_inherited_count();
	size_t cap = inherited > 0 ? inherited : listen_count * 2;
	struct sockets sockets = {.sockets = calloc(cap + 1, sizeof(*sockets.sockets))};
	int rc = -1;

	if (!sockets.sockets)
		log_error("sockets: %s", strerror(ENOMEM));
	else if (inherited > 0)
		rc = sockets_inherit_all(inherited, &sockets);
	else
		rc = sockets_bind_all(listen, listen_count, &sockets);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_PIDFDID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (rc < 0)
		sockets_done(&sockets);
	else
		*out_sockets = sockets;
	return rc;
}

void sockets_done(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->sockets[i].fd >= 0)
			close(sockets->sockets[i].fd);
	}
	free(sockets->sockets);
	*sockets = (struct sockets){0};
}

int sockets_take(struct sockets_socket *socket)
{
	int fd = socket->fd;

	socket->fd = -1;
	return fd;
}
