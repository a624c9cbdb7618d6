/* What upstreams send, and what clients get of it. Bytes are from RFC 1035, 6891, 8914, 9267; other
 * messages are made and read by ldns. */
#include "tests/server/upstream.h"

#define POISON 0xa5

#define HEADER_OF(flags, qd, an, ns, ar) "\x47\x11" flags "\0" qd "\0" an "\0" ns "\0" ar
#define HEADER(an, ns, ar)               HEADER_OF("\x81\x80", "\1", an, ns, ar)
#define QUESTION                         "\3wWw\7example\0\0\1\0\1"
#define TTL                              "\0\0\1\x2c"
#define A(owner)                         owner "\0\1\0\1" TTL "\0\4\xc0\0\2\1"
#define OPT_WITH(len)                    "\0\0\x29\x10\0\0\0\0\0\0" len
#define OPT                              OPT_WITH("\0")

struct check_case {
	const char *what;
	const char *octets;
	size_t len;
	enum message_verdict verdict;
};

#define CASE(what, octets, verdict)                       \
	{                                                 \
		what, octets, sizeof(octets) - 1, verdict \
	}

static const struct bytes question = {(const uint8_t *)QUESTION, sizeof(QUESTION) - 1};

/* From memory of exact size, so that a sanitizer sees each octet beyond. Gives it back. */
static enum message_verdict check(
	const void *octets, size_t len, struct message *out_message, uint8_t **out_copy)
{
	*out_copy = malloc(len ? len : 1);
	assert_non_null(*out_copy);
	memcpy(*out_copy, octets, len);
	return message_check((struct bytes){*out_copy, len}, UPSTREAM_ID, question, out_message);
}

static void run(const struct check_case *cases, size_t count)
{
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		struct message message, before;
		uint8_t *copy;

		memset(&message, POISON, sizeof(message));
		before = message;
		const enum message_verdict verdict =
			check(cases[i].octets, cases[i].len, &message, &copy);

		free(copy);
		if (verdict != cases[i].verdict) {
			print_error(
				"%s: %d instead of %d\n", cases[i].what, verdict, cases[i].verdict);
			failed++;
		}
		if (verdict == MESSAGE_FOREIGN || verdict == MESSAGE_MALFORMED)
			assert_memory_equal(&message, &before, sizeof(message));
	}
	assert_int_equal(failed, 0);
}

#define RUN(cases) run(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_only_the_reply_to_this_query_counts(void **state)
{
	static const struct check_case cases[] = {
		CASE("a reply", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c"), MESSAGE_OK),
		CASE("no record", HEADER("\0", "\0", "\0") QUESTION, MESSAGE_OK),
		CASE("nothing", "", MESSAGE_FOREIGN),
		CASE("a header", HEADER("\0", "\0", "\0"), MESSAGE_FOREIGN),
		CASE("another id", "\x47\x10\x81\x80\0\1\0\0\0\0\0\0" QUESTION, MESSAGE_FOREIGN),
		CASE("our own query", HEADER_OF("\1\0", "\1", "\0", "\0", "\0") QUESTION,
			MESSAGE_FOREIGN),
		CASE("opcode NOTIFY", HEADER_OF("\xa1\0", "\1", "\0", "\0", "\0") QUESTION,
			MESSAGE_FOREIGN),
		CASE("no question", HEADER_OF("\x81\x81", "\0", "\0", "\0", "\0"), MESSAGE_FOREIGN),
		CASE("the question is not counted",
			HEADER_OF("\x81\x80", "\0", "\0", "\0", "\0") QUESTION, MESSAGE_FOREIGN),
		CASE("two questions",
			HEADER_OF("\x81\x80", "\2", "\0", "\0", "\0") QUESTION QUESTION,
			MESSAGE_FOREIGN),
		CASE("another name", HEADER("\0", "\0", "\0") "\3wWx\7example\0\0\1\0\1",
			MESSAGE_FOREIGN),
		CASE("another case", HEADER("\0", "\0", "\0") "\3wwW\7example\0\0\1\0\1",
			MESSAGE_FOREIGN),
		CASE("another type", HEADER("\0", "\0", "\0") "\3wWw\7example\0\0\x1c\0\1",
			MESSAGE_FOREIGN),
		CASE("another class", HEADER("\0", "\0", "\0") "\3wWw\7example\0\0\1\0\3",
			MESSAGE_FOREIGN),
		CASE("a name that goes on", HEADER("\0", "\0", "\0") "\3wWw\7example\2xx\0\0\1\0\1",
			MESSAGE_FOREIGN),
		CASE("a torn question", HEADER("\0", "\0", "\0") "\3wWw\7example\0\0\1\0",
			MESSAGE_FOREIGN),
		CASE("malformed and foreign", "\x47\x10\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0",
			MESSAGE_FOREIGN),
	};

	(void)state;
	RUN(cases);
}

#define LABEL_63 \
	"\x3f"   \
	"123456789012345678901234567890123456789012345678901234567890123"
#define NAME_255                   \
	LABEL_63 LABEL_63 LABEL_63 \
		"\x3d"             \
		"1234567890123456789012345678901234567890123456789012345678901\0"
#define NAME_256                                                                 \
	LABEL_63 LABEL_63 LABEL_63                                               \
		"\x3e"                                                           \
		"12345678901234567890123456789012345678901234567890123456789012" \
		"\0"

static void test_records_are_whole_or_the_message_is_malformed(void **state)
{
	static const struct check_case cases[] = {
		CASE("a record too few", HEADER("\2", "\0", "\0") QUESTION A("\xc0\x0c"),
			MESSAGE_MALFORMED),
		CASE("65535 of all that are not there",
			"\x47\x11\x81\x80\0\1\xff\xff\xff\xff\xff\xff" QUESTION, MESSAGE_MALFORMED),
		CASE("65535 answers that are not there",
			"\x47\x11\x81\x80\0\1\xff\xff\0\0\0\0" QUESTION, MESSAGE_MALFORMED),
		CASE("RDATA beyond",
			HEADER("\1", "\0", "\0") QUESTION "\xc0\x0c\0\1\0\1" TTL "\0\5\xc0\0\2\1",
			MESSAGE_MALFORMED),
		CASE("RDATA far beyond",
			HEADER("\1", "\0", "\0") QUESTION "\xc0\x0c\0\1\0\1" TTL
							  "\xff\xff\xc0\0\2\1",
			MESSAGE_MALFORMED),
		CASE("no length", HEADER("\1", "\0", "\0") QUESTION "\xc0\x0c\0\1\0\1" TTL "\0",
			MESSAGE_MALFORMED),
		CASE("an owner of 255 octets", HEADER("\1", "\0", "\0") QUESTION A(NAME_255),
			MESSAGE_OK),
		CASE("an owner of 256 octets", HEADER("\1", "\0", "\0") QUESTION A(NAME_256),
			MESSAGE_MALFORMED),
	};

	(void)state;
	RUN(cases);
}

/* A box that takes OPT out of the count may leave its octets. */
static void test_octets_behind_the_records_are_left_out(void **state)
{
	static const struct check_case cases[] = {
		CASE("nothing", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c"), MESSAGE_OK),
		CASE("an octet", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c") "x", MESSAGE_OK),
		CASE("OPT", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c") OPT, MESSAGE_OK),
		CASE("a record", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c") A("\0"),
			MESSAGE_OK),
	};
	(void)state;

	RUN(cases);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message message;
		uint8_t *copy;

		check(cases[i].octets, cases[i].len, &message, &copy);
		assert_int_equal(message.octets.len, cases[0].len);
		assert_int_equal(message.record_count, 1);
		assert_false(message.has_edns);
		free(copy);
	}
}

/* RFC 9267 section 2 and what else a length octet can be. The first record stands at 29. */
static void test_pointers_of_owners_point_backwards(void **state)
{
	static const struct check_case cases[] = {
		CASE("to the question", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0c"),
			MESSAGE_OK),
		CASE("behind a label", HEADER("\1", "\0", "\0") QUESTION A("\1a\xc0\x10"),
			MESSAGE_OK),
		CASE("to a pointer", HEADER("\2", "\0", "\0") QUESTION A("\xc0\x0c") A("\xc0\x1d"),
			MESSAGE_OK),
		CASE("to itself", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x1d"),
			MESSAGE_MALFORMED),
		CASE("to the label before it", HEADER("\1", "\0", "\0") QUESTION A("\1a\xc0\x1d"),
			MESSAGE_MALFORMED),
		CASE("forward", HEADER("\2", "\0", "\0") QUESTION A("\xc0\x2d") A("\0"),
			MESSAGE_MALFORMED),
		CASE("beyond the end", HEADER("\1", "\0", "\0") QUESTION A("\xff\xff"),
			MESSAGE_MALFORMED),
		CASE("into the header", HEADER("\1", "\0", "\0") QUESTION A("\xc0\x0b"),
			MESSAGE_MALFORMED),
		CASE("torn", HEADER("\1", "\0", "\0") QUESTION "\xc0", MESSAGE_MALFORMED),
		CASE("label type 01", HEADER("\1", "\0", "\0") QUESTION A("\x41\1\0"),
			MESSAGE_MALFORMED),
		CASE("label type 10", HEADER("\1", "\0", "\0") QUESTION A("\x81\1\0"),
			MESSAGE_MALFORMED),
	};

	(void)state;
	RUN(cases);
}

static void test_one_opt_stands_in_the_additional_section(void **state)
{
	static const struct check_case cases[] = {
		CASE("OPT", HEADER("\0", "\0", "\1") QUESTION OPT, MESSAGE_OK),
		CASE("as an answer", HEADER("\1", "\0", "\0") QUESTION OPT, MESSAGE_MALFORMED),
		CASE("as authority", HEADER("\0", "\1", "\0") QUESTION OPT, MESSAGE_MALFORMED),
		CASE("two", HEADER("\0", "\0", "\2") QUESTION OPT OPT, MESSAGE_MALFORMED),
		CASE("two, not side by side",
			HEADER("\0", "\0", "\3") QUESTION OPT A("\xc0\x0c") OPT, MESSAGE_MALFORMED),
		CASE("owned by a name",
			HEADER("\0", "\0", "\1") QUESTION "\xc0\x0c\0\x29\x10\0\0\0\0\0\0\0",
			MESSAGE_MALFORMED),
		CASE("an option", HEADER("\0", "\0", "\1") QUESTION OPT_WITH("\5") "\0\3\0\1x",
			MESSAGE_OK),
		CASE("a torn option", HEADER("\0", "\0", "\1") QUESTION OPT_WITH("\3") "\0\3\0",
			MESSAGE_MALFORMED),
		CASE("an option beyond",
			HEADER("\0", "\0", "\1") QUESTION OPT_WITH("\5") "\0\3\0\2x",
			MESSAGE_MALFORMED),
		CASE("a malformed record behind it",
			HEADER("\0", "\0", "\2") QUESTION OPT A("\xff\xff"), MESSAGE_MALFORMED),
	};

	(void)state;
	RUN(cases);
}

static void test_of_a_truncated_reply_only_the_question_is_left(void **state)
{
	static const char torn[] =
		HEADER_OF("\x83\x80", "\1", "\7", "\0", "\1") QUESTION A("\xc0\x0c") "\xc0";
	struct message_client client;
	struct message message;
	uint8_t reply[512];
	uint8_t *copy;

	(void)state;
	assert_int_equal(check(torn, sizeof(torn) - 1, &message, &copy), MESSAGE_TRUNCATED);
	assert_true(message.is_truncated);
	assert_int_equal(message.octets.len, 12 + sizeof(QUESTION) - 1);
	assert_int_equal(message.record_count, 0);

	/* It can be handed on, e.g. if TCP fails. */
	const struct message_reply source = message_reply_of(&message);

	upstream_client(
		"WWW.example.", 0, &(struct upstream_how){.asking.has_edns = false}, &client);
	assert_int_equal(message_to_client(&source, &client, reply), 12 + sizeof(QUESTION) - 1);
	assert_memory_equal(reply, "\xbe\xef\x83\x80\0\1\0\0\0\0\0\0", 12);
	assert_memory_equal(reply + 12, "\3WWW\7example\0\0\1\0\1", 17);
	free(copy);
}

struct facts_case {
	struct upstream_reply reply;
	uint16_t records, additional;
	uint32_t ttl_min_s;
	bool has_answer, has_soa;
	uint32_t negative_ttl_s;
};

static void test_what_a_cache_needs_is_found(void **state)
{
	static const struct facts_case cases[] = {
		{{.name = "www.example.",
			 .has_edns = true,
			 .answer = {"www.example. 300 IN A 192.0.2.1",
				 "www.example. 200 IN A 192.0.2.2"},
			 .authority = {"example. 250 IN NS ns.example."},
			 .additional = {"ns.example. 220 IN A 192.0.2.53"}},
			4, 1, 200, true, false, 0},
		{{.name = "www.example.",
			 .answer = {"www.example. 300 IN CNAME a.example.",
				 "a.example. 60 IN A 192.0.2.1"}},
			2, 0, 60, true, false, 0},
		{{.name = "www.example.",
			 .answer = {"www.example. 300 IN CNAME a.example."},
			 .authority = {UPSTREAM_SOA("900", "100")}},
			2, 0, 300, false, true, 100},
		{{.name = "no.example.", .rcode = 3, .authority = {UPSTREAM_SOA("50", "100")}}, 1,
			0, 50, false, true, 50},
		{{.name = "no.example.", .rcode = 3}, 0, 0, 0, false, false, 0},
		/* A referral. */
		{{.name = "no.example.", .authority = {"example. 900 IN NS ns.example."}}, 1, 0,
			900, false, false, 0},
		{{.name = "www.example.",
			 .type = DNS_TYPE_ANY,
			 .answer = {"www.example. 77 IN TXT \"x\""}},
			1, 0, 77, true, false, 0},
		/* The question's type elsewhere is no answer; an SOA as an answer is no negative
		 * one's. */
		{{.name = "example.", .type = DNS_TYPE_SOA, .answer = {UPSTREAM_SOA("900", "5")}},
			1, 0, 900, true, false, 0},
		{{.name = "www.example.", .additional = {"www.example. 9 IN A 192.0.2.1"}}, 1, 1, 9,
			false, false, 0},
		/* RFC 8767 section 4: no sign. */
		{{.name = "www.example.", .answer = {"www.example. 4294967295 IN A 192.0.2.1"}}, 1,
			0, UINT32_MAX, true, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *octets;
		const struct message message = upstream_message(&cases[i].reply, &octets);

		assert_int_equal(message.rcode, cases[i].reply.rcode);
		assert_int_equal(message.record_count, cases[i].records);
		assert_int_equal(message.additional_count, cases[i].additional);
		assert_int_equal(message.ttl_min_s, cases[i].ttl_min_s);
		assert_int_equal(message.has_answer, cases[i].has_answer);
		assert_int_equal(message.has_soa, cases[i].has_soa);
		assert_int_equal(message.negative_ttl_s, cases[i].negative_ttl_s);
		free(octets);
	}
}

static void test_malformed_soa_is_none(void **state)
{
	/* Two roots and the five numbers; one number is missing in the second. */
	static const char whole[] =
		HEADER("\0", "\1", "\0") QUESTION "\xc0\x10\0\6\0\1" TTL "\0\x16\0\0"
						  "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x20";
	static const char torn[] = HEADER("\0", "\1", "\0") QUESTION
		"\xc0\x10\0\6\0\1" TTL "\0\x12\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x20";
	static const char long_one[] =
		HEADER("\0", "\1", "\0") QUESTION "\xc0\x10\0\6\0\1" TTL "\0\x17\0\0"
						  "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x20\0";
	/* Names that would end behind RDATA, in the next record. */
	static const char beyond[] =
		HEADER("\0", "\2", "\0") QUESTION "\xc0\x10\0\6\0\1" TTL "\0\3\0\x3f"
						  "a" A(LABEL_63 "\0");
	struct message message;
	uint8_t *copy;

	(void)state;
	assert_int_equal(check(whole, sizeof(whole) - 1, &message, &copy), MESSAGE_OK);
	assert_true(message.has_soa);
	assert_int_equal(message.negative_ttl_s, 32);
	free(copy);
	assert_int_equal(check(torn, sizeof(torn) - 1, &message, &copy), MESSAGE_OK);
	assert_false(message.has_soa);
	free(copy);
	assert_int_equal(check(long_one, sizeof(long_one) - 1, &message, &copy), MESSAGE_OK);
	assert_false(message.has_soa);
	free(copy);
	assert_int_equal(check(beyond, sizeof(beyond) - 1, &message, &copy), MESSAGE_OK);
	assert_false(message.has_soa);
	free(copy);
}

static void test_opt_tells_upper_bits_and_the_first_extended_error(void **state)
{
	static const char octets[] = HEADER_OF("\x81\x87", "\1", "\0", "\0", "\1") QUESTION
		"\0\0\x29\x02\0\1\0\x80\0\0\x14\0\x0a\0\2xx\0\x0f\0\4\0\x16no\0\x0f\0\2\0\3";
	struct message message;
	uint8_t *copy;

	(void)state;
	assert_int_equal(check(octets, sizeof(octets) - 1, &message, &copy), MESSAGE_OK);
	assert_int_equal(message.rcode, 0x17); /* BADCOOKIE */
	assert_int_equal(message.udp_octets, 512);
	assert_true(message.has_edns && message.dnssec_ok);
	assert_int_equal(message.extended_error, MESSAGE_EDE_NO_REACHABLE_AUTHORITY);
	assert_int_equal(message.octets.len, 12 + sizeof(QUESTION) - 1);
	free(copy);
}

/* A pointer to something behind OPT would point elsewhere if OPT were cut out. */
static void test_records_behind_opt_are_left_out(void **state)
{
	static const char octets[] = HEADER("\1", "\0", "\4") QUESTION A("\xc0\x0c")
		A("\2ns\xc0\x10") OPT A("\2n2\xc0\x10") A("\xc0\x49");
	static const char expected[] =
		HEADER("\1", "\0", "\1") QUESTION A("\xc0\x0c") A("\2ns\xc0\x10");
	uint8_t reply[512];
	struct message_client client;
	struct message message;
	uint8_t *copy;

	(void)state;
	assert_int_equal(check(octets, sizeof(octets) - 1, &message, &copy), MESSAGE_OK);
	assert_int_equal(message.record_count, 2);
	assert_int_equal(message.additional_count, 1);

	const struct message_reply source = message_reply_of(&message);

	upstream_client(
		"wWw.example.", 0, &(struct upstream_how){.asking.has_edns = false}, &client);
	assert_int_equal(message_to_client(&source, &client, reply), sizeof(expected) - 1);
	assert_memory_equal(reply + 2, expected + 2, sizeof(expected) - 3);
	free(copy);
}

struct client_case {
	const char *what;
	struct upstream_reply reply;
	struct upstream_how how;
	const char *expected;
};

#define ADDRESS "www.example. 300 IN A 192.0.2.1"

static void test_client_gets_its_own_bits_and_opt(void **state)
{
	static const struct client_case cases[] = {
		{"plain", {.name = "www.example.", .answer = {ADDRESS}}, {.ad = false},
			"NOERROR rd ra; AN " ADDRESS},
		{"EDNS is not handed on",
			{.name = "www.example.", .has_edns = true, .answer = {ADDRESS}},
			{.ad = false}, "NOERROR rd ra; AN " ADDRESS},
		{"EDNS is ours", {.name = "www.example.", .answer = {ADDRESS}},
			{.asking.has_edns = true}, "NOERROR rd ra; AN " ADDRESS "; EDNS"},
		{"DO is the client's",
			{.name = "www.example.", .has_edns = true, .answer = {ADDRESS}},
			{.asking = {.has_edns = true, .dnssec_ok = true}},
			"NOERROR rd ra; AN " ADDRESS "; EDNS do"},
		{"AD was not asked for", {.name = "www.example.", .ad = true, .answer = {ADDRESS}},
			{.asking.has_edns = true}, "NOERROR rd ra; AN " ADDRESS "; EDNS"},
		{"AD was asked for with AD",
			{.name = "www.example.", .ad = true, .answer = {ADDRESS}}, {.ad = true},
			"NOERROR rd ra ad; AN " ADDRESS},
		{"AD was asked for with DO",
			{.name = "www.example.", .ad = true, .answer = {ADDRESS}},
			{.asking = {.has_edns = true, .dnssec_ok = true}},
			"NOERROR rd ra ad; AN " ADDRESS "; EDNS do"},
		{"nobody validated", {.name = "www.example.", .answer = {ADDRESS}}, {.ad = true},
			"NOERROR rd ra; AN " ADDRESS},
		{"CD", {.name = "www.example.", .answer = {ADDRESS}}, {.cd = true},
			"NOERROR rd ra cd; AN " ADDRESS},
		{"no RD", {.name = "www.example.", .answer = {ADDRESS}},
			{.asking.no_recursion_desired = true}, "NOERROR ra; AN " ADDRESS},
		{"AA", {.name = "www.example.", .aa = true, .answer = {ADDRESS}}, {.ad = false},
			"NOERROR aa rd ra; AN " ADDRESS},
		{"sections stay",
			{.name = "www.example.",
				.rcode = 3,
				.has_edns = true,
				.answer = {"www.example. 5 IN CNAME no.example."},
				.authority = {UPSTREAM_SOA("60", "60")},
				.additional = {"ns.example. 7 IN AAAA 2001:db8::1"}},
			{.asking.has_edns = true},
			"NXDOMAIN rd ra; AN www.example. 5 IN CNAME no.example.; "
			"NS " UPSTREAM_SOA(
				"60", "60") "; AR ns.example. 7 IN AAAA 2001:db8::1; EDNS"},
		{"extended error",
			{.name = "www.example.",
				.rcode = 2,
				.has_edns = true,
				.extended_error = 22},
			{.asking.has_edns = true}, "SERVFAIL rd ra; EDNS ede 22"},
		{"extended error without EDNS",
			{.name = "www.example.",
				.rcode = 2,
				.has_edns = true,
				.extended_error = 22},
			{.ad = false}, "SERVFAIL rd ra"},
		{"extended response code",
			{.name = "www.example.", .rcode = 0x17, .has_edns = true},
			{.asking.has_edns = true}, "YXRRSET rd ra; EDNS rcode+1"},
		{"extended response code without EDNS",
			{.name = "www.example.", .rcode = 0x10, .has_edns = true}, {.ad = false},
			"SERVFAIL rd ra"},
		{"unknown type",
			{.name = "www.example.",
				.type = 65280,
				.answer = {"www.example. 9 IN TYPE65280 \\# 4 c00cc00d"}},
			{.ad = false},
			"NOERROR rd ra; AN www.example. 9 IN TYPE65280 \\# 4 c00cc00d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *octets;
		const struct message message = upstream_message(&cases[i].reply, &octets);
		const struct message_reply source = message_reply_of(&message);
		struct message_client client;
		uint8_t reply[1232];
		char text[2048];

		upstream_client("WWW.eXample.", cases[i].reply.type, &cases[i].how, &client);
		const size_t len = message_to_client(&source, &client, reply);

		assert_memory_equal(reply, "\xbe\xef", 2);
		assert_memory_equal(reply + 12, "\3WWW\7eXample", 12);
		memcpy(reply + 12, "\3www\7example", 12); /* Owners point to it. */
		upstream_text(reply, len, text, sizeof(text));
		if (strcmp(text, cases[i].expected) != 0)
			fail_msg("%s:\n got      %s\n expected %s", cases[i].what, text,
				cases[i].expected);
		free(octets);
	}
}

/* Octets of the reply's records; one OPT more for who has EDNS. */
static void test_reply_fits_or_is_cut_to_its_question(void **state)
{
	static const struct {
		size_t records_octets;
		struct asking_how how;
		bool is_cut;
	} cases[] = {
		{512 - 29, {.has_edns = false}, false},
		{513 - 29, {.has_edns = false}, true},
		{512 - 29 - 11, {.udp_octets = 100}, false},
		{513 - 29 - 11, {.udp_octets = 100}, true},
		{600 - 29 - 11, {.udp_octets = 600}, false},
		{601 - 29 - 11, {.udp_octets = 600}, true},
		{1232 - 29 - 11, {.udp_octets = 4096}, false},
		{1233 - 29 - 11, {.udp_octets = 4096}, true},
		{65535 - 29 - 11, {.is_tcp = true, .has_edns = true}, false},
		{65535 - 29, {.is_tcp = true}, false},
		{65535 - 29 - 10, {.is_tcp = true, .has_edns = true}, true},
	};
	static uint8_t octets[65535];
	static uint8_t reply[65535 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t len = 29 + cases[i].records_octets;
		struct message_client client;
		struct message message;
		uint8_t *copy;

		memset(octets, 0xee, sizeof(octets));
		memcpy(octets, HEADER("\1", "\0", "\0") QUESTION "\xc0\x0c\xff\0\0\1" TTL, 39);
		dns_write_u16(octets + 39, (uint16_t)(cases[i].records_octets - 12));
		assert_int_equal(check(octets, len, &message, &copy), MESSAGE_OK);
		const struct message_reply source = message_reply_of(&message);

		upstream_client(
			"wWw.example.", 0, &(struct upstream_how){.asking = cases[i].how}, &client);
		memset(reply, POISON, sizeof(reply));
		const size_t reply_len = message_to_client(&source, &client, reply);
		const size_t opt_octets = client.has_edns ? 11 : 0;

		assert_int_equal(reply_len, (cases[i].is_cut ? 29 : len) + opt_octets);
		assert_true(reply_len <= client.reply_octets_max);
		assert_int_equal(reply[reply_len], POISON);
		assert_int_equal(reply[2], cases[i].is_cut ? 0x83 : 0x81);
		assert_int_equal(dns_read_u16(reply + 6), !cases[i].is_cut);
		assert_int_equal(dns_read_u16(reply + 10), client.has_edns);
		free(copy);
	}
}

static void test_extended_error_never_cuts_a_reply(void **state)
{
	uint8_t octets[2048], reply[1232];
	struct message_client client;
	struct message message;

	(void)state;
	upstream_client(
		"wWw.example.", 0, &(struct upstream_how){.asking.udp_octets = 1232}, &client);
	for (size_t room = 0; room < 12; room++) {
		const size_t len = 1232 - 11 - room;

		memset(octets, 0xee, sizeof(octets));
		memcpy(octets, HEADER("\1", "\0", "\0") QUESTION "\xc0\x0c\xff\0\0\1" TTL, 39);
		dns_write_u16(octets + 39, (uint16_t)(len - 41));
		assert_int_equal(
			message_check((struct bytes){octets, len}, UPSTREAM_ID, question, &message),
			MESSAGE_OK);
		struct message_reply source = message_reply_of(&message);

		source.extended_error = MESSAGE_EDE_STALE_ANSWER;
		assert_int_equal(
			message_to_client(&source, &client, reply), len + 11 + (room >= 6 ? 6 : 0));
		assert_int_equal(reply[2] & 2, 0);
	}
}

static void test_ttls_count_down_and_never_below_0(void **state)
{
	static const struct {
		uint32_t age_s;
		bool is_stale;
		uint32_t ttls[3]; /* Of 10, 100, 4294967295. */
	} cases[] = {
		{0, false, {10, 100, 4294967295}},
		{9, false, {1, 91, 4294967286}},
		{10, false, {0, 90, 4294967285}},
		{99, false, {0, 1, 4294967196}},
		{4294967295, false, {0, 0, 0}},
		/* RFC 8767 section 4: the expired ones get 30; none more. */
		{10, true, {30, 30, 30}},
		{85, true, {30, 15, 30}},
	};
	static const struct upstream_reply reply = {.name = "www.example.",
		.answer = {"www.example. 10 IN A 192.0.2.1", "www.example. 100 IN A 192.0.2.2",
			"www.example. 4294967295 IN A 192.0.2.3"}};
	struct message_client client;
	uint16_t offsets[3];
	uint8_t *octets;
	const struct message message = upstream_message(&reply, &octets);

	(void)state;
	assert_int_equal(message.record_count, 3);
	message_ttl_offsets(&message, offsets);
	upstream_client("www.example.", 0, &(struct upstream_how){.ad = true}, &client);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message_reply source = message_reply_of(&message);
		uint8_t out[512];
		ldns_pkt *packet = NULL;

		source.ttl_offsets = offsets;
		source.ttl_count = 3;
		source.age_s = cases[i].age_s;
		source.is_stale = cases[i].is_stale;
		assert_int_equal(
			ldns_wire2pkt(&packet, out, message_to_client(&source, &client, out)),
			LDNS_STATUS_OK);
		for (size_t record = 0; record < 3; record++)
			assert_int_equal(
				ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(packet), record)),
				cases[i].ttls[record]);
		ldns_pkt_free(packet);
	}
	free(octets);
}

static void test_stale_data_is_not_authentic(void **state)
{
	static const struct upstream_reply reply = {
		.name = "www.example.", .ad = true, .answer = {ADDRESS}};
	struct message_client client;
	uint8_t out[512];
	uint8_t *octets;
	const struct message message = upstream_message(&reply, &octets);
	struct message_reply source = message_reply_of(&message);

	(void)state;
	upstream_client("www.example.", 0, &(struct upstream_how){.ad = true}, &client);
	message_to_client(&source, &client, out);
	assert_int_equal(out[3] & 0x20, 0x20);
	source.is_stale = true;
	message_to_client(&source, &client, out);
	assert_int_equal(out[3] & 0x20, 0);
	free(octets);
}

static void test_error_has_a_question_and_no_record(void **state)
{
	struct message_client client;
	uint8_t reply[512];
	char text[256];
	size_t len;

	(void)state;
	upstream_client("Www.example.", 0,
		&(struct upstream_how){.asking.has_edns = true, .cd = true}, &client);
	len = message_error_to_client(
		&client, DNS_RCODE_SERVFAIL, MESSAGE_EDE_NETWORK_ERROR, reply);
	assert_string_equal(
		upstream_text(reply, len, text, sizeof(text)), "SERVFAIL rd ra cd; EDNS ede 23");
	assert_memory_equal(reply + 12, "\3Www\7example\0\0\1\0\1", 17);
	upstream_client("www.example.", 0, &(struct upstream_how){.ad = true}, &client);
	len = message_error_to_client(&client, DNS_RCODE_REFUSED, MESSAGE_EDE_PROHIBITED, reply);
	assert_string_equal(upstream_text(reply, len, text, sizeof(text)), "REFUSED rd ra");
	/* The longest question there is fits the smallest reply. */
	client.question_octets = MESSAGE_QUESTION_OCTETS_MAX;
	client.has_edns = true;
	assert_int_equal(
		message_error_to_client(&client, DNS_RCODE_SERVFAIL, 1, reply), 12 + 259 + 17);
}

static void test_upstream_gets_our_own_query(void **state)
{
	/* A client's COOKIE, client subnet and keepalive; no RD and no AD. */
	static const char asked[] = "\xbe\xef\0\x10\0\1\0\0\0\0\0\1"
				    "\3wWw\7example\0\0\x1c\0\1"
				    "\0\0\x29\2\0\0\0\x80\0\0\x1b"
				    "\0\x0a\0\x08"
				    "12345678"
				    "\0\x08\0\7\0\1\x18\0\xc0\0\2"
				    "\0\x0b\0\0";
	static const char expected[] = "\x47\x11\1\x30\0\1\0\0\0\0\0\1"
				       "\3wWw\7example\0\0\x1c\0\1"
				       "\0\0\x29\4\xd0\0\0\x80\0\0\0";
	static const char plain[] = "\x47\x11\1\x20\0\1\0\0\0\0\0\1"
				    "\3wWw\7example\0\0\x1c\0\1"
				    "\0\0\x29\4\xd0\0\0\0\0\0\0";
	uint8_t octets[MESSAGE_QUERY_OCTETS_MAX];
	struct query query;

	(void)state;
	assert_int_equal(
		query_parse((struct bytes){(const uint8_t *)asked, sizeof(asked) - 1}, &query),
		QUERY_OK);
	const struct bytes from_client = {query.message.ptr + 12, query.question_octets};

	assert_int_equal(message_query_to_upstream(
				 from_client, query.dnssec_ok, true, UPSTREAM_ID, NULL, octets),
		sizeof(expected) - 1);
	assert_memory_equal(octets, expected, sizeof(expected) - 1);
	assert_int_equal(
		message_query_to_upstream(from_client, false, false, UPSTREAM_ID, NULL, octets),
		sizeof(plain) - 1);
	assert_memory_equal(octets, plain, sizeof(plain) - 1);
}

/* Bit i belongs to octet i of the name, lengths included. */
static void test_only_letters_change_their_case(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		const char *expected;
		uint8_t bits;
	} cases[] = {
		{"\3www\7example\0", 13, "\3WWW\7EXAMPLE\0", 0xff},
		{"\3www\7example\0", 13, "\3www\7example\0", 0x00},
		{"\3www\7example\0", 13, "\3WwW\7eXamPlE\0", 0x4a},
		{"\6"
		 "a-1@[\xe4\0",
			8,
			"\6"
			"A-1@[\xe4\0",
			0xff},
		{"\4`{|}\4\0z\x80\xff\0", 11, "\4`{|}\4\0Z\x80\xff\0", 0xff},
		{"\0", 1, "\0", 0xff},
	};
	uint8_t octets[MESSAGE_QUERY_OCTETS_MAX];
	uint8_t bits[MESSAGE_CASE_OCTETS];
	uint8_t asked[MESSAGE_QUESTION_OCTETS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(bits, cases[i].bits, sizeof(bits));
		memcpy(asked, cases[i].name, cases[i].len);
		memcpy(asked + cases[i].len, "\0\x61\0\x61", 4); /* Type and class are none. */
		message_query_to_upstream(
			(struct bytes){asked, cases[i].len + 4}, false, false, 1, bits, octets);
		assert_memory_equal(octets + 12, cases[i].expected, cases[i].len);
		assert_memory_equal(octets + 12 + cases[i].len, "\0\x61\0\x61", 4);
	}
	/* 255 octets, and as many bits. */
	memcpy(asked, NAME_255 "\0\1\0\1", 259);
	assert_int_equal(
		message_query_to_upstream((struct bytes){asked, 259}, true, true, 1, bits, octets),
		MESSAGE_QUERY_OCTETS_MAX);
}

/* What message_check() lets through makes a reply that is well-formed too, of any client. */
static void accepted_is_carried_on(const struct message *message)
{
	static const struct upstream_how hows[] = {
		{.ad = false}, {.asking = {.udp_octets = 1232, .dnssec_ok = true}}};
	const struct message_reply source = message_reply_of(message);
	uint16_t offsets[64];

	assert_true(message->record_count <= 64);
	message_ttl_offsets(message, offsets);
	for (size_t i = 0; i < message->record_count; i++)
		assert_true(offsets[i] + 6u <= message->octets.len);
	for (size_t i = 0; i < 2; i++) {
		struct message_client client;
		struct message again;
		uint8_t reply[1232];

		upstream_client("wWw.example.", 0, &hows[i], &client);
		const size_t len = message_to_client(&source, &client, reply);

		assert_int_equal(
			message_check((struct bytes){reply, len}, 0xbeef, question, &again),
			message->is_truncated ? MESSAGE_TRUNCATED : MESSAGE_OK);
		assert_int_equal(again.record_count, message->record_count);
		/* OPT of a truncated message is not read. */
		assert_int_equal(again.has_edns, client.has_edns && !message->is_truncated);
	}
}

static const struct upstream_reply damaged[] = {
	{.name = "wWw.example.",
		.has_edns = true,
		.extended_error = 22,
		.answer = {"wWw.example. 300 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.1",
			"a.example. 60 IN A 192.0.2.2"},
		.authority = {"example. 100 IN NS ns.example."},
		.additional = {"ns.example. 100 IN AAAA 2001:db8::1"}},
	{.name = "wWw.example.",
		.rcode = 3,
		.has_edns = true,
		.authority = {UPSTREAM_SOA("60", "60")}},
};

static void test_no_truncation_is_taken_for_a_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		size_t whole_len;
		uint8_t *whole = upstream_make(&damaged[i], &whole_len);

		for (size_t len = 0; len <= whole_len; len++) {
			struct message message;
			uint8_t *copy;
			const enum message_verdict verdict = check(whole, len, &message, &copy);

			assert_int_equal(verdict, len < 29          ? MESSAGE_FOREIGN
						  : len < whole_len ? MESSAGE_MALFORMED
								    : MESSAGE_OK);
			free(copy);
		}
		free(whole);
	}
}

static void test_every_bit_flip_is_survived(void **state)
{
	size_t verdicts[4] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		size_t len;
		uint8_t *whole = upstream_make(&damaged[i], &len);

		for (size_t bit = 0; bit < len * 8; bit++) {
			struct message message;
			uint8_t *copy;

			whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
			const enum message_verdict verdict = check(whole, len, &message, &copy);

			whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* Id and question: not one bit. */
			if (bit < 16 || (bit >= 12 * 8 && bit < 29 * 8))
				assert_int_equal(verdict, MESSAGE_FOREIGN);
			if (verdict == MESSAGE_OK || verdict == MESSAGE_TRUNCATED)
				accepted_is_carried_on(&message);
			verdicts[verdict]++;
			free(copy);
		}
		free(whole);
	}
	for (size_t i = 0; i < 4; i++)
		assert_true(verdicts[i] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_reply_to_this_query_counts),
		cmocka_unit_test(test_records_are_whole_or_the_message_is_malformed),
		cmocka_unit_test(test_octets_behind_the_records_are_left_out),
		cmocka_unit_test(test_pointers_of_owners_point_backwards),
		cmocka_unit_test(test_one_opt_stands_in_the_additional_section),
		cmocka_unit_test(test_of_a_truncated_reply_only_the_question_is_left),
		cmocka_unit_test(test_what_a_cache_needs_is_found),
		cmocka_unit_test(test_malformed_soa_is_none),
		cmocka_unit_test(test_opt_tells_upper_bits_and_the_first_extended_error),
		cmocka_unit_test(test_records_behind_opt_are_left_out),
		cmocka_unit_test(test_client_gets_its_own_bits_and_opt),
		cmocka_unit_test(test_reply_fits_or_is_cut_to_its_question),
		cmocka_unit_test(test_extended_error_never_cuts_a_reply),
		cmocka_unit_test(test_ttls_count_down_and_never_below_0),
		cmocka_unit_test(test_stale_data_is_not_authentic),
		cmocka_unit_test(test_error_has_a_question_and_no_record),
		cmocka_unit_test(test_upstream_gets_our_own_query),
		cmocka_unit_test(test_only_letters_change_their_case),
		cmocka_unit_test(test_no_truncation_is_taken_for_a_reply),
		cmocka_unit_test(test_every_bit_flip_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
