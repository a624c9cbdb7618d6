#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/support/log.h"
#include "server/support/privileges.h"
#include "tests/support/scratch.h"

/* A user that every system has and that owns nothing. */
#define OTHER_USER "nobody"

/* True if the process may become OTHER_USER; without root only the refusals can be tested. */
static bool is_root(void)
{
	return geteuid() == 0;
}

/* Runs `check` in a child, for what it does cannot be undone. */
static void in_child(int (*check)(const char *directory), const char *directory)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(check(directory));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* A line of /proc/self/status, e.g. "CapBnd:". */
static unsigned long long status_of(const char *key, int base)
{
	char *text = scratch_read("/proc/self/status", NULL);
	const char *line = strstr(text, key);
	unsigned long long value = line ? strtoull(line + strlen(key), NULL, base) : ~0ull;

	free(text);
	return value;
}

static int check_dropped(const char *directory)
{
	const struct passwd *user = getpwnam(OTHER_USER);
	const char *index_file = scratch_path(directory, "index.cdb");
	uid_t uid = user->pw_uid;
	gid_t gid = user->pw_gid;
	gid_t groups[8] = {0};

	if (privileges_drop(OTHER_USER, index_file, true) != PRIVILEGES_DROPPED)
		return 1;
	if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
		return 2;
	if (getgroups(8, groups) != 1 || groups[0] != gid)
		return 3;
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
		return 4;
	if (status_of("CapBnd:", 16) != 0 || status_of("CapPrm:", 16) != 0 ||
		status_of("CapEff:", 16) != 0 || status_of("CapAmb:", 16) != 0 ||
		status_of("CapInh:", 16) != 0)
		return 5;
	if (status_of("NoNewPrivs:", 10) != 1)
		return 6;
	return 0;
}

static void test_root_is_given_up_for_good(void **state)
{
	const struct passwd *user = getpwnam(OTHER_USER);
	char *directory = scratch_new();
	struct stat st;

	(void)state;
	assert_non_null(user);
	if (!is_root())
		skip();
	in_child(check_dropped, directory);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_uid, user->pw_uid);
	assert_int_equal(st.st_gid, user->pw_gid);
	scratch_free(directory);
}

static int check_foreign_directory_stays(const char *directory)
{
	const char *index_file = scratch_path(directory, "index.cdb");

	return privileges_drop(OTHER_USER, index_file, false) == PRIVILEGES_DROPPED ? 0 : 1;
}

static void test_directory_of_somebody_else_is_not_given_away(void **state)
{
	char *directory = scratch_new();
	struct stat st;

	(void)state;
	if (!is_root())
		skip();
	in_child(check_foreign_directory_stays, directory);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	scratch_free(directory);
}

static int check_link_is_not_followed(const char *directory)
{
	const char *index_file = scratch_path(directory, "link/index.cdb");

	return privileges_drop(OTHER_USER, index_file, true) == PRIVILEGES_DROPPED ? 0 : 1;
}

static void test_link_in_place_of_the_directory_is_not_followed(void **state)
{
	char *directory = scratch_new();
	struct stat st;

	(void)state;
	if (!is_root())
		skip();
	mkdir(scratch_path(directory, "target"), 0700);
	assert_int_equal(symlink("target", scratch_path(directory, "link")), 0);
	in_child(check_link_is_not_followed, directory);
	assert_int_equal(stat(scratch_path(directory, "target"), &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	scratch_free(directory);
}

static int check_kept(const char *directory)
{
	const char *index_file = scratch_path(directory, "index.cdb");

	if (privileges_drop("no-such-user-here", index_file, true) != PRIVILEGES_KEPT)
		return 1;
	/* A second root by another name is no lesser user. */
	if (is_root() && privileges_drop("root", index_file, true) != PRIVILEGES_KEPT)
		return 2;
	if (is_root() && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		return 3;
	if (privileges_drop(OTHER_USER, index_file, true) != PRIVILEGES_KEPT)
		return 4;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : 5;
}

static void test_without_a_user_to_become_nothing_changes(void **state)
{
	char *directory = scratch_new();
	struct stat st;

	(void)state;
	in_child(check_kept, directory);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	scratch_free(directory);
}

static void test_missing_directory_is_made_readable_for_all(void **state)
{
	char *directory = scratch_new();
	mode_t saved = umask(077);
	struct stat st;

	(void)state;
	assert_true(privileges_make_directory(scratch_path(directory, "run/index.cdb")));
	assert_int_equal(stat(scratch_path(directory, "run"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	chmod(scratch_path(directory, "run"), 0700);
	assert_false(privileges_make_directory(scratch_path(directory, "run/index.cdb")));
	assert_int_equal(stat(scratch_path(directory, "run"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700); /* Not ours to change. */
	assert_false(privileges_make_directory(scratch_path(directory, "a/b/index.cdb")));
	assert_false(privileges_make_directory("/index.cdb"));
	umask(saved);
	scratch_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_is_given_up_for_good),
		cmocka_unit_test(test_directory_of_somebody_else_is_not_given_away),
		cmocka_unit_test(test_link_in_place_of_the_directory_is_not_followed),
		cmocka_unit_test(test_without_a_user_to_become_nothing_changes),
		cmocka_unit_test(test_missing_directory_is_made_readable_for_all),
	};

	log_start(LOG_LEVEL_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
