#include "server/names/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>
#include <unistd.h>

static void test_each_rule_has_its_words(void **state)
{
	static const struct {
		const char *name;
		const char *word;
	} cases[] = {
		{"localhost", "programs trust"},
		{"WPAD.example.org", "programs trust"},
		{"192.168.122.1", "an address"},
		{"::1", "an address"},
		{"a b", "characters"},
		{"\xc3\xa4", "characters"},
		{"12345", "only digits"},
		{"7.example.org", "only digits"},
		{"-x", "begins or ends"},
		{"x_", "begins or ends"},
		{"a..b", "too long, or a part"},
		{"libvirt", "name of the zone"},
		{"libvirt.", "name of the zone"},
		{"libvirt.example", "name of the zone"},
		{"12345.", "only digits"},
		{"", "too long, or a part"},
	};
	char longest[65];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_non_null(strstr(refusal_reason(bytes_of_text(longest)), "too long"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *reason = refusal_reason(bytes_of_text(cases[i].name));

		if (!strstr(reason, cases[i].word))
			fail_msg("'%s': %s", cases[i].name, reason);
	}
}

static void test_name_of_this_host(void **state)
{
	char host[HOST_NAME_MAX + 1] = "";
	char whole[HOST_NAME_MAX + sizeof(".example")];

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	host[strcspn(host, ".")] = '\0';
	snprintf(whole, sizeof(whole), "%s.example", host);
	for (char *at = whole; *at; at++)
		*at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
	assert_true(refusal_is_own_name(bytes_of_text(host)));
	assert_true(refusal_is_own_name(bytes_of_text(whole)));
	assert_non_null(strstr(refusal_reason(bytes_of_text(whole)), "this host"));
	assert_false(refusal_is_own_name(bytes_of_text("")));
	assert_false(refusal_is_own_name(bytes_of_text("x.example")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule_has_its_words),
		cmocka_unit_test(test_name_of_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
