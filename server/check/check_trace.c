/* One name on its way: from the lease files through the index, the daemon and this host's resolver
 * to a program that asks glibc. */
#include "server/check/check.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "parser/hostname.h"
#include "parser/index_file.h"
#include "server/names/lookup.h"
#include "server/names/refusal.h"
#include "server/names/row.h"
#include "server/support/log.h"
#include "server/support/text.h"

/* More than a name and a zone can have. */
#define TRACE_NAME_SIZE 1024

struct trace {
	struct check *check;
	char raw[TRACE_NAME_SIZE];       /* As asked for, without our zone: any bytes. */
	char raw_whole[TRACE_NAME_SIZE]; /* With it. */
	const char *zone;                /* That was asked for, or the canonical one. */
	char name[LOG_ESCAPED_SIZE];     /* For people. */
	char whole[LOG_ESCAPED_SIZE + CHECK_SEARCH_SIZE];
	struct check_addresses right; /* What the lease files say. */
	bool is_stopped;              /* Where was said. */
};

static const char *trace_answer_text(
	const struct check_addresses *addresses, const char *otherwise, char *buffer)
{
	if (addresses->count == 0)
		return otherwise;
	check_addresses_format(addresses, buffer);
	return buffer;
}

static void trace_step(struct trace *trace, const char *layer, const char *name,
	const struct check_addresses *addresses, const char *otherwise)
{
	struct check *check = trace->check;
	char buffer[CHECK_ADDRESSES_TEXT_SIZE];
	struct check_step *step;

	if (check->step_count == CHECK_STEPS_MAX)
		return;
	step = &check->steps[check->step_count++];
	step->layer = layer;
	step->name = strdup(name);
	step->answer = strdup(trace_answer_text(addresses, otherwise, buffer));
	step->is_right = addresses->count > 0 && check_addresses_same(addresses, &trace->right);
	if (!step->name || !step->answer)
		check->report.no_memory = true;
}

/* The first place where it stops is the one to look at. True if it was told. */
static bool trace_stop(struct trace *trace, enum check_id id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool trace_stop(struct trace *trace, enum check_id id, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (trace->is_stopped)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	trace->is_stopped = true;
	return check_find(&trace->check->report, id, "%s", text);
}

static bool trace_agrees(const struct trace *trace, const struct check_addresses *addresses)
{
	return check_addresses_same(addresses, &trace->right);
}

/* Lease files and index --------------------------------------------------------------------- */

static void trace_take_rows(const struct lookup *lookup, struct check_addresses *out_addresses)
{
	memset(out_addresses, 0, sizeof(*out_addresses));
	for (size_t i = 0; i < lookup->answers.count; i++) {
		if (lookup->answers.rows[i].address.family != ADDRESS_NONE)
			check_addresses_add(out_addresses, &lookup->answers.rows[i].address);
	}
}

/* A living lease of a guest that calls itself so: as no lookup finds it, the name was refused. */
static const struct record *trace_find_refused(const struct trace *trace)
{
	const struct check *check = trace->check;
	size_t count = 0;
	const struct store_directory *directories =
		check->store ? store_directories(check->store, &count) : NULL;
	struct bytes wanted = bytes_of_text(trace->raw);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < directories[i].file_count; k++) {
			const struct store_file *file = directories[i].files[k];

			for (size_t n = 0; n < file->record_count; n++) {
				const struct record *record = &file->records[n];

				if (record->kind == RECORD_LEASE && record->name.len > 0 &&
					index_is_alive(
						0, record->expires_unix_s, check->now_unix_s) &&
					(bytes_equal_fold(record->name, wanted) ||
						bytes_equal_fold(hostname_first_label(record->name),
							wanted)))
					return record;
			}
		}
	}
	return NULL;
}

/* Of a whole name the first label is published. */
static bool trace_tell_label(struct trace *trace, const struct record *lease, const char *address)
{
	struct check *check = trace->check;
	struct bytes label = hostname_first_label(lease->name);
	char name[LOG_ESCAPED_SIZE];
	char shown[LOG_ESCAPED_SIZE];
	struct lookup lookup;
	bool is_known;

	if (label.len == lease->name.len || lookup_name(&check->names.index, &check->names.meta,
						    label, check->now_unix_s, &lookup) != PARSER_OK)
		return false;
	is_known = lookup.match == INDEX_FOUND;
	lookup_done(&lookup);
	if (is_known &&
		trace_stop(trace, CHECK_TRACE_UNKNOWN,
			"%s calls itself '%s', and answers to '%s': the rest is not our zone",
			address, log_escape(lease->name, name), log_escape(label, shown)))
		check_mend(&check->report, "ask for '%s', or for '%s.%s'", shown, shown,
			check_zone(check));
	return is_known;
}

static void trace_tell_refused(struct trace *trace, const struct record *lease)
{
	struct check *check = trace->check;
	char address[ADDRESS_TEXT_SIZE];
	char name[LOG_ESCAPED_SIZE];
	struct lookup lookup;

	address_format(&lease->address, address);
	if (trace_tell_label(trace, lease, address))
		return;
	if (!trace_stop(trace, CHECK_TRACE_REFUSED, "%s calls itself '%s': %s", address,
		    log_escape(lease->name, name), refusal_reason(lease->name)))
		return;
	check_mend(&check->report,
		"in the guest: hostnamectl set-hostname NAME, and take a new lease");
	if (lookup_address(&check->names.index, &lease->address, check->now_unix_s, &lookup) !=
		PARSER_OK)
		return;
	if (lookup.answers.count > 0)
		check_mend(&check->report, "until then it answers to '%s'",
			log_escape(lookup.answers.rows[0].name, name));
	lookup_done(&lookup);
}

static void trace_tell_absent(struct trace *trace, const struct lookup *lookup)
{
	struct check *check = trace->check;
	const struct record *refused = trace_find_refused(trace);
	char when[ROW_WHEN_SIZE];

	if (refused && lookup->match == INDEX_ABSENT) {
		trace_tell_refused(trace, refused);
	} else if (lookup->ended_unix_s) {
		row_when(lookup->ended_unix_s, check->now_unix_s, when);
		if (trace_stop(trace, CHECK_TRACE_ENDED, "the last lease of '%s' ended %s",
			    trace->name, when))
			check_mend(&check->report, "start the guest, or let it take a new lease");
	} else if (lookup->match == INDEX_NODATA && !lookup->is_guest) {
		if (trace_stop(trace, CHECK_TRACE_UNKNOWN,
			    "'%s' is no guest, but a network or a domain: names are below it",
			    trace->name))
			check_mend(&check->report, "leasedns list --all shows what is known");
	} else if (lookup->match == INDEX_NODATA) {
		if (trace_stop(trace, CHECK_TRACE_NO_ADDRESS, "'%s' is known, but has no address",
			    trace->name))
			check_mend(&check->report, "virsh domifaddr GUEST; virsh start GUEST");
	} else if (trace_stop(
			   trace, CHECK_TRACE_UNKNOWN, "no lease file knows '%s'", trace->name)) {
		check_mend(&check->report, "leasedns list --all shows what is known");
		check_mend(&check->report,
			"virsh net-dhcp-leases NETWORK shows what libvirt knows; in the guest, "
			"hostname shows what it calls itself");
	}
}

static void trace_files(struct trace *trace)
{
	struct check *check = trace->check;
	struct lookup lookup;

	if (!check->has_names ||
		lookup_name(&check->names.index, &check->names.meta, bytes_of_text(trace->raw),
			check->now_unix_s, &lookup) != PARSER_OK) {
		trace_step(trace, "lease files", trace->name, &trace->right, "cannot be read");
		return;
	}
	trace_take_rows(&lookup, &trace->right);
	trace_step(trace, check->names.from_index ? "index" : "lease files", trace->name,
		&trace->right, lookup.match == INDEX_NODATA ? "no address" : "no such name");
	if (trace->right.count == 0)
		trace_tell_absent(trace, &lookup);
	lookup_done(&lookup);
}

static void trace_index(struct trace *trace)
{
	struct check *check = trace->check;
	struct check_addresses found = {0};
	struct index_window window;
	struct index_meta meta = {0};
	struct lookup lookup;
	struct index index;
	const char *otherwise = "no such name";
	int fd = -1;

	/* Who may not read the lease files has it from there already. */
	if (check->has_names && check->names.from_index)
		return;
	if (index_file_open(check->conf->conf.index_file, &fd, NULL) != PARSER_OK ||
		index_init_fd(&index, fd, &window) != PARSER_OK ||
		index_meta_init(&meta, &index) != PARSER_OK) {
		otherwise = "there is none to believe";
	} else if (lookup_name(&index, &meta, bytes_of_text(trace->raw), check->now_unix_s,
			   &lookup) == PARSER_OK) {
		trace_take_rows(&lookup, &found);
		if (lookup.match == INDEX_NODATA)
			otherwise = "no address";
		lookup_done(&lookup);
		if (!trace_agrees(trace, &found) &&
			trace_stop(trace, CHECK_TRACE_STOPS_INDEX, "the index does not have '%s'",
				trace->name))
			check_mend(&check->report, "systemctl restart leasedns (or, without the "
						   "daemon: leasedns index)");
	}
	trace_step(trace, "index", trace->name, &found, otherwise);
	index_meta_done(&meta);
	if (fd >= 0)
		close(fd);
}

/* DNS --------------------------------------------------------------------------------------- */

/* Asks one server for both families.
 * @param out_word why there is no address. */
static void trace_ask(const struct trace *trace, const struct conf_endpoint *server,
	struct check_addresses *out_found, char out_word[CHECK_DNS_WORD_SIZE])
{
	struct check_question *questions = calloc(2, sizeof(*questions));
	char *name = text_dns(bytes_of_text(trace->raw), bytes_of_text(trace->zone));

	memset(out_found, 0, sizeof(*out_found));
	strcpy(out_word, "cannot be asked");
	if (!questions || !name) {
		free(questions);
		free(name);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		questions[i].server = *server;
		questions[i].type = i ? DNS_TYPE_AAAA : DNS_TYPE_A;
		snprintf(questions[i].name, sizeof(questions[i].name), "%s", name);
	}
	check_dns_ask(questions, 2);
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < questions[i].addresses.count; k++)
			check_addresses_add(out_found, &questions[i].addresses.list[k]);
	}
	check_dns_word(&questions[0], out_word);
	free(questions);
	free(name);
}

static void trace_daemon(struct trace *trace)
{
	struct check *check = trace->check;
	struct check_addresses found;
	char word[CHECK_DNS_WORD_SIZE];

	trace_ask(trace, &check->asked.daemon[0].server, &found, word);
	trace_step(trace, "daemon", trace->whole, &found, word);
	if (trace_agrees(trace, &found))
		return;
	if (!check->daemon_answers) {
		if (trace_stop(trace, CHECK_TRACE_STOPS_DAEMON,
			    "the daemon does not answer, so not for '%s' either: %s", trace->whole,
			    word))
			check_mend(&check->report, "see what is said of the daemon");
	} else if (trace_stop(trace, CHECK_TRACE_STOPS_DAEMON, "the daemon does not have '%s': %s",
			   trace->whole, word)) {
		check_mend(&check->report, "systemctl restart leasedns");
	}
}

static void trace_resolver(struct trace *trace)
{
	struct check *check = trace->check;
	struct check_addresses found;
	char word[CHECK_DNS_WORD_SIZE];

	size_t first = 0;

	if (check->resolver.count == 0)
		return;
	/* Programs go on to the next one if the first is silent. */
	while (first + 1 < check->resolver.count && !check->asked.resolver[first].has_replied)
		first++;
	trace_ask(trace, &check->resolver.servers[first], &found, word);
	trace_step(trace, "resolver", trace->whole, &found, word);
	/* Where NSS modules are the way, that is as it may be. */
	if (!trace_agrees(trace, &found) && check->dns_leads_here &&
		trace_stop(trace, CHECK_TRACE_STOPS_RESOLVER,
			"this host's resolver does not say what the daemon says of '%s'",
			trace->whole))
		check_mend(&check->report, "resolvectl flush-caches (systemd-resolved); see what "
					   "is said of the resolver");
}

/* Programs ---------------------------------------------------------------------------------- */

/* True if programs get a right address. */
static bool trace_glibc(
	struct trace *trace, const char *raw, const char *shown, struct check_addresses *out_found)
{
	struct check_lookup lookup;

	check_probe_name(raw, &lookup);
	*out_found = lookup.addresses;
	trace_step(trace, "NSS", shown, &lookup.addresses,
		lookup.is_answered ? gai_strerror(lookup.error) : "no answer within 6 seconds");
	/* More addresses than are compared are right enough. */
	for (size_t i = 0; i < lookup.addresses.count; i++) {
		for (size_t k = 0; k < trace->right.count; k++) {
			if (address_compare(&lookup.addresses.list[i], &trace->right.list[k]) == 0)
				return true;
		}
	}
	return false;
}

static void trace_programs(struct trace *trace)
{
	struct check_addresses found;
	struct check_addresses other;
	bool is_right = trace_glibc(trace, trace->raw, trace->name, &other);
	char said[CHECK_ADDRESSES_TEXT_SIZE];

	is_right = trace_glibc(trace, trace->raw_whole, trace->whole, &found) || is_right;
	if (is_right || trace->right.count == 0)
		return;
	/* Whatever else stopped it: programs do not get it. */
	check_addresses_format(other.count > 0 ? &other : &found, said);
	if (check_find(&trace->check->report, CHECK_TRACE_STOPS_NSS,
		    "asked for '%s' and '%s', glibc finds %s", trace->name, trace->whole, said))
		check_mend(&trace->check->report,
			"see what is said of nsswitch, names and the resolver");
}

/* Splits the name that was asked for. */
static void trace_set_names(struct trace *trace, const char *wanted)
{
	struct check *check = trace->check;
	size_t len = strlen(wanted);

	trace->zone = check_zone(check);
	if (len > 0 && wanted[len - 1] == '.')
		len--;
	for (size_t i = 0; i < check->conf->conf.zone_count; i++) {
		const char *zone = check->conf->conf.zones[i];
		size_t octets = strlen(zone);

		if (len <= octets + 1 || wanted[len - octets - 1] != '.' ||
			strncasecmp(wanted + len - octets, zone, octets) != 0)
			continue;
		len -= octets + 1;
		trace->zone = zone;
		break;
	}
	snprintf(trace->raw, sizeof(trace->raw), "%.*s", (int)len, wanted);
	snprintf(trace->raw_whole, sizeof(trace->raw_whole), "%.*s.%s", (int)len, wanted,
		trace->zone);
	log_escape(bytes_of_text(trace->raw), trace->name);
	snprintf(trace->whole, sizeof(trace->whole), "%s.%s", trace->name, trace->zone);
}

void check_trace(struct check *check)
{
	struct trace trace = {.check = check};

	if (!check->wanted || !check->asked.all)
		return;
	trace_set_names(&trace, check->wanted);
	trace_files(&trace);
	trace_index(&trace);
	trace_daemon(&trace);
	trace_resolver(&trace);
	trace_programs(&trace);
}
