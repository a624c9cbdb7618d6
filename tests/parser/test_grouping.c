#include "parser/grouping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct bytes number_key(char text[16], unsigned number)
{
	snprintf(text, 16, "key-%u", number);
	return bytes_of_text(text);
}

static void test_items_come_back_under_their_key_in_order(void **state)
{
	enum { KEYS = 5000, ROUNDS = 3 };
	struct grouping *grouping = grouping_new(sizeof(unsigned));
	char text[16];

	(void)state;
	grouping_expect(grouping, 100, 7, 3000);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < KEYS; i++) {
			unsigned item = round * KEYS + i;

			assert_int_equal(
				grouping_add(grouping, number_key(text, i), &item), PARSER_OK);
		}
	}
	assert_int_equal(grouping_count(grouping), KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		size_t position = grouping_find(grouping, number_key(text, i));
		unsigned items[ROUNDS];

		assert_int_equal(position, i);
		assert_true(bytes_equal(grouping_key(grouping, position), bytes_of_text(text)));
		assert_int_equal(grouping_item_count(grouping, position), ROUNDS);
		grouping_items(grouping, position, items);
		for (unsigned round = 0; round < ROUNDS; round++)
			assert_int_equal(items[round], round * KEYS + i);
	}
	grouping_free(grouping);
}

static void test_keys_are_compared_whole(void **state)
{
	struct grouping *grouping = grouping_new(1);
	struct bytes with_nul = {(const uint8_t *)"a\0b", 3};
	struct bytes other_nul = {(const uint8_t *)"a\0c", 3};

	(void)state;
	assert_int_equal(grouping_find(grouping, with_nul), SIZE_MAX);
	assert_int_equal(grouping_add(grouping, with_nul, "x"), PARSER_OK);
	assert_int_equal(grouping_find(grouping, other_nul), SIZE_MAX);
	assert_int_equal(grouping_find(grouping, bytes_of_text("a")), SIZE_MAX);
	assert_int_equal(grouping_add(grouping, (struct bytes){NULL, 0}, "y"), PARSER_OK);
	assert_int_equal(grouping_find(grouping, bytes_of_text("")), 1);
	grouping_free(grouping);
}

static void test_keys_without_items(void **state)
{
	struct grouping *grouping = grouping_new(0);

	(void)state;
	assert_int_equal(grouping_add(grouping, bytes_of_text("a"), NULL), PARSER_OK);
	assert_int_equal(grouping_add(grouping, bytes_of_text("a"), NULL), PARSER_OK);
	assert_int_equal(grouping_count(grouping), 1);
	grouping_free(grouping);
	grouping_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_come_back_under_their_key_in_order),
		cmocka_unit_test(test_keys_are_compared_whole),
		cmocka_unit_test(test_keys_without_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
