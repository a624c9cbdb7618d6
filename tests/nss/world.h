/** @file The world that the modules under test live in: a configuration, a lease directory and an
 *  index below the build directory, and the hooks of the three modules, compiled for these paths.
 *  One process at a time. */
#ifndef TESTS_NSS_WORLD_H
#define TESTS_NSS_WORLD_H

#include <netdb.h>
#include <nss.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What glibc finds in a module. */
struct world_module {
	const char *name;
	enum nss_status (*by_name)(const char *, struct hostent *, char *, size_t, int *, int *);
	enum nss_status (*by_name2)(
		const char *, int, struct hostent *, char *, size_t, int *, int *);
	enum nss_status (*by_name3)(const char *, int, struct hostent *, char *, size_t, int *,
		int *, int32_t *, char **);
	enum nss_status (*by_name4)(
		const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *);
	enum nss_status (*by_address)(
		const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *);
	enum nss_status (*by_address2)(const void *, socklen_t, int, struct hostent *, char *,
		size_t, int *, int *, int32_t *);
};

enum world_module_number { WORLD_LIBVIRT, WORLD_LIBVIRT_GUEST, WORLD_LEASEDNS, WORLD_MODULES };

extern const struct world_module world_modules[WORLD_MODULES];

/** "world/NAME", valid until the fourth call after. */
const char *world_path(const char *name);

/** An empty world: directories `etc`, `run`, `leases`, a configuration that knows them, no index.
 *  @param conf_more appended to the configuration; may be NULL. */
void world_reset(const char *conf_more);

/** The usual files: virbr0.status, virbr0.macs, default.addnhosts; see world.c. */
void world_fill(void);

/** Writes leases of one hostname, `10.1.(i / 256).(i % 256)` for i < count, to `BRIDGE.status`;
 *  `six` puts them at fd00:1::(i + 1) instead. */
void world_write_leases(const char *bridge, const char *hostname, size_t count, bool six);

/** Sets the times of all sources back, so that what is built next is not racy. */
void world_settle(void);

/** world_settle(), then `leasedns index` as it is installed. Fails the process unless it works. */
void world_index(void);

/** Removes the index. */
void world_drop_index(void);

/** Asks by_name4 (`family` 0) or by_name2 and writes what came as text: "STATUS/ERRNO/H_ERRNO",
 *  e.g. "NOTFOUND/ENOENT/NO_DATA", or "found A B C", addresses in ascending order. In one of four
 *  static buffers. */
const char *world_ask(const struct world_module *module, const char *name, int family);

/** Likewise by_address; names as they come. */
const char *world_ask_address(const struct world_module *module, const char *address);

/** What a failed call says. */
const char *world_triple(enum nss_status status, int error, int h_error);

#endif
