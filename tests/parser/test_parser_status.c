#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parser/parser_status.h"

static void test_every_status_has_a_phrase_of_its_own(void **state)
{
	(void)state;
	for (int a = PARSER_E_CORRUPT; a <= PARSER_OK; a++) {
		const char *phrase = parser_strerror((enum parser_status)a);

		assert_true(strlen(phrase) > 0);
		assert_string_not_equal(phrase, parser_strerror((enum parser_status)1));
		for (int b = PARSER_E_CORRUPT; b < a; b++)
			assert_string_not_equal(phrase, parser_strerror((enum parser_status)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_status_has_a_phrase_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
