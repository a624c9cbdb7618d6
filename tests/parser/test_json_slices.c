#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "parser/json_slices.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Seven levels: with the array, eight. */
#define OPEN7  "[[[[[[["
#define CLOSE7 "]]]]]]]"

static void expect_elements(const char *text, const char *const *elements)
{
	struct json_slices slices;
	struct bytes element;

	json_slices_init(&slices, bytes_of_text(text));
	for (; *elements; elements++) {
		assert_int_equal(json_slices_next(&slices, &element), PARSER_OK);
		if (!bytes_equal(element, bytes_of_text(*elements)))
			fail_msg("%s: got '%.*s', not '%s'", text, (int)element.len,
				(const char *)element.ptr, *elements);
	}
	/* The end stays the end. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(json_slices_next(&slices, &element), PARSER_OK);
		assert_int_equal(element.len, 0);
	}
}

static void test_elements_come_without_white_space(void **state)
{
	static const struct {
		const char *text;
		const char *elements[8];
	} rows[] = {
		{"[]", {NULL}},
		{" \t\r\n[ \n ] \r\n", {NULL}},
		{"[1]", {"1"}},
		{"[{}]", {"{}"}},
		{" [ {\"a\" : 1 } ,\n\t[ 2 ]\r\n, \"x\" ] \n", {"{\"a\" : 1 }", "[ 2 ]", "\"x\""}},
		{"[[],{},[[]],{\"a\":{}}]", {"[]", "{}", "[[]]", "{\"a\":{}}"}},
		{"[" OPEN7 "1,2" CLOSE7 "]", {OPEN7 "1,2" CLOSE7}},
		{"[" OPEN7 CLOSE7 "," OPEN7 CLOSE7 "]", {OPEN7 CLOSE7, OPEN7 CLOSE7}},
		/* What is no JSON inside an element is for others to judge. */
		{"[nonsense, 1 2 ,{,,},{:}]", {"nonsense", "1 2", "{,,}", "{:}"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_elements(rows[i].text, rows[i].elements);
}

static void test_strings_hide_what_is_in_them(void **state)
{
	static const struct {
		const char *text;
		const char *elements[4];
	} rows[] = {
		{"[\"]\",\",\"]", {"\"]\"", "\",\""}},
		{"[\"[{\",\"}\"]", {"\"[{\"", "\"}\""}},
		{"[\"\",\"\"]", {"\"\"", "\"\""}},
		/* "\"]" is one string; "\\" ends at its third backslash's successor. */
		{"[\"\\\"]\",1]", {"\"\\\"]\"", "1"}},
		{"[\"\\\\\",1]", {"\"\\\\\"", "1"}},
		{"[\"\\\\\\\",\",1]", {"\"\\\\\\\",\"", "1"}},
		{"[\"a\\\"\\\"b\\\\\",1]", {"\"a\\\"\\\"b\\\\\"", "1"}},
		{"[{\"a\\\\\":\"}\"},2]", {"{\"a\\\\\":\"}\"}", "2"}},
		{"[\"line\nbreak\",1]", {"\"line\nbreak\"", "1"}},
		{"[\"\xff\xfe\",1]", {"\"\xff\xfe\"", "1"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_elements(rows[i].text, rows[i].elements);
}

static void test_broken_documents_are_told_with_their_place(void **state)
{
	static const struct {
		const char *text;
		enum parser_status status;
		size_t elements; /* before it breaks */
		size_t offset;
	} rows[] = {
		{"", PARSER_E_SYNTAX, 0, 0},
		{" ", PARSER_E_SYNTAX, 0, 1},
		{"{}", PARSER_E_SYNTAX, 0, 0},
		{"null", PARSER_E_SYNTAX, 0, 0},
		{"]", PARSER_E_SYNTAX, 0, 0},
		{",", PARSER_E_SYNTAX, 0, 0},
		{"\xef\xbb\xbf[]", PARSER_E_SYNTAX, 0, 0},
		{"[", PARSER_E_SYNTAX, 0, 1},
		{"[1", PARSER_E_SYNTAX, 0, 2},
		{"[1,", PARSER_E_SYNTAX, 1, 3},
		{"[,1]", PARSER_E_SYNTAX, 0, 1},
		{"[1,]", PARSER_E_SYNTAX, 1, 3},
		{"[1,,2]", PARSER_E_SYNTAX, 1, 3},
		{"[1]]", PARSER_E_SYNTAX, 1, 3},
		{"[1],", PARSER_E_SYNTAX, 1, 3},
		{"[1] x", PARSER_E_SYNTAX, 1, 4},
		{"[1][2]", PARSER_E_SYNTAX, 1, 3},
		{"[}", PARSER_E_SYNTAX, 0, 1},
		{"[1}", PARSER_E_SYNTAX, 0, 2},
		{"[{]", PARSER_E_SYNTAX, 0, 2},
		{"[[1}]", PARSER_E_SYNTAX, 0, 3},
		{"[{\"a\":1}", PARSER_E_SYNTAX, 0, 8},
		{"[1,{\"a\":1", PARSER_E_SYNTAX, 1, 9},
		{"[\"a]", PARSER_E_SYNTAX, 0, 4},
		{"[\"a\\\"]", PARSER_E_SYNTAX, 0, 6},
		{"[\"\\", PARSER_E_SYNTAX, 0, 3},
		{"[1,[" OPEN7 CLOSE7 "]]", PARSER_E_LIMIT, 1, 10},
		{"[{\"a\":" OPEN7 "1" CLOSE7 "}]", PARSER_E_LIMIT, 0, 12},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_slices slices;
		struct bytes element = {0};
		size_t elements = 0;
		enum parser_status status;

		json_slices_init(&slices, bytes_of_text(rows[i].text));
		while ((status = json_slices_next(&slices, &element)) == PARSER_OK) {
			assert_int_not_equal(element.len, 0);
			elements++;
		}
		if (status != rows[i].status || elements != rows[i].elements ||
			slices.offset != rows[i].offset)
			fail_msg("%s: status %d after %zu elements at %zu", rows[i].text, status,
				elements, slices.offset);
	}
}

static void test_every_truncation_of_a_document_is_broken(void **state)
{
	static const char text[] = "[ {\"a\\\"\": [1, {\"b\": \"]\"}]} , \"\\\\\" ]";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		uint8_t *copy = malloc(len + !len); /* its end is where a sanitizer looks */
		struct json_slices slices;
		struct bytes element = {0};
		enum parser_status status;

		assert_non_null(copy);
		memcpy(copy, text, len);
		json_slices_init(&slices, (struct bytes){copy, len});
		do {
			status = json_slices_next(&slices, &element);
		} while (status == PARSER_OK && element.len > 0);
		assert_int_equal(status, PARSER_E_SYNTAX);
		free(copy);
	}
}

static void test_time_is_linear_in_hostile_strings(void **state)
{
	/* Quadratic work over these 4 MiB would take hours. */
	const size_t len = 4u << 20;
	char *text = malloc(len);
	struct json_slices slices;
	struct bytes element;

	(void)state;
	assert_non_null(text);
	memset(text, '\\', len);
	memcpy(text, "[\"", 2);
	json_slices_init(&slices, (struct bytes){(const uint8_t *)text, len});
	assert_int_equal(json_slices_next(&slices, &element), PARSER_E_SYNTAX);
	for (size_t i = 3; i < len; i += 2)
		text[i] = '"';
	json_slices_init(&slices, (struct bytes){(const uint8_t *)text, len});
	assert_int_equal(json_slices_next(&slices, &element), PARSER_E_SYNTAX);
	free(text);
}

static void test_build_takes_one_strict_object(void **state)
{
	static const struct {
		const char *text;
		enum parser_status status;
	} rows[] = {
		{"{}", PARSER_OK},
		{"{\"a\":[1,\"x\",null]}", PARSER_OK},
		{"{\"a\":[[[[[[1]]]]]]}", PARSER_OK},
		{"", PARSER_E_SYNTAX},
		{"1", PARSER_E_SYNTAX},
		{"null", PARSER_E_SYNTAX},
		{"[]", PARSER_E_SYNTAX},
		{"\"x\"", PARSER_E_SYNTAX},
		{"{", PARSER_E_SYNTAX},
		{"{\"a\"}", PARSER_E_SYNTAX},
		{"{\"a\":}", PARSER_E_SYNTAX},
		{"{\"a\":1,}", PARSER_E_SYNTAX},
		{"{\"a\":'1'}", PARSER_E_SYNTAX},
		{"{a:1}", PARSER_E_SYNTAX},
		{"{\"a\":1/**/}", PARSER_E_SYNTAX},
		{"{\"a\":NaN", PARSER_E_SYNTAX},
		{"{} {}", PARSER_E_SYNTAX},
		{"{}x", PARSER_E_SYNTAX},
		{"{\"a\":[[[[[[[[1]]]]]]]]}", PARSER_E_SYNTAX},
	};
	struct json_tokener *tokener = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *value = NULL;
		enum parser_status status =
			json_slices_build(&tokener, bytes_of_text(rows[i].text), &value);

		if (status != rows[i].status)
			fail_msg("%s: status %d", rows[i].text, status);
		assert_int_equal(value != NULL, status == PARSER_OK);
		json_object_put(value);
	}
	json_tokener_free(tokener);
}

static void test_build_refuses_what_is_too_large(void **state)
{
	const size_t len = JSON_SLICES_ELEMENT_OCTETS_MAX + 1;
	char *text = malloc(len);
	struct json_tokener *tokener = NULL;
	struct json_object *value = NULL;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	text[0] = '{';
	text[len - 1] = '}';
	assert_int_equal(
		json_slices_build(&tokener, (struct bytes){(const uint8_t *)text, len}, &value),
		PARSER_E_LIMIT);
	assert_null(tokener);
	text[len - 2] = '}';
	assert_int_equal(
		json_slices_build(&tokener, (struct bytes){(const uint8_t *)text, len - 1}, &value),
		PARSER_OK);
	json_object_put(value);
	json_tokener_free(tokener);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements_come_without_white_space),
		cmocka_unit_test(test_strings_hide_what_is_in_them),
		cmocka_unit_test(test_broken_documents_are_told_with_their_place),
		cmocka_unit_test(test_every_truncation_of_a_document_is_broken),
		cmocka_unit_test(test_time_is_linear_in_hostile_strings),
		cmocka_unit_test(test_build_takes_one_strict_object),
		cmocka_unit_test(test_build_refuses_what_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
