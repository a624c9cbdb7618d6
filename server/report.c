#include "server/report.h"

#include <string.h>

#include "server/log.h"

static const char *report_reason(const struct store_event *event)
{
	if (event->status == PARSER_E_IO && event->system_error)
		return strerror(event->system_error);
	return parser_strerror(event->status);
}

static void report_file_failed(const struct store_event *event, const char *what, const char *path)
{
	if (event->report.line > 0)
		log_warning("%s '%s': line %zu: %s; keeping the previous %zu records", what, path,
			event->report.line, report_reason(event), event->kept);
	else
		log_warning("%s '%s': %s; keeping the previous %zu records", what, path,
			report_reason(event), event->kept);
}

void report_store_event(void *ctx, const struct store_event *event)
{
	char path[LOG_ESCAPED_SIZE];
	const char *what = event->format ? event->format->name : "lease directory";

	(void)ctx;
	log_escape(bytes_of_text(event->path), path);
	switch (event->kind) {
	case STORE_EVENT_FILE_FAILED:
		report_file_failed(event, what, path);
		break;
	case STORE_EVENT_RECORDS_SKIPPED:
		log_warning("%s '%s': line %zu: %s; skipped %zu of %zu records", what, path,
			event->report.line, format_defect_text(event->report.defect),
			event->report.skipped, event->report.skipped + event->report.records);
		break;
	case STORE_EVENT_FILE_RECOVERED:
		log_info("%s '%s' is good again", what, path);
		break;
	case STORE_EVENT_DIRECTORY_FAILED:
		log_warning("%s '%s' cannot be read: %s", what, path, report_reason(event));
		break;
	case STORE_EVENT_DIRECTORY_ABSENT:
		log_warning("%s '%s' does not exist", what, path);
		break;
	case STORE_EVENT_DIRECTORY_FOUND:
		log_info("%s '%s' exists now", what, path);
		break;
	}
}

void report_index_event(void *ctx, const struct index_event *event)
{
	char name[LOG_ESCAPED_SIZE];
	char network[LOG_ESCAPED_SIZE];
	char address[ADDRESS_TEXT_SIZE];

	(void)ctx;
	log_escape(event->name, name);
	log_escape(event->network, network);
	address_format(&event->address, address);
	switch (event->kind) {
	case INDEX_EVENT_HOSTNAME_REJECTED:
		log_warning("%s on %s calls itself '%s', which no guest may; not published",
			address, network, name);
		break;
	case INDEX_EVENT_NAME_REJECTED:
		log_warning("'%s' on %s is not a name; not published", name, network);
		break;
	case INDEX_EVENT_ALIAS_SHARED:
		log_warning("two guests would also be called '%s'; published for neither", name);
		break;
	case INDEX_EVENT_HOSTNAME_HIDDEN:
		log_info("%s on %s calls itself '%s', which is another's name; not published",
			address, network, name);
		break;
	case INDEX_EVENT_HOSTNAME_SHARED:
		log_info("several machines call themselves '%s', one of them %s on %s", name,
			address, network);
		break;
	}
}
