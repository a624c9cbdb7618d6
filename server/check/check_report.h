/** @file Gathers what `leasedns check` finds: facts that are fine, and findings. Owns its texts,
 *  which are printable ASCII. Knows nothing of how they are printed. */
#ifndef SERVER_CHECK_CHECK_REPORT_H
#define SERVER_CHECK_CHECK_REPORT_H

#include <stddef.h>

#include "server/check/check_kind.h"

/** Findings of one kind that are kept: guests can cause as many as there are leases. */
#define CHECK_REPORT_SAME_MAX 8u

/** Something that is as it should be. */
struct check_fact {
	const char *subject; /**< Borrowed, static. */
	char *text;
};

struct check_finding {
	enum check_id id;
	enum check_severity severity; /**< Final after check_report_settle(). */
	char *what;                   /**< One sentence, without a dot at its end. */
	char *mend; /**< Lines: what to change, or a command to run. NULL: nothing to do. */
};

/** Zero it at first. */
struct check_report {
	struct check_fact *facts;
	size_t fact_count;
	struct check_finding *findings;
	size_t finding_count;
	size_t omitted[CHECK_ID_COUNT]; /**< Found, but not kept. */
	bool no_memory;                 /**< Something is missing. */
};

void check_report_done(struct check_report *report);

/** @param subject static. */
void check_fact(struct check_report *report, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Adds a finding. @return false if it was not kept: then nothing more may be said of it. */
bool check_find(struct check_report *report, enum check_id id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Adds a line to what mends the finding that was added last. Call it only if that was kept. */
void check_mend(struct check_report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Decides how bad each finding is, and sorts: worst first, then in the order of the table.
 *  @param names_resolve some way to names is open. */
void check_report_settle(struct check_report *report, bool names_resolve);

/** True if something of that kind was found. */
bool check_report_has(const struct check_report *report, enum check_id id);

/** How many findings are that bad. Those that were not kept count. */
size_t check_report_count(const struct check_report *report, enum check_severity severity);

#endif
