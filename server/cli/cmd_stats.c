#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/stats/control_client.h"
#include "server/stats/control_socket.h"
#include "server/stats/stats_view.h"
#include "server/support/log.h"
#include "server/support/terminal.h"

static const struct cmd_spec stats_spec = {
	.name = "stats",
	.options = CMD_OPTION_JSON | CMD_OPTION_ALL | CMD_OPTION_PROMETHEUS,
	.help = "Usage: leasedns stats [OPTION]...\n"
		"Shows what the running server has counted: queries, answers, the cache, upstream\n"
		"servers. Anybody may ask; it does not tell who asked for what.\n"
		"\n"
		"  -c, --config=FILE  read FILE instead of " LEASEDNS_CONF_FILE
		": where the server's\n"
		"                     index is, there is the socket on which it tells this\n"
		"      --json         print the server's JSON object\n"
		"      --prometheus   print Prometheus's text exposition format\n"
		"      --all          also counters that are 0; the other forms have them anyway\n"
		"  -h, --help         print this help\n"
		"\n"
		"Counters begin at 0 when the server starts.\n"
		"\n"
		"Exit codes: 0 fine; 1 it failed, or no server runs; 2 bad arguments or\n"
		"configuration.\n"
		"\n"
		"Example: leasedns stats --json | jq .answers\n",
};

static void stats_complain(enum control_result result, const char *path)
{
	switch (result) {
	case CONTROL_OK:
		return;
	case CONTROL_NOBODY:
		log_error("no server answers at '%s'. Start one (systemctl start leasedns, or "
			  "leasedns "
			  "serve); if it runs, give its configuration with -c",
			path);
		return;
	case CONTROL_FAILED:
		log_error("cannot ask the server at '%s': %s", path, strerror(errno));
		return;
	case CONTROL_SILENT:
		log_error("the server at '%s' does not answer: it is stopped, or busy; see its log",
			path);
		return;
	case CONTROL_TOO_LONG:
		log_error("what answers at '%s' is no leasedns: it says too much", path);
		return;
	}
}

/* An object with its error, if it has one; NULL: the log says why. The caller's to put. */
static struct json_object *stats_parse(const char *text, const char *path)
{
	struct json_object *document = json_tokener_parse(text);
	struct json_object *error;
	char escaped[LOG_ESCAPED_SIZE];

	if (!json_object_is_type(document, json_type_object)) {
		log_error("what answers at '%s' is no leasedns: not a JSON object", path);
	} else if (json_object_object_get_ex(document, "error", &error)) {
		log_error("the server at '%s' says: %s", path,
			log_escape(bytes_of_text(json_object_get_string(error)), escaped));
	} else {
		return document;
	}
	json_object_put(document);
	return NULL;
}

static char *stats_json_text(struct json_object *document)
{
	const char *json = json_object_to_json_string_ext(document,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *text = NULL;

	return json && asprintf(&text, "%s\n", json) >= 0 ? text : NULL;
}

static char *stats_render(struct json_object *document, unsigned options)
{
	struct terminal terminal;
	struct table_format format = {0};

	if (options & CMD_OPTION_JSON)
		return stats_json_text(document);
	if (options & CMD_OPTION_PROMETHEUS)
		return stats_view_prometheus(document);
	terminal_look(STDOUT_FILENO, &terminal);
	format.width = terminal.width;
	format.colour = terminal.has_colour;
	return stats_view_table(document, &format, options & CMD_OPTION_ALL, cmd_now_unix_s());
}

static int stats_show(const char *path, unsigned options)
{
	struct json_object *document = NULL;
	char *answer = NULL;
	char *text = NULL;
	int exit_code = CMD_EXIT_FAILED;
	enum control_result result = control_ask(path, "stats", CONTROL_PATIENCE_MS, &answer);

	stats_complain(result, path);
	if (result == CONTROL_OK)
		document = stats_parse(answer, path);
	if (document) {
		text = stats_render(document, options);
		if (!text)
			log_error("statistics: %s", strerror(ENOMEM));
		else if (cmd_print(text))
			exit_code = CMD_EXIT_OK;
	}
	json_object_put(document);
	free(answer);
	free(text);
	return exit_code;
}

int cmd_stats(int argc, char **argv)
{
	struct cmd_arguments arguments;
	struct snapshot_conf conf;
	char *path;
	int exit_code;

	if (!cmd_start(&stats_spec, argc, argv, &arguments, &exit_code))
		return exit_code;
	if ((arguments.options & CMD_OPTION_JSON) && (arguments.options & CMD_OPTION_PROMETHEUS)) {
		log_error("stats: --json and --prometheus exclude each other; see 'leasedns stats "
			  "--help'");
		return CMD_EXIT_USAGE;
	}
	if (!cmd_load(&arguments, &conf))
		return CMD_EXIT_USAGE;
	path = control_socket_path(conf.conf.index_file);
	snapshot_conf_done(&conf);
	if (!path) {
		log_error("statistics: %s", strerror(ENOMEM));
		return CMD_EXIT_FAILED;
	}
	exit_code = stats_show(path, arguments.options);
	free(path);
	return exit_code;
}
