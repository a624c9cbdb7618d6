/* The forwarder between clients and upstream servers that are both played here, on one thread: the
 * loop runs only while a test waits. */
#include "server/forward/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "server/forward/forward_query.h"
#include "server/support/log.h"
#include "tests/server/asking.h"
#include "tests/server/steady_clock.h"
#include "tests/support/own_network.h"

#define PATIENCE_MS 8000
#define SERVERS     3
#define REPLIES_MAX 8192

/* How a server treats what it is asked. */
enum manner {
	FAITHFUL,   /* One address. */
	SILENT,     /* Nothing at all. */
	REFUSING,   /* REFUSED. */
	FAILING,    /* SERVFAIL. */
	OLD,        /* FORMERR without OPT to whatever has OPT. */
	OLDER,      /* The same, and no question in it. */
	OLDEST,     /* Nothing at all to whatever has OPT. */
	LOWERING,   /* Writes the question in lower case. */
	TRUNCATING, /* TC over UDP. */
	LYING,      /* Everything wrong first, then right. */
	FLOODING,   /* Everything wrong, and never right over UDP. */
};

struct server {
	int udp;
	int tcp;
	int connection; /* -1: none. */
	uint16_t port;
	enum manner manner;
	bool is_deaf_to_tcp; /* Connections are made, and nothing comes of them. */
	unsigned asked_udp;
	unsigned asked_tcp;
	unsigned asked_with_edns;
	uint8_t last[512];
	size_t last_len;
	uint16_t last_port;
};

/* Where clients come from. */
struct origin {
	struct listener_origin origin;
	struct world *world;
};

struct got {
	uint16_t id;
	uint8_t octets[512];
	size_t len; /* 0: dropped. */
	enum answered answered;
};

struct world {
	uv_loop_t loop;
	struct conf conf;
	struct forward *forward;
	struct server servers[SERVERS];
	struct origin origin;
	struct got got[REPLIES_MAX];
	size_t got_count;
	void (*settled)(struct world *world); /* What a client brings in then; NULL: nothing. */
};

/* Servers ----------------------------------------------------------------------------------- */

static void server_open(struct server *server)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	server->connection = -1;
	do {
		address.sin_port = 0;
		close(server->udp);
		server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(server->udp, (struct sockaddr *)&address, len), 0);
		assert_int_equal(getsockname(server->udp, (struct sockaddr *)&address, &len), 0);
	} while (bind(server->tcp, (struct sockaddr *)&address, len) < 0);
	assert_int_equal(listen(server->tcp, 16), 0);
	server->port = ntohs(address.sin_port);
}

static bool is_probe(const uint8_t *query)
{
	return query[12] == 32 && memcmp(query + 45, "\15leasedns-loop", 14) == 0;
}

static size_t question_end(const uint8_t *query)
{
	size_t at = 12;

	while (query[at] != 0)
		at += 1u + query[at];
	return at + 5;
}

/* A reply with one address, or none, and OPT if the query has one. */
static size_t make_reply(const uint8_t *query, unsigned rcode, bool has_address, uint8_t *out_reply)
{
	size_t len = question_end(query);
	const bool has_edns = query[11] != 0;

	memcpy(out_reply, query, len);
	out_reply[2] = 0x85; /* QR, AA, RD */
	out_reply[3] = (uint8_t)(0x80 | rcode);
	dns_write_u16(out_reply + 6, has_address);
	dns_write_u16(out_reply + 8, 0);
	dns_write_u16(out_reply + 10, has_edns);
	if (has_address) {
		memcpy(out_reply + len, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1", 16);
		len += 16;
	}
	if (has_edns) {
		memcpy(out_reply + len, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
		len += 11;
	}
	return len;
}

static void server_send(
	struct server *server, const struct sockaddr_in *to, const uint8_t *reply, size_t len)
{
	sendto(server->udp, reply, len, 0, (const struct sockaddr *)to, sizeof(*to));
}

/* All that is no reply to the query. */
static void server_lie(struct server *server, const struct sockaddr_in *to, const uint8_t *query)
{
	uint8_t reply[1024] = {0};
	size_t len;

	server_send(server, to, reply, 0);
	len = make_reply(query, 0, true, reply);
	reply[0] ^= 0x40; /* Id. */
	server_send(server, to, reply, len);
	make_reply(query, 0, true, reply);
	reply[2] &= 0x7f; /* QR. */
	server_send(server, to, reply, len);
	make_reply(query, 0, true, reply);
	reply[13] ^= 1; /* Question. */
	server_send(server, to, reply, len);
	make_reply(query, 0, true, reply);
	reply[question_end(query) - 3] = 28; /* Type. */
	server_send(server, to, reply, len);
	make_reply(query, 0, true, reply);
	reply[7] = 9; /* More records than there are. */
	server_send(server, to, reply, len);
	make_reply(query, 0, true, reply);
	reply[5] = 0; /* No question. */
	server_send(server, to, reply, len);
}

static void lower_question(uint8_t *message)
{
	for (size_t i = 12; i < question_end(message) - 4; i++) {
		if (message[i] >= 'A' && message[i] <= 'Z')
			message[i] |= 0x20;
	}
}

static void server_answer(
	struct server *server, const struct sockaddr_in *to, const uint8_t *query, size_t query_len)
{
	uint8_t reply[1024];
	size_t len;

	if (is_probe(query)) {
		if (server->manner != SILENT)
			server_send(server, to, reply, make_reply(query, 3, false, reply));
		return;
	}
	server->asked_udp++;
	server->asked_with_edns += query[11] != 0;
	server->last_len = query_len;
	server->last_port = ntohs(to->sin_port);
	memcpy(server->last, query, query_len);
	switch (server->manner) {
	case SILENT:
		return;
	case FLOODING:
		for (int i = 0; i < 4; i++)
			server_lie(server, to, query);
		return;
	case LYING:
		server_lie(server, to, query);
		break;
	case REFUSING:
		server_send(server, to, reply, make_reply(query, 5, false, reply));
		return;
	case FAILING:
		server_send(server, to, reply, make_reply(query, 2, false, reply));
		return;
	case OLD:
		if (query[11] == 0)
			break;
		len = make_reply(query, 1, false, reply);
		reply[11] = 0;
		server_send(server, to, reply, len - 11);
		return;
	case OLDER:
		if (query[11] == 0)
			break;
		make_reply(query, 1, false, reply);
		memset(reply + 4, 0, 8);
		server_send(server, to, reply, 12);
		return;
	case OLDEST:
		if (query[11] == 0)
			break;
		return;
	case TRUNCATING:
		len = make_reply(query, 0, false, reply);
		reply[2] |= 2;
		server_send(server, to, reply, len);
		return;
	case FAITHFUL:
	case LOWERING:
		break;
	}
	len = make_reply(query, 0, true, reply);
	if (server->manner == LOWERING)
		lower_question(reply);
	server_send(server, to, reply, len);
}

static void server_serve_tcp(struct server *server)
{
	uint8_t query[514];
	uint8_t reply[1026];
	ssize_t count;
	size_t len;

	if (server->connection < 0)
		server->connection = accept(server->tcp, NULL, NULL);
	if (server->connection < 0)
		return;
	count = recv(server->connection, query, sizeof(query), MSG_DONTWAIT);
	if (count < 0)
		return;
	if (count > 2) {
		server->asked_tcp++;
		len = make_reply(query + 2, 0, true, reply + 2);
		if (server->manner == LOWERING)
			lower_question(reply + 2);
		dns_write_u16(reply, (uint16_t)len);
		/* In two pieces, and not at the border of the prefix. Nobody may be there any
		 * more. */
		if (send(server->connection, reply, 1, MSG_NOSIGNAL) == 1)
			send(server->connection, reply + 1, len + 1, MSG_NOSIGNAL);
	}
	close(server->connection);
	server->connection = -1;
}

static void server_serve(struct server *server)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t query[512];
	ssize_t len;

	while ((len = recvfrom(server->udp, query, sizeof(query), 0, (struct sockaddr *)&from,
			&from_len)) > 0)
		server_answer(server, &from, query, (size_t)len);
	if (server->manner != SILENT && !server->is_deaf_to_tcp)
		server_serve_tcp(server);
}

static void server_close(struct server *server)
{
	if (server->udp >= 0)
		close(server->udp);
	if (server->tcp >= 0)
		close(server->tcp);
	if (server->connection >= 0)
		close(server->connection);
	server->udp = server->tcp = server->connection = -1;
}

/* The world ---------------------------------------------------------------------------------- */

static void on_settled(const struct listener_client *client, struct bytes reply)
{
	struct world *world = ((struct origin *)client->origin)->world;
	struct got *got = &world->got[world->got_count++];

	assert_true(world->got_count <= REPLIES_MAX && reply.len <= sizeof(got->octets));
	got->len = reply.len;
	got->answered = client->answered;
	got->id = reply.len > 0 ? dns_read_u16(reply.ptr) : 0;
	if (reply.len > 0)
		memcpy(got->octets, reply.ptr, reply.len);
	if (world->settled)
		world->settled(world);
}

/* @param text of the [forward] section: "%0" to "%2" are the servers. */
static struct world *world_open(const char *text, unsigned sockets_max)
{
	struct world *world = calloc(1, sizeof(*world));
	struct conf_error error = {0};
	char *directory = scratch_new();
	char content[2048] = "[forward]\n";
	const struct forward_settings settings = {
		.resolv_conf = "/dev/null", .sockets_max = sockets_max};

	assert_non_null(world);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	world->origin = (struct origin){{.settle = on_settled}, world};
	for (size_t i = 0; i < SERVERS; i++)
		server_open(&world->servers[i]);
	for (char *at = content + strlen(content); *text; text++) {
		if (*text == '%')
			at += sprintf(at, "127.0.0.1:%u", world->servers[*++text - '0'].port);
		else
			*at++ = *text;
	}
	scratch_write(directory, "conf", content, strlen(content));
	if (conf_load(scratch_path(directory, "conf"), &world->conf, &error) != CONF_OK)
		fail_msg("%s: %s", content, error.message);
	scratch_free(directory);
	assert_int_equal(forward_start(&world->loop, &world->conf, &settings, &world->forward), 0);
	return world;
}

static void world_close(struct world *world)
{
	forward_stop(world->forward);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	for (size_t i = 0; i < SERVERS; i++)
		server_close(&world->servers[i]);
	conf_done(&world->conf);
	free(world);
}

static void turn(struct world *world)
{
	struct pollfd ready[1 + SERVERS * 3] = {{uv_backend_fd(&world->loop), POLLIN, 0}};
	nfds_t count = 1;

	for (size_t i = 0; i < SERVERS; i++) {
		ready[count++] = (struct pollfd){world->servers[i].udp, POLLIN, 0};
		ready[count++] = (struct pollfd){world->servers[i].tcp, POLLIN, 0};
		ready[count++] = (struct pollfd){world->servers[i].connection, POLLIN, 0};
	}
	poll(ready, count, STEADY_CLOCK_WAIT_MS);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	for (size_t i = 0; i < SERVERS; i++)
		server_serve(&world->servers[i]);
	uv_run(&world->loop, UV_RUN_NOWAIT);
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void run_for(struct world *world, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		turn(world);
}

static void await_got(struct world *world, size_t count)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	while (world->got_count < count && now_ms() < end)
		turn(world);
	assert_int_equal(world->got_count, count);
}

struct client {
	bool is_tcp;
	bool dnssec_ok;
	const char *from; /* NULL: 127.0.0.1 */
};

/* Asks as a listener would. */
static void ask_as(struct world *world, uint16_t id, const char *name, struct client as)
{
	const struct asking_how how = {
		.has_edns = true, .udp_octets = 1232, .dnssec_ok = as.dnssec_ok};
	struct listener_client client = {.origin = &world->origin.origin, .is_tcp = as.is_tcp};
	uint8_t octets[512];
	static uint8_t reply[ANSWER_TCP_OCTETS_MAX];
	enum answered answered;
	struct bytes query = {octets, asking_query(name, DNS_TYPE_A, &how, octets)};
	size_t len = 0;

	dns_write_u16(octets, id);
	client.peer.v4.sin_family = AF_INET;
	inet_pton(AF_INET, as.from ? as.from : "127.0.0.1", &client.peer.v4.sin_addr);
	uv_update_time(&world->loop);
	switch (forward_answer(world->forward, as.is_tcp, query, reply, &len, &answered)) {
	case ANSWER_REPLY:
		client.answered = answered;
		listener_reply(&client, (struct bytes){reply, len});
		break;
	case ANSWER_FORWARD:
		forward_take(world->forward, &client, query);
		break;
	case ANSWER_DROP:
		fail();
	}
}

static void ask(struct world *world, uint16_t id, const char *name)
{
	ask_as(world, id, name, (struct client){0});
}

/* The last reply in words, without the question; with its extended error. */
static const char *words_of(const struct got *got)
{
	static char words[512];
	ldns_pkt *packet = NULL;
	ldns_rdf *options;
	char *rcode;

	if (got->len == 0)
		return "dropped";
	assert_int_equal(ldns_wire2pkt(&packet, got->octets, got->len), LDNS_STATUS_OK);
	rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet));
	snprintf(words, sizeof(words), "%s %u", rcode, (unsigned)ldns_pkt_ancount(packet));
	free(rcode);
	options = ldns_pkt_edns_data(packet);
	if (options && ldns_rdf_size(options) >= 6 && dns_read_u16(ldns_rdf_data(options)) == 15)
		snprintf(words + strlen(words), 32, " ede %u",
			dns_read_u16(ldns_rdf_data(options) + 4));
	ldns_pkt_free(packet);
	return words;
}

static const char *answer_to(struct world *world, const char *name)
{
	size_t before = world->got_count;

	ask(world, 7, name);
	await_got(world, before + 1);
	return words_of(&world->got[before]);
}

static unsigned distinct_cases(const char *name, const uint8_t *query)
{
	unsigned upper = 0;

	for (size_t i = 13; i < 13 + strlen(name); i++)
		upper += query[i] >= 'A' && query[i] <= 'Z';
	return upper;
}

/* Tests --------------------------------------------------------------------------------------- */

static void test_reply_has_the_clients_id_and_case(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	ask(world, 0x1234, "An.Example");
	await_got(world, 1);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	assert_int_equal(world->got[0].id, 0x1234);
	assert_memory_equal(world->got[0].octets + 12, "\2An\7Example\0", 12);
	ask(world, 0x4321, "aN.example"); /* Cached. */
	assert_int_equal(world->got_count, 2);
	assert_int_equal(world->got[1].id, 0x4321);
	assert_memory_equal(world->got[1].octets + 12, "\2aN\7example\0", 12);
	assert_int_equal(world->servers[0].asked_udp, 1);
	assert_int_equal(forward_stats(world->forward)->cached, 1);
	world_close(world);
}

static void test_each_query_has_a_port_an_id_and_case_of_its_own(void **state)
{
	static bool ports[65536];
	static bool ids[65536];
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	unsigned port_count = 0;
	unsigned id_count = 0;
	unsigned upper = 0;
	(void)state;

	for (unsigned i = 0; i < 500; i++) {
		ask(world, 1, "abcdefghijklmnopqrst.example");
		await_got(world, i + 1);
		port_count += !ports[world->servers[0].last_port];
		ports[world->servers[0].last_port] = true;
		id_count += !ids[dns_read_u16(world->servers[0].last)];
		ids[dns_read_u16(world->servers[0].last)] = true;
		upper += distinct_cases("abcdefghijklmnopqrst", world->servers[0].last);
	}
	/* 28,232 ports and 65,536 ids: 496 and 498 on average. */
	assert_true(port_count > 470);
	assert_true(id_count > 480);
	assert_in_range(upper, 4600, 5400); /* Of 10,000 letters; 8 standard deviations. */
	assert_int_equal(forward_stats(world->forward)->sockets, 0);
	world_close(world);
}

static void test_equal_questions_in_flight_are_one(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	run_for(world, 20);
	world->servers[0].manner = SILENT;
	ask(world, 1, "Same.example");
	ask(world, 2, "sAME.example");
	ask(world, 3, "other.example");
	assert_int_equal(forward_stats(world->forward)->pending, 2);
	assert_int_equal(forward_stats(world->forward)->clients, 3);
	run_for(world, 50);
	world->servers[0].manner = FAITHFUL;
	await_got(world, 3); /* The second attempts. */
	for (size_t i = 0; i < 3; i++) {
		if (world->got[i].id == 1)
			assert_memory_equal(world->got[i].octets + 13, "Same", 4);
		if (world->got[i].id == 2)
			assert_memory_equal(world->got[i].octets + 13, "sAME", 4);
		assert_string_equal(words_of(&world->got[i]), "NOERROR 1");
	}
	assert_int_equal(forward_stats(world->forward)->merged, 1);
	assert_int_equal(world->servers[0].asked_udp, 4);
	assert_int_equal(forward_stats(world->forward)->clients, 0);
	world_close(world);
}

static void test_what_is_no_reply_is_passed_over(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = LYING;
	for (int i = 0; i < 50; i++)
		assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 50);
	assert_int_equal(world->servers[0].asked_tcp, 0);
	assert_int_equal(forward_stats(world->forward)->mismatched, 50 * 7);
	world_close(world);
}

static void test_too_much_that_is_no_reply_leads_to_tcp(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	world->servers[0].manner = FLOODING;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_tcp, 1);
	assert_int_equal(forward_stats(world->forward)->mismatched, 16);
	world_close(world);
}

static void test_truncated_reply_is_asked_for_over_tcp(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	world->servers[0].manner = TRUNCATING;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 1);
	assert_int_equal(world->servers[0].asked_tcp, 1);
	/* Without TCP a client over UDP is told that there is more. */
	close(world->servers[0].tcp);
	world->servers[0].tcp = -1;
	assert_string_equal(answer_to(world, "b.example"), "NOERROR 0");
	assert_int_equal(world->got[1].octets[2] & 2, 2);
	world_close(world);
}

static void test_tcp_clients_are_served_over_tcp_where_there_is_some(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	(void)state;

	ask_as(world, 1, "a.example", (struct client){.is_tcp = true});
	await_got(world, 1);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_tcp, 1);
	assert_int_equal(world->servers[0].asked_udp, 0);
	close(world->servers[0].tcp);
	world->servers[0].tcp = -1;
	ask_as(world, 1, "a.example", (struct client){.is_tcp = true});
	await_got(world, 2);
	assert_string_equal(words_of(&world->got[1]), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 1);
	world_close(world);
}

/* Firewalls drop what opens a connection: nothing tells that it failed. */
static void test_connection_without_a_word_leads_back_to_datagrams(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	uint64_t connections;
	(void)state;

	world->servers[0].is_deaf_to_tcp = true;
	ask_as(world, 1, "a.example", (struct client){.is_tcp = true});
	await_got(world, 1);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	world->servers[0].manner = LOWERING;
	assert_string_equal(answer_to(world, "abcdefghijklmnopqrstuvwxyz.example"), "NOERROR 1");
	connections = forward_stats(world->forward)->attempts_tcp;
	assert_string_equal(answer_to(world, "zyxwvutsrqponmlkjihgfedcba.example"), "NOERROR 1");
	assert_int_equal(forward_stats(world->forward)->attempts_tcp, connections);
	world->servers[0].manner = TRUNCATING;
	assert_string_equal(answer_to(world, "b.example"), "NOERROR 0");
	assert_int_equal(world->got[3].octets[2] & 2, 2);
	world_close(world);
}

static void test_silent_server_costs_one_question_its_patience(void **state)
{
	struct world *world = world_open("upstream = %0 %1\ncache-size = 0", 0);
	uint64_t start;
	(void)state;

	world->servers[0].manner = SILENT;
	start = now_ms();
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_in_range(now_ms() - start, 350, 1000);
	start = now_ms();
	for (int i = 0; i < 20; i++)
		assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_true(now_ms() - start < 300);
	assert_int_equal(world->servers[0].asked_udp, 1);
	/* It comes back: the probe in the background finds out. */
	world->servers[0].manner = FAITHFUL;
	run_for(world, 3500);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 2);
	world_close(world);
}

static void test_nobody_answers_in_bounded_time(void **state)
{
	struct world *world = world_open("upstream = %0 %1", 0);
	uint64_t start = now_ms();
	(void)state;

	world->servers[0].manner = world->servers[1].manner = SILENT;
	assert_string_equal(answer_to(world, "a.example"), "SERVFAIL 0 ede 22");
	assert_in_range(now_ms() - start, 1000, 5000);
	start = now_ms(); /* The failure is remembered. */
	assert_string_equal(answer_to(world, "a.example"), "SERVFAIL 0 ede 22");
	assert_true(now_ms() - start < 100);
	assert_int_equal(forward_stats(world->forward)->sockets, 0);
	world_close(world);
}

/* The process was stopped, or the host had no time for it. */
static void test_reply_that_lies_there_is_no_timeout(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	ask(world, 1, "a.example");
	uv_run(&world->loop, UV_RUN_NOWAIT);
	server_serve(&world->servers[0]);
	steady_clock_skip(5000);
	await_got(world, 1);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	assert_int_equal(forward_stats(world->forward)->timeouts, 0);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	world_close(world);
}

/* A connection that got its reply reads on: its next questions may fail at once, and that is kept.
 */
static void fill_cache(struct world *world)
{
	const struct asking_how plain = {0};
	struct cache_key key;
	struct query query;
	uint8_t octets[512];
	char name[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "failed%u.example", i);
		const struct bytes view = {octets, asking_query(name, DNS_TYPE_A, &plain, octets)};

		assert_int_equal(query_parse(view, &query), QUERY_OK);
		cache_key_of(world->forward->cache, &query, &key);
		cache_store_failure(world->forward->cache, &key, MESSAGE_EDE_NONE, forward_now_s());
	}
}

static void test_old_answer_is_whole_for_each_of_its_clients(void **state)
{
	struct world *world =
		world_open("upstream = %0\ncache-size = 4\nmax-ttl = 1\nserve-stale = 3600", 0);
	(void)state;

	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	world->servers[0].manner = SILENT;
	steady_clock_skip(2100);
	world->settled = fill_cache;
	for (uint16_t i = 1; i < 4; i++)
		ask(world, i, "a.example");
	await_got(world, 4);
	for (size_t i = 1; i < 4; i++) {
		assert_string_equal(words_of(&world->got[i]), "NOERROR 1 ede 3");
		assert_memory_equal(
			world->got[i].octets + world->got[i].len - 15 - 6, "\xc0\0\2\1", 4);
	}
	world_close(world);
}

static void test_closed_ports_are_told_soon(void **state)
{
	struct world *world = world_open("upstream = %0 %1", 0);
	uint64_t start = now_ms();
	(void)state;

	server_close(&world->servers[0]);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_true(now_ms() - start < 300);
	server_close(&world->servers[1]);
	start = now_ms();
	assert_string_equal(answer_to(world, "b.example"), "SERVFAIL 0 ede 23");
	assert_true(now_ms() - start < 3000);
	world_close(world);
}

static void test_other_servers_are_asked_after_a_bad_reply(void **state)
{
	struct world *world = world_open("upstream = %0 %1\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = REFUSING;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	world->servers[0].manner = FAILING;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	world->servers[1].manner = REFUSING; /* SERVFAIL says more. */
	assert_string_equal(answer_to(world, "a.example"), "SERVFAIL 0");
	world->servers[0].manner = REFUSING;
	assert_string_equal(answer_to(world, "a.example"), "REFUSED 0");
	assert_int_equal(world->servers[0].asked_udp, 4);
	assert_int_equal(world->servers[1].asked_udp, 4);
	world_close(world);
}

/* Who has to ask around first takes longer than who refuses. */
static void test_slow_server_is_waited_for_after_a_bad_reply(void **state)
{
	struct world *world = world_open("upstream = %0 %1\ncache-size = 0", 0);
	uint64_t start;
	(void)state;

	world->servers[0].manner = REFUSING;
	world->servers[1].manner = SILENT;
	ask(world, 1, "a.example");
	run_for(world, 300);
	world->servers[1].manner = FAITHFUL;
	await_got(world, 1);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	/* But not for long for one that does not answer at all, and once where that is known. */
	world->servers[1].manner = SILENT;
	start = now_ms();
	assert_string_equal(answer_to(world, "b.example"), "REFUSED 0");
	assert_in_range(now_ms() - start, 1000, 2500);
	start = now_ms();
	assert_string_equal(answer_to(world, "c.example"), "REFUSED 0");
	assert_in_range(now_ms() - start, 300, 1500);
	world_close(world);
}

/* Where nobody listens nobody has to ask around. */
static void test_closed_port_is_not_waited_for_after_a_bad_reply(void **state)
{
	struct world *world = world_open("upstream = %0 %1\ncache-size = 0", 0);
	uint64_t start = now_ms();
	(void)state;

	world->servers[0].manner = REFUSING;
	server_close(&world->servers[1]);
	assert_string_equal(answer_to(world, "a.example"), "REFUSED 0");
	assert_true(now_ms() - start < 300);
	world_close(world);
}

static void test_server_without_edns_is_asked_without(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = OLD;
	for (int i = 0; i < 5; i++)
		assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 6);
	assert_int_equal(world->servers[0].asked_with_edns, 1);
	world_close(world);
}

/* The header alone is all that some send back. */
static void test_error_without_a_question_leads_to_a_question_without_edns(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = OLDER;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_string_equal(answer_to(world, "b.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 3); /* It is known for an hour. */
	assert_int_equal(world->servers[0].asked_with_edns, 1);
	world_close(world);
}

/* Old routers and firewalls drop what has OPT. Who wants DNSSEC needs it. */
static void test_silence_leads_to_a_question_without_edns(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	unsigned asked;
	(void)state;

	world->servers[0].manner = OLDEST;
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	asked = world->servers[0].asked_with_edns;
	assert_string_equal(answer_to(world, "b.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_with_edns, asked); /* It is known. */
	asked = world->servers[0].asked_udp - asked;
	ask_as(world, 1, "c.example", (struct client){.dnssec_ok = true});
	await_got(world, 3);
	assert_string_equal(words_of(&world->got[2]), "SERVFAIL 0 ede 22");
	/* None more without. */
	assert_int_equal(world->servers[0].asked_udp - world->servers[0].asked_with_edns, asked);
	world_close(world);
}

static void test_server_that_changes_case_is_found_out_over_tcp(void **state)
{
	struct world *world = world_open("upstream = %0 %1\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = LOWERING;
	for (int i = 0; i < 5; i++)
		assert_string_equal(
			answer_to(world, "abcdefghijklmnopqrstuvwxyz.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 5);
	assert_int_equal(world->servers[0].asked_tcp, 1);
	assert_int_equal(world->servers[1].asked_udp, 0);
	world_close(world);
}

static void test_server_that_changes_case_and_has_no_tcp_is_asked_in_lower_case(void **state)
{
	struct world *world = world_open("upstream = %0\ncache-size = 0", 0);
	(void)state;

	world->servers[0].manner = LOWERING;
	close(world->servers[0].tcp);
	world->servers[0].tcp = -1;
	for (int i = 0; i < 5; i++)
		assert_string_equal(
			answer_to(world, "abcdefghijklmnopqrstuvwxyz.example"), "NOERROR 1");
	world_close(world);
}

static void test_single_domains_have_servers_of_their_own(void **state)
{
	struct world *world = world_open("upstream = %0\nzone.corp.example = %1\n"
					 "zone.deep.corp.example = %2\nzone.home.arpa = %1",
		0);
	static const struct {
		const char *name;
		size_t server;
	} cases[] = {
		{"example", 0},
		{"xcorp.example", 0},
		{"corp.example", 1},
		{"a.CORP.example", 1},
		{"deep.corp.example", 2},
		{"x.y.deep.corp.example", 2},
		{"tv.home.arpa", 1},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned before = world->servers[cases[i].server].asked_udp;

		assert_string_equal(answer_to(world, cases[i].name), "NOERROR 1");
		assert_int_equal(world->servers[cases[i].server].asked_udp, before + 1);
	}
	assert_string_equal(answer_to(world, "printer.local"), "NXDOMAIN 0");
	assert_string_equal(answer_to(world, "1.0.0.10.in-addr.arpa"), "NXDOMAIN 0");
	assert_int_equal(forward_stats(world->forward)->special, 2);
	world_close(world);
}

static void test_nobody_to_ask_is_refused_or_a_failure(void **state)
{
	struct world *world = world_open("upstream = none\nzone.a.example = %0", 0);
	(void)state;

	assert_true(forward_is_on(world->forward));
	assert_string_equal(answer_to(world, "x.a.example"), "NOERROR 1");
	assert_string_equal(answer_to(world, "b.example"), "REFUSED 0");
	world_close(world);
	world = world_open("upstream = none", 0);
	assert_false(forward_is_on(world->forward));
	world_close(world);
	world = world_open("upstream = resolv.conf", 0); /* An empty one. */
	assert_true(forward_is_on(world->forward));
	assert_string_equal(answer_to(world, "b.example"), "SERVFAIL 0 ede 22");
	assert_int_equal(world->servers[0].asked_udp, 0);
	world_close(world);
}

static void expect_answered(struct world *world, const char *name, enum answered expected)
{
	answer_to(world, name);
	assert_string_equal(
		answered_word(world->got[world->got_count - 1].answered), answered_word(expected));
}

static void test_what_became_of_a_question_is_told(void **state)
{
	struct world *world =
		world_open("upstream = %0\nzone.refusing.example = %1\nzone.none.example = %2", 0);
	(void)state;

	world->servers[1].manner = REFUSING;
	server_close(&world->servers[2]);
	expect_answered(world, "a.example", ANSWERED_FORWARDED);
	expect_answered(world, "a.example", ANSWERED_CACHED);
	expect_answered(world, "a.refusing.example", ANSWERED_FORWARDED);
	expect_answered(world, "a.none.example", ANSWERED_FAILED);
	expect_answered(world, "a.none.example", ANSWERED_CACHED); /* The failure. */
	expect_answered(world, "printer.local", ANSWERED_SPECIAL);
	world_close(world);
	world = world_open("upstream = none\nzone.a.example = %0", 0);
	expect_answered(world, "b.example", ANSWERED_REFUSED);
	world_close(world);
	world = world_open("upstream = resolv.conf", 0); /* An empty one. */
	expect_answered(world, "b.example", ANSWERED_FAILED);
	world_close(world);
}

static void test_too_many_at_once_are_told_at_once(void **state)
{
	struct world *world = world_open("upstream = %0", 3);
	char name[32];
	(void)state;

	world->servers[0].manner = SILENT;
	for (uint16_t i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		ask(world, i, name);
	}
	assert_int_equal(world->got_count, 2);
	assert_string_equal(words_of(&world->got[0]), "SERVFAIL 0 ede 14");
	assert_int_equal(world->got[0].answered, ANSWERED_FAILED);
	ask(world, 9, "n0.example"); /* Needs no socket. */
	assert_int_equal(world->got_count, 2);
	assert_int_equal(forward_stats(world->forward)->overloaded, 2);
	world_close(world);
}

static void test_one_client_cannot_take_all_places(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	unsigned asked = 0;
	(void)state;

	world->servers[0].manner = SILENT;
	while (world->got_count == 0 && asked < 10000) {
		ask_as(world, 1, "same.example", (struct client){.from = "192.0.2.66"});
		asked++;
	}
	assert_int_equal(asked, 4096 + 1);
	assert_string_equal(words_of(&world->got[0]), "SERVFAIL 0 ede 14");
	ask_as(world, 1, "same.example", (struct client){.from = "192.0.2.67"});
	assert_int_equal(world->got_count, 1); /* Waits. */
	world->got_count = 0;
	forward_stop(world->forward);
	assert_int_equal(world->got_count, 4096 + 1);
	world->forward = NULL;
	world_close(world);
}

static void test_stop_lets_clients_go(void **state)
{
	struct world *world = world_open("upstream = %0 %1", 0);
	(void)state;

	world->servers[0].manner = world->servers[1].manner = SILENT;
	ask(world, 1, "a.example");
	ask(world, 2, "a.example");
	ask_as(world, 3, "b.example", (struct client){.is_tcp = true});
	run_for(world, 600); /* A second attempt is under way. */
	forward_stop(world->forward);
	assert_int_equal(world->got_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(words_of(&world->got[i]), "dropped");
		assert_int_equal(world->got[i].answered, ANSWERED_DROPPED);
	}
	world->forward = NULL;
	world_close(world);
}

static void configure_server(struct world *world, size_t number)
{
	world->conf.upstream_servers[0].port = world->servers[number].port;
	assert_int_equal(forward_configure(world->forward, &world->conf), 0);
}

static void test_reload_keeps_the_cache(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(forward_configure(world->forward, &world->conf), 0);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 1);
	world->conf.cache_kib = 8192; /* Another cache: empty. */
	assert_int_equal(forward_configure(world->forward, &world->conf), 0);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[0].asked_udp, 2);
	world_close(world);
}

/* What the old ones said, and that they said nothing, does not hold any more. */
static void test_other_servers_are_asked_all_anew(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	world->servers[0].manner = SILENT;
	ask(world, 1, "b.example");
	run_for(world, 100);
	configure_server(world, 1);
	ask(world, 2, "b.example");
	await_got(world, 3);
	assert_string_equal(words_of(&world->got[1]), "NOERROR 1");
	assert_string_equal(words_of(&world->got[2]), "NOERROR 1");
	assert_int_equal(world->servers[1].asked_udp, 1);
	assert_string_equal(answer_to(world, "a.example"), "NOERROR 1");
	assert_int_equal(world->servers[1].asked_udp, 2);
	world_close(world);
}

/* Replies that were on their way to sockets that are closed by now; failures; TCP. */
static void test_servers_change_while_replies_are_on_their_way(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	char name[32];
	(void)state;

	for (uint16_t i = 0; i < 60; i++) {
		world->servers[i % 2].manner = (enum manner)(i % (FLOODING + 1));
		snprintf(name, sizeof(name), "n%u.example", i);
		ask_as(world, i, name, (struct client){.is_tcp = i % 3 == 0});
		if (i % 4 == 0)
			turn(world);
		configure_server(world, i % 2 == 0);
		if (i % 5 == 0)
			turn(world);
	}
	world->servers[0].manner = world->servers[1].manner = FAITHFUL;
	await_got(world, 60);
	assert_int_equal(forward_stats(world->forward)->pending, 0);
	assert_int_equal(forward_stats(world->forward)->sockets, 0);
	world_close(world);
}

static void test_another_cache_keeps_questions_in_flight(void **state)
{
	struct world *world = world_open("upstream = %0", 0);
	(void)state;

	world->servers[0].manner = SILENT;
	ask(world, 1, "a.example");
	run_for(world, 100);
	world->conf.cache_kib = 8192;
	assert_int_equal(forward_configure(world->forward, &world->conf), 0);
	world->servers[0].manner = FAITHFUL;
	ask(world, 2, "a.example");
	assert_int_equal(forward_stats(world->forward)->merged, 1);
	await_got(world, 2);
	assert_string_equal(words_of(&world->got[0]), "NOERROR 1");
	assert_string_equal(words_of(&world->got[1]), "NOERROR 1");
	assert_string_equal(answer_to(world, "A.example"), "NOERROR 1");
	assert_int_equal(world->got[2].answered, ANSWERED_CACHED);
	world_close(world);
}

static void test_own_address_is_never_asked(void **state)
{
	struct world *world = world_open("upstream = none", 0);
	struct forward_settings settings = {.resolv_conf = "/dev/null", .own_count = 1};
	struct conf_endpoint own = {
		.family = 4, .octets = {127, 0, 0, 1}, .port = world->servers[0].port};
	(void)state;

	forward_stop(world->forward);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	settings.own = &own;
	world->conf.upstream = CONF_UPSTREAM_SERVERS;
	world->conf.upstream_servers = calloc(1, sizeof(own));
	world->conf.upstream_servers[0] = own;
	world->conf.upstream_server_count = 1;
	assert_int_equal(forward_start(&world->loop, &world->conf, &settings, &world->forward), 0);
	assert_string_equal(answer_to(world, "a.example"), "SERVFAIL 0 ede 22");
	assert_int_equal(world->servers[0].asked_udp, 0);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply_has_the_clients_id_and_case),
		cmocka_unit_test(test_each_query_has_a_port_an_id_and_case_of_its_own),
		cmocka_unit_test(test_equal_questions_in_flight_are_one),
		cmocka_unit_test(test_what_is_no_reply_is_passed_over),
		cmocka_unit_test(test_too_much_that_is_no_reply_leads_to_tcp),
		cmocka_unit_test(test_truncated_reply_is_asked_for_over_tcp),
		cmocka_unit_test(test_tcp_clients_are_served_over_tcp_where_there_is_some),
		cmocka_unit_test(test_connection_without_a_word_leads_back_to_datagrams),
		cmocka_unit_test(test_silent_server_costs_one_question_its_patience),
		cmocka_unit_test(test_nobody_answers_in_bounded_time),
		cmocka_unit_test(test_reply_that_lies_there_is_no_timeout),
		cmocka_unit_test(test_old_answer_is_whole_for_each_of_its_clients),
		cmocka_unit_test(test_closed_ports_are_told_soon),
		cmocka_unit_test(test_other_servers_are_asked_after_a_bad_reply),
		cmocka_unit_test(test_slow_server_is_waited_for_after_a_bad_reply),
		cmocka_unit_test(test_closed_port_is_not_waited_for_after_a_bad_reply),
		cmocka_unit_test(test_server_without_edns_is_asked_without),
		cmocka_unit_test(test_error_without_a_question_leads_to_a_question_without_edns),
		cmocka_unit_test(test_silence_leads_to_a_question_without_edns),
		cmocka_unit_test(test_server_that_changes_case_is_found_out_over_tcp),
		cmocka_unit_test(
			test_server_that_changes_case_and_has_no_tcp_is_asked_in_lower_case),
		cmocka_unit_test(test_single_domains_have_servers_of_their_own),
		cmocka_unit_test(test_nobody_to_ask_is_refused_or_a_failure),
		cmocka_unit_test(test_what_became_of_a_question_is_told),
		cmocka_unit_test(test_too_many_at_once_are_told_at_once),
		cmocka_unit_test(test_one_client_cannot_take_all_places),
		cmocka_unit_test(test_stop_lets_clients_go),
		cmocka_unit_test(test_reload_keeps_the_cache),
		cmocka_unit_test(test_other_servers_are_asked_all_anew),
		cmocka_unit_test(test_servers_change_while_replies_are_on_their_way),
		cmocka_unit_test(test_another_cache_keeps_questions_in_flight),
		cmocka_unit_test(test_own_address_is_never_asked),
	};

	signal(SIGPIPE, SIG_IGN);
	log_start(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, own_network, NULL);
}
