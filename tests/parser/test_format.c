#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/format_internal.h"
#include "tests/parser/records.h"

static const struct format *const formats[] = {
	&format_libvirt_status,
	&format_libvirt_macs,
	&format_libvirt_hostsfile,
	&format_libvirt_addnhosts,
};

static void test_suffix_tells_the_format(void **state)
{
	static const struct {
		const char *file_name;
		const struct format *format;
		const char *stem;
	} rows[] = {
		{"virbr0.status", &format_libvirt_status, "virbr0"},
		{"virbr0.macs", &format_libvirt_macs, "virbr0"},
		{"default.hostsfile", &format_libvirt_hostsfile, "default"},
		{"default.addnhosts", &format_libvirt_addnhosts, "default"},
		{"a.b.status", &format_libvirt_status, "a.b"},
		{"x.status.macs", &format_libvirt_macs, "x.status"},
		{"x.new.status", &format_libvirt_status, "x.new"},
		{"s.status", &format_libvirt_status, "s"},
		{"virbr0.status.new", NULL, NULL},
		{"virbr0.macs.new", NULL, NULL},
		{".virbr0.status", NULL, NULL},
		{".status", NULL, NULL},
		{"status", NULL, NULL},
		{"virbr0status", NULL, NULL},
		{"virbr0.STATUS", NULL, NULL},
		{"virbr0.status~", NULL, NULL},
		{"virbr0.leases", NULL, NULL},
		{"default.conf", NULL, NULL},
		{".", NULL, NULL},
		{"..", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct format *format = format_find(rows[i].file_name);

		assert_ptr_equal(format, rows[i].format);
		if (format)
			assert_true(bytes_equal(format_stem_of(format, rows[i].file_name),
				bytes_of_text(rows[i].stem)));
	}
}

static void test_every_row_of_the_table_is_complete(void **state)
{
	static const enum format_stem stems[] = {
		FORMAT_STEM_BRIDGE, FORMAT_STEM_BRIDGE, FORMAT_STEM_NETWORK, FORMAT_STEM_NETWORK};

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		assert_true(strlen(formats[i]->name) > 0);
		assert_int_equal(formats[i]->suffix[0], '.');
		assert_int_equal(formats[i]->stem, stems[i]);
	}
}

static void test_every_defect_has_a_phrase_of_its_own(void **state)
{
	(void)state;
	for (int a = FORMAT_DEFECT_NONE; a <= FORMAT_DEFECT_EXPIRY; a++) {
		for (int b = FORMAT_DEFECT_NONE; b < a; b++)
			assert_string_not_equal(format_defect_text((enum format_defect)a),
				format_defect_text((enum format_defect)b));
	}
	assert_non_null(format_defect_text((enum format_defect)99));
}

static void test_no_octets_are_a_file_without_records(void **state)
{
	static const char *const rows[] = {"", " ", "\n", " \t\r\n\n"};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		for (size_t n = 0; n < COUNT(rows); n++) {
			records_parse(&records, formats[i], bytes_of_text(rows[n]));
			assert_int_equal(records.status, PARSER_OK);
			assert_int_equal(records.count, 0);
			assert_int_equal(records.report.skipped, 0);
			assert_int_equal(records.report.line, 0);
			assert_int_equal(records.report.defect, FORMAT_DEFECT_NONE);
		}
		records_parse(&records, formats[i], (struct bytes){NULL, 0});
		assert_int_equal(records.status, PARSER_OK);
	}
}

/** One good entry and one bad one of each format, for lists of them. */
static const struct {
	const char *open, *good, *bad, *separator, *close;
} entries[] = {
	{"[", "{\"ip-address\":\"10.0.0.1\"}", "{}", ",", "]"},
	{"[", "{\"domain\":\"a\"}", "{}", ",", "]"},
	{"", "a,10.0.0.1", "a", "\n", ""},
	{"", "10.0.0.1 a", "x", "\n", ""},
};

static struct bytes list_of(size_t format, size_t good, size_t bad)
{
	static char *text;
	static size_t len;
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	assert_non_null(out);
	fputs(entries[format].open, out);
	for (size_t i = 0; i < good + bad; i++)
		fprintf(out, "%s%s", i ? entries[format].separator : "",
			i < good ? entries[format].good : entries[format].bad);
	fputs(entries[format].close, out);
	fclose(out);
	return (struct bytes){(const uint8_t *)text, len};
}

static void test_entries_up_to_the_limit_and_no_further(void **state)
{
	static const struct {
		size_t good, bad;
		enum parser_status status;
	} rows[] = {
		{FORMAT_RECORDS_MAX, 0, PARSER_OK},
		{FORMAT_RECORDS_MAX + 1, 0, PARSER_E_LIMIT},
		{FORMAT_RECORDS_MAX - 1, 1, PARSER_OK},
		{FORMAT_RECORDS_MAX, 1, PARSER_E_LIMIT},
		{0, FORMAT_RECORDS_MAX + 1, PARSER_E_LIMIT},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		for (size_t n = 0; n < COUNT(rows); n++) {
			records_parse(&records, formats[i], list_of(i, rows[n].good, rows[n].bad));
			assert_int_equal(records.status, rows[n].status);
			assert_true(records.count <= FORMAT_RECORDS_MAX);
		}
	}
	assert_int_equal(list_of(0, 0, 0).len, 2); /* frees the large text */
}

static void test_sink_ends_the_parse_early(void **state)
{
	struct records records = {.stop_after = 2};

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		records_parse(&records, formats[i], list_of(i, 5, 5));
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.count, 2);
		assert_int_equal(records.report.skipped, 0);
	}
}

static void test_lines_end_with_lf_or_cr_lf_or_the_text(void **state)
{
	static const char text[] = "a\n\r\nb\r\n\rc\r\r\n\nlast";
	static const char *const lines[] = {"a", "", "b", "\rc\r", "", "last"};
	struct bytes rest = bytes_of_text(text);
	struct bytes line;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_true(format_next_line(&rest, &line));
		assert_true(bytes_equal(line, bytes_of_text(lines[i])));
	}
	assert_false(format_next_line(&rest, &line));
	rest = bytes_of_text("\n");
	assert_true(format_next_line(&rest, &line));
	assert_int_equal(line.len, 0);
	assert_false(format_next_line(&rest, &line));
}

static void test_duid_has_a_type_and_up_to_128_octets(void **state)
{
	/* RFC 8415 section 11.1. */
	static const struct {
		size_t groups;
		size_t len;
	} rows[] = {{1, 0}, {2, 0}, {3, 3}, {10, 10}, {130, 130}, {131, 0}};
	uint8_t duid[RECORD_DUID_OCTETS_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[3 * 131];

		for (size_t n = 0; n < rows[i].groups; n++)
			memcpy(text + 3 * n, "0a:", 3);
		assert_int_equal(format_parse_duid((struct bytes){(const uint8_t *)text,
							   3 * rows[i].groups - 1},
					 duid),
			rows[i].len);
	}
	assert_int_equal(format_parse_duid(bytes_of_text("0:3:0:1:FF"), duid), 5);
	assert_memory_equal(duid, ((uint8_t[]){0, 3, 0, 1, 0xff}), 5);
	assert_int_equal(format_parse_duid(bytes_of_text("*"), duid), 0);
	assert_int_equal(format_parse_duid(bytes_of_text(""), duid), 0);
	assert_int_equal(format_parse_duid((struct bytes){NULL, 0}, duid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suffix_tells_the_format),
		cmocka_unit_test(test_every_row_of_the_table_is_complete),
		cmocka_unit_test(test_every_defect_has_a_phrase_of_its_own),
		cmocka_unit_test(test_no_octets_are_a_file_without_records),
		cmocka_unit_test(test_entries_up_to_the_limit_and_no_further),
		cmocka_unit_test(test_sink_ends_the_parse_early),
		cmocka_unit_test(test_lines_end_with_lf_or_cr_lf_or_the_text),
		cmocka_unit_test(test_duid_has_a_type_and_up_to_128_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
