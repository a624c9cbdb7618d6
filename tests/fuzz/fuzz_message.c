/* Any octets as an upstream's reply to the question that stands in them: whatever is accepted makes
 * well-formed replies to clients, directly and through the cache, in which the records are as they
 * came, octet by octet but for TTLs. The first octet of the input chooses the client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dns/answer.h"
#include "server/forward/cache.h"
#include "server/forward/message.h"
#include "tests/fuzz/fuzz_check.h"

#define NOW_S        INT64_C(1000)
#define POISON       0xa5
#define QUERY_ID     0xbeefu
#define MESSAGE_MAX  65535u
#define CACHE_OCTETS (1u << 18)

#define CHOICE_TCP      1u
#define CHOICE_EDNS     2u
#define CHOICE_DO       4u
#define CHOICE_AD       8u
#define CHOICE_CD       16u
#define CHOICE_WRONG_ID 32u
#define CHOICE_SMALL    64u
#define CHOICE_STALE    128u

/* The query of a client for the question at octet 12 of `octets`, if there is one. */
static bool query_make(struct bytes octets, uint8_t choice, uint8_t *query, struct query *out_query)
{
	static const uint8_t header[] = {0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	size_t len = DNS_HEADER_OCTETS;

	while (len < octets.len && octets.ptr[len] != 0 && octets.ptr[len] < 64)
		len += 1u + octets.ptr[len];
	len += 1 + DNS_QUESTION_TAIL_OCTETS;
	if (len > octets.len || len > DNS_HEADER_OCTETS + MESSAGE_QUESTION_OCTETS_MAX)
		return false;
	memcpy(query, octets.ptr, len);
	memcpy(query, header, sizeof(header));
	query[3] = (uint8_t)((choice & CHOICE_AD ? 0x20 : 0) | (choice & CHOICE_CD ? 0x10 : 0));
	if (choice & CHOICE_EDNS) {
		const uint8_t opt[] = {0, 0, DNS_TYPE_OPT, choice & CHOICE_SMALL ? 2 : 16, 0, 0, 0,
			choice & CHOICE_DO ? 0x80 : 0, 0, 0, 0};

		query[11] = 1;
		memcpy(query + len, opt, sizeof(opt));
		len += sizeof(opt);
	}
	return query_parse((struct bytes){query, len}, out_query) == QUERY_OK;
}

static void upstream_query_check(const struct query *query, const struct cache_key *key)
{
	static const uint8_t bits[MESSAGE_CASE_OCTETS] = {0x5a, 0xa5, 0x3c, 0xc3};
	uint8_t octets[MESSAGE_QUERY_OCTETS_MAX];
	struct query again;
	const size_t len = message_query_to_upstream(cache_key_question(key),
		cache_key_dnssec_ok(key), cache_key_checking_disabled(key), 1, bits, octets);

	CHECK(query_parse((struct bytes){octets, len}, &again) == QUERY_OK);
	CHECK(again.name_octets == query->name_octets && again.type == query->type);
	CHECK(memcmp(again.name, query->name, query->name_octets) == 0);
	CHECK(again.has_edns && again.dnssec_ok == query->dnssec_ok);
}

static void records_compare(const struct message *message, const uint8_t *reply, bool ttls_changed)
{
	static uint8_t wanted[MESSAGE_MAX];
	static uint16_t offsets[MESSAGE_MAX / (1 + DNS_RECORD_TAIL_OCTETS)];
	const size_t records = DNS_HEADER_OCTETS + (size_t)message->question_octets;

	memcpy(wanted, message->octets.ptr, message->octets.len);
	message_ttl_offsets(message, offsets);
	for (size_t i = 0; ttls_changed && i < message->record_count; i++)
		memcpy(wanted + offsets[i], reply + offsets[i], 4);
	CHECK(memcmp(wanted + records, reply + records, message->octets.len - records) == 0);
}

static void reply_check(const struct message_reply *source, const struct message_client *client,
	const struct message *message)
{
	static uint8_t reply[MESSAGE_MAX + 1];
	const struct bytes question = {client->question, client->question_octets};
	struct message again;

	memset(reply, POISON, client->reply_octets_max + 1u);
	const size_t len = message_to_client(source, client, reply);

	CHECK(len <= client->reply_octets_max && reply[len] == POISON);
	const enum message_verdict verdict =
		message_check((struct bytes){reply, len}, QUERY_ID, question, &again);

	CHECK(verdict == MESSAGE_OK || verdict == MESSAGE_TRUNCATED);
	if (verdict == MESSAGE_OK) {
		CHECK(again.record_count == message->record_count);
		CHECK(again.has_answer == message->has_answer && again.has_soa == message->has_soa);
		CHECK(again.has_edns == client->has_edns);
		records_compare(message, reply, source->is_stale || source->age_s > 0);
	} else {
		CHECK(len <= DNS_HEADER_OCTETS + question.len + MESSAGE_OPT_OCTETS + 6);
	}
}

/* One for all inputs, empty for each. */
static struct cache *cache_get(void)
{
	static const struct cache_settings settings = {CACHE_OCTETS, 86400, 86400};
	static struct cache *cache;

	if (!cache)
		cache = cache_new(&settings);
	CHECK(cache != NULL);
	cache_flush(cache);
	return cache;
}

static void cache_check(const struct message *message, const struct query *query,
	const struct message_client *client, bool is_stale)
{
	struct cache *cache = cache_get();
	const bool is_failure =
		message->rcode == DNS_RCODE_SERVFAIL || message->rcode == DNS_RCODE_REFUSED;
	const bool is_positive = message->rcode == DNS_RCODE_NOERROR && message->has_answer &&
				 !message->has_soa && message->ttl_min_s > 0 &&
				 message->octets.len < CACHE_OCTETS / 32;
	struct message_reply reply;
	struct cache_key key;

	cache_key_of(cache, query, &key);
	upstream_query_check(query, &key);
	cache_store(cache, &key, message, NOW_S);
	const enum cache_match match =
		cache_find(cache, &key, NOW_S + (is_stale ? 86400 : 0), is_stale, &reply);

	if (is_positive || (is_failure && !message->is_truncated && !is_stale))
		CHECK(match == (is_stale ? CACHE_STALE : CACHE_HIT));
	if (message->is_truncated || message->rcode > DNS_RCODE_REFUSED)
		CHECK(match == CACHE_MISS);
	if (match == CACHE_MISS)
		return;
	CHECK(reply.rcode == message->rcode);
	CHECK(is_failure || reply.ttl_count == message->record_count);
	if (!is_failure)
		reply_check(&reply, client, message);
}

static void carry_on(const struct message *message, const struct query *query, uint8_t choice)
{
	const struct message_reply direct = message_reply_of(message);
	struct message_client client;

	message_client_of(query, (choice & CHOICE_TCP) != 0, &client);
	reply_check(&direct, &client, message);
	cache_check(message, query, &client, (choice & CHOICE_STALE) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t asked[DNS_HEADER_OCTETS + MESSAGE_QUESTION_OCTETS_MAX + MESSAGE_OPT_OCTETS];
	const uint8_t choice = size > 0 ? data[0] : 0;
	const size_t len = size > 0 ? size - 1 : 0;
	struct message message;
	struct query query;

	if (len < DNS_HEADER_OCTETS || len > MESSAGE_MAX)
		return 0;
	/* A copy of its exact size, so that a read beyond the message is seen. */
	uint8_t *octets = malloc(len);

	CHECK(octets != NULL);
	memcpy(octets, data + 1, len);
	const struct bytes view = {octets, len};

	if (query_make(view, choice, asked, &query)) {
		const struct bytes question = {octets + DNS_HEADER_OCTETS, query.question_octets};
		const uint16_t id =
			(uint16_t)(dns_read_u16(octets) ^ (choice & CHOICE_WRONG_ID ? 0x100 : 0));

		switch (message_check(view, id, question, &message)) {
		case MESSAGE_OK:
		case MESSAGE_TRUNCATED:
			CHECK((choice & CHOICE_WRONG_ID) == 0);
			carry_on(&message, &query, choice);
			break;
		case MESSAGE_FOREIGN:
		case MESSAGE_MALFORMED:
			break;
		}
	}
	free(octets);
	return 0;
}
