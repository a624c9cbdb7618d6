#include "server/dns/zone.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "server/dns/query.h"

#define NS_PER_S 1000000000
/* So that `hostmaster.<zone>` and `leasedns.<zone>` are names too. */
#define ORIGIN_OCTETS_MAX (DNS_NAME_OCTETS_MAX - sizeof("hostmaster"))

struct zone {
	struct index index;
	uint32_t serial;
	size_t origin_count;
	struct zone_origin *origins; /* In the order of meta.zones. */
	struct index_meta meta;
	bool has_meta;
	void *map;
	size_t map_octets;
};

/* Whether the name is one at all is ldns's to judge; the configuration was checked long before. */
static enum parser_status origin_parse(struct bytes text, struct zone_origin *out_origin)
{
	char copy[INDEX_KEY_OCTETS_MAX];
	enum parser_status rc = PARSER_E_CORRUPT;
	ldns_rdf *name = NULL;

	if (text.len == 0 || text.len >= sizeof(copy))
		goto out;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	const ldns_status status = ldns_str2rdf_dname(&name, copy);

	if (status == LDNS_STATUS_MEM_ERR)
		rc = PARSER_E_NO_MEMORY;
	if (status != LDNS_STATUS_OK || ldns_rdf_size(name) > ORIGIN_OCTETS_MAX)
		goto out;
	out_origin->label_count = ldns_dname_label_count(name);
	out_origin->octets = (uint8_t)ldns_rdf_size(name);
	for (size_t i = 0; i < out_origin->octets; i++)
		out_origin->name[i] = byte_lower(ldns_rdf_data(name)[i]);
	rc = PARSER_OK;
out:
	ldns_rdf_deep_free(name);
	return rc;
}

static enum parser_status origins_new(struct zone *zone)
{
	const struct index_meta *meta = &zone->meta;

	if (meta->zone_count == 0)
		return PARSER_E_CORRUPT;
	zone->origins = calloc(meta->zone_count, sizeof(*zone->origins));
	if (!zone->origins)
		return PARSER_E_NO_MEMORY;
	zone->origin_count = meta->zone_count;
	for (size_t i = 0; i < meta->zone_count; i++) {
		const enum parser_status rc = origin_parse(meta->zones[i], &zone->origins[i]);

		if (rc != PARSER_OK)
			return rc;
	}
	return PARSER_OK;
}

static enum parser_status map_new(struct zone *zone, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return PARSER_E_IO;
	if (st.st_size <= 0 || st.st_size > (off_t)INDEX_FILE_OCTETS_MAX)
		return PARSER_E_CORRUPT;
	/* Populated here, off the loop, so that no answer waits for a page fault. */
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (map == MAP_FAILED)
		return PARSER_E_IO;
	zone->map = map;
	zone->map_octets = (size_t)st.st_size;
	return index_init_memory(&zone->index, zone->map, zone->map_octets);
}

enum parser_status zone_new(int fd, struct zone **out_zone)
{
	struct zone *zone = calloc(1, sizeof(*zone));
	enum parser_status rc = PARSER_E_NO_MEMORY;

	if (!zone)
		goto out;
	rc = map_new(zone, fd);
	if (rc != PARSER_OK)
		goto out;
	rc = index_meta_init(&zone->meta, &zone->index);
	if (rc != PARSER_OK)
		goto out;
	zone->has_meta = true;
	rc = origins_new(zone);
	if (rc != PARSER_OK)
		goto out;
	zone->serial = (uint32_t)(zone->meta.built_unix_ns / NS_PER_S);
	*out_zone = zone;
	zone = NULL;
out:
	zone_free(zone);
	return rc;
}

void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	free(zone->origins);
	if (zone->has_meta)
		index_meta_done(&zone->meta);
	if (zone->map)
		munmap(zone->map, zone->map_octets);
	free(zone);
}

const struct index *zone_index(const struct zone *zone)
{
	return &zone->index;
}

const struct index_meta *zone_meta(const struct zone *zone)
{
	return &zone->meta;
}

const struct zone_origin *zone_canonical(const struct zone *zone)
{
	return &zone->origins[0];
}

const struct zone_origin *zone_find(const struct zone *zone, const struct query *query)
{
	const struct zone_origin *best = NULL;

	for (size_t i = 0; i < zone->origin_count; i++) {
		const struct zone_origin *origin = &zone->origins[i];

		if (origin->octets > query->name_octets ||
			origin->label_count > query->label_count ||
			(best && best->label_count >= origin->label_count))
			continue;
		/* The suffix must start with a label, not in the middle of one. */
		const size_t start = (size_t)query->name_octets - origin->octets;

		if (origin->label_count > 0 &&
			query->labels[query->label_count - origin->label_count] != start)
			continue;
		if (memcmp(query->name + start, origin->name, origin->octets) == 0)
			best = origin;
	}
	return best;
}

uint32_t zone_serial(const struct zone *zone)
{
	return zone->serial;
}
