#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/format_internal.h"
#include "tests/parser/records.h"

static void test_captured_files_yield_their_names(void **state)
{
	static const struct {
		const char *file;
		const char *lines[6];
	} rows[] = {
		{"leases-v4/default.addnhosts", {NULL}},
		{"static-hosts/lab.addnhosts.after-net-update",
			{"static 'printer' 192.168.150.5 - - 0",
				"static 'lp.lab.example' 192.168.150.5 - - 0",
				"static 'printer' fd00:150::5 - - 0",
				"static 'added' 192.168.150.7 - - 0"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse_capture(&records, &format_libvirt_addnhosts, rows[i].file);
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.report.skipped, 0);
		records_expect(&records, rows[i].lines);
	}
}

static void test_every_name_of_a_line_is_a_record(void **state)
{
	static const struct {
		const char *text;
		const char *lines[4];
	} rows[] = {
		{"10.0.0.1 a b\tc\t", {"static 'a' 10.0.0.1 - - 0", "static 'b' 10.0.0.1 - - 0",
					      "static 'c' 10.0.0.1 - - 0"}},
		{"  10.0.0.1   a", {"static 'a' 10.0.0.1 - - 0"}},
		{"fd00::1\ta", {"static 'a' fd00::1 - - 0"}},
		{"10.0.0.1 a\r\n10.0.0.2 b\r\n",
			{"static 'a' 10.0.0.1 - - 0", "static 'b' 10.0.0.2 - - 0"}},
		{"10.0.0.1 a\n\n \t\n10.0.0.2 b",
			{"static 'a' 10.0.0.1 - - 0", "static 'b' 10.0.0.2 - - 0"}},
		{"# 10.0.0.1 a\n#\n  # x", {NULL}},
		{"10.0.0.1 a # b c", {"static 'a' 10.0.0.1 - - 0"}},
		{"10.0.0.1 a#b", {"static 'a' 10.0.0.1 - - 0"}},
		{"10.0.0.1 *.evil\"\\x \xff ..",
			{"static '*.evil\"\\x' 10.0.0.1 - - 0", "static '\\ff' 10.0.0.1 - - 0",
				"static '..' 10.0.0.1 - - 0"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse(&records, &format_libvirt_addnhosts, bytes_of_text(rows[i].text));
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.report.skipped, 0);
		records_expect(&records, rows[i].lines);
	}
}

static void test_bad_line_costs_only_itself(void **state)
{
	static const struct {
		const char *line;
		enum format_defect defect;
	} rows[] = {
		{"a", FORMAT_DEFECT_ADDRESS},
		{"a 10.0.0.1", FORMAT_DEFECT_ADDRESS},
		{"10.0.0.256 a", FORMAT_DEFECT_ADDRESS},
		{"[fd00::1] a", FORMAT_DEFECT_ADDRESS},
		{"fe80::1%virbr0 a", FORMAT_DEFECT_ADDRESS},
		{"127.0.0.1 localhost", FORMAT_DEFECT_ADDRESS},
		{"::1 localhost", FORMAT_DEFECT_ADDRESS},
		{"ff02::1 all", FORMAT_DEFECT_ADDRESS},
		{"0.0.0.0 blocked.example", FORMAT_DEFECT_ADDRESS},
		{"10.0.0.1", FORMAT_DEFECT_NAME},
		{"10.0.0.1 \t", FORMAT_DEFECT_NAME},
		{"10.0.0.1 # a", FORMAT_DEFECT_NAME},
		{"10.0.0.1#a", FORMAT_DEFECT_NAME},
	};
	static const char *const lines[] = {
		"static 'before' 10.0.0.1 - - 0", "static 'after' 10.0.0.1 - - 0", NULL};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "10.0.0.1 before\n%s\n10.0.0.1 after\n", rows[i].line);
		records_parse(&records, &format_libvirt_addnhosts, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, lines);
		assert_int_equal(records.report.skipped, 1);
		assert_int_equal(records.report.line, 2);
		if (records.report.defect != rows[i].defect)
			fail_msg("%s: defect %d", rows[i].line, records.report.defect);
	}
}

static void test_endless_line_costs_only_itself(void **state)
{
	const size_t room = FORMAT_LINE_OCTETS_MAX - strlen("10.0.0.1 ");
	struct records records = {0};

	(void)state;
	for (size_t excess = 0; excess <= 1; excess++) {
		char *text = malloc(FORMAT_LINE_OCTETS_MAX + 32);

		assert_non_null(text);
		strcpy(text, "10.0.0.1 ");
		memset(text + 9, 'x', room + excess);
		strcpy(text + 9 + room + excess, "\n10.0.0.2 b\n");
		records_parse(&records, &format_libvirt_addnhosts, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.count, 2 - excess);
		assert_int_equal(records.report.skipped, excess);
		assert_string_equal(records.lines[1 - excess], "static 'b' 10.0.0.2 - - 0");
		free(text);
	}
}

static void test_nul_is_a_byte_like_others(void **state)
{
	static const char text[] = "10.0.0.1 a\0b\n10.0.0.1\0 c\n10.0.0.2 d";
	static const char *const lines[] = {
		"static 'a\\00b' 10.0.0.1 - - 0", "static 'd' 10.0.0.2 - - 0", NULL};
	struct records records = {0};

	(void)state;
	records_parse(&records, &format_libvirt_addnhosts,
		(struct bytes){(const uint8_t *)text, sizeof(text) - 1});
	assert_int_equal(records.status, PARSER_OK);
	records_expect(&records, lines);
	assert_int_equal(records.report.skipped, 1);
	assert_int_equal(records.report.defect, FORMAT_DEFECT_ADDRESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_files_yield_their_names),
		cmocka_unit_test(test_every_name_of_a_line_is_a_record),
		cmocka_unit_test(test_bad_line_costs_only_itself),
		cmocka_unit_test(test_endless_line_costs_only_itself),
		cmocka_unit_test(test_nul_is_a_byte_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
