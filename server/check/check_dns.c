#include "server/check/check_dns.h"

#include <assert.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf_index.h"
#include "parser/hostname.h"
#include "server/forward/asker.h"
#include "server/forward/upstream.h"

/* DNS Flag Day 2020: fits any link. */
#define CHECK_DNS_UDP_OCTETS 1232

static const struct {
	uint8_t rcode;
	const char *word;
} check_dns_words[] = {
	{DNS_RCODE_FORMERR, "FORMERR"},
	{DNS_RCODE_SERVFAIL, "SERVFAIL"},
	{DNS_RCODE_NXDOMAIN, "NXDOMAIN"},
	{DNS_RCODE_NOTIMP, "NOTIMP"},
	{DNS_RCODE_REFUSED, "REFUSED"},
};

const char *check_dns_word(
	const struct check_question *question, char out_text[CHECK_DNS_WORD_SIZE])
{
	if (!question->has_replied)
		return strcpy(out_text, "no reply");
	if (question->rcode == DNS_RCODE_NOERROR)
		return strcpy(out_text, question->answer_count > 0 ? "an answer" : "no such data");
	snprintf(out_text, CHECK_DNS_WORD_SIZE, "RCODE %u", question->rcode);
	for (size_t i = 0; i < sizeof(check_dns_words) / sizeof(check_dns_words[0]); i++) {
		if (check_dns_words[i].rcode == question->rcode)
			strcpy(out_text, check_dns_words[i].word);
	}
	return out_text;
}

bool check_dns_is_ours(const struct check_question *question, const char *zone)
{
	static const char label[] = CONF_INDEX_SERVER_NAME ".";
	size_t len = strlen(zone);
	const char *rest = question->mname + sizeof(label) - 1;

	return strncasecmp(question->mname, label, sizeof(label) - 1) == 0 &&
	       strncasecmp(rest, zone, len) == 0 && strcmp(rest + len, ".") == 0;
}

/* Writes the query. The caller's to free, by free(); NULL if that is no name. */
static uint8_t *check_dns_encode(const struct check_question *question, size_t *out_len)
{
	ldns_rdf *name = ldns_dname_new_frm_str(question->name);
	ldns_pkt *packet = NULL;
	uint8_t *wire = NULL;

	if (name)
		packet = ldns_pkt_query_new(
			name, (ldns_rr_type)question->type, LDNS_RR_CLASS_IN, LDNS_RD);
	if (!packet) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	ldns_pkt_set_random_id(packet);
	ldns_pkt_set_cd(packet, question->is_unchecked);
	ldns_pkt_set_edns_udp_size(packet, CHECK_DNS_UDP_OCTETS);
	if (ldns_pkt2wire(&wire, packet, out_len) != LDNS_STATUS_OK)
		wire = NULL;
	ldns_pkt_free(packet);
	return wire;
}

static void check_dns_take_soa(struct check_question *question, const ldns_rr *rr)
{
	const ldns_rdf *mname = ldns_rr_rdf(rr, 0);
	const ldns_rdf *serial = ldns_rr_rdf(rr, 2);
	char *text = mname ? ldns_rdf2str(mname) : NULL;

	if (text && serial) {
		snprintf(question->mname, sizeof(question->mname), "%s", text);
		question->serial = ldns_rdf2native_int32(serial);
	}
	free(text);
}

static void check_dns_take_address(struct check_question *question, const ldns_rr *rr)
{
	const ldns_rdf *data = ldns_rr_rdf(rr, 0);
	bool is_v4 = ldns_rr_get_type(rr) == LDNS_RR_TYPE_A;
	size_t len = is_v4 ? ADDRESS_IPV4_OCTETS : ADDRESS_IPV6_OCTETS;
	struct address address = {.family = is_v4 ? ADDRESS_IPV4 : ADDRESS_IPV6};

	if (!data || ldns_rdf_size(data) != len)
		return;
	memcpy(address.octets, ldns_rdf_data(data), len);
	check_addresses_add(&question->addresses, &address);
}

static void check_dns_decode(struct check_question *question, struct bytes reply)
{
	ldns_pkt *packet = NULL;
	const ldns_rr_list *answer;

	if (reply.len == 0 || ldns_wire2pkt(&packet, reply.ptr, reply.len) != LDNS_STATUS_OK)
		return;
	question->has_replied = true;
	question->rcode = (uint8_t)ldns_pkt_get_rcode(packet);
	question->is_cut = ldns_pkt_tc(packet);
	answer = ldns_pkt_answer(packet);
	question->answer_count = ldns_rr_list_rr_count(answer);
	for (size_t i = 0; i < question->answer_count; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(answer, i);

		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA)
			check_dns_take_soa(question, rr);
		else if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_A ||
			 ldns_rr_get_type(rr) == LDNS_RR_TYPE_AAAA)
			check_dns_take_address(question, rr);
	}
	ldns_pkt_free(packet);
}

/* The others go by ldns: one at a time, which is fine for one name. With as many attempts. */
static void check_dns_attempt_alone(struct check_question *question, unsigned timeout_ms)
{
	const struct timeval patience = {
		.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	struct sockaddr_storage address;
	socklen_t address_len = upstream_sockaddr(&question->server, &address);
	size_t len = 0;
	size_t reply_len = 0;
	uint8_t *query = check_dns_encode(question, &len);
	uint8_t *reply = NULL;
	ldns_buffer *buffer = query ? ldns_buffer_new(len) : NULL;

	if (buffer) {
		ldns_buffer_write(buffer, query, len);
		if (ldns_udp_send(&reply, buffer, &address, address_len, patience, &reply_len) ==
				LDNS_STATUS_OK &&
			reply_len >= 2 && memcmp(reply, query, 2) == 0)
			check_dns_decode(question, (struct bytes){reply, reply_len});
		ldns_buffer_free(buffer);
	}
	free(reply);
	free(query);
}

static void check_dns_ask_alone(struct check_question *question)
{
	check_dns_attempt_alone(question, CHECK_DNS_TIMEOUT_MS);
	if (!question->has_replied)
		check_dns_attempt_alone(question, 2 * CHECK_DNS_TIMEOUT_MS);
}

static void check_dns_on_reply(void *ctx, struct bytes reply)
{
	check_dns_decode(ctx, reply);
}

static void check_dns_start(uv_loop_t *loop, struct check_question *question)
{
	struct asker *asker;
	size_t len = 0;
	uint8_t *query = check_dns_encode(question, &len);

	/* What cannot be asked has no reply. */
	if (query)
		asker_send(loop, &question->server, (struct bytes){query, len},
			CHECK_DNS_TIMEOUT_MS, check_dns_on_reply, question, &asker);
	free(query);
}

void check_dns_ask(struct check_question *questions, size_t count)
{
	uv_loop_t loop;
	int rc;

	if (count == 0 || uv_loop_init(&loop) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		/* c-ares 1.34 carries only names of hosts; a guest may be called `db server`. */
		if (hostname_is_plain(bytes_of_text(questions[i].name)))
			check_dns_start(&loop, &questions[i]);
		else
			check_dns_ask_alone(&questions[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	rc = uv_loop_close(&loop);
	assert(rc == 0);
	(void)rc;
}
