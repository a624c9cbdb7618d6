#include "tests/server/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/dns/query.h"

#define BYTES(text)                                       \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

static const struct bytes zones[] = {
	BYTES("libvirt"),
	BYTES("lab.libvirt"),
	BYTES("vm.example.org"),
};

static const struct bytes zones_reversed[] = {
	BYTES("vm.example.org"),
	BYTES("lab.libvirt"),
	BYTES("libvirt"),
};

static struct index_options options_of(const struct bytes *names, size_t count)
{
	struct index_options options = built_index_options;

	options.zones = names;
	options.zone_count = count;
	return options;
}

static void expect_longest(const struct bytes *names)
{
	static const struct {
		const char *name;
		const char *zone; /* NULL: none */
	} cases[] = {
		{"a.libvirt", "libvirt."},
		{"libvirt", "libvirt."},
		{"LIBVIRT", "libvirt."},
		{"lab.libvirt", "lab.libvirt."},
		{"a.b.LAB.libvirt", "lab.libvirt."},
		{"xlab.libvirt", "libvirt."},
		{"vm.example.org", "vm.example.org."},
		{"example.org", NULL},
		{"xvm.example.org", NULL},
		{"\\003lab.xlibvirt", NULL},
		{".", NULL},
		/* The zone's octets at the end, but in the middle of a label. */
		{"a\\007libvirt", NULL},
	};
	const struct index_options options = options_of(names, 3);
	struct asking_world *world = asking_open(NULL, 0, &options);
	const struct asking_how how = {.is_tcp = false};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t octets[512];
		struct query query;
		const size_t len = asking_query(cases[i].name, 1, &how, octets);

		assert_int_equal(query_parse((struct bytes){octets, len}, &query), QUERY_OK);
		const struct zone_origin *origin = zone_find(world->zone, &query);

		if (!origin || !cases[i].zone) {
			assert_true(!origin && !cases[i].zone);
			continue;
		}
		ldns_rdf *expected = ldns_dname_new_frm_str(cases[i].zone);

		assert_int_equal(origin->octets, ldns_rdf_size(expected));
		assert_memory_equal(origin->name, ldns_rdf_data(expected), origin->octets);
		assert_int_equal(origin->label_count, ldns_dname_label_count(expected));
		ldns_rdf_deep_free(expected);
	}
	asking_close(world);
}

/* Whatever their order is. */
static void test_longest_zone_wins(void **state)
{
	(void)state;
	expect_longest(zones);
	expect_longest(zones_reversed);
}

static void test_all_zones_hold_the_same_names(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.7", "07", "vm", WORLD_NEVER) "]"}};
	static const struct asking_case cases[] = {
		ASK("vm.libvirt", 1, "NOERROR aa rd; AN vm.libvirt. 5 IN A 192.168.122.7"),
		ASK("vm.vm.example.org", 1,
			"NOERROR aa rd; AN vm.vm.example.org. 5 IN A 192.168.122.7"),
		ASK("no.vm.example.org", 1,
			"NXDOMAIN aa rd; NS vm.example.org. 2 IN SOA leasedns.vm.example.org. "
			"hostmaster.vm.example.org. 1800000000 1200 180 1209600 2"),
		ASK("7.122.168.192.in-addr.arpa", 12,
			"NOERROR aa rd; AN 7.122.168.192.in-addr.arpa. 5 IN PTR vm.libvirt."),
	};
	const struct index_options options = options_of(zones, 3);
	struct asking_world *world = asking_open(files, 1, &options);

	(void)state;
	assert_memory_equal(zone_canonical(world->zone)->name, "\7libvirt", 9);
	ASKING_RUN(world, cases);
	asking_close(world);
}

static void test_serial_is_when_the_index_was_built(void **state)
{
	static const struct {
		int64_t built_unix_ns;
		uint32_t serial;
	} cases[] = {
		{INT64_C(1800000000999999999), 1800000000u},
		{INT64_C(4294967296000000000), 0}, /* RFC 1982: it wraps. */
		{0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct index_options options = built_index_options;

		options.built_unix_ns = cases[i].built_unix_ns;
		struct asking_world *world = asking_open(NULL, 0, &options);

		assert_int_equal(zone_serial(world->zone), cases[i].serial);
		asking_close(world);
	}
}

static void expect_corrupt(const void *content, size_t len)
{
	const int fd = memfd_create("index", MFD_CLOEXEC);
	struct zone *zone = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	assert_int_equal(zone_new(fd, &zone), PARSER_E_CORRUPT);
	assert_null(zone);
	close(fd);
}

static void test_what_is_no_index_is_refused(void **state)
{
	struct zone *zone = NULL;
	uint8_t zeros[4096] = {0};
	struct asking_world *world = *state;
	int pipes[2];

	assert_int_equal(zone_new(-1, &zone), PARSER_E_IO);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(zone_new(pipes[0], &zone), PARSER_E_CORRUPT);
	close(pipes[0]);
	close(pipes[1]);
	expect_corrupt("", 0);
	expect_corrupt("x", 1);
	expect_corrupt(zeros, sizeof(zeros));
	expect_corrupt(world->built->map, 2048); /* The header of a cdb, and nothing behind. */
	assert_null(zone);
	zone_free(NULL);
}

static void test_zone_too_long_for_our_own_names_is_refused(void **state)
{
	/* 63 + 63 + 63 and a last label: with lengths and root 244 and 245 octets. */
	char text[256];
	struct bytes name = {(const uint8_t *)text, 242};

	(void)state;
	memset(text, 'z', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	for (; name.len <= 243; name.len++) {
		const struct index_options options = options_of(&name, 1);
		char *directory = scratch_new();
		struct built_index *built = built_index_new(directory, &options);
		struct zone *zone = NULL;

		assert_int_equal(
			zone_new(built->fd, &zone), name.len == 242 ? PARSER_OK : PARSER_E_CORRUPT);
		zone_free(zone);
		built_index_free(built);
		scratch_free(directory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_zone_wins),
		cmocka_unit_test(test_all_zones_hold_the_same_names),
		cmocka_unit_test(test_serial_is_when_the_index_was_built),
		cmocka_unit_test(test_what_is_no_index_is_refused),
		cmocka_unit_test(test_zone_too_long_for_our_own_names_is_refused),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
