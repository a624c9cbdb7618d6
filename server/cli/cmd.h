/** @file The commands. Each takes its own arguments (argv[0] is its name) and returns an exit
 *  code. */
#ifndef SERVER_CLI_CMD_H
#define SERVER_CLI_CMD_H

enum cmd_exit {
	CMD_EXIT_OK = 0,
	CMD_EXIT_FAILED = 1, /**< Absent name, or something went wrong. */
	CMD_EXIT_USAGE = 2,  /**< Bad arguments or configuration. */
};

int cmd_serve(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_lookup(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_index(int argc, char **argv);
int cmd_stats(int argc, char **argv);

#endif
