#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/names/lookup.h"
#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

#define NOW 1000

#define MAC_A "52:54:00:00:00:0a"
#define MAC_B "52:54:00:00:00:0b"
#define MAC_C "52:54:00:00:00:0c"

static const char lease_file[] =
	"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"" MAC_A "\",\"expiry-time\":2000},"
	"{\"ip-address\":\"10.0.0.2\",\"mac-address\":\"" MAC_A "\",\"expiry-time\":0},"
	"{\"ip-address\":\"fd00::1\",\"mac-address\":\"" MAC_A "\",\"expiry-time\":1500},"
	"{\"ip-address\":\"10.0.0.3\",\"mac-address\":\"" MAC_B "\",\"hostname\":\"gone\","
	"\"expiry-time\":900},"
	"{\"ip-address\":\"10.0.0.4\",\"mac-address\":\"" MAC_C "\",\"expiry-time\":2000}]";
static const char guest_file[] = "[{\"domain\":\"web\",\"macs\":[\"" MAC_A "\"]},"
				 "{\"domain\":\"DB Server\",\"macs\":[\"52:54:00:00:00:0d\"]},"
				 "{\"domain\":\"was.up\",\"macs\":[\"" MAC_B "\"]}]";

struct world {
	char *directory;
	struct built_index *built;
};

static int make_world(void **state)
{
	static struct world world;

	world.directory = scratch_new();
	scratch_publish(world.directory, "virbr0.status", lease_file);
	scratch_publish(world.directory, "virbr0.macs", guest_file);
	world.built = built_index_new(world.directory, NULL);
	*state = &world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;

	built_index_free(world->built);
	scratch_free(world->directory);
	return 0;
}

static struct lookup find(const struct world *world, const char *name)
{
	struct lookup lookup = {0};

	assert_int_equal(lookup_name(&world->built->index, &world->built->meta, bytes_of_text(name),
				 NOW, &lookup),
		PARSER_OK);
	return lookup;
}

static struct lookup find_address(const struct world *world, const char *text)
{
	struct lookup lookup = {0};
	struct address address;

	assert_true(address_parse(bytes_of_text(text), &address));
	assert_int_equal(lookup_address(&world->built->index, &address, NOW, &lookup), PARSER_OK);
	return lookup;
}

/* "name address;" for each answer. */
static const char *told(const struct lookup *lookup)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < lookup->answers.count; i++) {
		const struct listing_row *row = &lookup->answers.rows[i];
		char address[ADDRESS_TEXT_SIZE];

		address_format(&row->address, address);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s %s;",
			(int)row->name.len, (const char *)row->name.ptr, address);
	}
	return text;
}

static void test_name_is_found_however_it_is_spelt(void **state)
{
	static const struct {
		const char *name;
		const char *answers;
	} cases[] = {
		{"web", "web 10.0.0.2;web 10.0.0.1;web fd00::1;"},
		{"WEB", "web 10.0.0.2;web 10.0.0.1;web fd00::1;"},
		{"web.", "web 10.0.0.2;web 10.0.0.1;web fd00::1;"},
		{"web.libvirt", "web 10.0.0.2;web 10.0.0.1;web fd00::1;"},
		{"Web.LibVirt.", "web 10.0.0.2;web 10.0.0.1;web fd00::1;"},
		{"web.virbr0", "web.virbr0 10.0.0.2;web.virbr0 10.0.0.1;web.virbr0 fd00::1;"},
		{"web.default.libvirt",
			"web.default 10.0.0.2;web.default 10.0.0.1;web.default fd00::1;"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lookup lookup = find(*state, cases[i].name);

		assert_int_equal(lookup.match, INDEX_FOUND);
		/* The lease that expires last comes first. */
		assert_string_equal(told(&lookup), cases[i].answers);
		lookup_done(&lookup);
	}
}

static void test_absence_is_told_from_existence(void **state)
{
	static const struct {
		const char *name;
		enum index_match match;
		bool is_guest;
		int64_t ended_unix_s;
	} cases[] = {
		{"nope", INDEX_ABSENT, false, 0},
		{"web.example", INDEX_ABSENT, false, 0},
		{"weblibvirt", INDEX_ABSENT, false, 0},
		{"web.virbr9", INDEX_ABSENT, false, 0},
		{"", INDEX_ABSENT, false, 0},
		{".", INDEX_ABSENT, false, 0},
		{"..", INDEX_ABSENT, false, 0},
		{".libvirt", INDEX_ABSENT, false, 0},
		/* The hostname of a lease that ended is gone; its guest is not. */
		{"gone", INDEX_ABSENT, false, 900},
		{"gone.libvirt", INDEX_ABSENT, false, 900},
		{"was.up", INDEX_NODATA, true, 900},
		{"DB Server", INDEX_NODATA, true, 0},
		{"db-server.libvirt", INDEX_NODATA, true, 0},
		/* An empty non-terminal, a network, the apex. */
		{"up", INDEX_NODATA, false, 0},
		{"virbr0", INDEX_NODATA, false, 0},
		{"default.libvirt", INDEX_NODATA, false, 0},
		{"libvirt", INDEX_NODATA, false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lookup lookup = find(*state, cases[i].name);

		print_message("%s\n", cases[i].name);
		assert_int_equal(lookup.match, cases[i].match);
		assert_int_equal(lookup.answers.count, 0);
		assert_int_equal(lookup.is_guest, cases[i].is_guest);
		assert_int_equal(lookup.ended_unix_s, cases[i].ended_unix_s);
		lookup_done(&lookup);
	}
}

static void test_overlong_name_is_absent(void **state)
{
	static char name[4096];

	for (size_t len = 200; len < sizeof(name); len += 61) {
		struct lookup lookup;

		memset(name, 'a', len);
		memcpy(name + len - 8, ".libvirt", 8);
		name[len] = '\0';
		lookup = find(*state, name);
		assert_int_equal(lookup.match, INDEX_ABSENT);
		lookup_done(&lookup);
	}
}

static void test_literal_name_beats_the_stripped_one(void **state)
{
	char *directory = scratch_new();
	struct world world = {.directory = directory};
	struct lookup lookup;

	(void)state;
	scratch_publish(directory, "virbr0.status",
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"" MAC_A "\",\"expiry-time\":0},"
		"{\"ip-address\":\"10.0.0.2\",\"mac-address\":\"" MAC_B "\",\"expiry-time\":0}]");
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\":\"web\",\"macs\":[\"" MAC_A "\"]},"
		"{\"domain\":\"web.libvirt\",\"macs\":[\"" MAC_B "\"]}]");
	world.built = built_index_new(directory, NULL);
	lookup = find(&world, "web.libvirt");
	assert_string_equal(told(&lookup), "web.libvirt 10.0.0.2;");
	lookup_done(&lookup);
	lookup = find(&world, "web.libvirt.libvirt");
	assert_string_equal(told(&lookup), "web.libvirt 10.0.0.2;");
	lookup_done(&lookup);
	lookup = find(&world, "web");
	assert_string_equal(told(&lookup), "web 10.0.0.1;");
	lookup_done(&lookup);
	built_index_free(world.built);
	scratch_free(directory);
}

static void test_address_gives_its_names(void **state)
{
	static const struct {
		const char *address;
		enum index_match match;
		const char *answers;
		int64_t ended_unix_s;
	} cases[] = {
		{"10.0.0.1", INDEX_FOUND, "web 10.0.0.1;", 0},
		{"fd00::1", INDEX_FOUND, "web fd00::1;", 0},
		{"10.0.0.3", INDEX_ABSENT, "", 900},
		{"10.0.0.99", INDEX_ABSENT, "", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lookup lookup = find_address(*state, cases[i].address);

		assert_int_equal(lookup.match, cases[i].match);
		assert_string_equal(told(&lookup), cases[i].answers);
		assert_int_equal(lookup.ended_unix_s, cases[i].ended_unix_s);
		lookup_done(&lookup);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_is_found_however_it_is_spelt),
		cmocka_unit_test(test_absence_is_told_from_existence),
		cmocka_unit_test(test_overlong_name_is_absent),
		cmocka_unit_test(test_literal_name_beats_the_stripped_one),
		cmocka_unit_test(test_address_gives_its_names),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
