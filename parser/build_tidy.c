/* Puts the records of a name into the order in which they are answered, each address once. */
#include <stdlib.h>
#include <string.h>

#include "build.h"

/* The last second of a window, with "never" behind all others. */
int64_t build_end(int64_t expires_unix_s)
{
	return expires_unix_s ? expires_unix_s : INT64_MAX;
}

int build_compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* What lives longest first; the rest only so that the same records always lie in the same order. */
static int build_compare_lives(const struct index_record *a, const struct index_record *b)
{
	int order =
		build_compare_numbers(build_end(b->expires_unix_s), build_end(a->expires_unix_s));

	if (order == 0)
		order = build_compare_numbers(a->valid_from_unix_s, b->valid_from_unix_s);
	if (order == 0)
		order = address_compare(&a->address, &b->address);
	if (order == 0)
		order = build_compare_numbers(a->kind, b->kind);
	if (order == 0)
		order = build_compare_numbers(a->network, b->network);
	if (order == 0)
		order = build_compare_numbers(b->has_mac, a->has_mac);
	return order ? order : memcmp(a->mac.octets, b->mac.octets, MAC_OCTETS);
}

static int build_compare_records(const void *left, const void *right)
{
	const struct index_record *a = left;
	const struct index_record *b = right;
	int order = build_rank(a->kind) - build_rank(b->kind);

	return order ? order : build_compare_lives(a, b);
}

static int build_compare_addresses(const void *left, const void *right)
{
	const struct index_record *a = left;
	const struct index_record *b = right;
	int order = build_rank(a->kind) - build_rank(b->kind);

	if (order == 0)
		order = address_compare(&a->address, &b->address);
	return order ? order : build_compare_lives(a, b);
}

static bool build_covers(const struct index_record *a, const struct index_record *b)
{
	return a->valid_from_unix_s <= b->valid_from_unix_s &&
	       build_end(a->expires_unix_s) >= build_end(b->expires_unix_s);
}

/* Weighs `record` against one that was kept before: same rank and address, living as long or
 * longer. False if it says nothing new. */
static bool build_weigh(const struct index_record *kept, struct index_record *record)
{
	if (build_covers(kept, record)) {
		if (kept->network == record->network)
			return false;
		record->duplicate = record->address.family != ADDRESS_NONE;
	} else if (build_end(record->expires_unix_s) >= kept->valid_from_unix_s) {
		/* An address must not be given twice in one second. */
		record->expires_unix_s = kept->valid_from_unix_s - 1;
		return record->expires_unix_s >= record->valid_from_unix_s &&
		       record->expires_unix_s > 0;
	}
	return true;
}

/* Drops what says nothing new of an address, and marks what counts only where one network is asked
 * for. Leaves the records in the order in which they are answered. */
size_t build_tidy_records(struct index_record *records, size_t count)
{
	size_t kept = 0;
	size_t run = 0; /* The first kept record of the same rank and address. */

	qsort(records, count, sizeof(*records), build_compare_addresses);
	for (size_t i = 0; i < count; i++) {
		struct index_record record = records[i];
		bool wanted = true;

		if (kept == 0 || build_rank(records[run].kind) != build_rank(record.kind) ||
			address_compare(&records[run].address, &record.address) != 0)
			run = kept;
		for (size_t k = run; k < kept && wanted; k++)
			wanted = build_weigh(&records[k], &record);
		if (wanted)
			records[kept++] = record;
	}
	qsort(records, kept, sizeof(*records), build_compare_records);
	return kept;
}
