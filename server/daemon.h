/** @file The daemon: puts configuration, sockets, builds, watches and listeners together on one
 *  loop, and tells the service manager. Everything it owns is in one struct on its own stack. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include "server/cli/cmd.h"

/** Serves until SIGTERM or SIGINT. SIGHUP reads the configuration again.
 *  @param conf_path NULL for the default file.
 *  @param version for the first line of the log.
 *  @return CMD_EXIT_OK after a signal; CMD_EXIT_USAGE for a bad configuration; CMD_EXIT_FAILED. The
 *  log says why. */
enum cmd_exit daemon_run(const char *conf_path, const char *version);

#endif
