/* Where the daemon really answers. The running one tells it over its control socket: sockets that a
 * service manager handed over count, and those that it was started with, whatever [server] listen
 * says now. */
#include "server/check/check.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_endpoint.h"
#include "server/net/sockets.h"
#include "server/stats/control_client.h"
#include "server/stats/control_socket.h"

/* For each step of asking. */
#define LISTEN_PATIENCE_MS 600

static const char listen_unit[] = "leasedns.socket";

struct json_object *check_ask_control(const struct check *check)
{
	char *path = control_socket_path(check->conf->conf.index_file);
	struct json_object *document = NULL;
	char *text = NULL;

	if (path && control_ask(path, "stats", LISTEN_PATIENCE_MS, &text) == CONTROL_OK)
		document = json_tokener_parse(text);
	free(text);
	free(path);
	return document;
}

const char *check_json_text(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

static bool listen_is_all(const struct conf_endpoint *endpoint)
{
	static const uint8_t zero[16];

	return memcmp(endpoint->octets, zero, endpoint->family == 4 ? 4 : 16) == 0;
}

struct conf_endpoint check_reachable(const struct conf_endpoint *listen)
{
	struct conf_endpoint endpoint = *listen;

	if (!listen_is_all(listen))
		return endpoint;
	if (endpoint.family == 4)
		memcpy(endpoint.octets, (uint8_t[]){127, 0, 0, 1}, 4);
	else
		endpoint.octets[15] = 1;
	return endpoint;
}

static bool listen_takes(const struct check_listen *listen, const struct conf_endpoint *server)
{
	/* A service manager's [::] takes both families, unless told otherwise. */
	bool takes_family = listen->endpoint.family == server->family ||
			    (listen->is_activated && listen->endpoint.family == 6);

	return conf_endpoint_equal(&listen->endpoint, server) ||
	       (takes_family && listen->endpoint.port == server->port &&
		       listen_is_all(&listen->endpoint));
}

/* Where nobody answers who was told to: an address of [server] listen. */
static bool listen_is_missing(const struct check *check, const struct conf_endpoint *endpoint)
{
	for (size_t i = 0; i < check->listen_count; i++) {
		if (listen_takes(&check->listen[i], endpoint))
			return false;
	}
	return true;
}

bool check_is_us(const struct check *check, const struct conf_endpoint *server)
{
	static const uint8_t loopback[16] = {[15] = 1};
	bool is_here = server->family == 4 ? server->octets[0] == 127
					   : memcmp(server->octets, loopback, 16) == 0;

	for (size_t i = 0; i < check->listen_count; i++) {
		const struct check_listen *listen = &check->listen[i];

		/* Of other addresses it is not known whether they are of this host. */
		if (conf_endpoint_equal(&listen->endpoint, server) ||
			(is_here && listen_takes(listen, server)))
			return true;
	}
	return false;
}

struct conf_endpoint check_our_address(const struct check *check)
{
	return check_reachable(&check->listen[0].endpoint);
}

/* The entry of that address, a new one if need be; NULL if there are too many. */
static struct check_listen *listen_at(struct check *check, const struct conf_endpoint *endpoint)
{
	struct check_listen *listen;

	for (size_t i = 0; i < check->listen_count; i++) {
		if (conf_endpoint_equal(&check->listen[i].endpoint, endpoint))
			return &check->listen[i];
	}
	if (check->listen_count == CHECK_LISTEN_MAX)
		return NULL;
	listen = &check->listen[check->listen_count++];
	*listen = (struct check_listen){.endpoint = *endpoint, .is_activated = check->is_activated};
	return listen;
}

static void listen_take(struct check *check, struct json_object *object)
{
	const char *text = check_json_text(object, "address");
	const char *transport = check_json_text(object, "transport");
	struct conf_error unused;
	const struct conf_place place = {"", "", &unused};
	struct check_listen *listen;
	struct conf_endpoint endpoint;

	if (conf_endpoint_parse(&place, text, strlen(text), &endpoint) != CONF_OK)
		return;
	listen = listen_at(check, &endpoint);
	if (listen && strcmp(transport, "udp") == 0)
		listen->has_udp = true;
	else if (listen && strcmp(transport, "tcp") == 0)
		listen->has_tcp = true;
}

static void listen_take_all(struct check *check, struct json_object *document)
{
	struct json_object *value;

	if (!json_object_is_type(document, json_type_object))
		return;
	check->is_activated = json_object_object_get_ex(document, "is_activated", &value) &&
			      json_object_get_int(value) != 0;
	if (!json_object_object_get_ex(document, "listen", &value) ||
		!json_object_is_type(value, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(value); i++)
		listen_take(check, json_object_array_get_idx(value, i));
	check->listen_is_told = check->listen_count > 0;
}

/* Would systemd hand over sockets, if the daemon were started? */
static bool listen_has_unit(const struct check *check)
{
	char path[PATH_MAX];

	if (access(check->host->systemd, F_OK) < 0)
		return false;
	for (size_t i = 0; i < CHECK_UNIT_DIRECTORIES && check->host->units[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", check->host->units[i], listen_unit);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* "127.0.0.57, 10.0.0.1": where the daemon answers. */
static void listen_format(const struct check *check, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < check->listen_count && len < size; i++) {
		char endpoint[CONF_ENDPOINT_TEXT_SIZE];

		conf_endpoint_format(&check->listen[i].endpoint, endpoint);
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "", endpoint);
	}
}

/* The default is nobody's wish, so it is no more than worth knowing that it does not count. */
static bool listen_is_default(const struct conf_endpoint *endpoint)
{
	struct conf defaults;
	bool is_default;

	if (conf_init_defaults(&defaults) != CONF_OK)
		return false;
	is_default = conf_endpoint_equal(endpoint, &defaults.listen[0]);
	conf_done(&defaults);
	return is_default;
}

/* What to write into the unit, and how it comes into force. */
static void listen_mend_edit(
	struct check *check, bool is_instead, const char *where, bool with_udp, bool with_tcp)
{
	check_mend(&check->report, "systemctl edit %s, and write", listen_unit);
	check_mend(&check->report, "    [Socket]");
	if (is_instead)
		check_mend(&check->report, "    ListenDatagram=");
	if (with_udp)
		check_mend(&check->report, "    ListenDatagram=%s", where);
	if (with_tcp)
		check_mend(&check->report, "    ListenStream=%s", where);
	check_mend(&check->report, "systemctl restart %s leasedns", listen_unit);
}

static void listen_tell_elsewhere(struct check *check, const struct conf_endpoint *endpoint)
{
	char real[CHECK_LISTEN_MAX * CONF_ENDPOINT_TEXT_SIZE];
	char where[CONF_ENDPOINT_TEXT_SIZE];

	conf_endpoint_format(endpoint, where);
	listen_format(check, real, sizeof(real));
	if (check->is_activated && listen_is_default(endpoint)) {
		if (check_find(&check->report, CHECK_DAEMON_ELSEWHERE,
			    "the daemon answers at %s, not at %s, the default of [server] listen",
			    real, where))
			check_mend(&check->report, "write [server] listen = %s in '%s'", real,
				check->conf->path);
		return;
	}
	if (!check_find(&check->report, CHECK_DAEMON_LISTEN_IGNORED,
		    "[server] listen is %s in '%s', but the daemon answers at %s", where,
		    check->conf->path, real))
		return;
	if (check->is_activated)
		check_mend_socket(check, endpoint);
	else
		check_mend(&check->report,
			"systemctl restart leasedns (a reload does not change where it listens)");
}

/* A drop-in easily has the one and not the other. */
static void listen_tell_transport(struct check *check, const struct check_listen *listen)
{
	char where[SOCKETS_TEXT_SIZE];

	if (listen->has_udp && listen->has_tcp)
		return;
	sockets_endpoint_format(&listen->endpoint, where);
	if (check_find(&check->report, CHECK_DAEMON_ONE_TRANSPORT, "the daemon has %s by %s alone",
		    where, listen->has_udp ? "UDP" : "TCP"))
		listen_mend_edit(check, false, where, !listen->has_udp, !listen->has_tcp);
}

void check_mend_socket(struct check *check, const struct conf_endpoint *endpoint)
{
	char where[SOCKETS_TEXT_SIZE];

	listen_mend_edit(check, true, sockets_endpoint_format(endpoint, where), true, true);
}

void check_listen(struct check *check)
{
	const struct conf *conf = &check->conf->conf;
	struct json_object *document = check_ask_control(check);

	listen_take_all(check, document);
	json_object_put(document);
	if (!check->listen_is_told) {
		check->is_activated = listen_has_unit(check);
		for (size_t i = 0; i < conf->listen_count; i++)
			listen_at(check, &conf->listen[i]);
		return;
	}
	for (size_t i = 0; i < conf->listen_count; i++) {
		if (listen_is_missing(check, &conf->listen[i]))
			listen_tell_elsewhere(check, &conf->listen[i]);
	}
	for (size_t i = 0; i < check->listen_count; i++)
		listen_tell_transport(check, &check->listen[i]);
}
