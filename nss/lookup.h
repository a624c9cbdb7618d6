/** @file One question, answered from the index if it is to be believed, otherwise from the lease
 *  files. The same for all modules: they differ by the row that they bring. Keeps nothing. */
#ifndef NSS_LOOKUP_H
#define NSS_LOOKUP_H

#include "nss/reply.h"
#include "parser/index.h"

/** What a module answers. */
struct nss_module {
	enum index_key_kind names; /**< The kind of names that it looks up. */
};

/** DHCP hostnames, as libvirt's own module of that name. */
extern const struct nss_module nss_module_libvirt;
/** Names of guests, as libvirt's own module of that name. */
extern const struct nss_module nss_module_libvirt_guest;
/** The merged view: what DNS says. */
extern const struct nss_module nss_module_leasedns;

/** Takes what is found. */
struct lookup_sink {
	/** Called before each attempt: what came before is void. An index may turn out to be
	 *  corrupt after half of an answer; then the lease files give all of it. */
	void (*restart)(void *ctx);
	/** Told of each address. False if it finds no room: the lookup ends with
	 *  NSS_OUTCOME_BUFFER_TOO_SMALL. */
	bool (*address)(void *ctx, const struct address *address);
	/** Told of each name of an address, best first. As above.
	 *  @param zone to be put behind it, or empty. */
	bool (*name)(void *ctx, struct bytes name, struct bytes zone);
	void *ctx;
};

/** The addresses of a name: bare, below a zone, or `vm.<network>` with or without zone; a name that
 *  is literally so beats one that is so without its zone.
 *  @param family ADDRESS_NONE for both.
 *  @param out_ttl_s seconds for which the answer holds; set if found. */
enum nss_outcome lookup_by_name(const struct nss_module *module, const char *name, uint8_t family,
	const struct lookup_sink *sink, int32_t *out_ttl_s);

/** The names of an address. */
enum nss_outcome lookup_by_address(const struct nss_module *module, const struct address *address,
	const struct lookup_sink *sink, int32_t *out_ttl_s);

#endif
