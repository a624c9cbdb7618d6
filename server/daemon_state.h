/** @file What the daemon is made of. Only for daemon*.c: one struct on the stack of daemon_run(),
 *  each file looks after a part of it. */
#ifndef SERVER_DAEMON_STATE_H
#define SERVER_DAEMON_STATE_H

#include <uv.h>

#include "server/forward/forward.h"
#include "server/names/rebuild.h"
#include "server/names/watch.h"
#include "server/net/listener_tcp.h"
#include "server/net/listener_udp.h"
#include "server/net/sockets.h"
#include "server/notify.h"
#include "server/stats/control.h"
#include "server/stats/query_log.h"
#include "server/stats/stats.h"

enum daemon_signal { DAEMON_SIGNAL_TERM, DAEMON_SIGNAL_INT, DAEMON_SIGNAL_HUP, DAEMON_SIGNALS };

struct daemon_listener {
	struct listener_udp *udp; /**< One of the two. */
	struct listener_tcp *tcp;
};

struct daemon {
	uv_loop_t loop;
	uv_signal_t signals[DAEMON_SIGNALS];
	uv_timer_t watchdog;
	uv_timer_t ready; /**< Until the service manager took READY=1. */
	const char *conf_path;
	const char *version;
	struct notify notify;
	struct sockets sockets;
	struct daemon_listener *listeners; /**< One for each socket. */
	struct listener_ops ops;
	struct forward *forward;
	bool forwards; /**< There is somebody to ask: RA. */
	struct rebuild *rebuild;
	struct watch *watch;
	struct zone *zone; /**< What answers come from. */
	size_t names;      /**< In `zone`. */
	struct control *control;
	struct stats stats;
	struct query_log query_log;
	bool logs_queries;
	int64_t started_s; /**< By CLOCK_BOOTTIME. */
	int64_t started_unix_s;
	bool is_ready; /**< READY=1 was sent. */
	bool is_stopping;
	bool is_dumb; /**< The last self query failed. */
};

/** The configuration in force. */
static inline const struct conf *daemon_conf(const struct daemon *daemon)
{
	return &rebuild_conf(daemon->rebuild)->conf;
}

/* daemon_answer.c: queries. */

/** Sets whom the listeners ask. */
void daemon_init_answers(struct daemon *daemon);
/** Switches the query log on or off, as the configuration says. */
void daemon_set_query_log(struct daemon *daemon);
/** As rebuild_publish. */
void daemon_publish(void *ctx, struct zone *fresh, size_t names);

/* daemon_stats.c: what the control socket tells. */

/** Never fails for the daemon: it serves without, and the log says so. */
void daemon_start_control(struct daemon *daemon);

/* daemon_reload.c: configurations. */

/** Allocated, or NULL; the log says why. */
struct snapshot_conf *daemon_load_conf(const char *path);
/** Watches the lease directories of the configuration in force. 0, or -1; the log says why. */
int daemon_watch(struct daemon *daemon);
void daemon_reload(struct daemon *daemon);

/* daemon_tell.c: the log and the service manager. */

void daemon_log_start(const struct daemon *daemon);
void daemon_notify_status(const struct daemon *daemon);
/** Also the end of a reload. */
void daemon_notify_ready(struct daemon *daemon);
/** Pings the service manager while the zone answers. */
void daemon_start_watchdog(struct daemon *daemon);

#endif
