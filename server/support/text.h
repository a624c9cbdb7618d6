/** @file Names for people: hostile bytes as text that is safe on a terminal and in JSON.
 *
 *  Both forms write a byte that cannot stand as itself as `\DDD`, three decimal digits, like
 *  DNS text form (RFC 1035 section 5.1). The first follows the process's LC_CTYPE, so a program
 *  that never called setlocale() gets ASCII. */
#ifndef SERVER_SUPPORT_TEXT_H
#define SERVER_SUPPORT_TEXT_H

#include <stddef.h>

#include "parser/bytes.h"

/** For terminals: characters that this locale can print and that take up room stay; control
 *  characters, what reorders or joins text, invalid bytes and the backslash are escaped.
 *  @return the caller's to free; NULL if memory is short. */
char *text_printable(struct bytes raw);

/** For JSON, whatever the locale: valid UTF-8 stays, except for U+007F to U+009F, which terminals
 *  obey; those, invalid bytes and the backslash are escaped, so no two names look alike.
 *  @return the caller's to free; NULL if memory is short. */
char *text_utf8(struct bytes raw);

/** A name as a DNS master file has it (RFC 1035 section 5.1; every byte that is not printable
 *  ASCII as `\DDD`), ending in `.zone` but no further dot. The zone is left out if empty.
 *  @return the caller's to free; NULL if memory is short. */
char *text_dns(struct bytes name, struct bytes zone);

/** Columns that `text` takes on a terminal of this locale. */
size_t text_width(const char *text);

/** Octets at the start of `text` that take at most `width` columns.
 *  @param out_width columns that they take. */
size_t text_prefix(const char *text, size_t width, size_t *out_width);

/** What stands for text that was cut: one character, or ".." where the locale is plain ASCII. */
const char *text_ellipsis(void);

#endif
