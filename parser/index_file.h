/** @file The index as a file: written aside and published by rename; opened with suspicion. */
#ifndef PARSER_INDEX_FILE_H
#define PARSER_INDEX_FILE_H

#include <stdint.h>

#include "parser_status.h"

/** A file that is being written. */
struct index_file {
	int fd;          /**< Read and write; empty at first. Owned until published or discarded. */
	int directory;   /**< Descriptor of the directory. */
	char *path;      /**< What it will be called. */
	char *temporary; /**< What it is called in the directory until then. */
};

/** Creates a temporary file beside `path`. The directory must exist.
 *  @return PARSER_OK, PARSER_E_IO (errno), PARSER_E_NO_MEMORY. */
enum parser_status index_file_create(const char *path, struct index_file *out_file);

/** Gives the file to the owner of the directory, if it may; fsync, fchmod 0644, rename, fsync of
 *  the directory. If only the last fails, the file is
 *  published all the same: an older index that is back after a power failure is found stale.
 *  On success `*out_fd` is the descriptor of the published inode, the caller's to close; on
 *  failure the temporary is gone and errno says why. Either way `file` holds nothing any more. */
enum parser_status index_file_publish(struct index_file *file, int *out_fd);

/** Removes the temporary. `file` holds nothing any more. Keeps errno. */
void index_file_discard(struct index_file *file);

/** Removes temporaries of writers that died: those beside `path` whose process is gone.
 *  Keeps errno. */
void index_file_sweep(const char *path);

/** Removes the index at `path` if it is the inode of `fd`. What nobody keeps up to date must not
 *  stay: a process that may not see the lease files would believe it. Keeps errno. */
void index_file_withdraw(const char *path, int fd);

/** Opens a published index the way that a guest in somebody's process must: no link, without
 *  blocking; a regular file within the size cap, owned by the owner of its directory, neither
 *  writable by group or others. In as few system calls as that takes. Changes errno only with
 *  PARSER_E_IO.
 *  @param out_fd the caller's to close.
 *  @param out_size its size, for index_init_sized(); may be NULL.
 *  @return PARSER_OK, PARSER_E_ABSENT, PARSER_E_UNTRUSTED, PARSER_E_LIMIT, PARSER_E_IO. */
enum parser_status index_file_open(const char *path, int *out_fd, uint32_t *out_size);

#endif
