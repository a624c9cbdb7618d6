/** @file Upstream servers and what is known of how they do. A list is made once and then only its
 *  servers' health changes; a query in flight holds the list that it asks.
 *
 *  Pure: no sockets, no clock, no log. */
#ifndef SERVER_FORWARD_UPSTREAM_H
#define SERVER_FORWARD_UPSTREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

/** As many as the configuration may name (CONF_UPSTREAMS_MAX). */
#define UPSTREAM_SERVERS_MAX 16u
/** What does not speak EDNS, or changes the case of questions, is asked with them again after
 *  this: servers are replaced. */
#define UPSTREAM_QUIRK_MS UINT64_C(3600000)
/** What only seems to drop questions with EDNS, because it answered one without and no other: after
 *  this. */
#define UPSTREAM_DROPS_EDNS_MS UINT64_C(300000)
#define UPSTREAM_TOKEN_OCTETS  16u

struct upstream_server {
	struct conf_endpoint endpoint;

	uint32_t latency_us; /**< Smoothed; 0: unknown. */
	/** Attempts and probes in a row that got no reply. While there are some, others are asked
	 *  first, and the server is probed. */
	unsigned failures;
	bool is_down; /**< A probe failed too; said in the log. */
	bool is_loop; /**< Our own question came back from it: it is not asked. */
	uint64_t no_edns_until_ms;
	uint64_t drops_edns_until_ms; /**< No matter to questions with DO: these need EDNS. */
	uint64_t breaks_case_until_ms;

	uint8_t token[UPSTREAM_TOKEN_OCTETS]; /**< In the name of the last probe. */
	bool has_token;                       /**< A probe has been made. */
	bool came_back;                       /**< That name was asked for at our own sockets. */
	bool is_probed;                       /**< A probe is under way. */
	uint64_t probe_due_ms;                /**< UINT64_MAX: none is due. */
	uint64_t probed_at_ms;                /**< When the last one began; 0: never. */
	unsigned probe_backoff;               /**< How often the interval was doubled. */

	uint64_t queries; /**< Attempts. */
	uint64_t replies;
	uint64_t timeouts;
};

struct upstream_list {
	unsigned holders;
	size_t count;
	struct upstream_server servers[UPSTREAM_SERVERS_MAX];
};

/** @param count what is over UPSTREAM_SERVERS_MAX is left out.
 *  @param old a list whose knowledge of the same servers is taken over; or NULL.
 *  @return held once; NULL if memory is short. */
struct upstream_list *upstream_list_new(const struct conf_endpoint *endpoints, size_t count,
	const struct upstream_list *old, uint64_t now_ms);
struct upstream_list *upstream_list_hold(struct upstream_list *list);
/** Frees it with the last holder. NULL is fine. */
void upstream_list_release(struct upstream_list *list);

/** In which order servers are to be asked: first those that answer, in the order of the list,
 *  except that one known to be several times slower than another comes behind; then those that
 *  did not answer lately. Those that loop are left out.
 *  @return how many. */
size_t upstream_list_order(
	struct upstream_list *list, uint8_t out_order[static UPSTREAM_SERVERS_MAX]);

/** A reply came, whatever it says. @param latency_us 0: it tells nothing of that. */
void upstream_replied(struct upstream_server *server, uint32_t latency_us);

/** None came in time.
 *  @param waited_us counts as latency: a server that answers probes but not questions is asked
 *  later. 0: it was told at once. @return true if it was thought to be fine until now. */
bool upstream_failed(struct upstream_server *server, uint32_t waited_us);

/** What is known of its latency is of no use any more: it was down. */
void upstream_forget(struct upstream_server *server);

/** @return the octets of the address. */
socklen_t upstream_sockaddr(
	const struct conf_endpoint *endpoint, struct sockaddr_storage *out_address);

/** True if both are the same host: family, address, scope; the port is no matter. */
bool upstream_is_host(const struct conf_endpoint *endpoint, const struct sockaddr *address);

/** True if a query to `endpoint` would arrive at one of our own sockets.
 *  @param own where they are bound; a wildcard address is every address of this host. */
bool upstream_is_own(
	const struct conf_endpoint *endpoint, const struct conf_endpoint *own, size_t own_count);

#endif
