/* How long does an answer take? Builds an index of N names from lease files and asks for all of
 * them in random order: addresses, other families, missing names, reverse names.
 *
 *   bench_answer [N]           nanoseconds of CPU an answer, by kind of question and mixed
 *   bench_answer --once [N]    each question once, without a clock, for callgrind:
 *       valgrind --tool=callgrind --toggle-collect=answer_query bench_answer --once 10000
 *       and divide by the number of questions that it prints. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/dns/answer.h"
#include "server/dns/dns.h"
#include "tests/support/built_index.h"
#include "tests/support/scratch.h"

/* Leases of one file: below FORMAT_RECORDS_MAX. */
#define LEASES_PER_FILE 50000u
#define LEASE_TEXT_MAX  160u
#define NAMES_MAX       1000000u
#define NOW_UNIX_S      INT64_C(1800000000)
#define ROUNDS          9
#define ROUND_NS        INT64_C(100000000)

enum question_kind { QUESTION_A, QUESTION_AAAA, QUESTION_MISSING, QUESTION_PTR, QUESTION_KINDS };

static const char *const kind_names[] = {
	"A, found", "AAAA, NODATA", "A, NXDOMAIN", "PTR, found", "mixed"};

/* Of a hundred questions of the mix. */
static const unsigned kind_shares[] = {70, 10, 10, 10};

struct question {
	uint16_t len;
	uint8_t octets[94]; /* With `len` one and a half cache lines. */
};

struct questions {
	struct question *items;
	size_t count;
};

/* xorshift64: the same questions in each run. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void leases_write(const char *directory, unsigned file, unsigned first, unsigned count)
{
	const size_t cap = (size_t)count * LEASE_TEXT_MAX + 8;
	char *text = malloc(cap);
	char name[32];
	size_t len = 0;

	if (!text)
		err(1, "leases");
	len += (size_t)snprintf(text, cap, "[");
	for (unsigned i = first; i < first + count; i++)
		len += (size_t)snprintf(text + len, cap - len,
			"%s{\"ip-address\":\"10.%u.%u.%u\",\"mac-address\":\"52:54:%02x:%02x:%02x:%"
			"02x\","
			"\"hostname\":\"vm-%06u\",\"expiry-time\":1800003600}",
			i > first ? ",\n" : "", i / 50000, i / 200 % 250, i % 200 + 1, i >> 24,
			i >> 16 & 0xff, i >> 8 & 0xff, i & 0xff, i);
	len += (size_t)snprintf(text + len, cap - len, "]");
	snprintf(name, sizeof(name), "virbr%u.status", file);
	scratch_write(directory, name, text, len);
	free(text);
}

static size_t label_put(uint8_t *octets, const char *text)
{
	const size_t len = strlen(text);

	octets[0] = (uint8_t)len;
	memcpy(octets + 1, text, len);
	return len + 1;
}

static void question_make(struct question *question, enum question_kind kind, unsigned name)
{
	static const uint8_t header[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
	static const uint8_t opt[] = {0, 0, DNS_TYPE_OPT, 4, 0xd0, 0, 0, 0, 0, 0, 0};
	uint16_t type = kind == QUESTION_AAAA ? DNS_TYPE_AAAA : DNS_TYPE_A;
	uint8_t *at = question->octets + sizeof(header);
	char text[4][16];

	memcpy(question->octets, header, sizeof(header));
	if (kind == QUESTION_PTR) {
		type = DNS_TYPE_PTR;
		snprintf(text[0], sizeof(text[0]), "%u", name % 200 + 1);
		snprintf(text[1], sizeof(text[1]), "%u", name / 200 % 250);
		snprintf(text[2], sizeof(text[2]), "%u", name / 50000);
		for (size_t i = 0; i < 3; i++)
			at += label_put(at, text[i]);
		at += label_put(at, "10");
		at += label_put(at, "in-addr");
		at += label_put(at, "arpa");
	} else {
		snprintf(text[0], sizeof(text[0]), kind == QUESTION_MISSING ? "no-%06u" : "vm-%06u",
			name % 1000000u);
		at += label_put(at, text[0]);
		at += label_put(at, "libvirt");
	}
	*at++ = 0;
	dns_write_u16(at, type);
	dns_write_u16(at + 2, DNS_CLASS_IN);
	memcpy(at + 4, opt, sizeof(opt));
	question->len = (uint16_t)(at + 4 + sizeof(opt) - question->octets);
}

/* One question for each name, names in random order. `kind` QUESTION_KINDS: mixed. */
static struct questions questions_new(unsigned names, enum question_kind kind, uint64_t *seed)
{
	struct questions questions = {calloc(names, sizeof(struct question)), names};
	unsigned *order = calloc(names, sizeof(*order));

	if (!questions.items || !order)
		err(1, "questions");
	for (unsigned i = 0; i < names; i++) {
		const unsigned other = (unsigned)(random_next(seed) % (i + 1));

		order[i] = order[other];
		order[other] = i;
	}
	for (unsigned i = 0; i < names; i++) {
		unsigned draw = (unsigned)(random_next(seed) % 100);
		enum question_kind own = kind;

		if (kind == QUESTION_KINDS)
			for (own = QUESTION_A; draw >= kind_shares[own]; own++)
				draw -= kind_shares[own];
		question_make(&questions.items[i], own, order[i]);
	}
	free(order);
	return questions;
}

/* Asks all once. Fails unless each got an answer: what is timed must be the real thing. */
static void ask_all(const struct zone *zone, const struct questions *questions)
{
	static const struct answer_limits limits = {.recursion_available = false};
	uint8_t reply[ANSWER_UDP_OCTETS_MAX];
	size_t octets = 0;

	for (size_t i = 0; i < questions->count; i++) {
		const struct question *question = &questions->items[i];
		size_t len = 0;

		if (answer_query(zone, &limits, NOW_UNIX_S,
			    (struct bytes){question->octets, question->len}, reply, sizeof(reply),
			    &len) != ANSWER_REPLY ||
			(reply[2] & 4) == 0)
			errx(1, "question %zu was not answered with authority", i);
		octets += len;
	}
	if (octets < questions->count * DNS_HEADER_OCTETS)
		errx(1, "replies without content");
}

/* CPU time: what others do on the machine does not count, but for its caches. */
static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int double_compare(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

static void bench_kind(const struct zone *zone, unsigned names, unsigned kind, uint64_t *seed)
{
	const struct questions questions = questions_new(names, kind, seed);
	double ns[ROUNDS];

	for (size_t round = 0; round < ROUNDS; round++) {
		const int64_t start = clock_ns();
		int64_t spent = 0;
		size_t asked = 0;

		do {
			ask_all(zone, &questions);
			asked += questions.count;
			spent = clock_ns() - start;
		} while (spent < ROUND_NS);
		ns[round] = (double)spent / (double)asked;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), double_compare);
	printf("%8u names  %-14s median %7.1f ns  (%.1f to %.1f)\n", names, kind_names[kind],
		ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
	free(questions.items);
}

int main(int argc, char **argv)
{
	const int once = argc > 1 && strcmp(argv[1], "--once") == 0;
	const unsigned long names = argc > 1 + once ? strtoul(argv[1 + once], NULL, 10) : 10000;
	char *directory = scratch_new();
	struct zone *zone = NULL;
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

	if (names == 0 || names > NAMES_MAX)
		errx(1, "usage: bench_answer [--once] [N], N from 1 to %u", NAMES_MAX);
	for (unsigned first = 0; first < names; first += LEASES_PER_FILE)
		leases_write(directory, first / LEASES_PER_FILE, first,
			names - first < LEASES_PER_FILE ? (unsigned)names - first
							: LEASES_PER_FILE);
	struct built_index *built = built_index_new(directory, NULL);

	if (zone_new(built->fd, &zone) != PARSER_OK)
		errx(1, "zone_new failed");
	if (once) {
		const struct questions questions =
			questions_new((unsigned)names, QUESTION_KINDS, &seed);

		ask_all(zone, &questions);
		printf("%zu questions\n", questions.count);
		free(questions.items);
	} else {
		for (unsigned kind = 0; kind <= QUESTION_KINDS; kind++)
			bench_kind(zone, (unsigned)names, kind, &seed);
	}
	zone_free(zone);
	built_index_free(built);
	scratch_free(directory);
	return 0;
}
