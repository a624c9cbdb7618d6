#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/format_internal.h"
#include "tests/parser/records.h"

static void test_captured_files_yield_their_reservations(void **state)
{
	static const struct {
		const char *file;
		const char *lines[6];
	} rows[] = {
		{"leases-v4/default.hostsfile", {NULL}},
		{"static-hosts/lab.hostsfile.after-net-update",
			{"reservation 'static1' 192.168.150.11 52:54:00:00:01:01 - 0",
				"reservation '' 192.168.150.12 52:54:00:00:01:02 - 0",
				"reservation 'byname' 192.168.150.13 - - 0",
				"reservation 'addedhost' 192.168.150.77 52:54:00:00:01:77 - 0",
				"reservation 'static1' fd00:150::11 - 00030001525400000101 0"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse_capture(&records, &format_libvirt_hostsfile, rows[i].file);
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.report.skipped, 0);
		records_expect(&records, rows[i].lines);
	}
}

static void test_items_are_told_apart_by_their_looks(void **state)
{
	static const struct {
		const char *text;
		const char *lines[5];
	} rows[] = {
		{"52:54:0:0:1:1,10.0.0.1,web",
			{"reservation 'web' 10.0.0.1 52:54:00:00:01:01 - 0"}},
		{"52:54:0:0:1:1,10.0.0.1", {"reservation '' 10.0.0.1 52:54:00:00:01:01 - 0"}},
		{"web,10.0.0.1", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"10.0.0.1,web", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,[fd00::1]", {"reservation 'web' fd00::1 - - 0"}},
		{"id:0:3:0:1:aa,[fd00::1]", {"reservation '' fd00::1 - 00030001aa 0"}},
		{"id:0:3:0:1:aa,web,[fd00::1]", {"reservation 'web' fd00::1 - 00030001aa 0"}},
		/* A client id that is no DUID, and one of DHCPv4. */
		{"id:text,web,[fd00::1]", {"reservation 'web' fd00::1 - - 0"}},
		{"id:*,web,[fd00::1]", {"reservation 'web' fd00::1 - - 0"}},
		{"id:,web,[fd00::1]", {"reservation 'web' fd00::1 - - 0"}},
		{"id:01:02:03:04,web,10.0.0.1", {"reservation 'web' 10.0.0.1 - - 0"}},
		/* Lease times in the name's place and after it. */
		{"2:0:0:0:0:1,10.0.0.1,infinite",
			{"reservation '' 10.0.0.1 02:00:00:00:00:01 - 0"}},
		{"2:0:0:0:0:1,10.0.0.1,web,infinite",
			{"reservation 'web' 10.0.0.1 02:00:00:00:00:01 - 0"}},
		{"web,10.0.0.1,120", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,10.0.0.1,30s", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,10.0.0.1,2m", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,10.0.0.1,1h", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,10.0.0.1,3d", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web,10.0.0.1,1w", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"10.0.0.1,1W", {"reservation '' 10.0.0.1 - - 0"}},
		/* Names that only look like times. */
		{"10.0.0.1,h", {"reservation 'h' 10.0.0.1 - - 0"}},
		{"10.0.0.1,1y", {"reservation '1y' 10.0.0.1 - - 0"}},
		{"10.0.0.1,1hh", {"reservation '1hh' 10.0.0.1 - - 0"}},
		{"10.0.0.1,Infinite", {"reservation 'Infinite' 10.0.0.1 - - 0"}},
		/* And what looks like an address but is none is a name. */
		{"10.0.0.1,10.0.0", {"reservation '10.0.0' 10.0.0.1 - - 0"}},
		{"web.lab.example,10.0.0.1", {"reservation 'web.lab.example' 10.0.0.1 - - 0"}},
		/* Tags. */
		{"set:red,2:0:0:0:0:1,tag:!blue,net:x,10.0.0.1,web",
			{"reservation 'web' 10.0.0.1 02:00:00:00:00:01 - 0"}},
		/* Several of a kind. */
		{"2:0:0:0:0:1,2:0:0:0:0:2,10.0.0.1,web",
			{"reservation 'web' 10.0.0.1 02:00:00:00:00:01 - 0",
				"reservation 'web' 10.0.0.1 02:00:00:00:00:02 - 0"}},
		{"web,10.0.0.1,[fd00::1]",
			{"reservation 'web' 10.0.0.1 - - 0", "reservation 'web' fd00::1 - - 0"}},
		{"2:0:0:0:0:1,2:0:0:0:0:2,10.0.0.1,[fd00::1]",
			{"reservation '' 10.0.0.1 02:00:00:00:00:01 - 0",
				"reservation '' 10.0.0.1 02:00:00:00:00:02 - 0",
				"reservation '' fd00::1 02:00:00:00:00:01 - 0",
				"reservation '' fd00::1 02:00:00:00:00:02 - 0"}},
		/* White space, comments, empty lines and items, CR LF. */
		{" web , 10.0.0.1 \t", {"reservation 'web' 10.0.0.1 - - 0"}},
		{",,web,,10.0.0.1,", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"# web,10.0.0.1\n\n  \t\n#", {NULL}},
		{"web,10.0.0.1 # the web server, 10.0.0.2", {"reservation 'web' 10.0.0.1 - - 0"}},
		{"web#1,10.0.0.1", {"reservation 'web#1' 10.0.0.1 - - 0"}},
		{"a,10.0.0.1\r\nb,10.0.0.2\r\n",
			{"reservation 'a' 10.0.0.1 - - 0", "reservation 'b' 10.0.0.2 - - 0"}},
		/* Names are carried as they are. */
		{"*.evil name\"\\x,10.0.0.1", {"reservation '*.evil name\"\\x' 10.0.0.1 - - 0"}},
		{"\xff,10.0.0.1", {"reservation '\\ff' 10.0.0.1 - - 0"}},
		{"..,10.0.0.1", {"reservation '..' 10.0.0.1 - - 0"}},
		{"-,10.0.0.1", {"reservation '-' 10.0.0.1 - - 0"}},
		/* No reservation, and nothing wrong. */
		{"2:0:0:0:0:1,ignore", {NULL}},
		{"web,10.0.0.1,ignore", {NULL}},
		{"a,10.0.0.1\nid:*,ignore\nb,10.0.0.2",
			{"reservation 'a' 10.0.0.1 - - 0", "reservation 'b' 10.0.0.2 - - 0"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse(&records, &format_libvirt_hostsfile, bytes_of_text(rows[i].text));
		assert_int_equal(records.status, PARSER_OK);
		if (records.report.skipped > 0)
			fail_msg("'%s' is skipped", rows[i].text);
		records_expect(&records, rows[i].lines);
	}
}

static void test_bad_line_costs_only_itself(void **state)
{
	static const struct {
		const char *line;
		enum format_defect defect;
	} rows[] = {
		{"web", FORMAT_DEFECT_ADDRESS},
		{"2:0:0:0:0:1,web", FORMAT_DEFECT_ADDRESS},
		{"2:0:0:0:0:1,web,1.2.3.256", FORMAT_DEFECT_ADDRESS},
		{",", FORMAT_DEFECT_ADDRESS},
		{"web,127.0.0.1", FORMAT_DEFECT_ADDRESS},
		{"web,224.0.0.1", FORMAT_DEFECT_ADDRESS},
		{"web,[fe80::1]", FORMAT_DEFECT_ADDRESS},
		{"web,[::1]", FORMAT_DEFECT_ADDRESS},
		{"web,[]", FORMAT_DEFECT_ADDRESS},
		{"web,[10.0.0.1]", FORMAT_DEFECT_ADDRESS},
		{"web,[fd00::1/64]", FORMAT_DEFECT_ADDRESS},
		/* dnsmasq's "host 56 of whatever prefix" */
		{"web,[::56]", FORMAT_DEFECT_ADDRESS},
		{"web,10.0.0.2,[junk]", FORMAT_DEFECT_ADDRESS},
		{"web,fd00::1", FORMAT_DEFECT_MAC},
		{"2:0:0:0:0,10.0.0.2", FORMAT_DEFECT_MAC},
		{"2:0:0:*:*:*,10.0.0.2", FORMAT_DEFECT_MAC},
		{"06-2:0:0:0:0:1,10.0.0.2", FORMAT_DEFECT_MAC},
	};
	static const char *const lines[] = {
		"reservation 'before' 10.0.0.1 - - 0", "reservation 'after' 10.0.0.1 - - 0", NULL};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "before,10.0.0.1\n%s\nafter,10.0.0.1", rows[i].line);
		records_parse(&records, &format_libvirt_hostsfile, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, lines);
		assert_int_equal(records.report.skipped, 1);
		assert_int_equal(records.report.line, 2);
		if (records.report.defect != rows[i].defect)
			fail_msg("%s: defect %d", rows[i].line, records.report.defect);
	}
}

/** A line of `count` times `item` and an address, and its outcome. */
static void expect_crowd(
	const char *item, size_t count, size_t expected_records, size_t expected_skipped)
{
	struct records records = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	for (size_t i = 0; i < count; i++)
		fputs(item, out);
	fputs("10.0.0.1\nafter,10.0.0.1\n", out);
	fclose(out);
	records_parse(&records, &format_libvirt_hostsfile, bytes_of_text(text));
	free(text);
	assert_int_equal(records.status, PARSER_OK);
	assert_int_equal(records.count, expected_records + 1);
	assert_int_equal(records.report.skipped, expected_skipped);
	if (expected_skipped)
		assert_int_equal(records.report.defect, FORMAT_DEFECT_SYNTAX);
}

static void test_crowded_and_endless_lines_cost_only_themselves(void **state)
{
	(void)state;
	expect_crowd("2:0:0:0:0:1,", 64, 64, 0);
	expect_crowd("2:0:0:0:0:1,", 65, 0, 1);
	expect_crowd("10.0.0.2,", 63, 64, 0);
	expect_crowd("10.0.0.2,", 64, 0, 1);
	expect_crowd("a,", (FORMAT_LINE_OCTETS_MAX - 8) / 2, 1, 0);
	expect_crowd("a,", (FORMAT_LINE_OCTETS_MAX - 8) / 2 + 1, 0, 1);
}

static void test_nul_is_a_byte_like_others(void **state)
{
	static const char text[] = "a\0b,10.0.0.1\n10.0.0.2,7\0\n1\0,10.0.0.3";
	static const char *const lines[] = {"reservation 'a\\00b' 10.0.0.1 - - 0",
		"reservation '7\\00' 10.0.0.2 - - 0", "reservation '1\\00' 10.0.0.3 - - 0", NULL};
	struct records records = {0};

	(void)state;
	records_parse(&records, &format_libvirt_hostsfile,
		(struct bytes){(const uint8_t *)text, sizeof(text) - 1});
	assert_int_equal(records.status, PARSER_OK);
	records_expect(&records, lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_files_yield_their_reservations),
		cmocka_unit_test(test_items_are_told_apart_by_their_looks),
		cmocka_unit_test(test_bad_line_costs_only_itself),
		cmocka_unit_test(test_crowded_and_endless_lines_cost_only_themselves),
		cmocka_unit_test(test_nul_is_a_byte_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
