/* libvirt's `<bridge>.status`: the leases that dnsmasq gave out, as its lease helper writes them.
 */
#include "format.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "format_internal.h"
#include "format_status_internal.h"
#include "json_plain.h"

/** The last second of the year 9999: what is later is no time. */
#define EXPIRES_UNIX_S_MAX INT64_C(253402300799)

static const char *const keys[STATUS_KEY_COUNT] = {
	[STATUS_ADDRESS] = "ip-address",
	[STATUS_MAC] = "mac-address",
	[STATUS_HOSTNAME] = "hostname",
	[STATUS_CLIENT_ID] = "client-id",
	[STATUS_EXPIRY] = "expiry-time",
};

static bool take_value(struct json_plain *cursor, struct status_value *out_value)
{
	if (json_plain_peek(cursor) == '"') {
		out_value->type = STATUS_TEXT;
		return json_plain_text(cursor, &out_value->text);
	}
	out_value->type = STATUS_INTEGER;
	return json_plain_integer(cursor, &out_value->number);
}

/** Where the value of `key` belongs; `ignored` if it is none of ours. */
static struct status_value *find_value(
	struct status_entry *entry, struct bytes key, struct status_value *ignored)
{
	for (size_t i = 0; i < STATUS_KEY_COUNT; i++) {
		if (bytes_equal(key, bytes_of_text(keys[i])))
			return &entry->values[i];
	}
	ignored->type = STATUS_ABSENT;
	return ignored;
}

bool format_status_read_plain(struct bytes element, struct status_entry *out_entry)
{
	struct json_plain cursor = json_plain_of(element);
	struct status_value ignored;

	*out_entry = (struct status_entry){0};
	if (element.len > JSON_SLICES_ELEMENT_OCTETS_MAX || !json_plain_take(&cursor, '{'))
		return false;
	do {
		struct status_value *value;
		struct bytes key;

		if (!json_plain_text(&cursor, &key) || !json_plain_take(&cursor, ':'))
			return false;
		value = find_value(out_entry, key, &ignored);
		if (value->type != STATUS_ABSENT || !take_value(&cursor, value))
			return false;
	} while (json_plain_take(&cursor, ','));
	return json_plain_take(&cursor, '}') && cursor.at == cursor.end;
}

static struct status_value value_of_json(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		return (struct status_value){
			.type = STATUS_TEXT,
			.text = {(const uint8_t *)json_object_get_string(value),
				(size_t)json_object_get_string_len(value)},
		};
	if (json_object_is_type(value, json_type_int))
		return (struct status_value){
			.type = STATUS_INTEGER,
			.number = json_object_get_int64(value),
		};
	return (struct status_value){.type = STATUS_OTHER};
}

enum parser_status format_status_read_json(struct json_tokener **tokener, struct bytes element,
	struct json_object **out_object, struct status_entry *out_entry)
{
	enum parser_status status = json_slices_build(tokener, element, out_object);

	if (status != PARSER_OK)
		return status;
	*out_entry = (struct status_entry){0};
	for (size_t i = 0; i < STATUS_KEY_COUNT; i++) {
		struct json_object *value = NULL;

		if (json_object_object_get_ex(*out_object, keys[i], &value))
			out_entry->values[i] = value_of_json(value);
	}
	return PARSER_OK;
}

static bool read_digits(struct bytes text, int64_t *out_number)
{
	struct json_plain cursor = json_plain_of(text);

	return json_plain_digits(&cursor, out_number) && cursor.at == cursor.end;
}

/** A number, or digits in a string as some writers have it. 0 if missing: never ends. */
static bool judge_expiry(const struct status_value *value, int64_t *out_unix_s)
{
	int64_t number = 0;

	switch (value->type) {
	case STATUS_ABSENT:
		break;
	case STATUS_INTEGER:
		number = value->number;
		break;
	case STATUS_TEXT:
		if (!read_digits(value->text, &number))
			return false;
		break;
	case STATUS_OTHER:
		return false;
	}
	if (number < 0 || number > EXPIRES_UNIX_S_MAX)
		return false;
	*out_unix_s = number;
	return true;
}

enum format_defect format_status_judge(const struct status_entry *entry,
	uint8_t duid[RECORD_DUID_OCTETS_MAX], struct record *out_record)
{
	const struct status_value *values = entry->values;
	struct record record = {.kind = RECORD_LEASE, .name = values[STATUS_HOSTNAME].text};

	if (values[STATUS_ADDRESS].type != STATUS_TEXT ||
		!address_parse(values[STATUS_ADDRESS].text, &record.address) ||
		!address_is_host(&record.address))
		return FORMAT_DEFECT_ADDRESS;
	record.has_mac = values[STATUS_MAC].type != STATUS_ABSENT;
	if (record.has_mac && (values[STATUS_MAC].type != STATUS_TEXT ||
				      !mac_parse(values[STATUS_MAC].text, &record.mac)))
		return FORMAT_DEFECT_MAC;
	if (values[STATUS_HOSTNAME].type != STATUS_ABSENT &&
		values[STATUS_HOSTNAME].type != STATUS_TEXT)
		return FORMAT_DEFECT_SYNTAX;
	if (!judge_expiry(&values[STATUS_EXPIRY], &record.expires_unix_s))
		return FORMAT_DEFECT_EXPIRY;
	/* dnsmasq puts the DUID there for IPv6; for IPv4 it is what the client says, RFC 2132
	 * section 9.14, which may be anything. So it never costs the record. */
	if (record.address.family == ADDRESS_IPV6)
		record.duid = (struct bytes){
			duid, format_parse_duid(values[STATUS_CLIENT_ID].text, duid)};
	*out_record = record;
	return FORMAT_DEFECT_NONE;
}

static bool hand_out(struct format_run *run, const struct status_entry *entry, const uint8_t *where)
{
	uint8_t duid[RECORD_DUID_OCTETS_MAX];
	struct record record;
	enum format_defect defect = format_status_judge(entry, duid, &record);

	if (defect != FORMAT_DEFECT_NONE)
		return format_run_skip(run, defect, where);
	return format_run_record(run, &record);
}

/** False if the parse ends here. */
static bool parse_element(
	struct format_run *run, struct json_tokener **tokener, struct bytes element)
{
	struct json_object *object = NULL;
	struct status_entry entry;
	enum parser_status status;
	bool go_on = false;

	if (format_status_read_plain(element, &entry))
		return hand_out(run, &entry, element.ptr);
	status = format_status_read_json(tokener, element, &object, &entry);
	if (status == PARSER_OK)
		go_on = hand_out(run, &entry, element.ptr);
	else if (status == PARSER_E_NO_MEMORY)
		run->status = status;
	else
		go_on = format_run_skip(run, FORMAT_DEFECT_SYNTAX, element.ptr);
	json_object_put(object);
	return go_on;
}

static enum parser_status parse_status(
	struct format_text *text, record_sink sink, void *ctx, struct format_report *out_report)
{
	return format_parse_elements(text, parse_element, sink, ctx, out_report);
}

const struct format format_libvirt_status = {
	.name = "lease file",
	.suffix = ".status",
	.stem = FORMAT_STEM_BRIDGE,
	.holds_leases = true,
	.parse = parse_status,
};
