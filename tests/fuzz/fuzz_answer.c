/* Any octets as a message: the reply, if there is one, is a DNS message for ldns, of the right id
 * and size. The first octet of the input chooses the circumstances. */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dns/answer.h"
#include "server/dns/dns.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

#define NOW_UNIX_S INT64_C(1800000000)
#define POISON     0xa5

#define CHOICE_TCP       1u
#define CHOICE_RECURSION 2u
#define CHOICE_LATER     4u /* Some leases have ended. */
#define CHOICE_SMALL     8u /* A small buffer. */

#define LEASE(address, mac, name, expires)                                            \
	"{\"ip-address\":\"" address "\",\"mac-address\":\"52:54:00:00:00:" mac "\"," \
	"\"hostname\":\"" name "\",\"expiry-time\":" expires "}"

static const char *const files[][2] = {
	{"virbr0.status", "[" LEASE("192.168.122.10", "10", "one", "1800000100") "," LEASE(
				  "192.168.122.20", "20", "two", "0") "," LEASE("192.168.122.21",
				  "21", "two", "1800000003") "," LEASE("fd00:122::20", "20", "two",
				  "1800000100") "," LEASE("192.168.122.50", "50", "both", "0") "]"},
	{"virbr0.macs", "[{\"domain\":\"vm1\",\"macs\":[\"52:54:00:00:00:10\"]},"
			"{\"domain\":\"ubuntu22.04\",\"macs\":[\"52:54:00:00:00:50\"]},"
			"{\"domain\":\"DB Server\",\"macs\":[\"52:54:00:00:00:20\"]}]"},
	{"default.addnhosts", "192.168.122.5\tprinter lp.lab\n"},
};

/* A fuzzer's process has one zone for all inputs. */
static const struct zone *zone_get(void)
{
	static struct zone *zone;

	if (zone)
		return zone;
	char *directory = scratch_new();

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		scratch_publish(directory, files[i][0], files[i][1]);
	struct built_index *built = built_index_new(directory, NULL);

	CHECK(zone_new(built->fd, &zone) == PARSER_OK);
	built_index_free(built);
	scratch_free(directory);
	return zone;
}

/* What RFC 6891 lets a reply have. ldns is not asked to read a query that we found malformed: it
 * loses memory over some of those. */
static size_t octets_max(const uint8_t *message, size_t len, const uint8_t *reply, bool is_tcp)
{
	const unsigned rcode = reply[3] & 15u;
	ldns_pkt *packet = NULL;
	size_t octets = ANSWER_UDP_OCTETS_MAX;

	if (is_tcp)
		return ANSWER_TCP_OCTETS_MAX;
	if (rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP ||
		ldns_wire2pkt(&packet, message, len) != LDNS_STATUS_OK)
		return octets;
	if (!ldns_pkt_edns(packet) || ldns_pkt_edns_udp_size(packet) < 512)
		octets = 512;
	else if (ldns_pkt_edns_udp_size(packet) < octets)
		octets = ldns_pkt_edns_udp_size(packet);
	ldns_pkt_free(packet);
	return octets;
}

static void reply_check(const uint8_t *message, const uint8_t *reply, size_t len)
{
	ldns_pkt *packet = NULL;

	CHECK(ldns_wire2pkt(&packet, reply, len) == LDNS_STATUS_OK);
	CHECK(ldns_pkt_id(packet) == dns_read_u16(message));
	CHECK(ldns_pkt_qr(packet));
	CHECK(ldns_pkt_get_opcode(packet) == (message[2] >> 3 & 15));
	CHECK(ldns_pkt_rd(packet) == (message[2] & 1));
	CHECK(!ldns_pkt_ad(packet) && !ldns_pkt_cd(packet) && (reply[3] & 0x40) == 0);
	CHECK(!ldns_pkt_tc(packet) || ldns_pkt_ancount(packet) == 0);
	CHECK(ldns_pkt_qdcount(packet) <= 1);
	ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t reply[ANSWER_TCP_OCTETS_MAX + 1];
	const uint8_t choice = size > 0 ? data[0] : 0;
	const struct answer_limits limits = {
		(choice & CHOICE_TCP) != 0, (choice & CHOICE_RECURSION) != 0};
	const size_t cap = choice & CHOICE_SMALL ? (size_t)(choice >> 4) * 32 : sizeof(reply) - 1;
	const size_t len = size > 0 ? size - 1 : 0;
	size_t reply_len = 0;

	if (len > ANSWER_TCP_OCTETS_MAX)
		return 0;
	/* A copy of its exact size, so that a read beyond the message is seen. */
	uint8_t *message = malloc(len ? len : 1);

	CHECK(message != NULL);
	if (len > 0)
		memcpy(message, data + 1, len);
	memset(reply, POISON, cap + 1);
	switch (answer_query(zone_get(), &limits, NOW_UNIX_S + (choice & CHOICE_LATER ? 50 : 0),
		(struct bytes){message, len}, reply, cap, &reply_len)) {
	case ANSWER_REPLY:
		CHECK(reply_len <= cap);
		CHECK(reply_len <= octets_max(message, len, reply, limits.is_tcp));
		reply_check(message, reply, reply_len);
		break;
	case ANSWER_FORWARD:
		CHECK(limits.recursion_available && (message[2] & 1) != 0);
		CHECK(reply[0] == POISON);
		break;
	case ANSWER_DROP:
		CHECK(len < 12 || (message[2] & 0x80) != 0 || cap < len || cap < 12 + 259 + 11);
		break;
	}
	CHECK(reply[cap] == POISON);
	free(message);
	return 0;
}
