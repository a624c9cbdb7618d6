/** @file What became of a query, in one word: for statistics and the query log. Knows nothing of
 *  either. */
#ifndef SERVER_DNS_ANSWERED_H
#define SERVER_DNS_ANSWERED_H

enum answered {
	ANSWERED_LOCAL,     /**< From one of our zones, NXDOMAIN and NODATA too. */
	ANSWERED_REVERSE,   /**< From a reverse zone of ours. */
	ANSWERED_SPECIAL,   /**< As a name that never leaves the host. */
	ANSWERED_CACHED,    /**< With a kept answer of an upstream server. */
	ANSWERED_STALE,     /**< With one whose time is over. */
	ANSWERED_FORWARDED, /**< By an upstream server, whatever it says. */
	ANSWERED_REFUSED,   /**< REFUSED by us: not our name, and nobody to ask. */
	ANSWERED_FAILED,  /**< SERVFAIL by us: no upstream server had an answer, or we were busy. */
	ANSWERED_INVALID, /**< Malformed, or of a kind that nobody serves: FORMERR, NOTIMP, … */
	ANSWERED_DROPPED, /**< Not at all. */
	ANSWERED_COUNT
};

/** "local", "reverse", …: the same word everywhere. */
const char *answered_word(enum answered answered);

#endif
