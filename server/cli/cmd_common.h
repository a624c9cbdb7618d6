/** @file What the commands that print and end have in common: arguments, configuration, output. */
#ifndef SERVER_CLI_CMD_COMMON_H
#define SERVER_CLI_CMD_COMMON_H

#include <stdbool.h>

#include "server/names/build_report.h"
#include "server/names/snapshot.h"

enum cmd_option {
	CMD_OPTION_JSON = 1 << 0,
	CMD_OPTION_WATCH = 1 << 1,
	CMD_OPTION_ALL = 1 << 2,
	CMD_OPTION_PROMETHEUS = 1 << 3,
};

/** What a command takes. -c and --help are taken by all. */
struct cmd_spec {
	const char *name;
	const char *help;     /**< All of --help. */
	unsigned options;     /**< Set of enum cmd_option. */
	const char *argument; /**< What its one argument is called, or NULL: it has none. */
	bool is_argument_optional;
};

struct cmd_arguments {
	const char *conf_path; /**< NULL: the default. */
	const char *argument;
	unsigned options; /**< Those that were given. */
};

/** Starts a command: the user's characters, no SIGPIPE, arguments.
 *  @param out_exit exit code if there is nothing left to do.
 *  @return true if the command is to go on. */
bool cmd_start(const struct cmd_spec *spec, int argc, char **argv,
	struct cmd_arguments *out_arguments, int *out_exit);

/** Loads the configuration; says on standard error what is wrong with it. */
bool cmd_load(const struct cmd_arguments *arguments, struct snapshot_conf *out_conf);

/** Says why names could not be read or written; with PARSER_E_IO errno counts. */
void cmd_complain(const char *what, enum parser_status status);

/** Says on standard error what a build noticed, and empties the report. All of it at once and no
 *  limit: a command reads but once. errno stays. */
void cmd_report(struct build_report *report);

/** Writes text to standard output and flushes it.
 *  @return false if that failed; quiet if nobody listens any more. */
bool cmd_print(const char *text);

/** Seconds of unix time. */
int64_t cmd_now_unix_s(void);

#endif
