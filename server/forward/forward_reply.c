/* What a server says: whether it is the reply at all, whether it is an answer, and what follows if
 * it is not. */
#include <stdlib.h>
#include <string.h>

#include "server/forward/forward_query.h"

static struct bytes attempt_question(const struct forward_attempt *attempt)
{
	return (struct bytes){
		attempt->octets + 2 + DNS_HEADER_OCTETS, attempt->query->key.question_octets};
}

/* How good a reply is that does not answer; 0: it does. */
static unsigned reply_rank(const struct message *message)
{
	if (message->is_truncated)
		return FORWARD_RANK_TRUNCATED;
	switch (message->rcode) {
	case DNS_RCODE_SERVFAIL:
		return 3; /* May carry an extended error that says why. */
	case DNS_RCODE_REFUSED:
		return 2;
	case DNS_RCODE_FORMERR:
	case DNS_RCODE_NOTIMP:
	case DNS_RCODE_NOTAUTH:
	case DNS_RCODE_BADVERS:
		return 1;
	default:
		return 0;
	}
}

static void query_keep_best(
	struct forward_query *query, const uint8_t *octets, size_t len, unsigned rank)
{
	uint8_t *copy;

	if (rank <= query->best_rank)
		return;
	copy = malloc(len);
	if (!copy)
		return;
	memcpy(copy, octets, len);
	free(query->best);
	query->best = copy;
	query->best_len = len;
	query->best_rank = rank;
}

/* RFC 6891 section 7: who does not know OPT says FORMERR, or NOTIMP, without one. */
static bool is_edns_trouble(const struct forward_attempt *attempt, const struct message *message)
{
	if (!attempt->has_edns)
		return false;
	return message->rcode == DNS_RCODE_BADVERS ||
	       ((message->rcode == DNS_RCODE_FORMERR || message->rcode == DNS_RCODE_NOTIMP) &&
		       !message->has_edns);
}

/* Some send back the header alone, which is enough to be asked again, and for nothing else. */
static bool is_bare_edns_trouble(
	const struct forward_attempt *attempt, const uint8_t *octets, size_t len)
{
	static const uint8_t no_counts[8];
	const uint8_t rcode = len == DNS_HEADER_OCTETS ? octets[3] & 0x0f : DNS_RCODE_NOERROR;

	return attempt->has_edns && (rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP) &&
	       dns_read_u16(octets) == attempt->id && (octets[2] & 0xf8) == 0x80 &&
	       memcmp(octets + 4, no_counts, sizeof(no_counts)) == 0;
}

static void query_ask_without_edns(struct forward_query *query, struct forward_attempt *attempt)
{
	const uint8_t server = attempt->server;
	const bool is_tcp = attempt->is_tcp;
	const enum forward_reason reason = attempt->reason;

	query->refused_edns |= 1u << server;
	forward_attempt_close(attempt);
	forward_query_send(query, server, reason, is_tcp, false);
}

static void attempt_has_replied(struct forward_attempt *attempt)
{
	const uint64_t took_us = (uv_hrtime() - attempt->sent_ns) / 1000;

	/* A connection takes longer than a datagram, and is not what is compared. */
	upstream_replied(forward_attempt_server(attempt), attempt->is_tcp ? 0 : (uint32_t)took_us);
	attempt->query->refused_in_turn = 0;
}

static bool is_asked_over_tcp(const struct forward_query *query, uint8_t server)
{
	for (const struct forward_attempt *attempt = query->attempts; attempt;
		attempt = attempt->next) {
		if (attempt->is_tcp && attempt->server == server)
			return true;
	}
	return false;
}

static void query_take_truncated(struct forward_query *query, struct forward_attempt *attempt,
	const uint8_t *octets, size_t len)
{
	const uint8_t server = attempt->server;
	const bool is_tcp = attempt->is_tcp;
	const bool has_edns = attempt->has_edns;

	query->forward->stats.truncated++;
	query_keep_best(query, octets, len, FORWARD_RANK_TRUNCATED);
	forward_attempt_close(attempt);
	if (!is_tcp && (query->tcp_failed & 1u << server) == 0) {
		forward_query_send(query, server, FORWARD_TRUNCATED, true, has_edns);
		return;
	}
	/* The connection was late; it may bring the whole reply until the next one is due. */
	if (!is_tcp && is_asked_over_tcp(query, server))
		return;
	query->answered |= 1u << server;
	forward_query_next(query);
}

static void query_take_reply(struct forward_query *query, struct forward_attempt *attempt,
	const struct message *message, const uint8_t *octets, size_t len)
{
	const unsigned rank = reply_rank(message);
	const uint8_t server = attempt->server;
	const bool is_newest = attempt == query->attempts;

	if (rank == 0) {
		forward_query_finish(query, message);
		return;
	}
	if (is_edns_trouble(attempt, message)) {
		query_ask_without_edns(query, attempt);
		return;
	}
	query_keep_best(query, octets, len, rank);
	query->answered |= 1u << server;
	forward_attempt_close(attempt);
	if (is_newest || !query->attempts)
		forward_query_next(query);
}

/* Lower case of letters only; lengths of labels are below 'A'. */
static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Everything as it should be, but for the case of the question. */
static bool is_case_broken(const struct forward_attempt *attempt, const uint8_t *octets, size_t len)
{
	const struct bytes question = attempt_question(attempt);
	const uint8_t *its = octets + DNS_HEADER_OCTETS;

	if (len < DNS_HEADER_OCTETS + question.len || (octets[2] & 0x80) == 0 ||
		dns_read_u16(octets) != attempt->id || memcmp(its, question.ptr, question.len) == 0)
		return false;
	for (size_t i = 0; i + DNS_QUESTION_TAIL_OCTETS < question.len; i++) {
		if (lower(its[i]) != lower(question.ptr[i]))
			return false;
	}
	return memcmp(its + question.len - DNS_QUESTION_TAIL_OCTETS,
		       question.ptr + question.len - DNS_QUESTION_TAIL_OCTETS,
		       DNS_QUESTION_TAIL_OCTETS) == 0;
}

/* Case that is not ours is believed over TCP, and from a server that is known for it, or is about
 * to be: it was asked a second time, in plain lower case, on another port. Nobody hits that by
 * chance.
 */
static bool may_break_case(const struct forward_attempt *attempt)
{
	return attempt->is_tcp || !attempt->has_case;
}

static void query_take_junk(
	struct forward_query *query, struct forward_attempt *attempt, bool is_case)
{
	const uint8_t server = attempt->server;
	const bool has_edns = attempt->has_edns;
	const bool tcp_failed = (query->tcp_failed & 1u << server) != 0;

	query->forward->stats.mismatched++;
	if (attempt->is_tcp) {
		forward_query_attempt_failed(query, attempt);
		return;
	}
	attempt->junk++;
	if (!is_case && attempt->junk < FORWARD_JUNK_MAX)
		return;
	forward_attempt_close(attempt);
	if (is_case)
		forward_query_send(query, server, FORWARD_CASE, !tcp_failed, has_edns);
	else if (!tcp_failed)
		forward_query_send(query, server, FORWARD_SPOOFED, true, has_edns);
	else
		forward_query_next(query);
}

static void attempt_learn(const struct forward_attempt *attempt, const struct message *message,
	bool is_case_broken_now)
{
	struct upstream_server *server = forward_attempt_server(attempt);
	const uint64_t now_ms = uv_now(attempt->forward->loop);

	/* In lower case, where it was not before. */
	if (is_case_broken_now || (attempt->reason == FORWARD_CASE && !attempt->has_case))
		server->breaks_case_until_ms = now_ms + UPSTREAM_QUIRK_MS;
	if (attempt->has_edns || reply_rank(message) != 0)
		return;
	if ((attempt->query->refused_edns & 1u << attempt->server) != 0)
		server->no_edns_until_ms = now_ms + UPSTREAM_QUIRK_MS;
	else if (now_ms >= server->no_edns_until_ms && now_ms >= server->drops_edns_until_ms)
		server->drops_edns_until_ms = now_ms + UPSTREAM_DROPS_EDNS_MS;
}

void forward_query_take(
	struct forward_query *query, struct forward_attempt *attempt, uint8_t *octets, size_t len)
{
	const struct bytes question = attempt_question(attempt);
	const bool is_case = is_case_broken(attempt, octets, len);
	struct message message;

	if (is_bare_edns_trouble(attempt, octets, len)) {
		query_ask_without_edns(query, attempt);
		return;
	}
	if (is_case && may_break_case(attempt))
		memcpy(octets + DNS_HEADER_OCTETS, question.ptr, question.len);
	switch (message_check((struct bytes){octets, len}, attempt->id, question, &message)) {
	case MESSAGE_OK:
		attempt_has_replied(attempt);
		attempt_learn(attempt, &message, is_case);
		query_take_reply(query, attempt, &message, octets, len);
		break;
	case MESSAGE_TRUNCATED:
		attempt_has_replied(attempt);
		attempt_learn(attempt, &message, is_case);
		query_take_truncated(query, attempt, octets, len);
		break;
	case MESSAGE_FOREIGN:
		query_take_junk(query, attempt, is_case);
		break;
	case MESSAGE_MALFORMED:
		query_take_junk(query, attempt, false);
		break;
	}
}
