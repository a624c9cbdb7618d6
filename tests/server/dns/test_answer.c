#include "tests/server/world.h"

#include <sys/mman.h>
#include <unistd.h>

#define TYPE_DS     43
#define TYPE_RRSIG  46
#define TYPE_NSEC   47
#define TYPE_DNSKEY 48
#define TYPE_MAILB  253
#define TYPE_MAILA  254
#define CLASS_CH    3
#define CLASS_HS    4
#define CLASS_NONE  254

#define NODATA   "NOERROR aa rd" ASKING_SOA
#define NXDOMAIN "NXDOMAIN aa rd" ASKING_SOA

static void test_addresses_come_with_the_rest_of_their_lease(void **state)
{
	static const struct asking_case cases[] = {
		ASK("vm1.libvirt", 1, "NOERROR aa rd; AN vm1.libvirt. 5 IN A 192.168.122.10"),
		ASK("host-one.libvirt", 1,
			"NOERROR aa rd; AN host-one.libvirt. 5 IN A 192.168.122.10"),
		ASK("vm1.libvirt", 1, "NOERROR aa rd; AN vm1.libvirt. 4 IN A 192.168.122.10",
			.later_s = 96),
		ASK("vm1.libvirt", 1, "NOERROR aa rd; AN vm1.libvirt. 0 IN A 192.168.122.10",
			.later_s = 100),
		/* The guest is known to libvirt, its lease has ended; the hostname is gone. */
		ASK("vm1.libvirt", 1, NODATA, .later_s = 101),
		ASK("host-one.libvirt", 1, NXDOMAIN, .later_s = 101),
		ASK("last.libvirt", 1, "NOERROR aa rd; AN last.libvirt. 0 IN A 192.168.122.30"),
		ASK("last.libvirt", 1, NXDOMAIN, .later_s = 1),
		ASK("dead.libvirt", 1, NXDOMAIN),
		/* A clock that stepped back or forward as far as it goes. */
		ASK("vm1.libvirt", 1, "NOERROR aa rd; AN vm1.libvirt. 5 IN A 192.168.122.10",
			.later_s = -ASKING_NOW),
		ASK("printer.libvirt", 1, "NOERROR aa rd; AN printer.libvirt. 5 IN A 192.168.122.5",
			.later_s = INT64_MAX - ASKING_NOW),
		ASK("six.libvirt", 28, "NOERROR aa rd; AN six.libvirt. 5 IN AAAA fd00:122::60"),
		ASK("leasedns.libvirt", 1, "NOERROR aa rd; AN leasedns.libvirt. 5 IN A 127.0.0.56"),
	};

	ASKING_RUN(*state, cases);
}

static void test_rrset_has_one_ttl_and_the_longest_lease_first(void **state)
{
	static const struct asking_case cases[] = {
		ASK("two.libvirt", 1,
			"NOERROR aa rd; AN two.libvirt. 3 IN A 192.168.122.21"
			"; AN two.libvirt. 3 IN A 192.168.122.20"),
		ASK("two.libvirt", 1, "NOERROR aa rd; AN two.libvirt. 5 IN A 192.168.122.21",
			.later_s = 4),
		ASK("two.libvirt", 28, "NOERROR aa rd; AN two.libvirt. 5 IN AAAA fd00:122::20"),
	};

	ASKING_RUN(*state, cases);
}

static void test_existing_name_without_that_type_is_nodata(void **state)
{
	static const struct asking_case cases[] = {
		ASK("vm1.libvirt", 28, NODATA),
		ASK("six.libvirt", 1, NODATA),
		ASK("ghost.libvirt", 1, NODATA),
		ASK("ghost.libvirt", DNS_TYPE_ANY, NODATA),
		ASK("ghost.libvirt", DNS_TYPE_TXT, NODATA),
		ASK("vm1.libvirt", DNS_TYPE_SOA, NODATA),
		ASK("vm1.libvirt", DNS_TYPE_NS, NODATA),
		ASK("vm1.libvirt", TYPE_DS, NODATA),
		ASK("vm1.libvirt", TYPE_RRSIG, NODATA),
		ASK("vm1.libvirt", TYPE_NSEC, NODATA),
		ASK("vm1.libvirt", 12345, NODATA),
		ASK("vm1.libvirt", 0, NODATA),
		ASK("vm1.libvirt", 65535, NODATA),
		ASK("vm1.libvirt", TYPE_MAILB, NODATA),
		ASK("vm1.libvirt", TYPE_MAILA, NODATA),
		/* Empty non-terminals and networks. */
		ASK("04.libvirt", 1, NODATA),
		ASK("virbr0.libvirt", 1, NODATA),
		ASK("default.libvirt", 28, NODATA),
		ASK("virbr1.libvirt", DNS_TYPE_ANY, NODATA),
	};

	ASKING_RUN(*state, cases);
}

static void test_missing_name_is_nxdomain_and_never_forwarded(void **state)
{
	static const struct asking_case cases[] = {
		ASK("nobody.libvirt", 1, NXDOMAIN),
		ASK("nobody.libvirt", 1, "NXDOMAIN aa rd ra" ASKING_SOA,
			.recursion_available = true),
		ASK("nobody.libvirt", 1, "NXDOMAIN aa" ASKING_SOA, .no_recursion_desired = true),
		ASK("nobody.libvirt", 65535, NXDOMAIN),
		ASK("a.vm1.libvirt", 1, NXDOMAIN),
		ASK("wpad.libvirt", 1, NXDOMAIN),
		ASK("vm1.nowhere.libvirt", 1, NXDOMAIN),
		ASK("vm1.libvirt.libvirt", 1, NXDOMAIN),
	};

	ASKING_RUN(*state, cases);
}

static void test_names_of_several_labels(void **state)
{
	static const struct asking_case cases[] = {
		ASK("ubuntu22.04.libvirt", 1,
			"NOERROR aa rd; AN ubuntu22.04.libvirt. 5 IN A 192.168.122.50"),
		ASK("vm1.virbr0.libvirt", 1,
			"NOERROR aa rd; AN vm1.virbr0.libvirt. 5 IN A 192.168.122.10"),
		ASK("vm1.default.libvirt", 1,
			"NOERROR aa rd; AN vm1.default.libvirt. 5 IN A 192.168.122.10"),
		ASK("vm1.virbr1.libvirt", 1, NXDOMAIN),
		/* A guest beats a hostname, which keeps its name on its network. */
		ASK("both.libvirt", 1, "NOERROR aa rd; AN both.libvirt. 5 IN A 10.1.2.3"),
		ASK("both.virbr0.libvirt", 1,
			"NOERROR aa rd; AN both.virbr0.libvirt. 5 IN A 192.168.122.80"),
		ASK("DB\\032Server.libvirt", 1,
			"NOERROR aa rd; AN DB\\032Server.libvirt. 5 IN A 192.168.122.80"),
		ASK("db-server.libvirt", 1,
			"NOERROR aa rd; AN db-server.libvirt. 5 IN A 192.168.122.80"),
	};

	ASKING_RUN(*state, cases);
}

static void test_case_folds_and_comes_back_as_asked(void **state)
{
	static const struct asking_case cases[] = {
		ASK("Vm1.LIBvirt", 1, "NOERROR aa rd; AN Vm1.LIBvirt. 5 IN A 192.168.122.10"),
		ASK("VM1.libvirt", 28, "NOERROR aa rd; NS libvirt. 2 " ASKING_SOA_RDATA),
		ASK("NO.LibVirt", 1,
			"NXDOMAIN aa rd; NS LibVirt. 2 IN SOA leasedns.LibVirt. "
			"hostmaster.LibVirt. "
			"1800000000 1200 180 1209600 2"),
	};

	ASKING_RUN(*state, cases);
}

/* A label with a dot of its own is not two labels, one with a NUL no prefix of itself. */
static void test_odd_octets_in_labels_match_nothing_else(void **state)
{
	static const struct asking_case cases[] = {
		ASK("ubuntu22\\.04.libvirt", 1, NXDOMAIN),
		ASK("vm1\\.virbr0.libvirt", 1, NXDOMAIN),
		ASK("vm1\\000.libvirt", 1, NXDOMAIN),
		ASK("\\000.libvirt", 1, NXDOMAIN),
		ASK("\\255\\092.libvirt", 1, NXDOMAIN),
		ASK("vm1\\.libvirt", 1, "REFUSED rd"),
		ASK("xlibvirt", 1, "REFUSED rd"),
	};

	ASKING_RUN(*state, cases);
}

/* Few programs can look such a name up, and some would look up another: it is left to its alias,
 * which here two guests share, so that nobody has it. */
static void test_guest_with_nul_in_its_name_is_not_in_dns(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.7", "07", "wpad", WORLD_NEVER) "]"},
		{"virbr0.macs", "[{\"domain\":\"a\\u0000b\",\"macs\":[\"52:54:00:00:00:07\"]},"
				"{\"domain\":\"a b\",\"macs\":[\"52:54:00:00:00:08\"]}]"},
	};
	static const struct asking_case cases[] = {
		ASK("a\\000b.libvirt", 1, NXDOMAIN),
		ASK("a-b.libvirt", 1, NXDOMAIN),
		ASK("a\\032b.libvirt", 1, NODATA),
		ASK("7.122.168.192.in-addr.arpa", 12,
			"NXDOMAIN aa rd; NS 122.168.192.in-addr.arpa. 2 " ASKING_SOA_RDATA),
	};
	struct asking_world *world = asking_open(files, 2, NULL);

	(void)state;
	ASKING_RUN(world, cases);
	asking_close(world);
}

static void test_any_gets_one_rrset(void **state)
{
	static const struct asking_case cases[] = {
		ASK("two.libvirt", DNS_TYPE_ANY,
			"NOERROR aa rd; AN two.libvirt. 5 IN A 192.168.122.21", .later_s = 4),
		ASK("six.libvirt", DNS_TYPE_ANY,
			"NOERROR aa rd; AN six.libvirt. 5 IN AAAA fd00:122::60"),
		ASK("nobody.libvirt", DNS_TYPE_ANY, NXDOMAIN),
	};

	ASKING_RUN(*state, cases);
}

static void test_questions_that_are_no_names_business(void **state)
{
	static const struct asking_case cases[] = {
		ASK("libvirt", DNS_TYPE_AXFR, "REFUSED rd"),
		ASK("libvirt", DNS_TYPE_IXFR, "REFUSED rd", .is_tcp = true),
		ASK("example.com", DNS_TYPE_AXFR, "REFUSED rd ra", .recursion_available = true),
		ASK("libvirt", DNS_TYPE_TKEY, "REFUSED rd"),
		ASK("libvirt", DNS_TYPE_TSIG, "REFUSED rd"),
		ASK("vm1.libvirt", DNS_TYPE_OPT, "FORMERR rd"),
		ASK("vm1.libvirt", DNS_TYPE_OPT, "FORMERR rd; EDNS", .udp_octets = 1232),
		ASK("version.bind", DNS_TYPE_TXT, "REFUSED rd ra", .class = CLASS_CH,
			.recursion_available = true),
		ASK("id.server", DNS_TYPE_TXT, "REFUSED rd", .class = CLASS_CH),
		ASK("vm1.libvirt", 1, "REFUSED rd", .class = CLASS_CH),
		ASK("vm1.libvirt", 1, "REFUSED rd", .class = CLASS_HS),
		ASK("vm1.libvirt", 1, "REFUSED rd", .class = CLASS_NONE),
		ASK("vm1.libvirt", 1, "REFUSED rd", .class = DNS_CLASS_ANY),
		ASK("vm1.libvirt", 1, "REFUSED rd", .class = 65535),
	};

	ASKING_RUN(*state, cases);
}

static void test_outside_is_forwarded_or_refused(void **state)
{
	static const struct asking_case cases[] = {
		ASK("example.com", 1, "REFUSED rd"),
		ASK("example.com", 1, "FORWARD", .recursion_available = true),
		ASK("example.com", 1, "REFUSED ra", .recursion_available = true,
			.no_recursion_desired = true),
		ASK(".", DNS_TYPE_NS, "REFUSED rd"),
		ASK(".", DNS_TYPE_NS, "FORWARD", .recursion_available = true),
		ASK("libvirt.example", 1, "FORWARD", .recursion_available = true),
		ASK("example.com", 1, "REFUSED rd; EDNS do", .udp_octets = 4096, .dnssec_ok = true),
	};

	ASKING_RUN(*state, cases);
}

static void test_edns_is_answered_in_kind(void **state)
{
	static const struct asking_case cases[] = {
		ASK("ghost.libvirt", 1, NODATA "; EDNS", .has_edns = true),
		ASK("ghost.libvirt", 1, NODATA "; EDNS", .udp_octets = 1),
		ASK("ghost.libvirt", 1, NODATA "; EDNS", .udp_octets = 65535),
		ASK("ghost.libvirt", 1, NODATA "; EDNS do", .udp_octets = 512, .dnssec_ok = true),
	};

	ASKING_RUN(*state, cases);
}

struct raw_case {
	const char *what;
	const char *octets;
	size_t len;
	const char *expected; /* NULL: dropped. */
	bool has_question;    /* In the reply. */
};

#define RAW(what, octets, expected, has_question)                        \
	{                                                                \
		what, octets, sizeof(octets) - 1, expected, has_question \
	}
#define HEAD(flags, counts)         "\xbe\xef" flags "\0" counts
#define ASKED                       "\3vm1\7libvirt\0\0\1\0\1"
#define OPT_OF(version, flags, len) "\0\0\x29\4\xd0\0" version flags len

static void test_errors_keep_id_opcode_and_what_can_be_read(void **state)
{
	struct asking_world *world = *state;
	static const struct raw_case cases[] = {
		RAW("nothing", "", NULL, false),
		RAW("11 octets", "\xbe\xef\1\0\0\1\0\0\0\0\0", NULL, false),
		RAW("a response", HEAD("\x81\0", "\1\0\0\0\0\0\0") ASKED, NULL, false),
		RAW("no question", HEAD("\1\0", "\0\0\0\0\0\0\0"), "FORMERR rd", false),
		RAW("two questions", HEAD("\0\0", "\2\0\0\0\0\0\0") ASKED ASKED, "FORMERR", false),
		RAW("pointer as a question", HEAD("\0\0", "\1\0\0\0\0\0\0") "\xc0\x0c\0\1\0\1",
			"FORMERR", false),
		RAW("trailing octets", HEAD("\0\0", "\1\0\0\0\0\0\0") ASKED "x", "FORMERR", true),
		RAW("two OPTs",
			HEAD("\0\0", "\1\0\0\0\0\0\2") ASKED OPT_OF("\0", "\0\0", "\0\0")
				OPT_OF("\0", "\0\0", "\0\0"),
			"FORMERR; EDNS", true),
		RAW("version 1",
			HEAD("\0\0", "\1\0\0\0\0\0\1") ASKED OPT_OF("\1", "\x80\0", "\0\0"),
			"NOERROR; EDNS do extended", true),
		RAW("unknown flags and options",
			HEAD("\0\0", "\1\0\0\0\0\0\1")
				ASKED OPT_OF("\0", "\x7f\xff", "\0\x0c") "\0\x0a\0\x08"
									 "12345678",
			"NOERROR aa; AN vm1.libvirt. 5 IN A 192.168.122.10; EDNS", true),
		RAW("CD, AD and Z", HEAD("\0\x70", "\1\0\0\0\0\0\0") ASKED,
			"NOERROR aa; AN vm1.libvirt. 5 IN A 192.168.122.10", true),
		RAW("AA, TC, RA and a response code", HEAD("\6\x8f", "\1\0\0\0\0\0\0") ASKED,
			"NOERROR aa; AN vm1.libvirt. 5 IN A 192.168.122.10", true),
		RAW("cookie only",
			HEAD("\1\0", "\0\0\0\0\0\0\1") OPT_OF("\0", "\0\0", "\0\x0c") "\0\x0a\0\x08"
										      "12345678",
			"NOERROR rd; EDNS", false),
		RAW("opcode 15", HEAD("\x78\0", "\0\0\0\0\0\0\0"), "NOTIMPL", false),
		RAW("opcode 15 with a torn question", HEAD("\x79\0", "\1\0\0\0\0\0\0") "\3v",
			"NOTIMPL rd", false),
		RAW("STATUS with EDNS",
			HEAD("\x10\0", "\1\0\0\0\0\0\1") ASKED OPT_OF("\0", "\0\0", "\0\0"),
			"NOTIMPL; EDNS", true),
		RAW("NOTIFY", HEAD("\x24\0", "\1\0\0\0\0\0\0") "\7libvirt\0\0\6\0\1", "NOTIMPL",
			true),
		RAW("UPDATE",
			HEAD("\x28\0", "\1\0\0\0\1\0\0") "\7libvirt\0\0\6\0\1"
							 "\1x\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4",
			"NOTIMPL", true),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct raw_case *c = &cases[i];
		const struct asking_how how = {.recursion_available = false};
		const enum answer_verdict verdict =
			asking_send(world, (const uint8_t *)c->octets, c->len, &how);

		if (!c->expected) {
			assert_int_equal(verdict, ANSWER_DROP);
			continue;
		}
		assert_int_equal(verdict, ANSWER_REPLY);
		assert_memory_equal(world->reply, c->octets, 2);
		assert_int_equal(world->reply[2] & 0x78, c->octets[2] & 0x78);
		assert_int_equal(dns_read_u16(world->reply + 4), c->has_question);
		if (strcmp(asking_text(world), c->expected) != 0)
			fail_msg("%s: %s", c->what, world->text);
	}
}

static void test_recursion_available_is_no_matter_of_other_opcodes(void **state)
{
	struct asking_world *world = *state;
	static const char update[] = HEAD("\x28\0", "\0\0\0\0\0\0\0");
	const struct asking_how how = {.recursion_available = true};

	assert_int_equal(asking_send(world, (const uint8_t *)update, sizeof(update) - 1, &how),
		ANSWER_REPLY);
	assert_memory_equal(world->reply, "\xbe\xef\xa8\x04\0\0\0\0\0\0\0\0", 12);
}

/* From no room for a header to all of the reply: never beyond the cap, never a torn record. */
static void test_every_cap_gives_a_well_formed_reply(void **state)
{
	struct asking_world *world = *state;
	static const struct {
		const char *name;
		uint16_t type;
		uint16_t udp_octets;
		bool tc_if_short; /* Else what is short is left out. */
	} cases[] = {
		{"two.libvirt", DNS_TYPE_A, 0, true},
		{"two.libvirt", DNS_TYPE_A, 1232, true},
		{"two.libvirt", DNS_TYPE_TXT, 1232, true},
		{"nobody.libvirt", DNS_TYPE_A, 1232, true},
		{"libvirt", DNS_TYPE_NS, 1232, false},
		{"libvirt", DNS_TYPE_SOA, 1232, true},
		{"10.122.168.192.in-addr.arpa", DNS_TYPE_PTR, 1232, true},
		{"122.168.192.in-addr.arpa", DNS_TYPE_NS, 0, false},
		{"99.122.168.192.in-addr.arpa", DNS_TYPE_PTR, 0, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct asking_how how = {.udp_octets = cases[i].udp_octets, .is_tcp = true};
		uint8_t query[512];
		const size_t len = asking_query(cases[i].name, cases[i].type, &how, query);
		size_t last = 0;

		assert_int_equal(asking_send(world, query, len, &how), ANSWER_REPLY);
		const size_t full = world->reply_len;

		for (how.reply_cap = 1; how.reply_cap <= full; how.reply_cap++) {
			const enum answer_verdict verdict = asking_send(world, query, len, &how);

			/* The question's octets in both ways; OPT is of our size too. */
			assert_int_equal(verdict, how.reply_cap < len ? ANSWER_DROP : ANSWER_REPLY);
			if (verdict == ANSWER_DROP)
				continue;
			assert_true(world->reply_len >= last);
			last = world->reply_len;
			const char *text = asking_text(world);

			if (how.reply_cap == full)
				assert_null(strstr(text, " tc"));
			else if (cases[i].tc_if_short) {
				assert_non_null(strstr(text, " tc"));
				assert_null(strstr(text, "; AN"));
				assert_int_equal(world->reply_len, len);
			}
			assert_true((strstr(text, "; EDNS") != NULL) == (how.udp_octets != 0));
		}
		assert_int_equal(last, full);
	}
}

/* Whatever a bit does to a valid query: no crash, and what is sent is a DNS message with that id
 * and a copy of the opcode. */
static void test_every_bit_flip_gives_a_well_formed_reply(void **state)
{
	struct asking_world *world = *state;
	static const struct {
		const char *name;
		uint16_t type;
	} cases[] = {
		{"two.libvirt", DNS_TYPE_A},
		{"ubuntu22.04.libvirt", DNS_TYPE_TXT},
		{"libvirt", DNS_TYPE_NS},
		{"10.122.168.192.in-addr.arpa", DNS_TYPE_PTR},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct asking_how how = {.udp_octets = 1232};
		uint8_t query[512];
		const size_t len = asking_query(cases[i].name, cases[i].type, &how, query);

		for (size_t bit = 0; bit < len * 8; bit++) {
			query[bit / 8] ^= (uint8_t)(1u << bit % 8);
			const enum answer_verdict verdict = asking_send(world, query, len, &how);

			assert_int_equal(verdict, query[2] & 0x80 ? ANSWER_DROP : ANSWER_REPLY);
			if (verdict == ANSWER_REPLY) {
				asking_text(world);
				assert_memory_equal(world->reply, query, 2);
				assert_int_equal(world->reply[2] & 0xf8, 0x80 | (query[2] & 0x78));
			}
			query[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void test_every_truncation_of_a_query_is_a_format_error(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how how = {.udp_octets = 1232};
	uint8_t query[512];
	const size_t len = asking_query("vm1.libvirt", DNS_TYPE_A, &how, query);

	for (size_t cut = 0; cut < len; cut++) {
		const enum answer_verdict verdict = asking_send(world, query, cut, &how);

		assert_int_equal(verdict, cut < 12 ? ANSWER_DROP : ANSWER_REPLY);
		if (verdict == ANSWER_REPLY)
			assert_string_equal(asking_text(world), "FORMERR rd");
	}
}

/* Octets of the index that are spoilt give SERVFAIL or another answer, never a fault. */
static void test_spoilt_index_is_never_a_fault(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how how = {.udp_octets = 1232};
	const int fd = memfd_create("spoilt", MFD_CLOEXEC);
	struct zone *zone = NULL;
	struct zone *const whole = world->zone;
	size_t servfails = 0;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, world->built->map, world->built->size), world->built->size);
	uint8_t *map = mmap(NULL, world->built->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(zone_new(fd, &zone), PARSER_OK);
	world->zone = zone;
	for (size_t at = 0; at < world->built->size; at++) {
		static const char *const names[] = {"vm1.libvirt", "10.122.168.192.in-addr.arpa"};

		map[at] ^= 0xff;
		for (size_t i = 0; i < 2; i++) {
			const char *text = asking_ask(world, names[i], i ? 12 : 1, &how);

			servfails += strcmp(text, "SERVFAIL rd; EDNS") == 0;
		}
		map[at] ^= 0xff;
	}
	assert_true(servfails > 0);
	world->zone = whole;
	zone_free(zone);
	munmap(map, world->built->size);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_come_with_the_rest_of_their_lease),
		cmocka_unit_test(test_rrset_has_one_ttl_and_the_longest_lease_first),
		cmocka_unit_test(test_existing_name_without_that_type_is_nodata),
		cmocka_unit_test(test_missing_name_is_nxdomain_and_never_forwarded),
		cmocka_unit_test(test_names_of_several_labels),
		cmocka_unit_test(test_case_folds_and_comes_back_as_asked),
		cmocka_unit_test(test_odd_octets_in_labels_match_nothing_else),
		cmocka_unit_test(test_guest_with_nul_in_its_name_is_not_in_dns),
		cmocka_unit_test(test_any_gets_one_rrset),
		cmocka_unit_test(test_questions_that_are_no_names_business),
		cmocka_unit_test(test_outside_is_forwarded_or_refused),
		cmocka_unit_test(test_edns_is_answered_in_kind),
		cmocka_unit_test(test_errors_keep_id_opcode_and_what_can_be_read),
		cmocka_unit_test(test_recursion_available_is_no_matter_of_other_opcodes),
		cmocka_unit_test(test_every_cap_gives_a_well_formed_reply),
		cmocka_unit_test(test_every_bit_flip_gives_a_well_formed_reply),
		cmocka_unit_test(test_every_truncation_of_a_query_is_a_format_error),
		cmocka_unit_test(test_spoilt_index_is_never_a_fault),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
