#include "server/dns/reply.h"

#include <assert.h>
#include <string.h>

/* The root, and a record's tail without RDATA. */
#define OPT_OCTETS  (1u + DNS_RECORD_TAIL_OCTETS)
#define OPT_FLAG_DO 0x80u
/* A pointer for an owner. */
#define RECORD_HEAD_OCTETS (2u + DNS_RECORD_TAIL_OCTETS)

#define FLAG_QR 0x80u
#define FLAG_AA 0x04u
#define FLAG_TC 0x02u
#define FLAG_RD 0x01u
#define FLAG_RA 0x80u /* In the second octet. */

bool reply_start(struct reply *reply, const struct query *query, uint8_t *octets, size_t limit)
{
	const size_t reserved = query->has_edns ? OPT_OCTETS : 0;

	if (limit < DNS_HEADER_OCTETS + (size_t)query->question_octets + reserved)
		return false;
	*reply = (struct reply){
		.query = query,
		.octets = octets,
		.len = DNS_HEADER_OCTETS + (size_t)query->question_octets,
		.limit = limit - reserved,
		.opt_due = query->has_edns,
		.rcode = DNS_RCODE_NOERROR,
	};
	memcpy(octets + DNS_HEADER_OCTETS, query->message.ptr + DNS_HEADER_OCTETS,
		query->question_octets);
	return true;
}

uint8_t *reply_take(struct reply *reply, size_t len)
{
	if (reply->limit - reply->len < len)
		return NULL;
	uint8_t *octets = reply->octets + reply->len;

	reply->len += len;
	return octets;
}

uint8_t *reply_record(struct reply *reply, enum reply_section section, uint16_t owner_offset,
	enum dns_type type, uint32_t ttl_s, size_t rdata_octets)
{
	assert(owner_offset < DNS_POINTER >> 2 && rdata_octets <= UINT16_MAX);
	uint8_t *record = reply_take(reply, RECORD_HEAD_OCTETS + rdata_octets);

	if (!record)
		return NULL;
	record = reply_write_pointer(record, owner_offset);
	dns_write_u16(record, (uint16_t)type);
	dns_write_u16(record + 2, DNS_CLASS_IN);
	dns_write_u32(record + 4, ttl_s);
	dns_write_u16(record + 8, (uint16_t)rdata_octets);
	reply->counts[section]++;
	return record + DNS_RECORD_TAIL_OCTETS;
}

void reply_cut(struct reply *reply, enum reply_section section, size_t mark, uint16_t count)
{
	assert(mark <= reply->len && count <= reply->counts[section]);
	reply->len = mark;
	reply->counts[section] = (uint16_t)(reply->counts[section] - count);
}

void reply_opt(struct reply *reply)
{
	if (!reply->opt_due)
		return;
	reply->opt_due = false;
	reply->limit += OPT_OCTETS;
	uint8_t *opt = reply_take(reply, OPT_OCTETS);

	assert(opt != NULL);
	opt[0] = 0;
	dns_write_u16(opt + 1, DNS_TYPE_OPT);
	dns_write_u16(opt + 3, REPLY_EDNS_UDP_OCTETS);
	opt[5] = (uint8_t)(reply->rcode >> 4);
	opt[6] = 0; /* The version that we speak. */
	/* RFC 3225 section 3: DO is copied. Other flags are unknown to us (RFC 6891 6.1.4). */
	opt[7] = reply->query->dnssec_ok ? OPT_FLAG_DO : 0;
	memset(opt + 8, 0, 3);
	reply->counts[REPLY_ADDITIONAL]++;
}

size_t reply_finish(struct reply *reply)
{
	const struct query *query = reply->query;
	uint8_t *header = reply->octets;
	uint8_t flags = (uint8_t)(FLAG_QR | (unsigned)query->opcode << 3);

	reply_opt(reply);
	if (reply->authoritative)
		flags |= FLAG_AA;
	if (reply->truncated)
		flags |= FLAG_TC;
	if (query->recursion_desired)
		flags |= FLAG_RD;
	dns_write_u16(header, query->id);
	header[2] = flags;
	/* Z, AD and CD are 0: nothing here is validated (RFC 4035 sections 3.1.6, 3.2.2). */
	header[3] = (uint8_t)((reply->recursion_available ? FLAG_RA : 0u) | (reply->rcode & 0x0fu));
	dns_write_u16(header + 4, query->question_octets != 0);
	dns_write_u16(header + 6, reply->counts[REPLY_ANSWER]);
	dns_write_u16(header + 8, reply->counts[REPLY_AUTHORITY]);
	dns_write_u16(header + 10, reply->counts[REPLY_ADDITIONAL]);
	return reply->len;
}
