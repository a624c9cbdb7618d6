/* The table of findings, and docs/check.md, which explains it to people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/check/check_kind.h"
#include "tests/support/scratch.h"

#define DOCS TESTS_DATA_DIR "/../../docs/check.md"

static void test_each_kind_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_ID_COUNT; i++) {
		const struct check_kind *kind = &check_kinds[i];

		assert_non_null(kind->id);
		assert_int_equal(strspn(kind->id, "abcdefghijklmnopqrstuvwxyz-"), strlen(kind->id));
		assert_true(kind->subject && kind->subject[0]);
		assert_true(kind->why && kind->why[0]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(check_kinds[k].id, kind->id);
	}
}

static void test_docs_tell_each_kind_and_how_bad_it_is(void **state)
{
	char *docs = scratch_read(DOCS, NULL);
	size_t rows = 0;

	(void)state;
	for (size_t i = 0; i < CHECK_ID_COUNT; i++) {
		const struct check_kind *kind = &check_kinds[i];
		char row[128];

		snprintf(row, sizeof(row), "\n| `%s` | %s%s |", kind->id,
			check_severity_word(kind->severity), kind->closes ? ", error" : "");
		if (!strstr(docs, row))
			fail_msg("%s has no row '%s'", DOCS, row + 1);
	}
	/* And none that there is not. */
	for (const char *at = docs; (at = strstr(at, "\n| `")); at++)
		rows++;
	assert_int_equal(rows, CHECK_ID_COUNT);
	free(docs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_is_whole),
		cmocka_unit_test(test_docs_tell_each_kind_and_how_bad_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
