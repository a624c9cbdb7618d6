#include "server/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/support/log.h"

/* A status line and the fixed texts; systemd reads at most 4096 octets. */
#define NOTIFY_MESSAGE_SIZE 512

/* False if the text names no socket that we can send to. */
static bool notify_address_parse(
	const char *text, struct sockaddr_un *out_address, socklen_t *out_len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, text, len);
	/* unix(7): an abstract name starts with NUL and has no NUL at its end. */
	if (text[0] == '@')
		address.sun_path[0] = '\0';
	*out_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
	*out_address = address;
	return true;
}

static bool notify_number_parse(const char *text, uint64_t *out_number)
{
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*out_number = number;
	return true;
}

/* sd_watchdog_enabled(3): a ping is wanted from the process that WATCHDOG_PID names, or from any
 * if it is not set. */
static uint64_t notify_watchdog_ms(void)
{
	const char *usec_text = getenv("WATCHDOG_USEC");
	const char *pid_text = getenv("WATCHDOG_PID");
	uint64_t usec;
	uint64_t pid;

	if (!usec_text)
		return 0;
	if (!notify_number_parse(usec_text, &usec) || usec / 1000 == 0) {
		log_warning("WATCHDOG_USEC: no number of microseconds; no watchdog is served");
		return 0;
	}
	if (pid_text && (!notify_number_parse(pid_text, &pid) || pid != (uint64_t)getpid()))
		return 0;
	return usec / 1000;
}

void notify_init(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){.fd = -1, .watchdog_ms = notify_watchdog_ms()};
	if (path && !notify_address_parse(path, &notify->address, &notify->address_len)) {
		log_warning("NOTIFY_SOCKET: not the path of a socket; the service manager is not "
			    "told of our state");
	} else if (path) {
		notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (notify->fd < 0)
			log_warning("socket for the service manager: %s; it is not told of our "
				    "state",
				strerror(errno));
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_done(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

/* False if the manager's queue is full. Other failures last: they count as said. */
static bool notify_send(const struct notify *notify, const char *text)
{
	ssize_t sent;

	if (notify->fd < 0)
		return true;
	do {
		sent = sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL,
			(const struct sockaddr *)&notify->address, notify->address_len);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return true;
	log_debug("message to the service manager: %s", strerror(errno));
	return errno != EAGAIN && errno != ENOBUFS;
}

bool notify_ready(const struct notify *notify)
{
	return notify_send(notify, "READY=1");
}

void notify_reloading(const struct notify *notify)
{
	char text[NOTIFY_MESSAGE_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_send(notify, text);
}

void notify_stopping(const struct notify *notify)
{
	notify_send(notify, "STOPPING=1");
}

void notify_watchdog(const struct notify *notify)
{
	notify_send(notify, "WATCHDOG=1");
}

void notify_status(const struct notify *notify, const char *format, ...)
{
	char text[NOTIFY_MESSAGE_SIZE] = "STATUS=";
	size_t prefix = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + prefix, sizeof(text) - prefix, format, args);
	va_end(args);
	/* A newline would begin another assignment. */
	for (char *at = text; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	notify_send(notify, text);
}
