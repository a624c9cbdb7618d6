#include "parser/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#define NOBODY       65534
#define LONG_AGO_S   1700000000
#define NS_PER_S     INT64_C(1000000000)
#define YEAR_NS      (INT64_C(365) * 86400 * NS_PER_S)
#define EVENTS_MAX   16
#define CAPTURES     TESTS_DATA_DIR "/captures"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Faults, injected by the linker's --wrap into the calls that the store makes. */
static struct {
	long allocations_left; /* The next but so many fails; negative: none does. */
	int64_t clock_step_ns; /* Added to the clock. */
	int64_t clock_ns;      /* Where the clock stands; 0: it runs. */
	int pread_error;       /* errno of each pread(); 0: it works. */
	size_t pread_max;      /* Octets that one pread() gives at most; 0: all. */
	int interruptions;     /* So many pread()s are interrupted first. */
	int reads;             /* How many pread()s there were. */
	int openat_error;
	int readdir_error;
	void (*on_pread)(const char *directory); /* Called before each pread(). */
	const char *directory;
} faults = {.allocations_left = -1};

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_clock_gettime(clockid_t clock, struct timespec *out_now);
ssize_t __real_pread(int fd, void *buffer, size_t len, off_t offset);
int __real_openat(int directory, const char *name, int flags, ...);
struct dirent *__real_readdir(DIR *stream);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out_now);
ssize_t __wrap_pread(int fd, void *buffer, size_t len, off_t offset);
int __wrap_openat(int directory, const char *name, int flags, ...);
struct dirent *__wrap_readdir(DIR *stream);

static bool allocation_fails(void)
{
	return faults.allocations_left >= 0 && faults.allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(block, size);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out_now)
{
	int rc = __real_clock_gettime(clock, out_now);
	int64_t now_ns = out_now->tv_sec * NS_PER_S + out_now->tv_nsec;

	if (clock != CLOCK_REALTIME_COARSE)
		return rc;
	now_ns = faults.clock_ns ? faults.clock_ns : now_ns + faults.clock_step_ns;
	out_now->tv_sec = now_ns / NS_PER_S;
	out_now->tv_nsec = now_ns % NS_PER_S;
	return rc;
}

ssize_t __wrap_pread(int fd, void *buffer, size_t len, off_t offset)
{
	faults.reads++;
	if (faults.interruptions > 0 && faults.interruptions--) {
		errno = EINTR;
		return -1;
	}
	if (faults.pread_error) {
		errno = faults.pread_error;
		return -1;
	}
	if (faults.on_pread)
		faults.on_pread(faults.directory);
	if (faults.pread_max && len > faults.pread_max)
		len = faults.pread_max;
	return __real_pread(fd, buffer, len, offset);
}

int __wrap_openat(int directory, const char *name, int flags, ...)
{
	if (faults.openat_error) {
		errno = faults.openat_error;
		return -1;
	}
	return __real_openat(directory, name, flags);
}

struct dirent *__wrap_readdir(DIR *stream)
{
	if (faults.readdir_error) {
		errno = faults.readdir_error;
		return NULL;
	}
	return __real_readdir(stream);
}

struct fixture {
	char *directory;
	struct store *store;
	struct store_event events[EVENTS_MAX];
	char paths[EVENTS_MAX][256];
	size_t event_count;
};

static void note_event(void *ctx, const struct store_event *event)
{
	struct fixture *fixture = ctx;
	size_t i = fixture->event_count++;

	assert_true(i < EVENTS_MAX);
	fixture->events[i] = *event;
	snprintf(fixture->paths[i], sizeof(fixture->paths[i]), "%s", event->path);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	memset(&faults, 0, sizeof(faults));
	faults.allocations_left = -1;
	fixture->directory = scratch_new();
	faults.directory = fixture->directory;
	fixture->store = store_new((const char *const *)&fixture->directory, 1);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	scratch_free(fixture->directory);
	free(fixture);
	return 0;
}

static const struct store_directory *the_directory(const struct fixture *fixture)
{
	size_t count;
	const struct store_directory *directories = store_directories(fixture->store, &count);

	assert_int_equal(count, 1);
	return directories;
}

static const struct store_file *find_file(const struct fixture *fixture, const char *name)
{
	const struct store_directory *directory = the_directory(fixture);

	for (size_t i = 0; i < directory->file_count; i++) {
		if (strcmp(directory->files[i]->name, name) == 0)
			return directory->files[i];
	}
	return NULL;
}

/* The names of a file's records, with a comma after each; "-" if the store has no such file. */
static void assert_names(const struct fixture *fixture, const char *file_name, const char *expected)
{
	const struct store_file *file = find_file(fixture, file_name);
	char names[1024] = "";
	size_t len = 0;

	for (size_t i = 0; file && i < file->record_count; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%.*s,",
			(int)file->records[i].name.len, (const char *)file->records[i].name.ptr);
	assert_string_equal(file ? names : "-", expected);
}

static void refresh(struct fixture *fixture)
{
	fixture->event_count = 0;
	assert_int_equal(store_refresh(fixture->store, note_event, fixture), PARSER_OK);
}

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};

	nanosleep(&pause, NULL);
}

/* Refreshes as the daemon does; the events are those of all refreshes together. */
static void settle(struct fixture *fixture)
{
	refresh(fixture);
	for (int i = 0; i < 100 && store_is_unsettled(fixture->store); i++) {
		pause_ms(12);
		assert_int_equal(store_refresh(fixture->store, note_event, fixture), PARSER_OK);
	}
	assert_false(store_is_unsettled(fixture->store));
}

static void assert_event(const struct fixture *fixture, size_t position, enum store_event_kind kind,
	enum parser_status status, int system_error, size_t kept)
{
	const struct store_event *event = &fixture->events[position];

	assert_true(position < fixture->event_count);
	assert_int_equal(event->kind, kind);
	assert_int_equal(event->status, status);
	assert_int_equal(event->system_error, system_error);
	assert_int_equal(event->kept, kept);
}

static void assert_only_event(const struct fixture *fixture, enum store_event_kind kind,
	enum parser_status status, int system_error, size_t kept)
{
	assert_int_equal(fixture->event_count, 1);
	assert_event(fixture, 0, kind, status, system_error, kept);
}

/* A lease file with one lease for each letter of `names`, called like the letter; '!' is a bad
 * record. Valid until the next call but one. */
static const char *leases(const char *names)
{
	static char texts[2][65536];
	static unsigned next;
	char *text = texts[next++ % 2];
	size_t len = (size_t)snprintf(text, sizeof(texts[0]), "[");

	for (size_t i = 0; names[i]; i++)
		len += (size_t)snprintf(text + len, sizeof(texts[0]) - len,
			"%s\n{\"ip-address\": \"%s.%zu\", \"mac-address\": "
			"\"52:54:00:00:00:%02zx\", "
			"\"hostname\": \"%c\", \"expiry-time\": 4102444800}",
			i ? "," : "", names[i] == '!' ? "none" : "192.0.2", i + 1, i + 1, names[i]);
	snprintf(text + len, sizeof(texts[0]) - len, "\n]\n");
	return text;
}

static void publish(const struct fixture *fixture, const char *name, const char *names)
{
	scratch_publish(fixture->directory, name, leases(names));
}

static void set_mtime(const char *path, int64_t seconds)
{
	const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Rewrites in place, with a modification time that is long past. */
static void rewrite_old(const char *directory, const char *name, const char *names, int64_t seconds)
{
	const char *text = leases(names);

	scratch_write(directory, name, text, strlen(text));
	set_mtime(scratch_path(directory, name), seconds);
}

static void test_captured_directory_becomes_records(void **state)
{
	const struct {
		const char *name;
		const char *stem;
		const struct format *format;
		size_t records;
	} files[] = {
		{"default.addnhosts", "default", &format_libvirt_addnhosts, 0},
		{"default.hostsfile", "default", &format_libvirt_hostsfile, 0},
		{"virbr0.status", "virbr0", &format_libvirt_status, 3},
		{"virbr3.status", "virbr3", &format_libvirt_status, 1},
	};
	const char *path = CAPTURES "/leases-v4";
	struct store *store = store_new(&path, 1);
	const struct store_directory *directory;
	size_t count;

	(void)state;
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	directory = store_directories(store, &count);
	assert_string_equal(directory->path, path);
	assert_int_equal(directory->stamp.state, SOURCE_DIRECTORY);
	assert_int_equal(directory->file_count, COUNT(files));
	for (size_t i = 0; i < COUNT(files); i++) {
		const struct store_file *file = directory->files[i];

		assert_string_equal(file->name, files[i].name);
		assert_true(bytes_equal(file->stem, bytes_of_text(files[i].stem)));
		assert_ptr_equal(file->format, files[i].format);
		assert_int_equal(file->stamp.state, SOURCE_FILE);
		assert_int_equal(file->record_count, files[i].records);
	}
	store_free(store);
}

static void test_records_are_whole_copies(void **state)
{
	/* leases-v6/virbr1.status has names and DUIDs; both are views. */
	const char *const paths[] = {CAPTURES "/leases-v4", CAPTURES "/leases-v6"};
	struct store *store = store_new(paths, 2);
	const struct store_directory *directories;
	const struct record *records;
	char address[ADDRESS_TEXT_SIZE];
	size_t duids = 0;
	size_t count;

	(void)state;
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	directories = store_directories(store, &count);
	assert_int_equal(count, 2);
	records = directories[0].files[2]->records;
	assert_true(bytes_equal(records[0].name, bytes_of_text("alpha")));
	assert_int_equal(records[1].name.len, 0);
	assert_true(bytes_equal(records[2].name, bytes_of_text("Gamma")));
	address_format(&records[2].address, address);
	assert_string_equal(address, "192.168.122.38");
	assert_int_equal(records[2].expires_unix_s, 1795504092);

	assert_string_equal(directories[1].files[0]->name, "virbr1.status");
	records = directories[1].files[0]->records;
	for (size_t i = 0; i < directories[1].files[0]->record_count; i++) {
		/* RFC 8415 section 11: types 1 to 4; libvirt's guests here use 1, 3 or 4. */
		if (records[i].duid.len == 0)
			continue;
		assert_int_equal(records[i].duid.ptr[0], 0);
		assert_in_range(records[i].duid.ptr[1], 1, 4);
		duids++;
	}
	assert_true(duids > 0);
	store_free(store);
}

static void test_only_files_of_known_formats_are_held(void **state)
{
	struct fixture *fixture = *state;
	const char *const foreign[] = {
		"virbr0.status.new", "virbr0.conf", ".status", ".x.status", "status", "notes.txt"};

	for (size_t i = 0; i < COUNT(foreign); i++)
		scratch_write(fixture->directory, foreign[i], "[}", 2);
	scratch_write(fixture->directory, "z.status", "", 0);
	publish(fixture, "b.status", "b");
	publish(fixture, "a.status", "a");
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_int_equal(the_directory(fixture)->file_count, 3);
	assert_string_equal(the_directory(fixture)->files[0]->name, "a.status");
	assert_string_equal(the_directory(fixture)->files[1]->name, "b.status");
	assert_names(fixture, "z.status", "");
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
	assert_int_equal(symlink("good.status", path), 0);
}

static void make_dangling_link(const char *path)
{
	assert_int_equal(symlink("missing", path), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void (*const wrong_kinds[])(const char *) = {
	make_directory, make_fifo, make_link, make_dangling_link, make_socket};

static void test_what_is_no_file_is_reported_once_and_not_read(void **state)
{
	struct fixture *fixture = *state;
	const char *path;

	publish(fixture, "good.status", "g");
	for (size_t i = 0; i < COUNT(wrong_kinds); i++) {
		wrong_kinds[i](scratch_path(fixture->directory, "x.status"));
		refresh(fixture);
		assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_UNTRUSTED, 0, 0);
		path = scratch_path(fixture->directory, "x.status");
		assert_string_equal(fixture->paths[0], path);
		assert_names(fixture, "x.status", "");
		assert_names(fixture, "good.status", "g,");
		settle(fixture);
		assert_int_equal(fixture->event_count, 0);
		/* An index with this stamp is not found stale for as long as the thing is there. */
		assert_int_equal(
			source_compare(path, &find_file(fixture, "x.status")->stamp), SOURCE_SAME);
		remove(path);
		refresh(fixture);
		assert_names(fixture, "x.status", "-");
	}
}

static void test_file_replaced_by_a_link_keeps_its_records_and_recovers(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "good.status", "g");
	publish(fixture, "x.status", "xy");
	refresh(fixture);
	remove(scratch_path(fixture->directory, "x.status"));
	make_link(scratch_path(fixture->directory, "x.status"));
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_UNTRUSTED, 0, 2);
	assert_names(fixture, "x.status", "x,y,");
	publish(fixture, "x.status", "z");
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_RECOVERED, PARSER_OK, 0, 0);
	assert_names(fixture, "x.status", "z,");
}

static void test_corrupt_file_keeps_its_records_and_costs_no_other(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "abc");
	publish(fixture, "y.status", "y");
	refresh(fixture);
	scratch_publish(fixture->directory, "x.status", "[ {\"ip-address\": \"192.0.2.1\", ");
	publish(fixture, "y.status", "yz");
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_SYNTAX, 0, 3);
	assert_ptr_equal(fixture->events[0].format, &format_libvirt_status);
	assert_names(fixture, "x.status", "a,b,c,");
	assert_names(fixture, "y.status", "y,z,");
	/* What was judged is stamped, so an index of what was kept is believed. */
	settle(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_int_equal(source_compare(scratch_path(fixture->directory, "x.status"),
				 &find_file(fixture, "x.status")->stamp),
		SOURCE_SAME);
	scratch_publish(fixture->directory, "x.status", "corrupt in another way");
	settle(fixture);
	assert_int_equal(fixture->event_count, 0);
	publish(fixture, "x.status", "d");
	settle(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_RECOVERED, PARSER_OK, 0, 0);
	assert_names(fixture, "x.status", "d,");
}

static void test_bad_records_are_reported_when_their_number_changes(void **state)
{
	struct fixture *fixture = *state;
	const struct {
		const char *names;
		size_t skipped; /* As reported; 0: nothing is. */
		const char *expected;
	} cases[] = {
		{"a!b", 1, "a,b,"},
		{"a!b", 0, "a,b,"},
		{"ca!b", 0, "c,a,b,"},
		{"a!b!", 2, "a,b,"},
		{"ab", 0, "a,b,"},
		{"a!", 1, "a,"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		publish(fixture, "x.status", cases[i].names);
		settle(fixture);
		assert_names(fixture, "x.status", cases[i].expected);
		assert_int_equal(fixture->event_count, cases[i].skipped ? 1 : 0);
		if (!cases[i].skipped)
			continue;
		assert_event(fixture, 0, STORE_EVENT_RECORDS_SKIPPED, PARSER_OK, 0, 0);
		assert_int_equal(fixture->events[0].report.skipped, cases[i].skipped);
		assert_int_equal(fixture->events[0].report.defect, FORMAT_DEFECT_ADDRESS);
	}
}

static void test_vanished_file_loses_its_records(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "x");
	publish(fixture, "y.status", "y");
	refresh(fixture);
	remove(scratch_path(fixture->directory, "x.status"));
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_names(fixture, "x.status", "-");
	assert_names(fixture, "y.status", "y,");
}

/* The names of each step, and whether the generation moves on. */
static void test_generation_moves_with_names_and_not_with_stamps(void **state)
{
	static const struct {
		const char *file; /* Ends with '-' if it is removed. */
		const char *names;
		bool moves;
	} steps[] = {
		{"a.status", "kl", true},
		{"a.status", "kl", false},
		{"foreign", "", false},
		{"a.status", "km", true},
		{"a.status", "k", true},
		{"b.macs", "", true},
		{"b.macs", "", false},
		{"b.macs-", "", true},
		{"foreign-", "", false},
		{"a.status-", "", true},
	};
	struct fixture *fixture = *state;
	uint64_t generation;

	refresh(fixture);
	generation = store_generation(fixture->store);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char name[32];
		size_t len = strlen(steps[i].file);

		snprintf(name, sizeof(name), "%s", steps[i].file);
		if (name[len - 1] == '-') {
			name[len - 1] = '\0';
			assert_int_equal(remove(scratch_path(fixture->directory, name)), 0);
		} else {
			publish(fixture, name, steps[i].names);
		}
		settle(fixture);
		if (steps[i].moves)
			assert_int_not_equal(store_generation(fixture->store), generation);
		else
			assert_int_equal(store_generation(fixture->store), generation);
		generation = store_generation(fixture->store);
	}
}

static void test_directory_comes_and_goes(void **state)
{
	struct fixture *fixture = *state;
	const char *directory = fixture->directory;

	assert_int_equal(rmdir(directory), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_ABSENT, PARSER_E_ABSENT, 0, 0);
	assert_string_equal(fixture->paths[0], directory);
	assert_null(fixture->events[0].format);
	assert_int_equal(the_directory(fixture)->stamp.state, SOURCE_ABSENT);
	assert_false(store_is_unsettled(fixture->store));
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);

	make_directory(directory);
	publish(fixture, "x.status", "x");
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FOUND, PARSER_OK, 0, 1);
	assert_names(fixture, "x.status", "x,");

	remove(scratch_path(directory, "x.status"));
	assert_int_equal(rmdir(directory), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_ABSENT, PARSER_E_ABSENT, 0, 0);
	assert_int_equal(the_directory(fixture)->file_count, 0);

	make_directory(directory);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FOUND, PARSER_OK, 0, 0);
}

static void test_file_in_the_place_of_the_directory_is_no_directory(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "x");
	refresh(fixture);
	remove(scratch_path(fixture->directory, "x.status"));
	assert_int_equal(rmdir(fixture->directory), 0);
	assert_int_equal(mknod(fixture->directory, S_IFREG | 0644, 0), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_ABSENT, PARSER_E_ABSENT, 0, 0);
	assert_int_equal(the_directory(fixture)->file_count, 0);
	assert_int_equal(remove(fixture->directory), 0);
}

static void test_directory_swapped_by_a_link_is_followed(void **state)
{
	struct fixture *fixture = *state;
	char *path = strdup(scratch_path(fixture->directory, "current"));
	const char *const names[] = {"one", "two"};

	for (size_t i = 0; i < COUNT(names); i++) {
		make_directory(scratch_path(fixture->directory, names[i]));
		scratch_publish(scratch_path(fixture->directory, names[i]), "x.status",
			leases(i ? "b" : "a"));
	}
	store_free(fixture->store);
	assert_int_equal(symlink("one", path), 0);
	fixture->store = store_new((const char *const *)&path, 1);
	settle(fixture);
	assert_names(fixture, "x.status", "a,");
	assert_int_equal(symlink("two", scratch_path(fixture->directory, "aside")), 0);
	assert_int_equal(rename(scratch_path(fixture->directory, "aside"), path), 0);
	settle(fixture);
	assert_names(fixture, "x.status", "b,");
	assert_int_equal(fixture->event_count, 0);
	free(path);
}

static void test_unchanged_file_is_not_read_again(void **state)
{
	struct fixture *fixture = *state;
	struct source_stamp stamp;

	publish(fixture, "x.status", "x");
	settle(fixture);
	stamp = find_file(fixture, "x.status")->stamp;
	faults.reads = 0;
	pause_ms(12);
	refresh(fixture);
	assert_int_equal(faults.reads, 0);
	assert_true(find_file(fixture, "x.status")->stamp.observed_ns == stamp.observed_ns);
	publish(fixture, "x.status", "y");
	refresh(fixture);
	assert_true(faults.reads > 0);
	assert_names(fixture, "x.status", "y,");
}

static void test_racy_file_is_read_again_after_the_tick(void **state)
{
	struct fixture *fixture = *state;
	int64_t written_ns = LONG_AGO_S * NS_PER_S;

	rewrite_old(fixture->directory, "x.status", "a", LONG_AGO_S);
	faults.clock_ns = written_ns + 1000000;
	refresh(fixture);
	assert_names(fixture, "x.status", "a,");
	assert_true(store_is_unsettled(fixture->store));
	/* In the same tick: the stamp stays as it was. */
	rewrite_old(fixture->directory, "x.status", "b", LONG_AGO_S);
	faults.clock_ns = written_ns + 9000000;
	refresh(fixture);
	assert_names(fixture, "x.status", "a,");
	assert_true(store_is_unsettled(fixture->store));
	faults.clock_ns = written_ns + 11000000;
	refresh(fixture);
	assert_names(fixture, "x.status", "b,");
	assert_true(find_file(fixture, "x.status")->stamp.observed_ns == faults.clock_ns);
	assert_false(store_is_unsettled(fixture->store));
}

/* Between emptying and filling it is a valid file without leases. */
static void test_file_rewritten_in_place_is_left_alone_for_a_moment(void **state)
{
	struct fixture *fixture = *state;
	const int64_t start_ns = (LONG_AGO_S + 60) * NS_PER_S;
	const struct {
		int64_t clock_ns;
		const char *written; /* Before this look; NULL: nothing is. */
		const char *expected;
	} cases[] = {
		{start_ns, "", "a,b,"},
		{start_ns + 9999999, NULL, "a,b,"},
		{start_ns + 9999999, "cde", "a,b,"},
		{start_ns + 19999998, NULL, "a,b,"},
		{start_ns - 5000000, NULL, "a,b,"}, /* The clock was set back. */
		{start_ns + 4999999, NULL, "a,b,"},
		{start_ns + 5000000, NULL, "c,d,e,"},
		{start_ns + 5000000, "", "c,d,e,"},
		{start_ns + 15000000, NULL, ""},
	};

	rewrite_old(fixture->directory, "x.status", "ab", LONG_AGO_S);
	settle(fixture);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct store_file *file = find_file(fixture, "x.status");
		bool early = strcmp(cases[i].expected, i ? cases[i - 1].expected : "a,b,") == 0;

		if (cases[i].written)
			rewrite_old(
				fixture->directory, "x.status", cases[i].written, LONG_AGO_S + 1);
		faults.clock_ns = cases[i].clock_ns;
		refresh(fixture);
		assert_int_equal(fixture->event_count, 0);
		assert_names(fixture, "x.status", cases[i].expected);
		assert_int_equal(store_is_unsettled(fixture->store), early);
		/* Nobody may take the old content for the new. */
		assert_int_equal(
			source_compare(scratch_path(fixture->directory, "x.status"), &file->stamp),
			early ? SOURCE_CHANGED : SOURCE_SAME);
	}
}

static void rewrite_once(const char *directory)
{
	faults.on_pread = NULL;
	rewrite_old(directory, "x.status", "new", LONG_AGO_S + 1);
}

static void rewrite_always(const char *directory)
{
	static int64_t seconds = LONG_AGO_S;

	rewrite_old(directory, "x.status", "new", ++seconds);
}

static void empty_once(const char *directory)
{
	faults.on_pread = NULL;
	scratch_write(directory, "x.status", "", 0);
	set_mtime(scratch_path(directory, "x.status"), LONG_AGO_S);
}

static void test_file_that_changes_under_the_reader_is_read_again(void **state)
{
	struct fixture *fixture = *state;

	rewrite_old(fixture->directory, "x.status", "old", LONG_AGO_S);
	faults.on_pread = rewrite_once;
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_names(fixture, "x.status", "n,e,w,");
}

static void test_torn_file_keeps_its_records(void **state)
{
	struct fixture *fixture = *state;
	const char *path = scratch_path(fixture->directory, "x.status");

	publish(fixture, "x.status", "ab");
	settle(fixture);
	publish(fixture, "x.status", "c");
	faults.on_pread = rewrite_always;
	faults.reads = 0;
	refresh(fixture);
	assert_in_range(faults.reads, 2, 16);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_TORN, 0, 2);
	assert_names(fixture, "x.status", "a,b,");
	assert_true(store_is_unsettled(fixture->store));
	assert_int_equal(
		source_compare(path, &find_file(fixture, "x.status")->stamp), SOURCE_CHANGED);
	pause_ms(12);
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	faults.on_pread = NULL;
	settle(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_RECOVERED, PARSER_OK, 0, 0);
	assert_names(fixture, "x.status", "n,e,w,");
}

/* Emptied between fstat() and pread(): the read ends early. */
static void test_file_emptied_under_the_reader_is_waited_for(void **state)
{
	struct fixture *fixture = *state;

	rewrite_old(fixture->directory, "x.status", "ab", LONG_AGO_S - 60);
	settle(fixture);
	rewrite_old(fixture->directory, "x.status", "abc", LONG_AGO_S - 30);
	refresh(fixture);
	pause_ms(15);
	faults.on_pread = empty_once;
	refresh(fixture);
	assert_null(faults.on_pread);
	assert_names(fixture, "x.status", "a,b,");
	assert_true(store_is_unsettled(fixture->store));
	settle(fixture);
	assert_names(fixture, "x.status", "");
}

static void test_short_and_interrupted_reads_are_continued(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "abc");
	faults.pread_max = 7;
	faults.interruptions = 3;
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_names(fixture, "x.status", "a,b,c,");
}

static void test_failing_calls_keep_what_there_is(void **state)
{
	struct fixture *fixture = *state;
	const struct {
		int *fault;
		int error;
		enum store_event_kind failed;
		enum store_event_kind recovered;
	} cases[] = {
		{&faults.pread_error, EIO, STORE_EVENT_FILE_FAILED, STORE_EVENT_FILE_RECOVERED},
		{&faults.openat_error, EMFILE, STORE_EVENT_FILE_FAILED, STORE_EVENT_FILE_RECOVERED},
		{&faults.readdir_error, EIO, STORE_EVENT_DIRECTORY_FAILED,
			STORE_EVENT_DIRECTORY_FOUND},
	};

	publish(fixture, "x.status", "ab");
	settle(fixture);
	for (size_t i = 0; i < COUNT(cases); i++) {
		publish(fixture, "x.status", i % 2 ? "ab" : "cd");
		*cases[i].fault = cases[i].error;
		refresh(fixture);
		assert_only_event(fixture, cases[i].failed, PARSER_E_IO, cases[i].error, 2);
		assert_names(fixture, "x.status", i % 2 ? "c,d," : "a,b,");
		refresh(fixture);
		assert_int_equal(fixture->event_count, 0);
		*cases[i].fault = 0;
		settle(fixture);
		assert_int_equal(fixture->event_count, 1);
		assert_int_equal(fixture->events[0].kind, cases[i].recovered);
		assert_names(fixture, "x.status", i % 2 ? "a,b," : "c,d,");
	}
}

static void publish_once(const char *directory)
{
	faults.on_pread = NULL;
	scratch_publish(directory, "late.status", leases("l"));
}

static void publish_always(const char *directory)
{
	scratch_publish(directory, "x.status", leases("x"));
}

static void test_directory_that_changes_under_the_reader_is_listed_again(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "x");
	set_mtime(fixture->directory, LONG_AGO_S);
	faults.on_pread = publish_once;
	refresh(fixture);
	assert_names(fixture, "late.status", "l,");
}

static void test_directory_that_never_rests_is_unsettled(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "x");
	faults.on_pread = publish_always;
	refresh(fixture);
	assert_names(fixture, "x.status", "x,");
	assert_true(store_is_unsettled(fixture->store));
	assert_int_equal(
		source_compare(fixture->directory, &the_directory(fixture)->stamp), SOURCE_CHANGED);
	faults.on_pread = NULL;
	settle(fixture);
}

static void test_too_large_file_keeps_its_records(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, "x.status", "ab");
	settle(fixture);
	/* The largest file that is read; NULs are no JSON. */
	scratch_write(fixture->directory, "aside", "", 0);
	assert_int_equal(
		truncate(scratch_path(fixture->directory, "aside"), FORMAT_FILE_OCTETS_MAX), 0);
	rename(scratch_path(fixture->directory, "aside"),
		scratch_path(fixture->directory, "x.status"));
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_SYNTAX, 0, 2);
	assert_int_equal(
		truncate(scratch_path(fixture->directory, "x.status"), FORMAT_FILE_OCTETS_MAX + 1),
		0);
	faults.reads = 0;
	settle(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_LIMIT, 0, 2);
	assert_int_equal(faults.reads, 0);
	assert_names(fixture, "x.status", "a,b,");
}

static void test_too_many_files_are_cut_off_and_reported_once(void **state)
{
	struct fixture *fixture = *state;
	char name[32];

	for (int i = 0; i < STORE_FILES_MAX + 2; i++) {
		snprintf(name, sizeof(name), "%d.status", i);
		scratch_write(fixture->directory, name, "", 0);
	}
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FAILED, PARSER_E_LIMIT, 0, 0);
	assert_int_equal(the_directory(fixture)->file_count, STORE_FILES_MAX);
	refresh(fixture);
	assert_int_equal(fixture->event_count, 0);
	remove(scratch_path(fixture->directory, "0.status"));
	remove(scratch_path(fixture->directory, "1.status"));
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FOUND, PARSER_OK, 0, 0);
	assert_int_equal(the_directory(fixture)->file_count, STORE_FILES_MAX);
}

/* Steps of the clock between any two looks: nothing is lost, and the store settles. */
static void test_clock_may_step(void **state)
{
	struct fixture *fixture = *state;
	const int64_t steps_ns[] = {-YEAR_NS, YEAR_NS, -1, 5000000, -5000000, 40 * YEAR_NS, 0};

	for (size_t i = 0; i < COUNT(steps_ns); i++) {
		const char names[] = {(char)('a' + i), '\0'};
		const char expected[] = {(char)('a' + i), ',', '\0'};

		publish(fixture, "x.status", names);
		refresh(fixture);
		assert_names(fixture, "x.status", expected);
		faults.clock_step_ns = steps_ns[i];
		refresh(fixture);
		assert_names(fixture, "x.status", expected);
		settle(fixture);
		assert_names(fixture, "x.status", expected);
		scratch_write(fixture->directory, "x.status", "", 0);
		settle(fixture);
		assert_names(fixture, "x.status", "");
	}
}

/* Runs in a child without privileges; whether all was as it should be is its exit status. */
static void check_unreadable(struct fixture *fixture)
{
	const char *directory = fixture->directory;
	const char *path = scratch_path(directory, "x.status");

	settle(fixture);
	assert_int_equal(chmod(path, 0), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_FAILED, PARSER_E_IO, EACCES, 2);
	settle(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_names(fixture, "x.status", "a,b,");
	assert_int_equal(source_compare(path, &find_file(fixture, "x.status")->stamp), SOURCE_SAME);
	assert_int_equal(chmod(path, 0644), 0);
	settle(fixture);
	assert_only_event(fixture, STORE_EVENT_FILE_RECOVERED, PARSER_OK, 0, 0);

	assert_int_equal(chmod(directory, 0300), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FAILED, PARSER_E_IO, EACCES, 2);
	settle(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_names(fixture, "x.status", "a,b,");
	assert_int_equal(source_compare(directory, &the_directory(fixture)->stamp), SOURCE_SAME);
	/* May be written to but not listed: the index of what was kept is believed all the same. */
	publish(fixture, "y.status", "y");
	settle(fixture);
	assert_int_equal(fixture->event_count, 0);
	assert_int_equal(source_compare(directory, &the_directory(fixture)->stamp), SOURCE_SAME);
	assert_int_equal(chmod(directory, 0700), 0);
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_FOUND, PARSER_OK, 0, 3);
}

static void test_what_becomes_unreadable_keeps_its_records(void **state)
{
	struct fixture *fixture = *state;
	int status;
	pid_t child;

	publish(fixture, "x.status", "ab");
	if (geteuid() == 0) {
		assert_int_equal(chown(fixture->directory, NOBODY, NOBODY), 0);
		assert_int_equal(
			chown(scratch_path(fixture->directory, "x.status"), NOBODY, NOBODY), 0);
	}
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		/* A failure in here ends the child, instead of running the other tests in it. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		check_unreadable(fixture);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Makes a directory with known files into one with changed and new ones, in an order of listing
 * that is the file system's. */
static void change_much(const struct fixture *fixture)
{
	const char *macs = "[{\"domain\": \"g\", \"macs\": [\"52:54:00:00:00:01\"]}]";

	publish(fixture, "x.status", "A!C");
	for (char name[] = "a.macs"; name[0] <= 'h'; name[0]++)
		scratch_publish(fixture->directory, name, macs);
}

static void restore_much(struct fixture *fixture)
{
	for (char name[] = "a.macs"; name[0] <= 'h'; name[0]++)
		remove(scratch_path(fixture->directory, name));
	for (char name[] = "k.status"; name[0] <= 'n'; name[0]++)
		publish(fixture, name, name[0] % 2 ? "k" : "kl");
	publish(fixture, "x.status", "abcdefghijklmnopqrstuvwxyz");
	settle(fixture);
}

/* Fails the Nth allocation for each N until there are no more. */
static void test_short_memory_costs_nothing_for_good(void **state)
{
	struct fixture *fixture = *state;
	enum parser_status status;
	bool failed = true;
	int refused = 0;

	for (long n = 0; failed; n++) {
		restore_much(fixture);
		change_much(fixture);
		faults.allocations_left = n;
		status = store_refresh(fixture->store, NULL, NULL);
		failed = faults.allocations_left < 0;
		faults.allocations_left = -1;
		assert_true(failed || status == PARSER_OK);
		refused += status == PARSER_E_NO_MEMORY;
		if (status == PARSER_E_NO_MEMORY)
			assert_int_equal(
				source_compare(fixture->directory, &the_directory(fixture)->stamp),
				SOURCE_CHANGED);
		assert_names(fixture, "k.status", "k,");
		if (find_file(fixture, "x.status")->record_count != 2)
			assert_int_equal(find_file(fixture, "x.status")->record_count, 26);
		/* One more look is enough: no file is missed because of what was not finished. */
		refresh(fixture);
		assert_int_equal(the_directory(fixture)->file_count, 4 + 1 + 8);
		assert_names(fixture, "x.status", "A,C,");
		assert_names(fixture, "h.macs", "g,");
	}
	/* The list; new files and their paths; a buffer for what is read. Room for records and text
	 * is asked for a second time where it is needed. */
	assert_true(refused >= 1 + 8 * 2 + 9);
}

static void test_new_store_wants_all_its_memory(void **state)
{
	const char *const paths[] = {"/a", "/b"};
	struct store *store = NULL;
	long n = 0;

	(void)state;
	for (; !store; n++) {
		faults.allocations_left = n;
		store = store_new(paths, 2);
		faults.allocations_left = -1;
	}
	/* The store, two arrays and two paths. */
	assert_int_equal(n, 6);
	store_free(store);
	store_free(NULL);
	store = store_new(NULL, 0);
	assert_non_null(store);
	assert_int_equal(store_refresh(store, NULL, NULL), PARSER_OK);
	assert_false(store_is_unsettled(store));
	store_free(store);
}

static void test_directories_do_not_cost_each_other(void **state)
{
	struct fixture *fixture = *state;
	const char *const paths[] = {"/nonexistent/of/leasedns", fixture->directory};
	const struct store_directory *directories;
	size_t count;

	store_free(fixture->store);
	fixture->store = store_new(paths, 2);
	publish(fixture, "x.status", "x");
	refresh(fixture);
	assert_only_event(fixture, STORE_EVENT_DIRECTORY_ABSENT, PARSER_E_ABSENT, 0, 0);
	directories = store_directories(fixture->store, &count);
	assert_int_equal(count, 2);
	assert_string_equal(directories[0].path, paths[0]);
	assert_int_equal(directories[0].file_count, 0);
	assert_int_equal(directories[1].files[0]->record_count, 1);
}

/* A rewrite that takes longer is the writer's stall, not the reader's fault: 10 ms of a clock that
 * ticks every 4 ms. */
#define STALL_NS 5000000

/* A program that rewrites its file in place over and over, with two contents in turn. */
struct rewriter {
	const char *directory;
	char *contents[2];
	atomic_bool stop;
	atomic_llong begin_ns;   /* Of the rewrite under way; 0: none is. */
	atomic_llong longest_ns; /* Of those that are done, since this was last asked. */
};

static int64_t monotonic_ns(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void rewrite_in_pieces(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	sched_yield();
	for (size_t at = 0; at < len; at += len / 3 + 1) {
		size_t piece = len - at < len / 3 + 1 ? len - at : len / 3 + 1;

		if (write(fd, text + at, piece) != (ssize_t)piece)
			abort();
		sched_yield();
	}
	close(fd);
}

static void *rewriter_run(void *ctx)
{
	struct rewriter *rewriter = ctx;
	char path[512];

	snprintf(path, sizeof(path), "%s/x.hostsfile", rewriter->directory);
	for (unsigned i = 0; !atomic_load(&rewriter->stop); i++) {
		int64_t begin_ns = monotonic_ns();
		int64_t took_ns;

		atomic_store(&rewriter->begin_ns, begin_ns);
		rewrite_in_pieces(path, rewriter->contents[i % 2]);
		took_ns = monotonic_ns() - begin_ns;
		if (took_ns > atomic_load(&rewriter->longest_ns))
			atomic_store(&rewriter->longest_ns, took_ns);
		atomic_store(&rewriter->begin_ns, 0);
		/* Mostly at once again; now and then there is time to read it. */
		if (i % 5 == 0)
			pause_ms(14);
	}
	return NULL;
}

/* Any prefix of a hosts file is one, so nothing but its records tells that it is cut. */
static char *hosts(char letter, size_t count)
{
	char *text = calloc(1, count * 64 + 1);
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += (size_t)sprintf(text + len, "52:54:00:00:00:%02zx,192.0.2.%zu,%c%03zu\n", i,
			i + 1, letter, i);
	return text;
}

/* A busy machine may stop the writer in the middle for longer than any reader waits; then that the
 * reader saw the middle proves nothing. Asked once, so that a stall excuses one sight. */
static bool was_stalled(struct rewriter *rewriter)
{
	int64_t begin_ns = atomic_load(&rewriter->begin_ns);

	return (begin_ns && monotonic_ns() - begin_ns > STALL_NS) ||
	       atomic_exchange(&rewriter->longest_ns, 0) > STALL_NS;
}

/* Refreshes until each content was seen often. */
static void watch_rewriter(
	struct fixture *fixture, struct rewriter *rewriter, const size_t counts[2])
{
	const struct timespec little = {.tv_nsec = 100000};
	int seen[2] = {0, 0};
	size_t last = 0;

	for (int i = 0; i < 200000 && (seen[0] < 4 || seen[1] < 4); i++) {
		const struct store_file *file;
		int which;

		nanosleep(&little, NULL);
		assert_int_equal(store_refresh(fixture->store, NULL, NULL), PARSER_OK);
		file = find_file(fixture, "x.hostsfile");
		if (file->record_count == last)
			continue;
		last = file->record_count;
		which = last == counts[0] ? 0 : 1;
		if (last != counts[which]) {
			assert_true(was_stalled(rewriter));
			continue;
		}
		for (size_t j = 0; j < last; j++)
			assert_int_equal(file->records[j].name.ptr[0], 'a' + which);
		seen[which]++;
	}
	assert_true(seen[0] >= 4 && seen[1] >= 4);
}

static void test_file_rewritten_in_place_is_never_seen_in_part(void **state)
{
	struct fixture *fixture = *state;
	const size_t counts[2] = {9, 200};
	struct rewriter rewriter = {.directory = fixture->directory,
		.contents = {hosts('a', counts[0]), hosts('b', counts[1])}};
	pthread_t thread;

	scratch_publish(fixture->directory, "x.hostsfile", rewriter.contents[0]);
	settle(fixture);
	assert_int_equal(pthread_create(&thread, NULL, rewriter_run, &rewriter), 0);
	watch_rewriter(fixture, &rewriter, counts);
	atomic_store(&rewriter.stop, true);
	pthread_join(thread, NULL);
	free(rewriter.contents[0]);
	free(rewriter.contents[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_captured_directory_becomes_records),
		TEST(test_records_are_whole_copies),
		TEST(test_only_files_of_known_formats_are_held),
		TEST(test_what_is_no_file_is_reported_once_and_not_read),
		TEST(test_file_replaced_by_a_link_keeps_its_records_and_recovers),
		TEST(test_corrupt_file_keeps_its_records_and_costs_no_other),
		TEST(test_bad_records_are_reported_when_their_number_changes),
		TEST(test_vanished_file_loses_its_records),
		TEST(test_generation_moves_with_names_and_not_with_stamps),
		TEST(test_directory_comes_and_goes),
		TEST(test_file_in_the_place_of_the_directory_is_no_directory),
		TEST(test_directory_swapped_by_a_link_is_followed),
		TEST(test_unchanged_file_is_not_read_again),
		TEST(test_racy_file_is_read_again_after_the_tick),
		TEST(test_file_rewritten_in_place_is_left_alone_for_a_moment),
		TEST(test_file_that_changes_under_the_reader_is_read_again),
		TEST(test_torn_file_keeps_its_records),
		TEST(test_file_emptied_under_the_reader_is_waited_for),
		TEST(test_short_and_interrupted_reads_are_continued),
		TEST(test_failing_calls_keep_what_there_is),
		TEST(test_directory_that_changes_under_the_reader_is_listed_again),
		TEST(test_directory_that_never_rests_is_unsettled),
		TEST(test_too_large_file_keeps_its_records),
		TEST(test_too_many_files_are_cut_off_and_reported_once),
		TEST(test_clock_may_step),
		TEST(test_what_becomes_unreadable_keeps_its_records),
		TEST(test_short_memory_costs_nothing_for_good),
		TEST(test_new_store_wants_all_its_memory),
		TEST(test_directories_do_not_cost_each_other),
		TEST(test_file_rewritten_in_place_is_never_seen_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
