#include "parser/index_builder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "parser/index_draft.h"
#include "tests/support/built_index.h"
#include "tests/support/many_leases.h"
#include "tests/support/scratch.h"

#define NOW INT64_C(1800000000)

struct lease {
	const char *address;
	const char *mac;
	const char *hostname; /* As it stands in JSON. */
	int64_t expires;
};

/* Writes `virbr<number>.status`. */
static void write_leases(
	const char *directory, const char *file, const struct lease *leases, size_t count)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	fputs("[", stream);
	for (size_t i = 0; i < count; i++) {
		fprintf(stream,
			"%s{\"ip-address\": \"%s\", \"mac-address\": \"%s\", \"hostname\": \"%s\", "
			"\"expiry-time\": %lld}",
			i ? ", " : "", leases[i].address, leases[i].mac, leases[i].hostname,
			(long long)leases[i].expires);
	}
	fputs("]", stream);
	fclose(stream);
	scratch_publish(directory, file, text);
	free(text);
}

#define WRITE_LEASES(directory, file, ...)                                 \
	write_leases(directory, file, (const struct lease[]){__VA_ARGS__}, \
		sizeof((const struct lease[]){__VA_ARGS__}) / sizeof(struct lease))

/* "name kind, …" of an address, published names only unless `all`. */
static const char *names_of(const struct built_index *built, const char *text, bool all)
{
	static const char *const kinds[] = {
		"static", "reservation", "guest", "alias", "hostname", "node"};
	static char out[2048];
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct address address;
	struct index_value value;
	struct index_name name;
	uint32_t offset = 0;
	size_t len = 0;

	assert_true(address_parse(bytes_of_text(text), &address));
	out[0] = '\0';
	if (index_find_address(&built->index, &address, &value) != INDEX_FOUND)
		return "none";
	while (index_name_next(&value, &offset, buffer, &name) == PARSER_OK) {
		if (all || name.published)
			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s %s%s",
				len ? ", " : "", (int)name.name.len, (const char *)name.name.ptr,
				kinds[name.kind], name.published ? "" : " hidden");
	}
	return out;
}

struct expectation {
	const char *name;
	uint8_t family;
	int64_t now;
	const char *addresses;
};

static void expect_all(
	const struct built_index *built, const struct expectation *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *got = built_index_addresses(
			built, expected[i].name, expected[i].family, expected[i].now);

		if (strcmp(got, expected[i].addresses) != 0)
			fail_msg("%s (family %d) at %lld: %s, not %s", expected[i].name,
				expected[i].family, (long long)expected[i].now, got,
				expected[i].addresses);
	}
}

#define EXPECT_ALL(built, ...)                                       \
	expect_all(built, (const struct expectation[]){__VA_ARGS__}, \
		sizeof((const struct expectation[]){__VA_ARGS__}) / sizeof(struct expectation))

/* --- What real libvirt wrote --------------------------------------------------------------- */

static void test_guests_and_hostnames_of_real_files(void **state)
{
	struct index_options options = built_index_options;
	struct built_index *built;
	const int64_t both = 1795501169; /* The last second of the lease on virbr1. */
	const int64_t late = 1795600000;

	(void)state;
	options.built_unix_ns = both * 1000000000;
	built = built_index_new(TESTS_DATA_DIR "/captures/guests/2-name-with-space", &options);
	EXPECT_ALL(built, {"web1", 0, both, "192.168.122.253"},
		{"web1.virbr0", 0, both, "192.168.122.253"},
		{"web1.default", 0, both, "192.168.122.253"}, {"web1.virbr1", 0, both, "NODATA"},
		{"web1.virbr9", 0, both, "NXDOMAIN"}, {"web1", 6, both, "NODATA"},
		{"k guest", 0, both, "192.168.122.2 192.168.150.154"},
		{"k-guest", 0, both, "192.168.122.2 192.168.150.154"},
		{"k-guest.virbr1", 0, both, "192.168.150.154"},
		{"kernelguest", 0, both, "192.168.122.2 192.168.150.154"},
		{"kernelguest", 0, both + 1, "192.168.122.2"},
		{"kernelguest.virbr1", 0, both, "192.168.150.154"},
		{"kernelguest.virbr1", 0, both + 1, "NXDOMAIN"},
		{"k guest.virbr1", 0, both + 1, "NODATA"}, {"want2", 0, both, "192.168.150.12"},
		{"want2.virbr0", 0, both, "NXDOMAIN"}, {"virbr0", 0, both, "NODATA"},
		{"default", 0, both, "NODATA"}, {"virbr9", 0, both, "NXDOMAIN"},
		{"leasedns", 0, both, "127.0.0.56"}, {"web1", 0, late, "NODATA"},
		{"k-guest", 0, late, "NODATA"}, {"kernelguest", 0, late, "NXDOMAIN"},
		{"want2", 0, late, "192.168.150.12"}, {"a.want2", 0, both, "NXDOMAIN"});
	/* One guest with two interfaces is no pair of clones. */
	assert_int_equal(built_index_events(built, INDEX_EVENT_HOSTNAME_SHARED, "kernelguest"), 0);
	assert_string_equal(names_of(built, "192.168.122.2", false),
		"k-guest alias, kernelguest hostname, k guest guest");
	assert_string_equal(names_of(built, "192.168.122.253", false), "web1 guest");
	assert_string_equal(names_of(built, "127.0.0.56", true), "none");
	built_index_free(built);
}

static void test_reservations_and_static_hosts_of_real_files(void **state)
{
	struct built_index *built = built_index_new(TESTS_DATA_DIR "/captures/static-hosts", NULL);
	const int64_t leased =
		1795500635; /* The last second of the leases of static1 and byname. */

	(void)state;
	EXPECT_ALL(built, {"printer", 4, leased, "192.168.150.5"},
		{"printer", 6, leased, "fd00:150::5"},
		{"lp.lab.example", 0, leased, "192.168.150.5"},
		{"lab.example", 0, leased, "NODATA"}, {"example", 0, leased, "NODATA"},
		{"lp", 0, leased, "NXDOMAIN"}, {"static1", 4, leased, "192.168.150.11"},
		{"static1", 6, leased, "fd00:150::11"},
		{"static1", 4, leased + 1, "192.168.150.11"},
		{"static1.lab", 4, leased, "192.168.150.11"},
		{"static1.lab", 4, leased + 1, "192.168.150.11"},
		{"static1.virbr1", 4, leased, "192.168.150.11"},
		{"byname", 4, leased, "192.168.150.13"},
		{"byname", 4, leased + 1, "192.168.150.13"}, {"infinite", 0, leased, "NXDOMAIN"},
		{"want2", 0, leased, "192.168.150.12"}, {"dyn1", 0, leased, "192.168.150.117"},
		{"dyn1", 0, 1795500640, "NXDOMAIN"}, {"printer.lab", 4, leased, "192.168.150.5"},
		{"lab", 0, leased, "NODATA"});
	assert_string_equal(
		names_of(built, "192.168.150.5", false), "printer static, lp.lab.example static");
	built_index_free(built);
}

static void test_leases_of_one_mac_in_both_families_answer_to_its_reservation(void **state)
{
	char *directory = scratch_new();
	char *text;
	struct built_index *built;
	const int64_t leased = 1795500635;

	(void)state;
	text = scratch_read(TESTS_DATA_DIR "/captures/leases-v6/virbr1.status", NULL);
	scratch_publish(directory, "virbr1.status", text);
	free(text);
	scratch_publish(directory, "lab.hostsfile", "52:54:00:00:01:0d,192.168.150.50,fixed\n");
	built = built_index_new(directory, NULL);
	/* The lease has another address than the reservation: it replaces it while it lives. */
	EXPECT_ALL(built, {"fixed", 4, leased, "192.168.150.117"},
		{"fixed", 6, leased, "fd00:150::1df"}, {"fixed", 4, 1795500640, "192.168.150.50"},
		{"fixed", 6, 1795500667, "fd00:150::1df"}, {"fixed", 6, 1795500668, "NODATA"},
		{"dyn1", 4, leased, "192.168.150.117"}, {"dyn1-six", 6, leased, "fd00:150::1df"},
		{"dyn1-six", 4, leased, "NODATA"});
	built_index_free(built);
	scratch_free(directory);
}

/* --- Precedence ---------------------------------------------------------------------------- */

static void test_no_guest_takes_the_name_of_another(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	/* .2 is the guest `web`; .3 and, on another network, .4 only call themselves so. */
	WRITE_LEASES(directory, "virbr0.status",
		{"192.168.122.2", "52:54:00:00:00:02", "whatever", NOW + 60},
		{"192.168.122.3", "52:54:00:00:00:03", "WEB", NOW + 120},
		{"192.168.122.5", "52:54:00:00:00:05", "printer", NOW + 120});
	WRITE_LEASES(directory, "virbr1.status",
		{"192.168.150.4", "52:54:00:00:00:04", "web", NOW + 60},
		{"192.168.150.6", "52:54:00:00:00:06", "printer", NOW + 60});
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\": \"web\", \"macs\": [\"52:54:00:00:00:02\"]},"
		" {\"domain\": \"printer\", \"macs\": [\"52:54:00:00:00:05\"]}]");
	scratch_publish(directory, "lab.addnhosts", "192.168.150.200\tprinter\t\n");
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"web", 0, NOW, "192.168.122.2"}, {"web", 0, NOW + 61, "NODATA"},
		{"web.virbr0", 0, NOW, "192.168.122.2"}, {"web.virbr1", 0, NOW, "192.168.150.4"},
		{"printer", 0, NOW, "192.168.150.200"}, {"printer.virbr0", 0, NOW, "192.168.122.5"},
		{"printer.virbr1", 0, NOW, "192.168.150.6"},
		{"printer.lab", 0, NOW, "192.168.150.200"});
	assert_string_equal(names_of(built, "192.168.122.2", true), "web guest, whatever hostname");
	assert_string_equal(names_of(built, "192.168.122.3", true), "WEB hostname hidden");
	assert_string_equal(names_of(built, "192.168.150.4", true), "web.virbr1 hostname");
	assert_string_equal(names_of(built, "192.168.122.5", true),
		"printer.virbr0 guest, printer hostname hidden");
	assert_int_equal(built_index_events(built, INDEX_EVENT_HOSTNAME_HIDDEN, "WEB"), 1);
	assert_int_equal(built_index_events(built, INDEX_EVENT_HOSTNAME_HIDDEN, "web"), 1);
	built_index_free(built);
	scratch_free(directory);
}

static void test_a_guest_named_like_a_network_keeps_its_address(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "a", NOW},
		{"192.168.122.3", "52:54:00:00:00:03", "web", NOW},
		{"192.168.122.4", "52:54:00:00:00:04", "b", NOW});
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\": \"virbr0\", \"macs\": [\"52:54:00:00:00:02\"]},"
		" {\"domain\": \"web.virbr0\", \"macs\": [\"52:54:00:00:00:04\"]}]");
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"virbr0", 0, NOW, "192.168.122.2"},
		{"web.virbr0", 0, NOW, "192.168.122.4"}, {"web.default", 0, NOW, "192.168.122.3"},
		{"web", 0, NOW, "192.168.122.3"}, {"web.virbr0.virbr0", 0, NOW, "192.168.122.4"});
	built_index_free(built);
	scratch_free(directory);
}

static void test_dots_in_guest_names_make_empty_non_terminals(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "u", NOW});
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\": \"Ubuntu22.04\", \"macs\": [\"52:54:00:00:00:02\"]},"
		" {\"domain\": \"a..b\", \"macs\": []}]");
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"ubuntu22.04", 0, NOW, "192.168.122.2"}, {"04", 0, NOW, "NODATA"},
		{"04.virbr0", 0, NOW, "NODATA"}, {"04.virbr1", 0, NOW, "NXDOMAIN"},
		{"ubuntu22.04.virbr0", 0, NOW, "192.168.122.2"}, {"ubuntu22", 0, NOW, "NXDOMAIN"},
		{"05", 0, NOW, "NXDOMAIN"}, {"b", 0, NOW, "NXDOMAIN"},
		{"ubuntu22.04", 0, NOW + 1, "NODATA"}, {"a..b", 0, NOW, "NODATA"});
	assert_string_equal(
		names_of(built, "192.168.122.2", false), "Ubuntu22.04 guest, u hostname");
	built_index_free(built);
	scratch_free(directory);
}

static void test_a_bridge_with_a_dot_is_a_network_like_any_other(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(
		directory, "br0.100.status", {"192.168.122.2", "52:54:00:00:00:02", "vm", NOW});
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"vm.br0.100", 0, NOW, "192.168.122.2"}, {"br0.100", 0, NOW, "NODATA"},
		{"100", 0, NOW, "NODATA"}, {"x.br0.100", 0, NOW, "NXDOMAIN"});
	built_index_free(built);
	scratch_free(directory);
}

static void test_aliases_yield_to_exact_names_and_to_each_other(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "", NOW},
		{"192.168.122.3", "52:54:00:00:00:03", "", NOW},
		{"192.168.122.4", "52:54:00:00:00:04", "", NOW},
		{"192.168.122.5", "52:54:00:00:00:05", "", NOW},
		{"192.168.122.6", "52:54:00:00:00:06", "", NOW},
		{"192.168.122.7", "52:54:00:00:00:07", "my-box", NOW});
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\": \"DB Server\", \"macs\": [\"52:54:00:00:00:02\"]},"
		" {\"domain\": \"db-server\", \"macs\": [\"52:54:00:00:00:03\"]},"
		" {\"domain\": \"my box\", \"macs\": [\"52:54:00:00:00:04\"]},"
		" {\"domain\": \"my  box\", \"macs\": [\"52:54:00:00:00:05\"]},"
		" {\"domain\": \"Win 11\", \"macs\": [\"52:54:00:00:00:06\"]}]");
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"db server", 0, NOW, "192.168.122.2"},
		{"db-server", 0, NOW, "192.168.122.3"}, {"win-11", 0, NOW, "192.168.122.6"},
		{"win-11", 0, NOW + 1, "NODATA"}, {"win 11", 0, NOW, "192.168.122.6"},
		{"win-11.virbr0", 0, NOW, "192.168.122.6"}, {"my box", 0, NOW, "192.168.122.4"},
		{"my-box", 0, NOW, "192.168.122.7"});
	assert_int_equal(built_index_events(built, INDEX_EVENT_ALIAS_SHARED, "my box"), 1);
	assert_int_equal(built_index_events(built, INDEX_EVENT_ALIAS_SHARED, "my  box"), 1);
	assert_int_equal(built_index_events(built, INDEX_EVENT_ALIAS_SHARED, "DB Server"), 0);
	assert_string_equal(names_of(built, "192.168.122.6", false), "win-11 alias, Win 11 guest");
	assert_string_equal(
		names_of(built, "192.168.122.2", true), "DB Server guest, db-server alias hidden");
	built_index_free(built);
	scratch_free(directory);
}

/* --- Hostile and odd input ----------------------------------------------------------------- */

static void test_hostile_hostnames_hide_only_themselves(void **state)
{
	static const char *const rejected[] = {"localhost", "WPAD", "isatap.example", "hypervisor",
		"HyperVisor.example.org", "libvirt", "libvirt.", "LibVirt.example.org",
		"localhost.", "wpad.example.org.", "two..", "-dash", "dash-", "12345", "10.0.0.1",
		"*.evil name\\\"\\\\x", "a..b", ".", "under score", "x\\u0000y", "\\u00e9t\\u00e9"};
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	for (size_t i = 0; i < sizeof(rejected) / sizeof(rejected[0]); i++) {
		WRITE_LEASES(directory, "virbr0.status",
			{"192.168.122.2", "52:54:00:00:00:02", rejected[i], NOW},
			{"192.168.122.3", "52:54:00:00:00:03", "good_name-1", NOW});
		scratch_publish(directory, "virbr0.macs",
			"[{\"domain\": \"guest\", \"macs\": [\"52:54:00:00:00:02\"]}]");
		built = built_index_new(directory, NULL);
		assert_int_equal(built->event_count, 1);
		assert_int_equal(built->events[0].kind, INDEX_EVENT_HOSTNAME_REJECTED);
		assert_string_equal(built->events[0].network, "virbr0");
		EXPECT_ALL(built, {"guest", 0, NOW, "192.168.122.2"},
			{"good_name-1", 0, NOW, "192.168.122.3"}, {"localhost", 0, NOW, "NXDOMAIN"},
			{"wpad", 0, NOW, "NXDOMAIN"}, {"hypervisor", 0, NOW, "NXDOMAIN"},
			{"libvirt", 0, NOW, "NXDOMAIN"}, {"12345", 0, NOW, "NXDOMAIN"});
		assert_string_equal(names_of(built, "192.168.122.2", false), "guest guest");
		built_index_free(built);
	}
	scratch_free(directory);
}

/* Or any machine could be `www.example.org` for whoever has the module `libvirt` before `dns`. */
static void test_of_a_full_name_the_first_label_is_published(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;
	struct index_value value;

	(void)state;
	WRITE_LEASES(directory, "virbr0.status",
		{"192.168.122.2", "52:54:00:00:00:02", "Vm.Example.Org.", NOW});
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"vm", 0, NOW, "192.168.122.2"}, {"vm.example.org", 0, NOW, "NXDOMAIN"},
		{"org", 0, NOW, "NXDOMAIN"});
	assert_int_equal(index_find(&built->index, INDEX_KEY_HOSTNAME,
				 bytes_of_text("vm.example.org"), &value),
		INDEX_ABSENT);
	assert_int_equal(index_find(&built->index, INDEX_KEY_HOSTNAME, bytes_of_text("vm"), &value),
		INDEX_FOUND);
	assert_string_equal(names_of(built, "192.168.122.2", true),
		"Vm hostname, Vm.Example.Org hostname hidden");
	built_index_free(built);
	scratch_free(directory);
}

static void test_what_lives_longest_comes_first_and_nothing_twice(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(directory, "virbr0.status",
		{"192.168.122.2", "52:54:00:00:00:02", "vm", NOW + 10},
		{"192.168.122.4", "52:54:00:00:00:04", "vm", 0},
		{"192.168.122.3", "52:54:00:00:00:03", "vm", NOW + 20},
		{"192.168.122.3", "52:54:00:00:00:03", "VM", NOW + 5},
		{"fd00::1", "52:54:00:00:00:02", "vm", NOW + 15});
	/* A stale file of another network gives the same address. */
	WRITE_LEASES(
		directory, "virbr1.status", {"192.168.122.3", "52:54:00:00:00:03", "vm", NOW + 7});
	built = built_index_new(directory, NULL);
	EXPECT_ALL(built, {"vm", 4, NOW, "192.168.122.4 192.168.122.3 192.168.122.2"},
		{"vm", 0, NOW, "192.168.122.4 192.168.122.3 fd00::1 192.168.122.2"},
		{"vm", 6, NOW, "fd00::1"}, {"vm", 4, NOW + 11, "192.168.122.4 192.168.122.3"},
		{"vm", 4, NOW + 20, "192.168.122.4 192.168.122.3"},
		{"vm", 4, NOW + 21, "192.168.122.4"}, {"vm", 6, NOW + 16, "NODATA"},
		{"vm.virbr1", 4, NOW, "192.168.122.3"}, {"vm.virbr1", 4, NOW + 8, "NXDOMAIN"});
	assert_int_equal(built_index_events(built, INDEX_EVENT_HOSTNAME_SHARED, "vm"), 1);
	built_index_free(built);
	scratch_free(directory);
}

static void test_reverse_zones_surround_what_is_known(void **state)
{
	static const struct {
		const char *address;
		enum index_match match;
	} cases[] = {
		{"192.168.122.77", INDEX_FOUND},
		{"192.168.150.1", INDEX_FOUND},
		{"10.1.2.0", INDEX_FOUND},
		{"10.1.3.3", INDEX_ABSENT},
		{"127.0.0.56", INDEX_ABSENT},
		{"fd00:150::ffff:1", INDEX_FOUND},
		{"fd00:150:0:1::5", INDEX_ABSENT},
	};
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	/* Expired, reserved without a name, static: all known. */
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "vm", 5});
	scratch_publish(directory, "lab.hostsfile", "52:54:00:00:01:02,192.168.150.12,infinite\n");
	scratch_publish(directory, "lab.addnhosts", "10.1.2.3 x\nfd00:150::5 x\n");
	built = built_index_new(directory, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;

		assert_true(address_parse(bytes_of_text(cases[i].address), &address));
		assert_int_equal(index_find_reverse(&built->index, &address), cases[i].match);
	}
	built_index_free(built);
	scratch_free(directory);
}

static void test_neighbouring_addresses_are_all_found(void **state)
{
	enum { LEASES = 150000 };
	char *directory = scratch_new();
	struct built_index *built;
	struct index_value value;

	(void)state;
	many_leases_write(directory, LEASES, NOW);
	built = built_index_new(directory, NULL);
	for (unsigned i = 0; i < LEASES; i++) {
		struct address address = {.family = ADDRESS_IPV4,
			.octets = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

		if (index_find_address(&built->index, &address, &value) != INDEX_FOUND)
			fail_msg("lease %u is lost", i);
	}
	built_index_free(built);
	scratch_free(directory);
}

static void test_meta_data_comes_back(void **state)
{
	char *directory = scratch_new();
	struct built_index *built;

	(void)state;
	WRITE_LEASES(directory, "virbr1.status", {"192.168.122.2", "52:54:00:00:00:02", "vm", 5});
	built = built_index_new(directory, NULL);
	assert_int_equal(built->meta.version, INDEX_VERSION);
	assert_int_equal(built->meta.built_unix_ns, built_index_options.built_unix_ns);
	assert_int_equal(built->meta.ttl_s, 5);
	assert_int_equal(built->meta.negative_ttl_s, 2);
	assert_int_equal(built->meta.zone_count, 1);
	assert_true(bytes_equal(built->meta.zones[0], bytes_of_text("libvirt")));
	assert_int_equal(built->meta.network_count, 2);
	assert_true(bytes_equal(built->meta.networks[0].bridge, bytes_of_text("virbr0")));
	assert_true(bytes_equal(built->meta.networks[0].name, bytes_of_text("default")));
	assert_true(bytes_equal(built->meta.networks[1].bridge, bytes_of_text("virbr1")));
	assert_int_equal(built->meta.networks[1].name.len, 0);
	assert_int_equal(built->meta.source_count, 2);
	assert_true(bytes_equal(built->meta.sources[0].path, bytes_of_text(directory)));
	assert_int_equal(built->meta.sources[0].stamp.state, SOURCE_DIRECTORY);
	assert_true(bytes_equal(built->meta.sources[1].path,
		bytes_of_text(scratch_path(directory, "virbr1.status"))));
	assert_int_equal(built->meta.sources[1].stamp.state, SOURCE_FILE);
	built_index_free(built);
	scratch_free(directory);
}

/* Far more than a directory may hold files: a search through all networks for each file would take
 * minutes. */
#define NETWORKS    60000
#define CPU_S_MAX   20
#define NAME_OCTETS 32

static void test_a_network_is_found_among_many(void **state)
{
	struct store_directory directory = {.file_count = NETWORKS};
	struct store_file *files = calloc(NETWORKS, sizeof(*files));
	char(*names)[NAME_OCTETS] = calloc(NETWORKS, sizeof(*names));
	static const struct bytes zone = {(const uint8_t *)"libvirt", 7};
	const struct index_options options = {.zones = &zone, .zone_count = 1};
	const clock_t start = clock();
	struct index_draft *draft;
	struct index index;

	(void)state;
	directory.files = calloc(NETWORKS, sizeof(struct store_file *));
	assert_true(files && names && directory.files);
	for (size_t i = 0; i < NETWORKS; i++) {
		snprintf(names[i], sizeof(names[i]), "Br%zu.status", i);
		files[i].name = names[i];
		files[i].format = format_find(names[i]);
		files[i].stem = format_stem_of(files[i].format, names[i]);
		directory.files[i] = &files[i];
	}
	assert_int_equal(index_draft_new(&directory, 1, &options, &draft, &index), PARSER_OK);
	assert_int_equal(index_network(&index, bytes_of_text("br0")), 0);
	assert_int_equal(index_network(&index, bytes_of_text("br59999")), 59999);
	assert_int_equal(index_network(&index, bytes_of_text("br60000")), INDEX_NETWORK_NONE);
	assert_true((clock() - start) / CLOCKS_PER_SEC < CPU_S_MAX);
	index_draft_free(draft);
	free(directory.files);
	free(names);
	free(files);
}

static void test_an_absent_directory_gives_an_index_without_names(void **state)
{
	struct built_index *built = built_index_new("/nonexistent/leases", NULL);

	(void)state;
	EXPECT_ALL(built, {"vm", 0, NOW, "NXDOMAIN"}, {"leasedns", 0, NOW, "127.0.0.56"});
	assert_int_equal(built->meta.source_count, 1);
	assert_int_equal(built->meta.sources[0].stamp.state, SOURCE_ABSENT);
	built_index_free(built);
}

static void test_the_same_files_give_the_same_octets(void **state)
{
	const char *directory = TESTS_DATA_DIR "/captures/guests/1-two-guests";
	struct built_index *first = built_index_new(directory, NULL);
	struct built_index *second = built_index_new(directory, NULL);
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	enum index_key_kind kind;
	struct index_value value;
	struct index_value other;
	struct bytes key;
	uint32_t offset = 0;
	size_t keys = 0;

	(void)state;
	while (index_entry_next(&first->index, &offset, buffer, &kind, &key, &value) == PARSER_OK) {
		assert_int_equal(index_find(&second->index, kind, key, &other), INDEX_FOUND);
		assert_int_equal(value.len, other.len);
		/* The time of observation stands in the meta data. */
		if (kind != INDEX_KEY_META)
			assert_memory_equal(
				first->map + value.offset, second->map + other.offset, value.len);
		keys++;
	}
	assert_true(keys > 20);
	built_index_free(first);
	built_index_free(second);
}

/* The octets of an index, the caller's to free. */
static uint8_t *index_octets(int fd, size_t *out_len)
{
	*out_len = (size_t)lseek(fd, 0, SEEK_END);
	uint8_t *octets = malloc(*out_len);

	assert_non_null(octets);
	assert_int_equal(pread(fd, octets, *out_len, 0), *out_len);
	return octets;
}

static void test_a_stamped_copy_is_the_index_built_anew(void **state)
{
	char *directory = scratch_new();
	const char *leases = directory;
	struct store *store = store_new(&leases, 1);
	int fds[3];
	uint8_t *octets[3];
	size_t lens[3];
	uint64_t generation;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		fds[i] = memfd_create("index", MFD_CLOEXEC);
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "a", NOW},
		{"192.168.122.3", "52:54:00:00:00:03", "b", NOW});
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	generation = store_generation(store);
	assert_int_equal(index_build(store, &built_index_options, fds[0], NULL, NULL), PARSER_OK);
	/* The same content in a new file, and a file of no format: other stamps, the same names. */
	WRITE_LEASES(directory, "virbr0.status", {"192.168.122.2", "52:54:00:00:00:02", "a", NOW},
		{"192.168.122.3", "52:54:00:00:00:03", "b", NOW});
	scratch_publish(directory, "foreign.conf", "x");
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	assert_int_equal(store_generation(store), generation);
	assert_int_equal(index_restamp(fds[0], store, &built_index_options, fds[1]), PARSER_OK);
	assert_int_equal(index_build(store, &built_index_options, fds[2], NULL, NULL), PARSER_OK);
	for (size_t i = 0; i < 3; i++)
		octets[i] = index_octets(fds[i], &lens[i]);
	assert_int_equal(lens[1], lens[2]);
	assert_memory_equal(octets[1], octets[2], lens[2]);
	assert_memory_not_equal(octets[0], octets[2], lens[2]);
	/* Another list of files does not fit. */
	scratch_publish(directory, "virbr1.status", "");
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	assert_int_not_equal(store_generation(store), generation);
	assert_int_equal(
		index_restamp(fds[1], store, &built_index_options, fds[0]), PARSER_E_CORRUPT);
	for (size_t i = 0; i < 3; i++) {
		free(octets[i]);
		close(fds[i]);
	}
	store_free(store);
	scratch_free(directory);
}

static void test_a_full_disk_is_an_error(void **state)
{
	const char *directory = TESTS_DATA_DIR "/captures/leases-v4";
	struct store *store = store_new(&directory, 1);
	int fd = memfd_create("index", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(index_build(store, &built_index_options, fd, NULL, NULL), PARSER_E_IO);
	close(fd);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests_and_hostnames_of_real_files),
		cmocka_unit_test(test_reservations_and_static_hosts_of_real_files),
		cmocka_unit_test(test_leases_of_one_mac_in_both_families_answer_to_its_reservation),
		cmocka_unit_test(test_no_guest_takes_the_name_of_another),
		cmocka_unit_test(test_a_guest_named_like_a_network_keeps_its_address),
		cmocka_unit_test(test_dots_in_guest_names_make_empty_non_terminals),
		cmocka_unit_test(test_a_bridge_with_a_dot_is_a_network_like_any_other),
		cmocka_unit_test(test_aliases_yield_to_exact_names_and_to_each_other),
		cmocka_unit_test(test_hostile_hostnames_hide_only_themselves),
		cmocka_unit_test(test_of_a_full_name_the_first_label_is_published),
		cmocka_unit_test(test_what_lives_longest_comes_first_and_nothing_twice),
		cmocka_unit_test(test_reverse_zones_surround_what_is_known),
		cmocka_unit_test(test_neighbouring_addresses_are_all_found),
		cmocka_unit_test(test_meta_data_comes_back),
		cmocka_unit_test(test_a_network_is_found_among_many),
		cmocka_unit_test(test_an_absent_directory_gives_an_index_without_names),
		cmocka_unit_test(test_the_same_files_give_the_same_octets),
		cmocka_unit_test(test_a_stamped_copy_is_the_index_built_anew),
		cmocka_unit_test(test_a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
