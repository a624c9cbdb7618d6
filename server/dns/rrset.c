#include "server/dns/rrset.h"

#include <string.h>

uint32_t rrset_ttl(uint32_t ttl_max_s, int64_t expires_unix_s, int64_t now_unix_s)
{
	if (expires_unix_s == 0)
		return ttl_max_s;
	if (expires_unix_s <= now_unix_s)
		return 0;
	const uint64_t left_s = (uint64_t)expires_unix_s - (uint64_t)now_unix_s;

	return left_s < ttl_max_s ? (uint32_t)left_s : ttl_max_s;
}

/* All records of an address RRset are of one size, from their owner on. */
static void ttls_write(uint8_t *rrset, size_t record_octets, uint16_t count, uint32_t ttl_s)
{
	for (uint16_t i = 0; i < count; i++)
		dns_write_u32(rrset + i * record_octets + 6, ttl_s);
}

enum rrset_result rrset_addresses(struct reply *reply, enum reply_section section,
	uint16_t owner_offset, struct view *view, uint8_t family, uint32_t ttl_max_s,
	int64_t now_unix_s)
{
	const enum dns_type type = family == ADDRESS_IPV4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
	const size_t rdata_octets = address_octets(family);
	const size_t mark = reply->len;
	struct index_record record;
	uint32_t ttl_s = ttl_max_s;
	bool mixed = false;
	uint16_t count = 0;

	while (view_next(view, family, now_unix_s, &record)) {
		const uint32_t own_ttl_s = rrset_ttl(ttl_max_s, record.expires_unix_s, now_unix_s);
		uint8_t *rdata =
			reply_record(reply, section, owner_offset, type, own_ttl_s, rdata_octets);

		if (!rdata) {
			reply_cut(reply, section, mark, count);
			return RRSET_NO_ROOM;
		}
		memcpy(rdata, record.address.octets, rdata_octets);
		mixed |= count > 0 && own_ttl_s != ttl_s;
		if (own_ttl_s < ttl_s)
			ttl_s = own_ttl_s;
		count++;
	}
	if (mixed)
		ttls_write(reply->octets + mark, (reply->len - mark) / count, count, ttl_s);
	return count > 0 ? RRSET_WRITTEN : RRSET_EMPTY;
}
