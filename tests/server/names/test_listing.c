#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/names/listing.h"
#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

/* Every test lives in this second. */
#define NOW 1000

#define LEASE(address, mac, name, expires)                                                 \
	"{\"ip-address\":\"" address "\",\"mac-address\":\"" mac "\",\"hostname\":\"" name \
	"\",\"expiry-time\":" expires "}"
#define GUEST(name, mac) "{\"domain\":\"" name "\",\"macs\":[\"" mac "\"]}"

#define MAC_A "52:54:00:00:00:0a"
#define MAC_B "52:54:00:00:00:0b"
#define MAC_C "52:54:00:00:00:0c"

static struct listing gather_at(
	const struct built_index *built, enum listing_scope scope, int64_t now_unix_s)
{
	struct listing listing = {0};

	assert_int_equal(listing_gather(&listing, &built->index, &built->meta, scope, now_unix_s),
		PARSER_OK);
	return listing;
}

/* A listing as one text: "name address state;" for each row. */
static const char *told(const struct listing *listing)
{
	static const char *const states[] = {"live", "hidden", "expired"};
	static char text[4096];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < listing->count; i++) {
		const struct listing_row *row = &listing->rows[i];
		char address[ADDRESS_TEXT_SIZE] = "-";

		if (row->address.family != ADDRESS_NONE)
			address_format(&row->address, address);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s %s %s;",
			(int)row->name.len, (const char *)row->name.ptr, address,
			states[row->state]);
		assert_true(len < sizeof(text));
	}
	return text;
}

static void check(const char *status, const char *macs, enum listing_scope scope,
	int64_t now_unix_s, const char *expected)
{
	char *directory = scratch_new();
	struct built_index *built;
	struct listing listing;

	if (status)
		scratch_publish(directory, "virbr0.status", status);
	if (macs)
		scratch_publish(directory, "virbr0.macs", macs);
	built = built_index_new(directory, NULL);
	listing = gather_at(built, scope, now_unix_s);
	assert_string_equal(told(&listing), expected);
	listing_done(&listing);
	built_index_free(built);
	scratch_free(directory);
}

static void test_living_names_are_listed_in_natural_order(void **state)
{
	(void)state;
	check("[" LEASE("10.0.0.10", MAC_A, "vm10", "2000") "," LEASE(
		      "10.0.0.2", MAC_B, "VM2", "2000") "," LEASE("10.0.0.1", MAC_C, "db", "0") "]",
		NULL, LISTING_SCOPE_LIVE, NOW,
		"db 10.0.0.1 live;vm2 10.0.0.2 live;vm10 10.0.0.10 live;");
}

static void test_lease_is_listed_through_its_last_second(void **state)
{
	static const char status[] = "[" LEASE("10.0.0.1", MAC_A, "vm", "1000") "]";

	(void)state;
	check(status, NULL, LISTING_SCOPE_LIVE, 1000, "vm 10.0.0.1 live;");
	check(status, NULL, LISTING_SCOPE_LIVE, 1001, "");
	check(status, NULL, LISTING_SCOPE_ALL, 1001,
		"leasedns 127.0.0.56 live;vm 10.0.0.1 expired;");
}

static void test_guest_without_a_living_lease_is_listed_without_address(void **state)
{
	static const char status[] = "[" LEASE("10.0.0.1", MAC_A, "inside", "1000") "]";
	static const char macs[] = "[" GUEST("web", MAC_A) "," GUEST("idle", MAC_B) "]";

	(void)state;
	check(status, macs, LISTING_SCOPE_LIVE, 1000,
		"idle - live;inside 10.0.0.1 live;web 10.0.0.1 live;");
	check(status, macs, LISTING_SCOPE_LIVE, 1001, "idle - live;web - live;");
}

static void test_name_that_a_guest_owns_is_listed_for_the_guest_alone(void **state)
{
	static const char status[] = "[" LEASE("10.0.0.1", MAC_A, "any", "2000") "," LEASE(
		"10.0.0.66", MAC_B, "web", "2000") "]";
	static const char macs[] = "[" GUEST("web", MAC_A) "]";

	(void)state;
	check(status, macs, LISTING_SCOPE_LIVE, NOW, "any 10.0.0.1 live;web 10.0.0.1 live;");
	check(status, macs, LISTING_SCOPE_ALL, NOW,
		"any 10.0.0.1 live;leasedns 127.0.0.56 live;web 10.0.0.1 live;"
		"web 10.0.0.66 hidden;");
}

static void test_nodes_without_address_are_not_listed(void **state)
{
	(void)state;
	/* `04` and the network exist in DNS, but nobody lives there. */
	check("[" LEASE("10.0.0.1", MAC_A, "x", "2000") "]", "[" GUEST("ubuntu22.04", MAC_A) "]",
		LISTING_SCOPE_LIVE, NOW, "ubuntu22.04 10.0.0.1 live;x 10.0.0.1 live;");
}

/* Captured while it ran; the leases of virbr0 ended at 1795504176 and shortly after. */
static void test_captured_files_are_listed_as_they_lived(void **state)
{
	static const char *const files[] = {
		"virbr0.macs", "virbr0.status", "virbr1.macs", "virbr1.status"};
	char *directory = scratch_new();
	struct built_index *built;
	struct listing listing;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *text = scratch_read(
			scratch_path(TESTS_DATA_DIR "/captures/guests/1-two-guests", files[i]),
			NULL);

		scratch_publish(directory, files[i], text);
		free(text);
	}
	built = built_index_new(directory, NULL);
	listing = gather_at(built, LISTING_SCOPE_LIVE, 1795504176);
	assert_string_equal(told(&listing),
		"beta2 192.168.122.37 live;db server - live;gamma 192.168.122.36 live;"
		"lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll "
		"192.168.122.38 live;want2 192.168.150.12 live;web1 192.168.122.253 live;");
	listing_done(&listing);
	listing = gather_at(built, LISTING_SCOPE_LIVE, 1795504177);
	assert_string_equal(told(&listing),
		"db server - live;"
		"lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll "
		"192.168.122.38 live;want2 192.168.150.12 live;web1 192.168.122.253 live;");
	listing_done(&listing);
	built_index_free(built);
	scratch_free(directory);
}

static void test_nothing_is_an_empty_listing(void **state)
{
	(void)state;
	check(NULL, NULL, LISTING_SCOPE_LIVE, NOW, "");
}

static void test_rows_say_what_the_records_say(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;
	struct listing listing;
	const struct listing_row *row;
	struct mac mac;

	(void)state;
	scratch_publish(directory, "virbr0.status", "[" LEASE("10.0.0.1", MAC_A, "vm", "2000") "]");
	built = built_index_new(directory, NULL);
	listing = gather_at(built, LISTING_SCOPE_LIVE, NOW);
	built_index_free(built);
	assert_int_equal(listing.count, 1);
	row = &listing.rows[0];
	assert_true(mac_parse(bytes_of_text(MAC_A), &mac));
	assert_int_equal(row->kind, INDEX_KIND_HOSTNAME);
	assert_true(row->has_mac);
	assert_memory_equal(&row->mac, &mac, sizeof(mac));
	assert_int_equal(row->network, 0);
	assert_int_equal(row->expires_unix_s, 2000);
	assert_true(row->dns_name);
	listing_done(&listing);
	scratch_free(directory);
}

static void test_next_change_is_the_second_after_the_first_end(void **state)
{
	struct listing_row rows[] = {
		{.expires_unix_s = 0}, {.expires_unix_s = 1005}, {.expires_unix_s = 1002}};
	struct listing listing = {.rows = rows, .count = 3};

	(void)state;
	assert_int_equal(listing_next_change(&listing, 1000), 1003);
	assert_int_equal(listing_next_change(&listing, 1002), 1003);
	assert_int_equal(listing_next_change(&listing, 1003), 1006);
	assert_int_equal(listing_next_change(&listing, 1006), 0);
}

static void test_listings_differ_if_any_row_does(void **state)
{
	struct listing_row base = {.name = bytes_of_text("vm"), .expires_unix_s = 5};
	struct listing_row others[] = {base, base, base, base, base};
	struct listing a = {.rows = &base, .count = 1};

	(void)state;
	assert_true(listing_same(&a, &a));
	others[0].name = bytes_of_text("vn");
	others[1].expires_unix_s = 6;
	others[2].state = LISTING_EXPIRED;
	others[3].kind = INDEX_KIND_GUEST;
	others[4].has_mac = true;
	for (size_t i = 0; i < 5; i++) {
		struct listing b = {.rows = &others[i], .count = 1};

		assert_false(listing_same(&a, &b));
	}
	assert_false(listing_same(&a, &(struct listing){0}));
}

static void test_names_are_ordered_as_people_do(void **state)
{
	/* Each before the next. */
	static const char *const names[] = {
		"", "10", "a", "A1", "a01", "a1", "a1b", "a2", "a10", "a10.b", "a100", "B", "b-1"};
	size_t count = sizeof(names) / sizeof(names[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			int order = listing_compare_names(
				bytes_of_text(names[i]), bytes_of_text(names[j]));

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void test_very_long_numbers_are_compared_by_value(void **state)
{
	(void)state;
	assert_true(listing_compare_names(bytes_of_text("x99999999999999999999999999"),
			    bytes_of_text("x100000000000000000000000000")) < 0);
	assert_true(listing_compare_names(bytes_of_text("x00000000000000000000000000002"),
			    bytes_of_text("x10")) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_living_names_are_listed_in_natural_order),
		cmocka_unit_test(test_lease_is_listed_through_its_last_second),
		cmocka_unit_test(test_guest_without_a_living_lease_is_listed_without_address),
		cmocka_unit_test(test_name_that_a_guest_owns_is_listed_for_the_guest_alone),
		cmocka_unit_test(test_nodes_without_address_are_not_listed),
		cmocka_unit_test(test_captured_files_are_listed_as_they_lived),
		cmocka_unit_test(test_nothing_is_an_empty_listing),
		cmocka_unit_test(test_rows_say_what_the_records_say),
		cmocka_unit_test(test_next_change_is_the_second_after_the_first_end),
		cmocka_unit_test(test_listings_differ_if_any_row_does),
		cmocka_unit_test(test_names_are_ordered_as_people_do),
		cmocka_unit_test(test_very_long_numbers_are_compared_by_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
