#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/names/lookup.h"
#include "server/names/names_source.h"
#include "tests/support/scratch.h"

static const struct snapshot_sinks nobody;

struct world {
	char *directory;
	struct snapshot_conf conf;
};

static void world_conf(struct world *world, const char *name, const char *more)
{
	char content[2048];
	struct conf_error error = {0};

	snprintf(content, sizeof(content),
		"%s\n[leases]\nlibvirt = %s/leases\n[index]\nfile = %s/index.cdb\n", more,
		world->directory, world->directory);
	scratch_publish(world->directory, name, content);
	assert_int_equal(
		snapshot_conf_load(scratch_path(world->directory, name), &world->conf, &error),
		CONF_OK);
}

static void world_lease(const struct world *world, const char *file, const char *name)
{
	char path[64];
	char text[256];

	snprintf(path, sizeof(path), "leases/%s", file);
	snprintf(text, sizeof(text),
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"52:54:00:00:00:0a\","
		"\"hostname\":\"%s\",\"expiry-time\":0}]",
		name);
	scratch_publish(world->directory, path, text);
}

static void world_index(const struct world *world)
{
	struct store *store = snapshot_store_new(&world->conf);
	int fd = -1;

	assert_non_null(store);
	assert_int_equal(snapshot_settle(store, &nobody), PARSER_OK);
	assert_int_equal(snapshot_publish(&world->conf, store, NULL, &nobody, &fd), PARSER_OK);
	close(fd);
	store_free(store);
}

static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->directory = scratch_new();
	assert_int_equal(mkdir(scratch_path(world->directory, "leases"), 0755), 0);
	world_conf(world, "leasedns.conf", "");
	world_lease(world, "virbr0.status", "old");
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;

	snapshot_conf_done(&world->conf);
	scratch_free(world->directory);
	free(world);
	return 0;
}

/* Opens the source both ways; each must know `name`, and tell an origin that begins with `start`
 * and holds `part`. */
static void check(const struct world *world, const char *name, const char *start, const char *part)
{
	static const enum names_access ways[] = {NAMES_ACCESS_LOOKUP, NAMES_ACCESS_WALK};

	for (size_t i = 0; i < 2; i++) {
		struct names_source source;
		struct lookup lookup;

		assert_int_equal(
			names_source_open(&world->conf, &nobody, ways[i], &source), PARSER_OK);
		print_message("%s\n", source.origin);
		assert_memory_equal(source.origin, start, strlen(start));
		assert_non_null(strstr(source.origin, part));
		assert_int_equal(source.from_index, strcmp(start, "from the index ") == 0);
		assert_int_equal(lookup_name(&source.index, &source.meta, bytes_of_text(name), 1000,
					 &lookup),
			PARSER_OK);
		assert_int_equal(lookup.match, INDEX_FOUND);
		lookup_done(&lookup);
		names_source_done(&source);
	}
}

#define FROM_INDEX "from the index "
#define FROM_FILES "from the lease files in "

static void test_fresh_index_is_believed(void **state)
{
	world_index(*state);
	check(*state, "old", FROM_INDEX, "/index.cdb");
}

static void test_without_an_index_the_files_are_read(void **state)
{
	check(*state, "old", FROM_FILES, "(there is no index /");
}

static void test_stale_index_is_not_believed(void **state)
{
	world_index(*state);
	world_lease(*state, "virbr0.status", "new");
	/* The rename moved the directory's mtime too; either may be named. */
	check(*state, "new", FROM_FILES, "(the index is stale: ");
}

static void test_file_changed_in_place_is_named(void **state)
{
	struct world *world = *state;
	static const char text[] =
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"52:54:00:00:00:0a\","
		"\"hostname\":\"renewed\",\"expiry-time\":0}]";

	world_index(world);
	scratch_write(world->directory, "leases/virbr0.status", text, sizeof(text) - 1);
	check(world, "renewed", FROM_FILES, "(the index is stale: virbr0.status changed)");
}

static void test_vanished_file_is_not_served_from_the_index(void **state)
{
	struct world *world = *state;

	world_lease(world, "virbr1.status", "other");
	world_index(world);
	assert_int_equal(unlink(scratch_path(world->directory, "leases/virbr0.status")), 0);
	check(world, "other", FROM_FILES, "(the index is stale: ");
}

static void test_index_of_another_configuration_is_not_believed(void **state)
{
	struct world *world = *state;
	struct world other = {.directory = world->directory};

	world_index(world);
	world_conf(&other, "other.conf", "[zone]\nname = example");
	check(&other, "old.example", FROM_FILES, "built with another configuration");
	snapshot_conf_done(&other.conf);
}

static void test_same_configuration_by_another_path_is_the_same(void **state)
{
	struct world *world = *state;
	struct world other = {.directory = world->directory};
	char path[4096];
	struct conf_error error = {0};

	world_index(world);
	snprintf(path, sizeof(path), "%s/leases/../leasedns.conf", world->directory);
	assert_int_equal(snapshot_conf_load(path, &other.conf, &error), CONF_OK);
	check(&other, "old", FROM_INDEX, "/index.cdb");
	snapshot_conf_done(&other.conf);
}

/* As on a host that never had a configuration. */
static void test_configuration_that_appears_makes_the_index_stale(void **state)
{
	struct world *world = *state;

	free(world->conf.path);
	world->conf.path = strdup(scratch_path(world->directory, "none.conf"));
	world->conf.stamp = (struct source_stamp){.state = SOURCE_ABSENT};
	world_index(world);
	check(world, "old", FROM_INDEX, "/index.cdb");
	scratch_publish(world->directory, "none.conf", "");
	check(world, "old", FROM_FILES, "/none.conf appeared)");
}

static void test_index_that_others_may_write_is_not_believed(void **state)
{
	struct world *world = *state;

	world_index(world);
	assert_int_equal(chmod(scratch_path(world->directory, "index.cdb"), 0666), 0);
	check(world, "old", FROM_FILES, "index.cdb cannot be used: ");
}

static void test_spoilt_index_is_not_believed(void **state)
{
	struct world *world = *state;
	size_t len;
	char *content;

	world_index(world);
	content = scratch_read(scratch_path(world->directory, "index.cdb"), &len);
	memset(content, 0xff, len);
	scratch_write(world->directory, "index.cdb", content, len);
	free(content);
	check(world, "old", FROM_FILES, "index.cdb cannot be used: ");
}

static void test_build_reads_the_files_whatever_the_index_says(void **state)
{
	struct world *world = *state;
	struct store *store = snapshot_store_new(&world->conf);
	struct names_source source;

	world_index(world);
	assert_int_equal(names_source_build(&world->conf, store, &nobody, &source), PARSER_OK);
	assert_false(source.from_index);
	assert_memory_equal(source.origin, FROM_FILES, strlen(FROM_FILES));
	names_source_done(&source);
	store_free(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)
	const struct CMUnitTest tests[] = {
		TEST(test_fresh_index_is_believed),
		TEST(test_without_an_index_the_files_are_read),
		TEST(test_stale_index_is_not_believed),
		TEST(test_file_changed_in_place_is_named),
		TEST(test_vanished_file_is_not_served_from_the_index),
		TEST(test_index_of_another_configuration_is_not_believed),
		TEST(test_same_configuration_by_another_path_is_the_same),
		TEST(test_configuration_that_appears_makes_the_index_stale),
		TEST(test_index_that_others_may_write_is_not_believed),
		TEST(test_spoilt_index_is_not_believed),
		TEST(test_build_reads_the_files_whatever_the_index_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
