#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd.h"
#include "server/daemon.h"
#include "server/log.h"
#include "server/snapshot.h"

static const char cmd_serve_help[] =
	"Usage: leasedns serve [OPTION]...\n"
	"Answers DNS for the guests of this host, and keeps the index that the NSS modules read.\n"
	"\n"
	"  -c, --config FILE   read FILE instead of " LEASEDNS_CONF_FILE "\n"
	"      --print-config  print what is in force, as a configuration file, and exit\n"
	"  -v, --verbose       say more in the log\n"
	"  -h, --help          print this and exit\n"
	"\n"
	"SIGHUP reads the configuration again; SIGTERM ends. Without a service manager, root is\n"
	"given up for the user 'leasedns' if there is one.\n";

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

/* A full disk behind standard output is a failure; a reader that has seen enough is none. */
static enum cmd_exit cmd_serve_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CMD_EXIT_OK;
	if (errno == EPIPE)
		return CMD_EXIT_OK;
	log_error("standard output: %s", strerror(errno));
	return CMD_EXIT_FAILED;
}

static enum cmd_exit cmd_serve_print_conf(const char *conf_path)
{
	struct snapshot_conf *conf = NULL;
	enum cmd_exit status = daemon_load_conf(conf_path, &conf);

	if (status != CMD_EXIT_OK)
		return status;
	conf_print(&conf->conf, cmd_serve_emit, stdout);
	snapshot_conf_done(conf);
	free(conf);
	return cmd_serve_flush();
}

int cmd_serve(int argc, char **argv)
{
	struct cmd_serve_options options;

	if (!cmd_serve_parse(argc, argv, &options)) {
		fputs("Try 'leasedns serve --help'.\n", stderr);
		return CMD_EXIT_USAGE;
	}
	if (options.prints_help) {
		fputs(cmd_serve_help, stdout);
		return (int)cmd_serve_flush();
	}
	log_start(options.log_level);
	if (options.prints_conf)
		return (int)cmd_serve_print_conf(options.conf_path);
	return (int)daemon_run(options.conf_path, LEASEDNS_VERSION);
}
