#include "server/daemon.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "server/cmd_common.h"
#include "server/forward.h"
#include "server/listener_tcp.h"
#include "server/listener_udp.h"
#include "server/log.h"
#include "server/notify.h"
#include "server/privileges.h"
#include "server/rebuild.h"
#include "server/resolv_conf.h"
#include "server/self_query.h"
#include "server/sockets.h"
#include "server/watch.h"

/* Connections and the files of builds; a hard limit of a million is no reason to ask for it. */
#define DAEMON_DESCRIPTORS_MAX 65536

/* A line of the log or of the status; lists that are longer are cut. */
#define DAEMON_TEXT_SIZE 512

/* Soon enough for whoever waits for the start. */
#define DAEMON_READY_AGAIN_MS 50

enum daemon_signal { DAEMON_SIGNAL_TERM, DAEMON_SIGNAL_INT, DAEMON_SIGNAL_HUP, DAEMON_SIGNALS };

struct daemon_listener {
	struct listener_udp *udp; /* One of the two. */
	struct listener_tcp *tcp;
};

struct daemon {
	uv_loop_t loop;
	uv_signal_t signals[DAEMON_SIGNALS];
	uv_timer_t watchdog;
	uv_timer_t ready; /* Until the service manager took READY=1. */
	const char *conf_path;
	struct notify notify;
	struct sockets sockets;
	struct daemon_listener *listeners; /* One for each socket. */
	struct listener_ops ops;
	struct forward *forward;
	bool forwards; /* There is somebody to ask: RA. */
	struct rebuild *rebuild;
	struct watch *watch;
	struct zone *zone; /* What answers come from. */
	size_t names;      /* In `zone`. */
	bool is_ready;     /* READY=1 was sent. */
	bool is_stopping;
	bool is_dumb; /* The last self query failed. */
};

/* Configuration ----------------------------------------------------------------------------- */

/* Allocated, or NULL; the log says why. */
static struct snapshot_conf *daemon_load_conf(const char *path)
{
	struct snapshot_conf *conf = calloc(1, sizeof(*conf));

	if (conf && cmd_load(&(struct cmd_arguments){.conf_path = path}, conf))
		return conf;
	if (!conf)
		log_error("configuration: %s", strerror(ENOMEM));
	free(conf);
	return NULL;
}

static bool daemon_same_listen(const struct conf *a, const struct conf *b)
{
	if (a->listen_count != b->listen_count)
		return false;
	for (size_t i = 0; i < a->listen_count; i++) {
		if (!sockets_endpoint_equal(&a->listen[i], &b->listen[i]))
			return false;
	}
	return true;
}

/* Sockets stay as they are, so `listen` does too. False if memory is short. */
static bool daemon_keep_listen(const struct conf *old, struct conf *fresh)
{
	struct conf_endpoint *listen;

	if (daemon_same_listen(old, fresh))
		return true;
	listen = calloc(old->listen_count, sizeof(*listen));
	if (!listen)
		return false;
	memcpy(listen, old->listen, old->listen_count * sizeof(*listen));
	free(fresh->listen);
	fresh->listen = listen;
	fresh->listen_count = old->listen_count;
	log_warning("[server] listen: a reload cannot change it; restart leasedns to listen "
		    "elsewhere. All other settings are in force");
	return true;
}

/* Texts ------------------------------------------------------------------------------------- */

/* Appends ", item" to a list, or "item" if it is the first. */
static void daemon_list_add(char text[DAEMON_TEXT_SIZE], const char *item)
{
	size_t len = strlen(text);

	snprintf(text + len, DAEMON_TEXT_SIZE - len, "%s%s", len > 0 ? ", " : "", item);
}

static const char *daemon_endpoints_text(const struct daemon *daemon, char text[DAEMON_TEXT_SIZE])
{
	text[0] = '\0';
	for (size_t i = 0; i < daemon->sockets.count; i++) {
		const struct sockets_socket *socket = &daemon->sockets.sockets[i];
		char endpoint[SOCKETS_TEXT_SIZE];
		bool is_known = false;

		/* The same place for UDP and TCP is one place. */
		for (size_t j = 0; j < i; j++)
			is_known |= sockets_endpoint_equal(
				&daemon->sockets.sockets[j].endpoint, &socket->endpoint);
		if (!is_known)
			daemon_list_add(text, sockets_endpoint_format(&socket->endpoint, endpoint));
	}
	return text;
}

static const char *daemon_words_text(char *const *words, size_t count, char text[DAEMON_TEXT_SIZE])
{
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		daemon_list_add(text, words[i]);
	return text;
}

static void daemon_log_start(const struct daemon *daemon, const char *version)
{
	const struct conf *conf = &rebuild_conf(daemon->rebuild)->conf;
	char endpoints[DAEMON_TEXT_SIZE];
	char zones[DAEMON_TEXT_SIZE];
	char directories[DAEMON_TEXT_SIZE];

	log_info("serving %s on %s%s: %zu %s from %s (version %s)",
		daemon_words_text(conf->zones, conf->zone_count, zones),
		daemon_endpoints_text(daemon, endpoints),
		daemon->sockets.is_inherited ? " (socket activation)" : "", daemon->names,
		daemon->names == 1 ? "name" : "names",
		daemon_words_text(
			conf->lease_directories, conf->lease_directory_count, directories),
		version);
}

static void daemon_notify_status(const struct daemon *daemon)
{
	char endpoints[DAEMON_TEXT_SIZE];

	notify_status(&daemon->notify, "%zu %s on %s", daemon->names,
		daemon->names == 1 ? "name" : "names", daemon_endpoints_text(daemon, endpoints));
}

static void daemon_on_ready(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	if (notify_ready(&daemon->notify))
		uv_timer_stop(timer);
}

/* A manager that is busy (it reads all units again, say) has a full queue for a while. */
static void daemon_notify_ready(struct daemon *daemon)
{
	daemon_notify_status(daemon);
	if (!notify_ready(&daemon->notify))
		uv_timer_start(&daemon->ready, daemon_on_ready, DAEMON_READY_AGAIN_MS,
			DAEMON_READY_AGAIN_MS);
}

/* Answers ----------------------------------------------------------------------------------- */

static enum answer_verdict daemon_answer(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	struct daemon *daemon = ctx;
	const struct answer_limits limits = {
		.is_tcp = is_tcp,
		.recursion_available = daemon->forwards,
	};
	enum answer_verdict verdict;
	enum answered answered;

	(void)peer;
	/* time() reads the kernel's coarse clock without a system call: a lease is gone in the
	 * second after its last, for every query of a batch. */
	verdict = answer_query(
		daemon->zone, &limits, (int64_t)time(NULL), query, reply, reply_cap, out_reply_len);
	if (verdict == ANSWER_FORWARD)
		return forward_answer(
			daemon->forward, is_tcp, query, reply, out_reply_len, &answered);
	return verdict;
}

static void daemon_forward(void *ctx, const struct listener_client *client, struct bytes query)
{
	struct daemon *daemon = ctx;

	forward_take(daemon->forward, client, query);
}

/* Where our own sockets are must be known: they are never asked. */
static int daemon_start_forward(struct daemon *daemon)
{
	const struct conf *conf = &rebuild_conf(daemon->rebuild)->conf;
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

/* Between two answers: nobody holds the old zone. */
static void daemon_publish(void *ctx, struct zone *fresh, size_t names)
{
	struct daemon *daemon = ctx;
	struct zone *stale = daemon->zone;
	bool tells = !stale || names != daemon->names;

	daemon->zone = fresh;
	daemon->names = names;
	zone_free(stale);
	if (daemon->is_ready && tells)
		daemon_notify_status(daemon);
	log_debug("index: %zu %s", names, names == 1 ? "name" : "names");
}

static void daemon_on_watchdog(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	bool answers = self_query_passes(daemon->zone, (int64_t)time(NULL));

	if (answers)
		notify_watchdog(&daemon->notify);
	else if (!daemon->is_dumb)
		log_error("the zone does not answer for its own apex; the service manager's "
			  "watchdog is left to restart leasedns");
	daemon->is_dumb = !answers;
}

/* Signals ----------------------------------------------------------------------------------- */

static void daemon_on_change(void *ctx)
{
	struct daemon *daemon = ctx;

	rebuild_request(daemon->rebuild);
}

static int daemon_watch(struct daemon *daemon)
{
	const struct conf *conf = &rebuild_conf(daemon->rebuild)->conf;
	struct watch *fresh = NULL;
	int rc = watch_start(&daemon->loop, (const char *const *)conf->lease_directories,
		conf->lease_directory_count, daemon_on_change, daemon, &fresh);

	if (rc < 0) {
		log_error("watching lease directories: %s", uv_strerror(rc));
		return -1;
	}
	watch_stop(daemon->watch);
	daemon->watch = fresh;
	return 0;
}

static void daemon_reload(struct daemon *daemon)
{
	struct snapshot_conf *fresh;

	notify_reloading(&daemon->notify);
	fresh = daemon_load_conf(daemon->conf_path);
	if (!fresh) {
		log_error("reload: refused; the configuration that was in force stays");
	} else if (!daemon_keep_listen(&rebuild_conf(daemon->rebuild)->conf, &fresh->conf)) {
		log_error(
			"reload: %s; the configuration that was in force stays", strerror(ENOMEM));
		snapshot_conf_done(fresh);
		free(fresh);
	} else {
		privileges_make_directory(fresh->conf.index_file);
		if (forward_configure(daemon->forward, &fresh->conf) < 0)
			log_error(
				"reload: [forward]: %s; what was in force stays", strerror(ENOMEM));
		daemon->forwards = forward_is_on(daemon->forward);
		rebuild_configure(daemon->rebuild, fresh);
		daemon_watch(daemon);
		log_info("reload: the configuration was read again");
	}
	daemon_notify_ready(daemon);
}

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
	return CMD_EXIT_OK;
}

static void daemon_ready(struct daemon *daemon, const char *version)
{
	uint64_t ping_ms = daemon->notify.watchdog_ms / 2;

	daemon->is_ready = true;
	daemon_log_start(daemon, version);
	daemon_notify_ready(daemon);
	if (daemon->notify.watchdog_ms > 0)
		uv_timer_start(&daemon->watchdog, daemon_on_watchdog, 0, ping_ms ? ping_ms : 1);
}

enum cmd_exit daemon_run(const char *conf_path, const char *version)
{
	struct daemon daemon = {.conf_path = conf_path};
	enum cmd_exit status;
	int rc = uv_loop_init(&daemon.loop);

	if (rc < 0) {
		log_error("event loop: %s", uv_strerror(rc));
		return CMD_EXIT_FAILED;
	}
	daemon.ops = (struct listener_ops){
		.answer = daemon_answer, .forward = daemon_forward, .ctx = &daemon};
	notify_init(&daemon.notify);
	daemon_raise_descriptors();
	daemon_start_signals(&daemon);
	status = daemon_start(&daemon);
	if (status == CMD_EXIT_OK)
		daemon_ready(&daemon, version);
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
