#include "server/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_done(struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->lines[i].text);
	report->count = 0;
	report->omitted = 0;
}

static bool report_has(const struct report *report, const char *text)
{
	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(report->lines[i].text, text) == 0)
			return true;
	}
	return false;
}

static void report_add(struct report *report, enum log_level level, bool is_lasting,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static void report_add(
	struct report *report, enum log_level level, bool is_lasting, const char *format, ...)
{
	char line[REPORT_LINE_SIZE];
	char *text = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* A build that was done twice (aside, then in memory) tells the same twice. */
	if (report_has(report, line))
		return;
	if (report->count < REPORT_LINES_MAX)
		text = strdup(line);
	if (!text) {
		report->omitted++;
		return;
	}
	report->lines[report->count++] =
		(struct report_line){.level = level, .is_lasting = is_lasting, .text = text};
}

static const char *report_noun(const struct format *format, size_t count)
{
	if (format == &format_libvirt_status)
		return count == 1 ? "lease" : "leases";
	return count == 1 ? "entry" : "entries";
}

static const char *report_reason(const struct store_event *event)
{
	return event->system_error ? strerror(event->system_error) : parser_strerror(event->status);
}

static void report_file_failed(struct report *report, const struct store_event *event)
{
	char line[32] = "";
	char outcome[64] = "nothing of it is served";

	if (event->report.line > 0)
		snprintf(line, sizeof(line), "line %zu: ", event->report.line);
	if (event->kept > 0)
		snprintf(outcome, sizeof(outcome), "keeping the previous %zu %s", event->kept,
			report_noun(event->format, event->kept));
	report_add(report, LOG_LEVEL_WARNING, false, "%s '%s': %s%s; %s", event->format->name,
		event->path, line, report_reason(event), outcome);
}

static void report_records_skipped(struct report *report, const struct store_event *event)
{
	char more[48] = "";

	if (event->report.skipped > 1)
		snprintf(more, sizeof(more), " (the first of %zu)", event->report.skipped);
	report_add(report, LOG_LEVEL_WARNING, false,
		"%s '%s': line %zu: %s%s; skipped, the other %zu %s stay", event->format->name,
		event->path, event->report.line, format_defect_text(event->report.defect), more,
		event->report.records, report_noun(event->format, event->report.records));
}

void report_store_event(void *ctx, const struct store_event *event)
{
	struct report *report = ctx;

	switch (event->kind) {
	case STORE_EVENT_FILE_FAILED:
		report_file_failed(report, event);
		break;
	case STORE_EVENT_RECORDS_SKIPPED:
		report_records_skipped(report, event);
		break;
	case STORE_EVENT_FILE_RECOVERED:
		report_add(report, LOG_LEVEL_INFO, false, "%s '%s': good again, with %zu %s",
			event->format->name, event->path, event->report.records,
			report_noun(event->format, event->report.records));
		break;
	case STORE_EVENT_DIRECTORY_FAILED:
		report_add(report, LOG_LEVEL_WARNING, false,
			"lease directory '%s': %s; what was read before stays", event->path,
			report_reason(event));
		break;
	case STORE_EVENT_DIRECTORY_ABSENT:
		report_add(report, LOG_LEVEL_WARNING, false,
			"lease directory '%s': not there; its names come when it does",
			event->path);
		break;
	case STORE_EVENT_DIRECTORY_FOUND:
		report_add(report, LOG_LEVEL_INFO, false, "lease directory '%s': there now",
			event->path);
		break;
	}
}

void report_index_event(void *ctx, const struct index_event *event)
{
	struct report *report = ctx;
	char address[ADDRESS_TEXT_SIZE];
	char network[LOG_ESCAPED_SIZE];
	char name[LOG_ESCAPED_SIZE];

	address_format(&event->address, address);
	log_escape(event->network, network);
	log_escape(event->name, name);
	switch (event->kind) {
	case INDEX_EVENT_HOSTNAME_REJECTED:
		report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', which no guest may be called; the "
			"address stays, that name is not published",
			network, address, name);
		break;
	case INDEX_EVENT_NAME_REJECTED:
		report_add(report, LOG_LEVEL_WARNING, true,
			"network '%s': '%s' (%s) cannot be a name; not published", network, name,
			address);
		break;
	case INDEX_EVENT_ALIAS_SHARED:
		report_add(report, LOG_LEVEL_WARNING, true,
			"two guests would both answer to '%s'; published for neither, their own "
			"names stay",
			name);
		break;
	case INDEX_EVENT_HOSTNAME_HIDDEN:
		report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', a name that libvirt gives to another; "
			"libvirt's stands",
			network, address, name);
		break;
	case INDEX_EVENT_HOSTNAME_SHARED:
		report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', as another guest does; both addresses "
			"are published",
			network, address, name);
		break;
	}
}

void report_log(const struct report *report, const struct report *previous,
	struct report_limits *limits, int64_t now_ms)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct report_line *line = &report->lines[i];
		struct log_limit *limit = line->is_lasting ? &limits->names : &limits->files;

		if (line->is_lasting && report_has(previous, line->text))
			continue;
		if (log_limit_pass(limit, now_ms))
			log_write(line->level, "%s", line->text);
	}
	if (report->omitted > 0 && previous->omitted == 0)
		log_warning("%zu more messages of this kind are not shown", report->omitted);
}
