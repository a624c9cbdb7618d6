/** @file Builds the index from a store of lease records: joins guests with leases by MAC address,
 *  reservations with leases by MAC or DUID, decides which name may be published, and writes the
 *  cdb. Deterministic: the same store and options give the same answers, whoever builds. */
#ifndef PARSER_INDEX_BUILDER_H
#define PARSER_INDEX_BUILDER_H

#include "index.h"
#include "store.h"

/** A name that the configuration gives to an address. Loopback addresses are allowed here; they
 *  get no reverse entry. */
struct index_own_name {
	struct bytes name;
	struct address address;
};

/** All views are borrowed for the call. */
struct index_options {
	/** At least one; canonical first; lower case, no trailing dot. */
	const struct bytes *zones;
	size_t zone_count;
	const struct index_network *networks; /**< From the configuration: bridge and name. */
	size_t network_count;
	const struct index_own_name *own_names;
	size_t own_name_count;
	struct bytes host_name; /**< What this host calls itself; no guest may. May be empty. */
	uint32_t ttl_s;
	uint32_t negative_ttl_s;
	const struct index_source *sources; /**< Sources besides the store's: configuration file. */
	size_t source_count;
	int64_t built_unix_ns;
};

enum index_event_kind {
	INDEX_EVENT_HOSTNAME_REJECTED, /**< A DHCP hostname that may not be published. */
	INDEX_EVENT_NAME_REJECTED,     /**< A static or reserved name that cannot be one. */
	INDEX_EVENT_ALIAS_SHARED,      /**< Two guests have this alias: published for neither. */
	INDEX_EVENT_HOSTNAME_HIDDEN,   /**< A DHCP hostname that a guest or static name beats. */
	INDEX_EVENT_HOSTNAME_SHARED,   /**< Live leases of different MACs share a DHCP hostname. */
};

struct index_event {
	enum index_event_kind kind;
	struct bytes name;    /**< Hostile bytes: escape before printing. */
	struct bytes network; /**< Bridge or network where it was seen. */
	struct address address;
};

typedef void (*index_event_sink)(void *ctx, const struct index_event *event);

/** Builds the index into `fd`, an empty regular file opened for reading and writing.
 *  @param sink may be NULL.
 *  @return PARSER_OK; PARSER_E_NO_MEMORY, PARSER_E_IO (errno), PARSER_E_LIMIT (it would be larger
 *  than INDEX_FILE_OCTETS_MAX). What is in the file is void unless PARSER_OK. */
enum parser_status index_build(const struct store *store, const struct index_options *options,
	int fd, index_event_sink sink, void *ctx);

/** Writes a copy of an index with the stamps that the store has now: for when nothing but those
 *  changed since it was built (store_generation()), under the same configuration.
 *  @param old_fd the index; not changed.
 *  @param fd as for index_build().
 *  @return PARSER_OK; PARSER_E_CORRUPT if it was built from other sources; PARSER_E_NO_MEMORY,
 *  PARSER_E_IO. */
enum parser_status index_restamp(
	int old_fd, const struct store *store, const struct index_options *options, int fd);

#endif
