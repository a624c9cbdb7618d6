#include "store_content.h"

#include <stdlib.h>
#include <string.h>

void *store_grown(void *block, size_t *cap, size_t needed, size_t octets)
{
	size_t larger = *cap ? *cap : 16;
	void *moved;

	if (needed <= *cap)
		return block;
	while (larger < needed)
		larger *= 2; /* Files are capped, so this cannot overflow. */
	moved = realloc(block, larger * octets);
	if (moved)
		*cap = larger;
	return moved;
}

void content_done(struct content *content)
{
	free(content->records);
	free(content->text);
	*content = (struct content){0};
}

/* Appends bytes to the text; there is room for them. */
static void content_append(struct content *content, struct bytes bytes)
{
	if (bytes.len)
		memcpy(content->text + content->text_len, bytes.ptr, bytes.len);
	content->text_len += bytes.len;
}

bool content_add(void *ctx, const struct record *record)
{
	struct content *content = ctx;
	size_t octets = record->name.len + record->duid.len;
	struct record *records = store_grown(
		content->records, &content->cap, content->count + 1, sizeof(*content->records));
	uint8_t *text;

	content->no_memory = true;
	if (!records)
		return false;
	content->records = records;
	/* At least one octet, so that there is a block to point into. */
	text = store_grown(content->text, &content->text_cap, content->text_len + octets + 1, 1);
	if (!text)
		return false;
	content->text = text;
	content->no_memory = false;
	content->records[content->count++] = *record;
	content_append(content, record->name);
	content_append(content, record->duid);
	return true;
}

void content_finish(struct content *content)
{
	const uint8_t *at;
	void *smaller;

	if (content->count == 0)
		return;
	smaller = realloc(content->records, content->count * sizeof(*content->records));
	if (smaller)
		content->records = smaller;
	smaller = realloc(content->text, content->text_len + 1);
	if (smaller)
		content->text = smaller;
	at = content->text;
	for (size_t i = 0; i < content->count; i++) {
		struct record *record = &content->records[i];

		record->name.ptr = at;
		record->duid.ptr = at + record->name.len;
		at += record->name.len + record->duid.len;
	}
}

/* libvirt writes about 190 octets for a lease, with a name of ten. */
#define LEASE_OCTETS      176
#define LEASE_TEXT_OCTETS 16

void content_reserve(struct content *content, size_t file_octets)
{
	size_t leases = file_octets / LEASE_OCTETS + 1;
	void *records =
		store_grown(content->records, &content->cap, leases, sizeof(*content->records));
	void *text;

	if (!records)
		return;
	content->records = records;
	text = store_grown(content->text, &content->text_cap, leases * LEASE_TEXT_OCTETS, 1);
	if (text)
		content->text = text;
}

/* Name and DUID are compared with the texts, where they stand one behind the other. */
static bool record_equal(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->name.len == b->name.len && a->duid.len == b->duid.len &&
	       address_compare(&a->address, &b->address) == 0 && a->has_mac == b->has_mac &&
	       memcmp(a->mac.octets, b->mac.octets, MAC_OCTETS) == 0 &&
	       a->expires_unix_s == b->expires_unix_s;
}

bool content_equal(const struct content *a, const struct content *b)
{
	if (a->count != b->count || a->text_len != b->text_len)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!record_equal(&a->records[i], &b->records[i]))
			return false;
	}
	return a->text_len == 0 || memcmp(a->text, b->text, a->text_len) == 0;
}
