#include "conf_print.h"

#include <stdio.h>
#include <string.h>

#include "conf_endpoint.h"
#include "conf_table.h"

/* The table pairs each offset with the type that its user casts to. */
static const void *const_member(const struct conf *conf, size_t offset)
{
	return (const char *)conf + offset;
}

static void print_text(const char *text, conf_emit emit, void *ctx)
{
	emit(ctx, text, strlen(text));
}

static void print_endpoints(
	const struct conf_endpoint *endpoints, size_t count, conf_emit emit, void *ctx)
{
	char text[CONF_ENDPOINT_TEXT_SIZE];

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			print_text(" ", emit, ctx);
		conf_endpoint_format(&endpoints[i], text);
		print_text(text, emit, ctx);
	}
}

static void print_strings(char *const *strings, size_t count, conf_emit emit, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			print_text(" ", emit, ctx);
		print_text(strings[i], emit, ctx);
	}
}

static void print_number(uint32_t number, conf_emit emit, void *ctx)
{
	char text[sizeof("4294967295")];

	snprintf(text, sizeof(text), "%u", number);
	print_text(text, emit, ctx);
}

static void print_upstream(const struct conf *conf, conf_emit emit, void *ctx)
{
	switch (conf->upstream) {
	case CONF_UPSTREAM_NONE:
		print_text("none", emit, ctx);
		break;
	case CONF_UPSTREAM_RESOLV_CONF:
		print_text("resolv.conf", emit, ctx);
		break;
	case CONF_UPSTREAM_SERVERS:
		print_endpoints(conf->upstream_servers, conf->upstream_server_count, emit, ctx);
		break;
	}
}

void conf_print_value(const struct conf_entry *entry, const struct conf *conf, size_t position,
	conf_emit emit, void *ctx)
{
	const void *value = const_member(conf, entry->offset);
	const size_t *count = const_member(conf, entry->count_offset);

	switch (entry->type) {
	case CONF_TYPE_ENDPOINTS:
		print_endpoints(*(struct conf_endpoint *const *)value, *count, emit, ctx);
		break;
	case CONF_TYPE_ZONES:
	case CONF_TYPE_DIRECTORIES:
		print_strings(*(char **const *)value, *count, emit, ctx);
		break;
	case CONF_TYPE_NETWORKS:
		print_text((*(struct conf_network *const *)value)[position].name, emit, ctx);
		break;
	case CONF_TYPE_NUMBER:
		print_number(*(const uint32_t *)value, emit, ctx);
		break;
	case CONF_TYPE_SWITCH:
		print_text(*(const bool *)value ? "yes" : "no", emit, ctx);
		break;
	case CONF_TYPE_FILE:
		print_text(*(char *const *)value, emit, ctx);
		break;
	case CONF_TYPE_UPSTREAM:
		print_upstream(conf, emit, ctx);
		break;
	case CONF_TYPE_FORWARD_ZONES:
		print_endpoints(conf->forward_zones[position].servers,
			conf->forward_zones[position].server_count, emit, ctx);
		break;
	}
}

static void count_octets(void *ctx, const char *text, size_t len)
{
	size_t *total = ctx;

	(void)text;
	*total += len;
}

size_t conf_print_value_octets(
	const struct conf_entry *entry, const struct conf *conf, size_t position)
{
	size_t total = 0;

	conf_print_value(entry, conf, position, count_octets, &total);
	return total;
}

/* Where printed text goes, and how. */
struct printer {
	conf_emit emit;
	void *ctx;
	const struct conf *conf; /* NULL: the sample, with every key commented out. */
};

static void print(const struct printer *printer, const char *text)
{
	printer->emit(printer->ctx, text, strlen(text));
}

/* Lines of help as lines of comment. */
static void print_help(const struct printer *printer, const char *help)
{
	const char *newline;

	do {
		newline = strchr(help, '\n');
		print(printer, "# ");
		printer->emit(
			printer->ctx, help, newline ? (size_t)(newline - help) : strlen(help));
		print(printer, "\n");
		help = newline ? newline + 1 : NULL;
	} while (help);
}

/* "0 to 86400 seconds; default: 5", as far as the entry has any of it. */
static void print_limits(const struct printer *printer, const struct conf_entry *entry)
{
	const char *value = entry->default_text ? entry->default_text : "none";
	char limits[64] = "Default: ";

	if (entry->unit)
		snprintf(limits, sizeof(limits), "%u to %u %s; default: ", entry->min, entry->max,
			entry->unit);
	print(printer, "# ");
	print(printer, limits);
	print(printer, value);
	print(printer, "\n");
}

static void print_key(const struct printer *printer, const struct conf_entry *entry,
	const char *key, size_t position)
{
	if (entry->key_prefix)
		print(printer, entry->key_prefix);
	print(printer, key);
	print(printer, " =");
	if (conf_print_value_octets(entry, printer->conf, position) > 0)
		print(printer, " ");
	conf_print_value(entry, printer->conf, position, printer->emit, printer->ctx);
	print(printer, "\n");
}

static void print_sample_key(const struct printer *printer, const struct conf_entry *entry)
{
	if (!entry->default_text)
		return;
	print(printer, "#");
	print(printer, entry->key);
	print(printer, " = ");
	print(printer, entry->default_text);
	print(printer, "\n");
}

static void print_entry(const struct printer *printer, const struct conf_entry *entry)
{
	const struct conf *conf = printer->conf;

	print_help(printer, entry->help);
	print_limits(printer, entry);
	if (!conf) {
		print_sample_key(printer, entry);
		return;
	}
	if (!entry->key_prefix) {
		print_key(printer, entry, entry->key, 0);
		return;
	}
	if (entry->type == CONF_TYPE_FORWARD_ZONES) {
		for (size_t i = 0; i < conf->forward_zone_count; i++)
			print_key(printer, entry, conf->forward_zones[i].name, i);
		return;
	}
	for (size_t i = 0; i < conf->network_count; i++)
		print_key(printer, entry, conf->networks[i].bridge, i);
}

static void print_all(const struct printer *printer)
{
	const char *section = "";

	print(printer,
		"# leasedns.conf: how libvirt's virtual machines get their names on this host.\n"
		"# Every key is optional. A comment starts with '#' or ';', behind a value with "
		"' ;'.\n");
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		print(printer, "\n");
		if (strcmp(section, conf_table[i].section) != 0) {
			section = conf_table[i].section;
			print(printer, "[");
			print(printer, section);
			print(printer, "]\n");
		}
		print_entry(printer, &conf_table[i]);
	}
}

void conf_print(const struct conf *conf, conf_emit emit, void *ctx)
{
	print_all(&(struct printer){emit, ctx, conf});
}

void conf_print_sample(conf_emit emit, void *ctx)
{
	print_all(&(struct printer){emit, ctx, NULL});
}
