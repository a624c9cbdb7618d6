#include "server/support/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool terminal_wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (!no_color || no_color[0] == '\0') && term && term[0] && strcmp(term, "dumb") != 0;
}

void terminal_look(int fd, struct terminal *out_terminal)
{
	struct terminal terminal = {.is_terminal = isatty(fd) == 1};
	struct winsize size;

	if (terminal.is_terminal) {
		terminal.has_colour = terminal_wants_colour();
		if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
			terminal.width = size.ws_col;
			terminal.height = size.ws_row;
		}
	}
	*out_terminal = terminal;
}

bool terminal_take_keys(int fd, struct termios *out_saved)
{
	struct termios saved;
	struct termios keys;

	if (tcgetattr(fd, &saved) < 0 || tcgetpgrp(fd) != getpgrp())
		return false;
	keys = saved;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSANOW, &keys) < 0)
		return false;
	*out_saved = saved;
	return true;
}

void terminal_restore(int fd, const struct termios *saved)
{
	/* From the background this would stop us; the shell has set its own modes there already. */
	if (tcgetpgrp(fd) == getpgrp())
		tcsetattr(fd, TCSANOW, saved);
}
