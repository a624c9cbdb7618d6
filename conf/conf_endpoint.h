/** @file An address to listen on, or to ask: text to struct conf_endpoint and back. Private to
 * conf/ and to who reads the same forms in other files. */
#ifndef CONF_CONF_ENDPOINT_H
#define CONF_CONF_ENDPOINT_H

#include "conf_message.h"

/** "[", an IPv6 address, "%", an interface, "]:", a port, NUL: 1 + 45 + 1 + 15 + 2 + 5 + 1. */
#define CONF_ENDPOINT_TEXT_SIZE 70

/** Takes `127.0.0.56`, `127.0.0.56:53`, `::1`, `[::1]`, `[::1]:53`, `fe80::1%virbr0` and
 *  `[fe80::1%virbr0]:53`. An interface is a name or an index; only link-local addresses have one,
 *  and those must. Multicast, broadcast and IPv4-mapped addresses are refused.
 *  @return CONF_OK or CONF_E_VALUE with the message set. */
enum conf_status conf_endpoint_parse(const struct conf_place *place, const char *text, size_t len,
	struct conf_endpoint *out_endpoint);

/** Writes the shortest of the forms that conf_endpoint_parse() takes, and a NUL. */
void conf_endpoint_format(
	const struct conf_endpoint *endpoint, char out_text[CONF_ENDPOINT_TEXT_SIZE]);

/** True if one socket would exclude the other. */
bool conf_endpoint_equal(const struct conf_endpoint *a, const struct conf_endpoint *b);

#endif
