#include "server/stats/stats_json.h"

#include <json-c/json.h>
#include <string.h>

/* Once something failed, all else does nothing. */
struct writer {
	struct json_object *top;
	bool is_fine;
};

/* Takes `value`. */
static void put(struct writer *writer, struct json_object *object, const char *key,
	struct json_object *value)
{
	if (writer->is_fine && value && json_object_object_add(object, key, value) == 0)
		return;
	json_object_put(value);
	writer->is_fine = false;
}

static void put_number(
	struct writer *writer, struct json_object *object, const char *key, uint64_t number)
{
	if (writer->is_fine)
		put(writer, object, key, json_object_new_int64((int64_t)number));
}

static void put_text(
	struct writer *writer, struct json_object *object, const char *key, const char *text)
{
	if (writer->is_fine)
		put(writer, object, key, json_object_new_string(text));
}

/* Borrowed; NULL if memory is short. */
static struct json_object *put_object(struct writer *writer, const char *key)
{
	struct json_object *object = json_object_new_object();

	put(writer, writer->top, key, object);
	return writer->is_fine ? object : NULL;
}

static void put_queries(struct writer *writer, const struct stats *stats)
{
	struct json_object *object = put_object(writer, "queries");

	put_number(writer, object, "udp", stats->queries[false]);
	put_number(writer, object, "tcp", stats->queries[true]);
	object = put_object(writer, "types");
	for (size_t i = 0; i <= STATS_TYPES; i++)
		put_number(writer, object, stats_type_word(i), stats->types[i]);
	put_number(writer, object, "none", stats->unreadable);
}

static void put_answers(struct writer *writer, const struct stats *stats)
{
	struct json_object *object = put_object(writer, "answers");

	for (unsigned i = 0; i < ANSWERED_COUNT; i++)
		put_number(writer, object, answered_word(i), stats->answered[i]);
	object = put_object(writer, "rcodes");
	for (size_t i = 0; i <= STATS_RCODES; i++)
		put_number(writer, object, stats_rcode_word(i), stats->rcodes[i]);
	put_number(writer, writer->top, "truncated", stats->truncated);
}

static void put_listeners(struct writer *writer, const struct listener_udp_stats *udp,
	const struct listener_tcp_stats *tcp)
{
	struct json_object *object = put_object(writer, "udp");

	put_number(writer, object, "received", udp->queries);
	put_number(writer, object, "sent", udp->replies);
	put_number(writer, object, "dropped", udp->dropped);
	put_number(writer, object, "lost", udp->send_lost);
	object = put_object(writer, "tcp");
	put_number(writer, object, "connections", tcp->connections);
	put_number(writer, object, "accepted", tcp->accepted);
	put_number(writer, object, "evicted", tcp->evicted);
	put_number(writer, object, "refused", tcp->refused);
	put_number(writer, object, "timed_out", tcp->timed_out);
}

/* Where it really answers: of a service manager's sockets, [server] listen knows nothing. */
static void put_sockets(struct writer *writer, const struct sockets *sockets)
{
	struct json_object *array = json_object_new_array();

	put_number(writer, writer->top, "is_activated", sockets->is_inherited);
	put(writer, writer->top, "listen", array);
	for (size_t i = 0; writer->is_fine && i < sockets->count; i++) {
		struct json_object *object = json_object_new_object();
		char text[SOCKETS_TEXT_SIZE];

		if (!object || json_object_array_add(array, object) < 0) {
			json_object_put(object);
			writer->is_fine = false;
			return;
		}
		put_text(writer, object, "address",
			sockets_endpoint_format(&sockets->sockets[i].endpoint, text));
		put_text(writer, object, "transport", sockets->sockets[i].is_tcp ? "tcp" : "udp");
	}
}

static void put_builds(struct writer *writer, const struct rebuild_stats *builds)
{
	struct json_object *object = put_object(writer, "builds");

	put_number(writer, object, "built", builds->built);
	put_number(writer, object, "failed", builds->failed);
	object = put_object(writer, "last_build");
	put_number(writer, object, "took_us", builds->last_ns / 1000);
	put_number(writer, object, "ended_unix_s", (uint64_t)builds->last_unix_s);
	put_number(writer, object, "is_published", builds->is_published);
}

static void put_cache(struct writer *writer, const struct cache_stats *cache, size_t octets_max)
{
	struct json_object *object = put_object(writer, "cache");

	put_number(writer, object, "entries", cache->entries);
	put_number(writer, object, "octets", cache->octets);
	put_number(writer, object, "octets_max", octets_max);
	put_number(writer, object, "hits", cache->hits);
	put_number(writer, object, "stale_hits", cache->stale_hits);
	put_number(writer, object, "misses", cache->misses);
	put_number(writer, object, "evictions", cache->evictions);
}

static void put_forward(struct writer *writer, const struct forward_stats *forward)
{
	struct json_object *object = put_object(writer, "forward");

	put_number(writer, object, "clients", forward->clients);
	put_number(writer, object, "pending", forward->pending);
	put_number(writer, object, "sockets", forward->sockets);
	put_number(writer, object, "asked", forward->asked);
	put_number(writer, object, "merged", forward->merged);
	put_number(writer, object, "answered", forward->answered);
	put_number(writer, object, "failed", forward->failed);
	put_number(writer, object, "overloaded", forward->overloaded);
	put_number(writer, object, "timeouts", forward->timeouts);
	put_number(writer, object, "truncated", forward->truncated);
	put_number(writer, object, "mismatched", forward->mismatched);
	put_number(writer, object, "loops", forward->loops);
	object = put_object(writer, "attempts");
	put_number(writer, object, "udp", forward->attempts_udp);
	put_number(writer, object, "tcp", forward->attempts_tcp);
}

static const char *server_state(const struct upstream_server *server)
{
	if (server->is_loop)
		return "loop";
	return server->is_down ? "down" : "up";
}

struct server_writer {
	struct writer *writer;
	struct json_object *array;
};

static void put_server(void *ctx, const char *zone, const struct upstream_server *server)
{
	struct server_writer *servers = ctx;
	struct writer *writer = servers->writer;
	struct json_object *object = writer->is_fine ? json_object_new_object() : NULL;
	char text[SOCKETS_TEXT_SIZE];

	if (!object || json_object_array_add(servers->array, object) < 0) {
		json_object_put(object);
		writer->is_fine = false;
		return;
	}
	put_text(writer, object, "server", sockets_endpoint_format(&server->endpoint, text));
	put_text(writer, object, "zone", zone ? zone : "");
	put_text(writer, object, "state", server_state(server));
	put_number(writer, object, "latency_us", server->latency_us);
	put_number(writer, object, "failures", server->failures);
	put_number(writer, object, "queries", server->queries);
	put_number(writer, object, "replies", server->replies);
	put_number(writer, object, "timeouts", server->timeouts);
}

static void put_upstream(struct writer *writer, const struct stats_report *report)
{
	const struct cache_stats cache = forward_cache_stats(report->forward);
	struct server_writer servers = {writer, json_object_new_array()};

	put_cache(writer, &cache, report->cache_octets_max);
	put_forward(writer, forward_stats(report->forward));
	put(writer, writer->top, "upstreams", servers.array);
	if (writer->is_fine)
		forward_each_server(report->forward, put_server, &servers);
}

char *stats_json(const struct stats_report *report)
{
	struct writer writer = {json_object_new_object(), true};
	struct json_object *object;
	const char *json = NULL;
	char *text = NULL;

	writer.is_fine = writer.top != NULL;
	put_text(&writer, writer.top, "version", report->version);
	put_number(&writer, writer.top, "started_unix_s", (uint64_t)report->started_unix_s);
	put_number(&writer, writer.top, "uptime_s", report->uptime_s);
	put_number(&writer, writer.top, "names", report->names);
	put_sockets(&writer, report->sockets);
	put_queries(&writer, report->stats);
	put_answers(&writer, report->stats);
	put_listeners(&writer, &report->udp, &report->tcp);
	put_builds(&writer, &report->builds);
	put_upstream(&writer, report);
	object = put_object(&writer, "query_log");
	put_number(&writer, object, "written", report->query_log->written);
	put_number(&writer, object, "left_out", report->query_log->suppressed);
	if (writer.is_fine)
		json = json_object_to_json_string_ext(
			writer.top, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (json)
		text = strdup(json);
	json_object_put(writer.top);
	return text;
}
