/** @file Does a zone still answer? Asks it what a client would, without a network. */
#ifndef SERVER_DNS_SELF_QUERY_H
#define SERVER_DNS_SELF_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/dns/zone.h"

/** True if `zone` answers a query for the SOA of its apex: NOERROR, with an answer. */
bool self_query_passes(const struct zone *zone, int64_t now_unix_s);

#endif
