#include "conf/conf_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static void test_quotes_are_printable_and_cut(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *shown;
	} cases[] = {
		{"", 0, ""},
		{"abc", 2, "ab"},
		{"it's \\", 6, "it\\'s \\\\"},
		{"\0\t\x1b\x7f\xff", 5, "\\x00\\x09\\x1B\\x7F\\xFF"},
		{"%s%n", 4, "%s%n"},
		{X64, 64, X64},
		{X64 "x", 65, X64 "..."},
		/* Never half an escape. */
		{X64 "\n", 65, X64 "..."},
		{X16 X16 X16 "xxxxxxxxxxxxx\n", 62, X16 X16 X16 "xxxxxxxxxxxxx..."},
		{X16 X16 X16 "xxxxxxxxxxxx\n", 61, X16 X16 X16 "xxxxxxxxxxxx\\x0A"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(conf_quote(cases[i].text, cases[i].len).text, cases[i].shown);
}

static void test_a_refusal_says_where_and_keeps_the_line(void **state)
{
	struct conf_error error = {42, ""};
	const struct conf_place place = {"network", "br\n%s", &error};

	(void)state;
	assert_int_equal(conf_refuse(&place, "is %d too many", 1), CONF_E_VALUE);
	assert_string_equal(error.message, "[network] br\\x0A%s: is 1 too many");
	assert_int_equal(error.line, 42);
}

static void test_a_long_message_is_cut_at_its_end(void **state)
{
	struct conf_error error = {0, ""};
	const struct conf_place place = {"s", "k", &error};

	(void)state;
	assert_int_equal(conf_fail(&error, CONF_E_IO, "%s", X64 X64 X64 X64), CONF_E_IO);
	assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
	conf_refuse(&place, "%s", X64 X64 X64 X64);
	assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
	assert_memory_equal(error.message, "[s] k: xxx", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quotes_are_printable_and_cut),
		cmocka_unit_test(test_a_refusal_says_where_and_keeps_the_line),
		cmocka_unit_test(test_a_long_message_is_cut_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
