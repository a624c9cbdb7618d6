/* What people and programs are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "server/check/check.h"

/* A host with one of each. */
static struct check *example(void)
{
	static const struct check_step steps[] = {
		{.layer = "lease files", .name = "vm", .answer = "10.0.0.2", .is_right = true},
		{.layer = "daemon", .name = "vm.libvirt", .answer = "no reply"},
	};
	struct check *check = calloc(1, sizeof(*check));

	assert_non_null(check);
	check->names.fd = -1;
	check_fact(&check->report, "index", "/run/leasedns/index.cdb: fresh, 12 names");
	check_find(&check->report, CHECK_NSSWITCH_LACKS_US, "it is not there");
	check_mend(&check->report, "write");
	check_mend(&check->report, "    hosts: files leasedns dns");
	check_find(&check->report, CHECK_RESOLVER_NOT_US, "it is another");
	for (int i = 0; i < 10; i++)
		check_find(&check->report, CHECK_NAME_HIDDEN, "name %d", i);
	for (size_t i = 0; i < 2; i++) {
		check->steps[i] = steps[i];
		check->steps[i].name = strdup(steps[i].name);
		check->steps[i].answer = strdup(steps[i].answer);
		check->step_count++;
	}
	return check;
}

static void example_free(struct check *check)
{
	check_done(check);
	free(check);
}

static void test_text_has_facts_steps_findings_and_a_verdict(void **state)
{
	static const char start[] = "ok       index     /run/leasedns/index.cdb: fresh, 12 names\n"
				    "\n"
				    "vm, step by step\n"
				    "ok       lease files  vm          10.0.0.2\n"
				    "-        daemon       vm.libvirt  no reply\n"
				    "\n"
				    "error    nsswitch-lacks-us\n"
				    "         it is not there\n"
				    "         Why:   ";
	static const char mend[] = "\n"
				   "         Mend:  write\n"
				   "                    hosts: files leasedns dns\n"
				   "\n"
				   "error    resolver-not-us\n";
	static const char end[] =
		"         and 2 more like this\n"
		"\n"
		"vm does not resolve as it should: 2 errors, 0 warnings, 10 notes.\n"
		"NSS and DNS both lead to names: mending one of them is enough.\n";
	struct check *check = example();
	char *text;

	(void)state;
	check_report_settle(&check->report, false);
	text = check_print(check, 0, false);
	assert_non_null(text);
	assert_memory_equal(text, start, sizeof(start) - 1);
	assert_non_null(strstr(text, mend));
	assert_string_equal(text + strlen(text) - (sizeof(end) - 1), end);
	free(text);
	example_free(check);
}

static void test_one_way_is_enough_for_a_good_verdict(void **state)
{
	struct check *check = example();
	char verdict[CHECK_VERDICT_SIZE];
	char *text;

	(void)state;
	check_report_settle(&check->report, true);
	check_verdict(check, verdict);
	assert_string_equal(verdict, "vm resolves: 0 errors, 0 warnings, 12 notes.");
	text = check_print(check, 0, false);
	assert_null(strstr(text, "is enough"));
	free(text);
	example_free(check);
}

static void test_lines_fit_a_terminal_but_what_is_copied_stays_whole(void **state)
{
	struct check *check = example();
	char *text;

	(void)state;
	check_report_settle(&check->report, false);
	text = check_print(check, 60, false);
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, "does not resolve") && !strstr(line, "is enough"))
			assert_true(strlen(line) <= 60);
	}
	free(text);
	/* Too narrow for anything: not broken at all. */
	text = check_print(check, 20, false);
	assert_non_null(strstr(text, "                    hosts: files leasedns dns\n"));
	free(text);
	text = check_print(check, 100, true);
	assert_non_null(strstr(text, "\x1b[31merror\x1b[0m    "));
	assert_non_null(strstr(text, "\x1b[32mok\x1b[0m       index"));
	free(text);
	example_free(check);
}

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static const char *get_text(struct json_object *object, const char *key)
{
	return json_object_get_string(get(object, key));
}

static void test_json_has_all_of_it(void **state)
{
	struct check *check = example();
	struct json_object *object;
	struct json_object *part;
	char *text;

	(void)state;
	check_report_settle(&check->report, false);
	text = check_json(check);
	assert_non_null(text);
	object = json_tokener_parse(text);
	assert_non_null(object);
	assert_false(json_object_get_boolean(get(object, "resolves")));
	part = json_object_array_get_idx(get(object, "facts"), 0);
	assert_string_equal(get_text(part, "subject"), "index");
	part = json_object_array_get_idx(get(object, "trace"), 1);
	assert_string_equal(get_text(part, "answer"), "no reply");
	assert_false(json_object_get_boolean(get(part, "right")));
	assert_int_equal(
		json_object_array_length(get(object, "findings")), 2 + CHECK_REPORT_SAME_MAX);
	part = json_object_array_get_idx(get(object, "findings"), 0);
	assert_string_equal(get_text(part, "severity"), "error");
	assert_string_equal(get_text(part, "id"), "nsswitch-lacks-us");
	assert_string_equal(get_text(part, "subject"), "nsswitch");
	assert_int_equal(json_object_array_length(get(part, "mend")), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(get(part, "mend"), 1)),
		"    hosts: files leasedns dns");
	part = json_object_array_get_idx(get(object, "findings"), 2);
	assert_int_equal(json_object_array_length(get(part, "mend")), 0);
	assert_int_equal(json_object_get_int(get(get(object, "omitted"), "name-hidden")), 2);
	json_object_put(object);
	free(text);
	example_free(check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_has_facts_steps_findings_and_a_verdict),
		cmocka_unit_test(test_one_way_is_enough_for_a_good_verdict),
		cmocka_unit_test(test_lines_fit_a_terminal_but_what_is_copied_stays_whole),
		cmocka_unit_test(test_json_has_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
