/** @file RRsets of the merged view, straight from the index to the wire. */
#ifndef SERVER_DNS_RRSET_H
#define SERVER_DNS_RRSET_H

#include "parser/view.h"
#include "server/dns/reply.h"

enum rrset_result {
	RRSET_EMPTY,   /**< No living address of that family: nothing written. */
	RRSET_WRITTEN, /**< The whole of it. */
	RRSET_NO_ROOM, /**< It does not fit: nothing written. */
};

/** Seconds for which a record that lives now may be cached: at most `ttl_max_s`, and no longer
 *  than its lease. */
uint32_t rrset_ttl(uint32_t ttl_max_s, int64_t expires_unix_s, int64_t now_unix_s);

/** Writes the A (ADDRESS_IPV4) or AAAA (ADDRESS_IPV6) RRset of a name, in the view's order. All
 *  records carry the least of their TTLs (RFC 2181 section 5.2).
 *  @param view as view_find() or view_rewind() left it.
 *  @param owner_offset where the owner's name stands in the reply. */
enum rrset_result rrset_addresses(struct reply *reply, enum reply_section section,
	uint16_t owner_offset, struct view *view, uint8_t family, uint32_t ttl_max_s,
	int64_t now_unix_s);

#endif
