#include "format.h"

#include <json-c/json_tokener.h>

#include "format_internal.h"

static const struct format *const formats[] = {
	&format_libvirt_status,
	&format_libvirt_macs,
	&format_libvirt_hostsfile,
	&format_libvirt_addnhosts,
};

const struct format *format_find(const char *file_name)
{
	const size_t len = strlen(file_name);

	if (file_name[0] == '.')
		return NULL;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const size_t suffix_len = strlen(formats[i]->suffix);

		if (len > suffix_len &&
			memcmp(file_name + len - suffix_len, formats[i]->suffix, suffix_len) == 0)
			return formats[i];
	}
	return NULL;
}

struct bytes format_stem_of(const struct format *format, const char *file_name)
{
	struct bytes stem = bytes_of_text(file_name);

	stem.len -= strlen(format->suffix);
	return stem;
}

const char *format_defect_text(enum format_defect defect)
{
	switch (defect) {
	case FORMAT_DEFECT_NONE:
		return "no defect";
	case FORMAT_DEFECT_SYNTAX:
		return "malformed entry";
	case FORMAT_DEFECT_ADDRESS:
		return "missing or bad IP address";
	case FORMAT_DEFECT_MAC:
		return "bad MAC address";
	case FORMAT_DEFECT_NAME:
		return "missing name";
	case FORMAT_DEFECT_EXPIRY:
		return "bad expiry time";
	}
	return "unknown defect";
}

/** Line of an octet of the text, from 1. Counted only when something is wrong: it reads all that is
 *  before. 0 if that is no longer there. */
static size_t line_of(const struct format_text *text, const uint8_t *where)
{
	const uint8_t *at = text->bytes.ptr;
	size_t line = 1;

	if (text->more)
		return 0;
	while (at < where) {
		const uint8_t *end = memchr(at, '\n', (size_t)(where - at));

		if (!end)
			break;
		at = end + 1;
		line++;
	}
	return line;
}

/** Bad entries count, too: what they cost in time must be bounded. */
static bool has_room(struct format_run *run)
{
	if (run->report.records + run->report.skipped < FORMAT_RECORDS_MAX)
		return true;
	run->status = PARSER_E_LIMIT;
	return false;
}

bool format_run_record(struct format_run *run, const struct record *record)
{
	if (!has_room(run))
		return false;
	run->report.records++;
	return run->sink(run->ctx, record);
}

bool format_run_skip(struct format_run *run, enum format_defect defect, const uint8_t *where)
{
	if (!has_room(run))
		return false;
	if (run->report.skipped++ == 0) {
		run->report.defect = defect;
		run->report.line = line_of(run->text, where);
	}
	return true;
}

/** No octets (libvirt makes the file before the first lease) or white space alone. */
static bool is_void(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!format_is_blank(text.ptr[i]) && text.ptr[i] != '\n' && text.ptr[i] != '\r')
			return false;
	}
	return true;
}

/** Drops what was read and waits for more; false if nothing comes. */
static bool format_run_more(struct format_run *run, size_t consumed)
{
	return run->text->more && run->text->more(run->text, consumed);
}

/** False if there is nothing but white space. */
static bool format_run_begins(struct format_run *run, struct json_slices *slices)
{
	while (is_void(run->text->bytes)) {
		if (!format_run_more(run, run->text->bytes.len))
			return false;
		json_slices_init(slices, run->text->bytes);
	}
	return true;
}

bool format_run_element(
	struct format_run *run, struct json_slices *slices, struct bytes *out_element)
{
	enum parser_status status;
	struct json_slices before;

	if (!slices->started && !format_run_begins(run, slices))
		return false;
	do {
		before = *slices;
		status = json_slices_next(slices, out_element);
		/* Whatever ends where the piece ends may go on. */
		if (slices->offset < slices->text.len || !format_run_more(run, before.offset))
			break;
		*slices = before;
		slices->text = run->text->bytes;
		slices->offset = 0;
	} while (true);
	if (status != PARSER_OK) {
		run->status = status;
		run->report.line = line_of(run->text, slices->text.ptr + slices->offset);
		return false;
	}
	return out_element->len > 0;
}

enum parser_status format_parse_elements(struct format_text *text, format_element parse,
	record_sink sink, void *ctx, struct format_report *out_report)
{
	struct format_run run = {.text = text, .sink = sink, .ctx = ctx};
	struct json_tokener *tokener = NULL;
	struct json_slices slices;
	struct bytes element;

	json_slices_init(&slices, text->bytes);
	while (format_run_element(&run, &slices, &element) && parse(&run, &tokener, element))
		;
	if (tokener)
		json_tokener_free(tokener);
	*out_report = run.report;
	return run.status;
}

bool format_run_line(struct format_run *run, struct bytes *out_line)
{
	const uint8_t *end;
	struct bytes line;

	do {
		line = run->text->bytes;
		if (run->offset) { /* Else it may be NULL. */
			line.ptr += run->offset;
			line.len -= run->offset;
		}
		end = line.len ? memchr(line.ptr, '\n', line.len) : NULL;
		if (end || !format_run_more(run, run->offset))
			break;
		run->offset = 0;
	} while (true);
	if (!end && run->text->more && line.len > FORMAT_LINE_OCTETS_MAX)
		run->status = PARSER_E_LIMIT;
	if (line.len == 0 || run->status != PARSER_OK)
		return false;
	if (end)
		line.len = (size_t)(end - line.ptr);
	run->offset += line.len + (end ? 1 : 0);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	*out_line = line;
	return true;
}

enum parser_status format_parse(const struct format *format, struct bytes text, record_sink sink,
	void *ctx, struct format_report *out_report)
{
	struct format_text whole = {.bytes = text};

	return format->parse(&whole, sink, ctx, out_report);
}

struct bytes format_trim(struct bytes text)
{
	while (text.len > 0 && format_is_blank(text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	while (text.len > 0 && format_is_blank(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

size_t format_parse_duid(struct bytes text, uint8_t out_duid[RECORD_DUID_OCTETS_MAX])
{
	const size_t len = hex_groups_parse(text, out_duid, RECORD_DUID_OCTETS_MAX);

	return len > 2 ? len : 0;
}
