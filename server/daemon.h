/** @file The daemon: puts configuration, sockets, builds, watches and listeners together on one
 *  loop, and tells the service manager. Everything it owns is in one struct on its own stack. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include "server/cmd.h"

struct snapshot_conf;

/** Serves until SIGTERM or SIGINT. SIGHUP reads the configuration again.
 *  @param conf_path NULL for the default file.
 *  @param version for the first line of the log.
 *  @return CMD_EXIT_OK after a signal; CMD_EXIT_USAGE for a bad configuration; CMD_EXIT_FAILED. The
 *  log says why. */
enum cmd_exit daemon_run(const char *conf_path, const char *version);

/** Reads a configuration as the daemon does, and says in the log what is wrong with it.
 *  @param out_conf allocated; the caller's to snapshot_conf_done() and free().
 *  @return CMD_EXIT_OK, CMD_EXIT_USAGE or CMD_EXIT_FAILED. */
enum cmd_exit daemon_load_conf(const char *conf_path, struct snapshot_conf **out_conf);

#endif
