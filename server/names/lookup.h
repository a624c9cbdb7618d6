/** @file What one name or one address means, as the command line tells it. Pure. */
#ifndef SERVER_NAMES_LOOKUP_H
#define SERVER_NAMES_LOOKUP_H

#include "server/names/listing.h"

/** Zeroed it holds nothing. */
struct lookup {
	enum index_match match;
	struct listing answers; /**< In the order in which they are answered, best first. */
	/** With INDEX_ABSENT or INDEX_NODATA: last second of the last lease that is known to have
	 *  had it; 0: none is known. */
	int64_t ended_unix_s;
	bool is_guest; /**< With INDEX_NODATA: libvirt knows a guest of that name or alias. */
};

/** Looks up a name: as it stands first, then without a zone of ours, as programs do through NSS.
 *  @param name any case, with or without a trailing dot.
 *  @param out_lookup lookup_done() when done with it; untouched on failure.
 *  @return PARSER_OK, also if absent; PARSER_E_CORRUPT, PARSER_E_IO, PARSER_E_NO_MEMORY. */
enum parser_status lookup_name(const struct index *index, const struct index_meta *meta,
	struct bytes name, int64_t now_unix_s, struct lookup *out_lookup);

/** Looks up the names of an address, which a reverse query would tell; INDEX_NODATA if it is
 *  known but has none. As lookup_name(). */
enum parser_status lookup_address(const struct index *index, const struct address *address,
	int64_t now_unix_s, struct lookup *out_lookup);

void lookup_done(struct lookup *lookup);

#endif
