/** @file A whole listing as the text that `leasedns list` prints. */
#ifndef SERVER_CLI_LIST_VIEW_H
#define SERVER_CLI_LIST_VIEW_H

#include "server/names/listing.h"
#include "server/support/terminal.h"

enum list_form {
	LIST_FORM_TABLE,
	LIST_FORM_JSON,      /**< Indented. */
	LIST_FORM_JSON_LINE, /**< One document in one line. */
};

struct list_view {
	enum list_form form;
	enum listing_scope scope;
	struct terminal terminal;
	bool is_screen; /**< A table must fit the terminal's height as well. */
};

/** An empty table is "".
 *  @return the caller's to free; NULL if memory is short. */
char *list_view_render(const struct list_view *view, const struct listing *listing,
	const struct index_meta *meta, int64_t now_unix_s);

#endif
