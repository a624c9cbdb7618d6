/* What libvirt gives to dnsmasq's --dhcp-hostsfile: reservations, one a line, as items parted by
 * commas in any order. dnsmasq tells the kinds of items apart by their looks; so do we. */
#include "format.h"

#include "format_internal.h"

/** Of each kind in one line. dnsmasq reads lines of 1,024 octets: no more than this is honest. */
#define HOSTSFILE_MACS_MAX      64
#define HOSTSFILE_ADDRESSES_MAX 64

struct reservation {
	struct bytes name;
	struct address addresses[HOSTSFILE_ADDRESSES_MAX];
	size_t address_count;
	struct mac macs[HOSTSFILE_MACS_MAX];
	size_t mac_count;
	uint8_t duid[RECORD_DUID_OCTETS_MAX];
	size_t duid_len;
	bool ignored; /**< dnsmasq shall give that client nothing. */
	enum format_defect defect;
};

static bool starts_with(struct bytes text, const char *prefix)
{
	const struct bytes start = bytes_of_text(prefix);

	return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}

/** Seconds, or a number and its unit, or `infinite`: never a name, though names stand there. */
static bool is_lease_time(struct bytes item)
{
	size_t digits = 0;

	if (bytes_equal(item, bytes_of_text("infinite")))
		return true;
	while (digits < item.len && item.ptr[digits] >= '0' && item.ptr[digits] <= '9')
		digits++;
	if (digits == 0 || item.len - digits > 1)
		return false;
	return digits == item.len || memchr("smhdwSMHDW", item.ptr[digits], 10);
}

/** An IPv6 address whose first 64 bits are zero is dnsmasq's way to say "that host in whatever
 *  prefix": no address. */
static bool is_suffix_only(const struct address *address)
{
	static const uint8_t zeroes[ADDRESS_IPV6_OCTETS / 2];

	return address->family == ADDRESS_IPV6 &&
	       memcmp(address->octets, zeroes, sizeof(zeroes)) == 0;
}

static void add_address(struct reservation *host, const struct address *address)
{
	if (!address_is_host(address) || is_suffix_only(address))
		host->defect = FORMAT_DEFECT_ADDRESS;
	else if (host->address_count == HOSTSFILE_ADDRESSES_MAX)
		host->defect = FORMAT_DEFECT_SYNTAX;
	else
		host->addresses[host->address_count++] = *address;
}

static void add_mac(struct reservation *host, struct bytes item)
{
	if (host->mac_count == HOSTSFILE_MACS_MAX)
		host->defect = FORMAT_DEFECT_SYNTAX;
	else if (mac_parse(item, &host->macs[host->mac_count]))
		host->mac_count++;
	else
		host->defect = FORMAT_DEFECT_MAC;
}

static void add_bracketed(struct reservation *host, struct bytes item)
{
	const struct bytes inner = {item.ptr + 1, item.len - 2};
	struct address address;

	if (address_parse(inner, &address) && address.family == ADDRESS_IPV6)
		add_address(host, &address);
	else
		host->defect = FORMAT_DEFECT_ADDRESS;
}

/** The rules of dnsmasq's one_opt() for --dhcp-host, in its order. */
static void add_item(struct reservation *host, struct bytes item)
{
	struct address address;

	if (item.len == 0 || starts_with(item, "set:") || starts_with(item, "tag:") ||
		starts_with(item, "net:"))
		return;
	if (starts_with(item, "id:")) {
		/* A client-id that is no DUID (text, "*") is one that we need not know. */
		host->duid_len =
			format_parse_duid((struct bytes){item.ptr + 3, item.len - 3}, host->duid);
	} else if (item.len > 2 && item.ptr[0] == '[' && item.ptr[item.len - 1] == ']') {
		add_bracketed(host, item);
	} else if (memchr(item.ptr, ':', item.len)) {
		add_mac(host, item);
	} else if (address_parse(item, &address)) {
		add_address(host, &address);
	} else if (bytes_equal(item, bytes_of_text("ignore"))) {
		host->ignored = true;
	} else if (!is_lease_time(item)) {
		host->name = item;
	}
}

/** As dnsmasq reads files: '#' starts a comment at the start of a word. */
static struct bytes without_comment(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] == '#' && (i == 0 || format_is_blank(line.ptr[i - 1])))
			line.len = i;
	}
	return format_trim(line);
}

static void parse_items(struct bytes line, struct reservation *host)
{
	const uint8_t *comma;

	do {
		struct bytes item = line;

		comma = line.len ? memchr(line.ptr, ',', line.len) : NULL;
		if (comma) {
			item.len = (size_t)(comma - line.ptr);
			line.len -= item.len + 1;
			line.ptr = comma + 1;
		}
		add_item(host, format_trim(item));
	} while (comma && host->defect == FORMAT_DEFECT_NONE);
}

/** One record for each address, and for each MAC address if there are any. */
static bool hand_out(struct format_run *run, const struct reservation *host)
{
	const size_t macs = host->mac_count ? host->mac_count : 1;

	for (size_t i = 0; i < host->address_count * macs; i++) {
		struct record record = {
			.kind = RECORD_RESERVATION,
			.name = host->name,
			.address = host->addresses[i / macs],
			.has_mac = host->mac_count > 0,
		};

		if (record.has_mac)
			record.mac = host->macs[i % macs];
		/* DHCPv4 has client ids of its own, which are no DUIDs (RFC 2132, section 9.14). */
		if (record.address.family == ADDRESS_IPV6)
			record.duid = (struct bytes){host->duid, host->duid_len};
		if (!format_run_record(run, &record))
			return false;
	}
	return true;
}

/** False if the parse ends here. */
static bool parse_line(struct format_run *run, struct bytes line)
{
	struct reservation host = {.address_count = 0};
	struct bytes items;

	if (line.len > FORMAT_LINE_OCTETS_MAX)
		return format_run_skip(run, FORMAT_DEFECT_SYNTAX, line.ptr);
	items = without_comment(line);
	if (items.len == 0)
		return true;
	parse_items(items, &host);
	if (host.ignored)
		return true;
	if (host.defect == FORMAT_DEFECT_NONE && host.address_count == 0)
		host.defect = FORMAT_DEFECT_ADDRESS;
	if (host.defect != FORMAT_DEFECT_NONE)
		return format_run_skip(run, host.defect, line.ptr);
	return hand_out(run, &host);
}

static enum parser_status parse_hostsfile(
	struct format_text *text, record_sink sink, void *ctx, struct format_report *out_report)
{
	struct format_run run = {.text = text, .sink = sink, .ctx = ctx};
	struct bytes line;

	while (format_run_line(&run, &line) && parse_line(&run, line))
		;
	*out_report = run.report;
	return run.status;
}

const struct format format_libvirt_hostsfile = {
	.name = "reservation file",
	.suffix = ".hostsfile",
	.stem = FORMAT_STEM_NETWORK,
	.parse = parse_hostsfile,
};
