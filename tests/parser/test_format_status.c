#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json_c_version.h>
#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "parser/format_status_internal.h"
#include "tests/parser/records.h"

#define BYTES(text)                                       \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}
#define GOOD(name) "{\"ip-address\":\"10.0.0.1\",\"hostname\":\"" name "\"}"
#define G8(group)  group group group group group group group group
/** A client-id of 128 octets. */
#define ID128 G8(G8("aa:")) G8(G8("aa:"))

static void test_captured_files_yield_their_leases(void **state)
{
	static const struct {
		const char *file;
		const char *lines[8];
	} rows[] = {
		{"leases-v4/virbr0.status",
			{"lease 'alpha' 192.168.122.36 52:54:00:00:00:0a - 1795504086",
				"lease '' 192.168.122.37 52:54:00:00:00:0b - 1795504089",
				"lease 'Gamma' 192.168.122.38 52:54:00:00:00:0c - 1795504092"}},
		{"leases-v6/virbr1.status",
			{"lease 'static1' 192.168.150.11 52:54:00:00:01:01 - 1795500635",
				"lease 'want2' 192.168.150.12 52:54:00:00:01:02 - 0",
				"lease 'byname' 192.168.150.13 52:54:00:00:01:03 - 1795500635",
				"lease 'dyn1' 192.168.150.117 52:54:00:00:01:0d - 1795500639",
				"lease 'dyn1-six' fd00:150::1df 52:54:00:00:01:0d "
				"0003000152540000010d 1795500667",
				"lease 'static1' fd00:150::11 52:54:00:00:01:01 "
				"00030001525400000101 1795500667"}},
		{"infinite/virbr2.status",
			{"lease 'forever' 192.168.160.171 52:54:00:00:02:01 - 0"}},
		{"libvirt-11.3/virbr1.status",
			{"lease 'tri2' 192.168.150.102 52:54:00:00:09:02 - 1795501713",
				"lease 'dyn1-six' fd00:150::141 52:54:00:00:09:02 "
				"00030001525400000902 1795501714"}},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse_capture(&records, &format_libvirt_status, rows[i].file);
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.report.skipped, 0);
		records_expect(&records, rows[i].lines);
	}
}

static void test_entry_is_read_by_what_it_says(void **state)
{
	/* Each is the only entry of its file. */
	static const struct {
		struct bytes entry;
		const char *line;
	} rows[] = {
		{BYTES("{\"ip-address\":\"10.0.0.1\"}"), "lease '' 10.0.0.1 - - 0"},
		{BYTES("{ \"expiry-time\" : 5 ,\n\"ip-address\" : \"10.0.0.1\" }"),
			"lease '' 10.0.0.1 - - 5"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"hostname\":\"six\"}"),
			"lease 'six' fd00::1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"1795504086\"}"),
			"lease '' 10.0.0.1 - - 1795504086"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"0\"}"),
			"lease '' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"0042\"}"),
			"lease '' 10.0.0.1 - - 42"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"expiry-time\":253402300799}"),
			"lease '' 10.0.0.1 - - 253402300799"},
		/* Unknown keys, of whatever type. */
		{BYTES("{\"x\":{\"ip-address\":[1.5,null]},\"ip-address\":\"10.0.0.1\"}"),
			"lease '' 10.0.0.1 - - 0"},
		{BYTES("{\"iaid\":7,\"server-duid\":false,\"ip-address\":\"10.0.0.1\"}"),
			"lease '' 10.0.0.1 - - 0"},
		/* JSON's escapes: the key and the value are what they stand for. */
		{BYTES("{\"ip\\u002daddress\":\"10\\u002e0.0.1\",\"hostname\":\"\\u0061\\/b\"}"),
			"lease 'a/b' 10.0.0.1 - - 0"},
		/* The last of two counts, as for libvirt. */
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"ip-address\":\"10.0.0.2\"}"),
			"lease '' 10.0.0.2 - - 0"},
		/* Names are carried as they are. */
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"*.evil name\\\"\\\\x\"}"),
			"lease '*.evil name\"\\x' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"a\\u0000b\"}"),
			"lease 'a\\00b' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"b\xc3\xbc\"}"),
			"lease 'b\\c3\\bc' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"\xff\xfe\"}"),
			"lease '\\ff\\fe' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"..\"}"),
			"lease '..' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"hostname\":\"\"}"),
			"lease '' 10.0.0.1 - - 0"},
		/* A client-id makes a DUID for IPv6 alone, and never costs the lease. */
		{BYTES("{\"ip-address\":\"10.0.0.1\",\"client-id\":\"00:03:00:01:aa\"}"),
			"lease '' 10.0.0.1 - - 0"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"client-id\":\"0:3:0:1:A\"}"),
			"lease '' fd00::1 - 000300010a 0"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"client-id\":\"junk\"}"),
			"lease '' fd00::1 - - 0"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"client-id\":\"\"}"),
			"lease '' fd00::1 - - 0"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"client-id\":12}"), "lease '' fd00::1 - - 0"},
		{BYTES("{\"ip-address\":\"fd00::1\",\"client-id\":\"" ID128 "aa:aa:aa\"}"),
			"lease '' fd00::1 - - 0"},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[1024] = "[";

		memcpy(text + 1, rows[i].entry.ptr, rows[i].entry.len);
		text[1 + rows[i].entry.len] = ']';
		records_parse(&records, &format_libvirt_status,
			(struct bytes){(const uint8_t *)text, rows[i].entry.len + 2});
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, (const char *const[]){rows[i].line, NULL});
	}
}

static void test_longest_duid_is_whole(void **state)
{
	struct records records = {0};
	size_t octets = 0;

	(void)state;
	records_parse(&records, &format_libvirt_status,
		bytes_of_text("[{\"ip-address\":\"fd00::1\",\"client-id\":\"" ID128 "aa:bb\"}]"));
	assert_int_equal(records.count, 1);
	for (const char *at = strstr(records.lines[0], "aa"); at && *at != ' '; at += 2)
		octets++;
	assert_int_equal(octets, 130);
	assert_non_null(strstr(records.lines[0], "aabb 0"));
}

static void test_bad_record_costs_only_itself(void **state)
{
	static const struct {
		const char *entry;
		enum format_defect defect;
	} rows[] = {
		{"1", FORMAT_DEFECT_SYNTAX},
		{"null", FORMAT_DEFECT_SYNTAX},
		{"nonsense", FORMAT_DEFECT_SYNTAX},
		{"[]", FORMAT_DEFECT_SYNTAX},
		{"\"x\"", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",}", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\" \"10.0.0.1\"}", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\"} x", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",\"hostname\":7}", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",\"hostname\":null}", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",\"hostname\":[\"a\"]}", FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",\"hostname\":\"\\ud8\"}", FORMAT_DEFECT_SYNTAX},
		{"{}", FORMAT_DEFECT_ADDRESS},
		{"{\"hostname\":\"a\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":null}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":17}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"10.0.0\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"10.0.0.1\\u0000\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"127.0.0.1\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"0.0.0.0\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"255.255.255.255\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"fe80::1\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"::ffff:10.0.0.1\"}", FORMAT_DEFECT_ADDRESS},
		{"{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"\"}", FORMAT_DEFECT_MAC},
		{"{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"5:4\"}", FORMAT_DEFECT_MAC},
		{"{\"ip-address\":\"10.0.0.1\",\"mac-address\":5}", FORMAT_DEFECT_MAC},
		{"{\"ip-address\":\"10.0.0.1\",\"mac-address\":null}", FORMAT_DEFECT_MAC},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":-1}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":1.5}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":null}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":true}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"\"}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"-1\"}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"1 \"}", FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"1x\"}", FORMAT_DEFECT_EXPIRY},
		/* One second after the year 9999; beyond 63 and beyond 64 bits. */
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":253402300800}",
			FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"253402300800\"}",
			FORMAT_DEFECT_EXPIRY},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":9223372036854775808}",
			FORMAT_DEFECT_EXPIRY},
		/* json-c 0.18 refuses to read it at all. */
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":99999999999999999999}",
			JSON_C_VERSION_NUM < (18 << 8) ? FORMAT_DEFECT_EXPIRY
						       : FORMAT_DEFECT_SYNTAX},
		{"{\"ip-address\":\"10.0.0.1\",\"expiry-time\":\"99999999999999999999\"}",
			FORMAT_DEFECT_EXPIRY},
	};
	static const char *const lines[] = {
		"lease 'before' 10.0.0.1 - - 0", "lease 'after' 10.0.0.1 - - 0", NULL};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[512];

		snprintf(text, sizeof(text), "[\n%s,\n%s,\n%s\n]", GOOD("before"), rows[i].entry,
			GOOD("after"));
		records_parse(&records, &format_libvirt_status, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		records_expect(&records, lines);
		assert_int_equal(records.report.skipped, 1);
		assert_int_equal(records.report.line, 3);
		if (records.report.defect != rows[i].defect)
			fail_msg("%s: defect %d", rows[i].entry, records.report.defect);
	}
}

static void test_first_bad_record_is_the_one_reported(void **state)
{
	struct records records = {0};

	(void)state;
	records_parse(&records, &format_libvirt_status,
		bytes_of_text("[\n\n{\"ip-address\":\"10.0.0.1\",\"mac-address\":1},\n{},1]"));
	assert_int_equal(records.status, PARSER_OK);
	assert_int_equal(records.report.skipped, 3);
	assert_int_equal(records.report.line, 3);
	assert_int_equal(records.report.defect, FORMAT_DEFECT_MAC);
}

static void test_broken_document_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text;
		enum parser_status status;
		size_t line;
	} rows[] = {
		{"{}", PARSER_E_SYNTAX, 1},
		{"\n\nx", PARSER_E_SYNTAX, 3},
		{"[\n" GOOD("a"), PARSER_E_SYNTAX, 2},
		{"[\n" GOOD("a") ",\n", PARSER_E_SYNTAX, 3},
		{"[\n" GOOD("a") ",\n]", PARSER_E_SYNTAX, 3},
		{"[\n" GOOD("a") ",\n,1]", PARSER_E_SYNTAX, 3},
		{"[\n{\"ip-address\":\"10.0.0", PARSER_E_SYNTAX, 2},
		{"[\n1,\n" GOOD("a") "\n]\nx", PARSER_E_SYNTAX, 5},
		{"[\n{\"a\":[[[[[[[[1]]]]]]]]}\n]", PARSER_E_LIMIT, 2},
	};
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		records_parse(&records, &format_libvirt_status, bytes_of_text(rows[i].text));
		if (records.status != rows[i].status || records.report.line != rows[i].line)
			fail_msg("%s: status %d, line %zu", rows[i].text, records.status,
				records.report.line);
	}
}

static void test_every_truncation_of_a_captured_file_is_broken(void **state)
{
	struct records records = {0};
	size_t len;
	char *text = scratch_read(TESTS_DATA_DIR "/captures/leases-v6/virbr1.status", &len);

	(void)state;
	while (text[len - 1] != ']')
		len--;
	for (size_t cut = 1; cut < len; cut++) {
		records_parse(&records, &format_libvirt_status,
			(struct bytes){(const uint8_t *)text, cut});
		assert_int_equal(records.status, PARSER_E_SYNTAX);
	}
	free(text);
}

static void test_oversized_record_costs_only_itself(void **state)
{
	/* In the plain shape and in another: one octet too many, and just fitting. */
	static const char *const shapes[] = {"a", "\\u0061"};
	const size_t room = JSON_SLICES_ELEMENT_OCTETS_MAX - sizeof(GOOD("")) + 1;
	struct records records = {0};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const char *shape = shapes[i / 2];
		const size_t fill = room - strlen(shape) + i % 2;
		char *text = NULL;

		assert_true(asprintf(&text,
				    "[%s,{\"ip-address\":\"10.0.0.1\",\"hostname\":\"%s%*s"
				    "\"}]",
				    GOOD("good"), shape, (int)fill, "") > 0);
		records_parse(&records, &format_libvirt_status, bytes_of_text(text));
		assert_int_equal(records.status, PARSER_OK);
		assert_int_equal(records.count, i % 2 ? 1 : 2);
		assert_int_equal(records.report.skipped, i % 2 ? 1 : 0);
		assert_string_equal(records.lines[0], "lease 'good' 10.0.0.1 - - 0");
		free(text);
	}
}

/* The quick reader against json-c. */

static uint32_t random_state;

/** Marsaglia's xorshift: the same elements everywhere. */
static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % limit;
}

static void print_random(FILE *out, const char *const *from, size_t count)
{
	fputs(from[random_below((uint32_t)count)], out);
}

static void print_random_element(FILE *out)
{
	static const char *const spaces[] = {"", "", "", " ", "\n    ", "\t\r\n", "\v", "\f"};
	static const char *const names[] = {"\"ip-address\"", "\"mac-address\"", "\"hostname\"",
		"\"client-id\"", "\"expiry-time\"", "\"iaid\"", "\"server-duid\"", "\"x\"", "\"\"",
		"\"ip\\u002daddress\"", "\"Hostname\"", "\"hostname \"", "\"b\xc3\xbc\""};
	static const char *const values[] = {"\"10.0.0.1\"", "\"fd00::1\"", "\"127.0.0.1\"",
		"\"52:54:00:00:00:0a\"", "\"00:03:00:01:52:54:00:00:00:0a\"", "\"alpha\"", "\"\"",
		"0", "7", "1795504086", "999999999999999999", "1234567890123456789", "00", "007",
		"-1", "-0", "1.5", "1e3", "18446744073709551616", "\"1795504086\"", "\"0042\"",
		"true", "null", "{}", "[]", "[{\"hostname\":\"a\"}]", "\"\\u0000\"", "\"\\\"\"",
		"\"\\\\\"", "\"\xff\"", "\"tab\there\"", "\"del\x7f\"", "'a'", "NaN"};
	uint32_t members = random_below(6);

	fputc('{', out);
	for (uint32_t i = 0; i < members; i++) {
		print_random(out, spaces, random_below(40) ? 6 : COUNT(spaces));
		print_random(out, names, random_below(2) ? 5 : COUNT(names));
		print_random(out, spaces, random_below(40) ? 6 : COUNT(spaces));
		fputc(':', out);
		print_random(out, spaces, random_below(40) ? 6 : COUNT(spaces));
		print_random(out, values, random_below(4) ? 11 : COUNT(values));
		print_random(out, spaces, random_below(40) ? 6 : COUNT(spaces));
		if (i + 1 < members)
			fputc(',', out);
	}
	fputc('}', out);
}

/** Changes one octet, drops one, doubles one, or cuts the end off. */
static size_t mutate(char *text, size_t len)
{
	static const char octets[] = "{}[]\":,\\ \n0123456789abcu-.+eE/'\x01\x7f\x80\xff";
	size_t at = random_below((uint32_t)len);

	switch (random_below(4)) {
	case 0:
		text[at] = octets[random_below(sizeof(octets))]; /* NUL among them */
		return len;
	case 1:
		memmove(text + at, text + at + 1, len - at - 1);
		return len - 1;
	case 2:
		memmove(text + at + 1, text + at, len - at);
		return len + 1;
	}
	return at;
}

static void assert_entries_equal(
	const struct status_entry *a, const struct status_entry *b, struct bytes element)
{
	for (size_t i = 0; i < STATUS_KEY_COUNT; i++) {
		const struct status_value *left = &a->values[i];
		const struct status_value *right = &b->values[i];

		if (left->type != right->type || !bytes_equal(left->text, right->text) ||
			left->number != right->number)
			fail_msg("they differ in key %zu: %.*s", i, (int)element.len,
				(const char *)element.ptr);
	}
}

static void test_quick_reader_and_json_c_never_disagree(void **state)
{
	struct json_tokener *tokener = NULL;
	size_t plain = 0;
	size_t other = 0;
	size_t bad = 0;

	(void)state;
	random_state = 2463534242;
	for (size_t i = 0; i < 300000; i++) {
		char text[4096];
		FILE *out = fmemopen(text, sizeof(text), "w");
		struct status_entry by_plain;
		struct status_entry by_json;
		struct json_object *object = NULL;
		struct bytes element;
		bool is_plain;

		assert_non_null(out);
		print_random_element(out);
		element = (struct bytes){(const uint8_t *)text, (size_t)ftell(out)};
		fclose(out);
		for (uint32_t n = random_below(4) / 2; n > 0 && element.len > 0; n--)
			element.len = mutate(text, element.len);
		is_plain = format_status_read_plain(element, &by_plain);
		if (format_status_read_json(&tokener, element, &object, &by_json) == PARSER_OK) {
			if (is_plain)
				assert_entries_equal(&by_plain, &by_json, element);
			plain += is_plain;
			other += !is_plain;
		} else {
			if (is_plain)
				fail_msg("json-c refuses: %.*s", (int)element.len, text);
			bad++;
		}
		json_object_put(object);
	}
	json_tokener_free(tokener);
	/* All three ways were gone often. */
	assert_true(plain > 20000);
	assert_true(other > 20000);
	assert_true(bad > 20000);
}

static void test_quick_reader_stops_at_every_octet_that_is_not_plain(void **state)
{
	(void)state;
	/* At every offset within the eight octets that it looks at together. */
	for (size_t at = 0; at < 24; at++) {
		for (unsigned octet = 0; octet < 256; octet++) {
			char text[] = "{\"hostname\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
			const bool expected =
				octet >= 0x20 && octet < 0x80 && octet != '"' && octet != '\\';
			struct status_entry entry;

			text[13 + at] = (char)octet;
			if (format_status_read_plain(
				    (struct bytes){(const uint8_t *)text, sizeof(text) - 1},
				    &entry) != expected)
				fail_msg("octet %u at %zu", octet, at);
		}
	}
}

static void test_libvirts_own_shape_needs_no_json_c(void **state)
{
	static const char *const files[] = {"leases-v4/virbr0.status", "leases-v6/virbr1.status",
		"guests/2-name-with-space/virbr0.status", "libvirt-11.3/virbr1.status"};
	size_t elements = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		size_t len;
		char *text = scratch_read(scratch_path(TESTS_DATA_DIR "/captures", files[i]), &len);
		struct json_slices slices;
		struct bytes element;
		struct status_entry entry;

		json_slices_init(&slices, (struct bytes){(const uint8_t *)text, len});
		while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0) {
			assert_true(format_status_read_plain(element, &entry));
			elements++;
		}
		free(text);
	}
	assert_int_equal(elements, 3 + 6 + 5 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_files_yield_their_leases),
		cmocka_unit_test(test_entry_is_read_by_what_it_says),
		cmocka_unit_test(test_longest_duid_is_whole),
		cmocka_unit_test(test_bad_record_costs_only_itself),
		cmocka_unit_test(test_first_bad_record_is_the_one_reported),
		cmocka_unit_test(test_broken_document_is_told_with_its_line),
		cmocka_unit_test(test_every_truncation_of_a_captured_file_is_broken),
		cmocka_unit_test(test_oversized_record_costs_only_itself),
		cmocka_unit_test(test_quick_reader_and_json_c_never_disagree),
		cmocka_unit_test(test_quick_reader_stops_at_every_octet_that_is_not_plain),
		cmocka_unit_test(test_libvirts_own_shape_needs_no_json_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
