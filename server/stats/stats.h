/** @file Counters of queries and replies. A counter is an increment on the loop thread: no lock, no
 *  allocation. Knows no socket and no clock; who counts hands in the octets and the verdict.
 *
 *  Once nothing waits for an upstream server, the sum of `answered` is that of `queries`. */
#ifndef SERVER_STATS_STATS_H
#define SERVER_STATS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/dns/answer.h"
#include "server/dns/answered.h"
#include "server/dns/question.h"

/** Types and response codes that have a counter of their own; one more is for all others. */
#define STATS_TYPES  14
#define STATS_RCODES 10

struct stats {
	uint64_t queries[2]; /**< Messages that came in: over UDP, over TCP. */
	uint64_t types[STATS_TYPES + 1];
	uint64_t unreadable; /**< Queries without one question that can be read: they have no type.
			      */
	uint64_t answered[ANSWERED_COUNT];
	uint64_t rcodes[STATS_RCODES + 1]; /**< Of replies. */
	uint64_t truncated;                /**< Replies with TC. */
};

/** A message came in.
 *  @param question NULL: none that can be read. */
void stats_count_query(struct stats *stats, bool is_tcp, const struct question *question);

/** It was answered, at once or later.
 *  @param reply empty: not at all, whatever `answered` says. */
void stats_count_reply(struct stats *stats, enum answered answered, struct bytes reply);

/** What became of a query that answer_query() answered or dropped: told from the reply, so that
 *  the answer need not be asked.
 *  @param question NULL: none that can be read.
 *  @param verdict not ANSWER_FORWARD. */
enum answered stats_answered(
	const struct question *question, enum answer_verdict verdict, struct bytes reply);

/** The response code of a reply of ours, 12 bits; those above 15 of one without records. */
uint16_t stats_rcode(struct bytes reply);

/** "A", "HTTPS"; "other" for STATS_TYPES. */
const char *stats_type_word(size_t i);
/** "NOERROR"; "other" for STATS_RCODES. */
const char *stats_rcode_word(size_t i);
/** The name of any response code; RCODE and the number where it has none. Returns `out_text`, or
 *  what needs none. */
#define STATS_RCODE_SIZE 16
const char *stats_rcode_text(uint16_t rcode, char out_text[static STATS_RCODE_SIZE]);

#endif
