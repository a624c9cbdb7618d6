/* Every allocation of the loader fails once. The sources are compiled in here with an allocator
 * that does as it is told, which works beside a sanitizer's as well. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static size_t allocations_left; /* Until one fails. */
static size_t blocks_alive;

static void *failing_realloc(void *block, size_t size)
{
	void *fresh;

	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	fresh = realloc(block, size);
	if (fresh && !block)
		blocks_alive++;
	return fresh;
}

static void *failing_malloc(size_t size)
{
	return failing_realloc(NULL, size);
}

static void *failing_calloc(size_t count, size_t size)
{
	void *block = failing_realloc(NULL, count * size);

	if (block)
		memset(block, 0, count * size);
	return block;
}

static void counting_free(void *block)
{
	if (block)
		blocks_alive--;
	free(block);
}

#ifndef LEASEDNS_INDEX_FILE
#define LEASEDNS_INDEX_FILE "/run/leasedns/index.cdb"
#endif
#define malloc  failing_malloc
#define calloc  failing_calloc
#define realloc failing_realloc
#define free    counting_free
#include "conf/conf.c"
#include "conf/conf_endpoint.c"
#include "conf/conf_file.c"
#include "conf/conf_message.c"
#include "conf/conf_parse.c"
#include "conf/conf_print.c"
#include "conf/conf_table.c"
#include "conf/conf_value.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

static const char everything[] = "[server]\nlisten = ::1 127.0.0.1\n"
				 "[zone]\nname = a b.c d\nttl = 1\n"
				 "[network]\nbr0 = a\nbr1 = b\n"
				 "[leases]\nlibvirt = /a /b /c\n"
				 "[index]\nfile = /x/y\n"
				 "[forward]\nupstream = ::1\nzone.a = ::1\nzone.b = ::2\n";

/* Text of the file; defaults: array, array, string, array, string, string; of the file: array;
 * array and 3; twice array and 2; array and 3; string; array; twice name, array and list. */
#define ALLOCATIONS (1 + 6 + 1 + 4 + 6 + 4 + 1 + 1 + 6)

static void test_each_allocation_that_fails_is_told_and_leaks_nothing(void **state)
{
	char *directory = scratch_new();
	struct conf untouched;
	struct conf conf;
	struct conf_error error;

	(void)state;
	scratch_write(directory, "conf", everything, strlen(everything));
	memset(&untouched, 0xa5, sizeof(untouched));
	for (size_t allowed = 0; allowed < ALLOCATIONS; allowed++) {
		memset(&error, 0, sizeof(error));
		conf = untouched;
		allocations_left = allowed;
		assert_int_equal(conf_load(scratch_path(directory, "conf"), &conf, &error),
			CONF_E_NO_MEMORY);
		assert_string_equal(error.message, "out of memory");
		assert_memory_equal(&conf, &untouched, sizeof(conf));
		assert_int_equal(blocks_alive, 0);
	}
	allocations_left = ALLOCATIONS;
	assert_int_equal(conf_load(scratch_path(directory, "conf"), &conf, &error), CONF_OK);
	assert_int_equal(allocations_left, 0);
	conf_done(&conf);
	assert_int_equal(blocks_alive, 0);
	scratch_free(directory);
}

static void test_refused_values_leak_nothing(void **state)
{
	static const char *const texts[] = {"[zone]\nname = a b a\n", "[leases]\nlibvirt = /a b\n",
		"[server]\nlisten = ::1 ::1\n", "[network]\na = b\nc = b\n",
		"[network]\na = b\na = c\n", "[zone]\nname = x\nname = y\n",
		"[forward]\nupstream = ::1 ::1\n", "[forward]\nupstream = ::1 ::\n",
		"[forward]\nzone.a = ::1 ::\n", "[forward]\nzone.a = ::1\nzone.A = ::2\n"};
	char *directory = scratch_new();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct conf_error error;
		struct conf conf;
		enum conf_status rc;

		scratch_write(directory, "conf", texts[i], strlen(texts[i]));
		allocations_left = SIZE_MAX;
		rc = conf_load(scratch_path(directory, "conf"), &conf, &error);
		assert_true(rc == CONF_E_VALUE || rc == CONF_E_KEY);
		assert_int_equal(blocks_alive, 0);
	}
	scratch_free(directory);
}

static void test_defaults_that_find_no_memory_touch_nothing(void **state)
{
	struct conf untouched;
	struct conf conf;

	(void)state;
	memset(&untouched, 0xa5, sizeof(untouched));
	for (size_t allowed = 0; allowed < 6; allowed++) {
		conf = untouched;
		allocations_left = allowed;
		assert_int_equal(conf_init_defaults(&conf), CONF_E_NO_MEMORY);
		assert_memory_equal(&conf, &untouched, sizeof(conf));
		assert_int_equal(blocks_alive, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_that_fails_is_told_and_leaks_nothing),
		cmocka_unit_test(test_refused_values_leak_nothing),
		cmocka_unit_test(test_defaults_that_find_no_memory_touch_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
