/** @file What the parsers of the formats share: where records and defects go, and lines. Private to
 *  parser/format*.c. */
#ifndef PARSER_FORMAT_INTERNAL_H
#define PARSER_FORMAT_INTERNAL_H

#include "format.h"
#include "json_slices.h"

/** Octets of a line: an address and sixty-four names as long as dnsmasq's own buffer for one
 *  (MAXDNAME, 1025). A longer line is a bad record. */
#define FORMAT_LINE_OCTETS_MAX (64u * 1025)

/** One parse under way. */
struct format_run {
	struct bytes text;
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

/** Takes the next line off `rest`, without its LF or CR LF. False at the end of the text. */
bool format_next_line(struct bytes *rest, struct bytes *out_line);

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
