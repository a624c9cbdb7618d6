#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/check/check_report.h"

static void test_texts_are_kept_and_made_harmless(void **state)
{
	struct check_report report = {0};

	(void)state;
	check_fact(&report, "index", "%s: %d names", "/run/x\x1b[2J", 3);
	assert_string_equal(report.facts[0].text, "/run/x?[2J: 3 names");
	assert_true(check_find(&report, CHECK_INDEX_STALE, "caf\xc3\xa9 %d", 1));
	assert_string_equal(report.findings[0].what, "caf?? 1");
	assert_null(report.findings[0].mend);
	check_mend(&report, "one");
	check_mend(&report, "two %s", "2\n");
	assert_string_equal(report.findings[0].mend, "one\ntwo 2?");
	assert_false(report.no_memory);
	check_report_done(&report);
	assert_int_equal(report.finding_count, 0);
}

static void test_many_of_a_kind_are_counted(void **state)
{
	struct check_report report = {0};

	(void)state;
	for (size_t i = 0; i < CHECK_REPORT_SAME_MAX + 5; i++)
		assert_int_equal(check_find(&report, CHECK_NAME_SHARED, "%zu", i),
			i < CHECK_REPORT_SAME_MAX);
	assert_true(check_find(&report, CHECK_NAME_HIDDEN, "another kind"));
	assert_int_equal(report.finding_count, CHECK_REPORT_SAME_MAX + 1);
	assert_int_equal(report.omitted[CHECK_NAME_SHARED], 5);
	assert_int_equal(check_report_count(&report, CHECK_WARNING), CHECK_REPORT_SAME_MAX + 5);
	assert_int_equal(check_report_count(&report, CHECK_NOTE), 1);
	check_report_done(&report);
}

static void test_closed_ways_are_errors_only_if_none_is_left(void **state)
{
	static const struct {
		bool names_resolve;
		enum check_severity lacks, hides, stale, missing;
	} cases[] = {
		{true, CHECK_NOTE, CHECK_WARNING, CHECK_WARNING, CHECK_ERROR},
		{false, CHECK_ERROR, CHECK_ERROR, CHECK_WARNING, CHECK_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct check_report report = {0};
		enum check_severity found[CHECK_ID_COUNT] = {0};

		check_find(&report, CHECK_RESOLVER_NOT_US, "note");
		check_find(&report, CHECK_NSSWITCH_HIDES_US, "warning");
		check_find(&report, CHECK_INDEX_STALE, "warning");
		check_find(&report, CHECK_LEASES_MISSING, "error");
		check_report_settle(&report, cases[i].names_resolve);
		for (size_t k = 0; k < report.finding_count; k++) {
			found[report.findings[k].id] = report.findings[k].severity;
			/* Worst first. */
			if (k > 0)
				assert_true(report.findings[k - 1].severity >=
					    report.findings[k].severity);
		}
		assert_int_equal(found[CHECK_RESOLVER_NOT_US], cases[i].lacks);
		assert_int_equal(found[CHECK_NSSWITCH_HIDES_US], cases[i].hides);
		assert_int_equal(found[CHECK_INDEX_STALE], cases[i].stale);
		assert_int_equal(found[CHECK_LEASES_MISSING], cases[i].missing);
		assert_true(check_report_has(&report, CHECK_INDEX_STALE));
		assert_false(check_report_has(&report, CHECK_INDEX_MISSING));
		check_report_done(&report);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_are_kept_and_made_harmless),
		cmocka_unit_test(test_many_of_a_kind_are_counted),
		cmocka_unit_test(test_closed_ways_are_errors_only_if_none_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
