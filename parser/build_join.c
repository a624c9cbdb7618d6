/* Joins guests and reservations with leases. */
#include <string.h>

#include "build.h"
#include "hostname.h"

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

enum parser_status build_add_guest(
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
enum parser_status build_mark_alias(
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

void build_tell_shared_aliases(const struct build *build)
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

enum parser_status build_add_reservation(
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

enum parser_status build_add_static(
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

enum parser_status build_add_own_names(struct build *build)
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
enum parser_status build_add_reserved_address(
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

/* @param name without a dot at its end. */
static bool build_is_own_hostname(const struct build *build, struct bytes name)
{
	struct bytes host = build->options->host_name;
	struct bytes first = hostname_first_label(name);

	if (host.len && bytes_equal_fold(first, hostname_first_label(host)))
		return true;
	for (size_t i = 0; i < build->options->zone_count; i++) {
		if (bytes_equal_fold(build->options->zones[i], name) ||
			bytes_equal_fold(build->options->zones[i], first))
			return true;
	}
	return false;
}

static struct bytes build_without_last_dot(struct bytes name)
{
	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	return name;
}

/* The hostname that the guest gave to DHCP, or its first label: looked up as a whole,
 * `www.example.org` would be whatever machine says that it is called so. */
static enum parser_status build_add_hostname(
	struct build *build, const struct record *lease, struct index_record *record)
{
	struct bytes name = build_without_last_dot(lease->name);
	struct bytes first = hostname_first_label(name);
	enum parser_status rc;

	if (lease->name.len == 0)
		return PARSER_OK;
	record->kind = INDEX_KIND_HOSTNAME;
	if (!hostname_is_publishable(lease->name) || !hostname_is_publishable(first) ||
		build_is_own_hostname(build, name)) {
		build_tell(build, INDEX_EVENT_HOSTNAME_REJECTED, lease->name, record->network,
			&record->address);
		return build_add_name(build, record, lease->name, true);
	}
	rc = build_add_record(build, INDEX_KEY_HOSTNAME, first, record);
	if (rc == PARSER_OK)
		rc = build_add_record(build, INDEX_KEY_NAME, first, record);
	/* The whole name is known for the address, though nobody is told of it. */
	if (rc == PARSER_OK && first.len < name.len)
		rc = build_add_name(build, record, name, true);
	return rc == PARSER_OK ? build_add_name(build, record, first, false) : rc;
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

enum parser_status build_add_lease(
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
