#include "server/cli/list_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/names/row.h"

/* Lines of a screen that are not rows: header, the line that says what is left, the cursor's. */
#define LIST_VIEW_OTHER_LINES 3

#define LIST_VIEW_COLUMNS (ROW_NAME | ROW_KIND | ROW_ADDRESS | ROW_MAC | ROW_NETWORK | ROW_EXPIRES)

static char *list_view_json(const struct list_view *view, const struct listing *listing,
	const struct index_meta *meta, int64_t now_unix_s)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	struct json_object *array = row_json_array(listing, meta, now_unix_s);
	const char *json;
	char *text = NULL;

	if (view->form == LIST_FORM_JSON)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	json = array ? json_object_to_json_string_ext(array, flags) : NULL;
	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	json_object_put(array);
	return text;
}

/* How many rows are shown. */
static size_t list_view_rows(const struct list_view *view, size_t count)
{
	size_t room;

	if (!view->is_screen || view->terminal.height == 0)
		return count;
	room = view->terminal.height > LIST_VIEW_OTHER_LINES
		       ? view->terminal.height - LIST_VIEW_OTHER_LINES
		       : 1;
	return count < room ? count : room;
}

static char *list_view_table(const struct list_view *view, const struct listing *listing,
	const struct index_meta *meta, int64_t now_unix_s)
{
	struct listing shown = {
		.rows = listing->rows, .count = list_view_rows(view, listing->count)};
	struct table_format format = {.width = view->terminal.width,
		.rows_left = listing->count - shown.count,
		.colour = view->terminal.has_colour};
	unsigned columns = LIST_VIEW_COLUMNS;
	struct table *table;
	char *text = NULL;

	if (listing->count == 0)
		return calloc(1, 1);
	if (view->scope == LISTING_SCOPE_ALL)
		columns |= ROW_STATE;
	table = row_table(&shown, meta, now_unix_s, columns);
	if (table)
		text = table_render(table, &format);
	table_free(table);
	return text;
}

char *list_view_render(const struct list_view *view, const struct listing *listing,
	const struct index_meta *meta, int64_t now_unix_s)
{
	switch (view->form) {
	case LIST_FORM_TABLE:
		return list_view_table(view, listing, meta, now_unix_s);
	case LIST_FORM_JSON:
	case LIST_FORM_JSON_LINE:
		break;
	}
	return list_view_json(view, listing, meta, now_unix_s);
}
