#include "server/stats/stats_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/names/row.h"
#include "server/stats/stats_metrics.h"
#include "server/support/text.h"

#define PREFIX     "leasedns_"
#define VALUE_SIZE 64

/* What the document has ------------------------------------------------------------------------ */

/* The object that a metric's keys stand in; NULL if it is not there. */
static struct json_object *group_of(struct json_object *document, const struct stats_metric *metric)
{
	struct json_object *group = document;

	if (metric->group && !json_object_object_get_ex(document, metric->group, &group))
		return NULL;
	return json_object_is_type(group, json_type_object) ? group : NULL;
}

/* False if it is not there, or no number; nothing is ever below 0. */
static bool number_of(struct json_object *object, const char *key, int64_t *out_number)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, json_type_int))
		return false;
	*out_number = json_object_get_int64(value);
	return *out_number >= 0;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

/* NULL: there are none. */
static struct json_object *servers_of(struct json_object *document)
{
	struct json_object *servers;

	if (!json_object_object_get_ex(document, "upstreams", &servers) ||
		!json_object_is_type(servers, json_type_array))
		return NULL;
	return servers;
}

/* Calls with each number of a metric; `label` is NULL where it has none. */
static void each_number(struct json_object *document, const struct stats_metric *metric,
	void (*on_number)(
		void *ctx, const struct stats_metric *metric, const char *label, int64_t number),
	void *ctx)
{
	struct json_object *group = group_of(document, metric);
	int64_t number;

	if (!group)
		return;
	if (metric->key) {
		if (number_of(group, metric->key, &number))
			on_number(ctx, metric, NULL, number);
		return;
	}
	json_object_object_foreach(group, key, value)
	{
		(void)value;
		if (number_of(group, key, &number))
			on_number(ctx, metric, key, number);
	}
}

/* For people ----------------------------------------------------------------------------------- */

struct rows {
	struct table *table;
	bool shows_all;
	int64_t now_unix_s;
	bool is_fine;
};

static void value_text(const struct stats_metric *metric, int64_t number, int64_t now_unix_s,
	char out_text[VALUE_SIZE])
{
	switch (metric->unit) {
	case STATS_UNIT_UNIX_S:
		row_when(number, now_unix_s, out_text);
		return;
	case STATS_UNIT_US:
		snprintf(out_text, VALUE_SIZE, "%" PRId64 ".%" PRId64 " ms", number / 1000,
			number % 1000 / 100);
		return;
	case STATS_UNIT_S:
		snprintf(out_text, VALUE_SIZE, "%" PRId64 " s", number);
		return;
	case STATS_UNIT_OCTETS:
		snprintf(out_text, VALUE_SIZE, "%" PRId64 " KiB",
			number / 1024 + (number % 1024 > 0));
		return;
	case STATS_UNIT_BOOL:
		snprintf(out_text, VALUE_SIZE, "%s", number ? "yes" : "no");
		return;
	case STATS_UNIT_COUNT:
	case STATS_UNIT_STATE:
		snprintf(out_text, VALUE_SIZE, "%" PRId64, number);
		return;
	}
}

/* The document may come from anywhere: names of it are shown only as far as they are printable. */
static void row_add(void *ctx, const struct stats_metric *metric, const char *label, int64_t number)
{
	struct rows *rows = ctx;
	char *shown = text_printable(bytes_of_text(label ? label : "-"));
	char value[VALUE_SIZE];
	const char *cells[] = {metric->title, shown, value};

	if (metric->title && (rows->shows_all || number != 0 || !stats_metric_is_counter(metric))) {
		value_text(metric, number, rows->now_unix_s, value);
		rows->is_fine =
			rows->is_fine && shown && table_add(rows->table, TABLE_STYLE_PLAIN, cells);
	}
	free(shown);
}

static struct table *numbers_table(struct json_object *document, bool shows_all, int64_t now_unix_s)
{
	static const struct table_column columns[] = {
		{.title = "STATISTIC"}, {.title = "OF"}, {.title = "VALUE"}};
	struct rows rows = {table_new(columns, 3), shows_all, now_unix_s, true};

	for (size_t i = 0; rows.table && i < stats_metric_count; i++)
		each_number(document, &stats_metrics[i], row_add, &rows);
	if (rows.is_fine)
		return rows.table;
	table_free(rows.table);
	return NULL;
}

#define SERVER_COLUMNS_MAX 16

static bool server_row_add(struct table *table, struct json_object *server)
{
	char values[SERVER_COLUMNS_MAX][VALUE_SIZE];
	char *texts[SERVER_COLUMNS_MAX] = {NULL};
	const char *cells[SERVER_COLUMNS_MAX];
	const char *zone = text_of(server, "zone");
	size_t count = 0;
	bool is_fine = true;

	texts[count++] = text_printable(bytes_of_text(text_of(server, "server")));
	texts[count++] = text_printable(bytes_of_text(zone[0] ? zone : "-"));
	for (size_t i = 0; i < stats_server_metric_count; i++, count++) {
		const struct stats_metric *metric = &stats_server_metrics[i];
		int64_t number = 0;

		strcpy(values[count], "-");
		if (metric->unit == STATS_UNIT_STATE)
			texts[count] = text_printable(bytes_of_text(text_of(server, metric->key)));
		else if (number_of(server, metric->key, &number) &&
			 (metric->unit != STATS_UNIT_US || number > 0))
			value_text(metric, number, 0, values[count]);
	}
	for (size_t i = 0; i < count; i++) {
		bool is_text = i < 2 || stats_server_metrics[i - 2].unit == STATS_UNIT_STATE;

		cells[i] = is_text ? texts[i] : values[i];
		is_fine = is_fine && cells[i];
	}
	is_fine = is_fine && table_add(table, TABLE_STYLE_PLAIN, cells);
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	return is_fine;
}

static struct table *servers_table(struct json_object *servers)
{
	struct table_column columns[SERVER_COLUMNS_MAX] = {
		{.title = "UPSTREAM"}, {.title = "ZONE"}};
	struct table *table;

	for (size_t i = 0; i < stats_server_metric_count; i++)
		columns[2 + i].title = stats_server_metrics[i].title;
	table = table_new(columns, 2 + stats_server_metric_count);
	for (size_t i = 0; table && i < json_object_array_length(servers); i++) {
		if (!server_row_add(table, json_object_array_get_idx(servers, i))) {
			table_free(table);
			table = NULL;
		}
	}
	return table;
}

/* Takes the table; NULL if memory is or was short. */
static char *table_text(struct table *table, const struct table_format *format)
{
	char *text = table ? table_render(table, format) : NULL;

	table_free(table);
	return text;
}

char *stats_view_table(struct json_object *document, const struct table_format *format,
	bool shows_all, int64_t now_unix_s)
{
	struct json_object *servers = servers_of(document);
	char *numbers = table_text(numbers_table(document, shows_all, now_unix_s), format);
	char *upstreams = NULL;
	char *both = NULL;

	if (!servers || json_object_array_length(servers) == 0)
		return numbers;
	upstreams = table_text(servers_table(servers), format);
	if (numbers && upstreams && asprintf(&both, "%s\n%s", numbers, upstreams) < 0)
		both = NULL;
	free(numbers);
	free(upstreams);
	return both;
}

/* For Prometheus ------------------------------------------------------------------------------- */

static void print_head(FILE *out, const struct stats_metric *metric)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", metric->name, metric->help,
		metric->name, stats_metric_is_counter(metric) ? "counter" : "gauge");
}

/* Of text that comes in; our own has nothing to escape. */
static void print_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void print_value(FILE *out, const struct stats_metric *metric, int64_t number)
{
	if (metric->unit == STATS_UNIT_US)
		fprintf(out, " %" PRId64 ".%06" PRId64 "\n", number / 1000000, number % 1000000);
	else
		fprintf(out, " %" PRId64 "\n", number);
}

struct printer {
	FILE *out;
	bool has_head;
};

static void print_number(
	void *ctx, const struct stats_metric *metric, const char *label, int64_t number)
{
	struct printer *printer = ctx;

	if (!printer->has_head)
		print_head(printer->out, metric);
	printer->has_head = true;
	fputs(PREFIX, printer->out);
	fputs(metric->name, printer->out);
	if (label) {
		fputc('{', printer->out);
		print_label(printer->out, metric->label, label);
		fputc('}', printer->out);
	}
	print_value(printer->out, metric, number);
}

static void print_server(FILE *out, const struct stats_metric *metric, struct json_object *server)
{
	int64_t number = 0;

	if (metric->unit == STATS_UNIT_STATE)
		number = strcmp(text_of(server, metric->key), "up") == 0;
	else if (!number_of(server, metric->key, &number))
		return;
	fprintf(out, PREFIX "%s{", metric->name);
	print_label(out, "server", text_of(server, "server"));
	fputc(',', out);
	print_label(out, "zone", text_of(server, "zone"));
	fputc('}', out);
	print_value(out, metric, number);
}

static void print_all(FILE *out, struct json_object *document)
{
	struct json_object *servers = servers_of(document);

	fputs("# HELP " PREFIX "build_info The version of the server, as a label.\n"
	      "# TYPE " PREFIX "build_info gauge\n" PREFIX "build_info{",
		out);
	print_label(out, "version", text_of(document, "version"));
	fputs("} 1\n", out);
	for (size_t i = 0; i < stats_metric_count; i++)
		each_number(
			document, &stats_metrics[i], print_number, &(struct printer){out, false});
	if (!servers || json_object_array_length(servers) == 0)
		return;
	for (size_t i = 0; i < stats_server_metric_count; i++) {
		print_head(out, &stats_server_metrics[i]);
		for (size_t j = 0; j < json_object_array_length(servers); j++)
			print_server(out, &stats_server_metrics[i],
				json_object_array_get_idx(servers, j));
	}
}

char *stats_view_prometheus(struct json_object *document)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool failed;

	if (!out)
		return NULL;
	print_all(out, document);
	failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}
