#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/support/table.h"
#include "server/support/text.h"

/* The second column is never cut. */
static const struct table_column columns[] = {{"NAME", 4}, {"KIND", 0}, {"NOTE", 4}};

static struct table *table_of(const char *const rows[][3], size_t count)
{
	struct table *table = table_new(columns, 3);

	assert_non_null(table);
	for (size_t i = 0; i < count; i++)
		assert_true(table_add(table, TABLE_STYLE_PLAIN, rows[i]));
	assert_int_equal(table_row_count(table), count);
	return table;
}

static void check(struct table *table, const struct table_format *format, const char *expected)
{
	char *text = table_render(table, format);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	table_free(table);
}

static int use_utf8(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static void test_columns_are_as_wide_as_their_content(void **state)
{
	static const char *const rows[][3] = {
		{"a", "guest", "x"},
		{"longer-name", "alias", "y"},
	};

	(void)state;
	check(table_of(rows, 2), &(struct table_format){0},
		"NAME         KIND   NOTE\n"
		"a            guest  x\n"
		"longer-name  alias  y\n");
}

static void test_header_stands_alone_without_rows(void **state)
{
	(void)state;
	check(table_of(NULL, 0), &(struct table_format){0}, "NAME  KIND  NOTE\n");
}

static void test_multibyte_cells_are_aligned_by_columns(void **state)
{
	static const char *const rows[][3] = {
		{"b\xc3\xbcro", "guest", "x"},
		{"\xe4\xb8\xad\xe6\x96\x87x", "guest", "y"},
		{"abcde", "guest", "z"},
	};

	(void)state;
	check(table_of(rows, 3), &(struct table_format){0},
		"NAME   KIND   NOTE\n"
		"b\xc3\xbcro   guest  x\n"
		"\xe4\xb8\xad\xe6\x96\x87x  guest  y\n"
		"abcde  guest  z\n");
}

static void test_no_line_ends_in_blanks(void **state)
{
	static const char *const rows[][3] = {{"a", "", ""}, {"b", "", "note"}};

	(void)state;
	check(table_of(rows, 2), &(struct table_format){0},
		"NAME  KIND  NOTE\n"
		"a\n"
		"b           note\n");
}

static void test_widest_column_is_cut_first(void **state)
{
	static const char *const rows[][3] = {{"abcdefghijklmnop", "guest", "123456"}};

	(void)state;
	/* 22 = 7 + 2 + 5 + 2 + 6: only the name gives way. */
	check(table_of(rows, 1), &(struct table_format){.width = 22},
		"NAME     KIND   NOTE\n"
		"abcdef\xe2\x80\xa6  guest  123456\n");
	/* 19 = 5 + 2 + 5 + 2 + 5: then both. */
	check(table_of(rows, 1), &(struct table_format){.width = 19},
		"NAME   KIND   NOTE\n"
		"abcd\xe2\x80\xa6  guest  1234\xe2\x80\xa6\n");
}

static void test_cut_cell_never_splits_a_character(void **state)
{
	static const char *const rows[][3] = {
		{"\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87", "guest", "x"}};

	(void)state;
	/* Six columns for the name: two characters, the ellipsis, and one left over. */
	check(table_of(rows, 1), &(struct table_format){.width = 19},
		"NAME    KIND   NOTE\n"
		"\xe4\xb8\xad\xe6\x96\x87\xe2\x80\xa6   guest  x\n");
}

static void test_no_line_is_wider_than_a_narrow_terminal(void **state)
{
	static const char *const rows[][3] = {
		{"abcdefghijklmnop", "reservation", "123456"}, {"a", "b", "c"}};

	(void)state;
	for (size_t width = 1; width < 50; width++) {
		struct table *table = table_of(rows, 2);
		char *text = table_render(table, &(struct table_format){.width = width});
		size_t lines = 0;

		assert_non_null(text);
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			assert_true(text_width(line) <= width);
			lines++;
		}
		assert_int_equal(lines, 3);
		free(text);
		table_free(table);
	}
}

static void test_rows_left_out_are_counted(void **state)
{
	static const char *const rows[][3] = {{"a", "b", "c"}};

	(void)state;
	check(table_of(rows, 1), &(struct table_format){.rows_left = 2},
		"NAME  KIND  NOTE\n"
		"a     b     c\n"
		"\xe2\x80\xa6 and 2 more\n");
}

static void test_colour_only_if_asked_for(void **state)
{
	static const char *const row[] = {"a", "b", "c"};
	struct table *table = table_of(NULL, 0);

	(void)state;
	assert_true(table_add(table, TABLE_STYLE_DIM, row));
	assert_true(table_add(table, TABLE_STYLE_PLAIN, row));
	check(table, &(struct table_format){.colour = true},
		"\033[1mNAME  KIND  NOTE\033[0m\n"
		"\033[2ma     b     c\033[0m\n"
		"a     b     c\n");
}

static void test_freeing_nothing_is_fine(void **state)
{
	(void)state;
	table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_are_as_wide_as_their_content),
		cmocka_unit_test(test_header_stands_alone_without_rows),
		cmocka_unit_test(test_multibyte_cells_are_aligned_by_columns),
		cmocka_unit_test(test_no_line_ends_in_blanks),
		cmocka_unit_test(test_widest_column_is_cut_first),
		cmocka_unit_test(test_cut_cell_never_splits_a_character),
		cmocka_unit_test(test_no_line_is_wider_than_a_narrow_terminal),
		cmocka_unit_test(test_rows_left_out_are_counted),
		cmocka_unit_test(test_colour_only_if_asked_for),
		cmocka_unit_test(test_freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, use_utf8, NULL);
}
