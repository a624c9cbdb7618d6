/* resolv.conf(5) without its servers: what glibc makes of a short name. */
#include "server/check/check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\v\f"

static void search_add(struct check_search *search, const char *domain, size_t len)
{
	char *place;

	if (len > 0 && domain[len - 1] == '.')
		len--;
	if (len == 0 || len >= CHECK_SEARCH_SIZE || search->count == CHECK_SEARCH_MAX)
		return;
	place = search->domains[search->count++];
	for (size_t i = 0; i < len; i++)
		place[i] = (char)byte_lower((uint8_t)domain[i]);
	place[len] = '\0';
}

/* The next word of a line, or NULL; moves on behind it. */
static const char *search_word(const char **at, size_t *out_len)
{
	const char *word = *at + strspn(*at, BLANKS);

	*out_len = strcspn(word, BLANKS);
	*at = word + *out_len;
	return *out_len > 0 ? word : NULL;
}

static void search_take_domains(struct check_search *search, const char *at, size_t max)
{
	const char *word;
	size_t len;

	search->count = 0;
	while (search->count < max && (word = search_word(&at, &len)))
		search_add(search, word, len);
}

static void search_take_options(struct check_search *search, const char *at)
{
	static const char key[] = "ndots:";
	const char *word;
	size_t len;

	while ((word = search_word(&at, &len))) {
		unsigned long dots;

		if (strncmp(word, key, sizeof(key) - 1) != 0)
			continue;
		dots = strtoul(word + sizeof(key) - 1, NULL, 10);
		search->ndots = dots > 15 ? 15 : (unsigned)dots; /* RES_MAXNDOTS */
	}
}

static bool search_is_key(const char *word, size_t len, const char *key)
{
	return word && strlen(key) == len && memcmp(word, key, len) == 0;
}

static void search_take_line(struct check_search *search, const char *line)
{
	const char *at = line;
	size_t len = 0;
	/* glibc wants a key at the very start of its line. */
	const char *word = strchr(BLANKS, *line) ? NULL : search_word(&at, &len);

	if (search_is_key(word, len, "search"))
		search_take_domains(search, at, CHECK_SEARCH_MAX);
	else if (search_is_key(word, len, "domain"))
		search_take_domains(search, at, 1);
	else if (search_is_key(word, len, "options"))
		search_take_options(search, at);
}

void check_search_parse(const char *text, size_t len, struct check_search *out_search)
{
	const char *end = text + len;

	*out_search = (struct check_search){.ndots = 1};
	while (text < end) {
		size_t room = (size_t)(end - text);
		const char *newline = memchr(text, '\n', room);
		size_t octets = newline ? (size_t)(newline - text) : room;
		char *line = strndup(text, octets);

		if (line)
			search_take_line(out_search, line);
		free(line);
		text += octets + (newline ? 1 : 0);
	}
}
