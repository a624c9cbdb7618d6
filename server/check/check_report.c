#include "server/check/check_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_report_done(struct check_report *report)
{
	for (size_t i = 0; i < report->fact_count; i++)
		free(report->facts[i].text);
	for (size_t i = 0; i < report->finding_count; i++) {
		free(report->findings[i].what);
		free(report->findings[i].mend);
	}
	free(report->facts);
	free(report->findings);
	*report = (struct check_report){0};
}

/* What comes from files and guests is escaped where it is put in; this is for what is not: no byte
 * that a terminal obeys, and JSON is valid. */
static char *check_text(struct check_report *report, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static char *check_text(struct check_report *report, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0) {
		report->no_memory = true;
		return NULL;
	}
	for (char *at = text; *at; at++) {
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
	}
	return text;
}

/* One more element, zeroed; NULL if memory is short. */
static void *check_grow(struct check_report *report, void **array, size_t *count, size_t octets)
{
	void *grown = realloc(*array, (*count + 1) * octets);
	void *fresh;

	if (!grown) {
		report->no_memory = true;
		return NULL;
	}
	*array = grown;
	fresh = (char *)grown + *count * octets;
	memset(fresh, 0, octets);
	(*count)++;
	return fresh;
}

void check_fact(struct check_report *report, const char *subject, const char *format, ...)
{
	struct check_fact *fact;
	va_list args;
	char *text;

	va_start(args, format);
	text = check_text(report, format, args);
	va_end(args);
	fact = text ? check_grow(
			      report, (void **)&report->facts, &report->fact_count, sizeof(*fact))
		    : NULL;
	if (fact)
		*fact = (struct check_fact){subject, text};
	else
		free(text);
}

static size_t check_count_same(const struct check_report *report, enum check_id id)
{
	size_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++)
		count += report->findings[i].id == id;
	return count;
}

bool check_find(struct check_report *report, enum check_id id, const char *format, ...)
{
	struct check_finding *finding;
	va_list args;
	char *what;

	if (check_count_same(report, id) >= CHECK_REPORT_SAME_MAX) {
		report->omitted[id]++;
		return false;
	}
	va_start(args, format);
	what = check_text(report, format, args);
	va_end(args);
	finding = what ? check_grow(report, (void **)&report->findings, &report->finding_count,
				 sizeof(*finding))
		       : NULL;
	if (!finding) {
		free(what);
		report->omitted[id]++;
		return false;
	}
	*finding = (struct check_finding){
		.id = id, .severity = check_kinds[id].severity, .what = what};
	return true;
}

void check_mend(struct check_report *report, const char *format, ...)
{
	struct check_finding *finding = &report->findings[report->finding_count - 1];
	va_list args;
	char *line;
	char *all = NULL;

	va_start(args, format);
	line = check_text(report, format, args);
	va_end(args);
	if (line && !finding->mend) {
		finding->mend = line;
		return;
	}
	if (line && asprintf(&all, "%s\n%s", finding->mend, line) < 0) {
		report->no_memory = true;
		all = NULL;
	}
	free(line);
	if (!all)
		return;
	free(finding->mend);
	finding->mend = all;
}

static int check_compare(const void *a, const void *b)
{
	const struct check_finding *left = a;
	const struct check_finding *right = b;

	if (left->severity != right->severity)
		return left->severity > right->severity ? -1 : 1;
	return (left->id > right->id) - (left->id < right->id);
}

void check_report_settle(struct check_report *report, bool names_resolve)
{
	for (size_t i = 0; i < report->finding_count; i++) {
		struct check_finding *finding = &report->findings[i];

		if (check_kinds[finding->id].closes && !names_resolve)
			finding->severity = CHECK_ERROR;
	}
	if (report->finding_count > 1)
		qsort(report->findings, report->finding_count, sizeof(*report->findings),
			check_compare);
}

bool check_report_has(const struct check_report *report, enum check_id id)
{
	return check_count_same(report, id) > 0;
}

size_t check_report_count(const struct check_report *report, enum check_severity severity)
{
	size_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++)
		count += report->findings[i].severity == severity;
	for (size_t i = 0; i < CHECK_ID_COUNT; i++)
		count += check_kinds[i].severity == severity ? report->omitted[i] : 0;
	return count;
}
