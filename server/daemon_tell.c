#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/conf_endpoint.h"
#include "server/daemon_state.h"
#include "server/dns/self_query.h"
#include "server/support/log.h"

/* A line of the log or of the status; lists that are longer are cut. */
#define DAEMON_TEXT_SIZE 512

/* Soon enough for whoever waits for the start. */
#define DAEMON_READY_AGAIN_MS 50

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
			is_known |= conf_endpoint_equal(
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

static bool daemon_is_bound(const struct daemon *daemon, const struct conf_endpoint *listen)
{
	for (size_t i = 0; i < daemon->sockets.count; i++) {
		if (conf_endpoint_equal(&daemon->sockets.sockets[i].endpoint, listen))
			return true;
	}
	return false;
}

/* What was set, and does not count. The default is nobody's wish. */
static void daemon_warn_of_listen(const struct daemon *daemon)
{
	const struct conf *conf = daemon_conf(daemon);
	struct conf defaults;

	if (!daemon->sockets.is_inherited || conf_init_defaults(&defaults) != CONF_OK)
		return;
	for (size_t i = 0; i < conf->listen_count; i++) {
		const struct conf_endpoint *listen = &conf->listen[i];
		char endpoint[SOCKETS_TEXT_SIZE];

		if (daemon_is_bound(daemon, listen) ||
			conf_endpoint_equal(listen, &defaults.listen[0]))
			continue;
		log_warning("[server] listen: nobody answers on %s: the service manager's sockets "
			    "count ('systemctl edit leasedns.socket' adds one)",
			sockets_endpoint_format(listen, endpoint));
	}
	conf_done(&defaults);
}

void daemon_log_start(const struct daemon *daemon)
{
	const struct conf *conf = daemon_conf(daemon);
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
		daemon->version);
	daemon_warn_of_listen(daemon);
}

void daemon_notify_status(const struct daemon *daemon)
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
void daemon_notify_ready(struct daemon *daemon)
{
	daemon_notify_status(daemon);
	if (!notify_ready(&daemon->notify))
		uv_timer_start(&daemon->ready, daemon_on_ready, DAEMON_READY_AGAIN_MS,
			DAEMON_READY_AGAIN_MS);
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

void daemon_start_watchdog(struct daemon *daemon)
{
	uint64_t ping_ms = daemon->notify.watchdog_ms / 2;

	if (daemon->notify.watchdog_ms > 0)
		uv_timer_start(&daemon->watchdog, daemon_on_watchdog, 0, ping_ms ? ping_ms : 1);
}
