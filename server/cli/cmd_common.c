#include "server/cli/cmd_common.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "server/cli/cmd.h"
#include "server/support/log.h"

/* Above any character that is a short option. */
enum {
	CMD_LONG_JSON = 256,
	CMD_LONG_WATCH,
	CMD_LONG_ALL,
	CMD_LONG_PROMETHEUS,
};

static const struct option cmd_long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, CMD_LONG_JSON},
	{"watch", no_argument, NULL, CMD_LONG_WATCH},
	{"all", no_argument, NULL, CMD_LONG_ALL},
	{"prometheus", no_argument, NULL, CMD_LONG_PROMETHEUS},
	{0},
};

static unsigned cmd_option_of(int letter)
{
	switch (letter) {
	case CMD_LONG_JSON:
		return CMD_OPTION_JSON;
	case CMD_LONG_WATCH:
		return CMD_OPTION_WATCH;
	case CMD_LONG_ALL:
		return CMD_OPTION_ALL;
	case CMD_LONG_PROMETHEUS:
		return CMD_OPTION_PROMETHEUS;
	}
	return 0;
}

static bool cmd_refuse(const struct cmd_spec *spec, const char *what, const char *word)
{
	char escaped[LOG_ESCAPED_SIZE];

	log_error("%s: %s '%s'; see 'leasedns %s --help'", spec->name, what,
		log_escape(bytes_of_text(word), escaped), spec->name);
	return false;
}

/* Takes the options; false if one is wrong, which was said. */
static bool cmd_take_options(const struct cmd_spec *spec, int argc, char **argv,
	struct cmd_arguments *arguments, bool *out_help)
{
	int letter;

	opterr = 0;
	optind = 0; /* getopt_long(3): 0 starts all over. */
	while ((letter = getopt_long(argc, argv, ":c:h", cmd_long_options, NULL)) != -1) {
		char flag[] = {'-', (char)optopt, '\0'};
		/* A short option may stand within a word that is not finished. */
		const char *word = letter == '?' && optopt > 0 && optopt < CMD_LONG_JSON
					   ? flag
					   : argv[optind - 1];
		unsigned option = cmd_option_of(letter);

		if (letter == 'c')
			arguments->conf_path = optarg;
		else if (letter == 'h')
			*out_help = true;
		else if (letter == ':')
			return cmd_refuse(spec, "a file name must follow", word);
		else if (letter == '?' || !(spec->options & option))
			return cmd_refuse(spec, "unknown option", word);
		arguments->options |= option;
	}
	return true;
}

static bool cmd_take_argument(
	const struct cmd_spec *spec, int argc, char **argv, struct cmd_arguments *arguments)
{
	int wanted = spec->argument ? 1 : 0;

	if (argc - optind > wanted)
		return cmd_refuse(spec, "unexpected argument", argv[optind + wanted]);
	if (argc - optind < wanted && !spec->is_argument_optional) {
		log_error("%s: %s is missing; see 'leasedns %s --help'", spec->name, spec->argument,
			spec->name);
		return false;
	}
	arguments->argument = argc - optind > 0 ? argv[optind] : NULL;
	return true;
}

bool cmd_start(const struct cmd_spec *spec, int argc, char **argv,
	struct cmd_arguments *out_arguments, int *out_exit)
{
	struct cmd_arguments arguments = {0};
	bool help = false;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	*out_exit = CMD_EXIT_USAGE;
	if (!cmd_take_options(spec, argc, argv, &arguments, &help))
		return false;
	if (help) {
		*out_exit = cmd_print(spec->help) ? CMD_EXIT_OK : CMD_EXIT_FAILED;
		return false;
	}
	if (!cmd_take_argument(spec, argc, argv, &arguments))
		return false;
	*out_arguments = arguments;
	return true;
}

bool cmd_load(const struct cmd_arguments *arguments, struct snapshot_conf *out_conf)
{
	struct conf_error error = {0};
	const char *path = arguments->conf_path ? arguments->conf_path : LEASEDNS_CONF_FILE;
	enum conf_status status = snapshot_conf_load(arguments->conf_path, out_conf, &error);

	if (status == CONF_OK)
		return true;
	if (error.message[0] == '\0')
		snprintf(error.message, sizeof(error.message), "%s", conf_strerror(status));
	if (error.line > 0)
		log_error("%s:%u: %s", path, error.line, error.message);
	else
		log_error("%s: %s", path, error.message);
	return false;
}

void cmd_complain(const char *what, enum parser_status status)
{
	log_error(
		"%s: %s", what, status == PARSER_E_IO ? strerror(errno) : parser_strerror(status));
}

void cmd_report(struct build_report *report)
{
	int saved_errno = errno;

	for (size_t i = 0; i < report->count; i++)
		log_write(report->lines[i].level, "%s", report->lines[i].text);
	if (report->omitted > 0)
		log_warning("and %zu more such messages", report->omitted);
	build_report_done(report);
	errno = saved_errno;
}

bool cmd_print(const char *text)
{
	if (fputs(text, stdout) != EOF && fflush(stdout) == 0)
		return true;
	if (errno != EPIPE)
		log_error("cannot write the output: %s", strerror(errno));
	return false;
}

int64_t cmd_now_unix_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}
