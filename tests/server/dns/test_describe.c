#include "tests/server/world.h"

#include <time.h>

#include "server/dns/describe.h"

static void test_each_address_is_described_as_far_as_known(void **state)
{
	static const struct asking_case cases[] = {
		ASK("vm1.libvirt", 16,
			"NOERROR aa rd; AN vm1.libvirt. 5 IN TXT \"guest=vm1\" "
			"\"hostname=Host-One\" "
			"\"mac=52:54:00:00:00:10\" \"network=default\" \"address=192.168.122.10\" "
			"\"expires=2027-01-15T08:01:40Z\""),
		ASK("two.libvirt", 16,
			"NOERROR aa rd; AN two.libvirt. 5 IN TXT \"hostname=two\" "
			"\"mac=52:54:00:00:00:21\" \"network=default\" \"address=192.168.122.21\" "
			"\"expires=never\""
			"; AN two.libvirt. 5 IN TXT \"hostname=two\" \"mac=52:54:00:00:00:20\" "
			"\"network=default\" \"address=fd00:122::20\" "
			"\"expires=2027-01-15T08:01:40Z\"",
			.later_s = 4),
		ASK("printer.libvirt", 16,
			"NOERROR aa rd; AN printer.libvirt. 5 IN TXT \"network=default\" "
			"\"address=192.168.122.5\" \"expires=never\""),
		ASK("leasedns.libvirt", 16,
			"NOERROR aa rd; AN leasedns.libvirt. 5 IN TXT \"address=127.0.0.56\" "
			"\"expires=never\""),
		/* A network that has no other name than its bridge's. */
		ASK("both.libvirt", 16,
			"NOERROR aa rd; AN both.libvirt. 5 IN TXT \"guest=both\" \"hostname=both\" "
			"\"mac=52:54:00:00:00:a0\" \"network=virbr1\" \"address=10.1.2.3\" "
			"\"expires=never\""),
		/* What the index writes as `both.virbr0` is called `both`. */
		ASK("db-server.libvirt", 16,
			"NOERROR aa rd; AN db-server.libvirt. 5 IN TXT \"guest=DB Server\" "
			"\"hostname=both\" \"mac=52:54:00:00:00:80\" \"network=default\" "
			"\"address=192.168.122.80\" \"expires=never\""),
	};

	ASKING_RUN(*state, cases);
}

static void test_rrset_has_the_least_ttl(void **state)
{
	struct asking_world *world = *state;
	const struct asking_how how = {.later_s = 2};
	const char *text = asking_ask(world, "two.libvirt", 16, &how);
	size_t count = 0;

	for (; (text = strstr(text, "; AN two.libvirt. 1 IN TXT ")) != NULL; text++)
		count++;
	assert_int_equal(count, 3);
}

static void test_hostname_that_is_not_published_is_told_all_the_same(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.7", "07", "wpad", WORLD_NEVER) "]"},
		{"virbr0.macs", "[{\"domain\":\"vm.virbr0\",\"macs\":[\"52:54:00:00:00:07\"]}]"},
	};
	struct asking_world *world = asking_open(files, 2, NULL);
	const struct asking_how how = {.is_tcp = false};

	(void)state;
	/* The guest is really called so. */
	assert_string_equal(asking_ask(world, "vm.virbr0.libvirt", 16, &how),
		"NOERROR aa rd; AN vm.virbr0.libvirt. 5 IN TXT \"guest=vm.virbr0\" "
		"\"hostname=wpad\" \"mac=52:54:00:00:00:07\" \"network=default\" "
		"\"address=192.168.122.7\" \"expires=never\"");
	asking_close(world);
}

/* Two networks may use the same addresses: names go with the MAC address of their lease. */
static void test_names_are_those_of_the_same_client(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.7", "07", "alpha", WORLD_NEVER) "]"},
		{"virbr1.status", "[" WORLD_LEASE("192.168.122.7", "08", "beta", WORLD_NEVER) "]"},
	};
	static const struct asking_case cases[] = {
		ASK("alpha.libvirt", 16,
			"NOERROR aa rd; AN alpha.libvirt. 5 IN TXT \"hostname=alpha\" "
			"\"mac=52:54:00:00:00:07\" \"network=default\" \"address=192.168.122.7\" "
			"\"expires=never\""),
		ASK("beta.libvirt", 16,
			"NOERROR aa rd; AN beta.libvirt. 5 IN TXT \"hostname=beta\" "
			"\"mac=52:54:00:00:00:08\" \"network=virbr1\" \"address=192.168.122.7\" "
			"\"expires=never\""),
	};
	struct asking_world *world = asking_open(files, 2, NULL);

	(void)state;
	ASKING_RUN(world, cases);
	asking_close(world);
}

/* A DHCP hostname that only its network gives, beside a guest who bears that very name. */
static void test_hostname_is_told_without_its_network(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.80", "80", "both", WORLD_NEVER) "]"},
		{"virbr0.macs", "[{\"domain\":\"db\",\"macs\":[\"52:54:00:00:00:80\"]},"
				"{\"domain\":\"both.virbr0\",\"macs\":[\"52:54:00:00:00:99\"]}]"},
		{"virbr1.macs", "[{\"domain\":\"both\",\"macs\":[\"52:54:00:00:00:a0\"]}]"},
		{"virbr1.status", "[" WORLD_LEASE("10.1.2.3", "a0", "x", WORLD_NEVER) "]"},
	};
	struct asking_world *world = asking_open(files, 4, NULL);
	const struct asking_how how = {.is_tcp = false};

	(void)state;
	assert_string_equal(asking_ask(world, "db.libvirt", 16, &how),
		"NOERROR aa rd; AN db.libvirt. 5 IN TXT \"guest=db\" \"hostname=both\" "
		"\"mac=52:54:00:00:00:80\" \"network=default\" \"address=192.168.122.80\" "
		"\"expires=never\"");
	asking_close(world);
}

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* RFC 1035 section 3.3.14: a string has 255 octets at most. The name is none for DNS, but for the
 * host's own lookups; its alias is found here. */
static void test_long_strings_are_cut(void **state)
{
	static const char *const files[][2] = {
		{"virbr0.status", "[" WORLD_LEASE("192.168.122.7", "07", "short", WORLD_NEVER) "]"},
		{"virbr0.macs", "[{\"domain\":\"" HUNDRED HUNDRED HUNDRED
				"\",\"macs\":[\"52:54:00:00:00:07\"]}]"},
	};
	struct asking_world *world = asking_open(files, 2, NULL);
	const struct asking_how how = {.is_tcp = true};
	const char *text = asking_ask(world, "short.libvirt", 16, &how);

	(void)state;
	/* "guest=" and 249 octets. */
	assert_non_null(strstr(text, "\"guest=" HUNDRED HUNDRED TEN TEN TEN TEN "012345678\""));
	assert_non_null(strstr(text, "\"hostname=short\""));
	asking_close(world);
}

static void test_texts_that_do_not_fit_are_left_to_tcp(void **state)
{
	char leases[200 * 160] = "[";
	const char *files[][2] = {{"virbr0.status", leases}};
	const struct asking_how udp = {.udp_octets = 1232};
	const struct asking_how tcp = {.udp_octets = 1232, .is_tcp = true};
	size_t len = 1;

	(void)state;
	for (unsigned i = 1; i <= 100; i++)
		len += (size_t)snprintf(leases + len, sizeof(leases) - len,
			"%s{\"ip-address\":\"192.168.122.%u\",\"mac-address\":\"52:54:00:00:01:%"
			"02x\","
			"\"hostname\":\"many\",\"expiry-time\":0}",
			i > 1 ? "," : "", i, i);
	snprintf(leases + len, sizeof(leases) - len, "]");
	struct asking_world *world = asking_open((const char *const(*)[2])files, 1, NULL);

	assert_string_equal(asking_ask(world, "many.libvirt", 16, &udp), "NOERROR aa tc rd; EDNS");
	assert_string_equal(asking_ask(world, "many.libvirt", 1, &udp), "NOERROR aa tc rd; EDNS");
	assert_null(strstr(asking_ask(world, "many.libvirt", 16, &tcp), " tc"));
	assert_int_equal(dns_read_u16(world->reply + 6), 100);
	assert_null(strstr(asking_ask(world, "many.libvirt", 1, &tcp), " tc"));
	assert_int_equal(dns_read_u16(world->reply + 6), 100);
	asking_close(world);
}

static void test_time_is_rfc_3339(void **state)
{
	static const struct {
		int64_t unix_s;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59Z"},
		{951782399, "2000-02-28T23:59:59Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{951868800, "2000-03-01T00:00:00Z"},
		{1709164800, "2024-02-29T00:00:00Z"},
		{4107542400, "2100-03-01T00:00:00Z"},
		{4107542399, "2100-02-28T23:59:59Z"},
		{INT64_C(253402300799), "9999-12-31T23:59:59Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z"},
		{INT64_MIN, "0001-01-01T00:00:00Z"},
	};
	char text[DESCRIBE_TIME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		describe_time(cases[i].unix_s, text);
		assert_string_equal(text, cases[i].text);
	}
	/* Each day of 800 years, against the C library. */
	for (int64_t day = -400 * 365; day < 400 * 365; day++) {
		const time_t when = (time_t)(day * 86400 + 43210);
		struct tm tm;
		char expected[32];

		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
		describe_time(when, text);
		assert_string_equal(text, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_address_is_described_as_far_as_known),
		cmocka_unit_test(test_rrset_has_the_least_ttl),
		cmocka_unit_test(test_hostname_that_is_not_published_is_told_all_the_same),
		cmocka_unit_test(test_names_are_those_of_the_same_client),
		cmocka_unit_test(test_hostname_is_told_without_its_network),
		cmocka_unit_test(test_long_strings_are_cut),
		cmocka_unit_test(test_texts_that_do_not_fit_are_left_to_tcp),
		cmocka_unit_test(test_time_is_rfc_3339),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
