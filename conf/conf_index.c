#include "conf/conf_index.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool conf_index_is_wildcard(const struct conf_endpoint *endpoint)
{
	static const uint8_t zero[sizeof(endpoint->octets)];

	return memcmp(endpoint->octets, zero, address_octets(endpoint->family)) == 0;
}

static void conf_index_add_own_name(struct conf_index *options, const struct address *address)
{
	size_t count = options->options.own_name_count;

	/* One address with two ports is still one address. */
	for (size_t i = 0; i < count; i++) {
		if (address_compare(&options->own_names[i].address, address) == 0)
			return;
	}
	options->own_names[count] = (struct index_own_name){
		.name = bytes_of_text(CONF_INDEX_SERVER_NAME), .address = *address};
	options->options.own_name_count = count + 1;
}

/* Our own name has the addresses that we listen on. A link-local one is left out: a record has no
 * place for its interface. */
static void conf_index_set_own_names(struct conf_index *options, const struct conf *conf)
{
	static const struct address loopback_ipv4 = {ADDRESS_IPV4, {127, 0, 0, 1}};
	static const struct address loopback_ipv6 = {ADDRESS_IPV6, {[15] = 1}};

	for (size_t i = 0; i < conf->listen_count; i++) {
		const struct conf_endpoint *endpoint = &conf->listen[i];
		struct address address = {.family = endpoint->family};

		if (conf_index_is_wildcard(endpoint) || endpoint->scope_id != 0)
			continue;
		memcpy(address.octets, endpoint->octets, address_octets(endpoint->family));
		conf_index_add_own_name(options, &address);
	}
	if (options->options.own_name_count > 0)
		return;
	for (size_t i = 0; i < conf->listen_count; i++) {
		conf_index_add_own_name(options,
			conf->listen[i].family == ADDRESS_IPV6 ? &loopback_ipv6 : &loopback_ipv4);
	}
}

void conf_index_done(struct conf_index *options)
{
	free(options->zones);
	free(options->networks);
	free(options->own_names);
}

/* calloc() may answer NULL for nothing; nobody looks at an array of length 0 then. */
enum parser_status conf_index_init(struct conf_index *options, const struct conf *conf,
	const char *path, const struct source_stamp *stamp)
{
	struct timespec now;

	*options = (struct conf_index){0};
	options->zones = calloc(conf->zone_count + 1, sizeof(*options->zones));
	options->networks = calloc(conf->network_count + 1, sizeof(*options->networks));
	options->own_names = calloc(conf->listen_count + 1, sizeof(*options->own_names));
	if (!options->zones || !options->networks || !options->own_names) {
		conf_index_done(options);
		return PARSER_E_NO_MEMORY;
	}
	for (size_t i = 0; i < conf->zone_count; i++)
		options->zones[i] = bytes_of_text(conf->zones[i]);
	for (size_t i = 0; i < conf->network_count; i++) {
		options->networks[i] =
			(struct index_network){.bridge = bytes_of_text(conf->networks[i].bridge),
				.name = bytes_of_text(conf->networks[i].name)};
	}
	conf_index_set_own_names(options, conf);
	/* A host without a name has none to guard. */
	if (gethostname(options->host_name, sizeof(options->host_name) - 1) < 0)
		options->host_name[0] = '\0';
	options->source = (struct index_source){.path = bytes_of_text(path), .stamp = *stamp};
	clock_gettime(CLOCK_REALTIME, &now);

	options->options.zones = options->zones;
	options->options.zone_count = conf->zone_count;
	options->options.networks = options->networks;
	options->options.network_count = conf->network_count;
	options->options.own_names = options->own_names;
	options->options.host_name = bytes_of_text(options->host_name);
	options->options.ttl_s = conf->ttl_s;
	options->options.negative_ttl_s = conf->negative_ttl_s;
	options->options.sources = &options->source;
	options->options.source_count = 1;
	options->options.built_unix_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	return PARSER_OK;
}
