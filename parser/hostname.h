/** @file Which names we publish. A DHCP hostname is chosen by the guest, so it is hostile input. */
#ifndef PARSER_HOSTNAME_H
#define PARSER_HOSTNAME_H

#include <stdbool.h>

#include "bytes.h"

/** RFC 1035 section 2.3.4. */
#define HOSTNAME_LABEL_OCTETS_MAX 63
/** RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters of text. */
#define HOSTNAME_TEXT_OCTETS_MAX 253

/** True if a guest may call itself so: labels of letters, digits, '-', '_', with a letter or a
 *  digit at both ends, at most 63 octets each and 253 in all; not only digits, not an address; and
 *  in none of its cases `localhost`, `wpad` or `isatap` as the first label.
 *  One trailing dot is allowed. */
bool hostname_is_publishable(struct bytes name);

/** True if `name` can stand in a DNS message: no empty label, none over 63 octets, at most 253
 *  in all. Any bytes else. What breaks this can be found through NSS only. */
bool hostname_is_dns_name(struct bytes name);

/** True if nothing but letters, digits, '-', '_' and '.' is in it. */
bool hostname_is_plain(struct bytes name);

/** Octets of the first label (up to the first dot). */
struct bytes hostname_first_label(struct bytes name);

/** The name that a guest also answers to if its own is not plain: each run of other bytes turned
 *  into one '-', in lower case, without '-' at either end (`DB Server` becomes `db-server`). Writes
 * at most `name.len` octets to `out_alias` and returns how many; 0 if the name needs no alias or
 * nothing is left of it. An alias of a name that is no DNS name may be none either. */
size_t hostname_alias(struct bytes name, uint8_t *out_alias);

#endif
