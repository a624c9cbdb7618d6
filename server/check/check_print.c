/* What was found, for people. */
#include "server/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_BOLD   "\x1b[1m"
#define PRINT_RED    "\x1b[31m"
#define PRINT_YELLOW "\x1b[33m"
#define PRINT_GREEN  "\x1b[32m"
#define PRINT_DIM    "\x1b[2m"
#define PRINT_RESET  "\x1b[0m"

/* "warning" and two blanks: where texts begin. */
#define PRINT_INDENT 9u
/* "leases", … and two blanks. */
#define PRINT_SUBJECT 10
/* Longer lines are hard to read, however wide the terminal is. */
#define PRINT_WIDTH_MAX 100u

struct print {
	FILE *out;
	size_t width; /* 0: lines are not broken. */
	bool colour;
};

static void print_coloured(
	const struct print *print, const char *colour, const char *word, int width)
{
	fprintf(print->out, "%s%s%s%*s", print->colour ? colour : "", word,
		print->colour ? PRINT_RESET : "", width - (int)strlen(word), "");
}

/* Octets of `text` for a line of `room` columns: up to a blank if there is one. */
static size_t print_line_octets(const char *text, size_t room)
{
	size_t octets = strlen(text);

	if (octets <= room)
		return octets;
	for (octets = room; octets > 0 && text[octets] != ' '; octets--)
		;
	return octets > 0 ? octets : strcspn(text, " ");
}

/* A text behind `label`; what does not fit goes on below it. */
static void print_wrapped(const struct print *print, size_t indent, const char *text)
{
	size_t room = print->width > indent + 20 ? print->width - indent : SIZE_MAX;

	for (;;) {
		size_t octets = print_line_octets(text, room);

		fprintf(print->out, "%.*s\n", (int)octets, text);
		text += octets;
		text += strspn(text, " ");
		if (!*text)
			return;
		fprintf(print->out, "%*s", (int)indent, "");
	}
}

static void print_facts(const struct print *print, const struct check_report *report)
{
	for (size_t i = 0; i < report->fact_count; i++) {
		print_coloured(print, PRINT_GREEN, "ok", PRINT_INDENT);
		fprintf(print->out, "%-*s", PRINT_SUBJECT, report->facts[i].subject);
		print_wrapped(print, PRINT_INDENT + PRINT_SUBJECT, report->facts[i].text);
	}
}

static void print_steps(const struct print *print, const struct check *check)
{
	size_t widest = 0;

	if (check->step_count == 0)
		return;
	fprintf(print->out, "\n%s%s, step by step%s\n", print->colour ? PRINT_BOLD : "",
		check->steps[0].name, print->colour ? PRINT_RESET : "");
	for (size_t i = 0; i < check->step_count; i++) {
		size_t width = strlen(check->steps[i].name);

		widest = width > widest ? width : widest;
	}
	for (size_t i = 0; i < check->step_count; i++) {
		const struct check_step *step = &check->steps[i];

		print_coloured(print, step->is_right ? PRINT_GREEN : PRINT_YELLOW,
			step->is_right ? "ok" : "-", PRINT_INDENT);
		fprintf(print->out, "%-13s%-*s", step->layer, (int)widest + 2, step->name);
		print_wrapped(print, PRINT_INDENT + 13 + widest + 2, step->answer);
	}
}

static const char *print_colour_of(enum check_severity severity)
{
	switch (severity) {
	case CHECK_NOTE:
		return PRINT_DIM;
	case CHECK_WARNING:
		return PRINT_YELLOW;
	case CHECK_ERROR:
		break;
	}
	return PRINT_RED;
}

/* Lines are commands and lines of files: never broken, so that they can be copied. */
static void print_mend(const struct print *print, const char *mend)
{
	const char *label = "Mend:  ";

	while (*mend) {
		size_t octets = strcspn(mend, "\n");

		fprintf(print->out, "%*s%s%.*s\n", (int)PRINT_INDENT, "", label, (int)octets, mend);
		mend += octets + (mend[octets] ? 1 : 0);
		label = "       ";
	}
}

static void print_finding(const struct print *print, const struct check_report *report, size_t i)
{
	const struct check_finding *finding = &report->findings[i];
	const struct check_kind *kind = &check_kinds[finding->id];
	bool is_last = i + 1 == report->finding_count || report->findings[i + 1].id != finding->id;

	fputs("\n", print->out);
	print_coloured(print, print_colour_of(finding->severity),
		check_severity_word(finding->severity), PRINT_INDENT);
	fprintf(print->out, "%s%s%s\n%*s", print->colour ? PRINT_BOLD : "", kind->id,
		print->colour ? PRINT_RESET : "", (int)PRINT_INDENT, "");
	print_wrapped(print, PRINT_INDENT, finding->what);
	fprintf(print->out, "%*sWhy:   ", (int)PRINT_INDENT, "");
	print_wrapped(print, PRINT_INDENT + 7, kind->why);
	if (finding->mend)
		print_mend(print, finding->mend);
	if (is_last && report->omitted[finding->id] > 0)
		fprintf(print->out, "%*sand %zu more like this\n", (int)PRINT_INDENT, "",
			report->omitted[finding->id]);
}

static bool print_has_closed(const struct check_report *report, const char *subject)
{
	for (size_t i = 0; i < report->finding_count; i++) {
		const struct check_kind *kind = &check_kinds[report->findings[i].id];

		if (report->findings[i].severity == CHECK_ERROR && kind->closes &&
			strcmp(kind->subject, subject) == 0)
			return true;
	}
	return false;
}

static void print_verdict(const struct print *print, const struct check *check)
{
	char verdict[CHECK_VERDICT_SIZE];

	check_verdict(check, verdict);
	fprintf(print->out, "\n%s%s%s\n", print->colour ? PRINT_BOLD : "", verdict,
		print->colour ? PRINT_RESET : "");
	if (print_has_closed(&check->report, "nsswitch") &&
		print_has_closed(&check->report, "resolver"))
		fputs("NSS and DNS both lead to names: mending one of them is enough.\n",
			print->out);
}

char *check_print(const struct check *check, size_t width, bool colour)
{
	struct print print = {
		.width = width > PRINT_WIDTH_MAX ? PRINT_WIDTH_MAX : width, .colour = colour};
	char *text = NULL;
	size_t len = 0;

	print.out = open_memstream(&text, &len);
	if (!print.out)
		return NULL;
	print_facts(&print, &check->report);
	print_steps(&print, check);
	for (size_t i = 0; i < check->report.finding_count; i++)
		print_finding(&print, &check->report, i);
	print_verdict(&print, check);
	if (fclose(print.out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
