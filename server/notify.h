/** @file Tells the service manager how we are: the protocol of sd_notify(3), spoken directly.
 *  Nothing here blocks: a manager that hangs must not keep us from answering.
 *
 *  Without a service manager every call does nothing. The manager's variables are removed from
 *  the environment, so no child speaks in our name. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /**< -1: nobody listens. */
	struct sockaddr_un address;
	socklen_t address_len;
	uint64_t watchdog_ms; /**< A ping is due at least this often; 0: none is expected. */
};

/** Reads NOTIFY_SOCKET (a path, or `@name` for the abstract namespace), WATCHDOG_USEC and
 *  WATCHDOG_PID. Variables that make no sense are said in the log and ignored. */
void notify_init(struct notify *notify);

/** Closes the socket; fine a second time. */
void notify_done(struct notify *notify);

/** True if somebody listens. */
static inline bool notify_is_active(const struct notify *notify)
{
	return notify->fd >= 0;
}

/** We serve; also the end of a reload. A manager that waits for this and never hears it kills us.
 *  @return false if the manager's queue is full: say it again soon. */
bool notify_ready(const struct notify *notify);

/** A reload begins (Type=notify-reload wants the monotonic time with it). */
void notify_reloading(const struct notify *notify);

void notify_stopping(const struct notify *notify);

/** Still alive. A busy manager loses the ping, and the next one counts. */
void notify_watchdog(const struct notify *notify);

/** One line for `systemctl status`. */
void notify_status(const struct notify *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
