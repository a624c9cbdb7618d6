#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/dns/reply.h"

#define POISON 0xa5

/* "vM." A IN, without and with OPT (DO set, so that its copy is seen). */
#define PLAIN "\xab\xcd\1\0\0\1\0\0\0\0\0\0\2vM\0\0\1\0\1"
#define EDNS  "\xab\xcd\1\x10\0\1\0\0\0\0\0\1\2vM\0\0\1\0\1\0\0\x29\x10\0\0\0\x80\x01\0\0"

struct fixture {
	struct query query;
	struct reply reply;
	uint8_t octets[600];
};

static bool fixture_start(
	struct fixture *fixture, const char *query, size_t query_len, size_t limit)
{
	memset(fixture->octets, POISON, sizeof(fixture->octets));
	assert_int_equal(
		query_parse((struct bytes){(const uint8_t *)query, query_len}, &fixture->query),
		QUERY_OK);
	return reply_start(&fixture->reply, &fixture->query, fixture->octets, limit);
}

#define START(fixture, query, limit) fixture_start(fixture, query, sizeof(query) - 1, limit)

static void test_question_comes_back_as_it_was(void **state)
{
	static const char expected[] = "\xab\xcd\x81\0\0\1\0\0\0\0\0\0\2vM\0\0\1\0\1";
	struct fixture fixture;

	(void)state;
	assert_true(START(&fixture, PLAIN, 512));
	assert_int_equal(reply_finish(&fixture.reply), sizeof(expected) - 1);
	assert_memory_equal(fixture.octets, expected, sizeof(expected) - 1);
}

static void test_bits_are_where_rfc_1035_has_them(void **state)
{
	static const struct {
		bool authoritative, truncated, recursion_available;
		enum dns_rcode rcode;
		uint8_t octets[2];
	} cases[] = {
		{true, false, false, DNS_RCODE_NOERROR, {0x85, 0x00}},
		{false, true, false, DNS_RCODE_FORMERR, {0x83, 0x01}},
		{false, false, true, DNS_RCODE_SERVFAIL, {0x81, 0x82}},
		{true, true, true, DNS_RCODE_NXDOMAIN, {0x87, 0x83}},
		{false, false, false, DNS_RCODE_NOTAUTH, {0x81, 0x09}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture fixture;

		assert_true(START(&fixture, PLAIN, 512));
		fixture.reply.authoritative = cases[i].authoritative;
		fixture.reply.truncated = cases[i].truncated;
		fixture.reply.recursion_available = cases[i].recursion_available;
		fixture.reply.rcode = cases[i].rcode;
		reply_finish(&fixture.reply);
		assert_memory_equal(fixture.octets + 2, cases[i].octets, 2);
	}
}

static void test_opt_is_our_own_and_carries_upper_bits(void **state)
{
	static const char badvers[] = "\xab\xcd\x81\0\0\1\0\0\0\0\0\1\2vM\0\0\1\0\1"
				      "\0\0\x29\4\xd0\1\0\x80\0\0\0";
	struct fixture fixture;

	(void)state;
	assert_true(START(&fixture, EDNS, 512));
	fixture.reply.rcode = DNS_RCODE_BADVERS;
	assert_int_equal(reply_finish(&fixture.reply), sizeof(badvers) - 1);
	assert_memory_equal(fixture.octets, badvers, sizeof(badvers) - 1);
}

static void test_record_is_written_whole_or_not_at_all(void **state)
{
	static const char record[] = "\xc0\x0c\0\1\0\1\0\1\x51\x80\0\4";
	const size_t start = sizeof(PLAIN) - 1;
	struct fixture fixture;

	(void)state;
	for (size_t limit = start; limit < start + 16; limit++) {
		assert_true(START(&fixture, PLAIN, limit));
		assert_null(reply_record(
			&fixture.reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, DNS_TYPE_A, 86400, 4));
		assert_int_equal(reply_finish(&fixture.reply), start);
		assert_int_equal(fixture.octets[7], 0);
		assert_int_equal(fixture.octets[start], POISON);
	}
	assert_true(START(&fixture, PLAIN, start + 16));
	uint8_t *rdata = reply_record(
		&fixture.reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, DNS_TYPE_A, 86400, 4);

	assert_ptr_equal(rdata, fixture.octets + start + 12);
	assert_memory_equal(fixture.octets + start, record, sizeof(record) - 1);
	assert_int_equal(reply_finish(&fixture.reply), start + 16);
	assert_int_equal(fixture.octets[7], 1);
}

static void test_records_never_take_the_room_of_opt(void **state)
{
	const size_t start = sizeof(PLAIN) - 1;
	struct fixture fixture;

	(void)state;
	for (size_t limit = 0; limit < start + 11; limit++)
		assert_false(START(&fixture, EDNS, limit));
	for (size_t limit = start + 11; limit < start + 11 + 40; limit++) {
		size_t records = 0;

		assert_true(START(&fixture, EDNS, limit));
		while (reply_record(
			&fixture.reply, REPLY_ADDITIONAL, REPLY_QUESTION_OFFSET, DNS_TYPE_A, 0, 4))
			records++;
		const size_t len = reply_finish(&fixture.reply);

		assert_int_equal(records, (limit - start - 11) / 16);
		assert_int_equal(len, start + records * 16 + 11);
		assert_int_equal(fixture.octets[11], records + 1);
		assert_int_equal(fixture.octets[len], POISON);
		assert_memory_equal(fixture.octets + len - 11, "\0\0\x29", 3);
	}
}

static void test_cut_takes_back_records_of_one_section(void **state)
{
	struct fixture fixture;

	(void)state;
	assert_true(START(&fixture, PLAIN, 512));
	reply_record(&fixture.reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, DNS_TYPE_A, 0, 4);
	const size_t mark = fixture.reply.len;

	for (int i = 0; i < 3; i++)
		reply_record(
			&fixture.reply, REPLY_ADDITIONAL, REPLY_QUESTION_OFFSET, DNS_TYPE_A, 0, 4);
	reply_cut(&fixture.reply, REPLY_ADDITIONAL, mark, 3);
	assert_int_equal(reply_finish(&fixture.reply), mark);
	assert_int_equal(fixture.octets[7], 1);
	assert_int_equal(fixture.octets[11], 0);
}

static void test_opt_can_be_written_before_a_last_record(void **state)
{
	struct fixture fixture;

	(void)state;
	assert_true(START(&fixture, EDNS, 512));
	reply_opt(&fixture.reply);
	const size_t len = fixture.reply.len;

	assert_non_null(reply_take(&fixture.reply, 512 - len));
	assert_null(reply_take(&fixture.reply, 1));
	assert_int_equal(reply_finish(&fixture.reply), 512);
	assert_int_equal(fixture.octets[11], 1);
	assert_int_equal(fixture.octets[512], POISON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question_comes_back_as_it_was),
		cmocka_unit_test(test_bits_are_where_rfc_1035_has_them),
		cmocka_unit_test(test_opt_is_our_own_and_carries_upper_bits),
		cmocka_unit_test(test_record_is_written_whole_or_not_at_all),
		cmocka_unit_test(test_records_never_take_the_room_of_opt),
		cmocka_unit_test(test_cut_takes_back_records_of_one_section),
		cmocka_unit_test(test_opt_can_be_written_before_a_last_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
