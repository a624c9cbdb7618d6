#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/support/text.h"

#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

struct text_case {
	struct bytes raw;
	const char *text;
};

static void check(char *(*convert)(struct bytes), const struct text_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *text = convert(cases[i].raw);

		assert_non_null(text);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

#define CHECK(convert, cases) check(convert, cases, sizeof(cases) / sizeof(cases[0]))

static void test_printable_text_obeys_no_terminal(void **state)
{
	static const struct text_case cases[] = {
		{{NULL, 0}, ""},
		{BYTES("db server"), "db server"},
		{BYTES("b\xc3\xbcro"), "b\xc3\xbcro"},
		{BYTES("\xe4\xb8\xad"), "\xe4\xb8\xad"},
		/* ESC [ 2 J; a CSI in one C1 character; BEL, newline, DEL */
		{BYTES("\033[2J"), "\\027[2J"},
		{BYTES("\xc2\x9b"
		       "2J"),
			"\\194\\1552J"},
		{BYTES("a\a\n\x7f"), "a\\007\\010\\127"},
		{BYTES("a\0b"), "a\\000b"},
		{BYTES("back\\slash"), "back\\092slash"},
		/* U+202E turns the rest of the line around, U+200B is invisible. */
		{BYTES("x\xe2\x80\xaey"), "x\\226\\128\\174y"},
		{BYTES("x\xe2\x80\x8by"), "x\\226\\128\\139y"},
		/* Invalid: alone, cut short, too long a form, a surrogate. */
		{BYTES("\xff"), "\\255"},
		{BYTES("\xc3"), "\\195"},
		{BYTES("\xc0\x80"), "\\192\\128"},
		{BYTES("\xed\xa0\x80"), "\\237\\160\\128"},
	};

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	CHECK(text_printable, cases);
}

static void test_printable_text_is_ascii_in_the_c_locale(void **state)
{
	static const struct text_case cases[] = {
		{BYTES("web1"), "web1"},
		{BYTES("b\xc3\xbcro"), "b\\195\\188ro"},
	};

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C"));
	CHECK(text_printable, cases);
	assert_string_equal(text_ellipsis(), "..");
}

static void test_utf8_text_is_always_valid_utf8(void **state)
{
	static const struct text_case cases[] = {
		{{NULL, 0}, ""},
		{BYTES("b\xc3\xbcro"), "b\xc3\xbcro"},
		{BYTES("\xf0\x9f\x90\x9f"), "\xf0\x9f\x90\x9f"},
		{BYTES("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf"},
		{BYTES("\xf4\x90\x80\x80"), "\\244\\144\\128\\128"},
		{BYTES("\xf0\x80\x80\xaf"), "\\240\\128\\128\\175"},
		{BYTES("\xe0\x80\xaf"), "\\224\\128\\175"},
		{BYTES("\xed\xa0\x80"), "\\237\\160\\128"},
		{BYTES("\xed\x9f\xbf"), "\xed\x9f\xbf"},
		{BYTES("\xc1\xbf"), "\\193\\191"},
		{BYTES("\x80"), "\\128"},
		{BYTES("ab\xe2\x82"), "ab\\226\\130"},
		{BYTES("\xe2\x28\xa1"), "\\226(\\161"},
		{BYTES("\xff\xfe"), "\\255\\254"},
		{BYTES("\\065"), "\\092065"},
		{BYTES("a\0b"), "a\\000b"},
		{BYTES("\xc2\x9b\x7f"), "\\194\\155\\127"},
		/* JSON has its own way to write these. */
		{BYTES("\033\n"), "\033\n"},
	};

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C"));
	CHECK(text_utf8, cases);
}

static void test_dns_text_follows_rfc_1035(void **state)
{
	static const struct {
		struct bytes name;
		struct bytes zone;
		const char *text;
	} cases[] = {
		{BYTES("vm"), BYTES("libvirt"), "vm.libvirt"},
		{BYTES("ubuntu22.04"), BYTES("libvirt"), "ubuntu22.04.libvirt"},
		{BYTES("db server"), BYTES("libvirt"), "db\\032server.libvirt"},
		{BYTES("a;b\\c\"d"), BYTES("x"), "a\\;b\\\\c\\\"d.x"},
		{BYTES("b\xc3\xbcro"), BYTES("libvirt"), "b\\195\\188ro.libvirt"},
		{BYTES("\0"), BYTES("x"), "\\000.x"},
		{BYTES("vm"), {NULL, 0}, "vm"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = text_dns(cases[i].name, cases[i].zone);

		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

static void test_widths_count_columns_and_not_octets(void **state)
{
	static const struct {
		const char *text;
		size_t width;    /* Of all of it. */
		size_t octets_3; /* That fit into three columns. */
	} cases[] = {
		{"", 0, 0},
		{"abc", 3, 3},
		{"abcd", 4, 3},
		{"b\xc3\xbcro", 4, 4},
		/* Two columns each: the second would need a fourth. */
		{"\xe4\xb8\xad\xe6\x96\x87", 4, 3},
		{"a\xe4\xb8\xad\xe6\x96\x87", 5, 4},
		{"\xff\xff\xff\xff", 4, 3},
	};
	size_t width;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(text_width(cases[i].text), cases[i].width);
		assert_int_equal(text_prefix(cases[i].text, 3, &width), cases[i].octets_3);
		assert_true(width <= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printable_text_obeys_no_terminal),
		cmocka_unit_test(test_printable_text_is_ascii_in_the_c_locale),
		cmocka_unit_test(test_utf8_text_is_always_valid_utf8),
		cmocka_unit_test(test_dns_text_follows_rfc_1035),
		cmocka_unit_test(test_widths_count_columns_and_not_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
