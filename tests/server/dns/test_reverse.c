#include "tests/server/world.h"

#define V4     "122.168.192.in-addr.arpa"
#define V4_SOA "; NS " V4 ". 2 " ASKING_SOA_RDATA
/* fd00:122::/64 */
#define V6       "0.0.0.0.0.0.0.0.2.2.1.0.0.0.d.f.ip6.arpa"
#define V6_SOA   "; NS " V6 ". 2 " ASKING_SOA_RDATA
#define V6_ZEROS "0.0.0.0.0.0.0.0.0.0.0.0.0.0."

static void test_address_has_the_best_name_that_lives(void **state)
{
	static const struct asking_case cases[] = {
		ASK("10." V4, 12, "NOERROR aa rd; AN 10." V4 ". 5 IN PTR vm1.libvirt."),
		ASK("10." V4, 12, "NOERROR aa rd; AN 10." V4 ". 1 IN PTR vm1.libvirt.",
			.later_s = 99),
		ASK("20." V4, 12, "NOERROR aa rd; AN 20." V4 ". 3 IN PTR two.libvirt."),
		ASK("50." V4, 12, "NOERROR aa rd; AN 50." V4 ". 5 IN PTR ubuntu22.04.libvirt."),
		ASK("5." V4, 12, "NOERROR aa rd; AN 5." V4 ". 5 IN PTR printer.libvirt."),
		ASK("80." V4, 12, "NOERROR aa rd; AN 80." V4 ". 5 IN PTR db-server.libvirt."),
		ASK("3.2.1.10.in-addr.arpa", 12,
			"NOERROR aa rd; AN 3.2.1.10.in-addr.arpa. 5 IN PTR both.libvirt."),
		ASK("0.6." V6_ZEROS V6, 12,
			"NOERROR aa rd; AN 0.6." V6_ZEROS V6 ". 5 IN PTR six.libvirt."),
		ASK("10." V4, DNS_TYPE_ANY, "NOERROR aa rd; AN 10." V4 ". 5 IN PTR vm1.libvirt."),
		ASK("10.122.168.192.IN-ADDR.arpa", 12,
			"NOERROR aa rd; AN 10.122.168.192.IN-ADDR.arpa. 5 IN PTR vm1.libvirt."),
	};

	ASKING_RUN(*state, cases);
}

static void test_address_without_a_living_name_does_not_exist(void **state)
{
	static const struct asking_case cases[] = {
		ASK("10." V4, 12, "NXDOMAIN aa rd" V4_SOA, .later_s = 101),
		ASK("40." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("40." V4, 1, "NXDOMAIN aa rd" V4_SOA),
		/* `wpad` is not published. */
		ASK("70." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("99." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("99." V4, 12, "NXDOMAIN aa rd ra" V4_SOA, .recursion_available = true),
		ASK("1.6." V6_ZEROS V6, 12, "NXDOMAIN aa rd" V6_SOA),
	};

	ASKING_RUN(*state, cases);
}

static void test_other_types_of_an_address_are_nodata(void **state)
{
	static const struct asking_case cases[] = {
		ASK("10." V4, 1, "NOERROR aa rd" V4_SOA),
		ASK("10." V4, DNS_TYPE_SOA, "NOERROR aa rd" V4_SOA),
		ASK("10." V4, 43, "NOERROR aa rd" V4_SOA),
		ASK("0.6." V6_ZEROS V6, 28, "NOERROR aa rd" V6_SOA),
	};

	ASKING_RUN(*state, cases);
}

static void test_only_canonical_parts_name_an_address(void **state)
{
	static const struct asking_case cases[] = {
		ASK("010." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("0x0a." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("256." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("266." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("1000." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("-1." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("a." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("\\000." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("1.10." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("10.10.10.10.10." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("g." V6, 12, "NXDOMAIN aa rd" V6_SOA),
		ASK("00." V6, 12, "NXDOMAIN aa rd" V6_SOA),
		ASK("f.0.6." V6_ZEROS V6, 12, "NXDOMAIN aa rd" V6_SOA),
		/* A zone that is written another way is no zone of ours. */
		ASK("10.122.168.0192.in-addr.arpa", 12, "REFUSED rd"),
		ASK("10.0122.168.192.in-addr.arpa", 12, "REFUSED rd"),
		ASK("g.0.0.0.0.0.0.0.2.2.1.0.0.0.d.f.ip6.arpa", 12, "REFUSED rd"),
		ASK("0.g.0.0.0.0.0.0.0.2.2.1.0.0.0.d.f.ip6.arpa", 12, "REFUSED rd"),
	};

	ASKING_RUN(*state, cases);
}

static void test_inner_nodes_exist(void **state)
{
	static const struct asking_case cases[] = {
		ASK(V6, 12, "NOERROR aa rd" V6_SOA),
		ASK("0." V6, 12, "NOERROR aa rd" V6_SOA),
		ASK("6." V6_ZEROS V6, 12, "NOERROR aa rd" V6_SOA),
		ASK("F." V6, DNS_TYPE_ANY, "NOERROR aa rd" V6_SOA),
	};

	ASKING_RUN(*state, cases);
}

static void test_above_and_beside_the_known_networks_is_not_ours(void **state)
{
	static const struct asking_case cases[] = {
		ASK("168.192.in-addr.arpa", 12, "REFUSED rd"),
		ASK("168.192.in-addr.arpa", 12, "FORWARD", .recursion_available = true),
		ASK("in-addr.arpa", 12, "FORWARD", .recursion_available = true),
		ASK("arpa", 12, "FORWARD", .recursion_available = true),
		ASK("1.121.168.192.in-addr.arpa", 12, "FORWARD", .recursion_available = true),
		ASK("0.0.0.0.0.0.0.2.2.1.0.0.0.d.f.ip6.arpa", 12, "FORWARD",
			.recursion_available = true),
		ASK("1.0.0.0.0.0.0.0.2.2.1.0.0.0.d.f.ip6.arpa", 12, "FORWARD",
			.recursion_available = true),
		ASK("10.122.168.192.ip6.arpa", 12, "REFUSED rd"),
		ASK("10.122.168.192.in-addr.arpa.example", 12, "REFUSED rd"),
		/* Our own loopback address is no reverse zone. */
		ASK("56.0.0.127.in-addr.arpa", 12, "REFUSED rd"),
		ASK("10." V4, 12, "REFUSED rd", .class = 3),
	};

	ASKING_RUN(*state, cases);
}

#define LABEL_60 "a23456789012345678901234567890123456789012345678901234567890"
#define FITS     LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 "12"

/* FITS is 3 * 61 + 63 octets on the wire, and with `libvirt` and the root 255. */
static void test_name_that_fits_no_message_is_passed_over(void **state)
{
	static const char *const files[][2] = {
		{"default.addnhosts", "192.168.122.1\t" FITS "\n"
				      "192.168.122.2\t" FITS "3\n"
				      "192.168.122.3\t" FITS "3\tshort\n"}};
	static const struct asking_case cases[] = {
		ASK("1." V4, 12, "NOERROR aa rd; AN 1." V4 ". 5 IN PTR " FITS ".libvirt."),
		ASK("2." V4, 12, "NXDOMAIN aa rd" V4_SOA),
		ASK("3." V4, 12, "NOERROR aa rd; AN 3." V4 ". 5 IN PTR short.libvirt."),
	};
	struct asking_world *world = asking_open(files, 1, NULL);

	(void)state;
	ASKING_RUN(world, cases);
	asking_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_has_the_best_name_that_lives),
		cmocka_unit_test(test_address_without_a_living_name_does_not_exist),
		cmocka_unit_test(test_other_types_of_an_address_are_nodata),
		cmocka_unit_test(test_only_canonical_parts_name_an_address),
		cmocka_unit_test(test_inner_nodes_exist),
		cmocka_unit_test(test_above_and_beside_the_known_networks_is_not_ours),
		cmocka_unit_test(test_name_that_fits_no_message_is_passed_over),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
