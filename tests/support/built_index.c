#include "tests/support/built_index.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parser/view.h"

static const struct bytes default_zones[] = {{(const uint8_t *)"libvirt", 7}};

static const struct index_network default_networks[] = {
	{.bridge = {(const uint8_t *)"virbr0", 6}, .name = {(const uint8_t *)"default", 7}}};

static const struct index_own_name default_own_names[] = {{
	.name = {(const uint8_t *)"leasedns", 8},
	.address = {.family = ADDRESS_IPV4, .octets = {127, 0, 0, 56}},
}};

const struct index_options built_index_options = {
	.zones = default_zones,
	.zone_count = 1,
	.networks = default_networks,
	.network_count = 1,
	.own_names = default_own_names,
	.own_name_count = 1,
	.host_name = {(const uint8_t *)"hypervisor", 10},
	.ttl_s = 5,
	.negative_ttl_s = 2,
	.built_unix_ns = INT64_C(1800000000000000000),
};

static void built_index_event(void *ctx, const struct index_event *event)
{
	struct built_index *built = ctx;

	if (built->event_count == BUILT_INDEX_EVENTS_MAX)
		return;
	built->events[built->event_count].kind = event->kind;
	snprintf(built->events[built->event_count].name, sizeof(built->events[0].name), "%.*s",
		(int)event->name.len, (const char *)event->name.ptr);
	snprintf(built->events[built->event_count].network, sizeof(built->events[0].network),
		"%.*s", (int)event->network.len, (const char *)event->network.ptr);
	built->event_count++;
}

struct built_index *built_index_new(const char *directory, const struct index_options *options)
{
	struct built_index *built = calloc(1, sizeof(*built));
	off_t size;

	if (!built)
		err(1, "built index");
	built->fd = memfd_create("index", MFD_CLOEXEC);
	built->store = store_new(&directory, 1);
	if (built->fd < 0 || !built->store)
		err(1, "built index");
	if (store_refresh(built->store, NULL, NULL) != PARSER_OK)
		errx(1, "store_refresh failed");
	if (index_build(built->store, options ? options : &built_index_options, built->fd,
		    built_index_event, built) != PARSER_OK)
		errx(1, "index_build failed");
	size = lseek(built->fd, 0, SEEK_END);
	built->size = (size_t)size;
	built->map = mmap(NULL, built->size, PROT_READ, MAP_SHARED, built->fd, 0);
	if (built->map == MAP_FAILED)
		err(1, "mmap");
	if (index_init_memory(&built->index, built->map, built->size) != PARSER_OK ||
		index_meta_init(&built->meta, &built->index) != PARSER_OK)
		errx(1, "the index that was built cannot be read");
	return built;
}

void built_index_free(struct built_index *built)
{
	if (!built)
		return;
	index_meta_done(&built->meta);
	munmap(built->map, built->size);
	close(built->fd);
	store_free(built->store);
	free(built);
}

size_t built_index_events(
	const struct built_index *built, enum index_event_kind kind, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < built->event_count; i++)
		count += built->events[i].kind == kind && strcmp(built->events[i].name, name) == 0;
	return count;
}

const char *built_index_addresses(
	const struct built_index *built, const char *name, uint8_t family, int64_t now_unix_s)
{
	static char text[4096];
	struct index_record record;
	struct view view;
	size_t len = 0;

	switch (view_find(&built->index, INDEX_KEY_NAME, bytes_of_text(name), now_unix_s, &view)) {
	case INDEX_CORRUPT:
		return "CORRUPT";
	case INDEX_ABSENT:
		return "NXDOMAIN";
	case INDEX_NODATA:
	case INDEX_FOUND:
		break;
	}
	text[0] = '\0';
	while (view_next(&view, family, now_unix_s, &record)) {
		char address[ADDRESS_TEXT_SIZE];

		address_format(&record.address, address);
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", len ? " " : "", address);
	}
	return len ? text : "NODATA";
}
