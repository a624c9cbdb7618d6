#include "parser/freshness.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "parser/index_builder.h"
#include "tests/support/scratch.h"

#define NONE SIZE_MAX

/* An index that recorded these sources. The descriptor is the caller's. */
static int index_with(const struct index_source *sources, size_t count, struct index *out_index,
	struct index_window *window)
{
	static const struct bytes zone = {(const uint8_t *)"libvirt", 7};
	struct index_options options = {
		.zones = &zone, .zone_count = 1, .sources = sources, .source_count = count};
	struct store *store = store_new(NULL, 0);
	int fd = memfd_create("index", MFD_CLOEXEC);

	assert_non_null(store);
	assert_int_equal(index_build(store, &options, fd, NULL, NULL), PARSER_OK);
	assert_int_equal(index_init_fd(out_index, fd, window), PARSER_OK);
	store_free(store);
	return fd;
}

/* What freshness_of() says, asked both ways. */
static enum freshness judge(
	const struct index_source *sources, size_t count, char out_path[INDEX_META_TEXT_SIZE])
{
	struct index_window window;
	struct index index;
	int fd = index_with(sources, count, &index, &window);
	enum freshness freshness = freshness_of(&index, out_path);

	assert_int_equal(freshness_of(&index, NULL), freshness);
	close(fd);
	return freshness;
}

static enum freshness judge_but_for(
	const struct index_source *sources, size_t count, const char *excused)
{
	struct index_window window;
	struct index index;
	int fd = index_with(sources, count, &index, &window);
	enum freshness freshness = freshness_but_for(&index, excused);

	close(fd);
	return freshness;
}

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
		{"", FRESHNESS_FRESH, NONE},
		{"S", FRESHNESS_FRESH, NONE},
		{"SASA", FRESHNESS_FRESH, NONE},
		{"SU", FRESHNESS_FRESH, NONE},
		{"UUU", FRESHNESS_FRESH, NONE},
		{"SRS", FRESHNESS_RACY, 1},
		{"URR", FRESHNESS_RACY, 1},
		{"RC", FRESHNESS_STALE, 1},
		{"CR", FRESHNESS_STALE, 0},
		{"SRUC", FRESHNESS_STALE, 3},
		{"SCC", FRESHNESS_STALE, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct index_source sources[4];
		char texts[4][PATH_MAX];
		char path[INDEX_META_TEXT_SIZE];
		size_t count = strlen(cases[i].sources);

		for (size_t j = 0; j < count; j++) {
			sources[j] = source_that_is(*state, cases[i].sources[j]);
			/* "//" leads to the same file: the path tells which source it was. */
			snprintf(texts[j], sizeof(texts[j]), "%.*s%.*s", (int)j, "////",
				(int)sources[j].path.len, (const char *)sources[j].path.ptr);
			sources[j].path = bytes_of_text(texts[j]);
		}
		assert_int_equal(judge(sources, count, path), cases[i].freshness);
		assert_string_equal(path, cases[i].source == NONE ? "" : texts[cases[i].source]);
	}
}

/* Of two paths to the same file one does not count. */
static void test_one_source_may_be_whatever_it_is(void **state)
{
	struct index_source sources[] = {source_that_is(*state, 'C'), source_that_is(*state, 'S')};
	const char *excused = scratch_path(*state, "file");
	char other[PATH_MAX];

	snprintf(other, sizeof(other), "/%s", excused);
	assert_int_equal(judge_but_for(sources, 2, excused), FRESHNESS_FRESH);
	assert_int_equal(judge_but_for(sources, 2, other), FRESHNESS_STALE);
	assert_int_equal(judge_but_for(sources, 2, ""), FRESHNESS_STALE);
	sources[1] = source_that_is(*state, 'R');
	sources[1].path = bytes_of_text(other);
	assert_int_equal(judge_but_for(sources, 2, excused), FRESHNESS_RACY);
	assert_int_equal(judge_but_for(sources, 2, other), FRESHNESS_STALE);
	sources[1].stamp.size++;
	assert_int_equal(judge_but_for(sources, 2, excused), FRESHNESS_STALE);
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

		/* Recorded as absent, which any path that the system takes and misses would match.
		 */
		source.stamp.state = SOURCE_ABSENT;
		assert_int_equal(judge(&source, 1, NULL), FRESHNESS_STALE);
	}
}

static void test_a_spoilt_index_is_stale(void **state)
{
	static const uint8_t zeros[4096];
	struct index index;

	(void)state;
	assert_int_equal(index_init_memory(&index, zeros, sizeof(zeros)), PARSER_OK);
	assert_int_equal(freshness_of(&index, NULL), FRESHNESS_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stale_beats_racy_beats_fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_source_may_be_whatever_it_is, setup, teardown),
		cmocka_unit_test(test_path_that_no_system_call_takes_makes_the_index_stale),
		cmocka_unit_test(test_a_spoilt_index_is_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
