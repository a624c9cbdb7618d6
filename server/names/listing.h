/** @file What the index answers, as rows for people: one for each name and address.
 *
 *  Owns copies, so a listing outlives its index. Knows nothing of how rows are printed. */
#ifndef SERVER_NAMES_LISTING_H
#define SERVER_NAMES_LISTING_H

#include "parser/index.h"

/** In the order in which they matter: of two rows with the same name and address only the first
 *  is kept. */
enum listing_state {
	LISTING_LIVE,    /**< DNS and NSS answer it in that second. */
	LISTING_HIDDEN,  /**< Alive, but another kind of name comes first, or it may not be
			      published. */
	LISTING_EXPIRED, /**< Its lease has ended. */
};

struct listing_row {
	struct bytes name; /**< Without zone; any bytes. Points into the row's own memory. */
	bool dns_name;     /**< hostname_is_dns_name(). */
	enum index_kind kind;
	enum listing_state state;
	struct address address; /**< ADDRESS_NONE: a guest that has no living lease. */
	bool has_mac;
	struct mac mac;
	uint16_t network; /**< Position in index_meta.networks, or INDEX_NETWORK_NONE. */
	int64_t expires_unix_s;
};

/** Zeroed it is empty. */
struct listing {
	struct listing_row *rows;
	size_t count;
	size_t cap;
};

enum listing_scope {
	LISTING_SCOPE_LIVE, /**< Without our own name server's name. */
	LISTING_SCOPE_ALL,  /**< Also hidden and expired rows. */
};

/** Gathers the rows of the whole index in that second, sorted by listing_compare_names(), then
 *  address.
 *  @param listing empty; on failure still to be given to listing_done().
 *  @return PARSER_OK, PARSER_E_CORRUPT, PARSER_E_IO, PARSER_E_NO_MEMORY. */
enum parser_status listing_gather(struct listing *listing, const struct index *index,
	const struct index_meta *meta, enum listing_scope scope, int64_t now_unix_s);

/** Adds a row at the end. PARSER_OK or PARSER_E_NO_MEMORY. */
enum parser_status listing_add(struct listing *listing, struct bytes name, enum listing_state state,
	const struct index_record *record);

void listing_done(struct listing *listing);

/** The first second in which some living row ends and the listing will be another; 0: never. */
int64_t listing_next_change(const struct listing *listing, int64_t now_unix_s);

/** True if both say the same. */
bool listing_same(const struct listing *a, const struct listing *b);

/** Orders names as people do: without regard to ASCII case, digits by their value (`vm2` before
 *  `vm10`). 0 only for equal bytes. */
int listing_compare_names(struct bytes a, struct bytes b);

#endif
