#include "server/stats/control_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch.h"

#define PATIENCE_MS 20000
#define HASTE_MS    100

struct server {
	char *directory;
	char *path;
	int fd;
	pid_t child;
};

static void serve_text(int connection)
{
	char request[64];

	if (recv(connection, request, sizeof(request), 0) == 6 &&
		memcmp(request, "stats\n", 6) == 0)
		(void)!write(connection, "{\"a\":1}\n", 8);
}

static void serve_pieces(int connection)
{
	char request[64];

	assert_int_equal(recv(connection, request, sizeof(request), 0), 6);
	for (int i = 0; i < 5; i++) {
		(void)!write(connection, "x", 1);
		poll(NULL, 0, 20);
	}
}

static void serve_nothing(int connection)
{
	char octet;

	/* Until the client gives up. */
	while (recv(connection, &octet, 1, 0) > 0)
		;
}

static void serve_for_ever(int connection)
{
	static char octets[65536];

	while (send(connection, octets, sizeof(octets), MSG_NOSIGNAL) > 0)
		;
}

static void serve_drops(int connection)
{
	while (send(connection, "x", 1, MSG_NOSIGNAL) > 0)
		poll(NULL, 0, HASTE_MS / 4);
}

/* @param serve each connection, in a child; NULL: nobody accepts. */
static void server_open(struct server *server, void (*serve)(int connection), int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	server->directory = scratch_new();
	server->path = strdup(scratch_path(server->directory, "control"));
	server->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	server->child = 0;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, backlog), 0);
	if (!serve)
		return;
	server->child = fork();
	if (server->child == 0) {
		int connection = accept(server->fd, NULL, NULL);

		serve(connection);
		_exit(0);
	}
}

static void server_close(struct server *server)
{
	close(server->fd);
	if (server->child > 0) {
		kill(server->child, SIGKILL);
		waitpid(server->child, NULL, 0);
	}
	scratch_free(server->directory);
	free(server->path);
}

static void expect(void (*serve)(int connection), int patience_ms, enum control_result result,
	const char *document)
{
	struct server server;
	char *got = NULL;

	server_open(&server, serve, 1);
	assert_int_equal(control_ask(server.path, "stats", patience_ms, &got), result);
	if (document)
		assert_string_equal(got, document);
	else
		assert_null(got);
	free(got);
	server_close(&server);
}

static void test_document_is_what_comes_until_the_end(void **state)
{
	(void)state;
	expect(serve_text, PATIENCE_MS, CONTROL_OK, "{\"a\":1}\n");
	expect(serve_pieces, PATIENCE_MS, CONTROL_OK, "xxxxx");
}

static void test_server_that_hangs_is_given_up(void **state)
{
	(void)state;
	expect(serve_nothing, HASTE_MS, CONTROL_SILENT, NULL);
	expect(NULL, HASTE_MS, CONTROL_SILENT, NULL);
	expect(serve_drops, HASTE_MS, CONTROL_SILENT, NULL);
}

static void test_full_queue_is_given_up(void **state)
{
	struct server server;
	char *got = NULL;
	int waiting[2];
	(void)state;

	server_open(&server, NULL, 0);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.path);
		(void)connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
	}
	assert_int_equal(control_ask(server.path, "stats", HASTE_MS, &got), CONTROL_SILENT);
	for (int i = 0; i < 2; i++)
		close(waiting[i]);
	server_close(&server);
}

static void on_signal(int number)
{
	(void)number;
}

/* However often a signal comes, be it SIGCONT to somebody who was in the background: the wait goes
 * on, and ends in time. */
static void test_signals_are_not_the_end(void **state)
{
	const struct sigaction act = {.sa_handler = on_signal};
	const struct itimerval often = {{0, HASTE_MS * 1000 / 4}, {0, HASTE_MS * 1000 / 4}};
	const struct itimerval never = {{0, 0}, {0, 0}};

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	test_full_queue_is_given_up(state);
	expect(serve_pieces, PATIENCE_MS, CONTROL_OK, "xxxxx");
	setitimer(ITIMER_REAL, &never, NULL);
}

static void test_too_long_documents_are_refused(void **state)
{
	(void)state;
	expect(serve_for_ever, PATIENCE_MS, CONTROL_TOO_LONG, NULL);
}

static void test_nobody_is_told_from_failures(void **state)
{
	char *directory = scratch_new();
	char *path = strdup(scratch_path(directory, "control"));
	char *got = NULL;
	char name[200];
	(void)state;

	assert_int_equal(control_ask(path, "stats", PATIENCE_MS, &got), CONTROL_NOBODY);
	scratch_write(directory, "control", "", 0);
	assert_int_equal(control_ask(path, "stats", PATIENCE_MS, &got), CONTROL_NOBODY);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(control_ask(name, "stats", PATIENCE_MS, &got), CONTROL_FAILED);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_null(got);
	free(path);
	scratch_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document_is_what_comes_until_the_end),
		cmocka_unit_test(test_server_that_hangs_is_given_up),
		cmocka_unit_test(test_full_queue_is_given_up),
		cmocka_unit_test(test_signals_are_not_the_end),
		cmocka_unit_test(test_too_long_documents_are_refused),
		cmocka_unit_test(test_nobody_is_told_from_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
