/* Messages as bytes; what they mean is from RFC 1035, 6891, 7873, 8945, 8906, 9267, 9619. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/dns/query.h"

#define HEADER_OF(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define HEADER                           HEADER_OF("\1\0", "\1", "\0", "\0", "\0")
#define HEADER_WITH(ar)                  HEADER_OF("\1\0", "\1", "\0", "\0", ar)
#define QUESTION                         "\2vm\7libvirt\0\0\1\0\1"
#define OPT(udp, version, flags, len)    "\0\0\x29" udp "\0" version flags len
#define OPT_PLAIN                        OPT("\4\xd0", "\0", "\0\0", "\0\0")
#define COOKIE_8       \
	"\0\x0a\0\x08" \
	"12345678"
#define RECORD(owner, type) owner "\0" type "\0\1\0\0\0\0\0\2xy"
#define TSIG                RECORD("\3key\0", "\xfa")

struct query_case {
	const char *what;
	const char *octets;
	size_t len;
	enum query_verdict verdict;
};

#define CASE(what, octets, verdict)                       \
	{                                                 \
		what, octets, sizeof(octets) - 1, verdict \
	}

/* Parses from a copy of exact size, so that a sanitizer sees each octet beyond. */
static enum query_verdict parse(const char *octets, size_t len, struct query *out_query)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, octets, len);
	const enum query_verdict verdict = query_parse((struct bytes){copy, len}, out_query);

	free(copy);
	return verdict;
}

static void run(const struct query_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct query query;
		const enum query_verdict verdict = parse(cases[i].octets, cases[i].len, &query);

		if (verdict != cases[i].verdict)
			fail_msg("%s: %d instead of %d", cases[i].what, verdict, cases[i].verdict);
	}
}

#define RUN(cases) run(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_header_decides_first(void **state)
{
	static const struct query_case cases[] = {
		CASE("nothing", "", QUERY_DROP),
		CASE("11 octets", "\x12\x34\1\0\0\1\0\0\0\0\0", QUERY_DROP),
		CASE("a response", HEADER_OF("\x81\0", "\1", "\0", "\0", "\0") QUESTION,
			QUERY_DROP),
		CASE("a response with an unknown opcode",
			HEADER_OF("\xf9\0", "\1", "\0", "\0", "\0") QUESTION, QUERY_DROP),
		CASE("a query", HEADER QUESTION, QUERY_OK),
		CASE("all flags of a query", HEADER_OF("\x07\xff", "\1", "\0", "\0", "\0") QUESTION,
			QUERY_OK),
		CASE("a header alone", HEADER_OF("\1\0", "\0", "\0", "\0", "\0"), QUERY_FORMERR),
		CASE("a header that announces a question", HEADER, QUERY_FORMERR),
		CASE("two questions", HEADER_OF("\1\0", "\2", "\0", "\0", "\0") QUESTION QUESTION,
			QUERY_FORMERR),
		CASE("an answer",
			HEADER_OF("\1\0", "\1", "\1", "\0", "\0") QUESTION RECORD("\xc0\x0c", "\1"),
			QUERY_FORMERR),
		CASE("an authority (IXFR would have one)",
			HEADER_OF("\1\0", "\1", "\0", "\1", "\0") QUESTION RECORD("\xc0\x0c", "\6"),
			QUERY_FORMERR),
		CASE("65535 answers that are not there",
			"\x12\x34\1\0\0\1\xff\xff\0\0\0\0" QUESTION, QUERY_FORMERR),
		CASE("65535 of all that are not there",
			"\x12\x34\1\0\0\1\xff\xff\xff\xff\xff\xff" QUESTION, QUERY_FORMERR),
		CASE("an octet behind", HEADER QUESTION "\0", QUERY_FORMERR),
		CASE("an octet behind OPT", HEADER_WITH("\1") QUESTION OPT_PLAIN "\0",
			QUERY_FORMERR),
	};

	(void)state;
	RUN(cases);
}

static void test_other_opcodes_are_not_implemented_whatever_follows(void **state)
{
	static const struct query_case cases[] = {
		CASE("IQUERY", HEADER_OF("\x09\0", "\1", "\0", "\0", "\0") QUESTION, QUERY_NOTIMP),
		CASE("STATUS", HEADER_OF("\x10\0", "\0", "\0", "\0", "\0"), QUERY_NOTIMP),
		CASE("NOTIFY",
			HEADER_OF("\x24\0", "\1", "\1", "\0", "\0")
				QUESTION RECORD("\xc0\x0c", "\6"),
			QUERY_NOTIMP),
		CASE("UPDATE",
			HEADER_OF("\x28\0", "\1", "\0", "\1", "\0")
				QUESTION RECORD("\xc0\x0c", "\1"),
			QUERY_NOTIMP),
		CASE("opcode 15 and nothing", HEADER_OF("\x78\0", "\0", "\0", "\0", "\0"),
			QUERY_NOTIMP),
		CASE("opcode 15 and a torn question",
			HEADER_OF("\x78\0", "\1", "\0", "\0", "\0") "\5ab", QUERY_NOTIMP),
		CASE("opcode 15 and many questions",
			HEADER_OF("\x78\0", "\7", "\7", "\7", "\7") "xyz", QUERY_NOTIMP),
	};

	(void)state;
	RUN(cases);
}

#define L63    \
	"\x3f" \
	"123456789012345678901234567890123456789012345678901234567890123"
#define L61    \
	"\x3d" \
	"1234567890123456789012345678901234567890123456789012345678901"
#define L62    \
	"\x3e" \
	"12345678901234567890123456789012345678901234567890123456789012"

static void test_names_of_questions_are_plain_and_bounded(void **state)
{
	static const struct query_case cases[] = {
		CASE("the root", HEADER "\0\0\1\0\1", QUERY_OK),
		CASE("label of 63", HEADER L63 "\0\0\1\0\1", QUERY_OK),
		CASE("label type 01",
			HEADER "\x40"
			       "aaaa\0\0\1\0\1",
			QUERY_FORMERR),
		CASE("label type 10",
			HEADER "\x80"
			       "aaaa\0\0\1\0\1",
			QUERY_FORMERR),
		CASE("bit string label (RFC 2673)", HEADER "\x41\x08x\0\0\1\0\1", QUERY_FORMERR),
		CASE("255 octets", HEADER L63 L63 L63 L61 "\0\0\1\0\1", QUERY_OK),
		CASE("256 octets", HEADER L63 L63 L63 L62 "\0\0\1\0\1", QUERY_FORMERR),
		CASE("257 octets", HEADER L63 L63 L63 L63 "\0\0\1\0\1", QUERY_FORMERR),
		CASE("a pointer to itself", HEADER "\xc0\x0c\0\1\0\1", QUERY_FORMERR),
		CASE("a pointer to its label", HEADER "\1a\xc0\x0c\0\1\0\1", QUERY_FORMERR),
		CASE("a pointer into the header", HEADER "\1a\xc0\x04\0\1\0\1", QUERY_FORMERR),
		CASE("a pointer forward", HEADER "\xc0\x0e\1a\0\0\1\0\1", QUERY_FORMERR),
		CASE("a pointer beyond the end", HEADER "\xff\xff\0\1\0\1", QUERY_FORMERR),
		CASE("half a pointer", HEADER "\xc0", QUERY_FORMERR),
		CASE("no root", HEADER "\2vm\7libvirt", QUERY_FORMERR),
		CASE("label beyond the end", HEADER "\x3fvm\0\0\1\0\1", QUERY_FORMERR),
		CASE("no type", HEADER "\2vm\0", QUERY_FORMERR),
		CASE("half a class", HEADER "\2vm\0\0\1\0", QUERY_FORMERR),
		CASE("binary labels", HEADER "\4\0.\\\xff\0\0\1\0\1", QUERY_OK),
	};

	(void)state;
	RUN(cases);
}

static void test_additional_section_is_walked_with_bounds(void **state)
{
	static const struct query_case cases[] = {
		CASE("OPT", HEADER_WITH("\1") QUESTION OPT_PLAIN, QUERY_OK),
		CASE("no OPT where one is announced", HEADER_WITH("\1") QUESTION, QUERY_FORMERR),
		CASE("two OPTs", HEADER_WITH("\2") QUESTION OPT_PLAIN OPT_PLAIN, QUERY_FORMERR),
		CASE("OPT of another owner", HEADER_WITH("\1") QUESTION "\1a" OPT_PLAIN,
			QUERY_FORMERR),
		CASE("OPT owned by a pointer to a root",
			HEADER_WITH("\1") QUESTION "\xc0\x17"
						   "\0\x29\4\xd0\0\0\0\0\0\0",
			QUERY_FORMERR),
		CASE("OPT as an answer",
			HEADER_OF("\1\0", "\1", "\1", "\0", "\0") QUESTION OPT_PLAIN,
			QUERY_FORMERR),
		CASE("version 1", HEADER_WITH("\1") QUESTION OPT("\4\xd0", "\1", "\0\0", "\0\0"),
			QUERY_BADVERS),
		CASE("version 255, whose options we cannot know",
			HEADER_WITH("\1") QUESTION OPT("\4\xd0", "\xff", "\0\0", "\0\1") "x",
			QUERY_BADVERS),
		CASE("an unknown option",
			HEADER_WITH("\1")
				QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\5") "\xff\xfe\0\1x",
			QUERY_OK),
		CASE("half an option",
			HEADER_WITH("\1") QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\3") "\0\x0a\0",
			QUERY_FORMERR),
		CASE("an option beyond its OPT",
			HEADER_WITH("\1") QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\4") "\0\x0a\0\1",
			QUERY_FORMERR),
		CASE("RDATA beyond the end",
			HEADER_WITH("\1") QUESTION OPT("\4\xd0", "\0", "\0\0", "\xff\xff"),
			QUERY_FORMERR),
		CASE("another record", HEADER_WITH("\1") QUESTION RECORD("\xc0\x0c", "\1"),
			QUERY_OK),
		CASE("SIG(0)", HEADER_WITH("\1") QUESTION RECORD("\0", "\x18"), QUERY_OK),
		CASE("others around OPT",
			HEADER_WITH("\3") QUESTION RECORD("\1x\0", "\1")
				OPT_PLAIN RECORD("\1y\xc0\x0c", "\1"),
			QUERY_OK),
		CASE("owner points to itself", HEADER_WITH("\1") QUESTION RECORD("\xc0\x1c", "\1"),
			QUERY_FORMERR),
		CASE("owner points into itself",
			HEADER_WITH("\1") QUESTION RECORD("\1a\xc0\x1c", "\1"), QUERY_FORMERR),
		CASE("owner points forward", HEADER_WITH("\1") QUESTION RECORD("\xc0\x1e", "\1"),
			QUERY_FORMERR),
		CASE("owner points into the header",
			HEADER_WITH("\1") QUESTION RECORD("\xc0\x0b", "\1"), QUERY_FORMERR),
		CASE("owner over 255",
			HEADER_WITH("\1") QUESTION RECORD(L63 L63 L63 L62 "\0", "\1"),
			QUERY_FORMERR),
		CASE("owner is half a pointer", HEADER_WITH("\1") QUESTION "\1a\xc0",
			QUERY_FORMERR),
		CASE("owner without an end", HEADER_WITH("\1") QUESTION "\1a\1b", QUERY_FORMERR),
		CASE("owner of label type 10", HEADER_WITH("\1") QUESTION RECORD("\x80", "\1"),
			QUERY_FORMERR),
		CASE("half a record", HEADER_WITH("\1") QUESTION "\0\0\1\0\1\0\0\0\0\0",
			QUERY_FORMERR),
		CASE("TSIG", HEADER_WITH("\1") QUESTION TSIG, QUERY_OK),
		CASE("OPT, TSIG", HEADER_WITH("\2") QUESTION OPT_PLAIN TSIG, QUERY_OK),
		CASE("TSIG, OPT", HEADER_WITH("\2") QUESTION TSIG OPT_PLAIN, QUERY_FORMERR),
		CASE("TSIG, TSIG", HEADER_WITH("\2") QUESTION TSIG TSIG, QUERY_FORMERR),
	};

	(void)state;
	RUN(cases);
}

#define NO_QUESTION HEADER_OF("\1\0", "\0", "\0", "\0", "\1")

static void test_no_question_is_fine_with_a_cookie_only(void **state)
{
	static const struct query_case cases[] = {
		CASE("OPT", NO_QUESTION OPT_PLAIN, QUERY_FORMERR),
		CASE("client cookie", NO_QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x0c") COOKIE_8,
			QUERY_NO_QUESTION),
		CASE("cookie of 7",
			NO_QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x0b") "\0\x0a\0\7"
									  "1234567",
			QUERY_FORMERR),
		CASE("cookie of 15",
			NO_QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x13") "\0\x0a\0\x0f"
									  "123456789012345",
			QUERY_FORMERR),
		CASE("both cookies",
			NO_QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x14") "\0\x0a\0\x10"
									  "1234567890123456",
			QUERY_NO_QUESTION),
		CASE("cookie of version 1",
			NO_QUESTION OPT("\4\xd0", "\1", "\0\0", "\0\x0c") COOKIE_8, QUERY_BADVERS),
		CASE("cookie and rubbish",
			NO_QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x0c") COOKIE_8 "x",
			QUERY_FORMERR),
	};

	(void)state;
	RUN(cases);
}

static void test_what_an_answer_depends_on_is_kept(void **state)
{
	struct query query;
	static const char octets[] =
		HEADER_WITH("\1") "\5A.b\0Z\3@[z\0\0\x1c\0\3" OPT("\x10\0", "\0", "\x80\0", "\0\0");
	static const uint8_t folded[] = "\5a.b\0z\3@[z";

	(void)state;
	assert_int_equal(parse(octets, sizeof(octets) - 1, &query), QUERY_OK);
	assert_int_equal(query.id, 0x1234);
	assert_int_equal(query.opcode, 0);
	assert_true(query.recursion_desired);
	assert_int_equal(query.type, 28);
	assert_int_equal(query.class, 3);
	assert_int_equal(query.name_octets, sizeof(folded));
	assert_memory_equal(query.name, folded, sizeof(folded));
	assert_int_equal(query.label_count, 2);
	assert_int_equal(query.labels[0], 0);
	assert_int_equal(query.labels[1], 6);
	assert_int_equal(query.question_octets, 11 + 4);
	assert_true(query.has_edns);
	assert_true(query.dnssec_ok);
	assert_int_equal(query.udp_octets, 4096);
}

/* RFC 4343: only the 26 letters of ASCII fold. Each octet, at each place of a word. */
static void test_only_ascii_letters_fold(void **state)
{
	(void)state;
	for (unsigned octet = 0; octet < 256; octet++) {
		for (size_t place = 0; place < 16; place++) {
			char octets[DNS_HEADER_OCTETS + 1 + 16 + 5 + 1] = HEADER;
			struct query query;
			char *label = octets + DNS_HEADER_OCTETS;

			label[0] = 16;
			memset(label + 1, 'Q', 16);
			label[1 + place] = (char)octet;
			memcpy(label + 17, "\0\0\1\0\1", 5);
			assert_int_equal(parse(octets, sizeof(octets) - 1, &query), QUERY_OK);
			for (size_t i = 0; i < 16; i++)
				assert_int_equal(query.name[1 + i],
					i == place ? byte_lower((uint8_t)octet) : 'q');
		}
	}
}

static void test_every_truncation_is_malformed(void **state)
{
	static const char octets[] =
		HEADER_WITH("\2") QUESTION OPT("\4\xd0", "\0", "\0\0", "\0\x0c") COOKIE_8 TSIG;
	struct query query;

	(void)state;
	assert_int_equal(parse(octets, sizeof(octets) - 1, &query), QUERY_OK);
	for (size_t len = 0; len < sizeof(octets) - 1; len++)
		assert_int_equal(parse(octets, len, &query),
			len < DNS_HEADER_OCTETS ? QUERY_DROP : QUERY_FORMERR);
}

static void test_question_is_known_though_the_rest_is_malformed(void **state)
{
	static const char after[] = HEADER_WITH("\1") QUESTION "\0\0";
	static const char two[] = HEADER_WITH("\2") QUESTION OPT_PLAIN OPT_PLAIN;
	static const char torn[] = HEADER "\2vm";
	struct query query;

	(void)state;
	parse(after, sizeof(after) - 1, &query);
	assert_int_equal(query.question_octets, sizeof(QUESTION) - 1);
	assert_false(query.has_edns);
	parse(two, sizeof(two) - 1, &query);
	assert_true(query.has_edns);
	parse(torn, sizeof(torn) - 1, &query);
	assert_int_equal(query.question_octets, 0);
}

struct name_case {
	const char *what;
	const char *octets; /* Behind twelve octets of header. */
	size_t len;
	size_t offset;
	const char *name;
	size_t name_len; /* 0: malformed */
};

#define NAME(what, octets, offset, name)                                         \
	{                                                                        \
		what, octets, sizeof(octets) - 1, offset, name, sizeof(name) - 1 \
	}

static void test_compressed_names_are_read_backwards_only(void **state)
{
	static const struct name_case cases[] = {
		NAME("plain", "\1A\0", 12, "\1A\0"),
		NAME("pointer", "\1A\0\1b\xc0\x0c", 15, "\1b\1A\0"),
		NAME("pointer to a pointer", "\1A\0\xc0\x0c\xc0\x0f", 17, "\1A\0"),
		NAME("to itself", "\xc0\x0c", 12, ""),
		NAME("forward", "\xc0\x0e\0", 12, ""),
		NAME("into the header", "\1a\xc0\x00", 12, ""),
		NAME("to its own label", "\0\1a\xc0\x0d", 13, ""),
		NAME("two that point at each other", "\xc0\x0e\xc0\x0c", 14, ""),
		NAME("cut short", "\1", 12, ""),
		NAME("half a pointer", "\0\xc0", 13, ""),
		NAME("label type 01",
			"\x41"
			"a\0",
			12, ""),
		NAME("beyond the end", "\0", 99, ""),
		NAME("255 octets by pointer",
			L63 L63 L63
			"\0\x3d"
			"1234567890123456789012345678901234567890123456789012345678901\xc0\x0c",
			12 + 193,
			"\x3d"
			"1234567890123456789012345678901234567890123456789012345678901" L63 L63 L63
			"\0"),
		NAME("256 octets by pointer", L63 L63 L63 "\0" L62 "\xc0\x0c", 12 + 193, ""),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t message[512] = HEADER;
		uint8_t name[DNS_NAME_OCTETS_MAX];

		memcpy(message + DNS_HEADER_OCTETS, cases[i].octets, cases[i].len);
		const size_t len =
			query_name_read((struct bytes){message, DNS_HEADER_OCTETS + cases[i].len},
				cases[i].offset, name);

		if (len != cases[i].name_len)
			fail_msg("%s: %zu octets", cases[i].what, len);
		assert_memory_equal(name, cases[i].name, len);
	}
}

/* RFC 9267 section 2: a long chain of pointers is work that the name is not worth. */
static void test_chain_of_pointers_is_capped(void **state)
{
	uint8_t message[4096] = HEADER;
	uint8_t name[DNS_NAME_OCTETS_MAX];
	size_t at = DNS_HEADER_OCTETS + 1;

	(void)state;
	for (unsigned hops = 1; hops <= DNS_LABELS_MAX + 1; hops++, at += 2) {
		const size_t target = hops == 1 ? DNS_HEADER_OCTETS : at - 2;

		dns_write_u16(message + at, (uint16_t)(DNS_POINTER | target));
		assert_int_equal(query_name_read((struct bytes){message, at + 2}, at, name),
			hops <= DNS_LABELS_MAX ? 1 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_decides_first),
		cmocka_unit_test(test_other_opcodes_are_not_implemented_whatever_follows),
		cmocka_unit_test(test_names_of_questions_are_plain_and_bounded),
		cmocka_unit_test(test_additional_section_is_walked_with_bounds),
		cmocka_unit_test(test_no_question_is_fine_with_a_cookie_only),
		cmocka_unit_test(test_what_an_answer_depends_on_is_kept),
		cmocka_unit_test(test_only_ascii_letters_fold),
		cmocka_unit_test(test_every_truncation_is_malformed),
		cmocka_unit_test(test_question_is_known_though_the_rest_is_malformed),
		cmocka_unit_test(test_compressed_names_are_read_backwards_only),
		cmocka_unit_test(test_chain_of_pointers_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
