#include "nss/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect_bytes(struct bytes bytes, const char *expected)
{
	assert_int_equal(bytes.len, strlen(expected));
	assert_memory_equal(bytes.ptr, expected, bytes.len);
}

static void test_name_is_lower_case_without_its_last_dot(void **state)
{
	static const struct {
		const char *name;
		const char *literal;
	} rows[] = {
		{"vm", "vm"},
		{"VM.", "vm"},
		{"A-Z.aZ09", "a-z.az09"},
		{"vm..", "vm."},
		{"[\\]^_`@{", "[\\]^_`@{"},
		{"\xc3\x9c\xff", "\xc3\x9c\xff"},
		{" ", " "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question question;

		assert_true(question_init(&question, rows[i].name));
		expect_bytes(question_literal(&question), rows[i].literal);
		assert_int_equal(question.stripped_len, 0);
		assert_false(question.is_apex);
	}
}

static void test_empty_and_overlong_names_are_none(void **state)
{
	static const struct {
		size_t len;
		bool is_name;
	} rows[] = {{0, false}, {1, true}, {63, true}, {64, true}, {253, true}, {254, true},
		{511, true}, {512, true}, {513, false}, {514, false}, {100000, false}};
	struct question question;

	(void)state;
	assert_false(question_init(&question, ""));
	assert_false(question_init(&question, "."));
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *name = calloc(1, rows[i].len + 2);

		assert_non_null(name);
		memset(name, 'a', rows[i].len);
		assert_int_equal(question_init(&question, name), rows[i].is_name);
		/* The last dot does not count. */
		name[rows[i].len] = '.';
		assert_int_equal(question_init(&question, name), rows[i].is_name);
		free(name);
	}
}

static void test_longest_zone_is_stripped(void **state)
{
	static const struct {
		const char *name;
		const char *zones[3];
		const char *stripped; /* "" if none fits. */
		bool is_apex;
	} rows[] = {
		{"vm.libvirt", {"libvirt"}, "vm", false},
		{"VM.LibVirt.", {"libvirt"}, "vm", false},
		{"a.b.libvirt", {"libvirt"}, "a.b", false},
		{"libvirt", {"libvirt"}, "", true},
		{"LIBVIRT.", {"libvirt"}, "", true},
		{".libvirt", {"libvirt"}, "", false},
		{"xlibvirt", {"libvirt"}, "", false},
		{"vm.xlibvirt", {"libvirt"}, "", false},
		{"vm.libvir", {"libvirt"}, "", false},
		{"virt", {"libvirt"}, "", false},
		{"vm.libvirt.example", {"libvirt"}, "", false},
		{"vm.lab.example", {"example", "lab.example"}, "vm", false},
		{"vm.lab.example", {"lab.example", "example"}, "vm", false},
		{"lab.example", {"example", "lab.example"}, "lab", true},
		{"libvirt.libvirt", {"libvirt"}, "libvirt", false},
		{"vm.libvirt", {""}, "", false},
		{"v", {"", "libvirt"}, "", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct question question;

		assert_true(question_init(&question, rows[i].name));
		for (size_t j = 0; j < 3 && rows[i].zones[j]; j++)
			question_try_zone(&question, bytes_of_text(rows[i].zones[j]));
		expect_bytes(question_stripped(&question), rows[i].stripped);
		assert_int_equal(question.is_apex, rows[i].is_apex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_is_lower_case_without_its_last_dot),
		cmocka_unit_test(test_empty_and_overlong_names_are_none),
		cmocka_unit_test(test_longest_zone_is_stripped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
