/** @file Names that mean nothing outside this host or its site, and so never go to an upstream:
 *  special-use names and private reverse zones. Answers them as their RFCs say. Pure. */
#ifndef SERVER_FORWARD_SPECIAL_H
#define SERVER_FORWARD_SPECIAL_H

#include <stddef.h>
#include <stdint.h>

#include "server/dns/query.h"

enum special_kind {
	SPECIAL_ABSENT,    /**< It and all below is NXDOMAIN. */
	SPECIAL_EMPTY,     /**< A zone with SOA and NS only: NXDOMAIN below (RFC 6303 section 3). */
	SPECIAL_NODATA,    /**< Every name is there, and none has data. */
	SPECIAL_LOCALHOST, /**< It and all below is this host (RFC 6761 section 6.3). */
	SPECIAL_LOOPBACK,  /**< As SPECIAL_EMPTY, and 127.0.0.1 or ::1 is "localhost". */
};

struct special_name {
	const char *name; /**< Wire format, lower case. */
	uint8_t octets;   /**< With the root. */
	enum special_kind kind;
	const char *source; /**< Where that is said. */
};

/** The special name that the question's name is, or is below; NULL if there is none.
 *  @param query one that query_parse() found QUERY_OK. */
const struct special_name *special_find(const struct query *query);

/** Writes the reply to a question for a special name.
 *  @param limit octets that the reply may have: at least 512.
 *  @return its octets. */
size_t special_answer(const struct special_name *special, const struct query *query,
	uint8_t *octets, size_t limit);

#endif
