/* The parsers of all formats, on a file as a whole and in pieces. The first octet picks one: '0'
 * lease file, '1' guest file, '2' reservation file, '3' hosts file; the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "parser/format.h"
#include "parser/format_macs_internal.h"
#include "parser/format_status_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const struct format *format;
	enum record_kind kind;
} formats[] = {
	{&format_libvirt_status, RECORD_LEASE},
	{&format_libvirt_macs, RECORD_GUEST},
	{&format_libvirt_hostsfile, RECORD_RESERVATION},
	{&format_libvirt_addnhosts, RECORD_STATIC},
};

struct outcome {
	enum record_kind kind;
	size_t records;
	size_t stop_after;
	uint64_t digest;
	struct format_report report;
	enum parser_status status;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/** FNV-1a: reads every octet, so that a sanitizer sees a view that is stale or too long. */
static void digest(struct outcome *outcome, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		outcome->digest = (outcome->digest ^ bytes.ptr[i]) * 0x100000001b3;
}

static bool take_record(void *ctx, const struct record *record)
{
	struct outcome *outcome = ctx;

	require(record->kind == outcome->kind);
	if (record->kind == RECORD_GUEST)
		require(record->address.family == ADDRESS_NONE && record->name.len > 0);
	else
		require(address_is_host(&record->address));
	if (record->kind == RECORD_STATIC)
		require(record->name.len > 0 && !record->has_mac);
	require(record->duid.len <= RECORD_DUID_OCTETS_MAX);
	require(record->duid.len == 0 || record->address.family == ADDRESS_IPV6);
	require(record->expires_unix_s >= 0 && record->expires_unix_s <= INT64_C(253402300799));
	digest(outcome, record->name);
	digest(outcome, record->duid);
	digest(outcome, (struct bytes){record->mac.octets, MAC_OCTETS});
	outcome->records++;
	return outcome->records != outcome->stop_after;
}

static struct outcome parse(size_t which, struct bytes text, size_t stop_after)
{
	struct outcome outcome = {.kind = formats[which].kind, .stop_after = stop_after};
	struct format_report report;
	enum parser_status status =
		format_parse(formats[which].format, text, take_record, &outcome, &report);

	require(status == PARSER_OK || status == PARSER_E_SYNTAX || status == PARSER_E_LIMIT);
	require(report.records == outcome.records);
	require(report.records + report.skipped <= FORMAT_RECORDS_MAX);
	require((report.skipped > 0) == (report.defect != FORMAT_DEFECT_NONE));
	if (report.skipped > 0 || status == PARSER_E_SYNTAX)
		require(report.line > 0);
	outcome.report = report;
	outcome.status = status;
	return outcome;
}

/** A text that comes in pieces, as the NSS modules read it. */
struct pieces {
	struct format_text text; /* First, so that a text is its pieces. */
	struct bytes rest;
	size_t piece;
	uint8_t *octets;
};

static bool more_pieces(struct format_text *text, size_t consumed)
{
	struct pieces *pieces = (struct pieces *)text;
	size_t kept = text->bytes.len - consumed;
	size_t len = pieces->rest.len < pieces->piece ? pieces->rest.len : pieces->piece;
	uint8_t *octets;

	if (len == 0)
		return false;
	/* Elsewhere each time: who keeps a view of the old octets is found out. */
	octets = malloc(kept + len);
	require(octets != NULL);
	if (kept)
		memcpy(octets, text->bytes.ptr + consumed, kept);
	memcpy(octets + kept, pieces->rest.ptr, len);
	pieces->rest.ptr += len;
	pieces->rest.len -= len;
	free(pieces->octets);
	pieces->octets = octets;
	text->bytes = (struct bytes){octets, kept + len};
	return true;
}

/** In pieces it is what it is as a whole, but for lines. */
static void compare_pieces(size_t which, struct bytes text, const struct outcome *whole)
{
	struct outcome outcome = {.kind = formats[which].kind};
	struct pieces pieces = {.text = {.bytes = {text.ptr, 0}, .more = more_pieces},
		.rest = text,
		.piece = 1 + text.len % 61};
	enum parser_status status =
		formats[which].format->parse(&pieces.text, take_record, &outcome, &outcome.report);

	require(status == whole->status);
	require(outcome.records == whole->records && outcome.digest == whole->digest);
	require(outcome.report.skipped == whole->report.skipped);
	require(outcome.report.defect == whole->report.defect);
	free(pieces.octets);
}

/** The quick reader takes an entry only if json-c takes it, and they read the same. */
static void compare_readers(struct bytes text)
{
	struct json_tokener *tokener = NULL;
	struct json_slices slices;
	struct bytes element;

	json_slices_init(&slices, text);
	while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0) {
		struct json_object *object = NULL;
		struct status_entry plain;
		struct status_entry by_json;

		if (!format_status_read_plain(element, &plain))
			continue;
		require(format_status_read_json(&tokener, element, &object, &by_json) == PARSER_OK);
		for (size_t i = 0; i < STATUS_KEY_COUNT; i++) {
			require(plain.values[i].type == by_json.values[i].type);
			require(plain.values[i].number == by_json.values[i].number);
			require(bytes_equal(plain.values[i].text, by_json.values[i].text));
		}
		json_object_put(object);
	}
	if (tokener)
		json_tokener_free(tokener);
}

static bool is_text(struct json_object *value, struct bytes text)
{
	return json_object_is_type(value, json_type_string) &&
	       (size_t)json_object_get_string_len(value) == text.len &&
	       (text.len == 0 || memcmp(json_object_get_string(value), text.ptr, text.len) == 0);
}

/** Likewise of guests. The list is compared only in whether there is one. */
static void compare_guest_readers(struct bytes text)
{
	struct json_tokener *tokener = NULL;
	struct json_slices slices;
	struct bytes element;

	json_slices_init(&slices, text);
	while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0) {
		struct json_object *object = NULL;
		struct json_object *value = NULL;
		struct macs_entry entry;

		if (!format_macs_read_plain(element, &entry))
			continue;
		require(json_slices_build(&tokener, element, &object) == PARSER_OK);
		if (json_object_object_get_ex(object, "domain", &value))
			require(is_text(value, entry.name));
		else
			require(entry.name.len == 0);
		require(json_object_object_get_ex(object, "macs", &value) ==
			(entry.macs.ptr != NULL));
		json_object_put(object);
	}
	if (tokener)
		json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole;
	struct bytes text;
	uint8_t *copy;
	size_t which;

	if (size == 0)
		return 0;
	which = data[0] % (sizeof(formats) / sizeof(formats[0]));
	copy = malloc(size); /* A copy that ends where its memory ends. */
	require(copy != NULL);
	memcpy(copy, data, size);
	text = (struct bytes){copy + 1, size - 1};
	whole = parse(which, text, 0);
	require(parse(which, text, 0).digest == whole.digest);
	if (whole.records > 1)
		require(parse(which, text, whole.records / 2).records == whole.records / 2);
	compare_pieces(which, text, &whole);
	if (which == 0)
		compare_readers(text);
	if (which == 1)
		compare_guest_readers(text);
	free(copy);
	return 0;
}
