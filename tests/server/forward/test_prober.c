/* Probes of servers that are played here; what is known of a server is looked at where it stands.
 */
#include "server/forward/prober.h"

#include <stdio.h>

#include "server/support/log.h"
#include "tests/server/loopback.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

/* In prober.c. */
#define INTERVAL_MS 1000u
#define LOOP_MS     30000u
#define SLACK_MS    LOOPBACK_PATIENCE_MS
/* 32 digits, "leasedns-loop", "example". */
#define NAME_OCTETS (1 + 32 + 1 + 13 + 1 + 7 + 1)

struct world {
	uv_loop_t loop;
	struct random_pool random;
	struct prober *prober;
	struct loopback ears[2];
	struct upstream_list *list;
};

static void watch(struct world *world)
{
	assert_int_equal(prober_watch(world->prober, &world->list, 1), 0);
}

static void open_world(struct world *world, size_t count)
{
	struct conf_endpoint endpoints[2];

	memset(world, 0, sizeof(*world));
	assert_int_equal(uv_loop_init(&world->loop), 0);
	for (size_t i = 0; i < 2; i++) {
		loopback_open(&world->ears[i], 0);
		endpoints[i] = loopback_endpoint(&world->ears[i]);
	}
	world->list = upstream_list_new(endpoints, count, NULL, uv_now(&world->loop));
	assert_non_null(world->list);
	assert_int_equal(prober_start(&world->loop, &world->random, &world->prober), 0);
}

static void close_world(struct world *world)
{
	prober_stop(world->prober);
	assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	assert_int_equal(world->list->holders, 1);
	upstream_list_release(world->list);
	for (size_t i = 0; i < 2; i++)
		close(world->ears[i].fd);
}

static void run_for(struct world *world, int ms)
{
	for (int i = 0; i < ms; i++) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
}

static struct upstream_server *server_of(struct world *world, size_t i)
{
	return &world->list->servers[i];
}

/* Runs the loop until the probe is over. */
static void await_end(struct world *world, size_t i)
{
	for (int left = LOOPBACK_PATIENCE_MS; left > 0 && server_of(world, i)->is_probed; left--)
		run_for(world, 1);
	assert_false(server_of(world, i)->is_probed);
}

static void probe_is_answered(struct world *world, size_t i)
{
	loopback_await(&world->loop, &world->ears[i]);
	loopback_reply(&world->ears[i], 3);
	await_end(world, i);
}

static void query_of_probe(const struct loopback *ear, struct query *out_query)
{
	assert_int_equal(
		query_parse((struct bytes){ear->query, ear->query_len}, out_query), QUERY_OK);
}

/* The next probe of a server that is silent, without a client that asks it. */
static void probe_now(struct world *world, size_t i)
{
	server_of(world, i)->probe_due_ms = uv_now(&world->loop);
	watch(world);
}

static void test_new_servers_are_probed_once(void **state)
{
	static const uint8_t below[] = "\15leasedns-loop\7example";
	struct world world;
	(void)state;

	open_world(&world, 2);
	watch(&world);
	for (size_t i = 0; i < 2; i++) {
		struct query query;

		probe_is_answered(&world, i);
		query_of_probe(&world.ears[i], &query);
		assert_int_equal(query.name_octets, NAME_OCTETS);
		assert_memory_equal(query.name + 33, below, sizeof(below));
		assert_int_equal(server_of(&world, i)->failures, 0);
		assert_true(server_of(&world, i)->latency_us > 0);
		assert_true(server_of(&world, i)->probe_due_ms == UINT64_MAX);
	}
	assert_memory_not_equal(world.ears[0].query + 12, world.ears[1].query + 12, 33);
	run_for(&world, 50);
	assert_false(loopback_take(&world.ears[0]));
	close_world(&world);
}

/* Nobody listens, so that each probe fails at once. */
static void test_silent_server_is_probed_less_and_less_often(void **state)
{
	struct world world;
	(void)state;

	open_world(&world, 1);
	loopback_close(&world.ears[0]);
	watch(&world);
	for (unsigned i = 1; i <= 3; i++) {
		const struct upstream_server *server = server_of(&world, 0);

		for (int left = LOOPBACK_PATIENCE_MS; left > 0 && server->failures < i; left--)
			run_for(&world, 1);
		assert_int_equal(server->failures, i);
		assert_true(server->is_down);
		assert_int_equal(server->probe_backoff, i);
		/* 1, 2, 4 s later. */
		assert_in_range(server->probe_due_ms - server->probed_at_ms,
			(uint64_t)INTERVAL_MS << (i - 1),
			((uint64_t)INTERVAL_MS << (i - 1)) + SLACK_MS);
	}
	for (unsigned i = 0; i < 5; i++) {
		probe_now(&world, 0);
		run_for(&world, 1);
		await_end(&world, 0);
	}
	assert_in_range(
		server_of(&world, 0)->probe_due_ms - uv_now(&world.loop), 0, INTERVAL_MS << 4);
	close_world(&world);
}

static void test_server_that_answers_again_is_believed(void **state)
{
	struct world world;
	const uint16_t *port = &world.ears[0].port;
	(void)state;

	open_world(&world, 1);
	loopback_close(&world.ears[0]);
	watch(&world);
	for (int left = LOOPBACK_PATIENCE_MS; left > 0 && !server_of(&world, 0)->is_down; left--)
		run_for(&world, 1);
	assert_true(server_of(&world, 0)->is_down);
	server_of(&world, 0)->latency_us = 400000;
	loopback_open(&world.ears[0], *port);
	probe_is_answered(&world, 0);
	assert_false(server_of(&world, 0)->is_down);
	assert_int_equal(server_of(&world, 0)->failures, 0);
	assert_int_equal(server_of(&world, 0)->probe_backoff, 0);
	/* What it took while it was down tells nothing of how fast it is. */
	assert_true(server_of(&world, 0)->latency_us < 400000);
	close_world(&world);
}

static void test_doubt_leads_to_a_probe_at_once(void **state)
{
	struct world world;
	(void)state;

	open_world(&world, 1);
	watch(&world);
	probe_is_answered(&world, 0);
	server_of(&world, 0)->failures = 1; /* A client's question was not answered. */
	prober_doubts(world.prober, server_of(&world, 0));
	probe_is_answered(&world, 0);
	assert_int_equal(server_of(&world, 0)->failures, 0);
	close_world(&world);
}

static void test_suspicion_leads_to_few_probes(void **state)
{
	struct world world;
	(void)state;

	open_world(&world, 1);
	watch(&world);
	probe_is_answered(&world, 0);
	prober_suspects(world.prober, server_of(&world, 0)); /* It was probed a moment ago. */
	run_for(&world, 50);
	assert_false(loopback_take(&world.ears[0]));
	/* Some time ago. */
	server_of(&world, 0)->probed_at_ms = uv_now(&world.loop) - LOOP_MS;
	prober_suspects(world.prober, server_of(&world, 0));
	probe_is_answered(&world, 0);
	close_world(&world);
}

static void test_probe_that_comes_back_is_a_loop(void **state)
{
	struct world world;
	struct query query;
	(void)state;

	open_world(&world, 2);
	watch(&world);
	loopback_await(&world.loop, &world.ears[0]);
	query_of_probe(&world.ears[0], &query);
	assert_true(prober_recognises(world.prober, &query));
	assert_true(server_of(&world, 0)->is_loop);
	assert_false(server_of(&world, 1)->is_loop);
	loopback_reply(&world.ears[0], 3);
	await_end(&world, 0);
	assert_true(server_of(&world, 0)->is_loop);
	assert_in_range(server_of(&world, 0)->probe_due_ms - server_of(&world, 0)->probed_at_ms,
		LOOP_MS, LOOP_MS + SLACK_MS);
	/* The next one does not come back. */
	probe_now(&world, 0);
	probe_is_answered(&world, 0);
	assert_false(server_of(&world, 0)->is_loop);
	/* And the old name is nobody's any more. */
	assert_false(prober_recognises(world.prober, &query));
	close_world(&world);
}

static void test_names_that_are_not_ours_are_not_recognised(void **state)
{
	struct world world;
	struct query right;
	struct query wrong;
	(void)state;

	open_world(&world, 1);
	watch(&world);
	loopback_await(&world.loop, &world.ears[0]);
	query_of_probe(&world.ears[0], &right);
	for (size_t i = 0; i < NAME_OCTETS; i++) {
		wrong = right;
		wrong.name[i] = wrong.name[i] == 'a' ? 'b' : 'a';
		assert_false(prober_recognises(world.prober, &wrong));
	}
	wrong = right;
	wrong.name_octets--;
	assert_false(prober_recognises(world.prober, &wrong));
	assert_false(server_of(&world, 0)->is_loop);
	close_world(&world);
}

/* c-ares does not ask it: silent, it is left alone for a while, and then given another chance. */
static void test_link_local_server_is_forgiven_after_a_while(void **state)
{
	struct world world;
	struct upstream_server *server;
	(void)state;

	open_world(&world, 1);
	server = server_of(&world, 0);
	server->endpoint = (struct conf_endpoint){
		.family = 6, .octets = {0xfe, 0x80, [15] = 1}, .port = 53, .scope_id = 1};
	watch(&world);
	run_for(&world, 5);
	assert_false(server->is_probed);
	assert_true(server->probe_due_ms == UINT64_MAX);
	server->failures = 3;
	prober_doubts(world.prober, server);
	run_for(&world, 5);
	assert_int_equal(server->failures, 3);
	assert_in_range(
		server->probe_due_ms - server->probed_at_ms, INTERVAL_MS << 4, INTERVAL_MS << 4);
	probe_now(&world, 0); /* As if the while were over. */
	run_for(&world, 5);
	assert_int_equal(server->failures, 0);
	assert_true(server->probe_due_ms == UINT64_MAX);
	close_world(&world);
}

static void test_nothing_changes_after_stop(void **state)
{
	struct world world;
	(void)state;

	open_world(&world, 2);
	watch(&world);
	loopback_await(&world.loop, &world.ears[0]);
	prober_stop(world.prober);
	prober_stop(world.prober);
	loopback_reply(&world.ears[0], 3);
	assert_int_equal(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
	world.prober = NULL;
	for (size_t i = 0; i < 2; i++) {
		assert_false(server_of(&world, i)->is_probed);
		assert_int_equal(server_of(&world, i)->replies, 0);
	}
	close_world(&world);
}

/* The servers of a list that is no longer watched are let alone, also by probes under way. */
static void test_other_lists_end_probes(void **state)
{
	struct world world;
	struct upstream_list *other;
	const struct conf_endpoint *endpoint;
	(void)state;

	open_world(&world, 1);
	watch(&world);
	loopback_await(&world.loop, &world.ears[0]);
	endpoint = &(struct conf_endpoint){
		.family = 4, .octets = {127, 0, 0, 1}, .port = world.ears[1].port};
	other = upstream_list_new(endpoint, 1, NULL, uv_now(&world.loop));
	assert_int_equal(prober_watch(world.prober, &other, 1), 0);
	assert_false(server_of(&world, 0)->is_probed);
	assert_int_equal(world.list->holders, 1);
	loopback_reply(&world.ears[0], 3);
	loopback_await(&world.loop, &world.ears[1]);
	assert_int_equal(server_of(&world, 0)->replies, 0);
	assert_true(other->servers[0].is_probed);
	upstream_list_release(other);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_servers_are_probed_once),
		cmocka_unit_test(test_silent_server_is_probed_less_and_less_often),
		cmocka_unit_test(test_server_that_answers_again_is_believed),
		cmocka_unit_test(test_doubt_leads_to_a_probe_at_once),
		cmocka_unit_test(test_suspicion_leads_to_few_probes),
		cmocka_unit_test(test_probe_that_comes_back_is_a_loop),
		cmocka_unit_test(test_names_that_are_not_ours_are_not_recognised),
		cmocka_unit_test(test_link_local_server_is_forgiven_after_a_while),
		cmocka_unit_test(test_nothing_changes_after_stop),
		cmocka_unit_test(test_other_lists_end_probes),
	};

	log_start(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
