/* What a lease file takes of a CPU: the scan for elements alone, the whole parse, and every element
 * by json-c. `bench_parse [LEASES [ROUNDS]]`: LEASES in two files' worth of text, the best and the
 * median of ROUNDS. Under valgrind, give it few of both. */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "parser/format.h"
#include "parser/format_status_internal.h"
#include "parser/json_slices.h"

#define FILES 2

struct document {
	char *text;
	size_t len;
	size_t leases;
};

static void generate(struct document *document, size_t leases, unsigned file)
{
	FILE *stream = open_memstream(&document->text, &document->len);

	if (!stream)
		err(1, "memory");
	fputs("[\n", stream);
	for (size_t i = 0; i < leases; i++)
		fprintf(stream,
			"  {\n    \"ip-address\": \"10.%u.%zu.%zu\",\n"
			"    \"mac-address\": \"52:54:00:%02x:%02zx:%02zx\",\n"
			"    \"hostname\": \"host-%u-%zu\",\n"
			"    \"client-id\": \"01:52:54:00:%02x:%02zx:%02zx\",\n"
			"    \"expiry-time\": %zu\n  }%s\n",
			file, i >> 8, i & 0xff, file, i >> 8, i & 0xff, file, i, file, i >> 8,
			i & 0xff, 1795504086 + i, i + 1 < leases ? "," : "");
	fputs("]\n", stream);
	if (fclose(stream) != 0)
		err(1, "memory");
	document->leases = leases;
}

static size_t count_slices(struct bytes text)
{
	struct json_slices slices;
	struct bytes element;
	size_t count = 0;

	json_slices_init(&slices, text);
	while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0)
		count++;
	return count;
}

static bool count_record(void *ctx, const struct record *record)
{
	*(size_t *)ctx += record->address.family == ADDRESS_IPV4;
	return true;
}

static size_t parse_whole(struct bytes text)
{
	struct format_report report;
	size_t count = 0;

	if (format_parse(&format_libvirt_status, text, count_record, &count, &report) != PARSER_OK)
		errx(1, "line %zu does not parse", report.line);
	return count;
}

static size_t parse_by_json(struct bytes text)
{
	struct json_tokener *tokener = NULL;
	struct json_slices slices;
	struct bytes element;
	size_t count = 0;

	json_slices_init(&slices, text);
	while (json_slices_next(&slices, &element) == PARSER_OK && element.len > 0) {
		struct json_object *object = NULL;
		uint8_t duid[RECORD_DUID_OCTETS_MAX];
		struct status_entry entry;
		struct record record;

		if (format_status_read_json(&tokener, element, &object, &entry) != PARSER_OK)
			errx(1, "json-c refuses an element");
		count += format_status_judge(&entry, duid, &record) == FORMAT_DEFECT_NONE;
		json_object_put(object);
	}
	if (tokener)
		json_tokener_free(tokener);
	return count;
}

static int compare_double(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void measure(const char *what, size_t (*run)(struct bytes), const struct document *documents,
	size_t rounds)
{
	double *took_ms = calloc(rounds, sizeof(*took_ms));

	if (!took_ms)
		err(1, "memory");
	for (size_t round = 0; round < rounds; round++) {
		const double start_ms = cpu_ms();

		for (size_t i = 0; i < FILES; i++) {
			const struct bytes text = {
				(const uint8_t *)documents[i].text, documents[i].len};

			if (run(text) != documents[i].leases)
				errx(1, "%s: leases got lost", what);
		}
		took_ms[round] = cpu_ms() - start_ms;
	}
	qsort(took_ms, rounds, sizeof(*took_ms), compare_double);
	printf("%-24s best %7.2f ms  median %7.2f ms\n", what, took_ms[0], took_ms[rounds / 2]);
	free(took_ms);
}

static size_t argument(int argc, char **argv, int position, size_t otherwise)
{
	return argc > position ? strtoul(argv[position], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	const size_t leases = argument(argc, argv, 1, 100000);
	const size_t rounds = argument(argc, argv, 2, 21);
	struct document documents[FILES] = {{0}};
	size_t octets = 0;

	if (rounds == 0 || leases / FILES + 1 > FORMAT_RECORDS_MAX)
		errx(2, "usage: bench_parse [LEASES [ROUNDS]]");
	for (unsigned i = 0; i < FILES; i++) {
		generate(&documents[i], leases / FILES + (i < leases % FILES), i);
		octets += documents[i].len;
	}
	printf("%zu leases, %zu octets, %zu rounds\n", leases, octets, rounds);
	measure("slices alone", count_slices, documents, rounds);
	measure("whole parse", parse_whole, documents, rounds);
	measure("every element by json-c", parse_by_json, documents, rounds);
	for (size_t i = 0; i < FILES; i++)
		free(documents[i].text);
	return 0;
}
