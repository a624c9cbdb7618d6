/** @file Finds the elements of a JSON array without building them: a string-aware scan that
 *  hands out the bytes of each element, so that json-c sees only those that matter and one bad
 *  element costs only itself. */
#ifndef PARSER_JSON_SLICES_H
#define PARSER_JSON_SLICES_H

#include "bytes.h"
#include "parser_status.h"

/** libvirt's entries are two deep; what is deeper is refused (json-c would recurse). */
#define JSON_SLICES_DEPTH_MAX 8

struct json_slices {
	struct bytes text; /**< The whole document. */
	size_t offset;     /**< Where the next element is looked for. */
	size_t line;       /**< Line of `offset`, from 1. */
	bool started;      /**< '[' was seen. */
};

void json_slices_init(struct json_slices *slices, struct bytes text);

/** Finds the next element.
 *  @param out_element its bytes, without white space around; empty at the end of the array.
 *  @param out_line line on which it starts, from 1.
 *  @return PARSER_OK; PARSER_E_SYNTAX if the text is no array, ends too early, or something
 *  follows its end; PARSER_E_LIMIT if it is nested too deeply. */
enum parser_status json_slices_next(
	struct json_slices *slices, struct bytes *out_element, size_t *out_line);

#endif
