#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/parser/records.h"

#define BYTES(text)                                       \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

static void test_captured_files_yield_their_guests(void **state)
{
	static const struct {
		const char *file;
		const char *lines[4];
	} rows[] = {
		{"guests/1-two-guests/virbr0.macs",
			{"guest 'DB Server' - 52:54:00:aa:00:02 - 0",
				"guest 'web1' - 52:54:00:aa:00:01 - 0"}},
		{"guests/2-name-with-space/virbr1.macs",
			{"guest 'k guest' - 52:54:00:aa:01:03 - 0",
				"guest 'web1' - 52:54:00:aa:01:01 - 0"}},
		{"stale-after-destroy/virbr0.macs", {NULL}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse_capture(&records, &format_libvirt_macs, rows[i].file);
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.report.skipped, 0);
		records_expect(&records, rows[i].lines);
	}
}

static void test_guest_yields_a_record_for_each_good_mac(void **state)
{
	static const struct {
		struct bytes guest;
		size_t skipped;
		const char *lines[4];
	} rows[] = {
		{BYTES("{\"domain\":\"a\",\"macs\":[\"2:0:0:0:0:1\",\"2:0:0:0:0:2\"]}"), 0,
			{"guest 'a' - 02:00:00:00:00:01 - 0", "guest 'a' - 02:00:00:00:00:02 - 0"}},
		{BYTES("{\"macs\":[\"2:0:0:0:0:1\"],\"x\":{},\"domain\":\"a\"}"), 0,
			{"guest 'a' - 02:00:00:00:00:01 - 0"}},
		/* Known without a MAC address, too. */
		{BYTES("{\"domain\":\"a\",\"macs\":[]}"), 0, {"guest 'a' - - - 0"}},
		{BYTES("{\"domain\":\"a\"}"), 0, {"guest 'a' - - - 0"}},
		/* A bad MAC address costs only itself. */
		{BYTES("{\"domain\":\"a\",\"macs\":[\"x\",\"2:0:0:0:0:1\",7,null]}"), 3,
			{"guest 'a' - 02:00:00:00:00:01 - 0"}},
		{BYTES("{\"domain\":\"a\",\"macs\":[[\"2:0:0:0:0:1\"],\"2:0:0:0:0:1\\u0000\"]}"), 2,
			{"guest 'a' - - - 0"}},
		/* Names are carried as they are. */
		{BYTES("{\"domain\":\"*.evil name\\\"\\\\x\"}"), 0,
			{"guest '*.evil name\"\\x' - - - 0"}},
		{BYTES("{\"domain\":\"a\\u0000b\"}"), 0, {"guest 'a\\00b' - - - 0"}},
		{BYTES("{\"domain\":\"\xff\"}"), 0, {"guest '\\ff' - - - 0"}},
		{BYTES("{\"domain\":\"ubuntu22.04\"}"), 0, {"guest 'ubuntu22.04' - - - 0"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256] = "[";

		memcpy(text + 1, rows[i].guest.ptr, rows[i].guest.len);
		text[1 + rows[i].guest.len] = ']';
		records_parse(&records, &format_libvirt_macs,
			(struct bytes){(const uint8_t *)text, rows[i].guest.len + 2});
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, rows[i].lines);
		assert_int_equal(records.report.skipped, rows[i].skipped);
		if (rows[i].skipped)
			assert_int_equal(records.report.defect, FORMAT_DEFECT_MAC);
	}
}

static void test_bad_guest_costs_only_itself(void **state)
{
	static const struct {
		const char *guest;
		enum format_defect defect;
	} rows[] = {
		{"1", FORMAT_DEFECT_SYNTAX},
		{"[]", FORMAT_DEFECT_SYNTAX},
		{"{\"domain\":}", FORMAT_DEFECT_SYNTAX},
		{"{\"domain\":\"\\ud8\"}", FORMAT_DEFECT_SYNTAX},
		{"{}", FORMAT_DEFECT_NAME},
		{"{\"domain\":\"\"}", FORMAT_DEFECT_NAME},
		{"{\"domain\":null}", FORMAT_DEFECT_NAME},
		{"{\"domain\":[\"a\"]}", FORMAT_DEFECT_NAME},
		{"{\"macs\":[\"2:0:0:0:0:1\"]}", FORMAT_DEFECT_NAME},
		{"{\"domain\":\"a\",\"macs\":null}", FORMAT_DEFECT_MAC},
		{"{\"domain\":\"a\",\"macs\":\"2:0:0:0:0:1\"}", FORMAT_DEFECT_MAC},
		{"{\"domain\":\"a\",\"macs\":{}}", FORMAT_DEFECT_MAC},
	};
	static const char *const lines[] = {
		"guest 'before' - - - 0", "guest 'after' - - - 0", NULL};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			"[{\"domain\":\"before\"},\r\n%s,\r\n{\"domain\":\"after\"}]",
			rows[i].guest);
		records_parse(&records, &format_libvirt_macs, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, lines);
		assert_int_equal(records.report.skipped, 1);
		assert_int_equal(records.report.line, 2);
		if (records.report.defect != rows[i].defect)
			fail_msg("%s: defect %d", rows[i].guest, records.report.defect);
	}
}

static void test_oversized_guest_costs_only_itself(void **state)
{
	struct records records = {0};
	char *text = NULL;

	(void)state;
	assert_true(asprintf(&text, "[{\"domain\":\"%70000s\"},{\"domain\":\"a\"}]", "x") > 0);
	records_parse(&records, &format_libvirt_macs, bytes_of_text(text));
	assert_int_equal(records.status, PARSER_OK);
	records_expect(&records, (const char *const[]){"guest 'a' - - - 0", NULL});
	assert_int_equal(records.report.skipped, 1);
	free(text);
}

/* What libvirt writes is read in place, all else by json-c: a member that we do not know makes the
 * difference, and must be the only one. */
static void test_guest_in_another_shape_says_the_same(void **state)
{
	static const char *const members[] = {
		"\"domain\":\"a\"}",
		"\"domain\": \"a b\" ,\n \"macs\" : [ \"2:0:0:0:0:1\" , \"52:54:00:AA:00:02\" ] }",
		"\"macs\":[],\"domain\":\"a\"}",
		"\"macs\":[\"x\",\"2:0:0:0:0:1\",\"\"],\"domain\":\"a\"}",
		"\"macs\":[\"2:0:0:0:0:1\"],\"macs\":[\"2:0:0:0:0:2\"],\"domain\":\"a\"}",
		"\"domain\":\"a\",\"domain\":\"b\"}",
		"\"domain\":\"\"}",
		"\"domain\":\"a\",}",
		"\"domain\":\"a\",\"macs\":[,]}",
		"\"domain\":\"a\",\"macs\":[\"2:0:0:0:0:1\",]}",
		"\"domain\":\"a\",\"macs\":[\"2:0:0:0:0:1\" \"2:0:0:0:0:2\"]}",
		"\"domain\":\"a\" \"macs\":[]}",
		"\"domain\":\"a\"}}",
		"\"domain\":\"a\tb\"}",
		"\"domain\":\"a\\u0041\",\"macs\":[\"2:0:0:0:0:1\"]}",
		"\"domain\":\"a\",\"macs\":[\"2:0:0:0:0:\\u0031\"]}",
	};
	struct records plain = {0};
	struct records other = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(members); i++) {
		char text[256];

		snprintf(text, sizeof(text), "[{%s]", members[i]);
		records_parse(&plain, &format_libvirt_macs, bytes_of_text(text));
		snprintf(text, sizeof(text), "[{\"x\":7,%s]", members[i]);
		records_parse(&other, &format_libvirt_macs, bytes_of_text(text));
		assert_int_equal(plain.status, other.status);
		assert_int_equal(plain.report.skipped, other.report.skipped);
		assert_int_equal(plain.count, other.count);
		for (size_t line = 0; line < plain.count; line++)
			assert_string_equal(plain.lines[line], other.lines[line]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_files_yield_their_guests),
		cmocka_unit_test(test_guest_yields_a_record_for_each_good_mac),
		cmocka_unit_test(test_bad_guest_costs_only_itself),
		cmocka_unit_test(test_guest_in_another_shape_says_the_same),
		cmocka_unit_test(test_oversized_guest_costs_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
