#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/notify.h"
#include "tests/support/scratch.h"

/* Longer than a busy machine takes for anything here. */
#define BLOCKED_S 60

/* A service manager: binds `name` (with '@' for the abstract namespace). */
static int manager_open(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

static const char *manager_read(int fd)
{
	static char text[4096];
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

static void check_every_message(const char *name)
{
	int manager = manager_open(name);
	struct notify notify;
	struct timespec before;
	int64_t usec;

	setenv("NOTIFY_SOCKET", name, 1);
	notify_init(&notify);
	assert_true(notify_is_active(&notify));
	assert_null(getenv("NOTIFY_SOCKET"));

	assert_true(notify_ready(&notify));
	assert_string_equal(manager_read(manager), "READY=1");
	notify_status(&notify, "%d names on\n%s", 42, "127.0.0.56:53");
	assert_string_equal(manager_read(manager), "STATUS=42 names on 127.0.0.56:53");
	notify_watchdog(&notify);
	assert_string_equal(manager_read(manager), "WATCHDOG=1");
	notify_stopping(&notify);
	assert_string_equal(manager_read(manager), "STOPPING=1");

	clock_gettime(CLOCK_MONOTONIC, &before);
	notify_reloading(&notify);
	usec = 0;
	assert_int_equal(
		sscanf(manager_read(manager), "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &usec), 1);
	usec -= before.tv_sec * 1000000 + before.tv_nsec / 1000;
	assert_in_range(usec, 0, BLOCKED_S * 1000000);

	notify_done(&notify);
	notify_done(&notify);
	assert_false(notify_is_active(&notify));
	close(manager);
}

static void test_messages_reach_a_path(void **state)
{
	char *directory = scratch_new();

	(void)state;
	check_every_message(scratch_path(directory, "notify"));
	scratch_free(directory);
}

static void test_messages_reach_an_abstract_name(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@leasedns-test-%d", (int)getpid());
	check_every_message(name);
}

static void test_without_a_manager_nothing_happens(void **state)
{
	static const char *const addresses[] = {NULL, "", "@", "/", "relative", "vsock:2:1234",
		"/nowhere/at/all",
		"/much/too/long/"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct notify notify;

		if (addresses[i])
			setenv("NOTIFY_SOCKET", addresses[i], 1);
		notify_init(&notify);
		/* Only an address that could be one makes us try. */
		assert_int_equal(notify_is_active(&notify), i == 6);
		/* Nothing that another try could mend. */
		assert_true(notify_ready(&notify));
		notify_status(&notify, "x");
		notify_done(&notify);
	}
}

static void test_full_manager_blocks_nothing_and_ready_is_known_to_be_lost(void **state)
{
	char *directory = scratch_new();
	int manager = manager_open(scratch_path(directory, "notify"));
	struct notify notify;

	(void)state;
	setenv("NOTIFY_SOCKET", scratch_path(directory, "notify"), 1);
	notify_init(&notify);
	/* Nobody reads: whoever waits does so until the alarm. */
	alarm(BLOCKED_S);
	for (int i = 0; i < 5000; i++) {
		notify_watchdog(&notify);
		notify_status(&notify, "%d", i);
	}
	assert_false(notify_ready(&notify));
	alarm(0);
	assert_string_equal(manager_read(manager), "WATCHDOG=1");
	assert_true(notify_ready(&notify));
	notify_done(&notify);
	close(manager);
	scratch_free(directory);
}

static void test_watchdog_interval(void **state)
{
	static const struct {
		const char *usec;
		int pid_offset; /* From ours; -1000000: not set. */
		uint64_t expected_ms;
	} cases[] = {
		{"30000000", 0, 30000},
		{"30000000", -1000000, 30000},
		{"30000000", 1, 0},
		{"1500", 0, 1},
		{"0", 0, 0},
		{"-5", 0, 0},
		{"", 0, 0},
		{"5s", 0, 0},
		{"99999999999999999999999", 0, 0},
		{NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct notify notify;
		char pid[32];

		snprintf(pid, sizeof(pid), "%d", (int)getpid() + cases[i].pid_offset);
		if (cases[i].usec)
			setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid_offset > -1000000)
			setenv("WATCHDOG_PID", pid, 1);
		notify_init(&notify);
		assert_int_equal(notify.watchdog_ms, cases[i].expected_ms);
		assert_null(getenv("WATCHDOG_USEC"));
		assert_null(getenv("WATCHDOG_PID"));
		notify_done(&notify);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_reach_a_path),
		cmocka_unit_test(test_messages_reach_an_abstract_name),
		cmocka_unit_test(test_without_a_manager_nothing_happens),
		cmocka_unit_test(test_full_manager_blocks_nothing_and_ready_is_known_to_be_lost),
		cmocka_unit_test(test_watchdog_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
