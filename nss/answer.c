#include "nss/answer.h"

#include "parser/view.h"

/* Until when an answer holds. */
static uint32_t answer_ttl(
	const struct answer_setting *setting, int64_t expires_unix_s, uint32_t ttl_s)
{
	int64_t left = expires_unix_s - setting->now_unix_s;

	return expires_unix_s && left < (int64_t)ttl_s ? (uint32_t)left : ttl_s;
}

static bool answer_is_merged(const struct answer_setting *setting)
{
	return setting->module->names == INDEX_KEY_NAME;
}

static enum index_match answer_find(const struct answer_setting *setting,
	const struct question *question, struct view *out_view)
{
	enum index_key_kind names = setting->module->names;
	enum index_match match = view_find(
		setting->index, names, question_literal(question), setting->now_unix_s, out_view);

	if (match == INDEX_ABSENT && question->stripped_len)
		match = view_find(setting->index, names, question_stripped(question),
			setting->now_unix_s, out_view);
	return match;
}

enum nss_outcome answer_name(const struct answer_setting *setting, const struct question *question,
	uint8_t family, const struct lookup_sink *sink, int32_t *out_ttl_s)
{
	uint32_t ttl_s = setting->ttl_s;
	struct index_record record;
	struct view view;
	bool found = false;

	switch (answer_find(setting, question, &view)) {
	case INDEX_CORRUPT:
		return NSS_OUTCOME_UNAVAILABLE;
	case INDEX_ABSENT:
		if (index_has_failed(setting->index))
			return NSS_OUTCOME_UNAVAILABLE;
		/* The apex exists, though only where there is a zone at all. */
		return question->is_apex && answer_is_merged(setting) ? NSS_OUTCOME_NODATA
								      : NSS_OUTCOME_ABSENT;
	case INDEX_NODATA:
	case INDEX_FOUND:
		break;
	}
	while (view_next(&view, family, setting->now_unix_s, &record)) {
		if (!sink->address(sink->ctx, &record.address))
			return NSS_OUTCOME_BUFFER_TOO_SMALL;
		ttl_s = answer_ttl(setting, record.expires_unix_s, ttl_s);
		found = true;
	}
	if (index_has_failed(setting->index))
		return NSS_OUTCOME_UNAVAILABLE;
	if (!found)
		return NSS_OUTCOME_NODATA;
	*out_ttl_s = (int32_t)ttl_s;
	return NSS_OUTCOME_FOUND;
}

/* Does the module give this address for this name? */
static bool answer_counts(const struct answer_setting *setting, const struct index_name *name)
{
	uint8_t key[INDEX_NAME_OCTETS_MAX];
	struct index_value value;

	if (!index_is_alive(name->valid_from_unix_s, name->expires_unix_s, setting->now_unix_s))
		return false;
	if (answer_is_merged(setting))
		return name->published;
	if (setting->module->names == INDEX_KEY_GUEST)
		return name->kind == INDEX_KIND_GUEST;
	if (name->kind != INDEX_KIND_HOSTNAME)
		return false;
	/* A hostname that was refused stands here, too, but cannot be looked up. */
	for (size_t i = 0; i < name->name.len; i++)
		key[i] = byte_lower(name->name.ptr[i]);
	return index_find(setting->index, INDEX_KEY_HOSTNAME, (struct bytes){key, name->name.len},
		       &value) == INDEX_FOUND;
}

/* The zone follows a name of the merged view that DNS can carry. */
static struct bytes answer_zone(const struct answer_setting *setting, const struct index_name *name)
{
	return answer_is_merged(setting) && name->dns_name ? setting->zone
							   : (struct bytes){NULL, 0};
}

/* DNS answers with the best name that it can carry: that one comes first here as well, then the
 * others of DNS, then those that live in NSS only. */
static enum nss_outcome answer_names(const struct answer_setting *setting,
	const struct index_value *value, bool dns_names, const struct lookup_sink *sink,
	uint32_t *ttl_s, bool *found)
{
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct index_name name;
	uint32_t offset = 0;

	while (index_name_next(value, &offset, buffer, &name) == PARSER_OK) {
		if (name.dns_name != dns_names || !answer_counts(setting, &name))
			continue;
		if (!sink->name(sink->ctx, name.name, answer_zone(setting, &name)))
			return NSS_OUTCOME_BUFFER_TOO_SMALL;
		*ttl_s = answer_ttl(setting, name.expires_unix_s, *ttl_s);
		*found = true;
	}
	return NSS_OUTCOME_FOUND;
}

enum nss_outcome answer_address(const struct answer_setting *setting, const struct address *address,
	const struct lookup_sink *sink, int32_t *out_ttl_s)
{
	uint32_t ttl_s = setting->ttl_s;
	struct index_value value;
	enum nss_outcome outcome;
	bool found = false;

	switch (index_find_address(setting->index, address, &value)) {
	case INDEX_CORRUPT:
		return NSS_OUTCOME_UNAVAILABLE;
	case INDEX_ABSENT:
		return NSS_OUTCOME_ABSENT;
	case INDEX_NODATA:
	case INDEX_FOUND:
		break;
	}
	outcome = answer_names(setting, &value, true, sink, &ttl_s, &found);
	if (outcome == NSS_OUTCOME_FOUND)
		outcome = answer_names(setting, &value, false, sink, &ttl_s, &found);
	if (index_has_failed(setting->index))
		return NSS_OUTCOME_UNAVAILABLE;
	if (outcome != NSS_OUTCOME_FOUND)
		return outcome;
	if (!found)
		return NSS_OUTCOME_ABSENT;
	*out_ttl_s = (int32_t)ttl_s;
	return NSS_OUTCOME_FOUND;
}
