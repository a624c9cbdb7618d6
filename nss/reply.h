/** @file Writes what was found into the buffer that the caller of a hook handed in, and sets the
 *  hook's results. All of an answer lies in that buffer: nothing is allocated, nothing is kept.
 *
 *  The contract is glibc's (manual, "NSS Modules Interface"). A buffer that is too small is told by
 *  one triple only, for which glibc comes back with a larger one. */
#ifndef NSS_REPLY_H
#define NSS_REPLY_H

#include <netdb.h>
#include <nss.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/address.h"
#include "parser/bytes.h"

/** How a lookup ended. */
enum nss_outcome {
	NSS_OUTCOME_FOUND,
	NSS_OUTCOME_ABSENT, /**< No such name. */
	NSS_OUTCOME_NODATA, /**< The name exists, not for that family. */
	NSS_OUTCOME_BUFFER_TOO_SMALL,
	NSS_OUTCOME_UNAVAILABLE, /**< Nothing there to answer from. */
	NSS_OUTCOME_TRANSIENT,   /**< Memory or descriptors are short now. */
};

/** Where errors of a hook go. */
struct nss_errors {
	int *errnop; /**< Usually &errno: written last. */
	int *h_errnop;
};

/** The only place where the results of a hook are set.
 *  @return what the hook returns. */
enum nss_status reply_finish(enum nss_outcome outcome, const struct nss_errors *errors);

/** Room in the caller's buffer. */
struct reply_room {
	char *next;
	size_t left;
};

/** Takes `len` octets aligned for `align` (a power of two, counted from the address itself).
 *  NULL if they do not fit. */
void *reply_take(struct reply_room *room, size_t len, size_t align);

/** A NUL-terminated copy. NULL if it does not fit, or holds a NUL. */
char *reply_take_text(struct reply_room *room, struct bytes text);

/** A hostent that grows address by address. */
struct reply_host {
	struct hostent *result;
	struct reply_room room;
	int family; /**< AF_INET or AF_INET6. */
	size_t count;
	char *first; /**< The addresses, one behind the other. */
};

/** Starts with an empty buffer; `result` is untouched until reply_host_finish(). */
void reply_host_start(
	struct reply_host *host, struct hostent *result, int family, char *buffer, size_t buflen);

/** Adds an address of the family. False if the buffer is too small. */
bool reply_host_add(struct reply_host *host, const struct address *address);

/** Fills `result`.
 *  @param aliases NULL-terminated, in the buffer already; NULL for none.
 *  @return false if the buffer is too small. */
bool reply_host_finish(struct reply_host *host, char *name, char **aliases);

#endif
