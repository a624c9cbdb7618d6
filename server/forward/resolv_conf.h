/** @file The name servers of resolv.conf(5), and word of its changes. c-ares reads the file; what
 * it gets wrong is mended here. */
#ifndef SERVER_FORWARD_RESOLV_CONF_H
#define SERVER_FORWARD_RESOLV_CONF_H

#include <stddef.h>
#include <uv.h>

#include "server/forward/upstream.h"

#define RESOLV_CONF_FILE "/etc/resolv.conf"

/** Reads the servers that `path` names. A file that is absent, cannot be read, or names none, means
 *  none (to c-ares it would mean 127.0.0.1). `fe80::1%eth0` and `[2001:db8::1]:5353`, which c-ares
 *  1.18 leaves out, come behind the others.
 *  @return how many. */
size_t resolv_conf_read(
	const char *path, struct conf_endpoint out_servers[static UPSTREAM_SERVERS_MAX]);

struct resolv_conf;

/** The file may have changed. On the loop thread, a moment after the change: who rewrites it in
 *  place truncates it first. */
typedef void (*resolv_conf_changed)(void *ctx);

/** Follows `path`: replaced by rename, rewritten, removed, made; and if it is a symbolic link, the
 *  link and the file. What inotify does not tell, a timer sees.
 *  @param path absolute; copied. @return 0 or a negative libuv error. */
int resolv_conf_start(uv_loop_t *loop, const char *path, resolv_conf_changed changed, void *ctx,
	struct resolv_conf **out_resolv_conf);

/** No call of `changed` after this. Frees itself when its handles are closed. NULL is fine. */
void resolv_conf_stop(struct resolv_conf *resolv_conf);

#endif
