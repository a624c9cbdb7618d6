/* Questions in our own name, to a server that is played here. */
#include "server/forward/asker.h"

#include "tests/server/loopback.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

#define TIMEOUT_MS 300
/* c-ares has its own idea of how long that is. */
#define LONG_MS 60000

struct world {
	uv_loop_t loop;
	struct loopback server;
	struct conf_endpoint endpoint;
	struct asker *asker;
	unsigned told;
	bool has_replied;
	uint32_t latency_us;
	uint8_t heard[512];
	size_t heard_len;
};

static void on_done(void *ctx, bool has_replied, uint32_t latency_us)
{
	struct world *world = ctx;

	world->told++;
	world->has_replied = has_replied;
	world->latency_us = latency_us;
	world->asker = NULL;
}

static void on_heard(void *ctx, struct bytes reply)
{
	struct world *world = ctx;

	world->told++;
	assert_true(reply.len <= sizeof(world->heard));
	if (reply.len > 0)
		memcpy(world->heard, reply.ptr, reply.len);
	world->heard_len = reply.len;
	world->asker = NULL;
}

static void open_world(struct world *world)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(uv_loop_init(&world->loop), 0);
	loopback_open(&world->server, 0);
	world->endpoint = loopback_endpoint(&world->server);
}

/* Ends only if no handle is left open. */
static void close_world(struct world *world)
{
	asker_stop(world->asker);
	assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	loopback_close(&world->server);
}

static void ask(struct world *world, unsigned timeout_ms)
{
	assert_int_equal(asker_start(&world->loop, &world->endpoint, "a.example", timeout_ms,
				 on_done, world, &world->asker),
		0);
	assert_int_equal(world->told, 0);
}

static void await_told(struct world *world)
{
	for (int i = 0; i < LOOPBACK_PATIENCE_MS && world->told == 0; i++) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		loopback_take(&world->server);
		poll(NULL, 0, 1);
	}
	assert_int_equal(world->told, 1);
}

static void test_question_is_for_addresses(void **state)
{
	static const uint8_t question[] = "\1a\7example\0\0\1\0\1";
	struct world world;
	(void)state;

	open_world(&world);
	ask(&world, LONG_MS);
	loopback_await(&world.loop, &world.server);
	assert_int_equal(world.server.query[2] & 0xf9, 1); /* A query, with RD. */
	assert_memory_equal(world.server.query + 12, question, sizeof(question) - 1);
	close_world(&world);
}

static void test_whatever_a_reply_says_it_is_one(void **state)
{
	static const unsigned rcodes[] = {0, 1, 2, 3, 4, 5, 9};
	(void)state;

	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++) {
		struct world world;

		open_world(&world);
		ask(&world, LONG_MS);
		loopback_await(&world.loop, &world.server);
		loopback_reply(&world.server, rcodes[i]);
		await_told(&world);
		assert_true(world.has_replied);
		assert_true(world.latency_us > 0);
		assert_int_equal(world.server.asked, 1);
		close_world(&world);
	}
}

static void test_silence_is_told_after_two_attempts(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	ask(&world, TIMEOUT_MS);
	await_told(&world);
	assert_false(world.has_replied);
	assert_int_equal(world.server.asked, 2);
	close_world(&world);
}

/* The process was stopped, or the host had no time for it. */
static void test_reply_that_lies_there_is_heard(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	ask(&world, TIMEOUT_MS);
	loopback_await(&world.loop, &world.server);
	loopback_reply(&world.server, 0);
	steady_clock_skip(10 * TIMEOUT_MS);
	await_told(&world);
	assert_true(world.has_replied);
	assert_int_equal(world.server.asked, 1);
	close_world(&world);
}

static void test_second_attempt_tells_no_latency(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	ask(&world, 5 * TIMEOUT_MS); /* That long there is for the reply. */
	loopback_await(&world.loop, &world.server);
	loopback_await(&world.loop, &world.server);
	loopback_reply(&world.server, 0);
	await_told(&world);
	assert_true(world.has_replied);
	assert_int_equal(world.latency_us, 0);
	close_world(&world);
}

/* @param spoils a right reply. */
static void check_wrong_reply(void (*spoil)(uint8_t *reply))
{
	struct world world;
	uint8_t reply[512];
	size_t len;

	open_world(&world);
	ask(&world, LONG_MS);
	loopback_await(&world.loop, &world.server);
	len = loopback_make(&world.server, 0, reply);
	spoil(reply);
	loopback_send(&world.server, reply, len);
	for (int i = 0; i < 50; i++) {
		uv_run(&world.loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
	assert_int_equal(world.told, 0);
	loopback_reply(&world.server, 0);
	await_told(&world);
	assert_true(world.has_replied);
	close_world(&world);
}

static void spoil_id(uint8_t *reply)
{
	reply[1] ^= 1;
}

static void spoil_name(uint8_t *reply)
{
	reply[13] ^= 2;
}

static void test_wrong_replies_are_passed_over(void **state)
{
	(void)state;
	check_wrong_reply(spoil_id);
	check_wrong_reply(spoil_name);
}

static void test_replies_from_another_port_are_passed_over(void **state)
{
	struct world world;
	struct loopback other;
	uint8_t reply[512];
	(void)state;

	open_world(&world);
	loopback_open(&other, 0);
	ask(&world, TIMEOUT_MS);
	loopback_await(&world.loop, &world.server);
	other.from = world.server.from;
	loopback_send(&other, reply, loopback_make(&world.server, 0, reply));
	await_told(&world);
	assert_false(world.has_replied);
	loopback_close(&other);
	close_world(&world);
}

static void test_closed_port_is_silence(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	loopback_close(&world.server);
	ask(&world, LONG_MS); /* An ICMP message tells it long before that. */
	for (int i = 0; i < LOOPBACK_PATIENCE_MS && world.told == 0; i++) {
		uv_run(&world.loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
	assert_int_equal(world.told, 1);
	assert_false(world.has_replied);
	loopback_open(&world.server, 0); /* To be closed. */
	close_world(&world);
}

static void test_nothing_is_told_after_stop(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	ask(&world, LONG_MS);
	loopback_await(&world.loop, &world.server);
	loopback_reply(&world.server, 0);
	asker_stop(world.asker);
	asker_stop(world.asker);
	world.asker = NULL;
	close_world(&world);
	assert_int_equal(world.told, 0);
	asker_stop(NULL);
}

static void test_link_local_servers_cannot_be_asked(void **state)
{
	struct world world;
	(void)state;

	open_world(&world);
	world.endpoint = (struct conf_endpoint){
		.family = 6, .octets = {0xfe, 0x80, [15] = 1}, .port = 53, .scope_id = 1};
	assert_int_equal(asker_start(&world.loop, &world.endpoint, "a.example", LONG_MS, on_done,
				 &world, &world.asker),
		UV_ENOTSUP);
	assert_null(world.asker);
	close_world(&world);
}

static void test_sent_query_is_heard_whole(void **state)
{
	static const uint8_t query[] = "\x47\x11\1\0\0\1\0\0\0\0\0\0\1b\7example\0\0\20\0\1";
	struct world world;
	(void)state;

	open_world(&world);
	assert_int_equal(
		asker_send(&world.loop, &world.endpoint, (struct bytes){query, sizeof(query) - 1},
			LONG_MS, on_heard, &world, &world.asker),
		0);
	loopback_await(&world.loop, &world.server);
	assert_int_equal(world.server.query_len, sizeof(query) - 1);
	assert_memory_equal(world.server.query + 2, query + 2, sizeof(query) - 3);
	loopback_reply(&world.server, 5);
	await_told(&world);
	assert_int_equal(world.heard_len, sizeof(query) - 1);
	assert_int_equal(world.heard[3] & 15, 5);
	close_world(&world);
}

static void test_sent_query_without_reply_is_heard_empty(void **state)
{
	static const uint8_t query[] = "\x47\x11\1\0\0\1\0\0\0\0\0\0\1b\7example\0\0\20\0\1";
	struct world world;
	(void)state;

	open_world(&world);
	world.heard_len = 99;
	assert_int_equal(
		asker_send(&world.loop, &world.endpoint, (struct bytes){query, sizeof(query) - 1},
			TIMEOUT_MS, on_heard, &world, &world.asker),
		0);
	await_told(&world);
	assert_int_equal(world.heard_len, 0);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question_is_for_addresses),
		cmocka_unit_test(test_whatever_a_reply_says_it_is_one),
		cmocka_unit_test(test_silence_is_told_after_two_attempts),
		cmocka_unit_test(test_reply_that_lies_there_is_heard),
		cmocka_unit_test(test_second_attempt_tells_no_latency),
		cmocka_unit_test(test_wrong_replies_are_passed_over),
		cmocka_unit_test(test_replies_from_another_port_are_passed_over),
		cmocka_unit_test(test_closed_port_is_silence),
		cmocka_unit_test(test_nothing_is_told_after_stop),
		cmocka_unit_test(test_link_local_servers_cannot_be_asked),
		cmocka_unit_test(test_sent_query_is_heard_whole),
		cmocka_unit_test(test_sent_query_without_reply_is_heard_empty),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
