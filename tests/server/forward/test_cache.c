/* What is kept, for how long, and in how much memory. Lifetimes are from RFC 2308, 8767, 9520. */
#include <unistd.h>

#include "server/forward/cache.h"
#include "tests/server/upstream.h"

#define NOW_S INT64_C(1000)
#define MEGA  ((size_t)1 << 20)
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#define ADDRESS "www.example. 300 IN A 192.0.2.1"

static const struct cache_settings settings_plain = {.octets_max = MEGA, .ttl_max_s = 86400};
static const struct cache_settings settings_stale = {
	.octets_max = MEGA, .ttl_max_s = 86400, .stale_s = 3600};

static struct cache *open_cache(const struct cache_settings *settings)
{
	struct cache *cache = cache_new(settings);

	assert_non_null(cache);
	return cache;
}

static struct cache_key key_how(
	const struct cache *cache, const char *name, uint16_t type, const struct upstream_how *how)
{
	uint8_t octets[512];
	struct cache_key key;
	struct query query;
	const size_t len = asking_query(name, type ? type : DNS_TYPE_A, &how->asking, octets);

	octets[3] = (uint8_t)((how->ad ? 0x20 : 0) | (how->cd ? 0x10 : 0));
	assert_int_equal(query_parse((struct bytes){octets, len}, &query), QUERY_OK);
	cache_key_of(cache, &query, &key);
	return key;
}

static struct cache_key key_of(const struct cache *cache, const char *name, uint16_t type)
{
	return key_how(cache, name, type, &(struct upstream_how){.ad = false});
}

/* Stores under the reply's own question. */
static void store(struct cache *cache, const struct upstream_reply *reply, int64_t now_s)
{
	const struct cache_key key = key_of(cache, reply->name, reply->type);
	uint8_t *octets;
	const struct message message = upstream_message(reply, &octets);

	cache_store(cache, &key, &message, now_s);
	free(octets); /* The cache has a copy. */
}

/* What a client with EDNS gets, in words; "MISS"; "STALE " before a stale one. */
static const char *look(
	struct cache *cache, const char *name, uint16_t type, int64_t now_s, bool accept_stale)
{
	static char text[2048 + 8];
	const struct cache_key key = key_of(cache, name, type);
	struct message_client client;
	struct message_reply reply;
	uint8_t octets[1232];

	const enum cache_match match = cache_find(cache, &key, now_s, accept_stale, &reply);

	if (match == CACHE_MISS)
		return "MISS";
	upstream_client(name, type, &(struct upstream_how){.asking.has_edns = true}, &client);
	const size_t len = message_to_client(&reply, &client, octets);

	strcpy(text, match == CACHE_STALE ? "STALE " : "");
	upstream_text(octets, len, text + strlen(text), sizeof(text) - 8);
	return text;
}

static void test_hit_is_the_reply_with_its_age(void **state)
{
	static const struct upstream_reply reply = {.name = "www.example.",
		.has_edns = true,
		.answer = {ADDRESS, "www.example. 400 IN A 192.0.2.2"},
		.additional = {"ns.example. 500 IN A 192.0.2.53"}};
	struct cache *cache = open_cache(&settings_plain);

	(void)state;
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, false), "MISS");
	store(cache, &reply, NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, false),
		"NOERROR rd ra; AN " ADDRESS "; AN www.example. 400 IN A 192.0.2.2; "
		"AR ns.example. 500 IN A 192.0.2.53; EDNS");
	assert_string_equal(look(cache, "www.example.", 0, NOW_S + 299, false),
		"NOERROR rd ra; AN www.example. 1 IN A 192.0.2.1; "
		"AN www.example. 101 IN A 192.0.2.2; AR ns.example. 201 IN A 192.0.2.53; EDNS");
	assert_string_equal(look(cache, "www.example.", 0, NOW_S + 300, false), "MISS");
	const struct cache_stats stats = cache_stats(cache);

	assert_int_equal(stats.hits, 2);
	assert_int_equal(stats.misses, 2);
	assert_int_equal(stats.entries, 1);
	cache_free(cache);
}

static void test_only_the_same_question_gets_it(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
		struct upstream_how how;
		bool is_same;
	} cases[] = {
		{"www.example.", 1, {.ad = false}, true},
		{"WWW.eXAMPLE.", 1, {.ad = false}, true},
		/* One reply serves them, see message_query_to_upstream(). */
		{"www.example.", 1, {.ad = true}, true},
		{"www.example.", 1, {.asking.udp_octets = 4096}, true},
		{"www.example.", 1, {.asking.is_tcp = true}, true},
		{"www.example.", 1, {.cd = true}, false},
		{"www.example.", 1, {.asking = {.has_edns = true, .dnssec_ok = true}}, false},
		{"www.example.", 1, {.asking = {.has_edns = true, .dnssec_ok = true}, .cd = true},
			false},
		{"www.example.", 28, {.ad = false}, false},
		{"www.example.", 1, {.asking.class = 3}, false},
		{"wwx.example.", 1, {.ad = false}, false},
		{"example.", 1, {.ad = false}, false},
		{"www.example.com.", 1, {.ad = false}, false},
		{"www\\.example.", 1, {.ad = false}, false},
		{".", 1, {.ad = false}, false},
	};
	struct cache *cache = open_cache(&settings_plain);
	const struct cache_key stored = key_of(cache, "www.example.", DNS_TYPE_A);
	struct message_reply reply;

	(void)state;
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cache_key key =
			key_how(cache, cases[i].name, cases[i].type, &cases[i].how);

		assert_int_equal(cache_find(cache, &key, NOW_S, true, &reply),
			cases[i].is_same ? CACHE_HIT : CACHE_MISS);
		assert_int_equal(cache_key_equal(&key, &stored), cases[i].is_same);
		assert_int_equal(cache_key_dnssec_ok(&key), cases[i].how.asking.dnssec_ok);
		assert_int_equal(cache_key_checking_disabled(&key), cases[i].how.cd);
	}
	assert_int_equal(cache_key_question(&stored).len, 17);
	assert_memory_equal(cache_key_question(&stored).ptr, "\3www\7example\0\0\1\0\1", 17);
	cache_free(cache);
}

/* A reply names what it likes; other questions never see it. */
static void test_records_never_answer_other_questions(void **state)
{
	static const struct upstream_reply reply = {.name = "www.example.",
		.answer = {"www.example. 300 IN CNAME bank.test.",
			"bank.test. 300 IN A 192.0.2.66"},
		.authority = {"test. 300 IN NS ns.evil.test."},
		.additional = {"ns.evil.test. 300 IN A 192.0.2.66"}};
	struct cache *cache = open_cache(&settings_plain);

	(void)state;
	store(cache, &reply, NOW_S);
	assert_string_equal(look(cache, "bank.test.", DNS_TYPE_A, NOW_S, true), "MISS");
	assert_string_equal(look(cache, "www.example.", 5, NOW_S, true), "MISS");
	assert_string_equal(look(cache, "test.", DNS_TYPE_NS, NOW_S, true), "MISS");
	assert_string_equal(look(cache, "ns.evil.test.", DNS_TYPE_A, NOW_S, true), "MISS");
	cache_free(cache);
}

struct lifetime_case {
	const char *what;
	struct upstream_reply reply;
	uint32_t ttl_max_s;  /* 0: a day */
	uint32_t lifetime_s; /* 0: not kept */
};

static void test_lifetimes(void **state)
{
	static const struct lifetime_case cases[] = {
		{"the least TTL",
			{.name = "www.example.",
				.answer = {ADDRESS},
				.additional = {"ns.example. 20 IN A 192.0.2.53"}},
			0, 20},
		{"TTL 0", {.name = "www.example.", .answer = {"www.example. 0 IN A 192.0.2.1"}}, 0,
			0},
		{"one TTL of 0",
			{.name = "www.example.",
				.answer = {ADDRESS, "www.example. 0 IN A 192.0.2.2"}},
			0, 0},
		{"the cap", {.name = "www.example.", .answer = {ADDRESS}}, 100, 100},
		{"the largest TTL",
			{.name = "www.example.",
				.answer = {"www.example. 4294967295 IN A 192.0.2.1"}},
			0, 86400},
		{"no cap to speak of",
			{.name = "www.example.",
				.answer = {"www.example. 4294967295 IN A 192.0.2.1"}},
			UINT32_MAX, UINT32_MAX},
		{"NXDOMAIN, TTL less",
			{.name = "no.example.",
				.rcode = 3,
				.authority = {UPSTREAM_SOA("50", "100")}},
			0, 50},
		{"NXDOMAIN, MINIMUM less",
			{.name = "no.example.",
				.rcode = 3,
				.authority = {UPSTREAM_SOA("900", "100")}},
			0, 100},
		{"NXDOMAIN, MINIMUM 0",
			{.name = "no.example.",
				.rcode = 3,
				.authority = {UPSTREAM_SOA("900", "0")}},
			0, 0},
		{"NXDOMAIN, capped",
			{.name = "no.example.",
				.rcode = 3,
				.authority = {UPSTREAM_SOA("900000", "900000")}},
			0, 86400},
		{"NXDOMAIN without SOA", {.name = "no.example.", .rcode = 3}, 0, 0},
		{"NXDOMAIN with an alias only",
			{.name = "no.example.",
				.rcode = 3,
				.answer = {"no.example. 300 IN CNAME a.example."}},
			0, 0},
		{"NODATA", {.name = "www.example.", .authority = {UPSTREAM_SOA("900", "100")}}, 0,
			100},
		{"NODATA without SOA", {.name = "www.example."}, 0, 0},
		{"NODATA behind an alias",
			{.name = "www.example.",
				.answer = {"www.example. 300 IN CNAME a.example."},
				.authority = {UPSTREAM_SOA("900", "100")}},
			0, 100},
		{"NODATA behind a short alias",
			{.name = "www.example.",
				.answer = {"www.example. 30 IN CNAME a.example."},
				.authority = {UPSTREAM_SOA("900", "100")}},
			0, 30},
		{"NODATA behind an alias without SOA",
			{.name = "www.example.",
				.answer = {"www.example. 300 IN CNAME a.example."}},
			0, 0},
		{"a referral",
			{.name = "www.example.", .authority = {"example. 300 IN NS ns.example."}},
			0, 0},
		{"SERVFAIL", {.name = "www.example.", .rcode = 2}, 0, CACHE_FAILURE_S},
		{"REFUSED", {.name = "www.example.", .rcode = 5}, 0, CACHE_FAILURE_S},
		{"SERVFAIL with a long SOA",
			{.name = "www.example.",
				.rcode = 2,
				.authority = {UPSTREAM_SOA("900", "900")}},
			0, CACHE_FAILURE_S},
		{"FORMERR", {.name = "www.example.", .rcode = 1, .answer = {ADDRESS}}, 0, 0},
		{"NOTIMP", {.name = "www.example.", .rcode = 4, .answer = {ADDRESS}}, 0, 0},
		{"NOTAUTH", {.name = "www.example.", .rcode = 9, .answer = {ADDRESS}}, 0, 0},
		{"BADVERS",
			{.name = "www.example.",
				.rcode = 16,
				.has_edns = true,
				.answer = {ADDRESS}},
			0, 0},
		{"TC", {.name = "www.example.", .tc = true, .answer = {ADDRESS}}, 0, 0},
		{"TC and SERVFAIL", {.name = "www.example.", .rcode = 2, .tc = true}, 0, 0},
		{"TC and NXDOMAIN",
			{.name = "www.example.",
				.rcode = 3,
				.tc = true,
				.authority = {UPSTREAM_SOA("900", "100")}},
			0, 0},
	};
	size_t failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lifetime_case *one = &cases[i];
		const struct cache_settings settings = {
			.octets_max = MEGA, .ttl_max_s = one->ttl_max_s ? one->ttl_max_s : 86400};
		struct cache *cache = open_cache(&settings);
		const struct cache_key key = key_of(cache, one->reply.name, one->reply.type);
		struct message_reply reply;
		const int64_t last_s = NOW_S + one->lifetime_s - 1;

		store(cache, &one->reply, NOW_S);
		if (cache_find(cache, &key, last_s, false, &reply) !=
				(one->lifetime_s ? CACHE_HIT : CACHE_MISS) ||
			cache_find(cache, &key, last_s + 1, true, &reply) != CACHE_MISS) {
			print_error("%s\n", one->what);
			failed++;
		}
		cache_free(cache);
	}
	assert_int_equal(failed, 0);
}

static void test_what_must_not_be_kept_leaves_what_was_there(void **state)
{
	static const struct upstream_reply others[] = {
		{.name = "www.example.", .answer = {"www.example. 0 IN A 192.0.2.9"}},
		{.name = "www.example.", .rcode = 1},
		{.name = "www.example.", .tc = true},
		{.name = "www.example.", .rcode = 2},
	};
	struct cache *cache = open_cache(&settings_plain);

	(void)state;
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		store(cache, &others[i], NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, false),
		"NOERROR rd ra; AN " ADDRESS "; EDNS");
	cache_free(cache);
}

static void test_newer_reply_replaces_the_older(void **state)
{
	struct cache *cache = open_cache(&settings_plain);

	(void)state;
	store(cache, &(struct upstream_reply){.name = "www.example.", .rcode = 2}, NOW_S);
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, false),
		"NOERROR rd ra; AN " ADDRESS "; EDNS");
	store(cache,
		&(struct upstream_reply){.name = "www.example.",
			.rcode = 3,
			.authority = {UPSTREAM_SOA("60", "60")}},
		NOW_S + 1);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S + 2, false),
		"NXDOMAIN rd ra; NS " UPSTREAM_SOA("59", "60") "; EDNS");
	assert_int_equal(cache_stats(cache).entries, 1);
	assert_int_equal(cache_stats(cache).evictions, 0);
	cache_free(cache);
}

static void test_cached_reply_claims_no_authority(void **state)
{
	struct cache *cache = open_cache(&settings_plain);

	(void)state;
	store(cache,
		&(struct upstream_reply){.name = "www.example.", .aa = true, .answer = {ADDRESS}},
		NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, false),
		"NOERROR rd ra; AN " ADDRESS "; EDNS");
	cache_free(cache);
}

/* RFC 9520 section 3.2: for a second at least. */
static void test_failure_is_told_from_memory_for_a_while(void **state)
{
	struct cache *cache = open_cache(&settings_plain);
	const struct cache_key key = key_of(cache, "www.example.", 0);

	(void)state;
	assert_true(CACHE_FAILURE_S >= 2); /* Of which the clock may swallow one. */
	cache_store_failure(cache, &key, MESSAGE_EDE_NETWORK_ERROR, NOW_S);
	assert_string_equal(look(cache, "WWW.example.", 0, NOW_S + CACHE_FAILURE_S - 1, false),
		"SERVFAIL rd ra; EDNS ede 23");
	assert_string_equal(look(cache, "www.example.", 0, NOW_S + CACHE_FAILURE_S, true), "MISS");
	cache_store_failure(cache, &key, MESSAGE_EDE_NONE, NOW_S);
	assert_string_equal(
		look(cache, "www.example.", 0, NOW_S, false), "SERVFAIL rd ra; EDNS ede 13");
	store(cache,
		&(struct upstream_reply){
			.name = "www.example.", .rcode = 5, .has_edns = true, .extended_error = 18},
		NOW_S);
	assert_string_equal(
		look(cache, "www.example.", 0, NOW_S, false), "REFUSED rd ra; EDNS ede 18");
	cache_free(cache);
}

static void test_stale_is_off_unless_configured(void **state)
{
	struct cache *cache = open_cache(&settings_plain);
	const struct cache_key key = key_of(cache, "www.example.", 0);

	(void)state;
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S + 300, true), "MISS");
	cache_store_failure(cache, &key, MESSAGE_EDE_NO_REACHABLE_AUTHORITY, NOW_S + 300);
	assert_string_equal(
		look(cache, "www.example.", 0, NOW_S + 300, true), "SERVFAIL rd ra; EDNS ede 22");
	cache_free(cache);
}

#define STALE "STALE NOERROR rd ra; AN www.example. 30 IN A 192.0.2.1; EDNS ede 3"

/* RFC 8767 section 5. */
static void test_stale_reply_stands_in_when_upstreams_fail(void **state)
{
	static const struct upstream_reply fresh = {.name = "www.example.", .answer = {ADDRESS}};
	struct cache *cache = open_cache(&settings_stale);
	const struct cache_key key = key_of(cache, "www.example.", 0);
	const int64_t over_s = NOW_S + 300;

	(void)state;
	store(cache, &fresh, NOW_S);
	assert_string_equal(look(cache, "www.example.", 0, over_s, false), "MISS");
	assert_string_equal(look(cache, "www.example.", 0, over_s, true), STALE);
	/* A failure does not bury it, and nobody waits for the next few seconds. */
	cache_store_failure(cache, &key, MESSAGE_EDE_NETWORK_ERROR, over_s);
	assert_string_equal(look(cache, "www.example.", 0, over_s, false), STALE);
	assert_string_equal(
		look(cache, "www.example.", 0, over_s + CACHE_FAILURE_S - 1, false), STALE);
	assert_string_equal(
		look(cache, "www.example.", 0, over_s + CACHE_FAILURE_S, false), "MISS");
	store(cache, &(struct upstream_reply){.name = "www.example.", .rcode = 2}, over_s + 50);
	assert_string_equal(look(cache, "www.example.", 0, over_s + 50, false), STALE);
	/* To the end of the window. */
	assert_string_equal(look(cache, "www.example.", 0, over_s + 3599, true), STALE);
	assert_string_equal(look(cache, "www.example.", 0, over_s + 3600, true), "MISS");
	assert_int_equal(cache_stats(cache).stale_hits, 5);
	assert_int_equal(cache_stats(cache).hits, 0);
	assert_int_equal(cache_stats(cache).misses, 2);
	/* A failure then is all there is, and it is never stale. */
	cache_store_failure(cache, &key, MESSAGE_EDE_NETWORK_ERROR, over_s + 3600);
	assert_string_equal(look(cache, "www.example.", 0, over_s + 3600, false),
		"SERVFAIL rd ra; EDNS ede 23");
	assert_string_equal(look(cache, "www.example.", 0, over_s + 3605, true), "MISS");
	/* A new reply ends it. */
	store(cache, &fresh, over_s + 4000);
	assert_string_equal(look(cache, "www.example.", 0, over_s + 4000, true),
		"NOERROR rd ra; AN " ADDRESS "; EDNS");
	cache_free(cache);
}

static void test_flush_forgets_everything(void **state)
{
	struct cache *cache = open_cache(&settings_stale);

	(void)state;
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	assert_true(cache_stats(cache).octets > 0);
	cache_flush(cache);
	assert_string_equal(look(cache, "www.example.", 0, NOW_S, true), "MISS");
	assert_int_equal(cache_stats(cache).entries, 0);
	assert_int_equal(cache_stats(cache).octets, 0);
	store(cache, &(struct upstream_reply){.name = "www.example.", .answer = {ADDRESS}}, NOW_S);
	assert_int_equal(cache_stats(cache).entries, 1);
	cache_free(cache);
	cache_free(NULL);
}

static void test_hash_differs_from_cache_to_cache(void **state)
{
	struct cache *one = open_cache(&settings_plain);
	struct cache *other = open_cache(&settings_plain);

	(void)state;
	/* Once in 2^64 it fails. */
	assert_true(key_of(one, "www.example.", 0).hash != key_of(other, "www.example.", 0).hash);
	cache_free(one);
	cache_free(other);
}

/* A reply about a number: the name n<number>.example, and the number, a version and filling of its
 * choice in RDATA of a type that nobody knows. */
struct numbered {
	uint8_t octets[16384];
	size_t len;
	struct message message;
	struct cache_key key;
};

#define NUMBERED_TYPE 65280u

static void numbered_make(const struct cache *cache, struct numbered *one, uint32_t number,
	uint32_t version, size_t filling)
{
	static const uint8_t header[] = {0x47, 0x11, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
	char label[16];
	uint8_t *at = one->octets + 12;
	struct query query;
	uint8_t asked[64] = {0, 1, 1, 0, 0, 1};

	memcpy(one->octets, header, sizeof(header));
	*at++ = (uint8_t)snprintf(label, sizeof(label), "n%u", number);
	memcpy(at, label, strlen(label));
	at += strlen(label);
	memcpy(at, "\7example\0\xff\0\0\1", 13);
	at += 13;
	const size_t question_octets = (size_t)(at - one->octets) - 12;

	memcpy(at, "\xc0\x0c\xff\0\0\1\0\0\x0e\x10", 10);
	dns_write_u16(at + 10, (uint16_t)(8 + filling));
	dns_write_u32(at + 12, number);
	dns_write_u32(at + 16, version);
	memset(at + 20, (int)(version & 0xff), filling);
	one->len = (size_t)(at - one->octets) + 20 + filling;
	assert_int_equal(message_check((struct bytes){one->octets, one->len}, UPSTREAM_ID,
				 (struct bytes){one->octets + 12, question_octets}, &one->message),
		MESSAGE_OK);
	memcpy(asked + 12, one->octets + 12, question_octets);
	assert_int_equal(
		query_parse((struct bytes){asked, 12 + question_octets}, &query), QUERY_OK);
	cache_key_of(cache, &query, &one->key);
}

/* That the found reply is the whole one about this number and version. */
static bool numbered_found(struct cache *cache, const struct numbered *one, int64_t now_s)
{
	struct message_reply reply;

	if (cache_find(cache, &one->key, now_s, false, &reply) != CACHE_HIT)
		return false;
	assert_int_equal(reply.octets.len, one->len);
	assert_memory_equal(reply.octets.ptr, one->octets, one->len);
	assert_int_equal(reply.ttl_count, 1);
	assert_int_equal(reply.ttl_offsets[0], one->message.question_octets + 12 + 6);
	return true;
}

static size_t resident_octets(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t total = 0, resident = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu %zu", &total, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_million_names_take_no_more_than_the_bound(void **state)
{
	static const struct cache_settings settings = {
		.octets_max = 4 * MEGA, .ttl_max_s = 86400, .stale_s = 3600};
	static struct numbered one;
	struct cache *cache = open_cache(&settings);
	const size_t before = resident_octets();
#ifdef HAS_SHADOW
	const size_t beside = 8 * MEGA; /* A sanitizer's books of the same memory. */
#else
	const size_t beside = MEGA;
#endif
	size_t full = 0;

	(void)state;
	for (uint32_t number = 0; number < 1000000; number++) {
		numbered_make(cache, &one, number, 0, 0);
		cache_store(cache, &one.key, &one.message, NOW_S);
		if (number == 100000)
			full = resident_octets();
	}
	const struct cache_stats stats = cache_stats(cache);

	/* A page or a few is not growth. */
	assert_true(resident_octets() <= full + 64 * 4096);
	assert_true(full <= before + settings.octets_max + beside);
	assert_true(stats.octets <= settings.octets_max);
	/* Well used, too. */
	assert_true(stats.octets >= settings.octets_max * 9 / 10);
	assert_true(stats.entries > settings.octets_max / 200);
	assert_int_equal(stats.evictions, 1000000 - stats.entries);

	size_t found = 0;

	for (uint32_t number = 0; number < 1000000; number++) {
		numbered_make(cache, &one, number, 0, 0);
		found += numbered_found(cache, &one, NOW_S);
	}
	assert_int_equal(found, stats.entries);
	cache_free(cache);
}

static void test_what_is_used_outlives_what_is_not(void **state)
{
	static const struct cache_settings settings = {.octets_max = MEGA / 4, .ttl_max_s = 86400};
	static struct numbered used, other;
	struct cache *cache = open_cache(&settings);

	(void)state;
	numbered_make(cache, &used, 1, 0, 0);
	cache_store(cache, &used.key, &used.message, NOW_S);
	for (uint32_t number = 2; number < 50000; number++) {
		numbered_make(cache, &other, number, 0, 0);
		cache_store(cache, &other.key, &other.message, NOW_S);
		if (number % 500 == 0)
			assert_true(numbered_found(cache, &used, NOW_S));
	}
	/* Without use it goes. */
	for (uint32_t number = 50000; number < 60000; number++) {
		numbered_make(cache, &other, number, 0, 0);
		cache_store(cache, &other.key, &other.message, NOW_S);
	}
	assert_false(numbered_found(cache, &used, NOW_S));
	cache_free(cache);
}

/* When all were used, a few are moved and the next is gone: a store takes no tour of the ring. */
static void test_store_moves_only_a_few(void **state)
{
	enum { FIRST = 100000, MOVED = 16 };
	static const struct cache_settings settings = {.octets_max = MEGA / 4, .ttl_max_s = 86400};
	static struct numbered one;
	struct cache *cache = open_cache(&settings);
	uint32_t number = FIRST;
	uint32_t oldest = FIRST;

	(void)state;
	/* Entries are of one size: from the first eviction on each new one takes the place of the
	 * oldest, but at the end of the ring. */
	for (; cache_stats(cache).evictions < 100; number++) {
		numbered_make(cache, &one, number, 0, 0);
		cache_store(cache, &one.key, &one.message, NOW_S);
	}
	for (uint32_t i = FIRST; i < number; i++) {
		numbered_make(cache, &one, i, 0, 0);
		if (!numbered_found(cache, &one, NOW_S))
			oldest = i + 1;
	}
	assert_int_equal(oldest, FIRST + 100);
	numbered_make(cache, &one, number, 0, 0);
	cache_store(cache, &one.key, &one.message, NOW_S);
	for (uint32_t i = oldest; i < number; i++) {
		numbered_make(cache, &one, i, 0, 0);
		assert_int_equal(numbered_found(cache, &one, NOW_S), i != oldest + MOVED);
	}
	cache_free(cache);
}

/* None is better than another, and sizes differ. */
static void test_store_ends_when_everything_was_used(void **state)
{
	static const struct cache_settings settings = {.octets_max = MEGA / 4, .ttl_max_s = 86400};
	static struct numbered one;
	struct cache *cache = open_cache(&settings);

	(void)state;
	for (uint32_t number = 0; number < 20000; number++) {
		numbered_make(cache, &one, number, 0, number % 3 == 0 ? 5000 : 0);
		cache_store(cache, &one.key, &one.message, NOW_S);
		assert_true(numbered_found(cache, &one, NOW_S));
	}
	cache_free(cache);
}

static void test_what_is_over_makes_room_without_being_counted(void **state)
{
	static const struct cache_settings settings = {.octets_max = MEGA / 4, .ttl_max_s = 10};
	static struct numbered one;
	struct cache *cache = open_cache(&settings);
	uint32_t number = 0;

	(void)state;
	for (; cache_stats(cache).evictions == 0; number++) {
		numbered_make(cache, &one, number, 0, 0);
		cache_store(cache, &one.key, &one.message, NOW_S);
	}
	const uint64_t evictions = cache_stats(cache).evictions;

	for (const uint32_t end = number + 1000; number < end; number++) {
		numbered_make(cache, &one, number, 0, 0);
		cache_store(cache, &one.key, &one.message, NOW_S + 10);
	}
	assert_int_equal(cache_stats(cache).evictions, evictions);
	cache_free(cache);
}

static void test_tiny_caches_hold_little_or_nothing(void **state)
{
	static struct numbered one;

	(void)state;
	for (size_t octets = 0; octets < 2048; octets++) {
		const struct cache_settings settings = {.octets_max = octets, .ttl_max_s = 86400};
		struct cache *cache = open_cache(&settings);

		for (uint32_t number = 0; number < 30; number++) {
			numbered_make(cache, &one, number, 0, number % 2 ? 30 : 0);
			cache_store(cache, &one.key, &one.message, NOW_S);
			const bool is_found = numbered_found(cache, &one, NOW_S);

			assert_true(octets >= 512 || !is_found);
			assert_true(octets < 1536 || is_found);
			cache_store_failure(cache, &one.key, MESSAGE_EDE_NONE, NOW_S);
			assert_true(cache_stats(cache).octets <= octets);
		}
		cache_free(cache);
	}
}

static void test_reply_too_large_is_not_kept_and_harms_nothing(void **state)
{
	static const struct cache_settings settings = {.octets_max = MEGA / 16, .ttl_max_s = 86400};
	static struct numbered one;
	struct cache *cache = open_cache(&settings);

	(void)state;
	numbered_make(cache, &one, 1, 0, 10000);
	cache_store(cache, &one.key, &one.message, NOW_S);
	assert_false(numbered_found(cache, &one, NOW_S));
	assert_int_equal(cache_stats(cache).entries, 0);
	numbered_make(cache, &one, 1, 0, 4000);
	cache_store(cache, &one.key, &one.message, NOW_S);
	assert_true(numbered_found(cache, &one, NOW_S));
	cache_free(cache);
}

/* Whatever was stored, used, replaced and evicted in whatever order: what is found is what was
 * stored last, whole, and the books are right. */
static void test_random_use_never_finds_anything_but_the_last_reply(void **state)
{
	enum { NUMBERS = 300, STEPS = 60000 };
	static const struct cache_settings settings = {.octets_max = MEGA / 16, .ttl_max_s = 86400};
	static uint32_t versions[NUMBERS];
	static uint16_t fillings[NUMBERS];
	static struct numbered one;
	struct cache *cache = open_cache(&settings);
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	size_t hits = 0;

	(void)state;
	for (uint32_t step = 1; step <= STEPS; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		const uint32_t number = (uint32_t)(random % NUMBERS);

		if (random >> 32 & 1) {
			versions[number] = step;
			fillings[number] = (uint16_t)((random >> 40) % (step % 50 ? 300 : 5000));
			numbered_make(cache, &one, number, step, fillings[number]);
			cache_store(cache, &one.key, &one.message, NOW_S);
			assert_true(numbered_found(cache, &one, NOW_S));
		} else {
			numbered_make(cache, &one, number, versions[number], fillings[number]);
			hits += numbered_found(cache, &one, NOW_S);
		}
		if (step % 1000 == 0) {
			size_t found = 0;

			for (uint32_t i = 0; i < NUMBERS; i++) {
				struct message_reply reply;

				numbered_make(cache, &one, i, 0, 0);
				found += cache_find(cache, &one.key, NOW_S, false, &reply) !=
					 CACHE_MISS;
			}
			assert_int_equal(found, cache_stats(cache).entries);
			assert_true(cache_stats(cache).octets <= settings.octets_max);
		}
	}
	assert_true(hits > STEPS / 10);
	assert_true(cache_stats(cache).evictions > STEPS / 10);
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit_is_the_reply_with_its_age),
		cmocka_unit_test(test_only_the_same_question_gets_it),
		cmocka_unit_test(test_records_never_answer_other_questions),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_what_must_not_be_kept_leaves_what_was_there),
		cmocka_unit_test(test_newer_reply_replaces_the_older),
		cmocka_unit_test(test_cached_reply_claims_no_authority),
		cmocka_unit_test(test_failure_is_told_from_memory_for_a_while),
		cmocka_unit_test(test_stale_is_off_unless_configured),
		cmocka_unit_test(test_stale_reply_stands_in_when_upstreams_fail),
		cmocka_unit_test(test_flush_forgets_everything),
		cmocka_unit_test(test_hash_differs_from_cache_to_cache),
		cmocka_unit_test(test_million_names_take_no_more_than_the_bound),
		cmocka_unit_test(test_what_is_used_outlives_what_is_not),
		cmocka_unit_test(test_store_moves_only_a_few),
		cmocka_unit_test(test_store_ends_when_everything_was_used),
		cmocka_unit_test(test_what_is_over_makes_room_without_being_counted),
		cmocka_unit_test(test_tiny_caches_hold_little_or_nothing),
		cmocka_unit_test(test_reply_too_large_is_not_kept_and_harms_nothing),
		cmocka_unit_test(test_random_use_never_finds_anything_but_the_last_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
