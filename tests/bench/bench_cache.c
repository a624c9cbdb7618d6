/* How long does a hit take? Fills a cache with replies about N names and asks for all of them in
 * random order: from the parsed query to the reply that is sent.
 *
 *   bench_cache [N]           nanoseconds of CPU a hit, by kind of reply; and a store
 *   bench_cache --once [N]    each hit once, without a clock, for callgrind:
 *       valgrind --tool=callgrind --toggle-collect=cache_hit bench_cache --once 1000
 *       and divide by the number of hits that it prints. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/dns/dns.h"
#include "server/dns/query.h"
#include "server/forward/cache.h"
#include "server/forward/message.h"

#define NAMES_MAX  1000000u
#define NOW_S      INT64_C(1000)
#define ROUNDS     9
#define ROUND_NS   INT64_C(100000000)
#define REPLY_ID   0x4711u
#define QUERY_ROOM 64u
/* More than any entry of ours takes, so that none is evicted. */
#define OCTETS_PER_NAME 512u

struct question {
	uint16_t len;
	uint8_t octets[QUERY_ROOM];
};

size_t cache_hit(struct cache *cache, const struct query *query, int64_t now_s, uint8_t *reply);

/* xorshift64: the same questions in each run. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void question_make(struct question *question, unsigned name)
{
	static const uint8_t header[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
	static const uint8_t tail[] = "\7Example\3com\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0";
	uint8_t *at = question->octets;

	memcpy(at, header, sizeof(header));
	at += sizeof(header);
	*at = (uint8_t)snprintf((char *)at + 1, 16, "host-%06u", name);
	at += 1u + *at;
	memcpy(at, tail, sizeof(tail));
	question->len = (uint16_t)(at + sizeof(tail) - question->octets);
}

static struct query query_of(const struct question *question)
{
	struct query query;

	if (query_parse((struct bytes){question->octets, question->len}, &query) != QUERY_OK)
		errx(1, "a query is malformed");
	return query;
}

/* A reply with `records` addresses, as an upstream with EDNS sends it. */
static void reply_store(struct cache *cache, const struct query *query, unsigned records)
{
	static const uint8_t opt[] = {0, 0, DNS_TYPE_OPT, 4, 0xd0, 0, 0, 0, 0, 0, 0};
	uint8_t octets[1232] = {0x47, 0x11, 0x81, 0x80, 0, 1, 0, (uint8_t)records, 0, 0, 0, 1};
	const struct bytes question = {octets + DNS_HEADER_OCTETS, query->question_octets};
	uint8_t *at = octets + DNS_HEADER_OCTETS + question.len;
	struct message message;
	struct cache_key key;

	memcpy(octets + DNS_HEADER_OCTETS, query->message.ptr + DNS_HEADER_OCTETS, question.len);
	for (unsigned i = 0; i < records; i++) {
		memcpy(at, "\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2", 15);
		at[15] = (uint8_t)i;
		at += 16;
	}
	memcpy(at, opt, sizeof(opt));
	at += sizeof(opt);
	if (message_check((struct bytes){octets, (size_t)(at - octets)}, REPLY_ID, question,
		    &message) != MESSAGE_OK)
		errx(1, "a reply is malformed");
	cache_key_of(cache, query, &key);
	cache_store(cache, &key, &message, NOW_S);
}

/* What a listener does for a question that is not ours. Not static, so that callgrind finds it. */
__attribute__((noinline)) size_t cache_hit(
	struct cache *cache, const struct query *query, int64_t now_s, uint8_t *reply)
{
	struct message_client client;
	struct message_reply found;
	struct cache_key key;

	cache_key_of(cache, query, &key);
	if (cache_find(cache, &key, now_s, false, &found) != CACHE_HIT)
		errx(1, "a miss");
	message_client_of(query, false, &client);
	return message_to_client(&found, &client, reply);
}

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int double_compare(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

static void report(const char *what, size_t names, double *ns)
{
	qsort(ns, ROUNDS, sizeof(ns[0]), double_compare);
	printf("%8zu names  %-20s median %7.1f ns  (%.1f to %.1f)\n", names, what, ns[ROUNDS / 2],
		ns[0], ns[ROUNDS - 1]);
}

/* The parse is timed alone too: a server does it anyway, before it knows whose question it is. */
static void bench_parse(const struct question *questions, size_t names)
{
	double ns[ROUNDS];

	for (size_t round = 0; round < ROUNDS; round++) {
		const int64_t start = clock_ns();
		size_t asked = 0, octets = 0;

		for (; clock_ns() - start < ROUND_NS; asked += names)
			for (size_t i = 0; i < names; i++)
				octets += query_of(&questions[i]).name_octets;
		ns[round] = (double)(clock_ns() - start) / (double)asked;
		if (octets == 0)
			errx(1, "nothing was parsed");
	}
	report("parse alone", names, ns);
}

static void bench_hits(
	struct cache *cache, const struct question *questions, size_t names, const char *what)
{
	double ns[ROUNDS];
	uint8_t reply[1232];

	for (size_t round = 0; round < ROUNDS; round++) {
		const int64_t start = clock_ns();
		size_t asked = 0;

		for (; clock_ns() - start < ROUND_NS; asked += names) {
			for (size_t i = 0; i < names; i++) {
				const struct query query = query_of(&questions[i]);

				cache_hit(cache, &query, NOW_S + 7, reply);
			}
		}
		ns[round] = (double)(clock_ns() - start) / (double)asked;
	}
	report(what, names, ns);
}

static void bench_stores(struct cache *cache, const struct question *questions, size_t names)
{
	double ns[ROUNDS];

	for (size_t round = 0; round < ROUNDS; round++) {
		const int64_t start = clock_ns();
		size_t stored = 0;

		for (; clock_ns() - start < ROUND_NS; stored += names) {
			for (size_t i = 0; i < names; i++) {
				const struct query query = query_of(&questions[i]);

				reply_store(cache, &query, 1);
			}
		}
		ns[round] = (double)(clock_ns() - start) / (double)stored;
	}
	report("parse, check, store", names, ns);
}

static void cache_fill(
	struct cache *cache, const struct question *questions, size_t names, unsigned records)
{
	cache_flush(cache);
	for (size_t i = 0; i < names; i++) {
		const struct query query = query_of(&questions[i]);

		reply_store(cache, &query, records);
	}
	if (cache_stats(cache).entries != names)
		errx(1, "not all were kept");
}

/* Names in random order: each bucket, each entry is somewhere else. */
static struct question *questions_new(size_t names)
{
	struct question *questions = calloc(names, sizeof(*questions));
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

	if (!questions)
		err(1, "questions");
	for (size_t i = 0; i < names; i++) {
		const size_t other = (size_t)(random_next(&seed) % (i + 1));

		questions[i] = questions[other];
		question_make(&questions[other], (unsigned)i);
	}
	return questions;
}

int main(int argc, char **argv)
{
	const int once = argc > 1 && strcmp(argv[1], "--once") == 0;
	const unsigned long names = argc > 1 + once ? strtoul(argv[1 + once], NULL, 10) : 1000;
	uint8_t reply[1232];

	if (names == 0 || names > NAMES_MAX)
		errx(1, "usage: bench_cache [--once] [N], N from 1 to %u", NAMES_MAX);
	const struct cache_settings settings = {
		.octets_max = names * OCTETS_PER_NAME + (1u << 20), .ttl_max_s = 86400};
	struct cache *cache = cache_new(&settings);
	struct question *questions = questions_new(names);
	struct question *stored = questions_new(names);

	if (!cache)
		err(1, "cache");
	/* Stored in the order of names, asked for in another. */
	for (unsigned i = 0; i < names; i++)
		question_make(&stored[i], i);
	cache_fill(cache, stored, names, 1);
	if (once) {
		for (size_t i = 0; i < names; i++) {
			const struct query query = query_of(&questions[i]);

			cache_hit(cache, &query, NOW_S + 7, reply);
		}
		printf("%lu hits\n", names);
	} else {
		bench_parse(questions, names);
		bench_hits(cache, questions, names, "parse, hit, 1 record");
		cache_fill(cache, stored, names, 8);
		bench_hits(cache, questions, names, "parse, hit, 8 records");
		bench_stores(cache, questions, names);
	}
	free(stored);
	free(questions);
	cache_free(cache);
	return 0;
}
