#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/net/port_holder.h"
#include "tests/support/own_network.h"

static struct conf_endpoint endpoint(const char *text, uint16_t port)
{
	struct conf_endpoint out = {.port = port, .family = strchr(text, ':') ? 6 : 4};

	assert_int_equal(inet_pton(out.family == 4 ? AF_INET : AF_INET6, text, out.octets), 1);
	return out;
}

/* Binds a socket of this process to a port of the kernel's choice. */
static int hold(const char *text, bool is_tcp, bool is_v6_only, uint16_t *out_port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	bool is_v6 = strchr(text, ':') != NULL;
	struct sockaddr *address = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = is_v6 ? sizeof(v6) : sizeof(v4);
	int fd = socket(address->sa_family, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	int only = is_v6_only;

	inet_pton(address->sa_family, text, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
	if (is_v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	assert_int_equal(bind(fd, address, len), 0);
	if (is_tcp)
		assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, address, &len), 0);
	*out_port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

static void test_holder_is_named(void **state)
{
	static const struct {
		const char *held;
		const char *wanted;
		bool is_v6_only;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", false},
		{"0.0.0.0", "127.0.0.56", false},
		{"127.0.0.1", "0.0.0.0", false},
		{"::1", "::1", false},
		{"::", "::1", true},
		{"::1", "::", false},
		{"::", "127.0.0.56", false},
		{"::ffff:127.0.0.1", "127.0.0.1", false},
	};
	char expected[PORT_HOLDER_TEXT_SIZE];

	(void)state;
	prctl(PR_SET_NAME, "fifteen-letters");
	snprintf(expected, sizeof(expected), "'fifteen-letters' (process %d)", (int)getpid());
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_tcp = i % 2;
		char text[PORT_HOLDER_TEXT_SIZE];
		struct conf_endpoint wanted;
		uint16_t port;
		int fd = hold(cases[i / 2].held, is_tcp, cases[i / 2].is_v6_only, &port);

		wanted = endpoint(cases[i / 2].wanted, port);
		port_holder_format(&wanted, is_tcp, text);
		assert_string_equal(text, expected);
		/* The other transport has the port free. */
		port_holder_format(&wanted, !is_tcp, text);
		assert_string_equal(text, "");
		close(fd);
		port_holder_format(&wanted, is_tcp, text);
		assert_string_equal(text, "");
	}
}

static void test_another_address_is_nobodys_fault(void **state)
{
	char text[PORT_HOLDER_TEXT_SIZE];
	struct conf_endpoint wanted;
	uint16_t port;
	int fd = hold("127.0.0.1", false, false, &port);

	(void)state;
	wanted = endpoint("127.0.0.2", port);
	port_holder_format(&wanted, false, text);
	assert_string_equal(text, "");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holder_is_named),
		cmocka_unit_test(test_another_address_is_nobodys_fault),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
