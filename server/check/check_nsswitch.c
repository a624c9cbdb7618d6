#include "server/check/check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/conf_index.h"

/* What each service of the line says of a name that we know. */
struct nsswitch_answers {
	enum check_nss_status whole[CHECK_NSS_SERVICES_MAX]; /* vm.libvirt */
	enum check_nss_status alone[CHECK_NSS_SERVICES_MAX]; /* vm */
};

static bool nsswitch_is(const struct check_nss_service *service, const char *name)
{
	return strcmp(service->name, name) == 0;
}

/* Those two are within glibc itself. */
static bool nsswitch_is_builtin(const struct check_nss_service *service)
{
	return nsswitch_is(service, "files") || nsswitch_is(service, "dns");
}

static bool nsswitch_searches_zone(const struct check *check)
{
	for (size_t i = 0; i < check->resolver.search.count; i++) {
		if (strcmp(check->resolver.search.domains[i], check_zone(check)) == 0)
			return true;
	}
	return false;
}

/* A name of the kind that the module knows. */
static const struct check_sample *nsswitch_sample(
	const struct check *check, const struct check_nss_service *service)
{
	if (nsswitch_is(service, "libvirt"))
		return &check->hostname;
	if (nsswitch_is(service, "libvirt_guest"))
		return &check->guest;
	return &check->sample;
}

static void nsswitch_ask_ours(struct check *check, size_t i, struct nsswitch_answers *answers)
{
	const struct check_nss_service *service = &check->line.services[i];
	const struct check_sample *sample = nsswitch_sample(check, service);
	struct check_module *module = &check->modules[i];

	check_probe_module(service->name, sample->is_set ? sample->name : NULL,
		sample->address.family, module);
	/* Without any guest it cannot be seen to answer. */
	answers->alone[i] = !module->is_loaded ? CHECK_NSS_UNAVAIL
			    : sample->is_set   ? module->status
					       : CHECK_NSS_SUCCESS;
	answers->whole[i] =
		module->is_loaded && !module->is_ours ? CHECK_NSS_NOTFOUND : answers->alone[i];
}

/* Our own server's name: known to all that lead to us, and it tells others nothing of guests. */
static void nsswitch_ask_other(struct check *check, size_t i, struct nsswitch_answers *answers)
{
	const struct check_nss_service *service = &check->line.services[i];
	char name[CHECK_DNS_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.%s", CONF_INDEX_SERVER_NAME, check_zone(check));
	check_probe_module(
		service->name, name, check->listen[0].endpoint.family, &check->modules[i]);
	answers->whole[i] = check->modules[i].status;
	answers->alone[i] = check->modules[i].is_loaded ? CHECK_NSS_NOTFOUND : CHECK_NSS_UNAVAIL;
}

static void nsswitch_ask(struct check *check, struct nsswitch_answers *answers)
{
	for (size_t i = 0; i < check->line.count; i++) {
		const struct check_nss_service *service = &check->line.services[i];

		if (check_nss_is_ours(service->name)) {
			nsswitch_ask_ours(check, i, answers);
		} else if (nsswitch_is(service, "dns")) {
			answers->whole[i] =
				check->dns_leads_here ? CHECK_NSS_SUCCESS : CHECK_NSS_NOTFOUND;
			answers->alone[i] = check->dns_leads_here && nsswitch_searches_zone(check)
						    ? CHECK_NSS_SUCCESS
						    : CHECK_NSS_NOTFOUND;
		} else if (nsswitch_is_builtin(service)) {
			answers->whole[i] = answers->alone[i] = CHECK_NSS_NOTFOUND;
		} else {
			nsswitch_ask_other(check, i, answers);
		}
	}
}

/* Findings ---------------------------------------------------------------------------------- */

static void nsswitch_mend_line(struct check *check)
{
	struct check_nss_line mended;
	char *text;

	check_nss_mend(&check->line, &mended);
	text = check_nss_format(&mended);
	if (!text) {
		check->report.no_memory = true;
		return;
	}
	if (check->line.number > 0)
		check_mend(&check->report, "in %s, let line %u be", check->host->nsswitch_path,
			check->line.number);
	else
		check_mend(&check->report, "add to %s", check->host->nsswitch_path);
	check_mend(&check->report, "    %s", text);
	free(text);
}

/* No archive has our packages. */
static void nsswitch_mend_install(struct check *check, const char *more)
{
	check_mend(&check->report,
		"apt install ./libnss-leasedns_*.deb (contrib/package.sh builds it%s)", more);
}

/* Where the search for a name of service `i` ends before it gets there; `i` if it gets there. */
static size_t nsswitch_ends_before(
	const struct check *check, size_t i, const enum check_nss_status *statuses)
{
	for (size_t k = 0; k < i; k++) {
		const struct check_nss_service *service = &check->line.services[k];
		/* Another of ours may know another kind of names only. */
		enum check_nss_status status =
			check_nss_is_ours(service->name) && check->modules[k].is_loaded
				? CHECK_NSS_NOTFOUND
				: statuses[k];

		if (status != CHECK_NSS_SUCCESS && service->ends[status])
			return k;
	}
	return i;
}

/* True if that was said. */
static bool nsswitch_tell_hidden(
	struct check *check, size_t i, const enum check_nss_status *statuses)
{
	size_t ends = nsswitch_ends_before(check, i, statuses);
	char service[CHECK_NSS_SERVICE_SIZE];

	if (ends == i)
		return false;
	check_nss_format_service(&check->line.services[ends], service);
	if (check_find(&check->report, CHECK_NSSWITCH_HIDES_US,
		    "%s, line %u: '%s' stands before '%s' and ends the search",
		    check->host->nsswitch_path, check->line.number, service,
		    check->line.services[i].name))
		nsswitch_mend_line(check);
	return true;
}

static void nsswitch_tell_late(struct check *check, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		const struct check_nss_service *service = &check->line.services[k];

		if (!nsswitch_is(service, "dns") &&
			!(nsswitch_is(service, "resolve") && check->modules[k].is_loaded))
			continue;
		if (check_find(&check->report, CHECK_NSSWITCH_AFTER_DNS,
			    "%s, line %u: '%s' stands before '%s'", check->host->nsswitch_path,
			    check->line.number, service->name, check->line.services[i].name))
			nsswitch_mend_line(check);
		return;
	}
}

static void nsswitch_tell_ending(struct check *check, size_t i)
{
	const struct check_nss_service *service = &check->line.services[i];
	char text[CHECK_NSS_SERVICE_SIZE];

	if (!service->ends[CHECK_NSS_NOTFOUND] || i + 1 == check->line.count)
		return;
	check_nss_format_service(service, text);
	if (check_find(&check->report, CHECK_NSSWITCH_ENDS_SEARCH,
		    "%s, line %u: nothing behind '%s' is asked for any other name",
		    check->host->nsswitch_path, check->line.number, text))
		nsswitch_mend_line(check);
}

/* True if it can be loaded. */
static bool nsswitch_tell_module(struct check *check, size_t i)
{
	const char *name = check->line.services[i].name;
	const struct check_module *module = &check->modules[i];

	if (!module->is_loaded) {
		if (check_find(&check->report, CHECK_MODULE_MISSING,
			    "nsswitch.conf asks '%s', but libnss_%s.so.2 cannot be loaded: %s",
			    name, name, module->error))
			nsswitch_mend_install(check, "");
		return false;
	}
	if (module->is_ours) {
		check_fact(&check->report, "module", "%s: %s", name, module->path);
		return true;
	}
	if (check_find(&check->report, CHECK_MODULE_NOT_OURS, "'%s' is libvirt's own module: %s",
		    name, module->path))
		nsswitch_mend_install(check, "; it takes the place of libnss-libvirt");
	return true;
}

static bool nsswitch_tell_ours(struct check *check, const struct nsswitch_answers *answers)
{
	bool has_ours = false;

	for (size_t i = 0; i < check->line.count; i++) {
		if (!check_nss_is_ours(check->line.services[i].name))
			continue;
		has_ours = true;
		if (!nsswitch_tell_module(check, i))
			continue;
		if (!nsswitch_tell_hidden(check, i, answers->alone) &&
			!nsswitch_tell_hidden(check, i, answers->whole))
			nsswitch_tell_late(check, i);
		nsswitch_tell_ending(check, i);
	}
	return has_ours;
}

/* In the end it is glibc that says what works. */
static void nsswitch_try(struct check *check)
{
	size_t ours = check_module_in_use(check);
	const struct check_sample *sample =
		ours < check->line.count ? nsswitch_sample(check, &check->line.services[ours])
					 : &check->sample;
	struct check_lookup lookup;
	char name[CHECK_DNS_NAME_SIZE];
	char said[CHECK_ADDRESSES_TEXT_SIZE];

	if (!sample->is_set || !check->names_resolve)
		return;
	check_probe_name(sample->name, &lookup);
	snprintf(name, sizeof(name), "%s.%s", sample->name, check_zone(check));
	if (lookup.addresses.count > 0) {
		check_addresses_format(&lookup.addresses, said);
		check_fact(&check->report, "programs", "glibc finds %s: %s", sample->name, said);
		return;
	}
	check_probe_name(name, &lookup);
	if (lookup.addresses.count > 0) {
		check_addresses_format(&lookup.addresses, said);
		check_fact(&check->report, "programs", "glibc finds %s: %s", name, said);
		return;
	}
	check->names_resolve = false;
	if (check_find(&check->report, CHECK_NSS_FAILS, "glibc finds neither '%s' nor '%s': %s",
		    sample->name, name,
		    !lookup.is_answered          ? "no answer within 6 seconds"
		    : lookup.error == EAI_SYSTEM ? strerror(lookup.system_error)
						 : gai_strerror(lookup.error)))
		check_mend(
			&check->report, "leasedns check %s, to see where it stops", sample->name);
}

static bool nsswitch_nscd_runs(const struct check *check)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool runs;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", check->host->nscd_socket);
	runs = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return runs;
}

static void nsswitch_look_at_nscd(struct check *check)
{
	char *text = NULL;
	size_t len = 0;
	bool is_off = false;

	if (!nsswitch_nscd_runs(check))
		return;
	if (check_read(check->host->nscd_conf_path, &text, &len) == 0) {
		for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save)) {
			char value[8];

			if (sscanf(line, " enable-cache hosts %7s", value) == 1)
				is_off = strcmp(value, "no") == 0;
		}
	}
	free(text);
	if (is_off || !check_find(&check->report, CHECK_NSCD_CACHES, "nscd runs and keeps hosts"))
		return;
	check_mend(
		&check->report, "in %s, write: enable-cache hosts no", check->host->nscd_conf_path);
	check_mend(&check->report, "systemctl restart nscd");
}

static void nsswitch_read(struct check *check)
{
	const char *path = check->host->nsswitch_path;
	char *text = NULL;
	size_t len = 0;
	int error = check_read(path, &text, &len);

	if (error != 0 && error != ENOENT &&
		check_find(&check->report, CHECK_NSSWITCH_UNREADABLE, "'%s' cannot be read: %s",
			path, strerror(error)))
		check_mend(&check->report, "chmod 644 '%s'", path);
	if (check_nss_parse(text ? text : "", len, &check->line) == CHECK_NSS_BAD &&
		check_find(&check->report, CHECK_NSSWITCH_SYNTAX,
			"%s, line %u: glibc does not understand it", path, check->line.bad)) {
		if (check->line.bad == check->line.number)
			nsswitch_mend_line(check);
		else
			check_mend(&check->report, "write actions there as in [NOTFOUND=return]");
	}
	if (check->line.unended &&
		check_find(&check->report, CHECK_NSSWITCH_UNENDED,
			"%s, line %u: no newline ends it, so glibc does not read it", path,
			check->line.unended))
		check_mend(&check->report, "echo >>%s", path);
	free(text);
}

/* Words that no module can be called. */
static void nsswitch_tell_odd(struct check *check)
{
	size_t i = 0;

	while (i < check->line.count && !check_nss_is_odd(check->line.services[i].name))
		i++;
	if (i < check->line.count &&
		check_find(&check->report, CHECK_NSSWITCH_ODD_NAME,
			"%s, line %u: glibc takes '%s' for the name of a module",
			check->host->nsswitch_path, check->line.number,
			check->line.services[i].name))
		nsswitch_mend_line(check);
}

/* The line as it is: fine, or without us. */
static void nsswitch_tell_line(struct check *check, bool has_ours)
{
	static const enum check_id bad[] = {CHECK_NSSWITCH_UNREADABLE, CHECK_NSSWITCH_SYNTAX,
		CHECK_NSSWITCH_UNENDED, CHECK_NSSWITCH_ODD_NAME, CHECK_NSSWITCH_HIDES_US,
		CHECK_NSSWITCH_AFTER_DNS, CHECK_NSSWITCH_ENDS_SEARCH};
	const char *origin = check->line.number == 0 ? " (glibc's default)" : "";
	char *line = check_nss_format(&check->line);
	struct check_module module;
	bool is_fine = has_ours;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_fine = is_fine && !check_report_has(&check->report, bad[i]);
	if (!line) {
		check->report.no_memory = true;
	} else if (is_fine) {
		check_fact(&check->report, "nsswitch", "%s", line);
	} else if (!has_ours &&
		   check_find(&check->report, CHECK_NSSWITCH_LACKS_US,
			   "no module of ours is asked for hosts: '%s'%s", line, origin)) {
		check_probe_module("leasedns", NULL, ADDRESS_IPV4, &module);
		if (!module.is_loaded)
			nsswitch_mend_install(check, "; it sees to the line, too");
		nsswitch_mend_line(check);
	}
	free(line);
}

void check_nsswitch(struct check *check)
{
	struct nsswitch_answers answers;

	nsswitch_read(check);
	nsswitch_tell_odd(check);
	nsswitch_ask(check, &answers);
	nsswitch_tell_line(check, nsswitch_tell_ours(check, &answers));
	check->names_resolve =
		!check->line.bad && (check_nss_walk(&check->line, answers.whole).is_found ||
					    check_nss_walk(&check->line, answers.alone).is_found);
	if (check->names_resolve && !check_nss_walk(&check->line, answers.alone).is_found &&
		check_find(&check->report, CHECK_SEARCH_LACKS_ZONE,
			"'%s' is no search domain in %s", check_zone(check),
			check->host->resolv_conf_path))
		check_mend(&check->report,
			"add '%s' to the line 'search' of %s, or use the NSS module leasedns",
			check_zone(check), check->host->resolv_conf_path);
	nsswitch_try(check);
	nsswitch_look_at_nscd(check);
}
