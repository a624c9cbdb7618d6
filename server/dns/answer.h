/** @file Query bytes in, reply bytes out. A pure function: zone, limits and time are arguments;
 *  no libuv, no clock, no allocation, no logging, no globals. */
#ifndef SERVER_DNS_ANSWER_H
#define SERVER_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/bytes.h"
#include "server/dns/zone.h"

/** 1280 (IPv6 minimum MTU) - 40 - 8: never fragmented. DNS Flag Day 2020, RFC 9715. */
#define ANSWER_UDP_OCTETS_MAX 1232u
/** RFC 1035 section 4.2.2: two octets of length. */
#define ANSWER_TCP_OCTETS_MAX 65535u

struct answer_limits {
	bool is_tcp;              /**< No truncation below ANSWER_TCP_OCTETS_MAX. */
	bool recursion_available; /**< Questions outside our zones get ANSWER_FORWARD, not REFUSED.
				   */
};

enum answer_verdict {
	ANSWER_REPLY,   /**< Send `reply`. */
	ANSWER_FORWARD, /**< Not ours: ask upstream. Nothing was written. */
	ANSWER_DROP,    /**< Not a query (QR=1, under 12 octets): send nothing. */
};

/** Answers one message.
 *
 *  Where a standard leaves a choice, or asks for more than this server is, it is made here so:
 *  - Every opcode but QUERY is NOTIMP, UPDATE and NOTIFY too; there is nothing to update, and no
 *    zone of anybody else's to be told of.
 *  - TSIG (RFC 8945): there are no keys, so a signed question gets NOTAUTH with an unsigned TSIG
 *    and BADKEY (section 5.2.1). Where we forward, forward_answer() says that of questions outside
 *    our zones: forwarded unchanged, as section 5.5 has it, they would take the client's id, case
 *    and options past all that keeps replies from being forged, and changed they are not signed.
 *  - EDNS (RFC 6891): version 0, 1232 octets, DO copied, no options. A client's COOKIE is ignored;
 *    one without a question gets an empty NOERROR.
 *  - Any octet that does not belong to the message by its own counts makes it FORMERR.
 *  - Class IN only: CH and ANY are REFUSED, never forwarded; so are AXFR, IXFR, TKEY, TSIG.
 *    MAILA, MAILB and types that nobody knows are types that no name has: NODATA.
 *  - ANY gets one RRset (RFC 8482): SOA at an apex, else A, else AAAA; PTR.
 *  - TC is set if a required RRset (the answer, or the SOA of a negative answer) does not fit;
 *    then none of it is in the reply. Addresses of the name server are left out without TC.
 *
 *  @param now_unix_s seconds of unix time: leases that ended before are gone.
 *  @param query the whole message, without TCP's length prefix.
 *  @param reply room for at least ANSWER_UDP_OCTETS_MAX octets; no overlap with `query`. With less
 *  than header, question and OPT need, the verdict is ANSWER_DROP.
 *  @param out_reply_len set for ANSWER_REPLY only; at most `reply_cap`. */
enum answer_verdict answer_query(const struct zone *zone, const struct answer_limits *limits,
	int64_t now_unix_s, struct bytes query, uint8_t *reply, size_t reply_cap,
	size_t *out_reply_len);

#endif
