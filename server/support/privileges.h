/** @file Gives up root where no service manager does it: the daemon needs it only to bind a low
 *  port and to make the directory of the index.
 *
 *  Capabilities, the bounding set and "no new privileges" belong to threads: call these before the
 *  first thread is started. */
#ifndef SERVER_SUPPORT_PRIVILEGES_H
#define SERVER_SUPPORT_PRIVILEGES_H

#include <stdbool.h>

/** Whom the daemon becomes. */
#define PRIVILEGES_USER "leasedns"

enum privileges_result {
	PRIVILEGES_KEPT,    /**< Not root, or nobody to become. */
	PRIVILEGES_DROPPED, /**< For good: verified. */
	PRIVILEGES_FAILED,  /**< Half way: do not go on. */
};

/** Makes the directory of `index_file` (mode 0755) if it is not there; its parent must be.
 *  Publishing says what is wrong if that fails.
 *  @return true if it was made. */
bool privileges_make_directory(const char *index_file);

/** Becomes `user`, if this process is root and that user exists; says in the log what happened.
 *  @param index_file its directory is handed to the user if `owns_directory`.
 *  @param owns_directory the directory is leasedns's own: made by privileges_make_directory(), or
 *  the compiled default. Anything else is never chowned. */
enum privileges_result privileges_drop(
	const char *user, const char *index_file, bool owns_directory);

#endif
