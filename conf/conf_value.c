#include "conf_value.h"

#include <stdlib.h>
#include <string.h>

#include "conf_endpoint.h"
#include "conf_message.h"
#include "conf_text.h"

/* RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters of text. */
#define ZONE_OCTETS_MAX  253
#define LABEL_OCTETS_MAX 63

#define BLANKS            " \t"
#define BLANKS_AND_COMMAS " \t,"

/* Where an entry's value lies. The table pairs each offset with the type that its user casts to. */
static void *member(struct conf *conf, size_t offset)
{
	return (char *)conf + offset;
}

static enum conf_status no_memory(const struct conf_place *place)
{
	return conf_fail(place->error, CONF_E_NO_MEMORY, "out of memory");
}

/* Steps to the next word; false behind the last. */
static bool word_next(
	const char **at, const char *separators, const char **out_word, size_t *out_len)
{
	const char *word = *at + strspn(*at, separators);
	size_t len = strcspn(word, separators);

	if (len == 0)
		return false;
	*at = word + len;
	*out_word = word;
	*out_len = len;
	return true;
}

static enum conf_status words_count(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, const char *separators, size_t *out_count)
{
	const char *word;
	size_t len;
	size_t count = 0;

	while (word_next(&text, separators, &word, &len))
		count++;
	if (count < entry->min)
		return conf_refuse(place, "is empty, and needs %u to %u %s", entry->min, entry->max,
			entry->unit);
	if (count > entry->max)
		return conf_refuse(place, "%zu %s, of at most %u", count, entry->unit, entry->max);
	*out_count = count;
	return CONF_OK;
}

static char *text_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

static void text_lower(char *text)
{
	for (; *text; text++)
		*text = conf_text_lower(*text);
}

static void strings_free(char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

static bool is_label(const char *text, size_t len)
{
	if (len == 0 || len > LABEL_OCTETS_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* Words of a list of strings: checks one and makes what is kept of it. */
typedef enum conf_status (*string_maker)(
	const struct conf_place *place, const char *word, size_t len, char **out_string);

static enum conf_status make_zone(
	const struct conf_place *place, const char *word, size_t len, char **out_string)
{
	size_t name_len = len > 0 && word[len - 1] == '.' ? len - 1 : len;
	size_t start = 0;
	bool good = name_len <= ZONE_OCTETS_MAX;
	char *zone;

	while (good && start <= name_len) {
		const char *dot = memchr(word + start, '.', name_len - start);
		size_t end = dot ? (size_t)(dot - word) : name_len;

		good = is_label(word + start, end - start);
		start = end + 1;
	}
	if (!good)
		return conf_refuse(place,
			"'%s' is not a domain name: words of letters, digits, '-' and '_', each up "
			"to %d, parted by dots, up to %d in all",
			conf_quote(word, len).text, LABEL_OCTETS_MAX, ZONE_OCTETS_MAX);
	zone = text_copy(word, name_len);
	if (!zone)
		return no_memory(place);
	text_lower(zone);
	*out_string = zone;
	return CONF_OK;
}

/* A control character in a path is a slip of the editor, and at the end of a line some are lost. */
static bool is_absolute_path(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	return len > 0 && text[0] == '/';
}

static enum conf_status make_directory(
	const struct conf_place *place, const char *word, size_t len, char **out_string)
{
	size_t kept = len;
	char *directory;

	if (!is_absolute_path(word, len))
		return conf_refuse(
			place, "'%s' is not an absolute path", conf_quote(word, len).text);
	/* So that equal directories compare equal. */
	while (kept > 1 && word[kept - 1] == '/')
		kept--;
	directory = text_copy(word, kept);
	if (!directory)
		return no_memory(place);
	*out_string = directory;
	return CONF_OK;
}

static enum conf_status strings_parse(const struct conf_place *place, const char *text,
	const char *separators, string_maker make, char **strings)
{
	enum conf_status rc;
	const char *word;
	size_t len;

	for (size_t count = 0; word_next(&text, separators, &word, &len); count++) {
		rc = make(place, word, len, &strings[count]);
		if (rc != CONF_OK)
			return rc;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(strings[i], strings[count]) == 0)
				return conf_refuse(
					place, "'%s' is given twice", conf_quote(word, len).text);
		}
	}
	return CONF_OK;
}

static enum conf_status strings_set(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	bool is_zones = entry->type == CONF_TYPE_ZONES;
	const char *separators = is_zones ? BLANKS_AND_COMMAS : BLANKS;
	char ***list = member(conf, entry->offset);
	size_t *list_count = member(conf, entry->count_offset);
	char **strings = NULL;
	size_t count = 0;
	enum conf_status rc = words_count(entry, place, text, separators, &count);

	if (rc != CONF_OK)
		return rc;
	if (count > 0) {
		strings = calloc(count, sizeof(*strings));
		if (!strings)
			return no_memory(place);
		rc = strings_parse(
			place, text, separators, is_zones ? make_zone : make_directory, strings);
		if (rc != CONF_OK) {
			strings_free(strings, count);
			return rc;
		}
	}
	strings_free(*list, *list_count);
	*list = strings;
	*list_count = count;
	return CONF_OK;
}

static enum conf_status endpoints_parse(
	const struct conf_place *place, const char *text, struct conf_endpoint *endpoints)
{
	enum conf_status rc;
	const char *word;
	size_t len;

	for (size_t count = 0; word_next(&text, BLANKS_AND_COMMAS, &word, &len); count++) {
		rc = conf_endpoint_parse(place, word, len, &endpoints[count]);
		if (rc != CONF_OK)
			return rc;
		for (size_t i = 0; i < count; i++) {
			if (conf_endpoint_equal(&endpoints[i], &endpoints[count]))
				return conf_refuse(
					place, "'%s' is given twice", conf_quote(word, len).text);
		}
	}
	return CONF_OK;
}

/* @param out_endpoints the caller's to free. */
static enum conf_status endpoints_make(const struct conf_place *place, const char *text,
	size_t count, struct conf_endpoint **out_endpoints)
{
	struct conf_endpoint *endpoints = calloc(count, sizeof(*endpoints));
	enum conf_status rc;

	if (!endpoints)
		return no_memory(place);
	rc = endpoints_parse(place, text, endpoints);
	if (rc != CONF_OK) {
		free(endpoints);
		return rc;
	}
	*out_endpoints = endpoints;
	return CONF_OK;
}

static enum conf_status endpoints_set(const struct conf_entry *entry,
	const struct conf_place *place, const char *text, struct conf *conf)
{
	struct conf_endpoint **list = member(conf, entry->offset);
	size_t *list_count = member(conf, entry->count_offset);
	struct conf_endpoint *endpoints = NULL;
	size_t count = 0;
	enum conf_status rc = words_count(entry, place, text, BLANKS_AND_COMMAS, &count);

	if (rc == CONF_OK)
		rc = endpoints_make(place, text, count, &endpoints);
	if (rc != CONF_OK)
		return rc;
	free(*list);
	*list = endpoints;
	*list_count = count;
	return CONF_OK;
}

/* What Linux takes as an interface's name (dev_valid_name(): 1 to 15 octets, no '/', ':' or blank,
 * not "." or ".."), less what could not be printed. */
static bool is_interface_name(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > CONF_BRIDGE_OCTETS_MAX || strcmp(text, ".") == 0 ||
		strcmp(text, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c == 0x7f || c == '/' || c == ':')
			return false;
	}
	return true;
}

static enum conf_status network_add(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	struct conf_network **list = member(conf, entry->offset);
	size_t *list_count = member(conf, entry->count_offset);
	struct conf_network network = {NULL, NULL};
	struct conf_network *grown;

	if (!is_interface_name(place->key))
		return conf_refuse(place,
			"the key is not the name of an interface: 1 to %d octets without '/', ':' "
			"and blanks",
			CONF_BRIDGE_OCTETS_MAX);
	if (!is_label(text, strlen(text)))
		return conf_refuse(place,
			"'%s' is not one word of 1 to %d letters, digits, '-' and '_'",
			conf_quote(text, strlen(text)).text, LABEL_OCTETS_MAX);
	if (*list_count >= entry->max)
		return conf_refuse(place, "more than %u %s", entry->max, entry->unit);
	grown = realloc(*list, (*list_count + 1) * sizeof(**list));
	if (!grown)
		return no_memory(place);
	*list = grown;
	network.bridge = text_copy(place->key, strlen(place->key));
	network.name = text_copy(text, strlen(text));
	if (!network.bridge || !network.name) {
		free(network.bridge);
		free(network.name);
		return no_memory(place);
	}
	text_lower(network.name);
	grown[(*list_count)++] = network;
	return CONF_OK;
}

static enum conf_status number_set(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	uint32_t *number = member(conf, entry->offset);

	if (!conf_text_number(text, strlen(text), entry->min, entry->max, number))
		return conf_refuse(place, "'%s' is not a whole number of %s from %u to %u",
			conf_quote(text, strlen(text)).text, entry->unit, entry->min, entry->max);
	return CONF_OK;
}

static enum conf_status switch_set(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	bool *is_on = member(conf, entry->offset);

	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return conf_refuse(
			place, "'%s' is neither yes nor no", conf_quote(text, strlen(text)).text);
	*is_on = text[0] == 'y';
	return CONF_OK;
}

static enum conf_status file_set(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	char **file = member(conf, entry->offset);
	size_t len = strlen(text);
	char *copy;

	if (!is_absolute_path(text, len) || text[len - 1] == '/')
		return conf_refuse(place, "'%s' is not the absolute path of a file",
			conf_quote(text, len).text);
	copy = text_copy(text, len);
	if (!copy)
		return no_memory(place);
	free(*file);
	*file = copy;
	return CONF_OK;
}

static bool is_unspecified(const struct conf_endpoint *endpoint)
{
	static const uint8_t unspecified[16];

	return memcmp(endpoint->octets, unspecified, endpoint->family == 4 ? 4 : 16) == 0;
}

/* Servers to ask. @param out_servers the caller's to free. */
static enum conf_status servers_make(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf_endpoint **out_servers, size_t *out_count)
{
	char shown[CONF_ENDPOINT_TEXT_SIZE];
	size_t count = 0;
	enum conf_status rc = words_count(entry, place, text, BLANKS_AND_COMMAS, &count);

	if (rc == CONF_OK && count == 0)
		return conf_refuse(
			place, "is empty, and needs 1 to %u %s", entry->max, entry->unit);
	if (rc == CONF_OK)
		rc = endpoints_make(place, text, count, out_servers);
	if (rc != CONF_OK)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (!is_unspecified(&(*out_servers)[i]))
			continue;
		conf_endpoint_format(&(*out_servers)[i], shown);
		free(*out_servers);
		*out_servers = NULL;
		return conf_refuse(place, "'%s' is no address that can be asked", shown);
	}
	*out_count = count;
	return CONF_OK;
}

static enum conf_status upstream_set(const struct conf_entry *entry, const struct conf_place *place,
	const char *text, struct conf *conf)
{
	struct conf_endpoint *servers = NULL;
	enum conf_upstream upstream = CONF_UPSTREAM_SERVERS;
	size_t count = 0;
	enum conf_status rc;

	if (strcmp(text, "none") == 0) {
		upstream = CONF_UPSTREAM_NONE;
	} else if (strcmp(text, "resolv.conf") == 0) {
		upstream = CONF_UPSTREAM_RESOLV_CONF;
	} else {
		rc = servers_make(entry, place, text, &servers, &count);
		if (rc != CONF_OK)
			return rc;
	}
	free(conf->upstream_servers);
	conf->upstream = upstream;
	conf->upstream_servers = servers;
	conf->upstream_server_count = count;
	return CONF_OK;
}

static enum conf_status forward_zone_add(const struct conf_entry *entry,
	const struct conf_place *place, const char *text, struct conf *conf)
{
	const char *name = place->key + strlen(entry->key_prefix);
	struct conf_forward_zone zone = {NULL, NULL, 0};
	struct conf_forward_zone *grown;
	enum conf_status rc;

	if (conf->forward_zone_count >= entry->max)
		return conf_refuse(place, "more than %u %s", entry->max, entry->unit);
	rc = make_zone(place, name, strlen(name), &zone.name);
	if (rc == CONF_OK)
		rc = servers_make(&conf_table[CONF_FORWARD_UPSTREAM], place, text, &zone.servers,
			&zone.server_count);
	if (rc != CONF_OK)
		goto fail;
	grown = realloc(conf->forward_zones, (conf->forward_zone_count + 1) * sizeof(*grown));
	if (!grown) {
		rc = no_memory(place);
		goto fail;
	}
	conf->forward_zones = grown;
	grown[conf->forward_zone_count++] = zone;
	return CONF_OK;
fail:
	free(zone.name);
	free(zone.servers);
	return rc;
}

enum conf_status conf_value_set(const struct conf_entry *entry, const char *key, const char *text,
	struct conf *conf, struct conf_error *out_error)
{
	const struct conf_place place = {entry->section, key, out_error};

	switch (entry->type) {
	case CONF_TYPE_ENDPOINTS:
		return endpoints_set(entry, &place, text, conf);
	case CONF_TYPE_ZONES:
	case CONF_TYPE_DIRECTORIES:
		return strings_set(entry, &place, text, conf);
	case CONF_TYPE_NETWORKS:
		return network_add(entry, &place, text, conf);
	case CONF_TYPE_NUMBER:
		return number_set(entry, &place, text, conf);
	case CONF_TYPE_SWITCH:
		return switch_set(entry, &place, text, conf);
	case CONF_TYPE_FILE:
		return file_set(entry, &place, text, conf);
	case CONF_TYPE_UPSTREAM:
		return upstream_set(entry, &place, text, conf);
	case CONF_TYPE_FORWARD_ZONES:
		return forward_zone_add(entry, &place, text, conf);
	}
	return CONF_E_VALUE;
}
