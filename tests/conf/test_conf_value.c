#include "conf/conf_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define X15 "xxxxxxxxxxxxxxx"
#define X63 X15 X15 X15 X15 "xxx"

/* 3 * 64 + 61: RFC 1035 section 2.3.4 leaves 253 characters of text. */
#define NAME253 X63 "." X63 "." X63 "." X15 X15 X15 X15 "x"

struct value_case {
	const char *key;
	const char *text;
	enum conf_status status;
};

static const struct value_case zone_cases[] = {
	{"name", "libvirt", CONF_OK},
	{"name", "libvirt.", CONF_OK},
	{"name", "_x.1.-.A", CONF_OK},
	{"name", X63, CONF_OK},
	{"name", X63 "x", CONF_E_VALUE},
	{"name", NAME253, CONF_OK},
	{"name", NAME253 ".", CONF_OK},
	{"name", NAME253 "x", CONF_E_VALUE},
	{"name", ".", CONF_E_VALUE},
	{"name", "..", CONF_E_VALUE},
	{"name", "a..", CONF_E_VALUE},
	{"name", ".a", CONF_E_VALUE},
	{"name", "a..b", CONF_E_VALUE},
	{"name", "a*b", CONF_E_VALUE},
	{"name", "a\\.b", CONF_E_VALUE},
	{"name", "\xC3\xA9", CONF_E_VALUE},
};

static const struct value_case network_cases[] = {
	{"virbr0", "default", CONF_OK},
	{X15, X63, CONF_OK},
	{X15 "x", "a", CONF_E_VALUE},
	{"virbr0", X63 "x", CONF_E_VALUE},
	{"virbr0", "", CONF_E_VALUE},
	{"virbr0", "a b", CONF_E_VALUE},
	{"virbr0", "a.", CONF_E_VALUE},
	{"", "a", CONF_E_VALUE},
	{"a/b", "a", CONF_E_VALUE},
	{"a:b", "a", CONF_E_VALUE},
	{"a b", "a", CONF_E_VALUE},
	{"a\tb", "a", CONF_E_VALUE},
	{"a\x7f", "a", CONF_E_VALUE},
	{".", "a", CONF_E_VALUE},
	{"..", "a", CONF_E_VALUE},
	{"...", "a", CONF_OK},
	{"br0.100", "a", CONF_OK},
};

static void check_cases(enum conf_entry_id id, const struct value_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct conf_error error = {0, ""};
		struct conf conf = {0};
		enum conf_status rc =
			conf_value_set(&conf_table[id], cases[i].key, cases[i].text, &conf, &error);

		if (rc != cases[i].status)
			fail_msg("%s = %s: %d %s", cases[i].key, cases[i].text, rc, error.message);
		assert_int_equal(rc == CONF_OK, error.message[0] == '\0');
		assert_int_equal(conf.zone_count + conf.network_count, rc == CONF_OK ? 1 : 0);
		conf_done(&conf);
	}
}

static void test_zones_are_domain_names_within_their_limits(void **state)
{
	(void)state;
	check_cases(CONF_ZONE_NAME, zone_cases, sizeof(zone_cases) / sizeof(*zone_cases));
}

static void test_networks_are_an_interface_and_a_label(void **state)
{
	(void)state;
	check_cases(
		CONF_NETWORK_BRIDGE, network_cases, sizeof(network_cases) / sizeof(*network_cases));
}

static void test_the_trailing_dot_and_the_case_of_a_zone_are_dropped(void **state)
{
	struct conf_error error;
	struct conf conf = {0};

	(void)state;
	assert_int_equal(
		conf_value_set(&conf_table[CONF_ZONE_NAME], "name", "VMs.LAN.,Z", &conf, &error),
		CONF_OK);
	assert_string_equal(conf.zones[0], "vms.lan");
	assert_string_equal(conf.zones[1], "z");
	conf_done(&conf);
}

/* The memory checkers see whether the earlier value has been freed. */
static void test_a_value_replaces_and_a_refused_one_does_not(void **state)
{
	static const struct {
		enum conf_entry_id id;
		const char *bad;
	} cases[] = {
		{CONF_SERVER_LISTEN, "127.0.0.56 x"},
		{CONF_ZONE_NAME, "a ."},
		{CONF_ZONE_TTL, "x"},
		{CONF_LEASES_LIBVIRT, "/a x"},
		{CONF_INDEX_FILE, "x"},
		{CONF_FORWARD_UPSTREAM, "x"},
		{CONF_FORWARD_UPSTREAM, "192.0.2.1 0.0.0.0"},
		{CONF_FORWARD_CACHE_SIZE, "1048577"},
		{CONF_FORWARD_MAX_TTL, "0"},
		{CONF_FORWARD_SERVE_STALE, "604801"},
		{CONF_LOG_QUERIES, "y"},
	};
	struct conf_error error;
	struct conf conf;

	(void)state;
	assert_int_equal(conf_init_defaults(&conf), CONF_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct conf_entry *entry = &conf_table[cases[i].id];
		struct conf before = conf;

		assert_int_equal(conf_value_set(entry, entry->key, cases[i].bad, &conf, &error),
			CONF_E_VALUE);
		assert_memory_equal(&conf, &before, sizeof(conf));
		assert_int_equal(
			conf_value_set(entry, entry->key, entry->default_text, &conf, &error),
			CONF_OK);
	}
	assert_int_equal(conf.listen_count, 1);
	assert_string_equal(conf.zones[0], "libvirt");
	assert_string_equal(conf.lease_directories[0], "/var/lib/libvirt/dnsmasq");
	conf_done(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones_are_domain_names_within_their_limits),
		cmocka_unit_test(test_networks_are_an_interface_and_a_label),
		cmocka_unit_test(test_the_trailing_dot_and_the_case_of_a_zone_are_dropped),
		cmocka_unit_test(test_a_value_replaces_and_a_refused_one_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
