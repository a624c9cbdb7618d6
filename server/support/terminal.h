/** @file What standard output is: a terminal of some size, with or without colours, or not. */
#ifndef SERVER_SUPPORT_TERMINAL_H
#define SERVER_SUPPORT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct terminal {
	bool is_terminal;
	bool has_colour; /**< A terminal that is not dumb, and NO_COLOR (no-color.org) is unset. */
	size_t width;    /**< Columns; 0 if unknown or no terminal. */
	size_t height;   /**< Lines; likewise. */
};

/** Looks at `fd` and the environment. */
void terminal_look(int fd, struct terminal *out_terminal);

/** Single keys instead of lines, without echo; signals of keys stay. Done only if this process is
 *  in the terminal's foreground, because another would be stopped for it.
 *  @param out_saved for terminal_restore(). @return false if `fd` is no such terminal. */
bool terminal_take_keys(int fd, struct termios *out_saved);
void terminal_restore(int fd, const struct termios *saved);

#endif
