#include "server/forward/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/dns/dns.h"
#include "server/support/siphash.h"

/* Entries lie in a ring, in the order in which they were written, in units of 8 octets. The oldest
 * make room for a new one: those that were used since they were written are moved to the front
 * once more (CLOCK), the others are gone. So nothing is allocated, fragmented or swept, and entries
 * whose time is over need no search. */
#define UNIT_OCTETS 8u
/* Names of buckets and links: places in the ring in units. 32 GiB are enough. */
#define UNITS_MAX (UINT32_MAX - 2u)
/* End of a bucket's list. */
#define NEXT_NONE UINT32_MAX
/* In no bucket: replaced, or the unused end of the ring. */
#define NEXT_DEAD (UINT32_MAX - 1u)

/* A bucket for every 128 octets: a reply with one address takes about 150, so that lists are short;
 * and it bounds the share of the table: four octets of 128. */
#define OCTETS_PER_BUCKET 128u
/* One reply never takes more than this part of the ring. */
#define ENTRY_RING_SHARE 8u
/* Used entries that are moved for one new entry: bounds the work of a store. Those beyond are
 * evicted although they were used. */
#define MOVES_MAX 16u

/* Behind the question in a key and an entry. */
#define KEY_DNSSEC_OK         0x01u
#define KEY_CHECKING_DISABLED 0x02u

/* In the header of a kept reply. */
#define HEADER_FLAGS 2u
#define FLAG_QR      0x80u
#define FLAG_AA      0x04u

/* Followed by TTL offsets, key, reply. */
struct entry {
	uint32_t units; /* These two first: of the unused end of the ring there is no more. */
	uint32_t next;
	uint64_t hash;
	int64_t stored_s;
	int64_t over_s; /* From then on it is stale. */
	int64_t failed_until_s;
	uint32_t extended_error;
	uint16_t ttl_count;
	uint16_t key_octets;
	uint16_t reply_octets;
	uint16_t rcode;
	uint16_t additional_count;
	bool is_failure;
	bool was_used;
};

struct cache {
	struct cache_settings settings;
	struct siphash_key hash_key;
	uint32_t *buckets;
	size_t bucket_count; /* A power of two. */
	uint64_t *ring;
	uint32_t ring_units;
	uint32_t head; /* Where the next entry is written. */
	uint32_t tail; /* The oldest entry. */
	uint32_t used_units;
	struct cache_stats stats;
};

static struct entry *entry_at(const struct cache *cache, uint32_t place)
{
	return (struct entry *)(cache->ring + place);
}

static uint32_t entry_place(const struct cache *cache, const struct entry *entry)
{
	return (uint32_t)((const uint64_t *)entry - cache->ring);
}

static uint16_t *entry_ttl_offsets(struct entry *entry)
{
	return (uint16_t *)(entry + 1);
}

static uint8_t *entry_key(struct entry *entry)
{
	return (uint8_t *)(entry_ttl_offsets(entry) + entry->ttl_count);
}

static uint8_t *entry_reply(struct entry *entry)
{
	return entry_key(entry) + entry->key_octets;
}

static size_t key_octets(const struct cache_key *key)
{
	return key->question_octets + 1u;
}

static uint32_t *bucket_of(const struct cache *cache, uint64_t hash)
{
	return &cache->buckets[hash & (cache->bucket_count - 1)];
}

struct cache *cache_new(const struct cache_settings *settings)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	size_t octets = settings->octets_max;
	size_t units;

	if (!cache)
		return NULL;
	cache->settings = *settings;
	if (octets / UNIT_OCTETS > UNITS_MAX)
		octets = (size_t)UNITS_MAX * UNIT_OCTETS;
	cache->bucket_count = 1;
	while (cache->bucket_count * 2 <= octets / OCTETS_PER_BUCKET)
		cache->bucket_count *= 2;
	units = octets / UNIT_OCTETS;
	const size_t table_units = cache->bucket_count * sizeof(*cache->buckets) / UNIT_OCTETS + 1;

	/* Too small for anything is as none. */
	cache->ring_units = (uint32_t)(units > table_units ? units - table_units : 0);
	cache->buckets = calloc(cache->bucket_count, sizeof(*cache->buckets));
	/* Zeroed by the kernel when touched, not before. */
	cache->ring = calloc(cache->ring_units + 1u, UNIT_OCTETS);
	if (!cache->buckets || !cache->ring ||
		getrandom(&cache->hash_key, sizeof(cache->hash_key), 0) !=
			(ssize_t)sizeof(cache->hash_key)) {
		cache_free(cache);
		return NULL;
	}
	cache_flush(cache);
	return cache;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	free(cache->buckets);
	free(cache->ring);
	free(cache);
}

void cache_share_keys(struct cache *cache, const struct cache *other)
{
	assert(cache->stats.entries == 0);
	cache->hash_key = other->hash_key;
}

void cache_flush(struct cache *cache)
{
	for (size_t i = 0; i < cache->bucket_count; i++)
		cache->buckets[i] = NEXT_NONE;
	cache->head = 0;
	cache->tail = 0;
	cache->used_units = 0;
	cache->stats.entries = 0;
	cache->stats.octets = 0;
}

void cache_key_of(const struct cache *cache, const struct query *query, struct cache_key *out_key)
{
	const bool checking_disabled = (query->message.ptr[HEADER_FLAGS + 1] & 0x10u) != 0;
	uint8_t *at = out_key->octets;

	memcpy(at, query->name, query->name_octets);
	at += query->name_octets;
	dns_write_u16(at, query->type);
	dns_write_u16(at + 2, query->class);
	at[DNS_QUESTION_TAIL_OCTETS] = (uint8_t)((query->dnssec_ok ? KEY_DNSSEC_OK : 0) |
						 (checking_disabled ? KEY_CHECKING_DISABLED : 0));
	out_key->question_octets = query->question_octets;
	out_key->hash = siphash_1_3(&cache->hash_key, out_key->octets, key_octets(out_key));
}

bool cache_key_equal(const struct cache_key *a, const struct cache_key *b)
{
	return a->hash == b->hash && a->question_octets == b->question_octets &&
	       memcmp(a->octets, b->octets, key_octets(a)) == 0;
}

bool cache_key_dnssec_ok(const struct cache_key *key)
{
	return (key->octets[key->question_octets] & KEY_DNSSEC_OK) != 0;
}

bool cache_key_checking_disabled(const struct cache_key *key)
{
	return (key->octets[key->question_octets] & KEY_CHECKING_DISABLED) != 0;
}

static struct entry *entry_find(const struct cache *cache, const struct cache_key *key)
{
	uint32_t place = *bucket_of(cache, key->hash);

	while (place != NEXT_NONE) {
		struct entry *entry = entry_at(cache, place);

		if (entry->hash == key->hash && entry->key_octets == key_octets(key) &&
			memcmp(entry_key(entry), key->octets, key_octets(key)) == 0)
			return entry;
		place = entry->next;
	}
	return NULL;
}

static void entry_link(struct cache *cache, struct entry *entry)
{
	uint32_t *bucket = bucket_of(cache, entry->hash);

	entry->next = *bucket;
	*bucket = entry_place(cache, entry);
	cache->stats.entries++;
	cache->stats.octets += (size_t)entry->units * UNIT_OCTETS;
}

static void entry_unlink(struct cache *cache, struct entry *entry)
{
	const uint32_t place = entry_place(cache, entry);
	uint32_t *link = bucket_of(cache, entry->hash);

	while (*link != place)
		link = &entry_at(cache, *link)->next;
	*link = entry->next;
	entry->next = NEXT_DEAD;
	cache->stats.entries--;
	cache->stats.octets -= (size_t)entry->units * UNIT_OCTETS;
}

/* When nothing can come of an entry any more. */
static int64_t entry_end_s(const struct cache *cache, const struct entry *entry)
{
	return entry->over_s + (entry->is_failure ? 0 : (int64_t)cache->settings.stale_s);
}

static void ring_head_advance(struct cache *cache, uint32_t units)
{
	cache->head += units;
	if (cache->head == cache->ring_units)
		cache->head = 0;
	cache->used_units += units;
}

/* Takes the oldest entry away, or moves it to the front. The head is not before the end of the ring
 * but before the tail: what lies between is free and in one piece, so that there is always room to
 * move the oldest entry down to it. */
static void ring_tail_evict(struct cache *cache, int64_t now_s, unsigned *moves)
{
	struct entry *entry = entry_at(cache, cache->tail);
	const uint32_t units = entry->units;
	const bool is_live = entry->next != NEXT_DEAD;

	cache->tail += units;
	if (cache->tail == cache->ring_units)
		cache->tail = 0;
	cache->used_units -= units;
	if (!is_live)
		return;
	const bool is_over = now_s >= entry_end_s(cache, entry);

	entry_unlink(cache, entry);
	if (!is_over && entry->was_used && *moves < MOVES_MAX) {
		struct entry *moved = entry_at(cache, cache->head);

		memmove(moved, entry, (size_t)units * UNIT_OCTETS);
		moved->was_used = false;
		entry_link(cache, moved);
		ring_head_advance(cache, units);
		++*moves;
	} else if (!is_over) {
		cache->stats.evictions++;
	}
}

/* Room in one piece for an entry of at most a ENTRY_RING_SHARE-th of the ring. */
static struct entry *ring_take(struct cache *cache, uint32_t units, int64_t now_s)
{
	unsigned moves = 0;

	for (;;) {
		if (cache->used_units == 0) {
			cache->head = 0;
			cache->tail = 0;
		}
		const bool to_the_end = cache->used_units == 0 || cache->head > cache->tail;
		const uint32_t room = (to_the_end ? cache->ring_units : cache->tail) - cache->head;

		if (room >= units)
			break;
		if (to_the_end) {
			entry_at(cache, cache->head)->units = room;
			entry_at(cache, cache->head)->next = NEXT_DEAD;
			ring_head_advance(cache, room);
		} else {
			ring_tail_evict(cache, now_s, &moves);
		}
	}
	struct entry *entry = entry_at(cache, cache->head);

	ring_head_advance(cache, units);
	return entry;
}

static enum cache_match entry_judge(
	const struct cache *cache, const struct entry *entry, int64_t now_s, bool accept_stale)
{
	if (now_s < entry->over_s)
		return CACHE_HIT;
	if (now_s < entry_end_s(cache, entry) && (accept_stale || now_s < entry->failed_until_s))
		return CACHE_STALE;
	return CACHE_MISS;
}

enum cache_match cache_find(struct cache *cache, const struct cache_key *key, int64_t now_s,
	bool accept_stale, struct message_reply *out_reply)
{
	struct entry *entry = entry_find(cache, key);
	const enum cache_match match =
		entry ? entry_judge(cache, entry, now_s, accept_stale) : CACHE_MISS;

	if (match == CACHE_MISS) {
		/* The second look of a client that had its miss already is none. */
		cache->stats.misses += !accept_stale;
		return match;
	}
	const bool is_stale = match == CACHE_STALE;

	if (is_stale)
		cache->stats.stale_hits++;
	else
		cache->stats.hits++;
	if (!entry->was_used) /* Not to dirty a cache line each time. */
		entry->was_used = true;
	*out_reply = (struct message_reply){
		.octets = {entry_reply(entry), entry->reply_octets},
		.question_octets = key->question_octets,
		.rcode = entry->rcode,
		.additional_count = entry->additional_count,
		.extended_error =
			is_stale ? (uint32_t)MESSAGE_EDE_STALE_ANSWER : entry->extended_error,
		.ttl_offsets = entry_ttl_offsets(entry),
		.ttl_count = entry->ttl_count,
		.age_s = (uint32_t)(now_s > entry->stored_s ? now_s - entry->stored_s : 0),
		.is_stale = is_stale,
	};
	return match;
}

/* An entry with room for its parts, not linked yet; what was there for the key is gone. NULL if it
 * would be too large, and then nothing changed. @param entry what it is to be but for its key. */
static struct entry *entry_new(
	struct cache *cache, const struct cache_key *key, struct entry parts, int64_t now_s)
{
	parts.key_octets = (uint16_t)key_octets(key);
	const size_t octets = sizeof(parts) + parts.ttl_count * sizeof(uint16_t) +
			      parts.key_octets + parts.reply_octets;
	struct entry *old = entry_find(cache, key);

	parts.units = (uint32_t)((octets + UNIT_OCTETS - 1) / UNIT_OCTETS);
	parts.hash = key->hash;
	parts.stored_s = now_s;
	if (parts.units > cache->ring_units / ENTRY_RING_SHARE)
		return NULL;
	if (old)
		entry_unlink(cache, old);
	struct entry *entry = ring_take(cache, parts.units, now_s);

	*entry = parts;
	memcpy(entry_key(entry), key->octets, parts.key_octets);
	return entry;
}

static void failure_store(struct cache *cache, const struct cache_key *key, uint16_t rcode,
	uint32_t extended_error, int64_t now_s)
{
	struct entry *old = entry_find(cache, key);

	if (old && !old->is_failure && now_s < entry_end_s(cache, old)) {
		old->failed_until_s = now_s + CACHE_FAILURE_S;
		return;
	}
	struct entry *entry = entry_new(cache, key,
		(struct entry){
			.over_s = now_s + CACHE_FAILURE_S,
			.extended_error = extended_error == MESSAGE_EDE_NONE
						  ? (uint32_t)MESSAGE_EDE_CACHED_ERROR
						  : extended_error,
			.rcode = rcode,
			.reply_octets = (uint16_t)(DNS_HEADER_OCTETS + key->question_octets),
			.is_failure = true,
		},
		now_s);

	if (!entry)
		return;
	uint8_t *reply = entry_reply(entry);

	memset(reply, 0, DNS_HEADER_OCTETS);
	memcpy(reply + DNS_HEADER_OCTETS, key->octets, key->question_octets);
	entry_link(cache, entry);
}

void cache_store_failure(
	struct cache *cache, const struct cache_key *key, uint32_t extended_error, int64_t now_s)
{
	failure_store(cache, key, DNS_RCODE_SERVFAIL, extended_error, now_s);
}

/* For how long a reply with these may be kept; 0 for not at all. */
static uint32_t message_lifetime_s(const struct cache *cache, const struct message *message)
{
	const bool is_positive = message->rcode == DNS_RCODE_NOERROR && message->has_answer;
	uint32_t lifetime_s = message->ttl_min_s;

	if (!is_positive && !message->has_soa)
		return 0;
	/* Also aliases that end in nothing have one (RFC 2308 section 2.2). */
	if (message->has_soa && message->negative_ttl_s < lifetime_s)
		lifetime_s = message->negative_ttl_s;
	if (lifetime_s > cache->settings.ttl_max_s)
		lifetime_s = cache->settings.ttl_max_s;
	return lifetime_s;
}

static void reply_store(struct cache *cache, const struct cache_key *key,
	const struct message *message, int64_t now_s)
{
	const uint32_t lifetime_s = message_lifetime_s(cache, message);

	if (lifetime_s == 0)
		return;
	struct entry *entry = entry_new(cache, key,
		(struct entry){
			.over_s = now_s + lifetime_s,
			.extended_error = message->extended_error,
			.ttl_count = message->record_count,
			.reply_octets = (uint16_t)message->octets.len,
			.rcode = message->rcode,
			.additional_count = message->additional_count,
		},
		now_s);

	if (!entry)
		return;
	message_ttl_offsets(message, entry_ttl_offsets(entry));
	memcpy(entry_reply(entry), message->octets.ptr, message->octets.len);
	/* Whoever repeats what it heard is no authority (RFC 1035 section 4.1.1). */
	entry_reply(entry)[HEADER_FLAGS] &= (uint8_t)~FLAG_AA;
	entry_link(cache, entry);
}

void cache_store(struct cache *cache, const struct cache_key *key, const struct message *message,
	int64_t now_s)
{
	if (message->is_truncated)
		return;
	if (message->rcode == DNS_RCODE_NOERROR || message->rcode == DNS_RCODE_NXDOMAIN)
		reply_store(cache, key, message, now_s);
	else if (message->rcode == DNS_RCODE_SERVFAIL || message->rcode == DNS_RCODE_REFUSED)
		failure_store(cache, key, message->rcode, message->extended_error, now_s);
}

struct cache_stats cache_stats(const struct cache *cache)
{
	return cache->stats;
}
