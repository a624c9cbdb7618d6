#include "server/net/listener_tcp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/tcp_connection.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

/* Never waited for by a test that passes. */
#define PATIENCE_MS 5000

/* For limits that a test waits for, and for those that it must not meet. */
#define SOON_MS  60
#define NEVER_MS 60000

#define FLOOD 50

/* What accept4() is made to say, by the function below, which comes before libc's. */
static struct {
	int error;
	unsigned errors;
	unsigned calls;
} kernel;

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	int client;

	kernel.calls++;
	if (kernel.errors > 0) {
		kernel.errors--;
		errno = kernel.error;
		return -1;
	}
	client = accept(fd, address, len);
	if (client >= 0) {
		assert_int_equal(flags, SOCK_NONBLOCK | SOCK_CLOEXEC);
		fcntl(client, F_SETFD, FD_CLOEXEC);
		fcntl(client, F_SETFL, O_NONBLOCK);
	}
	return client;
}

struct server {
	uv_loop_t loop;
	struct listener_ops ops;
	struct listener_tcp_limits limits;
	struct listener_tcp *listener;
	in_port_t port_be;
	unsigned fds_before;
	bool stops_in_answer;
};

static unsigned count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* 'D': drop. 'F': forward. 'L' and two octets: as many octets. Else the query itself, behind an
 * 'R'. */
static enum answer_verdict echo(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	struct server *server = ctx;

	(void)peer;
	assert_true(is_tcp);
	assert_int_equal(reply_cap, ANSWER_TCP_OCTETS_MAX);
	assert_true(query.len > 0);
	if (server->stops_in_answer)
		listener_tcp_stop(server->listener);
	if (query.ptr[0] == 'D')
		return ANSWER_DROP;
	if (query.ptr[0] == 'F')
		return ANSWER_FORWARD;
	if (query.ptr[0] == 'L') {
		*out_reply_len = (size_t)query.ptr[1] << 8 | query.ptr[2];
		memset(reply, 'l', *out_reply_len);
		return ANSWER_REPLY;
	}
	*out_reply_len = query.len < reply_cap ? 1 + query.len : reply_cap;
	reply[0] = 'R';
	memcpy(reply + 1, query.ptr, *out_reply_len - 1);
	return ANSWER_REPLY;
}

static struct listener_tcp_limits patient_limits(void)
{
	struct listener_tcp_limits limits = listener_tcp_limits_default;

	limits.first_octet_ms = NEVER_MS;
	limits.idle_ms = NEVER_MS;
	return limits;
}

static void server_start_at(
	struct server *server, const struct listener_tcp_limits *limits, const char *text)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
	struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = is_v4 ? sizeof(v4) : sizeof(v6);
	int fd;

	memset(server, 0, sizeof(*server));
	memset(&kernel, 0, sizeof(kernel));
	server->fds_before = count_fds();
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, address, len), 0);
	assert_int_equal(getsockname(fd, address, &len), 0);
	server->port_be = is_v4 ? v4.sin_port : v6.sin6_port;
	server->ops = (struct listener_ops){.answer = echo, .ctx = server};
	assert_int_equal(uv_loop_init(&server->loop), 0);
	assert_int_equal(
		listener_tcp_start(&server->loop, fd, limits, &server->ops, &server->listener), 0);
}

static void server_start(struct server *server, const struct listener_tcp_limits *limits)
{
	server_start_at(server, limits, "127.0.0.1");
}

/* Nothing may be left: no handle, no descriptor. (Memory: the address sanitizer.) */
static void server_stop(struct server *server)
{
	listener_tcp_stop(server->listener);
	listener_tcp_stop(server->listener);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&server->loop), 0);
	assert_int_equal(count_fds(), server->fds_before);
}

static const struct listener_tcp_stats *stats_of(const struct server *server)
{
	return listener_tcp_stats(server->listener);
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* Sleeps until the loop or the client (-1: none) has something to do, or the time is over; then
 * runs the loop once. */
static void turn(struct server *server, int client, short events, uint64_t end_ms)
{
	struct pollfd ready[2] = {
		{.fd = uv_backend_fd(&server->loop), .events = POLLIN},
		{.fd = client, .events = events},
	};
	const int timeout = uv_backend_timeout(&server->loop);

	if (timeout >= 0 && now_ms() + (uint64_t)timeout < end_ms)
		end_ms = now_ms() + (uint64_t)timeout;
	while (poll(ready, 2, timeout == 0 ? 0 : STEADY_CLOCK_WAIT_MS) == 0 && now_ms() < end_ms)
		;
	uv_run(&server->loop, UV_RUN_NOWAIT);
}

/* Lets time pass, and returns how often the loop woke: a loop that spins does so without end. */
static unsigned turns_within(struct server *server, uint64_t time_ms)
{
	uint64_t end_ms = now_ms() + time_ms;
	unsigned count = 0;

	for (; now_ms() < end_ms && count < 100000; count++)
		turn(server, -1, 0, end_ms);
	return count;
}

/* Lets the server do all that it can without new octets. */
static void settle(struct server *server)
{
	for (int i = 0; i < 4; i++)
		uv_run(&server->loop, UV_RUN_NOWAIT);
}

static void await_connections(struct server *server, unsigned count)
{
	uint64_t end_ms = now_ms() + PATIENCE_MS;

	while (stats_of(server)->connections != count && now_ms() < end_ms)
		turn(server, -1, 0, end_ms);
	assert_int_equal(stats_of(server)->connections, count);
}

static int client_from(const struct server *server, const char *source)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = server->port_be};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	inet_pton(AF_INET, source, &from.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	/* The kernel completes it without the server. */
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int client_new(const struct server *server)
{
	return client_from(server, "127.0.0.1");
}

/* Closes with RST. */
static void client_reset(int client)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};

	setsockopt(client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(client);
}

static void put(struct server *server, int client, const void *octets, size_t len)
{
	uint64_t end_ms = now_ms() + PATIENCE_MS;
	size_t done = 0;

	while (done < len && now_ms() < end_ms) {
		ssize_t count = send(client, (const char *)octets + done, len - done, 0);

		if (count > 0)
			done += (size_t)count;
		else
			turn(server, client, POLLOUT, end_ms);
	}
	assert_int_equal(done, len);
}

/* Returns how many octets came: less than `len` if the server closed, or nothing came in time. */
static size_t get(struct server *server, int client, void *out_octets, size_t len)
{
	uint64_t end_ms = now_ms() + PATIENCE_MS;
	size_t done = 0;

	while (done < len && now_ms() < end_ms) {
		ssize_t count = recv(client, (char *)out_octets + done, len - done, 0);

		if (count == 0 || (count < 0 && errno != EAGAIN))
			break;
		if (count > 0)
			done += (size_t)count;
		else
			turn(server, client, POLLIN, end_ms);
	}
	return done;
}

/* The server has closed, and nothing more came before. */
static void expect_closed(struct server *server, int client)
{
	uint64_t end_ms = now_ms() + PATIENCE_MS;
	char octet;
	ssize_t count;

	while ((count = recv(client, &octet, 1, 0)) < 0 && errno == EAGAIN && now_ms() < end_ms)
		turn(server, client, POLLIN, end_ms);
	assert_true(count == 0 || (count < 0 && errno == ECONNRESET));
}

/* A message of text, with its length in front. Returns its end. */
static uint8_t *frame(uint8_t *octets, const char *text)
{
	size_t len = strlen(text);

	octets[0] = (uint8_t)(len >> 8);
	octets[1] = (uint8_t)len;
	memcpy(octets + 2, text, len);
	return octets + 2 + len;
}

static void ask(struct server *server, int client, const char *query)
{
	uint8_t octets[64];

	put(server, client, octets, (size_t)(frame(octets, query) - octets));
}

static void expect_reply(struct server *server, int client, const char *query)
{
	uint8_t reply[64];
	size_t len = strlen(query);

	assert_int_equal(get(server, client, reply, 3 + len), 3 + len);
	assert_int_equal(reply[0] << 8 | reply[1], 1 + len);
	assert_int_equal(reply[2], 'R');
	assert_memory_equal(reply + 3, query, len);
}

static void expect_answered(struct server *server, int client, const char *query)
{
	ask(server, client, query);
	expect_reply(server, client, query);
}

static void ask_for_octets(struct server *server, int client, unsigned len)
{
	const uint8_t octets[] = {0, 3, 'L', (uint8_t)(len >> 8), (uint8_t)len};

	put(server, client, octets, sizeof(octets));
}

static void expect_octets(struct server *server, int client, size_t len)
{
	static uint8_t reply[TCP_FRAME_OCTETS_MAX];

	assert_int_equal(get(server, client, reply, 2 + len), 2 + len);
	assert_int_equal((size_t)reply[0] << 8 | reply[1], len);
	assert_int_equal(reply[2], 'l');
	assert_int_equal(reply[1 + len], 'l');
}

/* Messages. */

static void test_messages_are_found_however_they_are_cut(void **state)
{
	static const size_t cuts[] = {1, 2, 3, 4, 5, 7, 11, 1000};
	static const char long_one[] = "a message longer than the others";
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	uint8_t octets[128];
	uint8_t *end = frame(frame(frame(octets, "x"), long_one), "third");
	(void)state;

	server_start(&server, &limits);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		int client = client_new(&server);

		for (uint8_t *part = octets; part < end; part += cuts[i]) {
			size_t left = (size_t)(end - part);

			put(&server, client, part, left < cuts[i] ? left : cuts[i]);
			settle(&server);
		}
		expect_reply(&server, client, "x");
		expect_reply(&server, client, long_one);
		expect_reply(&server, client, "third");
		close(client);
	}
	await_connections(&server, 0);
	assert_int_equal(stats_of(&server)->queries, 3 * sizeof(cuts) / sizeof(cuts[0]));
	assert_int_equal(stats_of(&server)->replies, stats_of(&server)->queries);
	server_stop(&server);
}

static void test_ipv6(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct server server;
	int client;
	(void)state;

	server_start_at(&server, &limits, "::1");
	to.sin6_port = server.port_be;
	client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	fcntl(client, F_SETFL, O_NONBLOCK);
	expect_answered(&server, client, "six");
	close(client);
	server_stop(&server);
}

static void test_longest_message_both_ways(void **state)
{
	static uint8_t query[TCP_FRAME_OCTETS_MAX];
	static uint8_t reply[TCP_FRAME_OCTETS_MAX];
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	(void)state;

	server_start(&server, &limits);
	client = client_new(&server);
	for (size_t i = 0; i < sizeof(query); i++)
		query[i] = (uint8_t)(i * 7);
	query[0] = query[1] = 0xff;
	query[2] = 'q';
	for (int i = 0; i < 3; i++) {
		put(&server, client, query, sizeof(query));
		ask(&server, client, "short");
		assert_int_equal(get(&server, client, reply, sizeof(reply)), sizeof(reply));
		assert_memory_equal(reply, "\xff\xffR", 3);
		assert_memory_equal(reply + 3, query + 2, sizeof(reply) - 3);
		expect_reply(&server, client, "short");
	}
	close(client);
	server_stop(&server);
}

static void test_a_thousand_pipelined_queries(void **state)
{
	static uint8_t octets[1000 * 16];
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	uint8_t *end = octets;
	char query[16];
	int client;
	(void)state;

	for (int i = 0; i < 1000; i++) {
		snprintf(query, sizeof(query), "query %d", i);
		end = frame(end, query);
	}
	server_start(&server, &limits);
	client = client_new(&server);
	put(&server, client, octets, (size_t)(end - octets));
	for (int i = 0; i < 1000; i++) {
		snprintf(query, sizeof(query), "query %d", i);
		expect_reply(&server, client, query);
	}
	assert_int_equal(stats_of(&server)->replies, 1000);
	close(client);
	server_stop(&server);
}

static void test_one_busy_client_does_not_keep_the_loop(void **state)
{
	static uint8_t octets[3 * TCP_READ_OCTETS];
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	uint64_t before;
	(void)state;

	/* Queries of three octets, each with a reply of none. */
	for (size_t i = 0; i < sizeof(octets); i += 8)
		memcpy(octets + i, "\0\6L\0\0...", 8);
	server_start(&server, &limits);
	client = client_new(&server);
	await_connections(&server, 1);
	/* As much as the socket holds; at least two reads of it. */
	assert_true(send(client, octets, sizeof(octets), 0) > (ssize_t)(2 * TCP_READ_OCTETS));
	for (before = 0; stats_of(&server)->queries == 0;)
		uv_run(&server.loop, UV_RUN_NOWAIT);
	before = stats_of(&server)->queries;
	assert_in_range(before, 1, TCP_READ_OCTETS / 8);
	uv_run(&server.loop, UV_RUN_NOWAIT);
	assert_in_range(stats_of(&server)->queries, before + 1, 2 * TCP_READ_OCTETS / 8);
	close(client);
	server_stop(&server);
}

static void test_no_dns_client_is_closed_after_what_came_before(void **state)
{
	static const char *const bad[] = {"", "Drop", "Forward"};
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	(void)state;

	server_start(&server, &limits);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* In one read, and the length in a read of its own. */
		for (size_t cut = 0; cut < 2; cut++) {
			uint8_t octets[64];
			uint8_t *end = frame(frame(octets, "good"), bad[i]);
			size_t len = (size_t)(end - octets);
			int client = client_new(&server);

			put(&server, client, octets, cut ? 7 : len);
			settle(&server);
			put(&server, client, octets + (cut ? 7 : len), cut ? len - 7 : 0);
			expect_reply(&server, client, "good");
			expect_closed(&server, client);
			close(client);
		}
	}
	assert_int_equal(stats_of(&server)->connections, 0);
	server_stop(&server);
}

static void test_half_closed_client_gets_all_its_answers(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	(void)state;

	/* What the kernel's buffers do not hold waits in our queue, and in the client's. */
	for (unsigned queries = 1; queries <= 100; queries += 99) {
		server_start(&server, &limits);
		client = client_new(&server);
		for (unsigned i = 0; i < queries; i++)
			ask_for_octets(&server, client, 60000);
		put(&server, client, "\0\7cut", 5);
		shutdown(client, SHUT_WR);
		settle(&server);
		for (unsigned i = 0; i < queries; i++)
			expect_octets(&server, client, 60000);
		expect_closed(&server, client);
		assert_int_equal(stats_of(&server)->queries, queries);
		assert_int_equal(stats_of(&server)->timed_out, 0);
		close(client);
		server_stop(&server);
	}
}

/* Time. */

static void test_silent_client_is_closed(void **state)
{
	static const struct {
		const char *sent; /* Octets, a zero at the end. */
		size_t len;
		uint64_t first_octet_ms;
		uint64_t idle_ms;
		bool is_answered;
	} cases[] = {
		{"", 0, SOON_MS, NEVER_MS, false},
		{"\0", 1, NEVER_MS, SOON_MS, false},
		{"\0\5", 2, NEVER_MS, SOON_MS, false},
		{"\0\5half", 6, NEVER_MS, SOON_MS, false},
		{"\0\5whole", 7, NEVER_MS, SOON_MS, true},
		{"\0\5whole\0", 8, NEVER_MS, SOON_MS, true},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listener_tcp_limits limits = patient_limits();
		uint64_t start_ms = now_ms();
		struct server server;
		int client;

		limits.first_octet_ms = cases[i].first_octet_ms;
		limits.idle_ms = cases[i].idle_ms;
		server_start(&server, &limits);
		client = client_new(&server);
		put(&server, client, cases[i].sent, cases[i].len);
		if (cases[i].is_answered)
			expect_reply(&server, client, "whole");
		expect_closed(&server, client);
		assert_true(now_ms() - start_ms >= SOON_MS - 1);
		assert_int_equal(stats_of(&server)->timed_out, 1);
		close(client);
		server_stop(&server);
	}
}

static void test_dripping_octets_gain_no_time(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	uint64_t end_ms;
	int client;
	(void)state;

	limits.idle_ms = 4 * SOON_MS;
	server_start(&server, &limits);
	client = client_new(&server);
	put(&server, client, "\x7f\xff", 2);
	await_connections(&server, 1);
	end_ms = now_ms() + PATIENCE_MS;
	while (stats_of(&server)->connections > 0 && now_ms() < end_ms) {
		send(client, "x", 1, MSG_NOSIGNAL);
		turns_within(&server, SOON_MS / 4);
	}
	assert_int_equal(stats_of(&server)->timed_out, 1);
	close(client);
	server_stop(&server);
}

static void test_each_query_gains_time(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	uint64_t start_ms = now_ms();
	struct server server;
	int client;
	(void)state;

	limits.idle_ms = 800;
	server_start(&server, &limits);
	client = client_new(&server);
	while (now_ms() - start_ms < 1200) {
		expect_answered(&server, client, "again");
		turns_within(&server, 80);
	}
	assert_int_equal(stats_of(&server)->timed_out, 0);
	close(client);
	server_stop(&server);
}

/* The process was stopped meanwhile, or the host had no time for it. */
static void test_query_that_lies_there_came_in_time(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	(void)state;

	limits.idle_ms = 2 * SOON_MS;
	server_start(&server, &limits);
	client = client_new(&server);
	expect_answered(&server, client, "first");
	ask(&server, client, "second");
	steady_clock_skip(6 * SOON_MS);
	expect_reply(&server, client, "second");
	/* And once more: each has its time. */
	ask(&server, client, "third");
	steady_clock_skip(6 * SOON_MS);
	expect_reply(&server, client, "third");
	expect_closed(&server, client);
	assert_int_equal(stats_of(&server)->timed_out, 1);
	close(client);
	server_stop(&server);
}

/* Readers. */

/* Sends queries until the kernel takes no more and the server has come to rest. */
static void ask_without_reading(struct server *server, int client, unsigned reply_len)
{
	uint8_t octets[4000];
	unsigned refusals = 0;

	for (size_t i = 0; i < sizeof(octets); i += 5) {
		const uint8_t one[] = {0, 3, 'L', (uint8_t)(reply_len >> 8), (uint8_t)reply_len};

		memcpy(octets + i, one, sizeof(one));
	}
	for (unsigned i = 0; i < 10000 && refusals < 3; i++) {
		/* Whole queries, or the stream would be out of step. */
		if (send(client, octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
			refusals++;
		settle(server);
	}
	assert_int_equal(refusals, 3);
}

static void test_reader_that_never_reads_is_paused_and_cut_off(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	(void)state;

	limits.idle_ms = 5 * SOON_MS;
	limits.write_queue_octets_max = 1000;
	server_start(&server, &limits);
	client = client_new(&server);
	ask_without_reading(&server, client, 30000);
	assert_in_range(turns_within(&server, SOON_MS), 1, 50);
	await_connections(&server, 0);
	/* What the kernel's buffers hold, and one queue; of tens of thousands sent. */
	assert_in_range(stats_of(&server)->queries, 1, 1000);
	assert_int_equal(stats_of(&server)->timed_out, 1);
	close(client);
	server_stop(&server);
}

/* One long write (two replies, gathered) is taken in parts, and that takes longer than idle_ms. */
static void test_reader_that_takes_some_now_and_then_stays(void **state)
{
	static uint8_t part[64000]; /* The kernel tells of room when a third of its buffer is. */
	struct listener_tcp_limits limits = patient_limits();
	const int little = 65536;
	struct server server;
	int client;
	(void)state;

	limits.idle_ms = 1500;
	server_start(&server, &limits);
	client = client_new(&server);
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	for (int i = 0; i < 12; i++)
		ask_for_octets(&server, client, 60000);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(&server, client, part, sizeof(part)), sizeof(part));
		turns_within(&server, 800);
	}
	assert_int_equal(stats_of(&server)->timed_out, 0);
	assert_int_equal(stats_of(&server)->connections, 1);
	close(client);
	server_stop(&server);
}

static void test_slow_reader_gets_everything(void **state)
{
	static const size_t queues[] = {0, 1, 1000, 200000};
	(void)state;

	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		struct listener_tcp_limits limits = patient_limits();
		struct server server;
		int client;

		limits.write_queue_octets_max = queues[i];
		server_start(&server, &limits);
		client = client_new(&server);
		for (unsigned n = 0; n < 300; n++)
			ask_for_octets(&server, client, 20000 + n);
		settle(&server);
		for (unsigned n = 0; n < 300; n++)
			expect_octets(&server, client, 20000 + n);
		expect_answered(&server, client, "still there");
		close(client);
		server_stop(&server);
	}
}

/* Numbers. */

static void test_64_connections_at_once(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int clients[64];
	(void)state;

	server_start(&server, &limits);
	for (int i = 0; i < 64; i++)
		clients[i] = client_new(&server);
	for (int i = 0; i < 64; i++)
		ask(&server, clients[i], "each");
	for (int i = 63; i >= 0; i--)
		expect_reply(&server, clients[i], "each");
	assert_int_equal(stats_of(&server)->connections, 64);
	assert_int_equal(stats_of(&server)->evicted, 0);
	for (int i = 0; i < 64; i++)
		close(clients[i]);
	await_connections(&server, 0);
	server_stop(&server);
}

static void test_flood_keeps_nobody_out(void **state)
{
	static const char *const floods[] = {NULL, "\0", "\0\5hello"};
	static const size_t lens[] = {0, 1, 7};
	(void)state;

	for (size_t kind = 0; kind < sizeof(floods) / sizeof(floods[0]); kind++) {
		struct listener_tcp_limits limits = patient_limits();
		struct server server;
		int flood[FLOOD];
		int regular;
		int late;

		limits.connections_max = 8;
		server_start(&server, &limits);
		regular = client_new(&server);
		expect_answered(&server, regular, "before");
		for (int i = 0; i < FLOOD; i++) {
			flood[i] = client_new(&server);
			put(&server, flood[i], floods[kind], lens[kind]);
			settle(&server);
			assert_in_range(stats_of(&server)->connections, 1, 8);
			/* Who asks now and then stays, whatever the others do. */
			if (i % 4 == 0)
				expect_answered(&server, regular, "meanwhile");
		}
		late = client_new(&server);
		expect_answered(&server, late, "late");
		expect_answered(&server, regular, "after");
		assert_int_equal(stats_of(&server)->accepted, FLOOD + 2);
		assert_int_equal(stats_of(&server)->evicted, FLOOD + 2 - 8);
		for (int i = 0; i < FLOOD; i++)
			close(flood[i]);
		close(regular);
		close(late);
		server_stop(&server);
	}
}

static void test_silent_flood_displaces_itself(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int flood[FLOOD];
	int regular;
	(void)state;

	limits.connections_max = 8;
	server_start(&server, &limits);
	regular = client_new(&server);
	expect_answered(&server, regular, "before");
	for (int i = 0; i < FLOOD; i++)
		flood[i] = client_new(&server);
	turns_within(&server, 1);
	await_connections(&server, 8);
	expect_answered(&server, regular, "after");
	for (int i = 0; i < FLOOD; i++)
		close(flood[i]);
	close(regular);
	server_stop(&server);
}

static void test_client_over_its_share_displaces_its_own(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int greedy[10];
	int other;
	(void)state;

	limits.connections_per_client_max = 4;
	server_start(&server, &limits);
	other = client_from(&server, "127.0.0.2");
	await_connections(&server, 1);
	for (int i = 0; i < 10; i++) {
		greedy[i] = client_from(&server, "127.0.0.3");
		expect_answered(&server, greedy[i], "more");
	}
	assert_int_equal(stats_of(&server)->connections, 5);
	assert_int_equal(stats_of(&server)->evicted, 6);
	/* Oldest of all and silent, but not of the client that has too many. */
	expect_answered(&server, other, "other");
	expect_closed(&server, greedy[0]);
	expect_closed(&server, greedy[5]);
	expect_answered(&server, greedy[6], "youngest four");
	for (int i = 0; i < 10; i++)
		close(greedy[i]);
	close(other);
	server_stop(&server);
}

/* Faults. */

static void test_no_descriptor_left_neither_spins_nor_ends_service(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct rlimit before;
	struct rlimit few;
	struct server server;
	int client;
	(void)state;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	server_start(&server, &limits);
	client = client_new(&server);
	few = before;
	few.rlim_cur = 3; /* Less than are open. */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	ask(&server, client, "patience");
	assert_in_range(turns_within(&server, 250), 1, 50);
	assert_int_equal(stats_of(&server)->accepted, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect_reply(&server, client, "patience");
	close(client);
	server_stop(&server);
}

static void test_last_descriptor_goes_to_the_newest(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct rlimit before;
	struct rlimit few;
	struct server server;
	int old;
	int young;
	int free_fd;
	(void)state;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	server_start(&server, &limits);
	old = client_new(&server);
	young = client_new(&server);
	close(young); /* Its number is the server's for `old`, the next above is the limit. */
	expect_answered(&server, old, "first");
	await_connections(&server, 1);
	young = client_new(&server);
	free_fd = fcntl(young, F_DUPFD_CLOEXEC, 0);
	close(free_fd);
	few = before;
	few.rlim_cur = (rlim_t)free_fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	expect_answered(&server, young, "second");
	assert_int_equal(stats_of(&server)->evicted, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect_closed(&server, old);
	close(old);
	close(young);
	server_stop(&server);
}

static void test_accept_error_does_not_end_service(void **state)
{
	static const int errors[] = {
		EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR, EPERM, EINVAL, EPROTO};
	(void)state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct listener_tcp_limits limits = patient_limits();
		struct server server;
		int client;

		server_start(&server, &limits);
		kernel.error = errors[i];
		kernel.errors = 2;
		client = client_new(&server);
		expect_answered(&server, client, "at last");
		assert_in_range(kernel.calls, 3, 4);
		close(client);
		server_stop(&server);
	}
}

static void test_reset_at_any_moment(void **state)
{
	static const struct {
		const char *sent;
		size_t len;
		bool is_accepted; /* Before the octets come. */
		bool is_read;     /* Before the reset. */
	} cases[] = {
		{"", 0, false, false},
		{"", 0, true, true},
		{"\0", 1, true, true},
		{"\0\x20half", 6, true, true},
		{"\0\x20half", 6, true, false},
		{"\0\5whole", 7, false, false},
		{"\0\5whole", 7, true, false},
		{"\0\5whole\0\5ha", 11, true, true},
		{"\0\3L\xff\xff\0\3L\xff\xff\0\3L\xff\xff\0\3L\xff\xff", 20, true, true},
	};
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int client;
	(void)state;

	server_start(&server, &limits);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		client = client_new(&server);
		if (cases[i].is_accepted)
			await_connections(&server, 1);
		put(&server, client, cases[i].sent, cases[i].len);
		if (cases[i].is_read)
			settle(&server);
		client_reset(client);
		settle(&server);
		await_connections(&server, 0);
		assert_in_range(turns_within(&server, 20), 1, 50);
	}
	assert_int_equal(stats_of(&server)->timed_out, 0);
	client = client_new(&server);
	expect_answered(&server, client, "next");
	close(client);
	server_stop(&server);
}

static void test_stop_closes_connections_in_every_state(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	struct server server;
	int clients[5];
	(void)state;

	listener_tcp_stop(NULL);
	server_start(&server, &limits);
	for (int i = 0; i < 5; i++)
		clients[i] = client_new(&server);
	await_connections(&server, 5);
	put(&server, clients[1], "\0\5ha", 4);
	expect_answered(&server, clients[2], "idle");
	ask_without_reading(&server, clients[3], 60000);
	for (int i = 0; i < 100; i++)
		ask_for_octets(&server, clients[4], 60000);
	shutdown(clients[4], SHUT_WR);
	settle(&server);
	assert_int_equal(stats_of(&server)->connections, 5);
	listener_tcp_stop(server.listener);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&server.loop), 0);
	for (int i = 0; i < 5; i++)
		close(clients[i]);
	assert_int_equal(count_fds(), server.fds_before);
}

static void test_stop_within_an_answer(void **state)
{
	struct listener_tcp_limits limits = patient_limits();
	/* All in one read; one begun in a read before. */
	for (size_t cut = 0; cut <= 3; cut += 3) {
		struct server server;
		int client;

		server_start(&server, &limits);
		client = client_new(&server);
		put(&server, client, "\0\3one\0\3two", cut);
		settle(&server);
		server.stops_in_answer = true;
		put(&server, client, &"\0\3one\0\3two"[cut], 10 - cut);
		uv_run(&server.loop, UV_RUN_DEFAULT); /* Ends, since nothing is left in it. */
		assert_int_equal(uv_loop_close(&server.loop), 0);
		close(client);
		assert_int_equal(count_fds(), server.fds_before);
	}
	(void)state;
}

static void test_failed_start_closes_the_descriptor(void **state)
{
	struct listener_tcp *listener = NULL;
	struct listener_ops ops = {.answer = echo};
	uv_loop_t loop;
	int fd;
	(void)state;

	assert_int_equal(uv_loop_init(&loop), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(
		listener_tcp_start(&loop, fd, &listener_tcp_limits_default, &ops, &listener),
		UV_ENOTSOCK);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		listener_tcp_start(&loop, fd, &listener_tcp_limits_default, &ops, &listener),
		UV_ENOTSUP);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(listener);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* What the project promises: first octet within 3 s, idle for 10 s at most. */
static void test_default_limits(void **state)
{
	const struct listener_tcp_limits *limits = &listener_tcp_limits_default;
	(void)state;

	assert_in_range(limits->first_octet_ms, 1, 3000);
	assert_in_range(limits->idle_ms, 1, 10000);
	assert_in_range(limits->connections_max, 64, 512);
	assert_true(limits->connections_per_client_max < limits->connections_max);
}

/* libuv opens its signal pipe with the first loop, and keeps it. */
static int warm_up(void **state)
{
	uv_loop_t loop;

	signal(SIGPIPE, SIG_IGN);
	return own_network(state) || uv_loop_init(&loop) || uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_are_found_however_they_are_cut),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_longest_message_both_ways),
		cmocka_unit_test(test_a_thousand_pipelined_queries),
		cmocka_unit_test(test_one_busy_client_does_not_keep_the_loop),
		cmocka_unit_test(test_no_dns_client_is_closed_after_what_came_before),
		cmocka_unit_test(test_half_closed_client_gets_all_its_answers),
		cmocka_unit_test(test_silent_client_is_closed),
		cmocka_unit_test(test_dripping_octets_gain_no_time),
		cmocka_unit_test(test_each_query_gains_time),
		cmocka_unit_test(test_query_that_lies_there_came_in_time),
		cmocka_unit_test(test_reader_that_never_reads_is_paused_and_cut_off),
		cmocka_unit_test(test_reader_that_takes_some_now_and_then_stays),
		cmocka_unit_test(test_slow_reader_gets_everything),
		cmocka_unit_test(test_64_connections_at_once),
		cmocka_unit_test(test_flood_keeps_nobody_out),
		cmocka_unit_test(test_silent_flood_displaces_itself),
		cmocka_unit_test(test_client_over_its_share_displaces_its_own),
		cmocka_unit_test(test_no_descriptor_left_neither_spins_nor_ends_service),
		cmocka_unit_test(test_last_descriptor_goes_to_the_newest),
		cmocka_unit_test(test_accept_error_does_not_end_service),
		cmocka_unit_test(test_reset_at_any_moment),
		cmocka_unit_test(test_stop_closes_connections_in_every_state),
		cmocka_unit_test(test_stop_within_an_answer),
		cmocka_unit_test(test_failed_start_closes_the_descriptor),
		cmocka_unit_test(test_default_limits),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
