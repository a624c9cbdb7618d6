/* Whatever lies where the index should be: the answer is what the lease files say, and comes at
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "parser/index_builder.h"
#include "parser/index_file.h"
#include "tests/nss/world.h"
#include "tests/support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A hook that takes longer hangs. */
#define CALL_S_MAX 20

#define INDEX "run/index.cdb"

/* What is asked; `name` or `address`. */
struct question_row {
	enum world_module_number module;
	const char *name;
	const char *address;
	const char *answer; /* Of world_fill(). */
};

#define ABSENT      "NOTFOUND/ENOENT/HOST_NOT_FOUND"
#define NODATA      "NOTFOUND/ENOENT/NO_DATA"
#define UNAVAILABLE "UNAVAIL/ENOENT/NO_RECOVERY"

static const struct question_row questions[] = {
	{WORLD_LIBVIRT, "web", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LIBVIRT, "web.libvirt", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LIBVIRT, "v6only", NULL, "found fd00::12"},
	{WORLD_LIBVIRT, "gone", NULL, ABSENT},
	{WORLD_LIBVIRT, "missing", NULL, ABSENT},
	{WORLD_LIBVIRT, "web.virbr0", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LIBVIRT, NULL, "192.168.122.10", "found web"},
	{WORLD_LIBVIRT, NULL, "192.168.122.16", ABSENT},
	{WORLD_LIBVIRT_GUEST, "box", NULL, "found 192.168.122.14"},
	{WORLD_LIBVIRT_GUEST, "idle", NULL, NODATA},
	{WORLD_LIBVIRT_GUEST, "web", NULL, ABSENT},
	{WORLD_LIBVIRT_GUEST, NULL, "192.168.122.14", "found box"},
	{WORLD_LEASEDNS, "web", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LEASEDNS, "web.libvirt", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LEASEDNS, "web.virbr0.libvirt", NULL, "found 192.168.122.10 fd00::10"},
	{WORLD_LEASEDNS, "web.virbr1", NULL, ABSENT},
	{WORLD_LEASEDNS, "libvirt", NULL, NODATA},
	{WORLD_LEASEDNS, "virbr0", NULL, NODATA},
	{WORLD_LEASEDNS, "virbr0.libvirt", NULL, NODATA},
	{WORLD_LEASEDNS, "box", NULL, "found 192.168.122.14"},
	{WORLD_LEASEDNS, "idle", NULL, NODATA},
	{WORLD_LEASEDNS, "printer.libvirt", NULL, "found 192.168.122.20"},
	{WORLD_LEASEDNS, "leasedns.libvirt", NULL, "found 127.0.0.56"},
	{WORLD_LEASEDNS, NULL, "192.168.122.10", "found web.libvirt"},
	{WORLD_LEASEDNS, NULL, "192.168.122.16", ABSENT},
	{WORLD_LEASEDNS, NULL, "192.168.122.20", "found printer.libvirt"},
	{WORLD_LEASEDNS, NULL, "fd00::10", "found web.libvirt"},
	{WORLD_LEASEDNS, NULL, "192.168.122.99", ABSENT},
};

static const char *ask(const struct question_row *row)
{
	const struct world_module *module = &world_modules[row->module];
	const char *answer;

	alarm(CALL_S_MAX);
	answer = row->name ? world_ask(module, row->name, 0)
			   : world_ask_address(module, row->address);
	alarm(0);
	return answer;
}

/* All answers, as lines. The caller's to free. */
static char *ask_all(void)
{
	char *text = calloc(1, 65536);

	assert_non_null(text);
	for (size_t i = 0; i < COUNT(questions); i++) {
		const char *answer = ask(&questions[i]);
		size_t len = strlen(text);

		snprintf(text + len, 65536 - len, "%s %s: %s\n",
			world_modules[questions[i].module].name,
			questions[i].name ? questions[i].name : questions[i].address, answer);
	}
	return text;
}

/* The answers of the lease files alone. The index stays. */
static char *ask_files(void)
{
	char *answers;
	bool there = rename(world_path(INDEX), world_path("run/aside")) == 0;

	answers = ask_all();
	if (there)
		assert_int_equal(rename(world_path("run/aside"), world_path(INDEX)), 0);
	return answers;
}

static void expect_answers_of_files(const char *what)
{
	char *expected = ask_files();
	char *answers = ask_all();

	if (strcmp(answers, expected) != 0)
		print_error("%s\n", what);
	assert_string_equal(answers, expected);
	free(expected);
	free(answers);
}

static int setup(void **state)
{
	(void)state;
	world_reset(NULL);
	world_fill();
	world_index();
	return 0;
}

static void test_index_and_lease_files_say_the_same(void **state)
{
	(void)state;
	for (int with_index = 1; with_index >= 0; with_index--) {
		for (size_t i = 0; i < COUNT(questions); i++) {
			const char *answer = ask(&questions[i]);

			if (strcmp(answer, questions[i].answer) != 0)
				print_error("%s %s: %s\n", world_modules[questions[i].module].name,
					questions[i].name ? questions[i].name
							  : questions[i].address,
					answer);
			assert_string_equal(answer, questions[i].answer);
		}
		world_drop_index();
	}
}

/* A fresh index is believed: it says what the files said when it was made, though their content
 * changed behind its back in a way that no stamp tells. */
static void test_fresh_index_is_believed(void **state)
{
	char *leases;
	size_t len;
	FILE *stream;

	(void)state;
	expect_answers_of_files("fresh");
	leases = scratch_read(world_path("leases/virbr0.status"), &len);
	*strstr(leases, "192.168.122.11") = '2';
	stream = fopen(world_path("leases/virbr0.status"), "r+");
	assert_non_null(stream);
	assert_int_equal(fwrite(leases, 1, len, stream), len);
	fclose(stream);
	free(leases);
	world_settle();
	assert_string_equal(
		world_ask(&world_modules[WORLD_LIBVIRT], "v4only", 0), "found 192.168.122.11");
	world_drop_index();
	assert_string_equal(world_ask(&world_modules[WORLD_LIBVIRT], "v4only", 0), ABSENT);
}

/* --- Stale ---------------------------------------------------------------------------------- */

#define NEW_LEASES                                                                   \
	"[{\"ip-address\":\"192.168.122.77\",\"mac-address\":\"52:54:00:00:00:77\"," \
	"\"hostname\":\"web\",\"expiry-time\":0}]"

static void change_by_rename(void)
{
	scratch_publish(world_path("leases"), "virbr0.status", NEW_LEASES);
}

static void change_in_place(void)
{
	scratch_write(world_path("leases"), "virbr0.status", NEW_LEASES, strlen(NEW_LEASES));
}

static void add_file(void)
{
	scratch_publish(world_path("leases"), "virbr1.status", NEW_LEASES);
}

static void remove_file(void)
{
	assert_int_equal(unlink(world_path("leases/virbr0.status")), 0);
}

static void recreate_directory(void)
{
	assert_int_equal(rename(world_path("leases"), world_path("before")), 0);
	assert_int_equal(mkdir(world_path("leases"), 0755), 0);
	change_by_rename();
}

static void swap_directory_by_link(void)
{
	recreate_directory();
	assert_int_equal(rename(world_path("leases"), world_path("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", world_path("leases")), 0);
}

static void change_configuration(void)
{
	size_t len;
	char *conf = scratch_read(world_path("etc/leasedns.conf"), &len);
	char text[4096];

	snprintf(text, sizeof(text), "%s[zone]\nname = other\n", conf);
	scratch_publish(world_path("etc"), "leasedns.conf", text);
	free(conf);
}

static void test_stale_index_is_not_believed(void **state)
{
	static const struct {
		const char *what;
		void (*change)(void);
		const char *web; /* Then, of libnss_leasedns. */
		const char *web_zone;
	} rows[] = {
		{"renamed over", change_by_rename, "found 192.168.122.77", "found 192.168.122.77"},
		{"written in place", change_in_place, "found 192.168.122.77",
			"found 192.168.122.77"},
		{"a new file", add_file, "found 192.168.122.10 192.168.122.77 fd00::10",
			"found 192.168.122.10 192.168.122.77 fd00::10"},
		{"a file is gone", remove_file, ABSENT, ABSENT},
		{"another directory", recreate_directory, "found 192.168.122.77",
			"found 192.168.122.77"},
		{"a link to another directory", swap_directory_by_link, "found 192.168.122.77",
			"found 192.168.122.77"},
		{"another zone", change_configuration, "found 192.168.122.10 fd00::10", ABSENT},
	};
	const struct world_module *module = &world_modules[WORLD_LEASEDNS];

	for (size_t i = 0; i < COUNT(rows); i++) {
		setup(state);
		rows[i].change();
		print_message("  %s\n", rows[i].what);
		assert_string_equal(world_ask(module, "web", 0), rows[i].web);
		assert_string_equal(world_ask(module, "web.libvirt", 0), rows[i].web_zone);
		expect_answers_of_files(rows[i].what);
	}
}

/* The configuration is gone: then the defaults hold, whose lease directory is another. */
static void test_configuration_that_vanished_counts(void **state)
{
	(void)state;
	assert_int_equal(unlink(world_path("etc/leasedns.conf")), 0);
	assert_string_not_equal(world_ask(&world_modules[WORLD_LIBVIRT], "web", 0),
		"found 192.168.122.10 fd00::10");
	expect_answers_of_files("no configuration");
}

/* An index without names. */
static void publish_index(const struct index_options *options)
{
	struct store *store = store_new(NULL, 0);
	struct index_file file;
	int fd;

	assert_non_null(store);
	assert_int_equal(index_file_create(world_path(INDEX), &file), PARSER_OK);
	assert_int_equal(index_build(store, options, file.fd, NULL, NULL), PARSER_OK);
	assert_int_equal(index_file_publish(&file, &fd), PARSER_OK);
	close(fd);
	store_free(store);
}

static void put_bad_text(void)
{
	scratch_publish(world_path("etc"), "leasedns.conf", "[zone]\nnme = other\n");
}

static void put_bad_value(void)
{
	scratch_publish(world_path("etc"), "leasedns.conf", "[zone]\nname = other\nttl = x\n");
}

static void put_binary(void)
{
	scratch_write(world_path("etc"), "leasedns.conf", "\0\xff", 2);
}

static void put_conf_directory(void)
{
	assert_int_equal(unlink(world_path("etc/leasedns.conf")), 0);
	assert_int_equal(mkdir(world_path("etc/leasedns.conf"), 0755), 0);
}

static void put_conf_fifo(void)
{
	assert_int_equal(unlink(world_path("etc/leasedns.conf")), 0);
	assert_int_equal(mkfifo(world_path("etc/leasedns.conf"), 0644), 0);
}

static void put_conf_loop(void)
{
	assert_int_equal(unlink(world_path("etc/leasedns.conf")), 0);
	assert_int_equal(symlink("leasedns.conf", world_path("etc/leasedns.conf")), 0);
}

static void expect_unavailable(void)
{
	for (size_t i = 0; i < WORLD_MODULES; i++) {
		assert_string_equal(world_ask(&world_modules[i], "web", 0), UNAVAILABLE);
		assert_string_equal(
			world_ask_address(&world_modules[i], "192.168.122.10"), UNAVAILABLE);
	}
}

/* The server keeps its settings if they become wrong in the file, and its index up to date. So do
 * the modules, as long as the leases are those of the index; else nobody knows the settings. */
static void test_bad_configuration_leaves_what_was_in_force(void **state)
{
	static void (*const puts[])(void) = {put_bad_text, put_bad_value, put_binary,
		put_conf_directory, put_conf_fifo, put_conf_loop};
	char *expected = ask_all();

	for (size_t i = 0; i < COUNT(puts); i++) {
		char *answers;

		setup(state);
		puts[i]();
		alarm(CALL_S_MAX);
		answers = ask_all();
		assert_string_equal(answers, expected);
		free(answers);
		change_by_rename();
		expect_unavailable();
		world_drop_index();
		expect_unavailable();
		alarm(0);
	}
	free(expected);
}

/* It need not have been there when the server started. */
static void test_bad_configuration_counts_as_none_where_there_was_none(void **state)
{
	const struct bytes zone = bytes_of_text("libvirt");
	const char *conf = world_path("etc/leasedns.conf");
	struct index_source source = {.path = bytes_of_text(conf)};
	struct index_options options = {
		.zones = &zone, .zone_count = 1, .sources = &source, .source_count = 1};

	(void)state;
	assert_int_equal(unlink(conf), 0);
	source_stamp_take(conf, &source.stamp);
	publish_index(&options);
	assert_string_equal(world_ask(&world_modules[WORLD_LEASEDNS], "libvirt", 0), NODATA);
	put_bad_text();
	assert_string_equal(world_ask(&world_modules[WORLD_LEASEDNS], "libvirt", 0), NODATA);
}

/* An index without names that knows the lease file by a stamp of that age. */
static void put_empty_index_of_age(int64_t observed_after_ns)
{
	static const struct bytes zone = {(const uint8_t *)"libvirt", 7};
	const char *path = world_path("leases/virbr0.status");
	struct index_source source = {.path = bytes_of_text(path)};
	struct index_options options = {
		.zones = &zone, .zone_count = 1, .sources = &source, .source_count = 1};

	source_stamp_take(path, &source.stamp);
	source.stamp.observed_ns = source.stamp.mtime_ns + observed_after_ns;
	publish_index(&options);
}

/* What was read in the tick of its last change may have changed again in that tick. */
static void test_racy_index_is_not_believed(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];

	(void)state;
	put_empty_index_of_age(INT64_C(1000000000));
	assert_string_equal(world_ask(module, "web", 0), ABSENT);
	put_empty_index_of_age(1000000);
	assert_string_equal(world_ask(module, "web", 0), "found 192.168.122.10 fd00::10");
}

static void test_missing_sources_are_unavailable(void **state)
{
	(void)state;
	world_drop_index();
	assert_int_equal(rename(world_path("leases"), world_path("before")), 0);
	for (size_t i = 0; i < WORLD_MODULES; i++) {
		assert_string_equal(world_ask(&world_modules[i], "web", 0), UNAVAILABLE);
		assert_string_equal(
			world_ask_address(&world_modules[i], "192.168.122.10"), UNAVAILABLE);
	}
	/* A file in its place is no directory of leases. */
	scratch_write(world_path(""), "leases", "", 0);
	assert_string_equal(world_ask(&world_modules[WORLD_LIBVIRT], "web", 0), UNAVAILABLE);
}

/* "No such name" would be a guess if a file could not be read; what others hold is found. */
static void test_bad_lease_file_costs_only_itself(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];

	(void)state;
	world_drop_index();
	scratch_publish(world_path("leases"), "virbr1.status", "[{\"ip-address\":\"10.9");
	assert_string_equal(world_ask(module, "web", 0), "found 192.168.122.10 fd00::10");
	assert_string_equal(world_ask(module, "missing", 0), UNAVAILABLE);
	assert_string_equal(world_ask_address(module, "192.168.122.99"), UNAVAILABLE);
	assert_int_equal(unlink(world_path("leases/virbr1.status")), 0);
	assert_int_equal(mkfifo(world_path("leases/virbr1.status"), 0644), 0);
	assert_string_equal(world_ask(module, "web", 0), "found 192.168.122.10 fd00::10");
	assert_string_equal(world_ask(module, "missing", 0), UNAVAILABLE);
	assert_int_equal(unlink(world_path("leases/virbr1.status")), 0);
	assert_int_equal(symlink("virbr0.status", world_path("leases/virbr1.status")), 0);
	assert_string_equal(world_ask(module, "missing", 0), UNAVAILABLE);
}

/* --- Not an index --------------------------------------------------------------------------- */

static void put_fifo(void)
{
	assert_int_equal(mkfifo(world_path(INDEX), 0644), 0);
}

static void put_link(void)
{
	assert_int_equal(symlink("good", world_path(INDEX)), 0);
}

static void put_directory(void)
{
	assert_int_equal(mkdir(world_path(INDEX), 0755), 0);
}

static void put_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Its path is too long for some build directories. */
	assert_int_equal(chdir(world_path("run")), 0);
	strcpy(address.sun_path, "index.cdb");
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void put_nothing(void)
{
}

static void put_empty(void)
{
	scratch_write(world_path("run"), "index.cdb", "", 0);
}

/* A lying index, wholly sound in itself, so that whoever believes it is found out. */
static void put_good(void)
{
	assert_int_equal(link(world_path("run/good"), world_path(INDEX)), 0);
}

static void put_writable_by_group(void)
{
	put_good();
	assert_int_equal(chmod(world_path(INDEX), 0664), 0);
}

static void put_writable_by_all(void)
{
	put_good();
	assert_int_equal(chmod(world_path(INDEX), 0646), 0);
}

static void put_owned_by_stranger(void)
{
	put_good();
	assert_int_equal(chown(world_path(INDEX), 12345, 12345), 0);
}

static void put_in_group_directory(void)
{
	put_good();
	assert_int_equal(chmod(world_path("run"), 0775), 0);
}

static void put_in_sticky_directory(void)
{
	put_good();
	assert_int_equal(chmod(world_path("run"), 01777), 0);
}

static void put_in_strangers_directory(void)
{
	put_good();
	assert_int_equal(chown(world_path("run"), 12345, 12345), 0);
}

static void put_too_large(void)
{
	put_good();
	assert_int_equal(truncate(world_path(INDEX), (off_t)INDEX_FILE_OCTETS_MAX + 1), 0);
}

static void put_below_file(void)
{
	assert_int_equal(rename(world_path("run"), world_path("elsewhere")), 0);
	scratch_write(world_path(""), "run", "", 0);
}

static void put_below_nothing(void)
{
	assert_int_equal(rename(world_path("run"), world_path("elsewhere")), 0);
}

/* Replaces the leases by others of the same size, keeping the stamp that the index has of them. */
static void make_index_lie(void)
{
	size_t len;
	char *leases = scratch_read(world_path("leases/virbr0.status"), &len);
	char *web = strstr(leases, "192.168.122.10");
	FILE *stream = fopen(world_path("leases/virbr0.status"), "r+");

	assert_non_null(web);
	memcpy(web, "192.168.122.99", 14);
	assert_non_null(stream);
	assert_int_equal(fwrite(leases, 1, len, stream), len);
	fclose(stream);
	free(leases);
	world_settle();
}

static void test_what_is_no_index_is_not_believed(void **state)
{
	static const struct {
		const char *what;
		void (*put)(void);
		bool needs_root;
	} rows[] = {
		{"nothing", put_nothing, false},
		{"an empty file", put_empty, false},
		{"a FIFO", put_fifo, false},
		{"a symbolic link", put_link, false},
		{"a directory", put_directory, false},
		{"a socket", put_socket, false},
		{"a file that its group may write", put_writable_by_group, false},
		{"a file that all may write", put_writable_by_all, false},
		{"a stranger's file", put_owned_by_stranger, true},
		{"a file in a directory that its group may write", put_in_group_directory, false},
		{"a file in a sticky directory", put_in_sticky_directory, false},
		{"a file in a stranger's directory", put_in_strangers_directory, true},
		{"a file that is too large", put_too_large, false},
		{"a file where its directory should be", put_below_file, false},
		{"no directory", put_below_nothing, false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct world_module *module = &world_modules[WORLD_LIBVIRT];

		if (rows[i].needs_root && geteuid() != 0)
			fail_msg("'%s' needs root", rows[i].what);
		setup(state);
		make_index_lie();
		assert_string_equal(world_ask(module, "web", AF_INET), "found 192.168.122.10");
		assert_int_equal(rename(world_path(INDEX), world_path("run/good")), 0);
		rows[i].put();
		print_message("  %s\n", rows[i].what);
		alarm(CALL_S_MAX);
		assert_string_equal(world_ask(module, "web", AF_INET), "found 192.168.122.99");
		alarm(0);
	}
}

/* --- Damaged -------------------------------------------------------------------------------- */

static void put_index(const char *octets, size_t len)
{
	scratch_write(world_path("run"), "index.cdb", octets, len);
	assert_int_equal(chmod(world_path(INDEX), 0644), 0);
}

/* Always the same numbers. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Wherever an index ends too early, the answer is that of the files, "no such name" included. */
static void test_index_cut_short_is_not_believed(void **state)
{
	size_t len;
	uint32_t seed = 1;
	char *octets;
	char *expected;
	char *answers;

	(void)state;
	world_write_leases("virbr7", "many", 300, false);
	world_index();
	octets = scratch_read(world_path(INDEX), &len);
	expected = ask_files();
	for (size_t i = 0; i < 160; i++) {
		size_t cut = i * 4096 < len ? i * 4096 : next_random(&seed) % len;

		/* The hash tables, which come last, are where it is delicate. */
		if (i > 80)
			cut = len - 1 - cut % 8192;
		put_index(octets, cut);
		answers = ask_all();
		if (strcmp(answers, expected) != 0)
			print_error("cut at %zu of %zu\n", cut, len);
		assert_string_equal(answers, expected);
		free(answers);
	}
	free(expected);
	free(octets);
}

/* Flipped bits may lie, like a forged index: nothing tells. But they neither kill nor hang anybody,
 * and each answer is one of the table of statuses. */
static void test_flipped_bits_harm_nobody(void **state)
{
	size_t len;
	uint32_t seed = 7;
	char *octets = scratch_read(world_path(INDEX), &len);

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		size_t flips = 1 + next_random(&seed) % (i % 3 ? 4 : 200);
		char *damaged = malloc(len);

		assert_non_null(damaged);
		memcpy(damaged, octets, len);
		for (size_t j = 0; j < flips; j++)
			damaged[next_random(&seed) % len] ^= (char)(1u << next_random(&seed) % 8);
		put_index(damaged, len);
		free(damaged);
		for (size_t j = 0; j < COUNT(questions); j++) {
			const char *answer = ask(&questions[j]);

			assert_true(strncmp(answer, "found ", 6) == 0 ||
				    strcmp(answer, ABSENT) == 0 || strcmp(answer, NODATA) == 0);
		}
	}
	free(octets);
}

/* An answer of which half was given out already is taken back. */
static void test_half_an_answer_is_taken_back(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];
	char *expected;
	size_t len;
	char *octets;
	char *record;

	(void)state;
	world_write_leases("virbr7", "many", 30, false);
	world_index();
	expected = strdup(world_ask(module, "many", 0));
	assert_non_null(expected);
	octets = scratch_read(world_path(INDEX), &len);
	/* Address 10.1.0.20 of 30, 28 octets into its record: its family becomes nonsense, wherever
	 * it stands. */
	for (record = octets; (record = memmem(record, (size_t)(octets + (long)len - record),
				       "\x0a\x01\x00\x14\0\0\0\0\0\0\0\0", 12)) != NULL;
		record++) {
		assert_int_equal(record[-28], 4);
		record[-28] = 9;
	}
	put_index(octets, len);
	assert_string_equal(world_ask(module, "many", 0), expected);
	assert_string_equal(world_ask(module, "many", AF_INET), expected);
	free(octets);
	free(expected);
}

/* --- Sandboxes ------------------------------------------------------------------------------ */

/* Who sees the index but not the leases believes it. */
static void test_index_is_believed_where_leases_are_hidden(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LIBVIRT];

	(void)state;
	if (geteuid() != 0)
		fail_msg("this test needs root");
	assert_int_equal(chmod(world_path("leases"), 0700), 0);
	world_index();
	assert_int_equal(seteuid(65534), 0);
	assert_string_equal(world_ask(module, "web", 0), "found 192.168.122.10 fd00::10");
	assert_int_equal(seteuid(0), 0);
	world_drop_index();
	assert_int_equal(seteuid(65534), 0);
	assert_string_equal(world_ask(module, "web", 0), UNAVAILABLE);
	assert_int_equal(seteuid(0), 0);
	setup(state);
	assert_int_equal(chmod(world_path("etc/leasedns.conf"), 0600), 0);
	world_drop_index();
	assert_int_equal(seteuid(65534), 0);
	assert_string_equal(world_ask(module, "web", 0), UNAVAILABLE);
	assert_int_equal(seteuid(0), 0);
}

/* An index that another configuration made: it is fresh, so its zone is the zone. */
static void test_zone_comes_from_the_index(void **state)
{
	const struct world_module *module = &world_modules[WORLD_LEASEDNS];

	(void)state;
	world_reset("[zone]\nname = vm.example libvirt\n");
	world_fill();
	world_index();
	assert_string_equal(
		world_ask(module, "web.vm.example", 0), "found 192.168.122.10 fd00::10");
	assert_string_equal(
		world_ask(module, "WEB.VM.Example.", 0), "found 192.168.122.10 fd00::10");
	assert_string_equal(world_ask(module, "web.libvirt", 0), "found 192.168.122.10 fd00::10");
	assert_string_equal(world_ask(module, "web.example", 0), ABSENT);
	assert_string_equal(world_ask_address(module, "192.168.122.10"), "found web.vm.example");
	expect_answers_of_files("two zones");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_index_and_lease_files_say_the_same, setup),
		cmocka_unit_test_setup(test_fresh_index_is_believed, setup),
		cmocka_unit_test_setup(test_stale_index_is_not_believed, setup),
		cmocka_unit_test_setup(test_configuration_that_vanished_counts, setup),
		cmocka_unit_test_setup(test_bad_configuration_leaves_what_was_in_force, setup),
		cmocka_unit_test_setup(
			test_bad_configuration_counts_as_none_where_there_was_none, setup),
		cmocka_unit_test_setup(test_racy_index_is_not_believed, setup),
		cmocka_unit_test_setup(test_missing_sources_are_unavailable, setup),
		cmocka_unit_test_setup(test_bad_lease_file_costs_only_itself, setup),
		cmocka_unit_test_setup(test_what_is_no_index_is_not_believed, setup),
		cmocka_unit_test_setup(test_index_cut_short_is_not_believed, setup),
		cmocka_unit_test_setup(test_flipped_bits_harm_nobody, setup),
		cmocka_unit_test_setup(test_half_an_answer_is_taken_back, setup),
		cmocka_unit_test_setup(test_index_is_believed_where_leases_are_hidden, setup),
		cmocka_unit_test_setup(test_zone_comes_from_the_index, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
