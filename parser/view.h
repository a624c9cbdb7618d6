/** @file The merged view: what a name below the zone means. DNS and libnss_leasedns both answer
 *  with this.
 *
 *  `vm` takes the best kind that the name has (static before guest before guest alias before DHCP
 *  hostname). `vm.virbr0`, where no static entry or guest is literally called so, takes the best
 *  kind that `vm` has on that network. */
#ifndef PARSER_VIEW_H
#define PARSER_VIEW_H

#include "index.h"

/** The records of one name that count. Its fields are not public. */
struct view {
	struct index_value value;
	size_t position;  /**< Next record. */
	uint16_t network; /**< INDEX_NETWORK_NONE: all. */
	uint8_t rank;     /**< Records of this rank count. */
	bool exists;      /**< Something of it is alive: NODATA rather than ABSENT. */
};

/** Looks a name up.
 *  @param kind INDEX_KEY_NAME for the merged view; INDEX_KEY_HOSTNAME or INDEX_KEY_GUEST for that
 *  kind of name alone.
 *  @param name lower case, without the zone, no trailing dot; not empty (the apex always exists).
 *  @return INDEX_NODATA if the name exists in that second (view_next() then tells the
 *  addresses), INDEX_ABSENT, INDEX_CORRUPT. */
enum index_match view_find(const struct index *index, enum index_key_kind kind, struct bytes name,
	int64_t now_unix_s, struct view *out_view);

/** The next living record of the name with an address of `family` (ADDRESS_NONE: any family), the
 *  one that expires last first; no address comes twice.
 *  @return false at the end. */
bool view_next(
	struct view *view, uint8_t family, int64_t now_unix_s, struct index_record *out_record);

/** Starts again at the first record. */
static inline void view_rewind(struct view *view)
{
	view->position = 0;
}

#endif
