#include "server/special.h"

#include <string.h>

#include "server/reply.h"

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
static const struct special_name special_names[] = {
	SPECIAL("\4"
		"test",
		SPECIAL_ABSENT, "RFC 6761 section 6.2"),
	SPECIAL("\7"
		"invalid",
		SPECIAL_ABSENT, "RFC 6761 section 6.4"),
	SPECIAL("\5"
		"local",
		SPECIAL_ABSENT, "RFC 6762 section 22.1"),
	SPECIAL("\5"
		"onion",
		SPECIAL_ABSENT, "RFC 7686 section 2"),
	SPECIAL("\3"
		"alt",
		SPECIAL_ABSENT, "RFC 9476 section 2"),
	SPECIAL("\11"
		"localhost",
		SPECIAL_LOCALHOST, "RFC 6761 section 6.3"),
	SPECIAL("\4"
		"home"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 8375 section 4"),
	SPECIAL("\10"
		"resolver"
		"\4"
		"arpa",
		SPECIAL_NODATA, "RFC 9462 section 6.4"),
	SPECIAL("\2"
		"10"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"16"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"17"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"18"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"19"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"20"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"21"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"22"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"23"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"24"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"25"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"26"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"27"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"28"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"29"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"30"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\2"
		"31"
		"\3"
		"172"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\3"
		"168"
		"\3"
		"192"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.1"),
	SPECIAL("\1"
		"0"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\3"
		"254"
		"\3"
		"169"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\1"
		"2"
		"\1"
		"0"
		"\3"
		"192"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\3"
		"100"
		"\2"
		"51"
		"\3"
		"198"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\3"
		"113"
		"\1"
		"0"
		"\3"
		"203"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\3"
		"255"
		"\3"
		"255"
		"\3"
		"255"
		"\3"
		"255"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.2"),
	SPECIAL("\3"
		"127"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_LOOPBACK, "RFC 6303 section 4.2"),
	SPECIAL("\2"
		"64"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"65"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"66"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"67"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"68"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"69"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"70"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"71"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"72"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"73"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"74"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"75"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"76"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"77"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"78"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"79"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"80"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"81"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"82"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"83"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"84"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"85"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"86"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"87"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"88"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"89"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"90"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"91"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"92"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"93"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"94"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"95"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"96"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"97"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"98"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\2"
		"99"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"100"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"101"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"102"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"103"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"104"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"105"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"106"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"107"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"108"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"109"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"110"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"111"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"112"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"113"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"114"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"115"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"116"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"117"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"118"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"119"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"120"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"121"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"122"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"123"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"124"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"125"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"126"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\3"
		"127"
		"\3"
		"100"
		"\7"
		"in-addr"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 7793 section 4"),
	SPECIAL("\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.3"),
	SPECIAL("\1"
		"1"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"0"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_LOOPBACK, "RFC 6303 section 4.3"),
	SPECIAL("\1"
		"d"
		"\1"
		"f"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.4"),
	SPECIAL("\1"
		"8"
		"\1"
		"e"
		"\1"
		"f"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\1"
		"9"
		"\1"
		"e"
		"\1"
		"f"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\1"
		"a"
		"\1"
		"e"
		"\1"
		"f"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\1"
		"b"
		"\1"
		"e"
		"\1"
		"f"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.5"),
	SPECIAL("\1"
		"8"
		"\1"
		"b"
		"\1"
		"d"
		"\1"
		"0"
		"\1"
		"1"
		"\1"
		"0"
		"\1"
		"0"
		"\1"
		"2"
		"\3"
		"ip6"
		"\4"
		"arpa",
		SPECIAL_EMPTY, "RFC 6303 section 4.6"),
};

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
