/** @file What a UDP query costs: a bare echo loop (the floor), our listener with the same trivial
 *  answer, and a client that loads either of them or any DNS server.
 *
 *      bench_udp floor    ADDRESS PORT SECONDS
 *      bench_udp listener ADDRESS PORT SECONDS
 *      bench_udp client   ADDRESS PORT SECONDS [-w WINDOW] [-q FILE] [-r] [-R RATE] [-1]
 *
 *  Servers run for SECONDS or until SIGTERM or SIGINT, then print their CPU time for each query, of
 *  /proc/self/schedstat. The client keeps WINDOW queries in flight and prints its rate; FILE holds
 *  raw messages, each behind two octets of length, and is sent over and over with ids of the
 *  client's; with -r every reply must have RCODE 0; with -R no more than RATE queries a second are
 *  sent; with -1 FILE is sent once. With either, lost is what is not answered within 6 s. Exit
 * status 1 if a reply was not as expected.
 *
 *  Run the server on one core and the client on another (taskset), in turns with the floor. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/net/listener_udp.h"
#include "tests/support/scratch.h"

#define BATCH      LISTENER_UDP_BATCH
#define OCTETS_MAX 4096u
#define IDS        65536u
#define WINDOW_MAX 8192u
/* What is not answered by then is lost, and new queries take its place. */
#define LOST_AFTER_NS 200000000u
/* Where losses are counted: longer than a forwarder waits for its upstreams. */
#define LOST_LATE_NS 6000000000u

static volatile sig_atomic_t is_asked_to_end;

static void ask_to_end(int number)
{
	(void)number;
	is_asked_to_end = 1;
}

static uint64_t now_ns(void)
{
	return uv_hrtime();
}

union socket_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t parse_target(
	const char *address, const char *port, union socket_address *out_address)
{
	in_port_t port_be = htons((uint16_t)strtoul(port, NULL, 10));

	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET, address, &out_address->v4.sin_addr) == 1) {
		out_address->v4.sin_family = AF_INET;
		out_address->v4.sin_port = port_be;
		return sizeof(out_address->v4);
	}
	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET6, address, &out_address->v6.sin6_addr) != 1)
		errx(2, "%s: not an address", address);
	out_address->v6.sin6_family = AF_INET6;
	out_address->v6.sin6_port = port_be;
	return sizeof(out_address->v6);
}

/* Servers. */

/* Time on a processor of the only thread. */
static uint64_t cpu_ns(void)
{
	unsigned long long ns = 0;
	FILE *file = fopen("/proc/self/schedstat", "r");

	if (!file || fscanf(file, "%llu", &ns) != 1)
		err(2, "/proc/self/schedstat");
	fclose(file);
	return ns;
}

static void print_cost(const char *name, uint64_t spent_ns, uint64_t queries)
{
	printf("%s: %llu queries, %.3f us CPU/query\n", name, (unsigned long long)queries,
		queries ? (double)spent_ns / 1e3 / (double)queries : 0.0);
}

/* The question as it came, one address behind it. */
static enum answer_verdict trivial_answer(void *ctx, bool is_tcp, const struct sockaddr *peer,
	struct bytes query, uint8_t *reply, size_t reply_cap, size_t *out_reply_len)
{
	static const uint8_t address[] = {
		0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 168, 122, 10};
	(void)ctx;
	(void)is_tcp;

	(void)peer;
	if (query.len < 12 || query.len > reply_cap - sizeof(address))
		return ANSWER_DROP;
	memcpy(reply, query.ptr, query.len);
	memcpy(reply + query.len, address, sizeof(address));
	reply[2] = 0x84 | (reply[2] & 1); /* QR, AA, RD as it was. */
	reply[7] = 1;                     /* ANCOUNT */
	*out_reply_len = query.len + sizeof(address);
	return ANSWER_REPLY;
}

static int server_socket(const char *address, const char *port)
{
	union socket_address bound;
	socklen_t len = parse_target(address, port, &bound);
	int fd = socket(bound.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int octets = 4 << 20;

	if (fd < 0 || bind(fd, &bound.any, len) < 0)
		err(2, "%s port %s", address, port);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof(octets)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets));
	return fd;
}

struct floor {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	union socket_address peers[BATCH];
	uint8_t octets[BATCH][512 + 64]; /* No power of two: see struct udp_slot. */
	uint8_t reply[BATCH][512 + 64];
};

static unsigned floor_turn(struct floor *floor, int fd)
{
	int count;
	int sent;

	for (unsigned i = 0; i < BATCH; i++) {
		floor->iov[i] = (struct iovec){floor->octets[i], sizeof(floor->octets[i])};
		floor->messages[i].msg_hdr = (struct msghdr){.msg_name = &floor->peers[i],
			.msg_namelen = sizeof(floor->peers[i]),
			.msg_iov = &floor->iov[i],
			.msg_iovlen = 1};
	}
	count = recvmmsg(fd, floor->messages, BATCH, MSG_WAITFORONE, NULL);
	for (int i = 0; i < count; i++) {
		struct bytes query = {floor->octets[i], floor->messages[i].msg_len};
		size_t len = 0;

		trivial_answer(
			NULL, false, NULL, query, floor->reply[i], sizeof(floor->reply[i]), &len);
		floor->iov[i] = (struct iovec){floor->reply[i], len};
	}
	for (int done = 0; done<count; done += sent> 0 ? sent : 1)
		sent = sendmmsg(fd, floor->messages + done, (unsigned)(count - done), 0);
	return count > 0 ? (unsigned)count : 0;
}

static int run_floor(const char *address, const char *port, double seconds)
{
	struct floor *floor = calloc(1, sizeof(*floor));
	int fd = server_socket(address, port);
	const struct timeval patience = {.tv_usec = 100000};
	uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);
	uint64_t cpu_before_ns = cpu_ns();
	uint64_t queries = 0;
	unsigned turns = 0;

	if (!floor)
		err(2, "memory");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (!is_asked_to_end) {
		unsigned count = floor_turn(floor, fd);

		queries += count;
		/* The clock is not part of the floor. */
		if ((count == 0 || ++turns % 1024 == 0) && now_ns() >= end_ns)
			break;
	}
	print_cost("floor", cpu_ns() - cpu_before_ns, queries);
	close(fd);
	free(floor);
	return 0;
}

static void end_listener(uv_timer_t *timer)
{
	if (!is_asked_to_end && uv_now(timer->loop) < *(uint64_t *)timer->data)
		return;
	uv_stop(timer->loop);
}

static int run_listener(const char *address, const char *port, double seconds)
{
	const struct listener_ops ops = {.answer = trivial_answer};
	struct listener_udp *listener = NULL;
	uint64_t cpu_before_ns = cpu_ns();
	uint64_t end_ms;
	uv_timer_t timer;
	uv_loop_t loop;

	if (uv_loop_init(&loop) < 0 || uv_timer_init(&loop, &timer) < 0 ||
		listener_udp_start(&loop, server_socket(address, port), &ops, &listener) < 0)
		errx(2, "the listener does not start");
	end_ms = uv_now(&loop) + (uint64_t)(seconds * 1e3);
	timer.data = &end_ms;
	uv_timer_start(&timer, end_listener, 100, 100);
	uv_run(&loop, UV_RUN_DEFAULT);
	print_cost("listener", cpu_ns() - cpu_before_ns, listener_udp_stats(listener)->queries);
	listener_udp_stop(listener);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop) < 0 ? 1 : 0;
}

/* The client. */

struct client {
	int fd;
	unsigned window;
	bool wants_rcode_0;
	bool sends_once;
	double rate; /* Queries a second; 0: as they are answered. */
	uint64_t start_ns;
	struct bytes *queries;
	size_t query_count;
	size_t next_query;
	uint16_t next_id;
	unsigned in_flight;
	uint64_t sent;
	uint64_t replies;
	uint64_t lost;
	uint64_t late;  /* Or twice: an id that is not in flight (any more). */
	uint64_t wrong; /* Not a reply, or RCODE not 0. */
	bool is_in_flight[IDS];
	struct mmsghdr out[BATCH];
	struct mmsghdr in[BATCH];
	struct iovec out_iov[BATCH][2];
	struct iovec in_iov[BATCH];
	uint8_t out_id[BATCH][2];
	uint8_t in_octets[BATCH][OCTETS_MAX + 64];
};

static void client_prepare(struct client *client)
{
	for (unsigned i = 0; i < BATCH; i++) {
		client->out_iov[i][0] = (struct iovec){client->out_id[i], 2};
		client->out[i].msg_hdr =
			(struct msghdr){.msg_iov = client->out_iov[i], .msg_iovlen = 2};
		client->in_iov[i] = (struct iovec){client->in_octets[i], OCTETS_MAX};
		client->in[i].msg_hdr =
			(struct msghdr){.msg_iov = &client->in_iov[i], .msg_iovlen = 1};
	}
}

/* Splits the file's content; the views stay in it. */
static void client_load(struct client *client, const uint8_t *octets, size_t len)
{
	size_t at = 0;

	client->queries = calloc(len / 14 + 1, sizeof(*client->queries));
	if (!client->queries)
		err(2, "memory");
	while (at + 2 <= len) {
		size_t query = (size_t)octets[at] << 8 | octets[at + 1];

		if (query < 12 || at + 2 + query > len)
			errx(2, "queries: bad length %zu at octet %zu", query, at);
		client->queries[client->query_count++] = (struct bytes){octets + at + 2, query};
		at += 2 + query;
	}
	if (client->query_count == 0)
		errx(2, "queries: none");
}

/* How many may be sent until now, all in all. */
static uint64_t client_due(const struct client *client)
{
	uint64_t due = UINT64_MAX;

	if (client->rate > 0)
		due = (uint64_t)((double)(now_ns() - client->start_ns) / 1e9 * client->rate);
	return client->sends_once && due > client->query_count ? client->query_count : due;
}

static void client_send(struct client *client)
{
	const uint64_t due = client_due(client);
	unsigned count = 0;
	int sent;

	while (count < BATCH && client->in_flight + count < client->window &&
		client->sent + count < due) {
		struct bytes query = client->queries[client->next_query];
		uint16_t id = client->next_id++;

		if (client->is_in_flight[id])
			continue; /* Still unanswered since the last round of ids. */
		client->next_query = (client->next_query + 1) % client->query_count;
		client->out_id[count][0] = (uint8_t)(id >> 8);
		client->out_id[count][1] = (uint8_t)id;
		/* The message without its own id; sendmsg does not write to it. */
		client->out_iov[count][1] =
			(struct iovec){(void *)(uintptr_t)(query.ptr + 2), query.len - 2};
		client->is_in_flight[id] = true;
		count++;
	}
	/* What is not taken (ECONNREFUSED, no buffers) is lost like any other. */
	for (unsigned done = 0; done<count; done += sent> 0 ? (unsigned)sent : 1)
		sent = sendmmsg(client->fd, client->out + done, count - done, 0);
	client->in_flight += count;
	client->sent += count;
}

static void client_check(struct client *client, const uint8_t *reply, size_t len)
{
	uint16_t id;

	if (len < 12 || !(reply[2] & 0x80)) {
		client->wrong++;
		return;
	}
	id = (uint16_t)(reply[0] << 8 | reply[1]);
	if (!client->is_in_flight[id]) {
		client->late++;
		return;
	}
	client->is_in_flight[id] = false;
	client->in_flight--;
	client->replies++;
	if (client->wants_rcode_0 && (reply[3] & 0x0f) != 0)
		client->wrong++;
}

/* Takes replies, and waits for them at most as long as the socket's timeout; then all in flight is
 * lost. With a rate there is always the next query to be sent. */
static void client_receive(struct client *client, bool waits)
{
	static const struct timespec moment = {.tv_nsec = 200000};
	int count = recvmmsg(
		client->fd, client->in, BATCH, waits ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);

	for (int i = 0; i < count; i++)
		client_check(client, client->in_octets[i], client->in[i].msg_len);
	if (count < 0 && !waits) {
		nanosleep(&moment, NULL);
	} else if (count < 0 && errno == EAGAIN) {
		client->lost += client->in_flight;
		client->in_flight = 0;
		memset(client->is_in_flight, 0, sizeof(client->is_in_flight));
	}
}

static void client_connect(struct client *client, const char *address, const char *port)
{
	union socket_address target;
	socklen_t len = parse_target(address, port, &target);
	const uint64_t lost_after_ns =
		client->rate > 0 || client->sends_once ? LOST_LATE_NS : LOST_AFTER_NS;
	const struct timeval patience = {.tv_sec = (time_t)(lost_after_ns / 1000000000u),
		.tv_usec = (suseconds_t)(lost_after_ns % 1000000000u / 1000)};
	const int octets = 4 << 20;

	client->fd = socket(target.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, &target.any, len) < 0)
		err(2, "%s port %s", address, port);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof(octets)) < 0)
		setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets));
}

static void client_run(struct client *client, double seconds)
{
	const bool waits = client->rate <= 0;
	double elapsed_s;

	client->start_ns = now_ns();
	do {
		client_send(client);
		client_receive(client, waits && client->in_flight > 0);
		elapsed_s = (double)(now_ns() - client->start_ns) / 1e9;
	} while (!is_asked_to_end && elapsed_s < seconds &&
		 !(client->sends_once && client->sent == client->query_count));
	while (client->in_flight > 0)
		client_receive(client, true);
	printf("client: %.1f kqps, %llu replies, %llu lost, %llu late, %llu wrong\n",
		(double)client->replies / 1e3 / elapsed_s, (unsigned long long)client->replies,
		(unsigned long long)client->lost, (unsigned long long)client->late,
		(unsigned long long)client->wrong);
}

/* @param path NULL: one question only. */
static int run_client(struct client *client, const char *address, const char *port, double seconds,
	const char *path)
{
	/* vm.libvirt A, RD */
	static const char question[] = "\0\34\0\0\1\0\0\1\0\0\0\0\0\0\2vm\7libvirt\0\0\1\0\1";
	size_t file_len = sizeof(question) - 1;
	char *file = path ? scratch_read(path, &file_len) : NULL;

	client_prepare(client);
	client_load(client, (const uint8_t *)(file ? file : question), file_len);
	client_connect(client, address, port);
	client_run(client, seconds);
	close(client->fd);
	free(client->queries);
	free(file);
	/* A reply that is late was lost before; one that never was is an answer to nothing. */
	return client->replies == 0 || client->wrong > 0 || client->late > client->lost;
}

static int usage(void)
{
	fputs("usage: bench_udp floor|listener ADDRESS PORT SECONDS\n"
	      "       bench_udp client ADDRESS PORT SECONDS [-w WINDOW] [-q FILE] [-r] [-R RATE] "
	      "[-1]\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct client client = {.window = 256};
	const char *path = NULL;
	double seconds;

	signal(SIGTERM, ask_to_end);
	signal(SIGINT, ask_to_end);
	if (argc < 5)
		return usage();
	seconds = strtod(argv[4], NULL);
	for (int option; (option = getopt(argc - 4, argv + 4, "w:q:rR:1")) != -1;) {
		if (option == 'w')
			client.window = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'q')
			path = optarg;
		else if (option == 'r')
			client.wants_rcode_0 = true;
		else if (option == 'R')
			client.rate = strtod(optarg, NULL);
		else if (option == '1')
			client.sends_once = true;
		else
			return usage();
	}
	if (client.window < 1 || client.window > WINDOW_MAX || seconds <= 0 || client.rate < 0)
		return usage();
	if (strcmp(argv[1], "floor") == 0)
		return run_floor(argv[2], argv[3], seconds);
	if (strcmp(argv[1], "listener") == 0)
		return run_listener(argv[2], argv[3], seconds);
	if (strcmp(argv[1], "client") == 0)
		return run_client(&client, argv[2], argv[3], seconds, path);
	return usage();
}
