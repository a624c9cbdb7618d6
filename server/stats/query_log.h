/** @file The query log: one line of the log for each question, for who asked for it.
 *
 *      query: CLIENT NAME TYPE TRANSPORT VERDICT RCODE MICROSECONDS us
 *      query: 127.0.0.1 vm.libvirt A udp local NOERROR 12 us
 *
 *  Each is one word of printable ASCII, whatever was asked; "-" where there is none (a message that
 *  cannot be read has no name, a query without a reply no response code).
 *
 *  Never holds up an answer: where standard error does not take a line at once, or lines come too
 *  fast, they are left out and counted. Knows no event loop; the time comes in. */
#ifndef SERVER_STATS_QUERY_LOG_H
#define SERVER_STATS_QUERY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "parser/bytes.h"
#include "server/dns/answered.h"
#include "server/dns/question.h"

/** Room for query_log_format(): the longest name and all else. */
#define QUERY_LOG_LINE_SIZE (QUESTION_NAME_SIZE + 256)

/** Lines in a window of time. journald drops all messages of a unit beyond 10,000 in 30 s
 *  (RateLimitBurst= of journald.conf(5)), errors among them; 30 s touch four windows at most. */
#define QUERY_LOG_BURST     2000u
#define QUERY_LOG_WINDOW_MS 10000

/** Zero it at first. */
struct query_log {
	int64_t window_start_ms;
	unsigned passed;     /**< In this window. */
	uint64_t left_out;   /**< And not yet told. */
	uint64_t written;    /**< Lines, of all time. */
	uint64_t suppressed; /**< Likewise. */
};

struct query_log_entry {
	const struct sockaddr *peer;
	bool is_tcp;
	const struct question *question; /**< NULL: none that can be read. */
	enum answered answered;
	struct bytes reply; /**< Empty: none. */
	uint64_t took_us;
};

/** Writes a line, unless there are too many.
 *  @param now_ms monotonic. */
void query_log_write(struct query_log *log, const struct query_log_entry *entry, int64_t now_ms);

/** Tells how many lines were left out that nobody was told of: when the log is switched off. */
void query_log_flush(struct query_log *log);

/** The line. Returns `out_line`. */
const char *query_log_format(
	const struct query_log_entry *entry, char out_line[static QUERY_LOG_LINE_SIZE]);

#endif
