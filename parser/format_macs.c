/* libvirt's `<bridge>.macs`: which running guest has which MAC addresses. */
#include "format.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "format_internal.h"
#include "format_macs_internal.h"
#include "json_plain.h"

/** The bytes of a JSON string, of any length and with any NUL in it; false if it is none. */
static bool string_of(struct json_object *value, struct bytes *out_text)
{
	if (json_object_get_type(value) != json_type_string)
		return false;
	*out_text = (struct bytes){(const uint8_t *)json_object_get_string(value),
		(size_t)json_object_get_string_len(value)};
	return true;
}

/** Hands out a record for one entry of the list. False if the parse ends here. */
static bool hand_out_mac(struct format_run *run, struct record *record, bool is_text,
	struct bytes text, const uint8_t *where)
{
	if (!is_text || !mac_parse(text, &record->mac))
		return format_run_skip(run, FORMAT_DEFECT_MAC, where);
	record->has_mac = true;
	return format_run_record(run, record);
}

/** One record for each MAC address; a guest whose list has no good one is still a guest. */
static bool hand_out_macs(struct format_run *run, struct record *record, struct json_object *macs,
	const uint8_t *where)
{
	const size_t count = macs ? json_object_array_length(macs) : 0;

	for (size_t i = 0; i < count; i++) {
		struct bytes text = {NULL, 0};
		bool is_text = string_of(json_object_array_get_idx(macs, i), &text);

		if (!hand_out_mac(run, record, is_text, text, where))
			return false;
	}
	return record->has_mac || format_run_record(run, record);
}

static bool parse_guest(struct format_run *run, struct json_object *guest, const uint8_t *where)
{
	struct record record = {.kind = RECORD_GUEST};
	struct json_object *domain = NULL;
	struct json_object *macs = NULL;

	json_object_object_get_ex(guest, "domain", &domain);
	if (!string_of(domain, &record.name) || record.name.len == 0)
		return format_run_skip(run, FORMAT_DEFECT_NAME, where);
	if (json_object_object_get_ex(guest, "macs", &macs) &&
		json_object_get_type(macs) != json_type_array)
		return format_run_skip(run, FORMAT_DEFECT_MAC, where);
	return hand_out_macs(run, &record, macs, where);
}

/** Takes a list of strings.
 *  @param out_list what stands between the brackets; void if false. */
static bool take_list(struct json_plain *cursor, struct bytes *out_list)
{
	struct bytes text;

	if (!json_plain_take(cursor, '['))
		return false;
	*out_list = (struct bytes){cursor->at, 0};
	if (json_plain_peek(cursor) != ']') {
		do {
			if (!json_plain_text(cursor, &text))
				return false;
		} while (json_plain_take(cursor, ','));
	}
	out_list->len = (size_t)(cursor->at - out_list->ptr);
	return json_plain_take(cursor, ']');
}

/** Takes a value that is none of ours. */
static bool take_other(struct json_plain *cursor)
{
	struct bytes text;
	int64_t number;

	return json_plain_peek(cursor) == '"' ? json_plain_text(cursor, &text)
					      : json_plain_integer(cursor, &number);
}

bool format_macs_read_plain(struct bytes element, struct macs_entry *out_entry)
{
	struct json_plain cursor = json_plain_of(element);
	bool has_name = false;
	bool has_macs = false;

	*out_entry = (struct macs_entry){0};
	if (element.len > JSON_SLICES_ELEMENT_OCTETS_MAX || !json_plain_take(&cursor, '{'))
		return false;
	do {
		struct bytes key;
		bool taken;

		if (!json_plain_text(&cursor, &key) || !json_plain_take(&cursor, ':'))
			return false;
		if (bytes_equal(key, bytes_of_text("domain"))) {
			taken = !has_name && json_plain_text(&cursor, &out_entry->name);
			has_name = true;
		} else if (bytes_equal(key, bytes_of_text("macs"))) {
			taken = !has_macs && take_list(&cursor, &out_entry->macs);
			has_macs = true;
		} else {
			taken = take_other(&cursor);
		}
		if (!taken)
			return false;
	} while (json_plain_take(&cursor, ','));
	return json_plain_take(&cursor, '}') && cursor.at == cursor.end;
}

/** As parse_guest(). */
static bool parse_plain_guest(
	struct format_run *run, const struct macs_entry *entry, const uint8_t *where)
{
	struct json_plain cursor = json_plain_of(entry->macs);
	struct record record = {.kind = RECORD_GUEST, .name = entry->name};
	struct bytes text;

	if (entry->name.len == 0)
		return format_run_skip(run, FORMAT_DEFECT_NAME, where);
	while (json_plain_text(&cursor, &text)) {
		if (!hand_out_mac(run, &record, true, text, where))
			return false;
		json_plain_take(&cursor, ',');
	}
	return record.has_mac || format_run_record(run, &record);
}

/** False if the parse ends here. */
static bool parse_element(
	struct format_run *run, struct json_tokener **tokener, struct bytes element)
{
	struct json_object *guest = NULL;
	struct macs_entry entry;
	enum parser_status status;
	bool go_on = false;

	if (format_macs_read_plain(element, &entry))
		return parse_plain_guest(run, &entry, element.ptr);
	status = json_slices_build(tokener, element, &guest);
	if (status == PARSER_OK)
		go_on = parse_guest(run, guest, element.ptr);
	else if (status == PARSER_E_NO_MEMORY)
		run->status = status;
	else
		go_on = format_run_skip(run, FORMAT_DEFECT_SYNTAX, element.ptr);
	json_object_put(guest);
	return go_on;
}

static enum parser_status parse_macs(
	struct format_text *text, record_sink sink, void *ctx, struct format_report *out_report)
{
	return format_parse_elements(text, parse_element, sink, ctx, out_report);
}

const struct format format_libvirt_macs = {
	.name = "guest file",
	.suffix = ".macs",
	.stem = FORMAT_STEM_BRIDGE,
	.parse = parse_macs,
};
