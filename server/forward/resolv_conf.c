#include "server/forward/resolv_conf.h"

#include <ares.h>
#include <arpa/inet.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_endpoint.h"
#include "conf/conf_file.h"
#include "parser/source.h"

/* What inotify cannot tell (a link swapped further up, a mount, limits) is noticed after this. */
#define SAFETY_NET_MS 2000
/* Between the truncation of a file that is rewritten and its new content. */
#define SETTLE_MS 50

#define BLANKS " \t"

/* Two places tell of a change: where the path is, and where the link leads. */
#define PLACES 2

struct resolv_conf {
	char *path;
	resolv_conf_changed changed;
	void *ctx;
	uv_fs_event_t places[PLACES];
	char *directories[PLACES]; /* That are watched; NULL: none. */
	uv_timer_t safety_net;
	uv_timer_t settle;
	unsigned open_handles;
	bool is_stopped;
	struct source_stamp seen;
};

/* Reading ----------------------------------------------------------------------------------- */

static void add_server(const struct conf_endpoint *server,
	struct conf_endpoint servers[static UPSTREAM_SERVERS_MAX], size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		if (conf_endpoint_equal(&servers[i], server))
			return;
	}
	if (*count < UPSTREAM_SERVERS_MAX)
		servers[(*count)++] = *server;
}

/* The next "nameserver VALUE" of the text, as a word; false at the end. */
static bool next_nameserver(const char **at, const char **out_word, size_t *out_len)
{
	static const char key[] = "nameserver";

	while (**at) {
		const char *line = *at + strspn(*at, BLANKS);
		size_t len = strcspn(line, "\n");
		const char *word = line + sizeof(key) - 1;

		*at = line + len + (line[len] ? 1 : 0);
		if (len < sizeof(key) || strncmp(line, key, sizeof(key) - 1) != 0 ||
			!strchr(BLANKS, *word))
			continue;
		word += strspn(word, BLANKS);
		*out_word = word;
		*out_len = strcspn(word, " \t\r\n#;");
		if (*out_len > 0)
			return true;
	}
	return false;
}

/* What c-ares leaves out, and whether 127.0.0.1 really stands there. */
struct own_view {
	bool names_any;
	bool names_localhost;
	struct conf_endpoint extra[UPSTREAM_SERVERS_MAX];
	size_t extra_count;
};

static void look_ourselves(const char *text, struct own_view *out_view)
{
	const char *word;
	size_t len;

	memset(out_view, 0, sizeof(*out_view));
	while (next_nameserver(&text, &word, &len)) {
		struct conf_error unused;
		const struct conf_place place = {"", "", &unused};
		struct conf_endpoint server;

		out_view->names_any = true;
		if (len == 9 && memcmp(word, "127.0.0.1", 9) == 0)
			out_view->names_localhost = true;
		if ((memchr(word, '%', len) || memchr(word, '[', len)) &&
			conf_endpoint_parse(&place, word, len, &server) == CONF_OK)
			add_server(&server, out_view->extra, &out_view->extra_count);
	}
}

static bool endpoint_of(const struct ares_addr_port_node *node, struct conf_endpoint *out_server)
{
	struct conf_endpoint server = {.port = 53};

	if (node->udp_port > 0 && node->udp_port <= UINT16_MAX)
		server.port = (uint16_t)node->udp_port;
	if (node->family == AF_INET) {
		server.family = 4;
		memcpy(server.octets, &node->addr.addr4, 4);
	} else if (node->family == AF_INET6) {
		server.family = 6;
		memcpy(server.octets, &node->addr.addr6, 16);
		/* Without its interface a link-local address cannot be asked, and c-ares does not
		 * tell it. */
		if (server.octets[0] == 0xfe && (server.octets[1] & 0xc0) == 0x80)
			return false;
	} else {
		return false;
	}
	*out_server = server;
	return true;
}

static void read_by_cares(const char *path, const struct own_view *view,
	struct conf_endpoint servers[static UPSTREAM_SERVERS_MAX], size_t *count)
{
	static const uint8_t localhost[4] = {127, 0, 0, 1};
	struct ares_options options = {.resolvconf_path = (char *)path, .lookups = (char *)"b"};
	struct ares_addr_port_node *nodes = NULL;
	ares_channel channel;

	if (ares_init_options(&channel, &options, ARES_OPT_RESOLVCONF | ARES_OPT_LOOKUPS) !=
		ARES_SUCCESS)
		return;
	if (ares_get_servers_ports(channel, &nodes) == ARES_SUCCESS) {
		for (struct ares_addr_port_node *node = nodes; node; node = node->next) {
			struct conf_endpoint server;

			if (!endpoint_of(node, &server))
				continue;
			if (!view->names_localhost && server.family == 4 &&
				memcmp(server.octets, localhost, 4) == 0)
				continue;
			add_server(&server, servers, count);
		}
		ares_free_data(nodes);
	}
	ares_destroy(channel);
}

size_t resolv_conf_read(
	const char *path, struct conf_endpoint out_servers[static UPSTREAM_SERVERS_MAX])
{
	struct conf_error unused;
	struct own_view view;
	char *text = NULL;
	size_t len = 0;
	size_t count = 0;

	if (conf_file_read(path, &text, &len, &unused) != CONF_OK)
		return 0;
	look_ourselves(text, &view);
	free(text);
	if (!view.names_any)
		return 0;
	read_by_cares(path, &view, out_servers, &count);
	for (size_t i = 0; i < view.extra_count; i++)
		add_server(&view.extra[i], out_servers, &count);
	return count;
}

/* Following --------------------------------------------------------------------------------- */

static void resolv_conf_watch(struct resolv_conf *resolv_conf);

static void resolv_conf_on_settled(uv_timer_t *timer)
{
	struct resolv_conf *resolv_conf = timer->data;

	source_stamp_take(resolv_conf->path, &resolv_conf->seen);
	resolv_conf_watch(resolv_conf);
	resolv_conf->changed(resolv_conf->ctx);
}

static void resolv_conf_touched(struct resolv_conf *resolv_conf)
{
	uv_timer_start(&resolv_conf->settle, resolv_conf_on_settled, SETTLE_MS, 0);
}

/* A busy directory (/etc, /run) tells of many names. */
static void resolv_conf_on_event(uv_fs_event_t *place, const char *name, int events, int status)
{
	struct resolv_conf *resolv_conf = place->data;
	const char *base = strrchr(resolv_conf->path, '/');
	struct source_stamp now;

	(void)events;
	source_stamp_take(resolv_conf->path, &now);
	if (status < 0 || !name || (base && strcmp(name, base + 1) == 0) ||
		!source_stamp_same(&now, &resolv_conf->seen))
		resolv_conf_touched(resolv_conf);
}

static void resolv_conf_on_safety_net(uv_timer_t *timer)
{
	struct resolv_conf *resolv_conf = timer->data;
	struct source_stamp now;

	source_stamp_take(resolv_conf->path, &now);
	if (!source_stamp_same(&now, &resolv_conf->seen))
		resolv_conf_touched(resolv_conf);
}

/* The directory of `path`; the caller's to free. */
static char *directory_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return NULL;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static void resolv_conf_watch_place(struct resolv_conf *resolv_conf, int i, char *directory)
{
	uv_fs_event_t *place = &resolv_conf->places[i];

	uv_fs_event_stop(place);
	free(resolv_conf->directories[i]);
	resolv_conf->directories[i] = directory;
	/* Without it the timer does. */
	if (directory)
		uv_fs_event_start(place, resolv_conf_on_event, directory, 0);
}

/* Watches anew also what is watched already: the directory may be another one by now. */
static void resolv_conf_watch(struct resolv_conf *resolv_conf)
{
	char *real = realpath(resolv_conf->path, NULL);
	char *place = directory_of(resolv_conf->path);
	char *target = directory_of(real);

	if (place && target && strcmp(place, target) == 0) {
		free(target);
		target = NULL;
	}
	resolv_conf_watch_place(resolv_conf, 0, place);
	resolv_conf_watch_place(resolv_conf, 1, target);
	free(real);
}

static void resolv_conf_on_close(uv_handle_t *handle)
{
	struct resolv_conf *resolv_conf = handle->data;

	if (--resolv_conf->open_handles > 0)
		return;
	for (int i = 0; i < PLACES; i++)
		free(resolv_conf->directories[i]);
	free(resolv_conf->path);
	free(resolv_conf);
}

void resolv_conf_stop(struct resolv_conf *resolv_conf)
{
	if (!resolv_conf || resolv_conf->is_stopped)
		return;
	resolv_conf->is_stopped = true;
	for (int i = 0; i < PLACES; i++)
		uv_close((uv_handle_t *)&resolv_conf->places[i], resolv_conf_on_close);
	uv_close((uv_handle_t *)&resolv_conf->safety_net, resolv_conf_on_close);
	uv_close((uv_handle_t *)&resolv_conf->settle, resolv_conf_on_close);
}

int resolv_conf_start(uv_loop_t *loop, const char *path, resolv_conf_changed changed, void *ctx,
	struct resolv_conf **out_resolv_conf)
{
	struct resolv_conf *resolv_conf = calloc(1, sizeof(*resolv_conf));

	if (!resolv_conf)
		return UV_ENOMEM;
	resolv_conf->path = strdup(path);
	if (!resolv_conf->path) {
		free(resolv_conf);
		return UV_ENOMEM;
	}
	resolv_conf->changed = changed;
	resolv_conf->ctx = ctx;
	for (int i = 0; i < PLACES; i++) {
		uv_fs_event_init(loop, &resolv_conf->places[i]);
		resolv_conf->places[i].data = resolv_conf;
	}
	uv_timer_init(loop, &resolv_conf->safety_net);
	uv_timer_init(loop, &resolv_conf->settle);
	resolv_conf->safety_net.data = resolv_conf;
	resolv_conf->settle.data = resolv_conf;
	resolv_conf->open_handles = PLACES + 2;
	source_stamp_take(path, &resolv_conf->seen);
	resolv_conf_watch(resolv_conf);
	uv_timer_start(
		&resolv_conf->safety_net, resolv_conf_on_safety_net, SAFETY_NET_MS, SAFETY_NET_MS);
	*out_resolv_conf = resolv_conf;
	return 0;
}
