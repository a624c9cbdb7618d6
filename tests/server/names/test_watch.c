#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/names/watch.h"
#include "server/support/log.h"
#include "tests/server/steady_clock.h"
#include "tests/support/scratch.h"

/* Well below the safety net's two seconds: what is seen in this time was an event. */
#define SOON_MS 500
/* Beyond the safety net. */
#define LATE_MS 4000

struct fixture {
	uv_loop_t loop;
	struct watch *watch;
	char *directory;
	int changes;
};

static void on_changed(void *ctx)
{
	struct fixture *fixture = ctx;

	fixture->changes++;
}

/* Runs until something is reported. True if it was. */
static bool reported_within(struct fixture *fixture, unsigned timeout_ms)
{
	const uint64_t end_ns = uv_hrtime() + timeout_ms * UINT64_C(1000000);
	const int before = fixture->changes;

	while (fixture->changes == before && uv_hrtime() < end_ns) {
		struct pollfd ready = {uv_backend_fd(&fixture->loop), POLLIN, 0};

		uv_run(&fixture->loop, UV_RUN_NOWAIT);
		if (fixture->changes == before)
			poll(&ready, 1, 1);
	}
	return fixture->changes > before;
}

/* Lets what is under way be reported. */
static void settle(struct fixture *fixture)
{
	while (reported_within(fixture, 50))
		;
}

static void start(struct fixture *fixture, const char *const *paths, size_t count)
{
	*fixture = (struct fixture){.directory = fixture->directory};
	uv_loop_init(&fixture->loop);
	assert_int_equal(
		watch_start(&fixture->loop, paths, count, on_changed, fixture, &fixture->watch), 0);
}

/* Leaves no handle behind, or fails. */
static void stop(struct fixture *fixture)
{
	watch_stop(fixture->watch);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	scratch_free(fixture->directory);
}

/* Watches "leases" in a scratch directory; it exists. */
static void start_on_directory(struct fixture *fixture)
{
	char path[4096];
	const char *paths[] = {path};

	fixture->directory = scratch_new();
	snprintf(path, sizeof(path), "%s/leases", fixture->directory);
	mkdir(path, 0755);
	start(fixture, paths, 1);
	settle(fixture);
}

static const char *leases(const struct fixture *fixture, const char *name)
{
	char relative[256];

	snprintf(relative, sizeof(relative), "leases/%s", name);
	return scratch_path(fixture->directory, relative);
}

static void act_publish(const struct fixture *fixture)
{
	scratch_publish(fixture->directory, "leases/virbr0.status", "[]");
}

static void act_write_in_place(const struct fixture *fixture)
{
	scratch_write(fixture->directory, "leases/virbr0.macs", "[1]", 3);
}

static void act_delete(const struct fixture *fixture)
{
	unlink(leases(fixture, "virbr0.status"));
}

static void act_rename_away(const struct fixture *fixture)
{
	rename(leases(fixture, "virbr0.macs"), scratch_path(fixture->directory, "elsewhere"));
}

static void act_touch(const struct fixture *fixture)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	scratch_write(fixture->directory, "leases/default.addnhosts", "", 0);
	utimensat(AT_FDCWD, leases(fixture, "default.addnhosts"), times, 0);
}

static void act_foreign_name(const struct fixture *fixture)
{
	/* Moves the directory's mtime, so the index must be stamped anew. */
	scratch_write(fixture->directory, "leases/unknown.txt", "", 0);
}

static void test_what_happens_in_the_directory_is_reported(void **state)
{
	static void (*const acts[])(const struct fixture *) = {act_publish, act_write_in_place,
		act_delete, act_rename_away, act_touch, act_foreign_name};
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		acts[i](&fixture);
		if (!reported_within(&fixture, SOON_MS))
			fail_msg("act %zu was not reported", i);
		settle(&fixture);
	}
	stop(&fixture);
}

static void test_writer_that_keeps_its_file_open_is_seen(void **state)
{
	struct fixture fixture = {0};
	int fd;

	(void)state;
	start_on_directory(&fixture);
	fd = open(leases(&fixture, "virbr0.status"), O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	settle(&fixture);
	assert_int_equal(write(fd, "[]", 2), 2);
	assert_true(reported_within(&fixture, SOON_MS));
	close(fd);
	stop(&fixture);
}

static void test_foreign_content_is_no_change(void **state)
{
	struct fixture fixture = {0};
	int fd;

	(void)state;
	start_on_directory(&fixture);
	fd = open(leases(&fixture, "default.pid"), O_WRONLY | O_CREAT, 0644);
	settle(&fixture);
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
	assert_false(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

static void test_a_rename_with_its_temporary_is_reported_once(void **state)
{
	struct fixture fixture = {0};
	int before;

	(void)state;
	start_on_directory(&fixture);
	before = fixture.changes;
	act_publish(&fixture);
	settle(&fixture);
	assert_int_equal(fixture.changes - before, 1);
	stop(&fixture);
}

static void test_a_storm_is_reported_in_few_calls(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	for (int i = 0; i < 2000; i++)
		act_publish(&fixture);
	fixture.changes = 0;
	settle(&fixture);
	assert_in_range(fixture.changes, 1, 20);
	stop(&fixture);
}

static void test_queue_overflow_is_a_change(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	/* Each act is four events or more; fs.inotify.max_queued_events is 16384 by default. */
	for (int i = 0; i < 6000; i++) {
		act_publish(&fixture);
		act_delete(&fixture);
	}
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	act_publish(&fixture);
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

static void test_absent_directory_is_seen_when_it_comes(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char path[4096];
	const char *paths[] = {path};

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/leases/", fixture.directory);
	start(&fixture, paths, 1);
	settle(&fixture);
	mkdir(scratch_path(fixture.directory, "a"), 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	mkdir(scratch_path(fixture.directory, "a/b"), 0755);
	mkdir(scratch_path(fixture.directory, "a/b/leases"), 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "a/b/leases/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

/* Root may read everything: the part of somebody who may not. */
static void become(const char *directory, uid_t uid)
{
	if (getuid() == 0 && uid != 0)
		assert_int_equal(chown(directory, uid, (gid_t)-1), 0);
	if (getuid() == 0)
		assert_int_equal(seteuid(uid), 0);
}

static void test_unreadable_directory_is_seen_when_it_may_be_read(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char path[4096];
	const char *paths[] = {path};

	(void)state;
	become(fixture.directory, 65534);
	snprintf(path, sizeof(path), "%s/leases", fixture.directory);
	mkdir(path, 0);
	start(&fixture, paths, 1);
	settle(&fixture);
	chmod(path, 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	act_publish(&fixture);
	assert_true(reported_within(&fixture, SOON_MS));
	become(fixture.directory, 0);
	stop(&fixture);
}

static void test_removed_and_made_again(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rmdir(scratch_path(fixture.directory, "leases")), 0);
		assert_true(reported_within(&fixture, SOON_MS));
		settle(&fixture);
		mkdir(scratch_path(fixture.directory, "leases"), 0755);
		assert_true(reported_within(&fixture, SOON_MS));
		settle(&fixture);
		act_publish(&fixture);
		assert_true(reported_within(&fixture, SOON_MS));
		settle(&fixture);
		act_delete(&fixture);
		assert_true(reported_within(&fixture, SOON_MS));
		settle(&fixture);
	}
	stop(&fixture);
}

static void test_renamed_away_and_replaced(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	mkdir(scratch_path(fixture.directory, "fresh"), 0755);
	rename(scratch_path(fixture.directory, "leases"), scratch_path(fixture.directory, "old"));
	rename(scratch_path(fixture.directory, "fresh"), scratch_path(fixture.directory, "leases"));
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	act_publish(&fixture);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	/* What was the directory is nothing to us any more. */
	scratch_publish(fixture.directory, "old/virbr0.status", "[]");
	assert_false(reported_within(&fixture, 200));
	stop(&fixture);
}

static void test_link_that_is_swapped(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char path[4096];
	const char *paths[] = {path};

	(void)state;
	snprintf(path, sizeof(path), "%s/leases", fixture.directory);
	mkdir(scratch_path(fixture.directory, "one"), 0755);
	mkdir(scratch_path(fixture.directory, "two"), 0755);
	assert_int_equal(symlink("one", path), 0);
	start(&fixture, paths, 1);
	settle(&fixture);
	assert_int_equal(symlink("two", scratch_path(fixture.directory, "aside")), 0);
	rename(scratch_path(fixture.directory, "aside"), path);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "two/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

static void test_link_swapped_further_up_is_seen_by_the_safety_net(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char path[4096];
	const char *paths[] = {path};

	(void)state;
	snprintf(path, sizeof(path), "%s/link/leases", fixture.directory);
	mkdir(scratch_path(fixture.directory, "one"), 0755);
	mkdir(scratch_path(fixture.directory, "one/leases"), 0755);
	mkdir(scratch_path(fixture.directory, "two"), 0755);
	mkdir(scratch_path(fixture.directory, "two/leases"), 0755);
	assert_int_equal(symlink("one", scratch_path(fixture.directory, "link")), 0);
	start(&fixture, paths, 1);
	settle(&fixture);
	assert_int_equal(symlink("two", scratch_path(fixture.directory, "aside")), 0);
	rename(scratch_path(fixture.directory, "aside"), scratch_path(fixture.directory, "link"));
	assert_true(reported_within(&fixture, LATE_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "two/leases/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

static void test_directories_beside_each_other_share_their_parent(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char paths[2][4096];
	const char *list[] = {paths[0], paths[1]};

	(void)state;
	snprintf(paths[0], sizeof(paths[0]), "%s/one", fixture.directory);
	snprintf(paths[1], sizeof(paths[1]), "%s/two", fixture.directory);
	mkdir(paths[0], 0755);
	start(&fixture, list, 2);
	settle(&fixture);
	rmdir(paths[0]);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	mkdir(paths[1], 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	mkdir(paths[0], 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "one/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "two/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

/* A directory inside another that is watched: one descriptor serves as both. */
static void test_directory_below_another(void **state)
{
	struct fixture fixture = {.directory = scratch_new()};
	char paths[2][4096];
	const char *list[] = {paths[0], paths[1]};

	(void)state;
	snprintf(paths[0], sizeof(paths[0]), "%s/one", fixture.directory);
	snprintf(paths[1], sizeof(paths[1]), "%s/one/two", fixture.directory);
	mkdir(paths[0], 0755);
	mkdir(paths[1], 0755);
	start(&fixture, list, 2);
	settle(&fixture);
	rmdir(paths[1]);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "one/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	mkdir(paths[1], 0755);
	assert_true(reported_within(&fixture, SOON_MS));
	settle(&fixture);
	scratch_publish(fixture.directory, "one/two/virbr0.status", "[]");
	assert_true(reported_within(&fixture, SOON_MS));
	stop(&fixture);
}

/* In a mount namespace of a child's own. 77: not permitted here. */
static int check_unmount(void)
{
	struct fixture fixture = {0};

	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		scratch_own_mounts() < 0)
		return 77;
	start_on_directory(&fixture);
	if (mount("none", scratch_path(fixture.directory, "leases"), "tmpfs", 0, NULL) < 0)
		return 77;
	/* Nothing tells of a mount but looking. */
	if (!reported_within(&fixture, LATE_MS))
		return 1;
	settle(&fixture);
	act_publish(&fixture);
	if (!reported_within(&fixture, SOON_MS))
		return 2;
	settle(&fixture);
	if (umount2(scratch_path(fixture.directory, "leases"), MNT_DETACH) < 0)
		return 3;
	if (!reported_within(&fixture, LATE_MS))
		return 4;
	settle(&fixture);
	act_publish(&fixture);
	if (!reported_within(&fixture, SOON_MS))
		return 5;
	stop(&fixture);
	return 0;
}

static void in_child(int (*check)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_mounted_over_and_unmounted(void **state)
{
	(void)state;
	in_child(check_unmount);
}

/* Without descriptors there is no inotify; when some are free again, it comes back. */
static int check_limits(void)
{
	struct fixture fixture = {.directory = scratch_new()};
	struct rlimit limit;
	char path[4096];
	const char *paths[] = {path};
	int probe;

	snprintf(path, sizeof(path), "%s/leases", fixture.directory);
	mkdir(path, 0755);
	uv_loop_init(&fixture.loop);
	probe = dup(0);
	close(probe);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)probe;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (watch_start(&fixture.loop, paths, 1, on_changed, &fixture, &fixture.watch) != 0)
		return 1;
	/* Every tick of the timer counts as a change now. */
	if (!reported_within(&fixture, LATE_MS) || !reported_within(&fixture, LATE_MS))
		return 2;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (!reported_within(&fixture, LATE_MS))
		return 3;
	while (reported_within(&fixture, 100))
		;
	act_publish(&fixture);
	if (!reported_within(&fixture, SOON_MS))
		return 4;
	while (reported_within(&fixture, 100))
		;
	/* Quiet again: no tick is a change any more. */
	if (reported_within(&fixture, LATE_MS))
		return 5;
	stop(&fixture);
	return 0;
}

static void test_exhausted_limits_leave_the_timer(void **state)
{
	(void)state;
	in_child(check_limits);
}

static void test_nothing_is_reported_without_a_change(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	act_publish(&fixture);
	settle(&fixture);
	assert_false(reported_within(&fixture, LATE_MS));
	stop(&fixture);
}

static void test_stop_within_a_batch_ends_reports(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	start_on_directory(&fixture);
	act_foreign_name(&fixture);
	watch_stop(fixture.watch);
	fixture.changes = 0;
	reported_within(&fixture, 100);
	assert_int_equal(fixture.changes, 0);
	fixture.watch = NULL;
	stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_happens_in_the_directory_is_reported),
		cmocka_unit_test(test_writer_that_keeps_its_file_open_is_seen),
		cmocka_unit_test(test_foreign_content_is_no_change),
		cmocka_unit_test(test_a_rename_with_its_temporary_is_reported_once),
		cmocka_unit_test(test_a_storm_is_reported_in_few_calls),
		cmocka_unit_test(test_queue_overflow_is_a_change),
		cmocka_unit_test(test_absent_directory_is_seen_when_it_comes),
		cmocka_unit_test(test_unreadable_directory_is_seen_when_it_may_be_read),
		cmocka_unit_test(test_removed_and_made_again),
		cmocka_unit_test(test_renamed_away_and_replaced),
		cmocka_unit_test(test_link_that_is_swapped),
		cmocka_unit_test(test_link_swapped_further_up_is_seen_by_the_safety_net),
		cmocka_unit_test(test_directories_beside_each_other_share_their_parent),
		cmocka_unit_test(test_directory_below_another),
		cmocka_unit_test(test_mounted_over_and_unmounted),
		cmocka_unit_test(test_exhausted_limits_leave_the_timer),
		cmocka_unit_test(test_nothing_is_reported_without_a_change),
		cmocka_unit_test(test_stop_within_a_batch_ends_reports),
	};

	log_start(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
