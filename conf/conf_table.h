/** @file The table of settings: section, key, type, limits, default, unit and help. Private to
 *  conf/ and to what documents it.
 *
 *  Reading, printing, the sample file and the messages all follow the table; a new setting is a new
 *  entry of it. */
#ifndef CONF_CONF_TABLE_H
#define CONF_CONF_TABLE_H

#include "conf.h"

/** Each costs sockets and buffers of its own. A host's resolv.conf takes 3 servers; 16 leave room
 *  for one address per family on several networks. */
#define CONF_LISTEN_MAX 16
/** Every name lookup of every process on the host is compared with each of them. */
#define CONF_ZONES_MAX 16
/** Far above what one host runs; each pair of them is compared when the file is read. */
#define CONF_NETWORKS_MAX 256
/** Each is watched, and its freshness is judged in each lookup without the server. */
#define CONF_DIRECTORIES_MAX 16
/** A day. RFC 2308 section 5: longer negative caching has been found to be problematic; and no
 *  virtual machine's address deserves to be kept longer. */
#define CONF_TTL_S_MAX 86400
#define CONF_DNS_PORT  53
/** Far above the 3 of resolv.conf; each is kept account of, and one after the other is tried. */
#define CONF_UPSTREAMS_MAX 16
/** Each forwarded question is compared with each of them. */
#define CONF_FORWARD_ZONES_MAX 64
/** 1 GiB: what a small host has as a whole. */
#define CONF_CACHE_KIB_MAX (1024 * 1024)
/** A week: RFC 8767 section 4 proposes it as the upper bound of what a cache keeps. */
#define CONF_CACHED_S_MAX 604800

enum conf_type {
	CONF_TYPE_ENDPOINTS,   /**< struct conf_endpoint * and count; min and max: of the count. */
	CONF_TYPE_ZONES,       /**< char ** and count; min and max: of the count. */
	CONF_TYPE_DIRECTORIES, /**< char ** and count; min and max: of the count. */
	CONF_TYPE_NETWORKS,    /**< struct conf_network * and count; one entry per key. */
	CONF_TYPE_NUMBER,      /**< uint32_t; min and max: of the value. */
	CONF_TYPE_FILE,        /**< char *, an absolute path. */
	CONF_TYPE_UPSTREAM, /**< enum conf_upstream, in a struct conf with all that belongs to it;
				 max: of the count of servers. */
	CONF_TYPE_SWITCH,   /**< bool: yes or no. */
	CONF_TYPE_FORWARD_ZONES, /**< struct conf_forward_zone * and count; one entry per key. */
};

/** Positions in conf_table. Entries of one section are neighbours. */
enum conf_entry_id {
	CONF_SERVER_LISTEN,
	CONF_ZONE_NAME,
	CONF_ZONE_TTL,
	CONF_ZONE_NEGATIVE_TTL,
	CONF_NETWORK_BRIDGE,
	CONF_LEASES_LIBVIRT,
	CONF_INDEX_FILE,
	CONF_FORWARD_UPSTREAM,
	CONF_FORWARD_ZONE,
	CONF_FORWARD_CACHE_SIZE,
	CONF_FORWARD_MAX_TTL,
	CONF_FORWARD_SERVE_STALE,
	CONF_LOG_QUERIES,
	CONF_ENTRY_COUNT,
	CONF_ENTRY_NONE = CONF_ENTRY_COUNT,
};

struct conf_entry {
	const char *section;
	const char *key; /**< Ends with a word in capitals if there is a `key_prefix`. */
	/** The user chooses the key behind this, and may give several. NULL: there is but `key`. */
	const char *key_prefix;
	enum conf_type type;
	uint32_t min;
	uint32_t max;
	const char *default_text; /**< Read as if it stood in the file; NULL: nothing. */
	const char *unit;         /**< What is counted, in the plural; NULL: nothing is. */
	const char *help;         /**< Lines parted by '\n'. */
	size_t offset;            /**< In struct conf, of the value or the array. */
	size_t count_offset;      /**< In struct conf, of a list's count. */
};

extern const struct conf_entry conf_table[CONF_ENTRY_COUNT];

/** The entry that reads `key` in `section`, or CONF_ENTRY_NONE. */
enum conf_entry_id conf_table_find(const char *section, const char *key);

/** True if the table has `section`, which need not end in a NUL. */
bool conf_table_has_section(const char *section, size_t len);

/** The section that somebody who wrote `section` probably meant, or NULL. */
const char *conf_table_guess_section(const char *section, size_t len);

/** The entry that somebody who wrote `key` in `section` probably meant: a similar key of the same
 *  section, or this very key of another one; or CONF_ENTRY_NONE. */
enum conf_entry_id conf_table_guess_key(const char *section, const char *key);

#endif
