/* What a module takes from the process that it is a guest in: memory, stack, descriptors, and which
 * functions it calls. The allocator and others are replaced, which a sanitizer would not stand;
 * then there is nothing to run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOCATOR_IS_TAKEN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOCATOR_IS_TAKEN
#endif

#ifndef ALLOCATOR_IS_TAKEN

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/nss/world.h"
#include "tests/support/many_leases.h"
#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What we promise: "Stack < 16 KiB, heap < 1 MiB". */
#define STACK_OCTETS_MAX (16 * 1024)
#define HEAP_OCTETS_MAX  (1024 * 1024)

/* --- Functions that are replaced ------------------------------------------------------------- */

/* What libraries have to find in our program. */
#define REPLACES __attribute__((visibility("default")))

/* glibc's own, below what can be replaced. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *ptr);

/* Only what happens during a call of a hook counts. */
static bool watching;
static size_t allocations;
static size_t releases;
static size_t live;
static size_t live_most;
static size_t fail_at = SIZE_MAX; /* Which allocation fails. */
static char forbidden[256];       /* Names of functions that were called. */

static size_t octets_of(void *ptr)
{
	return ptr ? malloc_usable_size(ptr) + sizeof(size_t) : 0;
}

static bool may_allocate(void)
{
	if (!watching)
		return true;
	if (allocations++ != fail_at)
		return true;
	errno = ENOMEM;
	return false;
}

static void *count_in(void *ptr)
{
	if (watching)
		live += octets_of(ptr);
	if (live > live_most)
		live_most = live;
	return ptr;
}

static void count_out(size_t octets)
{
	if (watching)
		live -= octets;
}

REPLACES void *malloc(size_t size)
{
	return may_allocate() ? count_in(__libc_malloc(size)) : NULL;
}

REPLACES void *calloc(size_t count, size_t size)
{
	return may_allocate() ? count_in(__libc_calloc(count, size)) : NULL;
}

REPLACES void *realloc(void *old, size_t size)
{
	size_t before = octets_of(old);
	void *fresh = may_allocate() ? __libc_realloc(old, size) : NULL;

	if (!fresh)
		return NULL;
	/* Both may live for a while. */
	count_in(fresh);
	count_out(before);
	return fresh;
}

REPLACES void free(void *ptr)
{
	if (watching && ptr)
		releases++;
	count_out(octets_of(ptr));
	__libc_free(ptr);
}

static void note(const char *function)
{
	size_t len = strlen(forbidden);

	if (watching && len + strlen(function) + 2 < sizeof(forbidden)) {
		memcpy(forbidden + len, function, strlen(function));
		memcpy(forbidden + len + strlen(function), " ", 2);
	}
}

/* Notes that it was called and calls the real one. */
#define WATCH(type, name, parameters, arguments)             \
	REPLACES type name parameters                        \
	{                                                    \
		type(*real) parameters;                      \
		note(#name);                                 \
		*(void **)(&real) = dlsym(RTLD_NEXT, #name); \
		return real arguments;                       \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wpedantic"
WATCH(char *, getenv, (const char *name), (name))
WATCH(char *, secure_getenv, (const char *name), (name))
WATCH(FILE *, fopen, (const char *path, const char *mode), (path, mode))
WATCH(FILE *, fdopen, (int fd, const char *mode), (fd, mode))
WATCH(char *, setlocale, (int category, const char *locale), (category, locale))
WATCH(int, pthread_atfork, (void (*before)(void), void (*parent)(void), void (*child)(void)),
	(before, parent, child))
WATCH(int, sigaction, (int number, const struct sigaction *action, struct sigaction *old),
	(number, action, old))
WATCH(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *ctx),
	(thread, attributes, start, ctx))
WATCH(int, getaddrinfo,
	(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result),
	(node, service, hints, result))
WATCH(struct hostent *, gethostbyname, (const char *name), (name))
WATCH(char *, strerror, (int error), (error))
WATCH(void *, dlopen, (const char *path, int flags), (path, flags))
#pragma GCC diagnostic pop

REPLACES void abort(void)
{
	static const char text[] = "abort() was called\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(98);
	_exit(99);
}

/* --- Calls that are watched ------------------------------------------------------------------ */

static char buffer[256 * 1024];

struct watched {
	enum nss_status status;
	int error;
	int h_error;
};

static struct watched watch_name(size_t module, const char *name)
{
	struct gaih_addrtuple *tuples = NULL;
	struct watched watched;
	int32_t ttl_s;

	allocations = 0;
	releases = 0;
	live = 0;
	live_most = 0;
	forbidden[0] = '\0';
	watching = true;
	watched.status = world_modules[module].by_name4(
		name, &tuples, buffer, sizeof(buffer), &watched.error, &watched.h_error, &ttl_s);
	watching = false;
	return watched;
}

static struct watched watch_address(size_t module)
{
	static const uint8_t octets[4] = {192, 168, 122, 10};
	struct hostent host;
	struct watched watched;

	allocations = 0;
	releases = 0;
	live = 0;
	live_most = 0;
	forbidden[0] = '\0';
	watching = true;
	watched.status = world_modules[module].by_address(octets, 4, AF_INET, &host, buffer,
		sizeof(buffer), &watched.error, &watched.h_error);
	watching = false;
	return watched;
}

static const char *triple(struct watched watched)
{
	return world_triple(watched.status, watched.error, watched.h_error);
}

static int setup(void **state)
{
	(void)state;
	fail_at = SIZE_MAX;
	world_reset(NULL);
	world_fill();
	world_index();
	return 0;
}

static const char *const names[] = {
	"web", "box", "web.virbr0.libvirt", "v6only", "idle", "missing", "libvirt", "web.libvirt."};

/* So it is safe in the child of a threaded process that was forked while others held the lock. */
static void test_index_path_calls_neither_allocator_nor_anything_that_keeps_state(void **state)
{
	(void)state;
	for (size_t m = 0; m < WORLD_MODULES; m++) {
		for (size_t i = 0; i < COUNT(names); i++) {
			watch_name(m, names[i]);
			assert_int_equal(allocations + releases, 0);
			assert_string_equal(forbidden, "");
		}
		watch_address(m);
		assert_int_equal(allocations + releases, 0);
		assert_string_equal(forbidden, "");
	}
}

static void test_parse_path_keeps_to_the_allocator(void **state)
{
	(void)state;
	world_drop_index();
	for (size_t m = 0; m < WORLD_MODULES; m++) {
		for (size_t i = 0; i < COUNT(names); i++) {
			watch_name(m, names[i]);
			assert_true(allocations > 0);
			assert_int_equal(live, 0);
			assert_string_equal(forbidden, "");
		}
		watch_address(m);
		assert_true(allocations > 0);
		assert_int_equal(live, 0);
		assert_string_equal(forbidden, "");
	}
}

static void test_heap_is_bounded_with_many_leases(void **state)
{
	size_t most = 0;

	(void)state;
	world_reset(NULL);
	many_leases_write(world_path("leases"), 60000, 0);
	for (size_t m = 0; m < WORLD_MODULES; m++) {
		watch_name(m, "vm-30000");
		most = live_most > most ? live_most : most;
		watch_address(m);
		most = live_most > most ? live_most : most;
	}
	print_message("  heap of a lookup among 60,000 leases: %zu octets\n", most);
	assert_true(most < HEAP_OCTETS_MAX);
}

/* One name that a thousand machines have, and one that has more leases than are kept. */
static void test_heap_is_bounded_for_one_name_with_many_leases(void **state)
{
	static const size_t counts[] = {1000, 1016, 1017, 60000};
	size_t most = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		world_reset(NULL);
		world_write_leases("virbr0", "clone", counts[i], false);
		for (size_t m = 0; m < WORLD_MODULES; m++) {
			const char *answer = triple(watch_name(m, "clone"));

			most = live_most > most ? live_most : most;
			if (m != WORLD_LIBVIRT_GUEST && counts[i] == 1000)
				assert_string_equal(answer, "SUCCESS/0/NETDB_SUCCESS");
			if (m != WORLD_LIBVIRT_GUEST && counts[i] == 60000)
				assert_string_equal(answer, "UNAVAIL/ENOENT/NO_RECOVERY");
		}
	}
	print_message("  heap of a lookup of one name of thousands: %zu octets\n", most);
	assert_true(most < HEAP_OCTETS_MAX);
}

/* Which allocation ever fails: the right answer, or "try again". Never "no such name". */
static void test_memory_that_runs_out_is_told(void **state)
{
	(void)state;
	world_drop_index();
	for (size_t m = 0; m < WORLD_MODULES; m++) {
		for (size_t i = 0; i <= COUNT(names); i++) {
			struct watched right;
			size_t told = 0;
			size_t all;

			right = i < COUNT(names) ? watch_name(m, names[i]) : watch_address(m);
			all = allocations;
			for (fail_at = 0; fail_at < all; fail_at++) {
				struct watched watched = i < COUNT(names) ? watch_name(m, names[i])
									  : watch_address(m);

				assert_int_equal(live, 0);
				if (strcmp(triple(watched), triple(right)) == 0)
					continue;
				assert_string_equal(triple(watched), "TRYAGAIN/EAGAIN/TRY_AGAIN");
				told++;
			}
			fail_at = SIZE_MAX;
			assert_true(told > 10);
		}
	}
}

static void test_descriptors_that_run_out_are_told(void **state)
{
	struct rlimit before;
	struct rlimit none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t m = 0; m < WORLD_MODULES; m++) {
			struct watched watched;

			assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
			watched = watch_name(m, "web");
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
			assert_string_equal(triple(watched), "TRYAGAIN/EAGAIN/TRY_AGAIN");
		}
		world_drop_index();
	}
}

static size_t count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_no_descriptor_stays_open(void **state)
{
	size_t before;

	(void)state;
	before = count_descriptors();
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t m = 0; m < WORLD_MODULES; m++) {
			for (size_t i = 0; i < COUNT(names); i++)
				watch_name(m, names[i]);
			watch_address(m);
		}
		world_drop_index();
	}
	scratch_publish(world_path("leases"), "virbr0.status", "[{");
	watch_name(WORLD_LIBVIRT, "web");
	assert_int_equal(count_descriptors(), before);
}

/* With descriptors 0 to 2 closed, ours are these; they are closed again and nothing is written. */
static void test_closed_standard_streams_do_not_matter(void **state)
{
	struct watched watched[2];
	int saved[3];

	(void)state;
	for (int fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	watched[0] = watch_name(WORLD_LIBVIRT, "web");
	world_drop_index();
	watched[1] = watch_name(WORLD_LIBVIRT, "web");
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			watched[0].status = NSS_STATUS_TRYAGAIN;
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	assert_string_equal(triple(watched[0]), "SUCCESS/0/NETDB_SUCCESS");
	assert_string_equal(triple(watched[1]), "SUCCESS/0/NETDB_SUCCESS");
}

/* --- Stack ------------------------------------------------------------------------------------ */

#define STACK_OCTETS (512 * 1024)
#define STACK_PAINT  0xa5

struct painted {
	size_t module;
	const char *name; /* NULL: the address. */
	const uint8_t *top;
};

static void *run_on_paint(void *ctx)
{
	struct painted *painted = ctx;

	painted->top = __builtin_frame_address(0);
	if (painted->name)
		watch_name(painted->module, painted->name);
	else
		watch_address(painted->module);
	return NULL;
}

/* How much of a painted stack a call uses. */
static size_t stack_depth(size_t module, const char *name)
{
	struct painted painted = {.module = module, .name = name};
	uint8_t *stack = mmap(NULL, STACK_OCTETS, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	const uint8_t *lowest = stack;
	pthread_attr_t attributes;
	pthread_t thread;
	size_t depth;

	assert_ptr_not_equal(stack, MAP_FAILED);
	memset(stack, STACK_PAINT, STACK_OCTETS);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_OCTETS), 0);
	assert_int_equal(pthread_create(&thread, &attributes, run_on_paint, &painted), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	while (*lowest == STACK_PAINT)
		lowest++;
	depth = (size_t)(painted.top - lowest);
	pthread_attr_destroy(&attributes);
	munmap(stack, STACK_OCTETS);
	return depth;
}

static size_t deepest(void)
{
	size_t most = 0;

	for (size_t m = 0; m < WORLD_MODULES; m++) {
		for (size_t i = 0; i <= COUNT(names); i++) {
			size_t depth = stack_depth(m, i < COUNT(names) ? names[i] : NULL);

			most = depth > most ? depth : most;
		}
	}
	return most;
}

static void test_stack_is_bounded(void **state)
{
	size_t index;
	size_t stale;
	size_t hidden;
	size_t files;

	(void)state;
	index = deepest();
	scratch_publish(world_path("leases"), "virbr1.status", "[]");
	stale = deepest();
	world_index();
	assert_int_equal(rename(world_path("leases"), world_path("before")), 0);
	hidden = deepest();
	assert_int_equal(rename(world_path("before"), world_path("leases")), 0);
	world_drop_index();
	files = deepest();
	print_message("  stack in octets: %zu from the index, %zu from one whose sources are gone, "
		      "%zu beside a stale one, %zu from the files\n",
		index, hidden, stale, files);
	assert_true(index < STACK_OCTETS_MAX);
	assert_true(hidden < STACK_OCTETS_MAX);
	assert_true(stale < STACK_OCTETS_MAX);
	assert_true(files < STACK_OCTETS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			test_index_path_calls_neither_allocator_nor_anything_that_keeps_state,
			setup),
		cmocka_unit_test_setup(test_parse_path_keeps_to_the_allocator, setup),
		cmocka_unit_test_setup(test_heap_is_bounded_with_many_leases, setup),
		cmocka_unit_test_setup(test_heap_is_bounded_for_one_name_with_many_leases, setup),
		cmocka_unit_test_setup(test_memory_that_runs_out_is_told, setup),
		cmocka_unit_test_setup(test_descriptors_that_run_out_are_told, setup),
		cmocka_unit_test_setup(test_no_descriptor_stays_open, setup),
		cmocka_unit_test_setup(test_closed_standard_streams_do_not_matter, setup),
		cmocka_unit_test_setup(test_stack_is_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* ALLOCATOR_IS_TAKEN */

int main(void)
{
	return 0;
}

#endif
