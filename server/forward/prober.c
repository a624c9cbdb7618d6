#include "server/forward/prober.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward/asker.h"
#include "server/net/sockets.h"
#include "server/support/log.h"

/* As long as one attempt of c-ares: longer than any answer from a cache, and than most others. */
#define PROBE_TIMEOUT_MS 1000u
/* While a server is silent: 1, 2, 4, 8, 16, 16, … seconds. */
#define PROBE_INTERVAL_MS 1000u
#define PROBE_BACKOFF_MAX 4u
/* While it loops, and at most so often on suspicion: somebody has to mend a configuration. */
#define PROBE_LOOP_MS 30000u

/* "leasedns-loop" and "example" on the wire. */
static const uint8_t prober_suffix[] = "\15leasedns-loop\7example";

/* One probe under way. */
struct prober_probe {
	struct prober *prober;
	struct prober_probe *next;
	struct upstream_list *list; /* Held. */
	struct upstream_server *server;
	struct asker *asker;
};

struct prober {
	uv_loop_t *loop;
	struct random_pool *random;
	uv_timer_t timer;
	struct upstream_list **lists;
	size_t list_count;
	struct prober_probe *probes;
	bool is_stopped;
};

static void prober_schedule(struct prober *prober);

static const char *server_text(const struct upstream_server *server, char text[SOCKETS_TEXT_SIZE])
{
	return sockets_endpoint_format(&server->endpoint, text);
}

static void probe_free(struct prober_probe *probe)
{
	struct prober_probe **place = &probe->prober->probes;

	while (*place != probe)
		place = &(*place)->next;
	*place = probe->next;
	probe->server->is_probed = false;
	upstream_list_release(probe->list);
	free(probe);
}

static void server_answers(struct prober *prober, struct upstream_server *server)
{
	char text[SOCKETS_TEXT_SIZE];

	(void)prober;
	if (server->is_down)
		log_info("upstream %s answers again", server_text(server, text));
	server->is_down = false;
	server->probe_backoff = 0;
}

static void server_is_silent(struct upstream_server *server, uint64_t now_ms)
{
	char text[SOCKETS_TEXT_SIZE];

	upstream_failed(server, 0);
	if (!server->is_down)
		log_warning("upstream %s does not answer; others are asked first until it does",
			server_text(server, text));
	server->is_down = true;
	server->probe_due_ms = now_ms + ((uint64_t)PROBE_INTERVAL_MS << server->probe_backoff);
	if (server->probe_backoff < PROBE_BACKOFF_MAX)
		server->probe_backoff++;
}

/* @param was_loop before the probe. */
static void server_loops(struct upstream_server *server, bool came_back, uint64_t now_ms)
{
	char text[SOCKETS_TEXT_SIZE];

	if (came_back) {
		server->probe_due_ms = now_ms + PROBE_LOOP_MS;
	} else if (server->is_loop) {
		server->is_loop = false;
		log_info("upstream %s no longer asks us: it is used again",
			server_text(server, text));
	}
}

static void prober_on_answer(void *ctx, bool has_replied, uint32_t latency_us)
{
	struct prober_probe *probe = ctx;
	struct prober *prober = probe->prober;
	struct upstream_server *server = probe->server;
	const bool came_back = server->came_back;
	const uint64_t now_ms = uv_now(prober->loop);

	server->probe_due_ms = UINT64_MAX;
	if (has_replied) {
		/* It was silent a moment ago, to probes as well, and is back. */
		if (server->is_down || latency_us == 0)
			upstream_forget(server);
		upstream_replied(server, latency_us);
		server_answers(prober, server);
		server_loops(server, came_back, now_ms);
	} else {
		server_is_silent(server, now_ms);
	}
	probe_free(probe);
	prober_schedule(prober);
}

/* It cannot be probed. If it was silent it is forgiven after a while, and a client's question finds
 * out: one client at a time, and not often. */
static void server_is_out_of_reach(struct upstream_server *server, uint64_t now_ms)
{
	if (server->failures > 0 && server->probe_backoff == 0) {
		server->probe_backoff = 1;
		server->probe_due_ms = now_ms + ((uint64_t)PROBE_INTERVAL_MS << PROBE_BACKOFF_MAX);
		return;
	}
	server->probe_backoff = 0;
	server->failures = 0;
	server->is_loop = false;
}

static void token_text(const uint8_t *token, char text[2 * UPSTREAM_TOKEN_OCTETS + 1])
{
	for (size_t i = 0; i < UPSTREAM_TOKEN_OCTETS; i++)
		snprintf(text + 2 * i, 3, "%02x", token[i]);
}

static void prober_probe(
	struct prober *prober, struct upstream_list *list, struct upstream_server *server)
{
	struct prober_probe *probe = calloc(1, sizeof(*probe));
	char token[2 * UPSTREAM_TOKEN_OCTETS + 1];
	char name[sizeof(token) + sizeof(PROBER_NAME) + 1];
	int rc;

	server->probe_due_ms = UINT64_MAX;
	server->probed_at_ms = uv_now(prober->loop);
	if (!probe)
		return;
	random_take(prober->random, server->token, sizeof(server->token));
	server->has_token = true;
	server->came_back = false;
	token_text(server->token, token);
	snprintf(name, sizeof(name), "%s.%s", token, PROBER_NAME);
	probe->prober = prober;
	probe->list = upstream_list_hold(list);
	probe->server = server;
	probe->next = prober->probes;
	prober->probes = probe;
	server->is_probed = true;
	rc = asker_start(prober->loop, &server->endpoint, name, PROBE_TIMEOUT_MS, prober_on_answer,
		probe, &probe->asker);
	if (rc == 0)
		return;
	probe_free(probe);
	server_is_out_of_reach(server, server->probed_at_ms);
}

static void prober_on_due(uv_timer_t *timer)
{
	struct prober *prober = timer->data;
	const uint64_t now_ms = uv_now(prober->loop);

	for (size_t i = 0; i < prober->list_count; i++) {
		struct upstream_list *list = prober->lists[i];

		for (size_t j = 0; j < list->count; j++) {
			if (list->servers[j].probe_due_ms <= now_ms && !list->servers[j].is_probed)
				prober_probe(prober, list, &list->servers[j]);
		}
	}
	prober_schedule(prober);
}

/* The timer runs only while something is due. */
static void prober_schedule(struct prober *prober)
{
	const uint64_t now_ms = uv_now(prober->loop);
	uint64_t due_ms = UINT64_MAX;

	if (prober->is_stopped)
		return;
	for (size_t i = 0; i < prober->list_count; i++) {
		const struct upstream_list *list = prober->lists[i];

		for (size_t j = 0; j < list->count; j++) {
			if (!list->servers[j].is_probed && list->servers[j].probe_due_ms < due_ms)
				due_ms = list->servers[j].probe_due_ms;
		}
	}
	if (due_ms == UINT64_MAX)
		uv_timer_stop(&prober->timer);
	else
		uv_timer_start(
			&prober->timer, prober_on_due, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void prober_release_lists(struct prober *prober)
{
	for (size_t i = 0; i < prober->list_count; i++)
		upstream_list_release(prober->lists[i]);
	free(prober->lists);
	prober->lists = NULL;
	prober->list_count = 0;
}

static void prober_cancel(struct prober *prober)
{
	while (prober->probes) {
		asker_stop(prober->probes->asker);
		probe_free(prober->probes);
	}
}

int prober_watch(struct prober *prober, struct upstream_list *const *lists, size_t count)
{
	struct upstream_list **fresh = calloc(count ? count : 1, sizeof(struct upstream_list *));

	if (!fresh)
		return UV_ENOMEM;
	for (size_t i = 0; i < count; i++)
		fresh[i] = upstream_list_hold(lists[i]);
	prober_cancel(prober);
	prober_release_lists(prober);
	prober->lists = fresh;
	prober->list_count = count;
	prober_schedule(prober);
	return 0;
}

void prober_doubts(struct prober *prober, struct upstream_server *server)
{
	if (server->is_probed || server->is_down)
		return;
	server->probe_due_ms = uv_now(prober->loop);
	prober_schedule(prober);
}

void prober_suspects(struct prober *prober, struct upstream_server *server)
{
	const uint64_t now_ms = uv_now(prober->loop);

	if (server->is_probed || server->is_loop || now_ms - server->probed_at_ms < PROBE_LOOP_MS)
		return;
	server->probe_due_ms = now_ms;
	prober_schedule(prober);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The token of a name that is made like ours. */
static bool token_read(const struct query *query, uint8_t out_token[UPSTREAM_TOKEN_OCTETS])
{
	const size_t digits = 2 * UPSTREAM_TOKEN_OCTETS;

	if (query->name_octets != 1 + digits + sizeof(prober_suffix) || query->name[0] != digits ||
		memcmp(query->name + 1 + digits, prober_suffix, sizeof(prober_suffix)) != 0)
		return false;
	for (size_t i = 0; i < UPSTREAM_TOKEN_OCTETS; i++) {
		int high = hex_digit(query->name[1 + 2 * i]);
		int low = hex_digit(query->name[2 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		out_token[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool prober_recognises(struct prober *prober, const struct query *query)
{
	uint8_t token[UPSTREAM_TOKEN_OCTETS];
	char text[SOCKETS_TEXT_SIZE];

	if (!token_read(query, token))
		return false;
	for (size_t i = 0; i < prober->list_count; i++) {
		struct upstream_list *list = prober->lists[i];

		for (size_t j = 0; j < list->count; j++) {
			struct upstream_server *server = &list->servers[j];

			if (!server->has_token || memcmp(server->token, token, sizeof(token)) != 0)
				continue;
			if (!server->is_loop)
				log_error("upstream %s asks us what we ask it, a loop: it is not "
					  "asked any more; take one out of the other's "
					  "configuration",
					server_text(server, text));
			server->is_loop = true;
			server->came_back = true;
			if (!server->is_probed)
				server->probe_due_ms = uv_now(prober->loop) + PROBE_LOOP_MS;
			prober_schedule(prober);
			return true;
		}
	}
	return false;
}

static void prober_on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void prober_stop(struct prober *prober)
{
	if (!prober || prober->is_stopped)
		return;
	prober->is_stopped = true;
	prober_cancel(prober);
	prober_release_lists(prober);
	uv_close((uv_handle_t *)&prober->timer, prober_on_closed);
}

int prober_start(uv_loop_t *loop, struct random_pool *random, struct prober **out_prober)
{
	struct prober *prober = calloc(1, sizeof(*prober));

	if (!prober)
		return UV_ENOMEM;
	prober->loop = loop;
	prober->random = random;
	uv_timer_init(loop, &prober->timer);
	prober->timer.data = prober;
	*out_prober = prober;
	return 0;
}
