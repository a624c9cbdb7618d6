#include "conf/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_file.h"
#include "conf/conf_parse.h"
#include "conf/conf_print.h"
#include "tests/support/scratch.h"

#define SAMPLE_FILE TESTS_DATA_DIR "/../../conf/leasedns.conf"

/* Text that conf_print() wrote. */
struct text {
	char *ptr;
	size_t len;
};

static void text_take(void *ctx, const char *text, size_t len)
{
	struct text *all = ctx;

	all->ptr = realloc(all->ptr, all->len + len + 1);
	assert_non_null(all->ptr);
	memcpy(all->ptr + all->len, text, len);
	all->len += len;
	all->ptr[all->len] = '\0';
}

static int directory_setup(void **state)
{
	*state = scratch_new();
	return 0;
}

static int directory_teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static enum conf_status load_octets(const char *directory, const void *text, size_t len,
	struct conf *out_conf, struct conf_error *out_error)
{
	scratch_write(directory, "leasedns.conf", text, len);
	return conf_load(scratch_path(directory, "leasedns.conf"), out_conf, out_error);
}

/* Loads what must be good. */
static struct conf load_good(const char *directory, const char *text)
{
	struct conf_error error = {0, ""};
	struct conf conf;
	enum conf_status rc = load_octets(directory, text, strlen(text), &conf, &error);

	if (rc != CONF_OK)
		fail_msg("line %u: %s\n%s", error.line, error.message, text);
	return conf;
}

static void assert_strings_equal(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++)
		assert_string_equal(a[i], b[i]);
}

static void assert_endpoints_equal(const struct conf_endpoint *a, size_t a_count,
	const struct conf_endpoint *b, size_t b_count)
{
	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++) {
		assert_int_equal(a[i].family, b[i].family);
		assert_memory_equal(a[i].octets, b[i].octets, 16);
		assert_int_equal(a[i].scope_id, b[i].scope_id);
		assert_int_equal(a[i].port, b[i].port);
	}
}

static void assert_conf_equal(const struct conf *a, const struct conf *b)
{
	assert_endpoints_equal(a->listen, a->listen_count, b->listen, b->listen_count);
	assert_strings_equal(a->zones, a->zone_count, b->zones, b->zone_count);
	assert_int_equal(a->ttl_s, b->ttl_s);
	assert_int_equal(a->negative_ttl_s, b->negative_ttl_s);
	assert_int_equal(a->network_count, b->network_count);
	for (size_t i = 0; i < a->network_count; i++) {
		assert_string_equal(a->networks[i].bridge, b->networks[i].bridge);
		assert_string_equal(a->networks[i].name, b->networks[i].name);
	}
	assert_strings_equal(a->lease_directories, a->lease_directory_count, b->lease_directories,
		b->lease_directory_count);
	assert_string_equal(a->index_file, b->index_file);
	assert_int_equal(a->upstream, b->upstream);
	assert_endpoints_equal(a->upstream_servers, a->upstream_server_count, b->upstream_servers,
		b->upstream_server_count);
	assert_int_equal(a->forward_zone_count, b->forward_zone_count);
	for (size_t i = 0; i < a->forward_zone_count; i++) {
		assert_string_equal(a->forward_zones[i].name, b->forward_zones[i].name);
		assert_endpoints_equal(a->forward_zones[i].servers,
			a->forward_zones[i].server_count, b->forward_zones[i].servers,
			b->forward_zones[i].server_count);
	}
	assert_int_equal(a->cache_kib, b->cache_kib);
	assert_int_equal(a->max_ttl_s, b->max_ttl_s);
	assert_int_equal(a->serve_stale_s, b->serve_stale_s);
	assert_int_equal(a->log_queries, b->log_queries);
}

static void test_defaults_are_the_documented_ones(void **state)
{
	static const uint8_t address[4] = {127, 0, 0, 56};
	struct conf conf;

	(void)state;
	assert_int_equal(conf_init_defaults(&conf), CONF_OK);
	assert_int_equal(conf.listen_count, 1);
	assert_int_equal(conf.listen[0].family, 4);
	assert_memory_equal(conf.listen[0].octets, address, 4);
	assert_int_equal(conf.listen[0].port, 53);
	assert_int_equal(conf.listen[0].scope_id, 0);
	assert_int_equal(conf.zone_count, 1);
	assert_string_equal(conf.zones[0], "libvirt");
	assert_int_equal(conf.ttl_s, 5);
	assert_int_equal(conf.negative_ttl_s, 2);
	assert_int_equal(conf.network_count, 0);
	assert_int_equal(conf.lease_directory_count, 1);
	assert_string_equal(conf.lease_directories[0], "/var/lib/libvirt/dnsmasq");
	assert_int_equal(conf.index_file[0], '/');
	assert_int_equal(conf.upstream, CONF_UPSTREAM_RESOLV_CONF);
	assert_int_equal(conf.upstream_server_count, 0);
	assert_int_equal(conf.forward_zone_count, 0);
	assert_int_equal(conf.cache_kib, 4096);
	assert_int_equal(conf.max_ttl_s, 86400);
	assert_int_equal(conf.serve_stale_s, 0);
	assert_false(conf.log_queries);
	conf_done(&conf);
	conf_done(&conf); /* Done twice is done. */
	conf_done(NULL);
}

static void test_every_key_is_read(void **state)
{
	static const uint8_t first[16] = {127, 0, 0, 56};
	static const uint8_t second[16] = {[15] = 1};
	static const uint8_t third[16] = {192, 0, 2, 1};
	struct conf conf = load_good(*state,
		"; a comment\n"
		"[server]\n"
		"listen = 127.0.0.56:5353,[::1]:54 \t, 192.0.2.1 ; behind a value\n"
		"[zone]\n"
		"\tname: VMs.Example.  libvirt\n"
		"   ttl=0\n"
		"negative-ttl =86400\n"
		"[network]\n"
		"virbr0 = Default\n"
		"[forward]\n"
		"upstream = none\n"
		"cache-size = 0\n"
		"zone.Corp.Example. = 192.0.2.53:5300, ::1\n"
		"max-ttl = 604800\n"
		"serve-stale = 1\n"
		"zone.2.0.192.in-addr.arpa = 127.0.0.53\n"
		"[log]\n"
		"queries = yes\n"
		"[leases] ; all of them\n"
		"libvirt = /a/b///\t/c\n"
		"[index] # here\n"
		"file = /a dir/b,c\n"
		"[network]\n"
		"virbr1 = isolated_1");

	assert_int_equal(conf.listen_count, 3);
	assert_int_equal(conf.listen[0].family, 4);
	assert_memory_equal(conf.listen[0].octets, first, 16);
	assert_int_equal(conf.listen[0].port, 5353);
	assert_int_equal(conf.listen[1].family, 6);
	assert_memory_equal(conf.listen[1].octets, second, 16);
	assert_int_equal(conf.listen[1].port, 54);
	assert_int_equal(conf.listen[2].family, 4);
	assert_memory_equal(conf.listen[2].octets, third, 16);
	assert_int_equal(conf.listen[2].port, 53);
	assert_int_equal(conf.zone_count, 2);
	assert_string_equal(conf.zones[0], "vms.example");
	assert_string_equal(conf.zones[1], "libvirt");
	assert_int_equal(conf.ttl_s, 0);
	assert_int_equal(conf.negative_ttl_s, 86400);
	assert_int_equal(conf.network_count, 2);
	assert_string_equal(conf.networks[0].bridge, "virbr0");
	assert_string_equal(conf.networks[0].name, "default");
	assert_string_equal(conf.networks[1].bridge, "virbr1");
	assert_string_equal(conf.networks[1].name, "isolated_1");
	assert_int_equal(conf.lease_directory_count, 2);
	assert_string_equal(conf.lease_directories[0], "/a/b");
	assert_string_equal(conf.lease_directories[1], "/c");
	assert_string_equal(conf.index_file, "/a dir/b,c");
	assert_int_equal(conf.upstream, CONF_UPSTREAM_NONE);
	assert_int_equal(conf.cache_kib, 0);
	assert_int_equal(conf.max_ttl_s, 604800);
	assert_int_equal(conf.serve_stale_s, 1);
	assert_true(conf.log_queries);
	assert_int_equal(conf.forward_zone_count, 2);
	assert_string_equal(conf.forward_zones[0].name, "corp.example");
	assert_int_equal(conf.forward_zones[0].server_count, 2);
	assert_int_equal(conf.forward_zones[0].servers[0].port, 5300);
	assert_int_equal(conf.forward_zones[0].servers[1].family, 6);
	assert_string_equal(conf.forward_zones[1].name, "2.0.192.in-addr.arpa");
	assert_int_equal(conf.forward_zones[1].servers[0].port, 53);
	conf_done(&conf);
}

static void test_an_empty_value_of_leases_means_none(void **state)
{
	struct conf conf = load_good(*state, "[leases]\nlibvirt =\n");

	assert_int_equal(conf.lease_directory_count, 0);
	conf_done(&conf);
}

static void test_files_without_settings_mean_the_defaults(void **state)
{
	static const char *const texts[] = {"", "\n", "\r\n\r\n", "\xEF\xBB\xBF", "# only this",
		"[zone]\n", "[zone]", "  \t \n ; x\n"};
	struct conf defaults;

	assert_int_equal(conf_init_defaults(&defaults), CONF_OK);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct conf conf = load_good(*state, texts[i]);

		assert_conf_equal(&conf, &defaults);
		conf_done(&conf);
	}
	conf_done(&defaults);
}

static void test_line_ends_and_byte_order_mark_of_other_systems_are_tolerated(void **state)
{
	struct conf conf = load_good(*state, "\xEF\xBB\xBF[zone]\r\nttl = 7\r\nname = a b\r\n");

	assert_int_equal(conf.ttl_s, 7);
	assert_int_equal(conf.zone_count, 2);
	assert_string_equal(conf.zones[1], "b");
	conf_done(&conf);
}

/* Thrice 64 characters and what stands around them. */
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

struct bad_file {
	const char *text;
	enum conf_status status;
	unsigned line;
	const char *message;
};

static const struct bad_file bad_files[] = {
	/* Lines that are no INI. */
	{"[zone]\nttl\n", CONF_E_SYNTAX, 2,
		"'ttl' is neither [section], nor key = value, nor a comment"},
	{"[zone\nttl = 5\n", CONF_E_SYNTAX, 1,
		"'[zone' is neither [section], nor key = value, nor a comment"},
	{"\xEF\xBB\xBF\n\n [zone]\nttl\n", CONF_E_SYNTAX, 4,
		"'ttl' is neither [section], nor key = value, nor a comment"},
	{"ttl = 5\n", CONF_E_SYNTAX, 1, "'ttl' stands before the first [section]"},
	{"[zone] ttl = 5\n", CONF_E_SYNTAX, 1,
		"'ttl = 5' behind [zone]: a section has its line alone"},
	/* The first of two faults, whoever finds it. */
	{"[zone]\noops\nttl = x\n", CONF_E_SYNTAX, 2,
		"'oops' is neither [section], nor key = value, nor a comment"},
	{"[zone]\nttl = x\noops\n", CONF_E_VALUE, 2,
		"[zone] ttl: 'x' is not a whole number of seconds from 0 to 86400"},
	{"[zone]\noops\n[zone] x\n", CONF_E_SYNTAX, 2,
		"'oops' is neither [section], nor key = value, nor a comment"},
	/* No continued lines: the second is a line of its own. */
	{"[zone]\nname = a\n  b\n", CONF_E_SYNTAX, 3,
		"'b' is neither [section], nor key = value, nor a comment"},
	/* Sections and keys. */
	{"\n[zones]\n", CONF_E_KEY, 2, "unknown section 'zones'; did you mean 'zone'?"},
	{"[Zone]\nttl = 5", CONF_E_KEY, 1, "unknown section 'Zone'; did you mean 'zone'?"},
	{"[logging]\n", CONF_E_KEY, 1, "unknown section 'logging'"},
	{"[]\n", CONF_E_KEY, 1, "unknown section ''"},
	{"[" X64 X16 "]\n", CONF_E_KEY, 1, "unknown section '" X64 "...'"},
	{"[zone]\ntll = 5\n", CONF_E_KEY, 2, "[zone] has no key 'tll'; did you mean 'ttl'?"},
	{"[zone]\nfoo = 5\n", CONF_E_KEY, 2, "[zone] has no key 'foo'"},
	{"[zone]\nttls = 5\n", CONF_E_KEY, 2, "[zone] has no key 'ttls'; did you mean 'ttl'?"},
	{"[zone]\nnegative_ttl = 5\n", CONF_E_KEY, 2,
		"[zone] has no key 'negative_ttl'; did you mean 'negative-ttl'?"},
	{"[server]\nttl = 5\n", CONF_E_KEY, 2, "[server] has no key 'ttl'; it belongs to [zone]"},
	{"[zone]\n\"\x1b[2J\\ = 1\n", CONF_E_KEY, 2, "[zone] has no key '\"\\x1B[2J\\\\'"},
	{"[zone]\nttl = 5\n[server]\n[zone]\nttl = 5\n", CONF_E_KEY, 5,
		"[zone] ttl is given twice: it stands on line 2 already"},
	{"[network]\nbr0 = a\nbr1 = b\nbr0 = c\n", CONF_E_KEY, 4,
		"[network] br0 is given twice: it stands on line 2 already"},
	/* Numbers. */
	{"[zone]\nttl = 5m\n", CONF_E_VALUE, 2,
		"[zone] ttl: '5m' is not a whole number of seconds from 0 to 86400"},
	{"[zone]\nttl = 86401\n", CONF_E_VALUE, 2,
		"[zone] ttl: '86401' is not a whole number of seconds from 0 to 86400"},
	{"[zone]\nttl = -1\n", CONF_E_VALUE, 2,
		"[zone] ttl: '-1' is not a whole number of seconds from 0 to 86400"},
	{"[zone]\nttl = 18446744073709551621\n", CONF_E_VALUE, 2,
		"[zone] ttl: '18446744073709551621' is not a whole number of seconds from 0 to "
		"86400"},
	{"[zone]\nnegative-ttl =\n", CONF_E_VALUE, 2,
		"[zone] negative-ttl: '' is not a whole number of seconds from 0 to 86400"},
	{"[log]\nqueries = Yes\n", CONF_E_VALUE, 2, "[log] queries: 'Yes' is neither yes nor no"},
	{"[log]\nqueries =\n", CONF_E_VALUE, 2, "[log] queries: '' is neither yes nor no"},
	/* Lists. */
	{"[server]\nlisten = ,\n", CONF_E_VALUE, 2,
		"[server] listen: is empty, and needs 1 to 16 addresses"},
	{"[server]\nlisten = localhost\n", CONF_E_VALUE, 2,
		"[server] listen: 'localhost' is not an IP address, nor IPV4:PORT, nor "
		"[IPV6]:PORT"},
	{"[server]\nlisten = ::1 [0::1]:53\n", CONF_E_VALUE, 2,
		"[server] listen: '[0::1]:53' is given twice"},
	{"[server]\nlisten=::1 ::2 ::3 ::4 ::5 ::6 ::7 ::8 ::9 ::a ::b ::c ::d ::e ::f ::10 ::11",
		CONF_E_VALUE, 2, "[server] listen: 17 addresses, of at most 16"},
	{"[zone]\nname =\n", CONF_E_VALUE, 2, "[zone] name: is empty, and needs 1 to 16 names"},
	{"[zone]\nname = a, A.\n", CONF_E_VALUE, 2, "[zone] name: 'A.' is given twice"},
	{"[zone]\nname = a b c d e f g h i j k l m n o p q\n", CONF_E_VALUE, 2,
		"[zone] name: 17 names, of at most 16"},
	{"[zone]\nname = .\n", CONF_E_VALUE, 2,
		"[zone] name: '.' is not a domain name: words of letters, digits, '-' and '_', "
		"each "
		"up to 63, parted by dots, up to 253 in all"},
	{"[leases]\nlibvirt = /a b\n", CONF_E_VALUE, 2,
		"[leases] libvirt: 'b' is not an absolute path"},
	{"[leases]\nlibvirt = /a /b /a/\n", CONF_E_VALUE, 2,
		"[leases] libvirt: '/a/' is given twice"},
	{"[leases]\nlibvirt=/a /b /c /d /e /f /g /h /i /j /k /l /m /n /o /p /q\n", CONF_E_VALUE, 2,
		"[leases] libvirt: 17 directories, of at most 16"},
	/* Networks. */
	{"[network]\nbr0 = a.b\n", CONF_E_VALUE, 2,
		"[network] br0: 'a.b' is not one word of 1 to 63 letters, digits, '-' and '_'"},
	{"[network]\nbr0 = " X64 "\n", CONF_E_VALUE, 2,
		"[network] br0: '" X64 "' is not one word of 1 to 63 letters, digits, '-' and '_'"},
	{"[network]\nbridge-of-sixteen = a\n", CONF_E_VALUE, 2,
		"[network] bridge-of-sixteen: the key is not the name of an interface: 1 to 15 "
		"octets "
		"without '/', ':' and blanks"},
	{"[network]\n= a\n", CONF_E_VALUE, 2,
		"[network] : the key is not the name of an interface: 1 to 15 octets without '/', "
		"':' "
		"and blanks"},
	{"[network]\nbr0 = a\n\nbr1 = A\n", CONF_E_VALUE, 4,
		"[network] 'br1 = a' and line 2 name the same network twice"},
	{"[network]\nbr0 = a\nbr1 = BR0\n", CONF_E_VALUE, 3,
		"[network] 'br1 = br0' and line 2 name the same network twice"},
	{"[network]\nbr0 = br1\nBR1 = b\n", CONF_E_VALUE, 3,
		"[network] 'BR1 = b' and line 2 name the same network twice"},
	/* Others. */
	{"[index]\nfile = index.cdb\n", CONF_E_VALUE, 2,
		"[index] file: 'index.cdb' is not the absolute path of a file"},
	{"[index]\nfile =\n", CONF_E_VALUE, 2,
		"[index] file: '' is not the absolute path of a file"},
	{"[index]\nfile = /a/\n", CONF_E_VALUE, 2,
		"[index] file: '/a/' is not the absolute path of a file"},
	{"[index]\nfile = /a\x01\n", CONF_E_VALUE, 2,
		"[index] file: '/a\\x01' is not the absolute path of a file"},
	{"[index]\nfile = /a/b/c\n[leases]\nlibvirt = /x /a/b/\n[zone]\nttl = 1\n", CONF_E_VALUE, 4,
		"[index] file may not lie in a directory of [leases] libvirt, '/a/b'"},
	{"[leases]\nlibvirt = /\n[index]\nfile = //c\n", CONF_E_VALUE, 4,
		"[index] file may not lie in a directory of [leases] libvirt, '/'"},
	/* Forwarding. */
	{"[forward]\nupstream = resolv.conf none\n", CONF_E_VALUE, 2,
		"[forward] upstream: 'resolv.conf' is not an IP address, nor IPV4:PORT, nor "
		"[IPV6]:PORT"},
	{"[forward]\nupstream =\n", CONF_E_VALUE, 2,
		"[forward] upstream: is empty, and needs 1 to 16 servers"},
	{"[forward]\nupstream = 192.0.2.1 192.0.2.1:53\n", CONF_E_VALUE, 2,
		"[forward] upstream: '192.0.2.1:53' is given twice"},
	{"[forward]\nupstream = ::\n", CONF_E_VALUE, 2,
		"[forward] upstream: '::' is no address that can be asked"},
	{"[forward]\nupstream = 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 "
	 "1.1.1.9 1.1.2.1 1.1.2.2 1.1.2.3 1.1.2.4 1.1.2.5 1.1.2.6 1.1.2.7 1.1.2.8\n",
		CONF_E_VALUE, 2, "[forward] upstream: 17 servers, of at most 16"},
	{"[forward]\nzone.a.b = \n", CONF_E_VALUE, 2,
		"[forward] zone.a.b: is empty, and needs 1 to 16 servers"},
	{"[forward]\nzone.a.b = none\n", CONF_E_VALUE, 2,
		"[forward] zone.a.b: 'none' is not an IP address, nor IPV4:PORT, nor [IPV6]:PORT"},
	{"[forward]\nzone. = ::1\n", CONF_E_VALUE, 2,
		"[forward] zone.: '' is not a domain name: words of letters, digits, '-' and '_', "
		"each up to 63, parted by dots, up to 253 in all"},
	{"[forward]\nzone.A.b = ::1\nzone.a.B. = ::2\n", CONF_E_KEY, 3,
		"[forward] zone.a.b is given twice: it stands on line 2 already"},
	{"[forward]\nzones.a = ::1\n", CONF_E_KEY, 2, "[forward] has no key 'zones.a'"},
};

static void test_bad_files_are_refused_with_line_and_reason(void **state)
{
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(*bad_files); i++) {
		const struct bad_file *bad = &bad_files[i];
		struct conf conf;
		struct conf untouched;
		struct conf_error error = {0, ""};
		enum conf_status rc;

		memset(&conf, 0xa5, sizeof(conf));
		memset(&untouched, 0xa5, sizeof(untouched));
		rc = load_octets(*state, bad->text, strlen(bad->text), &conf, &error);
		if (rc != bad->status || error.line != bad->line ||
			strcmp(error.message, bad->message) != 0)
			fail_msg("%s\ngives %d, line %u: %s", bad->text, rc, error.line,
				error.message);
		assert_memory_equal(&conf, &untouched, sizeof(conf));
	}
}

static void test_a_network_may_be_called_like_its_own_bridge(void **state)
{
	struct conf conf = load_good(*state, "[network]\nbr0 = BR0\nbr1 = a\n");

	assert_string_equal(conf.networks[0].name, "br0");
	conf_done(&conf);
}

static void test_an_index_below_or_beside_the_leases_is_fine(void **state)
{
	struct conf conf =
		load_good(*state, "[index]\nfile=/a/b/c\n[leases]\nlibvirt=/a /a/bb /\n");

	assert_int_equal(conf.lease_directory_count, 3);
	conf_done(&conf);
}

static void test_a_nul_is_refused_where_it_stands(void **state)
{
	static const char text[] = "[zone]\n# a\0b\nttl = 5\n";
	struct conf_error error = {0, ""};
	struct conf conf;

	assert_int_equal(load_octets(*state, text, sizeof(text) - 1, &conf, &error), CONF_E_SYNTAX);
	assert_int_equal(error.line, 2);
	assert_string_equal(error.message, "there is a NUL octet: this is no text file");
}

/* "[index]\nfile = /xxx" with a second line of `octets` octets, blanks before it not counted. */
static void write_long_line(char *out_text, size_t octets)
{
	static const char start[] = "[index]\n   \tfile = /";

	memcpy(out_text, start, sizeof(start) - 1);
	memset(out_text + sizeof(start) - 1, 'x', octets - strlen("file = /"));
	strcpy(out_text + sizeof(start) - 1 + octets - strlen("file = /"), "\n");
}

static void test_long_lines_and_values_are_refused_not_cut(void **state)
{
	static const size_t longest = strlen("file = ") + CONF_VALUE_OCTETS_MAX;
	char text[1024];
	struct conf_error error = {0, ""};
	struct conf conf;

	write_long_line(text, longest);
	conf = load_good(*state, text);
	assert_int_equal(strlen(conf.index_file), CONF_VALUE_OCTETS_MAX);
	conf_done(&conf);

	write_long_line(text, longest + 1);
	assert_int_equal(load_octets(*state, text, strlen(text), &conf, &error), CONF_E_VALUE);
	assert_int_equal(error.line, 2);
	assert_string_equal(error.message,
		"[index] file: the value takes 180 octets when written out, of at most 179");

	/* 197: inih reads 199, and says that it needs two of them for CR and LF. */
	write_long_line(text, 198);
	assert_int_equal(load_octets(*state, text, strlen(text), &conf, &error), CONF_E_SYNTAX);
	assert_int_equal(error.line, 2);
	assert_string_equal(error.message, "the line has 198 octets, of at most 197");
}

static void test_the_longest_line_is_read_whole(void **state)
{
	char text[512] = "[zone]\nttl = 86400";
	size_t len = strlen(text);
	struct conf conf;

	/* Blanks within the line, and the last octet counts. */
	memset(text + len - strlen("86400"), ' ', CONF_LINE_OCTETS_MAX - strlen("ttl = "));
	strcpy(text + strlen("[zone]\n") + CONF_LINE_OCTETS_MAX - strlen("86400"), "86400\n");
	assert_int_equal(strlen(text), strlen("[zone]\n") + CONF_LINE_OCTETS_MAX + 1);
	conf = load_good(*state, text);
	assert_int_equal(conf.ttl_s, 86400);
	conf_done(&conf);
}

static void test_the_257th_network_is_refused(void **state)
{
	struct text text = {NULL, 0};
	struct conf_error error = {0, ""};
	struct conf conf;
	char line[64];

	text_take(&text, "[network]\n", strlen("[network]\n"));
	for (int i = 0; i < 256; i++) {
		snprintf(line, sizeof(line), "virbr%d = n%d\n", i, i);
		text_take(&text, line, strlen(line));
	}
	conf = load_good(*state, text.ptr);
	assert_int_equal(conf.network_count, 256);
	assert_string_equal(conf.networks[255].bridge, "virbr255");
	conf_done(&conf);
	text_take(&text, "more = 1\n", strlen("more = 1\n"));
	assert_int_equal(load_octets(*state, text.ptr, text.len, &conf, &error), CONF_E_VALUE);
	assert_int_equal(error.line, 258);
	assert_string_equal(error.message, "[network] more: more than 256 networks");
	free(text.ptr);
}

static void test_the_65th_forward_zone_is_refused(void **state)
{
	struct text text = {NULL, 0};
	struct conf_error error = {0, ""};
	struct conf conf;
	char line[64];

	text_take(&text, "[forward]\n", strlen("[forward]\n"));
	for (int i = 0; i < 64; i++) {
		snprintf(line, sizeof(line), "zone.n%d = ::1\n", i);
		text_take(&text, line, strlen(line));
	}
	conf = load_good(*state, text.ptr);
	assert_int_equal(conf.forward_zone_count, 64);
	assert_string_equal(conf.forward_zones[63].name, "n63");
	conf_done(&conf);
	text_take(&text, "zone.a = ::1\n", strlen("zone.a = ::1\n"));
	assert_int_equal(load_octets(*state, text.ptr, text.len, &conf, &error), CONF_E_VALUE);
	assert_int_equal(error.line, 66);
	assert_string_equal(error.message, "[forward] zone.a: more than 64 domains");
	free(text.ptr);
}

static void assert_load_fails_io(const char *path, int expected_errno, const char *message)
{
	struct conf_error error = {7, ""};
	struct conf conf;

	errno = 0;
	assert_int_equal(conf_load(path, &conf, &error), CONF_E_IO);
	assert_int_equal(errno, expected_errno);
	assert_int_equal(error.line, 0);
	assert_string_equal(error.message, message);
}

static void test_an_absent_file_is_told_apart(void **state)
{
	struct conf_error error = {7, ""};
	struct conf conf;

	assert_int_equal(conf_load(scratch_path(*state, "absent"), &conf, &error), CONF_E_ABSENT);
	assert_int_equal(error.line, 0);
	assert_string_equal(error.message, "there is no such file");
	scratch_write(*state, "file", "", 0);
	assert_load_fails_io(
		scratch_path(*state, "file/below"), ENOTDIR, "cannot be opened: Not a directory");
}

static void test_only_regular_files_are_read(void **state)
{
	struct conf_error error = {0, ""};
	struct conf conf;

	assert_load_fails_io(*state, EISDIR, "is not a regular file");
	assert_load_fails_io("/dev/null", EINVAL, "is not a regular file");
	assert_int_equal(mkfifo(scratch_path(*state, "fifo"), 0600), 0);
	assert_load_fails_io(scratch_path(*state, "fifo"), EINVAL, "is not a regular file");
	scratch_write(*state, "target", "[zone]\nttl=9\n", 13);
	assert_int_equal(symlink("target", scratch_path(*state, "link")), 0);
	assert_int_equal(conf_load(scratch_path(*state, "link"), &conf, &error), CONF_OK);
	assert_int_equal(conf.ttl_s, 9);
	conf_done(&conf);
}

static void test_a_huge_file_is_refused_unread(void **state)
{
	static char text[CONF_FILE_OCTETS_MAX];
	struct conf conf;
	struct conf_error error = {0, ""};

	memset(text, '\n', sizeof(text));
	assert_int_equal(load_octets(*state, text, sizeof(text), &conf, &error), CONF_OK);
	conf_done(&conf);
	assert_int_equal(truncate(scratch_path(*state, "leasedns.conf"), sizeof(text) + 1), 0);
	assert_load_fails_io(scratch_path(*state, "leasedns.conf"), EFBIG, "is larger than 1 MiB");
}

/* /proc gives regular files whose size is 0 and whose content is not. */
static void test_a_file_that_grows_while_it_is_read_is_refused(void **state)
{
	(void)state;
	assert_load_fails_io("/proc/self/status", EAGAIN, "changed while it was read");
}

static void test_sample_is_what_the_table_generates(void **state)
{
	static const char index_file[] = "/run/leasedns/index.cdb";
	char *sample = scratch_read(SAMPLE_FILE, NULL);
	struct text expected = {NULL, 0};
	struct text printed = {NULL, 0};
	const char *at = sample;
	const char *next;
	struct conf defaults;

	(void)state;
	assert_int_equal(conf_init_defaults(&defaults), CONF_OK);
	/* A build may place the index elsewhere. */
	while ((next = strstr(at, index_file))) {
		text_take(&expected, at, (size_t)(next - at));
		text_take(&expected, defaults.index_file, strlen(defaults.index_file));
		at = next + strlen(index_file);
	}
	text_take(&expected, at, strlen(at));
	conf_print_sample(text_take, &printed);
	assert_string_equal(printed.ptr, expected.ptr);
	conf_done(&defaults);
	free(sample);
	free(expected.ptr);
	free(printed.ptr);
}

/* Takes the '#' from each line of the sample that is a key, not help. */
static void uncomment(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (*from == '#' && from[1] != ' ' && (from == text || from[-1] == '\n'))
			continue;
		*to++ = *from;
	}
	*to = '\0';
}

static void test_sample_means_the_defaults_commented_or_not(void **state)
{
	struct text sample = {NULL, 0};
	struct text printed = {NULL, 0};
	struct conf defaults;
	struct conf conf;

	assert_int_equal(conf_init_defaults(&defaults), CONF_OK);
	conf_print_sample(text_take, &sample);
	conf = load_good(*state, sample.ptr);
	assert_conf_equal(&conf, &defaults);
	conf_done(&conf);
	uncomment(sample.ptr);
	conf = load_good(*state, sample.ptr);
	assert_conf_equal(&conf, &defaults);
	conf_print(&conf, text_take, &printed);
	assert_string_equal(printed.ptr, sample.ptr);
	conf_done(&conf);
	conf_done(&defaults);
	free(sample.ptr);
	free(printed.ptr);
}

/* xorshift32: the same configurations in every run. */
static unsigned dice(uint32_t *seed, unsigned sides)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % sides;
}

static void text_format(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void text_format(struct text *text, const char *format, ...)
{
	char piece[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(piece, sizeof(piece), format, arguments);
	va_end(arguments);
	text_take(text, piece, strlen(piece));
}

static void random_listen(struct text *text, uint32_t *seed)
{
	unsigned count = 1 + dice(seed, 6);

	text_format(text, "[server]\nlisten =");
	for (unsigned i = 0; i < count; i++) {
		unsigned port = 1 + dice(seed, 65535);

		text_format(text, dice(seed, 2) ? " " : ",");
		switch (dice(seed, 5)) {
		case 0:
			text_format(text, "10.%u.0.%u", i, dice(seed, 256));
			break;
		case 1:
			text_format(text, "127.0.%u.%u:%u", i, dice(seed, 256), port);
			break;
		case 2:
			text_format(text, "%x::%x", 0x2000 + i, dice(seed, 65536));
			break;
		case 3:
			text_format(text, "[%x::%x:1]:%u", 0x2000 + i, dice(seed, 65536), port);
			break;
		case 4:
			text_format(text, "[fe80::%x:%u%%lo]:%u", dice(seed, 65536), i, port);
			break;
		}
	}
	text_format(text, "\n");
}

static void random_zone(struct text *text, uint32_t *seed)
{
	unsigned count = 1 + dice(seed, 16);

	text_format(text, "[zone]\n");
	if (dice(seed, 2))
		text_format(text, "ttl: %u\n", dice(seed, 86401));
	if (dice(seed, 2))
		text_format(text, "negative-ttl =%u\n", dice(seed, 86401));
	text_format(text, "name = ");
	for (unsigned i = 0; i < count; i++)
		text_format(text, "%cX_%x%s ", 'a' + (int)dice(seed, 26), i,
			dice(seed, 2) ? "-.Y." : "");
	text_format(text, "\n");
}

static void random_forward(struct text *text, uint32_t *seed)
{
	unsigned zones = dice(seed, 8);

	text_format(text, "[forward]\n");
	switch (dice(seed, 4)) {
	case 0:
		text_format(text, "upstream = none\n");
		break;
	case 1:
		text_format(text, "upstream = resolv.conf\n");
		break;
	case 2:
		text_format(text, "upstream = 10.0.0.%u,[fd00::%x]:%u\n", dice(seed, 256),
			dice(seed, 65536), 1 + dice(seed, 65535));
		break;
	case 3:
		break;
	}
	for (unsigned i = 0; i < zones; i++)
		text_format(text, "zone.Z%u.%x%s = 10.1.%u.%u fe80::%x%%lo\n", i, dice(seed, 65536),
			dice(seed, 2) ? "." : "", i, dice(seed, 256), dice(seed, 65536));
	text_format(text, "cache-size = %u\nmax-ttl = %u\nserve-stale = %u\n", dice(seed, 1048577),
		1 + dice(seed, 604800), dice(seed, 604801));
	if (dice(seed, 2))
		text_format(text, "[log]\nqueries = %s\n", dice(seed, 2) ? "yes" : "no");
}

static void random_rest(struct text *text, uint32_t *seed)
{
	/* Octets that a path may have and that mean something elsewhere. */
	static const char *const odd[] = {"/a;b", "/#", "/a=b", "/[x]", "/\xC3\xA9", "/a:b", "/\\"};
	unsigned networks = dice(seed, 20);
	unsigned directories = dice(seed, 7);

	text_format(text, "[leases]\nlibvirt =");
	for (unsigned i = 0; i < directories; i++)
		text_format(text, " %s%u%s", odd[dice(seed, 7)], i, dice(seed, 2) ? "/" : "");
	text_format(text, "\n[network]\n");
	for (unsigned i = 0; i < networks; i++)
		text_format(text, "br%u%s = Net%u\n", i, dice(seed, 2) ? ";#\xC3\xA9[" : "", i);
	if (dice(seed, 2))
		text_format(
			text, "[index]\nfile = /run/%s %u\n", odd[dice(seed, 7)], dice(seed, 1000));
}

static void test_what_is_printed_reads_back_the_same(void **state)
{
	uint32_t seed = 20240229;

	for (int round = 0; round < 500; round++) {
		struct text text = {NULL, 0};
		struct text printed = {NULL, 0};
		struct text again = {NULL, 0};
		struct conf conf;
		struct conf back;

		random_listen(&text, &seed);
		random_zone(&text, &seed);
		random_forward(&text, &seed);
		random_rest(&text, &seed);
		conf = load_good(*state, text.ptr);
		conf_print(&conf, text_take, &printed);
		back = load_good(*state, printed.ptr);
		assert_conf_equal(&conf, &back);
		conf_print(&back, text_take, &again);
		assert_string_equal(printed.ptr, again.ptr);
		conf_done(&conf);
		conf_done(&back);
		free(text.ptr);
		free(printed.ptr);
		free(again.ptr);
	}
}

static void test_every_status_has_its_phrase(void **state)
{
	(void)state;
	for (int status = CONF_E_VALUE; status <= CONF_OK; status++) {
		for (int other = CONF_E_VALUE; other < status; other++)
			assert_string_not_equal(conf_strerror((enum conf_status)status),
				conf_strerror((enum conf_status)other));
	}
	assert_non_null(conf_strerror((enum conf_status) - 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_the_documented_ones),
		cmocka_unit_test(test_every_key_is_read),
		cmocka_unit_test(test_an_empty_value_of_leases_means_none),
		cmocka_unit_test(test_files_without_settings_mean_the_defaults),
		cmocka_unit_test(test_line_ends_and_byte_order_mark_of_other_systems_are_tolerated),
		cmocka_unit_test(test_bad_files_are_refused_with_line_and_reason),
		cmocka_unit_test(test_a_network_may_be_called_like_its_own_bridge),
		cmocka_unit_test(test_an_index_below_or_beside_the_leases_is_fine),
		cmocka_unit_test(test_a_nul_is_refused_where_it_stands),
		cmocka_unit_test(test_long_lines_and_values_are_refused_not_cut),
		cmocka_unit_test(test_the_longest_line_is_read_whole),
		cmocka_unit_test(test_the_257th_network_is_refused),
		cmocka_unit_test(test_the_65th_forward_zone_is_refused),
		cmocka_unit_test(test_an_absent_file_is_told_apart),
		cmocka_unit_test(test_only_regular_files_are_read),
		cmocka_unit_test(test_a_huge_file_is_refused_unread),
		cmocka_unit_test(test_a_file_that_grows_while_it_is_read_is_refused),
		cmocka_unit_test(test_sample_is_what_the_table_generates),
		cmocka_unit_test(test_sample_means_the_defaults_commented_or_not),
		cmocka_unit_test(test_what_is_printed_reads_back_the_same),
		cmocka_unit_test(test_every_status_has_its_phrase),
	};

	return cmocka_run_group_tests(tests, directory_setup, directory_teardown);
}
