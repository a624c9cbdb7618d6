#include "parser/freshness.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define UNTOUCHED SIZE_MAX

static int setup(void **state)
{
	const struct timespec long_ago[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
	char *directory = scratch_new();

	scratch_write(directory, "file", "text", 4);
	*state = directory;
	return utimensat(AT_FDCWD, scratch_path(directory, "file"), long_ago, 0);
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

/* A source that compares as the letter says: Same, Racy, Changed, Unseen, Absent as before. */
static struct index_source source_that_is(const char *directory, char letter)
{
	bool is_there = letter == 'S' || letter == 'R' || letter == 'C';
	const char *path = scratch_path(directory, is_there ? "file" : "missing/file");
	struct index_source source = {.path = bytes_of_text(path)};

	source_stamp_take(path, &source.stamp);
	if (letter == 'R')
		source.stamp.observed_ns = source.stamp.mtime_ns;
	if (letter == 'C')
		source.stamp.size++;
	if (letter == 'U')
		source.stamp.state = SOURCE_FILE;
	return source;
}

static void test_stale_beats_racy_beats_fresh(void **state)
{
	const struct {
		const char *sources;
		enum freshness freshness;
		size_t source;
	} cases[] = {
		{"", FRESHNESS_FRESH, UNTOUCHED},
		{"S", FRESHNESS_FRESH, UNTOUCHED},
		{"SASA", FRESHNESS_FRESH, UNTOUCHED},
		{"SU", FRESHNESS_FRESH, UNTOUCHED},
		{"UUU", FRESHNESS_FRESH, UNTOUCHED},
		{"SRS", FRESHNESS_RACY, 1},
		{"URR", FRESHNESS_RACY, 1},
		{"RC", FRESHNESS_STALE, 1},
		{"CR", FRESHNESS_STALE, 0},
		{"SRUC", FRESHNESS_STALE, 3},
		{"SCC", FRESHNESS_STALE, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct index_source sources[4];
		struct index_meta meta = {
			.sources = sources, .source_count = strlen(cases[i].sources)};
		size_t source = UNTOUCHED;

		for (size_t j = 0; j < meta.source_count; j++)
			sources[j] = source_that_is(*state, cases[i].sources[j]);
		assert_int_equal(freshness_of(&meta, &source), cases[i].freshness);
		assert_int_equal(source, cases[i].source);
		assert_int_equal(freshness_of(&meta, NULL), cases[i].freshness);
	}
}

/* The paths of an index stand one behind the other, without a NUL. */
static void test_path_ends_where_its_view_ends(void **state)
{
	struct index_source source = source_that_is(*state, 'S');
	struct index_meta meta = {.sources = &source, .source_count = 1};
	char longer[PATH_MAX + 8] = "";

	memcpy(longer, source.path.ptr, source.path.len);
	memcpy(longer + source.path.len, "trailing", 8);
	source.path.ptr = (const uint8_t *)longer;
	assert_int_equal(freshness_of(&meta, NULL), FRESHNESS_FRESH);
	source.path.len += 8;
	assert_int_equal(freshness_of(&meta, NULL), FRESHNESS_STALE);
}

static void test_path_that_no_system_call_takes_makes_the_index_stale(void **state)
{
	static const uint8_t long_path[PATH_MAX] = {[0 ... PATH_MAX - 1] = '/'};
	const struct bytes paths[] = {
		{NULL, 0},
		{(const uint8_t *)"", 0},
		{(const uint8_t *)"/\0x", 3},
		{long_path, PATH_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct index_source source = {.path = paths[i]};
		struct index_meta meta = {.sources = &source, .source_count = 1};

		/* Recorded as absent, which any path that the system takes and misses would match.
		 */
		source.stamp.state = SOURCE_ABSENT;
		assert_int_equal(freshness_of(&meta, NULL), FRESHNESS_STALE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stale_beats_racy_beats_fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_path_ends_where_its_view_ends, setup, teardown),
		cmocka_unit_test(test_path_that_no_system_call_takes_makes_the_index_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
