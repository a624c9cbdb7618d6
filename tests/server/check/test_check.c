/* A whole check of a host that lies in a scratch directory: nothing runs there, and no name server
 * is asked but on a port of this host that nobody has. tests/e2e/test_check.py has the other hosts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/check/check.h"
#include "tests/support/scratch.h"

#define NOW INT64_C(1800000000)

struct world {
	char *directory;
	char *paths[16];
	size_t path_count;
	struct check_host host;
	struct snapshot_conf conf;
	struct check *check;
};

static const char *world_path(struct world *world, const char *name)
{
	char *path = strdup(scratch_path(world->directory, name));

	assert_non_null(path);
	world->paths[world->path_count++] = path;
	return path;
}

static int world_open(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct conf_error error = {0};
	char text[8192];

	assert_non_null(world);
	world->directory = scratch_new();
	mkdir(scratch_path(world->directory, "leases"), 0755);
	mkdir(scratch_path(world->directory, "net"), 0755);
	mkdir(scratch_path(world->directory, "net/virbr0"), 0755);
	/* Port 1 of a loopback address that is nobody's. */
	snprintf(text, sizeof(text),
		"[server]\nlisten = 127.18.53.1:1\n[leases]\nlibvirt = %s/leases\n"
		"[index]\nfile = %s/index.cdb\n[forward]\nupstream = none\n",
		world->directory, world->directory);
	scratch_publish(world->directory, "leasedns.conf", text);
	scratch_publish(world->directory, "nsswitch.conf", "hosts: files dns\n");
	scratch_publish(world->directory, "resolv.conf", "search libvirt\n");
	scratch_publish(world->directory, "hosts", "127.0.0.1 localhost\n");
	world->host = (struct check_host){
		.nsswitch_path = world_path(world, "nsswitch.conf"),
		.resolv_conf_path = world_path(world, "resolv.conf"),
		.hosts_path = world_path(world, "hosts"),
		.nscd_conf_path = world_path(world, "nscd.conf"),
		.nscd_socket = world_path(world, "nscd"),
		.interfaces = world_path(world, "net"),
		.daemon_user = "no-such-user",
		.module_index = world_path(world, "index.cdb"),
		.module_conf = world_path(world, "leasedns.conf"),
		.systemd = world_path(world, "systemd"),
		.units = {world_path(world, "units"), world_path(world, "more-units")},
	};
	assert_int_equal(
		snapshot_conf_load(world->host.module_conf, &world->conf, &error), CONF_OK);
	world->check = calloc(1, sizeof(*world->check));
	assert_non_null(world->check);
	*state = world;
	return 0;
}

static int world_close(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < world->path_count; i++)
		free(world->paths[i]);
	snapshot_conf_done(&world->conf);
	scratch_free(world->directory);
	free(world->check);
	free(world);
	return 0;
}

static void publish(struct world *world, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "leases/%s", name);
	scratch_publish(world->directory, path, text);
}

/* "id id …" of what was found, in the order in which it is told; in a static buffer. */
static const char *found(struct world *world, const char *wanted)
{
	static char text[4096];

	check_run(&world->host, &world->conf, wanted, NOW, world->check);
	text[0] = '\0';
	for (size_t i = 0; i < world->check->report.finding_count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, check_kinds[world->check->report.findings[i].id].id);
	}
	assert_false(world->check->report.no_memory);
	check_done(world->check);
	return text;
}

static const char one_lease[] =
	"[{\"ip-address\": \"192.168.122.2\", \"mac-address\": \"52:54:00:00:00:02\","
	" \"hostname\": \"guest-a\", \"expiry-time\": 0}]";

static void test_host_without_anything(void **state)
{
	struct world *world = *state;

	assert_string_equal(found(world, NULL),
		"daemon-not-running nsswitch-lacks-us resolver-none leases-empty index-missing "
		"daemon-port");
	assert_false(world->check->names_resolve);
}

static void test_name_is_followed_to_where_it_stops(void **state)
{
	struct world *world = *state;

	publish(world, "virbr0.status", one_lease);
	assert_string_equal(found(world, "guest-a.libvirt"),
		"daemon-not-running nsswitch-lacks-us resolver-none trace-stops-daemon "
		"trace-stops-nss index-missing daemon-port");
	assert_string_equal(found(world, "other"),
		"daemon-not-running nsswitch-lacks-us resolver-none trace-unknown index-missing "
		"daemon-port");
	/* Names of any length and bytes. */
	for (int len = 1; len < 1500; len = len * 3) {
		char name[2048];

		memset(name, len % 2 ? 'x' : '\xff', sizeof(name));
		name[len] = '\0';
		assert_non_null(strstr(found(world, name), "trace-unknown"));
	}
	assert_non_null(strstr(found(world, ""), "daemon-not-running"));
}

/* The mends of a kind, or NULL; in a static buffer. */
static const char *mends(struct world *world, enum check_id id)
{
	static char text[4096];
	const char *result = NULL;

	check_run(&world->host, &world->conf, NULL, NOW, world->check);
	for (size_t i = 0; i < world->check->report.finding_count; i++) {
		const struct check_finding *finding = &world->check->report.findings[i];

		if (finding->id != id)
			continue;
		snprintf(text, sizeof(text), "%s", finding->mend ? finding->mend : "");
		result = text;
	}
	check_done(world->check);
	return result;
}

/* Where systemd has a socket unit for the daemon, an address in the configuration does nothing. */
static void test_mend_is_where_the_address_counts(void **state)
{
	static const char conf[] = "[server] listen = 127.0.0.56 in '";
	static const char unit[] = "systemctl edit leasedns.socket";
	struct world *world = *state;

	assert_non_null(strstr(mends(world, CHECK_DAEMON_PORT), conf));
	mkdir(scratch_path(world->directory, "more-units"), 0755);
	scratch_publish(world->directory, "more-units/leasedns.socket", "[Socket]\n");
	assert_non_null(strstr(mends(world, CHECK_DAEMON_PORT), conf));
	mkdir(scratch_path(world->directory, "systemd"), 0755);
	assert_non_null(strstr(mends(world, CHECK_DAEMON_PORT), unit));
	assert_non_null(
		strstr(mends(world, CHECK_DAEMON_PORT), "\n    ListenStream=127.0.0.56:53\n"));
}

/* Answers one question over a control socket, in a child. */
static void tell(struct world *world, const char *document)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t child;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		scratch_path(world->directory, "control"));
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	child = fork();
	if (child == 0) {
		int client = accept(fd, NULL, NULL);
		char request[64];

		alarm(60);
		if (read(client, request, sizeof(request)) > 0)
			dprintf(client, "%s\n", document);
		_exit(0);
	}
	close(fd);
}

static void test_what_the_daemon_tells_of_its_sockets_is_not_trusted(void **state)
{
	static const char many[] = "{\"address\": \"127.18.53.1:%d\", \"transport\": \"udp\"}";
	static const char *const nonsense[] = {"", "[]", "{", "{\"listen\": 1}", "{\"listen\": {}}",
		"{\"listen\": []}", "{\"listen\": [1, null, [], {}, {\"address\": 7}]}",
		"{\"is_activated\": \"x\", \"listen\": [{\"address\": \"127.0.0.1:99999\"}]}"};
	struct world *world = *state;
	char document[4096] = "{\"listen\": [";

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		tell(world, nonsense[i]);
		assert_string_equal(found(world, NULL),
			"daemon-not-running nsswitch-lacks-us resolver-none leases-empty "
			"index-missing daemon-port");
		wait(NULL);
	}
	for (int i = 1; i < 40; i++) {
		sprintf(document + strlen(document), i > 1 ? ", " : "");
		sprintf(document + strlen(document), many, i);
	}
	strcat(document, "]}");
	tell(world, document);
	check_run(&world->host, &world->conf, NULL, NOW, world->check);
	assert_int_equal(world->check->listen_count, CHECK_LISTEN_MAX);
	check_done(world->check);
	wait(NULL);
}

static void test_names_of_leases_are_looked_at(void **state)
{
	struct world *world = *state;

	publish(world, "virbr0.status",
		"[{\"ip-address\": \"192.168.122.2\", \"mac-address\": \"52:54:00:00:00:02\","
		" \"hostname\": \"guest-a\", \"expiry-time\": 0},"
		"{\"ip-address\": \"192.168.122.3\", \"mac-address\": \"52:54:00:00:00:03\","
		" \"hostname\": \"Guest-A\", \"expiry-time\": 0},"
		"{\"ip-address\": \"192.168.122.3\", \"mac-address\": \"52:54:00:00:00:04\","
		" \"hostname\": \"wpad\", \"expiry-time\": 0}]");
	publish(world, "virbr1.status", "[]");
	publish(world, "virbr2.status", one_lease);
	scratch_publish(
		world->directory, "hosts", "10.0.0.1 a guest-a\nnonsense guest-a\n::1 #guest-a\n");
	assert_string_equal(found(world, NULL),
		"daemon-not-running nsswitch-lacks-us resolver-none leases-stale-network "
		"name-shared address-shared name-in-hosts index-missing daemon-port name-refused");
}

static void test_nscd_counts_only_while_somebody_listens(void **state)
{
	struct world *world = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->host.nscd_socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_null(strstr(found(world, NULL), "nscd-caches"));
	listen(fd, 8);
	assert_non_null(strstr(found(world, NULL), "nscd-caches"));
	scratch_publish(world->directory, "nscd.conf", "enable-cache passwd no\n");
	assert_non_null(strstr(found(world, NULL), "nscd-caches"));
	scratch_publish(world->directory, "nscd.conf",
		"# enable-cache hosts yes\n\tenable-cache\t\thosts\tno\n");
	assert_null(strstr(found(world, NULL), "nscd-caches"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_host_without_anything, world_open, world_close),
		cmocka_unit_test_setup_teardown(
			test_name_is_followed_to_where_it_stops, world_open, world_close),
		cmocka_unit_test_setup_teardown(
			test_names_of_leases_are_looked_at, world_open, world_close),
		cmocka_unit_test_setup_teardown(
			test_mend_is_where_the_address_counts, world_open, world_close),
		cmocka_unit_test_setup_teardown(
			test_what_the_daemon_tells_of_its_sockets_is_not_trusted, world_open,
			world_close),
		cmocka_unit_test_setup_teardown(
			test_nscd_counts_only_while_somebody_listens, world_open, world_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
