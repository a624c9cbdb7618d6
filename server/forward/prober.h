/** @file Asks upstream servers in our own name, in the background: whether one that fell silent
 *  answers again, and whether what we ask it comes back to us, a loop. Both with one question, for
 *  a name that nobody else can know.
 *
 *  A server is probed when it is new, when it did not answer, when it is suspected to loop, and
 *  now and then while it loops. */
#ifndef SERVER_FORWARD_PROBER_H
#define SERVER_FORWARD_PROBER_H

#include <uv.h>

#include "server/dns/query.h"
#include "server/forward/upstream.h"
#include "server/support/random.h"

/** Below this name are the names that we ask for. `example` is nobody's, and no resolver treats it
 *  apart (RFC 6761 section 6.5), so the question goes wherever others go. */
#define PROBER_NAME "leasedns-loop.example"

struct prober;

/** @param random borrowed. */
int prober_start(uv_loop_t *loop, struct random_pool *random, struct prober **out_prober);

/** No log line and no change of a server after this. Frees itself when its handles are closed. NULL
 *  is fine. */
void prober_stop(struct prober *prober);

/** Whose servers are looked after, instead of those before.
 *  @param lists held for as long. @return 0 or UV_ENOMEM, and then nothing changed. */
int prober_watch(struct prober *prober, struct upstream_list *const *lists, size_t count);

/** A server did not answer: it is probed soon. */
void prober_doubts(struct prober *prober, struct upstream_server *server);

/** Questions seem to come back from it: it is probed soon, unless it was lately. */
void prober_suspects(struct prober *prober, struct upstream_server *server);

/** True if the question is one of ours that came back. The server that it was sent to is not asked
 *  again until a probe finds that the loop is gone; the log says so. */
bool prober_recognises(struct prober *prober, const struct query *query);

#endif
