/** @file leasedns.conf: what may be set, and what is in force. INI, every key optional; unknown
 *  keys and bad values are errors with file and line.
 *
 *  Knows the names, types, limits and defaults of settings (conf_table.h), and no user of any.
 *  A guest in NSS processes: no stdio, no locale, no environment, no static state. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_status {
	CONF_OK = 0,
	CONF_E_NO_MEMORY = -1,
	CONF_E_IO = -2,     /**< errno says how. */
	CONF_E_ABSENT = -3, /**< There is no such file. */
	CONF_E_SYNTAX = -4, /**< A line that is no INI, too long, or outside a section. */
	CONF_E_KEY = -5,    /**< Unknown section or key, or a key given twice. */
	CONF_E_VALUE = -6,  /**< Not a value of that key's type, or outside its limits. */
};

/** A short lower-case phrase. Never NULL. */
const char *conf_strerror(enum conf_status status);

/** Where and why a file was refused. */
struct conf_error {
	unsigned line;     /**< From 1; 0 if no line is to blame. */
	char message[256]; /**< What is wrong and what would be right, without file and line. */
};

/** An address and port to listen on, or to ask. */
struct conf_endpoint {
	uint8_t family;     /**< 4 or 6. */
	uint8_t octets[16]; /**< Network order; IPv4 uses the first four. */
	uint32_t scope_id;  /**< Interface of a link-local IPv6 address, else 0. */
	uint16_t port;      /**< Host byte order. */
};

/** One `BRIDGE = name` of [network]. No name is another network's name or bridge. */
struct conf_network {
	char *bridge; /**< Name of an interface. */
	char *name;   /**< One DNS label, lower case. */
};

/** Whom questions outside our zones are sent to. */
enum conf_upstream {
	CONF_UPSTREAM_NONE,        /**< Nobody: such questions are refused. */
	CONF_UPSTREAM_RESOLV_CONF, /**< The servers that /etc/resolv.conf names. */
	CONF_UPSTREAM_SERVERS,     /**< Those of conf.upstream_servers. */
};

/** One `zone.NAME = servers` of [forward]. */
struct conf_forward_zone {
	char *name; /**< Lower case, no trailing dot. */
	struct conf_endpoint *servers;
	size_t server_count;
};

/** What is in force. Owned strings and arrays; freed by conf_done(). */
struct conf {
	struct conf_endpoint *listen; /**< [server] listen */
	size_t listen_count;
	char **zones; /**< [zone] name: lower case, no trailing dot; the first is canonical. */
	size_t zone_count;
	uint32_t ttl_s;                /**< [zone] ttl, seconds */
	uint32_t negative_ttl_s;       /**< [zone] negative-ttl, seconds */
	struct conf_network *networks; /**< [network] */
	size_t network_count;
	char **lease_directories; /**< [leases] libvirt: absolute paths, no '/' at the end */
	size_t lease_directory_count;
	char *index_file;                       /**< [index] file: absolute path */
	enum conf_upstream upstream;            /**< [forward] upstream */
	struct conf_endpoint *upstream_servers; /**< Only of CONF_UPSTREAM_SERVERS. */
	size_t upstream_server_count;
	struct conf_forward_zone *forward_zones; /**< [forward] zone.NAME */
	size_t forward_zone_count;
	uint32_t cache_kib;     /**< [forward] cache-size, KiB; 0: no cache */
	uint32_t max_ttl_s;     /**< [forward] max-ttl, seconds */
	uint32_t serve_stale_s; /**< [forward] serve-stale, seconds; 0: never */
	bool log_queries;       /**< [log] queries */
};

/** The embedded defaults. CONF_OK or CONF_E_NO_MEMORY. */
enum conf_status conf_init_defaults(struct conf *conf);

/** Reads `path` over the defaults.
 *  @param out_conf untouched on failure; conf_done() when done with it.
 *  @param out_error filled on failure. */
enum conf_status conf_load(const char *path, struct conf *out_conf, struct conf_error *out_error);

void conf_done(struct conf *conf);

/** Takes a piece of text. */
typedef void (*conf_emit)(void *ctx, const char *text, size_t len);

/** Writes what is in force in the syntax of the file, every key with its help as a comment, so
 *  that conf_load() of the output gives the same configuration. */
void conf_print(const struct conf *conf, conf_emit emit, void *ctx);

#endif
