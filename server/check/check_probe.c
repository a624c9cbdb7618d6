#include "server/check/check_probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <link.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parser/format.h"
#include "server/check/check_child.h"

/* glibc waits 5 s for a name server, so this sees the first one of them fail. */
#define PROBE_NAME_MS   6000
#define PROBE_MODULE_MS 3000
#define PROBE_ACCESS_MS 3000
/* What a module may want for the addresses of a name. */
#define PROBE_BUFFER_OCTETS 65536

void check_addresses_add(struct check_addresses *addresses, const struct address *address)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (address_compare(&addresses->list[i], address) == 0)
			return;
	}
	if (addresses->count < CHECK_ADDRESSES_MAX)
		addresses->list[addresses->count++] = *address;
}

bool check_addresses_same(const struct check_addresses *a, const struct check_addresses *b)
{
	size_t common = 0;

	for (size_t i = 0; i < a->count; i++) {
		for (size_t k = 0; k < b->count; k++)
			common += address_compare(&a->list[i], &b->list[k]) == 0;
	}
	return a->count == b->count && common == a->count;
}

void check_addresses_format(
	const struct check_addresses *addresses, char out_text[CHECK_ADDRESSES_TEXT_SIZE])
{
	size_t len = 0;

	strcpy(out_text, "nothing");
	for (size_t i = 0; i < addresses->count; i++) {
		char text[ADDRESS_TEXT_SIZE];

		address_format(&addresses->list[i], text);
		len += (size_t)snprintf(out_text + len, CHECK_ADDRESSES_TEXT_SIZE - len, "%s%s",
			i ? ", " : "", text);
	}
}

/* Modules ----------------------------------------------------------------------------------- */

/* NSS's hook for the addresses of one family (<nss.h>). */
typedef enum nss_status (*probe_hook)(const char *name, int af, struct hostent *result,
	char *buffer, size_t buflen, int *errnop, int *h_errnop);

struct probe_module_task {
	const char *service;
	const char *name;
	uint8_t family;
};

static void *probe_symbol(void *library, const char *service, const char *hook)
{
	char symbol[CHECK_NSS_NAME_SIZE + 40];

	snprintf(symbol, sizeof(symbol), "_nss_%s_%s", service, hook);
	return dlsym(library, symbol);
}

static enum check_nss_status probe_status_of(enum nss_status status)
{
	switch (status) {
	case NSS_STATUS_SUCCESS:
		return CHECK_NSS_SUCCESS;
	case NSS_STATUS_NOTFOUND:
		return CHECK_NSS_NOTFOUND;
	case NSS_STATUS_TRYAGAIN:
		return CHECK_NSS_TRYAGAIN;
	case NSS_STATUS_UNAVAIL:
	case NSS_STATUS_RETURN:
		break;
	}
	return CHECK_NSS_UNAVAIL;
}

static enum check_nss_status probe_ask(void *library, const struct probe_module_task *task)
{
	void *found = probe_symbol(library, task->service, "gethostbyname2_r");
	char *buffer = malloc(PROBE_BUFFER_OCTETS);
	enum nss_status status = NSS_STATUS_UNAVAIL;
	struct hostent result;
	probe_hook hook;
	int error = 0;
	int h_error = 0;

	/* As POSIX has it for dlsym(): C knows no such cast. */
	memcpy(&hook, &found, sizeof(hook));
	if (found && buffer)
		status = hook(task->name, task->family == ADDRESS_IPV6 ? AF_INET6 : AF_INET,
			&result, buffer, PROBE_BUFFER_OCTETS, &error, &h_error);
	free(buffer);
	return probe_status_of(status);
}

static void probe_module_work(const void *given, void *out_result)
{
	const struct probe_module_task *task = given;
	struct check_module *module = out_result;
	char file[CHECK_NSS_NAME_SIZE + 16];
	struct link_map *map = NULL;
	const char *error;
	void *library;

	module->status = CHECK_NSS_UNAVAIL;
	snprintf(file, sizeof(file), "libnss_%s.so.2", task->service);
	library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		error = dlerror();
		snprintf(module->error, sizeof(module->error), "%s", error ? error : file);
		return;
	}
	module->is_loaded = true;
	if (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map)
		snprintf(module->path, sizeof(module->path), "%s", map->l_name);
	module->is_ours = probe_symbol(library, task->service, "gethostbyaddr2_r") != NULL;
	if (task->name)
		module->status = probe_ask(library, task);
}

void check_probe_module(
	const char *service, const char *name, uint8_t family, struct check_module *out_module)
{
	struct probe_module_task task = {service, name, family};

	if (check_child_run(
		    probe_module_work, &task, PROBE_MODULE_MS, out_module, sizeof(*out_module)))
		return;
	/* It crashed or hung with the name: is it there at all? */
	task.name = NULL;
	memset(out_module, 0, sizeof(*out_module));
	out_module->status = CHECK_NSS_UNAVAIL;
	snprintf(out_module->error, sizeof(out_module->error),
		"it crashes or hangs when it is loaded");
	check_child_run(probe_module_work, &task, PROBE_MODULE_MS, out_module, sizeof(*out_module));
}

/* Names ------------------------------------------------------------------------------------- */

static void probe_add_sockaddr(struct check_addresses *addresses, const struct sockaddr *sockaddr)
{
	struct address address = {0};

	if (sockaddr->sa_family == AF_INET) {
		address.family = ADDRESS_IPV4;
		memcpy(address.octets, &((const struct sockaddr_in *)sockaddr)->sin_addr, 4);
	} else if (sockaddr->sa_family == AF_INET6) {
		address.family = ADDRESS_IPV6;
		memcpy(address.octets, &((const struct sockaddr_in6 *)sockaddr)->sin6_addr, 16);
	} else {
		return;
	}
	check_addresses_add(addresses, &address);
}

static void probe_name_work(const void *name, void *out_result)
{
	struct check_lookup *lookup = out_result;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;

	lookup->error = getaddrinfo(name, NULL, &hints, &list);
	lookup->system_error = lookup->error == EAI_SYSTEM ? errno : 0;
	lookup->is_answered = true;
	if (lookup->error != 0)
		return;
	for (struct addrinfo *info = list; info; info = info->ai_next)
		probe_add_sockaddr(&lookup->addresses, info->ai_addr);
	freeaddrinfo(list);
}

void check_probe_name(const char *name, struct check_lookup *out_lookup)
{
	struct check_lookup lookup = {0};

	check_child_run(probe_name_work, name, PROBE_NAME_MS, &lookup, sizeof(lookup));
	*out_lookup = lookup;
}

/* Users ------------------------------------------------------------------------------------- */

struct probe_user {
	bool is_found;
	uid_t uid;
};

static void probe_user_work(const void *name, void *out_result)
{
	struct probe_user *found = out_result;
	const struct passwd *user = getpwnam(name);

	found->is_found = user != NULL;
	found->uid = user ? user->pw_uid : 0;
}

enum check_user check_probe_user(const char *name, uid_t *out_uid)
{
	struct probe_user found = {0};

	if (!check_child_run(probe_user_work, name, PROBE_ACCESS_MS, &found, sizeof(found)))
		return CHECK_USER_UNKNOWN;
	if (!found.is_found)
		return CHECK_USER_ABSENT;
	*out_uid = found.uid;
	return CHECK_USER_FOUND;
}

/* Access ------------------------------------------------------------------------------------ */

struct probe_access_task {
	uid_t uid;
	const char *directory;
};

static void probe_refuse(struct check_access *access, const char *path)
{
	access->system_error = errno;
	snprintf(access->path, sizeof(access->path), "%s", path);
}

/* Of a path that cannot be reached, what is in the way: the first directory that the user may not
 * pass, or else the path itself. */
static void probe_refuse_way(struct check_access *access, const char *path)
{
	int error = errno;
	char above[sizeof(access->path)];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		if (eaccess(above, X_OK) < 0 && errno == EACCES) {
			access->is_above = true;
			path = above;
			break;
		}
	}
	errno = error;
	probe_refuse(access, path);
}

/* The groups first: afterwards they cannot be had any more. */
static bool probe_become(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	if (user && initgroups(user->pw_name, user->pw_gid) < 0)
		return false;
	if (!user && setgroups(0, NULL) < 0)
		return false;
	return setgid(user ? user->pw_gid : (gid_t)uid) == 0 && setuid(uid) == 0;
}

static void probe_access_work(const void *given, void *out_result)
{
	const struct probe_access_task *task = given;
	struct check_access *access = out_result;
	struct dirent *entry;
	DIR *directory;

	if (!probe_become(task->uid))
		_exit(1);
	directory = opendir(task->directory);
	if (!directory) {
		probe_refuse_way(access, task->directory);
		return;
	}
	while (access->system_error == 0 && (entry = readdir(directory))) {
		char path[sizeof(access->path)];

		if (!format_find(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", task->directory, entry->d_name);
		if (eaccess(path, R_OK) < 0 && errno != ENOENT)
			probe_refuse(access, path);
	}
	closedir(directory);
}

bool check_probe_access(uid_t uid, const char *directory, struct check_access *out_access)
{
	struct probe_access_task task = {uid, directory};

	return geteuid() == 0 && check_child_run(probe_access_work, &task, PROBE_ACCESS_MS,
					 out_access, sizeof(*out_access));
}
