#include "server/names/refusal.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "parser/address.h"
#include "parser/hostname.h"

bool refusal_is_own_name(struct bytes name)
{
	char host[HOST_NAME_MAX + 1] = "";
	struct bytes own;

	gethostname(host, sizeof(host) - 1);
	own = hostname_first_label(bytes_of_text(host));
	return own.len > 0 && bytes_equal_fold(hostname_first_label(name), own);
}

const char *refusal_reason(struct bytes name)
{
	static const char *const trusted[] = {"localhost", "wpad", "isatap"};
	struct bytes label = hostname_first_label(name);
	struct address address;

	/* A dot at the end only says that the name is complete. */
	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < sizeof(trusted) / sizeof(trusted[0]); i++) {
		if (bytes_equal_fold(label, bytes_of_text(trusted[i])))
			return "programs trust a host of that name";
	}
	if (refusal_is_own_name(name))
		return "it is the name of this host";
	if (address_parse(name, &address))
		return "it is an address";
	if (!hostname_is_plain(name))
		return "it has characters other than letters, digits, '-' and '_'";
	if (!hostname_is_dns_name(name))
		return "it is too long, or a part of it is";
	if (!hostname_is_publishable(name) || !hostname_is_publishable(label))
		return "it has only digits, or begins or ends with '-' or '_'";
	return "it is a name of the zone itself";
}
