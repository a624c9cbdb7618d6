/** @file Runs a piece of work in a child process, for at most so long: for code that may block, as
 *  another user, or that others wrote (NSS modules). The process must have one thread. */
#ifndef SERVER_CHECK_CHECK_CHILD_H
#define SERVER_CHECK_CHECK_CHILD_H

#include <stdbool.h>
#include <stddef.h>

/** Fills the result, in the child. */
typedef void (*check_child_work)(const void *task, void *out_result);

/** @param size octets of the result, at most PIPE_BUF.
 *  @param out_result untouched unless it is complete.
 *  @return false if the child failed, crashed or was not done in time; it is gone by then. */
bool check_child_run(check_child_work work, const void *task, unsigned timeout_ms, void *out_result,
	size_t size);

#endif
