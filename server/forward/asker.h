/** @file One question in our own name to one server, by c-ares, on the loop. */
#ifndef SERVER_FORWARD_ASKER_H
#define SERVER_FORWARD_ASKER_H

#include <stdbool.h>
#include <uv.h>

#include "conf/conf.h"
#include "parser/bytes.h"

struct asker;

/** Once, on the loop thread, never from within asker_start(). The asker is gone by then.
 *  @param latency_us until the reply, if there was one; 0 if it took a second attempt. */
typedef void (*asker_done)(void *ctx, bool has_replied, uint32_t latency_us);

/** Likewise, with what came back: the whole reply, whatever its RCODE; empty if there was none. The
 *  view ends with the call. */
typedef void (*asker_heard)(void *ctx, struct bytes reply);

/** Asks `server` for the addresses (A) of `name`. Tells only whether there was a reply.
 *  @param timeout_ms for each of two attempts.
 *  @return 0; UV_ENOTSUP for a server that c-ares cannot ask (link-local IPv6 addresses); another
 *  negative libuv error. */
int asker_start(uv_loop_t *loop, const struct conf_endpoint *server, const char *name,
	unsigned timeout_ms, asker_done done, void *ctx, struct asker **out_asker);

/** Sends `server` a query that the caller wrote, and again by TCP if the reply was cut. As
 *  asker_start(). */
int asker_send(uv_loop_t *loop, const struct conf_endpoint *server, struct bytes query,
	unsigned timeout_ms, asker_heard heard, void *ctx, struct asker **out_asker);

/** No call of `done` or `heard` after this. Frees itself when its handles are closed. NULL is fine.
 */
void asker_stop(struct asker *asker);

#endif
