/** @file Messages between an upstream server and a client: the query that we ask with, the check of
 *  what comes back, and the reply that a client gets of it. Pure functions: no allocation, no
 * clock, no libuv, no names of ours.
 *
 *  Records are carried byte for byte, whatever their type; only TTLs are counted down. OPT is hop
 *  by hop: the upstream's is read and cut off, the client's is our own. Names are walked over and
 *  never followed, so that work is linear in the octets of a message (RFC 9267). */
#ifndef SERVER_FORWARD_MESSAGE_H
#define SERVER_FORWARD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/bytes.h"
#include "server/dns/dns.h"
#include "server/dns/query.h"

/** A name, type and class. */
#define MESSAGE_QUESTION_OCTETS_MAX (DNS_NAME_OCTETS_MAX + DNS_QUESTION_TAIL_OCTETS)
/** OPT without options: the root, and a record's tail. */
#define MESSAGE_OPT_OCTETS (1u + DNS_RECORD_TAIL_OCTETS)
/** The largest query that we send upstream. */
#define MESSAGE_QUERY_OCTETS_MAX \
	(DNS_HEADER_OCTETS + MESSAGE_QUESTION_OCTETS_MAX + MESSAGE_OPT_OCTETS)
/** One random bit for each octet of a name. */
#define MESSAGE_CASE_OCTETS 32u

/** Info codes of extended errors (RFC 8914 section 4) that we tell ourselves. An upstream's may be
 *  any number of 16 bits. */
enum message_ede {
	MESSAGE_EDE_STALE_ANSWER = 3,
	MESSAGE_EDE_CACHED_ERROR = 13,
	MESSAGE_EDE_BLOCKED = 15,
	MESSAGE_EDE_PROHIBITED = 18,
	MESSAGE_EDE_NO_REACHABLE_AUTHORITY = 22,
	MESSAGE_EDE_NETWORK_ERROR = 23,
};
/** No extended error; no info code has this many bits. */
#define MESSAGE_EDE_NONE UINT32_MAX

/** What a datagram, or a message of a TCP stream, is to the query that we sent. */
enum message_verdict {
	MESSAGE_OK,
	/** Ours, with TC: `out_message` has the question and no record. To be asked over TCP. */
	MESSAGE_TRUNCATED,
	/** No reply to this query (id, QR, opcode, question): discard it and keep waiting. */
	MESSAGE_FOREIGN,
	/** Id and question are right, the rest is malformed: whoever sent it, it is no answer. */
	MESSAGE_MALFORMED,
};

/** An upstream's reply, parsed in place. Views live as long as the octets do. */
struct message {
	/** As received up to and without OPT, or to the end of the last record. Additional records
	 * behind OPT are dropped: nothing can be moved over OPT's place without a look into every
	 * RDATA for pointers, and additional records may be left out (RFC 2181 section 9). Usually
	 * OPT is the last. */
	struct bytes octets;
	uint16_t question_octets;
	uint16_t type;  /**< Of the question. */
	uint16_t class; /**< Of the question. */
	uint16_t rcode; /**< 12 bits: OPT's upper bits are included. */
	bool is_truncated;

	uint16_t record_count;     /**< In all sections of `octets`. */
	uint16_t additional_count; /**< Of them in the additional section. */
	/** In the answer section there is a record of the question's type (any, for ANY). If not,
	 *  NOERROR means NODATA, maybe at the end of aliases (RFC 2308 section 2.2), or a referral.
	 */
	bool has_answer;
	uint32_t ttl_min_s; /**< Of all records of `octets`; 0 if there is none. */
	bool has_soa;       /**< A well-formed SOA in the authority section. */
	/** The least of TTL and MINIMUM of that SOA (RFC 2308 section 5); 0 without one. */
	uint32_t negative_ttl_s;

	bool has_edns;
	bool dnssec_ok;
	uint16_t udp_octets;     /**< What the upstream takes; 0 without OPT. */
	uint32_t extended_error; /**< Info code of the first one, or MESSAGE_EDE_NONE. */
};

/** Says whether `octets` is the well-formed reply to exactly one query: QR=1, opcode QUERY, the id,
 *  one question, equal byte for byte with its case (RFC 5452 section 9.1, 0x20).
 *  @param octets at most 65,535.
 *  @param question as it was sent: name, type, class.
 *  @param out_message set for MESSAGE_OK and MESSAGE_TRUNCATED only. */
enum message_verdict message_check(
	struct bytes octets, uint16_t id, struct bytes question, struct message *out_message);

/** Writes where in `octets` each record's TTL stands: `record_count` offsets. */
void message_ttl_offsets(const struct message *message, uint16_t *out_offsets);

/** What replies to clients are made of: of a message just received, or of one in a cache. */
struct message_reply {
	struct bytes octets; /**< As in struct message; its question is replaced. */
	uint16_t question_octets;
	uint16_t rcode; /**< 12 bits. */
	uint16_t additional_count;
	uint32_t extended_error; /**< Or MESSAGE_EDE_NONE. */

	/** TTLs to count down: none for a reply just received. */
	const uint16_t *ttl_offsets;
	uint16_t ttl_count;
	uint32_t age_s;
	/** TTLs that are over become MESSAGE_STALE_TTL_S, others at most that. */
	bool is_stale;
};
/** RFC 8767 section 4. */
#define MESSAGE_STALE_TTL_S 30u

/** A received reply as the source of a client's. `message` must outlive it. */
struct message_reply message_reply_of(const struct message *message);

/** What a reply depends on of the client that gets it. Holds no pointer: may wait for long. */
struct message_client {
	uint16_t id;
	bool recursion_desired;
	bool checking_disabled;
	bool wants_ad; /**< Sent AD or DO (RFC 6840 section 5.7). */
	bool has_edns;
	bool dnssec_ok;
	/** The whole reply's: 65,535 over TCP; over UDP what the client takes, at least 512 and at
	 *  most 1232 (RFC 6891 section 6.2.3). */
	uint16_t reply_octets_max;
	uint16_t question_octets;
	/** In the case of the client. */
	uint8_t question[MESSAGE_QUESTION_OCTETS_MAX];
};

/** @param query one that query_parse() found QUERY_OK. */
void message_client_of(const struct query *query, bool is_tcp, struct message_client *out_client);

/** Writes the reply to a client: its id, question, RD and CD; RA=1; AD only if it wants it; AA, TC
 *  and the response code of the upstream (SERVFAIL if the code needs an OPT and the client has
 *  none); our OPT if it has one, with the extended error if that fits. What does not fit is cut
 *  to question and OPT with TC.
 *  @param reply its question is the client's but for case.
 *  @param out_octets room for `client->reply_octets_max`; no overlap with `reply`.
 *  @return octets written. */
size_t message_to_client(const struct message_reply *reply, const struct message_client *client,
	uint8_t *out_octets);

/** Writes a reply that has a response code and no record.
 *  @param extended_error an info code, or MESSAGE_EDE_NONE.
 *  @param out_octets room for 512 octets. @return octets written. */
size_t message_error_to_client(const struct message_client *client, enum dns_rcode rcode,
	uint32_t extended_error, uint8_t *out_octets);

/** Writes the query that an upstream gets: RD=1; AD=1, so that one reply serves clients that want
 *  AD and those that do not; CD and DO of the client; our own OPT without options.
 *  A client's TSIG is not carried on: it signs another id (a signed query is not for us).
 *  @param question name, type and class, well-formed (of struct query or struct cache_key).
 *  @param case_bits for each octet of the name a random bit, which is a letter's case (0x20);
 *  NULL leaves the case as it is.
 *  @return octets written. The question that message_check() wants follows the header. */
size_t message_query_to_upstream(struct bytes question, bool dnssec_ok, bool checking_disabled,
	uint16_t id, const uint8_t *case_bits, uint8_t out_octets[static MESSAGE_QUERY_OCTETS_MAX]);

#endif
