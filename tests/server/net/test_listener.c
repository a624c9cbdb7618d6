/* Replies that come later: clients are kept here and settled when a test wants it. */
#include "server/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/listener_tcp.h"
#include "server/net/listener_udp.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

#define PATIENCE_MS 5000
#define KEPT_MAX    300

struct world {
	uv_loop_t loop;
	struct listener_ops ops;
	struct listener_udp *udp;
	struct listener_tcp *tcp;
	in_port_t port_be;
	struct listener_client kept[KEPT_MAX];
	char queries[KEPT_MAX]; /* Their first octets. */
	size_t count;
	bool answers_at_once;
	char settled[KEPT_MAX]; /* First octets of the replies, '-' for none. */
	size_t settled_count;
};

static void settled(void *ctx, const struct listener_client *client, struct bytes reply)
{
	struct world *world = ctx;

	assert_non_null(client->origin);
	assert_true(world->settled_count < KEPT_MAX);
	world->settled[world->settled_count++] = reply.len > 0 ? (char)reply.ptr[0] : '-';
}

static enum answer_verdict answer(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

	(void)ctx;
	(void)is_tcp;
	/* Who asks is known for both. */
	if (peer->sa_family == AF_INET)
		assert_int_equal(v4->sin_addr.s_addr & htonl(0xff000000), htonl(0x7f000000));
	else
		assert_int_equal(peer->sa_family, AF_INET6);
	assert_true(query.len < reply_cap);
	if (query.len > 0 && query.ptr[0] != '!')
		return ANSWER_FORWARD;
	memcpy(reply, query.ptr, query.len);
	*out_reply_len = query.len;
	return ANSWER_REPLY;
}

static void forward(void *ctx, const struct listener_client *client, struct bytes query)
{
	struct world *world = ctx;

	if (world->answers_at_once) {
		listener_reply(client, query);
		return;
	}
	assert_true(world->count < KEPT_MAX);
	world->queries[world->count] = (char)query.ptr[0];
	world->kept[world->count++] = *client;
}

static int bound(const char *text, int type, in_port_t *out_port_be)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
	struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = is_v4 ? sizeof(v4) : sizeof(v6);
	int fd = socket(address->sa_family, type | SOCK_CLOEXEC, 0);

	assert_true(is_v4 || inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
	assert_int_equal(bind(fd, address, len), 0);
	assert_int_equal(getsockname(fd, address, &len), 0);
	*out_port_be = is_v4 ? v4.sin_port : v6.sin6_port;
	return fd;
}

static void open_world(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->ops = (struct listener_ops){
		.answer = answer, .forward = forward, .settled = settled, .ctx = world};
	assert_int_equal(uv_loop_init(&world->loop), 0);
}

static void open_udp(struct world *world, const char *address)
{
	open_world(world);
	assert_int_equal(
		listener_udp_start(&world->loop, bound(address, SOCK_DGRAM, &world->port_be),
			&world->ops, &world->udp),
		0);
}

static void open_tcp_with(struct world *world, const struct listener_tcp_limits *limits)
{
	open_world(world);
	assert_int_equal(
		listener_tcp_start(&world->loop, bound("127.0.0.1", SOCK_STREAM, &world->port_be),
			limits, &world->ops, &world->tcp),
		0);
}

static void open_tcp(struct world *world, unsigned unsettled_max)
{
	struct listener_tcp_limits limits = listener_tcp_limits_default;

	limits.unsettled_max = unsettled_max;
	limits.idle_ms = 300;
	open_tcp_with(world, &limits);
}

/* Ends only if no handle is left; what is not freed the address sanitizer tells. */
static void close_world(struct world *world)
{
	listener_udp_stop(world->udp);
	listener_tcp_stop(world->tcp);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
}

static int client_new(const struct world *world, const char *text, int type)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = world->port_be};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = world->port_be};
	bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
	int fd;

	inet_pton(AF_INET6, text, &v6.sin6_addr);
	fd = socket(is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
				 is_v4 ? sizeof(v4) : sizeof(v6)),
		0);
	return fd;
}

static void run_for(struct world *world, int ms)
{
	uint64_t end = uv_hrtime() / 1000000 + (uint64_t)ms;

	while (uv_hrtime() / 1000000 < end) {
		uv_run(&world->loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 1);
	}
}

static void await_kept(struct world *world, size_t count)
{
	for (int i = 0; i < PATIENCE_MS && world->count < count; i++)
		run_for(world, 1);
	assert_int_equal(world->count, count);
}

/* Octets that come within `ms`; 0: the connection was closed; -1: nothing came. */
static ssize_t take(struct world *world, int client, void *octets, size_t cap, int ms)
{
	uint64_t end = uv_hrtime() / 1000000 + (uint64_t)ms;

	do {
		ssize_t len;

		uv_run(&world->loop, UV_RUN_NOWAIT);
		len = recv(client, octets, cap, MSG_DONTWAIT);
		if (len >= 0)
			return len;
		poll(NULL, 0, 1);
	} while (uv_hrtime() / 1000000 < end);
	return -1;
}

static void reply_text(const struct listener_client *client, const char *text)
{
	listener_reply(client, (struct bytes){(const uint8_t *)text, strlen(text)});
}

static void test_late_reply_leaves_from_the_address_that_was_asked(void **state)
{
	static const struct {
		const char *bound;
		const char *asked;
	} cases[] = {
		{"127.0.0.56", "127.0.0.56"},
		{"0.0.0.0", "127.0.0.7"},
		{"::1", "::1"},
		{"::", "::1"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world world;
		char text[8];
		int client;

		open_udp(&world, cases[i].bound);
		client = client_new(&world, cases[i].asked, SOCK_DGRAM);
		assert_int_equal(send(client, "q", 1, 0), 1);
		await_kept(&world, 1);
		assert_int_equal(take(&world, client, text, sizeof(text), 20), -1);
		/* Another query overwrites whatever the listener had of the first. */
		assert_int_equal(send(client, "!x", 2, 0), 2);
		assert_int_equal(take(&world, client, text, sizeof(text), PATIENCE_MS), 2);
		reply_text(&world.kept[0], "late");
		assert_int_equal(take(&world, client, text, sizeof(text), PATIENCE_MS), 4);
		assert_memory_equal(text, "late", 4);
		assert_int_equal(listener_udp_stats(world.udp)->forwarded, 1);
		assert_int_equal(listener_udp_stats(world.udp)->replies, 2);
		close(client);
		close_world(&world);
	}
}

/* Replies that are sent together, more than fit one system call: each reaches whom it is for, from
 * the address that was asked; an empty one nobody. */
static void test_late_replies_are_sent_together(void **state)
{
	enum { ASKED = LISTENER_UDP_BATCH + 10 };
	static const char *const asked[] = {"127.0.0.7", "127.0.0.8"};
	struct bytes replies[ASKED];
	struct world world;
	int clients[2];
	(void)state;

	open_udp(&world, "0.0.0.0");
	for (size_t i = 0; i < 2; i++)
		clients[i] = client_new(&world, asked[i], SOCK_DGRAM);
	for (size_t i = 0; i < ASKED; i++) {
		const char name[] = {(char)('A' + i % 2), (char)i};

		assert_int_equal(send(clients[i % 2], name, sizeof(name), 0), sizeof(name));
		await_kept(&world, i + 1);
		replies[i] = (struct bytes){(uint8_t *)&world.queries[i], i == 5 ? 0 : 1};
	}
	listener_reply_many(world.kept, replies, ASKED);
	for (size_t i = 0; i < ASKED; i++) {
		char text[8] = "";

		if (i == 5)
			continue;
		assert_int_equal(take(&world, clients[i % 2], text, sizeof(text), PATIENCE_MS), 1);
		assert_int_equal(text[0], 'A' + (int)(i % 2));
	}
	assert_int_equal(listener_udp_stats(world.udp)->replies, ASKED - 1);
	for (size_t i = 0; i < 2; i++)
		close(clients[i]);
	close_world(&world);
}

static void test_udp_listener_outlives_its_clients(void **state)
{
	struct world world;
	int client;
	(void)state;

	open_udp(&world, "127.0.0.1");
	client = client_new(&world, "127.0.0.1", SOCK_DGRAM);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(client, "q", 1, 0), 1);
	await_kept(&world, 3);
	listener_drop(&world.kept[0]);
	listener_udp_stop(world.udp);
	listener_drop(&world.kept[1]); /* While it closes. */
	run_for(&world, 10);
	reply_text(&world.kept[2], "nobody"); /* When it is closed: frees it. */
	assert_memory_equal(world.settled, "--n", 3);
	world.udp = NULL;
	close(client);
	close_world(&world);
}

static void put_query(int client, char name)
{
	const char frame[] = {0, 1, name};

	assert_int_equal(send(client, frame, sizeof(frame), 0), sizeof(frame));
}

static void expect_frame(struct world *world, int client, char name)
{
	char frame[3] = "";
	size_t len = 0;

	while (len < sizeof(frame)) {
		ssize_t count = take(world, client, frame + len, sizeof(frame) - len, PATIENCE_MS);

		assert_true(count > 0);
		len += (size_t)count;
	}
	assert_int_equal(frame[1], 1);
	assert_int_equal(frame[2], name);
}

static void reply_kept(struct world *world, size_t i)
{
	listener_reply(&world->kept[i], (struct bytes){(uint8_t *)&world->queries[i], 1});
}

static void test_tcp_replies_sent_together_each_find_their_connection(void **state)
{
	struct bytes replies[4];
	struct world world;
	int clients[2];
	(void)state;

	open_tcp(&world, 10);
	for (size_t i = 0; i < 2; i++)
		clients[i] = client_new(&world, "127.0.0.1", SOCK_STREAM);
	for (size_t i = 0; i < 4; i++) {
		put_query(clients[i % 2], (char)('a' + i));
		await_kept(&world, i + 1);
		replies[i] = (struct bytes){(uint8_t *)&world.queries[i], 1};
	}
	listener_reply_many(world.kept, replies, 4);
	for (size_t i = 0; i < 4; i++)
		expect_frame(&world, clients[i % 2], (char)('a' + i));
	for (size_t i = 0; i < 2; i++)
		close(clients[i]);
	close_world(&world);
}

static void test_tcp_replies_come_in_any_order(void **state)
{
	struct world world;
	int client;
	(void)state;

	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	put_query(client, 'a');
	put_query(client, 'b');
	put_query(client, '!'); /* A local answer overtakes both. */
	expect_frame(&world, client, '!');
	await_kept(&world, 2);
	assert_true(world.kept[0].is_tcp);
	assert_int_equal(world.kept[0].peer.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	reply_kept(&world, 1);
	expect_frame(&world, client, 'b');
	reply_kept(&world, 0);
	expect_frame(&world, client, 'a');
	close(client);
	close_world(&world);
}

static void test_tcp_connection_that_waits_is_not_idle(void **state)
{
	struct world world;
	char octet;
	int client;
	(void)state;

	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	put_query(client, 'a');
	assert_int_equal(take(&world, client, &octet, 1, 700), -1); /* More than twice idle_ms. */
	reply_kept(&world, 0);
	expect_frame(&world, client, 'a');
	assert_int_equal(take(&world, client, &octet, 1, PATIENCE_MS), 0); /* Now it is. */
	assert_int_equal(listener_tcp_stats(world.tcp)->timed_out, 1);
	close(client);
	close_world(&world);
}

static void test_tcp_half_close_waits_for_late_replies(void **state)
{
	struct world world;
	char octet;
	int client;
	(void)state;

	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	put_query(client, 'a');
	shutdown(client, SHUT_WR);
	await_kept(&world, 1);
	assert_int_equal(take(&world, client, &octet, 1, 50), -1);
	reply_kept(&world, 0);
	expect_frame(&world, client, 'a');
	assert_int_equal(take(&world, client, &octet, 1, PATIENCE_MS), 0);
	close(client);
	close_world(&world);
}

static void test_tcp_drop_ends_the_connection_behind_other_replies(void **state)
{
	struct world world;
	char octet;
	int client;
	(void)state;

	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	put_query(client, 'a');
	put_query(client, 'b');
	await_kept(&world, 2);
	listener_drop(&world.kept[0]);
	reply_kept(&world, 1);
	expect_frame(&world, client, 'b');
	assert_int_equal(take(&world, client, &octet, 1, PATIENCE_MS), 0);
	assert_int_equal(world.settled_count, 2);
	assert_memory_equal(world.settled, "-b", 2);
	close(client);
	close_world(&world);
}

static void test_tcp_reading_pauses_while_too_many_wait(void **state)
{
	struct world world;
	int client;
	(void)state;

	open_tcp(&world, 4);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	for (char name = 'a'; name < 'a' + 12; name++)
		put_query(client, name);
	await_kept(&world, 4);
	run_for(&world, 30);
	assert_int_equal(world.count, 4);
	reply_kept(&world, 0);
	run_for(&world, 10);
	assert_int_equal(world.count, 4); /* Until half of them are there. */
	reply_kept(&world, 1);
	await_kept(&world, 6);
	for (size_t i = 2; i < 12; i++) {
		if (world.count <= i)
			await_kept(&world, i + 1);
		reply_kept(&world, i);
	}
	for (char name = 'a'; name < 'a' + 12; name++)
		expect_frame(&world, client, name);
	close(client);
	close_world(&world);
}

static void test_tcp_replies_at_once_need_no_pause(void **state)
{
	struct world world;
	int client;
	(void)state;

	open_tcp(&world, 1);
	world.answers_at_once = true;
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	for (char name = 'a'; name <= 'z'; name++)
		put_query(client, name);
	for (char name = 'a'; name <= 'z'; name++)
		expect_frame(&world, client, name);
	close(client);
	close_world(&world);
}

static void test_replies_to_a_closed_connection_go_nowhere(void **state)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};
	struct world world;
	int client;
	(void)state;

	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	put_query(client, 'a');
	put_query(client, 'b');
	put_query(client, 'c');
	await_kept(&world, 3);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(client);
	run_for(&world, 20);
	assert_int_equal(listener_tcp_stats(world.tcp)->connections, 0);
	reply_kept(&world, 0);
	listener_drop(&world.kept[1]);
	listener_tcp_stop(world.tcp);
	run_for(&world, 10);
	reply_kept(&world, 2); /* The last one frees connection and listener. */
	world.tcp = NULL;
	close_world(&world);
}

static void test_long_late_replies_are_whole(void **state)
{
	static uint8_t reply[ANSWER_TCP_OCTETS_MAX];
	static uint8_t got[2 + ANSWER_TCP_OCTETS_MAX];
	struct world world;
	int client;
	(void)state;

	for (size_t i = 0; i < sizeof(reply); i++)
		reply[i] = (uint8_t)(i * 7);
	open_tcp(&world, 10);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	for (int i = 0; i < 5; i++)
		put_query(client, 'a');
	await_kept(&world, 5);
	for (size_t i = 0; i < 5; i++) /* More than the kernel takes at once. */
		listener_reply(&world.kept[i], (struct bytes){reply, sizeof(reply)});
	for (size_t i = 0; i < 5; i++) {
		size_t len = 0;

		while (len < sizeof(got)) {
			ssize_t count =
				take(&world, client, got + len, sizeof(got) - len, PATIENCE_MS);

			assert_true(count > 0);
			len += (size_t)count;
		}
		assert_int_equal(got[0] << 8 | got[1], sizeof(reply));
		assert_memory_equal(got + 2, reply, sizeof(reply));
	}
	close(client);
	close_world(&world);
}

/* One that reads gets all that it asked for; those that do not cannot fill the memory. */
static void test_late_replies_that_nobody_takes_are_bounded(void **state)
{
	static uint8_t reply[ANSWER_TCP_OCTETS_MAX];
	static uint8_t got[1 << 20];
	struct listener_tcp_limits limits = listener_tcp_limits_default;
	struct world world;
	int idle[2];
	int client;
	(void)state;

	limits.unread_octets_max = 1 << 20;
	open_tcp_with(&world, &limits);
	for (size_t i = 0; i < 2; i++) {
		idle[i] = client_new(&world, "127.0.0.1", SOCK_STREAM);
		for (int j = 0; j < 100; j++)
			put_query(idle[i], 'i');
	}
	await_kept(&world, 200);
	for (size_t i = 0; i < 200; i++)
		listener_reply(&world.kept[i], (struct bytes){reply, sizeof(reply)});
	run_for(&world, 10);
	assert_int_equal(listener_tcp_stats(world.tcp)->evicted, 2);
	assert_int_equal(listener_tcp_stats(world.tcp)->connections, 0);
	client = client_new(&world, "127.0.0.1", SOCK_STREAM);
	for (int i = 0; i < 8; i++)
		put_query(client, 'c');
	await_kept(&world, 208);
	for (size_t i = 200; i < 208; i++)
		listener_reply(&world.kept[i], (struct bytes){reply, sizeof(reply)});
	for (size_t len = 0; len < 8 * (2 + sizeof(reply));) {
		ssize_t count = take(&world, client, got, sizeof(got), PATIENCE_MS);

		assert_true(count > 0);
		len += (size_t)count;
	}
	close(client);
	close(idle[0]);
	close(idle[1]);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_reply_leaves_from_the_address_that_was_asked),
		cmocka_unit_test(test_late_replies_are_sent_together),
		cmocka_unit_test(test_udp_listener_outlives_its_clients),
		cmocka_unit_test(test_tcp_replies_come_in_any_order),
		cmocka_unit_test(test_tcp_replies_sent_together_each_find_their_connection),
		cmocka_unit_test(test_tcp_connection_that_waits_is_not_idle),
		cmocka_unit_test(test_tcp_half_close_waits_for_late_replies),
		cmocka_unit_test(test_tcp_drop_ends_the_connection_behind_other_replies),
		cmocka_unit_test(test_tcp_reading_pauses_while_too_many_wait),
		cmocka_unit_test(test_tcp_replies_at_once_need_no_pause),
		cmocka_unit_test(test_replies_to_a_closed_connection_go_nowhere),
		cmocka_unit_test(test_long_late_replies_are_whole),
		cmocka_unit_test(test_late_replies_that_nobody_takes_are_bounded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
