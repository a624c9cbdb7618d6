#include "nss/scan.h"

#include <string.h>

#include "nss/scan_internal.h"
#include "parser/hostname.h"

/* `longer` ends with a dot and `tail`. */
static bool scan_is_below(struct bytes longer, struct bytes tail)
{
	size_t head = longer.len - tail.len;

	return longer.len > tail.len + 1 && longer.ptr[head - 1] == '.' &&
	       bytes_equal_fold((struct bytes){longer.ptr + head, tail.len}, tail);
}

/* A name that is literally `vm.<network>` takes that from the address whose name is `vm`. */
static bool scan_hides(const struct scan *scan, struct bytes name, struct bytes asked)
{
	return scan->address.family != ADDRESS_NONE && name.len > asked.len &&
	       name.ptr[asked.len] == '.' &&
	       bytes_equal_fold((struct bytes){name.ptr, asked.len}, asked);
}

/* Is the name asked for; is it what stands before the network's name in the question; or does it
 * make an empty non-terminal of either? */
static bool scan_name_matters(const struct scan *scan, struct bytes name)
{
	for (size_t i = 0; i < scan->name_count; i++) {
		const struct bytes asked = scan->names[i];

		if (scan_hides(scan, name, asked))
			return true;
		for (size_t len = asked.len; len > 0; len--) {
			const struct bytes head = {asked.ptr, len};

			if (len < asked.len && asked.ptr[len] != '.')
				continue;
			if (bytes_equal_fold(name, head) || scan_is_below(name, head))
				return true;
		}
	}
	return false;
}

static bool scan_client_matters(const struct scan *scan, struct bytes client)
{
	for (size_t i = 0; i < scan->client_count && client.len; i++) {
		if (bytes_equal(scan->clients[i], client))
			return true;
	}
	return false;
}

static struct bytes scan_mac(const struct record *record)
{
	return (struct bytes){record->mac.octets, record->has_mac ? MAC_OCTETS : 0};
}

static bool scan_wants_by_name(const struct scan *scan, const struct record *record)
{
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	struct bytes name = record->name;

	if (name.len == 0 || name.len > INDEX_KEY_OCTETS_MAX)
		return false;
	if (scan_name_matters(scan, name))
		return true;
	return record->kind == RECORD_GUEST &&
	       scan_name_matters(scan, (struct bytes){alias, hostname_alias(name, alias)});
}

static bool scan_wants_lease(const struct scan *scan, const struct record *record)
{
	struct bytes name = record->name;

	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len && (scan_name_matters(scan, name) ||
				scan_name_matters(scan, hostname_first_label(name))))
		return true;
	return scan_client_matters(scan, scan_mac(record)) ||
	       scan_client_matters(scan, record->duid);
}

static bool scan_wants_address(const struct scan *scan, const struct record *record)
{
	return address_compare(&record->address, &scan->address) == 0;
}

static bool scan_wants_client(const struct scan *scan, const struct record *record)
{
	return scan_client_matters(scan, scan_mac(record)) ||
	       scan_client_matters(scan, record->duid);
}

/* Adds a view of what lives as long as the scan; what comes twice is added once. */
static enum parser_status scan_add(struct bytes *list, size_t *count, size_t max, struct bytes view)
{
	for (size_t i = 0; i < *count; i++) {
		if (bytes_equal(list[i], view))
			return PARSER_OK;
	}
	if (view.len == 0)
		return PARSER_OK;
	if (*count == max)
		return PARSER_E_LIMIT;
	list[(*count)++] = view;
	return PARSER_OK;
}

/* Copied, since the arrays of records move. */
static enum parser_status scan_add_client(struct scan *scan, struct bytes client)
{
	uint8_t *room;

	if (client.len == 0 || scan_client_matters(scan, client))
		return PARSER_OK;
	room = scan_room(scan, client.len);
	if (!room)
		return PARSER_E_NO_MEMORY;
	memcpy(room, client.ptr, client.len);
	return scan_add(scan->clients, &scan->client_count, SCAN_CLIENTS_MAX,
		(struct bytes){room, client.len});
}

static enum parser_status scan_add_name(struct scan *scan, struct bytes name)
{
	uint8_t *room = scan_room(scan, name.len);

	if (!room)
		return PARSER_E_NO_MEMORY;
	for (size_t i = 0; i < name.len; i++)
		room[i] = byte_lower(name.ptr[i]);
	return scan_add(
		scan->names, &scan->name_count, SCAN_NAMES_MAX, (struct bytes){room, name.len});
}

static enum parser_status scan_visit_client(struct scan *scan, const struct record *record)
{
	enum parser_status status = scan_add_client(scan, scan_mac(record));

	return status == PARSER_OK ? scan_add_client(scan, record->duid) : status;
}

static enum parser_status scan_visit_names(struct scan *scan, const struct record *record)
{
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	struct bytes name = record->name;
	enum parser_status status;

	if (name.len == 0 || name.len > INDEX_KEY_OCTETS_MAX)
		return PARSER_OK;
	status = scan_add_name(scan, name);
	if (status == PARSER_OK && record->kind == RECORD_LEASE)
		status = scan_add_name(scan, hostname_first_label(name));
	if (status == PARSER_OK && record->kind == RECORD_GUEST)
		status = scan_add_name(scan, (struct bytes){alias, hostname_alias(name, alias)});
	return status;
}

/* Guests and reservations of the names first, then all leases of their clients and of the names. */
static enum parser_status scan_for_names(struct scan *scan)
{
	enum parser_status status = scan_read(scan, false, scan_wants_by_name);

	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK)
		status = scan_read(scan, true, scan_wants_lease);
	return status;
}

/* The guest's leases have its MAC addresses. */
static enum parser_status scan_for_guest(struct scan *scan)
{
	enum parser_status status = scan_read(scan, false, scan_wants_by_name);

	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK && scan->client_count)
		status = scan_read(scan, true, scan_wants_client);
	return status;
}

enum parser_status scan_for_name(
	struct scan *scan, enum index_key_kind names, const struct question *question)
{
	enum parser_status status = scan_add_name(scan, question_literal(question));

	if (status == PARSER_OK && question->stripped_len)
		status = scan_add_name(scan, question_stripped(question));
	if (status != PARSER_OK)
		return status;
	/* Whether a lease has that hostname is said by leases alone. */
	if (names == INDEX_KEY_HOSTNAME)
		return scan_read(scan, true, scan_wants_lease);
	if (names == INDEX_KEY_GUEST)
		return scan_for_guest(scan);
	return scan_for_names(scan);
}

/* Who has the address, what are their names, and who else has those? */
enum parser_status scan_for_address(struct scan *scan, const struct address *address)
{
	enum parser_status status;

	scan->address = *address;
	status = scan_read(scan, false, scan_wants_address);
	if (status == PARSER_OK)
		status = scan_read(scan, true, scan_wants_address);
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_client);
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_names);
	if (status == PARSER_OK) {
		scan_drop_records(scan);
		status = scan_read(scan, false, scan_wants_client);
	}
	if (status == PARSER_OK)
		status = scan_each(scan, scan_visit_names);
	if (status == PARSER_OK) {
		scan_drop_records(scan);
		status = scan_for_names(scan);
	}
	return status;
}
