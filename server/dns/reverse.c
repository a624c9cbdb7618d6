#include "server/dns/reverse.h"

#include <string.h>

#include "parser/hostname.h"
#include "server/dns/authority.h"
#include "server/dns/rrset.h"

#define PART_NONE 256u

/* One family's part of the tree below arpa. */
struct reverse_tree {
	uint8_t family;
	uint8_t suffix_octets;
	uint8_t suffix[14]; /* Wire format. */
	uint8_t apex_parts; /* Labels in front of the suffix that make the zone. */
	uint8_t leaf_parts; /* That make an address. */
	unsigned (*part_parse)(const uint8_t *label); /* Returns a number or PART_NONE. */
};

/* RFC 1035 section 3.5: decimal. Only the canonical form names something. */
static unsigned octet_parse(const uint8_t *label)
{
	const uint8_t len = label[0];
	unsigned value = 0;

	if (len == 0 || len > 3 || (len > 1 && label[1] == '0'))
		return PART_NONE;
	for (uint8_t i = 1; i <= len; i++) {
		if (label[i] < '0' || label[i] > '9')
			return PART_NONE;
		value = value * 10 + (label[i] - (unsigned)'0');
	}
	return value <= UINT8_MAX ? value : PART_NONE;
}

/* RFC 3596 section 2.5: one hexadecimal digit, here in lower case already. */
static unsigned nibble_parse(const uint8_t *label)
{
	if (label[0] != 1)
		return PART_NONE;
	if (label[1] >= '0' && label[1] <= '9')
		return label[1] - (unsigned)'0';
	if (label[1] >= 'a' && label[1] <= 'f')
		return label[1] - (unsigned)'a' + 10;
	return PART_NONE;
}

static const struct reverse_tree *tree_find(const struct query *query)
{
	static const struct reverse_tree trees[] = {
		{ADDRESS_IPV4, 14, "\7in-addr\4arpa", 3, 4, octet_parse},
		{ADDRESS_IPV6, 10, "\3ip6\4arpa", 16, 32, nibble_parse},
	};

	if (query->label_count < 2)
		return NULL;
	const uint8_t start = query->labels[query->label_count - 2];

	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		if (query->name_octets - start == trees[i].suffix_octets &&
			memcmp(query->name + start, trees[i].suffix, trees[i].suffix_octets) == 0) {
			return &trees[i];
		}
	}
	return NULL;
}

/* Puts part number `position`, from the top, into the address. */
static void part_put(
	const struct reverse_tree *tree, size_t position, unsigned part, struct address *address)
{
	if (tree->family == ADDRESS_IPV4)
		address->octets[position] = (uint8_t)part;
	else
		address->octets[position / 2] |= (uint8_t)(part << (position % 2 ? 0 : 4));
}

/* @return false if not even the parts of a zone are there. */
static bool address_read(const struct query *query, const struct reverse_tree *tree,
	struct address *out_address, enum reverse_node *out_node)
{
	const size_t parts = (size_t)query->label_count - 2;

	*out_address = (struct address){.family = tree->family};
	if (parts < tree->apex_parts)
		return false;
	for (size_t i = 0; i < parts && i < tree->leaf_parts; i++) {
		const unsigned part = tree->part_parse(query->name + query->labels[parts - 1 - i]);

		if (part == PART_NONE) {
			*out_node = REVERSE_BEYOND;
			return i >= tree->apex_parts;
		}
		part_put(tree, i, part, out_address);
	}
	if (parts > tree->leaf_parts)
		*out_node = REVERSE_BEYOND;
	else if (parts == tree->leaf_parts)
		*out_node = REVERSE_LEAF;
	else
		*out_node = parts == tree->apex_parts ? REVERSE_APEX : REVERSE_INNER;
	return true;
}

enum index_match reverse_find(
	const struct zone *zone, const struct query *query, struct reverse *out_reverse)
{
	const struct reverse_tree *tree = tree_find(query);
	struct reverse reverse = {.has_names = false};
	enum index_match match = INDEX_ABSENT;
	struct address address;

	if (!tree || !address_read(query, tree, &address, &reverse.node))
		return INDEX_ABSENT;
	reverse.apex_label_count = (uint8_t)(tree->apex_parts + 2);

	if (reverse.node == REVERSE_LEAF)
		match = index_find_address(zone_index(zone), &address, &reverse.names);
	/* The zone of an address that has names is always there: need not be looked for. */
	reverse.has_names = match == INDEX_FOUND;
	if (match == INDEX_ABSENT)
		match = index_find_reverse(zone_index(zone), &address);
	if (match == INDEX_FOUND)
		*out_reverse = reverse;
	return match;
}

/* Dots become lengths of labels. hostname_is_dns_name() said that it can be done; whether the zone
 * fits behind it, the caller looks after. */
static void name_write(struct bytes text, uint8_t *octets)
{
	size_t label = 0; /* Where the length of this label goes. */

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '.') {
			octets[label] = (uint8_t)(i - label);
			label = i + 1;
		} else {
			octets[i + 1] = text.ptr[i];
		}
	}
	octets[label] = (uint8_t)(text.len - label);
}

static bool name_is_ptr_target(
	const struct index_name *name, const struct zone_origin *zone, int64_t now_unix_s)
{
	/* One octet more than the text: the first length. The root comes with the zone. A name with
	 * a NUL is not answered in the other direction. */
	return name->published && name->dns_name && name->name.len > 0 &&
	       name->name.len <= HOSTNAME_TEXT_OCTETS_MAX &&
	       name->name.len + 1 + zone->octets <= DNS_NAME_OCTETS_MAX &&
	       memchr(name->name.ptr, 0, name->name.len) == NULL &&
	       index_is_alive(name->valid_from_unix_s, name->expires_unix_s, now_unix_s);
}

/* @return INDEX_FOUND with the name for the PTR, INDEX_ABSENT, INDEX_CORRUPT. */
static enum index_match target_find(const struct zone *zone, const struct reverse *reverse,
	int64_t now_unix_s, uint8_t buffer[INDEX_NAME_OCTETS_MAX], struct index_name *out_name)
{
	uint32_t offset = 0;
	enum parser_status status = PARSER_E_ABSENT;

	if (!reverse->has_names)
		return INDEX_ABSENT;
	while ((status = index_name_next(&reverse->names, &offset, buffer, out_name)) ==
		PARSER_OK) {
		if (name_is_ptr_target(out_name, zone_canonical(zone), now_unix_s))
			return INDEX_FOUND;
	}
	return status == PARSER_E_ABSENT ? INDEX_ABSENT : INDEX_CORRUPT;
}

static void ptr_write(const struct zone *zone, const struct index_name *name, int64_t now_unix_s,
	struct reply *reply)
{
	const struct zone_origin *canonical = zone_canonical(zone);
	const size_t name_octets = name->name.len + 1;
	uint8_t *rdata = reply_record(reply, REPLY_ANSWER, REPLY_QUESTION_OFFSET, DNS_TYPE_PTR,
		rrset_ttl(zone_meta(zone)->ttl_s, name->expires_unix_s, now_unix_s),
		name_octets + canonical->octets);

	if (!rdata) {
		reply->truncated = true;
		return;
	}
	name_write(name->name, rdata);
	memcpy(rdata + name_octets, canonical->name, canonical->octets);
}

static void leaf_answer(const struct zone *zone, const struct reverse *reverse,
	const struct authority *authority, int64_t now_unix_s, struct reply *reply)
{
	const uint16_t type = reply->query->type;
	uint8_t buffer[INDEX_NAME_OCTETS_MAX];
	struct index_name name;

	switch (target_find(zone, reverse, now_unix_s, buffer, &name)) {
	case INDEX_FOUND:
		if (type == DNS_TYPE_PTR || type == DNS_TYPE_ANY)
			ptr_write(zone, &name, now_unix_s, reply);
		else
			authority_negative(authority, DNS_RCODE_NOERROR, reply);
		break;
	case INDEX_ABSENT:
	case INDEX_NODATA:
		authority_negative(authority, DNS_RCODE_NXDOMAIN, reply);
		break;
	case INDEX_CORRUPT:
		reply->rcode = DNS_RCODE_SERVFAIL;
		reply->authoritative = false;
		break;
	}
}

void reverse_answer(const struct zone *zone, const struct reverse *reverse, int64_t now_unix_s,
	struct reply *reply)
{
	const struct query *query = reply->query;
	const struct authority authority = {
		.zone = zone,
		.apex_offset =
			(uint16_t)(REPLY_QUESTION_OFFSET +
				   query->labels[query->label_count - reverse->apex_label_count]),
		.is_reverse = true,
	};

	reply->authoritative = true;
	switch (reverse->node) {
	case REVERSE_APEX:
		authority_apex(&authority, now_unix_s, reply);
		break;
	case REVERSE_INNER:
		authority_negative(&authority, DNS_RCODE_NOERROR, reply);
		break;
	case REVERSE_LEAF:
		leaf_answer(zone, reverse, &authority, now_unix_s, reply);
		break;
	case REVERSE_BEYOND:
		authority_negative(&authority, DNS_RCODE_NXDOMAIN, reply);
		break;
	}
}
