/** @file Calls the hooks of an NSS module as glibc does, and puts what they say into words. */
#ifndef TESTS_E2E_NSS_CALL_H
#define TESTS_E2E_NSS_CALL_H

#include <netdb.h>
#include <nss.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct nss_module_hooks {
	enum nss_status (*by_name4)(const char *name, struct gaih_addrtuple **pat, char *buffer,
		size_t buflen, int *errnop, int *h_errnop, int32_t *ttlp);
	enum nss_status (*by_name3)(const char *name, int af, struct hostent *result, char *buffer,
		size_t buflen, int *errnop, int *h_errnop, int32_t *ttlp, char **canonp);
	/** NULL if the module has none. */
	enum nss_status (*by_address)(const void *addr, socklen_t len, int af,
		struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop,
		int32_t *ttlp);
};

/** What a hook said: addresses or names parted by blanks, or NODATA, NXDOMAIN, UNAVAIL, TRYAGAIN,
 *  SMALL (glibc comes back with a larger buffer); UNAVAIL-NODATA is what it looks like: the status
 *  of the one, the h_errno of the other. */
struct nss_said {
	char text[16384];
	int32_t ttl_s; /**< 0 if it did not say. */
};

/** Loads a module; fails the process on error. */
void nss_call_load(const char *path, const char *service, struct nss_module_hooks *out_hooks);

/** @param af AF_UNSPEC for both: gethostbyname4_r. */
void nss_call_name(
	const struct nss_module_hooks *hooks, const char *name, int af, struct nss_said *out_said);

/** As above for AF_UNSPEC, with a buffer of at most 16 KiB. */
void nss_call_name_in(const struct nss_module_hooks *hooks, const char *name, size_t buffer_octets,
	struct nss_said *out_said);

/** The host's name, then its aliases.
 *  @param text an address. */
void nss_call_address(
	const struct nss_module_hooks *hooks, const char *text, struct nss_said *out_said);

#endif
