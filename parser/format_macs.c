/* libvirt's `<bridge>.macs`: which running guest has which MAC addresses. */
#include "format.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "format_internal.h"

/** The bytes of a JSON string, of any length and with any NUL in it; false if it is none. */
static bool string_of(struct json_object *value, struct bytes *out_text)
{
	if (json_object_get_type(value) != json_type_string)
		return false;
	*out_text = (struct bytes){(const uint8_t *)json_object_get_string(value),
		(size_t)json_object_get_string_len(value)};
	return true;
}

/** One record for each MAC address; a guest whose list has no good one is still a guest. */
static bool hand_out_macs(struct format_run *run, struct record *record, struct json_object *macs,
	const uint8_t *where)
{
	const size_t count = macs ? json_object_array_length(macs) : 0;
	bool handed_out = false;

	for (size_t i = 0; i < count; i++) {
		struct bytes text;

		if (string_of(json_object_array_get_idx(macs, i), &text) &&
			mac_parse(text, &record->mac)) {
			record->has_mac = true;
			handed_out = true;
			if (!format_run_record(run, record))
				return false;
		} else if (!format_run_skip(run, FORMAT_DEFECT_MAC, where)) {
			return false;
		}
	}
	return handed_out || format_run_record(run, record);
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

/** False if the parse ends here. */
static bool parse_element(
	struct format_run *run, struct json_tokener **tokener, struct bytes element)
{
	struct json_object *guest = NULL;
	enum parser_status status = json_slices_build(tokener, element, &guest);
	bool go_on = false;

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
	struct format_run run = {.text = text, .sink = sink, .ctx = ctx};
	struct json_tokener *tokener = NULL;
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
