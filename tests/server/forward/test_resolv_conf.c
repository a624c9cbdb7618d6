#include "server/forward/resolv_conf.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/sockets.h"
#include "tests/server/steady_clock.h"
#include "tests/support/scratch.h"

/* Soon: inotify told. The safety net alone would take up to two seconds. */
#define SOON_MS 600
#define LATE_MS 5000

/* The servers as text, parted by blanks. */
static const char *read_text(const char *path)
{
	static char text[UPSTREAM_SERVERS_MAX * SOCKETS_TEXT_SIZE];
	struct conf_endpoint servers[UPSTREAM_SERVERS_MAX];
	size_t count = resolv_conf_read(path, servers);

	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		char server[SOCKETS_TEXT_SIZE];

		strcat(text, i > 0 ? " " : "");
		strcat(text, sockets_endpoint_format(&servers[i], server));
	}
	return text;
}

static void test_servers_are_read(void **state)
{
	static const struct {
		const char *content;
		const char *servers;
	} cases[] = {
		{"nameserver 192.0.2.1\n", "192.0.2.1:53"},
		{"# x\nsearch a\nnameserver\t192.0.2.1  # y\nnameserver 2001:db8::1\n",
			"192.0.2.1:53 [2001:db8::1]:53"},
		{"nameserver 192.0.2.1\nnameserver 192.0.2.1\n", "192.0.2.1:53"},
		/* None is none, not the 127.0.0.1 that c-ares makes of it. */
		{"", ""},
		{"# nameserver 192.0.2.1\n", ""},
		{"search example\n", ""},
		{"nameserver\n", ""},
		{"nameserver nonsense\n", ""},
		{"nameserverx 192.0.2.1\n", ""},
		{"nameserver 127.0.0.1\n", "127.0.0.1:53"},
		{"nameserver 127.0.0.53\n", "127.0.0.53:53"},
		{"nameserver nonsense\nnameserver 127.0.0.1\n", "127.0.0.1:53"},
		/* What c-ares 1.18 leaves out. */
		{"nameserver fe80::1%lo\n", "[fe80::1%1]:53"},
		{"nameserver fe80::1%no-such-link\n", ""},
		{"nameserver fe80::1\n", ""},
		{"nameserver 192.0.2.1\nnameserver [2001:db8::1]:5353\n",
			"192.0.2.1:53 [2001:db8::1]:5353"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		scratch_write(*state, "resolv.conf", cases[i].content, strlen(cases[i].content));
		const char *servers = read_text(scratch_path(*state, "resolv.conf"));

		if (strcmp(servers, cases[i].servers) != 0)
			fail_msg("%s gives '%s'", cases[i].content, servers);
	}
	assert_string_equal(read_text(scratch_path(*state, "absent")), "");
	assert_string_equal(read_text(*state), "");
	assert_string_equal(read_text("/dev/null"), "");
}

static void test_at_most_sixteen_servers_are_taken(void **state)
{
	char content[4096] = "";

	for (int i = 1; i <= 40; i++)
		sprintf(content + strlen(content), "nameserver [2001:db8::%d]:53\n", i);
	scratch_write(*state, "resolv.conf", content, strlen(content));
	struct conf_endpoint servers[UPSTREAM_SERVERS_MAX];

	assert_int_equal(resolv_conf_read(scratch_path(*state, "resolv.conf"), servers),
		UPSTREAM_SERVERS_MAX);
}

struct follower {
	uv_loop_t loop;
	struct resolv_conf *resolv_conf;
	unsigned changes;
};

static void on_change(void *ctx)
{
	((struct follower *)ctx)->changes++;
}

static void follow(struct follower *follower, const char *path)
{
	memset(follower, 0, sizeof(*follower));
	assert_int_equal(uv_loop_init(&follower->loop), 0);
	assert_int_equal(resolv_conf_start(&follower->loop, path, on_change, follower,
				 &follower->resolv_conf),
		0);
}

static void unfollow(struct follower *follower)
{
	resolv_conf_stop(follower->resolv_conf);
	resolv_conf_stop(follower->resolv_conf);
	uv_run(&follower->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&follower->loop), 0);
}

/* True if word came in time; it is forgotten then, with all that came right after. */
static bool changes_within(struct follower *follower, int ms)
{
	uint64_t end = uv_hrtime() / 1000000 + (uint64_t)ms;
	bool has_changed;

	while (follower->changes == 0 && uv_hrtime() / 1000000 < end) {
		uv_run(&follower->loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 2);
	}
	has_changed = follower->changes > 0;
	end = uv_hrtime() / 1000000 + 100;
	while (uv_hrtime() / 1000000 < end) {
		uv_run(&follower->loop, UV_RUN_NOWAIT);
		poll(NULL, 0, 2);
	}
	follower->changes = 0;
	return has_changed;
}

static void test_changes_of_every_kind_are_told(void **state)
{
	struct follower follower;
	char path[256];

	snprintf(path, sizeof(path), "%s", scratch_path(*state, "followed"));
	scratch_write(*state, "followed", "a", 1);
	follow(&follower, path);
	assert_false(changes_within(&follower, 50));
	scratch_publish(*state, "followed", "renamed");
	assert_true(changes_within(&follower, SOON_MS));
	scratch_write(*state, "followed", "in place", 8);
	assert_true(changes_within(&follower, SOON_MS));
	assert_int_equal(truncate(path, 0), 0);
	assert_true(changes_within(&follower, SOON_MS));
	assert_int_equal(unlink(path), 0);
	assert_true(changes_within(&follower, SOON_MS));
	scratch_write(*state, "followed", "again", 5);
	assert_true(changes_within(&follower, SOON_MS));
	scratch_write(*state, "other", "x", 1);
	assert_false(changes_within(&follower, 100));
	unfollow(&follower);
}

static void test_links_are_followed_to_their_files(void **state)
{
	struct follower follower;
	char path[256];

	assert_int_equal(mkdir(scratch_path(*state, "run"), 0700), 0);
	scratch_write(*state, "run/stub", "a", 1);
	assert_int_equal(symlink("run/stub", scratch_path(*state, "link")), 0);
	snprintf(path, sizeof(path), "%s", scratch_path(*state, "link"));
	follow(&follower, path);
	scratch_publish(*state, "run/stub", "renamed");
	assert_true(changes_within(&follower, SOON_MS));
	scratch_write(*state, "run/stub", "in place", 8);
	assert_true(changes_within(&follower, SOON_MS));
	/* The link itself leads elsewhere: a place that was not watched. */
	assert_int_equal(mkdir(scratch_path(*state, "run2"), 0700), 0);
	scratch_write(*state, "run2/stub", "longer than that", 16);
	assert_int_equal(symlink("run2/stub", scratch_path(*state, "link2")), 0);
	assert_int_equal(rename(scratch_path(*state, "link2"), scratch_path(*state, "link")), 0);
	assert_true(changes_within(&follower, SOON_MS));
	scratch_write(*state, "run2/stub", "x", 1);
	assert_true(changes_within(&follower, SOON_MS));
	/* The whole directory goes, as /run/systemd does, and comes. */
	assert_int_equal(rename(scratch_path(*state, "run2"), scratch_path(*state, "gone")), 0);
	assert_true(changes_within(&follower, LATE_MS));
	assert_int_equal(rename(scratch_path(*state, "gone"), scratch_path(*state, "run2")), 0);
	assert_true(changes_within(&follower, LATE_MS));
	scratch_write(*state, "run2/stub", "yyy", 3);
	assert_true(changes_within(&follower, SOON_MS));
	unfollow(&follower);
}

static void test_a_file_in_a_directory_yet_to_come_is_found(void **state)
{
	struct follower follower;
	char path[256];

	snprintf(path, sizeof(path), "%s", scratch_path(*state, "later/resolv.conf"));
	follow(&follower, path);
	assert_int_equal(mkdir(scratch_path(*state, "later"), 0700), 0);
	scratch_write(*state, "later/resolv.conf", "x", 1);
	assert_true(changes_within(&follower, LATE_MS));
	scratch_write(*state, "later/resolv.conf", "yy", 2);
	assert_true(changes_within(&follower, SOON_MS));
	unfollow(&follower);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers_are_read),
		cmocka_unit_test(test_at_most_sixteen_servers_are_taken),
		cmocka_unit_test(test_changes_of_every_kind_are_told),
		cmocka_unit_test(test_links_are_followed_to_their_files),
		cmocka_unit_test(test_a_file_in_a_directory_yet_to_come_is_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
