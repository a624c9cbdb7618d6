/* bench_index [NAMES [LOOKUPS]]: what the index costs: refreshing the store, building, looking a
 * name up in the mapping, and looking one up from a cold open to close, as an NSS module does.
 *
 * Under callgrind, `--toggle-collect=look_up_mapped` counts the lookups alone. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "parser/index_builder.h"
#include "parser/index_file.h"
#include "parser/view.h"
#include "tests/support/built_index.h"
#include "tests/support/many_leases.h"
#include "tests/support/scratch.h"

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Names in an order that a cache does not like. */
static struct bytes some_name(char text[32], size_t i, size_t names)
{
	int len = snprintf(text, 32, "vm-%zu", i * 7919 % names);

	return (struct bytes){(const uint8_t *)text, (size_t)len};
}

static __attribute__((noinline)) size_t look_up_mapped(
	const struct index *index, const char (*texts)[32], const size_t *lens, size_t lookups)
{
	struct index_record record;
	struct view view;
	size_t found = 0;

	for (size_t i = 0; i < lookups; i++) {
		struct bytes name = {(const uint8_t *)texts[i], lens[i]};

		if (view_find(index, INDEX_KEY_NAME, name, 1800000000, &view) == INDEX_NODATA)
			found += view_next(&view, ADDRESS_IPV4, 1800000000, &record);
	}
	return found;
}

static size_t look_up_cold(const char *path, size_t lookups, size_t names)
{
	char text[32];
	size_t found = 0;

	for (size_t i = 0; i < lookups; i++) {
		struct index_record record;
		struct index_window window;
		struct index_value value;
		struct index index;
		uint32_t size;
		int fd;

		if (index_file_open(path, &fd, &size) != PARSER_OK)
			errx(1, "%s: not believed", path);
		if (index_init_sized(&index, fd, size, &window) == PARSER_OK &&
			index_find(&index, INDEX_KEY_NAME, some_name(text, i, names), &value) ==
				INDEX_FOUND)
			found += index_record_at(&value, 0, &record) == PARSER_OK;
		close(fd);
	}
	return found;
}

static void bench_lookups(const struct index *index, const char *path, size_t names, size_t lookups)
{
	char(*texts)[32] = calloc(lookups, sizeof(*texts));
	size_t *lens = calloc(lookups, sizeof(*lens));
	size_t cold = lookups < 20000 ? lookups : 20000;
	double start;
	size_t found;

	if (!texts || !lens)
		err(1, "lookups");
	for (size_t i = 0; i < lookups; i++)
		lens[i] = some_name(texts[i], i, names).len;
	start = seconds();
	found = look_up_mapped(index, texts, lens, lookups);
	printf("mapped lookup: %.0f ns (%zu of %zu found)\n",
		(seconds() - start) / (double)lookups * 1e9, found, lookups);
	start = seconds();
	found = look_up_cold(path, cold, names);
	printf("cold lookup, open to close: %.2f us (%zu of %zu found)\n",
		(seconds() - start) / (double)cold * 1e6, found, cold);
	free(texts);
	free(lens);
}

int main(int argc, char **argv)
{
	size_t names = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	size_t lookups = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	char *directory = scratch_new();
	const char *leases = directory;
	struct store *store = store_new(&leases, 1);
	struct index_file file;
	struct index index;
	double start;
	uint8_t *map;
	off_t octets;
	int fd;

	many_leases_write(directory, names, 1900000000);
	start = seconds();
	if (!store || store_refresh(store, NULL, NULL) != PARSER_OK)
		errx(1, "store");
	printf("%zu leases: refresh %.1f ms", names, (seconds() - start) * 1e3);
	start = seconds();
	if (index_file_create(scratch_path(directory, "index.cdb"), &file) != PARSER_OK ||
		index_build(store, &built_index_options, file.fd, NULL, NULL) != PARSER_OK ||
		index_file_publish(&file, &fd) != PARSER_OK)
		err(1, "index");
	octets = lseek(fd, 0, SEEK_END);
	printf(", build %.1f ms, %lld octets\n", (seconds() - start) * 1e3, (long long)octets);
	map = mmap(NULL, (size_t)octets, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || index_init_memory(&index, map, (size_t)octets) != PARSER_OK)
		errx(1, "the index that was built cannot be read");
	bench_lookups(&index, scratch_path(directory, "index.cdb"), names, lookups);
	munmap(map, (size_t)octets);
	close(fd);
	store_free(store);
	scratch_free(directory);
	return 0;
}
