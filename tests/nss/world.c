#include "tests/nss/world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch.h"

#define ASK_BUFFER_OCTETS (1024 * 1024)
#define ASK_TEXT_OCTETS   65536

const char *world_path(const char *name)
{
	return scratch_path(NSS_WORLD, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_reset(const char *conf_more)
{
	static const char *const directories[] = {"etc", "run", "leases"};
	char text[4096];

	umask(022);
	nftw(NSS_WORLD, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(NSS_WORLD, 0755) < 0)
		err(1, "%s", NSS_WORLD);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		if (mkdir(world_path(directories[i]), 0755) < 0)
			err(1, "%s", directories[i]);
	}
	snprintf(text, sizeof(text),
		"[leases]\nlibvirt = %s/leases\n[index]\nfile = %s/run/index.cdb\n%s", NSS_WORLD,
		NSS_WORLD, conf_more ? conf_more : "");
	scratch_publish(NSS_WORLD, "etc/leasedns.conf", text);
}

void world_fill(void)
{
	/* web: both families; v4only, v6only; gone: expired; box: a guest with a lease that has no
	 * hostname; idle: a guest without lease; printer: static. */
	scratch_publish(NSS_WORLD, "leases/virbr0.status",
		"[{\"ip-address\":\"192.168.122.10\",\"mac-address\":\"52:54:00:00:00:10\","
		"\"hostname\":\"web\",\"expiry-time\":0},"
		"{\"ip-address\":\"fd00::10\",\"mac-address\":\"52:54:00:00:00:10\","
		"\"hostname\":\"web\",\"expiry-time\":0},"
		"{\"ip-address\":\"192.168.122.11\",\"mac-address\":\"52:54:00:00:00:11\","
		"\"hostname\":\"v4only\",\"expiry-time\":0},"
		"{\"ip-address\":\"fd00::12\",\"mac-address\":\"52:54:00:00:00:12\","
		"\"hostname\":\"v6only\",\"expiry-time\":0},"
		"{\"ip-address\":\"192.168.122.13\",\"mac-address\":\"52:54:00:00:00:13\","
		"\"hostname\":\"gone\",\"expiry-time\":1000000000},"
		"{\"ip-address\":\"192.168.122.14\",\"mac-address\":\"52:54:00:00:00:14\","
		"\"expiry-time\":0},"
		"{\"ip-address\":\"192.168.122.16\",\"mac-address\":\"52:54:00:00:00:16\","
		"\"hostname\":\"*.evil name\",\"expiry-time\":0}]");
	scratch_publish(NSS_WORLD, "leases/virbr0.macs",
		"[{\"domain\":\"box\",\"macs\":[\"52:54:00:00:00:14\"]},"
		"{\"domain\":\"idle\",\"macs\":[\"52:54:00:00:00:15\"]}]");
	scratch_publish(NSS_WORLD, "leases/default.addnhosts", "192.168.122.20\tprinter\n");
}

void world_write_leases(const char *bridge, const char *hostname, size_t count, bool six)
{
	char name[64];
	char aside[64];
	FILE *stream;

	snprintf(name, sizeof(name), "leases/%s.status", bridge);
	snprintf(aside, sizeof(aside), "leases/%s.new", bridge);
	stream = fopen(world_path(aside), "w");
	if (!stream)
		err(1, "%s", aside);
	fputs("[", stream);
	for (size_t i = 0; i < count; i++) {
		fprintf(stream, "%s{\"ip-address\":\"", i ? "," : "");
		if (six)
			fprintf(stream, "fd00:1::%zx", i + 1);
		else
			fprintf(stream, "10.1.%zu.%zu", i / 256, i % 256);
		fprintf(stream,
			"\",\"mac-address\":\"52:54:01:%02zx:%02zx:%02zx\",\"hostname\":\"%s\","
			"\"expiry-time\":0}",
			i >> 16 & 0xff, i >> 8 & 0xff, i & 0xff, hostname);
	}
	fputs("]", stream);
	if (fclose(stream) != 0 || rename(world_path(aside), world_path(name)) < 0)
		err(1, "%s", name);
}

static void set_back(const char *path)
{
	static const struct timespec long_ago[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	if (utimensat(AT_FDCWD, path, long_ago, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		err(1, "%s", path);
}

void world_settle(void)
{
	DIR *directory = opendir(world_path("leases"));
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			set_back(scratch_path(NSS_WORLD "/leases", entry->d_name));
	}
	if (directory)
		closedir(directory);
	set_back(world_path("leases"));
	set_back(world_path("etc/leasedns.conf"));
}

void world_index(void)
{
	int status;
	pid_t child;

	world_settle();
	child = fork();
	if (child == 0) {
		int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

		/* It tells of what is wrong with the leases, which is as it should be. */
		if (nowhere < 0 || dup2(nowhere, 1) < 0 || dup2(nowhere, 2) < 0)
			_exit(127);
		execl(NSS_WORLD_LEASEDNS, "leasedns", "index", "-c",
			world_path("etc/leasedns.conf"), (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		errx(1, "leasedns index failed");
}

void world_drop_index(void)
{
	if (unlink(world_path("run/index.cdb")) < 0 && errno != ENOENT)
		err(1, "index.cdb");
}

/* --- Asking -------------------------------------------------------------------------------- */

static char *next_text(void)
{
	static char texts[4][ASK_TEXT_OCTETS];
	static unsigned next;
	char *text = texts[next++ % 4];

	text[0] = '\0';
	return text;
}

static __attribute__((format(printf, 2, 3))) void add_text(char *text, const char *format, ...)
{
	size_t len = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + len, ASK_TEXT_OCTETS - len, format, arguments);
	va_end(arguments);
}

const char *world_triple(enum nss_status status, int error, int h_error)
{
	static const char *const statuses[] = {"TRYAGAIN", "UNAVAIL", "NOTFOUND", "SUCCESS"};
	const char *h_name = h_error == NETDB_INTERNAL   ? "NETDB_INTERNAL"
			     : h_error == NETDB_SUCCESS  ? "NETDB_SUCCESS"
			     : h_error == HOST_NOT_FOUND ? "HOST_NOT_FOUND"
			     : h_error == TRY_AGAIN      ? "TRY_AGAIN"
			     : h_error == NO_RECOVERY    ? "NO_RECOVERY"
			     : h_error == NO_DATA        ? "NO_DATA"
							 : "?";
	const char *name = error ? strerrorname_np(error) : "0";
	char *text = next_text();

	add_text(text, "%s/%s/%s",
		status >= NSS_STATUS_TRYAGAIN && status <= NSS_STATUS_SUCCESS
			? statuses[status - NSS_STATUS_TRYAGAIN]
			: "?",
		name ? name : "?", h_name);
	return text;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Addresses come in the order of their leases' ends, which is of no interest here. */
static const char *addresses_text(char (*addresses)[INET6_ADDRSTRLEN], size_t count)
{
	char *text = next_text();

	qsort(addresses, count, sizeof(*addresses), compare_texts);
	add_text(text, "found");
	for (size_t i = 0; i < count; i++)
		add_text(text, " %s", addresses[i]);
	return text;
}

#define ADDRESSES_MAX 2048

const char *world_ask(const struct world_module *module, const char *name, int family)
{
	static char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	static char buffer[ASK_BUFFER_OCTETS];
	struct gaih_addrtuple *tuples = NULL;
	struct hostent host;
	enum nss_status status;
	size_t count = 0;
	int h_error = -99;
	int32_t ttl_s;

	errno = 77;
	status = family ? module->by_name2(
				  name, family, &host, buffer, sizeof(buffer), &errno, &h_error)
			: module->by_name4(
				  name, &tuples, buffer, sizeof(buffer), &errno, &h_error, &ttl_s);
	if (status != NSS_STATUS_SUCCESS || errno != 0 || h_error != NETDB_SUCCESS)
		return world_triple(status, errno, h_error);
	if (family) {
		for (; host.h_addr_list[count] && count < ADDRESSES_MAX; count++)
			inet_ntop(host.h_addrtype, host.h_addr_list[count], addresses[count],
				INET6_ADDRSTRLEN);
	} else {
		for (; tuples && count < ADDRESSES_MAX; tuples = tuples->next)
			inet_ntop(
				tuples->family, tuples->addr, addresses[count++], INET6_ADDRSTRLEN);
	}
	return addresses_text(addresses, count);
}

const char *world_ask_address(const struct world_module *module, const char *address)
{
	static char buffer[ASK_BUFFER_OCTETS];
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	uint8_t octets[16];
	struct hostent host;
	enum nss_status status;
	int h_error = -99;
	char *text;

	if (inet_pton(family, address, octets) != 1)
		errx(1, "%s", address);
	errno = 77;
	status = module->by_address(octets, family == AF_INET ? 4 : 16, family, &host, buffer,
		sizeof(buffer), &errno, &h_error);
	if (status != NSS_STATUS_SUCCESS || errno != 0 || h_error != NETDB_SUCCESS)
		return world_triple(status, errno, h_error);
	text = next_text();
	add_text(text, "found %s", host.h_name);
	for (char **alias = host.h_aliases; *alias; alias++)
		add_text(text, " %s", *alias);
	return text;
}
