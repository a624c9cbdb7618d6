#include "server/net/port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Naming the holder of a port is a courtesy: it must not take long on a host with a million
 * connections or descriptors. */
#define PORT_HOLDER_LINES_MAX       65536
#define PORT_HOLDER_DESCRIPTORS_MAX 65536

/* The kernel prints addresses as 32-bit words in the host's byte order. */
static void port_holder_proc_text(const uint8_t *octets, size_t len, char out_text[33])
{
	for (size_t i = 0; i < len / 4; i++) {
		uint32_t word;

		memcpy(&word, octets + i * 4, 4);
		snprintf(out_text + i * 8, 9, "%08" PRIX32, word);
	}
}

static bool port_holder_is_zero(const char *proc_text)
{
	return strspn(proc_text, "0") == strlen(proc_text);
}

/* Inode of a socket in a table of /proc/net that is in the way of `octets`; 0 if none. */
static unsigned long port_holder_inode(
	const char *table, const uint8_t *octets, size_t len, unsigned port)
{
	FILE *file = fopen(table, "re");
	char wanted[33] = "";
	char line[512];
	unsigned long found = 0;

	if (!file)
		return 0;
	port_holder_proc_text(octets, len, wanted);
	for (int i = 0; i < PORT_HOLDER_LINES_MAX && fgets(line, sizeof(line), file); i++) {
		char local[33];
		unsigned local_port;
		unsigned long inode;

		/* sl, local, remote, state, queues, timer, retransmissions, uid, timeout, inode */
		if (sscanf(line,
			    " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %*x %*x:%*x %*x:%*x %*x %*d %*d "
			    "%lu",
			    local, &local_port, &inode) != 3)
			continue;
		if (local_port == port && inode != 0 &&
			(strcmp(local, wanted) == 0 || port_holder_is_zero(local) ||
				port_holder_is_zero(wanted))) {
			found = inode;
			break;
		}
	}
	fclose(file);
	return found;
}

/* True if the process has the socket open. */
static bool port_holder_process_holds(int proc, const char *pid, const char *link, int *budget)
{
	char path[300];
	DIR *directory = NULL;
	struct dirent *entry;
	bool found = false;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return false;
	}
	while (!found && (*budget)-- > 0 && (entry = readdir(directory))) {
		char target[64];
		ssize_t len = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

		target[len < 0 ? 0 : len] = '\0';
		found = strcmp(target, link) == 0;
	}
	closedir(directory);
	return found;
}

static void port_holder_process_name(int proc, const char *pid, char *out_name, size_t size)
{
	char path[300];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, out_name, size - 1);
	out_name[len < 0 ? 0 : len] = '\0';
	out_name[strcspn(out_name, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

void port_holder_format(
	const struct conf_endpoint *endpoint, bool is_tcp, char out_text[PORT_HOLDER_TEXT_SIZE])
{
	static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	int budget = PORT_HOLDER_DESCRIPTORS_MAX;
	unsigned long inode = 0;
	uint8_t octets[16];
	char link[64];
	struct dirent *entry;
	DIR *proc;

	out_text[0] = '\0';
	memcpy(octets, endpoint->octets, sizeof(octets));
	if (endpoint->family == 4) {
		inode = port_holder_inode(
			is_tcp ? "/proc/net/tcp" : "/proc/net/udp", octets, 4, endpoint->port);
		/* A dual-stack socket on [::] has the IPv4 port too. */
		memcpy(octets, mapped_prefix, sizeof(mapped_prefix));
		memcpy(octets + sizeof(mapped_prefix), endpoint->octets, 4);
	}
	if (inode == 0)
		inode = port_holder_inode(
			is_tcp ? "/proc/net/tcp6" : "/proc/net/udp6", octets, 16, endpoint->port);
	proc = inode == 0 ? NULL : opendir("/proc");
	if (!proc)
		return;
	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	while (budget > 0 && (entry = readdir(proc))) {
		char name[32];

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
			!port_holder_process_holds(dirfd(proc), entry->d_name, link, &budget))
			continue;
		port_holder_process_name(dirfd(proc), entry->d_name, name, sizeof(name));
		snprintf(out_text, PORT_HOLDER_TEXT_SIZE, "'%s' (process %.16s)", name,
			entry->d_name);
		break;
	}
	closedir(proc);
}
