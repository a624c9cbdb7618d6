/* Memory that runs out. The allocator is replaced, which a sanitizer would not stand; then there is
 * nothing to run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>

#include "parser/json_slices.h"
#include "tests/parser/records.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOCATOR_IS_TAKEN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATOR_IS_TAKEN
#endif

#ifndef ALLOCATOR_IS_TAKEN

/* What json-c has to find in our program. */
#define REPLACES __attribute__((visibility("default")))

/* glibc's own, below what can be replaced. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *ptr);

static size_t allocations; /* since the last reset */
static size_t live;        /* octets that are allocated now */
static size_t live_most;
static size_t live_max = SIZE_MAX;

/* At least what the allocator takes from the system for it. */
static size_t octets_of(void *ptr)
{
	return ptr ? malloc_usable_size(ptr) + sizeof(size_t) : 0;
}

static bool has_room(size_t size)
{
	allocations++;
	return live <= live_max && size <= live_max - live;
}

static void *count_in(void *ptr)
{
	live += octets_of(ptr);
	if (live > live_most)
		live_most = live;
	return ptr;
}

REPLACES void *malloc(size_t size)
{
	return has_room(size) ? count_in(__libc_malloc(size)) : NULL;
}

REPLACES void *calloc(size_t count, size_t size)
{
	return has_room(count * size) ? count_in(__libc_calloc(count, size)) : NULL;
}

REPLACES void *realloc(void *old, size_t size)
{
	void *fresh;
	size_t before = octets_of(old);

	if (!has_room(size)) /* Both may live for a while. */
		return NULL;
	fresh = __libc_realloc(old, size);
	if (fresh)
		live -= before;
	return fresh ? count_in(fresh) : NULL;
}

REPLACES void free(void *ptr)
{
	live -= octets_of(ptr);
	__libc_free(ptr);
}

static bool count_record(void *ctx, const struct record *record)
{
	*(size_t *)ctx += record->name.len;
	return true;
}

/** Parses with ever more memory, until there is enough. Before, it must be told that there was
 * none; then, nothing may be lost. */
static void parse_with_ever_more_memory(const struct format *format, const char *text)
{
	struct format_report report;
	enum parser_status status;
	size_t expected = 0;
	size_t tries = 0;
	size_t seen = 0;

	assert_int_equal(
		format_parse(format, bytes_of_text(text), count_record, &expected, &report),
		PARSER_OK);
	assert_int_equal(report.skipped, 0);
	for (size_t more = 0;; more += 97) {
		const size_t before = live;

		seen = 0;
		live_max = live + more;
		status = format_parse(format, bytes_of_text(text), count_record, &seen, &report);
		live_max = SIZE_MAX;
		assert_int_equal(live, before);
		assert_int_equal(report.skipped, 0);
		tries++;
		if (status == PARSER_OK)
			break;
		assert_int_equal(status, PARSER_E_NO_MEMORY);
	}
	assert_int_equal(seen, expected);
	assert_true(tries > 10);
}

static void test_no_memory_is_told_and_loses_nothing(void **state)
{
	(void)state;
	parse_with_ever_more_memory(&format_libvirt_status,
		"[{\"ip-address\":\"10.0.0.1\",\"hostname\":\"b\\u00fccher\"},"
		"{\"ip-address\":\"10.0.0.2\",\"hostname\":\"a name that is longer than any "
		"buffer that json-c may have of its own \\u00fc\",\"x\":[1,{\"y\":2.5}]}]");
	parse_with_ever_more_memory(&format_libvirt_macs,
		"[{\"domain\":\"\\u00e4\",\"macs\":[\"52:54:00:00:00:01\","
		"\"52:54:00:00:00:02\"]}]");
}

/** What json-c takes for `{"domain":"a","x":[item,item,...]}` must not pass what was probed for. */
static void test_greediest_elements_take_less_than_was_probed_for(void **state)
{
	static const char *const items[] = {"{}", "[]", "1", "\"\"", "1.5", "null", "[{}]",
		"{\"a\":{}}", "[[[{}]]]", "\"\\u00fc\"", "{\"a\":1,\"b\":2}"};
	struct format_report report;

	(void)state;
	for (size_t i = 0; i < COUNT(items); i++) {
		for (size_t count = 1; count <= 1001; count += 100) {
			char *text = NULL;
			size_t len = 0;
			size_t seen = 0;
			size_t before;
			FILE *out = open_memstream(&text, &len);

			assert_non_null(out);
			fputs("[{\"domain\":\"a\",\"x\":[", out);
			for (size_t n = 0; n < count; n++)
				fprintf(out, "%s%s", n ? "," : "", items[i]);
			fputs("]}]", out);
			fclose(out);
			/* The probe itself has to be the most that ever lives: it, and its last
			 * page. */
			before = live;
			live_most = live;
			format_parse(&format_libvirt_macs, bytes_of_text(text), count_record, &seen,
				&report);
			assert_int_equal(report.records, 1);
			if (live_most - before > JSON_SLICES_BUILD_OCTETS(len - 2) + 4096)
				fail_msg("%zu of %s: %zu for %zu octets", count, items[i],
					live_most - before, len);
			free(text);
		}
	}
}

static void test_plain_entries_and_lines_need_no_memory(void **state)
{
	static const struct {
		const struct format *format;
		const char *text;
	} rows[] = {
		{&format_libvirt_status, "[{\"ip-address\":\"10.0.0.1\",\"hostname\":\"abc\"}]"},
		{&format_libvirt_macs, "[{\"domain\":\"abc\",\"macs\":[\"52:54:00:00:00:01\"]}]"},
		{&format_libvirt_hostsfile, "52:54:00:00:00:01,10.0.0.1,abc"},
		{&format_libvirt_addnhosts, "10.0.0.1 abc"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct format_report report;
		size_t seen = 0;

		allocations = 0;
		assert_int_equal(format_parse(rows[i].format, bytes_of_text(rows[i].text),
					 count_record, &seen, &report),
			PARSER_OK);
		assert_int_equal(allocations, 0);
		assert_int_equal(seen, 3);
	}
}

#endif

int main(void)
{
#ifndef ALLOCATOR_IS_TAKEN
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_memory_is_told_and_loses_nothing),
		cmocka_unit_test(test_greediest_elements_take_less_than_was_probed_for),
		cmocka_unit_test(test_plain_entries_and_lines_need_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
