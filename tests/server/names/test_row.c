#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/names/row.h"

#define NOW 1795500000 /* 2026-11-24T06:00:00Z */

static struct bytes zones[] = {{(const uint8_t *)"libvirt", 7}};
static struct index_network networks[] = {
	{.bridge = {(const uint8_t *)"virbr0", 6}, .name = {(const uint8_t *)"default", 7}},
	{.bridge = {(const uint8_t *)"virbr1", 6}},
};
static const struct index_meta meta = {
	.ttl_s = 5, .zones = zones, .zone_count = 1, .networks = networks, .network_count = 2};

static struct listing_row lease_row(void)
{
	return (struct listing_row){
		.name = bytes_of_text("vm"),
		.dns_name = true,
		.kind = INDEX_KIND_HOSTNAME,
		.address = {.family = ADDRESS_IPV4, .octets = {192, 168, 122, 36}},
		.has_mac = true,
		.mac = {{0x52, 0x54, 0, 0, 0, 0x0a}},
		.network = 0,
		.expires_unix_s = NOW + 43 * 60,
	};
}

/* The JSON of one row in one line. */
static void check_json(const struct listing_row *row, const char *expected)
{
	struct json_object *object = row_json(row, &meta, NOW);

	assert_non_null(object);
	assert_string_equal(json_object_to_json_string_ext(object,
				    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		expected);
	json_object_put(object);
}

static void test_json_says_everything_of_a_lease(void **state)
{
	struct listing_row row = lease_row();

	(void)state;
	check_json(&row, "{\"name\":\"vm\",\"fqdn\":\"vm.libvirt\",\"kind\":\"hostname\","
			 "\"state\":\"live\",\"mac\":\"52:54:00:00:00:0a\","
			 "\"address\":\"192.168.122.36\",\"family\":4,\"ttl\":5,"
			 "\"network\":\"default\",\"bridge\":\"virbr0\","
			 "\"expires\":\"2026-11-24T06:43:00Z\",\"expires_unix\":1795502580}");
}

static void test_json_is_null_for_what_there_is_not(void **state)
{
	struct listing_row row = {.name = bytes_of_text("a..b"),
		.kind = INDEX_KIND_GUEST,
		.network = INDEX_NETWORK_NONE};

	(void)state;
	check_json(&row,
		"{\"name\":\"a..b\",\"fqdn\":null,\"kind\":\"guest\",\"state\":\"live\","
		"\"mac\":null,\"address\":null,\"family\":null,\"ttl\":null,"
		"\"network\":null,\"bridge\":null,\"expires\":null,\"expires_unix\":null}");
}

static void test_json_survives_an_expiry_beyond_all_years(void **state)
{
	struct listing_row row = lease_row();
	struct json_object *object;

	(void)state;
	row.expires_unix_s = INT64_MAX;
	object = row_json(&row, &meta, NOW);
	assert_non_null(object);
	assert_null(json_object_object_get(object, "expires"));
	assert_int_equal(
		json_object_get_int64(json_object_object_get(object, "expires_unix")), INT64_MAX);
	json_object_put(object);
}

static void test_ttl_never_outlives_the_lease(void **state)
{
	static const struct {
		int64_t expires_unix_s;
		uint32_t ttl_s;
	} cases[] = {{0, 5}, {NOW + 100, 5}, {NOW + 5, 5}, {NOW + 4, 4}, {NOW, 0}, {NOW - 9, 0},
		{INT64_MAX, 5}};
	struct listing_row row = lease_row();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		row.expires_unix_s = cases[i].expires_unix_s;
		assert_int_equal(row_ttl_s(&row, &meta, NOW), cases[i].ttl_s);
	}
}

static void test_times_are_told_in_fitting_units(void **state)
{
	static const struct {
		int64_t expires_unix_s;
		const char *text;
	} cases[] = {
		{0, "never"},
		{NOW, "now"},
		{NOW + 1, "in 1 s"},
		{NOW + 59, "in 59 s"},
		{NOW + 60, "in 1 min"},
		{NOW + 43 * 60, "in 43 min"},
		{NOW + 119 * 60 + 59, "in 119 min"},
		{NOW + 2 * 3600, "in 2 h"},
		{NOW + 48 * 3600 - 1, "in 47 h"},
		{NOW + 48 * 3600, "in 2 days"},
		{NOW - 12, "12 s ago"},
		{NOW - 3 * 3600, "3 h ago"},
		{INT64_MAX, "in 106751991146519 days"},
		{INT64_MIN, "106751991167300 days ago"},
	};
	char text[ROW_WHEN_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(row_when(cases[i].expires_unix_s, NOW, text), cases[i].text);
}

static void test_table_shows_the_columns_that_were_asked_for(void **state)
{
	struct listing_row rows[] = {lease_row(), lease_row(), lease_row()};
	struct listing listing = {.rows = rows, .count = 3};
	struct table *table;
	char *text;

	(void)state;
	rows[1].name = bytes_of_text("\033[2J");
	rows[1].network = 1;
	rows[1].has_mac = false;
	rows[1].expires_unix_s = 0;
	rows[2].address.family = ADDRESS_NONE;
	rows[2].network = INDEX_NETWORK_NONE;
	table = row_table(&listing, &meta, NOW,
		ROW_NAME | ROW_KIND | ROW_ADDRESS | ROW_MAC | ROW_NETWORK | ROW_EXPIRES);
	assert_non_null(table);
	text = table_render(table, &(struct table_format){0});
	assert_string_equal(text,
		"NAME     KIND      ADDRESS         MAC                NETWORK  EXPIRES\n"
		"vm       hostname  192.168.122.36  52:54:00:00:00:0a  default  in 43 min\n"
		"\\027[2J  hostname  192.168.122.36  -                  virbr1   never\n"
		"vm       hostname  -               52:54:00:00:00:0a  -        -\n");
	free(text);
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_says_everything_of_a_lease),
		cmocka_unit_test(test_json_is_null_for_what_there_is_not),
		cmocka_unit_test(test_json_survives_an_expiry_beyond_all_years),
		cmocka_unit_test(test_ttl_never_outlives_the_lease),
		cmocka_unit_test(test_times_are_told_in_fitting_units),
		cmocka_unit_test(test_table_shows_the_columns_that_were_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
