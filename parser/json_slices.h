/** @file The elements of a JSON array, one at a time: a string-aware scan finds the bytes of each
 *  without building anything, and json-c builds only those that the caller asks for. So one bad
 *  element costs only itself. */
#ifndef PARSER_JSON_SLICES_H
#define PARSER_JSON_SLICES_H

#include "bytes.h"
#include "parser_status.h"

struct json_object;
struct json_tokener;

/** Levels of nesting, the array itself included. libvirt's files have three at most; what is
 *  deeper is refused, since json-c would recurse. */
#define JSON_SLICES_DEPTH_MAX 8
/** Octets of an element that is built: over five hundred MAC addresses of one guest. */
#define JSON_SLICES_ELEMENT_OCTETS_MAX (16u * 1024)
/** Memory that json-c takes at most to build `len` octets: its buffers and locale, and for each
 *  "{}," a table of a thousand octets. */
#define JSON_SLICES_BUILD_OCTETS(len) (8192 + 320 * (len))

struct json_slices {
	struct bytes text; /**< The whole document. */
	size_t offset; /**< Where the next element is looked for; after an error, where it is. */
	bool started;  /**< '[' was seen. */
	bool ended;    /**< The ']' that closes the array was seen. */
};

void json_slices_init(struct json_slices *slices, struct bytes text);

/** Finds the next element.
 *  @param out_element its bytes, without white space around; empty at the end of the array.
 *  @return PARSER_OK; PARSER_E_SYNTAX if the text is no array, ends too early, or something
 *  follows its end; PARSER_E_LIMIT if it is nested too deeply. */
enum parser_status json_slices_next(struct json_slices *slices, struct bytes *out_element);

/** Builds one element with json-c, under its strict rules (no comments, no trailing commas) if all
 *  of it is ASCII.
 *  @param tokener where it keeps its tokener, NULL before the first call; the caller's to free by
 *  json_tokener_free().
 *  @param out_value the caller's to free by json_object_put(); never NULL.
 *  @return PARSER_OK; PARSER_E_SYNTAX if it is no JSON object; PARSER_E_LIMIT if it is larger than
 *  JSON_SLICES_ELEMENT_OCTETS_MAX; PARSER_E_NO_MEMORY. */
enum parser_status json_slices_build(
	struct json_tokener **tokener, struct bytes element, struct json_object **out_value);

#endif
