#include "conf/conf_endpoint.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct good_endpoint {
	const char *text;
	uint8_t family;
	uint8_t octets[16];
	uint16_t port;
	const char *formatted; /* NULL: as `text`. */
};

static const struct good_endpoint good_endpoints[] = {
	{"127.0.0.56", 4, {127, 0, 0, 56}, 53, NULL},
	{"127.0.0.56:53", 4, {127, 0, 0, 56}, 53, "127.0.0.56"},
	{"0.0.0.0:1", 4, {0}, 1, NULL},
	{"192.0.2.255:65535", 4, {192, 0, 2, 255}, 65535, NULL},
	{"::", 6, {0}, 53, NULL},
	{"[::]", 6, {0}, 53, "::"},
	{"[::1]:53", 6, {[15] = 1}, 53, "::1"},
	{"[::1]:5353", 6, {[15] = 1}, 5353, NULL},
	/* RFC 5952 section 6: without brackets the last group is no port. */
	{"2001:db8::1:53", 6, {0x20, 1, 0x0d, 0xb8, [13] = 1, [15] = 0x53}, 53, NULL},
	{"2001:DB8:0:0:0:0:0:a", 6, {0x20, 1, 0x0d, 0xb8, [15] = 10}, 53, "2001:db8::a"},
	{"64:ff9b::192.0.2.1", 6, {0, 0x64, 0xff, 0x9b, [12] = 192, 0, 2, 1}, 53,
		"64:ff9b::c000:201"},
};

static enum conf_status parse(
	const char *text, struct conf_endpoint *out_endpoint, struct conf_error *out_error)
{
	const struct conf_place place = {"s", "k", out_error};
	/* What is behind the length must not count. */
	char longer[256];

	snprintf(longer, sizeof(longer), "%s1]:%%", text);
	return conf_endpoint_parse(&place, longer, strlen(text), out_endpoint);
}

static void test_every_form_is_taken_and_printed_at_its_shortest(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good_endpoints) / sizeof(*good_endpoints); i++) {
		const struct good_endpoint *good = &good_endpoints[i];
		struct conf_error error = {0, ""};
		struct conf_endpoint endpoint;
		char text[CONF_ENDPOINT_TEXT_SIZE];

		if (parse(good->text, &endpoint, &error) != CONF_OK)
			fail_msg("%s: %s", good->text, error.message);
		assert_int_equal(endpoint.family, good->family);
		assert_memory_equal(endpoint.octets, good->octets, 16);
		assert_int_equal(endpoint.port, good->port);
		assert_int_equal(endpoint.scope_id, 0);
		conf_endpoint_format(&endpoint, text);
		assert_string_equal(text, good->formatted ? good->formatted : good->text);
	}
}

#define NO_ENDPOINT "is not an IP address, nor IPV4:PORT, nor [IPV6]:PORT"
#define NO_PORT     "the port is not a whole number from 1 to 65535"

static const struct {
	const char *text;
	const char *message;
} bad_endpoints[] = {
	{"localhost", "[s] k: 'localhost' " NO_ENDPOINT},
	{"53", "[s] k: '53' " NO_ENDPOINT},
	{"127.1", "[s] k: '127.1' " NO_ENDPOINT},
	{"127.0.0.256", "[s] k: '127.0.0.256' " NO_ENDPOINT},
	{"127.0.0.056", "[s] k: '127.0.0.056' " NO_ENDPOINT},
	{"1:2:3", "[s] k: '1:2:3' " NO_ENDPOINT},
	{"[127.0.0.1]", "[s] k: '[127.0.0.1]' " NO_ENDPOINT},
	{"[127.0.0.1]:53", "[s] k: '[127.0.0.1]:53' " NO_ENDPOINT},
	{"[::1", "[s] k: '[::1' " NO_ENDPOINT},
	{"[::1]53", "[s] k: '[::1]53' " NO_ENDPOINT},
	{"[]", "[s] k: '[]' " NO_ENDPOINT},
	{"[", "[s] k: '[' " NO_ENDPOINT},
	{":", "[s] k: ':' " NO_ENDPOINT},
	{":53", "[s] k: ':53' " NO_ENDPOINT},
	{"%lo", "[s] k: '%lo' " NO_ENDPOINT},
	{"", "[s] k: '' " NO_ENDPOINT},
	{"fe80::1%", "[s] k: 'fe80::1%' " NO_ENDPOINT},
	{"fe80::1%sixteen-octets--", "[s] k: 'fe80::1%sixteen-octets--' " NO_ENDPOINT},
	{"1111:2222:3333:4444:5555:6666:7777:8888:9999",
		"[s] k: '1111:2222:3333:4444:5555:6666:7777:8888:9999' " NO_ENDPOINT},
	{"127.0.0.1:", "[s] k: '127.0.0.1:': " NO_PORT},
	{"127.0.0.1:0", "[s] k: '127.0.0.1:0': " NO_PORT},
	{"127.0.0.1:65536", "[s] k: '127.0.0.1:65536': " NO_PORT},
	{"127.0.0.1:domain", "[s] k: '127.0.0.1:domain': " NO_PORT},
	{"127.0.0.1:+53", "[s] k: '127.0.0.1:+53': " NO_PORT},
	{"[::1]:", "[s] k: '[::1]:': " NO_PORT},
	{"[::1]:99999999999999999999", "[s] k: '[::1]:99999999999999999999': " NO_PORT},
	{"224.0.0.251", "[s] k: '224.0.0.251' is a multicast address"},
	{"239.255.255.255", "[s] k: '239.255.255.255' is a multicast address"},
	{"ff02::fb%lo", "[s] k: 'ff02::fb%lo' is a multicast address"},
	{"255.255.255.255", "[s] k: '255.255.255.255' is the broadcast address"},
	{"::ffff:127.0.0.1",
		"[s] k: '::ffff:127.0.0.1' is an IPv4 address in disguise: write it as IPv4"},
	{"fe80::1", "[s] k: 'fe80::1' is link-local and needs its interface, as in fe80::1%virbr0"},
	{"[febf::1]:53", "[s] k: '[febf::1]:53' is link-local and needs its interface, as in "
			 "fe80::1%virbr0"},
	{"::1%lo", "[s] k: '::1%lo': only a link-local IPv6 address has an interface"},
	{"fec0::1%lo", "[s] k: 'fec0::1%lo': only a link-local IPv6 address has an interface"},
	{"127.0.0.1%lo", "[s] k: '127.0.0.1%lo': only a link-local IPv6 address has an interface"},
	{"fe80::1%none-such",
		"[s] k: 'fe80::1%none-such': there is no such interface on this host"},
	{"fe80::1%0", "[s] k: 'fe80::1%0': there is no such interface on this host"},
};

static void test_what_cannot_be_listened_on_is_refused_with_the_reason(void **state)
{
	struct conf_endpoint untouched;

	(void)state;
	memset(&untouched, 0xa5, sizeof(untouched));
	for (size_t i = 0; i < sizeof(bad_endpoints) / sizeof(*bad_endpoints); i++) {
		struct conf_error error = {0, ""};
		struct conf_endpoint endpoint = untouched;

		assert_int_equal(parse(bad_endpoints[i].text, &endpoint, &error), CONF_E_VALUE);
		assert_string_equal(error.message, bad_endpoints[i].message);
		assert_memory_equal(&endpoint, &untouched, sizeof(endpoint));
	}
}

static void test_a_link_local_address_carries_its_interface(void **state)
{
	struct conf_error error = {0, ""};
	struct conf_endpoint endpoint;
	char text[CONF_ENDPOINT_TEXT_SIZE];

	(void)state;
	assert_int_equal(parse("fe80::1%lo", &endpoint, &error), CONF_OK);
	assert_int_equal(endpoint.scope_id, if_nametoindex("lo"));
	conf_endpoint_format(&endpoint, text);
	assert_string_equal(text, "fe80::1%lo");
	assert_int_equal(parse("[fe80::1%lo]:54", &endpoint, &error), CONF_OK);
	assert_int_equal(endpoint.scope_id, if_nametoindex("lo"));
	assert_int_equal(endpoint.port, 54);
	conf_endpoint_format(&endpoint, text);
	assert_string_equal(text, "[fe80::1%lo]:54");
}

static void test_an_interface_that_has_gone_keeps_its_index(void **state)
{
	struct conf_error error = {0, ""};
	struct conf_endpoint endpoint;
	char text[CONF_ENDPOINT_TEXT_SIZE];

	(void)state;
	assert_int_equal(parse("fe80::1%2147483647", &endpoint, &error), CONF_OK);
	assert_int_equal(endpoint.scope_id, 2147483647);
	conf_endpoint_format(&endpoint, text);
	assert_string_equal(text, "fe80::1%2147483647");
}

static void test_the_longest_text_fits(void **state)
{
	struct conf_endpoint endpoint = {.family = 6, .scope_id = UINT32_MAX, .port = 65535};
	char text[CONF_ENDPOINT_TEXT_SIZE];

	(void)state;
	memset(endpoint.octets, 0xab, 16);
	conf_endpoint_format(&endpoint, text);
	assert_string_equal(text, "[abab:abab:abab:abab:abab:abab:abab:abab%4294967295]:65535");
}

static void test_endpoints_are_equal_if_one_excludes_the_other(void **state)
{
	struct conf_endpoint a = {.family = 6, .octets = {0xfe, 0x80}, .scope_id = 1, .port = 53};
	struct conf_endpoint b = a;

	(void)state;
	assert_true(conf_endpoint_equal(&a, &b));
	b.port = 54;
	assert_false(conf_endpoint_equal(&a, &b));
	b = a;
	b.scope_id = 2;
	assert_false(conf_endpoint_equal(&a, &b));
	b = a;
	b.octets[15] = 1;
	assert_false(conf_endpoint_equal(&a, &b));
	b = a;
	b.family = 4;
	assert_false(conf_endpoint_equal(&a, &b));
	a.family = 4;
	b.octets[15] = 9; /* Beyond an IPv4 address. */
	assert_true(conf_endpoint_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_is_taken_and_printed_at_its_shortest),
		cmocka_unit_test(test_what_cannot_be_listened_on_is_refused_with_the_reason),
		cmocka_unit_test(test_a_link_local_address_carries_its_interface),
		cmocka_unit_test(test_an_interface_that_has_gone_keeps_its_index),
		cmocka_unit_test(test_the_longest_text_fits),
		cmocka_unit_test(test_endpoints_are_equal_if_one_excludes_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
