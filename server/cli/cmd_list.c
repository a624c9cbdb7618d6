#include <stdlib.h>
#include <unistd.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/cli/list_watch.h"
#include "server/names/names_source.h"
#include "server/support/log.h"

static const struct cmd_spec list_spec = {
	.name = "list",
	.options = CMD_OPTION_JSON | CMD_OPTION_WATCH | CMD_OPTION_ALL,
	.help = "Usage: leasedns list [OPTION]...\n"
		"Lists the virtual machines' names and addresses, as DNS answers them now.\n"
		"\n"
		"  -c, --config=FILE  read FILE instead of " LEASEDNS_CONF_FILE "\n"
		"      --json         print a JSON array of objects; a byte of a name that is not\n"
		"                     UTF-8, a control character above U+007E and a backslash "
		"stand\n"
		"                     as \\DDD, the byte's value in three decimal digits\n"
		"      --watch        go on and show each change; end with q, SIGINT or SIGTERM;\n"
		"                     with --json one document a line\n"
		"      --all          also names that have expired, that another name hides, and\n"
		"                     the server's own\n"
		"  -h, --help         print this help\n"
		"\n"
		"A guest without a living lease has '-' for its address. Kinds: static,\n"
		"reservation, guest, alias (of a guest's name that few programs can look up) and\n"
		"hostname (which the guest gave itself).\n"
		"\n"
		"Exit codes: 0 fine, also if there is no name; 1 it failed; 2 bad arguments or\n"
		"configuration.\n"
		"\n"
		"Example: leasedns list --json | jq -r '.[].fqdn'\n",
};

static char *list_render(struct names_source *source, const struct list_view *view, bool *out_empty)
{
	int64_t now_unix_s = cmd_now_unix_s();
	struct listing listing = {0};
	enum parser_status status =
		listing_gather(&listing, &source->index, &source->meta, view->scope, now_unix_s);
	char *text = NULL;

	if (status == PARSER_OK) {
		text = list_view_render(view, &listing, &source->meta, now_unix_s);
		*out_empty = listing.count == 0;
		status = PARSER_E_NO_MEMORY; /* If there is no text. */
	}
	if (!text)
		cmd_complain("cannot list names", status);
	listing_done(&listing);
	return text;
}

static int list_once(const struct snapshot_conf *conf, const struct list_view *view)
{
	struct build_report report = {0};
	struct snapshot_sinks sinks = {.store_event = build_report_store_event, .ctx = &report};
	struct names_source source;
	enum parser_status status = names_source_open(conf, &sinks, NAMES_ACCESS_WALK, &source);
	int exit_code = CMD_EXIT_FAILED;
	bool is_empty = false;
	char *text;

	cmd_report(&report);
	if (status != PARSER_OK) {
		cmd_complain("cannot read the lease files", status);
		return CMD_EXIT_FAILED;
	}
	text = list_render(&source, view, &is_empty);
	if (text && cmd_print(text))
		exit_code = CMD_EXIT_OK;
	if (text && is_empty && view->form == LIST_FORM_TABLE)
		log_info("no virtual machine has a name yet (%s)", source.origin);
	free(text);
	names_source_done(&source);
	return exit_code;
}

int cmd_list(int argc, char **argv)
{
	struct list_view view = {.form = LIST_FORM_TABLE, .scope = LISTING_SCOPE_LIVE};
	struct cmd_arguments arguments;
	struct snapshot_conf conf;
	int exit_code;

	if (!cmd_start(&list_spec, argc, argv, &arguments, &exit_code))
		return exit_code;
	if (!cmd_load(&arguments, &conf))
		return CMD_EXIT_USAGE;
	terminal_look(STDOUT_FILENO, &view.terminal);
	if (arguments.options & CMD_OPTION_ALL)
		view.scope = LISTING_SCOPE_ALL;
	if (arguments.options & CMD_OPTION_JSON)
		view.form =
			arguments.options & CMD_OPTION_WATCH ? LIST_FORM_JSON_LINE : LIST_FORM_JSON;
	if (arguments.options & CMD_OPTION_WATCH) {
		view.is_screen = view.terminal.is_terminal && view.form == LIST_FORM_TABLE;
		exit_code = list_watch_run(&conf, &view);
	} else {
		exit_code = list_once(&conf, &view);
	}
	snapshot_conf_done(&conf);
	return exit_code;
}
