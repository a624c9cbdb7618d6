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
#include <unistd.h>

#include "server/names/build_report.h"

#define FILE_PATH "/var/lib/libvirt/dnsmasq/virbr0.status"

static struct bytes text(const char *characters)
{
	return bytes_of_text(characters);
}

/* What build_report_log() writes. */
static const char *logged(const struct build_report *report, const struct build_report *previous,
	struct build_report_limits *limits, int64_t now_ms)
{
	static char content[65536];
	int saved = dup(STDERR_FILENO);
	int ends[2];
	ssize_t len;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	build_report_log(report, previous, limits, now_ms);
	dup2(saved, STDERR_FILENO);
	len = read(ends[0], content, sizeof(content) - 1);
	content[len < 0 ? 0 : len] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
	return content;
}

static void test_file_events_say_what_where_why_and_what_now(void **state)
{
	static const struct {
		struct store_event event;
		const char *expected;
	} cases[] = {
		{{.kind = STORE_EVENT_RECORDS_SKIPPED,
			 .report = {.records = 41,
				 .skipped = 1,
				 .line = 7,
				 .defect = FORMAT_DEFECT_MAC}},
			"leasedns: lease file '" FILE_PATH
			"': line 7: bad MAC address; skipped, the other 41 leases stay\n"},
		{{.kind = STORE_EVENT_RECORDS_SKIPPED,
			 .report = {.records = 1,
				 .skipped = 3,
				 .line = 2,
				 .defect = FORMAT_DEFECT_MAC}},
			"leasedns: lease file '" FILE_PATH
			"': line 2: bad MAC address (the first of 3); skipped, the other 1 lease "
			"stays\n"},
		{{.kind = STORE_EVENT_FILE_FAILED,
			 .status = PARSER_E_IO,
			 .system_error = EACCES,
			 .kept = 42},
			"leasedns: lease file '" FILE_PATH
			"': Permission denied; keeping the previous 42 leases\n"},
		{{.kind = STORE_EVENT_FILE_FAILED, .status = PARSER_E_TORN, .report = {.line = 9}},
			"leasedns: lease file '" FILE_PATH
			"': line 9: changed while it was read; nothing of it is served\n"},
		{{.kind = STORE_EVENT_FILE_RECOVERED, .report = {.records = 2}},
			"leasedns: lease file '" FILE_PATH "': good again, with 2 leases\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct build_report_limits limits = {0};
		struct build_report none = {0};
		struct build_report report = {0};
		struct store_event event = cases[i].event;

		event.path = FILE_PATH;
		event.format = &format_libvirt_status;
		build_report_store_event(&report, &event);
		assert_string_equal(logged(&report, &none, &limits, 1), cases[i].expected);
		build_report_done(&report);
		assert_int_equal(report.count, 0);
	}
}

static void test_directory_events_need_no_format(void **state)
{
	static const enum store_event_kind kinds[] = {STORE_EVENT_DIRECTORY_FAILED,
		STORE_EVENT_DIRECTORY_ABSENT, STORE_EVENT_DIRECTORY_FOUND};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct build_report_limits limits = {0};
		struct build_report none = {0};
		struct build_report report = {0};
		struct store_event event = {
			.kind = kinds[i], .path = "/leases", .status = PARSER_E_LIMIT};

		build_report_store_event(&report, &event);
		assert_non_null(
			strstr(logged(&report, &none, &limits, 1), "lease directory '/leases': "));
		build_report_done(&report);
	}
}

static void test_shared_alias_is_told_with_its_guest(void **state)
{
	struct build_report_limits limits = {0};
	struct build_report none = {0};
	struct build_report report = {0};
	struct index_event event = {.kind = INDEX_EVENT_ALIAS_SHARED, .name = text("DB Server")};

	(void)state;
	build_report_index_event(&report, &event);
	assert_non_null(strstr(logged(&report, &none, &limits, 1),
		"guest 'DB\\032Server' would also answer to 'db-server'"));
	build_report_done(&report);
}

static void test_hostile_names_are_escaped(void **state)
{
	static const enum index_event_kind kinds[] = {INDEX_EVENT_HOSTNAME_REJECTED,
		INDEX_EVENT_NAME_REJECTED, INDEX_EVENT_ALIAS_SHARED, INDEX_EVENT_HOSTNAME_HIDDEN,
		INDEX_EVENT_HOSTNAME_SHARED};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct build_report_limits limits = {0};
		struct build_report none = {0};
		struct build_report report = {0};
		struct index_event event = {.kind = kinds[i],
			.name = text("%s%n'\n<3>forged\x1b"),
			.network = text("virbr0")};
		const char *line;

		build_report_index_event(&report, &event);
		line = logged(&report, &none, &limits, 1);
		assert_non_null(strstr(line, "'%s%n\\039\\010<3>forged\\027'"));
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		build_report_done(&report);
	}
}

static void add_name(struct build_report *report, const char *name)
{
	struct index_event event = {.kind = INDEX_EVENT_HOSTNAME_REJECTED,
		.name = text(name),
		.network = text("virbr0"),
		.address = {.family = ADDRESS_IPV4, .octets = {192, 168, 122, 5}}};

	build_report_index_event(report, &event);
}

static void test_what_lasts_is_said_once(void **state)
{
	struct build_report_limits limits = {0};
	struct build_report first = {0};
	struct build_report second = {0};
	struct build_report third = {0};
	const char *lines;

	(void)state;
	add_name(&first, "wpad");
	add_name(&first, "wpad"); /* Built twice: beside, then in memory. */
	assert_int_equal(first.count, 1);
	add_name(&second, "wpad");
	add_name(&second, "isatap");
	add_name(&third, "wpad");
	assert_string_equal(logged(&first, &third, &limits, 1), "");
	lines = logged(&second, &first, &limits, 1);
	assert_null(strstr(lines, "wpad"));
	assert_non_null(strstr(lines, "192.168.122.5 calls itself 'isatap', which no guest may be "
				      "called: programs trust a "
				      "host of that name; the address stays"));
	/* Gone in between: news again. */
	build_report_done(&second);
	assert_non_null(strstr(logged(&third, &second, &limits, 2), "wpad"));
	build_report_done(&first);
	build_report_done(&third);
}

static void test_a_flood_of_names_hides_no_bad_file(void **state)
{
	struct build_report_limits limits = {0};
	struct build_report none = {0};
	struct store_event event = {.kind = STORE_EVENT_FILE_FAILED,
		.path = FILE_PATH,
		.format = &format_libvirt_status,
		.status = PARSER_E_SYNTAX};

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct build_report report = {0};
		const char *lines;

		for (int i = 0; i < 1000; i++) {
			char name[32];

			snprintf(name, sizeof(name), "%d.%d", round, i);
			add_name(&report, name);
		}
		assert_int_equal(report.count, BUILD_REPORT_LINES_MAX);
		assert_int_equal(report.omitted, 1000 - BUILD_REPORT_LINES_MAX);
		lines = logged(&report, &none, &limits, round);
		if (round > 0)
			assert_null(strstr(lines, "calls itself"));
		build_report_done(&report);
	}
	{
		struct build_report report = {0};

		build_report_store_event(&report, &event);
		assert_non_null(strstr(logged(&report, &none, &limits, 60), FILE_PATH));
		build_report_done(&report);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_events_say_what_where_why_and_what_now),
		cmocka_unit_test(test_directory_events_need_no_format),
		cmocka_unit_test(test_shared_alias_is_told_with_its_guest),
		cmocka_unit_test(test_hostile_names_are_escaped),
		cmocka_unit_test(test_what_lasts_is_said_once),
		cmocka_unit_test(test_a_flood_of_names_hides_no_bad_file),
	};

	log_start(LOG_LEVEL_DEBUG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
