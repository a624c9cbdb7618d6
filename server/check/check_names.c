#include "server/check/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/hostname.h"
#include "server/names/lookup.h"
#include "server/names/refusal.h"
#include "server/support/log.h"

/* Questions for hosts of the search domains: names times domains. */
#define NAMES_ASKED_MAX   24u
#define DOMAINS_ASKED_MAX 2u

/* Names that were refused ------------------------------------------------------------------- */

/* Told of each guest that has it. */
static void names_tell_shared_alias(struct check_report *report, struct bytes guest)
{
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	size_t len = guest.len <= sizeof(alias) ? hostname_alias(guest, alias) : 0;
	char name[LOG_ESCAPED_SIZE];
	char other[LOG_ESCAPED_SIZE];

	if (check_find(report, CHECK_ALIAS_SHARED,
		    "guest '%s' would also answer to '%s', as another guest does",
		    log_escape(guest, name), log_escape((struct bytes){alias, len}, other)))
		check_mend(report, "virsh domrename '%s' NEW-NAME", name);
}

void check_names_add_event(struct check *check, const struct index_event *event)
{
	struct check_report *report = &check->report;
	char address[ADDRESS_TEXT_SIZE];
	char name[LOG_ESCAPED_SIZE];

	address_format(&event->address, address);
	log_escape(event->name, name);
	switch (event->kind) {
	case INDEX_EVENT_HOSTNAME_REJECTED:
		if (check_find(report, CHECK_NAME_REFUSED, "%s calls itself '%s': %s", address,
			    name, refusal_reason(event->name)))
			check_mend(report, "in the guest: hostnamectl set-hostname NAME, and take "
					   "a new lease");
		break;
	case INDEX_EVENT_NAME_REJECTED:
		if (check_find(report, CHECK_NAME_INVALID, "'%s' (%s) cannot be a name", name,
			    address))
			check_mend(report, "virsh net-edit NETWORK: <host name='...'> or "
					   "<hostname>");
		break;
	case INDEX_EVENT_ALIAS_SHARED:
		names_tell_shared_alias(report, event->name);
		break;
	case INDEX_EVENT_HOSTNAME_HIDDEN:
		check_find(report, CHECK_NAME_HIDDEN,
			"%s calls itself '%s', a name that libvirt gives to another", address,
			name);
		break;
	case INDEX_EVENT_HOSTNAME_SHARED:
		/* Told of all at once by check_clones(). */
		break;
	}
}

/* Others of the same name ------------------------------------------------------------------- */

/* The host needs its own line. */
static void names_mend_hosts(
	struct check *check, struct bytes word, const char *shown, unsigned number)
{
	if (refusal_is_own_name(word))
		check_mend(&check->report,
			"that is the name of this host: call the guest otherwise (virsh "
			"domrename '%s' NEW-NAME)",
			shown);
	else
		check_mend(&check->report, "remove '%s' from line %u of %s", shown, number,
			check->host->hosts_path);
}

/* A name of /etc/hosts: has it another address than a guest of that name? */
static void names_compare_host(
	struct check *check, const struct address *address, const char *word, unsigned number)
{
	struct lookup lookup;
	char name[LOG_ESCAPED_SIZE];
	char here[ADDRESS_TEXT_SIZE];
	char there[ADDRESS_TEXT_SIZE];
	bool is_same = false;

	if (lookup_name(&check->names.index, &check->names.meta, bytes_of_text(word),
		    check->now_unix_s, &lookup) != PARSER_OK)
		return;
	for (size_t i = 0; i < lookup.answers.count; i++)
		is_same = is_same || address_compare(&lookup.answers.rows[i].address, address) == 0;
	if (lookup.match == INDEX_FOUND && lookup.answers.count > 0 && !is_same) {
		address_format(address, here);
		address_format(&lookup.answers.rows[0].address, there);
		log_escape(bytes_of_text(word), name);
		if (check_find(&check->report, CHECK_NAME_IN_HOSTS,
			    "%s, line %u: '%s' is %s, its lease says %s", check->host->hosts_path,
			    number, name, here, there))
			names_mend_hosts(check, bytes_of_text(word), name, number);
	}
	lookup_done(&lookup);
}

static void names_look_at_hosts(struct check *check)
{
	char *text = NULL;
	size_t len = 0;
	unsigned number = 0;
	char *rest;
	char *line;

	if (check_read(check->host->hosts_path, &text, &len) != 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		struct address address;
		char *word;

		number++;
		line[strcspn(line, "#")] = '\0';
		word = strtok_r(line, " \t\r", &line);
		if (!word || !address_parse(bytes_of_text(word), &address))
			continue;
		while ((word = strtok_r(NULL, " \t\r", &line)))
			names_compare_host(check, &address, word, number);
	}
	free(text);
}

static bool names_is_our_zone(const struct check *check, const char *domain)
{
	for (size_t i = 0; i < check->conf->conf.zone_count; i++) {
		if (strcmp(check->conf->conf.zones[i], domain) == 0)
			return true;
	}
	return false;
}

/* Living names of one label below the search domains, as questions.
 * @return how many. */
static size_t names_list_questions(const struct check *check, struct check_question *questions)
{
	const struct check_search *search = &check->resolver.search;
	size_t domains = search->count < DOMAINS_ASKED_MAX ? search->count : DOMAINS_ASKED_MAX;
	struct bytes previous = {0};
	size_t names = 0;
	size_t count = 0;

	for (size_t i = 0; i < check->listing.count && names < NAMES_ASKED_MAX; i++) {
		const struct listing_row *row = &check->listing.rows[i];

		if (!row->dns_name || row->address.family == ADDRESS_NONE ||
			!hostname_is_plain(row->name) ||
			memchr(row->name.ptr, '.', row->name.len) ||
			bytes_equal_fold(row->name, previous))
			continue;
		previous = row->name;
		names++;
		for (size_t k = 0; k < domains; k++) {
			struct check_question *question = &questions[count];

			if (names_is_our_zone(check, search->domains[k]))
				continue;
			question->server = check->resolver.servers[0];
			question->type = DNS_TYPE_A;
			snprintf(question->name, sizeof(question->name), "%.*s.%s",
				(int)row->name.len, (const char *)row->name.ptr,
				search->domains[k]);
			count++;
		}
	}
	return count;
}

static void names_look_at_search_domains(struct check *check)
{
	struct check_question *questions;
	size_t count;

	if (check->resolver.count == 0 || !check->asked.all ||
		!check->asked.resolver[0].has_replied)
		return;
	questions = calloc(NAMES_ASKED_MAX * DOMAINS_ASKED_MAX, sizeof(*questions));
	count = questions ? names_list_questions(check, questions) : 0;
	check_dns_ask(questions, count);
	for (size_t i = 0; i < count; i++) {
		char there[CHECK_ADDRESSES_TEXT_SIZE];

		if (questions[i].addresses.count == 0)
			continue;
		check_addresses_format(&questions[i].addresses, there);
		if (check_find(&check->report, CHECK_NAME_IN_SEARCH_DOMAIN,
			    "a guest is called like %s (%s), a host of the search domain",
			    questions[i].name, there))
			check_mend(&check->report, "call the guest otherwise, or that host by its "
						   "whole name");
	}
	free(questions);
}

void check_names(struct check *check)
{
	if (!check->store || !check->has_names)
		return;
	names_look_at_hosts(check);
	names_look_at_search_domains(check);
}
