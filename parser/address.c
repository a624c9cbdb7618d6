#include "address.h"

#include <arpa/inet.h>
#include <string.h>

size_t address_octets(uint8_t family)
{
	if (family == ADDRESS_IPV4)
		return ADDRESS_IPV4_OCTETS;
	return family == ADDRESS_IPV6 ? ADDRESS_IPV6_OCTETS : 0;
}

bool address_parse(struct bytes text, struct address *out_address)
{
	struct address address = {.family = ADDRESS_IPV4};
	char buffer[ADDRESS_TEXT_SIZE];

	/* inet_pton() stops at a NUL, so "10.0.0.1\0x" would pass. */
	if (text.len == 0 || text.len >= sizeof(buffer) || memchr(text.ptr, '\0', text.len))
		return false;
	memcpy(buffer, text.ptr, text.len);
	buffer[text.len] = '\0';
	if (memchr(buffer, ':', text.len))
		address.family = ADDRESS_IPV6;
	if (inet_pton(address.family == ADDRESS_IPV6 ? AF_INET6 : AF_INET, buffer,
		    address.octets) != 1)
		return false;
	*out_address = address;
	return true;
}

static bool ipv4_is_host(const uint8_t *octets)
{
	static const uint8_t broadcast[ADDRESS_IPV4_OCTETS] = {255, 255, 255, 255};

	if (octets[0] == 0) /* RFC 1122 section 3.2.1.3 (a), (b): this network */
		return false;
	if (octets[0] == 127) /* RFC 1122 section 3.2.1.3 (g): loopback */
		return false;
	if (octets[0] == 169 && octets[1] == 254) /* RFC 3927 section 2.1: link-local */
		return false;
	if (octets[0] >> 4 == 0xe) /* RFC 1112 section 4: class D, multicast */
		return false;
	/* RFC 919 section 7. The rest of class E is spoken as unicast by Linux and used so. */
	return memcmp(octets, broadcast, sizeof(broadcast)) != 0;
}

static bool ipv6_is_host(const uint8_t *octets)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t zeroes[ADDRESS_IPV6_OCTETS - 1];

	/* RFC 4291 sections 2.5.2 and 2.5.3: :: and ::1 */
	if (memcmp(octets, zeroes, sizeof(zeroes)) == 0 && octets[ADDRESS_IPV6_OCTETS - 1] <= 1)
		return false;
	if (octets[0] == 0xff) /* RFC 4291 section 2.7: multicast */
		return false;
	/* RFC 4291 section 2.5.6: fe80::/10. It means nothing without an interface. */
	if (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80)
		return false;
	/* RFC 4291 section 2.5.5.2: an IPv4 address in disguise, past the checks above. */
	return memcmp(octets, mapped, sizeof(mapped)) != 0;
}

bool address_is_host(const struct address *address)
{
	if (address->family == ADDRESS_IPV4)
		return ipv4_is_host(address->octets);
	return address->family == ADDRESS_IPV6 && ipv6_is_host(address->octets);
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->octets, b->octets, address_octets(a->family));
}

void address_format(const struct address *address, char out_text[ADDRESS_TEXT_SIZE])
{
	out_text[0] = '\0';
	if (address->family == ADDRESS_IPV4)
		inet_ntop(AF_INET, address->octets, out_text, ADDRESS_TEXT_SIZE);
	else if (address->family == ADDRESS_IPV6)
		inet_ntop(AF_INET6, address->octets, out_text, ADDRESS_TEXT_SIZE);
}

/** Value of a hexadecimal digit, or -1. */
static int hex_value(uint8_t digit)
{
	uint8_t lower = byte_lower(digit);

	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

size_t hex_groups_parse(struct bytes text, uint8_t *out_octets, size_t cap)
{
	size_t count = 0;
	size_t at = 0;

	while (count < cap) {
		int value = at < text.len ? hex_value(text.ptr[at]) : -1;
		int second;

		if (value < 0)
			return 0;
		at++;
		second = at < text.len ? hex_value(text.ptr[at]) : -1;
		if (second >= 0) {
			value = value << 4 | second;
			at++;
		}
		out_octets[count++] = (uint8_t)value;
		if (at == text.len)
			return count;
		if (text.ptr[at++] != ':')
			return 0;
	}
	return 0;
}

bool mac_parse(struct bytes text, struct mac *out_mac)
{
	struct mac mac;

	if (hex_groups_parse(text, mac.octets, MAC_OCTETS) != MAC_OCTETS)
		return false;
	*out_mac = mac;
	return true;
}

void mac_format(const struct mac *mac, char out_text[MAC_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < MAC_OCTETS; i++) {
		out_text[3 * i] = digits[mac->octets[i] >> 4];
		out_text[3 * i + 1] = digits[mac->octets[i] & 0xf];
		out_text[3 * i + 2] = i + 1 < MAC_OCTETS ? ':' : '\0';
	}
}
