#include "server/dns/answer.h"

#include "parser/view.h"
#include "server/dns/authority.h"
#include "server/dns/describe.h"
#include "server/dns/query.h"
#include "server/dns/reply.h"
#include "server/dns/reverse.h"
#include "server/dns/rrset.h"
#include "server/dns/tsig.h"

/* What a client takes without EDNS, and at least with it (RFC 6891 section 6.2.3). */
#define UDP_OCTETS_MIN 512u

enum place_kind {
	PLACE_OUTSIDE,
	PLACE_ZONE,
	PLACE_REVERSE,
	PLACE_UNKNOWN, /* The index is corrupt. */
};

/* Where the question's name is. */
struct place {
	enum place_kind kind;
	const struct zone_origin *origin; /* PLACE_ZONE */
	struct reverse reverse;           /* PLACE_REVERSE */
};

/* What an answer is made from. */
struct asking {
	const struct zone *zone;
	const struct query *query;
	int64_t now_unix_s;
	struct place place;
};

static size_t reply_limit(
	const struct answer_limits *limits, const struct query *query, size_t reply_cap)
{
	size_t limit = UDP_OCTETS_MIN;

	if (limits->is_tcp)
		limit = ANSWER_TCP_OCTETS_MAX;
	else if (query->udp_octets > ANSWER_UDP_OCTETS_MAX)
		limit = ANSWER_UDP_OCTETS_MAX;
	else if (query->udp_octets > limit)
		limit = query->udp_octets;
	return limit < reply_cap ? limit : reply_cap;
}

static void place_find(struct asking *asking)
{
	struct place *place = &asking->place;

	place->kind = PLACE_ZONE;
	place->origin = zone_find(asking->zone, asking->query);
	if (place->origin)
		return;
	switch (reverse_find(asking->zone, asking->query, &place->reverse)) {
	case INDEX_FOUND:
		place->kind = PLACE_REVERSE;
		break;
	case INDEX_ABSENT:
	case INDEX_NODATA:
		place->kind = PLACE_OUTSIDE;
		break;
	case INDEX_CORRUPT:
		place->kind = PLACE_UNKNOWN;
		break;
	}
}

/* Questions for which no zone is looked into. Transfers and key exchanges are nobody's here; no
 * class but IN is served, ANY included (an answer for it is never authoritative, RFC 1035 section
 * 6.2); OPT is no type that a record set could have. */
static enum dns_rcode question_rcode(const struct query *query)
{
	switch (query->type) {
	case DNS_TYPE_OPT:
		return DNS_RCODE_FORMERR;
	case DNS_TYPE_AXFR:
	case DNS_TYPE_IXFR:
	case DNS_TYPE_TKEY:
	case DNS_TYPE_TSIG:
		return DNS_RCODE_REFUSED;
	default:
		return query->class == DNS_CLASS_IN ? DNS_RCODE_NOERROR : DNS_RCODE_REFUSED;
	}
}

/* The labels in front of the zone as the index has names: parted by dots. A label that has a dot
 * of its own, or a NUL, is no name that the index could hold.
 * @return octets of the key, 0 if there is none. */
static size_t key_make(
	const struct query *query, size_t label_count, uint8_t out_key[static DNS_NAME_OCTETS_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < label_count; i++) {
		const uint8_t *label = query->name + query->labels[i];

		if (i > 0)
			out_key[len++] = '.';
		for (uint8_t n = 1; n <= label[0]; n++) {
			if (label[n] == '.' || label[n] == 0)
				return 0;
			out_key[len++] = label[n];
		}
	}
	return len;
}

/* A name has a TXT record for each address, so that for ANY, which gets one RRset (RFC 8482
 * section 4.1), A or AAAA is never missing where TXT would not be. */
static enum rrset_result rrset_write(
	const struct asking *asking, struct view *view, struct reply *reply)
{
	const uint32_t ttl_s = zone_meta(asking->zone)->ttl_s;
	const uint16_t type = asking->query->type;
	enum rrset_result result = RRSET_EMPTY;

	if (type == DNS_TYPE_TXT)
		return describe_texts(
			reply, REPLY_QUESTION_OFFSET, asking->zone, view, asking->now_unix_s);
	if (type == DNS_TYPE_A || type == DNS_TYPE_ANY)
		result = rrset_addresses(reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, view,
			ADDRESS_IPV4, ttl_s, asking->now_unix_s);
	if (result != RRSET_EMPTY || (type != DNS_TYPE_AAAA && type != DNS_TYPE_ANY))
		return result;
	view_rewind(view);
	return rrset_addresses(reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, view, ADDRESS_IPV6,
		ttl_s, asking->now_unix_s);
}

/* A name that exists. */
static void name_answer(const struct asking *asking, const struct authority *authority,
	struct view *view, struct reply *reply)
{
	switch (rrset_write(asking, view, reply)) {
	case RRSET_WRITTEN:
		break;
	case RRSET_EMPTY:
		authority_negative(authority, DNS_RCODE_NOERROR, reply);
		break;
	case RRSET_NO_ROOM:
		reply->truncated = true;
		break;
	}
}

static void zone_answer(const struct asking *asking, struct reply *reply)
{
	const struct query *query = asking->query;
	const struct zone_origin *origin = asking->place.origin;
	const size_t label_count = (size_t)query->label_count - origin->label_count;
	const struct authority authority = {
		.zone = asking->zone,
		.apex_offset =
			(uint16_t)(REPLY_QUESTION_OFFSET + query->name_octets - origin->octets),
	};
	uint8_t key[DNS_NAME_OCTETS_MAX];
	struct view view;

	reply->authoritative = true;
	if (label_count == 0) {
		authority_apex(&authority, asking->now_unix_s, reply);
		return;
	}
	const size_t key_octets = key_make(query, label_count, key);

	if (key_octets == 0) {
		authority_negative(&authority, DNS_RCODE_NXDOMAIN, reply);
		return;
	}
	switch (view_find(zone_index(asking->zone), INDEX_KEY_NAME, (struct bytes){key, key_octets},
		asking->now_unix_s, &view)) {
	case INDEX_FOUND:
	case INDEX_NODATA:
		name_answer(asking, &authority, &view, reply);
		break;
	case INDEX_ABSENT:
		authority_negative(&authority, DNS_RCODE_NXDOMAIN, reply);
		break;
	case INDEX_CORRUPT:
		reply->authoritative = false;
		reply->rcode = DNS_RCODE_SERVFAIL;
		break;
	}
}

static void place_answer(const struct asking *asking, struct reply *reply)
{
	switch (asking->place.kind) {
	case PLACE_ZONE:
		zone_answer(asking, reply);
		break;
	case PLACE_REVERSE:
		reverse_answer(asking->zone, &asking->place.reverse, asking->now_unix_s, reply);
		break;
	case PLACE_OUTSIDE:
		reply->rcode = DNS_RCODE_REFUSED;
		break;
	case PLACE_UNKNOWN:
		reply->rcode = DNS_RCODE_SERVFAIL;
		break;
	}
}

/* A well-formed question. Nothing is written before it is known not to be forwarded. */
static enum answer_verdict question_answer(struct asking *asking,
	const struct answer_limits *limits, uint8_t *octets, size_t limit, struct reply *reply)
{
	const struct query *query = asking->query;
	const enum dns_rcode rcode = question_rcode(query);

	if (rcode == DNS_RCODE_NOERROR) {
		place_find(asking);
		/* Signed ones too: see answer.h. */
		if (asking->place.kind == PLACE_OUTSIDE && limits->recursion_available &&
			query->recursion_desired)
			return ANSWER_FORWARD;
	}
	if (!reply_start(reply, query, octets, limit))
		return ANSWER_DROP;
	if (query->tsig_rdata_offset != 0)
		tsig_refuse(reply);
	else if (rcode == DNS_RCODE_NOERROR)
		place_answer(asking, reply);
	else
		reply->rcode = rcode;
	return ANSWER_REPLY;
}

static enum answer_verdict plain_reply(const struct query *query, enum dns_rcode rcode,
	uint8_t *octets, size_t limit, struct reply *reply)
{
	if (!reply_start(reply, query, octets, limit))
		return ANSWER_DROP;
	reply->rcode = rcode;
	return ANSWER_REPLY;
}

enum answer_verdict answer_query(const struct zone *zone, const struct answer_limits *limits,
	int64_t now_unix_s, struct bytes query_octets, uint8_t *reply_octets, size_t reply_cap,
	size_t *out_reply_len)
{
	enum answer_verdict verdict = ANSWER_DROP;
	struct query query;
	struct reply reply;
	struct asking asking = {.zone = zone, .query = &query, .now_unix_s = now_unix_s};
	const enum query_verdict parsed = query_parse(query_octets, &query);

	if (parsed == QUERY_DROP)
		return ANSWER_DROP;
	const size_t limit = reply_limit(limits, &query, reply_cap);

	switch (parsed) {
	case QUERY_OK:
		verdict = question_answer(&asking, limits, reply_octets, limit, &reply);
		break;
	case QUERY_DROP:
		break;
	case QUERY_NO_QUESTION:
		verdict = plain_reply(&query, DNS_RCODE_NOERROR, reply_octets, limit, &reply);
		break;
	case QUERY_FORMERR:
		verdict = plain_reply(&query, DNS_RCODE_FORMERR, reply_octets, limit, &reply);
		break;
	case QUERY_NOTIMP:
		verdict = plain_reply(&query, DNS_RCODE_NOTIMP, reply_octets, limit, &reply);
		break;
	case QUERY_BADVERS:
		verdict = plain_reply(&query, DNS_RCODE_BADVERS, reply_octets, limit, &reply);
		break;
	}
	if (verdict != ANSWER_REPLY)
		return verdict;
	/* In other opcodes that bit has no meaning (RFC 2136 section 2.2). */
	reply.recursion_available = limits->recursion_available && query.opcode == DNS_OPCODE_QUERY;
	*out_reply_len = reply_finish(&reply);
	return ANSWER_REPLY;
}
