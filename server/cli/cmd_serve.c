#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/daemon.h"
#include "server/support/log.h"

static const char cmd_serve_help[] =
	"Usage: leasedns serve [OPTION]...\n"
	"Answers DNS for the guests of this host, and keeps the index that the NSS modules read.\n"
	"\n"
	"  -c, --config=FILE   read FILE instead of " LEASEDNS_CONF_FILE "\n"
	"      --print-config  print what is in force, as a configuration file, and exit\n"
	"  -v, --verbose       say more in the log\n"
	"  -h, --help          print this help\n"
	"\n"
	"SIGHUP reads the configuration again; SIGTERM ends. Without a service manager, root is\n"
	"given up for the user 'leasedns' if there is one.\n"
	"\n"
	"Exit codes: 0 ended by a signal; 1 it failed; 2 bad arguments or configuration.\n"
	"\n"
	"Example: leasedns serve --print-config\n";

struct cmd_serve_options {
	const char *conf_path;
	enum log_level log_level;
	bool prints_conf;
	bool prints_help;
};

/* False if the arguments are no good; getopt_long() or we have said why. */
static bool cmd_serve_parse(int argc, char **argv, struct cmd_serve_options *out_options)
{
	enum { OPTION_PRINT_CONFIG = 256 };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"print-config", no_argument, NULL, OPTION_PRINT_CONFIG},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct cmd_serve_options parsed = {.log_level = LOG_LEVEL_INFO};
	int option;

	while ((option = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			parsed.conf_path = optarg;
			break;
		case OPTION_PRINT_CONFIG:
			parsed.prints_conf = true;
			break;
		case 'v':
			parsed.log_level = LOG_LEVEL_DEBUG;
			break;
		case 'h':
			parsed.prints_help = true;
			break;
		default:
			return false;
		}
	}
	if (optind < argc) {
		log_error("serve: '%s': no further arguments are taken", argv[optind]);
		return false;
	}
	*out_options = parsed;
	return true;
}

static void cmd_serve_emit(void *ctx, const char *text, size_t len)
{
	fwrite(text, 1, len, ctx);
}

static int cmd_serve_print_conf(const char *conf_path)
{
	struct snapshot_conf conf;
	char *text = NULL;
	size_t len = 0;
	FILE *stream;
	bool printed = false;

	if (!cmd_load(&(struct cmd_arguments){.conf_path = conf_path}, &conf))
		return CMD_EXIT_USAGE;
	stream = open_memstream(&text, &len);
	if (stream)
		conf_print(&conf.conf, cmd_serve_emit, stream);
	if (stream && fclose(stream) == 0)
		printed = cmd_print(text);
	else
		log_error("configuration: %s", strerror(errno));
	free(text);
	snapshot_conf_done(&conf);
	return printed ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}

int cmd_serve(int argc, char **argv)
{
	struct cmd_serve_options options;

	if (!cmd_serve_parse(argc, argv, &options)) {
		fputs("Try 'leasedns serve --help'.\n", stderr);
		return CMD_EXIT_USAGE;
	}
	if (options.prints_help)
		return cmd_print(cmd_serve_help) ? CMD_EXIT_OK : CMD_EXIT_FAILED;
	log_start(options.log_level);
	if (options.prints_conf)
		return cmd_serve_print_conf(options.conf_path);
	return (int)daemon_run(options.conf_path, LEASEDNS_VERSION);
}
