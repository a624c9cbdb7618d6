#include "hostname.h"

static bool byte_is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/** A letter or a digit of ASCII, whatever the locale. */
static bool byte_is_alnum(uint8_t byte)
{
	uint8_t lower = byte_lower(byte);

	return byte_is_digit(byte) || (lower >= 'a' && lower <= 'z');
}

static bool byte_is_inner(uint8_t byte)
{
	return byte_is_alnum(byte) || byte == '-' || byte == '_';
}

static bool byte_is_plain(uint8_t byte)
{
	return byte_is_inner(byte) || byte == '.';
}

bool hostname_is_plain(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!byte_is_plain(name.ptr[i]))
			return false;
	}
	return true;
}

struct bytes hostname_first_label(struct bytes name)
{
	const uint8_t *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;

	if (dot)
		name.len = (size_t)(dot - name.ptr);
	return name;
}

/** Drops the first label and its dot; false if it was the last one. */
static bool next_label(struct bytes *rest, struct bytes label)
{
	if (label.len == rest->len)
		return false;
	rest->ptr += label.len + 1;
	rest->len -= label.len + 1;
	return true;
}

/** RFC 952 and RFC 1123 section 2.1, and '_' inside, which DHCP clients do send. */
static bool label_is_publishable(struct bytes label)
{
	if (label.len == 0 || label.len > HOSTNAME_LABEL_OCTETS_MAX)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!byte_is_inner(label.ptr[i]))
			return false;
	}
	return byte_is_alnum(label.ptr[0]) && byte_is_alnum(label.ptr[label.len - 1]);
}

/** What inet_aton() takes as one part of an address: decimal or octal digits, or 0x and more. */
static bool label_is_number(struct bytes label)
{
	bool hex = label.len > 2 && label.ptr[0] == '0' && byte_lower(label.ptr[1]) == 'x';

	for (size_t at = hex ? 2 : 0; at < label.len; at++) {
		uint8_t lower = byte_lower(label.ptr[at]);

		if (!byte_is_digit(lower) && !(hex && lower >= 'a' && lower <= 'f'))
			return false;
	}
	return true;
}

/** Names that a guest could turn against its neighbours: RFC 6761 section 6.3; proxies found by
 *  WPAD; RFC 5214 section 8.3.2. */
static bool label_is_reserved(struct bytes label)
{
	static const char *const reserved[] = {"localhost", "wpad", "isatap"};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (bytes_equal_fold(label, bytes_of_text(reserved[i])))
			return true;
	}
	return false;
}

bool hostname_is_publishable(struct bytes name)
{
	bool numeric = true;
	struct bytes label;

	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len > HOSTNAME_TEXT_OCTETS_MAX || label_is_reserved(hostname_first_label(name)))
		return false;
	do {
		label = hostname_first_label(name);
		if (!label_is_publishable(label))
			return false;
		numeric = numeric && label_is_number(label);
	} while (next_label(&name, label));
	/* getaddrinfo() takes "1.2.3.4", "42" and "0x7f.1" for addresses and asks nobody. */
	return !numeric;
}

bool hostname_is_dns_name(struct bytes name)
{
	struct bytes label;

	if (name.len > HOSTNAME_TEXT_OCTETS_MAX)
		return false;
	do {
		label = hostname_first_label(name);
		if (label.len == 0 || label.len > HOSTNAME_LABEL_OCTETS_MAX)
			return false;
	} while (next_label(&name, label));
	return true;
}

size_t hostname_alias(struct bytes name, uint8_t *out_alias)
{
	bool changed = false;
	bool in_run = false;
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.ptr[i];
		bool keep = byte_is_plain(byte);
		bool repeats = !keep && in_run;

		in_run = !keep;
		changed = changed || !keep;
		if (repeats || (len == 0 && (!keep || byte == '-')))
			continue;
		out_alias[len++] = keep ? byte_lower(byte) : '-';
	}
	while (len > 0 && out_alias[len - 1] == '-')
		len--;
	return changed ? len : 0;
}
