/* Any JSON as the daemon's statistics: text for people has no control characters, and text for
 * Prometheus is lines, each a comment or a sample of ours. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/stats/stats_view.h"
#include "tests/fuzz/fuzz_check.h"

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void prometheus_check(const char *text)
{
	CHECK(text != NULL);
	while (*text) {
		const char *end = strchr(text, '\n');

		CHECK(end != NULL);
		CHECK(has_prefix(text, "# HELP leasedns_") ||
			has_prefix(text, "# TYPE leasedns_") || has_prefix(text, "leasedns_"));
		if (text[0] != '#') {
			const char *value = memrchr(text, ' ', (size_t)(end - text));

			CHECK(value && end - value > 1);
			CHECK(strspn(value + 1, "0123456789.") == (size_t)(end - value - 1));
		}
		text = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct table_format format = {0};
	char *input = strndup(size ? (const char *)data : "", size);
	struct json_object *document;
	char *text;

	CHECK(input != NULL);
	document = json_tokener_parse(input);
	if (json_object_is_type(document, json_type_object)) {
		text = stats_view_table(document, &format, true, 1800000000);
		CHECK(text != NULL);
		for (const char *at = text; *at; at++)
			CHECK(*at == '\n' || (unsigned char)*at >= 0x20);
		free(text);
		text = stats_view_prometheus(document);
		prometheus_check(text);
		free(text);
	}
	json_object_put(document);
	free(input);
	return 0;
}
