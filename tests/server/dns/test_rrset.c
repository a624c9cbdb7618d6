#include "tests/server/world.h"

#include "server/dns/rrset.h"

static void test_ttl_ends_with_the_lease(void **state)
{
	static const struct {
		uint32_t ttl_max_s;
		int64_t expires_unix_s;
		int64_t now_unix_s;
		uint32_t ttl_s;
	} cases[] = {
		{5, 0, 1000, 5},
		{5, 1005, 1000, 5},
		{5, 1004, 1000, 4},
		{5, 1000, 1000, 0},
		{5, 999, 1000, 0},
		{0, 2000, 1000, 0},
		{UINT32_MAX, INT64_MAX, 0, UINT32_MAX},
		{5, INT64_MAX, -1, 5},
		{5, INT64_MIN, INT64_MAX, 0},
		{5, INT64_MAX, INT64_MIN, 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			rrset_ttl(cases[i].ttl_max_s, cases[i].expires_unix_s, cases[i].now_unix_s),
			cases[i].ttl_s);
}

static char *many_leases(unsigned count)
{
	const size_t cap = (size_t)count * 160 + 8;
	char *text = malloc(cap);
	size_t len = 1;

	assert_non_null(text);
	memcpy(text, "[", 2);
	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, cap - len,
			"%s{\"ip-address\":\"10.0.%u.%u\",\"mac-address\":\"52:54:00:01:%02x:%"
			"02x\","
			"\"hostname\":\"m\",\"expiry-time\":0}",
			i ? "," : "", i / 250, i % 250 + 1, i / 250, i % 250 + 1);
	snprintf(text + len, cap - len, "]");
	return text;
}

/* 12 + 11 (m.libvirt) + 4 octets, then 16 a record; OPT takes 11. */
#define RECORDS_IN(octets) (((octets)-27u) / 16u)

static void test_rrset_is_whole_or_truncated(void **state)
{
	static const struct {
		unsigned count;
		struct asking_how how;
		bool fits;
	} cases[] = {
		{RECORDS_IN(512), {.is_tcp = false}, true},
		{RECORDS_IN(512) + 1, {.is_tcp = false}, false},
		{RECORDS_IN(512 - 11), {.udp_octets = 100}, true},
		{RECORDS_IN(512 - 11) + 1, {.udp_octets = 511}, false},
		{RECORDS_IN(800 - 11), {.udp_octets = 800}, true},
		{RECORDS_IN(800 - 11) + 1, {.udp_octets = 800}, false},
		{RECORDS_IN(1232 - 11), {.udp_octets = 1232}, true},
		{RECORDS_IN(1232 - 11) + 1, {.udp_octets = 1300}, false},
		{RECORDS_IN(1232 - 11) + 1, {.udp_octets = 65535}, false},
		{RECORDS_IN(1232 - 11) + 1, {.is_tcp = true, .udp_octets = 512}, true},
		{RECORDS_IN(65535), {.is_tcp = true}, true},
		{RECORDS_IN(65535) + 1, {.is_tcp = true}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *leases = many_leases(cases[i].count);
		const char *const files[][2] = {{"virbr0.status", leases}};
		struct asking_world *world = asking_open(files, 1, NULL);
		uint8_t query[512];
		const size_t len = asking_query("m.libvirt", 1, &cases[i].how, query);

		assert_int_equal(asking_send(world, query, len, &cases[i].how), ANSWER_REPLY);
		const unsigned answers = dns_read_u16(world->reply + 6);
		const bool truncated = (world->reply[2] & 2) != 0;

		if (answers != (cases[i].fits ? cases[i].count : 0) || truncated == cases[i].fits)
			fail_msg("case %zu: %u answers, tc %d", i, answers, truncated);
		ldns_pkt *packet = NULL;

		assert_int_equal(
			ldns_wire2pkt(&packet, world->reply, world->reply_len), LDNS_STATUS_OK);
		ldns_pkt_free(packet);
		asking_close(world);
		free(leases);
	}
}

/* RFC 2181 section 9: addresses of the name server are a courtesy. */
static void test_glue_that_does_not_fit_is_left_out_silently(void **state)
{
	struct asking_world *world = *state;
	const size_t without = 12 + 9 + 4 + 12 + 11;
	const struct asking_how one = {.reply_cap = without + 16};
	const struct asking_how none = {.reply_cap = without + 15};

	assert_string_equal(asking_ask(world, "libvirt", DNS_TYPE_NS, &one),
		"NOERROR aa rd; AN libvirt. 5 IN NS leasedns.libvirt."
		"; AR leasedns.libvirt. 5 IN A 127.0.0.56");
	assert_string_equal(asking_ask(world, "libvirt", DNS_TYPE_NS, &none),
		"NOERROR aa rd; AN libvirt. 5 IN NS leasedns.libvirt.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ttl_ends_with_the_lease),
		cmocka_unit_test(test_rrset_is_whole_or_truncated),
		cmocka_unit_test(test_glue_that_does_not_fit_is_left_out_silently),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
