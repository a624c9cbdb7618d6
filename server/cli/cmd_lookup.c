#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/names/lookup.h"
#include "server/names/names_source.h"
#include "server/names/row.h"
#include "server/support/log.h"
#include "server/support/terminal.h"
#include "server/support/text.h"

static const struct cmd_spec lookup_spec = {
	.name = "lookup",
	.argument = "NAME or ADDRESS",
	.options = CMD_OPTION_JSON,
	.help = "Usage: leasedns lookup [OPTION]... NAME|ADDRESS\n"
		"Prints what is known of a virtual machine's name or of an address, and whether "
		"it\n"
		"came from the index or from the lease files.\n"
		"\n"
		"  -c, --config=FILE  read FILE instead of " LEASEDNS_CONF_FILE "\n"
		"      --json         print a JSON object: query, match (found, nodata, absent),\n"
		"                     origin and answers, an array as of 'leasedns list --json'\n"
		"  -h, --help         print this help\n"
		"\n"
		"NAME may stand alone, with its network (vm.virbr0) and below a zone "
		"(vm.libvirt).\n"
		"\n"
		"Exit codes: 0 found; 1 not found, or it failed; 2 bad arguments or "
		"configuration.\n"
		"\n"
		"Example: leasedns lookup vm.libvirt\n",
};

struct lookup_query {
	struct bytes text;      /* As typed. */
	struct address address; /* ADDRESS_NONE: a name. */
	int64_t now_unix_s;
};

static const char *lookup_match_word(enum index_match match)
{
	switch (match) {
	case INDEX_FOUND:
		return "found";
	case INDEX_NODATA:
		return "nodata";
	case INDEX_ABSENT:
	case INDEX_CORRUPT:
		break;
	}
	return "absent";
}

/* Says on standard error why there is no answer. */
static void lookup_tell_missing(const struct lookup_query *query, const struct lookup *lookup,
	const struct names_source *source)
{
	bool is_name = query->address.family == ADDRESS_NONE;
	char when[ROW_WHEN_SIZE];
	char ended[ROW_WHEN_SIZE + 32] = "";
	char name[LOG_ESCAPED_SIZE];
	const char *why;

	if (lookup->ended_unix_s)
		snprintf(ended, sizeof(ended), "; its last lease ended %s",
			row_when(lookup->ended_unix_s, query->now_unix_s, when));
	if (lookup->match != INDEX_NODATA)
		why = is_name ? "no such name" : "no such address";
	else if (lookup->is_guest)
		why = "the guest is known, but has no live lease";
	else
		why = is_name ? "the name exists, but has no address"
			      : "the address is known, but has no name";
	log_error("%s: %s%s (%s)", log_escape(query->text, name), why, ended, source->origin);
}

static char *lookup_table(const struct lookup_query *query, const struct lookup *lookup,
	const struct names_source *source)
{
	struct terminal terminal;
	struct table_format format = {0};
	struct table *table = row_table(&lookup->answers, &source->meta, query->now_unix_s,
		ROW_FQDN | ROW_ADDRESS | ROW_TTL | ROW_KIND | ROW_MAC | ROW_NETWORK | ROW_EXPIRES);
	char *rows;
	char *text = NULL;

	terminal_look(STDOUT_FILENO, &terminal);
	format.width = terminal.width;
	format.colour = terminal.has_colour;
	rows = table ? table_render(table, &format) : NULL;
	if (rows && asprintf(&text, "%s%s\n", rows, source->origin) < 0)
		text = NULL;
	free(rows);
	table_free(table);
	return text;
}

/* Takes `value`; false if it or memory is missing. */
static bool lookup_json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool lookup_json_add_text(struct json_object *object, const char *key, struct bytes raw)
{
	char *text = text_utf8(raw);
	bool fine = text && lookup_json_add(object, key, json_object_new_string(text));

	free(text);
	return fine;
}

static char *lookup_json(const struct lookup_query *query, const struct lookup *lookup,
	const struct names_source *source)
{
	struct json_object *object = json_object_new_object();
	const char *json = NULL;
	char *text = NULL;

	if (object && lookup_json_add_text(object, "query", query->text) &&
		lookup_json_add_text(
			object, "match", bytes_of_text(lookup_match_word(lookup->match))) &&
		lookup_json_add_text(object, "origin", bytes_of_text(source->origin)) &&
		lookup_json_add(object, "answers",
			row_json_array(&lookup->answers, &source->meta, query->now_unix_s)))
		json = json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					JSON_C_TO_STRING_NOSLASHESCAPE);
	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	json_object_put(object);
	return text;
}

static int lookup_tell(const struct lookup_query *query, const struct lookup *lookup,
	const struct names_source *source, bool is_json)
{
	bool is_found = lookup->match == INDEX_FOUND;
	bool fine = true;
	char *text;

	if (is_found || is_json) {
		text = is_json ? lookup_json(query, lookup, source)
			       : lookup_table(query, lookup, source);
		if (!text)
			cmd_complain("cannot print the answer", PARSER_E_NO_MEMORY);
		fine = text && cmd_print(text);
		free(text);
	}
	if (!is_found)
		lookup_tell_missing(query, lookup, source);
	return fine && is_found ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}

static int lookup_run(
	const struct snapshot_conf *conf, const struct lookup_query *query, bool is_json)
{
	struct build_report report = {0};
	struct snapshot_sinks sinks = {.store_event = build_report_store_event, .ctx = &report};
	struct names_source source;
	struct lookup lookup = {0};
	int exit_code = CMD_EXIT_FAILED;
	enum parser_status status = names_source_open(conf, &sinks, NAMES_ACCESS_LOOKUP, &source);

	cmd_report(&report);
	if (status != PARSER_OK) {
		cmd_complain("cannot read the lease files", status);
		return CMD_EXIT_FAILED;
	}
	if (query->address.family == ADDRESS_NONE)
		status = lookup_name(
			&source.index, &source.meta, query->text, query->now_unix_s, &lookup);
	else
		status = lookup_address(&source.index, &query->address, query->now_unix_s, &lookup);
	if (status == PARSER_OK)
		exit_code = lookup_tell(query, &lookup, &source, is_json);
	else
		cmd_complain("cannot look up", status);
	lookup_done(&lookup);
	names_source_done(&source);
	return exit_code;
}

int cmd_lookup(int argc, char **argv)
{
	struct lookup_query query = {.now_unix_s = cmd_now_unix_s()};
	struct cmd_arguments arguments;
	struct snapshot_conf conf;
	int exit_code;

	if (!cmd_start(&lookup_spec, argc, argv, &arguments, &exit_code))
		return exit_code;
	query.text = bytes_of_text(arguments.argument);
	address_parse(query.text, &query.address);
	if (!cmd_load(&arguments, &conf))
		return CMD_EXIT_USAGE;
	exit_code = lookup_run(&conf, &query, (arguments.options & CMD_OPTION_JSON) != 0);
	snapshot_conf_done(&conf);
	return exit_code;
}
