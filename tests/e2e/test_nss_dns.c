/* Do DNS and the NSS modules say the same, whoever answers? Over many random lease directories,
 * with every name in every spelling: libnss_leasedns with the index, the same by parsing, and the
 * name server's answers are compared; so are the other two modules with and without index.
 * `e2e_nss_dns [DIRECTORIES [SEED]]`, as root; changes nothing on the host. */
#include <arpa/inet.h>
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "server/dns/answer.h"
#include "server/names/snapshot.h"
#include "tests/e2e/nss_call.h"
#include "tests/e2e/random_leases.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define HIDDEN            LEASEDNS_INDEX_FILE ".away"
#define DIFFERENCES_SHOWN 20
#define TYPE_PTR          12
#define TEXT_MAX          1024

static const struct {
	const char *service;
	const char *path;
} modules[] = {
	{"leasedns", LEASEDNS_NSS_DIR "/libnss_leasedns.so.2"},
	{"libvirt", LEASEDNS_NSS_DIR "/libnss_libvirt.so.2"},
	{"libvirt_guest", LEASEDNS_NSS_DIR "/libnss_libvirt_guest.so.2"},
};

struct world {
	struct random_leases random;
	unsigned directory;
	struct nss_module_hooks hooks[COUNT(modules)];
	struct snapshot_conf conf;
	struct zone *zone;
	size_t compared;
	size_t found;
	size_t differences;
};

/* --- What DNS says ---------------------------------------------------------------------------- */

/* Wire format of a name, whose dots part labels. 0 if DNS cannot carry it. */
static size_t encode_name(const char *name, uint8_t out_wire[256])
{
	size_t len = 0;

	while (*name) {
		const size_t label = strcspn(name, ".");

		if (label == 0 || label > 63 || len + label + 2 > 255)
			return 0;
		out_wire[len] = (uint8_t)label;
		memcpy(out_wire + len + 1, name, label);
		len += label + 1;
		name += label;
		if (*name == '.' && *++name == '\0')
			return 0;
	}
	out_wire[len] = 0;
	return len + 1;
}

/* Reads a name, which may be compressed. @return the octets that it takes here. */
static size_t decode_name(const uint8_t *message, size_t at, char *out_text)
{
	const size_t start = at;
	size_t end = 0;
	size_t len = 0;

	while (message[at]) {
		if (message[at] >= 0xc0) {
			if (!end)
				end = at + 2;
			at = (size_t)(message[at] & 0x3f) << 8 | message[at + 1];
			continue;
		}
		if (len)
			out_text[len++] = '.';
		memcpy(out_text + len, message + at + 1, message[at]);
		len += message[at];
		at += message[at] + 1u;
	}
	out_text[len] = '\0';
	return (end ? end : at + 1) - start;
}

static unsigned number16(const uint8_t *octets)
{
	return (unsigned)octets[0] << 8 | octets[1];
}

static void read_answers(const uint8_t *reply, size_t at, struct nss_said *said)
{
	char text[TEXT_MAX];

	for (unsigned left = number16(reply + 6); left > 0; left--) {
		at += decode_name(reply, at, text);
		said->ttl_s = (int32_t)(number16(reply + at + 4) << 16 | number16(reply + at + 6));
		if (number16(reply + at) == TYPE_PTR)
			decode_name(reply, at + 10, text);
		else
			inet_ntop(number16(reply + at + 8) == 4 ? AF_INET : AF_INET6,
				reply + at + 10, text, sizeof(text));
		if (said->text[0])
			strcat(said->text, " ");
		strcat(said->text, text);
		at += 10 + number16(reply + at + 8);
	}
}

/* False if DNS cannot carry the name. */
static bool ask_dns(
	const struct world *world, const char *name, unsigned type, struct nss_said *out_said)
{
	static const struct answer_limits limits = {.is_tcp = true};
	static uint8_t reply[ANSWER_TCP_OCTETS_MAX];
	uint8_t query[12 + 256 + 4] = {0x12, 0x34, 1, 0, 0, 1};
	const size_t name_len = encode_name(name, query + 12);
	size_t len = 12 + name_len;

	*out_said = (struct nss_said){0};
	if (name_len == 0)
		return false;
	query[len + 1] = (uint8_t)type;
	query[len + 3] = 1;
	len += 4;
	if (answer_query(world->zone, &limits, time(NULL), (struct bytes){query, len}, reply,
		    sizeof(reply), &(size_t){0}) != ANSWER_REPLY)
		errx(1, "no reply for %s", name);
	if ((reply[3] & 0xf) == 3)
		strcpy(out_said->text, "NXDOMAIN");
	else if ((reply[3] & 0xf) != 0)
		strcpy(out_said->text, "REFUSED");
	else if (number16(reply + 6) == 0)
		strcpy(out_said->text, "NODATA");
	else
		read_answers(reply, len, out_said);
	return true;
}

/* The longest zone that the name ends with, or NULL. */
static const char *zone_of(const struct world *world, const char *name)
{
	const struct conf *conf = &world->conf.conf;
	const char *found = NULL;
	const size_t len = strlen(name);

	for (size_t i = 0; i < conf->zone_count; i++) {
		const size_t zone_len = strlen(conf->zones[i]);

		if (len > zone_len + 1 && name[len - zone_len - 1] == '.' &&
			strcasecmp(name + len - zone_len, conf->zones[i]) == 0 &&
			(!found || zone_len > strlen(found)))
			found = conf->zones[i];
	}
	return found;
}

static bool is_apex(const struct world *world, const char *name)
{
	const struct conf *conf = &world->conf.conf;

	for (size_t i = 0; i < conf->zone_count; i++) {
		if (strcasecmp(name, conf->zones[i]) == 0)
			return true;
	}
	return false;
}

/* What NSS has to say of a name, in terms of DNS: a literal name goes before one in a zone. False
 * if DNS has no word for it. */
static bool expect_by_dns(
	const struct world *world, const char *name, unsigned type, struct nss_said *out_said)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s.%s", name, world->conf.conf.zones[0]);
	if (!ask_dns(world, text, type, out_said))
		return false;
	if (strcmp(out_said->text, "NXDOMAIN") == 0 &&
		(zone_of(world, name) || is_apex(world, name)))
		return ask_dns(world, name, type, out_said);
	return true;
}

/* --- Comparing -------------------------------------------------------------------------------- */

static void print_said(const char *who, const struct nss_said *said)
{
	fprintf(stderr, "    %-8s %s (ttl %d)\n", who, said->text, said->ttl_s);
}

static void tell(struct world *world, const char *what, const char *question,
	const struct nss_said *one, const struct nss_said *other)
{
	if (world->differences++ >= DIFFERENCES_SHOWN)
		return;
	fprintf(stderr, "directory %u: %s: %s\n", world->directory, what, question);
	print_said("one", one);
	print_said("other", other);
}

/* Seconds may pass between two answers. */
static bool is_same(const struct nss_said *one, const struct nss_said *other)
{
	return strcmp(one->text, other->text) == 0 && abs(one->ttl_s - other->ttl_s) <= 2;
}

/* What a module that cannot read everything may not do: say that there is no such name. */
static bool is_doubt(
	const struct world *world, const struct nss_said *index, const struct nss_said *parsing)
{
	return world->random.bad && strcmp(index->text, "NXDOMAIN") == 0 &&
	       strcmp(parsing->text, "UNAVAIL") == 0;
}

enum question_kind { ASK_IPV4, ASK_IPV6, ASK_BOTH, ASK_NAMES, ASK_KINDS };

static void ask_nss(const struct nss_module_hooks *hooks, enum question_kind kind,
	const char *question, struct nss_said *out_said)
{
	switch (kind) {
	case ASK_IPV4:
		nss_call_name(hooks, question, AF_INET, out_said);
		return;
	case ASK_IPV6:
		nss_call_name(hooks, question, AF_INET6, out_said);
		return;
	case ASK_BOTH:
		nss_call_name(hooks, question, AF_UNSPEC, out_said);
		return;
	case ASK_NAMES:
	case ASK_KINDS:
		break;
	}
	nss_call_address(hooks, question, out_said);
}

static void compare_name_with_dns(
	struct world *world, const char *name, unsigned type, const struct nss_said *nss)
{
	struct nss_said dns;

	if (expect_by_dns(world, name, type, &dns) && !is_same(nss, &dns))
		tell(world, type == 1 ? "A, NSS and DNS" : "AAAA, NSS and DNS", name, nss, &dns);
}

/* DNS has one name for an address, the first that it can carry; NSS may have others beside it. */
static void compare_address_with_dns(
	struct world *world, const char *address, const struct nss_said *nss)
{
	const int af = strchr(address, ':') ? AF_INET6 : AF_INET;
	char reverse[128] = "";
	struct nss_said first = *nss;
	struct nss_said dns;
	uint8_t octets[16];
	char *at = reverse;

	inet_pton(af, address, octets);
	for (int i = af == AF_INET ? 3 : 15; i >= 0; i--)
		at += af == AF_INET ? sprintf(at, "%u.", octets[i])
				    : sprintf(at, "%x.%x.", octets[i] & 0xf, octets[i] >> 4);
	strcpy(at, af == AF_INET ? "in-addr.arpa" : "ip6.arpa");
	ask_dns(world, reverse, TYPE_PTR, &dns);
	if (strchr(dns.text, '.')) {
		first.text[strlen(dns.text)] = '\0';
		if (strcmp(first.text, dns.text) != 0)
			tell(world, "PTR, NSS and DNS", address, nss, &dns);
	} else if (zone_of(world, nss->text)) {
		tell(world, "DNS has no PTR", address, nss, &dns);
	}
}

static void compare_with_dns(struct world *world, enum question_kind kind, const char *question,
	const struct nss_said *nss)
{
	switch (kind) {
	case ASK_IPV4:
		compare_name_with_dns(world, question, 1, nss);
		return;
	case ASK_IPV6:
		compare_name_with_dns(world, question, 28, nss);
		return;
	case ASK_NAMES:
		compare_address_with_dns(world, question, nss);
		return;
	case ASK_BOTH:
	case ASK_KINDS:
		break;
	}
}

/* --- The questions ---------------------------------------------------------------------------- */

#define QUESTIONS_MAX 1024

/* All questions of a directory, so that each way answers all before the next way is taken. */
struct questions {
	struct {
		enum question_kind kind;
		size_t module;
		char text[128];
	} all[QUESTIONS_MAX];
	size_t count;
	struct nss_said by_index[QUESTIONS_MAX];
};

static struct questions questions;

static void add(enum question_kind kind, size_t module, const char *text)
{
	if (questions.count == QUESTIONS_MAX)
		errx(1, "too many questions");
	questions.all[questions.count].kind = kind;
	questions.all[questions.count].module = module;
	snprintf(questions.all[questions.count].text, sizeof(questions.all[0].text), "%s", text);
	questions.count++;
}

static __attribute__((format(printf, 2, 3))) void add_name(
	struct world *world, const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	add(ASK_IPV4, 0, text);
	add(ASK_IPV6, 0, text);
	if (random_leases_below(&world->random, 3) == 0)
		add(ASK_BOTH, random_leases_below(&world->random, COUNT(modules)), text);
}

static void add_in_all_spellings(struct world *world, const char *name)
{
	const char *zone = world->conf.conf.zones[random_leases_below(
		&world->random, (unsigned)world->conf.conf.zone_count)];
	const char *network = random_leases_networks[random_leases_below(
		&world->random, (unsigned)random_leases_network_count)];
	char upper[128];
	size_t i;

	add_name(world, "%s", name);
	add_name(world, "%s.%s", name, zone);
	add_name(world, "%s.%s", name, network);
	add_name(world, "%s.%s.%s", name, network, zone);
	for (i = 0; name[i]; i++)
		upper[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]);
	upper[i] = '\0';
	add_name(world, "%s.%s", upper, zone);
	for (size_t module = 1; module < COUNT(modules); module++)
		add(ASK_BOTH, module, upper);
}

static void collect_questions(struct world *world)
{
	char address[64];

	questions.count = 0;
	/* The names that occur most often, and some others. */
	for (unsigned i = 0; i < random_leases_name_count; i++) {
		if (i < 8 || random_leases_below(&world->random, 4) == 0)
			add_in_all_spellings(world, random_leases_names[i]);
	}
	for (size_t i = 0; i < world->conf.conf.zone_count; i++)
		add_name(world, "%s", world->conf.conf.zones[i]);
	for (size_t module = 0; module < COUNT(modules); module++) {
		for (unsigned i = 0; i < RANDOM_LEASES_IPV4_MAX; i++) {
			random_leases_ipv4(i, address);
			add(ASK_NAMES, module, address);
		}
		for (unsigned i = 0; i < RANDOM_LEASES_IPV6_MAX; i++) {
			random_leases_ipv6(i, address);
			add(ASK_NAMES, module, address);
		}
	}
}

static void ask_all(struct world *world)
{
	for (size_t i = 0; i < questions.count; i++) {
		const size_t module = questions.all[i].module;
		struct nss_said *said = &questions.by_index[i];

		ask_nss(&world->hooks[module], questions.all[i].kind, questions.all[i].text, said);
		world->found += strpbrk(said->text, ".:") != NULL;
		world->compared++;
		if (module == 0)
			compare_with_dns(world, questions.all[i].kind, questions.all[i].text, said);
	}
	if (rename(LEASEDNS_INDEX_FILE, HIDDEN) < 0)
		err(1, LEASEDNS_INDEX_FILE);
	for (size_t i = 0; i < questions.count; i++) {
		const size_t module = questions.all[i].module;
		struct nss_said parsing;

		ask_nss(&world->hooks[module], questions.all[i].kind, questions.all[i].text,
			&parsing);
		if (!is_same(&questions.by_index[i], &parsing) &&
			!is_doubt(world, &questions.by_index[i], &parsing))
			tell(world, modules[module].service, questions.all[i].text,
				&questions.by_index[i], &parsing);
	}
}

static void compare_directory(struct world *world)
{
	const struct snapshot_sinks sinks = {0};
	struct conf_error error;
	struct store *store;
	int fd;

	random_leases_configure(&world->random, LEASEDNS_CONF_FILE);
	random_leases_write(&world->random);
	if (snapshot_conf_load(NULL, &world->conf, &error) != CONF_OK)
		errx(1, "%s", error.message);
	store = snapshot_store_new(&world->conf);
	if (!store || snapshot_settle(store, &sinks) != PARSER_OK ||
		snapshot_publish(&world->conf, store, NULL, &sinks, &fd) != PARSER_OK ||
		zone_new(fd, &world->zone) != PARSER_OK)
		errx(1, "no index");
	close(fd);
	collect_questions(world);
	ask_all(world);
	zone_free(world->zone);
	store_free(store);
	snapshot_conf_done(&world->conf);
}

int main(int argc, char **argv)
{
	const unsigned long directories = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20261124;
	static struct world world;

	for (size_t i = 0; i < COUNT(modules); i++)
		nss_call_load(modules[i].path, modules[i].service, &world.hooks[i]);
	random_leases_enter();
	for (; world.directory < directories; world.directory++) {
		/* Of its own number, so that one directory can be looked at alone. */
		world.random.state = (seed + world.directory) * UINT64_C(0x9E3779B97F4A7C15) | 1;
		compare_directory(&world);
	}
	printf("%lu directories, %zu questions, %zu with an answer, %zu differences\n", directories,
		world.compared, world.found, world.differences);
	return world.differences == 0 && world.found > directories * 10 ? 0 : 1;
}
