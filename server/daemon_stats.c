#include <time.h>

#include "server/daemon_state.h"
#include "server/stats/stats_json.h"
#include "server/support/log.h"

/* Goes on while the host sleeps, and does not step. */
static int64_t boot_time_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

static void udp_add(struct listener_udp_stats *sum, const struct listener_udp_stats *one)
{
	sum->queries += one->queries;
	sum->replies += one->replies;
	sum->dropped += one->dropped;
	sum->forwarded += one->forwarded;
	sum->send_lost += one->send_lost;
}

static void tcp_add(struct listener_tcp_stats *sum, const struct listener_tcp_stats *one)
{
	sum->accepted += one->accepted;
	sum->refused += one->refused;
	sum->evicted += one->evicted;
	sum->queries += one->queries;
	sum->replies += one->replies;
	sum->timed_out += one->timed_out;
	sum->connections += one->connections;
}

static char *daemon_stats(void *ctx)
{
	const struct daemon *daemon = ctx;
	struct stats_report report = {
		.version = daemon->version,
		.started_unix_s = daemon->started_unix_s,
		.uptime_s = (uint64_t)(boot_time_s() - daemon->started_s),
		.names = daemon->names,
		.sockets = &daemon->sockets,
		.stats = &daemon->stats,
		.query_log = &daemon->query_log,
		.builds = rebuild_stats(daemon->rebuild),
		.forward = daemon->forward,
		.cache_octets_max = (size_t)daemon_conf(daemon)->cache_kib * 1024,
	};

	for (size_t i = 0; i < daemon->sockets.count; i++) {
		const struct daemon_listener *listener = &daemon->listeners[i];

		if (listener->udp)
			udp_add(&report.udp, listener_udp_stats(listener->udp));
		else
			tcp_add(&report.tcp, listener_tcp_stats(listener->tcp));
	}
	return stats_json(&report);
}

void daemon_start_control(struct daemon *daemon)
{
	const struct control_ops ops = {.stats = daemon_stats, .ctx = daemon};
	int rc = control_start(&daemon->loop, &control_limits_default, &ops, &daemon->control);

	daemon->started_s = boot_time_s();
	daemon->started_unix_s = (int64_t)time(NULL);
	if (rc < 0)
		log_warning("control socket: %s", uv_strerror(rc));
	else
		control_serve(daemon->control, daemon_conf(daemon)->index_file);
}
