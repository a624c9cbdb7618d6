#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "parser/freshness.h"
#include "server/names/rebuild.h"
#include "server/support/log.h"
#include "tests/support/scratch.h"

/* Beyond the settling of files that were just written. */
#define QUIET_MS 300
/* Before the next try to publish where that is impossible. */
#define SOON_DUE_MS 5000
/* Never waited for by a test that passes. */
#define LATE_MS 60000

struct fixture {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct rebuild *rebuild;
	char *directory;
	struct zone *zone;
	size_t names;
	int published;
	bool is_waiting;
};

static void on_publish(void *ctx, struct zone *fresh, size_t names)
{
	struct fixture *fixture = ctx;

	zone_free(fixture->zone);
	fixture->zone = fresh;
	fixture->names = names;
	fixture->published++;
	if (fixture->is_waiting)
		uv_stop(&fixture->loop);
}

static void on_deadline(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* True if a zone was handed over in this time. */
static bool published_within(struct fixture *fixture, unsigned timeout_ms)
{
	int before = fixture->published;

	uv_update_time(&fixture->loop);
	uv_timer_start(&fixture->deadline, on_deadline, timeout_ms, 0);
	fixture->is_waiting = true;
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	fixture->is_waiting = false;
	uv_timer_stop(&fixture->deadline);
	return fixture->published > before;
}

static void on_handle(uv_handle_t *handle, void *ctx)
{
	bool *is_due = ctx;

	if (handle->type == UV_TIMER && uv_is_active(handle) &&
		uv_timer_get_due_in((uv_timer_t *)handle) < SOON_DUE_MS)
		*is_due = true;
}

static bool is_building(const struct fixture *fixture)
{
	return fixture->loop.active_reqs.count > 0;
}

/* Until no build is under way, none is due soon, and none was for a while. */
static void settle(struct fixture *fixture)
{
	bool is_due;

	do {
		while (published_within(fixture, QUIET_MS))
			;
		is_due = false;
		uv_walk(&fixture->loop, on_handle, &is_due);
	} while (is_due || is_building(fixture));
}

/* Leases called `prefix`1 to `prefix``count`. */
static void publish_leases(
	const struct fixture *fixture, const char *name, const char *prefix, int count)
{
	size_t size = (size_t)count * 160 + 16;
	char *text = malloc(size);
	size_t len = 0;

	assert_non_null(text);
	len += (size_t)snprintf(text, size, "[");
	for (int i = 1; i <= count; i++) {
		len += (size_t)snprintf(text + len, size - len,
			"%s\n{\"ip-address\": \"10.0.%d.%d\", \"mac-address\": "
			"\"52:54:00:00:%02x:%02x\", \"hostname\": \"%s%d\", \"expiry-time\": 0}",
			i > 1 ? "," : "", i >> 8, i & 255, i >> 8, i & 255, prefix, i);
	}
	snprintf(text + len, size - len, "\n]\n");
	scratch_publish(fixture->directory, name, text);
	free(text);
}

/* The configuration with these settings; of directories below the scratch directory. */
static struct snapshot_conf *load_conf(
	const struct fixture *fixture, const char *leases, const char *index)
{
	struct snapshot_conf *conf = calloc(1, sizeof(*conf));
	struct conf_error error;
	char text[2048];

	snprintf(text, sizeof(text), "[leases]\nlibvirt = %s/%s\n[index]\nfile = %s/%s\n",
		fixture->directory, leases, fixture->directory, index);
	scratch_publish(fixture->directory, "conf", text);
	assert_int_equal(snapshot_conf_load(scratch_path(fixture->directory, "conf"), conf, &error),
		CONF_OK);
	return conf;
}

static void start(struct fixture *fixture, const char *index)
{
	*fixture = (struct fixture){.directory = scratch_new()};
	mkdir(scratch_path(fixture->directory, "leases"), 0755);
	mkdir(scratch_path(fixture->directory, "run"), 0755);
	publish_leases(fixture, "leases/virbr0.status", "web", 3);
	uv_loop_init(&fixture->loop);
	uv_timer_init(&fixture->loop, &fixture->deadline);
	assert_int_equal(rebuild_start(&fixture->loop, load_conf(fixture, "leases", index),
				 on_publish, fixture, &fixture->rebuild),
		0);
}

static void stop(struct fixture *fixture)
{
	int published;

	rebuild_stop(fixture->rebuild);
	uv_close((uv_handle_t *)&fixture->deadline, NULL);
	published = fixture->published;
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(fixture->published, published);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	zone_free(fixture->zone);
	scratch_free(fixture->directory);
}

static bool has_name(const struct fixture *fixture, const char *name)
{
	struct index_value value;

	return index_find(zone_index(fixture->zone), INDEX_KEY_NAME, bytes_of_text(name), &value) ==
	       INDEX_FOUND;
}

static bool is_published(const struct fixture *fixture, const char *index)
{
	struct stat st;

	return stat(scratch_path(fixture->directory, index), &st) == 0;
}

static void test_first_build_is_there_before_the_loop_runs(void **state)
{
	const time_t start_unix_s = time(NULL);
	struct fixture fixture;

	(void)state;
	start(&fixture, "run/index.cdb");
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	assert_int_equal(fixture.published, 1);
	assert_true(has_name(&fixture, "web3"));
	assert_true(is_published(&fixture, "run/index.cdb"));
	/* Three guests and the server's own name. */
	assert_int_equal(fixture.names, 4);
	assert_int_equal(rebuild_stats(fixture.rebuild).built, 1);
	assert_int_equal(rebuild_stats(fixture.rebuild).failed, 0);
	assert_true(rebuild_stats(fixture.rebuild).is_published);
	assert_true(rebuild_stats(fixture.rebuild).last_ns > 0);
	assert_in_range(rebuild_stats(fixture.rebuild).last_unix_s, start_unix_s, time(NULL));
	stop(&fixture);
}

static void test_request_brings_what_changed(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, "run/index.cdb");
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	settle(&fixture);
	publish_leases(&fixture, "leases/virbr1.status", "db", 2);
	rebuild_request(fixture.rebuild);
	assert_true(published_within(&fixture, LATE_MS));
	assert_true(has_name(&fixture, "db2"));
	assert_true(has_name(&fixture, "web1"));
	stop(&fixture);
}

/* Newer kernels stamp a file that somebody looked at by the fine clock, ahead of the coarse one:
 * its next change cannot look alike, so it is not racy. Others stamp by the coarse clock, as here.
 */
static void stamp_by_coarse_clock(const char *path)
{
	struct timespec now[2];

	clock_gettime(CLOCK_REALTIME_COARSE, &now[1]);
	now[0] = now[1];
	assert_int_equal(utimensat(AT_FDCWD, path, now, 0), 0);
}

static void test_index_settles_and_then_rests(void **state)
{
	enum freshness freshness = FRESHNESS_FRESH;
	struct fixture fixture;
	int published;

	(void)state;
	/* In memory: no slow disk stands between a change and its reading. */
	start(&fixture, "absent/index.cdb");
	/* Built within a tick of a change, nobody may believe its stamps. A busy machine may be
	 * too slow for that: then again. */
	for (int attempt = 0; attempt < 200 && freshness != FRESHNESS_RACY; attempt++) {
		publish_leases(&fixture, "leases/virbr0.status", "web", 3);
		stamp_by_coarse_clock(scratch_path(fixture.directory, "leases/virbr0.status"));
		assert_int_equal(rebuild_first(fixture.rebuild), 0);
		freshness = freshness_of(zone_index(fixture.zone), NULL);
	}
	assert_int_equal(freshness, FRESHNESS_RACY);
	published = fixture.published;
	assert_true(published_within(&fixture, LATE_MS));
	settle(&fixture);
	assert_int_equal(freshness_of(zone_index(fixture.zone), NULL), FRESHNESS_FRESH);
	assert_in_range(fixture.published - published, 1, 3);
	published = fixture.published;
	assert_false(published_within(&fixture, 1000));
	assert_int_equal(fixture.published, published);
	stop(&fixture);
}

static void test_requests_during_a_build_make_one_more(void **state)
{
	struct fixture fixture;
	int published;

	(void)state;
	start(&fixture, "run/index.cdb");
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	/* After a build that took long there is a rest: then the request waits, and the next may
	 * not. */
	do {
		settle(&fixture);
		published = fixture.published;
		rebuild_request(fixture.rebuild);
	} while (!is_building(&fixture));
	for (int i = 0; i < 1000; i++)
		rebuild_request(fixture.rebuild);
	settle(&fixture);
	assert_int_equal(fixture.published - published, 2);
	stop(&fixture);
}

static int64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
	       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void test_continuous_change_takes_half_of_a_core(void **state)
{
	const uint64_t at_least_ns = UINT64_C(3000000000);
	struct fixture fixture;
	uint64_t start_ns;
	uint64_t took_ns;
	int64_t used_us;

	(void)state;
	start(&fixture, "run/index.cdb");
	publish_leases(&fixture, "leases/virbr0.status", "web", 5000);
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	settle(&fixture);
	used_us = cpu_us();
	fixture.published = 0;
	start_ns = uv_hrtime();
	do {
		rebuild_request(fixture.rebuild);
		published_within(&fixture, 1000);
		took_ns = uv_hrtime() - start_ns;
	} while (took_ns < at_least_ns ||
		 (fixture.published < 3 && took_ns < LATE_MS * UINT64_C(1000000)));
	used_us = cpu_us() - used_us;
	assert_in_range(fixture.published, 3, 100000);
	/* Half of a core, and what the test itself takes. */
	assert_in_range(used_us, 0, took_ns / 1000 * 65 / 100);
	stop(&fixture);
}

static void test_names_are_served_where_no_index_can_be(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, "absent/index.cdb");
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	assert_true(has_name(&fixture, "web1"));
	assert_false(rebuild_stats(fixture.rebuild).is_published);
	settle(&fixture);
	publish_leases(&fixture, "leases/virbr0.status", "other", 1);
	rebuild_request(fixture.rebuild);
	assert_true(published_within(&fixture, LATE_MS));
	assert_true(has_name(&fixture, "other1"));
	assert_false(has_name(&fixture, "web1"));
	settle(&fixture);
	mkdir(scratch_path(fixture.directory, "absent"), 0755);
	rebuild_request(fixture.rebuild);
	assert_true(published_within(&fixture, LATE_MS));
	assert_true(is_published(&fixture, "absent/index.cdb"));
	assert_true(rebuild_stats(fixture.rebuild).is_published);
	assert_int_equal(rebuild_stats(fixture.rebuild).built, fixture.published);
	stop(&fixture);
}

static void test_what_lasts_is_told_once(void **state)
{
	const int saved = dup(STDERR_FILENO);
	struct fixture fixture;
	char *log;
	int fd;

	(void)state;
	start(&fixture, "run/index.cdb");
	/* Another guest with a name that is taken. */
	scratch_publish(fixture.directory, "leases/virbr1.status",
		"[{\"ip-address\": \"10.9.0.1\", \"mac-address\": \"52:54:00:00:09:01\", "
		"\"hostname\": \"web1\", \"expiry-time\": 0}]");
	fd = open(scratch_path(fixture.directory, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(saved >= 0 && fd >= 0);
	dup2(fd, STDERR_FILENO);
	log_start(LOG_LEVEL_INFO);
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	for (int i = 1; i <= 3; i++) {
		/* With builds that only find out that nothing has changed any more. */
		settle(&fixture);
		publish_leases(&fixture, "leases/virbr2.status", "db", i);
		rebuild_request(fixture.rebuild);
	}
	settle(&fixture);
	dup2(saved, STDERR_FILENO);
	log_start(LOG_LEVEL_ERROR);
	log = scratch_read(scratch_path(fixture.directory, "log"), NULL);
	assert_non_null(strstr(log, "calls itself 'web1'"));
	assert_null(strstr(strstr(log, "calls itself 'web1'") + 1, "calls itself 'web1'"));
	free(log);
	close(fd);
	close(saved);
	stop(&fixture);
}

static void test_configuration_changes_between_builds(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, "run/index.cdb");
	mkdir(scratch_path(fixture.directory, "other"), 0755);
	publish_leases(&fixture, "other/virbr0.status", "db", 1);
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	settle(&fixture);
	/* The second one while the first is asked for, or is being built. */
	rebuild_configure(fixture.rebuild, load_conf(&fixture, "absent", "run/one.cdb"));
	rebuild_configure(fixture.rebuild, load_conf(&fixture, "other", "run/two.cdb"));
	assert_non_null(strstr(rebuild_conf(fixture.rebuild)->conf.index_file, "run/two.cdb"));
	settle(&fixture);
	assert_true(has_name(&fixture, "db1"));
	assert_false(has_name(&fixture, "web1"));
	assert_true(is_published(&fixture, "run/two.cdb"));
	/* Nobody keeps the others up to date any more. */
	assert_false(is_published(&fixture, "run/index.cdb"));
	assert_false(is_published(&fixture, "run/one.cdb"));
	stop(&fixture);
}

static void test_other_settings_keep_what_was_read(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, "run/index.cdb");
	assert_int_equal(rebuild_first(fixture.rebuild), 0);
	settle(&fixture);
	scratch_publish(fixture.directory, "leases/virbr0.status", "[{");
	rebuild_request(fixture.rebuild);
	settle(&fixture);
	rebuild_configure(fixture.rebuild, load_conf(&fixture, "leases", "run/other.cdb"));
	settle(&fixture);
	assert_true(is_published(&fixture, "run/other.cdb"));
	/* The last good content outlives the reload. */
	assert_true(has_name(&fixture, "web3"));
	stop(&fixture);
}

static void test_stop_waits_for_the_worker_and_hands_nothing_over(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct fixture fixture;

		start(&fixture, "run/index.cdb");
		publish_leases(&fixture, "leases/virbr0.status", "web", 500);
		assert_int_equal(rebuild_first(fixture.rebuild), 0);
		if (i % 2)
			settle(&fixture);
		rebuild_request(fixture.rebuild);
		rebuild_request(fixture.rebuild);
		usleep((unsigned)i * 300);
		stop(&fixture);
	}
}

static void test_stop_without_any_build(void **state)
{
	struct fixture fixture;

	(void)state;
	rebuild_stop(NULL);
	start(&fixture, "run/index.cdb");
	rebuild_configure(fixture.rebuild, load_conf(&fixture, "leases", "run/other.cdb"));
	rebuild_configure(fixture.rebuild, load_conf(&fixture, "leases", "run/more.cdb"));
	stop(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_build_is_there_before_the_loop_runs),
		cmocka_unit_test(test_request_brings_what_changed),
		cmocka_unit_test(test_index_settles_and_then_rests),
		cmocka_unit_test(test_requests_during_a_build_make_one_more),
		cmocka_unit_test(test_continuous_change_takes_half_of_a_core),
		cmocka_unit_test(test_names_are_served_where_no_index_can_be),
		cmocka_unit_test(test_what_lasts_is_told_once),
		cmocka_unit_test(test_configuration_changes_between_builds),
		cmocka_unit_test(test_other_settings_keep_what_was_read),
		cmocka_unit_test(test_stop_waits_for_the_worker_and_hands_nothing_over),
		cmocka_unit_test(test_stop_without_any_build),
	};

	log_start(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
