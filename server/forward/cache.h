/** @file Upstreams' replies, kept for as long as their TTLs say. Bounded in octets, which are
 *  reserved at the start and touched as they fill; nothing is allocated afterwards.
 *
 *  A reply is kept whole, under the question that it was asked for and nothing else: no record of
 *  it ever answers another question, so that a lie about one name stays with that name.
 *
 *  No clock: the time comes in as seconds of a clock that never steps back. No libuv, no sockets,
 *  no threads, no logging. */
#ifndef SERVER_FORWARD_CACHE_H
#define SERVER_FORWARD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/dns/query.h"
#include "server/forward/message.h"

/** How long a failure is remembered (RFC 9520 section 3.2: at least 1 s, at most 5 min). Short and
 *  constant: a host's upstream that is back should be seen to be back. */
#define CACHE_FAILURE_S 5u

struct cache;

struct cache_settings {
	size_t octets_max;  /**< All memory of the cache; 0 keeps nothing. Rounded down a little. */
	uint32_t ttl_max_s; /**< Replies are asked for again after this, whatever their TTLs. */
	/** How long replies are kept behind their end, for when the upstreams fail (RFC 8767);
	 *  0 for not at all. */
	uint32_t stale_s;
};

/** A question in ASCII lower case with DO and CD, and its hash. Holds no pointer. Also what tells
 *  two clients' questions are the same question to an upstream. */
struct cache_key {
	uint64_t hash; /**< Keyed: not to be foreseen, and different in every cache that does
			    not share keys. */
	uint16_t question_octets;
	uint8_t octets[MESSAGE_QUESTION_OCTETS_MAX + 1]; /**< The question, then DO and CD. */
};

enum cache_match {
	CACHE_MISS,
	CACHE_HIT,
	CACHE_STALE, /**< Its time is over, and it is better than nothing. */
};

struct cache_stats {
	size_t entries;
	size_t octets; /**< Used by them, of the `octets_max` of the settings. */
	uint64_t hits; /**< Without the stale ones. */
	uint64_t stale_hits;
	uint64_t misses;    /**< Without those of `accept_stale`: they come second. */
	uint64_t evictions; /**< Of entries that were not over yet. */
};

/** @return NULL without memory or random octets, with errno set. */
struct cache *cache_new(const struct cache_settings *settings);
void cache_free(struct cache *cache);

/** Makes keys of `other` keys of `cache` as well, which is empty. */
void cache_share_keys(struct cache *cache, const struct cache *other);

/** Forgets all entries. Counters of hits and the like stay. */
void cache_flush(struct cache *cache);

/** @param query one that query_parse() found QUERY_OK. */
void cache_key_of(const struct cache *cache, const struct query *query, struct cache_key *out_key);

/** Both of the same cache, or of two that share keys. */
bool cache_key_equal(const struct cache_key *a, const struct cache_key *b);

/** The question in lower case, for message_query_to_upstream(). */
static inline struct bytes cache_key_question(const struct cache_key *key)
{
	return (struct bytes){key->octets, key->question_octets};
}
/** Its name, with the root. */
static inline struct bytes cache_key_name(const struct cache_key *key)
{
	return (struct bytes){key->octets, key->question_octets - DNS_QUESTION_TAIL_OCTETS};
}
bool cache_key_dnssec_ok(const struct cache_key *key);
bool cache_key_checking_disabled(const struct cache_key *key);

/** Looks a reply up.
 *  @param accept_stale also one whose time is over: for a client that would get a failure
 *  otherwise. Without it, CACHE_STALE is still possible: within CACHE_FAILURE_S of a failed try to
 *  get a newer one, when asking again would only make the client wait (RFC 8767 section 5).
 *  @param out_reply for message_to_client(); set unless CACHE_MISS. Its views end with the next
 *  store or flush. */
enum cache_match cache_find(struct cache *cache, const struct cache_key *key, int64_t now_s,
	bool accept_stale, struct message_reply *out_reply);

/** Keeps a reply, if it may be kept:
 *  - NOERROR with an answer: for the least TTL of its records;
 *  - NXDOMAIN and NODATA: at most for what SOA says, and never without one (RFC 2308 section 5);
 *  - SERVFAIL and REFUSED: as cache_store_failure();
 *  - TTL 0, TC, and every other response code: not at all. What was there stays.
 *  @param message a reply to `key`'s question. */
void cache_store(struct cache *cache, const struct cache_key *key, const struct message *message,
	int64_t now_s);

/** Remembers that there was no answer (RFC 9520 section 3): SERVFAIL for CACHE_FAILURE_S. A reply
 *  that is not over, or that may be given stale, stays and is what clients get.
 *  @param extended_error told with each hit; MESSAGE_EDE_NONE for "cached error". */
void cache_store_failure(
	struct cache *cache, const struct cache_key *key, uint32_t extended_error, int64_t now_s);

struct cache_stats cache_stats(const struct cache *cache);

#endif
