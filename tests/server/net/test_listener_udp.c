#include "server/net/listener_udp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/own_network.h"

/* Never waited for by a test that passes. */
#define PATIENCE_MS 60000

#define BATCHES_PER_WAKE 4u

/* What the kernel is made to say, by the two functions below, which come before libc's. */
static struct {
	int send_errno;       /* For the message number `send_at` of all messages, 0 = none. */
	unsigned send_at;     /* Counts from 0. */
	unsigned send_errors; /* This many messages in a row. */
	unsigned send_seen;
	unsigned send_calls;
	int receive_errno; /* For the next `receive_errors` calls. */
	unsigned receive_errors;
	unsigned receive_calls;
	bool from_port_0;
} kernel;

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned good = count;
	int sent;

	kernel.send_calls++;
	if (kernel.send_errors > 0 && kernel.send_seen + count > kernel.send_at) {
		if (kernel.send_seen >= kernel.send_at) {
			kernel.send_errors--;
			/* EINTR is about the call, others about the message. */
			if (kernel.send_errno != EINTR) {
				kernel.send_seen++;
				kernel.send_at++;
			}
			errno = kernel.send_errno;
			return -1;
		}
		good = kernel.send_at - kernel.send_seen;
	}
	sent = (int)syscall(SYS_sendmmsg, fd, messages, good, flags);
	kernel.send_seen += sent > 0 ? (unsigned)sent : 0;
	return sent;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	int received;

	kernel.receive_calls++;
	if (kernel.receive_errors > 0) {
		kernel.receive_errors--;
		errno = kernel.receive_errno;
		return -1;
	}
	received = (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
	for (int i = 0; kernel.from_port_0 && i < received; i++)
		((struct sockaddr_in *)messages[i].msg_hdr.msg_name)->sin_port = 0;
	return received;
}

union socket_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct server {
	uv_loop_t loop;
	struct listener_ops ops;
	struct listener_udp *listener;
	in_port_t port_be;
	unsigned fds_before;
	size_t longest_query;
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

static socklen_t parse_address(
	const char *text, in_port_t port_be, union socket_address *out_address)
{
	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET, text, &out_address->v4.sin_addr) == 1) {
		out_address->v4.sin_family = AF_INET;
		out_address->v4.sin_port = port_be;
		return sizeof(out_address->v4);
	}
	memset(out_address, 0, sizeof(*out_address));
	assert_int_equal(inet_pton(AF_INET6, text, &out_address->v6.sin6_addr), 1);
	out_address->v6.sin6_family = AF_INET6;
	out_address->v6.sin6_port = port_be;
	return sizeof(out_address->v6);
}

/* 'D' and nothing: drop. 'F': forward. Else the query itself, behind an 'R'. */
static enum answer_verdict echo(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	struct server *server = ctx;
	size_t len = query.len < reply_cap ? query.len : reply_cap - 1;

	(void)peer;
	assert_false(is_tcp);
	assert_int_equal(reply_cap, ANSWER_UDP_OCTETS_MAX);
	if (server->stops_in_answer)
		listener_udp_stop(server->listener);
	if (query.len > server->longest_query)
		server->longest_query = query.len;
	if (query.len == 0 || query.ptr[0] == 'D')
		return ANSWER_DROP;
	if (query.ptr[0] == 'F')
		return ANSWER_FORWARD;
	reply[0] = 'R';
	memcpy(reply + 1, query.ptr, len);
	*out_reply_len = 1 + len;
	return ANSWER_REPLY;
}

static int bound_socket(const char *text, bool takes_v4, in_port_t *out_port_be)
{
	union socket_address address;
	socklen_t len = parse_address(text, 0, &address);
	int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int only_v6 = !takes_v4;

	assert_true(fd >= 0);
	if (address.any.sa_family == AF_INET6)
		assert_int_equal(
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6)), 0);
	assert_int_equal(bind(fd, &address.any, len), 0);
	assert_int_equal(getsockname(fd, &address.any, &len), 0);
	*out_port_be =
		address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
	return fd;
}

static void server_start_on(struct server *server, int fd)
{
	server->ops = (struct listener_ops){.answer = echo, .ctx = server};
	assert_int_equal(uv_loop_init(&server->loop), 0);
	assert_int_equal(listener_udp_start(&server->loop, fd, &server->ops, &server->listener), 0);
	memset(&kernel, 0, sizeof(kernel));
}

static void server_start(struct server *server, const char *address)
{
	memset(server, 0, sizeof(*server));
	server->fds_before = count_fds();
	server_start_on(server, bound_socket(address, true, &server->port_be));
}

/* Nothing may be left: no handle, no descriptor. (Memory: the address sanitizer.) */
static void server_stop(struct server *server)
{
	listener_udp_stop(server->listener);
	listener_udp_stop(server->listener);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&server->loop), 0);
	assert_int_equal(count_fds(), server->fds_before);
}

/* A connected socket: it takes replies from the address that it asked, and from no other. */
static int client_new(const char *text, in_port_t port_be)
{
	union socket_address address;
	socklen_t len = parse_address(text, port_be, &address);
	int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address.any, len), 0);
	return fd;
}

static void ask(int client, const void *query, size_t len)
{
	assert_int_equal(send(client, query, len, 0), len);
}

/* Runs the loop until the client has a datagram. */
static ssize_t await(struct server *server, int client, uint8_t *reply, size_t cap)
{
	uint64_t end_ms = uv_hrtime() / 1000000 + PATIENCE_MS;

	while (uv_hrtime() / 1000000 < end_ms) {
		struct pollfd ready[2] = {
			{.fd = client, .events = POLLIN},
			{.fd = uv_backend_fd(&server->loop), .events = POLLIN},
		};
		ssize_t len;

		uv_run(&server->loop, UV_RUN_NOWAIT);
		len = recv(client, reply, cap, 0);
		if (len >= 0)
			return len;
		poll(ready, 2, 100);
	}
	return -1;
}

static void expect_reply(struct server *server, int client, const char *query)
{
	uint8_t reply[ANSWER_UDP_OCTETS_MAX];
	ssize_t len = await(server, client, reply, sizeof(reply));

	assert_int_equal(len, 1 + strlen(query));
	assert_int_equal(reply[0], 'R');
	assert_memory_equal(reply + 1, query, strlen(query));
}

static void expect_answered(struct server *server, int client, const char *query)
{
	ask(client, query, strlen(query));
	expect_reply(server, client, query);
}

static void test_reply_leaves_from_the_address_that_was_asked(void **state)
{
	static const struct {
		const char *bound;
		const char *asked;
	} cases[] = {
		{"127.0.0.56", "127.0.0.56"}, {"0.0.0.0", "127.0.0.1"}, {"0.0.0.0", "127.0.0.7"},
		{"::1", "::1"}, {"::", "::1"},
		{"::", "127.0.0.7"}, /* A socket for both families: an IPv4-mapped address. */
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server;
		int client;

		server_start(&server, cases[i].bound);
		client = client_new(cases[i].asked, server.port_be);
		expect_answered(&server, client, "first");
		expect_answered(&server, client, "second");
		assert_int_equal(listener_udp_stats(server.listener)->replies, 2);
		assert_int_equal(listener_udp_stats(server.listener)->send_lost, 0);
		close(client);
		server_stop(&server);
	}
}

/* As <linux/ipv6.h> has it, which does not go together with <netinet/in.h>. */
struct in6_request {
	struct in6_addr address;
	uint32_t prefix_len;
	int ifindex;
};

/* A network of its own, where the loopback interface has a link-local address. */
static bool network_with_link_local(void)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct in6_request request = {.prefix_len = 64};
	int control;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(control, SIOCSIFFLAGS, &up), 0);
	request.ifindex = (int)if_nametoindex("lo");
	inet_pton(AF_INET6, "fe80::7", &request.address);
	assert_int_equal(ioctl(control, SIOCSIFADDR, &request), 0);
	close(control);
	return true;
}

/* From a client that is on the link itself, and from one whose address tells no link: to that the
 * listener must remember it. */
static int ask_link_local(void)
{
	static const char *const sources[] = {"fe80::7", "::1"};
	struct server server;

	if (!network_with_link_local())
		return 2;
	server_start(&server, "::");
	for (size_t i = 0; i < 2; i++) {
		int client = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		union socket_address address;
		socklen_t len = parse_address(sources[i], 0, &address);
		uint8_t reply[16];

		address.v6.sin6_scope_id = i == 0 ? if_nametoindex("lo") : 0;
		/* An address may be tentative for a moment after it was added. */
		for (int tries = 0; bind(client, &address.any, len) < 0 && tries < 100; tries++)
			usleep(20000);
		parse_address("fe80::7", server.port_be, &address);
		address.v6.sin6_scope_id = if_nametoindex("lo");
		assert_int_equal(connect(client, &address.any, len), 0);
		ask(client, "link", 4);
		if (await(&server, client, reply, sizeof(reply)) != 5)
			return 1;
	}
	return 0;
}

static void test_link_local_address_replies_on_its_link(void **state)
{
	int status = 0;
	pid_t child = fork();
	(void)state;

	if (child == 0)
		_exit(ask_link_local());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip(); /* Neither root nor user namespaces. */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_what_is_no_query_gets_no_reply(void **state)
{
	struct server server;
	int client;
	(void)state;

	server_start(&server, "127.0.0.1");
	client = client_new("127.0.0.1", server.port_be);
	ask(client, "", 0);
	ask(client, "Drop", 4);
	ask(client, "Forward", 7);
	/* Comes first, so the three before were not answered. */
	expect_answered(&server, client, "query");
	assert_int_equal(listener_udp_stats(server.listener)->queries, 4);
	assert_int_equal(listener_udp_stats(server.listener)->dropped, 3);
	assert_int_equal(listener_udp_stats(server.listener)->replies, 1);
	close(client);
	server_stop(&server);
}

static void test_too_long_a_query_is_dropped_unread(void **state)
{
	static uint8_t query[LISTENER_UDP_QUERY_OCTETS_MAX + 1];
	uint8_t reply[ANSWER_UDP_OCTETS_MAX + 1];
	struct server server;
	int client;
	(void)state;

	memset(query, 'q', sizeof(query));
	server_start(&server, "127.0.0.1");
	client = client_new("127.0.0.1", server.port_be);
	ask(client, query, sizeof(query));
	expect_answered(&server, client, "short");
	assert_int_equal(listener_udp_stats(server.listener)->dropped, 1);
	assert_int_equal(server.longest_query, strlen("short"));
	ask(client, query, sizeof(query) - 1);
	assert_int_equal(await(&server, client, reply, sizeof(reply)), ANSWER_UDP_OCTETS_MAX);
	assert_int_equal(server.longest_query, LISTENER_UDP_QUERY_OCTETS_MAX);
	close(client);
	server_stop(&server);
}

static void test_source_port_0_is_dropped(void **state)
{
	struct server server;
	int client;
	(void)state;

	server_start(&server, "127.0.0.1");
	client = client_new("127.0.0.1", server.port_be);
	kernel.from_port_0 = true;
	ask(client, "nobody", 6);
	while (listener_udp_stats(server.listener)->queries == 0)
		uv_run(&server.loop, UV_RUN_ONCE);
	assert_int_equal(listener_udp_stats(server.listener)->dropped, 1);
	assert_int_equal(kernel.send_calls, 0);
	assert_int_equal(server.longest_query, 0);
	kernel.from_port_0 = false;
	expect_answered(&server, client, "somebody");
	close(client);
	server_stop(&server);
}

static void ask_many(int client, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char query[24];

		snprintf(query, sizeof(query), "query %u", i);
		ask(client, query, strlen(query));
	}
}

static void expect_many(struct server *server, int client, unsigned count, unsigned without_from,
	unsigned without_count)
{
	for (unsigned i = 0; i < count; i++) {
		char query[24];

		if (i >= without_from && i < without_from + without_count)
			continue;
		snprintf(query, sizeof(query), "query %u", i);
		expect_reply(server, client, query);
	}
}

static void test_more_than_a_batch_is_answered_in_order(void **state)
{
	const unsigned count = 3 * LISTENER_UDP_BATCH + 5;
	struct server server;
	int client;
	(void)state;

	server_start(&server, "0.0.0.0");
	client = client_new("127.0.0.9", server.port_be);
	ask_many(client, count);
	expect_many(&server, client, count, 0, 0);
	assert_int_equal(kernel.receive_calls, 4);
	assert_int_equal(listener_udp_stats(server.listener)->replies, count);
	close(client);
	server_stop(&server);
}

static void test_full_socket_does_not_keep_the_loop(void **state)
{
	const unsigned per_wake = BATCHES_PER_WAKE * LISTENER_UDP_BATCH;
	struct server server;
	int client;
	(void)state;

	server_start(&server, "127.0.0.1");
	client = client_new("127.0.0.1", server.port_be);
	ask_many(client, per_wake + 10);
	uv_run(&server.loop, UV_RUN_NOWAIT);
	assert_int_equal(listener_udp_stats(server.listener)->queries, per_wake);
	uv_run(&server.loop, UV_RUN_NOWAIT);
	assert_int_equal(listener_udp_stats(server.listener)->queries, per_wake + 10);
	close(client);
	server_stop(&server);
}

static void test_send_error_costs_only_its_reply(void **state)
{
	static const struct {
		int error;
		unsigned at;
		unsigned errors;
		unsigned lost;
	} cases[] = {
		{EAGAIN, 0, 1, 1},
		{EAGAIN, 0, 20, 20}, /* All of them: no spin either. */
		{ENOBUFS, 7, 1, 1},
		{ENOBUFS, 7, 3, 3},
		{ECONNREFUSED, 19, 1, 1},
		{EPERM, 10, 1, 1},
		{EMSGSIZE, 0, 2, 2},
		{EHOSTUNREACH, 18, 2, 2},
		{EINVAL, 5, 1, 1},
		{EINTR, 5, 3, 0},
	};
	const unsigned count = 20;
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server;
		int client;

		server_start(&server, "127.0.0.1");
		client = client_new("127.0.0.1", server.port_be);
		kernel.send_errno = cases[i].error;
		kernel.send_at = cases[i].at;
		kernel.send_errors = cases[i].errors;
		ask_many(client, count);
		expect_many(&server, client, count, cases[i].at, cases[i].lost);
		while (listener_udp_stats(server.listener)->queries < count)
			uv_run(&server.loop, UV_RUN_ONCE);
		assert_int_equal(kernel.send_errors, 0);
		assert_in_range(kernel.send_calls, 1, cases[i].errors + 2);
		assert_int_equal(listener_udp_stats(server.listener)->send_lost, cases[i].lost);
		assert_int_equal(
			listener_udp_stats(server.listener)->replies, count - cases[i].lost);
		expect_answered(&server, client, "afterwards");
		close(client);
		server_stop(&server);
	}
}

static void test_receive_error_is_survived(void **state)
{
	static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, EINTR, ENOMEM, ENOBUFS};
	(void)state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct server server;
		int client;

		server_start(&server, "127.0.0.1");
		client = client_new("127.0.0.1", server.port_be);
		kernel.receive_errno = errors[i];
		kernel.receive_errors = BATCHES_PER_WAKE + 2; /* Outlasts one wake. */
		expect_answered(&server, client, "query");
		assert_int_equal(kernel.receive_calls, BATCHES_PER_WAKE + 2 + 1);
		close(client);
		server_stop(&server);
	}
}

/* A connected socket is the one that the kernel tells of ICMP messages; then libuv stops its poll
 * handle. */
static void test_icmp_error_does_not_end_the_listener(void **state)
{
	union socket_address address;
	struct server server = {0};
	in_port_t client_port_be;
	int client;
	int fd;
	socklen_t len;
	(void)state;

	server.fds_before = count_fds();
	fd = bound_socket("127.0.0.1", false, &server.port_be);
	client = bound_socket("127.0.0.1", false, &client_port_be);
	len = parse_address("127.0.0.1", client_port_be, &address);
	assert_int_equal(connect(fd, &address.any, len), 0);
	server_start_on(&server, fd);
	len = parse_address("127.0.0.1", server.port_be, &address);
	assert_int_equal(sendto(client, "gone", 4, 0, &address.any, len), 4);
	close(client);
	while (listener_udp_stats(server.listener)->queries == 0)
		uv_run(&server.loop, UV_RUN_ONCE);
	/* The reply met a closed port. The error is delivered and polling goes on. */
	uv_run(&server.loop, UV_RUN_NOWAIT);
	uv_run(&server.loop, UV_RUN_NOWAIT);

	client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	len = parse_address("127.0.0.1", client_port_be, &address);
	assert_int_equal(bind(client, &address.any, len), 0);
	len = parse_address("127.0.0.1", server.port_be, &address);
	assert_int_equal(connect(client, &address.any, len), 0);
	expect_answered(&server, client, "back");
	close(client);
	server_stop(&server);
}

static int option_of(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void test_socket_is_prepared(void **state)
{
	struct server server = {0};
	int fresh = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fresh_octets = option_of(fresh, SOL_SOCKET, SO_RCVBUF);
	const int on = 1;
	int fd;
	(void)state;

	close(fresh);
	server.fds_before = count_fds();
	fd = bound_socket("127.0.0.1", false, &server.port_be);
	setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	server_start_on(&server, fd);
	assert_int_equal(option_of(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_OMIT);
	assert_int_equal(option_of(fd, IPPROTO_IP, IP_RECVERR), 0);
	assert_true(option_of(fd, SOL_SOCKET, SO_RCVBUF) > fresh_octets);
	server_stop(&server);

	server.fds_before = count_fds();
	fd = bound_socket("::", false, &server.port_be);
	server_start_on(&server, fd);
	assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_OMIT);
	assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	server_stop(&server);
}

static void test_failed_start_closes_the_descriptor(void **state)
{
	struct listener_udp *listener = NULL;
	struct listener_ops ops = {.answer = echo};
	uv_loop_t loop;
	int fd;
	(void)state;

	assert_int_equal(uv_loop_init(&loop), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(listener_udp_start(&loop, fd, &ops, &listener), UV_ENOTSOCK);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listener_udp_start(&loop, fd, &ops, &listener), UV_EAFNOSUPPORT);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(listener);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_stop_within_an_answer(void **state)
{
	struct server server;
	int client;
	(void)state;

	listener_udp_stop(NULL);
	server_start(&server, "127.0.0.1");
	client = client_new("127.0.0.1", server.port_be);
	server.stops_in_answer = true;
	ask_many(client, 2 * LISTENER_UDP_BATCH);
	uv_run(&server.loop, UV_RUN_DEFAULT); /* Ends, since nothing is left in the loop. */
	assert_int_equal(kernel.receive_calls, 1);
	assert_int_equal(uv_loop_close(&server.loop), 0);
	close(client);
	assert_int_equal(count_fds(), server.fds_before);
}

/* libuv opens its signal pipe with the first loop, and keeps it. */
static int warm_up(void **state)
{
	uv_loop_t loop;

	return own_network(state) || uv_loop_init(&loop) || uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply_leaves_from_the_address_that_was_asked),
		cmocka_unit_test(test_link_local_address_replies_on_its_link),
		cmocka_unit_test(test_what_is_no_query_gets_no_reply),
		cmocka_unit_test(test_too_long_a_query_is_dropped_unread),
		cmocka_unit_test(test_source_port_0_is_dropped),
		cmocka_unit_test(test_more_than_a_batch_is_answered_in_order),
		cmocka_unit_test(test_full_socket_does_not_keep_the_loop),
		cmocka_unit_test(test_send_error_costs_only_its_reply),
		cmocka_unit_test(test_receive_error_is_survived),
		cmocka_unit_test(test_icmp_error_does_not_end_the_listener),
		cmocka_unit_test(test_socket_is_prepared),
		cmocka_unit_test(test_failed_start_closes_the_descriptor),
		cmocka_unit_test(test_stop_within_an_answer),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
