#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/format_macs_internal.h"
#include "parser/json_slices.h"
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

/** Always the same numbers. */
static uint32_t random_below(uint32_t end)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % end);
}

static const char *const keys[] = {"domain", "macs", "x", "doma", "domain2", "", "mac\\u0073"};
static const char *const values[] = {"\"a\"", "\"DB Server\"", "[]", "[ ]", "[\"2:0:0:0:0:1\"]",
	"[\"2:0:0:0:0:1\" , \"2:0:0:0:0:2\"]", "[\"x\",\"2:0:0:0:0:1\"]", "[\"x\"]", "[1]", "[[]]",
	"[\"2:0:0:0:0:1\",]", "[,]", "{}", "null", "7", "-1", "1.5", "01", "\"\"", "\"b\xc3\xbc\"",
	"\"a\\u0000b\"", "[\"2:0:0:0:0:\\u0031\"]", "true"};
static const char *const spaces[] = {"", "", "", " ", "\n", "\t", " \r\n "};

#define ANY(array) ((array)[random_below(COUNT(array))])

/** An element that is often sound; every third time some of its octets are others. */
static size_t write_element(char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");
	uint32_t pairs = random_below(4);
	size_t len;

	assert_non_null(out);
	fprintf(out, "{%s", ANY(spaces));
	for (uint32_t i = 0; i < pairs; i++) {
		/* Mostly what libvirt writes. */
		bool usual = random_below(3) > 0;

		fprintf(out, "%s\"%s\"%s:%s%s%s", i ? "," : "", usual ? keys[i % 2] : ANY(keys),
			ANY(spaces), ANY(spaces),
			usual ? values[i % 2 ? 2 + random_below(6) : random_below(2)] : ANY(values),
			ANY(spaces));
	}
	fprintf(out, "}");
	len = (size_t)ftell(out);
	fclose(out);
	for (uint32_t n = random_below(3) ? 0 : 1 + random_below(2); n > 0; n--)
		text[1 + random_below((uint32_t)len - 1)] =
			"{}[]\",:\\ 0a\x01\xff"[random_below(13)];
	return len;
}

/** The same guest reads the same through json-c: a key behind the others, of a value that the quick
 *  reader does not know, leads there. */
static void test_quick_reader_and_json_c_never_disagree(void **state)
{
	static struct records by_plain;
	static struct records by_json;
	size_t plain = 0;
	size_t other = 0;

	(void)state;
	for (size_t i = 0; i < 60000; i++) {
		char element[512];
		char text[600];
		size_t len = write_element(element, sizeof(element));
		struct macs_entry entry;
		int text_len;

		if (!format_macs_read_plain(
			    (struct bytes){(const uint8_t *)element, len}, &entry)) {
			other++;
			continue;
		}
		plain++;
		text_len = snprintf(text, sizeof(text), "[%.*s]", (int)len, element);
		records_parse(&by_plain, &format_libvirt_macs,
			(struct bytes){(const uint8_t *)text, (size_t)text_len});
		text_len =
			snprintf(text, sizeof(text), "[%.*s,\"zzz\":null}]", (int)len - 1, element);
		records_parse(&by_json, &format_libvirt_macs,
			(struct bytes){(const uint8_t *)text, (size_t)text_len});
		assert_int_equal(by_plain.status, PARSER_OK);
		assert_int_equal(by_json.status, PARSER_OK);
		if (by_plain.report.skipped != by_json.report.skipped ||
			by_plain.report.defect != by_json.report.defect)
			fail_msg("%.*s", (int)len, element);
		assert_int_equal(by_plain.count, by_json.count);
		for (size_t j = 0; j < by_plain.count; j++)
			assert_string_equal(by_plain.lines[j], by_json.lines[j]);
	}
	assert_true(plain > 10000);
	assert_true(other > 10000);
}

static void test_quick_reader_leaves_what_is_not_plain_to_json_c(void **state)
{
	static const struct {
		const char *element;
		bool is_plain;
	} rows[] = {
		{"{\"domain\":\"a\",\"macs\":[\"2:0:0:0:0:1\",\"2:0:0:0:0:2\"]}", true},
		{" {\"domain\":\"a\"}", false},
		{"{\"macs\":[],\"domain\":\"a\",\"x\":7}", true},
		{"{\"domain\":\"a\",\"domain\":\"b\"}", false},
		{"{\"domain\":\"a\",\"macs\":[],\"macs\":[]}", false},
		{"{\"domain\":7}", false},
		{"{\"domain\":\"a\",\"macs\":\"2:0:0:0:0:1\"}", false},
		{"{\"domain\":\"a\",\"macs\":[7]}", false},
		{"{\"domain\":\"a\",\"macs\":[\"x\",]}", false},
		{"{\"domain\":\"a\\n\"}", false},
		{"{\"domain\":\"b\xc3\xbc\"}", false},
		{"{}", false},
		{"{\"domain\":\"a\"}x", false},
		{"{\"domain\":\"a\"", false},
		{"{\"domain\":\"a", false},
		{"{\"domain\"", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t len = strlen(rows[i].element);
		char *copy = malloc(len + !len); /* Ends where its memory ends. */
		struct macs_entry entry;

		assert_non_null(copy);
		memcpy(copy, rows[i].element, len);
		if (format_macs_read_plain((struct bytes){(const uint8_t *)copy, len}, &entry) !=
			rows[i].is_plain)
			fail_msg("%s", rows[i].element);
		free(copy);
	}
}

static void test_libvirts_own_shape_needs_no_json_c(void **state)
{
	static const char *const files[] = {"guests/1-two-guests/virbr0.macs",
		"guests/2-name-with-space/virbr0.macs", "guests/2-name-with-space/virbr1.macs"};
	size_t elements = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		size_t len;
		char *text = scratch_read(scratch_path(TESTS_DATA_DIR "/captures", files[i]), &len);
		struct json_slices slices;
		struct bytes element;
		struct macs_entry entry;

		json_slices_init(&slices, (struct bytes){(const uint8_t *)text, len});
		while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0) {
			assert_true(format_macs_read_plain(element, &entry));
			elements++;
		}
		free(text);
	}
	assert_true(elements >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_files_yield_their_guests),
		cmocka_unit_test(test_guest_yields_a_record_for_each_good_mac),
		cmocka_unit_test(test_bad_guest_costs_only_itself),
		cmocka_unit_test(test_oversized_guest_costs_only_itself),
		cmocka_unit_test(test_quick_reader_and_json_c_never_disagree),
		cmocka_unit_test(test_quick_reader_leaves_what_is_not_plain_to_json_c),
		cmocka_unit_test(test_libvirts_own_shape_needs_no_json_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
