/** @file What every format yields: one statement about a name or an address. */
#ifndef PARSER_RECORD_H
#define PARSER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "bytes.h"

enum record_kind {
	RECORD_LEASE,       /**< An address that DHCP gave out; the guest chose the name. */
	RECORD_GUEST,       /**< A guest of libvirt and, if it has one, one of its MAC addresses. */
	RECORD_RESERVATION, /**< An address that DHCP keeps for a MAC, a DUID or a name. */
	RECORD_STATIC,      /**< A name that the administrator gave to an address. */
};

/** RFC 8415 section 11.1: two octets of type and at most 128 more. */
#define RECORD_DUID_OCTETS_MAX 130

/** All views end when the sink that was handed the record returns. */
struct record {
	enum record_kind kind;
	struct bytes name;      /**< As written, any bytes; empty if the file gives none. */
	struct address address; /**< ADDRESS_NONE for RECORD_GUEST; else address_is_host(). */
	bool has_mac;           /**< `mac` says something. */
	struct mac mac;         /**< Ethernet address of the client. */
	struct bytes duid;      /**< Raw octets of the client's DUID (IPv6); empty if none. */
	int64_t expires_unix_s; /**< Last second in which the lease lives; 0: never ends. */
};

/** Takes one record. False ends the parse early, which is no error. */
typedef bool (*record_sink)(void *ctx, const struct record *record);

#endif
