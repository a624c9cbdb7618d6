#include "server/stats/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/support/log.h"
#include "tests/server/steady_clock.h"
#include "tests/support/scratch.h"

#define PATIENCE_MS 20000
#define LARGE       (8u << 20)

struct world {
	uv_loop_t loop;
	char *directory;
	struct control *control;
	unsigned asked;
	size_t document_octets;
	char got[4096];
};

static char *stats(void *ctx)
{
	struct world *world = ctx;
	char *document = calloc(1, world->document_octets + 1);

	assert_non_null(document);
	memset(document, 'x', world->document_octets);
	world->asked++;
	return document;
}

static void world_open(struct world *world, struct control_limits limits)
{
	memset(world, 0, sizeof(*world));
	world->document_octets = 3;
	world->directory = scratch_new();
	assert_int_equal(uv_loop_init(&world->loop), 0);
	assert_int_equal(
		control_start(&world->loop, &limits,
			&(struct control_ops){.stats = stats, .ctx = world}, &world->control),
		0);
}

static void serve(struct world *world, const char *index)
{
	control_serve(world->control, scratch_path(world->directory, index));
}

/* Ends only if no handle is left; what is not freed the address sanitizer tells. */
static void world_close(struct world *world)
{
	control_stop(world->control);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	scratch_free(world->directory);
}

static const struct control_limits quick = {.clients_max = 4, .client_ms = 200};
static const struct control_limits patient = {.clients_max = 4, .client_ms = PATIENCE_MS};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void turn(struct world *world)
{
	uv_run(&world->loop, UV_RUN_NOWAIT);
	poll(NULL, 0, 1);
}

/* -1 and errno, or a client that does not block. */
static int client_new(struct world *world, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		scratch_path(world->directory, name));
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void put(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until the other end closes; the client is closed then. */
static const char *take(struct world *world, int client)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	size_t len = 0;
	ssize_t count;

	for (;;) {
		turn(world);
		count = recv(client, world->got + len, sizeof(world->got) - 1 - len, 0);
		if (count > 0)
			len += (size_t)count;
		else if (count == 0 || errno != EAGAIN || now_ms() > end)
			break;
	}
	assert_true(count == 0 || errno == ECONNRESET);
	close(client);
	world->got[len] = '\0';
	return world->got;
}

static const char *ask(struct world *world, const char *name, const char *request)
{
	int client = client_new(world, name);

	assert_true(client >= 0);
	put(client, request);
	return take(world, client);
}

static void test_one_line_brings_one_document(void **state)
{
	struct world world;
	struct stat st;
	int client;
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	assert_int_equal(stat(scratch_path(world.directory, "control"), &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0666);
	assert_string_equal(ask(&world, "control", "stats\n"), "xxx\n");
	assert_string_equal(ask(&world, "control", "stats\nand more"), "xxx\n");
	assert_int_equal(world.asked, 2);
	assert_non_null(strstr(ask(&world, "control", "stop\n"), "{\"error\":"));
	assert_non_null(strstr(ask(&world, "control", "\n"), "{\"error\":"));
	assert_non_null(strstr(ask(&world, "control", "Stats \n"), "{\"error\":"));
	client = client_new(&world, "control");
	for (const char *at = "stats\n"; *at; at++) {
		put(client, (char[]){*at, '\0'});
		turn(&world);
	}
	assert_string_equal(take(&world, client), "xxx\n");
	world_close(&world);
}

static void test_longest_request_is_bounded(void **state)
{
	char request[CONTROL_REQUEST_OCTETS_MAX + 1];
	struct world world;
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	memset(request, 'x', sizeof(request));
	request[sizeof(request) - 1] = '\0';
	assert_string_equal(ask(&world, "control", request), ""); /* No newline. */
	request[sizeof(request) - 2] = '\n';
	assert_non_null(strstr(ask(&world, "control", request), "{\"error\":"));
	world_close(&world);
}

static void test_clients_that_hang_are_cut_off(void **state)
{
	struct world world;
	int silent;
	int deaf;
	int half;
	(void)state;

	world_open(&world, quick);
	serve(&world, "index.cdb");
	silent = client_new(&world, "control");
	half = client_new(&world, "control");
	put(half, "sta");
	world.document_octets = LARGE;
	deaf = client_new(&world, "control");
	put(deaf, "stats\n");
	while (world.asked == 0)
		turn(&world);
	world.document_octets = 3;
	assert_string_equal(ask(&world, "control", "stats\n"), "xxx\n"); /* Meanwhile. */
	assert_string_equal(take(&world, silent), "");
	assert_string_equal(take(&world, half), "");
	for (uint64_t end = now_ms() + 3 * quick.client_ms; now_ms() < end;)
		turn(&world);
	/* What the kernel had taken, and no more. */
	for (size_t len = 0;;) {
		ssize_t count = recv(deaf, world.got, sizeof(world.got), 0);

		len += count > 0 ? (size_t)count : 0;
		assert_true(len < LARGE);
		if (count == 0 || (count < 0 && errno == ECONNRESET))
			break;
		assert_true(count > 0);
	}
	close(deaf);
	world_close(&world);
}

static void test_large_documents_are_whole(void **state)
{
	struct world world;
	size_t len = 0;
	ssize_t count;
	int client;
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	world.document_octets = LARGE;
	client = client_new(&world, "control");
	put(client, "stats\n");
	while ((count = recv(client, world.got, sizeof(world.got), 0)) != 0) {
		if (count > 0)
			len += (size_t)count;
		else
			turn(&world);
	}
	assert_int_equal(len, LARGE + 1);
	close(client);
	world_close(&world);
}

static void test_too_many_clients_make_the_oldest_go(void **state)
{
	struct world world;
	int clients[6];
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	for (size_t i = 0; i < 6; i++) {
		clients[i] = client_new(&world, "control");
		assert_true(clients[i] >= 0);
	}
	assert_string_equal(take(&world, clients[0]), "");
	assert_string_equal(take(&world, clients[1]), "");
	for (size_t i = 2; i < 6; i++) {
		put(clients[i], "stats\n");
		assert_string_equal(take(&world, clients[i]), "xxx\n");
	}
	world_close(&world);
}

static void test_no_descriptor_left_is_waited_for(void **state)
{
	struct rlimit saved;
	struct rlimit none;
	struct world world;
	unsigned turns = 0;
	int client;
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	client = client_new(&world, "control");
	put(client, "stats\n");
	getrlimit(RLIMIT_NOFILE, &saved);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = saved.rlim_max}; /* All are open. */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* A loop that spins is woken thousands of times. */
	for (uint64_t end = now_ms() + 500; now_ms() < end;) {
		struct pollfd ready = {uv_backend_fd(&world.loop), POLLIN, 0};

		turns += poll(&ready, 1, 1) > 0;
		uv_run(&world.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	assert_int_equal(world.asked, 0);
	assert_in_range(turns, 0, 20);
	assert_string_equal(take(&world, client), "xxx\n");
	world_close(&world);
}

static void test_socket_follows_the_index(void **state)
{
	struct world world;
	int client;
	(void)state;

	world_open(&world, patient);
	mkdir(scratch_path(world.directory, "a"), 0755);
	mkdir(scratch_path(world.directory, "b"), 0755);
	serve(&world, "a/index.cdb");
	client = client_new(&world, "a/control");
	serve(&world, "a/index.cdb"); /* Nothing changes. */
	serve(&world, "a/other.cdb");
	put(client, "stats\n");
	assert_string_equal(take(&world, client), "xxx\n");
	serve(&world, "b/index.cdb");
	assert_int_equal(client_new(&world, "a/control"), -1);
	assert_int_equal(access(scratch_path(world.directory, "a/control"), F_OK), -1);
	assert_string_equal(ask(&world, "b/control", "stats\n"), "xxx\n");
	unlink(scratch_path(world.directory, "b/control"));
	serve(&world, "b/index.cdb"); /* Was removed behind our back. */
	assert_string_equal(ask(&world, "b/control", "stats\n"), "xxx\n");
	serve(&world, "absent/index.cdb"); /* Cannot be, and then can. */
	assert_int_equal(client_new(&world, "b/control"), -1);
	mkdir(scratch_path(world.directory, "absent"), 0755);
	serve(&world, "absent/index.cdb");
	assert_string_equal(ask(&world, "absent/control", "stats\n"), "xxx\n");
	world_close(&world);
}

static void test_stop_lets_clients_go(void **state)
{
	struct world world;
	int silent;
	int deaf;
	(void)state;

	world_open(&world, patient);
	serve(&world, "index.cdb");
	silent = client_new(&world, "control");
	deaf = client_new(&world, "control");
	world.document_octets = LARGE;
	put(deaf, "stats\n");
	while (world.asked == 0)
		turn(&world);
	control_stop(world.control);
	world.control = NULL;
	assert_int_equal(client_new(&world, "control"), -1);
	assert_string_equal(take(&world, silent), "");
	close(deaf);
	world_close(&world);
}

static int quiet(void **state)
{
	(void)state;
	log_start(LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line_brings_one_document),
		cmocka_unit_test(test_longest_request_is_bounded),
		cmocka_unit_test(test_clients_that_hang_are_cut_off),
		cmocka_unit_test(test_large_documents_are_whole),
		cmocka_unit_test(test_too_many_clients_make_the_oldest_go),
		cmocka_unit_test(test_no_descriptor_left_is_waited_for),
		cmocka_unit_test(test_socket_follows_the_index),
		cmocka_unit_test(test_stop_lets_clients_go),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
