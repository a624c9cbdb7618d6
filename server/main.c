#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/cmd.h"
#include "server/log.h"

struct command {
	const char *name;
	const char *help; /* One line. */
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{"serve", "answer DNS, and keep the index that NSS modules read", cmd_serve},
	{"list", "list the names and addresses that are known", cmd_list},
	{"lookup", "say what a name or an address means, and where that comes from", cmd_lookup},
	{"index", "build and publish the index once", cmd_index},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void main_print_help(void)
{
	puts("Usage: leasedns COMMAND [ARGUMENT]...\n"
	     "Names for virtual machines on the host that runs them.\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s  %s\n", commands[i].name, commands[i].help);
	puts("\n  --version  print the version and exit\n"
	     "  --help     print this and exit\n\n"
	     "'leasedns COMMAND --help' says more about a command.");
}

static const struct command *main_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int main_flush(void)
{
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
		return CMD_EXIT_OK;
	log_error("standard output: %s", strerror(errno));
	return CMD_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const struct command *command;

	log_start(LOG_LEVEL_INFO);
	if (argc < 2) {
		fputs("leasedns: a command is needed: serve, list, lookup or index. Try 'leasedns "
		      "--help'.\n",
			stderr);
		return CMD_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		main_print_help();
		return main_flush();
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("leasedns " LEASEDNS_VERSION);
		return main_flush();
	}
	command = main_find(argv[1]);
	if (!command) {
		fprintf(stderr, "leasedns: '%s' is no command. Try 'leasedns --help'.\n", argv[1]);
		return CMD_EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
