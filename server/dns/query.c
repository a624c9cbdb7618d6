#include "server/dns/query.h"

#include <string.h>

/* Places in the header, RFC 1035 section 4.1.1. */
#define HEADER_FLAGS         2u
#define HEADER_QDCOUNT       4u
#define HEADER_ANCOUNT       6u
#define HEADER_NSCOUNT       8u
#define HEADER_ARCOUNT       10u
#define HEADER_QR            0x80u
#define HEADER_RD            0x01u
#define HEADER_OPCODE(octet) ((uint8_t)(((octet) >> 3) & 0x0fu))

/* RFC 7873 section 4: a client cookie, alone or with 8 to 32 octets of the server's. */
#define EDNS_OPTION_COOKIE      10u
#define EDNS_OPTION_HEAD_OCTETS 4u
#define COOKIE_CLIENT_OCTETS    8u
#define COOKIE_WHOLE_OCTETS_MIN 16u
#define COOKIE_WHOLE_OCTETS_MAX 40u
#define EDNS_FLAG_DO            0x80u

/* One octet of every octet of a word. */
#define WORD_OF(octet) (UINT64_C(0x0101010101010101) * (octet))

struct query_record {
	size_t owner_offset;
	uint16_t type;
	size_t tail_offset; /* Of type, class, TTL, length. */
	struct bytes rdata;
};

/* ASCII upper case to lower in each of eight octets, without a branch for each. Lengths of labels
 * are below 'A', so a whole name can be treated at once. */
static uint64_t word_lower(uint64_t word)
{
	const uint64_t low = word & WORD_OF(0x7f);
	const uint64_t from_a = low + WORD_OF(0x80 - 'A');
	const uint64_t above_z = low + WORD_OF(0x7f - 'Z');
	const uint64_t upper = (from_a ^ above_z) & ~word & WORD_OF(0x80);

	return word | upper >> 2;
}

/* The lower-case copy. Works in whole words: what is written behind the name is never read. */
static void name_fold(struct query *query, const uint8_t *name)
{
	memcpy(query->name, name, query->name_octets);
	for (size_t i = 0; i < query->name_octets; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, query->name + i, sizeof(word));
		word = word_lower(word);
		memcpy(query->name + i, &word, sizeof(word));
	}
}

/* The question stands right behind the header, so that a pointer in it could only point into the
 * header or to itself: what is no plain label is malformed. So are the label types 01 and 10,
 * which nobody uses (RFC 6891 section 5). */
static bool question_read(struct query *query)
{
	const uint8_t *name = query->message.ptr + DNS_HEADER_OCTETS;
	const size_t len = query->message.len - DNS_HEADER_OCTETS;
	size_t offset = 0;
	size_t count = 0;

	for (;;) {
		if (offset >= len)
			return false;
		if (name[offset] == 0)
			break;
		if (name[offset] > DNS_LABEL_OCTETS_MAX)
			return false;
		if (offset + 1 + name[offset] >= DNS_NAME_OCTETS_MAX)
			return false;
		query->labels[count++] = (uint8_t)offset;
		offset += 1u + name[offset];
	}
	offset++;
	if (len - offset < DNS_QUESTION_TAIL_OCTETS)
		return false;
	query->name_octets = (uint8_t)offset;
	query->label_count = (uint8_t)count;
	query->type = dns_read_u16(name + offset);
	query->class = dns_read_u16(name + offset + 2);
	query->question_octets = (uint16_t)(offset + DNS_QUESTION_TAIL_OCTETS);
	name_fold(query, name);
	return true;
}

bool query_name_skip(struct bytes message, size_t *offset)
{
	const size_t start = *offset;
	size_t at = start;

	while (at < message.len) {
		const uint8_t len = message.ptr[at];

		if (len >= DNS_POINTER >> 8) {
			if (message.len - at < 2)
				return false;
			const size_t target = dns_read_u16(message.ptr + at) & ~DNS_POINTER;

			*offset = at + 2;
			return target >= DNS_HEADER_OCTETS && target < start;
		}
		if (len > DNS_LABEL_OCTETS_MAX)
			return false;
		at += 1u + len;
		if (at - start > DNS_NAME_OCTETS_MAX)
			return false;
		if (len == 0) {
			*offset = at;
			return true;
		}
	}
	return false;
}

static bool record_read(struct bytes message, size_t *offset, struct query_record *out_record)
{
	const size_t owner_offset = *offset;
	size_t at = owner_offset;

	if (!query_name_skip(message, &at) || message.len - at < DNS_RECORD_TAIL_OCTETS)
		return false;
	const size_t tail_offset = at;
	const size_t rdata_octets = dns_read_u16(message.ptr + at + 8);

	at += DNS_RECORD_TAIL_OCTETS;
	if (message.len - at < rdata_octets)
		return false;
	*out_record = (struct query_record){owner_offset, dns_read_u16(message.ptr + tail_offset),
		tail_offset, {message.ptr + at, rdata_octets}};
	*offset = at + rdata_octets;
	return true;
}

static bool edns_options_read(struct query *query, struct bytes options)
{
	size_t at = 0;

	while (at < options.len) {
		if (options.len - at < EDNS_OPTION_HEAD_OCTETS)
			return false;
		const uint16_t code = dns_read_u16(options.ptr + at);
		const size_t len = dns_read_u16(options.ptr + at + 2);

		at += EDNS_OPTION_HEAD_OCTETS;
		if (options.len - at < len)
			return false;
		if (code == EDNS_OPTION_COOKIE)
			query->has_cookie =
				len == COOKIE_CLIENT_OCTETS ||
				(len >= COOKIE_WHOLE_OCTETS_MIN && len <= COOKIE_WHOLE_OCTETS_MAX);
		at += len;
	}
	return true;
}

/* RFC 6891 section 6.1: one OPT, owned by the root; class and TTL carry other things. */
static bool edns_read(struct query *query, const struct query_record *record)
{
	const uint8_t *tail = query->message.ptr + record->tail_offset;

	if (query->has_edns || record->tail_offset != record->owner_offset + 1)
		return false;
	query->has_edns = true;
	query->udp_octets = dns_read_u16(tail + 2);
	query->edns_version = tail[5];
	query->dnssec_ok = (tail[6] & EDNS_FLAG_DO) != 0;
	/* What RDATA means in a later version we cannot know. */
	return query->edns_version > 0 || edns_options_read(query, record->rdata);
}

/* All records behind the question, to the end of the message. */
static bool records_read(struct query *query, size_t offset)
{
	const uint8_t *header = query->message.ptr;
	const size_t before = (size_t)dns_read_u16(header + HEADER_ANCOUNT) +
			      dns_read_u16(header + HEADER_NSCOUNT);
	const size_t total = before + dns_read_u16(header + HEADER_ARCOUNT);

	for (size_t i = 0; i < total; i++) {
		struct query_record record;

		/* RFC 8945 section 5.1: TSIG is the last record, and there is one. */
		if (query->tsig_rdata_offset != 0 || !record_read(query->message, &offset, &record))
			return false;
		if (record.type == DNS_TYPE_OPT && i >= before) {
			if (!edns_read(query, &record))
				return false;
		} else if (record.type == DNS_TYPE_TSIG && i >= before) {
			query->tsig_owner_offset = (uint16_t)record.owner_offset;
			query->tsig_rdata_offset =
				(uint16_t)(record.tail_offset + DNS_RECORD_TAIL_OCTETS);
			query->tsig_rdata_octets = (uint16_t)record.rdata.len;
		}
	}
	return offset == query->message.len;
}

/* Everything but the arrays, which are long and set with the question. */
static void query_reset(struct query *query, struct bytes message)
{
	query->message = message;
	query->id = dns_read_u16(message.ptr);
	query->opcode = HEADER_OPCODE(message.ptr[HEADER_FLAGS]);
	query->recursion_desired = (message.ptr[HEADER_FLAGS] & HEADER_RD) != 0;
	query->question_octets = 0;
	query->has_edns = false;
	query->dnssec_ok = false;
	query->has_cookie = false;
	query->edns_version = 0;
	query->udp_octets = 0;
	query->tsig_owner_offset = 0;
	query->tsig_rdata_offset = 0;
	query->tsig_rdata_octets = 0;
}

enum query_verdict query_parse(struct bytes message, struct query *out_query)
{
	struct query *query = out_query;

	if (message.len < DNS_HEADER_OCTETS || (message.ptr[HEADER_FLAGS] & HEADER_QR) != 0)
		return QUERY_DROP;
	query_reset(query, message);

	const uint16_t questions = dns_read_u16(message.ptr + HEADER_QDCOUNT);
	const bool whole = (questions == 0 || (questions == 1 && question_read(query))) &&
			   records_read(query, DNS_HEADER_OCTETS + query->question_octets);

	if (query->opcode != DNS_OPCODE_QUERY)
		return QUERY_NOTIMP; /* Whatever the rest is (RFC 8906 section 8.1.4). */
	if (!whole || dns_read_u16(message.ptr + HEADER_ANCOUNT) != 0 ||
		dns_read_u16(message.ptr + HEADER_NSCOUNT) != 0)
		return QUERY_FORMERR;
	if (query->edns_version > 0)
		return QUERY_BADVERS;
	if (questions == 0) /* RFC 9619 section 4, RFC 7873 section 5.4. */
		return query->has_cookie ? QUERY_NO_QUESTION : QUERY_FORMERR;
	return QUERY_OK;
}

size_t query_name_read(
	struct bytes message, size_t offset, uint8_t out_name[static DNS_NAME_OCTETS_MAX])
{
	uint8_t name[DNS_NAME_OCTETS_MAX];
	size_t below = offset; /* A pointer must point below where the last piece started. */
	size_t len = 0;
	size_t hops = 0;

	while (offset < message.len) {
		const uint8_t label = message.ptr[offset];

		if (label >= DNS_POINTER >> 8) {
			if (message.len - offset < 2 || ++hops > DNS_LABELS_MAX)
				return 0;
			offset = dns_read_u16(message.ptr + offset) & ~DNS_POINTER;
			if (offset < DNS_HEADER_OCTETS || offset >= below)
				return 0;
			below = offset;
			continue;
		}
		if (label > DNS_LABEL_OCTETS_MAX || message.len - offset < 1u + label ||
			len + 1u + label > sizeof(name))
			return 0;
		memcpy(name + len, message.ptr + offset, 1u + label);
		len += 1u + label;
		offset += 1u + label;
		if (label == 0) {
			memcpy(out_name, name, len);
			return len;
		}
	}
	return 0;
}
