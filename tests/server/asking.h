/** @file Asks answer_query() of an index built from lease files, and puts the reply into words with
 *  ldns, which shares no code with it. Used by several tests; header only. */
#ifndef TESTS_SERVER_ASKING_H
#define TESTS_SERVER_ASKING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "server/dns/answer.h"
#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

/** When everything happens; also when the index was built. */
#define ASKING_NOW      INT64_C(1800000000)
#define ASKING_POISON   0xa5
#define ASKING_TEXT_MAX 65536

/** The SOA as ldns writes it, in negative answers of the default index. */
#define ASKING_SOA_RDATA \
	"IN SOA leasedns.libvirt. hostmaster.libvirt. 1800000000 1200 180 1209600 2"
#define ASKING_SOA "; NS libvirt. 2 " ASKING_SOA_RDATA

struct asking_world {
	char *directory;
	struct built_index *built;
	struct zone *zone;
	uint8_t reply[ANSWER_TCP_OCTETS_MAX];
	size_t reply_len;
	char text[ASKING_TEXT_MAX];
};

/** How a question is asked; what is 0 is ordinary. */
struct asking_how {
	bool no_recursion_desired;
	bool recursion_available;
	bool is_tcp;
	uint16_t class;      /**< 0: IN */
	uint16_t udp_octets; /**< 0: no OPT, unless has_edns */
	bool has_edns;
	bool dnssec_ok;
	int64_t later_s;  /**< After ASKING_NOW. */
	size_t reply_cap; /**< 0: all */
};

static inline struct asking_world *asking_open(
	const char *const (*files)[2], size_t count, const struct index_options *options)
{
	struct asking_world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->directory = scratch_new();
	for (size_t i = 0; i < count; i++)
		scratch_publish(world->directory, files[i][0], files[i][1]);
	world->built = built_index_new(world->directory, options);
	assert_int_equal(zone_new(world->built->fd, &world->zone), PARSER_OK);
	return world;
}

static inline void asking_close(struct asking_world *world)
{
	zone_free(world->zone);
	built_index_free(world->built);
	scratch_free(world->directory);
	free(world);
}

/** Writes a query. @return its octets. `name` is DNS text: escapes, any case. */
static inline size_t asking_query(const char *name, uint16_t type, const struct asking_how *how,
	uint8_t out_query[static 512])
{
	ldns_rdf *wire = ldns_dname_new_frm_str(name);
	size_t len = 12;
	const bool has_edns = how->has_edns || how->udp_octets != 0;

	assert_non_null(wire);
	memset(out_query, 0, 512);
	dns_write_u16(out_query, 0xbeef);
	out_query[2] = !how->no_recursion_desired;
	out_query[5] = 1;
	out_query[11] = has_edns ? 1u : 0u;
	memcpy(out_query + len, ldns_rdf_data(wire), ldns_rdf_size(wire));
	len += ldns_rdf_size(wire);
	ldns_rdf_deep_free(wire);
	dns_write_u16(out_query + len, type);
	dns_write_u16(out_query + len + 2, how->class ? how->class : DNS_CLASS_IN);
	len += 4;
	if (has_edns) {
		dns_write_u16(out_query + len + 1, DNS_TYPE_OPT);
		dns_write_u16(out_query + len + 3, how->udp_octets);
		out_query[len + 7] = how->dnssec_ok ? 0x80u : 0u;
		len += 11;
	}
	return len;
}

/** Hands bytes to answer_query() in memory of their exact size, and looks after the end of the
 *  reply's. */
static inline enum answer_verdict asking_send(struct asking_world *world, const uint8_t *query,
	size_t query_len, const struct asking_how *how)
{
	const size_t cap = how->reply_cap ? how->reply_cap : sizeof(world->reply);
	const struct answer_limits limits = {how->is_tcp, how->recursion_available};
	uint8_t *exact = malloc(query_len ? query_len : 1);

	assert_non_null(exact);
	memcpy(exact, query, query_len);
	memset(world->reply, ASKING_POISON, sizeof(world->reply));
	world->reply_len = 0;
	const enum answer_verdict verdict =
		answer_query(world->zone, &limits, ASKING_NOW + how->later_s,
			(struct bytes){exact, query_len}, world->reply, cap, &world->reply_len);

	free(exact);
	assert_true(world->reply_len <= cap);
	for (size_t i = world->reply_len; i < sizeof(world->reply); i++) {
		/* Behind the reply only what was taken back may have been written, never behind
		 * the cap. */
		if (i >= cap || verdict != ANSWER_REPLY)
			assert_int_equal(world->reply[i], ASKING_POISON);
	}
	return verdict;
}

static inline void asking_add(struct asking_world *world, const char *text)
{
	const size_t len = strlen(world->text);

	snprintf(world->text + len, sizeof(world->text) - len, "%s", text);
}

static inline void asking_add_section(
	struct asking_world *world, const char *what, const ldns_rr_list *rrs)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		char *text = ldns_rr2str(ldns_rr_list_rr(rrs, i));

		assert_non_null(text);
		for (char *at = text; *at; at++) {
			if (*at == '\t')
				*at = ' ';
			else if (*at == '\n')
				*at = '\0';
		}
		asking_add(world, what);
		asking_add(world, text);
		free(text);
	}
}

/** The reply in words, e.g. "NOERROR aa rd; AN vm.libvirt. 5 IN A 192.168.122.10; EDNS". */
static inline const char *asking_text(struct asking_world *world)
{
	ldns_pkt *packet = NULL;

	assert_int_equal(ldns_wire2pkt(&packet, world->reply, world->reply_len), LDNS_STATUS_OK);
	assert_true(ldns_pkt_qr(packet));
	assert_false(ldns_pkt_ad(packet));
	assert_false(ldns_pkt_cd(packet));
	assert_int_equal(world->reply[3] & 0x70, 0);
	char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet));
	char opt[64] = "";

	world->text[0] = '\0';
	asking_add(world, rcode);
	free(rcode);
	asking_add(world, ldns_pkt_aa(packet) ? " aa" : "");
	asking_add(world, ldns_pkt_tc(packet) ? " tc" : "");
	asking_add(world, ldns_pkt_rd(packet) ? " rd" : "");
	asking_add(world, ldns_pkt_ra(packet) ? " ra" : "");
	asking_add_section(world, "; AN ", ldns_pkt_answer(packet));
	asking_add_section(world, "; NS ", ldns_pkt_authority(packet));
	asking_add_section(world, "; AR ", ldns_pkt_additional(packet));
	if (ldns_pkt_tsig(packet))
		asking_add(world, "; TSIG");
	if (ldns_pkt_edns(packet)) {
		assert_int_equal(ldns_pkt_edns_udp_size(packet), 1232);
		assert_null(ldns_pkt_edns_data(packet));
		snprintf(opt, sizeof(opt), "; EDNS%s%s", ldns_pkt_edns_do(packet) ? " do" : "",
			ldns_pkt_edns_extended_rcode(packet) ? " extended" : "");
		asking_add(world, opt);
	}
	ldns_pkt_free(packet);
	return world->text;
}

/** Asks and tells the reply in words, or "FORWARD" or "DROP". */
static inline const char *asking_ask(
	struct asking_world *world, const char *name, uint16_t type, const struct asking_how *how)
{
	uint8_t query[512];
	const size_t len = asking_query(name, type, how, query);

	switch (asking_send(world, query, len, how)) {
	case ANSWER_REPLY:
		break;
	case ANSWER_FORWARD:
		return "FORWARD";
	case ANSWER_DROP:
		return "DROP";
	}
	/* The id and the question come back octet by octet. */
	assert_memory_equal(world->reply, query, 2);
	const size_t question = len - 12 - (query[11] ? 11u : 0u);

	assert_int_equal(dns_read_u16(world->reply + 4), 1);
	assert_memory_equal(world->reply + 12, query + 12, question);
	return asking_text(world);
}

struct asking_case {
	const char *name;
	uint16_t type;
	const char *expected;
	struct asking_how how;
};

/** Asks all and reports every deviation before it fails. */
static inline void asking_run(
	struct asking_world *world, const struct asking_case *cases, size_t count)
{
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		const char *text = asking_ask(world, cases[i].name, cases[i].type, &cases[i].how);

		if (strcmp(text, cases[i].expected) != 0) {
			print_error("%s type %u:\n got      %s\n expected %s\n", cases[i].name,
				cases[i].type, text, cases[i].expected);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/** One row of a table; what follows `expected_text` are fields of struct asking_how. */
#define ASK(name_text, type_number, expected_text, ...)                                  \
	{                                                                                \
		.name = (name_text), .type = (type_number), .expected = (expected_text), \
		.how = { __VA_ARGS__ }                                                   \
	}

#define ASKING_RUN(world, cases) asking_run(world, cases, sizeof(cases) / sizeof((cases)[0]))

#endif
