#include "server/stats/query_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "server/support/log.h"
#include "tests/server/asking.h"

#define NOW_MS INT64_C(1000)

/* Standard error as a pipe. */
struct capture {
	int saved;
	int pipe[2];
	size_t len;
	char text[1 << 20];
};

static struct capture *capture_start(int pipe_octets)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	assert_non_null(capture);
	assert_int_equal(pipe(capture->pipe), 0);
	fcntl(capture->pipe[0], F_SETFL, O_NONBLOCK);
	assert_true(fcntl(capture->pipe[1], F_SETPIPE_SZ, pipe_octets) > 0);
	capture->saved = dup(STDERR_FILENO);
	dup2(capture->pipe[1], STDERR_FILENO);
	return capture;
}

/* What has come since the last time. */
static const char *capture_read(struct capture *capture)
{
	ssize_t len;

	capture->len = 0;
	while ((len = read(capture->pipe[0], capture->text + capture->len,
			sizeof(capture->text) - 1 - capture->len)) > 0)
		capture->len += (size_t)len;
	capture->text[capture->len] = '\0';
	return capture->text;
}

static void capture_stop(struct capture *capture)
{
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	close(capture->pipe[0]);
	close(capture->pipe[1]);
	free(capture);
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

union peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union peer peer_of(const char *text)
{
	union peer peer = {0};

	peer.any.sa_family = AF_INET;
	if (inet_pton(AF_INET, text, &peer.v4.sin_addr) == 1)
		return peer;
	peer.any.sa_family = AF_INET6;
	inet_pton(AF_INET6, text, &peer.v6.sin6_addr);
	return peer;
}

static const struct query_log_entry *plain_entry(void)
{
	static union peer peer;
	static uint8_t octets[512];
	static uint8_t reply[12] = {0, 0, 0x80};
	static struct question question;
	static struct query_log_entry entry;
	static const struct asking_how how = {0};

	peer = peer_of("127.0.0.1");
	assert_true(question_read(
		(struct bytes){octets, asking_query("vm.libvirt", 1, &how, octets)}, &question));
	entry = (struct query_log_entry){.peer = &peer.any,
		.question = &question,
		.answered = ANSWERED_LOCAL,
		.reply = {reply, sizeof(reply)},
		.took_us = 12};
	return &entry;
}

static void test_lines_tell_who_asked_what_and_what_became_of_it(void **state)
{
	static const struct {
		const char *name; /* As ldns reads it. */
		uint16_t type;
		const char *peer;
		enum answered answered;
		uint8_t rcode;
		const char *line;
		struct asking_how how;
	} cases[] = {
		{"vm.libvirt", 1, "127.0.0.1", ANSWERED_LOCAL, 0,
			"127.0.0.1 vm.libvirt A udp local NOERROR 7 us", {0}},
		{"Vm.Libvirt", 28, "::1", ANSWERED_LOCAL, 3,
			"::1 Vm.Libvirt AAAA tcp local NXDOMAIN 7 us", {.is_tcp = true}},
		{".", 2, "fd00::12", ANSWERED_FORWARDED, 2,
			"fd00::12 . NS udp forwarded SERVFAIL 7 us", {0}},
		{"version.bind", 16, "192.0.2.1", ANSWERED_REFUSED, 5,
			"192.0.2.1 version.bind TXT/CH udp refused REFUSED 7 us", {.class = 3}},
		{"x", 65280, "192.0.2.1", ANSWERED_STALE, 11,
			"192.0.2.1 x TYPE65280/CLASS77 udp stale RCODE11 7 us", {.class = 77}},
		{"a\\032b\\.c\\013\\010leasedns\\: ok\\027[2J", 65, "192.0.2.1", ANSWERED_CACHED, 0,
			"192.0.2.1 a\\032b\\.c\\013\\010leasedns:\\032ok\\027[2J HTTPS udp cached "
			"NOERROR 7 us",
			{0}},
	};
	char line[QUERY_LOG_LINE_SIZE];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const union peer peer = peer_of(cases[i].peer);
		uint8_t reply[12] = {0, 0, 0x80, cases[i].rcode};
		uint8_t query[512];
		struct question question;
		const struct query_log_entry entry = {
			.peer = &peer.any,
			.is_tcp = cases[i].how.is_tcp,
			.question = &question,
			.answered = cases[i].answered,
			.reply = {reply, sizeof(reply)},
			.took_us = 7,
		};
		size_t len = asking_query(cases[i].name, cases[i].type, &cases[i].how, query);

		assert_true(question_read((struct bytes){query, len}, &question));
		query_log_format(&entry, line);
		assert_memory_equal(line, "query: ", 7);
		assert_string_equal(line + 7, cases[i].line);
	}
}

static void test_what_is_not_there_is_a_dash(void **state)
{
	struct query_log_entry entry = *plain_entry();
	char line[QUERY_LOG_LINE_SIZE];
	(void)state;

	entry.question = NULL;
	entry.reply.len = 0;
	assert_string_equal(
		query_log_format(&entry, line), "query: 127.0.0.1 - - udp dropped - 12 us");
}

static void test_longest_line_is_whole(void **state)
{
	static const union peer peer = {.v6 = {.sin6_family = AF_INET6,
						.sin6_addr.s6_addr = {[0] = 0xfd,
							[2] = 0xaa,
							[5] = 0xbb,
							[7] = 0xcc,
							[9] = 0xdd,
							[11] = 0xee,
							[13] = 0xff,
							[15] = 1}}};
	uint8_t query[512] = {[5] = 1};
	uint8_t reply[12] = {0, 0, 0x80, 15};
	struct capture *capture;
	struct query_log log = {0};
	struct question question;
	struct query_log_entry entry = {.peer = &peer.any,
		.question = &question,
		.answered = ANSWERED_FORWARDED,
		.reply = {reply, 12},
		.took_us = UINT64_MAX};
	const char *text;
	(void)state;

	memset(query + 12, 0xff, 254);
	query[12] = query[76] = query[140] = 63;
	query[204] = 61;
	query[266] = 0;
	memset(query + 267, 0xff, 4);
	assert_true(question_read((struct bytes){query, 271}, &question));
	capture = capture_start(65536);
	query_log_write(&log, &entry, NOW_MS);
	text = capture_read(capture);
	assert_non_null(strstr(text, " TYPE65535/CLASS65535 udp forwarded RCODE15 "
				     "18446744073709551615 us\n"));
	assert_int_equal(count_lines(text), 1);
	capture_stop(capture);
}

static void test_lines_beyond_a_burst_are_counted_and_told_later(void **state)
{
	struct capture *capture = capture_start(1 << 20);
	struct query_log log = {0};
	const char *text;
	(void)state;

	for (unsigned i = 0; i < QUERY_LOG_BURST + 7; i++)
		query_log_write(&log, plain_entry(), NOW_MS + i % 10);
	text = capture_read(capture);
	assert_int_equal(count_lines(text), QUERY_LOG_BURST);
	assert_null(strstr(text, "left out"));
	query_log_write(&log, plain_entry(), NOW_MS + QUERY_LOG_WINDOW_MS - 1);
	assert_string_equal(capture_read(capture), "");
	query_log_write(&log, plain_entry(), NOW_MS + QUERY_LOG_WINDOW_MS);
	text = capture_read(capture);
	assert_string_equal(text,
		"leasedns: query: 8 lines left out: there were too many\n"
		"leasedns: query: 127.0.0.1 vm.libvirt A udp local NOERROR 12 us\n");
	assert_int_equal(log.written, QUERY_LOG_BURST + 1);
	assert_int_equal(log.suppressed, 8);
	query_log_flush(&log); /* Was told. */
	assert_string_equal(capture_read(capture), "");
	capture_stop(capture);
}

static void on_alarm(int number)
{
	static const char text[] = "test_query_log: a write blocked\n";

	(void)number;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* Nobody reads the pipe: lines are left out, and nothing waits. */
static void test_a_log_that_nobody_reads_costs_lines_only(void **state)
{
	struct capture *capture = capture_start(4096);
	struct query_log log = {0};
	(void)state;

	signal(SIGALRM, on_alarm);
	alarm(60);
	for (unsigned i = 0; i < 200; i++)
		query_log_write(&log, plain_entry(), NOW_MS);
	alarm(0);
	assert_in_range(log.written, 1, 199);
	assert_int_equal(log.written + log.suppressed, 200);
	assert_int_equal(count_lines(capture_read(capture)), log.written);
	query_log_flush(&log);
	assert_non_null(strstr(capture_read(capture), " lines left out: there were too many\n"));
	capture_stop(capture);
}

static int start_log(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_start(LOG_LEVEL_INFO);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_tell_who_asked_what_and_what_became_of_it),
		cmocka_unit_test(test_what_is_not_there_is_a_dash),
		cmocka_unit_test(test_longest_line_is_whole),
		cmocka_unit_test(test_lines_beyond_a_burst_are_counted_and_told_later),
		cmocka_unit_test(test_a_log_that_nobody_reads_costs_lines_only),
	};

	return cmocka_run_group_tests(tests, start_log, NULL);
}
