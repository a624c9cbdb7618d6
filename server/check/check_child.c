#include "server/check/check_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_child_body(check_child_work work, const void *task, int out, size_t size)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	void *result = calloc(1, size);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Others' code may print what it likes. */
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (!result)
		_exit(1);
	work(task, result);
	_exit(write(out, result, size) == (ssize_t)size ? 0 : 1);
}

/* At most PIPE_BUF octets, so they come in one piece or not at all. */
static bool check_child_hear(int in, unsigned timeout_ms, void *out_result, size_t size)
{
	struct pollfd waited = {.fd = in, .events = POLLIN};
	void *result = malloc(size);
	bool is_complete = result && poll(&waited, 1, (int)timeout_ms) == 1 &&
			   read(in, result, size) == (ssize_t)size;

	if (is_complete)
		memcpy(out_result, result, size);
	free(result);
	return is_complete;
}

bool check_child_run(
	check_child_work work, const void *task, unsigned timeout_ms, void *out_result, size_t size)
{
	bool is_complete;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		check_child_body(work, task, ends[1], size);
	}
	close(ends[1]);
	is_complete = pid > 0 && check_child_hear(ends[0], timeout_ms, out_result, size);
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return is_complete;
}
