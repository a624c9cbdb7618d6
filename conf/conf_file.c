#include "conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_message.h"

/* errno says why; strerrordesc_np() rather than strerror(): no locale, no static buffer. */
static enum conf_status file_fail(struct conf_error *out_error, const char *what)
{
	int error = errno;
	const char *why = strerrordesc_np(error);

	conf_fail(out_error, CONF_E_IO, "%s: %s", what, why ? why : "unknown error");
	errno = error;
	return CONF_E_IO;
}

/* Refuses for a reason of our own. errno last: nothing promises that vsnprintf() keeps it. */
static enum conf_status file_refuse(struct conf_error *out_error, int error, const char *what)
{
	conf_fail(out_error, CONF_E_IO, "%s", what);
	errno = error;
	return CONF_E_IO;
}

static enum conf_status file_open(const char *path, int *out_fd, struct conf_error *out_error)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return conf_fail(out_error, CONF_E_ABSENT, "there is no such file");
	if (fd < 0)
		return file_fail(out_error, "cannot be opened");
	*out_fd = fd;
	return CONF_OK;
}

/* Checks what has been opened, before anything is read of it. */
static enum conf_status file_examine(int fd, struct stat *out_st, struct conf_error *out_error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return file_fail(out_error, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return file_refuse(
			out_error, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "is not a regular file");
	if (st.st_size > CONF_FILE_OCTETS_MAX)
		return file_refuse(out_error, EFBIG, "is larger than 1 MiB");
	*out_st = st;
	return CONF_OK;
}

/* Reads until the end of the file or of the buffer. */
static ssize_t file_fill(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read(fd, buffer + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

static bool file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

enum conf_status conf_file_read(
	const char *path, char **out_text, size_t *out_len, struct conf_error *out_error)
{
	enum conf_status rc;
	struct stat before = {0};
	struct stat after = {0};
	char *text = NULL;
	ssize_t len;
	int fd = -1;
	int error = 0;

	rc = file_open(path, &fd, out_error);
	if (rc != CONF_OK)
		return rc;
	rc = file_examine(fd, &before, out_error);
	if (rc != CONF_OK)
		goto out;
	text = malloc((size_t)before.st_size + 1);
	if (!text) {
		rc = conf_fail(out_error, CONF_E_NO_MEMORY, "out of memory");
		goto out;
	}
	/* One octet more than there should be, so that growth shows. */
	len = file_fill(fd, text, (size_t)before.st_size + 1);
	if (len < 0 || fstat(fd, &after) < 0) {
		rc = file_fail(out_error, "cannot be read");
		goto out;
	}
	if (len != before.st_size || !file_is_same(&before, &after)) {
		rc = file_refuse(out_error, EAGAIN, "changed while it was read");
		goto out;
	}
	text[len] = '\0';
	*out_text = text;
	*out_len = (size_t)len;
	text = NULL;
out:
	error = errno;
	free(text);
	close(fd);
	errno = error;
	return rc;
}
