/** @file Scratch directories and files for tests. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

/** Makes a fresh directory below $TMPDIR or /tmp and returns its path, the caller's to free. Fails
 *  the process on error. */
char *scratch_new(void);

/** Removes the directory with all that is in it and frees the path. */
void scratch_free(char *directory);

/** "directory/name", valid until the fourth call after. */
const char *scratch_path(const char *directory, const char *name);

/** Writes a file in place (truncates). */
void scratch_write(const char *directory, const char *name, const void *content, size_t len);

/** Writes text aside and renames, as libvirt does. */
void scratch_publish(const char *directory, const char *name, const char *text);

/** The content of a file, NUL-terminated, the caller's to free; `out_len` may be NULL. */
char *scratch_read(const char *path, size_t *out_len);

/** In a mount namespace of our own: what is mounted here stays here. A chroot whose root is no
 * mount point cannot say so itself; there it is up to who made it.
 *  @return 0, or -1 with errno. */
int scratch_own_mounts(void);

#endif
