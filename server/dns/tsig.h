/** @file Refuses a message that is signed with a key that we do not have: that is all of them. */
#ifndef SERVER_DNS_TSIG_H
#define SERVER_DNS_TSIG_H

#include "server/dns/reply.h"

/** Makes the reply to a query with TSIG: NOTAUTH and a TSIG record with the error BADKEY and no
 *  MAC (RFC 8945 sections 5.2.1 and 5.3.2); FORMERR if the record is malformed. The record is left
 *  out where it does not fit: the response code says enough. */
void tsig_refuse(struct reply *reply);

#endif
