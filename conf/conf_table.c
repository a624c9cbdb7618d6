#include "conf_table.h"

#include <string.h>

#include "conf_text.h"

#define LIST(member, count) \
	.offset = offsetof(struct conf, member), .count_offset = offsetof(struct conf, count)

const struct conf_entry conf_table[CONF_ENTRY_COUNT] = {
	[CONF_SERVER_LISTEN] =
		{
			.section = "server",
			.key = "listen",
			.type = CONF_TYPE_ENDPOINTS,
			.min = 1,
			.max = CONF_LISTEN_MAX,
			.default_text = "127.0.0.56",
			.unit = "addresses",
			.help = "Where DNS questions are answered, over UDP and TCP; parted by "
				"blanks "
				"or commas.\n"
				"Each is ADDRESS, IPV4:PORT or [IPV6]:PORT; a link-local address "
				"carries its\n"
				"interface, as in fe80::1%virbr0. The port is 53 unless given.",
			LIST(listen, listen_count),
		},
	[CONF_ZONE_NAME] =
		{
			.section = "zone",
			.key = "name",
			.type = CONF_TYPE_ZONES,
			.min = 1,
			.max = CONF_ZONES_MAX,
			.default_text = "libvirt",
			.unit = "names",
			.help = "The domains below which virtual machines are found, as in "
				"vm.libvirt; "
				"parted by\n"
				"blanks or commas. Reverse lookups answer with the first.",
			LIST(zones, zone_count),
		},
	[CONF_ZONE_TTL] =
		{
			.section = "zone",
			.key = "ttl",
			.type = CONF_TYPE_NUMBER,
			.min = 0,
			.max = CONF_TTL_S_MAX,
			.default_text = "5",
			.unit = "seconds",
			.help = "How long others may keep an answer. Never longer than the lease "
				"that "
				"it rests on.",
			.offset = offsetof(struct conf, ttl_s),
		},
	[CONF_ZONE_NEGATIVE_TTL] =
		{
			.section = "zone",
			.key = "negative-ttl",
			.type = CONF_TYPE_NUMBER,
			.min = 0,
			.max = CONF_TTL_S_MAX,
			.default_text = "2",
			.unit = "seconds",
			.help = "How long others may keep the answer that there is no such name. "
				"Short, "
				"or a new\n"
				"virtual machine stays hidden from those who asked too early.",
			.offset = offsetof(struct conf, negative_ttl_s),
		},
	[CONF_NETWORK_BRIDGE] =
		{
			.section = "network",
			.key = "BRIDGE",
			.key_prefix = "",
			.type = CONF_TYPE_NETWORKS,
			.min = 0,
			.max = CONF_NETWORKS_MAX,
			.unit = "networks",
			.help = "The names of networks, one line each: the interface of the bridge "
				"and "
				"one word of\n"
				"letters, digits, '-' and '_'. With\n"
				"    virbr0 = default\n"
				"vm.default.libvirt is found as well as vm.virbr0.libvirt, which "
				"needs "
				"no entry.",
			LIST(networks, network_count),
		},
	[CONF_LEASES_LIBVIRT] =
		{
			.section = "leases",
			.key = "libvirt",
			.type = CONF_TYPE_DIRECTORIES,
			.min = 0,
			.max = CONF_DIRECTORIES_MAX,
			.default_text = "/var/lib/libvirt/dnsmasq",
			.unit = "directories",
			.help = "Where libvirt keeps the leases of its networks: absolute paths, "
				"parted "
				"by blanks.\n"
				"Nothing after the '=' means none.",
			LIST(lease_directories, lease_directory_count),
		},
	[CONF_INDEX_FILE] =
		{
			.section = "index",
			.key = "file",
			.type = CONF_TYPE_FILE,
			.default_text = LEASEDNS_INDEX_FILE,
			.help = "Where the server keeps its index of names: an absolute path, not "
				"in a "
				"directory of\n"
				"leases. The NSS modules look only at the default.",
			.offset = offsetof(struct conf, index_file),
		},
	[CONF_FORWARD_UPSTREAM] =
		{
			.section = "forward",
			.key = "upstream",
			.type = CONF_TYPE_UPSTREAM,
			.max = CONF_UPSTREAMS_MAX,
			.default_text = "resolv.conf",
			.unit = "servers",
			.help = "Who answers for names that are not ours: 'resolv.conf' for the "
				"servers that\n"
				"/etc/resolv.conf names, followed as it changes; or addresses, as "
				"of "
				"listen; or\n"
				"'none': such questions are refused. Never leasedns itself.",
			LIST(upstream_servers, upstream_server_count),
		},
	[CONF_FORWARD_ZONE] =
		{
			.section = "forward",
			.key = "zone.NAME",
			.key_prefix = "zone.",
			.type = CONF_TYPE_FORWARD_ZONES,
			.min = 0,
			.max = CONF_FORWARD_ZONES_MAX,
			.unit = "domains",
			.help = "Who answers for a single domain and all below it: addresses, as "
				"of upstream. Of\n"
				"several that fit the longest counts. Names that otherwise never "
				"leave this host\n"
				"(home.arpa, private reverse zones) do if they are named here. "
				"With\n"
				"    zone.corp.example = 10.0.0.53\n"
				"intranet.corp.example is asked for there, all else of upstream.",
			LIST(forward_zones, forward_zone_count),
		},
	[CONF_FORWARD_CACHE_SIZE] =
		{
			.section = "forward",
			.key = "cache-size",
			.type = CONF_TYPE_NUMBER,
			.min = 0,
			.max = CONF_CACHE_KIB_MAX,
			.default_text = "4096",
			.unit = "KiB",
			.help = "Memory for answers of upstream servers that are kept. 0: none is "
				"kept.",
			.offset = offsetof(struct conf, cache_kib),
		},
	[CONF_FORWARD_MAX_TTL] =
		{
			.section = "forward",
			.key = "max-ttl",
			.type = CONF_TYPE_NUMBER,
			.min = 1,
			.max = CONF_CACHED_S_MAX,
			.default_text = "86400",
			.unit = "seconds",
			.help = "How long an answer of an upstream server is kept at most.",
			.offset = offsetof(struct conf, max_ttl_s),
		},
	[CONF_FORWARD_SERVE_STALE] =
		{
			.section = "forward",
			.key = "serve-stale",
			.type = CONF_TYPE_NUMBER,
			.min = 0,
			.max = CONF_CACHED_S_MAX,
			.default_text = "0",
			.unit = "seconds",
			.help = "How long a kept answer that has run out is still given while no "
				"upstream server\n"
				"answers. 0: never.",
			.offset = offsetof(struct conf, serve_stale_s),
		},
	[CONF_LOG_QUERIES] =
		{
			.section = "log",
			.key = "queries",
			.type = CONF_TYPE_SWITCH,
			.default_text = "no",
			.help = "'yes': each question has a line in the log that tells who asked "
				"what, and what\n"
				"became of it. Such lines are personal data.",
			.offset = offsetof(struct conf, log_queries),
		},
};

/* No name of the table is longer; a word that is longer by more than the distance is no typo. */
#define GUESS_OCTETS_MAX 16

/* Levenshtein's distance without regard to ASCII case, by the usual two rows folded into one.
 * Words over GUESS_OCTETS_MAX are as far as can be. */
static size_t guess_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[GUESS_OCTETS_MAX + 1];

	if (a_len > GUESS_OCTETS_MAX || b_len > GUESS_OCTETS_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change =
				diagonal +
				(conf_text_lower(a[i - 1]) != conf_text_lower(b[j - 1]) ? 1 : 0);
			size_t insert = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = change < insert ? change : insert;
		}
	}
	return row[b_len];
}

/* One slip in a short word, two in a longer one: in a word of three letters two slips leave
 * nothing that would tell what was meant. */
static bool guess_is_close(const char *written, size_t len, const char *known)
{
	size_t known_len = strlen(known);

	return guess_distance(written, len, known, known_len) <= (known_len <= 4 ? 1u : 2u);
}

enum conf_entry_id conf_table_find(const char *section, const char *key)
{
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		const struct conf_entry *entry = &conf_table[i];

		if (strcmp(entry->section, section) != 0)
			continue;
		if (entry->key_prefix
				? strncmp(key, entry->key_prefix, strlen(entry->key_prefix)) == 0
				: strcmp(entry->key, key) == 0)
			return (enum conf_entry_id)i;
	}
	return CONF_ENTRY_NONE;
}

bool conf_table_has_section(const char *section, size_t len)
{
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		if (strlen(conf_table[i].section) == len &&
			memcmp(conf_table[i].section, section, len) == 0)
			return true;
	}
	return false;
}

const char *conf_table_guess_section(const char *section, size_t len)
{
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		if (guess_is_close(section, len, conf_table[i].section))
			return conf_table[i].section;
	}
	return NULL;
}

enum conf_entry_id conf_table_guess_key(const char *section, const char *key)
{
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		if (strcmp(conf_table[i].section, section) == 0 && !conf_table[i].key_prefix &&
			guess_is_close(key, strlen(key), conf_table[i].key))
			return (enum conf_entry_id)i;
	}
	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		if (!conf_table[i].key_prefix && strcmp(conf_table[i].key, key) == 0)
			return (enum conf_entry_id)i;
	}
	return CONF_ENTRY_NONE;
}
