#include "server/stats/stats.h"

#include "tests/server/world.h"

#define UDP false
#define TCP true

/* Asks, and counts as the daemon does. */
static enum answered ask(struct asking_world *world, struct stats *stats, const uint8_t *query,
	size_t len, const struct asking_how *how)
{
	struct question question;
	const bool has_question = question_read((struct bytes){query, len}, &question);
	const struct question *asked = has_question ? &question : NULL;
	const enum answer_verdict verdict = asking_send(world, query, len, how);
	const struct bytes reply = {world->reply, world->reply_len};
	const enum answered answered = stats_answered(asked, verdict, reply);

	stats_count_query(stats, how->is_tcp, asked);
	stats_count_reply(stats, answered, reply);
	return answered;
}

static void test_replies_tell_what_became_of_queries(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		enum answered answered;
		uint16_t rcode;
		struct asking_how how;
	} cases[] = {
		{"vm1.libvirt", 1, ANSWERED_LOCAL, 0, {0}},
		{"vm1.libvirt", 28, ANSWERED_LOCAL, 0, {.has_edns = true}},
		{"none.libvirt", 1, ANSWERED_LOCAL, 3, {.is_tcp = true}},
		{"libvirt", 6, ANSWERED_LOCAL, 0, {0}},
		{"10.122.168.192.in-addr.arpa", 12, ANSWERED_REVERSE, 0, {0}},
		{"77.122.168.192.IN-ADDR.arpa", 12, ANSWERED_REVERSE, 3, {0}},
		{"122.168.192.in-addr.arpa", 6, ANSWERED_REVERSE, 0, {0}},
		{"www.example", 1, ANSWERED_REFUSED, 5, {0}},
		{"10.0.0.10.in-addr.arpa", 12, ANSWERED_REFUSED, 5, {0}},
		{"vm1.libvirt", 1, ANSWERED_REFUSED, 5, {.class = 3}},
		{"libvirt", 252, ANSWERED_REFUSED, 5, {.is_tcp = true}},
		{"vm1.libvirt", 41, ANSWERED_INVALID, 1, {0}},
		{".", 2, ANSWERED_REFUSED, 5, {0}},
	};
	struct asking_world *world = *state;
	struct stats stats = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t query[512];
		size_t len = asking_query(cases[i].name, cases[i].type, &cases[i].how, query);

		assert_string_equal(answered_word(ask(world, &stats, query, len, &cases[i].how)),
			answered_word(cases[i].answered));
		assert_int_equal(stats_rcode((struct bytes){world->reply, world->reply_len}),
			cases[i].rcode);
	}
	assert_int_equal(stats.queries[UDP], 11);
	assert_int_equal(stats.queries[TCP], 2);
	assert_int_equal(stats.answered[ANSWERED_LOCAL], 4);
	assert_int_equal(stats.answered[ANSWERED_REVERSE], 3);
	assert_int_equal(stats.answered[ANSWERED_REFUSED], 5);
	assert_int_equal(stats.answered[ANSWERED_INVALID], 1);
	assert_string_equal(stats_type_word(0), "A");
	assert_int_equal(stats.types[0], 4);
	assert_string_equal(stats_type_word(2), "PTR");
	assert_int_equal(stats.types[2], 3);
	assert_string_equal(stats_type_word(STATS_TYPES), "other");
	assert_int_equal(stats.types[STATS_TYPES], 2); /* AXFR, OPT */
	assert_int_equal(stats.rcodes[0], 5);
	assert_int_equal(stats.rcodes[3], 2);
	assert_int_equal(stats.rcodes[5], 5);
	assert_int_equal(stats.unreadable, 0);
	assert_int_equal(stats.truncated, 0);
}

static void test_odd_messages_are_counted_as_what_they_are(void **state)
{
	static const struct asking_how plain = {0};
	static const struct asking_how edns = {.has_edns = true};
	struct asking_world *world = *state;
	struct stats stats = {0};
	uint8_t query[512];
	size_t len = asking_query("vm1.libvirt", 1, &edns, query);

	query[len - 5] = 1; /* EDNS version 1: BADVERS, in two parts. */
	assert_int_equal(ask(world, &stats, query, len, &plain), ANSWERED_INVALID);
	assert_int_equal(stats_rcode((struct bytes){world->reply, world->reply_len}), 16);
	len = asking_query("vm1.libvirt", 1, &plain, query);
	query[2] = 0x28; /* UPDATE */
	assert_int_equal(ask(world, &stats, query, len, &plain), ANSWERED_INVALID);
	query[2] = 0x81; /* A reply. */
	assert_int_equal(ask(world, &stats, query, len, &plain), ANSWERED_DROPPED);
	assert_int_equal(ask(world, &stats, query, 11, &plain), ANSWERED_DROPPED);
	assert_int_equal(ask(world, &stats, query, 0, &plain), ANSWERED_DROPPED);
	query[2] = 1;
	assert_int_equal(ask(world, &stats, query, len - 1, &plain), ANSWERED_INVALID);
	assert_int_equal(stats.queries[UDP], 6);
	assert_int_equal(stats.unreadable, 3);
	assert_int_equal(stats.answered[ANSWERED_INVALID], 3);
	assert_int_equal(stats.answered[ANSWERED_DROPPED], 3);
	for (size_t i = 0; i <= STATS_RCODES; i++) {
		const char *word = stats_rcode_word(i);
		bool is_there = strcmp(word, "BADVERS") == 0 || strcmp(word, "NOTIMP") == 0 ||
				strcmp(word, "FORMERR") == 0;

		assert_int_equal(stats.rcodes[i], is_there ? 1 : 0);
	}
}

static void test_truncation_and_unknown_codes_are_counted(void **state)
{
	uint8_t reply[] = {0, 0, 0x82, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0};
	char text[STATS_RCODE_SIZE];
	struct stats stats = {0};
	(void)state;

	stats_count_reply(&stats, ANSWERED_FORWARDED, (struct bytes){reply, sizeof(reply)});
	assert_int_equal(stats.truncated, 1);
	assert_int_equal(stats.answered[ANSWERED_FORWARDED], 1);
	assert_int_equal(stats.rcodes[STATS_RCODES], 1);
	assert_string_equal(stats_rcode_text(11, text), "RCODE11");
	assert_string_equal(stats_rcode_text(3, text), "NXDOMAIN");
	assert_string_equal(stats_rcode_text(16, text), "BADVERS");
	/* No reply is dropped, whatever was meant. */
	stats_count_reply(&stats, ANSWERED_FORWARDED, (struct bytes){NULL, 0});
	assert_int_equal(stats.answered[ANSWERED_DROPPED], 1);
}

static void test_words_are_distinct(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ANSWERED_COUNT; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(answered_word(i), answered_word(j));
	}
	for (size_t i = 0; i <= STATS_TYPES; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(stats_type_word(i), stats_type_word(j));
	}
	for (size_t i = 0; i <= STATS_RCODES; i++) {
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(stats_rcode_word(i), stats_rcode_word(j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_tell_what_became_of_queries),
		cmocka_unit_test(test_odd_messages_are_counted_as_what_they_are),
		cmocka_unit_test(test_truncation_and_unknown_codes_are_counted),
		cmocka_unit_test(test_words_are_distinct),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
