#include "server/dns/tsig.h"

#include <string.h>

#define TSIG_ERROR_BADKEY 17u

/* RDATA, RFC 8945 section 4.2: algorithm; time 6, fudge 2, MAC's length 2; MAC; original id 2,
 * error 2, other's length 2; other. */
#define TIME_OCTETS  8u /* With the fudge. */
#define FRONT_OCTETS (TIME_OCTETS + 2u)
#define BACK_OCTETS  6u

struct tsig {
	uint8_t key[DNS_NAME_OCTETS_MAX];
	size_t key_octets;
	uint8_t algorithm[DNS_NAME_OCTETS_MAX];
	size_t algorithm_octets;
	const uint8_t *time;        /* And fudge. */
	const uint8_t *original_id; /* Two octets. */
};

/* Octets of an uncompressed name at the start of `rdata` (RFC 8945 section 4.2 has the algorithm
 * uncompressed), or 0. */
static size_t plain_name_octets(struct bytes rdata)
{
	size_t at = 0;

	while (at < rdata.len && rdata.ptr[at] <= DNS_LABEL_OCTETS_MAX) {
		const uint8_t len = rdata.ptr[at];

		at += 1u + len;
		if (len == 0)
			return at <= DNS_NAME_OCTETS_MAX ? at : 0;
	}
	return 0;
}

static bool tsig_parse(const struct query *query, struct tsig *out_tsig)
{
	const struct bytes rdata = {
		query->message.ptr + query->tsig_rdata_offset, query->tsig_rdata_octets};
	size_t at = plain_name_octets(rdata);

	out_tsig->key_octets =
		query_name_read(query->message, query->tsig_owner_offset, out_tsig->key);
	if (out_tsig->key_octets == 0 || at == 0 || rdata.len - at < FRONT_OCTETS + BACK_OCTETS)
		return false;
	memcpy(out_tsig->algorithm, rdata.ptr, at);
	out_tsig->algorithm_octets = at;
	out_tsig->time = rdata.ptr + at;
	const size_t mac_octets = dns_read_u16(rdata.ptr + at + TIME_OCTETS);

	at += FRONT_OCTETS;
	if (rdata.len - at < mac_octets + BACK_OCTETS)
		return false;
	at += mac_octets;
	out_tsig->original_id = rdata.ptr + at;
	return rdata.len - at - BACK_OCTETS == dns_read_u16(rdata.ptr + at + 4);
}

void tsig_refuse(struct reply *reply)
{
	struct tsig tsig;

	if (!tsig_parse(reply->query, &tsig)) {
		reply->rcode = DNS_RCODE_FORMERR;
		return;
	}
	reply->rcode = DNS_RCODE_NOTAUTH;
	reply_opt(reply); /* TSIG must be the last record. */
	const size_t rdata_octets = tsig.algorithm_octets + FRONT_OCTETS + BACK_OCTETS;
	uint8_t *at = reply_take(reply, tsig.key_octets + DNS_RECORD_TAIL_OCTETS + rdata_octets);

	if (!at)
		return;
	memcpy(at, tsig.key, tsig.key_octets);
	at += tsig.key_octets;
	dns_write_u16(at, DNS_TYPE_TSIG);
	dns_write_u16(at + 2, DNS_CLASS_ANY);
	dns_write_u32(at + 4, 0);
	dns_write_u16(at + 8, (uint16_t)rdata_octets);
	at += DNS_RECORD_TAIL_OCTETS;
	memcpy(at, tsig.algorithm, tsig.algorithm_octets);
	at += tsig.algorithm_octets;
	memcpy(at, tsig.time, TIME_OCTETS);
	dns_write_u16(at + TIME_OCTETS, 0);
	at += FRONT_OCTETS;
	memcpy(at, tsig.original_id, 2);
	dns_write_u16(at + 2, TSIG_ERROR_BADKEY);
	dns_write_u16(at + 4, 0);
	reply->counts[REPLY_ADDITIONAL]++;
}
