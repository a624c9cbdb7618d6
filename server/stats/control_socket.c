#include "server/stats/control_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/support/log.h"

/* More than answer at a time: who comes while all are busy waits in the kernel. */
#define BACKLOG 32

/* Another daemon may be faster than we are in taking a dead socket's place; then that one is
 * alive, and we give up. So two are enough, and this is to end for certain. */
#define TRIES 4

enum probe {
	PROBE_ALIVE,
	PROBE_DEAD,    /* A socket that nobody listens at. */
	PROBE_ABSENT,  /* Gone meanwhile. */
	PROBE_UNKNOWN, /* Something else; errno says what. */
};

char *control_socket_path(const char *index_file)
{
	const char *slash = strrchr(index_file, '/');
	const int len = slash ? (int)(slash - index_file) : 0;
	char *path;

	return asprintf(&path, "%.*s/" CONTROL_SOCKET_NAME, len, index_file) < 0 ? NULL : path;
}

/* False if the path is too long for a socket. */
static bool address_make(const char *path, struct sockaddr_un *out_address)
{
	const size_t len = strlen(path);

	*out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof(out_address->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(out_address->sun_path, path, len + 1);
	return true;
}

static enum probe probe(const char *path)
{
	struct sockaddr_un address;
	struct stat st;
	enum probe found = PROBE_UNKNOWN;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? PROBE_ABSENT : PROBE_UNKNOWN;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return PROBE_UNKNOWN;
	}
	if (!address_make(path, &address))
		return PROBE_UNKNOWN;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return PROBE_UNKNOWN;
	/* EAGAIN: its queue is full. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		found = PROBE_ALIVE;
	else if (errno == ECONNREFUSED)
		found = PROBE_DEAD;
	else if (errno == ENOENT)
		found = PROBE_ABSENT;
	close(fd);
	return found;
}

/* Moves a dead socket aside and looks again before it is removed: meanwhile another daemon may have
 * put a live one in its place, which then goes back. */
static enum probe remove_dead(const char *path)
{
	enum probe found = probe(path);
	char *aside = NULL;

	if (found != PROBE_DEAD)
		return found;
	if (asprintf(&aside, "%s.%d", path, (int)getpid()) < 0)
		return PROBE_UNKNOWN;
	found = PROBE_UNKNOWN;
	if (rename(path, aside) == 0) {
		found = probe(aside);
		if (found == PROBE_ALIVE && link(aside, path) < 0)
			log_debug("control socket '%s': %s", path, strerror(errno));
		unlink(aside);
	} else if (errno == ENOENT) {
		found = PROBE_ABSENT;
	}
	free(aside);
	return found;
}

/* -1: errno says why; EADDRINUSE is a live one. */
static int bind_or_replace(int fd, const char *path)
{
	struct sockaddr_un address;

	if (!address_make(path, &address))
		return -1;
	for (int i = 0; i < TRIES; i++) {
		if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
		switch (remove_dead(path)) {
		case PROBE_DEAD:
		case PROBE_ABSENT:
			break;
		case PROBE_ALIVE:
			errno = EADDRINUSE;
			return -1;
		case PROBE_UNKNOWN:
			return -1;
		}
	}
	errno = EADDRINUSE;
	return -1;
}

static void complain(const char *path, int error)
{
	if (error == EADDRINUSE)
		log_warning("control socket '%s': another leasedns answers there; this one serves "
			    "without, and 'leasedns stats' tells of the other. SIGHUP tries again",
			path);
	else
		log_warning("control socket '%s': %s; serving goes on, but 'leasedns stats' cannot "
			    "ask this server. SIGHUP tries again",
			path, strerror(error));
}

int control_socket_open(const char *path, struct control_socket *out_socket)
{
	struct control_socket opened = {.path = strdup(path)};
	struct stat st;

	opened.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!opened.path || opened.fd < 0 || bind_or_replace(opened.fd, path) < 0)
		goto fail;
	/* Whatever the umask is. Between these calls nobody else has a use for it. */
	if (chmod(path, 0666) < 0 || lstat(path, &st) < 0 || listen(opened.fd, BACKLOG) < 0)
		goto fail;
	opened.device = st.st_dev;
	opened.inode = st.st_ino;
	*out_socket = opened;
	return 0;
fail:
	complain(path, errno);
	if (opened.fd >= 0)
		close(opened.fd);
	free(opened.path);
	return -1;
}

bool control_socket_is_there(const struct control_socket *socket)
{
	struct stat st;

	return lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
	       st.st_ino == socket->inode;
}

void control_socket_close(struct control_socket *socket)
{
	if (!socket->path)
		return;
	if (control_socket_is_there(socket))
		unlink(socket->path);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->path);
	*socket = (struct control_socket){.fd = -1};
}
