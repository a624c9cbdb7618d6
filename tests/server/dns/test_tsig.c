#include "tests/server/world.h"

#define QUESTION   "\3vm1\7libvirt\0\0\1\0\1"
#define ALGORITHM  "\x0bhmac-sha256\0"
#define TIME_FUDGE "\0\0\x6b\x49\xd2\0\1\x2c"
#define MAC_16     "0123456789abcdef"

/* RDATA of RFC 8945 section 4.2. */
#define RDATA ALGORITHM TIME_FUDGE "\0\x10" MAC_16 "\xbe\xef\0\0\0\0"
#define TSIG  "\3Key\7example\0\0\xfa\0\xff\0\0\0\0\0\x2d" RDATA
#define REFUSAL \
	"\3Key\7example\0\0\xfa\0\xff\0\0\0\0\0\x1d" ALGORITHM TIME_FUDGE "\0\0\xbe\xef\0\x11\0\0"

static enum answer_verdict send_signed(struct asking_world *world, const char *question,
	size_t question_len, const char *records, size_t records_len, unsigned additional,
	const struct asking_how *how)
{
	uint8_t query[1024] = {0xbe, 0xef, 1, 0, 0, 1};

	query[11] = (uint8_t)additional;
	memcpy(query + 12, question, question_len);
	memcpy(query + 12 + question_len, records, records_len);
	return asking_send(world, query, 12 + question_len + records_len, how);
}

#define SEND(world, question, records, additional, how)                                  \
	send_signed(world, question, sizeof(question) - 1, records, sizeof(records) - 1, \
		additional, how)

static void test_unknown_key_is_told_so_unsigned(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how how = {.recursion_available = true};

	assert_int_equal(sizeof(RDATA) - 1, 0x2d);
	assert_int_equal(SEND(world, QUESTION, TSIG, 1, &how), ANSWER_REPLY);
	assert_int_equal(world->reply_len, 12 + sizeof(QUESTION) - 1 + sizeof(REFUSAL) - 1);
	assert_memory_equal(world->reply, "\xbe\xef\x81\x89\0\1\0\0\0\0\0\1", 12);
	assert_memory_equal(world->reply + 12 + sizeof(QUESTION) - 1, REFUSAL, sizeof(REFUSAL) - 1);
	assert_string_equal(asking_text(world), "NOTAUTH rd ra; TSIG");
}

static void test_record_comes_behind_opt(void **state)
{
	static const char records[] = "\0\0\x29\4\xd0\0\0\0\0\0\0" TSIG;
	struct asking_world *world = *state;
	const struct asking_how how = {.is_tcp = true};

	assert_int_equal(SEND(world, QUESTION, records, 2, &how), ANSWER_REPLY);
	assert_string_equal(asking_text(world), "NOTAUTH rd; TSIG; EDNS");
	assert_memory_equal(world->reply + world->reply_len - (sizeof(REFUSAL) - 1), REFUSAL,
		sizeof(REFUSAL) - 1);
}

static void test_compressed_key_is_written_in_full(void **state)
{
	static const char records[] = "\3Key\xc0\x10\0\xfa\0\xff\0\0\0\0\0\x2d" RDATA;
	struct asking_world *world = *state;
	const struct asking_how how = {.is_tcp = true};

	assert_int_equal(SEND(world, QUESTION, records, 1, &how), ANSWER_REPLY);
	assert_string_equal(asking_text(world), "NOTAUTH rd; TSIG");
	assert_memory_equal(world->reply + 12 + sizeof(QUESTION) - 1, "\3Key\7libvirt\0\0\xfa", 15);
}

static void test_transfers_need_a_key_that_we_know(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how how = {.is_tcp = true};

	assert_int_equal(SEND(world, "\7libvirt\0\0\xfc\0\1", TSIG, 1, &how), ANSWER_REPLY);
	assert_string_equal(asking_text(world), "NOTAUTH rd; TSIG");
}

/* RFC 8945 section 5.5. */
static void test_signed_question_for_others_is_forwarded(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how forwards = {.recursion_available = true};
	const struct asking_how alone = {.recursion_available = false};

	assert_int_equal(SEND(world, "\7example\0\0\1\0\1", TSIG, 1, &forwards), ANSWER_FORWARD);
	assert_int_equal(SEND(world, "\7example\0\0\1\0\1", TSIG, 1, &alone), ANSWER_REPLY);
	assert_string_equal(asking_text(world), "NOTAUTH rd; TSIG");
}

static void test_malformed_record_is_a_format_error(void **state)
{
	struct asking_world *world = *state;
	static const struct {
		const char *what;
		const char *octets;
		size_t len;
	} cases[] = {
#define RECORD(what, len, rdata)                        \
	{what, "\1k\0\0\xfa\0\xff\0\0\0\0\0" len rdata, \
		sizeof("\1k\0\0\xfa\0\xff\0\0\0\0\0" len rdata) - 1}
		RECORD("nothing", "\0", ""),
		RECORD("no algorithm", "\1", "\5"),
		RECORD("compressed algorithm", "\x12",
			"\xc0\x0c" TIME_FUDGE "\0\0\xbe\xef\0\0\0\0"),
		RECORD("no time", "\1", "\0"),
		RECORD("MAC beyond the record", "\x11", "\0" TIME_FUDGE "\0\1\xbe\xef\0\0\0\0"),
		RECORD("MAC of 65535", "\x11", "\0" TIME_FUDGE "\xff\xff\xbe\xef\0\0\0\0"),
		RECORD("other data beyond the record", "\x11",
			"\0" TIME_FUDGE "\0\0\xbe\xef\0\0\0\1"),
		RECORD("octets left over", "\x12", "\0" TIME_FUDGE "\0\0\xbe\xef\0\0\0\0x"),
#undef RECORD
	};
	const struct asking_how how = {.is_tcp = true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(send_signed(world, QUESTION, sizeof(QUESTION) - 1, cases[i].octets,
					 cases[i].len, 1, &how),
			ANSWER_REPLY);
		if (strcmp(asking_text(world), "FORMERR rd") != 0)
			fail_msg("%s: %s", cases[i].what, world->text);
	}
}

static void test_record_that_does_not_fit_is_left_out(void **state)
{
	struct asking_world *world = *state;
	const size_t question = 12 + sizeof(QUESTION) - 1;
	const size_t full = question + sizeof(REFUSAL) - 1;

	for (size_t cap = question; cap <= full; cap++) {
		const struct asking_how how = {.reply_cap = cap};

		assert_int_equal(SEND(world, QUESTION, TSIG, 1, &how), ANSWER_REPLY);
		assert_int_equal(world->reply_len, cap < full ? question : full);
		assert_string_equal(
			asking_text(world), cap < full ? "NOTAUTH rd" : "NOTAUTH rd; TSIG");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_key_is_told_so_unsigned),
		cmocka_unit_test(test_record_comes_behind_opt),
		cmocka_unit_test(test_compressed_key_is_written_in_full),
		cmocka_unit_test(test_transfers_need_a_key_that_we_know),
		cmocka_unit_test(test_signed_question_for_others_is_forwarded),
		cmocka_unit_test(test_malformed_record_is_a_format_error),
		cmocka_unit_test(test_record_that_does_not_fit_is_left_out),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
