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
	struct format_text whole = {.bytes = bytes_of_text(text)};
	struct format_run run = {.text = &whole};
	struct bytes line;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_true(format_run_line(&run, &line));
		assert_true(bytes_equal(line, bytes_of_text(lines[i])));
	}
	assert_false(format_run_line(&run, &line));
	whole.bytes = bytes_of_text("\n");
	run.offset = 0;
	assert_true(format_run_line(&run, &line));
	assert_int_equal(line.len, 0);
	assert_false(format_run_line(&run, &line));
}

/* A text that comes in pieces of at most `cap` octets, `step` more at a time. */
struct pieces {
	struct format_text text; /* First, so that a text is its pieces. */
	struct bytes rest;
	uint8_t *window;
	size_t cap;
	size_t step;
};

static bool pieces_more(struct format_text *text, size_t consumed)
{
	struct pieces *pieces = (struct pieces *)text;
	size_t kept = text->bytes.len - consumed;
	size_t more = pieces->cap - kept < pieces->step ? pieces->cap - kept : pieces->step;

	if (more > pieces->rest.len)
		more = pieces->rest.len;
	if (more == 0)
		return false;
	memmove(pieces->window, pieces->window + consumed, kept);
	memcpy(pieces->window + kept, pieces->rest.ptr, more);
	pieces->rest.ptr += more;
	pieces->rest.len -= more;
	text->bytes = (struct bytes){pieces->window, kept + more};
	return true;
}

static void parse_in_pieces(struct records *records, const struct format *format, struct bytes text,
	size_t cap, size_t step)
{
	struct pieces pieces = {
		.text = {.more = pieces_more}, .rest = text, .cap = cap, .step = step};

	pieces.window = malloc(cap);
	assert_non_null(pieces.window);
	records->count = 0;
	records->status = format->parse(&pieces.text, records_sink, records, &records->report);
	free(pieces.window);
}

static void test_pieces_make_the_same_records_as_the_whole(void **state)
{
	static const struct {
		const struct format *format;
		const char *text;
	} more[] = {
		{&format_libvirt_status, "  \n\t "},
		{&format_libvirt_status, "[ ]  \n\n  "},
		{&format_libvirt_status, "[ {\"ip-address\": \"10.0.0.1\"} ]   x"},
		{&format_libvirt_status, "[ {\"ip-address\": \"10.0.0.1\"} , {\"ip-"},
		{&format_libvirt_macs, "[{\"domain\": \"a\\\"]\", \"macs\": []}  ,7, {}]"},
		{&format_libvirt_addnhosts, "10.0.0.1 a b\r\n\n# x\n10.0.0.2 c"},
	};
	static const char *const names[] = {"leases-v4/virbr0.status", "leases-v6/virbr1.status",
		"guests/1-two-guests/virbr0.macs", "static-hosts/lab.hostsfile",
		"static-hosts/lab.addnhosts", "stale-after-destroy/virbr0.macs"};
	struct records whole = {0};
	struct records pieces = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(names) + COUNT(more); i++) {
		bool is_file = i < COUNT(names);
		const struct format *format = is_file ? format_find(strrchr(names[i], '/') + 1)
						      : more[i - COUNT(names)].format;
		char *text =
			is_file ? scratch_read(
					  scratch_path(TESTS_DATA_DIR "/captures", names[i]), NULL)
				: strdup(more[i - COUNT(names)].text);

		records_parse(&whole, format, bytes_of_text(text));
		for (size_t step = 1; step < 400; step += step < 20 ? 1 : 37) {
			parse_in_pieces(&pieces, format, bytes_of_text(text), 400, step);
			assert_int_equal(pieces.status, whole.status);
			assert_int_equal(pieces.count, whole.count);
			assert_int_equal(pieces.report.skipped, whole.report.skipped);
			assert_int_equal(pieces.report.defect, whole.report.defect);
			for (size_t r = 0; r < whole.count; r++)
				assert_string_equal(pieces.lines[r], whole.lines[r]);
		}
		free(text);
	}
}

static void test_what_is_too_long_for_a_piece_is_an_error(void **state)
{
	char *text = malloc(FORMAT_LINE_OCTETS_MAX * 3);
	struct records records = {0};

	(void)state;
	memset(text, 'x', FORMAT_LINE_OCTETS_MAX * 3);
	memcpy(text, "10.0.0.1 a\n", 11);
	parse_in_pieces(&records, &format_libvirt_addnhosts,
		(struct bytes){(const uint8_t *)text, FORMAT_LINE_OCTETS_MAX * 3},
		FORMAT_LINE_OCTETS_MAX * 2, 4096);
	assert_int_equal(records.status, PARSER_E_LIMIT);
	assert_int_equal(records.count, 1);
	memcpy(text, "[{\"a\":\"", 8);
	parse_in_pieces(&records, &format_libvirt_status,
		(struct bytes){(const uint8_t *)text, FORMAT_LINE_OCTETS_MAX * 3},
		FORMAT_LINE_OCTETS_MAX * 2, 4096);
	assert_int_equal(records.status, PARSER_E_SYNTAX);
	free(text);
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
		cmocka_unit_test(test_pieces_make_the_same_records_as_the_whole),
		cmocka_unit_test(test_what_is_too_long_for_a_piece_is_an_error),
		cmocka_unit_test(test_duid_has_a_type_and_up_to_128_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
