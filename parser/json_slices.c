#include "json_slices.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <stdlib.h>

void json_slices_init(struct json_slices *slices, struct bytes text)
{
	*slices = (struct json_slices){.text = text};
}

/** RFC 8259 section 2. */
static bool byte_is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static size_t skip_space(struct bytes text, size_t at)
{
	while (at < text.len && byte_is_space(text.ptr[at]))
		at++;
	return at;
}

/** Offset of the quote that ends the string whose first octet is at `at`; `text.len` if none. */
static size_t string_end(struct bytes text, size_t at)
{
	while (at < text.len) {
		const uint8_t *quote = memchr(text.ptr + at, '"', text.len - at);
		const uint8_t *before = quote;

		if (!quote)
			break;
		while (before > text.ptr + at && before[-1] == '\\')
			before--;
		/* After an even number of backslashes the quote stands for itself. */
		if ((quote - before) % 2 == 0)
			return (size_t)(quote - text.ptr);
		at = (size_t)(quote - text.ptr) + 1;
	}
	return text.len;
}

/** Moves `slices->offset` from the start of an element to the ',' or ']' behind it. */
static enum parser_status skip_element(struct json_slices *slices)
{
	const struct bytes text = slices->text;
	uint8_t closers[JSON_SLICES_DEPTH_MAX]; /* What has to close each level. */
	size_t depth = 1;
	size_t at = slices->offset;
	enum parser_status status = PARSER_E_SYNTAX;

	for (; at < text.len; at++) {
		const uint8_t byte = text.ptr[at];

		if (byte == '"') {
			at = string_end(text, at + 1);
		} else if (byte == '{' || byte == '[') {
			if (depth == JSON_SLICES_DEPTH_MAX) {
				status = PARSER_E_LIMIT;
				break;
			}
			closers[depth++] = byte == '{' ? '}' : ']';
		} else if (depth == 1 && (byte == ',' || byte == ']')) {
			status = PARSER_OK;
			break;
		} else if (byte == '}' || byte == ']') {
			if (depth == 1 || closers[--depth] != byte)
				break;
		}
	}
	slices->offset = at < text.len ? at : text.len;
	return status;
}

/** After the ']' nothing may follow. */
static enum parser_status finish(struct json_slices *slices, struct bytes *out_element)
{
	slices->offset = skip_space(slices->text, slices->offset);
	if (slices->offset < slices->text.len)
		return PARSER_E_SYNTAX;
	slices->ended = true;
	*out_element = (struct bytes){0};
	return PARSER_OK;
}

/** Moves to the first octet of the next element, or behind the ']' and sets `out_closed`. */
static bool find_element(struct json_slices *slices, bool *out_closed)
{
	const struct bytes text = slices->text;
	const uint8_t opener = slices->started ? ',' : '[';
	size_t at = skip_space(text, slices->offset);
	bool closed = slices->started && at < text.len && text.ptr[at] == ']';

	slices->offset = at;
	if (!closed) {
		if (at == text.len || text.ptr[at] != opener)
			return false;
		at = skip_space(text, at + 1);
		slices->offset = at;
		if (at == text.len || text.ptr[at] == ',')
			return false;
		if (text.ptr[at] == ']') {
			if (slices->started) /* "[1,]" */
				return false;
			closed = true;
		}
	}
	slices->started = true;
	if (closed)
		slices->offset++;
	*out_closed = closed;
	return true;
}

enum parser_status json_slices_next(struct json_slices *slices, struct bytes *out_element)
{
	enum parser_status status;
	bool closed = slices->ended;
	size_t start;
	size_t end;

	if (!closed && !find_element(slices, &closed))
		return PARSER_E_SYNTAX;
	if (closed)
		return finish(slices, out_element);
	start = slices->offset;
	status = skip_element(slices);
	if (status != PARSER_OK)
		return status;
	end = slices->offset;
	while (byte_is_space(slices->text.ptr[end - 1])) /* The element's first octet is none. */
		end--;
	*out_element = (struct bytes){slices->text.ptr + start, end - start};
	return PARSER_OK;
}

/** json-c before 0.17 does not look whether it got the memory for a key and crashes, or cuts a
 *  string short: so see first whether there is enough. */
static bool memory_is_there(size_t octets)
{
	void *volatile probe = malloc(octets); /* volatile: not to be optimized away */

	if (!probe)
		return false;
	free(probe);
	return true;
}

static bool is_ascii(struct bytes text)
{
	uint8_t seen = 0;

	for (size_t i = 0; i < text.len; i++)
		seen |= text.ptr[i];
	return seen < 0x80;
}

/** json-c 0.18 takes every octet that is not ASCII for a control character, which its strict rules
 *  forbid (json-c issue 875). A guest called `büro` is worth more than a comma too many. */
static int tokener_flags(struct bytes element)
{
	return is_ascii(element) ? JSON_TOKENER_STRICT : 0;
}

enum parser_status json_slices_build(
	struct json_tokener **tokener, struct bytes element, struct json_object **out_value)
{
	struct json_object *value;
	enum json_tokener_error error;

	if (element.len > JSON_SLICES_ELEMENT_OCTETS_MAX)
		return PARSER_E_LIMIT;
	if (element.len == 0 || element.ptr[0] != '{')
		return PARSER_E_SYNTAX;
	if (!memory_is_there(JSON_SLICES_BUILD_OCTETS(element.len)))
		return PARSER_E_NO_MEMORY;
	if (!*tokener)
		*tokener = json_tokener_new_ex(JSON_SLICES_DEPTH_MAX);
	if (!*tokener)
		return PARSER_E_NO_MEMORY;
	json_tokener_reset(*tokener);
	json_tokener_set_flags(*tokener, tokener_flags(element));
	value = json_tokener_parse_ex(*tokener, (const char *)element.ptr, (int)element.len);
	error = json_tokener_get_error(*tokener);
	if (!value) /* An object is never NULL; json-c before 0.17 has no error for this. */
		return error == json_tokener_success ? PARSER_E_NO_MEMORY : PARSER_E_SYNTAX;
	if (json_tokener_get_parse_end(*tokener) != element.len) {
		json_object_put(value);
		return PARSER_E_SYNTAX;
	}
	*out_value = value;
	return PARSER_OK;
}
