#include "server/dns/describe.h"

#include <stdio.h>
#include <string.h>

/* RFC 1035 section 3.3: a character-string has one octet of length. */
#define STRING_OCTETS_MAX 255u
#define STRINGS_MAX       6u

#define DAY_S        86400
#define TIME_MIN_S   INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIME_MAX_S   INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DAYS_TO_1970 719468                /* From 0000-03-01. */
#define DAYS_OF_400Y 146097

/* RDATA of one TXT record. */
struct texts {
	uint8_t octets[STRINGS_MAX * (1 + STRING_OCTETS_MAX)];
	size_t len;
};

/* Appends "key=value", cut to what a string can hold. */
static void text_add(struct texts *texts, const char *key, struct bytes value)
{
	const size_t key_octets = strlen(key);
	const size_t room = STRING_OCTETS_MAX - key_octets - 1;
	const size_t value_octets = value.len < room ? value.len : room;
	uint8_t *at = texts->octets + texts->len;

	*at++ = (uint8_t)(key_octets + 1 + value_octets);
	memcpy(at, key, key_octets);
	at[key_octets] = '=';
	if (value_octets > 0)
		memcpy(at + key_octets + 1, value.ptr, value_octets);
	texts->len += key_octets + value_octets + 2;
}

void describe_time(int64_t unix_s, char out_text[DESCRIBE_TIME_SIZE])
{
	if (unix_s < TIME_MIN_S)
		unix_s = TIME_MIN_S;
	if (unix_s > TIME_MAX_S)
		unix_s = TIME_MAX_S;
	/* Years that start in March have the leap day last; eras of 400 years are all alike. */
	const int64_t seconds = unix_s - TIME_MIN_S;
	const unsigned of_day = (unsigned)(seconds % DAY_S);
	const unsigned days = (unsigned)(seconds / DAY_S + TIME_MIN_S / DAY_S + DAYS_TO_1970);
	const unsigned day_of_era = days % DAYS_OF_400Y;
	const unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	const unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const unsigned from_march = (5 * day_of_year + 2) / 153;
	const unsigned day = day_of_year - (153 * from_march + 2) / 5 + 1;
	const unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
	const unsigned year = year_of_era + days / DAYS_OF_400Y * 400 + (month <= 2);

	snprintf(out_text, DESCRIBE_TIME_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10000,
		month % 100, day % 100, of_day / 3600 % 100, of_day / 60 % 60, of_day % 60);
}

/* True if a name of the address belongs to the same lease as the record. */
static bool name_is_of(
	const struct index_name *name, const struct index_record *record, int64_t now_unix_s)
{
	if (name->has_mac && record->has_mac &&
		memcmp(&name->mac, &record->mac, sizeof(name->mac)) != 0)
		return false;
	return name->name.len > 0 &&
	       index_is_alive(name->valid_from_unix_s, name->expires_unix_s, now_unix_s);
}

/* A name that only `name.bridge` gives is written so in the index; here the network stands beside
 * it. A published DHCP hostname is one label; a guest may really be called `vm.virbr0`. */
static struct bytes name_without_network(const struct zone *zone, const struct index_name *name)
{
	const struct index_meta *meta = zone_meta(zone);
	struct bytes text = name->name;
	uint8_t key[INDEX_NAME_OCTETS_MAX];
	struct index_value ignored;

	if (!name->published || name->network >= meta->network_count)
		return text;
	const struct index_network *network = &meta->networks[name->network];
	const struct bytes label = network->bridge.len > 0 ? network->bridge : network->name;

	if (text.len <= label.len + 1 || text.len > sizeof(key) ||
		text.ptr[text.len - label.len - 1] != '.' ||
		!bytes_equal_fold(
			label, (struct bytes){text.ptr + text.len - label.len, label.len}))
		return text;
	for (size_t i = 0; i < text.len; i++)
		key[i] = byte_lower(text.ptr[i]);
	if (index_find(zone_index(zone), INDEX_KEY_GUEST, (struct bytes){key, text.len},
		    &ignored) != INDEX_FOUND ||
		name->kind == INDEX_KIND_HOSTNAME)
		text.len -= label.len + 1;
	return text;
}

/* The address's names tell what the lease is called: the first of each kind. */
static void names_add(struct texts *texts, const struct zone *zone,
	const struct index_record *record, int64_t now_unix_s)
{
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct index_value value;
	struct index_name name;
	uint32_t offset = 0;
	struct bytes guest = {NULL, 0}; /* Views of the mapping, not of the buffer. */
	struct bytes hostname = {NULL, 0};

	if (index_find_address(zone_index(zone), &record->address, &value) != INDEX_FOUND)
		return;
	while (index_name_next(&value, &offset, buffer, &name) == PARSER_OK) {
		if (!name_is_of(&name, record, now_unix_s))
			continue;
		if (name.kind == INDEX_KIND_GUEST && guest.len == 0)
			guest = name_without_network(zone, &name);
		else if (name.kind == INDEX_KIND_HOSTNAME && hostname.len == 0)
			hostname = name_without_network(zone, &name);
	}
	if (guest.len > 0)
		text_add(texts, "guest", guest);
	if (hostname.len > 0)
		text_add(texts, "hostname", hostname);
}

static void network_add(
	struct texts *texts, const struct index_meta *meta, const struct index_record *record)
{
	if (record->network >= meta->network_count)
		return;
	const struct index_network *network = &meta->networks[record->network];
	const struct bytes text = network->name.len > 0 ? network->name : network->bridge;

	if (text.len > 0)
		text_add(texts, "network", text);
}

static void record_describe(struct texts *texts, const struct zone *zone,
	const struct index_record *record, int64_t now_unix_s)
{
	char address[ADDRESS_TEXT_SIZE];
	char mac[MAC_TEXT_SIZE];
	char time[DESCRIBE_TIME_SIZE];

	texts->len = 0;
	names_add(texts, zone, record, now_unix_s);
	if (record->has_mac) {
		mac_format(&record->mac, mac);
		text_add(texts, "mac", bytes_of_text(mac));
	}
	network_add(texts, zone_meta(zone), record);
	address_format(&record->address, address);
	text_add(texts, "address", bytes_of_text(address));
	if (record->expires_unix_s == 0) {
		text_add(texts, "expires", bytes_of_text("never"));
	} else {
		describe_time(record->expires_unix_s, time);
		text_add(texts, "expires", bytes_of_text(time));
	}
}

enum rrset_result describe_texts(struct reply *reply, uint16_t owner_offset,
	const struct zone *zone, struct view *view, int64_t now_unix_s)
{
	const size_t mark = reply->len;
	uint32_t ttl_s = zone_meta(zone)->ttl_s;
	struct index_record record;
	struct texts texts;
	uint16_t count = 0;

	/* Twice through the view: records of an RRset share their TTL (RFC 2181 section 5.2). */
	while (view_next(view, ADDRESS_NONE, now_unix_s, &record))
		ttl_s = rrset_ttl(ttl_s, record.expires_unix_s, now_unix_s);
	view_rewind(view);
	while (view_next(view, ADDRESS_NONE, now_unix_s, &record)) {
		record_describe(&texts, zone, &record, now_unix_s);
		uint8_t *rdata = reply_record(
			reply, REPLY_ANSWER, owner_offset, DNS_TYPE_TXT, ttl_s, texts.len);

		if (!rdata) {
			reply_cut(reply, REPLY_ANSWER, mark, count);
			return RRSET_NO_ROOM;
		}
		memcpy(rdata, texts.octets, texts.len);
		count++;
	}
	return count > 0 ? RRSET_WRITTEN : RRSET_EMPTY;
}
