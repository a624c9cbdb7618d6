#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_index.h"
#include "parser/freshness.h"
#include "parser/index_file.h"
#include "parser/view.h"
#include "server/names/snapshot.h"
#include "tests/support/scratch.h"

static const struct snapshot_sinks nobody;

/* A scratch directory with a configuration in it. */
struct world {
	char *directory;
	struct snapshot_conf conf;
	struct store *store;
};

static void world_load(struct world *world, const char *text)
{
	char content[2048];
	struct conf_error error = {0};

	world->directory = scratch_new();
	assert_int_equal(mkdir(scratch_path(world->directory, "leases"), 0755), 0);
	snprintf(content, sizeof(content),
		"%s\n[leases]\nlibvirt = %s/leases\n[index]\nfile = "
		"%s/index.cdb\n",
		text, world->directory, world->directory);
	scratch_publish(world->directory, "leasedns.conf", content);
	assert_int_equal(snapshot_conf_load(scratch_path(world->directory, "leasedns.conf"),
				 &world->conf, &error),
		CONF_OK);
	world->store = snapshot_store_new(&world->conf);
	assert_non_null(world->store);
}

static void world_done(struct world *world)
{
	store_free(world->store);
	snapshot_conf_done(&world->conf);
	scratch_free(world->directory);
}

static void world_publish_lease(const struct world *world)
{
	scratch_publish(world->directory, "leases/virbr0.status",
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"52:54:00:00:00:0a\","
		"\"hostname\":\"guest7\",\"expiry-time\":0}]");
}

/* The addresses of `name` in the index at `fd`, parted by blanks. */
static const char *addresses(int fd, const char *name)
{
	static char text[512];
	struct index_window window;
	struct index index;
	struct index_meta meta;
	struct view view;
	struct index_record record;
	size_t len = 0;

	text[0] = '\0';
	assert_int_equal(index_init_fd(&index, fd, &window), PARSER_OK);
	assert_int_equal(index_meta_init(&meta, &index), PARSER_OK);
	if (view_find(&index, INDEX_KEY_NAME, bytes_of_text(name), 1000, &view) == INDEX_NODATA) {
		while (view_next(&view, ADDRESS_NONE, 1000, &record)) {
			char address[ADDRESS_TEXT_SIZE];

			address_format(&record.address, address);
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s", len ? " " : "", address);
		}
	}
	index_meta_done(&meta);
	return text;
}

static int build_in_memory(const struct world *world)
{
	int fd = -1;

	assert_int_equal(
		snapshot_memory(&world->conf, world->store, NULL, &nobody, &fd), PARSER_OK);
	assert_true(fd >= 0);
	return fd;
}

static void test_own_name_has_the_addresses_that_we_listen_on(void **state)
{
	static const struct {
		const char *listen;
		const char *addresses;
	} cases[] = {
		{"127.0.0.56", "127.0.0.56"},
		{"127.0.0.56 [fd00::1]:53", "127.0.0.56 fd00::1"},
		{"127.0.0.56:53 127.0.0.56:5353", "127.0.0.56"},
		/* A wildcard is no address to be asked at. */
		{"0.0.0.0 10.1.2.3", "10.1.2.3"},
		{"0.0.0.0", "127.0.0.1"},
		{"[::]:53", "::1"},
		{"0.0.0.0 [::]:53", "127.0.0.1 ::1"},
		/* Nor is one that needs an interface besides. */
		{"fe80::1%lo 10.1.2.3", "10.1.2.3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		char text[256];
		int fd;

		snprintf(text, sizeof(text), "[server]\nlisten = %s", cases[i].listen);
		world_load(&world, text);
		fd = build_in_memory(&world);
		assert_string_equal(addresses(fd, CONF_INDEX_SERVER_NAME), cases[i].addresses);
		close(fd);
		world_done(&world);
	}
}

static void test_settings_reach_the_index(void **state)
{
	struct world world;
	struct index_window window;
	struct index index;
	struct index_meta meta;
	int fd;

	(void)state;
	world_load(&world, "[zone]\nname = vm.example libvirt\nttl = 7\nnegative-ttl = 3\n"
			   "[network]\nvirbr0 = default");
	world_publish_lease(&world);
	fd = build_in_memory(&world);
	assert_int_equal(index_init_fd(&index, fd, &window), PARSER_OK);
	assert_int_equal(index_meta_init(&meta, &index), PARSER_OK);
	assert_int_equal(meta.zone_count, 2);
	assert_true(bytes_equal(meta.zones[0], bytes_of_text("vm.example")));
	assert_true(bytes_equal(meta.zones[1], bytes_of_text("libvirt")));
	assert_int_equal(meta.ttl_s, 7);
	assert_int_equal(meta.negative_ttl_s, 3);
	assert_int_equal(meta.network_count, 1);
	assert_true(bytes_equal(meta.networks[0].bridge, bytes_of_text("virbr0")));
	assert_true(bytes_equal(meta.networks[0].name, bytes_of_text("default")));
	assert_true(meta.built_unix_ns > INT64_C(1600000000000000000));
	assert_string_equal(addresses(fd, "guest7.default"), "10.0.0.1");
	index_meta_done(&meta);
	close(fd);
	world_done(&world);
}

static void test_no_guest_takes_the_name_of_its_host(void **state)
{
	char host[256] = "";
	char lease[1024];
	struct world world;
	int fd;

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host) - 3), 0);
	host[strcspn(host, ".")] = '\0';
	world_load(&world, "");
	snprintf(lease, sizeof(lease),
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"52:54:00:00:00:0a\","
		"\"hostname\":\"%s\",\"expiry-time\":0},"
		"{\"ip-address\":\"10.0.0.2\",\"mac-address\":\"52:54:00:00:00:0b\","
		"\"hostname\":\"%s-2\",\"expiry-time\":0}]",
		host, host);
	scratch_publish(world.directory, "leases/virbr0.status", lease);
	fd = build_in_memory(&world);
	assert_string_equal(addresses(fd, host), "");
	strcat(host, "-2");
	assert_string_equal(addresses(fd, host), "10.0.0.2");
	close(fd);
	world_done(&world);
}

static void test_changed_configuration_makes_the_index_stale(void **state)
{
	struct world world;
	struct index_window window;
	struct index index;
	struct index_meta meta;
	char source[INDEX_META_TEXT_SIZE];
	int fd;

	(void)state;
	world_load(&world, "");
	world_publish_lease(&world);
	assert_int_equal(snapshot_settle(world.store, &nobody), PARSER_OK);
	fd = build_in_memory(&world);
	assert_int_equal(index_init_fd(&index, fd, &window), PARSER_OK);
	assert_int_equal(index_meta_init(&meta, &index), PARSER_OK);
	assert_int_equal(freshness_of(&index, NULL), FRESHNESS_FRESH);
	scratch_publish(world.directory, "leasedns.conf", "# another\n");
	assert_int_equal(freshness_of(&index, source), FRESHNESS_STALE);
	assert_string_equal(source, scratch_path(world.directory, "leasedns.conf"));
	index_meta_done(&meta);
	close(fd);
	world_done(&world);
}

/* It would go into every index and make none of them believed. */
static void test_configuration_written_a_moment_ago_is_not_racy(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct world world;

		world_load(&world, "");
		assert_int_equal(world.conf.stamp.state, SOURCE_FILE);
		assert_false(source_stamp_is_racy(&world.conf.stamp));
		world_done(&world);
	}
}

static void test_named_configuration_must_exist(void **state)
{
	char *directory = scratch_new();
	struct snapshot_conf conf = {.path = (char *)"untouched"};
	struct conf_error error = {0};

	(void)state;
	assert_int_equal(snapshot_conf_load(scratch_path(directory, "none.conf"), &conf, &error),
		CONF_E_ABSENT);
	assert_string_equal(conf.path, "untouched");
	scratch_free(directory);
}

static void test_relative_path_is_recorded_from_the_root(void **state)
{
	char *directory = scratch_new();
	char *here = getcwd(NULL, 0);
	char *there;
	char expected[4096];
	struct snapshot_conf conf;
	struct conf_error error = {0};

	(void)state;
	scratch_publish(directory, "x.conf", "");
	assert_int_equal(chdir(directory), 0);
	there = getcwd(NULL, 0);
	assert_int_equal(snapshot_conf_load("x.conf", &conf, &error), CONF_OK);
	assert_int_equal(chdir(here), 0);
	snprintf(expected, sizeof(expected), "%s/x.conf", there);
	assert_string_equal(conf.path, expected);
	snapshot_conf_done(&conf);
	free(here);
	free(there);
	scratch_free(directory);
}

static void test_index_in_memory_cannot_be_changed_any_more(void **state)
{
	struct world world;
	int fd;

	(void)state;
	world_load(&world, "");
	fd = build_in_memory(&world);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	world_done(&world);
}

static void test_published_index_is_found_by_its_readers(void **state)
{
	struct world world;
	struct stat published;
	struct stat found;
	int fd = -1;
	int reader = -1;

	(void)state;
	world_load(&world, "");
	world_publish_lease(&world);
	assert_int_equal(snapshot_publish(&world.conf, world.store, NULL, &nobody, &fd), PARSER_OK);
	assert_int_equal(index_file_open(world.conf.conf.index_file, &reader, NULL), PARSER_OK);
	assert_int_equal(fstat(fd, &published), 0);
	assert_int_equal(fstat(reader, &found), 0);
	assert_int_equal(published.st_ino, found.st_ino);
	assert_string_equal(addresses(reader, "guest7"), "10.0.0.1");
	close(fd);
	close(reader);
	world_done(&world);
}

static void test_missing_index_directory_is_told_by_errno(void **state)
{
	struct world world;
	char *index_file;
	int fd = -7;

	(void)state;
	world_load(&world, "");
	index_file = strdup(scratch_path(world.directory, "none/index.cdb"));
	free(world.conf.conf.index_file);
	world.conf.conf.index_file = index_file;
	errno = 0;
	assert_int_equal(
		snapshot_publish(&world.conf, world.store, NULL, &nobody, &fd), PARSER_E_IO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(fd, -7);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_name_has_the_addresses_that_we_listen_on),
		cmocka_unit_test(test_settings_reach_the_index),
		cmocka_unit_test(test_no_guest_takes_the_name_of_its_host),
		cmocka_unit_test(test_changed_configuration_makes_the_index_stale),
		cmocka_unit_test(test_configuration_written_a_moment_ago_is_not_racy),
		cmocka_unit_test(test_named_configuration_must_exist),
		cmocka_unit_test(test_relative_path_is_recorded_from_the_root),
		cmocka_unit_test(test_index_in_memory_cannot_be_changed_any_more),
		cmocka_unit_test(test_published_index_is_found_by_its_readers),
		cmocka_unit_test(test_missing_index_directory_is_told_by_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
