/** @file A name server on loopback for tests that are themselves the loop: it hears what is sent
 *  while a test waits, and says what the test tells it. Header only. */
#ifndef TESTS_SERVER_LOOPBACK_H
#define TESTS_SERVER_LOOPBACK_H

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "conf/conf.h"
#include "server/dns/dns.h"

/** The machine may be busy; nothing is expected to take that long. */
#define LOOPBACK_PATIENCE_MS 20000

struct loopback {
	int fd;
	uint16_t port;
	unsigned asked;
	struct sockaddr_in from; /**< Of the last query, as are the next two. */
	uint8_t query[512];
	size_t query_len;
};

/** @param port 0: any that is free. */
static inline void loopback_open(struct loopback *server, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
}

static inline void loopback_close(struct loopback *server)
{
	close(server->fd);
	server->fd = -1;
}

static inline struct conf_endpoint loopback_endpoint(const struct loopback *server)
{
	return (struct conf_endpoint){.family = 4, .octets = {127, 0, 0, 1}, .port = server->port};
}

/** @return true if there was a query. */
static inline bool loopback_take(struct loopback *server)
{
	socklen_t len = sizeof(server->from);
	const ssize_t count = recvfrom(server->fd, server->query, sizeof(server->query),
		MSG_DONTWAIT, (struct sockaddr *)&server->from, &len);

	if (count < 0)
		return false;
	assert_true(count > DNS_HEADER_OCTETS);
	server->query_len = (size_t)count;
	server->asked++;
	return true;
}

/** Runs the loop until there is a query. */
static inline void loopback_await(uv_loop_t *loop, struct loopback *server)
{
	for (int i = 0; i < LOOPBACK_PATIENCE_MS; i++) {
		uv_run(loop, UV_RUN_NOWAIT);
		if (loopback_take(server))
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("no query came");
}

static inline size_t loopback_question_end(const struct loopback *server)
{
	size_t at = DNS_HEADER_OCTETS;

	while (server->query[at] != 0)
		at += 1u + server->query[at];
	return at + 1 + DNS_QUESTION_TAIL_OCTETS;
}

/** The query with QR and `rcode`, and no record. @return its octets. */
static inline size_t loopback_make(
	const struct loopback *server, unsigned rcode, uint8_t out_reply[static 512])
{
	const size_t len = loopback_question_end(server);

	memcpy(out_reply, server->query, len);
	out_reply[2] = 0x81; /* QR, RD */
	out_reply[3] = (uint8_t)(0x80 | rcode);
	memset(out_reply + 6, 0, 6);
	return len;
}

static inline void loopback_send(const struct loopback *server, const uint8_t *octets, size_t len)
{
	assert_int_equal(sendto(server->fd, octets, len, 0, (const struct sockaddr *)&server->from,
				 sizeof(server->from)),
		len);
}

static inline void loopback_reply(const struct loopback *server, unsigned rcode)
{
	uint8_t reply[512];

	loopback_send(server, reply, loopback_make(server, rcode, reply));
}

#endif
