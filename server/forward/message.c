#include "server/forward/message.h"

#include <assert.h>
#include <string.h>

#include "server/dns/answer.h"
#include "server/dns/reply.h"

/* Places and bits in the header, RFC 1035 section 4.1.1, RFC 4035 section 3. */
#define HEADER_FLAGS   2u
#define HEADER_QDCOUNT 4u
#define HEADER_ANCOUNT 6u
#define HEADER_NSCOUNT 8u
#define HEADER_ARCOUNT 10u
#define FLAG_QR        0x80u
#define FLAG_OPCODE    0x78u
#define FLAG_AA        0x04u
#define FLAG_TC        0x02u
#define FLAG_RD        0x01u
/* In the second octet. */
#define FLAG_RA    0x80u
#define FLAG_AD    0x20u
#define FLAG_CD    0x10u
#define FLAG_RCODE 0x0fu

/* In OPT's tail, RFC 6891 section 6.1.3. */
#define OPT_UDP_OCTETS     2u
#define OPT_EXTENDED_RCODE 4u
#define OPT_FLAGS          6u
#define OPT_FLAG_DO        0x80u
#define OPTION_HEAD_OCTETS 4u
/* RFC 8914 section 2: the info code, then text. */
#define OPTION_EDE       15u
#define EDE_CODE_OCTETS  2u
#define EDE_OCTETS       (OPTION_HEAD_OCTETS + EDE_CODE_OCTETS)
#define UDP_OCTETS_SMALL 512u

/* Serial, refresh, retry, expire, minimum, behind two names (RFC 1035 section 3.3.13). */
#define SOA_TAIL_OCTETS    20u
#define SOA_MINIMUM_OCTETS 4u

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct record {
	size_t owner_offset;
	size_t tail_offset; /* Of type, class, TTL, length. */
	size_t rdata_offset;
	size_t end;
	uint16_t type;
};

static uint32_t read_u32(const uint8_t *octets)
{
	return (uint32_t)dns_read_u16(octets) << 16 | dns_read_u16(octets + 2);
}

static bool record_read(struct bytes message, size_t at, struct record *out_record)
{
	const size_t owner_offset = at;

	if (!query_name_skip(message, &at) || message.len - at < DNS_RECORD_TAIL_OCTETS)
		return false;
	const size_t rdata_offset = at + DNS_RECORD_TAIL_OCTETS;
	const size_t rdata_octets = dns_read_u16(message.ptr + at + 8);

	if (message.len - rdata_offset < rdata_octets)
		return false;
	*out_record = (struct record){owner_offset, at, rdata_offset, rdata_offset + rdata_octets,
		dns_read_u16(message.ptr + at)};
	return true;
}

/* The TTL is 32 bits without a sign: RFC 8767 section 4 amends RFC 2181 section 8. Whoever keeps
 * it has a cap. */
static uint32_t record_ttl(const uint8_t *octets, const struct record *record)
{
	return read_u32(octets + record->tail_offset + 4);
}

/* An SOA that cannot be read is like none: the answer goes to the client as it came and is not
 * kept. */
static void soa_read(struct message *message, const uint8_t *octets, const struct record *record)
{
	const struct bytes up_to_end = {octets, record->end};
	size_t at = record->rdata_offset;

	if (!query_name_skip(up_to_end, &at) || !query_name_skip(up_to_end, &at) ||
		record->end != at + SOA_TAIL_OCTETS)
		return;
	const uint32_t minimum = read_u32(octets + record->end - SOA_MINIMUM_OCTETS);
	uint32_t ttl = record_ttl(octets, record);

	if (minimum < ttl)
		ttl = minimum;
	if (!message->has_soa || ttl < message->negative_ttl_s)
		message->negative_ttl_s = ttl;
	message->has_soa = true;
}

/* RFC 6891 section 6.1: one OPT, owned by the root. Options but the first extended error are
 * stepped over. */
static bool opt_read(struct message *message, const uint8_t *octets, const struct record *record)
{
	const uint8_t *tail = octets + record->tail_offset;
	size_t at = record->rdata_offset;

	if (message->has_edns || record->tail_offset != record->owner_offset + 1)
		return false;
	message->has_edns = true;
	message->udp_octets = dns_read_u16(tail + OPT_UDP_OCTETS);
	message->rcode |= (uint16_t)(tail[OPT_EXTENDED_RCODE] << 4);
	message->dnssec_ok = (tail[OPT_FLAGS] & OPT_FLAG_DO) != 0;
	while (at < record->end) {
		if (record->end - at < OPTION_HEAD_OCTETS)
			return false;
		const uint16_t code = dns_read_u16(octets + at);
		const size_t len = dns_read_u16(octets + at + 2);

		at += OPTION_HEAD_OCTETS;
		if (record->end - at < len)
			return false;
		if (code == OPTION_EDE && len >= EDE_CODE_OCTETS &&
			message->extended_error == MESSAGE_EDE_NONE)
			message->extended_error = dns_read_u16(octets + at);
		at += len;
	}
	return true;
}

static void record_note(struct message *message, const uint8_t *octets, const struct record *record,
	enum section section)
{
	const uint32_t ttl = record_ttl(octets, record);

	if (message->record_count == 0 || ttl < message->ttl_min_s)
		message->ttl_min_s = ttl;
	message->record_count++;
	switch (section) {
	case SECTION_ANSWER:
		if (record->type == message->type || message->type == DNS_TYPE_ANY)
			message->has_answer = true;
		break;
	case SECTION_AUTHORITY:
		if (record->type == DNS_TYPE_SOA)
			soa_read(message, octets, record);
		break;
	case SECTION_ADDITIONAL:
		message->additional_count++;
		break;
	case SECTIONS:
		break;
	}
}

/* All records. What lies behind the last is left out, as other resolvers do: there are boxes that
 * take OPT out of the counts and leave it in the message. Each record takes 11 octets or more, so
 * that the counts bound nothing but loops that end anyway. */
static bool records_read(struct message *message)
{
	const struct bytes whole = message->octets;
	size_t at = DNS_HEADER_OCTETS + (size_t)message->question_octets;

	for (unsigned section = SECTION_ANSWER; section < SECTIONS; section++) {
		const uint8_t *count = whole.ptr + HEADER_ANCOUNT + (size_t)2 * section;

		for (unsigned i = dns_read_u16(count); i > 0; i--) {
			struct record record;

			if (!record_read(whole, at, &record))
				return false;
			at = record.end;
			if (record.type == DNS_TYPE_OPT) {
				if (section != SECTION_ADDITIONAL ||
					!opt_read(message, whole.ptr, &record))
					return false;
				message->octets.len = record.owner_offset;
			} else if (!message->has_edns) {
				record_note(message, whole.ptr, &record, (enum section)section);
			}
		}
	}
	if (!message->has_edns)
		message->octets.len = at;
	return true;
}

enum message_verdict message_check(
	struct bytes octets, uint16_t id, struct bytes question, struct message *out_message)
{
	assert(question.len > DNS_QUESTION_TAIL_OCTETS &&
		question.len <= MESSAGE_QUESTION_OCTETS_MAX);
	const size_t question_end = DNS_HEADER_OCTETS + question.len;

	if (octets.len < question_end || dns_read_u16(octets.ptr) != id ||
		(octets.ptr[HEADER_FLAGS] & (FLAG_QR | FLAG_OPCODE)) != FLAG_QR ||
		dns_read_u16(octets.ptr + HEADER_QDCOUNT) != 1 ||
		memcmp(octets.ptr + DNS_HEADER_OCTETS, question.ptr, question.len) != 0)
		return MESSAGE_FOREIGN;

	const uint8_t *tail = question.ptr + question.len - DNS_QUESTION_TAIL_OCTETS;
	struct message message = {
		.octets = octets,
		.question_octets = (uint16_t)question.len,
		.type = dns_read_u16(tail),
		.class = dns_read_u16(tail + 2),
		.rcode = octets.ptr[HEADER_FLAGS + 1] & FLAG_RCODE,
		.extended_error = MESSAGE_EDE_NONE,
	};

	/* What is left of a truncated message is not used (RFC 2181 section 9), nor judged: some
	 * servers cut within a record. */
	if ((octets.ptr[HEADER_FLAGS] & FLAG_TC) != 0) {
		message.is_truncated = true;
		message.octets.len = question_end;
		*out_message = message;
		return MESSAGE_TRUNCATED;
	}
	if (!records_read(&message))
		return MESSAGE_MALFORMED;
	*out_message = message;
	return MESSAGE_OK;
}

void message_ttl_offsets(const struct message *message, uint16_t *out_offsets)
{
	size_t at = DNS_HEADER_OCTETS + (size_t)message->question_octets;

	for (size_t i = 0; i < message->record_count; i++) {
		struct record record;

		/* It was read before. */
		if (!record_read(message->octets, at, &record))
			return;
		out_offsets[i] = (uint16_t)(record.tail_offset + 4);
		at = record.end;
	}
}

struct message_reply message_reply_of(const struct message *message)
{
	return (struct message_reply){
		.octets = message->octets,
		.question_octets = message->question_octets,
		.rcode = message->rcode,
		.additional_count = message->additional_count,
		.extended_error = message->extended_error,
	};
}

void message_client_of(const struct query *query, bool is_tcp, struct message_client *out_client)
{
	const uint8_t *header = query->message.ptr;
	size_t octets_max = query->udp_octets;

	if (octets_max < UDP_OCTETS_SMALL)
		octets_max = UDP_OCTETS_SMALL;
	if (octets_max > ANSWER_UDP_OCTETS_MAX)
		octets_max = ANSWER_UDP_OCTETS_MAX;
	out_client->id = query->id;
	out_client->recursion_desired = query->recursion_desired;
	out_client->checking_disabled = (header[HEADER_FLAGS + 1] & FLAG_CD) != 0;
	out_client->wants_ad = query->dnssec_ok || (header[HEADER_FLAGS + 1] & FLAG_AD) != 0;
	out_client->has_edns = query->has_edns;
	out_client->dnssec_ok = query->dnssec_ok;
	out_client->reply_octets_max = (uint16_t)(is_tcp ? ANSWER_TCP_OCTETS_MAX : octets_max);
	out_client->question_octets = query->question_octets;
	memcpy(out_client->question, header + DNS_HEADER_OCTETS, query->question_octets);
}

/* Our OPT. @return its octets. */
static size_t opt_write(
	uint8_t *opt, uint16_t rcode, bool dnssec_ok, uint32_t extended_error, size_t room)
{
	const bool tells =
		extended_error != MESSAGE_EDE_NONE && room >= MESSAGE_OPT_OCTETS + EDE_OCTETS;

	opt[0] = 0;
	dns_write_u16(opt + 1, DNS_TYPE_OPT);
	dns_write_u16(opt + 3, REPLY_EDNS_UDP_OCTETS);
	opt[5] = (uint8_t)(rcode >> 4);
	opt[6] = 0; /* The version that we speak. */
	opt[7] = dnssec_ok ? OPT_FLAG_DO : 0;
	opt[8] = 0;
	dns_write_u16(opt + 9, tells ? EDE_OCTETS : 0);
	if (!tells)
		return MESSAGE_OPT_OCTETS;
	dns_write_u16(opt + 11, OPTION_EDE);
	dns_write_u16(opt + 13, EDE_CODE_OCTETS);
	dns_write_u16(opt + 15, (uint16_t)extended_error);
	return MESSAGE_OPT_OCTETS + EDE_OCTETS;
}

/* RFC 8767 section 4 for what is stale: expired records get 30 s. Another one, whose reply is over
 * because of it, should not be kept for longer than that. */
static void ttls_count_down(const struct message_reply *reply, uint8_t *octets)
{
	for (size_t i = 0; i < reply->ttl_count; i++) {
		uint8_t *at = octets + reply->ttl_offsets[i];
		uint32_t ttl = read_u32(at);

		ttl = ttl > reply->age_s ? ttl - reply->age_s : 0;
		if (reply->is_stale && (ttl == 0 || ttl > MESSAGE_STALE_TTL_S))
			ttl = MESSAGE_STALE_TTL_S;
		dns_write_u32(at, ttl);
	}
}

/* Id, flags and the number of questions. @param upstream the upstream's AA, TC and AD. */
static void header_write(const struct message_client *client, uint8_t upstream_aa_tc,
	uint8_t upstream_ad, uint16_t rcode, uint8_t *header)
{
	dns_write_u16(header, client->id);
	header[HEADER_FLAGS] = (uint8_t)(FLAG_QR | (upstream_aa_tc & (FLAG_AA | FLAG_TC)) |
					 (client->recursion_desired ? FLAG_RD : 0));
	/* Z stays 0. */
	header[HEADER_FLAGS + 1] =
		(uint8_t)(FLAG_RA | (client->wants_ad ? upstream_ad & FLAG_AD : 0) |
			  (client->checking_disabled ? FLAG_CD : 0) | (rcode & FLAG_RCODE));
	dns_write_u16(header + HEADER_QDCOUNT, 1);
}

size_t message_to_client(
	const struct message_reply *reply, const struct message_client *client, uint8_t *out_octets)
{
	assert(reply->question_octets == client->question_octets);
	const uint8_t *header = reply->octets.ptr;
	const size_t opt_octets = client->has_edns ? MESSAGE_OPT_OCTETS : 0;
	const bool is_cut = (header[HEADER_FLAGS] & FLAG_TC) != 0 ||
			    reply->octets.len + opt_octets > client->reply_octets_max;
	/* Without OPT only the lower four bits can be told, and they mean something else. */
	const uint16_t rcode = reply->rcode > FLAG_RCODE && !client->has_edns
				       ? (uint16_t)DNS_RCODE_SERVFAIL
				       : reply->rcode;
	size_t len = DNS_HEADER_OCTETS + (size_t)client->question_octets;

	/* What was validated once may be bogus by now. */
	header_write(client, (uint8_t)(header[HEADER_FLAGS] | (is_cut ? FLAG_TC : 0)),
		reply->is_stale ? 0 : header[HEADER_FLAGS + 1], rcode, out_octets);
	memcpy(out_octets + DNS_HEADER_OCTETS, client->question, client->question_octets);
	if (is_cut) {
		memset(out_octets + HEADER_ANCOUNT, 0, HEADER_ARCOUNT + 2 - HEADER_ANCOUNT);
	} else {
		memcpy(out_octets + HEADER_ANCOUNT, header + HEADER_ANCOUNT,
			HEADER_ARCOUNT - HEADER_ANCOUNT);
		dns_write_u16(out_octets + HEADER_ARCOUNT, reply->additional_count);
		memcpy(out_octets + len, header + len, reply->octets.len - len);
		len = reply->octets.len;
		ttls_count_down(reply, out_octets);
	}
	if (client->has_edns) {
		uint8_t *count = out_octets + HEADER_ARCOUNT;

		dns_write_u16(count, (uint16_t)(dns_read_u16(count) + 1));
		len += opt_write(out_octets + len, rcode, client->dnssec_ok, reply->extended_error,
			client->reply_octets_max - len);
	}
	return len;
}

size_t message_error_to_client(const struct message_client *client, enum dns_rcode rcode,
	uint32_t extended_error, uint8_t *out_octets)
{
	/* No flags, no records; its question is not read. */
	static const uint8_t empty[DNS_HEADER_OCTETS + MESSAGE_QUESTION_OCTETS_MAX] = {0};
	const struct message_reply reply = {
		.octets = {empty, DNS_HEADER_OCTETS + (size_t)client->question_octets},
		.question_octets = client->question_octets,
		.rcode = (uint16_t)rcode,
		.extended_error = extended_error,
	};

	return message_to_client(&reply, client, out_octets);
}

size_t message_query_to_upstream(struct bytes question, bool dnssec_ok, bool checking_disabled,
	uint16_t id, const uint8_t *case_bits, uint8_t out_octets[static MESSAGE_QUERY_OCTETS_MAX])
{
	assert(question.len > DNS_QUESTION_TAIL_OCTETS &&
		question.len <= MESSAGE_QUESTION_OCTETS_MAX);
	uint8_t *name = out_octets + DNS_HEADER_OCTETS;
	const size_t name_octets = question.len - DNS_QUESTION_TAIL_OCTETS;

	memset(out_octets, 0, DNS_HEADER_OCTETS);
	dns_write_u16(out_octets, id);
	out_octets[HEADER_FLAGS] = FLAG_RD;
	out_octets[HEADER_FLAGS + 1] = (uint8_t)(FLAG_AD | (checking_disabled ? FLAG_CD : 0));
	dns_write_u16(out_octets + HEADER_QDCOUNT, 1);
	dns_write_u16(out_octets + HEADER_ARCOUNT, 1);
	memcpy(name, question.ptr, question.len);
	/* Lengths of labels are below 'A': what looks like a letter is one. */
	for (size_t i = 0; case_bits && i < name_octets; i++) {
		const uint8_t lower = byte_lower(name[i]);

		if (lower >= 'a' && lower <= 'z' && (case_bits[i / 8] >> i % 8 & 1) != 0)
			name[i] ^= 0x20;
	}
	return DNS_HEADER_OCTETS + question.len +
	       opt_write(name + question.len, 0, dnssec_ok, MESSAGE_EDE_NONE, MESSAGE_OPT_OCTETS);
}
