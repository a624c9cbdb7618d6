#include "server/forward/special.h"

#include <string.h>

#include "server/dns/reply.h"

/* RFC 6303 section 3 leaves the figures to the resolver; a day is what it proposes where names do
 * not change. Short here, because `zone.NAME` of the configuration can change it. */
#define SPECIAL_TTL_S 300u

/* The TTL is also the last field, MINIMUM (RFC 2308 section 4). The server is called "localhost",
 * the person nobody. */
#define SOA_RDATA             \
	"\11localhost\0"      \
	"\6nobody\7invalid\0" \
	"\0\0\0\1"            \
	"\0\0\16\20"          \
	"\0\0\4\260"          \
	"\0\11\72\200"        \
	"\0\0\1\54"
#define LOCALHOST_NAME "\11localhost\0"

#define SPECIAL(name, kind, source)              \
	{                                        \
		name, sizeof(name), kind, source \
	}

/* Not in it: `example` and what is below, which are ordinary names to a resolver (RFC 6761 section
 * 6.5); `internal`, for which no RFC speaks and which hosting providers serve on their resolvers;
 * `ipv4only.arpa`, whose answers belong to the network's resolver (RFC 8880 section 7.1). */
/* It would break a line after each length: */
/* clang-format off */
static const struct special_name special_names[] = {
	SPECIAL("\004test", SPECIAL_ABSENT, "RFC 6761 section 6.2"),
	SPECIAL("\007invalid", SPECIAL_ABSENT, "RFC 6761 section 6.4"),
	SPECIAL("\005local", SPECIAL_ABSENT, "RFC 6762 section 22.1"),
	SPECIAL("\005onion", SPECIAL_ABSENT, "RFC 7686 section 2"),
	SPECIAL("\003alt", SPECIAL_ABSENT, "RFC 9476 section 2"),
	SPECIAL("\011localhost", SPECIAL_LOCALHOST, "RFC 6761 section 6.3"),
	SPECIAL("\004home\004arpa", SPECIAL_EMPTY, "RFC 8375 section 4"),
	SPECIAL("\010resolver\004arpa", SPECIAL_NODATA, "RFC 9462 section 6.4"),
	SPECIAL("\00210\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00216\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00217\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00218\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00219\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00220\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00221\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00222\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00223\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00224\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00225\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00226\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00227\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00228\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00229\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00230\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\00231\003172\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\003168\003192\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\0010\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\003254\003169\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\0012\0010\003192\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\003100\00251\003198\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\003113\0010\003203\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\003255\003255\003255\003255\007in-addr\004arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\003127\007in-addr\004arpa", SPECIAL_LOOPBACK, "RFC 6303 section 4.2"),
	SPECIAL("\00264\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00265\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00266\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00267\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00268\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00269\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00270\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00271\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00272\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00273\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00274\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00275\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00276\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00277\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00278\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00279\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00280\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00281\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00282\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00283\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00284\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00285\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00286\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00287\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00288\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00289\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00290\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00291\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00292\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00293\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00294\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00295\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00296\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00297\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00298\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\00299\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003100\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003101\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003102\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003103\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003104\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003105\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003106\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003107\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003108\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003109\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003110\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003111\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003112\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003113\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003114\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003115\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003116\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003117\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003118\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003119\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003120\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003121\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003122\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003123\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003124\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003125\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003126\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\003127\003100\007in-addr\004arpa", SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010"
		"\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010"
		"\0010\0010\003ip6\004arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.3"),
	SPECIAL("\0011\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010"
		"\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010\0010"
		"\0010\0010\003ip6\004arpa",
		SPECIAL_LOOPBACK, "RFC 6303 section 4.3"),
	SPECIAL("\001d\001f\003ip6\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.4"),
	SPECIAL("\0018\001e\001f\003ip6\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\0019\001e\001f\003ip6\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\001a\001e\001f\003ip6\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\001b\001e\001f\003ip6\004arpa", SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\0018\001b\001d\0010\0011\0010\0010\0012\003ip6\004arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.6"),
};
/* clang-format on */

static bool is_at_or_below(const struct query *query, const struct special_name *special)
{
	const size_t at = (size_t)query->name_octets - special->octets;

	if (query->name_octets < special->octets ||
		memcmp(query->name + at, special->name, special->octets) != 0)
		return false;
	/* It must begin where a label does. */
	if (at == 0)
		return true;
	for (size_t i = query->label_count; i > 0; i--) {
		if (query->labels[i - 1] <= at)
			return query->labels[i - 1] == at;
	}
	return false;
}

const struct special_name *special_find(const struct query *query)
{
	for (size_t i = 0; i < sizeof(special_names) / sizeof(*special_names); i++) {
		if (is_at_or_below(query, &special_names[i]))
			return &special_names[i];
	}
	return NULL;
}

static void write_soa(struct reply *reply, enum reply_section section, uint16_t apex_offset)
{
	uint8_t *rdata = reply_record(
		reply, section, apex_offset, DNS_TYPE_SOA, SPECIAL_TTL_S, sizeof(SOA_RDATA) - 1);

	if (rdata)
		memcpy(rdata, SOA_RDATA, sizeof(SOA_RDATA) - 1);
}

static void write_answer(struct reply *reply, enum dns_type type, const void *data, size_t octets)
{
	uint8_t *rdata = reply_record(
		reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, type, SPECIAL_TTL_S, octets);

	if (rdata)
		memcpy(rdata, data, octets);
}

/* ANY gets A: one RRset (RFC 8482 section 4.1). */
static bool answer_localhost(uint16_t type, struct reply *reply)
{
	static const uint8_t v4[4] = {127, 0, 0, 1};
	static const uint8_t v6[16] = {[15] = 1};

	if (type == DNS_TYPE_A || type == DNS_TYPE_ANY)
		write_answer(reply, DNS_TYPE_A, v4, sizeof(v4));
	else if (type == DNS_TYPE_AAAA)
		write_answer(reply, DNS_TYPE_AAAA, v6, sizeof(v6));
	else
		return false;
	return true;
}

/* SOA and NS of an apex. */
static bool answer_apex(uint16_t type, struct reply *reply)
{
	if (type == DNS_TYPE_SOA || type == DNS_TYPE_ANY)
		write_soa(reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET);
	else if (type == DNS_TYPE_NS)
		write_answer(reply, DNS_TYPE_NS, LOCALHOST_NAME, sizeof(LOCALHOST_NAME) - 1);
	else
		return false;
	return true;
}

/* 1.0.0.127.in-addr.arpa, and the name of ::1, which is an apex of its own. */
static bool is_loopback(const struct query *query)
{
	static const char v4[] = "\1"
				 "1"
				 "\1"
				 "0"
				 "\1"
				 "0"
				 "\3"
				 "127"
				 "\7"
				 "in-addr"
				 "\4"
				 "arpa";

	return query->label_count == 34 ||
	       (query->name_octets == sizeof(v4) && memcmp(query->name, v4, sizeof(v4)) == 0);
}

/* Names between an apex and one that has data exist (RFC 8020). */
static bool is_above_loopback(const struct query *query)
{
	static const char v4[] = "\1"
				 "0"
				 "\1"
				 "0"
				 "\3"
				 "127"
				 "\7"
				 "in-addr"
				 "\4"
				 "arpa";
	const size_t at = sizeof(v4) - query->name_octets;

	return query->name_octets <= sizeof(v4) &&
	       memcmp(query->name, v4 + at, query->name_octets) == 0;
}

/* False if there is no data; then also says whether the name is there. */
static bool answer_by_kind(const struct special_name *special, const struct query *query,
	struct reply *reply, bool *out_exists)
{
	const bool is_apex = query->name_octets == special->octets;

	*out_exists = is_apex;
	switch (special->kind) {
	case SPECIAL_ABSENT:
		*out_exists = false;
		return false;
	case SPECIAL_EMPTY:
		break;
	case SPECIAL_NODATA:
		*out_exists = true;
		break;
	case SPECIAL_LOCALHOST:
		*out_exists = true;
		if (answer_localhost(query->type, reply))
			return true;
		break;
	case SPECIAL_LOOPBACK:
		*out_exists = is_apex || is_loopback(query) || is_above_loopback(query);
		if (query->type == DNS_TYPE_PTR && is_loopback(query)) {
			write_answer(
				reply, DNS_TYPE_PTR, LOCALHOST_NAME, sizeof(LOCALHOST_NAME) - 1);
			return true;
		}
		break;
	}
	return is_apex && answer_apex(query->type, reply);
}

size_t special_answer(const struct special_name *special, const struct query *query,
	uint8_t *octets, size_t limit)
{
	struct reply reply;
	bool exists = false;

	if (!reply_start(&reply, query, octets, limit))
		return 0;
	reply.authoritative = true;
	reply.recursion_available = true;
	if (!answer_by_kind(special, query, &reply, &exists)) {
		reply.rcode = exists ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN;
		write_soa(&reply, REPLY_AUTHORITY,
			(uint16_t)(REPLY_QUESTION_OFFSET + query->name_octets - special->octets));
	}
	return reply_finish(&reply);
}
