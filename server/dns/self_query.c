#include "server/dns/self_query.h"

#include <string.h>

#include "server/dns/answer.h"

/* RFC 1035 section 4.1.1. */
#define SELF_QUERY_HEADER_OCTETS 12
/* RFC 1035 section 2.3.4. */
#define SELF_QUERY_NAME_OCTETS_MAX 255
/* Header, name, type and class. */
#define SELF_QUERY_OCTETS_MAX (SELF_QUERY_HEADER_OCTETS + SELF_QUERY_NAME_OCTETS_MAX + 4)

/* Writes a query for the SOA of `zone` and returns its length; 0 if that is no name. */
static size_t self_query_encode(struct bytes zone, uint8_t query[SELF_QUERY_OCTETS_MAX])
{
	static const uint8_t header[SELF_QUERY_HEADER_OCTETS] = {'l', 'd', 0, 0, 0, 1};
	static const uint8_t end[] = {0, 0, 6, 0, 1}; /* Root label, type SOA, class IN. */
	size_t len = sizeof(header);
	size_t length_at = len++;

	/* Dots become lengths, one more stands in front, and the root label at the end. */
	if (zone.len + 2 > SELF_QUERY_NAME_OCTETS_MAX)
		return 0;
	memcpy(query, header, sizeof(header));
	query[length_at] = 0;
	for (size_t i = 0; i < zone.len; i++) {
		if (zone.ptr[i] == '.') {
			length_at = len++;
			query[length_at] = 0;
			continue;
		}
		query[len++] = zone.ptr[i];
		query[length_at]++;
	}
	memcpy(query + len, end, sizeof(end));
	return len + sizeof(end);
}

bool self_query_passes(const struct zone *zone, int64_t now_unix_s)
{
	const struct answer_limits limits = {.is_tcp = false};
	const struct index_meta *meta = zone_meta(zone);
	uint8_t query[SELF_QUERY_OCTETS_MAX];
	uint8_t reply[ANSWER_UDP_OCTETS_MAX];
	size_t reply_len = 0;
	size_t len = meta->zone_count > 0 ? self_query_encode(meta->zones[0], query) : 0;

	if (len == 0 || answer_query(zone, &limits, now_unix_s, (struct bytes){query, len}, reply,
				sizeof(reply), &reply_len) != ANSWER_REPLY)
		return false;
	/* RCODE, and ANCOUNT in network order. */
	return reply_len > SELF_QUERY_HEADER_OCTETS && (reply[3] & 0x0f) == 0 &&
	       (reply[6] | reply[7]) != 0;
}
