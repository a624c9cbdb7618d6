/** @file What is said of a file that is refused. Content of the file is hostile until read: it is
 *  shown escaped and cut. Private to conf/. */
#ifndef CONF_CONF_MESSAGE_H
#define CONF_CONF_MESSAGE_H

#include "conf.h"

/** Characters of the file's content that a message shows: two such quotes and the words around
 *  them fit into conf_error.message. */
#define CONF_QUOTE_CHARS 64

/** Content of the file, printable. */
struct conf_quote {
	char text[CONF_QUOTE_CHARS + sizeof("...")];
};

/** Where in the file we are, and whom to tell what is wrong there. */
struct conf_place {
	const char *section;
	const char *key; /**< As the file has it. */
	struct conf_error *error;
};

/** Printable ASCII stays, '\' and ''' get a '\' before them, all else becomes \xHH. What does not
 *  fit becomes "...". By value, so that it can stand among the arguments of a message. */
struct conf_quote conf_quote(const char *text, size_t len);

/** Sets the message (the line stays) and returns `status`. */
enum conf_status conf_fail(struct conf_error *out_error, enum conf_status status,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Sets the message to "[section] key: " and what is given; returns CONF_E_VALUE. */
enum conf_status conf_refuse(const struct conf_place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
