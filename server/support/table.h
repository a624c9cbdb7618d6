/** @file Rows of cells as aligned text.
 *
 *  Cells are text for people already (text_printable()): the table aligns and cuts, it escapes
 *  nothing. Knows nothing of names, terminals or streams; widths follow LC_CTYPE. */
#ifndef SERVER_SUPPORT_TABLE_H
#define SERVER_SUPPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct table;

struct table_column {
	const char *title;
	/** The column may be cut down to this width so that lines fit; 0: never cut. */
	size_t width_min;
};

enum table_style {
	TABLE_STYLE_PLAIN,
	TABLE_STYLE_DIM, /**< Less important than the others. */
};

struct table_format {
	size_t width;     /**< Columns of a line; 0: as wide as the content. */
	size_t rows_left; /**< Rows that the caller left out: a last line says how many; 0: none. */
	bool colour;      /**< Write ANSI sequences: bold header, dim rows. */
};

/** @param columns copied; their titles must outlive the table. NULL if memory is short. */
struct table *table_new(const struct table_column *columns, size_t column_count);
void table_free(struct table *table);

/** Adds a row. @param cells one text for each column; copied.
 *  @return false if memory is short; the table is then as before. */
bool table_add(struct table *table, enum table_style style, const char *const *cells);

size_t table_row_count(const struct table *table);

/** Header and rows as lines, columns two blanks apart, no blanks at the end of a line.
 *  @return the caller's to free; NULL if memory is short. */
char *table_render(const struct table *table, const struct table_format *format);

#endif
