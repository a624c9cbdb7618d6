/** @file Why a hostname that a guest gave to DHCP is not published: the rules of parser/hostname.h
 *  and of the index's builder, in words. */
#ifndef SERVER_NAMES_REFUSAL_H
#define SERVER_NAMES_REFUSAL_H

#include <stdbool.h>

#include "parser/bytes.h"

/** @param name that was refused (INDEX_EVENT_HOSTNAME_REJECTED).
 *  @return a clause without a dot at its end, as in "it is the name of this host"; static. */
const char *refusal_reason(struct bytes name);

/** True if the first label of `name` is that of this host. */
bool refusal_is_own_name(struct bytes name);

#endif
