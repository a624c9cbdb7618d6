#include "server/stats/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum control_result failure(void)
{
	return errno == EAGAIN || errno == EINPROGRESS ? CONTROL_SILENT : CONTROL_FAILED;
}

/* A connect() to a full queue waits, and so does send(): for as long as this. */
static bool be_patient(int fd, int patience_ms)
{
	const struct timeval patience = {patience_ms / 1000, patience_ms % 1000 * 1000};

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0;
}

/* After a call that failed. On a socket with a time-out the kernel starts none again: whoever is
 * stopped and goes on (SIGCONT) meets EINTR without any handler, see signal(7). */
static bool is_worth_another_try(int64_t deadline_ms)
{
	if (errno != EINTR)
		return false;
	if (now_ms() <= deadline_ms)
		return true;
	errno = EAGAIN;
	return false;
}

static enum control_result join(int fd, const char *path, int64_t deadline_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return CONTROL_FAILED;
	}
	strcpy(address.sun_path, path);
	do
		rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	while (rc < 0 && is_worth_another_try(deadline_ms));
	if (rc == 0)
		return CONTROL_OK;
	return errno == ENOENT || errno == ECONNREFUSED ? CONTROL_NOBODY : failure();
}

static enum control_result say(int fd, const char *request, int64_t deadline_ms)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "%s\n", request);
	ssize_t sent;

	if (len < 0 || (size_t)len >= sizeof(line)) {
		errno = EMSGSIZE;
		return CONTROL_FAILED;
	}
	do
		sent = send(fd, line, (size_t)len, MSG_NOSIGNAL);
	while (sent < 0 && is_worth_another_try(deadline_ms));
	return sent == len ? CONTROL_OK : failure();
}

/* Until the other end closes. */
static enum control_result hear(int fd, int64_t deadline_ms, char **out_document)
{
	const size_t size = CONTROL_DOCUMENT_OCTETS_MAX + 2;
	enum control_result result = CONTROL_OK;
	char *text = malloc(size);
	size_t len = 0;
	ssize_t count = 0;

	if (!text)
		return CONTROL_FAILED;
	do {
		count = recv(fd, text + len, size - 1 - len, 0);
		len += count > 0 ? (size_t)count : 0;
		if (count < 0 && errno != EINTR)
			result = failure();
		else if (len > CONTROL_DOCUMENT_OCTETS_MAX)
			result = CONTROL_TOO_LONG;
		else if (count != 0 && now_ms() > deadline_ms)
			result = CONTROL_SILENT;
	} while (result == CONTROL_OK && count != 0);
	if (result != CONTROL_OK) {
		free(text);
		return result;
	}
	text[len] = '\0';
	*out_document = text;
	return CONTROL_OK;
}

enum control_result control_ask(
	const char *path, const char *request, int patience_ms, char **out_document)
{
	const int64_t deadline_ms = now_ms() + 3 * (int64_t)patience_ms;
	enum control_result result = CONTROL_FAILED;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int saved_errno;

	if (fd < 0)
		return CONTROL_FAILED;
	if (be_patient(fd, patience_ms))
		result = join(fd, path, deadline_ms);
	if (result == CONTROL_OK)
		result = say(fd, request, deadline_ms);
	if (result == CONTROL_OK)
		result = hear(fd, deadline_ms, out_document);
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return result;
}
