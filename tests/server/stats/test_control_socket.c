#include "server/stats/control_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/support/log.h"
#include "tests/support/scratch.h"

static int bound(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool is_answered(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return connected;
}

static unsigned count_files(const char *directory)
{
	char command[512];
	unsigned count = 0;
	FILE *output;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", directory);
	output = popen(command, "r");
	assert_non_null(output);
	assert_int_equal(fscanf(output, "%u", &count), 1);
	pclose(output);
	return count;
}

static int setup(void **state)
{
	log_start(LOG_LEVEL_ERROR);
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static void test_path_is_beside_the_index(void **state)
{
	static const char *const cases[][2] = {
		{"/run/leasedns/index.cdb", "/run/leasedns/control"},
		{"/index.cdb", "/control"},
		{"/a/b/c", "/a/b/control"},
	};
	(void)state;

	for (size_t i = 0; i < 3; i++) {
		char *path = control_socket_path(cases[i][0]);

		assert_string_equal(path, cases[i][1]);
		free(path);
	}
}

static void test_everybody_may_connect_whatever_the_umask(void **state)
{
	struct control_socket opened;
	struct stat st;
	char *path = strdup(scratch_path(*state, "control"));
	mode_t saved = umask(0077);

	assert_int_equal(control_socket_open(path, &opened), 0);
	umask(saved);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0666);
	assert_true(is_answered(path));
	control_socket_close(&opened);
	assert_int_equal(access(path, F_OK), -1);
	control_socket_close(&opened); /* Closed twice is closed. */
	free(path);
}

static void test_dead_socket_is_replaced(void **state)
{
	struct control_socket opened;
	char *path = strdup(scratch_path(*state, "control"));

	close(bound(path)); /* As a crash leaves it. */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(control_socket_open(path, &opened), 0);
	assert_true(is_answered(path));
	assert_int_equal(count_files(*state), 1);
	control_socket_close(&opened);
	free(path);
}

static void test_live_socket_is_left_alone(void **state)
{
	char *path = strdup(scratch_path(*state, "control"));
	struct control_socket first;
	struct control_socket second = {.fd = 77};

	assert_int_equal(control_socket_open(path, &first), 0);
	assert_int_equal(control_socket_open(path, &second), -1);
	assert_int_equal(second.fd, 77); /* Untouched. */
	assert_true(is_answered(path));
	assert_true(control_socket_is_there(&first));
	/* Nor one whose queue is full: nobody accepts. */
	for (int i = 0; i < 100; i++) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
			assert_int_equal(errno, EAGAIN);
			close(fd);
			break;
		}
		assert_true(i < 99);
	}
	assert_int_equal(control_socket_open(path, &second), -1);
	assert_true(control_socket_is_there(&first));
	assert_int_equal(count_files(*state), 1);
	control_socket_close(&first);
	free(path);
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
	char *path = strdup(scratch_path(*state, "control"));
	struct control_socket opened;
	char *text;

	scratch_write(*state, "control", "mine", 4);
	assert_int_equal(control_socket_open(path, &opened), -1);
	text = scratch_read(path, NULL);
	assert_string_equal(text, "mine");
	free(text);
	unlink(path);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(control_socket_open(path, &opened), -1);
	unlink(path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(control_socket_open(path, &opened), -1);
	assert_int_equal(rmdir(path), 0);
	free(path);
}

static void test_end_removes_only_what_was_made(void **state)
{
	char *path = strdup(scratch_path(*state, "control"));
	struct control_socket opened;
	struct control_socket other;

	assert_int_equal(control_socket_open(path, &opened), 0);
	unlink(path); /* Somebody cleans up, and another daemon starts. */
	assert_false(control_socket_is_there(&opened));
	assert_int_equal(control_socket_open(path, &other), 0);
	control_socket_close(&opened);
	assert_true(is_answered(path));
	control_socket_close(&other);
	assert_int_equal(count_files(*state), 0);
	free(path);
}

static void test_places_that_cannot_be_are_told(void **state)
{
	char name[200];
	struct control_socket opened;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(control_socket_open(scratch_path(*state, name), &opened), -1);
	assert_int_equal(control_socket_open(scratch_path(*state, "absent/control"), &opened), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_is_beside_the_index),
		cmocka_unit_test_setup_teardown(
			test_everybody_may_connect_whatever_the_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_socket_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_live_socket_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_no_socket_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_end_removes_only_what_was_made, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_places_that_cannot_be_are_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
