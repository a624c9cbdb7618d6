#include "server/names/build_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/hostname.h"
#include "server/names/refusal.h"

void build_report_done(struct build_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->lines[i].text);
	report->count = 0;
	report->omitted = 0;
}

static bool build_report_has(const struct build_report *report, const char *text)
{
	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(report->lines[i].text, text) == 0)
			return true;
	}
	return false;
}

static void build_report_add(struct build_report *report, enum log_level level, bool is_lasting,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static void build_report_add(
	struct build_report *report, enum log_level level, bool is_lasting, const char *format, ...)
{
	char line[BUILD_REPORT_LINE_SIZE];
	char *text = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* A build that was done twice (aside, then in memory) tells the same twice. */
	if (build_report_has(report, line))
		return;
	if (report->count < BUILD_REPORT_LINES_MAX)
		text = strdup(line);
	if (!text) {
		report->omitted++;
		return;
	}
	report->lines[report->count++] =
		(struct build_report_line){.level = level, .is_lasting = is_lasting, .text = text};
}

static const char *build_report_noun(const struct format *format, size_t count)
{
	if (format == &format_libvirt_status)
		return count == 1 ? "lease" : "leases";
	return count == 1 ? "entry" : "entries";
}

static const char *build_report_stay(const struct format *format, size_t count)
{
	if (format == &format_libvirt_status)
		return count == 1 ? "lease stays" : "leases stay";
	return count == 1 ? "entry stays" : "entries stay";
}

static const char *build_report_reason(const struct store_event *event)
{
	return event->system_error ? strerror(event->system_error) : parser_strerror(event->status);
}

static void build_report_file_failed(struct build_report *report, const struct store_event *event)
{
	char line[32] = "";
	char outcome[64] = "nothing of it is served";

	if (event->report.line > 0)
		snprintf(line, sizeof(line), "line %zu: ", event->report.line);
	if (event->kept > 0)
		snprintf(outcome, sizeof(outcome), "keeping the previous %zu %s", event->kept,
			build_report_noun(event->format, event->kept));
	build_report_add(report, LOG_LEVEL_WARNING, false, "%s '%s': %s%s; %s", event->format->name,
		event->path, line, build_report_reason(event), outcome);
}

static void build_report_records_skipped(
	struct build_report *report, const struct store_event *event)
{
	char more[48] = "";

	if (event->report.skipped > 1)
		snprintf(more, sizeof(more), " (the first of %zu)", event->report.skipped);
	build_report_add(report, LOG_LEVEL_WARNING, false,
		"%s '%s': line %zu: %s%s; skipped, the other %zu %s", event->format->name,
		event->path, event->report.line, format_defect_text(event->report.defect), more,
		event->report.records, build_report_stay(event->format, event->report.records));
}

void build_report_store_event(void *ctx, const struct store_event *event)
{
	struct build_report *report = ctx;

	switch (event->kind) {
	case STORE_EVENT_FILE_FAILED:
		build_report_file_failed(report, event);
		break;
	case STORE_EVENT_RECORDS_SKIPPED:
		build_report_records_skipped(report, event);
		break;
	case STORE_EVENT_FILE_RECOVERED:
		build_report_add(report, LOG_LEVEL_INFO, false, "%s '%s': good again, with %zu %s",
			event->format->name, event->path, event->report.records,
			build_report_noun(event->format, event->report.records));
		break;
	case STORE_EVENT_DIRECTORY_FAILED:
		build_report_add(report, LOG_LEVEL_WARNING, false,
			"lease directory '%s': %s; what was read before stays", event->path,
			build_report_reason(event));
		break;
	case STORE_EVENT_DIRECTORY_ABSENT:
		build_report_add(report, LOG_LEVEL_WARNING, false,
			"lease directory '%s': not there; its names come when it does",
			event->path);
		break;
	case STORE_EVENT_DIRECTORY_FOUND:
		build_report_add(report, LOG_LEVEL_INFO, false, "lease directory '%s': there now",
			event->path);
		break;
	}
}

static void build_report_shared_alias(struct build_report *report, struct bytes guest)
{
	uint8_t octets[INDEX_KEY_OCTETS_MAX];
	struct bytes alias = {
		octets, guest.len <= sizeof(octets) ? hostname_alias(guest, octets) : 0};
	char name[LOG_ESCAPED_SIZE];
	char other[LOG_ESCAPED_SIZE];

	build_report_add(report, LOG_LEVEL_WARNING, true,
		"guest '%s' would also answer to '%s', as another guest would; published for "
		"neither, their own names stay",
		log_escape(guest, name), log_escape(alias, other));
}

void build_report_index_event(void *ctx, const struct index_event *event)
{
	struct build_report *report = ctx;
	char address[ADDRESS_TEXT_SIZE];
	char network[LOG_ESCAPED_SIZE];
	char name[LOG_ESCAPED_SIZE];

	address_format(&event->address, address);
	log_escape(event->network, network);
	log_escape(event->name, name);
	switch (event->kind) {
	case INDEX_EVENT_HOSTNAME_REJECTED:
		build_report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', which no guest may be called: %s; the "
			"address stays, that name is not published",
			network, address, name, refusal_reason(event->name));
		break;
	case INDEX_EVENT_NAME_REJECTED:
		build_report_add(report, LOG_LEVEL_WARNING, true,
			"network '%s': '%s' (%s) cannot be a name; not published", network, name,
			address);
		break;
	case INDEX_EVENT_ALIAS_SHARED:
		build_report_shared_alias(report, event->name);
		break;
	case INDEX_EVENT_HOSTNAME_HIDDEN:
		build_report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', a name that libvirt gives to another; "
			"libvirt's stands",
			network, address, name);
		break;
	case INDEX_EVENT_HOSTNAME_SHARED:
		build_report_add(report, LOG_LEVEL_INFO, true,
			"network '%s': %s calls itself '%s', as another guest does; both addresses "
			"are published",
			network, address, name);
		break;
	}
}

void build_report_log(const struct build_report *report, const struct build_report *previous,
	struct build_report_limits *limits, int64_t now_ms)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct build_report_line *line = &report->lines[i];
		struct log_limit *limit = line->is_lasting ? &limits->names : &limits->files;

		if (line->is_lasting && build_report_has(previous, line->text))
			continue;
		if (log_limit_pass(limit, now_ms))
			log_write(line->level, "%s", line->text);
	}
	if (report->omitted > 0 && previous->omitted == 0)
		log_warning("%zu more messages of this kind are not shown", report->omitted);
}
