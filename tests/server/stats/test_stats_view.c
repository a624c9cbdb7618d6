#include "server/stats/stats_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "server/stats/stats_json.h"
#include "server/stats/stats_metrics.h"
#include "server/support/log.h"
#include "tests/support/scratch.h"

#define NOW INT64_C(1800000000)

/* A document of a daemon that has a cache and two upstream servers, each number another. */
static struct json_object *document_of_daemon(void)
{
	static const char conf_text[] =
		"[forward]\nupstream = 192.0.2.1\nzone.corp.example = 192.0.2.2:5300\n";
	const struct forward_settings settings = {.resolv_conf = "/dev/null"};
	struct query_log query_log = {.written = 701, .suppressed = 702};
	struct stats stats = {.queries = {101, 102}, .unreadable = 103, .truncated = 104};
	struct sockets_socket bound[] = {
		{.fd = -1, .endpoint = {.family = 4, .octets = {127, 0, 0, 57}, .port = 53}},
		{.fd = -1,
			.is_tcp = true,
			.endpoint = {.family = 6, .octets = {[15] = 1}, .port = 5353}}};
	const struct sockets sockets = {.sockets = bound, .count = 2, .is_inherited = true};
	struct stats_report report = {
		.version = "1.2.3",
		.started_unix_s = NOW - 201,
		.uptime_s = 201,
		.names = 202,
		.sockets = &sockets,
		.stats = &stats,
		.query_log = &query_log,
		.udp = {.queries = 301, .replies = 302, .dropped = 303, .send_lost = 304},
		.tcp = {.accepted = 401,
			.refused = 402,
			.evicted = 403,
			.timed_out = 404,
			.connections = 405},
		.builds = {.built = 501,
			.failed = 502,
			.last_ns = 503004000,
			.last_unix_s = NOW - 5,
			.is_published = true},
		.cache_octets_max = 601,
	};
	struct json_object *document;
	struct conf_error error = {0};
	char *directory = scratch_new();
	struct forward *forward;
	struct conf conf;
	uv_loop_t loop;
	char *text;

	for (size_t i = 0; i <= STATS_TYPES; i++)
		stats.types[i] = 1000 + i;
	for (size_t i = 0; i <= STATS_RCODES; i++)
		stats.rcodes[i] = 2000 + i;
	for (size_t i = 0; i < ANSWERED_COUNT; i++)
		stats.answered[i] = 3000 + i;
	scratch_write(directory, "conf", conf_text, sizeof(conf_text) - 1);
	assert_int_equal(conf_load(scratch_path(directory, "conf"), &conf, &error), CONF_OK);
	scratch_free(directory);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(forward_start(&loop, &conf, &settings, &forward), 0);
	report.forward = forward;
	text = stats_json(&report);
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	document = json_tokener_parse(text);
	assert_non_null(document);
	free(text);
	forward_stop(forward);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	conf_done(&conf);
	return document;
}

static int64_t number(struct json_object *document, const char *group, const char *key)
{
	struct json_object *object = document;
	struct json_object *value;

	if (group)
		assert_true(json_object_object_get_ex(document, group, &object));
	assert_true(json_object_object_get_ex(object, key, &value));
	assert_true(json_object_is_type(value, json_type_int));
	return json_object_get_int64(value);
}

static void test_document_tells_where_it_answers(void **state)
{
	struct json_object *document = document_of_daemon();
	struct json_object *listen;
	(void)state;

	assert_int_equal(number(document, NULL, "is_activated"), 1);
	assert_true(json_object_object_get_ex(document, "listen", &listen));
	assert_string_equal(json_object_to_json_string_ext(listen, JSON_C_TO_STRING_PLAIN),
		"[{\"address\":\"127.0.0.57:53\",\"transport\":\"udp\"},"
		"{\"address\":\"[::1]:5353\",\"transport\":\"tcp\"}]");
	json_object_put(document);
}

static void test_document_has_every_counter(void **state)
{
	struct json_object *document = document_of_daemon();
	(void)state;

	assert_int_equal(number(document, NULL, "started_unix_s"), NOW - 201);
	assert_int_equal(number(document, NULL, "uptime_s"), 201);
	assert_int_equal(number(document, NULL, "names"), 202);
	assert_int_equal(number(document, NULL, "truncated"), 104);
	assert_int_equal(number(document, "queries", "udp"), 101);
	assert_int_equal(number(document, "queries", "tcp"), 102);
	assert_int_equal(number(document, "types", "none"), 103);
	for (size_t i = 0; i <= STATS_TYPES; i++)
		assert_int_equal(number(document, "types", stats_type_word(i)), 1000 + i);
	for (size_t i = 0; i <= STATS_RCODES; i++)
		assert_int_equal(number(document, "rcodes", stats_rcode_word(i)), 2000 + i);
	for (unsigned i = 0; i < ANSWERED_COUNT; i++)
		assert_int_equal(number(document, "answers", answered_word(i)), 3000 + i);
	assert_int_equal(number(document, "udp", "lost"), 304);
	assert_int_equal(number(document, "tcp", "connections"), 405);
	assert_int_equal(number(document, "builds", "failed"), 502);
	assert_int_equal(number(document, "last_build", "took_us"), 503004);
	assert_int_equal(number(document, "last_build", "is_published"), 1);
	assert_int_equal(number(document, "cache", "octets_max"), 601);
	assert_int_equal(number(document, "query_log", "left_out"), 702);
	json_object_put(document);
}

static bool is_described(const char *group, const char *key)
{
	for (size_t i = 0; i < stats_metric_count; i++) {
		const struct stats_metric *metric = &stats_metrics[i];

		if ((!group) == (!metric->group) && (!group || strcmp(group, metric->group) == 0) &&
			(!metric->key || strcmp(key, metric->key) == 0))
			return true;
	}
	return false;
}

/* Nothing in the document is missing from the table, and nothing in the table from the document. */
static void test_table_and_document_agree(void **state)
{
	struct json_object *document = document_of_daemon();
	struct json_object *servers;
	struct json_object *first;
	(void)state;

	json_object_object_foreach(document, key, value)
	{
		if (json_object_is_type(value, json_type_int))
			assert_true(is_described(NULL, key));
		if (!json_object_is_type(value, json_type_object))
			continue;
		json_object_object_foreach(value, inner, inner_value)
		{
			assert_true(json_object_is_type(inner_value, json_type_int));
			if (!is_described(key, inner))
				fail_msg("%s.%s is not described", key, inner);
		}
	}
	for (size_t i = 0; i < stats_metric_count; i++) {
		const struct stats_metric *metric = &stats_metrics[i];
		struct json_object *found;

		assert_true((metric->key == NULL) == (metric->label != NULL));
		if (metric->key)
			number(document, metric->group, metric->key);
		else
			assert_true(json_object_object_get_ex(document, metric->group, &found));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(metric->name, stats_metrics[j].name);
		assert_null(strpbrk(metric->help, "\\\n"));
		assert_int_equal(metric->help[strlen(metric->help) - 1], '.');
	}
	assert_true(json_object_object_get_ex(document, "upstreams", &servers));
	assert_int_equal(json_object_array_length(servers), 2);
	first = json_object_array_get_idx(servers, 0);
	for (size_t i = 0; i < stats_server_metric_count; i++)
		assert_true(json_object_object_get_ex(first, stats_server_metrics[i].key, NULL));
	json_object_put(document);
}

static void assert_has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("%s\nhas no\n%s", text, line);
}

static void test_prometheus_has_base_units_and_labels(void **state)
{
	struct json_object *document = document_of_daemon();
	char *text = stats_view_prometheus(document);
	(void)state;

	assert_non_null(text);
	assert_has(text, "\nleasedns_build_info{version=\"1.2.3\"} 1\n");
	assert_has(text, "\n# TYPE leasedns_queries_total counter\n"
			 "leasedns_queries_total{transport=\"udp\"} 101\n"
			 "leasedns_queries_total{transport=\"tcp\"} 102\n");
	assert_has(text, "\n# TYPE leasedns_names gauge\nleasedns_names 202\n");
	assert_has(text, "\nleasedns_answers_total{verdict=\"local\"} 3000\n");
	assert_has(text, "\nleasedns_replies_total{rcode=\"NOERROR\"} 2000\n");
	assert_has(text, "\nleasedns_index_last_build_duration_seconds 0.503004\n");
	assert_has(text, "\nleasedns_index_last_build_time_seconds 1799999995\n");
	assert_has(text, "\nleasedns_cache_limit_bytes 601\n");
	assert_has(text, "\n# TYPE leasedns_upstream_up gauge\n"
			 "leasedns_upstream_up{server=\"192.0.2.2:5300\",zone=\"corp.example\"} 1\n"
			 "leasedns_upstream_up{server=\"192.0.2.1:53\",zone=\"\"} 1\n");
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	json_object_put(document);
}

static void test_labels_of_strange_documents_are_escaped(void **state)
{
	struct json_object *document = json_tokener_parse(
		"{\"version\":\"a\\\\b\\\"c\\nd\",\"types\":{\"x\\\"}\\n\\\\\":5,\"text\":\"no\"},"
		"\"names\":\"many\",\"truncated\":-1,\"udp\":7,\"cache\":[],\"unknown\":{\"a\":1},"
		"\"upstreams\":[{\"server\":\"\\n\",\"zone\":7,\"state\":\"down\","
		"\"latency_us\":1234567,\"queries\":\"x\"},5]}");
	char *text = stats_view_prometheus(document);
	(void)state;

	assert_non_null(document);
	assert_has(text, "{version=\"a\\\\b\\\"c\\nd\"} 1\n");
	assert_has(text, "\nleasedns_query_types_total{type=\"x\\\"}\\n\\\\\"} 5\n");
	assert_null(strstr(text, "leasedns_names"));
	assert_null(strstr(text, "leasedns_truncated"));
	assert_null(strstr(text, "leasedns_udp"));
	assert_null(strstr(text, "leasedns_cache"));
	assert_has(text, "\nleasedns_upstream_up{server=\"\\n\",zone=\"\"} 0\n");
	assert_has(
		text, "\nleasedns_upstream_latency_seconds{server=\"\\n\",zone=\"\"} 1.234567\n");
	free(text);
	json_object_put(document);
}

static void test_people_get_words_and_no_zeros(void **state)
{
	struct json_object *document = json_tokener_parse(
		"{\"started_unix_s\":1799996400,\"uptime_s\":3600,\"names\":0,"
		"\"queries\":{\"udp\":12,\"tcp\":0},\"types\":{\"\\u001b[2J\":1},"
		"\"last_build\":{\"took_us\":1950,\"ended_unix_s\":1800000000,\"is_published\":0},"
		"\"cache\":{\"octets\":1025},"
		"\"upstreams\":[{\"server\":\"192.0.2.1:53\",\"zone\":\"\",\"state\":\"up\","
		"\"latency_us\":1500,\"failures\":0,\"queries\":7,\"replies\":6,\"timeouts\":1},"
		"{\"server\":\"192.0.2.2:53\",\"zone\":\"x\\u0007\",\"state\":\"loop\","
		"\"latency_us\":0}]}");
	const struct table_format format = {0};
	char *text = stats_view_table(document, &format, false, NOW);
	(void)state;

	assert_string_equal(text,
		"STATISTIC        OF       VALUE\n"
		"started          -        60 min ago\n"
		"names            -        0\n"
		"queries          udp      12\n"
		"asked for        \\027[2J  1\n"
		"last build took  -        1.9 ms\n"
		"last build       -        now\n"
		"index published  -        no\n"
		"cache used       -        2 KiB\n"
		"\n"
		"UPSTREAM      ZONE   STATE  LATENCY  FAILURES  QUERIES  REPLIES  "
		"TIMEOUTS\n"
		"192.0.2.1:53  -      up     1.5 ms   0         7        6        1\n"
		"192.0.2.2:53  x\\007  loop   -        -         -        -        -\n");
	free(text);
	text = stats_view_table(document, &format, true, NOW);
	assert_has(text, "\nqueries          tcp      0\n");
	free(text);
	json_object_put(document);
	document = json_tokener_parse("{\"upstreams\":[]}");
	text = stats_view_table(document, &format, true, NOW);
	assert_string_equal(text, "STATISTIC  OF  VALUE\n");
	free(text);
	json_object_put(document);
}

static int quiet(void **state)
{
	(void)state;
	log_start(LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document_tells_where_it_answers),
		cmocka_unit_test(test_document_has_every_counter),
		cmocka_unit_test(test_table_and_document_agree),
		cmocka_unit_test(test_prometheus_has_base_units_and_labels),
		cmocka_unit_test(test_labels_of_strange_documents_are_escaped),
		cmocka_unit_test(test_people_get_words_and_no_zeros),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
