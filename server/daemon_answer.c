#include <time.h>

#include "server/daemon_state.h"
#include "server/support/log.h"

static void daemon_log_query(
	struct daemon *daemon, struct query_log_entry *entry, uint64_t since_ns)
{
	const uint64_t now_ns = uv_hrtime();

	entry->took_us = (now_ns - since_ns) / 1000;
	query_log_write(&daemon->query_log, entry, (int64_t)(now_ns / 1000000));
}

/* What is not answered here is counted when it is settled. */
static enum answer_verdict daemon_answer(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	struct daemon *daemon = ctx;
	const uint64_t began_ns = daemon->logs_queries ? uv_hrtime() : 0;
	const struct answer_limits limits = {
		.is_tcp = is_tcp,
		.recursion_available = daemon->forwards,
	};
	struct question question;
	struct query_log_entry entry = {.peer = peer, .is_tcp = is_tcp};
	enum answer_verdict verdict;
	size_t len = 0;

	if (question_read(query, &question))
		entry.question = &question;
	stats_count_query(&daemon->stats, is_tcp, entry.question);
	/* time() reads the kernel's coarse clock without a system call: a lease is gone in the
	 * second after its last, for every query of a batch. */
	verdict = answer_query(
		daemon->zone, &limits, (int64_t)time(NULL), query, reply, reply_cap, &len);
	if (verdict == ANSWER_FORWARD)
		verdict = forward_answer(
			daemon->forward, is_tcp, query, reply, &len, &entry.answered);
	else
		entry.answered =
			stats_answered(entry.question, verdict, (struct bytes){reply, len});
	if (verdict == ANSWER_FORWARD)
		return verdict;
	entry.reply = (struct bytes){reply, len};
	stats_count_reply(&daemon->stats, entry.answered, entry.reply);
	if (daemon->logs_queries)
		daemon_log_query(daemon, &entry, began_ns);
	*out_reply_len = len;
	return verdict;
}

static void daemon_forward(void *ctx, const struct listener_client *client, struct bytes query)
{
	struct daemon *daemon = ctx;
	struct listener_client arrived = *client;

	arrived.arrived_ns = uv_hrtime();
	forward_take(daemon->forward, &arrived, query);
}

static void daemon_settled(void *ctx, const struct listener_client *client, struct bytes reply)
{
	struct daemon *daemon = ctx;
	struct question question;
	struct query_log_entry entry = {
		.peer = &client->peer.any,
		.is_tcp = client->is_tcp,
		.answered = client->answered,
		.reply = reply,
	};

	stats_count_reply(&daemon->stats, client->answered, reply);
	if (!daemon->logs_queries)
		return;
	/* The reply has the question as it was asked. */
	if (question_read(reply, &question))
		entry.question = &question;
	daemon_log_query(daemon, &entry, client->arrived_ns);
}

void daemon_init_answers(struct daemon *daemon)
{
	daemon->ops = (struct listener_ops){
		.answer = daemon_answer,
		.forward = daemon_forward,
		.settled = daemon_settled,
		.ctx = daemon,
	};
}

void daemon_set_query_log(struct daemon *daemon)
{
	const bool logs_queries = daemon_conf(daemon)->log_queries;

	if (daemon->logs_queries && !logs_queries)
		query_log_flush(&daemon->query_log);
	daemon->logs_queries = logs_queries;
}

/* Between two answers: nobody holds the old zone. */
void daemon_publish(void *ctx, struct zone *fresh, size_t names)
{
	struct daemon *daemon = ctx;
	struct zone *stale = daemon->zone;
	bool tells = !stale || names != daemon->names;

	daemon->zone = fresh;
	daemon->names = names;
	zone_free(stale);
	if (daemon->is_ready && tells)
		daemon_notify_status(daemon);
	log_debug("index: %zu %s", names, names == 1 ? "name" : "names");
}
