#include "parser/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define NOBODY 65534
/* A moment long past: what carries it is not racy. */
#define LONG_AGO_S  1700000000
#define LONG_AGO_NS INT64_C(1700000000123456789)

static void set_mtime(const char *path, int64_t seconds, long nanoseconds)
{
	const struct timespec times[2] = {
		{.tv_sec = seconds, .tv_nsec = nanoseconds},
		{.tv_sec = seconds, .tv_nsec = nanoseconds},
	};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void write_old(const char *directory, const char *name, const char *text)
{
	scratch_write(directory, name, text, strlen(text));
	set_mtime(scratch_path(directory, name), LONG_AGO_S, 123456789);
}

static int setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static void test_clock_is_the_coarse_one_in_nanoseconds(void **state)
{
	struct timespec before;
	struct timespec after;
	int64_t now_ns;

	(void)state;
	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	now_ns = source_clock_ns();
	clock_gettime(CLOCK_REALTIME_COARSE, &after);
	assert_true(now_ns >= before.tv_sec * INT64_C(1000000000) + before.tv_nsec);
	assert_true(now_ns <= after.tv_sec * INT64_C(1000000000) + after.tv_nsec);
}

static void test_stamp_of_a_file_holds_all_that_tells_a_change(void **state)
{
	const char *directory = *state;
	struct source_stamp stamp;
	struct stat st;

	write_old(directory, "file", "12345");
	assert_int_equal(stat(scratch_path(directory, "file"), &st), 0);
	source_stamp_of(&st, 42, &stamp);
	assert_int_equal(stamp.state, SOURCE_FILE);
	assert_int_equal(stamp.device, st.st_dev);
	assert_int_equal(stamp.inode, st.st_ino);
	assert_int_equal(stamp.size, 5);
	assert_true(stamp.mtime_ns == LONG_AGO_NS);
	assert_int_equal(stamp.observed_ns, 42);
}

static void test_stamp_leaves_out_what_says_nothing(void **state)
{
	const char *directory = *state;
	struct source_stamp stamp;

	set_mtime(directory, LONG_AGO_S, 123456789);
	source_stamp_take(directory, &stamp);
	assert_int_equal(stamp.state, SOURCE_DIRECTORY);
	assert_int_equal(stamp.size, 0);
	assert_true(stamp.mtime_ns == LONG_AGO_NS);

	assert_int_equal(mkfifo(scratch_path(directory, "fifo"), 0600), 0);
	source_stamp_take(scratch_path(directory, "fifo"), &stamp);
	assert_int_equal(stamp.state, SOURCE_OTHER);
	assert_int_equal(stamp.size, 0);
	assert_int_equal(stamp.mtime_ns, 0);

	source_stamp_take(scratch_path(directory, "missing"), &stamp);
	assert_int_equal(stamp.state, SOURCE_ABSENT);
	assert_int_equal(stamp.inode, 0);
	assert_true(stamp.observed_ns > LONG_AGO_NS);
}

/* Nanoseconds in 64 bits reach from 1677 to 2262; file systems reach further. */
static void test_times_beyond_64_bits_stop_at_the_end(void **state)
{
	const struct {
		time_t seconds;
		long nanoseconds;
		int64_t mtime_ns;
	} cases[] = {
		{9223372036, 854775807, INT64_MAX},
		{9223372036, 854775808, INT64_MAX},
		{9223372037, 0, INT64_MAX},
		{15032385535, 0, INT64_MAX}, /* 2446, the last second of ext4 */
		{-1, 500000000, -500000000},
		{-15032385535, 0, INT64_MIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stat st = {.st_mode = S_IFREG | 0644,
			.st_mtim = {.tv_sec = cases[i].seconds, .tv_nsec = cases[i].nanoseconds}};
		struct source_stamp stamp;

		source_stamp_of(&st, 0, &stamp);
		assert_true(stamp.mtime_ns == cases[i].mtime_ns);
	}
}

static void test_stamps_differ_in_each_field_but_the_time_of_observation(void **state)
{
	const struct source_stamp base = {SOURCE_FILE, 1, 2, 3, 4, 5};
	const struct source_stamp others[] = {
		{SOURCE_DIRECTORY, 1, 2, 3, 4, 5},
		{SOURCE_ABSENT, 1, 2, 3, 4, 5},
		{SOURCE_FILE, 9, 2, 3, 4, 5},
		{SOURCE_FILE, 1, 9, 3, 4, 5},
		{SOURCE_FILE, 1, 2, 9, 4, 5},
		{SOURCE_FILE, 1, 2, 3, 9, 5},
	};
	const struct source_stamp later = {SOURCE_FILE, 1, 2, 3, 4, 9};
	const struct source_stamp absent = {.state = SOURCE_ABSENT, .observed_ns = 7};
	const struct source_stamp absent_later = {.state = SOURCE_ABSENT, .inode = 1};

	(void)state;
	assert_true(source_stamp_same(&base, &base));
	assert_true(source_stamp_same(&base, &later));
	assert_true(source_stamp_same(&absent, &absent_later));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(source_stamp_same(&base, &others[i]));
		assert_false(source_stamp_same(&others[i], &base));
	}
}

static void test_racy_is_less_than_two_ticks_from_the_change(void **state)
{
	const struct {
		enum source_state state;
		int64_t mtime_ns;
		int64_t observed_ns;
		bool racy;
	} cases[] = {
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS, true},
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS + 9999999, true},
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS + 10000000, false},
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS - 1, true}, /* stamped by a finer clock */
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS - 9999999, true},
		{SOURCE_FILE, LONG_AGO_NS, LONG_AGO_NS - 10000000, false}, /* in the future */
		{SOURCE_DIRECTORY, LONG_AGO_NS, LONG_AGO_NS + 1, true},
		{SOURCE_OTHER, LONG_AGO_NS, LONG_AGO_NS + 1, false},
		{SOURCE_ABSENT, 0, 0, false},
		/* As a hostile index might have it: nothing may overflow. */
		{SOURCE_FILE, INT64_MIN, INT64_MAX, false},
		{SOURCE_FILE, INT64_MAX, INT64_MIN, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct source_stamp stamp = {.state = cases[i].state,
			.mtime_ns = cases[i].mtime_ns,
			.observed_ns = cases[i].observed_ns};

		assert_int_equal(source_stamp_is_racy(&stamp), cases[i].racy);
	}
}

static void test_untouched_source_is_the_same(void **state)
{
	const char *directory = *state;
	struct source_stamp stamp;

	write_old(directory, "file", "text");
	set_mtime(directory, LONG_AGO_S, 0);
	source_stamp_take(scratch_path(directory, "file"), &stamp);
	assert_int_equal(source_compare(scratch_path(directory, "file"), &stamp), SOURCE_SAME);
	stamp.observed_ns = stamp.mtime_ns + 1;
	assert_int_equal(source_compare(scratch_path(directory, "file"), &stamp), SOURCE_RACY);

	source_stamp_take(directory, &stamp);
	assert_int_equal(source_compare(directory, &stamp), SOURCE_SAME);
	stamp.observed_ns = stamp.mtime_ns;
	assert_int_equal(source_compare(directory, &stamp), SOURCE_RACY);
}

static void change_size(const char *directory)
{
	write_old(directory, "file", "other length");
}

static void change_time(const char *directory)
{
	set_mtime(scratch_path(directory, "file"), LONG_AGO_S, 123456790);
}

static void change_inode(const char *directory)
{
	write_old(directory, "aside", "TEXT");
	rename(scratch_path(directory, "aside"), scratch_path(directory, "file"));
}

static void remove_file(const char *directory)
{
	unlink(scratch_path(directory, "file"));
}

static void put_directory_in_its_place(const char *directory)
{
	remove_file(directory);
	mkdir(scratch_path(directory, "file"), 0755);
}

static void put_loop_in_its_place(const char *directory)
{
	remove_file(directory);
	assert_int_equal(symlink("file", scratch_path(directory, "file")), 0);
}

static void test_every_change_of_a_file_is_seen(void **state)
{
	const char *directory = *state;
	void (*const changes[])(const char *) = {change_size, change_time, change_inode,
		put_directory_in_its_place, put_loop_in_its_place, remove_file};
	struct source_stamp stamp;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		remove(scratch_path(directory, "file"));
		write_old(directory, "file", "text");
		source_stamp_take(scratch_path(directory, "file"), &stamp);
		changes[i](directory);
		assert_int_equal(
			source_compare(scratch_path(directory, "file"), &stamp), SOURCE_CHANGED);
	}
}

static void test_new_name_in_a_directory_is_a_change(void **state)
{
	const char *directory = *state;
	struct source_stamp stamp;

	set_mtime(directory, LONG_AGO_S, 0);
	source_stamp_take(directory, &stamp);
	write_old(directory, "file", "text");
	assert_int_equal(source_compare(directory, &stamp), SOURCE_CHANGED);
}

/* Where, below the scratch directory, something was recorded; and how much of it is gone. */
static void test_missing_source_is_unseen_only_if_what_held_it_is_missing(void **state)
{
	const char *directory = *state;
	const struct {
		const char *recorded;
		enum source_state state;
		const char *made; /* What is there now. */
		enum source_change change;
	} cases[] = {
		{"a/b/file", SOURCE_FILE, "a/b", SOURCE_CHANGED},
		{"a/b/file", SOURCE_FILE, "a", SOURCE_UNSEEN},
		{"a/b/file", SOURCE_FILE, NULL, SOURCE_UNSEEN},
		{"a/b", SOURCE_DIRECTORY, "a", SOURCE_CHANGED},
		{"a/b/", SOURCE_DIRECTORY, "a", SOURCE_CHANGED},
		{"a//b//", SOURCE_DIRECTORY, "a", SOURCE_CHANGED},
		{"a/b", SOURCE_DIRECTORY, NULL, SOURCE_UNSEEN},
		{"a/b/", SOURCE_DIRECTORY, NULL, SOURCE_UNSEEN},
		{"a/b", SOURCE_ABSENT, "a", SOURCE_SAME},
		{"a/b", SOURCE_ABSENT, NULL, SOURCE_SAME},
		{"a", SOURCE_ABSENT, "a", SOURCE_CHANGED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct source_stamp stamp = {
			.state = cases[i].state, .inode = 1, .mtime_ns = LONG_AGO_NS};

		rmdir(scratch_path(directory, "a/b"));
		rmdir(scratch_path(directory, "a"));
		if (cases[i].made)
			mkdir(scratch_path(directory, "a"), 0755);
		if (cases[i].made)
			mkdir(scratch_path(directory, cases[i].made), 0755);
		assert_int_equal(source_compare(scratch_path(directory, cases[i].recorded), &stamp),
			cases[i].change);
	}
}

static void test_file_in_the_place_of_what_held_it_hides_it(void **state)
{
	const char *directory = *state;
	const struct source_stamp file = {.state = SOURCE_FILE, .inode = 1};
	const struct source_stamp absent = {.state = SOURCE_ABSENT};

	write_old(directory, "a", "no directory");
	assert_int_equal(source_compare(scratch_path(directory, "a/file"), &file), SOURCE_UNSEEN);
	assert_int_equal(source_compare(scratch_path(directory, "a/file"), &absent), SOURCE_SAME);
}

static void test_paths_without_a_directory_are_held_by_root_or_the_working_directory(void **state)
{
	const struct source_stamp stamp = {.state = SOURCE_FILE, .inode = 1};

	(void)state;
	assert_int_equal(source_compare("/no-such-file-of-leasedns", &stamp), SOURCE_CHANGED);
	assert_int_equal(source_compare("no-such-file-of-leasedns", &stamp), SOURCE_CHANGED);
}

static void test_path_too_long_for_the_system_is_changed(void **state)
{
	const struct source_stamp file = {.state = SOURCE_FILE, .inode = 1};
	const struct source_stamp absent = {.state = SOURCE_ABSENT};
	static char path[3 * PATH_MAX];

	(void)state;
	memset(path, '/', sizeof(path) - 1);
	memset(path + 1, 'x', sizeof(path) - 2);
	assert_int_equal(source_compare(path, &file), SOURCE_CHANGED);
	assert_int_equal(source_compare(path, &absent), SOURCE_SAME);
}

static void test_what_this_process_may_not_see_is_unseen(void **state)
{
	const char *directory = *state;
	struct source_stamp file;
	struct source_stamp absent;
	int status;
	pid_t child;

	write_old(directory, "file", "text");
	source_stamp_take(scratch_path(directory, "file"), &file);
	source_stamp_take(scratch_path(directory, "missing"), &absent);
	assert_int_equal(chmod(directory, 0), 0);
	child = fork();
	if (child == 0) {
		struct source_stamp hidden;
		bool good;

		if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		source_stamp_take(scratch_path(directory, "file"), &hidden);
		good = source_compare(scratch_path(directory, "file"), &file) == SOURCE_UNSEEN &&
		       source_compare(scratch_path(directory, "missing"), &absent) ==
			       SOURCE_UNSEEN &&
		       hidden.state == SOURCE_ABSENT;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(directory, 0700), 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_is_the_coarse_one_in_nanoseconds),
		cmocka_unit_test_setup_teardown(
			test_stamp_of_a_file_holds_all_that_tells_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_stamp_leaves_out_what_says_nothing, setup, teardown),
		cmocka_unit_test(test_times_beyond_64_bits_stop_at_the_end),
		cmocka_unit_test(test_stamps_differ_in_each_field_but_the_time_of_observation),
		cmocka_unit_test(test_racy_is_less_than_two_ticks_from_the_change),
		cmocka_unit_test_setup_teardown(test_untouched_source_is_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_every_change_of_a_file_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_new_name_in_a_directory_is_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_missing_source_is_unseen_only_if_what_held_it_is_missing, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_file_in_the_place_of_what_held_it_hides_it, setup, teardown),
		cmocka_unit_test(
			test_paths_without_a_directory_are_held_by_root_or_the_working_directory),
		cmocka_unit_test(test_path_too_long_for_the_system_is_changed),
		cmocka_unit_test_setup_teardown(
			test_what_this_process_may_not_see_is_unseen, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
