/* What a lookup by name or address costs a program, through glibc: our modules with the index and
 * by parsing, libvirt's own modules, and /etc/hosts of the same size. `bench_nss [ROUNDS]`, as
 * root; $LEASEDNS_NSS_DIR and $LEASEDNS_PEER_NSS_DIR name other directories of modules. Changes
 * nothing on the host: files lie in a mount namespace of its own.
 *
 * Every subject is a process of its own, since two modules of one name do not fit into one. They
 * take turns of some milliseconds, so that a busy machine is busy for all. */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <nss.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/names/snapshot.h"
#include "tests/support/many_leases.h"
#include "tests/support/scratch.h"

#define LEASES_DIR  "/var/lib/libvirt/dnsmasq"
#define HIDDEN      LEASEDNS_INDEX_FILE ".away"
#define TURN_NS     INT64_C(20000000)
#define CALLS_MIN   2
#define CALLS_MAX   20000
#define ROUNDS_MAX  64
#define GUESTS_FILE 60000u

enum act { ACT_HIT, ACT_MISS, ACT_ADDRESS, ACT_COUNT };

static const char *const act_names[ACT_COUNT] = {
	"getaddrinfo, hit", "getaddrinfo, miss", "gethostbyaddr_r"};

enum origin { OURS, PEER, GLIBC };

struct subject {
	const char *label;
	const char *service; /* In nsswitch.conf's words. */
	const char *prefix;  /* Of names that it knows. */
	enum origin origin;
	bool with_index;
	bool acts[ACT_COUNT];
};

static const struct subject subjects[] = {
	{"libvirt, peer", "libvirt", "vm", PEER, false, {true, true, false}},
	{"libvirt, parsing", "libvirt", "vm", OURS, false, {true, true, true}},
	{"libvirt, index", "libvirt", "vm", OURS, true, {true, true, true}},
	{"libvirt_guest, peer", "libvirt_guest", "guest", PEER, false, {true, true, false}},
	{"libvirt_guest, parsing", "libvirt_guest", "guest", OURS, false, {true, true, true}},
	{"libvirt_guest, index", "libvirt_guest", "guest", OURS, true, {true, true, true}},
	{"leasedns, parsing", "leasedns", "vm", OURS, false, {true, true, true}},
	{"leasedns, index", "leasedns", "vm", OURS, true, {true, true, true}},
	{"files", "files", "vm", GLIBC, false, {true, true, true}},
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

struct turn {
	double median_us;
	double low_us; /* The least contended tenth. */
};

struct worker {
	FILE *ask;
	FILE *reply;
	pid_t pid;
};

static int compare_doubles(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- The process of one subject -------------------------------------------------------------- */

static void call_by_name(const char *prefix, size_t i, bool hit)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *result = NULL;
	char name[64];
	int code;

	snprintf(name, sizeof(name), "%s-%zu%s", prefix, i, hit ? "" : "-nobody");
	code = getaddrinfo(name, NULL, &hints, &result);
	if (hit ? code != 0 : code != EAI_NONAME && code != EAI_NODATA)
		errx(1, "%s: %s", name, gai_strerror(code));
	if (result)
		freeaddrinfo(result);
}

static void call_by_address(size_t i)
{
	const uint8_t octets[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
	struct hostent host;
	struct hostent *result = NULL;
	char buffer[4096];
	int error;

	if (gethostbyaddr_r(octets, sizeof(octets), AF_INET, &host, buffer, sizeof(buffer), &result,
		    &error) != 0 ||
		!result)
		errx(1, "10.%zu.%zu.%zu: %s", i >> 16, i >> 8 & 0xff, i & 0xff, hstrerror(error));
}

static void take_turn(const char *prefix, enum act act, size_t count)
{
	static double took_us[CALLS_MAX];
	const int64_t end_ns = clock_ns() + TURN_NS;
	size_t calls = 0;

	for (int64_t start_ns = clock_ns();
		calls < CALLS_MAX && (calls < CALLS_MIN || start_ns < end_ns);) {
		const size_t i = 1 + (size_t)random() % (count - 1);
		int64_t stop_ns;

		if (act == ACT_ADDRESS)
			call_by_address(i);
		else
			call_by_name(prefix, i, act == ACT_HIT);
		stop_ns = clock_ns();
		took_us[calls++] = (double)(stop_ns - start_ns) / 1e3;
		start_ns = stop_ns;
	}
	qsort(took_us, calls, sizeof(took_us[0]), compare_doubles);
	printf("%.3f %.3f\n", took_us[calls / 2], took_us[calls / 10]);
	fflush(stdout);
}

static int work(const char *service, const char *prefix)
{
	int act;
	size_t count;

	if (__nss_configure_lookup("hosts", service) != 0)
		err(1, "%s", service);
	while (scanf("%d %zu", &act, &count) == 2)
		take_turn(prefix, (enum act)act, count);
	return 0;
}

static const char *modules_of(enum origin origin)
{
	const char *set = getenv(origin == OURS ? "LEASEDNS_NSS_DIR" : "LEASEDNS_PEER_NSS_DIR");

	if (set)
		return set;
	return origin == OURS ? LEASEDNS_NSS_DIR : LEASEDNS_PEER_NSS_DIR;
}

static struct worker worker_start(const struct subject *subject)
{
	struct worker worker;
	int down[2];
	int up[2];

	if (pipe(down) < 0 || pipe(up) < 0)
		err(1, "pipe");
	worker.pid = fork();
	if (worker.pid < 0)
		err(1, "fork");
	if (worker.pid == 0) {
		dup2(down[0], STDIN_FILENO);
		dup2(up[1], STDOUT_FILENO);
		for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
			close(fd);
		if (subject->origin != GLIBC)
			setenv("LD_LIBRARY_PATH", modules_of(subject->origin), 1);
		execl("/proc/self/exe", "bench_nss", "--worker", subject->service, subject->prefix,
			(char *)NULL);
		err(1, "/proc/self/exe");
	}
	close(down[0]);
	close(up[1]);
	worker.ask = fdopen(down[1], "w");
	worker.reply = fdopen(up[0], "r");
	if (!worker.ask || !worker.reply)
		err(1, "fdopen");
	return worker;
}

static struct turn worker_turn(struct worker *worker, enum act act, size_t count)
{
	struct turn turn;

	fprintf(worker->ask, "%d %zu\n", (int)act, count);
	fflush(worker->ask);
	if (fscanf(worker->reply, "%lf %lf", &turn.median_us, &turn.low_us) != 2)
		errx(1, "a subject ended");
	return turn;
}

static void worker_stop(struct worker *worker)
{
	fclose(worker->ask);
	fclose(worker->reply);
	waitpid(worker->pid, NULL, 0);
}

/* --- What they look at ------------------------------------------------------------------------ */

static void enter_namespace(void)
{
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || scratch_own_mounts() < 0)
		err(1, "a mount namespace (are you root?)");
	if (mount("tmpfs", stat("/var/lib/libvirt", &st) == 0 ? "/var/lib/libvirt" : "/var/lib",
		    "tmpfs", 0, "mode=755") < 0 ||
		mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0)
		err(1, "tmpfs");
	if (stat(LEASEDNS_CONF_FILE, &st) == 0 &&
		mount("/dev/null", LEASEDNS_CONF_FILE, NULL, MS_BIND, NULL) < 0)
		err(1, "%s", LEASEDNS_CONF_FILE);
	mkdir("/var/lib/libvirt", 0755);
	if (mkdir("/run/leasedns", 0755) < 0 || mkdir("/run/hosts", 0755) < 0)
		err(1, "/run");
}

static FILE *open_file(const char *path)
{
	FILE *stream = fopen(path, "w");

	if (!stream)
		err(1, "%s", path);
	return stream;
}

static void close_file(FILE *stream, const char *path)
{
	if (fclose(stream) != 0)
		err(1, "%s", path);
}

/* Guest i has the MAC address of lease i. */
static void write_guests(size_t count)
{
	for (size_t done = 0, file = 0; done < count; file++) {
		const size_t end = done + GUESTS_FILE < count ? done + GUESTS_FILE : count;
		const size_t start = done;
		char path[64];
		FILE *stream;

		snprintf(path, sizeof(path), LEASES_DIR "/virbr%zu.macs", file);
		stream = open_file(path);
		fputs("[\n", stream);
		for (; done < end; done++)
			fprintf(stream,
				"%s  {\n    \"domain\": \"guest-%zu\",\n    \"macs\": [\n"
				"      \"52:54:00:%02zx:%02zx:%02zx\"\n    ]\n  }",
				done == start ? "" : ",\n", done, done / 65536 % 256,
				done / 256 % 256, done % 256);
		fputs("\n]\n", stream);
		close_file(stream, path);
	}
}

static void write_hosts(size_t count)
{
	static const char path[] = "/run/hosts/hosts";
	FILE *stream = open_file(path);

	for (size_t i = 0; i < count; i++)
		fprintf(stream, "10.%zu.%zu.%zu vm-%zu\n", i / 65536, i / 256 % 256, i % 256, i);
	close_file(stream, path);
	if (mount(path, "/etc/hosts", NULL, MS_BIND, NULL) < 0)
		err(1, "/etc/hosts");
}

static void publish_index(void)
{
	/* Beyond what counts as racy: a file that was written a moment ago is not believed. */
	const struct timespec wait = {.tv_nsec = 50000000};
	const struct snapshot_sinks sinks = {0};
	struct snapshot_conf conf;
	struct conf_error error;
	struct store *store;
	int fd;

	nanosleep(&wait, NULL);
	if (snapshot_conf_load(NULL, &conf, &error) != CONF_OK)
		errx(1, "%s", error.message);
	store = snapshot_store_new(&conf);
	if (!store || snapshot_settle(store, &sinks) != PARSER_OK ||
		snapshot_publish(&conf, store, NULL, &sinks, &fd) != PARSER_OK)
		errx(1, "no index");
	close(fd);
	store_free(store);
	snapshot_conf_done(&conf);
}

static void show_index(bool shown)
{
	struct stat st;
	const bool is_shown = stat(LEASEDNS_INDEX_FILE, &st) == 0;

	if (is_shown != shown && rename(shown ? HIDDEN : LEASEDNS_INDEX_FILE,
					 shown ? LEASEDNS_INDEX_FILE : HIDDEN) < 0)
		err(1, "%s", LEASEDNS_INDEX_FILE);
}

static void prepare(size_t count)
{
	/* Of the last size. */
	umount("/etc/hosts");
	umount(LEASES_DIR);
	mkdir(LEASES_DIR, 0755);
	if (mount("tmpfs", LEASES_DIR, "tmpfs", 0, "mode=755") < 0)
		err(1, "tmpfs");
	many_leases_write(LEASES_DIR, count, time(NULL) + 86400);
	write_guests(count);
	write_hosts(count);
	unlink(HIDDEN);
	publish_index();
}

/* --- The table -------------------------------------------------------------------------------- */

struct series {
	double median_us[ROUNDS_MAX];
	double low_us[ROUNDS_MAX];
	double ratio[ROUNDS_MAX]; /* To the peer of that service in the same round. */
	size_t rounds;
};

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[count / 2];
}

/* The module that a subject is compared with: libvirt's own of that name, or its first. */
static size_t peer_of(size_t s)
{
	for (size_t i = 0; i < SUBJECTS; i++) {
		if (subjects[i].origin == PEER &&
			strcmp(subjects[i].service, subjects[s].service) == 0)
			return i;
	}
	return 0;
}

static void print_row(size_t s, enum act act, size_t count, struct series *series)
{
	printf("| %7zu | %-17s | %-22s | %10.1f | %10.1f |", count, act_names[act],
		subjects[s].label, median(series->median_us, series->rounds),
		median(series->low_us, series->rounds));
	if (act == ACT_ADDRESS)
		puts("         - |");
	else
		printf(" %9.4f |\n", median(series->ratio, series->rounds));
	fflush(stdout);
}

static void measure_act(struct worker workers[SUBJECTS], enum act act, size_t count, size_t rounds)
{
	static struct series series[SUBJECTS];

	memset(series, 0, sizeof(series));
	for (size_t round = 0; round < rounds; round++) {
		for (size_t s = 0; s < SUBJECTS; s++) {
			struct turn turn;

			if (!subjects[s].acts[act])
				continue;
			show_index(subjects[s].with_index);
			turn = worker_turn(&workers[s], act, count);
			series[s].median_us[round] = turn.median_us;
			series[s].low_us[round] = turn.low_us;
			series[s].rounds = round + 1;
		}
		for (size_t s = 0; s < SUBJECTS; s++)
			series[s].ratio[round] =
				series[s].median_us[round] / series[peer_of(s)].median_us[round];
	}
	for (size_t s = 0; s < SUBJECTS; s++) {
		if (series[s].rounds)
			print_row(s, act, count, &series[s]);
	}
}

/* What the kernel takes on this machine for the least that a lookup must do. */
static void print_stat_cost(void)
{
	static double took_us[CALLS_MAX];

	for (size_t i = 0; i < CALLS_MAX; i++) {
		const int64_t start_ns = clock_ns();
		struct stat st;

		if (stat(LEASES_DIR, &st) < 0)
			err(1, LEASES_DIR);
		took_us[i] = (double)(clock_ns() - start_ns) / 1e3;
	}
	printf("stat() of the lease directory: %.2f us (median of %d)\n",
		median(took_us, CALLS_MAX), CALLS_MAX);
}

int main(int argc, char **argv)
{
	static const size_t counts[] = {10, 1000, 10000, 100000};
	const size_t rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 9;
	struct worker workers[SUBJECTS];

	if (argc == 4 && strcmp(argv[1], "--worker") == 0)
		return work(argv[2], argv[3]);
	if (argc > 2 || rounds == 0 || rounds > ROUNDS_MAX)
		errx(2, "usage: bench_nss [ROUNDS]");
	enter_namespace();
	puts("|  leases | call              | answered by            |  median us |   best 10% | / "
	     "libvirt |\n"
	     "|--------:|-------------------|------------------------|-----------:|-----------:|---"
	     "-------:|");
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		prepare(counts[c]);
		for (size_t s = 0; s < SUBJECTS; s++)
			workers[s] = worker_start(&subjects[s]);
		for (int act = 0; act < ACT_COUNT; act++)
			measure_act(workers, (enum act)act, counts[c], rounds);
		for (size_t s = 0; s < SUBJECTS; s++)
			worker_stop(&workers[s]);
	}
	print_stat_cost();
	return 0;
}
