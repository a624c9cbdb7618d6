/* Expected values: of "somepseudorandomly.." with the key 00 01 .. 0f, and for the key 0 what
 * Python 3.11's hash() says of bytes with PYTHONHASHSEED=0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/support/siphash.h"

static const struct siphash_key key_counting = {
	{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

static void test_every_length_of_the_last_word(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} cases[] = {
		{0, UINT64_C(0xabac0158050fc4dc)},
		{1, UINT64_C(0xc9f49bf37d57ca93)},
		{7, UINT64_C(0xd3927d989bb11140)},
		{8, UINT64_C(0x369095118d299a8e)},
		{15, UINT64_C(0xd320d86d2a519956)},
		{33, UINT64_C(0x4d54b9e57a8ff9bf)},
	};
	uint8_t octets[64];

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(siphash_1_3(&key_counting, octets, cases[i].len) == cases[i].hash);
}

static void test_agrees_with_python(void **state)
{
	static const struct siphash_key key = {{0, 0}};
	static const struct {
		const char *text;
		uint64_t hash;
	} cases[] = {
		{"a", UINT64_C(0x407448d2b89b1813)},
		{"12345678", UINT64_C(0x3489982430560a87)},
		{"vm.example", UINT64_C(0xf1ccdf402a743156)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(siphash_1_3(&key, (const uint8_t *)cases[i].text,
				    strlen(cases[i].text)) == cases[i].hash);
}

static void test_another_key_is_another_hash(void **state)
{
	struct siphash_key other = key_counting;

	(void)state;
	other.words[1] ^= 1;
	assert_true(siphash_1_3(&key_counting, (const uint8_t *)"vm", 2) !=
		    siphash_1_3(&other, (const uint8_t *)"vm", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_of_the_last_word),
		cmocka_unit_test(test_agrees_with_python),
		cmocka_unit_test(test_another_key_is_another_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
