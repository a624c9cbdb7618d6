/** @file Reverse zones: the /24 below in-addr.arpa and the /64 below ip6.arpa around each address
 *  that the index knows. PTR or NXDOMAIN; nothing above those cuts is ours.
 *
 *  The index lists addresses, not the nodes between a /64 and its addresses. So every name of
 *  16 to 31 nibbles in such a zone is taken for an empty non-terminal and gets NODATA: a wrong
 *  NXDOMAIN would hide addresses from a cache (RFC 8020), a wrong NODATA hides nothing. */
#ifndef SERVER_DNS_REVERSE_H
#define SERVER_DNS_REVERSE_H

#include "parser/index.h"
#include "server/dns/reply.h"
#include "server/dns/zone.h"

enum reverse_node {
	REVERSE_APEX,   /**< The /24 or /64 itself. */
	REVERSE_INNER,  /**< Fewer parts than an address has. */
	REVERSE_LEAF,   /**< A whole address. */
	REVERSE_BEYOND, /**< No such name: a part that is none, or one too many. */
};

/** What a question's name means in a reverse zone of ours. */
struct reverse {
	enum reverse_node node;
	uint8_t apex_label_count;
	bool has_names;           /**< `names` is set: an address that the index knows. */
	struct index_value names; /**< The value of its INDEX_KEY_ADDRESS. */
};

/** Looks whether the name of the question is in a reverse zone of ours.
 *  @return INDEX_FOUND, INDEX_ABSENT if it is not, INDEX_CORRUPT. */
enum index_match reverse_find(
	const struct zone *zone, const struct query *query, struct reverse *out_reverse);

/** Answers the question of `reply` with what reverse_find() found. A PTR names the first living,
 *  published name that fits a DNS name below the canonical zone. */
void reverse_answer(const struct zone *zone, const struct reverse *reverse, int64_t now_unix_s,
	struct reply *reply);

#endif
