#include "server/support/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One write() is one message, also among several writers of a pipe (PIPE_BUF is 4096). Two paths
 * and a sentence fit; what is longer is cut. */
#define LOG_LINE_SIZE 4096

/* A burst tells what happens; after that a few lines a window tell that it goes on. */
#define LOG_LIMIT_WINDOW_MS 10000
#define LOG_LIMIT_BURST     10

static enum log_level log_level_max = LOG_LEVEL_INFO;
static bool log_has_journal;

/* sd-daemon(3): the variable is inherited by children whose standard error goes elsewhere, so it
 * counts only if it describes this very descriptor. */
static bool log_is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char expected[64];

	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, expected) == 0;
}

void log_start(enum log_level level)
{
	log_level_max = level;
	log_has_journal = log_is_journal(STDERR_FILENO);
}

/* Nothing can be done for a message that standard error does not take. */
static void log_put(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t written = write(STDERR_FILENO, text, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		text += written;
		len -= (size_t)written;
	}
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_SIZE];
	int saved_errno = errno;
	size_t start;
	va_list args;
	int len;

	if (level > log_level_max)
		return;
	len = log_has_journal ? snprintf(line, sizeof(line), "<%d>", (int)level)
			      : snprintf(line, sizeof(line), "leasedns: ");
	start = (size_t)len;
	va_start(args, format);
	/* One octet stays for the newline. */
	len = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	if (len < 0)
		return;
	len = (int)strlen(line);
	/* A file name may hold a newline: it must not look like a second message. */
	for (size_t i = start; i < (size_t)len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	log_put(line, (size_t)len);
	errno = saved_errno;
}

bool log_is_ready(void)
{
	/* A pipe is writable when a message fits (pipe(7): PIPE_BUF), a socket when three
	 * quarters of its buffer are free. */
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0;
}

static bool log_is_plain(uint8_t byte)
{
	return byte >= 0x21 && byte <= 0x7e && byte != '"' && byte != '\'' && byte != '\\';
}

const char *log_escape(struct bytes text, char out_text[LOG_ESCAPED_SIZE])
{
	static const char cut[] = "...";
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.ptr[i];

		if (len + 4 + sizeof(cut) > LOG_ESCAPED_SIZE) {
			memcpy(out_text + len, cut, sizeof(cut));
			return out_text;
		}
		if (log_is_plain(byte)) {
			out_text[len++] = (char)byte;
			continue;
		}
		out_text[len++] = '\\';
		out_text[len++] = (char)('0' + byte / 100);
		out_text[len++] = (char)('0' + byte / 10 % 10);
		out_text[len++] = (char)('0' + byte % 10);
	}
	out_text[len] = '\0';
	return out_text;
}

bool log_limit_pass(struct log_limit *limit, int64_t now_ms)
{
	/* A zeroed limit has no window yet. */
	if (limit->passed == 0 || now_ms - limit->window_start_ms >= LOG_LIMIT_WINDOW_MS) {
		unsigned suppressed = limit->suppressed;

		*limit = (struct log_limit){.window_start_ms = now_ms};
		if (suppressed > 0)
			log_warning("(%u similar messages suppressed)", suppressed);
	}
	if (limit->passed >= LOG_LIMIT_BURST) {
		limit->suppressed++;
		return false;
	}
	limit->passed++;
	return true;
}
