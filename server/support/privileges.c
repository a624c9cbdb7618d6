#include "server/support/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/support/log.h"

/* capabilities(7): 64 bits hold them all; a kernel knows fewer and says so with EINVAL. */
#define PRIVILEGES_CAPABILITIES_MAX 64

/* The directory part of an absolute path, or NULL if memory is short or the file lies in /. */
static char *privileges_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;
}

bool privileges_make_directory(const char *index_file)
{
	char *directory = privileges_directory_of(index_file);
	bool made = directory && mkdir(directory, 0755) == 0;

	/* A strict umask must not hide the index from other users' processes. */
	if (made && chmod(directory, 0755) < 0)
		log_warning("index directory '%s': %s", directory, strerror(errno));
	free(directory);
	return made;
}

/* NSS modules believe an index only if it and its directory have the same owner. */
static void privileges_give_directory(const char *index_file, const struct passwd *user)
{
	char *directory = privileges_directory_of(index_file);
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (!directory || fd < 0 || fchown(fd, user->pw_uid, user->pw_gid) < 0)
		log_warning("index directory of '%s': cannot be given to user %s: %s", index_file,
			user->pw_name, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(directory);
}

/* Needs CAP_SETPCAP, so it comes before the user changes. */
static bool privileges_clear_bounding_set(void)
{
	for (unsigned long capability = 0; capability < PRIVILEGES_CAPABILITIES_MAX; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		return errno == EINVAL && capability > 0;
	}
	return true;
}

/* Setting the old ids back must fail, and no id may be left as it was. */
static bool privileges_are_gone(uid_t uid, gid_t gid)
{
	uid_t uids[3];
	gid_t gids[3];

	if (setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setresgid(0, 0, 0) == 0)
		return false;
	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
		getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return false;
	for (int i = 0; i < 3; i++) {
		if (uids[i] != uid || gids[i] != gid)
			return false;
	}
	return true;
}

/* NULL, or the step that failed; errno says why. */
static const char *privileges_become(const struct passwd *user)
{
	if (!privileges_clear_bounding_set())
		return "clear the capability bounding set";
	if (setgroups(1, &user->pw_gid) < 0)
		return "set the groups";
	if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0)
		return "set the group";
	if (setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return "set the user";
	errno = EPERM;
	if (!privileges_are_gone(user->pw_uid, user->pw_gid))
		return "give up root for good";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return "forbid new privileges";
	return NULL;
}

enum privileges_result privileges_drop(
	const char *user, const char *index_file, bool owns_directory)
{
	const struct passwd *entry;
	const char *failed;

	if (geteuid() != 0)
		return PRIVILEGES_KEPT;
	entry = getpwnam(user);
	if (!entry || entry->pw_uid == 0) {
		log_info("running as root: there is no user '%s' to become; nothing else changes",
			user);
		return PRIVILEGES_KEPT;
	}
	if (owns_directory)
		privileges_give_directory(index_file, entry);
	failed = privileges_become(entry);
	if (failed) {
		log_error("cannot %s on the way to user '%s': %s; not going on half way", failed,
			user, strerror(errno));
		return PRIVILEGES_FAILED;
	}
	log_debug("running as user '%s'", user);
	return PRIVILEGES_DROPPED;
}
