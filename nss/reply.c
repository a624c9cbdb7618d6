#include "nss/reply.h"

#include <errno.h>
#include <string.h>

enum nss_status reply_finish(enum nss_outcome outcome, const struct nss_errors *errors)
{
	switch (outcome) {
	case NSS_OUTCOME_FOUND:
		*errors->h_errnop = NETDB_SUCCESS;
		*errors->errnop = 0;
		return NSS_STATUS_SUCCESS;
	case NSS_OUTCOME_ABSENT:
		*errors->h_errnop = HOST_NOT_FOUND;
		*errors->errnop = ENOENT;
		return NSS_STATUS_NOTFOUND;
	case NSS_OUTCOME_NODATA:
		*errors->h_errnop = NO_DATA;
		*errors->errnop = ENOENT;
		return NSS_STATUS_NOTFOUND;
	case NSS_OUTCOME_BUFFER_TOO_SMALL:
		/* glibc comes back with a larger buffer for exactly this triple. */
		*errors->h_errnop = NETDB_INTERNAL;
		*errors->errnop = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	case NSS_OUTCOME_UNAVAILABLE:
		*errors->h_errnop = NO_RECOVERY;
		*errors->errnop = ENOENT;
		return NSS_STATUS_UNAVAIL;
	case NSS_OUTCOME_TRANSIENT:
		break;
	}
	*errors->h_errnop = TRY_AGAIN;
	*errors->errnop = EAGAIN;
	return NSS_STATUS_TRYAGAIN;
}

void *reply_take(struct reply_room *room, size_t len, size_t align)
{
	size_t pad = -(uintptr_t)room->next & (align - 1);
	char *taken;

	if (pad > room->left || len > room->left - pad)
		return NULL;
	taken = room->next + pad;
	room->next = taken + len;
	room->left -= pad + len;
	return taken;
}

char *reply_take_text(struct reply_room *room, struct bytes text)
{
	char *copy;

	if (text.len && memchr(text.ptr, '\0', text.len))
		return NULL;
	copy = reply_take(room, text.len + 1, 1);
	if (!copy)
		return NULL;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return copy;
}

static size_t reply_address_octets(const struct reply_host *host)
{
	return host->family == AF_INET ? ADDRESS_IPV4_OCTETS : ADDRESS_IPV6_OCTETS;
}

void reply_host_start(
	struct reply_host *host, struct hostent *result, int family, char *buffer, size_t buflen)
{
	*host = (struct reply_host){.result = result, .room = {buffer, buflen}, .family = family};
}

bool reply_host_add(struct reply_host *host, const struct address *address)
{
	size_t octets = reply_address_octets(host);
	/* Programs cast h_addr_list[i] to struct in_addr or in6_addr: four-octet alignment. Those
	 * that follow are then aligned as they are. */
	char *place = reply_take(&host->room, octets, host->count ? 1 : sizeof(uint32_t));

	if (!place)
		return false;
	memcpy(place, address->octets, octets);
	if (host->count++ == 0)
		host->first = place;
	return true;
}

bool reply_host_finish(struct reply_host *host, char *name, char **aliases)
{
	size_t octets = reply_address_octets(host);
	char **list = reply_take(&host->room, (host->count + 1) * sizeof(*list), sizeof(*list));
	char **none = aliases ? aliases : reply_take(&host->room, sizeof(*none), sizeof(*none));

	if (!list || !none)
		return false;
	for (size_t i = 0; i < host->count; i++)
		list[i] = host->first + i * octets;
	list[host->count] = NULL;
	if (!aliases)
		*none = NULL;
	*host->result = (struct hostent){
		.h_name = name,
		.h_aliases = none,
		.h_addrtype = host->family,
		.h_length = (int)octets,
		.h_addr_list = list,
	};
	return true;
}
