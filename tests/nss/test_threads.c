/* Many threads that look up at once, while the index and the leases change below them, and a parent
 * that forks meanwhile. For the thread sanitizer: -DLEASEDNS_SANITIZE=thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/nss/world.h"
#include "tests/support/scratch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORK_NEEDS_NO_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FORK_NEEDS_NO_ALLOCATOR
#endif

#define THREADS  8
#define CHILDREN 60
/* A child that hangs, on a lock that a thread of its parent held, ends by this. */
#define CHILD_S_MAX 120
/* How long threads may take to have looked up anything. */
#define PATIENCE_MS 60000

static atomic_bool stop;
static atomic_size_t lookups;

/* 0 if the answers are those of some moment: web always has its one IPv4 address. */
static int look_up(void)
{
	static const uint8_t web[4] = {192, 168, 122, 10};

	for (size_t m = 0; m < WORLD_MODULES; m++) {
		const struct world_module *module = &world_modules[m];
		struct gaih_addrtuple *tuples = NULL;
		struct hostent host;
		char buffer[2048];
		int error;
		int h_error;
		enum nss_status status = module->by_name4(m == WORLD_LIBVIRT_GUEST ? "box" : "web",
			&tuples, buffer, sizeof(buffer), &error, &h_error, NULL);

		/* A source that is being replaced: "try again" is fair, "no such name" is not. */
		if (status != NSS_STATUS_SUCCESS &&
			!(status == NSS_STATUS_TRYAGAIN && error == EAGAIN))
			return 1;
		if (status == NSS_STATUS_SUCCESS && tuples->next && m == WORLD_LIBVIRT_GUEST)
			return 2;
		status = module->by_name2(
			"missing", AF_INET, &host, buffer, sizeof(buffer), &error, &h_error);
		if (status == NSS_STATUS_SUCCESS)
			return 3;
		status = module->by_address(
			web, 4, AF_INET, &host, buffer, sizeof(buffer), &error, &h_error);
		if (status == NSS_STATUS_SUCCESS && strncmp(host.h_name, "web", 3) != 0)
			return 4;
		if (status == NSS_STATUS_NOTFOUND && m != WORLD_LIBVIRT_GUEST)
			return 5;
	}
	atomic_fetch_add(&lookups, 1);
	return 0;
}

static void *look_up_until_stopped(void *ctx)
{
	int *result = ctx;

	while (!atomic_load(&stop) && *result == 0)
		*result = look_up();
	return NULL;
}

static void start(pthread_t threads[THREADS], int results[THREADS])
{
	atomic_store(&stop, false);
	atomic_store(&lookups, 0);
	for (size_t i = 0; i < THREADS; i++) {
		results[i] = 0;
		assert_int_equal(
			pthread_create(&threads[i], NULL, look_up_until_stopped, &results[i]), 0);
	}
}

static void finish(pthread_t threads[THREADS], const int results[THREADS])
{
	for (int i = 0; i < PATIENCE_MS && atomic_load(&lookups) < THREADS; i++)
		usleep(1000);
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(results[i], 0);
	}
	assert_true(atomic_load(&lookups) >= THREADS);
}

static int setup(void **state)
{
	(void)state;
	world_reset(NULL);
	world_fill();
	world_index();
	return 0;
}

static void test_threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[THREADS];
	int results[THREADS];

	(void)state;
	start(threads, results);
	for (int i = 0; i < 30; i++) {
		if (i % 3 == 0)
			world_drop_index();
		else if (i % 3 == 1)
			world_index();
		else
			world_fill(); /* Makes it stale. */
		usleep(5000);
	}
	finish(threads, results);
	print_message("  %zu rounds\n", atomic_load(&lookups));
}

/* Children of a process whose threads are in the middle of lookups look up themselves. */
static void fork_while_threads_look_up(void)
{
	pthread_t threads[THREADS];
	int results[THREADS];

	start(threads, results);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			alarm(CHILD_S_MAX);
			_exit(look_up());
		}
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	finish(threads, results);
}

static void test_child_of_a_threaded_process_looks_up_in_the_index(void **state)
{
	(void)state;
	fork_while_threads_look_up();
}

static void test_child_of_a_threaded_process_looks_up_in_the_files(void **state)
{
	(void)state;
#ifdef FORK_NEEDS_NO_ALLOCATOR
	/* Unlike glibc's, its allocator may be locked for ever in a child of a threaded process. */
	skip();
#endif
	world_drop_index();
	fork_while_threads_look_up();
}

/* What a thread that is cancelled brings back. */
struct last_lookup {
	int cancel_state; /* That it asks with. */
	bool came_back;
	int result;
	int state_after;
};

static void *look_up_cancelled(void *ctx)
{
	struct last_lookup *last = ctx;
	int ignored;

	pthread_setcancelstate(last->cancel_state, &ignored);
	pthread_cancel(pthread_self());
	last->result = look_up();
	last->came_back = true;
	/* It may end in peace: a sanitizer takes the end of a cancelled thread for an error. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &last->state_after);
	return NULL;
}

/* A thread that ended in the middle of a lookup would leave descriptors and memory behind. */
static void test_thread_is_not_cancelled_within_a_lookup(void **state)
{
	static const int states[] = {PTHREAD_CANCEL_ENABLE, PTHREAD_CANCEL_DISABLE};

	(void)state;
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
			struct last_lookup last = {.cancel_state = states[i]};
			pthread_t thread;
			void *end;

			assert_int_equal(
				pthread_create(&thread, NULL, look_up_cancelled, &last), 0);
			assert_int_equal(pthread_join(thread, &end), 0);
			assert_true(last.came_back);
			assert_int_equal(last.result, 0);
			assert_int_equal(last.state_after, states[i]);
			assert_null(end);
		}
		world_drop_index();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_threads_do_not_disturb_each_other, setup),
		cmocka_unit_test_setup(
			test_child_of_a_threaded_process_looks_up_in_the_index, setup),
		cmocka_unit_test_setup(
			test_child_of_a_threaded_process_looks_up_in_the_files, setup),
		cmocka_unit_test_setup(test_thread_is_not_cancelled_within_a_lookup, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
