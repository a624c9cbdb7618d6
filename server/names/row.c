#include "server/names/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/support/text.h"

#define ROW_COLUMN_COUNT 9
/* "2026-11-24T06:20:00Z" and its NUL. */
#define ROW_TIME_SIZE 21

#define MINUTE_S 60
#define HOUR_S   (60 * MINUTE_S)
#define DAY_S    (24 * HOUR_S)

static const struct table_column row_columns[ROW_COLUMN_COUNT] = {
	{"NAME", 12},
	{"NAME", 12},
	{"KIND", 0},
	{"ADDRESS", 0},
	{"TTL", 0},
	{"MAC", 0},
	{"NETWORK", 8},
	{"EXPIRES", 0},
	{"STATE", 0},
};

static const char *row_kind_word(enum index_kind kind)
{
	switch (kind) {
	case INDEX_KIND_STATIC:
		return "static";
	case INDEX_KIND_RESERVATION:
		return "reservation";
	case INDEX_KIND_GUEST:
		return "guest";
	case INDEX_KIND_GUEST_ALIAS:
		return "alias";
	case INDEX_KIND_HOSTNAME:
		return "hostname";
	case INDEX_KIND_NODE:
		break;
	}
	return "node";
}

static const char *row_state_word(enum listing_state state)
{
	switch (state) {
	case LISTING_LIVE:
		return "live";
	case LISTING_HIDDEN:
		return "hidden";
	case LISTING_EXPIRED:
		break;
	}
	return "expired";
}

/* The network of a row, or NULL. */
static const struct index_network *row_network(
	const struct listing_row *row, const struct index_meta *meta)
{
	return row->network < meta->network_count ? &meta->networks[row->network] : NULL;
}

static struct bytes row_zone(const struct index_meta *meta)
{
	return meta->zone_count > 0 ? meta->zones[0] : (struct bytes){0};
}

const char *row_when(int64_t expires_unix_s, int64_t now_unix_s, char out_text[ROW_WHEN_SIZE])
{
	static const struct {
		int64_t below_s; /* Used below this, */
		int64_t unit_s;  /* counted in this. */
		const char *unit;
	} scales[] = {
		{MINUTE_S, 1, "s"},
		{2 * HOUR_S, MINUTE_S, "min"},
		{2 * DAY_S, HOUR_S, "h"},
		{INT64_MAX, DAY_S, "days"},
	};
	bool is_past = expires_unix_s < now_unix_s;
	int64_t distance_s;
	size_t scale = 0;

	if (expires_unix_s == 0)
		return strcpy(out_text, "never");
	if (expires_unix_s == now_unix_s)
		return strcpy(out_text, "now");
	if (__builtin_sub_overflow(is_past ? now_unix_s : expires_unix_s,
		    is_past ? expires_unix_s : now_unix_s, &distance_s))
		distance_s = INT64_MAX;
	while (distance_s >= scales[scale].below_s && scale + 1 < sizeof(scales) / sizeof(*scales))
		scale++;
	snprintf(out_text, ROW_WHEN_SIZE, "%s%" PRId64 " %s%s", is_past ? "" : "in ",
		distance_s / scales[scale].unit_s, scales[scale].unit, is_past ? " ago" : "");
	return out_text;
}

uint32_t row_ttl_s(const struct listing_row *row, const struct index_meta *meta, int64_t now_unix_s)
{
	int64_t left_s = row->expires_unix_s - now_unix_s;

	if (row->expires_unix_s == 0 || left_s > meta->ttl_s)
		return meta->ttl_s;
	return left_s > 0 ? (uint32_t)left_s : 0;
}

static char *row_fqdn(const struct listing_row *row, const struct index_meta *meta)
{
	/* What cannot stand in a DNS message has no name there: NSS finds it as it is. */
	if (!row->dns_name)
		return text_printable(row->name);
	return text_dns(row->name, row_zone(meta));
}

static char *row_network_cell(const struct listing_row *row, const struct index_meta *meta)
{
	const struct index_network *network = row_network(row, meta);

	if (!network)
		return strdup("-");
	return text_printable(network->name.len > 0 ? network->name : network->bridge);
}

/* The text of one cell, the caller's to free. */
static char *row_cell(const struct listing_row *row, const struct index_meta *meta,
	int64_t now_unix_s, enum row_column column)
{
	bool has_address = row->address.family != ADDRESS_NONE;
	char text[ROW_WHEN_SIZE] = "-";

	switch (column) {
	case ROW_NAME:
		return text_printable(row->name);
	case ROW_FQDN:
		return row_fqdn(row, meta);
	case ROW_KIND:
		return strdup(row_kind_word(row->kind));
	case ROW_ADDRESS:
		if (has_address)
			address_format(&row->address, text);
		break;
	case ROW_TTL:
		if (has_address)
			snprintf(text, sizeof(text), "%" PRIu32, row_ttl_s(row, meta, now_unix_s));
		break;
	case ROW_MAC:
		if (row->has_mac)
			mac_format(&row->mac, text);
		break;
	case ROW_NETWORK:
		return row_network_cell(row, meta);
	case ROW_EXPIRES:
		if (has_address)
			row_when(row->expires_unix_s, now_unix_s, text);
		break;
	case ROW_STATE:
		return strdup(row_state_word(row->state));
	}
	return strdup(text);
}

_Static_assert(ROW_WHEN_SIZE >= ADDRESS_TEXT_SIZE && ROW_WHEN_SIZE >= MAC_TEXT_SIZE,
	"row_cell() writes all of them into one buffer");

static bool row_table_add(struct table *table, const struct listing_row *row,
	const struct index_meta *meta, int64_t now_unix_s, unsigned columns)
{
	bool is_dim = row->address.family == ADDRESS_NONE || row->state != LISTING_LIVE;
	char *cells[ROW_COLUMN_COUNT] = {0};
	size_t count = 0;
	bool fine = true;

	for (unsigned column = 1; column < 1u << ROW_COLUMN_COUNT; column <<= 1) {
		if (!(columns & column))
			continue;
		cells[count] = row_cell(row, meta, now_unix_s, (enum row_column)column);
		fine = fine && cells[count];
		count++;
	}
	fine = fine && table_add(table, is_dim ? TABLE_STYLE_DIM : TABLE_STYLE_PLAIN,
			       (const char *const *)cells);
	for (size_t i = 0; i < count; i++)
		free(cells[i]);
	return fine;
}

struct table *row_table(const struct listing *listing, const struct index_meta *meta,
	int64_t now_unix_s, unsigned columns)
{
	struct table_column shown[ROW_COLUMN_COUNT];
	size_t count = 0;
	struct table *table;

	for (unsigned i = 0; i < ROW_COLUMN_COUNT; i++) {
		if (columns & 1u << i)
			shown[count++] = row_columns[i];
	}
	table = table_new(shown, count);
	for (size_t i = 0; table && i < listing->count; i++) {
		if (!row_table_add(table, &listing->rows[i], meta, now_unix_s, columns)) {
			table_free(table);
			table = NULL;
		}
	}
	return table;
}

/* RFC 3339 knows four digits of a year; a lease beyond them has no such time. */
static const char *row_rfc3339(int64_t unix_s, char out_text[ROW_TIME_SIZE])
{
	time_t when = (time_t)unix_s;
	struct tm utc;

	if (!gmtime_r(&when, &utc) || utc.tm_year + 1900 < 0 || utc.tm_year + 1900 > 9999)
		return NULL;
	strftime(out_text, ROW_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return out_text;
}

/* Takes the value; a text of NULL is JSON's null. */
static bool row_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool row_set_text(struct json_object *object, const char *key, const char *text)
{
	struct json_object *value = text ? json_object_new_string(text) : NULL;

	return (!text || value) && row_set(object, key, value);
}

static bool row_set_number(struct json_object *object, const char *key, int64_t number)
{
	struct json_object *value = json_object_new_int64(number);

	return value && row_set(object, key, value);
}

/* Takes `owned`, which is NULL if memory is short. */
static bool row_set_owned(struct json_object *object, const char *key, char *owned)
{
	bool fine = owned && row_set_text(object, key, owned);

	free(owned);
	return fine;
}

static bool row_set_name(
	struct json_object *object, const struct listing_row *row, const struct index_meta *meta)
{
	bool fine = row_set_owned(object, "name", text_utf8(row->name));

	if (!row->dns_name)
		return fine && row_set_text(object, "fqdn", NULL);
	return fine && row_set_owned(object, "fqdn", text_dns(row->name, row_zone(meta)));
}

static bool row_set_network(
	struct json_object *object, const struct listing_row *row, const struct index_meta *meta)
{
	const struct index_network *network = row_network(row, meta);
	struct bytes name = network ? network->name : (struct bytes){0};
	struct bytes bridge = network ? network->bridge : (struct bytes){0};
	bool fine;

	fine = name.len ? row_set_owned(object, "network", text_utf8(name))
			: row_set_text(object, "network", NULL);
	return fine && (bridge.len ? row_set_owned(object, "bridge", text_utf8(bridge))
				   : row_set_text(object, "bridge", NULL));
}

static bool row_set_address(struct json_object *object, const struct listing_row *row,
	const struct index_meta *meta, int64_t now_unix_s)
{
	char address[ADDRESS_TEXT_SIZE];
	char mac[MAC_TEXT_SIZE];
	bool fine;

	if (row->has_mac)
		mac_format(&row->mac, mac);
	fine = row_set_text(object, "mac", row->has_mac ? mac : NULL);
	if (row->address.family == ADDRESS_NONE)
		return fine && row_set(object, "address", NULL) &&
		       row_set(object, "family", NULL) && row_set(object, "ttl", NULL);
	address_format(&row->address, address);
	return fine && row_set_text(object, "address", address) &&
	       row_set_number(object, "family", row->address.family) &&
	       row_set_number(object, "ttl", row_ttl_s(row, meta, now_unix_s));
}

static bool row_set_expiry(struct json_object *object, const struct listing_row *row)
{
	char time[ROW_TIME_SIZE];

	if (row->expires_unix_s == 0)
		return row_set(object, "expires", NULL) && row_set(object, "expires_unix", NULL);
	return row_set_text(object, "expires", row_rfc3339(row->expires_unix_s, time)) &&
	       row_set_number(object, "expires_unix", row->expires_unix_s);
}

struct json_object *row_json(
	const struct listing_row *row, const struct index_meta *meta, int64_t now_unix_s)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	if (row_set_name(object, row, meta) &&
		row_set_text(object, "kind", row_kind_word(row->kind)) &&
		row_set_text(object, "state", row_state_word(row->state)) &&
		row_set_address(object, row, meta, now_unix_s) &&
		row_set_network(object, row, meta) && row_set_expiry(object, row))
		return object;
	json_object_put(object);
	return NULL;
}

struct json_object *row_json_array(
	const struct listing *listing, const struct index_meta *meta, int64_t now_unix_s)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < listing->count; i++) {
		struct json_object *row = row_json(&listing->rows[i], meta, now_unix_s);

		if (!row || json_object_array_add(array, row) != 0) {
			json_object_put(row);
			json_object_put(array);
			array = NULL;
		}
	}
	return array;
}
