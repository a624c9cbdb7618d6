/* Our modules beside libvirt's own of the same name (9.0, Debian's package libnss-libvirt): on
 * random lease directories of the kind that libvirt writes they say the same, but for what
 * `reasons` lists; and `cases` are single files where they differ on purpose. docs/nss.md has the
 * same list. `e2e_nss_parity [DIRECTORIES [SEED]]`, as root; changes nothing on the host. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tests/e2e/nss_call.h"
#include "tests/e2e/random_leases.h"
#include "tests/support/scratch.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define DIFFERENCES_SHOWN 20
#define WORDS_MAX         64
/* glibc's first buffer (getaddrinfo, NI_MAXHOST-sized scratch buffer). */
#define GLIBC_OCTETS 1024

enum module { LIBVIRT, GUEST, MODULES };

static const char *const services[MODULES] = {"libvirt", "libvirt_guest"};

struct pair {
	struct nss_said ours;
	struct nss_said theirs;
};

static struct nss_module_hooks ours[MODULES];
static struct nss_module_hooks theirs[MODULES];

/* --- Why they may differ ------------------------------------------------------------------------
 */

static bool ours_is(const struct pair *pair, const char *text)
{
	return strcmp(pair->ours.text, text) == 0;
}

static bool theirs_is(const struct pair *pair, const char *text)
{
	return strcmp(pair->theirs.text, text) == 0;
}

static bool ours_is_found(const struct pair *pair)
{
	return strpbrk(pair->ours.text, ".:") != NULL;
}

static bool theirs_is_found(const struct pair *pair)
{
	return strpbrk(pair->theirs.text, ".:") != NULL;
}

/* The name exists, that family does not: h_errno says so on both sides. */
static bool is_nodata(enum module module, const char *name, const struct pair *pair)
{
	(void)module;
	(void)name;
	return ours_is(pair, "NODATA") && theirs_is(pair, "UNAVAIL-NODATA");
}

static bool is_no_guest(enum module module, const char *name, const struct pair *pair)
{
	(void)name;
	return module == GUEST && ours_is(pair, "NXDOMAIN") && theirs_is(pair, "UNAVAIL");
}

static bool is_idle_guest(enum module module, const char *name, const struct pair *pair)
{
	(void)name;
	return module == GUEST && ours_is(pair, "NODATA") && theirs_is(pair, "NXDOMAIN");
}

static bool is_in_zone_or_network(enum module module, const char *name, const struct pair *pair)
{
	const char *suffix = strrchr(name, '.');

	(void)module;
	return suffix && (ours_is_found(pair) || ours_is(pair, "NODATA")) &&
	       (theirs_is(pair, "NXDOMAIN") || theirs_is(pair, "UNAVAIL")) &&
	       (strcmp(suffix, ".libvirt") == 0 || strcmp(suffix, ".virbr0") == 0);
}

/* What no guest may call itself. */
static bool is_refused_name(enum module module, const char *name, const struct pair *pair)
{
	static const char *const reserved[] = {
		"localhost", "wpad", "libvirt", "hypervisor", "leasedns"};
	bool refused = strspn(name, "0123456789.") == strlen(name) || name[0] == '-' ||
		       name[0] == '_' || strchr(name, '.') == name || strstr(name, "..");

	for (size_t i = 0; i < COUNT(reserved); i++)
		refused |= strcasecmp(name, reserved[i]) == 0;
	for (const char *at = name; *at; at++)
		refused |= (unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f ||
			   strchr("*\"\\", *at);
	refused |= strlen(name) > 63;
	return refused && module == LIBVIRT && ours_is(pair, "NXDOMAIN") &&
	       (theirs_is_found(pair) || theirs_is(pair, "UNAVAIL-NODATA"));
}

/* A dot at the end only says that the name is complete. */
static bool is_dot_at_end(enum module module, const char *name, const struct pair *pair)
{
	(void)module;
	return name[strlen(name) - 1] == '.' && ours_is(pair, "NXDOMAIN") &&
	       (theirs_is_found(pair) || theirs_is(pair, "UNAVAIL-NODATA"));
}

static int compare_words(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorted, each once. @return how many. */
static size_t split(char *text, char *words[WORDS_MAX])
{
	size_t count = 0;
	size_t kept = 0;

	for (char *word = strtok(text, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
		words[count++] = word;
	qsort(words, count, sizeof(words[0]), compare_words);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(words[i], words[kept - 1]) != 0)
			words[kept++] = words[i];
	}
	return kept;
}

static bool is_order(enum module module, const char *name, const struct pair *pair)
{
	struct pair copy = *pair;
	char *our_words[WORDS_MAX];
	char *their_words[WORDS_MAX];
	const size_t count = split(copy.ours.text, our_words);

	(void)module;
	(void)name;
	if (!ours_is_found(pair) || count != split(copy.theirs.text, their_words))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(our_words[i], their_words[i]) != 0)
			return false;
	}
	return true;
}

/* Does one of the names that leases have go on behind it? */
static bool is_first_of_labels(const char *name)
{
	const size_t len = strlen(name);

	for (size_t i = 0; i < random_leases_name_count; i++) {
		if (strncasecmp(random_leases_names[i], name, len) == 0 &&
			random_leases_names[i][len] == '.')
			return true;
	}
	return false;
}

static bool theirs_are_among_ours(const struct pair *pair)
{
	struct pair copy = *pair;
	char *our_words[WORDS_MAX];
	char *their_words[WORDS_MAX];
	const size_t our_count = split(copy.ours.text, our_words);
	const size_t their_count = split(copy.theirs.text, their_words);
	size_t found = 0;

	for (size_t i = 0; i < our_count && found < their_count; i++)
		found += strcmp(our_words[i], their_words[found]) == 0;
	return found == their_count;
}

/* Theirs has it under all of its labels, ours under the first. */
static bool is_of_several_labels(enum module module, const char *name, const struct pair *pair)
{
	if (module != LIBVIRT)
		return false;
	if (strchr(name, '.'))
		return theirs_is_found(pair) || theirs_is(pair, "UNAVAIL-NODATA");
	return is_first_of_labels(name) && (ours_is_found(pair) || ours_is(pair, "NODATA")) &&
	       (theirs_is(pair, "NXDOMAIN") || theirs_is(pair, "UNAVAIL-NODATA") ||
		       theirs_are_among_ours(pair));
}

static struct {
	const char *why;
	bool (*applies)(enum module module, const char *name, const struct pair *pair);
	size_t count;
} reasons[] = {
	{"known name, other family: ours NOTFOUND with NO_DATA, theirs UNAVAIL with NO_DATA",
		is_nodata, 0},
	{"no guest of that name: ours NOTFOUND, theirs UNAVAIL", is_no_guest, 0},
	{"guest without a lease: ours NO_DATA, theirs HOST_NOT_FOUND", is_idle_guest, 0},
	{"name below a zone or before a network's name: ours only", is_in_zone_or_network, 0},
	{"host name that no guest may have: theirs only", is_refused_name, 0},
	{"name with a dot at its end: ours never has one", is_dot_at_end, 0},
	{"host name of several labels: theirs by all of them, ours by the first",
		is_of_several_labels, 0},
	{"same addresses in another order: what never ends comes first with ours, last with theirs",
		is_order, 0},
};

/* --- Random directories -------------------------------------------------------------------------
 */

struct tally {
	size_t questions;
	size_t found;
	size_t unexplained;
};

static void compare(
	struct tally *tally, unsigned directory, enum module module, const char *name, int af)
{
	struct pair pair;

	nss_call_name(&ours[module], name, af, &pair.ours);
	nss_call_name(&theirs[module], name, af, &pair.theirs);
	tally->questions++;
	if (theirs_is(&pair, pair.ours.text)) {
		tally->found += ours_is_found(&pair);
		return;
	}
	for (size_t i = 0; i < COUNT(reasons); i++) {
		if (reasons[i].applies(module, name, &pair)) {
			reasons[i].count++;
			return;
		}
	}
	if (tally->unexplained++ < DIFFERENCES_SHOWN)
		fprintf(stderr, "directory %u: %s: %s, family %d: ours %s, theirs %s\n", directory,
			services[module], name, af, pair.ours.text, pair.theirs.text);
}

static bool compare_directories(unsigned long directories, uint64_t seed)
{
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
	struct random_leases random = {.sound = true};
	struct tally tally = {0};
	bool all_seen = true;

	for (unsigned d = 0; d < directories; d++) {
		random.state = (seed + d) * UINT64_C(0x9E3779B97F4A7C15) | 1;
		random_leases_write(&random);
		for (size_t name = 0; name < random_leases_name_count; name++) {
			for (size_t i = 0; i < COUNT(families) * MODULES; i++)
				compare(&tally, d, (enum module)(i % MODULES),
					random_leases_names[name], families[i / MODULES]);
		}
	}
	printf("%zu questions, %zu with the same addresses, %zu unexplained differences\n",
		tally.questions, tally.found, tally.unexplained);
	for (size_t i = 0; i < COUNT(reasons); i++) {
		printf("%6zu %s\n", reasons[i].count, reasons[i].why);
		all_seen = all_seen && reasons[i].count > 0;
	}
	/* A reason that never occurs explains nothing. */
	return tally.unexplained == 0 && tally.found > directories && all_seen;
}

/* --- Single files -------------------------------------------------------------------------------
 */

#define LEASE(ip, mac, rest)                                                        \
	"{\"ip-address\": \"" ip "\", \"mac-address\": \"" mac "\", \"hostname\": " \
	"\"box\", \"expiry-time\": 0" rest "}"
#define BOX LEASE("192.168.122.5", "52:54:00:00:00:01", "")
#define WWW                                                                            \
	"{\"ip-address\": \"192.168.122.5\", \"mac-address\": \"52:54:00:00:00:01\", " \
	"\"hostname\": \"www.example.org\", \"expiry-time\": 0}"
#define GUEST_OF(mac) "[{\"domain\": \"guest\", \"macs\": [\"" mac "\"]}]"

static const struct {
	const char *what;
	const char *files[3][2];
	enum module module;
	const char *name;
	const char *ours;
	const char *theirs;
} cases[] = {
	{"a lease that never ends", {{"virbr0.status", "[" BOX "]"}}, LIBVIRT, "box",
		"192.168.122.5", "192.168.122.5"},
	{"case of the name", {{"virbr0.status", "[" BOX "]"}}, LIBVIRT, "BOX", "192.168.122.5",
		"192.168.122.5"},
	{"the zone", {{"virbr0.status", "[" BOX "]"}}, LIBVIRT, "box.libvirt", "192.168.122.5",
		"NXDOMAIN"},
	{"a host name of the Internet", {{"virbr0.status", "[" WWW "]"}}, LIBVIRT,
		"www.example.org", "NXDOMAIN", "192.168.122.5"},
	{"its first label", {{"virbr0.status", "[" WWW "]"}}, LIBVIRT, "www", "192.168.122.5",
		"NXDOMAIN"},
	{"order of a lease that never ends",
		{{"virbr0.status", "[" BOX ", {\"ip-address\": \"192.168.122.4\", "
				   "\"mac-address\": \"52:54:00:00:00:01\", \"hostname\": "
				   "\"box\", \"expiry-time\": 1999999999}]"}},
		LIBVIRT, "box", "192.168.122.5 192.168.122.4", "192.168.122.4 192.168.122.5"},
	{"a corrupt file beside it", {{"virbr0.status", "[" BOX "]"}, {"virbr1.status", "[{"}},
		LIBVIRT, "box", "192.168.122.5", "UNAVAIL"},
	{"a corrupt file, name not found elsewhere",
		{{"virbr0.status", "[" BOX "]"}, {"virbr1.status", "[{"}}, LIBVIRT, "nobody",
		"UNAVAIL", "UNAVAIL"},
	{"a bad record beside it", {{"virbr0.status", "[" BOX ", {\"hostname\": 5}]"}}, LIBVIRT,
		"box", "192.168.122.5", "UNAVAIL"},
	{"a record without a MAC address",
		{{"virbr0.status", "[" BOX ", {\"ip-address\": \"192.168.122.6\"}]"}}, LIBVIRT,
		"box", "192.168.122.5", "UNAVAIL"},
	{"a key that is new",
		{{"virbr0.status",
			"[" LEASE("192.168.122.5", "52:54:00:00:00:01", ", \"x\": 1") "]"}},
		LIBVIRT, "box", "192.168.122.5", "UNAVAIL"},
	{"a guest",
		{{"virbr0.status", "[" BOX "]"}, {"virbr0.macs", GUEST_OF("52:54:00:00:00:01")}},
		GUEST, "guest", "192.168.122.5", "192.168.122.5"},
	{"a MAC address in other words",
		{{"virbr0.status", "[" BOX "]"}, {"virbr0.macs", GUEST_OF("52:54:0:0:0:1")}}, GUEST,
		"guest", "192.168.122.5", "NXDOMAIN"},
	{"a corrupt guest file",
		{{"virbr0.status", "[" BOX "]"}, {"virbr0.macs", GUEST_OF("52:54:00:00:00:01")},
			{"virbr1.macs", "[{"}},
		GUEST, "guest", "192.168.122.5", "UNAVAIL"},
	{"no guest at all", {{"virbr0.status", "[" BOX "]"}}, GUEST, "guest", "NXDOMAIN",
		"UNAVAIL"},
};

static size_t check(const char *what, const char *who, const char *expected, const char *said)
{
	if (strcmp(expected, said) == 0)
		return 0;
	fprintf(stderr, "%s: %s say %s, not %s\n", what, who, said, expected);
	return 1;
}

static size_t check_cases(void)
{
	size_t failures = 0;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pair pair;

		random_leases_clear();
		for (size_t f = 0; f < COUNT(cases[i].files) && cases[i].files[f][0]; f++)
			scratch_publish(
				RANDOM_LEASES_DIR, cases[i].files[f][0], cases[i].files[f][1]);
		nss_call_name(&ours[cases[i].module], cases[i].name, AF_UNSPEC, &pair.ours);
		nss_call_name(&theirs[cases[i].module], cases[i].name, AF_UNSPEC, &pair.theirs);
		failures += check(cases[i].what, "ours", cases[i].ours, pair.ours.text);
		failures += check(cases[i].what, "theirs", cases[i].theirs, pair.theirs.text);
	}
	return failures;
}

/* With glibc's first buffer, which grows only for a module that says the right thing. */
static size_t check_many_addresses(void)
{
	static char text[65536];
	struct pair pair;
	size_t failures = 0;
	size_t len = 0;

	random_leases_clear();
	for (unsigned i = 0; i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s{\"ip-address\": \"192.168.122.%u\", \"mac-address\": "
			"\"52:54:00:00:00:01\", \"hostname\": \"box\", \"expiry-time\": 0}",
			i ? "," : "[", i + 2);
	strcpy(text + len, "]");
	scratch_publish(RANDOM_LEASES_DIR, "virbr0.status", text);
	nss_call_name_in(&ours[LIBVIRT], "box", GLIBC_OCTETS, &pair.ours);
	nss_call_name_in(&theirs[LIBVIRT], "box", GLIBC_OCTETS, &pair.theirs);
	failures += check("40 addresses", "ours", "SMALL", pair.ours.text);
	failures += check("40 addresses", "theirs", "TRYAGAIN", pair.theirs.text);
	return failures;
}

static void load(enum module module)
{
	char path[512];

	snprintf(path, sizeof(path), LEASEDNS_NSS_DIR "/libnss_%s.so.2", services[module]);
	nss_call_load(path, services[module], &ours[module]);
	snprintf(path, sizeof(path), LEASEDNS_PEER_NSS_DIR "/libnss_%s.so.2", services[module]);
	nss_call_load(path, services[module], &theirs[module]);
	if (!ours[module].by_address || theirs[module].by_address)
		errx(1, "reverse lookups are ours alone");
}

int main(int argc, char **argv)
{
	const unsigned long directories = argc > 1 ? strtoul(argv[1], NULL, 10) : 500;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20261124;
	size_t failures;

	load(LIBVIRT);
	load(GUEST);
	random_leases_enter();
	failures = check_cases() + check_many_addresses();
	return compare_directories(directories, seed) && failures == 0 ? 0 : 1;
}
