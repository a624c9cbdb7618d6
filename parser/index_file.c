#include "index_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index.h"

/* Temporaries of one process id beside one index. Only writers that were killed leave any, and only
 * where every writer has the same id (a container) they add up. */
#define TEMPORARIES_MAX  1000u
#define TEMPORARY_SUFFIX ".new"

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The directory that holds `path`. False and errno if the path is too long. */
static bool directory_of(const char *path, char out_directory[PATH_MAX])
{
	size_t len = (size_t)(name_in(path) - path);

	if (len >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(out_directory, len ? path : ".", len ? len : 1);
	out_directory[len ? len : 1] = '\0';
	return true;
}

/* Opens the directory that holds `path`; -1 and errno if that fails. */
static int open_directory_of(const char *path)
{
	char directory[PATH_MAX];

	if (!directory_of(path, directory))
		return -1;
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void close_quietly(int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
}

/* Lets go of all that `file` holds but the descriptor of the file itself. */
static void forget(struct index_file *file)
{
	close_quietly(file->directory);
	free(file->path);
	free(file->temporary);
	*file = (struct index_file){.fd = -1, .directory = -1};
}

/* Finds a name that nobody has and creates the file. */
static enum parser_status create_temporary(struct index_file *file)
{
	const char *name = name_in(file->path);
	/* The name, two numbers of at most 20 digits, two dots, the suffix and a NUL. */
	size_t size = strlen(name) + 2 * 20 + 2 + sizeof(TEMPORARY_SUFFIX);

	file->temporary = malloc(size);
	if (!file->temporary)
		return PARSER_E_NO_MEMORY;
	for (unsigned n = 0; n < TEMPORARIES_MAX; n++) {
		snprintf(file->temporary, size, "%s.%ld.%u" TEMPORARY_SUFFIX, name, (long)getpid(),
			n);
		file->fd = openat(file->directory, file->temporary,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (file->fd >= 0)
			return PARSER_OK;
		if (errno != EEXIST)
			break;
	}
	return PARSER_E_IO;
}

enum parser_status index_file_create(const char *path, struct index_file *out_file)
{
	struct index_file file = {.fd = -1, .directory = -1};
	enum parser_status status = PARSER_E_NO_MEMORY;
	size_t size = strlen(path) + 1;

	file.path = malloc(size);
	if (!file.path)
		goto out;
	memcpy(file.path, path, size);
	status = PARSER_E_IO;
	/* Not O_PATH: this descriptor gets an fsync(). */
	file.directory = open_directory_of(path);
	if (file.directory < 0)
		goto out;
	status = create_temporary(&file);
	if (status != PARSER_OK)
		goto out;
	*out_file = file;
	file = (struct index_file){.fd = -1, .directory = -1};
out:
	forget(&file);
	return status;
}

void index_file_discard(struct index_file *file)
{
	int error = errno;

	if (file->fd >= 0) {
		unlinkat(file->directory, file->temporary, 0);
		close(file->fd);
	}
	errno = error;
	forget(file);
}

/* Who publishes in somebody else's directory gives the file away: it is believed only if it belongs
 * to the owner of its directory. Who may not, leaves one that is not believed. */
static void give_to_owner(const struct index_file *file)
{
	struct stat st;
	int rc;

	if (fstat(file->directory, &st) < 0 || st.st_uid == geteuid())
		return;
	rc = fchown(file->fd, st.st_uid, st.st_gid);
	(void)rc;
}

enum parser_status index_file_publish(struct index_file *file, int *out_fd)
{
	give_to_owner(file);
	/* Readable by all only when it is complete. */
	if (fsync(file->fd) < 0 || fchmod(file->fd, 0644) < 0 ||
		renameat(file->directory, file->temporary, file->directory, name_in(file->path)) <
			0) {
		index_file_discard(file);
		return PARSER_E_IO;
	}
	/* Every reader sees the new file already. If this fails, all that may happen is that the
	 * former index is back after a power failure, and that one is found to be stale. */
	fsync(file->directory);
	*out_fd = file->fd;
	forget(file);
	return PARSER_OK;
}

/* Takes a decimal number as we write it, without leading zeros, and moves `*text` behind it. */
static bool take_number(const char **text, long max, long *out_number)
{
	const char *digit = *text;
	long number = 0;

	if (digit[0] == '0' && digit[1] >= '0' && digit[1] <= '9')
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		if (number > (max - (*digit - '0')) / 10)
			return false;
		number = number * 10 + (*digit - '0');
	}
	if (digit == *text)
		return false;
	*text = digit;
	*out_number = number;
	return true;
}

/* True for `<name>.<pid>.<n>.new`, and nothing else: all others belong to somebody else. */
static bool is_temporary_of(const char *entry, const char *name, pid_t *out_pid)
{
	size_t len = strlen(name);
	long pid;
	long n;

	if (strncmp(entry, name, len) != 0 || entry[len] != '.')
		return false;
	entry += len + 1;
	if (!take_number(&entry, INT_MAX, &pid) || pid == 0 || *entry++ != '.')
		return false;
	if (!take_number(&entry, TEMPORARIES_MAX - 1, &n) || strcmp(entry, TEMPORARY_SUFFIX) != 0)
		return false;
	*out_pid = (pid_t)pid;
	return true;
}

void index_file_sweep(const char *path)
{
	int error = errno;
	int fd = open_directory_of(path);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	pid_t pid;

	if (!directory) {
		close_quietly(fd);
		errno = error;
		return;
	}
	while ((entry = readdir(directory))) {
		if (is_temporary_of(entry->d_name, name_in(path), &pid) && kill(pid, 0) < 0 &&
			errno == ESRCH)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(directory);
	errno = error;
}

void index_file_withdraw(const char *path, int fd)
{
	int error = errno;
	struct stat ours;
	struct stat there;

	if (fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
		ours.st_ino == there.st_ino)
		unlink(path);
	errno = error;
}

static bool is_writable_by_others(const struct stat *st)
{
	return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* What an errno of open() means for an index. */
static enum parser_status open_status(int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return PARSER_E_ABSENT;
	/* ELOOP: a symbolic link. ENXIO: a socket, or a device without a driver. */
	return error == ELOOP || error == ENXIO ? PARSER_E_UNTRUSTED : PARSER_E_IO;
}

/* Judges a file and the directory that it was found in. The directory is looked up a second time:
 * who can swap it meanwhile can make one that is trusted as well. */
static enum parser_status judge(const char *path, const struct stat *st)
{
	char directory[PATH_MAX];
	struct stat directory_st;

	if (!directory_of(path, directory) || stat(directory, &directory_st) < 0)
		return PARSER_E_IO;
	/* Sticky or not: who may create a file there may create ours before we do. */
	if (is_writable_by_others(&directory_st))
		return PARSER_E_UNTRUSTED;
	/* Owners are compared and not named: in a sandbox they may be unmapped. */
	if (!S_ISREG(st->st_mode) || is_writable_by_others(st) || st->st_uid != directory_st.st_uid)
		return PARSER_E_UNTRUSTED;
	return st->st_size > (off_t)INDEX_FILE_OCTETS_MAX ? PARSER_E_LIMIT : PARSER_OK;
}

enum parser_status index_file_open(const char *path, int *out_fd, uint32_t *out_size)
{
	struct stat st;
	enum parser_status status = PARSER_E_IO;
	int error = errno;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		status = open_status(errno);
	else if (fstat(fd, &st) == 0)
		status = judge(path, &st);
	if (status == PARSER_OK) {
		*out_fd = fd;
		if (out_size)
			*out_size = (uint32_t)st.st_size;
	} else {
		close_quietly(fd);
	}
	if (status != PARSER_E_IO)
		errno = error;
	return status;
}
