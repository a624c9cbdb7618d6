#include "server/dns/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/asking.h"

/* A query with one question in memory of its exact size. @param name wire format. */
static uint8_t *query_of(const char *name, size_t name_octets, size_t *out_len)
{
	static const uint8_t header[12] = {0xbe, 0xef, 1, 0, 0, 1};
	const size_t len = sizeof(header) + name_octets + 4;
	uint8_t *octets = malloc(len);

	assert_non_null(octets);
	memcpy(octets, header, sizeof(header));
	memcpy(octets + sizeof(header), name, name_octets);
	memcpy(octets + len - 4, "\0\34\0\3", 4); /* AAAA, CH */
	*out_len = len;
	return octets;
}

#define WIRE(text) text, sizeof(text) /* With the NUL: the root. */

static void test_names_are_one_printable_word(void **state)
{
	static const struct {
		const char *name;
		size_t octets;
		const char *text;
		bool is_reverse;
	} cases[] = {
		{WIRE(""), ".", false},
		{WIRE("\2vm\7libvirt"), "vm.libvirt", false},
		{WIRE("\2Vm\7LIBVIRT"), "Vm.LIBVIRT", false},
		{WIRE("\4a.b\\\1;"), "a\\.b\\\\.\\;", false},
		{WIRE("\6\x1b[2J\n "), "\\027[2J\\010\\032", false},
		{WIRE("\4\xff\x7f\x80\0"), "\\255\\127\\128\\000", false},
		{WIRE("\4arpa"), "arpa", false},
		{WIRE("\1x\4arpa"), "x.arpa", false},
		{WIRE("\7in-addr\4arpa"), "in-addr.arpa", true},
		{WIRE("\2"
		      "10\7IN-addr\4ARPA"),
			"10.IN-addr.ARPA", true},
		{WIRE("\1"
		      "1\3ip6\4arpa"),
			"1.ip6.arpa", true},
		{WIRE("\7in-addr\4arpa\1x"), "in-addr.arpa.x", false},
	};
	char text[QUESTION_NAME_SIZE];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct question question;
		size_t len;
		uint8_t *query = query_of(cases[i].name, cases[i].octets, &len);

		assert_true(question_read((struct bytes){query, len}, &question));
		assert_string_equal(question_name_text(&question, text), cases[i].text);
		assert_int_equal(question.is_reverse, cases[i].is_reverse);
		assert_int_equal(question.type, DNS_TYPE_AAAA);
		assert_int_equal(question.class, 3);
		free(query);
	}
}

/* 127 labels of one hostile octet, and labels of 63: no text is longer. */
static void test_longest_names_fit(void **state)
{
	char name[256];
	char text[QUESTION_NAME_SIZE];
	struct question question;
	uint8_t *query;
	size_t len;
	(void)state;

	for (size_t i = 0; i < 254; i += 2)
		memcpy(name + i, "\1\xff", 2);
	name[254] = '\0';
	query = query_of(name, 255, &len);
	assert_true(question_read((struct bytes){query, len}, &question));
	assert_int_equal(strlen(question_name_text(&question, text)), 127 * 4 + 126);
	free(query);
	memset(name, 0xff, sizeof(name));
	name[0] = name[64] = name[128] = 63;
	name[192] = 61;
	name[254] = '\0';
	query = query_of(name, 255, &len);
	assert_true(question_read((struct bytes){query, len}, &question));
	assert_int_equal(strlen(question_name_text(&question, text)), 250 * 4 + 3);
	free(query);
	name[192] = 62; /* 256 octets. */
	name[254] = 'x';
	name[255] = '\0';
	query = query_of(name, 256, &len);
	assert_false(question_read((struct bytes){query, len}, &question));
	free(query);
}

/* What ldns makes of the escaped name is the name again. */
static void test_text_is_what_it_came_from(void **state)
{
	(void)state;
	for (unsigned octet = 0; octet < 256; octet++) {
		const char name[] = {3, (char)octet, 'x', (char)octet, 1, (char)octet, 0};
		char text[QUESTION_NAME_SIZE];
		struct question question;
		size_t len;
		uint8_t *query = query_of(name, sizeof(name), &len);
		ldns_rdf *back;

		assert_true(question_read((struct bytes){query, len}, &question));
		back = ldns_dname_new_frm_str(question_name_text(&question, text));
		assert_non_null(back);
		assert_int_equal(ldns_rdf_size(back), sizeof(name));
		assert_memory_equal(ldns_rdf_data(back), name, sizeof(name));
		for (const char *at = text; *at; at++)
			assert_in_range(*at, 0x21, 0x7e);
		ldns_rdf_deep_free(back);
		free(query);
	}
}

static void test_what_is_no_question_is_not_read(void **state)
{
	size_t len;
	uint8_t *query = query_of(WIRE("\2vm\7libvirt"), &len);
	struct question question;
	(void)state;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);

		assert_non_null(part);
		memcpy(part, query, cut);
		assert_false(question_read((struct bytes){part, cut}, &question));
		free(part);
	}
	query[12] = 0xc0; /* A pointer. */
	assert_false(question_read((struct bytes){query, len}, &question));
	query[12] = 0x40;
	assert_false(question_read((struct bytes){query, len}, &question));
	query[12] = 2;
	query[5] = 0;
	assert_false(question_read((struct bytes){query, len}, &question));
	query[5] = 2;
	assert_false(question_read((struct bytes){query, len}, &question));
	query[5] = 1;
	assert_true(question_read((struct bytes){query, len}, &question));
	free(query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_one_printable_word),
		cmocka_unit_test(test_longest_names_fit),
		cmocka_unit_test(test_text_is_what_it_came_from),
		cmocka_unit_test(test_what_is_no_question_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
