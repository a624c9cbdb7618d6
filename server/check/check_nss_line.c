#include "server/check/check_nss_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS          " \t\r\v\f"
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

/* In order: enum check_nss_status. */
static const char *const check_nss_words[] = {"SUCCESS", "NOTFOUND", "UNAVAIL", "TRYAGAIN"};

const char *check_nss_status_word(enum check_nss_status status)
{
	return check_nss_words[status];
}

bool check_nss_is_ours(const char *service)
{
	return strcmp(service, "leasedns") == 0 || strcmp(service, "libvirt") == 0 ||
	       strcmp(service, "libvirt_guest") == 0;
}

bool check_nss_is_odd(const char *service)
{
	return service[strspn(service, NAME_CHARACTERS)] != '\0';
}

size_t check_nss_find(const struct check_nss_line *line, const char *name)
{
	size_t i = 0;

	while (i < line->count && strcmp(line->services[i].name, name) != 0)
		i++;
	return i;
}

static void check_nss_add(struct check_nss_line *line, const char *name, size_t len)
{
	struct check_nss_service *service;

	if (line->count == CHECK_NSS_SERVICES_MAX)
		return;
	service = &line->services[line->count++];
	*service = (struct check_nss_service){.ends = {[CHECK_NSS_SUCCESS] = true}};
	if (len >= sizeof(service->name))
		len = sizeof(service->name) - 1;
	memcpy(service->name, name, len);
}

/* glibc's, in nss_database.c. */
static void check_nss_set_default(struct check_nss_line *line)
{
	line->count = 0;
	check_nss_add(line, "files", 5);
	check_nss_add(line, "dns", 3);
}

/* Moves on over a word of letters, and tells which of `words` it was, in any case; -1 if none. */
static int check_nss_take_word(const char **at, const char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		size_t len = strlen(words[i]);

		if (strncasecmp(*at, words[i], len) != 0)
			continue;
		*at += len;
		return i;
	}
	return -1;
}

static void check_nss_skip_blanks(const char **at)
{
	*at += strspn(*at, BLANKS);
}

/* "[!NOTFOUND=return SUCCESS = continue]", behind the bracket: one or more. False if it is not
 * that. */
static bool check_nss_take_actions(const char **at, struct check_nss_service *service)
{
	static const char *const actions[] = {"continue", "return", "merge"};

	check_nss_skip_blanks(at);
	do {
		bool is_not;
		int status;
		int action;

		is_not = **at == '!';
		*at += is_not;
		status = check_nss_take_word(at, check_nss_words, CHECK_NSS_STATUS_COUNT);
		check_nss_skip_blanks(at);
		if (status < 0 || **at != '=')
			return false;
		(*at)++;
		check_nss_skip_blanks(at);
		action = check_nss_take_word(at, actions, 3);
		if (action < 0)
			return false;
		for (int i = 0; i < CHECK_NSS_STATUS_COUNT; i++) {
			if ((i == status) != is_not)
				service->ends[i] = action == 1;
		}
		check_nss_skip_blanks(at);
	} while (**at != ']');
	(*at)++;
	return true;
}

/* What follows "hosts:", as __nss_action_parse() of glibc takes it: there are no comments, and an
 * action that follows no service ends the line. */
static bool check_nss_take_services(const char *at, struct check_nss_line *line)
{
	for (;;) {
		size_t len;

		check_nss_skip_blanks(&at);
		len = strcspn(at, BLANKS "[");
		if (len == 0)
			return true;
		check_nss_add(line, at, len);
		at += len;
		check_nss_skip_blanks(&at);
		if (*at != '[')
			continue;
		at++;
		if (!check_nss_take_actions(&at, &line->services[line->count - 1]))
			return false;
	}
}

/* Those whose lines glibc reads. */
static bool check_nss_is_database(const char *name, size_t len)
{
	static const char *const names[] = {"aliases", "ethers", "group", "group_compat", "gshadow",
		"hosts", "initgroups", "netgroup", "networks", "passwd", "passwd_compat",
		"protocols", "publickey", "rpc", "services", "shadow", "shadow_compat"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	}
	return false;
}

/* A line as process_line() of glibc takes it. False if glibc gives up on the file. */
static bool check_nss_take_line(const char *at, unsigned number, struct check_nss_line *line)
{
	struct check_nss_line other = {0};
	const char *name;
	size_t len;
	bool is_fine;

	check_nss_skip_blanks(&at);
	name = at;
	len = strcspn(at, BLANKS ":");
	at += len;
	if (!*at || !check_nss_is_database(name, len))
		return true;
	at += strspn(at, BLANKS ":");
	is_fine = check_nss_take_services(at, &other);
	if (len != 5 || memcmp(name, "hosts", 5) != 0)
		return is_fine;
	line->number = number;
	line->count = other.count;
	memcpy(line->services, other.services, sizeof(line->services));
	if (!is_fine)
		check_nss_set_default(line);
	return is_fine;
}

enum check_nss_parsed check_nss_parse(const char *text, size_t len, struct check_nss_line *out_line)
{
	unsigned number = 0;
	const char *end = text + len;

	memset(out_line, 0, sizeof(*out_line));
	check_nss_set_default(out_line);
	while (text < end) {
		size_t room = (size_t)(end - text);
		const char *newline = memchr(text, '\n', room);
		size_t octets = newline ? (size_t)(newline - text) : room;
		char *line = strndup(text, octets);
		struct check_nss_line unread = {0};

		number++;
		text += octets + (newline ? 1 : 0);
		if (line && !newline) {
			/* What is not ended is not read. */
			check_nss_take_line(line, number, &unread);
			out_line->unended = unread.number;
		} else if (line && !check_nss_take_line(line, number, out_line) &&
			   out_line->bad == 0) {
			out_line->bad = number;
		}
		free(line);
	}
	return out_line->bad ? CHECK_NSS_BAD : CHECK_NSS_PARSED;
}

struct check_nss_walk check_nss_walk(
	const struct check_nss_line *line, const enum check_nss_status *statuses)
{
	struct check_nss_walk walk = {.position = line->count, .status = CHECK_NSS_NOTFOUND};

	for (size_t i = 0; i < line->count; i++) {
		walk.is_found = walk.is_found || statuses[i] == CHECK_NSS_SUCCESS;
		walk.status = statuses[i];
		if (!line->services[i].ends[statuses[i]])
			continue;
		walk.position = i;
		break;
	}
	return walk;
}

void check_nss_format_service(
	const struct check_nss_service *service, char out_text[CHECK_NSS_SERVICE_SIZE])
{
	char actions[96] = "";
	bool fails_end = service->ends[CHECK_NSS_NOTFOUND] + service->ends[CHECK_NSS_UNAVAIL] +
				 service->ends[CHECK_NSS_TRYAGAIN] ==
			 2;

	/* Two of three ways to fail: written as people do, by the one that goes on. */
	for (int i = 0; i < CHECK_NSS_STATUS_COUNT; i++) {
		bool is_default = service->ends[i] == (i == CHECK_NSS_SUCCESS);
		bool is_named =
			i == CHECK_NSS_SUCCESS || !fails_end ? !is_default : !service->ends[i];
		size_t len = strlen(actions);

		if (is_named)
			snprintf(actions + len, sizeof(actions) - len, "%s%s%s=%s", len ? " " : "",
				i != CHECK_NSS_SUCCESS && fails_end ? "!" : "", check_nss_words[i],
				i == CHECK_NSS_SUCCESS ? "continue" : "return");
	}
	snprintf(out_text, CHECK_NSS_SERVICE_SIZE, "%s%s%s%s", service->name,
		actions[0] ? " [" : "", actions, actions[0] ? "]" : "");
}

char *check_nss_format(const struct check_nss_line *line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("hosts:", out);
	for (size_t i = 0; i < line->count; i++) {
		char service[CHECK_NSS_SERVICE_SIZE];

		check_nss_format_service(&line->services[i], service);
		fprintf(out, " %s", service);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void check_nss_copy_ours(const struct check_nss_line *line, struct check_nss_line *mended)
{
	for (size_t i = 0; i < line->count; i++) {
		const char *name = line->services[i].name;

		if (check_nss_is_ours(name) && check_nss_find(mended, name) == mended->count)
			check_nss_add(mended, name, strlen(name));
	}
	for (size_t i = 0; i < mended->count; i++) {
		if (check_nss_is_ours(mended->services[i].name))
			return;
	}
	check_nss_add(mended, "leasedns", 8);
}

/* What was meant: names as far as they are some, and nothing of what looks like a comment. */
static void check_nss_clean(const struct check_nss_line *line, struct check_nss_line *out_clean)
{
	*out_clean = (struct check_nss_line){.number = line->number};
	for (size_t i = 0; i < line->count && line->services[i].name[0] != '#'; i++) {
		struct check_nss_service service = line->services[i];

		service.name[strspn(service.name, NAME_CHARACTERS)] = '\0';
		if (service.name[0])
			out_clean->services[out_clean->count++] = service;
	}
}

void check_nss_mend(const struct check_nss_line *given, struct check_nss_line *out_mended)
{
	struct check_nss_line clean;
	const struct check_nss_line *line = &clean;
	bool has_ours = false;

	check_nss_clean(given, &clean);
	*out_mended = (struct check_nss_line){.number = line->number};
	for (size_t i = 0; i < line->count; i++) {
		const struct check_nss_service *service = &line->services[i];
		bool is_files = strcmp(service->name, "files") == 0;

		if (check_nss_is_ours(service->name))
			continue;
		if (!has_ours && !is_files) {
			check_nss_copy_ours(line, out_mended);
			has_ours = true;
		}
		if (out_mended->count == CHECK_NSS_SERVICES_MAX)
			break;
		out_mended->services[out_mended->count++] = *service;
		/* What says "no such name" before us may not end the search. */
		if (is_files && !has_ours)
			out_mended->services[out_mended->count - 1].ends[CHECK_NSS_NOTFOUND] =
				false;
	}
	if (!has_ours)
		check_nss_copy_ours(line, out_mended);
}
