#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/check/check_nss_line.h"

/* Lines, the last of which needs no newline here. */
static struct check_nss_line parse(const char *text)
{
	struct check_nss_line line;
	char whole[256];

	enum check_nss_parsed parsed;

	snprintf(whole, sizeof(whole), "%s\n", text);
	parsed = check_nss_parse(whole, strlen(whole), &line);
	assert_int_equal(parsed, line.bad ? CHECK_NSS_BAD : CHECK_NSS_PARSED);
	return line;
}

/* A line as text; in a static buffer. */
static const char *text_of(const struct check_nss_line *line)
{
	static char copy[4096];
	char *text = check_nss_format(line);

	assert_non_null(text);
	snprintf(copy, sizeof(copy), "%s", text);
	free(text);
	return copy;
}

static void test_lines_are_read_as_glibc_does(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
		unsigned number;
	} cases[] = {
		{"hosts: files dns\n", "hosts: files dns", 1},
		{"hosts:files dns", "hosts: files dns", 1},
		{"\thosts:\tfiles\tdns \t\n", "hosts: files dns", 1},
		{"hosts: files dns\r\n", "hosts: files dns", 1},
		{"# hosts: a\n\npasswd: files\nhosts: files dns\n", "hosts: files dns", 4},
		{"hosts : a b\n", "hosts: a b", 1},
		{"hosts:: a\n", "hosts: a", 1},
		/* There are no comments behind. */
		{"hosts: files # dns\n", "hosts: files # dns", 1},
		{"hosts: a#b #c", "hosts: a#b #c", 1},
		{"#hosts: a", "hosts: files dns", 0},
		{"hosts: a\\\n b\n", "hosts: a\\", 1},
		{"hosts: a\nhosts: b\n", "hosts: b", 2},
		{"hosts files dns\n", "hosts: files dns", 1},
		{"hosts:\n", "hosts:", 1},
		/* No line for hosts. */
		{"", "hosts: files dns", 0},
		{"passwd: files\n", "hosts: files dns", 0},
		{"Hosts: a\n", "hosts: files dns", 0},
		{"hostsfile: a\n", "hosts: files dns", 0},
		{"hosts", "hosts: files dns", 0},
		/* Actions. */
		{"hosts: files [NOTFOUND=return] dns", "hosts: files [NOTFOUND=return] dns", 1},
		{"hosts: files[notfound = Return]dns", "hosts: files [NOTFOUND=return] dns", 1},
		{"hosts: resolve [!UNAVAIL=return] dns", "hosts: resolve [!UNAVAIL=return] dns", 1},
		{"hosts: a [SUCCESS=continue !NOTFOUND=return] b", "hosts: a [!NOTFOUND=return] b",
			1},
		{"hosts: a [!NOTFOUND=return SUCCESS=continue] b",
			"hosts: a [SUCCESS=continue !NOTFOUND=return] b", 1},
		{"hosts: a [UNAVAIL=return TRYAGAIN=return NOTFOUND=return]",
			"hosts: a [NOTFOUND=return UNAVAIL=return TRYAGAIN=return]", 1},
		{"hosts: a [SUCCESS=merge] b", "hosts: a [SUCCESS=continue] b", 1},
		/* Without a service before it, an action ends the line. */
		{"hosts: a [NOTFOUND=return] [NOTFOUND=continue] b", "hosts: a [NOTFOUND=return]",
			1},
		{"hosts: [NOTFOUND=return] files", "hosts:", 1},
		{"sudoers: a [\nhosts: a", "hosts: a", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct check_nss_line line = parse(cases[i].text);

		assert_int_equal(line.bad, 0);
		assert_string_equal(text_of(&line), cases[i].expected);
		assert_int_equal(line.number, cases[i].number);
	}
}

static void test_bad_lines_leave_the_default(void **state)
{
	static const char *const cases[] = {
		"hosts: a [] b",
		"hosts: a # [NOTFOUND=retrun] b",
		"hosts: a [NOTFOUND=retrun] b",
		"hosts: a [NOTFOUND] b",
		"hosts: a [NOTFOUND=return",
		"hosts: a [ELSE=return] b",
		"hosts: a [!] b",
		"hosts: a [",
		"hosts: a [NOTFOUND=return # ]",
		"hosts: a [!!NOTFOUND=return]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		struct check_nss_line line;

		snprintf(text, sizeof(text), "passwd: files\n%s\n", cases[i]);
		assert_int_equal(check_nss_parse(text, strlen(text), &line), CHECK_NSS_BAD);
		assert_string_equal(text_of(&line), "hosts: files dns");
		assert_int_equal(line.number, 2);
		assert_int_equal(line.bad, 2);
	}
}

static void test_bad_line_of_another_database_spoils_the_file(void **state)
{
	struct check_nss_line line = parse("hosts: a\nshadow: files [x=y]\npasswd: a [");

	(void)state;
	assert_int_equal(line.bad, 2);
	assert_int_equal(line.number, 1);
	assert_string_equal(text_of(&line), "hosts: a");
}

static void test_line_without_a_newline_is_not_read(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
		unsigned unended;
	} cases[] = {
		{"hosts: a\nhosts: b", "hosts: a", 2},
		{"hosts: a", "hosts: files dns", 1},
		{"hosts: a [", "hosts: files dns", 1},
		{"hosts: a\npasswd: b", "hosts: a", 0},
		{"hosts: a\n# hosts: b", "hosts: a", 0},
		{"hosts", "hosts: files dns", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct check_nss_line line;

		assert_int_equal(check_nss_parse(cases[i].text, strlen(cases[i].text), &line),
			CHECK_NSS_PARSED);
		assert_string_equal(text_of(&line), cases[i].expected);
		assert_int_equal(line.unended, cases[i].unended);
	}
}

static void test_hostile_files_are_bounded(void **state)
{
	static const char nul[] = "hosts: a\0b\n";
	struct check_nss_line line;
	char *text = malloc(100000);
	size_t len = (size_t)sprintf(text, "hosts:");

	(void)state;
	assert_non_null(text);
	while (len < 90000)
		len += (size_t)sprintf(text + len, " service%zu", len);
	text[len++] = '\n';
	assert_int_equal(check_nss_parse(text, len, &line), CHECK_NSS_PARSED);
	assert_int_equal(line.count, CHECK_NSS_SERVICES_MAX);
	memset(text, 'x', 90000);
	memcpy(text, "hosts: ", 7);
	text[89999] = '\n';
	assert_int_equal(check_nss_parse(text, 90000, &line), CHECK_NSS_PARSED);
	assert_int_equal(line.count, 1);
	assert_int_equal(strlen(line.services[0].name), CHECK_NSS_NAME_SIZE - 1);
	free(text);
	/* What stands behind a NUL is not seen. */
	assert_int_equal(check_nss_parse(nul, sizeof(nul) - 1, &line), CHECK_NSS_PARSED);
	assert_string_equal(text_of(&line), "hosts: a");
}

static void test_search_goes_on_until_a_service_ends_it(void **state)
{
	static const struct {
		const char *line;
		enum check_nss_status statuses[3];
		bool is_found;
		size_t position;
	} cases[] = {
		{"hosts: a b c", {CHECK_NSS_NOTFOUND, CHECK_NSS_SUCCESS, CHECK_NSS_SUCCESS}, true,
			1},
		{"hosts: a b c", {CHECK_NSS_NOTFOUND, CHECK_NSS_UNAVAIL, CHECK_NSS_NOTFOUND}, false,
			3},
		{"hosts: a [NOTFOUND=return] b c",
			{CHECK_NSS_NOTFOUND, CHECK_NSS_SUCCESS, CHECK_NSS_SUCCESS}, false, 0},
		{"hosts: a [NOTFOUND=return] b c",
			{CHECK_NSS_UNAVAIL, CHECK_NSS_SUCCESS, CHECK_NSS_SUCCESS}, true, 1},
		{"hosts: a [!UNAVAIL=return] b c",
			{CHECK_NSS_TRYAGAIN, CHECK_NSS_SUCCESS, CHECK_NSS_SUCCESS}, false, 0},
		{"hosts: a [SUCCESS=continue] b c",
			{CHECK_NSS_SUCCESS, CHECK_NSS_NOTFOUND, CHECK_NSS_NOTFOUND}, true, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct check_nss_line line = parse(cases[i].line);
		struct check_nss_walk walk = check_nss_walk(&line, cases[i].statuses);

		assert_int_equal(walk.is_found, cases[i].is_found);
		assert_int_equal(walk.position, cases[i].position);
	}
}

static void test_mended_line_asks_us_in_time_and_keeps_the_rest(void **state)
{
	static const struct {
		const char *line;
		const char *mended;
	} cases[] = {
		{"hosts: files dns", "hosts: files leasedns dns"},
		{"hosts: dns", "hosts: leasedns dns"},
		{"hosts:", "hosts: leasedns"},
		{"hosts: files", "hosts: files leasedns"},
		{"hosts: files leasedns dns", "hosts: files leasedns dns"},
		{"hosts: files mymachines resolve [!UNAVAIL=return] myhostname dns",
			"hosts: files leasedns mymachines resolve [!UNAVAIL=return] myhostname "
			"dns"},
		{"hosts: files mdns4_minimal [NOTFOUND=return] dns libvirt libvirt_guest",
			"hosts: files libvirt libvirt_guest mdns4_minimal [NOTFOUND=return] dns"},
		{"hosts: files libvirt [NOTFOUND=return] libvirt_guest dns",
			"hosts: files libvirt libvirt_guest dns"},
		{"hosts: files [NOTFOUND=return] leasedns dns", "hosts: files leasedns dns"},
		{"hosts: leasedns leasedns files", "hosts: files leasedns"},
		/* What was meant. */
		{"hosts: files, leasedns, dns", "hosts: files leasedns dns"},
		{"hosts: files leasedns#x # resolve [!UNAVAIL=return] dns",
			"hosts: files leasedns"},
		{"hosts: files , dns\\", "hosts: files leasedns dns"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct check_nss_line line = parse(cases[i].line);
		struct check_nss_line mended;

		check_nss_mend(&line, &mended);
		assert_string_equal(text_of(&mended), cases[i].mended);
		/* Whoever does it is not told again. */
		check_nss_mend(&mended, &line);
		assert_string_equal(text_of(&line), cases[i].mended);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_read_as_glibc_does),
		cmocka_unit_test(test_bad_lines_leave_the_default),
		cmocka_unit_test(test_bad_line_of_another_database_spoils_the_file),
		cmocka_unit_test(test_line_without_a_newline_is_not_read),
		cmocka_unit_test(test_hostile_files_are_bounded),
		cmocka_unit_test(test_search_goes_on_until_a_service_ends_it),
		cmocka_unit_test(test_mended_line_asks_us_in_time_and_keeps_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
