#include "server/names/listing.h"

#include <stdlib.h>

#include "conf/conf_index.h"
#include "parser/hostname.h"
#include "parser/view.h"
#include "server/names/snapshot.h"

/* What one walk over the index needs. */
struct listing_walk {
	struct listing *listing;
	const struct index *index;
	const struct index_meta *meta;
	enum listing_scope scope;
	int64_t now_unix_s;
};

enum parser_status listing_add(struct listing *listing, struct bytes name, enum listing_state state,
	const struct index_record *record)
{
	size_t cap = listing->cap ? listing->cap * 2 : 32;
	struct listing_row *rows;
	uint8_t *copy;

	if (listing->count == listing->cap) {
		rows = reallocarray(listing->rows, cap, sizeof(*rows));
		if (!rows)
			return PARSER_E_NO_MEMORY;
		listing->rows = rows;
		listing->cap = cap;
	}
	copy = malloc(name.len + 1);
	if (!copy)
		return PARSER_E_NO_MEMORY;
	if (name.len > 0)
		memcpy(copy, name.ptr, name.len);
	listing->rows[listing->count++] = (struct listing_row){
		.name = {copy, name.len},
		.dns_name = hostname_is_dns_name(name),
		.kind = record->kind,
		.state = state,
		.address = record->address,
		.has_mac = record->has_mac,
		.mac = record->mac,
		.network = record->network,
		.expires_unix_s = record->expires_unix_s,
	};
	return PARSER_OK;
}

static void listing_row_done(struct listing_row *row)
{
	free((void *)row->name.ptr);
}

void listing_done(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		listing_row_done(&listing->rows[i]);
	free(listing->rows);
	*listing = (struct listing){0};
}

/* The name that the configuration gives to our own name server is no news to anybody. */
static bool listing_is_own_name(struct bytes name, const struct index_record *record)
{
	return record->kind == INDEX_KIND_STATIC && record->network == INDEX_NETWORK_NONE &&
	       bytes_equal(name, bytes_of_text(CONF_INDEX_SERVER_NAME));
}

/* A guest without a living lease: what its records tell of it, without their addresses. */
static enum parser_status listing_add_idle_guest(struct listing_walk *walk, struct bytes name)
{
	struct index_record guest = {
		.kind = INDEX_KIND_GUEST, .network = INDEX_NETWORK_NONE, .expires_unix_s = 0};
	struct index_record record;
	struct index_value value;
	enum parser_status status;

	switch (index_find(walk->index, INDEX_KEY_GUEST, name, &value)) {
	case INDEX_CORRUPT:
		return PARSER_E_CORRUPT;
	case INDEX_ABSENT:
	case INDEX_NODATA:
		return PARSER_OK; /* An empty non-terminal, or a network. */
	case INDEX_FOUND:
		break;
	}
	for (size_t i = 0; i < index_record_count(&value); i++) {
		status = index_record_at(&value, i, &record);
		if (status != PARSER_OK)
			return status;
		if (record.has_mac && !guest.has_mac) {
			guest.has_mac = true;
			guest.mac = record.mac;
		}
		if (guest.network == INDEX_NETWORK_NONE)
			guest.network = record.network;
	}
	return listing_add(walk->listing, name, LISTING_LIVE, &guest);
}

/* What DNS answers for one name of the merged view. */
static enum parser_status listing_add_visible(struct listing_walk *walk, struct bytes name)
{
	struct view view;
	struct index_record record;
	enum parser_status status;
	bool has_address = false;

	switch (view_find(walk->index, INDEX_KEY_NAME, name, walk->now_unix_s, &view)) {
	case INDEX_CORRUPT:
		return PARSER_E_CORRUPT;
	case INDEX_ABSENT:
		return PARSER_OK;
	case INDEX_NODATA:
	case INDEX_FOUND:
		break;
	}
	while (view_next(&view, ADDRESS_NONE, walk->now_unix_s, &record)) {
		has_address = true;
		if (walk->scope == LISTING_SCOPE_LIVE && listing_is_own_name(name, &record))
			continue;
		status = listing_add(walk->listing, name, LISTING_LIVE, &record);
		if (status != PARSER_OK)
			return status;
	}
	return has_address ? PARSER_OK : listing_add_idle_guest(walk, name);
}

/* All that is recorded for a name, seen or not; listing_unique() drops what is there twice. */
static enum parser_status listing_add_recorded(
	struct listing_walk *walk, struct bytes name, const struct index_value *value)
{
	for (size_t i = 0; i < index_record_count(value); i++) {
		struct index_record record;
		enum listing_state state = LISTING_HIDDEN;
		enum parser_status status = index_record_at(value, i, &record);

		if (status != PARSER_OK)
			return status;
		if (record.address.family == ADDRESS_NONE)
			continue;
		if (record.expires_unix_s != 0 && record.expires_unix_s < walk->now_unix_s)
			state = LISTING_EXPIRED;
		status = listing_add(walk->listing, name, state, &record);
		if (status != PARSER_OK)
			return status;
	}
	return PARSER_OK;
}

static enum parser_status listing_add_entry(struct listing_walk *walk, enum index_key_kind kind,
	struct bytes key, const struct index_value *value)
{
	enum parser_status status = PARSER_OK;

	switch (kind) {
	case INDEX_KEY_NAME:
		status = listing_add_visible(walk, key);
		break;
	case INDEX_KEY_HOSTNAME:
	case INDEX_KEY_GUEST:
		break;
	case INDEX_KEY_ADDRESS:
	case INDEX_KEY_REVERSE:
	case INDEX_KEY_NETWORK:
	case INDEX_KEY_META:
		return PARSER_OK;
	}
	if (status == PARSER_OK && walk->scope == LISTING_SCOPE_ALL)
		status = listing_add_recorded(walk, key, value);
	return status;
}

/* The bytes of `a` and `b` from their digits on; compares the numbers that stand there. */
static int listing_compare_numbers(struct bytes a, struct bytes b, size_t *at_a, size_t *at_b)
{
	size_t from_a = *at_a;
	size_t from_b = *at_b;
	size_t len_a;
	size_t len_b;
	int order;

	while (from_a < a.len && a.ptr[from_a] == '0')
		from_a++;
	while (from_b < b.len && b.ptr[from_b] == '0')
		from_b++;
	*at_a = from_a;
	*at_b = from_b;
	while (*at_a < a.len && a.ptr[*at_a] >= '0' && a.ptr[*at_a] <= '9')
		(*at_a)++;
	while (*at_b < b.len && b.ptr[*at_b] >= '0' && b.ptr[*at_b] <= '9')
		(*at_b)++;
	len_a = *at_a - from_a;
	len_b = *at_b - from_b;
	if (len_a != len_b)
		return len_a < len_b ? -1 : 1;
	order = len_a ? memcmp(a.ptr + from_a, b.ptr + from_b, len_a) : 0;
	return (order > 0) - (order < 0);
}

static bool listing_is_digit(struct bytes text, size_t at)
{
	return text.ptr[at] >= '0' && text.ptr[at] <= '9';
}

int listing_compare_names(struct bytes a, struct bytes b)
{
	size_t at_a = 0;
	size_t at_b = 0;
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = 0;

	while (at_a < a.len && at_b < b.len) {
		if (listing_is_digit(a, at_a) && listing_is_digit(b, at_b)) {
			order = listing_compare_numbers(a, b, &at_a, &at_b);
		} else {
			uint8_t byte_a = byte_lower(a.ptr[at_a++]);
			uint8_t byte_b = byte_lower(b.ptr[at_b++]);

			order = (byte_a > byte_b) - (byte_a < byte_b);
		}
		if (order != 0)
			return order;
	}
	if (at_a < a.len || at_b < b.len)
		return at_a < a.len ? 1 : -1;
	/* `VM1`, `vm1` and `vm01` are different names: some order, but always the same. */
	order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
	if (order != 0)
		return order < 0 ? -1 : 1;
	return (a.len > b.len) - (a.len < b.len);
}

/* Rows of the same name and address stand together, the one that matters first. */
static int listing_compare_rows(const void *left, const void *right)
{
	const struct listing_row *a = left;
	const struct listing_row *b = right;
	int order = listing_compare_names(a->name, b->name);

	if (order == 0)
		order = address_compare(&a->address, &b->address);
	if (order == 0)
		order = (a->state > b->state) - (a->state < b->state);
	if (order == 0)
		order = (a->kind > b->kind) - (a->kind < b->kind);
	if (order == 0)
		order = (a->expires_unix_s < b->expires_unix_s) -
			(a->expires_unix_s > b->expires_unix_s);
	return order;
}

static bool listing_is_twin(const struct listing_row *a, const struct listing_row *b)
{
	return bytes_equal(a->name, b->name) && address_compare(&a->address, &b->address) == 0;
}

/* Keeps the first of the rows with the same name and address. */
static void listing_unique(struct listing *listing)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->count; i++) {
		if (kept > 0 && listing_is_twin(&listing->rows[kept - 1], &listing->rows[i]))
			listing_row_done(&listing->rows[i]);
		else
			listing->rows[kept++] = listing->rows[i];
	}
	listing->count = kept;
}

enum parser_status listing_gather(struct listing *listing, const struct index *index,
	const struct index_meta *meta, enum listing_scope scope, int64_t now_unix_s)
{
	struct listing_walk walk = {listing, index, meta, scope, now_unix_s};
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	uint32_t offset = 0;

	for (;;) {
		enum index_key_kind kind;
		struct bytes key;
		struct index_value value;
		enum parser_status status =
			index_entry_next(index, &offset, buffer, &kind, &key, &value);

		if (status == PARSER_E_ABSENT)
			break;
		if (status == PARSER_OK)
			status = listing_add_entry(&walk, kind, key, &value);
		if (status != PARSER_OK)
			return status;
	}
	if (listing->count > 0)
		qsort(listing->rows, listing->count, sizeof(*listing->rows), listing_compare_rows);
	listing_unique(listing);
	return PARSER_OK;
}

int64_t listing_next_change(const struct listing *listing, int64_t now_unix_s)
{
	int64_t next_unix_s = 0;

	for (size_t i = 0; i < listing->count; i++) {
		int64_t expires_unix_s = listing->rows[i].expires_unix_s;

		if (expires_unix_s == 0 || expires_unix_s < now_unix_s)
			continue;
		if (next_unix_s == 0 || expires_unix_s + 1 < next_unix_s)
			next_unix_s = expires_unix_s + 1;
	}
	return next_unix_s;
}

bool listing_same(const struct listing *a, const struct listing *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct listing_row *left = &a->rows[i];
		const struct listing_row *right = &b->rows[i];

		if (!listing_is_twin(left, right) || left->kind != right->kind ||
			left->state != right->state || left->network != right->network ||
			left->expires_unix_s != right->expires_unix_s ||
			left->has_mac != right->has_mac ||
			memcmp(&left->mac, &right->mac, sizeof(left->mac)) != 0)
			return false;
	}
	return true;
}
