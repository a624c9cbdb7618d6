#include "tests/support/many_leases.h"

#include <err.h>
#include <stdio.h>

#include "tests/support/scratch.h"

#define LEASES_PER_FILE 60000u

static void write_lease(FILE *stream, size_t i, int64_t expires_unix_s, int is_first)
{
	fprintf(stream,
		"%s  {\n"
		"    \"ip-address\": \"10.%zu.%zu.%zu\",\n"
		"    \"mac-address\": \"52:54:00:%02zx:%02zx:%02zx\",\n"
		"    \"hostname\": \"vm-%zu\",\n"
		"    \"client-id\": \"01:52:54:00:%02zx:%02zx:%02zx\",\n"
		"    \"expiry-time\": %lld\n"
		"  }",
		is_first ? "" : ",\n", i / 65536 % 256, i / 256 % 256, i % 256, i / 65536 % 256,
		i / 256 % 256, i % 256, i, i / 65536 % 256, i / 256 % 256, i % 256,
		(long long)expires_unix_s);
}

void many_leases_write(const char *directory, size_t count, int64_t expires_unix_s)
{
	char aside[32];
	char name[32];

	for (size_t done = 0, file = 0; done < count; file++) {
		FILE *stream;
		size_t end = done + LEASES_PER_FILE < count ? done + LEASES_PER_FILE : count;

		snprintf(aside, sizeof(aside), "virbr%zu.status.new", file);
		snprintf(name, sizeof(name), "virbr%zu.status", file);
		stream = fopen(scratch_path(directory, aside), "w");
		if (!stream)
			err(1, "%s", aside);
		fputs("[\n", stream);
		for (size_t i = done; i < end; i++)
			write_lease(stream, i, expires_unix_s, i == done);
		fputs("\n]\n", stream);
		if (fclose(stream) != 0 ||
			rename(scratch_path(directory, aside), scratch_path(directory, name)) < 0)
			err(1, "%s", name);
		done = end;
	}
}
