#include "conf_endpoint.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "conf_table.h"
#include "conf_text.h"

/* Parts of an endpoint's text. */
struct endpoint_parts {
	char address[INET6_ADDRSTRLEN];
	char interface[IF_NAMESIZE]; /* Empty if there is none. */
	const char *port;            /* NULL if there is none. */
	size_t port_len;
};

/* Copies into an array with room for a NUL; false if it does not fit. */
static bool copy_part(const char *text, size_t len, char *out_part, size_t size)
{
	if (len >= size)
		return false;
	memcpy(out_part, text, len);
	out_part[len] = '\0';
	return true;
}

/* Splits "address%interface". */
static bool split_host(const char *text, size_t len, struct endpoint_parts *parts)
{
	const char *percent = memchr(text, '%', len);
	size_t address_len = percent ? (size_t)(percent - text) : len;

	parts->interface[0] = '\0';
	if (percent &&
		(len - address_len == 1 || !copy_part(percent + 1, len - address_len - 1,
						   parts->interface, sizeof(parts->interface))))
		return false;
	return copy_part(text, address_len, parts->address, sizeof(parts->address));
}

/* A colon parts a port only behind a bracket or where it is the only one: `::1:53` is an
 * address (RFC 5952 section 6). */
static bool split_endpoint(const char *text, size_t len, struct endpoint_parts *parts)
{
	const char *end = text + len;
	const char *host_end = end;
	const char *colon;

	parts->port = NULL;
	parts->port_len = 0;
	if (text[0] == '[') {
		host_end = memrchr(text, ']', len);
		if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
			return false;
		if (host_end + 1 < end)
			parts->port = host_end + 2;
		text++;
		/* Brackets are for IPv6 (RFC 3986 section 3.2.2). */
		if (!memchr(text, ':', (size_t)(host_end - text)))
			return false;
	} else {
		colon = memchr(text, ':', len);
		if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
			host_end = colon;
			parts->port = colon + 1;
		}
	}
	if (parts->port)
		parts->port_len = (size_t)(end - parts->port);
	return split_host(text, (size_t)(host_end - text), parts);
}

static bool parse_address(const char *text, struct conf_endpoint *endpoint)
{
	if (inet_pton(AF_INET, text, endpoint->octets) == 1) {
		endpoint->family = 4;
		return true;
	}
	if (inet_pton(AF_INET6, text, endpoint->octets) == 1) {
		endpoint->family = 6;
		return true;
	}
	return false;
}

/* RFC 4291 section 2.5.6: fe80::/10. */
static bool is_link_local(const struct conf_endpoint *endpoint)
{
	return endpoint->family == 6 && endpoint->octets[0] == 0xfe &&
	       (endpoint->octets[1] & 0xc0) == 0x80;
}

/* Why no socket can answer there, or NULL. */
static const char *unusable(const struct conf_endpoint *endpoint)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};
	/* RFC 4291 section 2.5.5.2. */
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *octets = endpoint->octets;

	if (endpoint->family == 4 && memcmp(octets, broadcast, sizeof(broadcast)) == 0)
		return "is the broadcast address";
	if (endpoint->family == 4 ? (octets[0] & 0xf0) == 0xe0 : octets[0] == 0xff)
		return "is a multicast address";
	if (endpoint->family == 6 && memcmp(octets, mapped, sizeof(mapped)) == 0)
		return "is an IPv4 address in disguise: write it as IPv4";
	return NULL;
}

/* The index of an interface given by name or, as when its name has gone, by index. 0: none. */
static uint32_t find_interface(const char *text)
{
	uint32_t index = if_nametoindex(text);

	if (index == 0 && !conf_text_number(text, strlen(text), 1, INT32_MAX, &index))
		return 0;
	return index;
}

static enum conf_status parse_interface(const struct conf_place *place, const char *shown,
	const char *interface, struct conf_endpoint *endpoint)
{
	if (!is_link_local(endpoint)) {
		if (!interface[0])
			return CONF_OK;
		return conf_refuse(
			place, "'%s': only a link-local IPv6 address has an interface", shown);
	}
	if (!interface[0])
		return conf_refuse(place,
			"'%s' is link-local and needs its interface, as in fe80::1%%virbr0", shown);
	endpoint->scope_id = find_interface(interface);
	if (endpoint->scope_id == 0)
		return conf_refuse(place, "'%s': there is no such interface on this host", shown);
	return CONF_OK;
}

enum conf_status conf_endpoint_parse(const struct conf_place *place, const char *text, size_t len,
	struct conf_endpoint *out_endpoint)
{
	struct conf_endpoint endpoint = {.port = CONF_DNS_PORT};
	struct conf_quote shown = conf_quote(text, len);
	struct endpoint_parts parts;
	enum conf_status rc;
	const char *why;
	uint32_t port = CONF_DNS_PORT;

	if (len == 0 || !split_endpoint(text, len, &parts) ||
		!parse_address(parts.address, &endpoint))
		return conf_refuse(place,
			"'%s' is not an IP address, nor IPV4:PORT, nor [IPV6]:PORT", shown.text);
	if (parts.port && !conf_text_number(parts.port, parts.port_len, 1, UINT16_MAX, &port))
		return conf_refuse(place, "'%s': the port is not a whole number from 1 to %d",
			shown.text, UINT16_MAX);
	why = unusable(&endpoint);
	if (why)
		return conf_refuse(place, "'%s' %s", shown.text, why);
	rc = parse_interface(place, shown.text, parts.interface, &endpoint);
	if (rc != CONF_OK)
		return rc;
	endpoint.port = (uint16_t)port;
	*out_endpoint = endpoint;
	return CONF_OK;
}

/* "%interface", or nothing. */
static void format_interface(uint32_t scope_id, char out_text[1 + IF_NAMESIZE])
{
	char name[IF_NAMESIZE];

	out_text[0] = '\0';
	/* Linux allows names with what parts words here, and the interface may have gone: its index
	 * says the same. */
	if (scope_id != 0 && if_indextoname(scope_id, name) && !strpbrk(name, ",%]"))
		snprintf(out_text, 1 + IF_NAMESIZE, "%%%s", name);
	else if (scope_id != 0)
		snprintf(out_text, 1 + IF_NAMESIZE, "%%%u", scope_id);
}

void conf_endpoint_format(
	const struct conf_endpoint *endpoint, char out_text[CONF_ENDPOINT_TEXT_SIZE])
{
	bool is_ipv6 = endpoint->family == 6;
	bool has_port = endpoint->port != CONF_DNS_PORT;
	char address[INET6_ADDRSTRLEN] = "";
	char interface[1 + IF_NAMESIZE];
	char port[sizeof(":65535")] = "";

	inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, endpoint->octets, address, sizeof(address));
	format_interface(endpoint->scope_id, interface);
	if (has_port)
		snprintf(port, sizeof(port), ":%u", endpoint->port);
	snprintf(out_text, CONF_ENDPOINT_TEXT_SIZE, "%s%s%s%s%s", is_ipv6 && has_port ? "[" : "",
		address, interface, is_ipv6 && has_port ? "]" : "", port);
}

bool conf_endpoint_equal(const struct conf_endpoint *a, const struct conf_endpoint *b)
{
	return a->family == b->family && a->port == b->port && a->scope_id == b->scope_id &&
	       memcmp(a->octets, b->octets, a->family == 4 ? 4 : 16) == 0;
}
