#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/net/sockets.h"
#include "server/support/log.h"
#include "tests/support/own_network.h"

static struct conf_endpoint endpoint(const char *text, unsigned port)
{
	struct conf_endpoint out = {.port = (uint16_t)port};

	out.family = strchr(text, ':') ? 6 : 4;
	assert_int_equal(inet_pton(out.family == 4 ? AF_INET : AF_INET6, text, out.octets), 1);
	return out;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Binds to a port of the kernel's choice and returns it. */
static int busy_socket(int type, const char *address, uint16_t *out_port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type, 0);

	inet_pton(AF_INET, address, &sin.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*out_port = ntohs(sin.sin_port);
	return fd;
}

/* Runs sockets_open() with standard error in a buffer. */
static int open_captured(
	const struct conf_endpoint *listen, size_t count, struct sockets *out, char text[8192])
{
	int saved = dup(STDERR_FILENO);
	int ends[2];
	ssize_t len;
	int rc;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	rc = sockets_open(listen, count, out);
	dup2(saved, STDERR_FILENO);
	len = read(ends[0], text, 8191);
	text[len < 0 ? 0 : len] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static void test_each_endpoint_is_bound_for_udp_and_tcp(void **state)
{
	struct conf_endpoint listen[] = {endpoint("127.0.0.1", 0), endpoint("::1", 0)};
	struct sockets sockets;

	(void)state;
	assert_int_equal(sockets_open(listen, 2, &sockets), 0);
	assert_int_equal(sockets.count, 4);
	assert_false(sockets.is_inherited);
	for (size_t i = 0; i < 4; i++) {
		const struct sockets_socket *socket = &sockets.sockets[i];

		assert_int_equal(socket->is_tcp, i % 2);
		assert_int_equal(socket->endpoint.family, i < 2 ? 4 : 6);
		assert_int_not_equal(socket->endpoint.port, 0);
		assert_int_equal(option(socket->fd, SOL_SOCKET, SO_TYPE),
			socket->is_tcp ? SOCK_STREAM : SOCK_DGRAM);
		assert_int_equal(option(socket->fd, SOL_SOCKET, SO_ACCEPTCONN), socket->is_tcp);
		assert_int_equal(option(socket->fd, SOL_SOCKET, SO_REUSEADDR), socket->is_tcp);
		assert_int_equal(option(socket->fd, SOL_SOCKET, SO_REUSEPORT), 0);
		if (i >= 2)
			assert_int_equal(option(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
		assert_true(fcntl(socket->fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(socket->fd, F_GETFL) & O_NONBLOCK);
	}
	sockets_done(&sockets);
}

static void test_taken_socket_outlives_the_set(void **state)
{
	struct conf_endpoint listen = endpoint("127.0.0.1", 0);
	struct sockets sockets;
	int taken;
	int left;

	(void)state;
	assert_int_equal(sockets_open(&listen, 1, &sockets), 0);
	taken = sockets_take(&sockets.sockets[0]);
	left = sockets.sockets[1].fd;
	sockets_done(&sockets);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	assert_int_equal(fcntl(left, F_GETFD), -1);
	close(taken);
}

static void test_busy_port_names_its_holder_and_the_mend(void **state)
{
	static const struct {
		int type;
		const char *holder; /* Where the port is taken. */
		const char *ours;
		const char *expected;
	} cases[] = {
		{SOCK_DGRAM, "127.0.0.1", "127.0.0.1", "(UDP)"},
		{SOCK_DGRAM, "0.0.0.0", "127.0.0.1", "(UDP)"},
		{SOCK_STREAM, "127.0.0.1", "127.0.0.1", "(TCP)"},
		{SOCK_STREAM, "127.0.0.1", "0.0.0.0", "(TCP)"},
	};

	(void)state;
	prctl(PR_SET_NAME, "busyholder");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockets untouched = {.count = 77};
		struct conf_endpoint listen;
		char text[8192];
		char holder[64];
		uint16_t port;
		int busy = busy_socket(cases[i].type, cases[i].holder, &port);

		listen = endpoint(cases[i].ours, port);
		assert_int_equal(open_captured(&listen, 1, &untouched, text), -1);
		assert_int_equal(untouched.count, 77);
		snprintf(
			holder, sizeof(holder), "held by 'busyholder' (process %d)", (int)getpid());
		assert_non_null(strstr(text, cases[i].expected));
		assert_non_null(strstr(text, holder));
		assert_non_null(strstr(text, "[server] listen = 127.0.0.57"));
		close(busy);
	}
}

static void test_dual_stack_holder_is_found(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(any);
	int busy = socket(AF_INET6, SOCK_DGRAM, 0);
	struct conf_endpoint listen;
	struct sockets sockets;
	char text[8192];

	(void)state;
	assert_int_equal(bind(busy, (struct sockaddr *)&any, len), 0);
	assert_int_equal(getsockname(busy, (struct sockaddr *)&any, &len), 0);
	listen = endpoint("127.0.0.1", ntohs(any.sin6_port));
	assert_int_equal(open_captured(&listen, 1, &sockets, text), -1);
	assert_non_null(strstr(text, "held by"));
	close(busy);
}

static void test_address_of_no_interface_is_explained(void **state)
{
	struct conf_endpoint listen = endpoint("192.0.2.1", 5353); /* RFC 5737: documentation. */
	struct sockets sockets;
	char text[8192];

	(void)state;
	assert_int_equal(open_captured(&listen, 1, &sockets, text), -1);
	assert_non_null(strstr(text, "192.0.2.1:5353"));
	assert_non_null(strstr(text, "no interface of this host has that address"));
}

/* In a child without any capability: a low port is refused. */
static void test_low_port_without_privilege_is_explained(void **state)
{
	struct conf_endpoint listen = endpoint("127.0.0.1", 1);
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct sockets sockets;
		char text[8192];

		if (getuid() == 0 &&
			(setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
			_exit(2);
		if (open_captured(&listen, 1, &sockets, text) != -1)
			_exit(3);
		if (!strstr(text, "CAP_NET_BIND_SERVICE") || !strstr(text, "127.0.0.56:5353"))
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_one_bad_endpoint_closes_the_good_ones(void **state)
{
	struct conf_endpoint listen[] = {endpoint("127.0.0.1", 0), endpoint("192.0.2.1", 5353)};
	int probe = dup(STDERR_FILENO);
	struct sockets sockets;
	char text[8192];

	(void)state;
	close(probe);
	assert_int_equal(open_captured(listen, 2, &sockets, text), -1);
	assert_int_equal(dup(STDERR_FILENO), probe); /* No descriptor leaked. */
	close(probe);
}

/* Runs `check` in a child whose descriptors from 3 on are the given ones. */
static void with_inherited(
	const int *fds, int count, const char *names, const char *pid, int (*check)(const char *))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		char text[32];

		/* Out of the way of the numbers from 3 on. */
		for (int i = 0; i < count; i++)
			dup2(fds[i], 100 + i);
		for (int i = 0; i < count; i++)
			dup2(100 + i, 3 + i);
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("LISTEN_PID", pid ? pid : text, 1);
		snprintf(text, sizeof(text), "%d", count);
		setenv("LISTEN_FDS", text, 1);
		if (names)
			setenv("LISTEN_FDNAMES", names, 1);
		_exit(check(names));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int check_sorted(const char *names)
{
	struct conf_endpoint unused = endpoint("192.0.2.1", 53);
	struct sockets sockets;

	(void)names;
	if (sockets_open(&unused, 1, &sockets) != 0)
		return 1;
	if (!sockets.is_inherited || sockets.count != 2)
		return 2;
	if (sockets.sockets[0].is_tcp || sockets.sockets[0].fd != 3)
		return 3;
	if (!sockets.sockets[1].is_tcp || sockets.sockets[1].fd != 4)
		return 4;
	if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFL) & O_NONBLOCK))
		return 5;
	if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
		return 6;
	if (sockets.sockets[0].endpoint.port == 0 || sockets.sockets[0].endpoint.octets[0] != 127)
		return 7;
	sockets_done(&sockets);
	return 0;
}

static void test_inherited_sockets_are_sorted(void **state)
{
	uint16_t port;
	int fds[2] = {busy_socket(SOCK_DGRAM, "127.0.0.1", &port),
		busy_socket(SOCK_STREAM, "127.0.0.1", &port)};

	(void)state;
	with_inherited(fds, 2, "udp:tcp", NULL, check_sorted);
	with_inherited(fds, 2, NULL, NULL, check_sorted);
	with_inherited(fds, 2, "only-one", NULL, check_sorted);
	close(fds[0]);
	close(fds[1]);
}

static int check_refused(const char *names)
{
	static const char *const expected[] = {
		"descriptor 3 ('unix') from the service manager: it is neither an IPv4 nor",
		"descriptor 4 ('p\\010ipe') from the service manager: it is no socket",
		"descriptor 5 ('idle') from the service manager: it is a TCP socket that does not",
		"descriptor 6 ('unbound') from the service manager: it is not bound",
	};
	struct sockets sockets;
	char text[8192];

	(void)names;
	if (open_captured(NULL, 0, &sockets, text) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (!strstr(text, expected[i]))
			return 2 + (int)i;
	}
	if (sockets.count != 1 || sockets.sockets[0].fd != 7)
		return 10;
	for (int fd = 3; fd < 7; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			return 20 + fd;
	}
	return 0;
}

static void test_unfit_inherited_descriptors_cost_only_themselves(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	int ends[2];
	uint16_t port;
	int fds[5];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	fds[1] = ends[0];
	fds[2] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fds[2], (struct sockaddr *)&sin, sizeof(sin)), 0);
	fds[3] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[4] = busy_socket(SOCK_DGRAM, "127.0.0.1", &port);
	with_inherited(fds, 5, "unix:p\nipe:idle:unbound:good", NULL, check_refused);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	close(ends[1]);
}

static int check_nothing_useful(const char *names)
{
	struct sockets sockets;
	char text[8192];

	(void)names;
	if (open_captured(NULL, 0, &sockets, text) != -1)
		return 1;
	return strstr(text, "ListenDatagram=") ? 0 : 2;
}

static void test_only_unfit_descriptors_are_an_error(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	with_inherited(ends, 2, NULL, NULL, check_nothing_useful);
	close(ends[0]);
	close(ends[1]);
}

static int check_ignored(const char *names)
{
	struct conf_endpoint listen = endpoint("127.0.0.1", 0);
	struct sockets sockets;

	(void)names;
	if (sockets_open(&listen, 1, &sockets) != 0 || sockets.is_inherited)
		return 1;
	/* Somebody else's descriptor stays as it is. */
	if (fcntl(3, F_GETFD) != 0 || getenv("LISTEN_PID") || getenv("LISTEN_FDS"))
		return 2;
	return 0;
}

static void test_descriptors_for_another_process_are_left_alone(void **state)
{
	static const char *const pids[] = {"1", "", "x", "12x", "-1"};
	uint16_t port;
	int fd = busy_socket(SOCK_DGRAM, "127.0.0.1", &port);

	(void)state;
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
		with_inherited(&fd, 1, "x", pids[i], check_ignored);
	close(fd);
}

static void test_endpoints_as_text(void **state)
{
	struct conf_endpoint scoped = endpoint("fe80::1", 53);
	char text[SOCKETS_TEXT_SIZE];
	struct conf_endpoint v4 = endpoint("127.0.0.56", 53);
	struct conf_endpoint v6 = endpoint("::1", 5353);

	(void)state;
	scoped.scope_id = 4294967295u;
	assert_string_equal(sockets_endpoint_format(&v4, text), "127.0.0.56:53");
	assert_string_equal(sockets_endpoint_format(&v6, text), "[::1]:5353");
	assert_string_equal(sockets_endpoint_format(&scoped, text), "[fe80::1%4294967295]:53");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_endpoint_is_bound_for_udp_and_tcp),
		cmocka_unit_test(test_taken_socket_outlives_the_set),
		cmocka_unit_test(test_busy_port_names_its_holder_and_the_mend),
		cmocka_unit_test(test_dual_stack_holder_is_found),
		cmocka_unit_test(test_address_of_no_interface_is_explained),
		cmocka_unit_test(test_low_port_without_privilege_is_explained),
		cmocka_unit_test(test_one_bad_endpoint_closes_the_good_ones),
		cmocka_unit_test(test_inherited_sockets_are_sorted),
		cmocka_unit_test(test_unfit_inherited_descriptors_cost_only_themselves),
		cmocka_unit_test(test_only_unfit_descriptors_are_an_error),
		cmocka_unit_test(test_descriptors_for_another_process_are_left_alone),
		cmocka_unit_test(test_endpoints_as_text),
	};

	log_start(LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
