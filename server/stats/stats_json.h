/** @file All counters of the daemon as one JSON document: what `stats` on the control socket gives.
 *
 *  An object of numbers ("names"), of objects of numbers ("queries": {"udp": 1, …}), and of two
 *  arrays: "upstreams" with an object for each server, "listen" with one for each socket. Units
 *  stand in the keys: `_s`, `_us`, `_unix_s`, `octets`. Counters begin at 0 with the daemon. Keys
 *  may be added; those that are there keep their meaning. stats_metrics.h says what each is. */
#ifndef SERVER_STATS_STATS_JSON_H
#define SERVER_STATS_STATS_JSON_H

#include "server/forward/forward.h"
#include "server/names/rebuild.h"
#include "server/net/listener_tcp.h"
#include "server/net/listener_udp.h"
#include "server/net/sockets.h"
#include "server/stats/query_log.h"
#include "server/stats/stats.h"

struct stats_report {
	const char *version;
	int64_t started_unix_s;
	uint64_t uptime_s;
	size_t names;
	const struct sockets *sockets;
	const struct stats *stats;
	const struct query_log *query_log;
	struct listener_udp_stats udp; /**< Of all sockets. */
	struct listener_tcp_stats tcp; /**< Likewise. */
	struct rebuild_stats builds;
	const struct forward *forward;
	size_t cache_octets_max;
};

/** @return one line without the newline, the caller's to free; NULL if memory is short. */
char *stats_json(const struct stats_report *report);

#endif
