/** @file An index built from a scratch lease directory, through the real store and builder. */
#ifndef TESTS_SUPPORT_BUILT_INDEX_H
#define TESTS_SUPPORT_BUILT_INDEX_H

#include "parser/index_builder.h"

/** Events are kept up to here. */
#define BUILT_INDEX_EVENTS_MAX 32

struct built_index {
	struct store *store;
	int fd; /**< memfd */
	uint8_t *map;
	size_t size;
	struct index index;
	struct index_meta meta;
	struct {
		enum index_event_kind kind;
		char name[128];
		char network[32];
	} events[BUILT_INDEX_EVENTS_MAX];
	size_t event_count;
};

/** Options that suit most tests: zone `libvirt`, own name `leasedns` at 127.0.0.56, ttl 5,
 *  negative ttl 2, network `virbr0` called `default`, host `hypervisor`. */
extern const struct index_options built_index_options;

/** Builds; fails the process on error. `options` may be NULL. */
struct built_index *built_index_new(const char *directory, const struct index_options *options);
void built_index_free(struct built_index *built);

/** How many events of that kind named `name`. */
size_t built_index_events(
	const struct built_index *built, enum index_event_kind kind, const char *name);

/** The addresses that the merged view gives for `name`, as text, parted by blanks; "NODATA" or
 *  "NXDOMAIN" otherwise. In a static buffer.
 *  @param family ADDRESS_NONE for all. */
const char *built_index_addresses(
	const struct built_index *built, const char *name, uint8_t family, int64_t now_unix_s);

#endif
