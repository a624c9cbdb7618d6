#include "conf_parse.h"

#include <ini.h>
#include <string.h>

#include "conf_message.h"
#include "conf_print.h"
#include "conf_text.h"

/* What inih (in the C locale) takes for white space, without the end of a line. */
#define INI_BLANKS " \t\v\f\r"

/* The reader hands inih one line at a time, so its line is also that of the key just called for. */
struct parser {
	const char *text;
	const char *end;
	const char *at;          /* Next line. */
	unsigned line;           /* Of the line handed out last, from 1. */
	enum conf_status status; /* Once it is not CONF_OK, nothing more is read. */
	struct conf *conf;
	struct conf_error *error;
	unsigned entry_lines[CONF_ENTRY_COUNT]; /* Where a key stands; 0: nowhere yet. */
	unsigned network_lines[CONF_NETWORKS_MAX];
	unsigned forward_zone_lines[CONF_FORWARD_ZONES_MAX];
};

/* Keeps the first failure and its line. */
static void parser_fail(struct parser *parser, enum conf_status status, unsigned line)
{
	parser->status = status;
	parser->error->line = line;
}

/* The next line, without its end and the blanks around it. False at the end of the text. */
static bool line_next(const char **at, const char *end, const char **out_line, size_t *out_len)
{
	const char *line = *at;
	const char *line_end;

	if (line == end)
		return false;
	line_end = memchr(line, '\n', (size_t)(end - line));
	*at = line_end ? line_end + 1 : end;
	if (!line_end)
		line_end = end;
	/* A line that begins with a blank would continue the one before it. */
	while (line < line_end && strchr(INI_BLANKS, *line))
		line++;
	while (line_end > line && strchr(INI_BLANKS, line_end[-1]))
		line_end--;
	*out_line = line;
	*out_len = (size_t)(line_end - line);
	return true;
}

/* "[section]": inih says nothing of a section without keys, cuts a long name, and passes over
 * what follows the bracket. A bracket that does not close is left to it. */
static enum conf_status section_check(const char *line, size_t len, struct conf_error *error)
{
	const char *close = memchr(line, ']', len);
	const char *rest = close ? close + 1 : NULL;
	const char *end = line + len;
	const char *guess;
	size_t name_len;
	struct conf_quote shown;

	if (!close)
		return CONF_OK;
	name_len = (size_t)(close - line) - 1;
	shown = conf_quote(line + 1, name_len);
	if (!conf_table_has_section(line + 1, name_len)) {
		guess = conf_table_guess_section(line + 1, name_len);
		return guess ? conf_fail(error, CONF_E_KEY,
				       "unknown section '%s'; did you mean '%s'?", shown.text,
				       guess)
			     : conf_fail(error, CONF_E_KEY, "unknown section '%s'", shown.text);
	}
	while (rest < end && strchr(INI_BLANKS, *rest))
		rest++;
	if (rest < end && *rest != ';' && *rest != '#')
		return conf_fail(error, CONF_E_SYNTAX,
			"'%s' behind [%s]: a section has its line alone",
			conf_quote(rest, (size_t)(end - rest)).text, shown.text);
	return CONF_OK;
}

/* An ini_reader, like fgets(). */
static char *parser_read(char *buffer, int size, void *stream)
{
	struct parser *parser = stream;
	enum conf_status rc = CONF_OK;
	const char *line;
	size_t len;

	if (parser->status != CONF_OK || !line_next(&parser->at, parser->end, &line, &len))
		return NULL;
	parser->line++;
	/* The buffer's size is inih's, and a variable of it. */
	if (len > CONF_LINE_OCTETS_MAX || len + sizeof("\n") > (size_t)size)
		rc = conf_fail(parser->error, CONF_E_SYNTAX,
			"the line has %zu octets, of at most %d", len, CONF_LINE_OCTETS_MAX);
	else if (len > 0 && line[0] == '[')
		rc = section_check(line, len, parser->error);
	if (rc != CONF_OK) {
		parser_fail(parser, rc, parser->line);
		return NULL;
	}
	memcpy(buffer, line, len);
	memcpy(buffer + len, "\n", sizeof("\n"));
	return buffer;
}

static enum conf_status unknown_key(
	const char *section, const char *key, struct conf_error *out_error)
{
	struct conf_quote shown = conf_quote(key, strlen(key));
	enum conf_entry_id guess = conf_table_guess_key(section, key);

	if (guess == CONF_ENTRY_NONE)
		return conf_fail(
			out_error, CONF_E_KEY, "[%s] has no key '%s'", section, shown.text);
	if (strcmp(conf_table[guess].section, section) != 0)
		return conf_fail(out_error, CONF_E_KEY, "[%s] has no key '%s'; it belongs to [%s]",
			section, shown.text, conf_table[guess].section);
	return conf_fail(out_error, CONF_E_KEY, "[%s] has no key '%s'; did you mean '%s'?", section,
		shown.text, conf_table[guess].key);
}

/* Where the file has given this key before; 0: nowhere. */
static unsigned earlier_line(const struct parser *parser, enum conf_entry_id id, const char *key)
{
	const struct conf *conf = parser->conf;

	if (!conf_table[id].key_prefix)
		return parser->entry_lines[id];
	if (conf_table[id].type == CONF_TYPE_FORWARD_ZONES)
		return 0; /* Told by the name that it means: check_forward_zones(). */
	for (size_t i = 0; i < conf->network_count; i++) {
		if (strcmp(conf->networks[i].bridge, key) == 0)
			return parser->network_lines[i];
	}
	return 0;
}

/* What is printed may be longer than what was read (an interface's index becomes its name), and
 * must still be a line that can be read. */
static enum conf_status check_printable(const struct parser *parser, enum conf_entry_id id,
	const char *key, size_t position, size_t octets_max)
{
	const struct conf_entry *entry = &conf_table[id];
	size_t octets = conf_print_value_octets(entry, parser->conf, position);

	if (octets <= octets_max)
		return CONF_OK;
	return conf_fail(parser->error, CONF_E_VALUE,
		"[%s] %s: the value takes %zu octets when written out, of at most %zu",
		entry->section, conf_quote(key, strlen(key)).text, octets, octets_max);
}

static enum conf_status key_set(
	struct parser *parser, const char *section, const char *key, const char *text)
{
	enum conf_entry_id id = conf_table_find(section, key);
	struct conf *conf = parser->conf;
	enum conf_status rc;
	unsigned earlier;

	if (id == CONF_ENTRY_NONE)
		return unknown_key(section, key, parser->error);
	earlier = earlier_line(parser, id, key);
	if (earlier > 0)
		return conf_fail(parser->error, CONF_E_KEY,
			"[%s] %s is given twice: it stands on line %u already", section,
			conf_quote(key, strlen(key)).text, earlier);
	rc = conf_value_set(&conf_table[id], key, text, conf, parser->error);
	if (rc != CONF_OK)
		return rc;
	parser->entry_lines[id] = parser->line;
	switch (conf_table[id].type) {
	case CONF_TYPE_NETWORKS:
		parser->network_lines[conf->network_count - 1] = parser->line;
		return CONF_OK;
	case CONF_TYPE_FORWARD_ZONES:
		parser->forward_zone_lines[conf->forward_zone_count - 1] = parser->line;
		return check_printable(parser, id, key, conf->forward_zone_count - 1,
			CONF_LINE_OCTETS_MAX - strlen(key) - strlen(" = "));
	case CONF_TYPE_ENDPOINTS:
	case CONF_TYPE_ZONES:
	case CONF_TYPE_DIRECTORIES:
	case CONF_TYPE_NUMBER:
	case CONF_TYPE_SWITCH:
	case CONF_TYPE_FILE:
	case CONF_TYPE_UPSTREAM:
		break;
	}
	return check_printable(parser, id, key, 0, CONF_VALUE_OCTETS_MAX);
}

/* An ini_handler: nonzero goes on. */
static int parser_key(void *user, const char *section, const char *key, const char *text)
{
	struct parser *parser = user;
	enum conf_status rc;

	if (parser->status != CONF_OK)
		return 0;
	if (!section[0])
		rc = conf_fail(parser->error, CONF_E_SYNTAX,
			"'%s' stands before the first [section]",
			conf_quote(key, strlen(key)).text);
	else if (!text) /* Another user of inih in this process has set ini_allow_no_value. */
		rc = conf_fail(parser->error, CONF_E_SYNTAX, "[%s] %s has no '='", section,
			conf_quote(key, strlen(key)).text);
	else
		rc = key_set(parser, section, key, text);
	if (rc == CONF_OK)
		return 1;
	parser_fail(parser, rc, parser->line);
	return 0;
}

/* What inih itself refused on `line`. */
static void fail_syntax(struct parser *parser, unsigned line)
{
	const char *at = parser->text;
	const char *text = "";
	size_t len = 0;

	for (unsigned i = 0; i < line; i++)
		line_next(&at, parser->end, &text, &len);
	conf_fail(parser->error, CONF_E_SYNTAX,
		"'%s' is neither [section], nor key = value, nor a comment",
		conf_quote(text, len).text);
	parser_fail(parser, CONF_E_SYNTAX, line);
}

static unsigned later(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* A network's name answers beside the bridges' (vm.NAME.zone, vm.BRIDGE.zone), so it may be
 * neither another's name nor another's bridge; DNS knows no case (RFC 4343). */
static bool networks_clash(const struct conf_network *a, const struct conf_network *b)
{
	return conf_text_equal_fold(a->name, b->name) || conf_text_equal_fold(a->name, b->bridge) ||
	       conf_text_equal_fold(a->bridge, b->name);
}

static void check_networks(struct parser *parser)
{
	const struct conf_network *networks = parser->conf->networks;

	for (size_t i = 0; i < parser->conf->network_count; i++) {
		for (size_t earlier = 0; earlier < i; earlier++) {
			if (!networks_clash(&networks[i], &networks[earlier]))
				continue;
			conf_fail(parser->error, CONF_E_VALUE,
				"[network] '%s = %s' and line %u name the same network twice",
				conf_quote(networks[i].bridge, strlen(networks[i].bridge)).text,
				networks[i].name, parser->network_lines[earlier]);
			parser_fail(parser, CONF_E_VALUE, parser->network_lines[i]);
			return;
		}
	}
}

/* The same domain may be written in several ways. */
static void check_forward_zones(struct parser *parser)
{
	const struct conf_forward_zone *zones = parser->conf->forward_zones;

	for (size_t i = 0; i < parser->conf->forward_zone_count; i++) {
		for (size_t earlier = 0; earlier < i; earlier++) {
			if (strcmp(zones[i].name, zones[earlier].name) != 0)
				continue;
			conf_fail(parser->error, CONF_E_KEY,
				"[forward] zone.%s is given twice: it stands on line %u already",
				conf_quote(zones[i].name, strlen(zones[i].name)).text,
				parser->forward_zone_lines[earlier]);
			parser_fail(parser, CONF_E_KEY, parser->forward_zone_lines[i]);
			return;
		}
	}
}

/* A new index would look like a change of the leases, and be built again without end. */
static void check_index_apart(struct parser *parser)
{
	const struct conf *conf = parser->conf;
	size_t len = (size_t)(strrchr(conf->index_file, '/') - conf->index_file);

	while (len > 0 && conf->index_file[len - 1] == '/')
		len--;
	for (size_t i = 0; i < conf->lease_directory_count; i++) {
		const char *directory = conf->lease_directories[i];

		if (strncmp(directory, conf->index_file, len) != 0 ||
			(directory[len] != '\0' && strcmp(directory + len, "/") != 0))
			continue;
		conf_fail(parser->error, CONF_E_VALUE,
			"[index] file may not lie in a directory of [leases] libvirt, '%s'",
			conf_quote(directory, strlen(directory)).text);
		parser_fail(parser, CONF_E_VALUE,
			later(parser->entry_lines[CONF_INDEX_FILE],
				parser->entry_lines[CONF_LEASES_LIBVIRT]));
		return;
	}
}

/* The rules that no value breaks alone. */
static void check_across(struct parser *parser)
{
	check_networks(parser);
	if (parser->status == CONF_OK)
		check_forward_zones(parser);
	if (parser->status == CONF_OK)
		check_index_apart(parser);
}

/* inih takes text for C strings: what is behind a NUL would be passed over. */
static enum conf_status refuse_nul(const char *text, const char *end, struct conf_error *out_error)
{
	const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

	if (!nul)
		return CONF_OK;
	out_error->line = 1;
	for (; text < nul; text++)
		out_error->line += *text == '\n';
	return conf_fail(out_error, CONF_E_SYNTAX, "there is a NUL octet: this is no text file");
}

enum conf_status conf_parse(
	const char *text, size_t len, struct conf *conf, struct conf_error *out_error)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	struct parser parser = {
		.text = text, .end = text + len, .at = text, .conf = conf, .error = out_error};
	enum conf_status rc = refuse_nul(text, parser.end, out_error);
	int line;

	if (rc != CONF_OK)
		return rc;
	if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0)
		parser.text = parser.at = text + 3;
	line = ini_parse_stream(parser_read, &parser, parser_key, &parser);
	/* inih goes on behind a line that it refuses and tells it only now; if that came before
	 * what we refused, it is what is to be mended first. */
	if (line > 0 && (parser.status == CONF_OK || (unsigned)line < out_error->line))
		fail_syntax(&parser, (unsigned)line);
	else if (line < 0)
		parser_fail(&parser, conf_fail(out_error, CONF_E_NO_MEMORY, "out of memory"), 0);
	if (parser.status == CONF_OK)
		check_across(&parser);
	return parser.status;
}
