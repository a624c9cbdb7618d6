/* libvirt's `<bridge>.macs`: which running guest has which MAC addresses. */
#include "format.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "format_internal.h"
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

/** A guest whose MAC addresses are handed out one by one. */
struct guest {
	struct format_run *run;
	const uint8_t *where;
	struct record record;
	bool handed_out;
};

/** One record for each MAC address. False if the parse ends here. */
static bool hand_out_mac(struct guest *guest, struct bytes text)
{
	if (!mac_parse(text, &guest->record.mac))
		return format_run_skip(guest->run, FORMAT_DEFECT_MAC, guest->where);
	guest->record.has_mac = true;
	guest->handed_out = true;
	return format_run_record(guest->run, &guest->record);
}

/** A guest whose list has no good MAC address is still a guest. */
static bool hand_out_rest(struct guest *guest)
{
	return guest->handed_out || format_run_record(guest->run, &guest->record);
}

/* --- Guests in libvirt's plain shape --------------------------------------------------------- */

/** What a plain guest says. */
struct plain_guest {
	struct bytes domain;
	struct json_plain macs; /**< The array, checked; `at` is NULL if there is none. */
};

/** Takes an array of strings. */
static bool take_texts(struct json_plain *cursor)
{
	struct bytes text;

	if (!json_plain_take(cursor, '['))
		return false;
	if (json_plain_take(cursor, ']'))
		return true;
	do {
		if (!json_plain_text(cursor, &text))
			return false;
	} while (json_plain_take(cursor, ','));
	return json_plain_take(cursor, ']');
}

/** Takes `domain` or `macs`; neither comes twice. */
static bool take_member(struct json_plain *cursor, struct plain_guest *guest)
{
	struct bytes key;

	if (!json_plain_text(cursor, &key) || !json_plain_take(cursor, ':'))
		return false;
	if (bytes_equal(key, bytes_of_text("domain")))
		return !guest->domain.ptr && json_plain_text(cursor, &guest->domain);
	if (!bytes_equal(key, bytes_of_text("macs")) || guest->macs.at)
		return false;
	guest->macs = *cursor;
	return take_texts(cursor);
}

/** False if it is anything but a plain guest with a name, sound or not. */
static bool read_plain(struct bytes element, struct plain_guest *out_guest)
{
	struct json_plain cursor = json_plain_of(element);

	*out_guest = (struct plain_guest){0};
	if (element.len > JSON_SLICES_ELEMENT_OCTETS_MAX || !json_plain_take(&cursor, '{'))
		return false;
	do {
		if (!take_member(&cursor, out_guest))
			return false;
	} while (json_plain_take(&cursor, ','));
	return json_plain_take(&cursor, '}') && cursor.at == cursor.end && out_guest->domain.len;
}

static bool hand_out_plain(struct guest *guest, struct json_plain macs)
{
	struct bytes text;

	if (macs.at) {
		json_plain_take(&macs, '[');
		while (json_plain_text(&macs, &text)) {
			if (!hand_out_mac(guest, text))
				return false;
			json_plain_take(&macs, ',');
		}
	}
	return hand_out_rest(guest);
}

/* --- All others, by json-c ------------------------------------------------------------------- */

static bool hand_out_json(struct guest *guest, struct json_object *macs)
{
	const size_t count = macs ? json_object_array_length(macs) : 0;

	for (size_t i = 0; i < count; i++) {
		struct bytes text = {0};

		/* What is no string is no MAC address either. */
		string_of(json_object_array_get_idx(macs, i), &text);
		if (!hand_out_mac(guest, text))
			return false;
	}
	return hand_out_rest(guest);
}

static bool parse_guest(struct format_run *run, struct json_object *object, const uint8_t *where)
{
	struct guest guest = {.run = run, .where = where, .record = {.kind = RECORD_GUEST}};
	struct json_object *domain = NULL;
	struct json_object *macs = NULL;

	json_object_object_get_ex(object, "domain", &domain);
	if (!string_of(domain, &guest.record.name) || guest.record.name.len == 0)
		return format_run_skip(run, FORMAT_DEFECT_NAME, where);
	if (json_object_object_get_ex(object, "macs", &macs) &&
		json_object_get_type(macs) != json_type_array)
		return format_run_skip(run, FORMAT_DEFECT_MAC, where);
	return hand_out_json(&guest, macs);
}

/** False if the parse ends here. */
static bool parse_element(
	struct format_run *run, struct json_tokener **tokener, struct bytes element)
{
	struct guest guest = {.run = run, .where = element.ptr, .record = {.kind = RECORD_GUEST}};
	struct json_object *object = NULL;
	struct plain_guest plain;
	enum parser_status status;
	bool go_on = false;

	if (read_plain(element, &plain)) {
		guest.record.name = plain.domain;
		return hand_out_plain(&guest, plain.macs);
	}
	status = json_slices_build(tokener, element, &object);
	if (status == PARSER_OK)
		go_on = parse_guest(run, object, element.ptr);
	else if (status == PARSER_E_NO_MEMORY)
		run->status = status;
	else
		go_on = format_run_skip(run, FORMAT_DEFECT_SYNTAX, element.ptr);
	json_object_put(object);
	return go_on;
}

static enum parser_status parse_macs(
	struct format_text *text, record_sink sink, void *ctx, struct format_report *out_report)
{
	struct format_run run = {.text = text, .sink = sink, .ctx = ctx};
	struct json_tokener *tokener = NULL; /* Made for the first guest that needs it. */
	struct json_slices slices;
	struct bytes element;

	json_slices_init(&slices, text->bytes);
	while (format_run_element(&run, &slices, &element) &&
		parse_element(&run, &tokener, element))
		;
	if (tokener)
		json_tokener_free(tokener);
	*out_report = run.report;
	return run.status;
}

const struct format format_libvirt_macs = {
	.name = "guest file",
	.suffix = ".macs",
	.stem = FORMAT_STEM_BRIDGE,
	.parse = parse_macs,
};
