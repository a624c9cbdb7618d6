/** @file Upstreams' replies for tests: made from text by ldns, and replies to clients put into
 * words by ldns, which shares no code with what is tested. Header only. */
#ifndef TESTS_SERVER_UPSTREAM_H
#define TESTS_SERVER_UPSTREAM_H

#include "server/forward/message.h"
#include "tests/server/asking.h"

#define UPSTREAM_ID      0x4711u
#define UPSTREAM_RECORDS 8
#define UPSTREAM_SOA(ttl, minimum) \
	"example. " ttl " IN SOA ns.example. hostmaster.example. 1 7200 900 86400 " minimum

/** A reply in words; what is 0 or NULL is not there. */
struct upstream_reply {
	const char *name;
	uint16_t type;  /**< 0: A */
	uint16_t rcode; /**< Above 15 it needs EDNS. */
	bool aa, tc, ad;
	bool has_edns;
	uint16_t extended_error;
	const char *answer[UPSTREAM_RECORDS];
	const char *authority[UPSTREAM_RECORDS];
	const char *additional[UPSTREAM_RECORDS];
};

static inline void upstream_push(
	ldns_pkt *packet, ldns_pkt_section section, const char *const *records)
{
	for (size_t i = 0; i < UPSTREAM_RECORDS && records[i]; i++) {
		ldns_rr *rr = NULL;

		assert_int_equal(
			ldns_rr_new_frm_str(&rr, records[i], 0, NULL, NULL), LDNS_STATUS_OK);
		assert_true(ldns_pkt_push_rr(packet, section, rr));
	}
}

/** @return octets of memory of the exact size, to be freed. */
static inline uint8_t *upstream_make(const struct upstream_reply *reply, size_t *out_len)
{
	ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(reply->name),
		(ldns_rr_type)(reply->type ? reply->type : DNS_TYPE_A), LDNS_RR_CLASS_IN, LDNS_RD);
	uint8_t ede[] = {
		0, 15, 0, 2, (uint8_t)(reply->extended_error >> 8), (uint8_t)reply->extended_error};
	uint8_t *wire = NULL;

	assert_non_null(packet);
	ldns_pkt_set_id(packet, UPSTREAM_ID);
	ldns_pkt_set_qr(packet, true);
	ldns_pkt_set_ra(packet, true);
	ldns_pkt_set_aa(packet, reply->aa);
	ldns_pkt_set_tc(packet, reply->tc);
	ldns_pkt_set_ad(packet, reply->ad);
	ldns_pkt_set_rcode(packet, reply->rcode & 15);
	upstream_push(packet, LDNS_SECTION_ANSWER, reply->answer);
	upstream_push(packet, LDNS_SECTION_AUTHORITY, reply->authority);
	upstream_push(packet, LDNS_SECTION_ADDITIONAL, reply->additional);
	if (reply->has_edns) {
		ldns_pkt_set_edns_udp_size(packet, 4096);
		ldns_pkt_set_edns_extended_rcode(packet, (uint8_t)(reply->rcode >> 4));
		if (reply->extended_error)
			ldns_pkt_set_edns_data(packet,
				ldns_rdf_new_frm_data(LDNS_RDF_TYPE_NONE, sizeof(ede), ede));
	}
	assert_int_equal(ldns_pkt2wire(&wire, packet, out_len), LDNS_STATUS_OK);
	ldns_pkt_free(packet);
	uint8_t *exact = malloc(*out_len);

	assert_non_null(exact);
	memcpy(exact, wire, *out_len);
	LDNS_FREE(wire);
	return exact;
}

/** The question of a message that has one. */
static inline struct bytes upstream_question(const uint8_t *octets)
{
	size_t len = 12;

	while (octets[len] != 0)
		len += 1u + octets[len];
	return (struct bytes){octets + 12, len + 1 + 4 - 12};
}

/** Makes a reply and parses it. `*out_octets` is to be freed. */
static inline struct message upstream_message(
	const struct upstream_reply *reply, uint8_t **out_octets)
{
	struct message message;
	size_t len;

	*out_octets = upstream_make(reply, &len);
	const enum message_verdict verdict = message_check((struct bytes){*out_octets, len},
		UPSTREAM_ID, upstream_question(*out_octets), &message);

	assert_int_equal(verdict, reply->tc ? MESSAGE_TRUNCATED : MESSAGE_OK);
	return message;
}

/** How a client asks, beyond struct asking_how. */
struct upstream_how {
	struct asking_how asking;
	bool ad, cd;
};

static inline void upstream_client(const char *name, uint16_t type, const struct upstream_how *how,
	struct message_client *out_client)
{
	uint8_t octets[512];
	struct query query;
	const size_t len = asking_query(name, type ? type : DNS_TYPE_A, &how->asking, octets);

	octets[3] = (uint8_t)((how->ad ? 0x20 : 0) | (how->cd ? 0x10 : 0));
	assert_int_equal(query_parse((struct bytes){octets, len}, &query), QUERY_OK);
	message_client_of(&query, how->asking.is_tcp, out_client);
}

static inline void upstream_add(char *text, size_t cap, const char *more)
{
	const size_t len = strlen(text);

	snprintf(text + len, cap - len, "%s", more);
}

static inline void upstream_add_section(
	char *text, size_t cap, const char *what, const ldns_rr_list *rrs)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		char *record = ldns_rr2str(ldns_rr_list_rr(rrs, i));

		assert_non_null(record);
		for (char *at = record; *at; at++) {
			if (*at == '\t')
				*at = ' ';
			else if (*at == '\n')
				*at = '\0';
		}
		upstream_add(text, cap, what);
		upstream_add(text, cap, record);
		free(record);
	}
}

/** A client's reply in words: "NOERROR aa rd ra ad cd; AN record; NS ..; AR ..; EDNS do ede 3". */
static inline const char *upstream_text(const uint8_t *octets, size_t len, char *text, size_t cap)
{
	ldns_pkt *packet = NULL;
	char opt[64] = "";

	assert_int_equal(ldns_wire2pkt(&packet, octets, len), LDNS_STATUS_OK);
	assert_true(ldns_pkt_qr(packet));
	assert_int_equal(octets[3] & 0x40, 0);
	char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet));

	snprintf(text, cap, "%s%s%s%s%s%s%s", rcode, ldns_pkt_aa(packet) ? " aa" : "",
		ldns_pkt_tc(packet) ? " tc" : "", ldns_pkt_rd(packet) ? " rd" : "",
		ldns_pkt_ra(packet) ? " ra" : "", ldns_pkt_ad(packet) ? " ad" : "",
		ldns_pkt_cd(packet) ? " cd" : "");
	free(rcode);
	upstream_add_section(text, cap, "; AN ", ldns_pkt_answer(packet));
	upstream_add_section(text, cap, "; NS ", ldns_pkt_authority(packet));
	upstream_add_section(text, cap, "; AR ", ldns_pkt_additional(packet));
	if (ldns_pkt_edns(packet)) {
		const ldns_rdf *data = ldns_pkt_edns_data(packet);

		assert_int_equal(ldns_pkt_edns_udp_size(packet), 1232);
		assert_int_equal(ldns_pkt_edns_version(packet), 0);
		snprintf(opt, sizeof(opt), "; EDNS%s", ldns_pkt_edns_do(packet) ? " do" : "");
		upstream_add(text, cap, opt);
		if (ldns_pkt_edns_extended_rcode(packet)) {
			snprintf(opt, sizeof(opt), " rcode+%u",
				ldns_pkt_edns_extended_rcode(packet));
			upstream_add(text, cap, opt);
		}
		if (data) {
			assert_int_equal(ldns_rdf_size(data), 6);
			assert_memory_equal(ldns_rdf_data(data), "\0\17\0\2", 4);
			snprintf(
				opt, sizeof(opt), " ede %u", dns_read_u16(ldns_rdf_data(data) + 4));
			upstream_add(text, cap, opt);
		}
	}
	ldns_pkt_free(packet);
	return text;
}

#endif
