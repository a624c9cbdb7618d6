/** @file What a build of the index noticed, as lines for the log: gathered on the worker, written
 * on the loop thread. Names and paths may be hostile; the lines are not. */
#ifndef SERVER_NAMES_BUILD_REPORT_H
#define SERVER_NAMES_BUILD_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "parser/index_builder.h"
#include "parser/store.h"
#include "server/support/log.h"

/** Lines of one build that are kept; a guest can cause as many as it has leases. */
#define BUILD_REPORT_LINES_MAX 64
/** Two paths or names and a sentence. */
#define BUILD_REPORT_LINE_SIZE 1024

struct build_report_line {
	enum log_level level;
	bool is_lasting; /**< Told by every build while it holds: logged when it is new. */
	char *text;      /**< Owned. */
};

/** Zero it at first. */
struct build_report {
	struct build_report_line lines[BUILD_REPORT_LINES_MAX];
	size_t count;
	size_t omitted;
};

/** What files say and what guests cause is limited apart: no guest can hide a bad file. */
struct build_report_limits {
	struct log_limit files;
	struct log_limit names;
};

/** Frees the lines and leaves an empty report. */
void build_report_done(struct build_report *report);

/** Sinks for snapshot_build(); `ctx` is the report. */
void build_report_store_event(void *ctx, const struct store_event *event);
void build_report_index_event(void *ctx, const struct index_event *event);

/** Writes the lines, except lasting ones that `previous` has too.
 *  @param limits let a burst pass; zero them at first.
 *  @param now_ms monotonic. */
void build_report_log(const struct build_report *report, const struct build_report *previous,
	struct build_report_limits *limits, int64_t now_ms);

#endif
