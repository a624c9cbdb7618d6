#include "server/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_octets_are_spread_evenly(void **state)
{
	static unsigned counts[256];
	struct random_pool pool = {0};
	const unsigned expected = 4000;
	double chi = 0;
	(void)state;

	for (unsigned i = 0; i < 256 * expected / 16; i++) {
		uint8_t octets[16];

		random_take(&pool, octets, sizeof(octets));
		for (size_t j = 0; j < sizeof(octets); j++)
			counts[octets[j]]++;
	}
	for (unsigned i = 0; i < 256; i++) {
		double off = (double)counts[i] - expected;

		chi += off * off / expected;
	}
	/* 255 degrees of freedom: outside of this once in a million runs. */
	assert_true(chi > 155 && chi < 377);
}

static void test_what_was_given_out_is_erased(void **state)
{
	static const uint8_t none[RANDOM_BLOCK_OCTETS];
	struct random_pool pool = {0};
	uint8_t octets[RANDOM_BLOCK_OCTETS];
	(void)state;

	random_take(&pool, octets, 100);
	assert_int_equal(pool.left, RANDOM_BLOCK_OCTETS - 100);
	assert_memory_equal(pool.octets + pool.left, none, 100);
	random_take(&pool, octets, sizeof(octets)); /* More than is left: all anew. */
	assert_int_equal(pool.left, 0);
	assert_memory_equal(pool.octets, none, sizeof(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets_are_spread_evenly),
		cmocka_unit_test(test_what_was_given_out_is_erased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
