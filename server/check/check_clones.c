/* Machines that share what only one may have: a hostname, an address. */
#include "server/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/support/log.h"

/* Of all that share it. */
#define CLONES_TOLD 4u

/* Leases that are alive, whatever their network. */
struct clones_leases {
	const struct record **list;
	size_t count;
};

static void clones_gather(const struct check *check, struct clones_leases *out_leases)
{
	size_t count = 0;
	const struct store_directory *directories = store_directories(check->store, &count);
	struct clones_leases leases = {calloc(check->lease_count + 1, sizeof(*leases.list)), 0};

	for (size_t i = 0; i < count && leases.list; i++) {
		for (size_t k = 0; k < directories[i].file_count; k++) {
			const struct store_file *file = directories[i].files[k];

			for (size_t n = 0; n < file->record_count; n++) {
				const struct record *record = &file->records[n];

				if (record->kind == RECORD_LEASE && record->has_mac &&
					leases.count < check->lease_count &&
					index_is_alive(
						0, record->expires_unix_s, check->now_unix_s))
					leases.list[leases.count++] = record;
			}
		}
	}
	*out_leases = leases;
}

static int clones_compare_bytes(struct bytes a, struct bytes b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		if (byte_lower(a.ptr[i]) != byte_lower(b.ptr[i]))
			return byte_lower(a.ptr[i]) < byte_lower(b.ptr[i]) ? -1 : 1;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static int clones_by_name(const void *a, const void *b)
{
	const struct record *left = *(const struct record *const *)a;
	const struct record *right = *(const struct record *const *)b;
	int order = clones_compare_bytes(left->name, right->name);

	return order ? order : memcmp(left->mac.octets, right->mac.octets, MAC_OCTETS);
}

static int clones_by_address(const void *a, const void *b)
{
	const struct record *left = *(const struct record *const *)a;
	const struct record *right = *(const struct record *const *)b;
	int order = address_compare(&left->address, &right->address);

	return order ? order : memcmp(left->mac.octets, right->mac.octets, MAC_OCTETS);
}

/* Who they are: "52:54:00:00:00:01 (192.168.122.2), …", each MAC address once.
 * @return how many. */
static size_t clones_format_clients(
	const struct record *const *leases, size_t count, char *out_text, size_t size)
{
	const struct record *previous = NULL;
	size_t clients = 0;
	size_t len = 0;

	out_text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		char address[ADDRESS_TEXT_SIZE];
		char mac[MAC_TEXT_SIZE];

		if (previous &&
			memcmp(previous->mac.octets, leases[i]->mac.octets, MAC_OCTETS) == 0)
			continue;
		previous = leases[i];
		if (++clients > CLONES_TOLD)
			continue;
		mac_format(&leases[i]->mac, mac);
		address_format(&leases[i]->address, address);
		len += (size_t)snprintf(out_text + len, size - len, "%s%s (%s)",
			clients > 1 ? ", " : "", mac, address);
	}
	if (clients > CLONES_TOLD)
		snprintf(out_text + len, size - len, ", and %zu more", clients - CLONES_TOLD);
	return clients;
}

static void clones_tell_shared_name(
	struct check *check, const struct record *const *leases, size_t count)
{
	char name[LOG_ESCAPED_SIZE];
	char who[512];
	size_t clients = clones_format_clients(leases, count, who, sizeof(who));

	if (clients < 2 || leases[0]->name.len == 0 ||
		!check_find(&check->report, CHECK_NAME_SHARED,
			"%zu machines call themselves '%s': %s", clients,
			log_escape(leases[0]->name, name), who))
		return;
	check_mend(&check->report, "in all but one of them: hostnamectl set-hostname NAME, and "
				   "take a new lease");
	check_mend(&check->report, "in a clone also: rm /etc/machine-id; systemd-machine-id-setup; "
				   "or prepare clones by virt-sysprep");
	check_mend(
		&check->report, "until then, libvirt's own names keep them apart: leasedns list");
}

static void clones_tell_shared_address(
	struct check *check, const struct record *const *leases, size_t count)
{
	char address[ADDRESS_TEXT_SIZE];
	char who[512];

	if (clones_format_clients(leases, count, who, sizeof(who)) < 2)
		return;
	address_format(&leases[0]->address, address);
	if (!check_find(&check->report, CHECK_ADDRESS_SHARED, "%s is leased to several: %s",
		    address, who))
		return;
	check_mend(&check->report, "virsh net-dumpxml NETWORK: no two networks may have the same "
				   "range");
	check_mend(&check->report, "in all but one of them, take a new lease");
}

/* Tells of those that share a name, or an address: neighbours once they are sorted. */
static void clones_each_run(struct check *check, struct clones_leases *leases, bool by_name)
{
	const struct record *const *list = (const struct record *const *)leases->list;
	size_t start = 0;

	if (leases->count > 1)
		qsort(leases->list, leases->count, sizeof(*leases->list),
			by_name ? clones_by_name : clones_by_address);
	for (size_t i = 1; i <= leases->count; i++) {
		bool is_same =
			i < leases->count &&
			(by_name ? bytes_equal_fold(list[i]->name, list[start]->name)
				 : address_compare(&list[i]->address, &list[start]->address) == 0);

		if (is_same)
			continue;
		if (by_name)
			clones_tell_shared_name(check, list + start, i - start);
		else
			clones_tell_shared_address(check, list + start, i - start);
		start = i;
	}
}

void check_clones(struct check *check)
{
	struct clones_leases leases;

	if (!check->store)
		return;
	clones_gather(check, &leases);
	if (!leases.list) {
		check->report.no_memory = true;
		return;
	}
	clones_each_run(check, &leases, true);
	clones_each_run(check, &leases, false);
	free(leases.list);
}
