#include "tests/e2e/random_leases.h"
#include "tests/support/scratch.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CLIENTS      9u
#define LEASES_MAX   9u
#define GUESTS_MAX   5u

const char *const random_leases_names[] = {
	"vm",
	"web",
	"db-server",
	"ubuntu22.04",
	"04",
	"a.b",
	"Mixed-Case",
	"DB Server",
	"web.virbr0",
	"virbr0",
	"default",
	"vm.libvirt",
	"vm.example.org",
	"libvirt",
	"leasedns",
	"localhost",
	"wpad",
	"x  y",
	"x-y",
	"-bad",
	"under_score",
	"123",
	"10.0.0.1",
	"*",
	"evil\"na\\me",
	"tab\tx",
	"ber\xc3\xbc",
	"a..b",
	".lead",
	"trail.",
	"hypervisor",
	"xn--bcher-kva",
	"only-asked",
	"only.asked.virbr0",
	"b",
	"a23456789012345678901234567890123456789012345678901234567890123",
	"a234567890123456789012345678901234567890123456789012345678901234",
};
const size_t random_leases_name_count = COUNT(random_leases_names);

/* These never occur, so that there is always something to miss. */
#define NAMES_USED (COUNT(random_leases_names) - 5)

const char *const random_leases_networks[] = {"virbr0", "br0.100", "default", "lab"};
const size_t random_leases_network_count = COUNT(random_leases_networks);

static const char *const bridges[] = {"virbr0", "br0.100"};

unsigned random_leases_below(struct random_leases *random, unsigned below)
{
	/* Vigna, "xorshift64*". */
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (unsigned)((random->state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % below;
}

static bool chance(struct random_leases *random, unsigned one_in)
{
	return random_leases_below(random, one_in) == 0;
}

static void mount_memory(const char *path)
{
	if (mount("tmpfs", path, "tmpfs", 0, "mode=755") < 0)
		err(1, "%s", path);
}

void random_leases_enter(void)
{
	/* The host's own name is one that no lease may have. */
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) < 0 || sethostname("hypervisor", 10) < 0 ||
		scratch_own_mounts() < 0)
		err(1, "namespaces (are you root?)");
	mount_memory("/etc");
	mount_memory("/run");
	mount_memory("/var/lib");
	if (mkdir("/run/leasedns", 0755) < 0 || mkdir("/var/lib/libvirt", 0755) < 0 ||
		mkdir(RANDOM_LEASES_DIR, 0755) < 0)
		err(1, "directories");
}

void random_leases_ipv4(unsigned i, char out_text[64])
{
	snprintf(out_text, 64, "192.168.%u.%u", 122 + i % 2, 10 + i);
}

void random_leases_ipv6(unsigned i, char out_text[64])
{
	snprintf(out_text, 64, "fd00:122::%x", 0x10 + i);
}

static FILE *open_file(const char *name)
{
	char path[256];
	FILE *stream;

	snprintf(path, sizeof(path), RANDOM_LEASES_DIR "/%s", name);
	stream = fopen(path, "w");
	if (!stream)
		err(1, "%s", path);
	return stream;
}

/* As JSON; `escaped` writes what need not be escaped so, too. */
static void put_text(FILE *out, const char *text, bool escaped)
{
	fputc('"', out);
	for (const char *at = text; *at; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if ((unsigned char)*at < 0x20 || (escaped && (unsigned char)*at < 0x80))
			fprintf(out, "\\u%04x", (unsigned)*at);
		else
			fputc(*at, out);
	}
	fputc('"', out);
}

static unsigned some_name_number(struct random_leases *random)
{
	/* The first ones more often: they shall meet. */
	return random_leases_below(random, chance(random, 2) ? 8 : (unsigned)NAMES_USED);
}

static const char *some_name(struct random_leases *random)
{
	return random_leases_names[some_name_number(random)];
}

/* A number that the file does not have yet, where libvirt would not write it twice. */
static unsigned fresh(struct random_leases *random, unsigned number, unsigned count)
{
	while (random->sound && (random->used >> number & 1))
		number = (number + 1) % count;
	random->used |= UINT64_C(1) << number;
	return number;
}

static void some_mac(struct random_leases *random, char out_text[32])
{
	unsigned client = random_leases_below(random, CLIENTS);

	if (!random->sound && chance(random, 8))
		snprintf(out_text, 32, "52:54:0:0:0:%X", 0xa0 + client);
	else
		snprintf(out_text, 32, "52:54:00:00:00:%02x", 0xa0 + client);
}

static int64_t some_expiry(struct random_leases *random)
{
	const int64_t now = time(NULL);

	switch (random_leases_below(random, 6)) {
	case 0:
		return 0;
	case 1:
		return now - 1000;
	case 2:
		return now + 1000; /* Equal ends are likely. */
	default:
		return now + 600 + random_leases_below(random, 3000);
	}
}

/* One of all addresses. */
static bool some_address(struct random_leases *random, char out_text[64])
{
	const unsigned count = RANDOM_LEASES_IPV4_MAX + RANDOM_LEASES_IPV6_MAX;
	const unsigned number = fresh(random, random_leases_below(random, count), count);
	const bool is_ipv6 = number >= RANDOM_LEASES_IPV4_MAX;

	if (is_ipv6)
		random_leases_ipv6(number - RANDOM_LEASES_IPV4_MAX, out_text);
	else
		random_leases_ipv4(number, out_text);
	return is_ipv6;
}

static void write_lease(struct random_leases *random, FILE *out)
{
	char address[64];
	char mac[32];
	const bool is_ipv6 = some_address(random, address);

	some_mac(random, mac);
	fprintf(out, "  {\n    \"ip-address\": \"%s\",\n    \"mac-address\": \"%s\",\n", address,
		mac);
	if (!chance(random, 5)) {
		fputs("    \"hostname\": ", out);
		put_text(out, some_name(random), !random->sound && chance(random, 10));
		fputs(",\n", out);
	}
	if (is_ipv6)
		fprintf(out, "    \"client-id\": \"00:03:00:01:%s\",\n", mac);
	fprintf(out, "    \"expiry-time\": %lld\n  }", (long long)some_expiry(random));
}

/* What stands among good entries and must cost only itself. */
static void write_bad_entry(struct random_leases *random, FILE *out)
{
	static const char *const entries[] = {"{}", "7",
		"{\"ip-address\": \"nonsense\", \"hostname\": \"vm\"}",
		"{\"ip-address\": \"127.0.0.1\", \"hostname\": \"vm\"}",
		"{\"ip-address\": \"192.168.122.10\", \"mac-address\": 5}", "{\"domain\": []}"};

	fputs(entries[random_leases_below(random, COUNT(entries))], out);
}

typedef void (*write_entry)(struct random_leases *random, FILE *out);

static void write_array(
	struct random_leases *random, const char *name, unsigned max, write_entry write)
{
	const unsigned count = random_leases_below(random, max + 1);
	FILE *out = open_file(name);

	random->used = 0;
	/* libvirt makes a lease file before the first lease, empty. */
	const bool may_be_empty = !random->sound || strstr(name, ".status");

	if (count || !may_be_empty || !chance(random, 2)) {
		fputs("[\n", out);
		for (unsigned i = 0; i < count; i++) {
			if (!random->sound && chance(random, 20))
				write_bad_entry(random, out);
			else
				write(random, out);
			fputs(i + 1 < count ? ",\n" : "\n", out);
		}
		fputs("]\n", out);
	}
	if (!random->sound && chance(random, 15)) {
		fputs("and more", out);
		random->bad = true;
	}
	if (fclose(out) != 0)
		err(1, "%s", name);
}

static void write_guest(struct random_leases *random, FILE *out)
{
	/* A guest of libvirt's has a MAC address there, or does not stand there. */
	const unsigned count = random->sound + random_leases_below(random, 3);
	const unsigned name = fresh(random, some_name_number(random), (unsigned)NAMES_USED);

	fputs("  {\n    \"domain\": ", out);
	put_text(out, random_leases_names[name], !random->sound && chance(random, 10));
	fputs(",\n    \"macs\": [\n", out);
	for (unsigned i = 0; i < count; i++) {
		char mac[32];

		some_mac(random, mac);
		fprintf(out, "      \"%s\"%s\n", mac, i + 1 < count ? "," : "");
	}
	fputs("    ]\n  }", out);
}

/* Names of files with lines: libvirt checks them, and blanks part them. */
static const char *some_line_name(struct random_leases *random)
{
	const char *name = some_name(random);

	while (strpbrk(name, " \t,\"\\"))
		name = some_name(random);
	return name;
}

static void write_reservations(struct random_leases *random, const char *name)
{
	FILE *out = open_file(name);

	for (unsigned i = random_leases_below(random, 4); i > 0; i--) {
		char address[64];
		char mac[32];

		some_mac(random, mac);
		if (chance(random, 3)) {
			random_leases_ipv6(
				random_leases_below(random, RANDOM_LEASES_IPV6_MAX), address);
			if (chance(random, 2))
				fprintf(out, "id:00:03:00:01:%s,", mac);
			fprintf(out, "%s,[%s]\n", some_line_name(random), address);
			continue;
		}
		random_leases_ipv4(random_leases_below(random, RANDOM_LEASES_IPV4_MAX), address);
		if (chance(random, 4))
			fprintf(out, "%s,%s\n", mac, address);
		else
			fprintf(out, "%s,%s,%s\n", mac, address, some_line_name(random));
	}
	if (fclose(out) != 0)
		err(1, "%s", name);
}

static void write_statics(struct random_leases *random, const char *name)
{
	FILE *out = open_file(name);

	for (unsigned i = random_leases_below(random, 4); i > 0; i--) {
		char address[64];

		if (chance(random, 3))
			random_leases_ipv6(
				random_leases_below(random, RANDOM_LEASES_IPV6_MAX), address);
		else
			random_leases_ipv4(
				random_leases_below(random, RANDOM_LEASES_IPV4_MAX), address);
		fprintf(out, "%s\t%s\t", address, some_line_name(random));
		if (chance(random, 2))
			fprintf(out, "%s\t", some_line_name(random));
		fputc('\n', out);
	}
	if (fclose(out) != 0)
		err(1, "%s", name);
}

void random_leases_clear(void)
{
	DIR *stream = opendir(RANDOM_LEASES_DIR);
	const struct dirent *entry;

	if (!stream)
		err(1, RANDOM_LEASES_DIR);
	while ((entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] != '.' && unlinkat(dirfd(stream), entry->d_name, 0) < 0)
			err(1, "%s", entry->d_name);
	}
	closedir(stream);
}

/* Cuts a file as somebody would see it who reads while it is written. */
static void cut(struct random_leases *random, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), RANDOM_LEASES_DIR "/%s", name);
	if (stat(path, &st) < 0 || st.st_size < 4)
		return;
	if (truncate(path, 2 + random_leases_below(random, (unsigned)st.st_size - 3)) < 0)
		err(1, "%s", path);
	random->bad = true;
}

void random_leases_age(const char *directory)
{
	const struct timespec old = {.tv_sec = time(NULL) - 60};
	const struct timespec times[2] = {old, old};
	DIR *stream = opendir(directory);
	const struct dirent *entry;

	if (!stream)
		err(1, "%s", directory);
	while ((entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] != '.' &&
			utimensat(dirfd(stream), entry->d_name, times, 0) < 0)
			err(1, "%s", entry->d_name);
	}
	if (futimens(dirfd(stream), times) < 0)
		err(1, "%s", directory);
	closedir(stream);
}

void random_leases_write(struct random_leases *random)
{
	char name[64];

	random_leases_clear();
	random->bad = false;
	for (size_t i = 0; i < COUNT(bridges); i++) {
		snprintf(name, sizeof(name), "%s.status", bridges[i]);
		write_array(random, name, LEASES_MAX, write_lease);
		if (!random->sound && chance(random, 25))
			cut(random, name);
		snprintf(name, sizeof(name), "%s.macs", bridges[i]);
		write_array(random, name, GUESTS_MAX, write_guest);
		if (!random->sound && chance(random, 25))
			cut(random, name);
	}
	if (chance(random, 2))
		write_reservations(random, "lab.hostsfile");
	if (chance(random, 2))
		write_statics(random, "lab.addnhosts");
	random_leases_age(RANDOM_LEASES_DIR);
}

void random_leases_configure(struct random_leases *random, const char *path)
{
	static const char *const texts[] = {
		"[network]\nvirbr0 = default\n",
		"[network]\nvirbr0 = default\nbr0.100 = lab\n",
		"[zone]\nname = libvirt, vm.example.org\nttl = 900\n",
		"[zone]\nname = libvirt, sub.libvirt\nttl = 3600\n[network]\nbr0.100 = lab\n",
	};
	const unsigned which = random_leases_below(random, COUNT(texts) + 1);
	const struct timespec old = {.tv_sec = time(NULL) - 60};
	const struct timespec times[2] = {old, old};
	FILE *out;

	if (which == COUNT(texts)) {
		unlink(path);
		return;
	}
	out = fopen(path, "w");
	if (!out || fputs(texts[which], out) < 0 || fclose(out) != 0 ||
		utimensat(AT_FDCWD, path, times, 0) < 0)
		err(1, "%s", path);
}
