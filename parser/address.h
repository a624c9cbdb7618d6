/** @file IP and MAC addresses: text to octets and back. */
#ifndef PARSER_ADDRESS_H
#define PARSER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum address_family { ADDRESS_NONE = 0, ADDRESS_IPV4 = 4, ADDRESS_IPV6 = 6 };

#define ADDRESS_IPV4_OCTETS 4
#define ADDRESS_IPV6_OCTETS 16
/** Enough for any address as text, with its NUL (INET6_ADDRSTRLEN). */
#define ADDRESS_TEXT_SIZE 46
#define MAC_OCTETS        6
/** "52:54:00:aa:00:01" and its NUL. */
#define MAC_TEXT_SIZE 18

struct address {
	uint8_t family;                      /**< enum address_family */
	uint8_t octets[ADDRESS_IPV6_OCTETS]; /**< Network order; IPv4 uses four, the rest is 0. */
};

struct mac {
	uint8_t octets[MAC_OCTETS];
};

/** Octets of an address of `family`: 4, 16, or 0. */
size_t address_octets(uint8_t family);

/** Numeric text, as inet_pton() takes it (no brackets, no zone). Untouched output if false. */
bool address_parse(struct bytes text, struct address *out_address);

/** True for a unicast address that a guest can be reached at: not unspecified, loopback,
 *  multicast, broadcast, link-local or IPv4-mapped. */
bool address_is_host(const struct address *address);

/** Order by family, then octets: <0, 0, >0. */
int address_compare(const struct address *a, const struct address *b);

/** Writes numeric text and a NUL. ADDRESS_NONE becomes "". */
void address_format(const struct address *address, char out_text[ADDRESS_TEXT_SIZE]);

/** Octets as hexadecimal groups of one or two digits, any case, parted by ':': a MAC address, a
 * DUID.
 *  @return how many octets; 0 if malformed or more than `cap`, then `out_octets` is void. */
size_t hex_groups_parse(struct bytes text, uint8_t *out_octets, size_t cap);

/** Six groups of one or two hexadecimal digits, any case, parted by ':'. */
bool mac_parse(struct bytes text, struct mac *out_mac);

/** Lower case, two digits a group, and a NUL. */
void mac_format(const struct mac *mac, char out_text[MAC_TEXT_SIZE]);

#endif
