/** @file Messages of the daemon and the command line, on standard error. The only static state of
 *  the program is this level and target. */
#ifndef SERVER_SUPPORT_LOG_H
#define SERVER_SUPPORT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/bytes.h"

/** Numbers are syslog's; with a journal on standard error each line starts with `<N>`. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/** Detects the journal (sd-daemon(3): JOURNAL_STREAM); messages above `level` are dropped. */
void log_start(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Whether standard error takes a line without making us wait: for what may be left out. */
bool log_is_ready(void);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/** Room for log_escape(): four characters for an octet, "…" and NUL. */
#define LOG_ESCAPED_SIZE 272

/** Hostile bytes as one printable ASCII word: others than 0x21-0x7e, quote and backslash become
 *  \DDD (as in DNS text form); cut with "..." if long. Returns `out_text`. */
const char *log_escape(struct bytes text, char out_text[LOG_ESCAPED_SIZE]);

/** Lets a burst pass, then few: for what a remote peer or a guest can trigger. Zero it at first. */
struct log_limit {
	int64_t window_start_ms;
	unsigned passed;
	unsigned suppressed;
};

/** @param now_ms monotonic. @return true if the message may be written. When a new window starts
 *  and messages were suppressed, says so itself: "… (N similar messages suppressed)". */
bool log_limit_pass(struct log_limit *limit, int64_t now_ms);

#endif
