#include "nss/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int readdir_error; /* Comes after the first entry, if any. */

struct dirent *__real_readdir(DIR *stream);
struct dirent *__wrap_readdir(DIR *stream);

struct dirent *__wrap_readdir(DIR *stream)
{
	if (readdir_error && telldir(stream) > 0) {
		errno = readdir_error;
		return NULL;
	}
	return __real_readdir(stream);
}

static struct conf conf_of(char **directories, size_t count)
{
	return (struct conf){.lease_directories = directories, .lease_directory_count = count};
}

/* All names that were kept, in order, with the number of each record's kind. */
static const char *kept(const struct scan *scan)
{
	static char text[4096];
	size_t count;
	const struct store_directory *directories = scan_directories(scan, &count);
	size_t len = 0;

	text[0] = '\0';
	for (size_t d = 0; d < count; d++) {
		for (size_t f = 0; f < directories[d].file_count; f++) {
			const struct store_file *file = directories[d].files[f];

			for (size_t r = 0; r < file->record_count; r++)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d:%.*s",
					len ? " " : "", (int)file->records[r].kind,
					(int)file->records[r].name.len,
					(const char *)file->records[r].name.ptr);
		}
	}
	return text;
}

static int setup(void **state)
{
	char *directory = scratch_new();

	scratch_publish(directory, "virbr0.status",
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"2:0:0:0:0:1\",\"hostname\":"
		"\"Web\"},"
		"{\"ip-address\":\"10.0.0.2\",\"mac-address\":\"2:0:0:0:0:2\",\"hostname\":\"db\"},"
		"{\"ip-address\":\"10.0.0.3\",\"mac-address\":\"2:0:0:0:0:3\"},"
		"{\"ip-address\":\"10.0.0.4\",\"mac-address\":\"2:0:0:0:0:4\","
		"\"hostname\":\"web.example.org\"},"
		"{\"ip-address\":\"fd00::5\",\"mac-address\":\"2:0:0:0:0:5\","
		"\"client-id\":\"00:03:00:01:aa\"}]");
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\":\"Big Box\",\"macs\":[\"2:0:0:0:0:3\"]},"
		"{\"domain\":\"other\",\"macs\":[\"2:0:0:0:0:2\"]}]");
	scratch_publish(directory, "default.hostsfile", "id:00:03:00:01:aa,[fd00::5],kept\n");
	scratch_publish(directory, "default.addnhosts", "10.0.0.9\tprinter\n");
	*state = directory;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static void test_what_bears_on_a_name_is_kept(void **state)
{
	static const struct {
		const char *name;
		const char *kept;
	} rows[] = {
		{"web", "0:Web 0:web.example.org"},
		{"web.virbr0", "0:Web 0:web.example.org"},
		{"db", "0:db"},
		{"big box", "1:Big Box 0:"},
		{"big-box", "1:Big Box 0:"},
		/* A guest, and the lease of its machine, whatever that calls itself. */
		{"other", "1:other 0:db"},
		{"kept", "2:kept 0:"},
		{"printer", "3:printer"},
		{"nobody", ""},
	};
	struct conf conf = conf_of((char **)state, 1);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct scan *scan = scan_new(&conf);
		struct question question;
		const char *names;

		assert_non_null(scan);
		assert_true(question_init(&question, rows[i].name));
		assert_int_equal(scan_for_name(scan, INDEX_KEY_NAME, &question), PARSER_OK);
		names = kept(scan);
		/* Files come in the order of their names: .macs before .status. */
		if (strcmp(names, rows[i].kept) != 0)
			fail_msg("%s: %s", rows[i].name, names);
		assert_true(scan_report(scan)->seen);
		assert_false(scan_report(scan)->failed);
		assert_false(scan_report(scan)->transient);
		scan_free(scan);
	}
}

static void test_what_bears_on_an_address_is_kept(void **state)
{
	static const struct {
		const char *address;
		const char *kept;
	} rows[] = {
		{"10.0.0.1", "0:Web 0:web.example.org"},
		{"10.0.0.2", "1:other 0:db"},
		{"10.0.0.3", "1:Big Box 0:"},
		{"fd00::5", "2:kept 0:"},
		{"10.0.0.9", "3:printer"},
		{"10.0.0.99", ""},
	};
	struct conf conf = conf_of((char **)state, 1);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct scan *scan = scan_new(&conf);
		struct address address;
		const char *names;

		assert_non_null(scan);
		assert_true(address_parse(bytes_of_text(rows[i].address), &address));
		assert_int_equal(scan_for_address(scan, &address), PARSER_OK);
		names = kept(scan);
		if (strcmp(names, rows[i].kept) != 0)
			fail_msg("%s: %s", rows[i].address, names);
		scan_free(scan);
	}
}

/* The index takes them in that order; a directory lists them in any. */
static void test_files_come_in_order_of_their_names(void **state)
{
	struct conf conf = conf_of((char **)state, 1);
	const struct store_directory *directories;
	struct scan *scan;
	size_t count;

	for (int i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "br%d.status", i * 7 % 40);
		scratch_publish(*state, name, "[]");
	}
	scan = scan_new(&conf);
	assert_non_null(scan);
	directories = scan_directories(scan, &count);
	assert_int_equal(count, 1);
	assert_int_equal(directories[0].file_count, 44);
	for (size_t i = 1; i < directories[0].file_count; i++)
		assert_true(strcmp(directories[0].files[i - 1]->name,
				    directories[0].files[i]->name) < 0);
	scan_free(scan);
}

static void test_directories_that_are_missing_are_reported(void **state)
{
	char missing[] = "/nonexistent/leasedns";
	char file[4096];
	struct {
		char *paths[2];
		size_t count;
		bool seen;
		bool failed;
	} rows[] = {
		{{NULL}, 0, false, false},
		{{missing}, 1, false, false},
		{{*state, missing}, 2, true, false},
		{{missing, *state}, 2, true, false},
		{{file, *state}, 2, true, true},
	};

	snprintf(file, sizeof(file), "%s/virbr0.macs", (const char *)*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf conf = conf_of(rows[i].paths, rows[i].count);
		struct scan *scan = scan_new(&conf);
		struct question question;

		assert_non_null(scan);
		assert_true(question_init(&question, "web"));
		assert_int_equal(scan_for_name(scan, INDEX_KEY_NAME, &question), PARSER_OK);
		assert_int_equal(scan_report(scan)->seen, rows[i].seen);
		assert_int_equal(scan_report(scan)->failed, rows[i].failed);
		assert_false(scan_report(scan)->transient);
		assert_string_equal(kept(scan), rows[i].seen ? "0:Web 0:web.example.org" : "");
		scan_free(scan);
	}
}

static void test_bad_file_costs_only_that_file(void **state)
{
	struct conf conf = conf_of((char **)state, 1);
	struct scan *scan;
	struct question question;

	scratch_publish(
		*state, "virbr1.status", "[{\"ip-address\":\"10.1.0.1\",\"hostname\":\"web\"},");
	scan = scan_new(&conf);
	assert_non_null(scan);
	assert_true(question_init(&question, "web"));
	assert_int_equal(scan_for_name(scan, INDEX_KEY_NAME, &question), PARSER_OK);
	assert_string_equal(kept(scan), "0:Web 0:web.example.org");
	assert_true(scan_report(scan)->failed);
	scan_free(scan);
}

static void test_more_records_than_are_kept_is_told(void **state)
{
	char text[128];
	FILE *stream = fopen(scratch_path(*state, "virbr2.status"), "w");
	struct conf conf = conf_of((char **)state, 1);
	struct question question;
	struct scan *scan;

	assert_non_null(stream);
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text),
			"%s{\"ip-address\":\"10.1.%d.%d\",\"hostname\":\"clone\"}", i ? "," : "[",
			i / 256, i % 256);
		fputs(text, stream);
	}
	fputs("]", stream);
	fclose(stream);
	scan = scan_new(&conf);
	assert_non_null(scan);
	assert_true(question_init(&question, "clone"));
	assert_int_equal(scan_for_name(scan, INDEX_KEY_NAME, &question), PARSER_E_LIMIT);
	scan_free(scan);
	scan = scan_new(&conf);
	assert_non_null(scan);
	assert_true(question_init(&question, "web"));
	assert_int_equal(scan_for_name(scan, INDEX_KEY_NAME, &question), PARSER_OK);
	assert_string_equal(kept(scan), "0:Web 0:web.example.org");
	scan_free(scan);
}

/* What was not listed might have held the name. */
static void test_directory_that_breaks_off_is_reported(void **state)
{
	static const struct {
		int error;
		bool transient;
	} rows[] = {{EIO, false}, {ENOMEM, true}, {0, false}};
	struct conf conf = conf_of((char **)state, 1);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct scan *scan;

		readdir_error = rows[i].error;
		scan = scan_new(&conf);
		readdir_error = 0;
		assert_non_null(scan);
		assert_true(scan_report(scan)->seen);
		assert_int_equal(scan_report(scan)->failed, rows[i].error != 0);
		assert_int_equal(scan_report(scan)->transient, rows[i].transient);
		scan_free(scan);
	}
}

static void test_shortage_is_told_from_absence(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM};
	static const int others[] = {0, ENOENT, EACCES, EIO, ELOOP, ENOTDIR};

	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++)
		assert_true(scan_is_transient(errors[i]));
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(scan_is_transient(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_bears_on_a_name_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_bears_on_an_address_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_files_come_in_order_of_their_names, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_directories_that_are_missing_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_bad_file_costs_only_that_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_more_records_than_are_kept_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_directory_that_breaks_off_is_reported, setup, teardown),
		cmocka_unit_test(test_shortage_is_told_from_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
