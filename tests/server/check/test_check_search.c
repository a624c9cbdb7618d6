#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/check/check.h"

/* "ndots: domain domain"; in a static buffer. */
static const char *searched(const char *text, size_t len)
{
	static char out[CHECK_SEARCH_MAX * CHECK_SEARCH_SIZE + 32];
	struct check_search search;

	check_search_parse(text, len, &search);
	snprintf(out, sizeof(out), "%u:", search.ndots);
	for (size_t i = 0; i < search.count; i++) {
		strcat(out, " ");
		strcat(out, search.domains[i]);
	}
	return out;
}

static void test_search_is_read_as_glibc_does(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"", "1:"},
		{"nameserver 127.0.0.56\n", "1:"},
		{"search libvirt corp.example\n", "1: libvirt corp.example"},
		{"search\tLibvirt.  CORP.example \r\n", "1: libvirt corp.example"},
		{"search a\nsearch b c\n", "1: b c"},
		{"search a b\ndomain c d\n", "1: c"},
		{"domain c\nsearch a b", "1: a b"},
		{"search a\nsearch\n", "1:"},
		{"#search a\n;search b\n search c\nsearchlight d\n", "1:"},
		{"search a b c d e f g h\n", "1: a b c d e f"},
		{"options ndots:3\n", "3:"},
		{"options rotate ndots:99 edns0\n", "15:"},
		{"options ndots:0\noptions timeout:1\n", "0:"},
		{"options ndots:\n", "0:"},
		{"search . a\n", "1: a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			searched(cases[i].text, strlen(cases[i].text)), cases[i].expected);
}

static void test_overlong_words_and_no_end_are_survived(void **state)
{
	static char text[4000];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "search a ", 9);
	assert_string_equal(searched(text, sizeof(text)), "1: a");
	/* No more is read than was given. */
	assert_string_equal(searched("search abcdef", 10), "1: abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search_is_read_as_glibc_does),
		cmocka_unit_test(test_overlong_words_and_no_end_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
