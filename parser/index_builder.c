#include "index_builder.h"

#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "index_build.h"

struct bytes build_key(struct build *build, enum index_key_kind kind, struct bytes name)
{
	if (name.len > INDEX_KEY_OCTETS_MAX)
		return (struct bytes){NULL, 0};
	build->key[0] = (uint8_t)kind;
	for (size_t i = 0; i < name.len; i++)
		build->key[1 + i] = byte_lower(name.ptr[i]);
	return (struct bytes){build->key, 1 + name.len};
}

struct bytes build_network_label(const struct build *build, uint16_t network)
{
	const struct build_network *entry;

	if (network >= build->network_count)
		return (struct bytes){NULL, 0};
	entry = &build->networks[network];
	return bytes_of_text(entry->bridge[0] ? entry->bridge : entry->name);
}

void build_tell(const struct build *build, enum index_event_kind kind, struct bytes name,
	uint16_t network, const struct address *address)
{
	struct index_event event = {.kind = kind, .name = name};

	if (!build->sink)
		return;
	event.network = build_network_label(build, network);
	if (address)
		event.address = *address;
	build->sink(build->ctx, &event);
}

/* A lower-case copy that lives as long as the build. */
static bool build_keep(struct build *build, struct bytes text, struct bytes *out_kept)
{
	struct build_text *block = malloc(sizeof(*block) + text.len + 1);

	if (!block)
		return false;
	for (size_t i = 0; i < text.len; i++)
		block->octets[i] = byte_lower(text.ptr[i]);
	block->octets[text.len] = '\0';
	block->next = build->texts;
	build->texts = block;
	*out_kept = (struct bytes){block->octets, text.len};
	return true;
}

/* Makes room for one more element of an array. */
static bool build_grow(void **array, size_t *cap, size_t count, size_t octets)
{
	size_t wanted = *cap ? *cap * 2 : 16;
	void *grown;

	if (count < *cap)
		return true;
	grown = realloc(*array, wanted * octets);
	if (!grown)
		return false;
	*array = grown;
	*cap = wanted;
	return true;
}

/* --- Networks ------------------------------------------------------------------------------ */

static uint16_t build_find_network(const struct build *build, struct bytes label)
{
	for (size_t i = 0; i < build->network_count; i++) {
		if (label.len &&
			(bytes_equal_fold(bytes_of_text(build->networks[i].bridge), label) ||
				bytes_equal_fold(bytes_of_text(build->networks[i].name), label)))
			return (uint16_t)i;
	}
	return INDEX_NETWORK_NONE;
}

static enum parser_status build_add_network(
	struct build *build, struct bytes bridge, struct bytes name)
{
	void *networks = build->networks;
	struct bytes kept_bridge;
	struct bytes kept_name;

	if (build->network_count >= INDEX_NETWORK_NONE)
		return PARSER_E_LIMIT;
	if (!build_grow(
		    &networks, &build->network_cap, build->network_count, sizeof(*build->networks)))
		return PARSER_E_NO_MEMORY;
	build->networks = networks;
	if (!build_keep(build, bridge, &kept_bridge) || !build_keep(build, name, &kept_name))
		return PARSER_E_NO_MEMORY;
	build->networks[build->network_count++] = (struct build_network){
		.bridge = (char *)(uintptr_t)kept_bridge.ptr,
		.name = (char *)(uintptr_t)kept_name.ptr,
	};
	return PARSER_OK;
}

static enum parser_status build_add_file_network(struct build *build, const struct store_file *file)
{
	struct bytes none = {NULL, 0};

	if (build_find_network(build, file->stem) != INDEX_NETWORK_NONE)
		return PARSER_OK;
	if (file->format->stem == FORMAT_STEM_BRIDGE)
		return build_add_network(build, file->stem, none);
	return build_add_network(build, none, file->stem);
}

/* --- Records ------------------------------------------------------------------------------- */

static enum parser_status build_add_record(struct build *build, enum index_key_kind kind,
	struct bytes name, const struct index_record *record)
{
	struct bytes key = build_key(build, kind, name);

	return key.len ? grouping_add(build->records, key, record) : PARSER_OK;
}

/* The names above a name of several labels exist as well (RFC 8020: a resolver believes that
 * nothing is below a name that does not). */
static enum parser_status build_add_parents(
	struct build *build, struct bytes name, uint16_t network)
{
	struct index_record node = {.kind = INDEX_KIND_NODE, .network = network};
	enum parser_status rc = PARSER_OK;

	if (!hostname_is_dns_name(name))
		return PARSER_OK;
	for (size_t i = 0; i < name.len && rc == PARSER_OK; i++) {
		if (name.ptr[i] == '.')
			rc = build_add_record(build, INDEX_KEY_NAME,
				(struct bytes){name.ptr + i + 1, name.len - i - 1}, &node);
	}
	return rc;
}

static enum parser_status build_add_reverse(struct build *build, const struct address *address)
{
	size_t prefix = address->family == ADDRESS_IPV4 ? 3 : 8;
	uint8_t key[1 + 8];
	struct bytes view = {key, 1 + prefix};

	key[0] = INDEX_KEY_REVERSE;
	memcpy(key + 1, address->octets, prefix);
	if (grouping_find(build->reverse, view) != SIZE_MAX)
		return PARSER_OK;
	return grouping_add(build->reverse, view, NULL);
}

/* Notes that `record` gives its address to `name`: in the reverse direction. */
static enum parser_status build_add_name(
	struct build *build, const struct index_record *record, struct bytes name, bool rejected)
{
	uint8_t alias[INDEX_NAME_OCTETS_MAX];
	uint8_t key[1 + ADDRESS_IPV6_OCTETS];
	size_t octets = address_octets(record->address.family);
	struct build_name entry = {
		.name = name,
		.kind = record->kind,
		.network = record->network,
		.has_mac = record->has_mac,
		.mac = record->mac,
		.valid_from_unix_s = record->valid_from_unix_s,
		.expires_unix_s = record->expires_unix_s,
		.rejected = rejected,
	};

	if (name.len == 0 || name.len > INDEX_NAME_OCTETS_MAX)
		return PARSER_OK;
	entry.plain = hostname_alias(name, alias) == 0;
	key[0] = INDEX_KEY_ADDRESS;
	memcpy(key + 1, record->address.octets, octets);
	return grouping_add(build->names, (struct bytes){key, 1 + octets}, &entry);
}

/* A name for an address in the merged view, both ways. */
static enum parser_status build_add_both(
	struct build *build, const struct index_record *record, struct bytes name)
{
	enum parser_status rc = build_add_record(build, INDEX_KEY_NAME, name, record);

	return rc == PARSER_OK ? build_add_name(build, record, name, false) : rc;
}

/* --- Guests -------------------------------------------------------------------------------- */

/* The position of the guest called so, entered if it is new. */
static enum parser_status build_open_guest(
	struct build *build, struct bytes name, size_t *out_guest)
{
	struct bytes key = build_key(build, INDEX_KEY_GUEST, name);
	uint8_t alias[INDEX_KEY_OCTETS_MAX];
	void *guests = build->guests;
	size_t known = grouping_find(build->guest_names, key);
	struct build_guest *guest;
	enum parser_status rc;

	if (known != SIZE_MAX) {
		grouping_items(build->guest_names, known, out_guest);
		return PARSER_OK;
	}
	if (!build_grow(&guests, &build->guest_cap, build->guest_count, sizeof(*build->guests)))
		return PARSER_E_NO_MEMORY;
	build->guests = guests;
	guest = &build->guests[build->guest_count];
	*guest = (struct build_guest){.name = name};
	*out_guest = build->guest_count;
	if (!build_keep(build, (struct bytes){alias, hostname_alias(name, alias)}, &guest->alias))
		return PARSER_E_NO_MEMORY;
	rc = grouping_add(build->guest_names, key, out_guest);
	if (rc == PARSER_OK && guest->alias.len)
		rc = grouping_add(build->aliases, guest->alias, out_guest);
	if (rc == PARSER_OK)
		build->guest_count++;
	return rc;
}

static bool build_alias_is_shared(const struct build *build, const struct build_guest *guest)
{
	return grouping_item_count(build->aliases, grouping_find(build->aliases, guest->alias)) > 1;
}

/* The guest exists, whether or not it has a lease. */
static enum parser_status build_mark_guest(struct build *build, size_t position, uint16_t network)
{
	const struct build_guest *guest = &build->guests[position];
	struct index_record mark = {.kind = INDEX_KIND_GUEST, .network = network};
	enum parser_status rc = build_add_record(build, INDEX_KEY_GUEST, guest->name, &mark);

	if (rc == PARSER_OK)
		rc = build_add_record(build, INDEX_KEY_NAME, guest->name, &mark);
	if (rc == PARSER_OK)
		rc = build_add_parents(build, guest->name, network);
	return rc;
}

static enum parser_status build_add_guest(
	struct build *build, const struct record *record, uint16_t network)
{
	struct build_guest_mac entry = {.network = network};
	enum parser_status rc;

	if (record->name.len == 0 || record->name.len > INDEX_KEY_OCTETS_MAX)
		return PARSER_OK;
	rc = build_open_guest(build, record->name, &entry.guest);
	if (rc == PARSER_OK)
		rc = build_mark_guest(build, entry.guest, network);
	if (rc == PARSER_OK && record->has_mac)
		rc = grouping_add(
			build->guest_macs, (struct bytes){record->mac.octets, MAC_OCTETS}, &entry);
	return rc;
}

/* An alias exists like its guest, unless two guests share it. */
static enum parser_status build_mark_alias(
	struct build *build, const struct record *record, uint16_t network)
{
	struct index_record mark = {.kind = INDEX_KIND_GUEST_ALIAS, .network = network};
	struct bytes key = build_key(build, INDEX_KEY_GUEST, record->name);
	size_t position = grouping_find(build->guest_names, key);
	const struct build_guest *guest;
	enum parser_status rc;

	if (position == SIZE_MAX)
		return PARSER_OK;
	grouping_items(build->guest_names, position, &position);
	guest = &build->guests[position];
	if (guest->alias.len == 0 || build_alias_is_shared(build, guest))
		return PARSER_OK;
	rc = build_add_record(build, INDEX_KEY_NAME, guest->alias, &mark);
	return rc == PARSER_OK ? build_add_parents(build, guest->alias, network) : rc;
}

static void build_tell_shared_aliases(const struct build *build)
{
	for (size_t i = 0; i < build->guest_count; i++) {
		const struct build_guest *guest = &build->guests[i];

		if (guest->alias.len && build_alias_is_shared(build, guest))
			build_tell(build, INDEX_EVENT_ALIAS_SHARED, guest->name, INDEX_NETWORK_NONE,
				NULL);
	}
}

/* --- Reservations and static entries ------------------------------------------------------- */

static enum parser_status build_reserve_for(struct build *build, struct bytes client)
{
	size_t position = build->reservation_count;

	return client.len ? grouping_add(build->reserved_for, client, &position) : PARSER_OK;
}

/* A name that an administrator gave needs no more than to be one. */
static bool build_name_is_usable(
	const struct build *build, const struct record *record, uint16_t network)
{
	if (record->name.len == 0)
		return false;
	if (hostname_is_dns_name(record->name))
		return true;
	build_tell(build, INDEX_EVENT_NAME_REJECTED, record->name, network, &record->address);
	return false;
}

static enum parser_status build_add_reservation(
	struct build *build, const struct record *record, uint16_t network)
{
	struct bytes mac = {record->mac.octets, record->has_mac ? MAC_OCTETS : 0};
	void *reservations = build->reservations;
	enum parser_status rc = build_add_reverse(build, &record->address);

	if (rc != PARSER_OK || !build_name_is_usable(build, record, network))
		return rc;
	if (!build_grow(&reservations, &build->reservation_cap, build->reservation_count,
		    sizeof(*build->reservations)))
		return PARSER_E_NO_MEMORY;
	build->reservations = reservations;
	build->reservations[build->reservation_count] =
		(struct build_reservation){.record = record, .network = network};
	rc = build_reserve_for(build, mac);
	if (rc == PARSER_OK)
		rc = build_reserve_for(build, record->duid);
	if (rc == PARSER_OK)
		rc = build_add_parents(build, record->name, network);
	if (rc == PARSER_OK)
		build->reservation_count++;
	return rc;
}

static enum parser_status build_add_static(
	struct build *build, const struct record *record, uint16_t network)
{
	struct index_record entry = {
		.address = record->address, .kind = INDEX_KIND_STATIC, .network = network};
	enum parser_status rc = build_add_reverse(build, &record->address);

	if (rc != PARSER_OK || !build_name_is_usable(build, record, network))
		return rc;
	rc = build_add_both(build, &entry, record->name);
	return rc == PARSER_OK ? build_add_parents(build, record->name, network) : rc;
}

static enum parser_status build_add_own_names(struct build *build)
{
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < build->options->own_name_count && rc == PARSER_OK; i++) {
		const struct index_own_name *own = &build->options->own_names[i];
		struct index_record entry = {.address = own->address,
			.kind = INDEX_KIND_STATIC,
			.network = INDEX_NETWORK_NONE};

		rc = build_add_record(build, INDEX_KEY_NAME, own->name, &entry);
		if (rc == PARSER_OK && address_is_host(&own->address)) {
			rc = build_add_name(build, &entry, own->name, false);
			if (rc == PARSER_OK)
				rc = build_add_reverse(build, &own->address);
		}
	}
	return rc;
}

/* The reserved address itself, from the second in which the last lease of its client has ended. */
static enum parser_status build_add_reserved_address(
	struct build *build, const struct build_reservation *reservation)
{
	const struct record *record = reservation->record;
	struct index_record entry = {
		.address = record->address,
		.kind = INDEX_KIND_RESERVATION,
		.network = reservation->network,
		.has_mac = record->has_mac,
		.mac = record->mac,
	};

	if (reservation->leased_until_unix_s == INT64_MAX)
		return PARSER_OK;
	if (reservation->leased_until_unix_s > 0)
		entry.valid_from_unix_s = reservation->leased_until_unix_s + 1;
	return build_add_both(build, &entry, record->name);
}

/* --- Leases -------------------------------------------------------------------------------- */

static bool build_is_own_hostname(const struct build *build, struct bytes name)
{
	struct bytes host = build->options->host_name;
	struct bytes first = hostname_first_label(name);

	if (host.len && bytes_equal_fold(first, hostname_first_label(host)))
		return true;
	for (size_t i = 0; i < build->options->zone_count; i++) {
		if (bytes_equal_fold(build->options->zones[i], name))
			return true;
	}
	return false;
}

/* The hostname that the guest gave to DHCP: whole for lookups by hostname, its first label for the
 * merged view. */
static enum parser_status build_add_hostname(
	struct build *build, const struct record *lease, struct index_record *record)
{
	struct bytes name = lease->name;
	struct bytes first = hostname_first_label(name);
	enum parser_status rc;

	if (name.len == 0)
		return PARSER_OK;
	record->kind = INDEX_KIND_HOSTNAME;
	if (!hostname_is_publishable(name) || !hostname_is_publishable(first) ||
		build_is_own_hostname(build, name)) {
		build_tell(build, INDEX_EVENT_HOSTNAME_REJECTED, name, record->network,
			&record->address);
		return build_add_name(build, record, name, true);
	}
	if (name.ptr[name.len - 1] == '.')
		name.len--;
	rc = build_add_record(build, INDEX_KEY_HOSTNAME, name, record);
	if (rc == PARSER_OK)
		rc = build_add_record(build, INDEX_KEY_NAME, first, record);
	return rc == PARSER_OK ? build_add_name(build, record, name, false) : rc;
}

static enum parser_status build_add_guest_lease(
	struct build *build, size_t position, struct index_record *record)
{
	const struct build_guest *guest = &build->guests[position];
	enum parser_status rc;

	record->kind = INDEX_KIND_GUEST;
	rc = build_add_record(build, INDEX_KEY_GUEST, guest->name, record);
	if (rc == PARSER_OK)
		rc = build_add_both(build, record, guest->name);
	if (rc != PARSER_OK || guest->alias.len == 0 || build_alias_is_shared(build, guest))
		return rc;
	record->kind = INDEX_KIND_GUEST_ALIAS;
	return build_add_both(build, record, guest->alias);
}

/* A MAC has few owners; what libvirt would not write is cut short. */
#define BUILD_OWNERS_MAX 64u

static enum parser_status build_add_guest_leases(struct build *build, struct index_record *record)
{
	struct build_guest_mac owners[BUILD_OWNERS_MAX];
	size_t group = record->has_mac ? grouping_find(build->guest_macs,
						 (struct bytes){record->mac.octets, MAC_OCTETS})
				       : SIZE_MAX;
	size_t count = group == SIZE_MAX ? 0 : grouping_item_count(build->guest_macs, group);
	enum parser_status rc = PARSER_OK;

	if (count == 0 || count > BUILD_OWNERS_MAX)
		return PARSER_OK;
	grouping_items(build->guest_macs, group, owners);
	for (size_t i = 0; i < count && rc == PARSER_OK; i++) {
		bool seen = false;

		for (size_t earlier = 0; earlier < i; earlier++)
			seen = seen || owners[earlier].guest == owners[i].guest;
		if (!seen)
			rc = build_add_guest_lease(build, owners[i].guest, record);
	}
	return rc;
}

/* A reservation is known by the network's name, a lease by its bridge. Where nobody told that they
 * are one, the lease answers on both. */
static enum parser_status build_add_reserved_elsewhere(struct build *build,
	const struct build_reservation *reservation, const struct index_record *lease)
{
	struct index_record record = *lease;

	record.network = reservation->network;
	return build_add_record(build, INDEX_KEY_NAME, reservation->record->name, &record);
}

/* A live lease of a reservation's client answers to the reserved name, and while it lives steps
 * in for the reserved address of its family. */
static enum parser_status build_add_reserved_leases(
	struct build *build, struct bytes client, struct index_record *record)
{
	size_t positions[BUILD_OWNERS_MAX];
	size_t group = client.len ? grouping_find(build->reserved_for, client) : SIZE_MAX;
	size_t count = group == SIZE_MAX ? 0 : grouping_item_count(build->reserved_for, group);
	enum parser_status rc = PARSER_OK;

	if (count == 0 || count > BUILD_OWNERS_MAX)
		return PARSER_OK;
	grouping_items(build->reserved_for, group, positions);
	record->kind = INDEX_KIND_RESERVATION;
	for (size_t i = 0; i < count && rc == PARSER_OK; i++) {
		struct build_reservation *reservation = &build->reservations[positions[i]];
		int64_t until = record->expires_unix_s ? record->expires_unix_s : INT64_MAX;

		rc = build_add_both(build, record, reservation->record->name);
		if (rc == PARSER_OK && reservation->network != record->network)
			rc = build_add_reserved_elsewhere(build, reservation, record);
		if (reservation->record->address.family == record->address.family &&
			until > reservation->leased_until_unix_s)
			reservation->leased_until_unix_s = until;
	}
	return rc;
}

static enum parser_status build_add_lease(
	struct build *build, const struct record *lease, uint16_t network)
{
	struct bytes mac = {lease->mac.octets, lease->has_mac ? MAC_OCTETS : 0};
	struct index_record record = {
		.address = lease->address,
		.network = network,
		.has_mac = lease->has_mac,
		.mac = lease->mac,
		.expires_unix_s = lease->expires_unix_s,
	};
	enum parser_status rc = build_add_reverse(build, &lease->address);

	if (rc == PARSER_OK)
		rc = build_add_reserved_leases(build, mac, &record);
	if (rc == PARSER_OK)
		rc = build_add_reserved_leases(build, lease->duid, &record);
	if (rc == PARSER_OK)
		rc = build_add_guest_leases(build, &record);
	if (rc == PARSER_OK)
		rc = build_add_hostname(build, lease, &record);
	return rc;
}

/* --- All together -------------------------------------------------------------------------- */

typedef enum parser_status (*build_add)(
	struct build *build, const struct record *record, uint16_t network);

/* Hands all records of one kind to `add`. */
static enum parser_status build_each(struct build *build, enum record_kind kind, build_add add)
{
	size_t directory_count;
	const struct store_directory *directories =
		store_directories(build->store, &directory_count);
	enum parser_status rc = PARSER_OK;

	for (size_t d = 0; d < directory_count; d++) {
		for (size_t f = 0; f < directories[d].file_count; f++) {
			const struct store_file *file = directories[d].files[f];
			uint16_t network = build_find_network(build, file->stem);

			for (size_t r = 0; r < file->record_count && rc == PARSER_OK; r++) {
				if (file->records[r].kind == kind)
					rc = add(build, &file->records[r], network);
			}
		}
	}
	return rc;
}

/* What stands below a network's label has a parent. */
static enum parser_status build_mark_network(
	struct build *build, const char *label, uint16_t network)
{
	struct index_record node = {.kind = INDEX_KIND_NODE, .network = network};
	struct bytes name = bytes_of_text(label);
	enum parser_status rc = PARSER_OK;

	if (hostname_is_dns_name(name))
		rc = build_add_record(build, INDEX_KEY_NAME, name, &node);
	return rc == PARSER_OK ? build_add_parents(build, name, network) : rc;
}

static enum parser_status build_gather_networks(struct build *build)
{
	size_t directory_count;
	const struct store_directory *directories =
		store_directories(build->store, &directory_count);
	enum parser_status rc = PARSER_OK;

	for (size_t i = 0; i < build->options->network_count && rc == PARSER_OK; i++)
		rc = build_add_network(build, build->options->networks[i].bridge,
			build->options->networks[i].name);
	for (size_t d = 0; d < directory_count; d++) {
		for (size_t f = 0; f < directories[d].file_count && rc == PARSER_OK; f++)
			rc = build_add_file_network(build, directories[d].files[f]);
	}
	for (size_t i = 0; i < build->network_count && rc == PARSER_OK; i++) {
		rc = build_mark_network(build, build->networks[i].bridge, (uint16_t)i);
		if (rc == PARSER_OK)
			rc = build_mark_network(build, build->networks[i].name, (uint16_t)i);
	}
	return rc;
}

/* Guests and reservations first: leases are joined with them. */
static enum parser_status build_gather(struct build *build)
{
	enum parser_status rc = build_gather_networks(build);

	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_GUEST, build_add_guest);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_GUEST, build_mark_alias);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_RESERVATION, build_add_reservation);
	if (rc == PARSER_OK)
		rc = build_add_own_names(build);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_STATIC, build_add_static);
	if (rc == PARSER_OK)
		rc = build_each(build, RECORD_LEASE, build_add_lease);
	for (size_t i = 0; i < build->reservation_count && rc == PARSER_OK; i++)
		rc = build_add_reserved_address(build, &build->reservations[i]);
	if (rc == PARSER_OK)
		build_tell_shared_aliases(build);
	return rc;
}

static bool build_init(struct build *build)
{
	build->guest_names = grouping_new(sizeof(size_t));
	build->guest_macs = grouping_new(sizeof(struct build_guest_mac));
	build->aliases = grouping_new(sizeof(size_t));
	build->reserved_for = grouping_new(sizeof(size_t));
	build->records = grouping_new(sizeof(struct index_record));
	build->names = grouping_new(sizeof(struct build_name));
	build->reverse = grouping_new(0);
	return build->guest_names && build->guest_macs && build->aliases && build->reserved_for &&
	       build->records && build->names && build->reverse;
}

static void build_done(struct build *build)
{
	while (build->texts) {
		struct build_text *next = build->texts->next;

		free(build->texts);
		build->texts = next;
	}
	grouping_free(build->guest_names);
	grouping_free(build->guest_macs);
	grouping_free(build->aliases);
	grouping_free(build->reserved_for);
	grouping_free(build->records);
	grouping_free(build->names);
	grouping_free(build->reverse);
	free(build->networks);
	free(build->guests);
	free(build->reservations);
}

enum parser_status index_build(const struct store *store, const struct index_options *options,
	int fd, index_event_sink sink, void *ctx)
{
	struct build build = {.store = store, .options = options, .sink = sink, .ctx = ctx};
	enum parser_status rc = PARSER_E_NO_MEMORY;

	if (build_init(&build))
		rc = build_gather(&build);
	if (rc == PARSER_OK)
		rc = build_write(&build, fd);
	build_done(&build);
	return rc;
}
