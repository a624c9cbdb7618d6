#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/hostname.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)                                       \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}
/* Labels of 63 and 61 octets: three and one of them, with dots, are the 253 of a name. */
#define L63 "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
#define L61 "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"

static void test_names_of_letters_digits_and_hyphens_are_publishable(void **state)
{
	static const struct bytes rows[] = {
		BYTES("alpha"),
		BYTES("Gamma"),
		BYTES("a"),
		BYTES("web-1"),
		BYTES("my_host"),
		BYTES("a--b"),
		BYTES("xn--bcher-kva"),
		BYTES("3com"),
		BYTES("0x"),
		BYTES("0xg"),
		BYTES("deadbeef"),
		BYTES("42.example"),
		BYTES("example.42"),
		BYTES("1.2.3.4.in-addr.arpa"),
		BYTES("vm.lab.example"),
		BYTES("vm.lab.example."),
		BYTES("vm."),
		BYTES("localhost1"),
		BYTES("wpad-proxy"),
		BYTES("my.localhost"), /* only the first label is looked at */
		BYTES(L63),
		BYTES(L63 "." L63 "." L63 "." L61),
		BYTES(L63 "." L63 "." L63 "." L61 "."),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!hostname_is_publishable(rows[i]))
			fail_msg("'%.*s' is refused", (int)rows[i].len, (const char *)rows[i].ptr);
	}
}

static void test_hostile_names_are_not_publishable(void **state)
{
	static const struct bytes rows[] = {
		BYTES(""),
		{NULL, 0},
		BYTES("."),
		BYTES(".."),
		BYTES(".a"),
		BYTES("a.."),
		BYTES("a..b"),
		BYTES("*.evil name\"\\x"),
		BYTES("*"),
		BYTES("-a"),
		BYTES("a-"),
		BYTES("_a"),
		BYTES("a_"),
		BYTES("a.-b"),
		BYTES("a-.b"),
		BYTES("-"),
		BYTES("_"),
		BYTES("_sip._tcp.lab"),
		BYTES("a b"),
		BYTES("a\tb"),
		BYTES("a\nb"),
		BYTES("a\0b"),
		BYTES("a\0"),
		BYTES("a\\046b"),
		BYTES("a/b"),
		BYTES("a@b"),
		BYTES("a[b"), /* the neighbours of 'Z', 'a', 'z', '0' and '9' in ASCII */
		BYTES("a`b"),
		BYTES("a{b"),
		BYTES("a:b"),
		BYTES("$(id)"),
		BYTES("%n%s"),
		BYTES("b\xc3\xbc"
		      "cher"),
		BYTES("b\xfc"
		      "cher"),
		BYTES("\xff\xfe"),
		BYTES("fd00::1"),
		BYTES("1"),
		BYTES("0042"),
		BYTES("1.2.3.4"),
		BYTES("1.2.3.4."),
		BYTES("1.2"),
		BYTES("1.2.3.4.5"),
		BYTES("999.999.999.999"),
		BYTES("0x7f000001"),
		BYTES("0X7F.1"),
		BYTES("0x7f.0.0x0.1"),
		BYTES("localhost"),
		BYTES("LocalHost"),
		BYTES("localhost."),
		BYTES("localhost.localdomain"),
		BYTES("wpad"),
		BYTES("WPAD.example"),
		BYTES("isatap"),
		BYTES("IsaTap"),
		BYTES(L63 "l"),
		BYTES("a." L63 "l"),
		BYTES(L63 "." L63 "." L63 "." L61 "l"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (hostname_is_publishable(rows[i]))
			fail_msg("row %zu, '%.*s', passes", i, (int)rows[i].len,
				(const char *)rows[i].ptr);
	}
}

static void test_every_octet_is_allowed_or_not_whatever_the_locale(void **state)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		const uint8_t text[] = {'x', (uint8_t)byte, 'x'};
		const bool expected = memchr(allowed, (int)byte, sizeof(allowed) - 1) != NULL;

		if (hostname_is_publishable((struct bytes){text, sizeof(text)}) != expected)
			fail_msg("octet %u is judged wrongly", byte);
	}
}

static void test_dns_name_may_hold_any_bytes_in_sound_labels(void **state)
{
	static const struct {
		struct bytes name;
		bool is_name;
	} rows[] = {
		{BYTES("a"), true},
		{BYTES("DB Server"), true},
		{BYTES("*.evil name\"\\x"), true},
		{BYTES("-"), true},
		{BYTES("a\0b"), true},
		{BYTES("\xff.\xfe"), true},
		{BYTES("ubuntu22.04"), true},
		{BYTES(L63), true},
		{BYTES(L63 "." L63 "." L63 "." L61), true},
		{BYTES(""), false},
		{{NULL, 0}, false},
		{BYTES("."), false},
		{BYTES("a."), false},
		{BYTES(".a"), false},
		{BYTES("a..b"), false},
		{BYTES(L63 "l"), false},
		{BYTES("a." L63 "l.b"), false},
		{BYTES(L63 "." L63 "." L63 "." L61 "l"), false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (hostname_is_dns_name(rows[i].name) != rows[i].is_name)
			fail_msg("row %zu is judged wrongly", i);
	}
}

static void test_plain_names_have_five_kinds_of_octets(void **state)
{
	static const struct {
		struct bytes name;
		bool is_plain;
	} rows[] = {
		{BYTES(""), true},
		{BYTES("Web-1_a.9"), true},
		{BYTES("db server"), false},
		{BYTES("a\0b"), false},
		{BYTES("b\xc3\xbcro"), false},
		{BYTES("a@"), false},
		{BYTES("["), false},
		{BYTES("a/"), false},
		{BYTES("a:"), false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(hostname_is_plain(rows[i].name), rows[i].is_plain);
}

static void test_first_label_ends_at_the_first_dot(void **state)
{
	static const struct {
		struct bytes name;
		struct bytes label;
	} rows[] = {
		{BYTES("web.lab.example"), BYTES("web")},
		{BYTES("web"), BYTES("web")},
		{BYTES("web."), BYTES("web")},
		{BYTES(".web"), BYTES("")},
		{BYTES("a\0b.c"), BYTES("a\0b")},
		{{NULL, 0}, {NULL, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(bytes_equal(hostname_first_label(rows[i].name), rows[i].label));
}

static void test_alias_turns_runs_of_odd_bytes_into_one_hyphen(void **state)
{
	static const struct {
		struct bytes name;
		struct bytes alias; /* empty: needs none, or nothing is left */
	} rows[] = {
		{BYTES("DB Server"), BYTES("db-server")},
		{BYTES("k guest"), BYTES("k-guest")},
		{BYTES("a  \t b"), BYTES("a-b")},
		{BYTES("(a)"), BYTES("a")},
		{BYTES("  a  b  "), BYTES("a-b")},
		{BYTES("-a b-"), BYTES("a-b")},
		{BYTES("a- b"), BYTES("a--b")},
		{BYTES("B\xc3\xbc"
		       "cher"),
			BYTES("b-cher")},
		{BYTES("a\0b"), BYTES("a-b")},
		{BYTES("*.evil name\"\\x"), BYTES(".evil-name-x")},
		{BYTES("Ubuntu 22.04"), BYTES("ubuntu-22.04")},
		{BYTES("a_b c"), BYTES("a_b-c")},
		/* Nothing to turn: the name will do. */
		{BYTES("Web1"), BYTES("")},
		{BYTES("-web-"), BYTES("")},
		{BYTES("a_b.c"), BYTES("")},
		{BYTES(""), BYTES("")},
		/* Nothing left. */
		{BYTES("   "), BYTES("")},
		{BYTES("\xff"), BYTES("")},
		{BYTES("- -"), BYTES("")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t alias[32];
		size_t len;

		memset(alias, 0x5a, sizeof(alias));
		len = hostname_alias(rows[i].name, alias);
		if (!bytes_equal((struct bytes){alias, len}, rows[i].alias))
			fail_msg("row %zu: '%.*s'", i, (int)len, (const char *)alias);
		/* Not an octet more than the name has. */
		assert_int_equal(alias[rows[i].name.len], 0x5a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_letters_digits_and_hyphens_are_publishable),
		cmocka_unit_test(test_hostile_names_are_not_publishable),
		cmocka_unit_test(test_every_octet_is_allowed_or_not_whatever_the_locale),
		cmocka_unit_test(test_dns_name_may_hold_any_bytes_in_sound_labels),
		cmocka_unit_test(test_plain_names_have_five_kinds_of_octets),
		cmocka_unit_test(test_first_label_ends_at_the_first_dot),
		cmocka_unit_test(test_alias_turns_runs_of_odd_bytes_into_one_hyphen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
