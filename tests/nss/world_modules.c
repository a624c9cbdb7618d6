#include "tests/nss/world.h"

#define DECLARE(module)                                                                           \
	enum nss_status _nss_##module##_gethostbyname_r(                                          \
		const char *, struct hostent *, char *, size_t, int *, int *);                    \
	enum nss_status _nss_##module##_gethostbyname2_r(                                         \
		const char *, int, struct hostent *, char *, size_t, int *, int *);               \
	enum nss_status _nss_##module##_gethostbyname3_r(const char *, int, struct hostent *,     \
		char *, size_t, int *, int *, int32_t *, char **);                                \
	enum nss_status _nss_##module##_gethostbyname4_r(                                         \
		const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *); \
	enum nss_status _nss_##module##_gethostbyaddr_r(                                          \
		const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *);    \
	enum nss_status _nss_##module##_gethostbyaddr2_r(const void *, socklen_t, int,            \
		struct hostent *, char *, size_t, int *, int *, int32_t *)

DECLARE(libvirt);
DECLARE(libvirt_guest);
DECLARE(leasedns);

#define HOOKS(module)                                                        \
	{                                                                    \
		.name = #module, .by_name = _nss_##module##_gethostbyname_r, \
		.by_name2 = _nss_##module##_gethostbyname2_r,                \
		.by_name3 = _nss_##module##_gethostbyname3_r,                \
		.by_name4 = _nss_##module##_gethostbyname4_r,                \
		.by_address = _nss_##module##_gethostbyaddr_r,               \
		.by_address2 = _nss_##module##_gethostbyaddr2_r,             \
	}

const struct world_module world_modules[WORLD_MODULES] = {
	[WORLD_LIBVIRT] = HOOKS(libvirt),
	[WORLD_LIBVIRT_GUEST] = HOOKS(libvirt_guest),
	[WORLD_LEASEDNS] = HOOKS(leasedns),
};
