/* What was found, for programs. */
#include "server/check/check.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes `value`; false if it or memory is missing. */
static bool json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool json_add_text(struct json_object *object, const char *key, const char *text)
{
	return json_add(object, key, json_object_new_string(text));
}

/* Takes `value`, also NULL: false then. */
static bool json_append(struct json_object *array, struct json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* Takes the object if it is not whole. */
static struct json_object *json_whole(struct json_object *object, bool is_whole)
{
	if (is_whole)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *json_lines(const char *text)
{
	struct json_object *array = json_object_new_array();
	bool fine = array != NULL;

	while (fine && text && *text) {
		size_t octets = strcspn(text, "\n");

		fine = json_append(array, json_object_new_string_len(text, (int)octets));
		text += octets + (text[octets] ? 1 : 0);
	}
	return json_whole(array, fine);
}

static struct json_object *json_fact(const struct check_fact *fact)
{
	struct json_object *object = json_object_new_object();

	return json_whole(object, json_add_text(object, "subject", fact->subject) &&
					  json_add_text(object, "text", fact->text));
}

static struct json_object *json_finding(const struct check_finding *finding)
{
	const struct check_kind *kind = &check_kinds[finding->id];
	struct json_object *object = json_object_new_object();

	return json_whole(
		object, json_add_text(object, "severity", check_severity_word(finding->severity)) &&
				json_add_text(object, "id", kind->id) &&
				json_add_text(object, "subject", kind->subject) &&
				json_add_text(object, "what", finding->what) &&
				json_add_text(object, "why", kind->why) &&
				json_add(object, "mend", json_lines(finding->mend)));
}

static struct json_object *json_step(const struct check_step *step)
{
	struct json_object *object = json_object_new_object();

	return json_whole(
		object, json_add_text(object, "layer", step->layer) &&
				json_add_text(object, "name", step->name) &&
				json_add_text(object, "answer", step->answer) &&
				json_add(object, "right", json_object_new_boolean(step->is_right)));
}

static struct json_object *json_facts(const struct check *check)
{
	struct json_object *array = json_object_new_array();
	bool fine = array != NULL;

	for (size_t i = 0; fine && i < check->report.fact_count; i++)
		fine = json_append(array, json_fact(&check->report.facts[i]));
	return json_whole(array, fine);
}

static struct json_object *json_findings(const struct check *check)
{
	struct json_object *array = json_object_new_array();
	bool fine = array != NULL;

	for (size_t i = 0; fine && i < check->report.finding_count; i++)
		fine = json_append(array, json_finding(&check->report.findings[i]));
	return json_whole(array, fine);
}

static struct json_object *json_steps(const struct check *check)
{
	struct json_object *array = json_object_new_array();
	bool fine = array != NULL;

	for (size_t i = 0; fine && i < check->step_count; i++)
		fine = json_append(array, json_step(&check->steps[i]));
	return json_whole(array, fine);
}

/* Kinds of which not all were kept, and how many more there were. */
static struct json_object *json_omitted(const struct check *check)
{
	struct json_object *object = json_object_new_object();
	bool fine = object != NULL;

	for (size_t i = 0; fine && i < CHECK_ID_COUNT; i++) {
		if (check->report.omitted[i] > 0)
			fine = json_add(object, check_kinds[i].id,
				json_object_new_int64((int64_t)check->report.omitted[i]));
	}
	return json_whole(object, fine);
}

char *check_json(const struct check *check)
{
	struct json_object *object = json_object_new_object();
	char verdict[CHECK_VERDICT_SIZE];
	const char *json = NULL;
	char *text = NULL;

	check_verdict(check, verdict);
	if (json_add(object, "resolves", json_object_new_boolean(check->names_resolve)) &&
		json_add_text(object, "verdict", verdict) &&
		json_add(object, "facts", json_facts(check)) &&
		json_add(object, "trace", json_steps(check)) &&
		json_add(object, "findings", json_findings(check)) &&
		json_add(object, "omitted", json_omitted(check)))
		json = json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					JSON_C_TO_STRING_NOSLASHESCAPE);
	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	json_object_put(object);
	return text;
}
