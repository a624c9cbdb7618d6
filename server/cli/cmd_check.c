#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/check/check.h"
#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/support/log.h"
#include "server/support/terminal.h"

static const struct cmd_spec check_spec = {
	.name = "check",
	.argument = "NAME",
	.is_argument_optional = true,
	.options = CMD_OPTION_JSON,
	.help = "Usage: leasedns check [OPTION]... [NAME]\n"
		"Says what on this host keeps names from resolving, why it matters, and what to\n"
		"change. Looks at nsswitch.conf, resolv.conf, the leases, the index, the daemon "
		"and\n"
		"this host's name servers; changes nothing. With NAME, follows that name from the\n"
		"lease files to programs and says where it stops.\n"
		"\n"
		"  -c, --config=FILE  read FILE instead of " LEASEDNS_CONF_FILE "\n"
		"      --json         print a JSON object: resolves, verdict, facts, trace,\n"
		"                     findings (severity, id, subject, what, why, mend), omitted\n"
		"  -h, --help         print this help\n"
		"\n"
		"Run it as root: others cannot see everything, and it says so.\n"
		"\n"
		"Exit codes: 0 names resolve; 1 they do not, or it failed; 2 bad arguments or\n"
		"configuration.\n"
		"\n"
		"Example: leasedns check vm\n",
};

static int check_tell(const struct check *check, bool is_json)
{
	struct terminal terminal;
	bool fine;
	char *text;

	terminal_look(STDOUT_FILENO, &terminal);
	text = is_json ? check_json(check)
		       : check_print(check, terminal.width, terminal.has_colour);
	if (!text || check->report.no_memory)
		cmd_complain("cannot look at everything", PARSER_E_NO_MEMORY);
	fine = text && cmd_print(text) && !check->report.no_memory;
	free(text);
	return fine && check->names_resolve ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}

/* What can be followed is a name. */
static bool check_takes(const char *name)
{
	struct address address;
	char shown[LOG_ESCAPED_SIZE];

	if (!name)
		return true;
	if (name[0] == '\0' || strcmp(name, ".") == 0) {
		log_error("check: the name is empty; see 'leasedns check --help'");
		return false;
	}
	if (!address_parse(bytes_of_text(name), &address))
		return true;
	log_error("check: '%s' is an address, not a name; 'leasedns lookup %s' says whose it is",
		log_escape(bytes_of_text(name), shown), name);
	return false;
}

int cmd_check(int argc, char **argv)
{
	struct cmd_arguments arguments;
	struct snapshot_conf conf;
	struct check *check;
	int exit_code;

	if (!cmd_start(&check_spec, argc, argv, &arguments, &exit_code))
		return exit_code;
	if (!check_takes(arguments.argument))
		return CMD_EXIT_USAGE;
	if (!cmd_load(&arguments, &conf))
		return CMD_EXIT_USAGE;
	/* Not on the stack: it holds what every module said. */
	check = calloc(1, sizeof(*check));
	if (check) {
		check_run(&check_host_default, &conf, arguments.argument, cmd_now_unix_s(), check);
		exit_code = check_tell(check, (arguments.options & CMD_OPTION_JSON) != 0);
		check_done(check);
	} else {
		cmd_complain("cannot check", PARSER_E_NO_MEMORY);
		exit_code = CMD_EXIT_FAILED;
	}
	free(check);
	snapshot_conf_done(&conf);
	return exit_code;
}
