#include "nss/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW          INT64_C(1000000)

/* What came, as text. */
struct told {
	char text[512];
	size_t room; /* So many are taken. */
};

static bool tell(struct told *told, const char *what)
{
	size_t len = strlen(told->text);

	if (told->room-- == 0)
		return false;
	snprintf(told->text + len, sizeof(told->text) - len, "%s%s", len ? " " : "", what);
	return true;
}

static bool tell_address(void *ctx, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE];

	address_format(address, text);
	return tell(ctx, text);
}

static bool tell_name(void *ctx, struct bytes name, struct bytes zone)
{
	char text[256];

	snprintf(text, sizeof(text), "%.*s|%.*s", (int)name.len, (const char *)name.ptr,
		(int)zone.len, (const char *)zone.ptr);
	return tell(ctx, text);
}

static int setup(void **state)
{
	char *directory = scratch_new();

	scratch_publish(directory, "virbr0.status",
		"[{\"ip-address\":\"10.0.0.1\",\"mac-address\":\"2:0:0:0:0:1\",\"hostname\":"
		"\"web\","
		"\"expiry-time\":1000100},"
		"{\"ip-address\":\"10.0.0.2\",\"mac-address\":\"2:0:0:0:0:1\",\"hostname\":\"web\","
		"\"expiry-time\":1000001},"
		"{\"ip-address\":\"fd00::1\",\"mac-address\":\"2:0:0:0:0:1\",\"hostname\":\"web\","
		"\"expiry-time\":0},"
		"{\"ip-address\":\"10.0.0.3\",\"mac-address\":\"2:0:0:0:0:3\",\"hostname\":\"old\","
		"\"expiry-time\":999999},"
		"{\"ip-address\":\"10.0.0.4\",\"mac-address\":\"2:0:0:0:0:4\",\"hostname\":"
		"\"Wpad\","
		"\"expiry-time\":0},"
		"{\"ip-address\":\"10.0.0.5\",\"mac-address\":\"2:0:0:0:0:5\",\"hostname\":\"in\","
		"\"expiry-time\":0}]");
	scratch_publish(directory, "virbr0.macs",
		"[{\"domain\":\"in\",\"macs\":[\"2:0:0:0:0:1\"]},"
		"{\"domain\":\"Big Box\",\"macs\":[\"2:0:0:0:0:5\"]},"
		"{\"domain\":\"idle\",\"macs\":[]}]");
	*state = directory;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static struct answer_setting setting_of(const struct built_index *built, char module)
{
	return (struct answer_setting){
		.module = module == 'h'   ? &nss_module_libvirt
			  : module == 'g' ? &nss_module_libvirt_guest
					  : &nss_module_leasedns,
		.index = &built->index,
		.ttl_s = 60,
		.now_unix_s = NOW,
		.zone = bytes_of_text("libvirt"),
	};
}

static void test_names_of_each_module(void **state)
{
	static const struct {
		char module;
		const char *name;
		uint8_t family;
		enum nss_outcome outcome;
		const char *told;
		int32_t ttl_s;
	} rows[] = {
		/* Who lives longest comes first; the shortest life is the TTL. */
		{'h', "web", ADDRESS_NONE, NSS_OUTCOME_FOUND, "fd00::1 10.0.0.1 10.0.0.2", 1},
		{'h', "web", ADDRESS_IPV4, NSS_OUTCOME_FOUND, "10.0.0.1 10.0.0.2", 1},
		{'h', "web", ADDRESS_IPV6, NSS_OUTCOME_FOUND, "fd00::1", 60},
		{'h', "web.virbr0", ADDRESS_IPV6, NSS_OUTCOME_FOUND, "fd00::1", 60},
		{'h', "in", ADDRESS_IPV4, NSS_OUTCOME_FOUND, "10.0.0.5", 60},
		{'h', "old", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
		{'h', "wpad", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
		{'h', "idle", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
		{'h', "libvirt", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
		/* The guest, not the lease that says so of itself. */
		{'g', "in", ADDRESS_IPV4, NSS_OUTCOME_FOUND, "10.0.0.1 10.0.0.2", 1},
		{'g', "in.libvirt", ADDRESS_IPV6, NSS_OUTCOME_FOUND, "fd00::1", 60},
		{'g', "big box", ADDRESS_NONE, NSS_OUTCOME_FOUND, "10.0.0.5", 60},
		{'g', "idle", ADDRESS_NONE, NSS_OUTCOME_NODATA, "", -1},
		{'g', "idle.libvirt", ADDRESS_IPV4, NSS_OUTCOME_NODATA, "", -1},
		{'g', "web", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
		{'n', "in", ADDRESS_IPV4, NSS_OUTCOME_FOUND, "10.0.0.1 10.0.0.2", 1},
		{'n', "big-box.libvirt", ADDRESS_NONE, NSS_OUTCOME_FOUND, "10.0.0.5", 60},
		{'n', "big-box", ADDRESS_IPV6, NSS_OUTCOME_NODATA, "", -1},
		{'n', "libvirt", ADDRESS_NONE, NSS_OUTCOME_NODATA, "", -1},
		{'n', "virbr0.libvirt", ADDRESS_NONE, NSS_OUTCOME_NODATA, "", -1},
		{'n', "x.libvirt", ADDRESS_NONE, NSS_OUTCOME_ABSENT, "", -1},
	};
	struct built_index *built = built_index_new(*state, NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer_setting setting = setting_of(built, rows[i].module);
		struct told told = {.room = SIZE_MAX};
		struct lookup_sink sink = {.address = tell_address, .ctx = &told};
		struct question question;
		int32_t ttl_s = -1;

		assert_true(question_init(&question, rows[i].name));
		question_try_zone(&question, setting.zone);
		if (answer_name(&setting, &question, rows[i].family, &sink, &ttl_s) !=
			rows[i].outcome)
			fail_msg("%c %s", rows[i].module, rows[i].name);
		assert_string_equal(told.text, rows[i].told);
		assert_int_equal(ttl_s, rows[i].ttl_s);
	}
	built_index_free(built);
}

static void test_addresses_of_each_module(void **state)
{
	static const struct {
		char module;
		const char *address;
		enum nss_outcome outcome;
		const char *told;
		int32_t ttl_s;
	} rows[] = {
		{'h', "10.0.0.1", NSS_OUTCOME_FOUND, "web|", 60},
		{'h', "10.0.0.2", NSS_OUTCOME_FOUND, "web|", 1},
		{'h', "fd00::1", NSS_OUTCOME_FOUND, "web|", 60},
		{'h', "10.0.0.3", NSS_OUTCOME_ABSENT, "", -1},
		{'h', "10.0.0.4", NSS_OUTCOME_ABSENT, "", -1},
		{'h', "10.0.0.5", NSS_OUTCOME_FOUND, "in|", 60},
		{'h', "10.0.0.9", NSS_OUTCOME_ABSENT, "", -1},
		{'g', "10.0.0.1", NSS_OUTCOME_FOUND, "in|", 60},
		{'g', "10.0.0.4", NSS_OUTCOME_ABSENT, "", -1},
		{'g', "10.0.0.5", NSS_OUTCOME_FOUND, "Big Box|", 60},
		{'n', "10.0.0.1", NSS_OUTCOME_FOUND, "in|libvirt web|libvirt", 60},
		{'n', "10.0.0.4", NSS_OUTCOME_ABSENT, "", -1},
		{'n', "fd00::9", NSS_OUTCOME_ABSENT, "", -1},
	};
	struct built_index *built = built_index_new(*state, NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer_setting setting = setting_of(built, rows[i].module);
		struct told told = {.room = SIZE_MAX};
		struct lookup_sink sink = {.name = tell_name, .ctx = &told};
		struct address address;
		int32_t ttl_s = -1;

		assert_true(address_parse(bytes_of_text(rows[i].address), &address));
		if (answer_address(&setting, &address, &sink, &ttl_s) != rows[i].outcome)
			fail_msg("%c %s", rows[i].module, rows[i].address);
		if (strcmp(told.text, rows[i].told) != 0)
			fail_msg("%c %s: %s", rows[i].module, rows[i].address, told.text);
		assert_int_equal(ttl_s, rows[i].ttl_s);
	}
	built_index_free(built);
}

static void test_full_sink_ends_the_answer(void **state)
{
	struct built_index *built = built_index_new(*state, NULL);
	struct answer_setting setting = setting_of(built, 'n');
	struct question question;
	struct address address;
	int32_t ttl_s = -1;

	assert_true(question_init(&question, "web"));
	assert_true(address_parse(bytes_of_text("10.0.0.1"), &address));
	for (size_t room = 0; room < 3; room++) {
		struct told told = {.room = room};
		struct lookup_sink sink = {
			.address = tell_address, .name = tell_name, .ctx = &told};

		assert_int_equal(answer_name(&setting, &question, ADDRESS_NONE, &sink, &ttl_s),
			NSS_OUTCOME_BUFFER_TOO_SMALL);
		told = (struct told){.room = room};
		if (room < 2)
			assert_int_equal(answer_address(&setting, &address, &sink, &ttl_s),
				NSS_OUTCOME_BUFFER_TOO_SMALL);
		assert_int_equal(ttl_s, -1);
	}
	built_index_free(built);
}

/* The last second in which a lease lives is its "expiry-time". */
static void test_lease_lives_to_its_last_second(void **state)
{
	struct built_index *built = built_index_new(*state, NULL);
	struct answer_setting setting = setting_of(built, 'h');
	struct question question;

	assert_true(question_init(&question, "web"));
	for (int64_t now = 1000000; now <= 1000002; now++) {
		struct told told = {.room = SIZE_MAX};
		struct lookup_sink sink = {.address = tell_address, .ctx = &told};
		int32_t ttl_s = -1;

		setting.now_unix_s = now;
		assert_int_equal(answer_name(&setting, &question, ADDRESS_IPV4, &sink, &ttl_s),
			NSS_OUTCOME_FOUND);
		assert_string_equal(told.text, now <= 1000001 ? "10.0.0.1 10.0.0.2" : "10.0.0.1");
		assert_int_equal(ttl_s, now <= 1000001 ? 1000001 - now : 60);
	}
	built_index_free(built);
}

/* Reads the index by descriptor, which ends before the hash tables. */
static void test_index_that_fails_is_unavailable(void **state)
{
	static const char names[] = {'h', 'g', 'n'};
	struct built_index *built = built_index_new(*state, NULL);
	struct index_window window;
	struct index index;
	struct address address;

	assert_true(address_parse(bytes_of_text("10.0.0.1"), &address));
	assert_int_equal(ftruncate(built->fd, (off_t)built->size - 1024), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct answer_setting setting = setting_of(built, names[i]);
		struct told told = {.room = SIZE_MAX};
		struct lookup_sink sink = {
			.address = tell_address, .name = tell_name, .ctx = &told};
		struct question question;
		int32_t ttl_s = -1;

		setting.index = &index;
		assert_true(question_init(&question, "web.virbr0"));
		assert_int_equal(index_init_fd(&index, built->fd, &window), PARSER_OK);
		assert_false(index_has_failed(&index));
		assert_int_equal(answer_name(&setting, &question, ADDRESS_NONE, &sink, &ttl_s),
			NSS_OUTCOME_UNAVAILABLE);
		assert_true(index_has_failed(&index));
		assert_int_equal(index_init_fd(&index, built->fd, &window), PARSER_OK);
		assert_int_equal(
			answer_address(&setting, &address, &sink, &ttl_s), NSS_OUTCOME_UNAVAILABLE);
		assert_int_equal(ttl_s, -1);
	}
	assert_int_equal(ftruncate(built->fd, (off_t)built->size), 0);
	built_index_free(built);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_of_each_module, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses_of_each_module, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_sink_ends_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_lease_lives_to_its_last_second, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_index_that_fails_is_unavailable, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
