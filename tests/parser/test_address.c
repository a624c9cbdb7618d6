#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct address parsed(const char *text)
{
	struct address address;

	if (!address_parse(bytes_of_text(text), &address))
		fail_msg("'%s' does not parse", text);
	return address;
}

static void test_numeric_text_is_parsed(void **state)
{
	static const struct {
		const char *text;
		uint8_t family;
		uint8_t octets[ADDRESS_IPV6_OCTETS];
	} rows[] = {
		{"192.168.122.36", ADDRESS_IPV4, {192, 168, 122, 36}},
		{"0.0.0.0", ADDRESS_IPV4, {0}},
		{"255.255.255.255", ADDRESS_IPV4, {255, 255, 255, 255}},
		{"::", ADDRESS_IPV6, {0}},
		{"fd00:150::1df", ADDRESS_IPV6, {0xfd, 0, 0x01, 0x50, [14] = 0x01, [15] = 0xdf}},
		{"FD00::A", ADDRESS_IPV6, {0xfd, [15] = 0x0a}},
		{"::ffff:10.0.0.1", ADDRESS_IPV6, {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}},
		{"1111:2222:3333:4444:5555:6666:255.255.255.255", ADDRESS_IPV6,
			{0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66,
				255, 255, 255, 255}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address = parsed(rows[i].text);

		assert_int_equal(address.family, rows[i].family);
		assert_memory_equal(address.octets, rows[i].octets, ADDRESS_IPV6_OCTETS);
	}
}

static void test_anything_else_is_refused_and_leaves_the_output(void **state)
{
	static const struct bytes rows[] = {
#define ROW(text) {(const uint8_t *)(text), sizeof(text) - 1}
		ROW("1.2.3"),
		ROW("1.2.3.4.5"),
		ROW("1.2.3.256"),
		ROW("01.2.3.4"), /* octal for some, decimal for others */
		ROW("0x7f.0.0.1"),
		ROW(" 1.2.3.4"),
		ROW("1.2.3.4 "),
		ROW("1.2.3.4\n"),
		ROW("1.2.3.4\0"),
		ROW("1.2.3.4\0junk"),
		ROW("1.2.3.\0004"),
		ROW("1.2.3.-4"),
		ROW("[::1]"),
		ROW("fe80::1%lo"),
		ROW("::1::"),
		ROW("12345::"),
		ROW("1:2:3:4:5:6:7"),
		ROW("1:2:3:4:5:6:7:8:9"),
		ROW("fd00::1/64"),
		ROW("host"),
		/* One octet more than any address has. */
		ROW("1111:2222:3333:4444:5555:6666:255.255.255.2555"),
		ROW(""),
		{NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address;
		struct address before;

		memset(&address, 0xa5, sizeof(address));
		before = address;
		if (address_parse(rows[i], &address))
			fail_msg("row %zu parses", i);
		assert_memory_equal(&address, &before, sizeof(address));
	}
}

static void test_special_ranges_are_no_hosts_up_to_their_edges(void **state)
{
	static const struct {
		const char *text;
		bool is_host;
	} rows[] = {
		/* RFC 1122 section 3.2.1.3: this network */
		{"0.0.0.0", false},
		{"0.255.255.255", false},
		{"1.0.0.0", true},
		/* RFC 1918: private, where guests live */
		{"10.0.0.1", true},
		{"172.16.0.1", true},
		{"192.168.122.36", true},
		/* RFC 6598: shared address space */
		{"100.64.0.1", true},
		/* RFC 1122 section 3.2.1.3: loopback */
		{"126.255.255.255", true},
		{"127.0.0.0", false},
		{"127.0.0.56", false},
		{"127.255.255.255", false},
		{"128.0.0.0", true},
		/* RFC 3927 section 2.1: link-local */
		{"169.253.255.255", true},
		{"169.254.0.0", false},
		{"169.254.169.254", false},
		{"169.254.255.255", false},
		{"169.255.0.0", true},
		/* RFC 5737: documentation, which labs use */
		{"192.0.2.1", true},
		/* RFC 1112 section 4: multicast */
		{"223.255.255.255", true},
		{"224.0.0.0", false},
		{"239.255.255.255", false},
		{"240.0.0.0", true},
		/* RFC 919 section 7: limited broadcast */
		{"255.255.255.254", true},
		{"255.255.255.255", false},
		/* RFC 4291 section 2.5.2: unspecified */
		{"::", false},
		/* RFC 4291 section 2.5.3: loopback */
		{"::1", false},
		{"::2", true},
		/* RFC 4291 section 2.5.5.2: IPv4-mapped */
		{"::fffe:10.0.0.1", true},
		{"::ffff:0.0.0.0", false},
		{"::ffff:10.0.0.1", false},
		{"::ffff:127.0.0.1", false},
		{"::1:0:0", true},
		/* RFC 4291 section 2.5.6: link-local */
		{"fe7f:ffff::1", true},
		{"fe80::1", false},
		{"febf:ffff::1", false},
		/* RFC 3879 section 4: site-local is global unicast now */
		{"fec0::1", true},
		/* RFC 4193: unique local */
		{"fd00:150::11", true},
		/* RFC 3849: documentation */
		{"2001:db8::1", true},
		/* RFC 4291 section 2.7: multicast */
		{"feff:ffff::", true},
		{"ff00::", false},
		{"ff02::1", false},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address = parsed(rows[i].text);

		if (address_is_host(&address) != rows[i].is_host)
			fail_msg("%s is judged wrongly", rows[i].text);
	}
	assert_false(address_is_host(&(struct address){.family = ADDRESS_NONE}));
	assert_false(address_is_host(&(struct address){.family = 7, .octets = {10, 0, 0, 1}}));
}

static void test_order_is_by_family_then_octets(void **state)
{
	/* In order. */
	static const char *const rows[] = {"0.0.0.0", "10.0.0.2", "10.0.0.10", "127.0.0.1",
		"255.255.255.255", "::", "::2", "fd00::1", "fd00::2", "ff02::1"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(rows); j++) {
			struct address a = parsed(rows[i]);
			struct address b = parsed(rows[j]);
			int order = address_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void test_text_comes_back(void **state)
{
	/* RFC 5952 section 4 for IPv6. */
	static const struct {
		const char *text;
		const char *canonical;
	} rows[] = {
		{"192.168.122.36", "192.168.122.36"},
		{"255.255.255.255", "255.255.255.255"},
		{"FD00:150:0:0:0:0:0:01DF", "fd00:150::1df"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address = parsed(rows[i].text);

		address_format(&address, text);
		assert_string_equal(text, rows[i].canonical);
	}
	address_format(&(struct address){.family = ADDRESS_NONE}, text);
	assert_string_equal(text, "");
}

static void test_families_have_their_lengths(void **state)
{
	(void)state;
	assert_int_equal(address_octets(ADDRESS_IPV4), 4);
	assert_int_equal(address_octets(ADDRESS_IPV6), 16);
	assert_int_equal(address_octets(ADDRESS_NONE), 0);
	assert_int_equal(address_octets(5), 0);
}

static void test_mac_groups_have_one_or_two_digits(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
	} rows[] = {
		{"52:54:00:aa:00:01", "52:54:00:aa:00:01"},
		{"52:54:00:AA:0F:f0", "52:54:00:aa:0f:f0"},
		{"0:1:2:3:4:5", "00:01:02:03:04:05"},
		{"ff:f:ff:f:ff:f", "ff:0f:ff:0f:ff:0f"},
	};
	char text[MAC_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mac mac;

		assert_true(mac_parse(bytes_of_text(rows[i].text), &mac));
		mac_format(&mac, text);
		assert_string_equal(text, rows[i].canonical);
	}
}

static void test_malformed_mac_is_refused_and_leaves_the_output(void **state)
{
	static const char *const rows[] = {"", ":", "52", "52:54:00:aa:00",
		"52:54:00:aa:00:", "52:54:00:aa:00:01:", "52:54:00:aa:00:01:02",
		"52:54:00:aa:00:001", "52:54:00:aa:00:0g", "52:54::aa:00:01", ":52:54:00:aa:00:01",
		"52-54-00-aa-00-01", "52:54:00:aa:00:01 ", " 52:54:00:aa:00:01", "5254.00aa.0001",
		"525400aa0001", "52:54:00:*:*:*", "06-52:54:00:aa:00:01", "52:54:00:aa:00:@1"};
	const struct mac before = {{1, 2, 3, 4, 5, 6}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mac mac = before;

		if (mac_parse(bytes_of_text(rows[i]), &mac))
			fail_msg("'%s' parses", rows[i]);
		assert_memory_equal(&mac, &before, sizeof(mac));
	}
	assert_false(mac_parse(
		(struct bytes){(const uint8_t *)"1:2:3:4:5:6\0", 12}, &(struct mac){{0}}));
}

static void test_hex_groups_stay_within_their_room(void **state)
{
	uint8_t octets[4] = {0, 0, 0, 0x5a};

	(void)state;
	assert_int_equal(hex_groups_parse(bytes_of_text("0:a:FF"), octets, 3), 3);
	assert_memory_equal(octets, ((uint8_t[]){0x00, 0x0a, 0xff}), 3);
	assert_int_equal(hex_groups_parse(bytes_of_text("7"), octets, 3), 1);
	assert_int_equal(hex_groups_parse(bytes_of_text("0:1:2:3"), octets, 3), 0);
	assert_int_equal(hex_groups_parse(bytes_of_text("0:1:2:"), octets, 3), 0);
	assert_int_equal(hex_groups_parse(bytes_of_text("0"), octets, 0), 0);
	assert_int_equal(hex_groups_parse((struct bytes){0}, octets, 3), 0);
	assert_int_equal(octets[3], 0x5a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numeric_text_is_parsed),
		cmocka_unit_test(test_anything_else_is_refused_and_leaves_the_output),
		cmocka_unit_test(test_special_ranges_are_no_hosts_up_to_their_edges),
		cmocka_unit_test(test_order_is_by_family_then_octets),
		cmocka_unit_test(test_text_comes_back),
		cmocka_unit_test(test_families_have_their_lengths),
		cmocka_unit_test(test_mac_groups_have_one_or_two_digits),
		cmocka_unit_test(test_malformed_mac_is_refused_and_leaves_the_output),
		cmocka_unit_test(test_hex_groups_stay_within_their_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
