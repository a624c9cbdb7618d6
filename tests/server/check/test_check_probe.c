#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/check/check_probe.h"
#include "tests/support/scratch.h"

/* Nobody's, and no other user may read what is not for all. */
#define STRANGER 64990

static struct address address(const char *text)
{
	struct address out;

	assert_true(address_parse(bytes_of_text(text), &out));
	return out;
}

static struct check_addresses set(const char *first, const char *second)
{
	struct check_addresses out = {0};
	struct address one;

	if (first) {
		one = address(first);
		check_addresses_add(&out, &one);
	}
	if (second) {
		one = address(second);
		check_addresses_add(&out, &one);
	}
	return out;
}

static void test_addresses_are_a_set(void **state)
{
	struct check_addresses none = set(NULL, NULL);
	struct check_addresses ab = set("10.0.0.1", "fd00::1");
	struct check_addresses ba = set("fd00::1", "10.0.0.1");
	struct check_addresses aa = set("10.0.0.1", "10.0.0.1");
	struct check_addresses many = {0};
	char text[CHECK_ADDRESSES_TEXT_SIZE];

	(void)state;
	assert_true(check_addresses_same(&ab, &ba));
	assert_true(check_addresses_same(&none, &none));
	assert_false(check_addresses_same(&ab, &aa));
	assert_false(check_addresses_same(&aa, &none));
	assert_int_equal(aa.count, 1);
	check_addresses_format(&ab, text);
	assert_string_equal(text, "10.0.0.1, fd00::1");
	check_addresses_format(&none, text);
	assert_string_equal(text, "nothing");
	for (unsigned i = 0; i < 3 * CHECK_ADDRESSES_MAX; i++) {
		struct address next = address("2001:db8:1234:5678:9abc:def0:1234:5600");

		next.octets[15] = (uint8_t)i;
		check_addresses_add(&many, &next);
	}
	assert_int_equal(many.count, CHECK_ADDRESSES_MAX);
	check_addresses_format(&many, text);
	assert_non_null(strstr(text, "560f"));
}

static void test_module_that_is_not_there(void **state)
{
	struct check_module module = {0};

	(void)state;
	check_probe_module("no_such_service", "vm", ADDRESS_IPV4, &module);
	assert_false(module.is_loaded);
	assert_int_equal(module.status, CHECK_NSS_UNAVAIL);
	assert_non_null(strstr(module.error, "libnss_no_such_service.so.2"));
}

static void test_glibc_is_asked(void **state)
{
	struct check_addresses expected = set("192.0.2.1", NULL);
	struct check_lookup lookup;

	(void)state;
	check_probe_name("192.0.2.1", &lookup);
	assert_true(lookup.is_answered);
	assert_int_equal(lookup.error, 0);
	assert_true(check_addresses_same(&lookup.addresses, &expected));
	/* A label over 63 octets: no server is asked for it. */
	check_probe_name(
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.invalid",
		&lookup);
	assert_true(lookup.is_answered);
	assert_int_not_equal(lookup.error, 0);
	assert_int_equal(lookup.addresses.count, 0);
}

/* What a stranger may not read, seen by root; anybody else cannot tell. */
static int refused(const char *directory)
{
	struct check_access access = {0};

	if (geteuid() != 0) {
		assert_false(check_probe_access(STRANGER, directory, &access));
		return -1;
	}
	assert_true(check_probe_access(STRANGER, directory, &access));
	return access.system_error;
}

static void test_access_of_another_user(void **state)
{
	char *directory = scratch_new();
	bool is_root = geteuid() == 0;

	(void)state;
	scratch_publish(directory, "virbr0.status", "[]");
	scratch_publish(directory, "default.conf", "");
	chmod(directory, 0755);
	chmod(scratch_path(directory, "virbr0.status"), 0644);
	/* Not ours to read, so it does not count. */
	chmod(scratch_path(directory, "default.conf"), 0600);
	assert_int_equal(refused(directory), is_root ? 0 : -1);
	chmod(scratch_path(directory, "virbr0.status"), 0600);
	assert_int_equal(refused(directory), is_root ? EACCES : -1);
	chmod(directory, 0700);
	assert_int_equal(refused(directory), is_root ? EACCES : -1);
	assert_int_equal(refused(scratch_path(directory, "none")), is_root ? EACCES : -1);
	chmod(directory, 0755);
	assert_int_equal(refused(scratch_path(directory, "none")), is_root ? ENOENT : -1);
	scratch_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_a_set),
		cmocka_unit_test(test_module_that_is_not_there),
		cmocka_unit_test(test_glibc_is_asked),
		cmocka_unit_test(test_access_of_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
