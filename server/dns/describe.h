/** @file What is known of a name's addresses, as TXT: one record for each living address, made of
 *  `guest=`, `hostname=`, `mac=`, `network=`, `address=` and `expires=` strings, as far as known.
 */
#ifndef SERVER_DNS_DESCRIBE_H
#define SERVER_DNS_DESCRIBE_H

#include "server/dns/rrset.h"
#include "server/dns/zone.h"

/** "9999-12-31T23:59:59Z" and a NUL. */
#define DESCRIBE_TIME_SIZE 21

/** Writes the TXT RRset of a name to the answer section.
 *  @param view as view_find() or view_rewind() left it.
 *  @param owner_offset where the owner's name stands in the reply. */
enum rrset_result describe_texts(struct reply *reply, uint16_t owner_offset,
	const struct zone *zone, struct view *view, int64_t now_unix_s);

/** Unix time as RFC 3339 has it, in UTC; clamped to the years that it can write (0001 to 9999).
 *  Unlike gmtime_r() it reads no environment and takes no lock. */
void describe_time(int64_t unix_s, char out_text[DESCRIBE_TIME_SIZE]);

#endif
