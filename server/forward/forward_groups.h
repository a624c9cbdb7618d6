/** @file Which upstream servers are asked for which names: lists of servers for single domains, and
 *  one for all other names, which may follow resolv.conf(5). Its servers are probed. Runs on the
 *  loop thread. */
#ifndef SERVER_FORWARD_FORWARD_GROUPS_H
#define SERVER_FORWARD_FORWARD_GROUPS_H

#include <uv.h>

#include "conf/conf.h"
#include "parser/bytes.h"
#include "server/dns/dns.h"
#include "server/forward/prober.h"
#include "server/forward/upstream.h"

/** A domain's servers. */
struct forward_group {
	uint8_t octets;                    /**< Of `name`, with the root; 0: for all names. */
	uint8_t name[DNS_NAME_OCTETS_MAX]; /**< Wire format, lower case. */
	struct upstream_list *list;        /**< NULL: refused. */
};

struct forward_groups;

struct forward_groups_settings {
	uv_loop_t *loop;
	struct prober *prober;           /**< Borrowed; must outlive the groups. */
	const char *resolv_conf;         /**< Borrowed likewise. */
	const struct conf_endpoint *own; /**< Where our own sockets are bound; copied. */
	size_t own_count;
	/** Other servers are in force, for some names or for all; on the loop thread, last. What is
	 *  known from those before may not hold any more. Not called when no server is left: then
	 *  that is all there is. May be NULL. */
	void (*changed)(void *ctx);
	void *ctx;
};

/** No groups yet: configure them. @return NULL if memory is short. */
struct forward_groups *forward_groups_new(const struct forward_groups_settings *settings);

/** Puts other servers in force; of those that were there before, what is known of them stays.
 *  @param conf read here, not kept. @return 0, or UV_ENOMEM, and then nothing changed. */
int forward_groups_configure(struct forward_groups *groups, const struct conf *conf);

/** True if there is any server to be asked, or could be once resolv.conf names one. */
bool forward_groups_any(const struct forward_groups *groups);

/** The group of the longest domain that holds a name. There is always one once they are configured.
 *  Borrowed until the loop goes on.
 *  @param name wire format, lower case, with the root; what follows it does not matter. */
const struct forward_group *forward_groups_find(
	const struct forward_groups *groups, struct bytes name);

/** True if both name the same servers in the same order. Either may be NULL. */
bool forward_groups_same(const struct upstream_list *a, const struct upstream_list *b);

/** As forward_each_server(). */
void forward_groups_each_server(const struct forward_groups *groups,
	void (*on_server)(void *ctx, const char *zone, const struct upstream_server *server),
	void *ctx);

/** Queries in flight hold their lists themselves. NULL is fine. */
void forward_groups_free(struct forward_groups *groups);

#endif
