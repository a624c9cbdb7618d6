#include "conf/conf_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_entries_are_complete_and_sections_hold_together(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		const struct conf_entry *entry = &conf_table[i];

		assert_non_null(entry->section);
		assert_non_null(entry->key);
		assert_non_null(entry->help);
		assert_true(entry->min <= entry->max);
		assert_true(!!entry->key_prefix == (entry->default_text == NULL));
		assert_int_equal(conf_table_find(entry->section, entry->key), i);
		for (unsigned j = i + 2; j < CONF_ENTRY_COUNT; j++) {
			if (strcmp(entry->section, conf_table[j].section) == 0)
				assert_string_equal(entry->section, conf_table[j - 1].section);
		}
	}
}

static void test_help_fits_a_screen(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		const char *line = conf_table[i].help;

		while (line) {
			size_t len = strcspn(line, "\n");

			assert_in_range(len, 1, 84);
			line = line[len] ? line + len + 1 : NULL;
		}
	}
}

static void test_only_exact_names_are_found(void **state)
{
	(void)state;
	assert_int_equal(conf_table_find("zone", "ttl"), CONF_ZONE_TTL);
	assert_int_equal(conf_table_find("network", "anything"), CONF_NETWORK_BRIDGE);
	assert_int_equal(conf_table_find("forward", "zone.a"), CONF_FORWARD_ZONE);
	assert_int_equal(conf_table_find("forward", "zone"), CONF_ENTRY_NONE);
	assert_int_equal(conf_table_find("zone", "TTL"), CONF_ENTRY_NONE);
	assert_int_equal(conf_table_find("zone", ""), CONF_ENTRY_NONE);
	assert_int_equal(conf_table_find("server", "ttl"), CONF_ENTRY_NONE);
	assert_true(conf_table_has_section("zone]", 4));
	assert_false(conf_table_has_section("zone", 3));
	assert_false(conf_table_has_section("zones", 5));
}

static void test_slips_are_guessed_and_other_words_are_not(void **state)
{
	static const struct {
		const char *section;
		const char *written;
		enum conf_entry_id guess;
	} keys[] = {
		{"zone", "TTL", CONF_ZONE_TTL},
		{"zone", "tl", CONF_ZONE_TTL},
		{"zone", "ttls", CONF_ZONE_TTL},
		{"zone", "tttl", CONF_ZONE_TTL},
		{"zone", "nome", CONF_ZONE_NAME},
		{"zone", "negativ-tl", CONF_ZONE_NEGATIVE_TTL},
		{"zone", "tt1x", CONF_ENTRY_NONE},
		{"zone", "", CONF_ENTRY_NONE},
		{"zone", "negative-ttl-of-the-zone", CONF_ENTRY_NONE},
		{"server", "lsiten", CONF_SERVER_LISTEN},
		{"server", "port", CONF_ENTRY_NONE},
		{"server", "upstream", CONF_FORWARD_UPSTREAM},
		{"server", "BRIDGE", CONF_ENTRY_NONE},
		{"nowhere", "ttl", CONF_ZONE_TTL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		assert_int_equal(
			conf_table_guess_key(keys[i].section, keys[i].written), keys[i].guess);
	assert_string_equal(conf_table_guess_section("severs", 6), "server");
	assert_string_equal(conf_table_guess_section("ZONE", 4), "zone");
	assert_null(conf_table_guess_section("cache", 5));
	assert_null(conf_table_guess_section("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_are_complete_and_sections_hold_together),
		cmocka_unit_test(test_help_fits_a_screen),
		cmocka_unit_test(test_only_exact_names_are_found),
		cmocka_unit_test(test_slips_are_guessed_and_other_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
