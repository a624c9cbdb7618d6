/** @file The line of nsswitch.conf(5) that says whom glibc asks for hosts, as glibc reads it. Pure:
 *  text in, services and actions out. */
#ifndef SERVER_CHECK_CHECK_NSS_LINE_H
#define SERVER_CHECK_CHECK_NSS_LINE_H

#include <stdbool.h>
#include <stddef.h>

/** Ways to look up a host that any system has, many times over; those behind are left out. */
#define CHECK_NSS_SERVICES_MAX 24u
/** "mdns4_minimal" is a long one. */
#define CHECK_NSS_NAME_SIZE 64

/** What a service says. */
enum check_nss_status {
	CHECK_NSS_SUCCESS,
	CHECK_NSS_NOTFOUND,
	CHECK_NSS_UNAVAIL,
	CHECK_NSS_TRYAGAIN,
	CHECK_NSS_STATUS_COUNT,
};

struct check_nss_service {
	char name[CHECK_NSS_NAME_SIZE];
	/** Does the search end with that status? Unless the line says so, only with success. */
	bool ends[CHECK_NSS_STATUS_COUNT];
};

struct check_nss_line {
	struct check_nss_service services[CHECK_NSS_SERVICES_MAX];
	size_t count;
	unsigned number;  /**< In the file, from 1; 0: there is none, and glibc's default holds. */
	unsigned bad;     /**< The first line, for hosts or not, that glibc gives up on; or 0. */
	unsigned unended; /**< The last line, if it is for hosts and no newline ends it; or 0. */
};

enum check_nss_parsed {
	CHECK_NSS_PARSED,
	CHECK_NSS_BAD, /**< A line that glibc (2.34 and later) gives up on: then it finds nothing.
			*/
};

/** Finds the line for hosts; of several the last counts.
 *  @param out_line always set; if the line for hosts is bad, to its number and the default. */
enum check_nss_parsed check_nss_parse(
	const char *text, size_t len, struct check_nss_line *out_line);

/** Position of a service, or the count if it is not there. */
size_t check_nss_find(const struct check_nss_line *line, const char *name);

/** Can no module be called so? glibc takes "files," and "#" for names, too. */
bool check_nss_is_odd(const char *service);

/** Is it `leasedns`, `libvirt` or `libvirt_guest`? */
bool check_nss_is_ours(const char *service);

/** How a search went. */
struct check_nss_walk {
	bool is_found;
	size_t position; /**< The service where it ended; the count if at the end of the line. */
	enum check_nss_status status; /**< What that service said. */
};

/** Follows the line with what each service says of a name.
 *  @param statuses one for each service. */
struct check_nss_walk check_nss_walk(
	const struct check_nss_line *line, const enum check_nss_status *statuses);

/** Writes "NAME" or "NAME [NOTFOUND=return]": a service with the actions that are not default. */
#define CHECK_NSS_SERVICE_SIZE (CHECK_NSS_NAME_SIZE + 96)
void check_nss_format_service(
	const struct check_nss_service *service, char out_text[CHECK_NSS_SERVICE_SIZE]);

/** Writes the whole line, "hosts: files dns".
 *  @return the caller's to free; NULL if memory is short. */
char *check_nss_format(const struct check_nss_line *line);

/** The line as it should be: without what is no name; our services before whatever ends the search
 * or goes to the network, `leasedns` after `files` if none of ours is there; each of ours leads on
 * to the next. */
void check_nss_mend(const struct check_nss_line *given, struct check_nss_line *out_mended);

/** "NOTFOUND", … */
const char *check_nss_status_word(enum check_nss_status status);

#endif
