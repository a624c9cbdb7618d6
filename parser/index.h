/** @file Reads the index: the one immutable file from which DNS and NSS answer.
 *
 *  The index is a cdb (constant database, <https://cr.yp.to/cdb/cdb.txt>). A key is one byte of
 *  kind, then a name in ASCII lower case without the zone and without a trailing dot, or octets of
 * an address as lower-case hexadecimal text: cdb's hash spreads text well, and raw addresses that
 * are neighbours badly. All numbers are little-endian.
 *
 *  | key                        | value                                                        |
 *  |----------------------------|--------------------------------------------------------------|
 *  | `h` DHCP hostname          | records of the leases with that hostname (or first label of it) |
 *  | `g` guest name             | records of the guest's leases, and INDEX_KIND_NODE for itself |
 *  | `n` name                   | records of the merged view, of all kinds; see view.h          |
 *  | `a` address in hexadecimal | names of that address, best first                            |
 *  | `r` /24 or /64 likewise    | empty: it holds an address that we know                      |
 *  | `w` bridge or network name | its number, two octets                                       |
 *  | `m`                        | version, zones, networks, sources; see struct index_meta      |
 *
 *  Expiry is judged by the caller when a question is answered, never when the index is built.
 *  Nothing here trusts the file: every offset and length is checked, work is bounded. */
#ifndef PARSER_INDEX_H
#define PARSER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "bytes.h"
#include "parser_status.h"
#include "source.h"

#define INDEX_VERSION 1u
/** Larger files are disbelieved. */
#define INDEX_FILE_OCTETS_MAX (64u * 1024 * 1024)
/** A lookup that needs more probes disbelieves the file: a guest can make hostnames collide, but
 *  gets no more of them than its network has addresses. */
#define INDEX_PROBES_MAX 1024u
/** Longest key after its kind byte. */
#define INDEX_KEY_OCTETS_MAX 512u
/** `network` of a record that belongs to none. */
#define INDEX_NETWORK_NONE 0xffffu

enum index_key_kind {
	INDEX_KEY_HOSTNAME = 'h',
	INDEX_KEY_GUEST = 'g',
	INDEX_KEY_NAME = 'n',
	INDEX_KEY_ADDRESS = 'a',
	INDEX_KEY_REVERSE = 'r',
	INDEX_KEY_NETWORK = 'w',
	INDEX_KEY_META = 'm',
};

/** What a record stands for, in the order of the merged view: lower beats higher. */
enum index_kind {
	INDEX_KIND_STATIC = 0,      /**< addnhosts, and what leasedns itself is called */
	INDEX_KIND_RESERVATION = 1, /**< A reservation's own address, and leases of its MAC. */
	INDEX_KIND_GUEST = 2,
	INDEX_KIND_GUEST_ALIAS = 3, /**< See hostname_alias(). */
	INDEX_KIND_HOSTNAME = 4,    /**< DHCP hostname */
	INDEX_KIND_NODE = 5, /**< The name exists, that is all: empty non-terminals, networks;
				  under its guest kind a guest that may have no lease. */
};

/** Octets of one record: family 1, kind 1, network 2, MAC 6, flags 2, valid-from 8, expires 8,
 *  address 16. */
#define INDEX_RECORD_OCTETS 44u

/** One address of a name; ADDRESS_NONE says only that the name exists. */
struct index_record {
	struct address address;
	enum index_kind kind;
	uint16_t network; /**< Position in index_meta.networks, or INDEX_NETWORK_NONE. */
	bool has_mac;
	bool duplicate; /**< Its address stands in a better record of another network: it
			     counts only where one network is asked for. */
	struct mac mac;
	int64_t valid_from_unix_s; /**< A reservation's address steps in when its lease has ended.
				    */
	int64_t expires_unix_s;    /**< Last second in which it lives; 0: never ends. */
};

/** True if the record (or name) is alive at that second. */
static inline bool index_is_alive(
	int64_t valid_from_unix_s, int64_t expires_unix_s, int64_t now_unix_s)
{
	return valid_from_unix_s <= now_unix_s &&
	       (expires_unix_s == 0 || expires_unix_s >= now_unix_s);
}

/** One name of an address, from the value of an `a` key. */
struct index_name {
	struct bytes name; /**< Without zone; maybe `vm.virbr0`. Case as first written. */
	enum index_kind kind;
	bool published; /**< The merged view gives this address for this name. */
	bool dns_name;  /**< hostname_is_dns_name(). */
	uint16_t network;
	bool has_mac;
	struct mac mac;
	int64_t valid_from_unix_s;
	int64_t expires_unix_s;
};

/** A bridge and what its network is called. Either may be empty. */
struct index_network {
	struct bytes bridge; /**< e.g. `virbr0` */
	struct bytes name;   /**< e.g. `default`; known from the configuration or a file's name. */
};

struct index_source {
	struct bytes path;
	struct source_stamp stamp;
};

/** The value of `m`, decoded. Views and arrays live as long as the struct (index_meta_done()). */
struct index_meta {
	uint32_t version;
	int64_t built_unix_ns;
	uint32_t ttl_s;
	uint32_t negative_ttl_s;
	struct bytes *zones; /**< Canonical first, lower case, no trailing dot. */
	size_t zone_count;
	struct index_network *networks; /**< Lower case. */
	size_t network_count;
	struct index_source *sources;
	size_t source_count;
	uint8_t *storage; /**< Owned: what all views point into. */
};

/** One page: header and meta data of a small index come with the first read. */
#define INDEX_WINDOW_OCTETS 4096u

struct index_draft;

/** The part of a file that was read last. */
struct index_window {
	uint32_t offset;
	uint32_t len;
	bool failed; /**< See index_has_failed(). */
	uint8_t octets[INDEX_WINDOW_OCTETS];
};

/** An opened index. Its struct is public so that it may live on a stack; its fields are not. */
struct index {
	const uint8_t *map; /**< NULL if read by descriptor. */
	int fd;             /**< -1 if mapped. */
	uint32_t size;
	struct index_window *window; /**< Borrowed; NULL if mapped. */
	struct index_draft *draft;   /**< Borrowed; NULL unless index_draft_new() made it. */
};

/** A value: where it lies. */
struct index_value {
	const struct index *index;
	uint32_t offset;
	uint32_t len;
	const uint8_t *octets; /**< Of a draft: the value itself; otherwise NULL. */
};

/** What a lookup found. NODATA and NXDOMAIN must survive every layer. */
enum index_match {
	INDEX_CORRUPT = -1, /**< The file breaks its own format: disbelieve it. */
	INDEX_ABSENT = 0,   /**< No such name. */
	INDEX_NODATA = 1,   /**< The name exists, but not what was asked for. */
	INDEX_FOUND = 2,
};

/** Reads from memory, e.g. the mapping of the inode that this process wrote.
 *  @return PARSER_OK, or PARSER_E_CORRUPT if it is no cdb. */
enum parser_status index_init_memory(struct index *index, const uint8_t *map, size_t size);

/** Reads by pread() from `fd` through `window`; both stay the caller's. Never maps, never
 *  allocates.
 *  @return PARSER_OK, PARSER_E_CORRUPT if it is no cdb, PARSER_E_IO. */
enum parser_status index_init_fd(struct index *index, int fd, struct index_window *window);

/** As index_init_fd(), for who knows the size already: one system call less.
 *  @return PARSER_OK, PARSER_E_CORRUPT. */
enum parser_status index_init_sized(
	struct index *index, int fd, uint32_t size, struct index_window *window);

/** True if something could not be read or broke the format since index_init_fd(), or memory for a
 *  draft was short: then what the index says may lack something, "absent" above all, also where a
 *  call has no way to tell. Never true of a mapped index. */
bool index_has_failed(const struct index *index);

/** Finds a key. `key` must be in lower case already if it is a name.
 *  @param key at most INDEX_KEY_OCTETS_MAX octets; longer ones are absent.
 *  @return INDEX_FOUND, INDEX_ABSENT or INDEX_CORRUPT. */
enum index_match index_find(const struct index *index, enum index_key_kind kind, struct bytes key,
	struct index_value *out_value);

/** Finds the names of an address (INDEX_KEY_ADDRESS). As index_find(). */
enum index_match index_find_address(
	const struct index *index, const struct address *address, struct index_value *out_value);

/** Does the /24 (IPv4) or /64 (IPv6) around the address hold one that we know? As index_find(). */
enum index_match index_find_reverse(const struct index *index, const struct address *address);

/** How many records the value of an `h`, `g` or `n` key holds. */
static inline size_t index_record_count(const struct index_value *value)
{
	return value->len / INDEX_RECORD_OCTETS;
}

/** Decodes record `position` of an `h`, `g` or `n` value.
 *  @return PARSER_OK, PARSER_E_CORRUPT (beyond the value, or not a record), PARSER_E_IO. */
enum parser_status index_record_at(
	const struct index_value *value, size_t position, struct index_record *out_record);

/** Longest name in an `a` value. */
#define INDEX_NAME_OCTETS_MAX INDEX_KEY_OCTETS_MAX

/** Walks the names in an `a` value.
 *  @param offset 0 at first; moved on by each call.
 *  @param buffer where the name is copied to if the index is read by descriptor; the view in
 *  `out_name` ends with it.
 *  @return PARSER_OK, PARSER_E_ABSENT at the end, PARSER_E_CORRUPT, PARSER_E_IO. */
enum parser_status index_name_next(const struct index_value *value, uint32_t *offset,
	uint8_t buffer[INDEX_NAME_OCTETS_MAX], struct index_name *out_name);

/** Decodes `m`; the only call here that allocates.
 *  @return PARSER_OK, PARSER_E_CORRUPT (also for another version), PARSER_E_NO_MEMORY, PARSER_E_IO.
 */
enum parser_status index_meta_init(struct index_meta *meta, const struct index *index);
void index_meta_done(struct index_meta *meta);

/** Reads `m` piece by piece, without allocating: zones, then sources, then networks. */
struct index_meta_cursor {
	const struct index *index;
	uint32_t offset;
	uint32_t end;
};

/** Longest text in `m`, with a NUL: a path (PATH_MAX). */
#define INDEX_META_TEXT_SIZE 4096u

/** @param out_meta its numbers and counts are set, nothing else; index_meta_done() not needed.
 *  @return PARSER_OK, PARSER_E_CORRUPT (also for another version), PARSER_E_IO. */
enum parser_status index_meta_open(const struct index *index, struct index_meta_cursor *out_cursor,
	struct index_meta *out_meta);

/** The next text: a zone; the path of a source; bridge, then name of a network.
 *  @param out_text NUL-terminated (so long as it holds no NUL itself). */
enum parser_status index_meta_next_text(
	struct index_meta_cursor *cursor, char out_text[INDEX_META_TEXT_SIZE], size_t *out_len);

/** What follows the path of a source. */
enum parser_status index_meta_next_stamp(
	struct index_meta_cursor *cursor, struct source_stamp *out_stamp);

/** The number of the network whose bridge or name is `label` (lower case), or
 *  INDEX_NETWORK_NONE. */
uint16_t index_network(const struct index *index, struct bytes label);

/** Walks all keys in the order they were written (sequential, for listings).
 *  @param offset 0 at first; moved on by each call.
 *  @param buffer as for index_name_next().
 *  @return PARSER_OK, PARSER_E_ABSENT at the end, PARSER_E_CORRUPT, PARSER_E_IO. */
enum parser_status index_entry_next(const struct index *index, uint32_t *offset,
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1], enum index_key_kind *out_kind,
	struct bytes *out_key, struct index_value *out_value);

#endif
