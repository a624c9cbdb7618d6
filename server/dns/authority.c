#include "server/dns/authority.h"

#include <string.h>

#include "conf/conf_index.h"
#include "server/dns/rrset.h"

/* Nobody transfers these zones, so the timers serve those who read them: the low ends of RFC 1912
 * section 2.2. */
#define SOA_REFRESH_S      1200u
#define SOA_RETRY_S        180u
#define SOA_EXPIRE_S       1209600u
#define SOA_NUMBERS_OCTETS 20u

#define HOSTMASTER "hostmaster"

/* Octets of one label and its length. */
#define LABEL_OCTETS(text) (sizeof(text))

static uint8_t *label_write(uint8_t *octets, const char *text, size_t label_octets)
{
	octets[0] = (uint8_t)(label_octets - 1);
	memcpy(octets + 1, text, label_octets - 1);
	return octets + label_octets;
}

/* The zone that holds the server's name: a pointer, or in a reverse zone the canonical zone in
 * full. */
static size_t home_octets(const struct authority *authority)
{
	return authority->is_reverse ? zone_canonical(authority->zone)->octets : 2;
}

static uint8_t *home_write(const struct authority *authority, uint8_t *octets)
{
	const struct zone_origin *canonical = zone_canonical(authority->zone);

	if (!authority->is_reverse)
		return reply_write_pointer(octets, authority->apex_offset);
	memcpy(octets, canonical->name, canonical->octets);
	return octets + canonical->octets;
}

/* @return false if there is no room. */
static bool soa_write(const struct authority *authority, enum reply_section section, uint32_t ttl_s,
	struct reply *reply)
{
	const size_t server_octets = LABEL_OCTETS(CONF_INDEX_SERVER_NAME) + home_octets(authority);
	const size_t contact_octets = LABEL_OCTETS(HOSTMASTER) + 2;
	uint8_t *at = reply_record(reply, section, authority->apex_offset, DNS_TYPE_SOA, ttl_s,
		server_octets + contact_octets + SOA_NUMBERS_OCTETS);

	if (!at)
		return false;
	at = label_write(at, CONF_INDEX_SERVER_NAME, LABEL_OCTETS(CONF_INDEX_SERVER_NAME));
	const uint16_t home =
		authority->is_reverse ? (uint16_t)(at - reply->octets) : authority->apex_offset;

	at = home_write(authority, at);
	at = label_write(at, HOSTMASTER, LABEL_OCTETS(HOSTMASTER));
	at = reply_write_pointer(at, home);
	dns_write_u32(at, zone_serial(authority->zone));
	dns_write_u32(at + 4, SOA_REFRESH_S);
	dns_write_u32(at + 8, SOA_RETRY_S);
	dns_write_u32(at + 12, SOA_EXPIRE_S);
	dns_write_u32(at + 16, zone_meta(authority->zone)->negative_ttl_s);
	return true;
}

/* Addresses of our server. What does not fit is left out without TC (RFC 2181 section 9). */
static void glue_write(const struct authority *authority, uint16_t owner_offset, int64_t now_unix_s,
	struct reply *reply)
{
	const struct index_meta *meta = zone_meta(authority->zone);
	static const uint8_t families[] = {ADDRESS_IPV4, ADDRESS_IPV6};
	struct view view;
	const enum index_match match = view_find(zone_index(authority->zone), INDEX_KEY_NAME,
		bytes_of_text(CONF_INDEX_SERVER_NAME), now_unix_s, &view);

	if (match == INDEX_ABSENT || match == INDEX_CORRUPT)
		return;
	for (size_t i = 0; i < sizeof(families); i++) {
		view_rewind(&view);
		rrset_addresses(reply, REPLY_ADDITIONAL, owner_offset, &view, families[i],
			meta->ttl_s, now_unix_s);
	}
}

/* @return false if there is no room for NS. */
static bool ns_write(const struct authority *authority, int64_t now_unix_s, struct reply *reply)
{
	uint8_t *rdata = reply_record(reply, REPLY_ANSWER, authority->apex_offset, DNS_TYPE_NS,
		zone_meta(authority->zone)->ttl_s,
		LABEL_OCTETS(CONF_INDEX_SERVER_NAME) + home_octets(authority));

	if (!rdata)
		return false;
	home_write(authority,
		label_write(rdata, CONF_INDEX_SERVER_NAME, LABEL_OCTETS(CONF_INDEX_SERVER_NAME)));
	glue_write(authority, (uint16_t)(rdata - reply->octets), now_unix_s, reply);
	return true;
}

void authority_apex(const struct authority *authority, int64_t now_unix_s, struct reply *reply)
{
	const uint32_t ttl_s = zone_meta(authority->zone)->ttl_s;
	bool fits = true;

	switch (reply->query->type) {
	case DNS_TYPE_SOA:
	case DNS_TYPE_ANY:
		fits = soa_write(authority, REPLY_ANSWER, ttl_s, reply);
		break;
	case DNS_TYPE_NS:
		fits = ns_write(authority, now_unix_s, reply);
		break;
	default: /* DS too: only the child is served here (RFC 4035 section 3.1.4.1). */
		authority_negative(authority, DNS_RCODE_NOERROR, reply);
	}
	if (!fits)
		reply->truncated = true;
}

void authority_negative(
	const struct authority *authority, enum dns_rcode rcode, struct reply *reply)
{
	const struct index_meta *meta = zone_meta(authority->zone);
	/* RFC 2308 section 3: the lesser of the SOA's own TTL and MINIMUM. */
	const uint32_t ttl_s =
		meta->ttl_s < meta->negative_ttl_s ? meta->ttl_s : meta->negative_ttl_s;

	reply->rcode = rcode;
	if (!soa_write(authority, REPLY_AUTHORITY, ttl_s, reply))
		reply->truncated = true;
}
