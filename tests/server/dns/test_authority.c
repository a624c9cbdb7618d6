#include "tests/server/world.h"

#define TYPE_DS     43
#define TYPE_DNSKEY 48

static void test_apex_has_soa_and_ns_with_glue(void **state)
{
	static const struct asking_case cases[] = {
		ASK("libvirt", DNS_TYPE_SOA, "NOERROR aa rd; AN libvirt. 5 " ASKING_SOA_RDATA),
		ASK("libvirt", DNS_TYPE_ANY, "NOERROR aa rd; AN libvirt. 5 " ASKING_SOA_RDATA),
		ASK("libvirt", DNS_TYPE_NS,
			"NOERROR aa rd; AN libvirt. 5 IN NS leasedns.libvirt."
			"; AR leasedns.libvirt. 5 IN A 127.0.0.56"),
		ASK("libvirt", DNS_TYPE_NS,
			"NOERROR aa rd; AN libvirt. 5 IN NS leasedns.libvirt."
			"; AR leasedns.libvirt. 5 IN A 127.0.0.56; EDNS do",
			.udp_octets = 4096, .dnssec_ok = true),
		ASK("LibVirt", DNS_TYPE_SOA,
			"NOERROR aa rd; AN LibVirt. 5 IN SOA "
			"leasedns.LibVirt. hostmaster.LibVirt. 1800000000 1200 180 1209600 2"),
	};

	ASKING_RUN(*state, cases);
}

static void test_glue_has_both_families(void **state)
{
	static const struct index_own_name own_names[] = {
		{{(const uint8_t *)"leasedns", 8}, {ADDRESS_IPV6, {[15] = 1}}},
		{{(const uint8_t *)"leasedns", 8}, {ADDRESS_IPV4, {127, 0, 0, 56}}},
	};
	struct index_options options = built_index_options;
	const struct asking_how how = {.is_tcp = false};

	(void)state;
	options.own_names = own_names;
	options.own_name_count = 2;
	struct asking_world *world = asking_open(NULL, 0, &options);

	assert_string_equal(asking_ask(world, "libvirt", DNS_TYPE_NS, &how),
		"NOERROR aa rd; AN libvirt. 5 IN NS leasedns.libvirt."
		"; AR leasedns.libvirt. 5 IN A 127.0.0.56"
		"; AR leasedns.libvirt. 5 IN AAAA ::1");
	asking_close(world);
}

static void test_other_types_at_the_apex_are_nodata(void **state)
{
	static const uint16_t types[] = {0, DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_TXT, DNS_TYPE_PTR,
		TYPE_DS, TYPE_DNSKEY, 46, 47, 253, 254, 65535};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct asking_how how = {.recursion_available = true};

		assert_string_equal(asking_ask(*state, "libvirt", types[i], &how),
			"NOERROR aa rd ra" ASKING_SOA);
	}
}

static void test_reverse_apex_names_the_server_in_the_canonical_zone(void **state)
{
	static const struct asking_case cases[] = {
		ASK("122.168.192.in-addr.arpa", DNS_TYPE_SOA,
			"NOERROR aa rd; AN 122.168.192.in-addr.arpa. 5 " ASKING_SOA_RDATA),
		ASK("122.168.192.in-addr.arpa", DNS_TYPE_NS,
			"NOERROR aa rd; AN 122.168.192.in-addr.arpa. 5 IN NS leasedns.libvirt."
			"; AR leasedns.libvirt. 5 IN A 127.0.0.56"),
		ASK("122.168.192.in-addr.arpa", TYPE_DS,
			"NOERROR aa rd; NS 122.168.192.in-addr.arpa. 2 " ASKING_SOA_RDATA),
	};

	ASKING_RUN(*state, cases);
}

/* RFC 2308 section 3 and 5: the lesser of the two. */
static void test_negative_ttl_is_the_lesser_of_ttl_and_minimum(void **state)
{
	struct index_options options = built_index_options;
	const struct asking_how how = {.is_tcp = false};

	(void)state;
	options.ttl_s = 10;
	options.negative_ttl_s = 60;
	struct asking_world *world = asking_open(NULL, 0, &options);

	assert_string_equal(asking_ask(world, "nobody.libvirt", 1, &how),
		"NXDOMAIN aa rd; NS libvirt. 10 IN SOA leasedns.libvirt. hostmaster.libvirt. "
		"1800000000 1200 180 1209600 60");
	asking_close(world);
}

/* Compression: the owner and both names in the SOA point to the zone in the question. */
static void test_soa_is_compressed(void **state)
{
	static const char expected[] = "\xc0\x13\0\6\0\1\0\0\0\2\0\x2c"
				       "\x08leasedns\xc0\x13\x0ahostmaster\xc0\x13";
	struct asking_world *world = *state;
	const struct asking_how how = {.is_tcp = false};

	asking_ask(world, "nobody.libvirt", 1, &how);
	assert_memory_equal(world->reply + 12 + 16 + 4, expected, sizeof(expected) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apex_has_soa_and_ns_with_glue),
		cmocka_unit_test(test_glue_has_both_families),
		cmocka_unit_test(test_other_types_at_the_apex_are_nodata),
		cmocka_unit_test(test_reverse_apex_names_the_server_in_the_canonical_zone),
		cmocka_unit_test(test_negative_ttl_is_the_lesser_of_ttl_and_minimum),
		cmocka_unit_test(test_soa_is_compressed),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
