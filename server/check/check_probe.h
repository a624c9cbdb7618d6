/** @file What a program on this host gets if it asks glibc: asked in child processes, with a
 *  deadline. */
#ifndef SERVER_CHECK_CHECK_PROBE_H
#define SERVER_CHECK_CHECK_PROBE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "parser/address.h"
#include "server/check/check_nss_line.h"

/** More than a name of one guest has. */
#define CHECK_ADDRESSES_MAX 16u

struct check_addresses {
	struct address list[CHECK_ADDRESSES_MAX];
	size_t count;
};

/** Adds an address, unless it is there or there is no room. */
void check_addresses_add(struct check_addresses *addresses, const struct address *address);

/** True if both hold the same addresses, in any order. */
bool check_addresses_same(const struct check_addresses *a, const struct check_addresses *b);

/** "192.168.122.10, 192.168.122.11", or "nothing" */
#define CHECK_ADDRESSES_TEXT_SIZE (CHECK_ADDRESSES_MAX * ADDRESS_TEXT_SIZE + 32)
void check_addresses_format(
	const struct check_addresses *addresses, char out_text[CHECK_ADDRESSES_TEXT_SIZE]);

/** A module as the loader finds it. */
struct check_module {
	bool is_loaded;
	bool is_ours;     /**< It has a reverse lookup, which libvirt's own do not. */
	char path[1024];  /**< Where it was found. */
	char error[1024]; /**< Why it was not loaded. */
	/** What it says of the name; CHECK_NSS_UNAVAIL if it has no hook or did not answer. */
	enum check_nss_status status;
};

/** Loads `libnss_SERVICE.so.2` as glibc would and asks it for `name`.
 *  @param name NULL: not asked; `status` is CHECK_NSS_UNAVAIL.
 *  @param family of the addresses: ADDRESS_IPV4 or ADDRESS_IPV6. */
void check_probe_module(
	const char *service, const char *name, uint8_t family, struct check_module *out_module);

/** What getaddrinfo() says. */
struct check_lookup {
	bool is_answered; /**< False: it took too long. */
	int error;        /**< EAI_NONAME, … or 0. */
	int system_error; /**< errno, of EAI_SYSTEM. */
	struct check_addresses addresses;
};

/** Asks as any program does. */
void check_probe_name(const char *name, struct check_lookup *out_lookup);

enum check_user {
	CHECK_USER_UNKNOWN, /**< It could not be found out. */
	CHECK_USER_ABSENT,
	CHECK_USER_FOUND,
};

/** Looks up a user: glibc crashes on some files nsswitch.conf, so not in this process.
 *  @param out_uid set with CHECK_USER_FOUND. */
enum check_user check_probe_user(const char *name, uid_t *out_uid);

/** What keeps a user from the lease files of a directory. */
struct check_access {
	int system_error;        /**< 0: nothing. */
	char path[PATH_MAX / 2]; /**< What it may not read… */
	bool is_above;           /**< …or, a directory on the way there, not pass. */
};

/** Looks at the directory, and the files in it that are ours to read, as `user`. Only root can.
 *  @return false if that could not be found out. */
bool check_probe_access(uid_t uid, const char *directory, struct check_access *out_access);

#endif
