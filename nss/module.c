/* The hooks of one module, as glibc asks for them (<nss.h>): compiled once for each module, with
 * LEASEDNS_NSS_MODULE as the name that stands in nsswitch.conf. */
#include <errno.h>
#include <string.h>

#include "nss/lookup.h"

#define MODULE_PASTE(prefix, module, suffix)  prefix##module##suffix
#define MODULE_EXPAND(prefix, module, suffix) MODULE_PASTE(prefix, module, suffix)
#define MODULE_HOOK(name)                     MODULE_EXPAND(_nss_, LEASEDNS_NSS_MODULE, _##name)
#define MODULE_ROW                            MODULE_EXPAND(nss_module_, LEASEDNS_NSS_MODULE, )
#define MODULE_PUBLIC                         __attribute__((visibility("default")))

/* Names of one address that a program is told: those of a machine with several. */
#define MODULE_ALIASES_MAX 16

MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyname4_r)(const char *name,
	struct gaih_addrtuple **pat, char *buffer, size_t buflen, int *errnop, int *h_errnop,
	int32_t *ttlp);
MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyname3_r)(const char *name, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop,
	int32_t *ttlp, char **canonp);
MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyname2_r)(const char *name, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop);
MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyname_r)(const char *name, struct hostent *result,
	char *buffer, size_t buflen, int *errnop, int *h_errnop);
MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyaddr2_r)(const void *addr, socklen_t len, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop,
	int32_t *ttlp);
MODULE_PUBLIC enum nss_status MODULE_HOOK(gethostbyaddr_r)(const void *addr, socklen_t len, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop);

/* Sets all results of a hook, after restoring errno, which errnop usually points to. */
static enum nss_status module_finish(
	enum nss_outcome outcome, int saved_errno, int *errnop, int *h_errnop)
{
	struct nss_errors errors = {errnop, h_errnop};

	errno = saved_errno;
	return reply_finish(outcome, &errors);
}

/* --- Both families -------------------------------------------------------------------------- */

/* A list of addresses that grows in the caller's buffer. */
struct module_tuples {
	const char *asked;
	struct reply_room whole;
	struct gaih_addrtuple
		*brought; /* In place of the caller's own, if it brought one (nscd). */
	struct reply_room room;
	char *name;
	struct gaih_addrtuple *first;
	struct gaih_addrtuple *last;
};

static void module_restart_tuples(void *ctx)
{
	struct module_tuples *tuples = ctx;

	tuples->room = tuples->whole;
	tuples->name = NULL;
	tuples->first = NULL;
	tuples->last = NULL;
}

static bool module_add_tuple(void *ctx, const struct address *address)
{
	struct module_tuples *tuples = ctx;
	struct gaih_addrtuple *tuple = tuples->last ? NULL : tuples->brought;

	/* Only now: "no such name" needs no room. */
	if (!tuples->name)
		tuples->name = reply_take_text(&tuples->room, bytes_of_text(tuples->asked));
	if (!tuples->name)
		return false;
	if (!tuple)
		tuple = reply_take(&tuples->room, sizeof(*tuple), _Alignof(struct gaih_addrtuple));
	if (!tuple)
		return false;
	*tuple = (struct gaih_addrtuple){
		.name = tuples->name,
		.family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6,
	};
	memcpy(tuple->addr, address->octets, address_octets(address->family));
	if (tuples->last)
		tuples->last->next = tuple;
	else
		tuples->first = tuple;
	tuples->last = tuple;
	return true;
}

enum nss_status MODULE_HOOK(gethostbyname4_r)(const char *name, struct gaih_addrtuple **pat,
	char *buffer, size_t buflen, int *errnop, int *h_errnop, int32_t *ttlp)
{
	int saved_errno = errno;
	struct gaih_addrtuple own;
	/* What the caller brought is written only when all is known. */
	struct module_tuples tuples = {
		.asked = name, .whole = {buffer, buflen}, .brought = *pat ? &own : NULL};
	struct lookup_sink sink = {
		.restart = module_restart_tuples, .address = module_add_tuple, .ctx = &tuples};
	enum nss_outcome outcome;
	int32_t ttl_s = 0;

	outcome = lookup_by_name(&MODULE_ROW, name, ADDRESS_NONE, &sink, &ttl_s);
	if (outcome == NSS_OUTCOME_FOUND) {
		if (*pat)
			**pat = own;
		else
			*pat = tuples.first;
		if (ttlp)
			*ttlp = ttl_s;
	}
	return module_finish(outcome, saved_errno, errnop, h_errnop);
}

/* --- One family ----------------------------------------------------------------------------- */

/* One host with its addresses. */
struct module_host {
	const char *asked;
	struct hostent *result;
	int af;
	struct reply_room whole;
	struct reply_host host;
	char *name;
};

static void module_restart_host(void *ctx)
{
	struct module_host *host = ctx;

	reply_host_start(&host->host, host->result, host->af, host->whole.next, host->whole.left);
	host->name = NULL;
}

static bool module_add_address(void *ctx, const struct address *address)
{
	struct module_host *host = ctx;

	if (!host->name)
		host->name = reply_take_text(&host->host.room, bytes_of_text(host->asked));
	return host->name && reply_host_add(&host->host, address);
}

static enum nss_outcome module_by_name(const char *name, int af, struct hostent *result,
	char *buffer, size_t buflen, int32_t *out_ttl_s)
{
	uint8_t family = af == AF_INET ? ADDRESS_IPV4 : ADDRESS_IPV6;
	struct module_host host = {
		.asked = name, .result = result, .af = af, .whole = {buffer, buflen}};
	struct lookup_sink sink = {
		.restart = module_restart_host, .address = module_add_address, .ctx = &host};
	enum nss_outcome outcome = lookup_by_name(&MODULE_ROW, name, family, &sink, out_ttl_s);

	if (outcome == NSS_OUTCOME_FOUND && !reply_host_finish(&host.host, host.name, NULL))
		return NSS_OUTCOME_BUFFER_TOO_SMALL;
	return outcome;
}

enum nss_status MODULE_HOOK(gethostbyname3_r)(const char *name, int af, struct hostent *result,
	char *buffer, size_t buflen, int *errnop, int *h_errnop, int32_t *ttlp, char **canonp)
{
	enum nss_outcome outcome = NSS_OUTCOME_NODATA; /* Of other families we know nothing. */
	int saved_errno = errno;
	int32_t ttl_s = 0;

	if (af == AF_INET || af == AF_INET6)
		outcome = module_by_name(name, af, result, buffer, buflen, &ttl_s);
	if (outcome == NSS_OUTCOME_FOUND && ttlp)
		*ttlp = ttl_s;
	if (outcome == NSS_OUTCOME_FOUND && canonp)
		*canonp = result->h_name;
	return module_finish(outcome, saved_errno, errnop, h_errnop);
}

enum nss_status MODULE_HOOK(gethostbyname2_r)(const char *name, int af, struct hostent *result,
	char *buffer, size_t buflen, int *errnop, int *h_errnop)
{
	return MODULE_HOOK(gethostbyname3_r)(
		name, af, result, buffer, buflen, errnop, h_errnop, NULL, NULL);
}

enum nss_status MODULE_HOOK(gethostbyname_r)(const char *name, struct hostent *result, char *buffer,
	size_t buflen, int *errnop, int *h_errnop)
{
	return MODULE_HOOK(gethostbyname3_r)(
		name, AF_INET, result, buffer, buflen, errnop, h_errnop, NULL, NULL);
}

/* --- Addresses ------------------------------------------------------------------------------ */

/* The names of an address, as they come: the first is the host's, the others are aliases. */
struct module_names {
	struct reply_room whole;
	struct reply_room room;
	char *names[1 + MODULE_ALIASES_MAX];
	size_t count;
};

static void module_restart_names(void *ctx)
{
	struct module_names *names = ctx;

	names->room = names->whole;
	names->count = 0;
}

static bool module_add_name(void *ctx, struct bytes name, struct bytes zone)
{
	struct module_names *names = ctx;
	size_t len = name.len + (zone.len ? 1 + zone.len : 0);
	char *text;

	/* A name with a NUL cannot be told. */
	if (names->count == 1 + MODULE_ALIASES_MAX || memchr(name.ptr, '\0', name.len))
		return true;
	text = reply_take(&names->room, len + 1, 1);
	if (!text)
		return false;
	memcpy(text, name.ptr, name.len);
	if (zone.len) {
		text[name.len] = '.';
		memcpy(text + name.len + 1, zone.ptr, zone.len);
	}
	text[len] = '\0';
	/* The same name on two networks is one. */
	for (size_t i = 0; i < names->count; i++) {
		if (bytes_equal_fold(bytes_of_text(names->names[i]), bytes_of_text(text)))
			return true;
	}
	names->names[names->count++] = text;
	return true;
}

/* The list of aliases in the caller's buffer. NULL if it is too small. */
static char **module_aliases(struct module_names *names)
{
	size_t count = names->count - 1;
	char **aliases = reply_take(&names->room, (count + 1) * sizeof(*aliases), _Alignof(char *));

	if (!aliases)
		return NULL;
	memcpy(aliases, names->names + 1, count * sizeof(*aliases));
	aliases[count] = NULL;
	return aliases;
}

static enum nss_outcome module_by_address(const struct address *address, struct hostent *result,
	char *buffer, size_t buflen, int32_t *out_ttl_s)
{
	int af = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
	struct module_names names = {.whole = {buffer, buflen}};
	struct lookup_sink sink = {
		.restart = module_restart_names, .name = module_add_name, .ctx = &names};
	enum nss_outcome outcome = lookup_by_address(&MODULE_ROW, address, &sink, out_ttl_s);
	struct reply_host host;
	char **aliases;

	if (outcome != NSS_OUTCOME_FOUND)
		return outcome;
	if (names.count == 0)
		return NSS_OUTCOME_ABSENT;
	aliases = module_aliases(&names);
	reply_host_start(&host, result, af, names.room.next, names.room.left);
	if (!aliases || !reply_host_add(&host, address) ||
		!reply_host_finish(&host, names.names[0], aliases))
		return NSS_OUTCOME_BUFFER_TOO_SMALL;
	return NSS_OUTCOME_FOUND;
}

/* False if it is no address of a family that we know. One of IPv4 in the dress of IPv6 is one of
 * IPv4, as it is to glibc's own module `dns`. */
static bool module_address(const void *octets, socklen_t len, int af, struct address *out_address)
{
	/* RFC 4291 section 2.5.5.2: how a server for both families sees its peers of IPv4. */
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t family = af == AF_INET ? ADDRESS_IPV4 : ADDRESS_IPV6;
	const uint8_t *from = octets;

	if ((af != AF_INET && af != AF_INET6) || len != address_octets(family))
		return false;
	if (family == ADDRESS_IPV6 && memcmp(from, mapped, sizeof(mapped)) == 0) {
		family = ADDRESS_IPV4;
		from += sizeof(mapped);
	}
	*out_address = (struct address){.family = family};
	memcpy(out_address->octets, from, address_octets(family));
	return true;
}

enum nss_status MODULE_HOOK(gethostbyaddr2_r)(const void *addr, socklen_t len, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop,
	int32_t *ttlp)
{
	enum nss_outcome outcome = NSS_OUTCOME_ABSENT;
	int saved_errno = errno;
	struct address address;
	int32_t ttl_s = 0;

	if (module_address(addr, len, af, &address))
		outcome = module_by_address(&address, result, buffer, buflen, &ttl_s);
	if (outcome == NSS_OUTCOME_FOUND && ttlp)
		*ttlp = ttl_s;
	return module_finish(outcome, saved_errno, errnop, h_errnop);
}

enum nss_status MODULE_HOOK(gethostbyaddr_r)(const void *addr, socklen_t len, int af,
	struct hostent *result, char *buffer, size_t buflen, int *errnop, int *h_errnop)
{
	return MODULE_HOOK(gethostbyaddr2_r)(
		addr, len, af, result, buffer, buflen, errnop, h_errnop, NULL);
}
