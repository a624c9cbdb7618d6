/** @file What the parsers of the formats share: where records and defects go, and lines. Private to
 *  parser/format*.c. */
#ifndef PARSER_FORMAT_INTERNAL_H
#define PARSER_FORMAT_INTERNAL_H

#include "format.h"
#include "json_slices.h"

/** One parse under way. */
struct format_run {
	struct format_text *text;
	size_t offset; /**< Of the next line. */
	record_sink sink;
	void *ctx;
	struct format_report report;
	enum parser_status status; /**< Why it ended, if it has. */
};

/** Hands a record to the sink. False if the parse ends here: the sink has enough, or the file
 *  holds more than FORMAT_RECORDS_MAX entries (`run->status`). */
bool format_run_record(struct format_run *run, const struct record *record);

/** Counts a bad record at `where` in the text. False if the parse ends here. */
bool format_run_skip(struct format_run *run, enum format_defect defect, const uint8_t *where);

/** Takes the next element of a JSON array. False at its end, if the document breaks there
 *  (`run->status`), and if there is no document: no octets, or only white space. */
bool format_run_element(
	struct format_run *run, struct json_slices *slices, struct bytes *out_element);

/** Parses one element of a JSON array. False if the parse ends here.
 *  @param tokener as json_slices_build() takes it: made for the first element that needs it. */
typedef bool (*format_element)(
	struct format_run *run, struct json_tokener **tokener, struct bytes element);

/** A file that is a JSON array: hands all its elements to `parse`. As format.parse. */
enum parser_status format_parse_elements(struct format_text *text, format_element parse,
	record_sink sink, void *ctx, struct format_report *out_report);

/** Takes the next line, without its LF or CR LF. False at the end of the text, and if the line is
 * too long for a piece of it (`run->status`). */
bool format_run_line(struct format_run *run, struct bytes *out_line);

/** Without blanks (space, tab) at either end. */
struct bytes format_trim(struct bytes text);

static inline bool format_is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/** A DUID from hexadecimal groups.
 *  @return its octets (RFC 8415 section 11.1: two of type and 1 to 128 more), or 0 if the text is
 *  none; then `out_duid` is void. */
size_t format_parse_duid(struct bytes text, uint8_t out_duid[RECORD_DUID_OCTETS_MAX]);

#endif
