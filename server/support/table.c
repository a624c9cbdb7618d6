#include "server/support/table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/support/text.h"

#define TABLE_GAP 2

#define TABLE_BOLD  "\033[1m"
#define TABLE_DIM   "\033[2m"
#define TABLE_RESET "\033[0m"

struct table_row {
	enum table_style style;
	char **cells;
};

struct table {
	struct table_column *columns;
	size_t column_count;
	struct table_row *rows;
	size_t row_count;
	size_t row_cap;
};

struct table *table_new(const struct table_column *columns, size_t column_count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = calloc(column_count, sizeof(*columns));
	if (!table->columns) {
		free(table);
		return NULL;
	}
	memcpy(table->columns, columns, column_count * sizeof(*columns));
	table->column_count = column_count;
	return table;
}

static void table_cells_free(char **cells, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(cells[i]);
	free(cells);
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->row_count; i++)
		table_cells_free(table->rows[i].cells, table->column_count);
	free(table->rows);
	free(table->columns);
	free(table);
}

static bool table_reserve(struct table *table)
{
	size_t cap = table->row_cap ? table->row_cap * 2 : 32;
	struct table_row *rows;

	if (table->row_count < table->row_cap)
		return true;
	rows = reallocarray(table->rows, cap, sizeof(*rows));
	if (!rows)
		return false;
	table->rows = rows;
	table->row_cap = cap;
	return true;
}

bool table_add(struct table *table, enum table_style style, const char *const *cells)
{
	char **copies;

	if (!table_reserve(table))
		return false;
	copies = calloc(table->column_count, sizeof(*copies));
	if (!copies)
		return false;
	for (size_t i = 0; i < table->column_count; i++) {
		copies[i] = strdup(cells[i]);
		if (!copies[i]) {
			table_cells_free(copies, i);
			return false;
		}
	}
	table->rows[table->row_count++] = (struct table_row){.style = style, .cells = copies};
	return true;
}

size_t table_row_count(const struct table *table)
{
	return table->row_count;
}

/* Takes columns away from the widest cell that may be cut until a line fits, one at a time: so the
 * long ones end up equally wide instead of one being cut to nothing. */
static void table_shrink(const struct table *table, size_t line_width, size_t *widths)
{
	size_t total = TABLE_GAP * (table->column_count - 1);

	for (size_t i = 0; i < table->column_count; i++)
		total += widths[i];
	while (total > line_width) {
		size_t widest = SIZE_MAX;

		for (size_t i = 0; i < table->column_count; i++) {
			size_t floor = table->columns[i].width_min;

			if (floor == 0 || widths[i] <= floor)
				continue;
			if (widest == SIZE_MAX || widths[i] > widths[widest])
				widest = i;
		}
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
		total--;
	}
}

static void table_measure(
	const struct table *table, const struct table_format *format, size_t *out_widths)
{
	for (size_t i = 0; i < table->column_count; i++)
		out_widths[i] = text_width(table->columns[i].title);
	for (size_t row = 0; row < table->row_count; row++) {
		for (size_t i = 0; i < table->column_count; i++) {
			size_t width = text_width(table->rows[row].cells[i]);

			if (width > out_widths[i])
				out_widths[i] = width;
		}
	}
	if (format->width > 0)
		table_shrink(table, format->width, out_widths);
}

/* Writes one cell, cut to `width`; returns the columns that it takes. */
static size_t table_write_cell(FILE *out, const char *cell, size_t width)
{
	const char *ellipsis = text_ellipsis();
	size_t ellipsis_width = text_width(ellipsis);
	size_t taken = text_width(cell);
	size_t octets;

	if (taken <= width) {
		fputs(cell, out);
		return taken;
	}
	if (width < ellipsis_width) {
		octets = text_prefix(cell, width, &taken);
		fwrite(cell, 1, octets, out);
		return taken;
	}
	octets = text_prefix(cell, width - ellipsis_width, &taken);
	fwrite(cell, 1, octets, out);
	fputs(ellipsis, out);
	return taken + ellipsis_width;
}

/* Blanks are written before the next cell only, so that a line never ends in any. What does not
 * fit although columns were cut is left out, so that a terminal does not wrap the line. */
static void table_write_line(const struct table *table, FILE *out,
	const struct table_format *format, const size_t *widths, const char *const *cells)
{
	size_t pending = 0;
	size_t at = 0;

	for (size_t i = 0; i < table->column_count; i++) {
		size_t room = widths[i];
		size_t taken;

		if (format->width > 0) {
			if (at + pending >= format->width)
				break;
			if (room > format->width - at - pending)
				room = format->width - at - pending;
		}
		if (cells[i][0]) {
			fprintf(out, "%*s", (int)pending, "");
			at += pending;
			pending = 0;
		}
		taken = table_write_cell(out, cells[i], room);
		at += taken;
		pending += widths[i] - taken + TABLE_GAP;
	}
}

static void table_write_header(const struct table *table, FILE *out,
	const struct table_format *format, const size_t *widths, const char **cells)
{
	for (size_t i = 0; i < table->column_count; i++)
		cells[i] = table->columns[i].title;
	fputs(format->colour ? TABLE_BOLD : "", out);
	table_write_line(table, out, format, widths, cells);
	fputs(format->colour ? TABLE_RESET "\n" : "\n", out);
}

static void table_write(const struct table *table, FILE *out, const struct table_format *format,
	const size_t *widths, const char **cells)
{
	table_write_header(table, out, format, widths, cells);
	for (size_t row = 0; row < table->row_count; row++) {
		bool dim = format->colour && table->rows[row].style == TABLE_STYLE_DIM;

		fputs(dim ? TABLE_DIM : "", out);
		table_write_line(
			table, out, format, widths, (const char *const *)table->rows[row].cells);
		fputs(dim ? TABLE_RESET "\n" : "\n", out);
	}
	if (format->rows_left > 0)
		fprintf(out, "%s and %zu more\n", text_ellipsis(), format->rows_left);
}

char *table_render(const struct table *table, const struct table_format *format)
{
	size_t *widths = calloc(table->column_count, sizeof(*widths));
	const char **cells = calloc(table->column_count, sizeof(*cells));
	char *text = NULL;
	size_t len = 0;
	FILE *out = NULL;

	if (widths && cells)
		out = open_memstream(&text, &len);
	if (out) {
		table_measure(table, format, widths);
		table_write(table, out, format, widths, cells);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	free(widths);
	free(cells);
	return text;
}
