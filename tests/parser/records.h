/** @file For the tests of the formats: parses a text and keeps what came out as readable lines,
 * such as "lease 'alpha' 192.168.122.36 52:54:00:00:00:0a - 1795504086": kind, name, address, MAC
 *  address, DUID, expiry. Include it after cmocka.h. */
#ifndef TESTS_PARSER_RECORDS_H
#define TESTS_PARSER_RECORDS_H

#include <stdio.h>
#include <stdlib.h>

#include "parser/format.h"
#include "tests/support/scratch.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define RECORDS_LINES_MAX 32

struct records {
	char lines[RECORDS_LINES_MAX][2048]; /**< Those after are counted only. */
	size_t count;
	size_t stop_after; /**< The sink says false for this record; 0: never. */
	struct format_report report;
	enum parser_status status;
};

static inline void records_print_name(FILE *out, struct bytes name)
{
	fputc('\'', out);
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] >= 0x20 && name.ptr[i] < 0x7f)
			fputc(name.ptr[i], out);
		else
			fprintf(out, "\\%02x", name.ptr[i]);
	}
	fputc('\'', out);
}

static inline void records_print(FILE *out, const struct record *record)
{
	static const char *const kinds[] = {
		[RECORD_LEASE] = "lease",
		[RECORD_GUEST] = "guest",
		[RECORD_RESERVATION] = "reservation",
		[RECORD_STATIC] = "static",
	};
	char address[ADDRESS_TEXT_SIZE];
	char mac[MAC_TEXT_SIZE] = "-";

	address_format(&record->address, address);
	if (record->has_mac)
		mac_format(&record->mac, mac);
	fprintf(out, "%s ", kinds[record->kind]);
	records_print_name(out, record->name);
	fprintf(out, " %s %s ", record->address.family ? address : "-", mac);
	for (size_t i = 0; i < record->duid.len; i++)
		fprintf(out, "%02x", record->duid.ptr[i]);
	fprintf(out, "%s %lld", record->duid.len ? "" : "-", (long long)record->expires_unix_s);
}

static inline bool records_sink(void *ctx, const struct record *record)
{
	struct records *records = ctx;

	if (records->count < RECORDS_LINES_MAX) {
		char *line = records->lines[records->count];
		FILE *out = fmemopen(line, sizeof(records->lines[0]), "w");

		assert_non_null(out);
		records_print(out, record);
		fclose(out);
	}
	records->count++;
	return records->count != records->stop_after;
}

/** Parses a copy that ends where its memory ends, so that a sanitizer sees a step beyond. */
static inline void records_parse(
	struct records *records, const struct format *format, struct bytes text)
{
	uint8_t *copy = malloc(text.len + !text.len);

	assert_non_null(copy);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	records->count = 0;
	memset(&records->report, 0xa5, sizeof(records->report));
	records->status = format_parse(
		format, (struct bytes){copy, text.len}, records_sink, records, &records->report);
	free(copy);
	assert_int_equal(records->report.records, records->count);
}

/** Parses a captured file; `name` is below tests/data/captures. */
static inline void records_parse_capture(
	struct records *records, const struct format *format, const char *name)
{
	size_t len;
	char *text = scratch_read(scratch_path(TESTS_DATA_DIR "/captures", name), &len);

	records_parse(records, format, (struct bytes){(const uint8_t *)text, len});
	free(text);
}

/** Compares the lines with `expected`, which ends with NULL. */
static inline void records_expect(const struct records *records, const char *const *expected)
{
	size_t count = 0;

	while (expected[count]) {
		if (count >= records->count)
			fail_msg("missing: %s", expected[count]);
		assert_string_equal(records->lines[count], expected[count]);
		count++;
	}
	assert_int_equal(records->count, count);
}

#endif
