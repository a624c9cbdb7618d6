#include "parser/index_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parser/index.h"
#include "tests/support/scratch.h"

#define STRANGER     65534
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* What errno is before a call that must not touch it. */
#define ERRNO_MARK 9999

/* Faults, injected by the linker's --wrap into the calls that publish. */
static struct {
	int fsync_error;
	int fchmod_error;
	int renameat_error;
	int allocations_left; /* The next but so many fails; negative: none does. */
	int fsyncs_until_fault;
	mode_t mode_at_rename;
} faults;

int __real_fsync(int fd);
int __real_fchmod(int fd, mode_t mode);
int __real_renameat(int from_directory, const char *from, int to_directory, const char *to);
void *__real_malloc(size_t size);
int __wrap_fsync(int fd);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to);
void *__wrap_malloc(size_t size);

int __wrap_fsync(int fd)
{
	if (faults.fsync_error && faults.fsyncs_until_fault-- == 0) {
		errno = faults.fsync_error;
		return -1;
	}
	return __real_fsync(fd);
}

int __wrap_fchmod(int fd, mode_t mode)
{
	if (faults.fchmod_error) {
		errno = faults.fchmod_error;
		return -1;
	}
	return __real_fchmod(fd, mode);
}

int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	struct stat st;

	if (faults.renameat_error) {
		errno = faults.renameat_error;
		return -1;
	}
	if (fstatat(from_directory, from, &st, 0) == 0)
		faults.mode_at_rename = st.st_mode & 07777;
	return __real_renameat(from_directory, from, to_directory, to);
}

void *__wrap_malloc(size_t size)
{
	if (faults.allocations_left >= 0 && faults.allocations_left-- == 0)
		return NULL;
	return __real_malloc(size);
}

static int setup(void **state)
{
	memset(&faults, 0, sizeof(faults));
	faults.allocations_left = -1;
	*state = scratch_new();
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	return 0;
}

static size_t count_names(const char *directory)
{
	DIR *stream = opendir(directory);
	size_t count = 0;

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static size_t count_descriptors(void)
{
	return count_names("/proc/self/fd");
}

static void write_all(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void publish_text(const char *path, const char *text)
{
	struct index_file file;
	int fd = -1;

	assert_int_equal(index_file_create(path, &file), PARSER_OK);
	write_all(file.fd, text);
	assert_int_equal(index_file_publish(&file, &fd), PARSER_OK);
	close(fd);
}

static void assert_content(const char *path, const char *expected)
{
	char *text = scratch_read(path, NULL);

	assert_string_equal(text, expected);
	free(text);
}

static void test_file_is_private_until_it_is_published(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	char expected[64];
	struct index_file file;
	struct stat st;
	struct stat published;
	mode_t mask = umask(077);
	int fd = -1;

	assert_int_equal(index_file_create(path, &file), PARSER_OK);
	snprintf(expected, sizeof(expected), "index.cdb.%ld.0.new", (long)getpid());
	assert_int_equal(stat(scratch_path(directory, expected), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(fcntl(file.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(file.directory, F_GETFD), FD_CLOEXEC);
	assert_int_equal(access(path, F_OK), -1);
	write_all(file.fd, "content");
	assert_int_equal(index_file_publish(&file, &fd), PARSER_OK);
	umask(mask);
	assert_int_equal(stat(path, &published), 0);
	assert_int_equal(published.st_mode, S_IFREG | 0644);
	assert_int_equal(faults.mode_at_rename, 0644);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, published.st_ino);
	assert_content(path, "content");
	assert_int_equal(count_names(directory), 1);
	close(fd);
}

static void test_only_our_own_file_is_withdrawn(void **state)
{
	const char *path = scratch_path(*state, "index.cdb");
	struct index_file file;
	int fd = -1;

	assert_int_equal(index_file_create(path, &file), PARSER_OK);
	assert_int_equal(index_file_publish(&file, &fd), PARSER_OK);
	publish_text(path, "another's");
	errno = 77;
	index_file_withdraw(path, fd);
	index_file_withdraw(path, -1);
	index_file_withdraw(scratch_path(*state, "missing/index.cdb"), fd);
	assert_int_equal(errno, 77);
	assert_content(path, "another's");
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	index_file_withdraw(path, fd);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
}

static void test_file_beside_the_working_directory_needs_no_slash(void **state)
{
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	assert_int_equal(chdir(*state), 0);
	publish_text("index.cdb", "here");
	assert_int_equal(index_file_open("index.cdb", &fd, NULL), PARSER_OK);
	close(fd);
	assert_int_equal(fchdir(back), 0);
	close(back);
	assert_content(scratch_path(*state, "index.cdb"), "here");
}

static void test_discarded_file_leaves_nothing(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	size_t descriptors;
	struct index_file file;

	publish_text(path, "old");
	descriptors = count_descriptors();
	assert_int_equal(index_file_create(path, &file), PARSER_OK);
	write_all(file.fd, "half");
	errno = ERRNO_MARK;
	index_file_discard(&file);
	assert_int_equal(errno, ERRNO_MARK);
	index_file_discard(&file);
	assert_int_equal(count_descriptors(), descriptors);
	assert_int_equal(count_names(directory), 1);
	assert_content(path, "old");
}

static void test_failed_publication_leaves_the_old_file(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	const struct {
		int *fault;
		int error;
	} cases[] = {
		{&faults.fsync_error, EIO},
		{&faults.fsync_error, ENOSPC},
		{&faults.fchmod_error, EPERM},
		{&faults.renameat_error, ENOSPC},
		{&faults.renameat_error, EROFS},
	};
	size_t descriptors;

	publish_text(path, "old");
	descriptors = count_descriptors();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct index_file file;
		int fd = -1;

		assert_int_equal(index_file_create(path, &file), PARSER_OK);
		write_all(file.fd, "new");
		faults.fsyncs_until_fault = 0;
		*cases[i].fault = cases[i].error;
		errno = 0;
		assert_int_equal(index_file_publish(&file, &fd), PARSER_E_IO);
		assert_int_equal(errno, cases[i].error);
		*cases[i].fault = 0;
		assert_int_equal(fd, -1);
		assert_int_equal(count_names(directory), 1);
		assert_int_equal(count_descriptors(), descriptors);
		assert_content(path, "old");
	}
}

static void test_directory_that_cannot_be_synced_has_the_new_file_all_the_same(void **state)
{
	const char *path = scratch_path(*state, "index.cdb");
	struct index_file file;
	int fd = -1;

	assert_int_equal(index_file_create(path, &file), PARSER_OK);
	write_all(file.fd, "new");
	faults.fsync_error = EIO;
	faults.fsyncs_until_fault = 1;
	assert_int_equal(index_file_publish(&file, &fd), PARSER_OK);
	assert_int_equal(faults.fsyncs_until_fault, -1);
	assert_content(path, "new");
	close(fd);
}

static void test_creation_fails_with_the_reason(void **state)
{
	const char *directory = *state;
	char long_name[NAME_MAX + 1];
	static char long_path[PATH_MAX + 16];
	size_t descriptors = count_descriptors();
	const struct {
		const char *path;
		int error;
	} cases[] = {
		{scratch_path(directory, "missing/index.cdb"), ENOENT},
		{scratch_path(directory, "file/index.cdb"), ENOTDIR},
		{scratch_path(directory, long_name), ENAMETOOLONG},
		{long_path, ENAMETOOLONG},
	};

	scratch_write(directory, "file", "", 0);
	memset(long_name, 'x', NAME_MAX);
	long_name[NAME_MAX] = '\0';
	snprintf((char *)(uintptr_t)cases[2].path, 4096, "%s/%s", directory, long_name);
	memset(long_path, '/', sizeof(long_path) - 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct index_file file = {.fd = 42};

		errno = 0;
		assert_int_equal(index_file_create(cases[i].path, &file), PARSER_E_IO);
		assert_int_equal(errno, cases[i].error);
		assert_int_equal(file.fd, 42);
	}
	for (int n = 0; n < 2; n++) {
		struct index_file file = {.fd = 42};

		faults.allocations_left = n;
		assert_int_equal(index_file_create(scratch_path(directory, "index.cdb"), &file),
			PARSER_E_NO_MEMORY);
		faults.allocations_left = -1;
		assert_int_equal(file.fd, 42);
	}
	assert_int_equal(count_descriptors(), descriptors);
	assert_int_equal(count_names(directory), 1);
}

static void test_writers_take_different_temporaries(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	struct index_file first;
	struct index_file second;
	int fd = -1;

	assert_int_equal(index_file_create(path, &first), PARSER_OK);
	assert_int_equal(index_file_create(path, &second), PARSER_OK);
	assert_string_not_equal(first.temporary, second.temporary);
	write_all(first.fd, "first");
	write_all(second.fd, "second");
	assert_int_equal(index_file_publish(&second, &fd), PARSER_OK);
	close(fd);
	assert_content(path, "second");
	assert_int_equal(index_file_publish(&first, &fd), PARSER_OK);
	close(fd);
	assert_content(path, "first");
	assert_int_equal(count_names(directory), 1);
}

/* What lies under the temporary's name is neither followed nor written to. */
static void test_link_under_the_temporary_name_is_stepped_over(void **state)
{
	const char *directory = *state;
	char name[64];

	scratch_write(directory, "victim", "intact", 6);
	snprintf(name, sizeof(name), "index.cdb.%ld.0.new", (long)getpid());
	assert_int_equal(symlink("victim", scratch_path(directory, name)), 0);
	publish_text(scratch_path(directory, "index.cdb"), "new");
	assert_content(scratch_path(directory, "victim"), "intact");
	assert_content(scratch_path(directory, "index.cdb"), "new");
}

static void test_temporaries_are_not_searched_for_without_end(void **state)
{
	const char *directory = *state;
	struct index_file file;
	char name[64];

	for (int n = 0; n < 1000; n++) {
		snprintf(name, sizeof(name), "index.cdb.%ld.%d.new", (long)getpid(), n);
		scratch_write(directory, name, "", 0);
	}
	assert_int_equal(
		index_file_create(scratch_path(directory, "index.cdb"), &file), PARSER_E_IO);
	assert_int_equal(errno, EEXIST);
}

/* The id of a process that is gone. */
static long dead_pid(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return child;
}

static void test_sweep_takes_temporaries_of_the_dead_and_nothing_else(void **state)
{
	const char *directory = *state;
	enum { NONE, LIVING, DEAD };
	const struct {
		const char *before;
		int pid; /* Whose process id comes then. */
		const char *after;
		bool swept;
	} cases[] = {
		{"index.cdb.", DEAD, ".0.new", true},
		{"index.cdb.", DEAD, ".17.new", true},
		{"index.cdb.", DEAD, ".999.new", true},
		{"index.cdb.", LIVING, ".0.new", false},
		{"index.cdb.1.0.new", NONE, "", false},
		{"index.cdb.", DEAD, ".1000.new", false},
		{"index.cdb.", DEAD, ".01.new", false},
		{"index.cdb.0", DEAD, ".0.new", false},
		{"index.cdb.-", DEAD, ".0.new", false},
		{"index.cdb.+", DEAD, ".0.new", false},
		{"index.cdb. ", DEAD, ".0.new", false},
		{"index.cdb.0.0.new", NONE, "", false},
		{"index.cdb.", DEAD, ".new", false},
		{"index.cdb.", DEAD, "..new", false},
		{"index.cdb..0.new", NONE, "", false},
		{"index.cdb.", DEAD, ".0.new.bak", false},
		{"index.cdb.", DEAD, ".0.old", false},
		{"index.cdb.", DEAD, ".0", false},
		{"index.cdb.", DEAD, "x0.new", false},
		{"xindex.cdb.", DEAD, ".0.new", false},
		{"index.cdbx", DEAD, ".0.new", false},
		{"other.cdb.", DEAD, ".0.new", false},
		{"index.cdb.99999999999999999999.0.new", NONE, "", false},
		{"index.cdb.2147483648.0.new", NONE, "", false},
		{"index.cdb.", DEAD, ".99999999999999999999.new", false},
		{"index.cdb", NONE, "", false},
	};
	char pids[3][32] = {""};
	char names[COUNT(cases)][128];
	size_t descriptors = count_descriptors();

	snprintf(pids[LIVING], sizeof(pids[LIVING]), "%ld", (long)getpid());
	snprintf(pids[DEAD], sizeof(pids[DEAD]), "%ld", dead_pid());
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(names[i], sizeof(names[i]), "%s%s%s", cases[i].before, pids[cases[i].pid],
			cases[i].after);
		scratch_write(directory, names[i], "", 0);
	}
	errno = ERRNO_MARK;
	index_file_sweep(scratch_path(directory, "index.cdb"));
	index_file_sweep(scratch_path(directory, "missing/index.cdb"));
	assert_int_equal(errno, ERRNO_MARK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		if ((access(scratch_path(directory, names[i]), F_OK) != 0) != cases[i].swept)
			fail_msg("%s", names[i]);
	}
	assert_int_equal(count_descriptors(), descriptors);
}

static void assert_open(const char *path, enum parser_status expected, int error)
{
	size_t descriptors = count_descriptors();
	int fd = -1;

	errno = ERRNO_MARK;
	assert_int_equal(index_file_open(path, &fd, NULL), expected);
	assert_int_equal(errno, error ? error : ERRNO_MARK);
	if (expected != PARSER_OK) {
		assert_int_equal(fd, -1);
	} else {
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		close(fd);
	}
	assert_int_equal(count_descriptors(), descriptors);
}

static void test_only_modes_that_keep_others_out_are_believed(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	const struct {
		mode_t directory_mode;
		mode_t file_mode;
		enum parser_status status;
	} cases[] = {
		{0755, 0644, PARSER_OK},
		{0711, 0600, PARSER_OK},
		{0700, 0444, PARSER_OK},
		{02755, 0644, PARSER_OK},
		{0755, 0664, PARSER_E_UNTRUSTED},
		{0755, 0646, PARSER_E_UNTRUSTED},
		{0755, 0620, PARSER_E_UNTRUSTED},
		{0775, 0644, PARSER_E_UNTRUSTED},
		{0757, 0644, PARSER_E_UNTRUSTED},
		{01777, 0644, PARSER_E_UNTRUSTED},
		{01775, 0644, PARSER_E_UNTRUSTED},
	};

	publish_text(path, "index");
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(chmod(directory, cases[i].directory_mode), 0);
		assert_int_equal(chmod(path, cases[i].file_mode), 0);
		assert_open(path, cases[i].status, 0);
	}
}

static void test_owner_must_be_the_directorys(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");

	publish_text(path, "index");
	if (geteuid() != 0) {
		/* Only root can give files away; what is root's alone shows the good case. */
		assert_open(path, PARSER_OK, 0);
		return;
	}
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
	assert_open(path, PARSER_E_UNTRUSTED, 0);
	assert_int_equal(chown(directory, STRANGER, STRANGER), 0);
	assert_open(path, PARSER_OK, 0);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_open(path, PARSER_E_UNTRUSTED, 0);
	assert_int_equal(chown(directory, 0, 0), 0);
}

/* As `leasedns index` by root does beside a daemon that is not root. */
static void test_published_file_belongs_to_the_directorys_owner(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	struct stat st;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(directory, STRANGER, STRANGER), 0);
	publish_text(path, "index");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, STRANGER);
	assert_int_equal(st.st_gid, STRANGER);
	assert_open(path, PARSER_OK, 0);
	assert_int_equal(chown(directory, 0, 0), 0);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0644), 0);
}

static void make_link(const char *path)
{
	assert_int_equal(symlink("good.cdb", path), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void test_what_is_no_file_is_neither_followed_nor_waited_for(void **state)
{
	void (*const kinds[])(const char *) = {make_directory, make_fifo, make_link, make_socket};
	const char *path = scratch_path(*state, "index.cdb");

	publish_text(scratch_path(*state, "good.cdb"), "index");
	for (size_t i = 0; i < COUNT(kinds); i++) {
		kinds[i](path);
		assert_open(path, PARSER_E_UNTRUSTED, 0);
		assert_int_equal(remove(path), 0);
	}
}

static void test_what_is_not_there_is_absent(void **state)
{
	const char *directory = *state;

	scratch_write(directory, "file", "", 0);
	assert_open(scratch_path(directory, "index.cdb"), PARSER_E_ABSENT, 0);
	assert_open(scratch_path(directory, "missing/index.cdb"), PARSER_E_ABSENT, 0);
	assert_open(scratch_path(directory, "file/index.cdb"), PARSER_E_ABSENT, 0);
}

static void test_size_has_a_cap(void **state)
{
	const char *path = scratch_path(*state, "index.cdb");

	publish_text(path, "");
	assert_int_equal(truncate(path, INDEX_FILE_OCTETS_MAX), 0);
	assert_open(path, PARSER_OK, 0);
	assert_int_equal(truncate(path, (off_t)INDEX_FILE_OCTETS_MAX + 1), 0);
	assert_open(path, PARSER_E_LIMIT, 0);
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	assert_open(path, PARSER_E_LIMIT, 0);
}

static void test_forbidden_index_says_so_in_errno(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	int status;
	pid_t child;

	publish_text(path, "index");
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(directory, 0755), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setresuid(STRANGER, STRANGER, STRANGER) < 0)
			_exit(2);
		/* A failure in here ends the child, instead of running the other tests in it. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		assert_open(path, PARSER_E_IO, EACCES);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Runs in a child with a mount of its own: a file system with room for two pages and four files. */
static void check_full_file_system(const char *directory)
{
	const char *path = scratch_path(directory, "index.cdb");
	static const char page[4096];
	struct index_file files[3];
	ssize_t written = 0;
	ssize_t total = 0;

	publish_text(path, "old");
	assert_int_equal(index_file_create(path, &files[0]), PARSER_OK);
	/* What a builder meets: less is written than was asked for, then nothing. */
	while ((written = write(files[0].fd, page, 3000)) > 0)
		total += written;
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(total, 4096);
	assert_int_equal(index_file_create(path, &files[1]), PARSER_OK);
	errno = 0;
	assert_int_equal(index_file_create(path, &files[2]), PARSER_E_IO);
	assert_int_equal(errno, ENOSPC);
	index_file_discard(&files[1]);
	index_file_discard(&files[0]);
	assert_content(path, "old");
	publish_text(path, "new");
	assert_content(path, "new");
	assert_int_equal(count_names(directory), 1);
}

static void test_full_file_system_keeps_the_old_file(void **state)
{
	const char *directory = *state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
			scratch_own_mounts() < 0 ||
			mount("tmpfs", directory, "tmpfs", 0, "mode=0755,nr_blocks=2,nr_inodes=4") <
				0)
			_exit(77);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		check_full_file_system(directory);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* No mounts of one's own on this host. */
	assert_int_equal(status, 0);
}

#define PUBLISHERS   3
#define PUBLICATIONS 60
#define FILL_OCTETS  20000

/* Publishes files that are of one letter from end to end, in small pieces. */
static void run_publisher(const char *path, char letter)
{
	char piece[1000];

	memset(piece, letter, sizeof(piece));
	for (int i = 0; i < PUBLICATIONS; i++) {
		struct index_file file;
		int fd;

		if (index_file_create(path, &file) != PARSER_OK)
			_exit(1);
		for (int at = 0; at < FILL_OCTETS; at += (int)sizeof(piece)) {
			if (write(file.fd, piece, sizeof(piece)) != sizeof(piece))
				_exit(2);
		}
		if (i % 7 == 0)
			index_file_discard(&file);
		else if (index_file_publish(&file, &fd) != PARSER_OK)
			_exit(3);
		else
			close(fd);
		index_file_sweep(path);
	}
	_exit(0);
}

static void assert_complete(const char *path)
{
	static char content[FILL_OCTETS + 1];
	int fd = -1;

	assert_int_equal(index_file_open(path, &fd, NULL), PARSER_OK);
	assert_int_equal(read(fd, content, sizeof(content)), FILL_OCTETS);
	assert_int_equal(strspn(content, (char[]){content[0], '\0'}), FILL_OCTETS);
	close(fd);
}

static void test_readers_meet_complete_files_while_several_publish(void **state)
{
	const char *directory = *state;
	const char *path = scratch_path(directory, "index.cdb");
	char *first = calloc(1, FILL_OCTETS + 1);
	pid_t children[PUBLISHERS];
	int running = PUBLISHERS;

	memset(first, 'x', FILL_OCTETS);
	publish_text(path, first);
	free(first);
	for (int i = 0; i < PUBLISHERS; i++) {
		children[i] = fork();
		if (children[i] == 0)
			run_publisher(path, (char)('a' + i));
	}
	while (running > 0) {
		assert_complete(path);
		for (int i = 0; i < PUBLISHERS; i++) {
			int status;

			if (children[i] && waitpid(children[i], &status, WNOHANG) > 0) {
				assert_int_equal(status, 0);
				children[i] = 0;
				running--;
			}
		}
	}
	assert_complete(path);
	assert_int_equal(count_names(directory), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_file_is_private_until_it_is_published),
		TEST(test_only_our_own_file_is_withdrawn),
		TEST(test_file_beside_the_working_directory_needs_no_slash),
		TEST(test_discarded_file_leaves_nothing),
		TEST(test_failed_publication_leaves_the_old_file),
		TEST(test_directory_that_cannot_be_synced_has_the_new_file_all_the_same),
		TEST(test_creation_fails_with_the_reason),
		TEST(test_writers_take_different_temporaries),
		TEST(test_link_under_the_temporary_name_is_stepped_over),
		TEST(test_temporaries_are_not_searched_for_without_end),
		TEST(test_sweep_takes_temporaries_of_the_dead_and_nothing_else),
		TEST(test_only_modes_that_keep_others_out_are_believed),
		TEST(test_owner_must_be_the_directorys),
		TEST(test_published_file_belongs_to_the_directorys_owner),
		TEST(test_what_is_no_file_is_neither_followed_nor_waited_for),
		TEST(test_what_is_not_there_is_absent),
		TEST(test_size_has_a_cap),
		TEST(test_forbidden_index_says_so_in_errno),
		TEST(test_full_file_system_keeps_the_old_file),
		TEST(test_readers_meet_complete_files_while_several_publish),
	};

	faults.allocations_left = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
