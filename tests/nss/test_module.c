/* The hooks as glibc calls them: results, statuses, and the caller's buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parser/index.h"
#include "tests/nss/world.h"
#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#define STEP             11 /* Every length would take too long. */
#define FENCE(at, len)   ASAN_POISON_MEMORY_REGION(at, len)
#define UNFENCE(at, len) ASAN_UNPOISON_MEMORY_REGION(at, len)
#else
#define STEP 1
#define FENCE(at, len)
#define UNFENCE(at, len)
#endif

#define POISON        0xa5
#define FENCE_OCTETS  64
#define OFFSETS       16
#define BUFFER_OCTETS 131072

/* A block whose middle is handed to a hook. */
static _Alignas(64) unsigned char block[FENCE_OCTETS + BUFFER_OCTETS + OFFSETS + FENCE_OCTETS];

/* One way to ask. */
enum hook {
	BY_NAME,
	BY_NAME2,
	BY_NAME3,
	BY_NAME4,
	BY_NAME4_BROUGHT,
	BY_ADDRESS,
	BY_ADDRESS2,
	HOOKS
};

static const char *const hook_names[HOOKS] = {"gethostbyname_r", "gethostbyname2_r",
	"gethostbyname3_r", "gethostbyname4_r", "gethostbyname4_r with *pat", "gethostbyaddr_r",
	"gethostbyaddr2_r"};

struct call {
	const struct world_module *module;
	enum hook hook;
	const char *name; /* Or text of the address. */
	int family;
	int *errnop;
};

struct result {
	enum nss_status status;
	int error;
	int h_error;
	struct hostent host;
	struct gaih_addrtuple *tuples;
	struct gaih_addrtuple brought;
	char *canon;
	int32_t ttl_s;
};

static const struct result untouched = {
	.error = 77,
	.h_error = 78,
	.host = {.h_name = (char *)1, .h_length = 79},
	.brought = {.family = 80},
	.canon = (char *)2,
	.ttl_s = -81,
};

static bool is_by_address(enum hook hook)
{
	return hook == BY_ADDRESS || hook == BY_ADDRESS2;
}

static struct result call_hook(const struct call *call, char *buffer, size_t buflen)
{
	const struct world_module *module = call->module;
	struct result result = untouched;
	int *errnop = call->errnop ? call->errnop : &result.error;
	uint8_t octets[16];
	socklen_t len = call->family == AF_INET6 ? 16 : 4;

	if (is_by_address(call->hook) && inet_pton(call->family, call->name, octets) != 1)
		fail_msg("%s", call->name);
	switch (call->hook) {
	case BY_NAME:
		result.status = module->by_name(
			call->name, &result.host, buffer, buflen, errnop, &result.h_error);
		break;
	case BY_NAME2:
		result.status = module->by_name2(call->name, call->family, &result.host, buffer,
			buflen, errnop, &result.h_error);
		break;
	case BY_NAME3:
		result.status = module->by_name3(call->name, call->family, &result.host, buffer,
			buflen, errnop, &result.h_error, &result.ttl_s, &result.canon);
		break;
	case BY_NAME4:
		result.status = module->by_name4(call->name, &result.tuples, buffer, buflen, errnop,
			&result.h_error, &result.ttl_s);
		break;
	case BY_NAME4_BROUGHT:
		result.tuples = &result.brought;
		result.status = module->by_name4(call->name, &result.tuples, buffer, buflen, errnop,
			&result.h_error, &result.ttl_s);
		break;
	case BY_ADDRESS:
		result.status = module->by_address(octets, len, call->family, &result.host, buffer,
			buflen, errnop, &result.h_error);
		break;
	case BY_ADDRESS2:
		result.status = module->by_address2(octets, len, call->family, &result.host, buffer,
			buflen, errnop, &result.h_error, &result.ttl_s);
		break;
	case HOOKS:
		break;
	}
	return result;
}

/* --- What a result may point to -------------------------------------------------------------- */

struct extent {
	const unsigned char *start;
	size_t len;
};

static void expect_inside(struct extent buffer, const void *at, size_t len, size_t align)
{
	const unsigned char *start = at;

	assert_true(start >= buffer.start && len <= buffer.len &&
		    (size_t)(start - buffer.start) <= buffer.len - len);
	assert_int_equal((uintptr_t)at % align, 0);
}

static void expect_text_inside(struct extent buffer, const char *text)
{
	expect_inside(buffer, text, 1, 1);
	expect_inside(buffer, text, strlen(text) + 1, 1);
}

static size_t expect_host_inside(struct extent buffer, const struct hostent *host)
{
	size_t count = 0;

	expect_text_inside(buffer, host->h_name);
	expect_inside(buffer, host->h_aliases, sizeof(char *), sizeof(char *));
	for (char **alias = host->h_aliases; *alias; alias++) {
		expect_inside(buffer, alias + 1, sizeof(char *), sizeof(char *));
		expect_text_inside(buffer, *alias);
	}
	assert_int_equal(host->h_length, host->h_addrtype == AF_INET ? 4 : 16);
	expect_inside(buffer, host->h_addr_list, sizeof(char *), sizeof(char *));
	for (; host->h_addr_list[count]; count++) {
		expect_inside(
			buffer, &host->h_addr_list[count + 1], sizeof(char *), sizeof(char *));
		expect_inside(buffer, host->h_addr_list[count], (size_t)host->h_length, 4);
	}
	return count;
}

static size_t expect_tuples_inside(
	struct extent buffer, const struct gaih_addrtuple *tuples, const char *name)
{
	size_t count = 0;

	for (; tuples; tuples = tuples->next, count++) {
		expect_inside(buffer, tuples, sizeof(*tuples), _Alignof(struct gaih_addrtuple));
		expect_text_inside(buffer, tuples->name);
		assert_string_equal(tuples->name, name);
		assert_int_equal(tuples->scopeid, 0);
	}
	return count;
}

/* How many addresses there are; all of the result lies in the buffer. */
static size_t expect_sound(
	const struct call *call, const struct result *result, struct extent buffer)
{
	switch (call->hook) {
	case BY_NAME:
	case BY_NAME2:
	case BY_NAME3:
		assert_string_equal(result->host.h_name, call->name);
		if (call->hook == BY_NAME3)
			assert_ptr_equal(result->canon, result->host.h_name);
		return expect_host_inside(buffer, &result->host);
	case BY_NAME4:
		return expect_tuples_inside(buffer, result->tuples, call->name);
	case BY_NAME4_BROUGHT:
		/* result was copied, so `tuples` points to what was the hook's. */
		assert_string_equal(result->brought.name, call->name);
		expect_text_inside(buffer, result->brought.name);
		return 1 + expect_tuples_inside(buffer, result->brought.next, call->name);
	case BY_ADDRESS:
	case BY_ADDRESS2:
	case HOOKS:
		break;
	}
	return expect_host_inside(buffer, &result->host);
}

static void expect_untouched(const struct result *result)
{
	assert_memory_equal(&result->host, &untouched.host, sizeof(result->host));
	assert_memory_equal(&result->brought, &untouched.brought, sizeof(result->brought));
	assert_ptr_equal(result->canon, untouched.canon);
	assert_int_equal(result->ttl_s, untouched.ttl_s);
}

/* Calls with `buflen` octets at `offset`, fenced off on both sides. */
static struct result call_fenced(
	const struct call *call, size_t offset, size_t buflen, struct extent *out_buffer)
{
	unsigned char *start = block + FENCE_OCTETS + offset;
	struct result result;

	memset(start - FENCE_OCTETS, POISON, FENCE_OCTETS);
	memset(start + buflen, POISON, FENCE_OCTETS);
	FENCE(block, (size_t)(start - block));
	FENCE(start + buflen, sizeof(block) - (size_t)(start + buflen - block));
	result = call_hook(call, (char *)start, buflen);
	UNFENCE(block, sizeof(block));
	for (size_t i = 0; i < FENCE_OCTETS; i++) {
		assert_int_equal(start[(long)i - FENCE_OCTETS], POISON);
		assert_int_equal(start[buflen + i], POISON);
	}
	*out_buffer = (struct extent){start, buflen};
	return result;
}

/* Every length from 0 up at every offset: asks for more with the one triple that glibc knows, until
 * it is enough; then gives all, and never again asks for more.
 *  @param step 1, or more where every length would take too long. */
static void expect_buffer_is_kept(const struct call *call, size_t addresses, size_t step)
{
	for (size_t offset = 0; offset < OFFSETS; offset += step == 1 ? 1 : 5) {
		size_t enough = 0;

		for (size_t len = 0; !enough || len < enough + 80; len += step) {
			struct extent buffer;
			struct result result;

			assert_true(len < BUFFER_OCTETS);
			result = call_fenced(call, offset, len, &buffer);
			if (!enough && result.status != NSS_STATUS_SUCCESS) {
				assert_string_equal(
					world_triple(result.status, result.error, result.h_error),
					"TRYAGAIN/ERANGE/NETDB_INTERNAL");
				expect_untouched(&result);
				if (call->hook == BY_NAME4)
					assert_null(result.tuples);
				continue;
			}
			assert_string_equal(
				world_triple(result.status, result.error, result.h_error),
				"SUCCESS/0/NETDB_SUCCESS");
			assert_int_equal(expect_sound(call, &result, buffer), addresses);
			enough = enough ? enough : len;
		}
	}
}

static int setup(void **state)
{
	(void)state;
	world_reset(NULL);
	world_fill();
	world_write_leases("virbr3", "thirty", 30, false);
	world_write_leases("virbr4", "thousand", 1000, false);
	world_write_leases("virbr5", "thirty", 30, true);
	world_write_leases("virbr6", "thousand", 1000, true);
	world_index();
	return 0;
}

static void expect_buffers_are_kept(enum world_module_number module, const char *name,
	const char *address, size_t of_a_family, size_t step)
{
	for (enum hook hook = 0; hook < HOOKS; hook++) {
		bool both = hook == BY_NAME4 || hook == BY_NAME4_BROUGHT;
		struct call call = {.module = &world_modules[module],
			.hook = hook,
			.name = is_by_address(hook) ? address : name,
			.family = AF_INET};

		if (is_by_address(hook) && !address)
			continue;
		print_message("  %s %s\n", call.module->name, hook_names[hook]);
		expect_buffer_is_kept(&call,
			is_by_address(hook) ? 1
			: both              ? 2 * of_a_family
					    : of_a_family,
			step);
		if (hook != BY_NAME2 && hook != BY_NAME3)
			continue;
		call.family = AF_INET6;
		expect_buffer_is_kept(&call, of_a_family, step);
	}
}

static void test_buffer_of_any_length_and_offset_is_kept(void **state)
{
	(void)state;
	expect_buffers_are_kept(WORLD_LIBVIRT, "web", "192.168.122.10", 1, 1);
	expect_buffers_are_kept(WORLD_LEASEDNS, "WEB.virbr0.libvirt", "192.168.122.10", 1, 1);
	expect_buffers_are_kept(WORLD_LEASEDNS, "thirty", "10.1.0.20", 30, STEP);
	expect_buffers_are_kept(WORLD_LIBVIRT, "thousand", NULL, 1000, 1373);
}

static void test_buffer_is_kept_by_guests_too(void **state)
{
	static const struct call calls[] = {
		{.hook = BY_NAME, .name = "box"},
		{.hook = BY_NAME3, .name = "box"},
		{.hook = BY_NAME4, .name = "box"},
		{.hook = BY_ADDRESS2, .name = "192.168.122.14"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		struct call call = calls[i];

		call.module = &world_modules[WORLD_LIBVIRT_GUEST];
		call.family = AF_INET;
		expect_buffer_is_kept(&call, 1, 1);
	}
}

/* Without an index it takes longer, so with one offset and in steps. */
static void test_buffer_is_kept_without_index(void **state)
{
	struct call call = {.module = &world_modules[WORLD_LEASEDNS], .family = AF_INET};

	(void)state;
	world_reset(NULL);
	world_write_leases("virbr3", "thirty", 30, false);
	world_write_leases("virbr5", "thirty", 30, true);
	for (call.hook = 0; call.hook < HOOKS; call.hook++) {
		bool both = call.hook == BY_NAME4 || call.hook == BY_NAME4_BROUGHT;

		call.name = is_by_address(call.hook) ? "10.1.0.20" : "thirty";
		expect_buffer_is_kept(&call, is_by_address(call.hook) ? 1 : both ? 60 : 30, 397);
	}
}

static void test_null_buffer_of_no_length_is_too_small(void **state)
{
	struct call call = {
		.module = &world_modules[WORLD_LIBVIRT], .hook = BY_NAME4, .name = "web"};
	struct result result;

	(void)state;
	result = call_hook(&call, NULL, 0);
	assert_string_equal(world_triple(result.status, result.error, result.h_error),
		"TRYAGAIN/ERANGE/NETDB_INTERNAL");
}

/* --- Statuses -------------------------------------------------------------------------------- */

#define FOUND       "SUCCESS/0/NETDB_SUCCESS"
#define ABSENT      "NOTFOUND/ENOENT/HOST_NOT_FOUND"
#define NODATA      "NOTFOUND/ENOENT/NO_DATA"
#define UNAVAILABLE "UNAVAIL/ENOENT/NO_RECOVERY"
#define TRANSIENT   "TRYAGAIN/EAGAIN/TRY_AGAIN"

/* Calls twice: with errnop elsewhere, where errno stays, and with errnop at errno. */
static void expect_triple(struct call call, const char *expected)
{
	static char buffer[BUFFER_OCTETS];
	struct result result;
	struct result again;

	errno = 99;
	result = call_hook(&call, buffer, sizeof(buffer));
	assert_int_equal(errno, 99);
	if (strcmp(world_triple(result.status, result.error, result.h_error), expected) != 0)
		print_error("%s %s %.40s\n", call.module->name, hook_names[call.hook], call.name);
	assert_string_equal(world_triple(result.status, result.error, result.h_error), expected);
	if (result.status != NSS_STATUS_SUCCESS)
		expect_untouched(&result);
	call.errnop = &errno;
	errno = 99;
	again = call_hook(&call, buffer, sizeof(buffer));
	again.error = errno;
	assert_string_equal(world_triple(again.status, again.error, again.h_error), expected);
}

static void expect_triples_by_name(
	size_t module, const char *name, int family, const char *expected)
{
	for (enum hook hook = BY_NAME; hook <= BY_NAME4_BROUGHT; hook++) {
		struct call call = {.module = &world_modules[module],
			.hook = hook,
			.name = name,
			.family = family};
		bool any_family = hook == BY_NAME4 || hook == BY_NAME4_BROUGHT;

		if ((any_family && family) || (!any_family && !family) ||
			(hook == BY_NAME && family != AF_INET))
			continue;
		expect_triple(call, expected);
	}
}

static void test_status_of_names(void **state)
{
	static const struct {
		enum world_module_number module;
		const char *name;
		int family; /* 0: both at once. */
		const char *expected;
	} rows[] = {
		{WORLD_LIBVIRT, "web", 0, FOUND},
		{WORLD_LIBVIRT, "web", AF_INET, FOUND},
		{WORLD_LIBVIRT, "web", AF_INET6, FOUND},
		{WORLD_LIBVIRT, "v4only", AF_INET6, NODATA},
		{WORLD_LIBVIRT, "v6only", AF_INET, NODATA},
		{WORLD_LIBVIRT, "v6only", 0, FOUND},
		{WORLD_LIBVIRT, "gone", 0, ABSENT},
		{WORLD_LIBVIRT, "missing", 0, ABSENT},
		{WORLD_LIBVIRT, "missing", AF_INET, ABSENT},
		{WORLD_LIBVIRT, "box", 0, ABSENT},
		{WORLD_LIBVIRT, "printer", 0, ABSENT},
		{WORLD_LIBVIRT, "libvirt", 0, ABSENT},
		{WORLD_LIBVIRT_GUEST, "box", 0, FOUND},
		{WORLD_LIBVIRT_GUEST, "box", AF_INET6, NODATA},
		{WORLD_LIBVIRT_GUEST, "idle", 0, NODATA},
		{WORLD_LIBVIRT_GUEST, "idle", AF_INET, NODATA},
		{WORLD_LIBVIRT_GUEST, "web", 0, ABSENT},
		{WORLD_LEASEDNS, "web", 0, FOUND},
		{WORLD_LEASEDNS, "box", AF_INET, FOUND},
		{WORLD_LEASEDNS, "idle.libvirt", 0, NODATA},
		{WORLD_LEASEDNS, "printer", AF_INET6, NODATA},
		{WORLD_LEASEDNS, "libvirt", 0, NODATA},
		{WORLD_LEASEDNS, "libvirt.", AF_INET, NODATA},
		{WORLD_LEASEDNS, "missing.libvirt", 0, ABSENT},
	};

	(void)state;
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t i = 0; i < COUNT(rows); i++)
			expect_triples_by_name(
				rows[i].module, rows[i].name, rows[i].family, rows[i].expected);
		world_drop_index();
	}
}

static void test_status_of_addresses(void **state)
{
	static const struct {
		enum world_module_number module;
		const char *address;
		const char *expected;
	} rows[] = {
		{WORLD_LIBVIRT, "192.168.122.10", FOUND},
		{WORLD_LIBVIRT, "fd00::10", FOUND},
		{WORLD_LIBVIRT, "192.168.122.13", ABSENT}, /* Expired. */
		{WORLD_LIBVIRT, "192.168.122.14", ABSENT}, /* Without hostname. */
		{WORLD_LIBVIRT, "192.168.122.16", ABSENT}, /* With one that cannot be. */
		{WORLD_LIBVIRT, "192.168.122.99", ABSENT},
		{WORLD_LIBVIRT, "0.0.0.0", ABSENT},
		{WORLD_LIBVIRT, "::", ABSENT},
		{WORLD_LIBVIRT_GUEST, "192.168.122.14", FOUND},
		{WORLD_LIBVIRT_GUEST, "192.168.122.10", ABSENT},
		{WORLD_LEASEDNS, "192.168.122.20", FOUND},
		{WORLD_LEASEDNS, "192.168.122.14", FOUND},
		{WORLD_LEASEDNS, "127.0.0.56", ABSENT},
		{WORLD_LEASEDNS, "::ffff:192.168.122.10", FOUND},
		{WORLD_LEASEDNS, "::ffff:192.168.122.99", ABSENT},
		{WORLD_LEASEDNS, "::192.168.122.10", ABSENT},
	};

	(void)state;
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			for (enum hook hook = BY_ADDRESS; hook <= BY_ADDRESS2; hook++) {
				struct call call = {.module = &world_modules[rows[i].module],
					.hook = hook,
					.name = rows[i].address,
					.family =
						strchr(rows[i].address, ':') ? AF_INET6 : AF_INET};

				expect_triple(call, rows[i].expected);
			}
		}
		world_drop_index();
	}
}

static void test_status_where_there_is_no_source(void **state)
{
	(void)state;
	world_drop_index();
	assert_int_equal(rename(world_path("leases"), world_path("before")), 0);
	for (size_t i = 0; i < WORLD_MODULES; i++) {
		expect_triples_by_name(i, "web", 0, UNAVAILABLE);
		expect_triples_by_name(i, "web", AF_INET, UNAVAILABLE);
		expect_triple((struct call){.module = &world_modules[i],
				      .hook = BY_ADDRESS,
				      .name = "192.168.122.10",
				      .family = AF_INET},
			UNAVAILABLE);
	}
}

static void test_other_families_have_no_data(void **state)
{
	static const int families[] = {AF_UNSPEC, AF_UNIX, -1, 12345};
	static const char octets[16] = {(char)192, (char)168, 122, 10};
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];
	char buffer[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(families); i++) {
		struct hostent host = untouched.host;
		int error;
		int h_error;
		enum nss_status status = module->by_name2(
			"web", families[i], &host, buffer, sizeof(buffer), &error, &h_error);

		assert_string_equal(world_triple(status, error, h_error), NODATA);
		status = module->by_address(
			octets, 4, families[i], &host, buffer, sizeof(buffer), &error, &h_error);
		assert_string_equal(world_triple(status, error, h_error), ABSENT);
		assert_memory_equal(&host, &untouched.host, sizeof(host));
	}
}

/* Who listens on "::" sees its peers of IPv4 so; to glibc's module `dns` that is an IPv4 address.
 */
static void test_mapped_address_is_one_of_ipv4(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 168, 122, 10};
	const struct world_module *module = &world_modules[WORLD_LEASEDNS];
	char buffer[1024];

	(void)state;
	for (int with_index = 1; with_index >= 0; with_index--) {
		struct hostent host;
		int error;
		int h_error;
		enum nss_status status = module->by_address(
			mapped, 16, AF_INET6, &host, buffer, sizeof(buffer), &error, &h_error);

		assert_string_equal(world_triple(status, error, h_error), FOUND);
		assert_string_equal(host.h_name, "web.libvirt");
		assert_int_equal(host.h_addrtype, AF_INET);
		assert_int_equal(host.h_length, 4);
		assert_memory_equal(host.h_addr_list[0], mapped + 12, 4);
		assert_null(host.h_addr_list[1]);
		world_drop_index();
	}
}

static void test_address_of_wrong_length_is_absent(void **state)
{
	static const struct {
		int family;
		socklen_t len;
	} rows[] = {{AF_INET, 0}, {AF_INET, 3}, {AF_INET, 5}, {AF_INET, 16}, {AF_INET6, 4},
		{AF_INET6, 15}, {AF_INET6, 17}, {AF_INET, (socklen_t)-1},
		{AF_INET6, (socklen_t)-1}};
	static const char octets[17] = {(char)192, (char)168, 122, 10};
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];
	char buffer[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct hostent host;
		int error;
		int h_error;
		enum nss_status status = module->by_address(octets, rows[i].len, rows[i].family,
			&host, buffer, sizeof(buffer), &error, &h_error);

		assert_string_equal(world_triple(status, error, h_error), ABSENT);
	}
}

/* --- Names ------------------------------------------------------------------------------------ */

static void test_case_and_trailing_dot_do_not_count(void **state)
{
	static const char *const names[] = {"web", "WEB", "Web.", "web.libvirt", "WEB.LIBVIRT.",
		"wEb.VirBr0", "web.virbr0.libvirt."};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_string_equal(world_ask(&world_modules[WORLD_LIBVIRT], names[i], AF_INET),
			"found 192.168.122.10");
		assert_string_equal(world_ask(&world_modules[WORLD_LEASEDNS], names[i], AF_INET),
			"found 192.168.122.10");
	}
}

static void test_name_of_any_bytes_and_length_is_absent(void **state)
{
	static const size_t lengths[] = {
		1, 62, 63, 64, 252, 253, 254, 255, 256, 511, 512, 513, 4096, 100000};
	static const char *const names[] = {"", ".", "..", "...", "web..", ".web", "web ", " web",
		"we b", "\t", "\x80",
		("w\xc3\xbc"
		 "b"),
		"\xff\xfe\xfd", "*", "*.libvirt", "web\\", "web%s%n", "192.168.122.10", "fd00::10",
		"::", "0", "web.libvirt.libvirt", ".libvirt", "web.web", "-", "_", "/etc/passwd",
		"*.evil name"};
	char *text = malloc(100001);

	(void)state;
	assert_non_null(text);
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t m = 0; m < WORLD_MODULES; m++) {
			for (size_t i = 0; i < COUNT(names); i++)
				expect_triples_by_name(m, names[i], 0, ABSENT);
			for (size_t i = 0; i < COUNT(lengths); i++) {
				memset(text, 'a', lengths[i]);
				text[lengths[i]] = '\0';
				expect_triples_by_name(m, text, 0, ABSENT);
				expect_triples_by_name(m, text, AF_INET, ABSENT);
				memset(text, '.', lengths[i]);
				expect_triples_by_name(m, text, 0, ABSENT);
				memset(text, 0xe9, lengths[i]);
				expect_triples_by_name(m, text, 0, ABSENT);
			}
		}
		world_drop_index();
	}
	free(text);
}

/* "No such name" needs no room, however long the name. */
static void test_absent_name_needs_no_buffer(void **state)
{
	(void)state;
	for (enum hook hook = BY_NAME; hook <= BY_ADDRESS2; hook++) {
		struct call call = {.module = &world_modules[WORLD_LEASEDNS],
			.hook = hook,
			.name = is_by_address(hook) ? "10.9.9.9" : "missing",
			.family = AF_INET};
		struct result result = call_hook(&call, NULL, 0);

		assert_string_equal(
			world_triple(result.status, result.error, result.h_error), ABSENT);
	}
}

/* libvirt's names may be anything; those are found here, if not through DNS. */
static void test_odd_guest_names_are_found(void **state)
{
	char long_name[INDEX_KEY_OCTETS_MAX + 2];
	char macs[2048];
	char expected[1024];

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	long_name[INDEX_KEY_OCTETS_MAX] = '\0';
	snprintf(macs, sizeof(macs),
		"[{\"domain\":\"DB Server\",\"macs\":[\"52:54:00:00:00:14\"]},"
		"{\"domain\":\"b\xc3\xbc"
		"cher\",\"macs\":[\"52:54:00:00:00:14\"]},"
		"{\"domain\":\"%s\",\"macs\":[\"52:54:00:00:00:14\"]},"
		"{\"domain\":\"ubuntu22.04\",\"macs\":[\"52:54:00:00:00:14\"]}]",
		long_name);
	scratch_publish(world_path("leases"), "virbr0.macs", macs);
	world_index();
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (int m = WORLD_LIBVIRT_GUEST; m <= WORLD_LEASEDNS; m++) {
			const struct world_module *module = &world_modules[m];

			assert_string_equal(
				world_ask(module, "db server", 0), "found 192.168.122.14");
			assert_string_equal(world_ask(module,
						    "b\xc3\xbc"
						    "cher",
						    0),
				"found 192.168.122.14");
			assert_string_equal(
				world_ask(module, "ubuntu22.04", 0), "found 192.168.122.14");
			assert_string_equal(
				world_ask(module, long_name, 0), "found 192.168.122.14");
		}
		assert_string_equal(
			world_ask(&world_modules[WORLD_LEASEDNS], "db-server.libvirt", 0),
			"found 192.168.122.14");
		world_drop_index();
	}
	/* All names of the address. */
	snprintf(expected, sizeof(expected), " %s", long_name);
	assert_non_null(
		strstr(world_ask_address(&world_modules[WORLD_LIBVIRT_GUEST], "192.168.122.14"),
			expected));
}

/* libvirt stores what a guest asked for also where dnsmasq gave it no name: then it may be a name
 * of the Internet, or of the zone itself. */
static void test_guest_is_found_by_its_first_label_alone(void **state)
{
	static const struct {
		const char *name;
		const char *libvirt;
		const char *leasedns;
	} rows[] = {
		{"www.example.org", ABSENT, ABSENT},
		{"www.example.org.", ABSENT, ABSENT},
		{"example.org", ABSENT, ABSENT},
		{"www", "found 192.168.122.30", "found 192.168.122.30"},
		{"www.libvirt", "found 192.168.122.30", "found 192.168.122.30"},
		{"libvirt", ABSENT, NODATA},
		{"libvirt.example", ABSENT, ABSENT},
		{"libvirt.libvirt", ABSENT, ABSENT},
	};

	(void)state;
	scratch_publish(world_path("leases"), "virbr0.status",
		"[{\"ip-address\":\"192.168.122.30\",\"mac-address\":\"52:54:00:00:00:30\","
		"\"hostname\":\"www.example.org\",\"expiry-time\":0},"
		"{\"ip-address\":\"192.168.122.31\",\"mac-address\":\"52:54:00:00:00:31\","
		"\"hostname\":\"LibVirt.\",\"expiry-time\":0},"
		"{\"ip-address\":\"192.168.122.32\",\"mac-address\":\"52:54:00:00:00:32\","
		"\"hostname\":\"libvirt.example\",\"expiry-time\":0}]");
	world_index();
	for (int with_index = 1; with_index >= 0; with_index--) {
		const struct world_module *libvirt = &world_modules[WORLD_LIBVIRT];
		const struct world_module *leasedns = &world_modules[WORLD_LEASEDNS];

		for (size_t i = 0; i < COUNT(rows); i++) {
			assert_string_equal(world_ask(libvirt, rows[i].name, 0), rows[i].libvirt);
			assert_string_equal(world_ask(leasedns, rows[i].name, 0), rows[i].leasedns);
		}
		assert_string_equal(world_ask_address(libvirt, "192.168.122.30"), "found www");
		assert_string_equal(
			world_ask_address(leasedns, "192.168.122.30"), "found www.libvirt");
		assert_string_equal(world_ask_address(libvirt, "192.168.122.31"), ABSENT);
		assert_string_equal(world_ask_address(leasedns, "192.168.122.32"), ABSENT);
		world_drop_index();
	}
}

/* --- Time to live ------------------------------------------------------------------------------
 */

static int32_t ttl_of(enum hook hook, const char *name)
{
	static char buffer[BUFFER_OCTETS];
	struct call call = {.module = &world_modules[WORLD_LEASEDNS],
		.hook = hook,
		.name = name,
		.family = AF_INET};
	struct result result = call_hook(&call, buffer, sizeof(buffer));

	assert_int_equal(result.status, NSS_STATUS_SUCCESS);
	return result.ttl_s;
}

static void test_ttl_ends_with_the_lease(void **state)
{
	static const enum hook hooks[] = {BY_NAME3, BY_NAME4, BY_NAME4_BROUGHT, BY_ADDRESS2};
	char leases[1024];
	int64_t now = time(NULL);

	(void)state;
	world_reset("[zone]\nttl = 3600\n");
	snprintf(leases, sizeof(leases),
		"[{\"ip-address\":\"10.0.0.1\",\"hostname\":\"ends\",\"expiry-time\":%lld},"
		"{\"ip-address\":\"10.0.0.2\",\"hostname\":\"ends\",\"expiry-time\":%lld},"
		"{\"ip-address\":\"10.0.0.3\",\"hostname\":\"stays\",\"expiry-time\":0},"
		"{\"ip-address\":\"10.0.0.4\",\"hostname\":\"late\",\"expiry-time\":%lld}]",
		(long long)now + 500, (long long)now + 900, (long long)now + 99999);
	scratch_publish(world_path("leases"), "virbr0.status", leases);
	world_index();
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t i = 0; i < COUNT(hooks); i++) {
			bool address = is_by_address(hooks[i]);
			int32_t ttl_s = ttl_of(hooks[i], address ? "10.0.0.1" : "ends");

			assert_in_range(ttl_s, 500 - 100, 500);
			assert_int_equal(ttl_of(hooks[i], address ? "10.0.0.3" : "stays"), 3600);
			assert_int_equal(ttl_of(hooks[i], address ? "10.0.0.4" : "late"), 3600);
		}
		world_drop_index();
	}
}

/* A forged index may say any TTL: it stays one. */
static void test_ttl_is_never_negative(void **state)
{
	size_t len;
	char *octets = scratch_read(world_path("run/index.cdb"), &len);

	(void)state;
	/* In the meta data, 12 octets in; see parser/index_meta.c. */
	memset(octets + 2048 + 8 + 1 + 12, 0xff, 4);
	scratch_write(world_path("run"), "index.cdb", octets, len);
	free(octets);
	assert_int_equal(ttl_of(BY_NAME4, "web"), INT32_MAX);
	assert_int_equal(ttl_of(BY_ADDRESS2, "192.168.122.10"), INT32_MAX);
}

static void test_ttl_and_canonical_name_need_not_be_wanted(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];
	static const uint8_t octets[4] = {192, 168, 122, 10};
	struct gaih_addrtuple *tuples = NULL;
	struct hostent host;
	char buffer[1024];
	int error;
	int h_error;

	(void)state;
	assert_int_equal(module->by_name3("web", AF_INET, &host, buffer, sizeof(buffer), &error,
				 &h_error, NULL, NULL),
		NSS_STATUS_SUCCESS);
	assert_int_equal(
		module->by_name4("web", &tuples, buffer, sizeof(buffer), &error, &h_error, NULL),
		NSS_STATUS_SUCCESS);
	assert_int_equal(module->by_address2(octets, 4, AF_INET, &host, buffer, sizeof(buffer),
				 &error, &h_error, NULL),
		NSS_STATUS_SUCCESS);
}

/* More names than a program is told, and one twice in different cases. */
static void test_aliases_are_told_once_and_not_without_end(void **state)
{
	char macs[4096] = "[";
	const char *answer;
	size_t names = 0;

	(void)state;
	for (int i = 0; i < 30; i++) {
		size_t len = strlen(macs);

		snprintf(macs + len, sizeof(macs) - len,
			"%s{\"domain\":\"I%d\",\"macs\":[\"52:54:00:00:00:14\"]}", i ? "," : "", i);
	}
	strcat(macs, "]");
	scratch_publish(world_path("leases"), "virbr0.macs", macs);
	scratch_publish(world_path("leases"), "virbr9.macs",
		"[{\"domain\":\"i0\",\"macs\":[\"52:54:00:00:00:14\"]}]");
	world_index();
	answer = world_ask_address(&world_modules[WORLD_LIBVIRT_GUEST], "192.168.122.14");
	for (const char *at = answer; (at = strchr(at, ' ')) != NULL; at++)
		names++;
	assert_int_equal(names, 17);
	assert_null(strstr(strcasestr(answer, " i0 ") + 3, " i0 "));
	assert_null(strstr(strcasestr(answer, " i0 ") + 3, " I0 "));
}

/* In Turkish "I" is no "i"; in DNS it always is (RFC 4343). */
static void test_locale_does_not_matter(void **state)
{
	static const char *const locales[] = {"tr_TR.UTF-8", "tr_TR", "C.UTF-8", "C"};

	(void)state;
	for (size_t i = 0; i < COUNT(locales); i++) {
		if (!setlocale(LC_ALL, locales[i]))
			continue; /* Not on this host: the others are. */
		assert_string_equal(
			world_ask(&world_modules[WORLD_LEASEDNS], "WEB.LIBVIRT", AF_INET),
			"found 192.168.122.10");
		assert_string_equal(world_ask(&world_modules[WORLD_LEASEDNS], "PRINTER.LIBVIRT", 0),
			"found 192.168.122.20");
	}
	setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_buffer_of_any_length_and_offset_is_kept, setup),
		cmocka_unit_test_setup(test_buffer_is_kept_by_guests_too, setup),
		cmocka_unit_test_setup(test_buffer_is_kept_without_index, setup),
		cmocka_unit_test_setup(test_null_buffer_of_no_length_is_too_small, setup),
		cmocka_unit_test_setup(test_status_of_names, setup),
		cmocka_unit_test_setup(test_status_of_addresses, setup),
		cmocka_unit_test_setup(test_status_where_there_is_no_source, setup),
		cmocka_unit_test_setup(test_other_families_have_no_data, setup),
		cmocka_unit_test_setup(test_mapped_address_is_one_of_ipv4, setup),
		cmocka_unit_test_setup(test_address_of_wrong_length_is_absent, setup),
		cmocka_unit_test_setup(test_case_and_trailing_dot_do_not_count, setup),
		cmocka_unit_test_setup(test_name_of_any_bytes_and_length_is_absent, setup),
		cmocka_unit_test_setup(test_absent_name_needs_no_buffer, setup),
		cmocka_unit_test_setup(test_odd_guest_names_are_found, setup),
		cmocka_unit_test_setup(test_guest_is_found_by_its_first_label_alone, setup),
		cmocka_unit_test_setup(test_ttl_ends_with_the_lease, setup),
		cmocka_unit_test_setup(test_ttl_is_never_negative, setup),
		cmocka_unit_test_setup(test_ttl_and_canonical_name_need_not_be_wanted, setup),
		cmocka_unit_test_setup(test_aliases_are_told_once_and_not_without_end, setup),
		cmocka_unit_test_setup(test_locale_does_not_matter, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
