#include "nss/piece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/many_leases.h"
#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What all records of a parse come to. */
struct sum {
	size_t records;
	uint64_t hash;
	const char *touch; /* A file that changes at the first record; NULL: none. */
};

static bool add_up(void *ctx, const struct record *record)
{
	struct sum *sum = ctx;

	if (sum->touch && sum->records == 0) {
		int fd = open(sum->touch, O_WRONLY | O_APPEND | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, "\n", 1), 1);
		close(fd);
	}
	sum->records++;
	for (size_t i = 0; i < record->name.len; i++)
		sum->hash = (sum->hash ^ record->name.ptr[i]) * 1099511628211u;
	for (size_t i = 0; i < sizeof(record->address.octets); i++)
		sum->hash = (sum->hash ^ record->address.octets[i]) * 1099511628211u;
	sum->hash ^= record->has_mac ? record->mac.octets[5] : 0x100u;
	return true;
}

static struct store_file file_called(const char *name)
{
	return (struct store_file){.name = (char *)(uintptr_t)name, .format = format_find(name)};
}

static enum parser_status parse(const char *directory, const char *name, struct sum *sum)
{
	struct piece_reader *reader = piece_reader_new();
	struct store_file file = file_called(name);
	enum parser_status status;

	assert_non_null(reader);
	status = piece_reader_parse(reader, directory, &file, add_up, sum);
	piece_reader_free(reader);
	return status;
}

static int setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

/* In pieces or as a whole: the same records. */
static void test_pieces_give_what_the_whole_gives(void **state)
{
	static const char *const names[] = {
		"virbr0.status", "virbr1.macs", "one.hostsfile", "one.addnhosts", "empty.status"};
	FILE *stream;

	many_leases_write(*state, 5000, 0);
	stream = fopen(scratch_path(*state, names[1]), "w");
	assert_non_null(stream);
	for (int i = 0; i < 20000; i++)
		fprintf(stream, "%s{\"domain\":\"vm-%d\",\"macs\":[\"52:54:00:00:%02x:%02x\"]}",
			i ? ",\n" : "[", i, i / 256, i % 256);
	fputs("]", stream);
	fclose(stream);
	stream = fopen(scratch_path(*state, names[2]), "w");
	assert_non_null(stream);
	for (int i = 0; i < 20000; i++)
		fprintf(stream, "52:54:00:00:%02x:%02x,10.0.%d.%d,vm-%d%s", i / 256, i % 256,
			i / 256, i % 256, i, i < 19999 ? "\n" : "");
	fclose(stream);
	stream = fopen(scratch_path(*state, names[3]), "w");
	assert_non_null(stream);
	for (int i = 0; i < 20000; i++)
		fprintf(stream, "10.0.%d.%d\tvm-%d\r\n", i / 256, i % 256, i);
	fclose(stream);
	scratch_write(*state, names[4], "", 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct sum whole = {0};
		struct sum pieces = {0};
		struct format_report report;
		size_t len;
		char *text = scratch_read(scratch_path(*state, names[i]), &len);

		assert_int_equal(format_parse(format_find(names[i]),
					 (struct bytes){(const uint8_t *)text, len}, add_up, &whole,
					 &report),
			PARSER_OK);
		assert_int_equal(parse(*state, names[i], &pieces), PARSER_OK);
		assert_int_equal(pieces.records, whole.records);
		assert_true(pieces.hash == whole.hash);
		assert_int_equal(whole.records, i == 0 ? 5000 : i == 4 ? 0 : 20000);
		free(text);
	}
}

static void test_what_is_no_regular_file_is_not_read(void **state)
{
	struct sum sum = {0};

	scratch_write(*state, "good.status", "[]", 2);
	assert_int_equal(parse(*state, "good.status", &sum), PARSER_OK);
	assert_int_equal(parse(*state, "missing.status", &sum), PARSER_E_ABSENT);
	assert_int_equal(mkfifo(scratch_path(*state, "fifo.status"), 0644), 0);
	assert_int_equal(parse(*state, "fifo.status", &sum), PARSER_E_UNTRUSTED);
	assert_int_equal(mkdir(scratch_path(*state, "directory.status"), 0755), 0);
	assert_int_equal(parse(*state, "directory.status", &sum), PARSER_E_UNTRUSTED);
	assert_int_equal(symlink("good.status", scratch_path(*state, "link.status")), 0);
	assert_int_equal(parse(*state, "link.status", &sum), PARSER_E_IO);
	assert_int_equal(
		truncate(scratch_path(*state, "good.status"), FORMAT_FILE_OCTETS_MAX + 1L), 0);
	assert_int_equal(parse(*state, "good.status", &sum), PARSER_E_LIMIT);
	assert_int_equal(sum.records, 0);
}

static void test_directory_whose_path_is_too_long_is_not_read(void **state)
{
	char path[4096];
	struct sum sum = {0};

	(void)state;
	memset(path, '/', sizeof(path));
	for (size_t len = 4080; len < sizeof(path); len++) {
		path[len] = '\0';
		assert_int_not_equal(parse(path, "missing.status", &sum), PARSER_OK);
		path[len] = '/';
	}
}

static void test_file_that_is_cut_short_is_broken(void **state)
{
	size_t len;
	char *text;

	many_leases_write(*state, 900, 0);
	text = scratch_read(scratch_path(*state, "virbr0.status"), &len);
	/* Around the places where one piece ends and the next begins, and elsewhere. */
	for (size_t cut = 2; cut < len - 2; cut += cut % 131200 < 400 ? 1 : 1009) {
		struct sum sum = {0};

		scratch_write(*state, "cut.status", text, cut);
		assert_int_equal(parse(*state, "cut.status", &sum), PARSER_E_SYNTAX);
	}
	free(text);
}

static void test_file_that_changes_meanwhile_is_torn(void **state)
{
	struct sum sum = {0};

	many_leases_write(*state, 3000, 0);
	sum.touch = scratch_path(*state, "virbr0.status");
	assert_int_equal(parse(*state, "virbr0.status", &sum), PARSER_E_TORN);
}

/* A line of any length, and an element that no piece holds, neither hang nor overrun. */
static void test_longest_line_and_element_have_an_end(void **state)
{
	static const size_t lengths[] = {65599, 65600, 65601, 131199, 131200, 131201, 1000000};
	char *text = malloc(1100000);

	assert_non_null(text);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct sum sum = {0};

		memset(text, ' ', lengths[i]);
		memcpy(text, "10.0.0.1", 8);
		memcpy(text + lengths[i], "\n10.0.0.2 b\n", 12);
		scratch_write(*state, "long.addnhosts", text, lengths[i] + 12);
		parse(*state, "long.addnhosts", &sum);
		sum = (struct sum){0};
		memset(text, 'x', lengths[i]);
		memcpy(text, "[{\"domain\":\"", 12);
		memcpy(text + lengths[i], "\"},{\"domain\":\"b\"}]", 18);
		scratch_write(*state, "long.macs", text, lengths[i] + 18);
		if (parse(*state, "long.macs", &sum) == PARSER_OK)
			assert_int_equal(sum.records, 1);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_pieces_give_what_the_whole_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_no_regular_file_is_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_directory_whose_path_is_too_long_is_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_that_is_cut_short_is_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_file_that_changes_meanwhile_is_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_longest_line_and_element_have_an_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
