/* Questions of `check`, to a server on a loopback port that says what the test wants. Tests
 * asker_send() as well. */
#include "tests/server/upstream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/check/check_dns.h"
#include "tests/support/own_network.h"

#define SOA "libvirt. 60 IN SOA leasedns.libvirt. hostmaster.libvirt. 4711 1 2 3 4"

/* Answers each datagram with one reply, but for id and question. */
struct player {
	int fd;
	struct conf_endpoint endpoint;
	const struct upstream_reply *reply; /* NULL: says nothing. */
	unsigned lost;                      /* So many queries do not count. */
	pthread_t thread;
	uint8_t last[512]; /* The last query. */
};

static void *player_run(void *ctx)
{
	struct player *player = ctx;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t len;

	while ((len = recvfrom(player->fd, player->last, sizeof(player->last), 0,
			(struct sockaddr *)&from, &from_len)) > 1) {
		size_t reply_len = 0;
		uint8_t *reply;

		if (!player->reply)
			continue;
		if (player->lost > 0) {
			player->lost--;
			continue;
		}
		reply = upstream_make(player->reply, &reply_len);
		memcpy(reply, player->last, 2);
		sendto(player->fd, reply, reply_len, 0, (struct sockaddr *)&from, from_len);
		free(reply);
	}
	return NULL;
}

static void player_start(struct player *player, const struct upstream_reply *reply)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	memset(player, 0, sizeof(*player));
	player->reply = reply;
	player->fd = socket(AF_INET, SOCK_DGRAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(player->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(player->fd, (struct sockaddr *)&address, &len), 0);
	player->endpoint = (struct conf_endpoint){
		.family = 4, .octets = {127, 0, 0, 1}, .port = ntohs(address.sin_port)};
	assert_int_equal(pthread_create(&player->thread, NULL, player_run, player), 0);
}

static void player_stop(struct player *player)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(player->endpoint.port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address));
	pthread_join(player->thread, NULL);
	close(fd);
	close(player->fd);
}

static struct check_question question(const struct player *player, const char *name, uint16_t type)
{
	struct check_question out = {.server = player->endpoint, .type = type};

	snprintf(out.name, sizeof(out.name), "%s", name);
	return out;
}

static void test_soa_tells_whether_it_is_ours(void **state)
{
	const struct upstream_reply reply = {
		.name = "libvirt.", .type = DNS_TYPE_SOA, .aa = true, .answer = {SOA}};
	struct player player;
	struct check_question asked;

	(void)state;
	player_start(&player, &reply);
	asked = question(&player, "libvirt", DNS_TYPE_SOA);
	check_dns_ask(&asked, 1);
	assert_true(asked.has_replied);
	assert_int_equal(asked.rcode, DNS_RCODE_NOERROR);
	assert_string_equal(asked.mname, "leasedns.libvirt.");
	assert_int_equal(asked.serial, 4711);
	assert_true(check_dns_is_ours(&asked, "libvirt"));
	assert_false(check_dns_is_ours(&asked, "libvir"));
	assert_false(check_dns_is_ours(&asked, "virt"));
	assert_false(check_dns_is_ours(&asked, "a.libvirt"));
	/* RD is set, CD is not; neither is with an unchecked one the other way round. */
	assert_int_equal(player.last[2] & 1, 1);
	assert_int_equal(player.last[3] & 0x10, 0);
	asked = question(&player, "libvirt", DNS_TYPE_SOA);
	asked.is_unchecked = true;
	check_dns_ask(&asked, 1);
	assert_int_equal(player.last[3] & 0x10, 0x10);
	player_stop(&player);
}

static void test_addresses_and_rcodes_are_told(void **state)
{
	const struct upstream_reply found = {.name = "vm.libvirt.",
		.answer = {"vm.libvirt. 5 IN A 192.168.122.2", "vm.libvirt. 5 IN A 192.168.122.3",
			"vm.libvirt. 5 IN A 192.168.122.2"}};
	const struct upstream_reply refused = {.name = "vm.libvirt.", .rcode = DNS_RCODE_REFUSED};
	const struct upstream_reply failed = {.name = "vm.libvirt.", .rcode = DNS_RCODE_SERVFAIL};
	const struct upstream_reply nodata = {.name = "vm.libvirt."};
	const struct {
		const struct upstream_reply *reply;
		const char *word;
		size_t addresses;
	} cases[] = {{&found, "an answer", 2}, {&refused, "REFUSED", 0}, {&failed, "SERVFAIL", 0},
		{&nodata, "no such data", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char word[CHECK_DNS_WORD_SIZE];
		struct check_question asked;
		struct player player;

		player_start(&player, cases[i].reply);
		asked = question(&player, "vm.libvirt", DNS_TYPE_A);
		check_dns_ask(&asked, 1);
		player_stop(&player);
		assert_true(asked.has_replied);
		assert_string_equal(check_dns_word(&asked, word), cases[i].word);
		assert_int_equal(asked.addresses.count, cases[i].addresses);
		assert_false(check_dns_is_ours(&asked, "libvirt"));
	}
}

/* Carried by c-ares, and by ldns. */
static void test_lost_query_is_asked_again(void **state)
{
	static const char *const names[] = {"vm.libvirt", "db\\032server.libvirt"};
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		const struct upstream_reply reply = {
			.name = names[i], .answer = {"vm.libvirt. 5 IN A 192.168.122.2"}};
		struct check_question asked;
		struct player player;

		player_start(&player, &reply);
		player.lost = 1;
		asked = question(&player, names[i], DNS_TYPE_A);
		check_dns_ask(&asked, 1);
		player_stop(&player);
		assert_true(asked.has_replied);
		assert_int_equal(asked.addresses.count, 1);
	}
}

static void test_silence_bad_names_and_many_at_once(void **state)
{
	const struct upstream_reply reply = {
		.name = "libvirt.", .type = DNS_TYPE_SOA, .answer = {SOA}};
	struct check_question *asked = calloc(40, sizeof(*asked));
	char word[CHECK_DNS_WORD_SIZE];
	struct player mute;
	struct player player;

	(void)state;
	assert_non_null(asked);
	player_start(&mute, NULL);
	player_start(&player, &reply);
	for (size_t i = 0; i < 40; i++)
		asked[i] = question(i % 2 ? &player : &mute, "libvirt", DNS_TYPE_SOA);
	snprintf(asked[3].name, sizeof(asked[3].name), "a..b");
	asked[5].server.scope_id = 1;
	check_dns_ask(asked, 40);
	for (size_t i = 0; i < 40; i++) {
		bool is_answered = i % 2 && i != 3 && i != 5;

		assert_int_equal(asked[i].has_replied, is_answered);
		assert_int_equal(check_dns_is_ours(&asked[i], "libvirt"), is_answered);
	}
	assert_string_equal(check_dns_word(&asked[0], word), "no reply");
	player_stop(&mute);
	player_stop(&player);
	free(asked);
	check_dns_ask(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_soa_tells_whether_it_is_ours),
		cmocka_unit_test(test_addresses_and_rcodes_are_told),
		cmocka_unit_test(test_lost_query_is_asked_again),
		cmocka_unit_test(test_silence_bad_names_and_many_at_once),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
