#include "server/daemon.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "server/daemon_state.h"
#include "server/forward/resolv_conf.h"
#include "server/support/log.h"
#include "server/support/privileges.h"

/* Connections and the files of builds; a hard limit of a million is no reason to ask for it. */
#define DAEMON_DESCRIPTORS_MAX 65536

/* Signals ----------------------------------------------------------------------------------- */

/* libuv gives a signal its default action back when nobody listens: a second SIGTERM would kill
 * what the first one only asked to end. */
static void daemon_stop_signals(struct daemon *daemon)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (int i = 0; i < DAEMON_SIGNALS; i++) {
		int number = daemon->signals[i].signum;

		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
		signal(number, SIG_IGN);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void daemon_stop(struct daemon *daemon)
{
	if (daemon->is_stopping)
		return;
	daemon->is_stopping = true;
	notify_stopping(&daemon->notify);
	/* Before the listeners, whose clients it holds. */
	forward_stop(daemon->forward);
	query_log_flush(&daemon->query_log);
	control_stop(daemon->control);
	for (size_t i = 0; daemon->listeners && i < daemon->sockets.count; i++) {
		listener_udp_stop(daemon->listeners[i].udp);
		listener_tcp_stop(daemon->listeners[i].tcp);
	}
	watch_stop(daemon->watch);
	rebuild_stop(daemon->rebuild);
	daemon_stop_signals(daemon);
	uv_close((uv_handle_t *)&daemon->watchdog, NULL);
	uv_close((uv_handle_t *)&daemon->ready, NULL);
}

static void daemon_on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	if (number == SIGHUP) {
		daemon_reload(daemon);
		return;
	}
	log_info("%s: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
	daemon_stop(daemon);
}

static void daemon_start_signals(struct daemon *daemon)
{
	static const int numbers[DAEMON_SIGNALS] = {
		[DAEMON_SIGNAL_TERM] = SIGTERM,
		[DAEMON_SIGNAL_INT] = SIGINT,
		[DAEMON_SIGNAL_HUP] = SIGHUP,
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	/* A client that is gone, or standard error closed: write() says EPIPE. */
	sigaction(SIGPIPE, &ignore, NULL);
	for (int i = 0; i < DAEMON_SIGNALS; i++) {
		uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		uv_signal_start(&daemon->signals[i], daemon_on_signal, numbers[i]);
	}
	uv_timer_init(&daemon->loop, &daemon->watchdog);
	uv_timer_init(&daemon->loop, &daemon->ready);
	daemon->watchdog.data = daemon;
	daemon->ready.data = daemon;
}

/* Start ------------------------------------------------------------------------------------- */

static void daemon_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DAEMON_DESCRIPTORS_MAX)
		return;
	limit.rlim_cur =
		limit.rlim_max < DAEMON_DESCRIPTORS_MAX ? limit.rlim_max : DAEMON_DESCRIPTORS_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_debug("limit of descriptors: %s", strerror(errno));
}

/* Below /run, the compiled default is ours, whoever made it. */
static bool daemon_owns_index_directory(const struct conf *conf, bool was_made)
{
	struct conf defaults;
	bool is_default;

	if (was_made)
		return true;
	if (conf_init_defaults(&defaults) != CONF_OK)
		return false;
	is_default = strcmp(conf->index_file, defaults.index_file) == 0 &&
		     strncmp(conf->index_file, "/run/leasedns/", strlen("/run/leasedns/")) == 0;
	conf_done(&defaults);
	return is_default;
}

/* With a service manager the unit says who we are; INVOCATION_ID is systemd's (systemd.exec(5)). */
static int daemon_drop_privileges(const struct daemon *daemon, const struct conf *conf)
{
	bool was_made = privileges_make_directory(conf->index_file);

	if (notify_is_active(&daemon->notify) || getenv("INVOCATION_ID"))
		return 0;
	if (privileges_drop(PRIVILEGES_USER, conf->index_file,
		    daemon_owns_index_directory(conf, was_made)) == PRIVILEGES_FAILED)
		return -1;
	return 0;
}

static int daemon_listen(struct daemon *daemon)
{
	daemon->listeners = calloc(daemon->sockets.count, sizeof(*daemon->listeners));
	if (!daemon->listeners) {
		log_error("listeners: %s", strerror(ENOMEM));
		return -1;
	}
	for (size_t i = 0; i < daemon->sockets.count; i++) {
		struct sockets_socket *socket = &daemon->sockets.sockets[i];
		char endpoint[SOCKETS_TEXT_SIZE];
		int fd = sockets_take(socket);
		int rc = socket->is_tcp ? listener_tcp_start(&daemon->loop, fd,
						  &listener_tcp_limits_default, &daemon->ops,
						  &daemon->listeners[i].tcp)
					: listener_udp_start(&daemon->loop, fd, &daemon->ops,
						  &daemon->listeners[i].udp);

		if (rc < 0) {
			log_error("cannot serve on %s (%s): %s",
				sockets_endpoint_format(&socket->endpoint, endpoint),
				socket->is_tcp ? "TCP" : "UDP", uv_strerror(rc));
			return -1;
		}
	}
	return 0;
}

/* Where our own sockets are must be known: they are never asked. */
static int daemon_start_forward(struct daemon *daemon)
{
	const struct conf *conf = daemon_conf(daemon);
	struct conf_endpoint *own = calloc(daemon->sockets.count, sizeof(*own));
	struct forward_settings settings = {
		.resolv_conf = RESOLV_CONF_FILE,
		.own = own,
		.own_count = daemon->sockets.count,
	};
	int rc = UV_ENOMEM;

	for (size_t i = 0; own && i < daemon->sockets.count; i++)
		own[i] = daemon->sockets.sockets[i].endpoint;
	if (own)
		rc = forward_start(&daemon->loop, conf, &settings, &daemon->forward);
	free(own);
	if (rc < 0) {
		log_error("forwarding: %s", uv_strerror(rc));
		return -1;
	}
	daemon->forwards = forward_is_on(daemon->forward);
	return 0;
}

/* Everything up to READY=1. What was started is stopped by daemon_stop() also if this fails. */
static enum cmd_exit daemon_start(struct daemon *daemon)
{
	struct snapshot_conf *conf = daemon_load_conf(daemon->conf_path);

	if (!conf)
		return CMD_EXIT_USAGE;
	if (sockets_open(conf->conf.listen, conf->conf.listen_count, &daemon->sockets) < 0 ||
		daemon_drop_privileges(daemon, &conf->conf) < 0) {
		snapshot_conf_done(conf);
		free(conf);
		return CMD_EXIT_FAILED;
	}
	if (rebuild_start(&daemon->loop, conf, daemon_publish, daemon, &daemon->rebuild) < 0) {
		log_error("index: %s", strerror(ENOMEM));
		return CMD_EXIT_FAILED;
	}
	/* Watching before reading, so that no change falls between; reading before listening, so
	 * that no name is missing from the first answer. */
	if (daemon_watch(daemon) < 0 || rebuild_first(daemon->rebuild) < 0 ||
		daemon_start_forward(daemon) < 0 || daemon_listen(daemon) < 0)
		return CMD_EXIT_FAILED;
	daemon_set_query_log(daemon);
	return CMD_EXIT_OK;
}

static void daemon_ready(struct daemon *daemon)
{
	daemon_start_control(daemon);
	daemon->is_ready = true;
	daemon_log_start(daemon);
	daemon_notify_ready(daemon);
	daemon_start_watchdog(daemon);
}

enum cmd_exit daemon_run(const char *conf_path, const char *version)
{
	struct daemon daemon = {.conf_path = conf_path, .version = version};
	enum cmd_exit status;
	int rc = uv_loop_init(&daemon.loop);

	if (rc < 0) {
		log_error("event loop: %s", uv_strerror(rc));
		return CMD_EXIT_FAILED;
	}
	daemon_init_answers(&daemon);
	notify_init(&daemon.notify);
	daemon_raise_descriptors();
	daemon_start_signals(&daemon);
	status = daemon_start(&daemon);
	if (status == CMD_EXIT_OK)
		daemon_ready(&daemon);
	else
		daemon_stop(&daemon);
	/* Ends when everything that daemon_stop() closed is closed. */
	uv_run(&daemon.loop, UV_RUN_DEFAULT);
	rc = uv_loop_close(&daemon.loop);
	assert(rc == 0);
	(void)rc;
	free(daemon.listeners);
	sockets_done(&daemon.sockets);
	zone_free(daemon.zone);
	notify_done(&daemon.notify);
	return status;
}
