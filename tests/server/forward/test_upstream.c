#include "server/forward/upstream.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct conf_endpoint endpoint(const char *text, uint16_t port)
{
	struct conf_endpoint made = {.family = 4, .port = port};

	if (inet_pton(AF_INET, text, made.octets) != 1) {
		made.family = 6;
		assert_int_equal(inet_pton(AF_INET6, text, made.octets), 1);
	}
	return made;
}

static struct upstream_list *list_of(size_t count)
{
	struct conf_endpoint endpoints[UPSTREAM_SERVERS_MAX];
	struct upstream_list *list;

	for (size_t i = 0; i < count; i++)
		endpoints[i] = endpoint("192.0.2.1", (uint16_t)(i + 1));
	list = upstream_list_new(endpoints, count, NULL, 7);
	assert_non_null(list);
	return list;
}

static void expect_order(struct upstream_list *list, const char *expected)
{
	uint8_t order[UPSTREAM_SERVERS_MAX];
	char text[UPSTREAM_SERVERS_MAX + 1] = "";
	size_t count = upstream_list_order(list, order);

	for (size_t i = 0; i < count; i++)
		text[i] = (char)('0' + order[i]);
	assert_string_equal(text, expected);
}

static void test_order_is_that_of_the_configuration_unless_something_is_known(void **state)
{
	struct upstream_list *list = list_of(4);
	(void)state;

	expect_order(list, "0123");
	assert_true(upstream_failed(&list->servers[0], 0));
	assert_false(upstream_failed(&list->servers[0], 0)); /* Known already. */
	expect_order(list, "1230");
	upstream_replied(&list->servers[0], 1000);
	expect_order(list, "0123");
	list->servers[1].is_loop = true;
	expect_order(list, "023");
	upstream_failed(&list->servers[0], 0);
	upstream_failed(&list->servers[2], 0);
	upstream_failed(&list->servers[3], 0);
	expect_order(list, "023"); /* Nobody answers: all are tried. */
	upstream_list_release(list);
}

static void test_much_slower_servers_come_later_and_get_another_chance(void **state)
{
	struct upstream_list *list = list_of(3);
	int turns = 0;
	uint8_t order[UPSTREAM_SERVERS_MAX];
	(void)state;

	upstream_replied(&list->servers[0], 4000);
	upstream_replied(&list->servers[1], 200);
	expect_order(list, "012"); /* 20 times, but who would notice. */
	for (int i = 0; i < 50; i++)
		upstream_replied(&list->servers[0], 200000);
	expect_order(list, "120");
	do {
		upstream_list_order(list, order);
		turns++;
	} while (order[0] != 0 && turns < 10000);
	assert_in_range(turns, 50, 2000);
	upstream_list_release(list);
}

static void test_questions_without_a_reply_count_as_slow(void **state)
{
	struct upstream_list *list = list_of(2);
	(void)state;

	upstream_replied(&list->servers[1], 300);
	upstream_failed(&list->servers[0], 400000);
	expect_order(list, "10");
	upstream_replied(&list->servers[0], 0); /* A probe was answered. */
	expect_order(list, "10");
	upstream_forget(&list->servers[0]);
	expect_order(list, "01");
	upstream_list_release(list);
}

static void test_latency_is_smoothed(void **state)
{
	struct upstream_list *list = list_of(1);
	(void)state;

	upstream_replied(&list->servers[0], 8000);
	assert_int_equal(list->servers[0].latency_us, 8000);
	upstream_replied(&list->servers[0], 16000);
	assert_int_equal(list->servers[0].latency_us, 9000);
	upstream_replied(&list->servers[0], 0);
	assert_int_equal(list->servers[0].latency_us, 9000); /* Nothing was learned. */
	upstream_list_release(list);
}

static void test_new_list_knows_what_the_old_one_did(void **state)
{
	const struct conf_endpoint fresh[] = {
		endpoint("192.0.2.9", 53), endpoint("192.0.2.1", 2), endpoint("192.0.2.1", 53)};
	struct upstream_list *old = list_of(3);
	struct upstream_list *list;
	(void)state;

	upstream_replied(&old->servers[1], 500);
	upstream_failed(&old->servers[1], 0);
	old->servers[1].is_loop = true;
	old->servers[1].is_probed = true;
	list = upstream_list_new(fresh, 3, old, 99);
	assert_int_equal(list->servers[1].latency_us, 500);
	assert_int_equal(list->servers[1].failures, 1);
	assert_false(list->servers[1].is_loop); /* To be found out anew. */
	assert_false(list->servers[1].is_probed);
	assert_int_equal(list->servers[1].probe_due_ms, 99);
	assert_int_equal(list->servers[0].latency_us, 0);
	assert_int_equal(list->servers[2].latency_us, 0); /* Another port is another server. */
	upstream_list_release(old);
	upstream_list_hold(list);
	upstream_list_release(list);
	assert_int_equal(list->count, 3);
	upstream_list_release(list);
	upstream_list_release(NULL);
}

static void test_own_sockets_are_recognised(void **state)
{
	static const struct {
		const char *asked;
		uint16_t port;
		const char *own;
		bool is_own;
	} cases[] = {
		{"127.0.0.56", 53, "127.0.0.56", true},
		{"127.0.0.56", 54, "127.0.0.56", false},
		{"127.0.0.53", 53, "127.0.0.56", false},
		{"127.0.0.53", 53, "0.0.0.0", true}, /* All of 127.0.0.0/8 is this host. */
		{"127.0.0.53", 54, "0.0.0.0", false},
		{"192.0.2.1", 53, "0.0.0.0", false},
		{"::1", 53, "::", true},
		{"127.0.0.1", 53, "::", true},
		{"2001:db8::1", 53, "::", false},
		{"::1", 53, "::1", true},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct conf_endpoint asked = endpoint(cases[i].asked, cases[i].port);
		const struct conf_endpoint own[] = {
			endpoint("192.0.2.77", 53), endpoint(cases[i].own, 53)};

		if (upstream_is_own(&asked, own, 2) != cases[i].is_own)
			fail_msg("%s:%u and %s", cases[i].asked, cases[i].port, cases[i].own);
		assert_false(upstream_is_own(&asked, own, 1));
	}
}

static void test_addresses_become_those_of_sockets(void **state)
{
	struct conf_endpoint v6 = endpoint("fe80::1", 5353);
	const struct conf_endpoint v4 = endpoint("192.0.2.1", 53);
	struct sockaddr_storage address;
	const struct sockaddr_in6 *in6 = (const void *)&address;
	(void)state;

	v6.scope_id = 3;
	assert_int_equal(upstream_sockaddr(&v6, &address), sizeof(struct sockaddr_in6));
	assert_int_equal(in6->sin6_scope_id, 3);
	assert_int_equal(ntohs(in6->sin6_port), 5353);
	assert_true(upstream_is_host(&v6, (const struct sockaddr *)&address));
	assert_false(upstream_is_host(&v4, (const struct sockaddr *)&address));
	assert_int_equal(upstream_sockaddr(&v4, &address), sizeof(struct sockaddr_in));
	assert_true(upstream_is_host(&v4, (const struct sockaddr *)&address));
	assert_false(upstream_is_host(&v6, (const struct sockaddr *)&address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_that_of_the_configuration_unless_something_is_known),
		cmocka_unit_test(test_much_slower_servers_come_later_and_get_another_chance),
		cmocka_unit_test(test_questions_without_a_reply_count_as_slow),
		cmocka_unit_test(test_latency_is_smoothed),
		cmocka_unit_test(test_new_list_knows_what_the_old_one_did),
		cmocka_unit_test(test_own_sockets_are_recognised),
		cmocka_unit_test(test_addresses_become_those_of_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
