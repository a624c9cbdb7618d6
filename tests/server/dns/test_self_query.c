#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/dns/self_query.h"
#include "server/names/snapshot.h"
#include "tests/support/scratch.h"

/* A zone of an empty lease directory, called `zone_name`. */
static struct zone *zone_called(const char *directory, const char *zone_name)
{
	const struct snapshot_sinks nobody = {0};
	struct zone *zone = NULL;
	struct snapshot_conf conf;
	struct conf_error error;
	struct store *store;
	char text[1024];
	int fd;

	snprintf(text, sizeof(text), "[zone]\nname = %s\n[leases]\nlibvirt = %s\n", zone_name,
		directory);
	scratch_publish(directory, "conf", text);
	assert_int_equal(
		snapshot_conf_load(scratch_path(directory, "conf"), &conf, &error), CONF_OK);
	store = snapshot_store_new(&conf);
	assert_int_equal(snapshot_memory(&conf, store, NULL, &nobody, &fd), PARSER_OK);
	assert_int_equal(zone_new(fd, &zone), PARSER_OK);
	close(fd);
	store_free(store);
	snapshot_conf_done(&conf);
	return zone;
}

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static void test_every_zone_answers_for_itself(void **state)
{
	/* One label, several, the longest label twice. */
	static const char *const names[] = {"libvirt", "virt.example.org", "a", LABEL_63 ".example",
		LABEL_63 "." LABEL_63 ".example"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *directory = scratch_new();
		struct zone *zone = zone_called(directory, names[i]);

		assert_true(self_query_passes(zone, 1800000000));
		/* A clock that is wrong by decades is no reason to restart. */
		assert_true(self_query_passes(zone, 0));
		assert_true(self_query_passes(zone, INT64_MAX));
		zone_free(zone);
		scratch_free(directory);
	}
}

static void test_a_zone_that_lost_its_name_does_not_pass(void **state)
{
	static const char *const wrong[] = {"other", "libvir", "libvirt.x", "", "a..b"};
	char *directory = scratch_new();

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct zone *zone = zone_called(directory, "libvirt");
		struct bytes *first = &zone_meta(zone)->zones[0];

		*first = bytes_of_text(wrong[i]);
		assert_false(self_query_passes(zone, 1800000000));
		zone_free(zone);
	}
	scratch_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_zone_answers_for_itself),
		cmocka_unit_test(test_a_zone_that_lost_its_name_does_not_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
