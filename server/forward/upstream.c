#include "server/forward/upstream.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf_endpoint.h"
#include "server/net/sockets.h"

/* Much slower: both, so that microseconds of two servers on this host do not matter. */
#define SLOWER_FACTOR 4u
#define SLOWER_US     20000u
/* How fast what is known of a server that is not asked fades, so that it gets another chance:
 * halved in 89 questions. */
#define FADE_SHIFT 7
/* RFC 6298 section 2: alpha is 1/8. */
#define SMOOTH_SHIFT 3

struct upstream_list *upstream_list_new(const struct conf_endpoint *endpoints, size_t count,
	const struct upstream_list *old, uint64_t now_ms)
{
	struct upstream_list *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->holders = 1;
	list->count = count < UPSTREAM_SERVERS_MAX ? count : UPSTREAM_SERVERS_MAX;
	for (size_t i = 0; i < list->count; i++) {
		struct upstream_server *server = &list->servers[i];

		server->endpoint = endpoints[i];
		server->probe_due_ms = now_ms;
		for (size_t j = 0; old && j < old->count; j++) {
			if (!conf_endpoint_equal(&old->servers[j].endpoint, &endpoints[i]))
				continue;
			*server = old->servers[j];
			server->is_probed = false;
			/* A loop may have come or gone with the rest of the list. */
			server->is_loop = false;
			server->probe_due_ms = now_ms;
		}
	}
	return list;
}

struct upstream_list *upstream_list_hold(struct upstream_list *list)
{
	list->holders++;
	return list;
}

void upstream_list_release(struct upstream_list *list)
{
	if (list && --list->holders == 0)
		free(list);
}

static bool is_much_slower(const struct upstream_server *server, uint32_t best_us)
{
	return server->latency_us > SLOWER_US + best_us &&
	       server->latency_us / SLOWER_FACTOR > best_us;
}

size_t upstream_list_order(
	struct upstream_list *list, uint8_t out_order[static UPSTREAM_SERVERS_MAX])
{
	enum { FINE, SLOW, SILENT, RANKS };
	uint32_t best_us = UINT32_MAX;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct upstream_server *server = &list->servers[i];

		if (server->failures == 0 && !server->is_loop && server->latency_us > 0 &&
			server->latency_us < best_us)
			best_us = server->latency_us;
	}
	for (int rank = FINE; rank < RANKS; rank++) {
		for (size_t i = 0; i < list->count; i++) {
			struct upstream_server *server = &list->servers[i];
			int its = FINE;

			if (server->failures > 0)
				its = SILENT;
			else if (best_us != UINT32_MAX && is_much_slower(server, best_us))
				its = SLOW;
			if (its != rank || server->is_loop)
				continue;
			if (its == SLOW && count > 0)
				server->latency_us -= server->latency_us >> FADE_SHIFT;
			out_order[count++] = (uint8_t)i;
		}
	}
	return count;
}

void upstream_replied(struct upstream_server *server, uint32_t latency_us)
{
	if (server->latency_us == 0)
		server->latency_us = latency_us;
	else if (latency_us > 0)
		server->latency_us = server->latency_us - (server->latency_us >> SMOOTH_SHIFT) +
				     (latency_us >> SMOOTH_SHIFT);
	server->failures = 0;
	server->replies++;
}

bool upstream_failed(struct upstream_server *server, uint32_t waited_us)
{
	if (waited_us > server->latency_us)
		server->latency_us = waited_us / 2 + server->latency_us / 2;
	server->timeouts++;
	return server->failures++ == 0;
}

void upstream_forget(struct upstream_server *server)
{
	server->latency_us = 0;
}

socklen_t upstream_sockaddr(
	const struct conf_endpoint *endpoint, struct sockaddr_storage *out_address)
{
	struct sockaddr_in v4 = {
		.sin_family = AF_INET,
		.sin_port = htons(endpoint->port),
	};
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(endpoint->port),
		.sin6_scope_id = endpoint->scope_id,
	};

	memset(out_address, 0, sizeof(*out_address));
	if (endpoint->family == 4) {
		memcpy(&v4.sin_addr, endpoint->octets, sizeof(v4.sin_addr));
		memcpy(out_address, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, endpoint->octets, sizeof(v6.sin6_addr));
	memcpy(out_address, &v6, sizeof(v6));
	return sizeof(v6);
}

bool upstream_is_host(const struct conf_endpoint *endpoint, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return endpoint->family == 4 &&
		       memcmp(endpoint->octets,
			       &((const struct sockaddr_in *)(const void *)address)->sin_addr,
			       4) == 0;
	if (address->sa_family == AF_INET6)
		return endpoint->family == 6 &&
		       memcmp(endpoint->octets,
			       &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
			       16) == 0;
	return false;
}

static bool is_wildcard(const struct conf_endpoint *endpoint)
{
	static const uint8_t any[16];

	return memcmp(endpoint->octets, any, endpoint->family == 4 ? 4 : 16) == 0;
}

/* The kernel knows which addresses are this host's, those of 127.0.0.0/8 too that no interface
 * lists: it binds no socket to others. */
static bool is_local(const struct conf_endpoint *endpoint)
{
	struct conf_endpoint any_port = *endpoint;
	struct sockaddr_storage address;
	socklen_t len;
	bool is_bound;
	int fd;

	any_port.port = 0;
	len = upstream_sockaddr(&any_port, &address);
	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_bound = bind(fd, (const struct sockaddr *)&address, len) == 0;
	close(fd);
	return is_bound;
}

bool upstream_is_own(
	const struct conf_endpoint *endpoint, const struct conf_endpoint *own, size_t own_count)
{
	for (size_t i = 0; i < own_count; i++) {
		if (conf_endpoint_equal(endpoint, &own[i]))
			return true;
		/* An IPv6 wildcard may take IPv4 as well. */
		if (endpoint->port == own[i].port && is_wildcard(&own[i]) && is_local(endpoint))
			return true;
	}
	return false;
}
