#include "server/forward/special.h"

#include "tests/server/asking.h"

/* Parses `name` and answers it in words as ldns has them; "none" if it is not special. */
static const char *ask(const char *name, uint16_t type, size_t limit)
{
	static struct asking_world world;
	const struct asking_how how = {.recursion_available = true};
	const struct special_name *special;
	uint8_t octets[512];
	struct query query;

	assert_int_equal(
		query_parse((struct bytes){octets, asking_query(name, type, &how, octets)}, &query),
		QUERY_OK);
	special = special_find(&query);
	if (!special)
		return "none";
	world.reply_len = special_answer(special, &query, world.reply, limit);
	return asking_text(&world);
}

/* Each name below an apex, wherever a label ends, and none that only looks like it. */
static void test_only_whole_labels_match(void **state)
{
	(void)state;
	assert_string_not_equal(ask("a.168.192.in-addr.arpa", 12, 512), "none");
	assert_string_equal(ask("a68.192.in-addr.arpa", 12, 512), "none");
	assert_string_equal(ask("a\\006168.192.in-addr.arpa", 12, 512), "none");
	assert_string_equal(ask("x\\004test", 1, 512), "none");
}

static void test_names_are_answered_as_their_rfcs_say(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		const char *words;
	} cases[] = {
		{"test", 1,
			"NXDOMAIN aa rd ra; NS test. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"x.Y.test", 28,
			"NXDOMAIN aa rd ra; NS test. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"invalid", 1,
			"NXDOMAIN aa rd ra; NS invalid. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"x.Y.invalid", 28,
			"NXDOMAIN aa rd ra; NS invalid. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"local", 1,
			"NXDOMAIN aa rd ra; NS local. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"x.Y.local", 28,
			"NXDOMAIN aa rd ra; NS local. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"onion", 1,
			"NXDOMAIN aa rd ra; NS onion. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"x.Y.onion", 28,
			"NXDOMAIN aa rd ra; NS onion. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"alt", 1,
			"NXDOMAIN aa rd ra; NS alt. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"x.Y.alt", 28,
			"NXDOMAIN aa rd ra; NS alt. 300 IN SOA localhost. nobody.invalid. 1 3600 "
			"1200 604800 300"},
		{"localhost", 1, "NOERROR aa rd ra; AN localhost. 300 IN A 127.0.0.1"},
		{"a.b.LOCALHOST", 28, "NOERROR aa rd ra; AN a.b.LOCALHOST. 300 IN AAAA ::1"},
		{"localhost", 15,
			"NOERROR aa rd ra; NS localhost. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"localhost", 255, "NOERROR aa rd ra; AN localhost. 300 IN A 127.0.0.1"},
		{"localhost", 6,
			"NOERROR aa rd ra; AN localhost. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"home.arpa", 2, "NOERROR aa rd ra; AN home.arpa. 300 IN NS localhost."},
		{"home.arpa", 1,
			"NOERROR aa rd ra; NS home.arpa. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"tv.home.arpa", 1,
			"NXDOMAIN aa rd ra; NS home.arpa. 300 IN SOA localhost. nobody.invalid. 1 "
			"3600 1200 604800 300"},
		{"_dns.resolver.arpa", 64,
			"NOERROR aa rd ra; NS resolver.arpa. 300 IN SOA localhost. nobody.invalid. "
			"1 3600 1200 604800 300"},
		{"1.0.0.127.in-addr.arpa", 12,
			"NOERROR aa rd ra; AN 1.0.0.127.in-addr.arpa. 300 IN PTR localhost."},
		{"1.0.0.127.in-addr.arpa", 1,
			"NOERROR aa rd ra; NS 127.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"0.0.127.in-addr.arpa", 12,
			"NOERROR aa rd ra; NS 127.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"2.0.0.127.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 127.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", 12,
			"NOERROR aa rd ra; AN "
			"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa. "
			"300 IN PTR localhost."},
		{"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", 12,
			"NOERROR aa rd ra; NS "
			"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa. "
			"300 IN SOA localhost. nobody.invalid. 1 3600 1200 604800 300"},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", 12,
			"none"},
		{"4.3.2.10.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 10.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"110.in-addr.arpa", 12, "none"},
		{"1.16.172.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 16.172.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.31.172.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 31.172.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.15.172.in-addr.arpa", 12, "none"},
		{"1.32.172.in-addr.arpa", 12, "none"},
		{"1.1.168.192.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 168.192.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"192.in-addr.arpa", 12, "none"},
		{"1.64.100.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 64.100.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.127.100.in-addr.arpa", 12,
			"NXDOMAIN aa rd ra; NS 127.100.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.63.100.in-addr.arpa", 12, "none"},
		{"1.128.100.in-addr.arpa", 12, "none"},
		{"255.255.255.255.in-addr.arpa", 12,
			"NOERROR aa rd ra; NS 255.255.255.255.in-addr.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"1.0.d.f.ip6.arpa", 12,
			"NXDOMAIN aa rd ra; NS d.f.ip6.arpa. 300 IN SOA localhost. nobody.invalid. "
			"1 3600 1200 604800 300"},
		{"0.b.e.f.ip6.arpa", 12,
			"NXDOMAIN aa rd ra; NS b.e.f.ip6.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"c.e.f.ip6.arpa", 12, "none"},
		{"c.f.ip6.arpa", 12, "none"},
		{"8.b.d.0.1.0.0.2.ip6.arpa", 6,
			"NOERROR aa rd ra; AN 8.b.d.0.1.0.0.2.ip6.arpa. 300 IN SOA localhost. "
			"nobody.invalid. 1 3600 1200 604800 300"},
		{"example", 1, "none"},
		{"internal", 1, "none"},
		{"com", 1, "none"},
		{"xtest", 1, "none"},
		{"local.example", 1, "none"},
		{"test.test.example", 1, "none"},
		{"ipv4only.arpa", 1, "none"},
		{"arpa", 1, "none"},
		{".", 1, "none"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *words = ask(cases[i].name, cases[i].type, 512);

		if (strcmp(words, cases[i].words) != 0)
			fail_msg("%s %u: %s", cases[i].name, cases[i].type, words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_whole_labels_match),
		cmocka_unit_test(test_names_are_answered_as_their_rfcs_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
