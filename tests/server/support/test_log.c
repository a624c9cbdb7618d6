#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/support/log.h"

/* Standard error goes into a pipe, so a test can read what was written. */
struct capture {
	int saved;
	int pipe[2];
	char text[16384];
};

static void capture_start(struct capture *capture)
{
	assert_int_equal(pipe(capture->pipe), 0);
	fcntl(capture->pipe[0], F_SETFL, O_NONBLOCK);
	fcntl(capture->pipe[1], F_SETPIPE_SZ, 65536);
	capture->saved = dup(STDERR_FILENO);
	dup2(capture->pipe[1], STDERR_FILENO);
}

static const char *capture_stop(struct capture *capture)
{
	ssize_t len;

	dup2(capture->saved, STDERR_FILENO);
	len = read(capture->pipe[0], capture->text, sizeof(capture->text) - 1);
	capture->text[len < 0 ? 0 : len] = '\0';
	close(capture->saved);
	close(capture->pipe[0]);
	close(capture->pipe[1]);
	return capture->text;
}

static void test_messages_above_the_level_are_dropped(void **state)
{
	struct capture capture;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_start(&capture);
	log_start(LOG_LEVEL_WARNING);
	log_error("one %d", 1);
	log_warning("two");
	log_info("three");
	log_debug("four");
	assert_string_equal(capture_stop(&capture), "leasedns: one 1\nleasedns: two\n");
}

static void test_journal_gets_levels_instead_of_a_name(void **state)
{
	struct capture capture;
	struct stat st;
	char stream[64];

	(void)state;
	capture_start(&capture);
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_start(LOG_LEVEL_DEBUG);
	log_error("a");
	log_warning("b");
	log_info("c");
	log_debug("d");
	assert_string_equal(capture_stop(&capture), "<3>a\n<4>b\n<6>c\n<7>d\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_journal_of_another_descriptor_does_not_count(void **state)
{
	static const char *const streams[] = {"1:2", "", ":", "nonsense", "8:99999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		struct capture capture;

		setenv("JOURNAL_STREAM", streams[i], 1);
		capture_start(&capture);
		log_start(LOG_LEVEL_INFO);
		log_info("x");
		assert_string_equal(capture_stop(&capture), "leasedns: x\n");
	}
	unsetenv("JOURNAL_STREAM");
	log_start(LOG_LEVEL_INFO);
}

static void test_message_stays_one_line(void **state)
{
	struct capture capture;

	(void)state;
	capture_start(&capture);
	log_info("file 'a\nleasedns: forged\x1b[31m\x7f'");
	assert_string_equal(capture_stop(&capture), "leasedns: file 'a?leasedns: forged?[31m?'\n");
}

static void test_long_message_is_cut_and_ends_with_newline(void **state)
{
	struct capture capture;
	char *text = malloc(10000);
	const char *line;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 9999);
	text[9999] = '\0';
	capture_start(&capture);
	log_info("%s", text);
	line = capture_stop(&capture);
	assert_in_range(strlen(line), 4000, 4096);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	free(text);
}

static void test_errno_survives(void **state)
{
	struct capture capture;

	(void)state;
	capture_start(&capture);
	close(STDERR_FILENO);
	errno = ERANGE;
	log_info("nobody hears this");
	assert_int_equal(errno, ERANGE);
	capture_stop(&capture);
}

static void test_escape_gives_one_printable_word(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
	} cases[] = {
		{"vm-1.example_", 13, "vm-1.example_"},
		{"", 0, ""},
		{"a b", 3, "a\\032b"},
		{"\"'\\", 3, "\\034\\039\\092"},
		{"\0\x1b\x7f\xff", 4, "\\000\\027\\127\\255"},
		{"\xc3\xa9%s\n", 5, "\\195\\169%s\\010"},
	};
	char escaped[LOG_ESCAPED_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes text = {(const uint8_t *)cases[i].text, cases[i].len};

		assert_ptr_equal(log_escape(text, escaped), escaped);
		assert_string_equal(escaped, cases[i].expected);
	}
}

static void test_escape_cuts_long_text(void **state)
{
	char escaped[LOG_ESCAPED_SIZE + 16];
	uint8_t hostile[4096];

	(void)state;
	for (size_t len = 0; len <= sizeof(hostile); len++) {
		memset(hostile, len % 2 ? 0x01 : 'y', sizeof(hostile));
		memset(escaped, 0x5a, sizeof(escaped));
		log_escape((struct bytes){hostile, len}, escaped);
		assert_true(strlen(escaped) < LOG_ESCAPED_SIZE);
		assert_int_equal(escaped[LOG_ESCAPED_SIZE], 0x5a);
		if (strlen(escaped) < len)
			assert_string_equal(escaped + strlen(escaped) - 3, "...");
	}
}

static void test_limit_lets_a_burst_pass_and_counts_the_rest(void **state)
{
	struct log_limit limit = {0};
	struct capture capture;
	unsigned passed = 0;

	(void)state;
	capture_start(&capture);
	for (int i = 0; i < 1000; i++)
		passed += log_limit_pass(&limit, 5000 + i);
	assert_string_equal(capture_stop(&capture), "");
	assert_in_range(passed, 1, 20);

	capture_start(&capture);
	assert_true(log_limit_pass(&limit, 5000 + 60000));
	capture_stop(&capture);
	{
		char expected[64];

		snprintf(expected, sizeof(expected), "leasedns: (%u similar messages suppressed)\n",
			1000 - passed);
		assert_string_equal(capture.text, expected);
	}
	capture_start(&capture);
	assert_true(log_limit_pass(&limit, 5000 + 600000));
	assert_string_equal(capture_stop(&capture), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_above_the_level_are_dropped),
		cmocka_unit_test(test_journal_gets_levels_instead_of_a_name),
		cmocka_unit_test(test_journal_of_another_descriptor_does_not_count),
		cmocka_unit_test(test_message_stays_one_line),
		cmocka_unit_test(test_long_message_is_cut_and_ends_with_newline),
		cmocka_unit_test(test_errno_survives),
		cmocka_unit_test(test_escape_gives_one_printable_word),
		cmocka_unit_test(test_escape_cuts_long_text),
		cmocka_unit_test(test_limit_lets_a_burst_pass_and_counts_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
