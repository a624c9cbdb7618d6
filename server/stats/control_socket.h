/** @file The file name of the control socket: beside the index, so that who finds the one finds the
 *  other. Takes the place of a socket that nobody listens at any more, never that of a live one,
 *  and removes at the end only what it made. No event loop; says in the log why it cannot be had.
 */
#ifndef SERVER_STATS_CONTROL_SOCKET_H
#define SERVER_STATS_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

/** In the directory of the index. */
#define CONTROL_SOCKET_NAME "control"

struct control_socket {
	int fd; /**< Listening, O_NONBLOCK, close-on-exec; -1: none. */
	char *path;
	dev_t device; /**< Of the file name that we made. */
	ino_t inode;
};

/** "/run/leasedns/control" for "/run/leasedns/index.cdb". The caller's to free; NULL if memory is
 *  short. */
char *control_socket_path(const char *index_file);

/** Binds and listens; everybody may connect.
 *  @param path copied.
 *  @return 0; -1 if it cannot be had, the log says why. */
int control_socket_open(const char *path, struct control_socket *out_socket);

/** Whether the file name still leads to it. */
bool control_socket_is_there(const struct control_socket *socket);

/** Removes the file name, if it is still ours, and the path. `fd` is closed unless it is -1:
 * whoever took it closes it. */
void control_socket_close(struct control_socket *socket);

#endif
