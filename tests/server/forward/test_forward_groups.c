/* Which servers are asked for which names. Nobody is asked here: all are of 127.0.0.0/8, and their
 * probes end with the loop. */
#include "server/forward/forward_groups.h"

#include <poll.h>

#include "server/net/sockets.h"
#include "server/support/log.h"
#include "tests/server/asking.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

#define PATIENCE_MS 20000
#define TEXT_SIZE   1024

struct world {
	uv_loop_t loop;
	struct random_pool random;
	struct prober *prober;
	struct forward_groups *groups;
	char *directory; /* With "resolv.conf". */
	char text[TEXT_SIZE];
};

/* @param text of the [forward] section. @return freed with conf_done(). */
static struct conf conf_of(struct world *world, const char *text)
{
	struct conf conf;
	struct conf_error error = {0};
	char content[TEXT_SIZE];

	snprintf(content, sizeof(content), "[forward]\n%s\n", text);
	scratch_write(world->directory, "conf", content, strlen(content));
	if (conf_load(scratch_path(world->directory, "conf"), &conf, &error) != CONF_OK)
		fail_msg("%s: %s", content, error.message);
	return conf;
}

static void configure(struct world *world, const char *text)
{
	struct conf conf = conf_of(world, text);

	assert_int_equal(forward_groups_configure(world->groups, &conf), 0);
	conf_done(&conf);
}

static void open_world(struct world *world, const char *text, const struct conf_endpoint *own)
{
	static char resolv_conf[256];
	struct forward_groups_settings settings = {
		.loop = &world->loop, .resolv_conf = resolv_conf, .own = own, .own_count = !!own};

	memset(world, 0, sizeof(*world));
	world->directory = scratch_new();
	snprintf(resolv_conf, sizeof(resolv_conf), "%s",
		scratch_path(world->directory, "resolv.conf"));
	assert_int_equal(uv_loop_init(&world->loop), 0);
	assert_int_equal(prober_start(&world->loop, &world->random, &world->prober), 0);
	settings.prober = world->prober;
	world->groups = forward_groups_new(&settings);
	assert_non_null(world->groups);
	configure(world, text);
}

static void close_world(struct world *world)
{
	forward_groups_free(world->groups);
	prober_stop(world->prober);
	assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	scratch_free(world->directory);
}

static void note_server(void *ctx, const char *zone, const struct upstream_server *server)
{
	struct world *world = ctx;
	char endpoint[SOCKETS_TEXT_SIZE];
	const size_t len = strlen(world->text);

	snprintf(world->text + len, TEXT_SIZE - len, "%s%s=%s", len > 0 ? " " : "",
		zone ? zone : "", sockets_endpoint_format(&server->endpoint, endpoint));
}

static const char *servers_text(struct world *world)
{
	world->text[0] = '\0';
	forward_groups_each_server(world->groups, note_server, world);
	return world->text;
}

static const struct forward_group *group_of(struct world *world, const char *name)
{
	static const struct asking_how plain;
	uint8_t octets[512];
	struct query query;
	const size_t len = asking_query(name, DNS_TYPE_A, &plain, octets);

	assert_int_equal(query_parse((struct bytes){octets, len}, &query), QUERY_OK);
	return forward_groups_find(world->groups, (struct bytes){query.name, query.name_octets});
}

static void test_longest_domain_wins(void **state)
{
	static const struct {
		const char *name;
		unsigned server; /* 127.0.9.N; 0: refused. */
	} cases[] = {
		{"example", 0},
		{"corp", 1},
		{"a.corp", 1},
		{"A.CORP", 1},
		{"xlab.corp", 1},
		{"lab.corp", 2},
		{"x.y.Lab.corp", 2},
		{"corp.example", 0},
		{".", 0},
	};
	struct world world;
	(void)state;

	open_world(
		&world, "upstream = none\nzone.corp = 127.0.9.1\nzone.lab.corp = 127.0.9.2", NULL);
	assert_true(forward_groups_any(world.groups));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct forward_group *group = group_of(&world, cases[i].name);

		if (cases[i].server == 0) {
			assert_null(group->list);
			continue;
		}
		assert_non_null(group->list);
		assert_int_equal(group->list->count, 1);
		assert_int_equal(group->list->servers[0].endpoint.octets[3], cases[i].server);
	}
	close_world(&world);
}

static void test_servers_are_told_in_order(void **state)
{
	struct world world;
	(void)state;

	open_world(&world,
		"upstream = 127.0.9.3 127.0.9.4:5353\nzone.a = 127.0.9.1\nzone.b.c.d = 127.0.9.2",
		NULL);
	assert_string_equal(servers_text(&world),
		"b.c.d=127.0.9.2:53 a=127.0.9.1:53 =127.0.9.3:53 =127.0.9.4:5353");
	configure(&world, "upstream = none");
	assert_string_equal(servers_text(&world), "");
	assert_false(forward_groups_any(world.groups));
	close_world(&world);
}

static void test_own_sockets_are_left_out(void **state)
{
	const struct conf_endpoint any = {.family = 4, .port = 5353};
	struct world world;
	(void)state;

	/* A wildcard is every address of this host, also those that no interface lists. */
	open_world(&world, "upstream = 127.0.9.3:5353 127.0.9.3:5354 127.0.0.1:5353", &any);
	assert_string_equal(servers_text(&world), "=127.0.9.3:5354");
	close_world(&world);
}

/* What is known of a server outlives a reload, as long as it stays in its list. */
static void test_reload_keeps_what_is_known_of_servers(void **state)
{
	struct world world;
	struct upstream_list *before;
	(void)state;

	open_world(&world, "upstream = 127.0.9.3 127.0.9.4\nzone.a = 127.0.9.3", NULL);
	before = upstream_list_hold(group_of(&world, "x.example")->list);
	before->servers[0].latency_us = 3000;
	configure(&world, "upstream = 127.0.9.5 127.0.9.3\nzone.a = 127.0.9.3");
	assert_int_equal(group_of(&world, "x.example")->list->servers[0].latency_us, 0);
	assert_int_equal(group_of(&world, "x.example")->list->servers[1].latency_us, 3000);
	assert_int_equal(group_of(&world, "x.a")->list->servers[0].latency_us, 0);
	/* A question in flight may hold the old list. */
	assert_int_equal(before->holders, 1);
	assert_int_equal(before->servers[1].endpoint.octets[3], 4);
	upstream_list_release(before);
	close_world(&world);
}

static void await_servers(struct world *world, const char *expected)
{
	for (int i = 0; i < PATIENCE_MS && strcmp(servers_text(world), expected) != 0; i++) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
	assert_string_equal(servers_text(world), expected);
}

static void test_resolv_conf_is_followed_while_it_is_configured(void **state)
{
	struct world world;
	(void)state;

	open_world(&world, "upstream = resolv.conf\nzone.a = 127.0.9.1", NULL);
	/* Absent: nobody to ask, but for single domains. */
	assert_string_equal(servers_text(&world), "a=127.0.9.1:53");
	assert_int_equal(group_of(&world, "x.example")->list->count, 0);
	assert_true(forward_groups_any(world.groups));
	scratch_publish(world.directory, "resolv.conf", "nameserver 127.0.9.3\n");
	await_servers(&world, "a=127.0.9.1:53 =127.0.9.3:53");
	scratch_publish(world.directory, "resolv.conf", "nameserver 127.0.9.4\n");
	await_servers(&world, "a=127.0.9.1:53 =127.0.9.4:53");
	scratch_publish(world.directory, "resolv.conf", "");
	await_servers(&world, "a=127.0.9.1:53");
	configure(&world, "upstream = 127.0.9.5");
	scratch_publish(world.directory, "resolv.conf", "nameserver 127.0.9.3\n");
	for (int i = 0; i < 300; i++) {
		uv_run(&world.loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
	assert_string_equal(servers_text(&world), "=127.0.9.5:53");
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_domain_wins),
		cmocka_unit_test(test_servers_are_told_in_order),
		cmocka_unit_test(test_own_sockets_are_left_out),
		cmocka_unit_test(test_reload_keeps_what_is_known_of_servers),
		cmocka_unit_test(test_resolv_conf_is_followed_while_it_is_configured),
	};

	log_start(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
