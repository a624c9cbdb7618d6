/** @file The stages of the index builder: add, join, tidy, write. Private to parser/. */
#ifndef PARSER_BUILD_H
#define PARSER_BUILD_H

#include "grouping.h"
#include "index_builder.h"

/** A name of an address, before it is decided whether the merged view gives it. */
struct build_name {
	struct bytes name; /**< As written. */
	enum index_kind kind;
	struct address address;
	uint16_t network;
	bool has_mac;
	struct mac mac;
	int64_t valid_from_unix_s;
	int64_t expires_unix_s;
	uint32_t sequence; /**< In the order in which the names were read. */
	bool rejected;     /**< May not be published at all. */
	bool plain;        /**< Needs no alias: letters, digits, '-', '_' and '.' only. */
	bool published;    /**< The merged view gives this address for it. */
	bool qualified;    /**< …but only as `name.network`. */
};

struct build_network {
	char *bridge; /**< Lower case; "" if unknown. */
	char *name;   /**< Lower case; "" if unknown. */
};

/** A guest of libvirt. */
struct build_guest {
	struct bytes name;
	struct bytes alias; /**< Owned by build.texts; empty if it needs none. */
};

/** A MAC has few owners; more than libvirt would write have none. */
#define BUILD_OWNERS_MAX 64u

/** A MAC address of a guest. */
struct build_guest_mac {
	size_t guest;     /**< Position in build.guests. */
	uint16_t network; /**< Where libvirt says it is plugged in. */
};

/** Remembers until when leases stand in for a reservation's own address. */
struct build_reservation {
	const struct record *record;
	uint16_t network;
	int64_t leased_until_unix_s; /**< 0: no lease of its family; INT64_MAX: for ever. */
};

/** A block of text that lives as long as the build. */
struct build_text {
	struct build_text *next;
	uint8_t octets[];
};

struct build {
	const struct store_directory *directories;
	size_t directory_count;
	const struct index_options *options;
	index_event_sink sink;
	void *ctx;
	struct build_network *networks;
	size_t network_count;
	size_t network_cap;
	struct build_guest *guests;
	size_t guest_count;
	size_t guest_cap;
	struct build_reservation *reservations;
	size_t reservation_count;
	size_t reservation_cap;
	struct build_text *texts;
	struct grouping *guest_names;  /**< guest name, lower case → size_t, position in guests */
	struct grouping *guest_macs;   /**< MAC → struct build_guest_mac */
	struct grouping *aliases;      /**< alias → size_t, position in guests */
	struct grouping *reserved_for; /**< MAC or DUID → size_t, position in reservations */
	struct grouping *labels;       /**< bridge or network → uint16_t, position in networks */
	struct grouping *records;      /**< kind and name → struct index_record */
	struct grouping *names;        /**< address → struct build_name */
	struct grouping *reverse;      /**< /24 or /64 → nothing */
	uint8_t *best_ranks;           /**< Of each key in `records`, once all is gathered. */
	uint8_t key[1 + INDEX_KEY_OCTETS_MAX];
};

/** The key of `name` under `kind`, in lower case, in build->key until the next call. Empty if it
 *  is too long to be one. */
struct bytes build_key(struct build *build, enum index_key_kind kind, struct bytes name);

/** Statics are reservations of a kind; all others stand for themselves. */
static inline int build_rank(enum index_kind kind)
{
	return kind == INDEX_KIND_RESERVATION ? INDEX_KIND_STATIC : (int)kind;
}

/** What a network is called below the zone: its bridge, which always works, else its name. */
struct bytes build_network_label(const struct build *build, uint16_t network);

/** Tells the caller of index_build(). */
void build_tell(const struct build *build, enum index_event_kind kind, struct bytes name,
	uint16_t network, const struct address *address);

/* build_add.c */

/** A lower-case copy, NUL-terminated, that lives as long as the build. False if memory is short. */
bool build_keep(struct build *build, struct bytes text, struct bytes *out_kept);

/** Makes room for one more element in an array of `count`. False if memory is short. */
bool build_grow(void **array, size_t *cap, size_t count, size_t octets);

/** Enters a record under a name. A name too long to be a key is left out. */
enum parser_status build_add_record(struct build *build, enum index_key_kind kind,
	struct bytes name, const struct index_record *record);

/** Enters the names above a name of several labels. */
enum parser_status build_add_parents(struct build *build, struct bytes name, uint16_t network);

/** Enters the /24 or /64 around an address. */
enum parser_status build_add_reverse(struct build *build, const struct address *address);

/** Notes that `record` gives its address to `name`, for the reverse direction. */
enum parser_status build_add_name(
	struct build *build, const struct index_record *record, struct bytes name, bool rejected);

/** A name for an address in the merged view, both ways. */
enum parser_status build_add_both(
	struct build *build, const struct index_record *record, struct bytes name);

/* build_join.c: one record of the store each, in this order of kinds. */

enum parser_status build_add_guest(
	struct build *build, const struct record *record, uint16_t network);
enum parser_status build_mark_alias(
	struct build *build, const struct record *record, uint16_t network);
enum parser_status build_add_reservation(
	struct build *build, const struct record *record, uint16_t network);
enum parser_status build_add_own_names(struct build *build);
enum parser_status build_add_static(
	struct build *build, const struct record *record, uint16_t network);
enum parser_status build_add_lease(
	struct build *build, const struct record *lease, uint16_t network);
/** After all leases: the reserved address itself. */
enum parser_status build_add_reserved_address(
	struct build *build, const struct build_reservation *reservation);
/** Tells of each guest whose alias is another's as well. */
void build_tell_shared_aliases(const struct build *build);

/* build_tidy.c */

/** The last second of a window, with "never" behind all others. */
int64_t build_end(int64_t expires_unix_s);

/** <0, 0, >0. */
int build_compare_numbers(int64_t a, int64_t b);

/** Sorts the records of one name into the order in which they are answered: by rank, what lives
 *  longest first. Drops what says nothing new of an address and marks duplicates.
 *  @return how many are left; at least one of at least one. */
size_t build_tidy_records(struct index_record *records, size_t count);

/* build_value.c */

/** Room that grows with the largest value and is used for all. Zero it at first. */
struct build_scratch {
	void *items;
	size_t items_octets;
	uint8_t *value; /**< What build_value_*() made. */
	size_t value_octets;
};

void build_scratch_done(struct build_scratch *scratch);
bool build_reserve_value(struct build_scratch *scratch, size_t octets);

/** The value of the key at `position` in build->records, in scratch->value. */
enum parser_status build_value_records(
	struct build *build, struct build_scratch *scratch, size_t position, size_t *out_len);

/** The value of the key at `position` in build->names, in scratch->value: decides which names are
 *  published. */
enum parser_status build_value_names(
	struct build *build, struct build_scratch *scratch, size_t position, size_t *out_len);

/* build_write.c */

/** How many sources build_list_sources() lists. */
size_t build_count_sources(const struct build *build);

/** The sources in the order in which they are compared later: the configuration, then each
 *  directory before its files. Freed by build_free_sources(), also after a failure. */
enum parser_status build_list_sources(
	const struct build *build, struct index_source *sources, size_t *out_count);

/** Frees the paths of files among the sources, and the array. */
void build_free_sources(const struct build *build, struct index_source *sources, size_t count);

/** Writes all that was gathered to `fd`. */
enum parser_status build_write(struct build *build, int fd);

/* index_builder.c */

/** Gathers all records of `directories` under their names. All parameters are borrowed until
 *  build_done(), which is due also after a failure. */
enum parser_status build_init(struct build *build, const struct store_directory *directories,
	size_t directory_count, const struct index_options *options, index_event_sink sink,
	void *ctx);
void build_done(struct build *build);

#endif
