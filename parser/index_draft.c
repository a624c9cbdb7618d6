#include "index_draft.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "index_format.h"

struct index_draft {
	struct build build;
	struct build_scratch scratch;
	struct index index; /* What its values belong to. */
	bool failed;
};

enum parser_status index_draft_new(const struct store_directory *directories,
	size_t directory_count, const struct index_options *options, struct index_draft **out_draft,
	struct index *out_index)
{
	struct index_draft *draft = calloc(1, sizeof(*draft));
	enum parser_status rc;

	if (!draft)
		return PARSER_E_NO_MEMORY;
	rc = build_init(&draft->build, directories, directory_count, options, NULL, NULL);
	if (rc != PARSER_OK) {
		index_draft_free(draft);
		return rc;
	}
	draft->index = (struct index){.fd = -1, .draft = draft};
	*out_draft = draft;
	*out_index = draft->index;
	return PARSER_OK;
}

void index_draft_free(struct index_draft *draft)
{
	if (!draft)
		return;
	build_scratch_done(&draft->scratch);
	build_done(&draft->build);
	free(draft);
}

bool index_draft_has_failed(const struct index_draft *draft)
{
	return draft->failed;
}

/* A copy that lives as long as the draft. */
static const uint8_t *draft_keep(struct index_draft *draft, const uint8_t *octets, size_t len)
{
	struct build_text *block = malloc(sizeof(*block) + len + 1);

	if (!block)
		return NULL;
	if (len)
		memcpy(block->octets, octets, len);
	block->next = draft->build.texts;
	draft->build.texts = block;
	return block->octets;
}

static enum parser_status draft_network(
	struct index_draft *draft, struct bytes label, size_t *out_len)
{
	for (size_t i = 0; i < draft->build.network_count; i++) {
		const struct build_network *network = &draft->build.networks[i];

		if (!bytes_equal(bytes_of_text(network->bridge), label) &&
			!bytes_equal(bytes_of_text(network->name), label))
			continue;
		if (!build_reserve_value(&draft->scratch, 2))
			return PARSER_E_NO_MEMORY;
		put_u16(draft->scratch.value, (uint16_t)i);
		*out_len = 2;
		return PARSER_OK;
	}
	return PARSER_E_ABSENT;
}

/* Makes the value of a key in the scratch room. */
static enum parser_status draft_make(
	struct index_draft *draft, enum index_key_kind kind, struct bytes name, size_t *out_len)
{
	struct bytes key = build_key(&draft->build, kind, name);
	size_t position;

	switch (kind) {
	case INDEX_KEY_HOSTNAME:
	case INDEX_KEY_GUEST:
	case INDEX_KEY_NAME:
		position = grouping_find(draft->build.records, key);
		if (position == SIZE_MAX)
			return PARSER_E_ABSENT;
		return build_value_records(&draft->build, &draft->scratch, position, out_len);
	case INDEX_KEY_ADDRESS:
		position = grouping_find(draft->build.names, key);
		if (position == SIZE_MAX)
			return PARSER_E_ABSENT;
		return build_value_names(&draft->build, &draft->scratch, position, out_len);
	case INDEX_KEY_NETWORK:
		return draft_network(draft, name, out_len);
	case INDEX_KEY_REVERSE:
	case INDEX_KEY_META:
		break;
	}
	return PARSER_E_ABSENT;
}

enum index_match index_draft_find(struct index_draft *draft, enum index_key_kind kind,
	struct bytes key, struct index_value *out_value)
{
	const uint8_t *octets;
	size_t len = 0;

	if (key.len > INDEX_KEY_OCTETS_MAX)
		return INDEX_ABSENT;
	switch (draft_make(draft, kind, key, &len)) {
	case PARSER_OK:
		break;
	case PARSER_E_ABSENT:
		return INDEX_ABSENT;
	case PARSER_E_NO_MEMORY:
	case PARSER_E_IO:
	case PARSER_E_SYNTAX:
	case PARSER_E_LIMIT:
	case PARSER_E_TORN:
	case PARSER_E_UNTRUSTED:
	case PARSER_E_CORRUPT:
		draft->failed = true;
		return INDEX_CORRUPT;
	}
	octets = draft_keep(draft, draft->scratch.value, len);
	if (!octets) {
		draft->failed = true;
		return INDEX_CORRUPT;
	}
	*out_value = (struct index_value){
		.index = &draft->index, .len = (uint32_t)len, .octets = octets};
	return INDEX_FOUND;
}
