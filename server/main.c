#include <stdio.h>
#include <string.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/support/log.h"

struct command {
	const char *name;
	const char *help; /* One line. */
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{"serve", "answer DNS, and keep the index that NSS modules read", cmd_serve},
	{"list", "list the names and addresses that are known", cmd_list},
	{"lookup", "say what a name or an address means, and where that comes from", cmd_lookup},
	{"check", "say what keeps names from resolving on this host, and the mend", cmd_check},
	{"index", "build and publish the index once", cmd_index},
	{"stats", "show what the running server has counted", cmd_stats},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static bool main_print_help(void)
{
	if (!cmd_print("Usage: leasedns COMMAND [ARGUMENT]...\n"
		       "Names for virtual machines on the host that runs them.\n\n"))
		return false;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		char line[128];

		snprintf(line, sizeof(line), "  %-8s  %s\n", commands[i].name, commands[i].help);
		if (!cmd_print(line))
			return false;
	}
	return cmd_print("\n  --version  print the version and exit\n"
			 "  --help     print this and exit\n\n"
			 "'leasedns COMMAND --help' says more about a command.\n");
}

static const struct command *main_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command;

	log_start(LOG_LEVEL_INFO);
	if (argc < 2) {
		log_error("a command is needed: serve, list, lookup, check, index or stats. Try "
			  "'leasedns --help'.");
		return CMD_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return main_print_help() ? CMD_EXIT_OK : CMD_EXIT_FAILED;
	if (strcmp(argv[1], "--version") == 0)
		return cmd_print("leasedns " LEASEDNS_VERSION "\n") ? CMD_EXIT_OK : CMD_EXIT_FAILED;
	command = main_find(argv[1]);
	if (!command) {
		log_error("'%s' is no command. Try 'leasedns --help'.", argv[1]);
		return CMD_EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
