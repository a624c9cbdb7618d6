#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "parser/index_file.h"
#include "server/cli/cmd.h"
#include "server/cli/cmd_common.h"
#include "server/support/log.h"

static const struct cmd_spec index_spec = {
	.name = "index",
	.help = "Usage: leasedns index [OPTION]...\n"
		"Reads the lease files once and publishes the index of their names, from which "
		"the\n"
		"NSS modules and the other commands answer. The server does so by itself.\n"
		"\n"
		"  -c, --config=FILE  read FILE instead of " LEASEDNS_CONF_FILE "\n"
		"  -h, --help         print this help\n"
		"\n"
		"Problems in lease files are told on standard error; all else is published.\n"
		"\n"
		"Exit codes: 0 published; 1 it failed; 2 bad arguments or configuration.\n"
		"\n"
		"Example: leasedns index\n",
};

struct index_count {
	size_t names;     /* That have an address, alive or not. */
	size_t addresses; /* That have a name. */
	uint32_t octets;
};

/* The directory below /run is gone after each boot. Only root makes it: an index counts only if it
 * belongs to the owner of its directory, and whoever may write there may fool its readers. */
static bool index_make_directory(const char *index_path)
{
	char *copy = strdup(index_path);
	const char *directory = copy ? dirname(copy) : NULL;
	bool fine = copy != NULL;

	if (!copy)
		cmd_complain(index_path, PARSER_E_NO_MEMORY);
	/* The mask of the caller must not make it unreadable for everybody else. */
	if (fine && geteuid() == 0 && mkdir(directory, 0755) == 0)
		fine = chmod(directory, 0755) == 0;
	else if (fine && geteuid() == 0)
		fine = errno == EEXIST;
	if (copy && !fine)
		log_error("cannot make the directory '%s': %s", directory, strerror(errno));
	free(copy);
	return fine;
}

static bool index_has_address(const struct index_value *value)
{
	struct index_record record;

	for (size_t i = 0; i < index_record_count(value); i++) {
		if (index_record_at(value, i, &record) == PARSER_OK &&
			record.address.family != ADDRESS_NONE)
			return true;
	}
	return false;
}

static enum parser_status index_count(int fd, struct index_count *out_count)
{
	struct index_count count = {0};
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	uint32_t offset = 0;
	struct index_window window;
	struct index index;
	enum parser_status status = index_init_fd(&index, fd, &window);

	while (status == PARSER_OK) {
		enum index_key_kind kind;
		struct bytes key;
		struct index_value value;

		status = index_entry_next(&index, &offset, buffer, &kind, &key, &value);
		if (status != PARSER_OK)
			break;
		count.names += kind == INDEX_KEY_NAME && index_has_address(&value);
		count.addresses += kind == INDEX_KEY_ADDRESS;
	}
	if (status != PARSER_E_ABSENT)
		return status;
	count.octets = index.size;
	*out_count = count;
	return PARSER_OK;
}

static int64_t index_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int index_tell(const char *path, int fd, int64_t took_ms)
{
	struct index_count count;
	enum parser_status status = index_count(fd, &count);
	bool fine;
	char *text;

	if (status != PARSER_OK) {
		cmd_complain(path, status);
		return CMD_EXIT_FAILED;
	}
	if (asprintf(&text, "%zu names, %zu addresses, %" PRIu32 " octets in %s, %" PRId64 " ms\n",
		    count.names, count.addresses, count.octets, path, took_ms) < 0) {
		cmd_complain(path, PARSER_E_NO_MEMORY);
		return CMD_EXIT_FAILED;
	}
	fine = cmd_print(text);
	free(text);
	return fine ? CMD_EXIT_OK : CMD_EXIT_FAILED;
}

static int index_run(const struct snapshot_conf *conf)
{
	struct build_report report = {0};
	struct snapshot_sinks sinks = {.store_event = build_report_store_event,
		.index_event = build_report_index_event,
		.ctx = &report};
	const char *path = conf->conf.index_file;
	int64_t started_ms = index_clock_ms();
	struct store *store = NULL;
	enum parser_status status;
	int exit_code = CMD_EXIT_FAILED;
	int fd = -1;

	if (!index_make_directory(path))
		return CMD_EXIT_FAILED;
	index_file_sweep(path);
	store = snapshot_store_new(conf);
	status = store ? snapshot_settle(store, &sinks) : PARSER_E_NO_MEMORY;
	if (status == PARSER_OK)
		status = snapshot_publish(conf, store, NULL, &sinks, &fd);
	cmd_report(&report);
	if (status == PARSER_OK) {
		exit_code = index_tell(path, fd, index_clock_ms() - started_ms);
		close(fd);
	} else {
		log_error("cannot publish the index '%s': %s", path,
			status == PARSER_E_IO ? strerror(errno) : parser_strerror(status));
	}
	store_free(store);
	return exit_code;
}

int cmd_index(int argc, char **argv)
{
	struct cmd_arguments arguments;
	struct snapshot_conf conf;
	int exit_code;

	if (!cmd_start(&index_spec, argc, argv, &arguments, &exit_code))
		return exit_code;
	if (!cmd_load(&arguments, &conf))
		return CMD_EXIT_USAGE;
	exit_code = index_run(&conf);
	snapshot_conf_done(&conf);
	return exit_code;
}
