/** @file Which process is in the way of a socket: looked up in /proc, for a message. */
#ifndef SERVER_NET_PORT_HOLDER_H
#define SERVER_NET_PORT_HOLDER_H

#include <stdbool.h>

#include "conf/conf.h"

/** "'name' (process 4194304)" and NUL. */
#define PORT_HOLDER_TEXT_SIZE 64

/** Writes who has the port on that address, on all addresses, or, if `endpoint` is all addresses,
 *  on any: "'dnsmasq' (process 123)"; "" if nobody has or it cannot be seen. */
void port_holder_format(
	const struct conf_endpoint *endpoint, bool is_tcp, char out_text[PORT_HOLDER_TEXT_SIZE]);

#endif
