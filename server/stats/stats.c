#include "server/stats/stats.h"

#include <stdio.h>

#include "server/dns/dns.h"

#define FLAGS_OFFSET   2u
#define ANCOUNT_OFFSET 6u
#define NSCOUNT_OFFSET 8u
#define ARCOUNT_OFFSET 10u
#define FLAG_AA        0x04u
#define FLAG_TC        0x02u

/* IANA's "Resource Record (RR) TYPEs": what hosts ask for, and what transfers and ANY are told by.
 */
static const struct {
	uint16_t type;
	const char *word;
} stats_types[STATS_TYPES] = {
	{1, "A"},
	{28, "AAAA"},
	{12, "PTR"},
	{2, "NS"},
	{5, "CNAME"},
	{6, "SOA"},
	{15, "MX"},
	{16, "TXT"},
	{33, "SRV"},
	{43, "DS"},
	{48, "DNSKEY"},
	{64, "SVCB"},
	{65, "HTTPS"},
	{255, "ANY"},
};

static const struct {
	uint16_t rcode;
	const char *word;
} stats_rcodes[STATS_RCODES] = {
	{0, "NOERROR"},
	{1, "FORMERR"},
	{2, "SERVFAIL"},
	{3, "NXDOMAIN"},
	{4, "NOTIMP"},
	{5, "REFUSED"},
	{6, "YXDOMAIN"},
	{9, "NOTAUTH"},
	{16, "BADVERS"},
	{23, "BADCOOKIE"},
};

/* In the order of how often they are asked for. */
static size_t type_place(uint16_t type)
{
	size_t i = 0;

	while (i < STATS_TYPES && stats_types[i].type != type)
		i++;
	return i;
}

static size_t rcode_place(uint16_t rcode)
{
	size_t i = 0;

	while (i < STATS_RCODES && stats_rcodes[i].rcode != rcode)
		i++;
	return i;
}

void stats_count_query(struct stats *stats, bool is_tcp, const struct question *question)
{
	stats->queries[is_tcp]++;
	if (question)
		stats->types[type_place(question->type)]++;
	else
		stats->unreadable++;
}

/* The upper bits stand in OPT (RFC 6891 section 6.1.3). A reply with such a code has no other
 * record: BADVERS is ours, and who forwards asks again without EDNS. */
static uint16_t rcode_upper(struct bytes reply)
{
	struct question question;
	size_t at = DNS_HEADER_OCTETS;

	if (dns_read_u16(reply.ptr + ANCOUNT_OFFSET) != 0 ||
		dns_read_u16(reply.ptr + NSCOUNT_OFFSET) != 0 ||
		dns_read_u16(reply.ptr + ARCOUNT_OFFSET) != 1)
		return 0;
	if (question_read(reply, &question))
		at += question.name.len + DNS_QUESTION_TAIL_OCTETS;
	if (at + 1 + DNS_RECORD_TAIL_OCTETS > reply.len || reply.ptr[at] != 0 ||
		dns_read_u16(reply.ptr + at + 1) != DNS_TYPE_OPT)
		return 0;
	return reply.ptr[at + 5];
}

uint16_t stats_rcode(struct bytes reply)
{
	return (uint16_t)(rcode_upper(reply) << 4 | (reply.ptr[FLAGS_OFFSET + 1] & 0x0f));
}

void stats_count_reply(struct stats *stats, enum answered answered, struct bytes reply)
{
	if (reply.len < DNS_HEADER_OCTETS) {
		stats->answered[ANSWERED_DROPPED]++;
		return;
	}
	stats->answered[answered]++;
	stats->rcodes[rcode_place(stats_rcode(reply))]++;
	stats->truncated += (reply.ptr[FLAGS_OFFSET] & FLAG_TC) != 0;
}

enum answered stats_answered(
	const struct question *question, enum answer_verdict verdict, struct bytes reply)
{
	if (verdict == ANSWER_DROP || reply.len < DNS_HEADER_OCTETS)
		return ANSWERED_DROPPED;
	if (reply.ptr[FLAGS_OFFSET] & FLAG_AA)
		return question && question->is_reverse ? ANSWERED_REVERSE : ANSWERED_LOCAL;
	switch (reply.ptr[FLAGS_OFFSET + 1] & 0x0f) {
	case DNS_RCODE_REFUSED:
		return ANSWERED_REFUSED;
	case DNS_RCODE_SERVFAIL:
		return ANSWERED_FAILED;
	default:
		return ANSWERED_INVALID;
	}
}

const char *stats_type_word(size_t i)
{
	return i < STATS_TYPES ? stats_types[i].word : "other";
}

const char *stats_rcode_word(size_t i)
{
	return i < STATS_RCODES ? stats_rcodes[i].word : "other";
}

const char *stats_rcode_text(uint16_t rcode, char out_text[static STATS_RCODE_SIZE])
{
	const size_t i = rcode_place(rcode);

	if (i < STATS_RCODES)
		return stats_rcodes[i].word;
	snprintf(out_text, STATS_RCODE_SIZE, "RCODE%u", rcode);
	return out_text;
}
