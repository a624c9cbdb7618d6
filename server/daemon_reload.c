#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_endpoint.h"
#include "server/cli/cmd_common.h"
#include "server/daemon_state.h"
#include "server/support/log.h"
#include "server/support/privileges.h"

struct snapshot_conf *daemon_load_conf(const char *path)
{
	struct snapshot_conf *conf = calloc(1, sizeof(*conf));

	if (conf && cmd_load(&(struct cmd_arguments){.conf_path = path}, conf))
		return conf;
	if (!conf)
		log_error("configuration: %s", strerror(ENOMEM));
	free(conf);
	return NULL;
}

static bool daemon_same_listen(const struct conf *a, const struct conf *b)
{
	if (a->listen_count != b->listen_count)
		return false;
	for (size_t i = 0; i < a->listen_count; i++) {
		if (!conf_endpoint_equal(&a->listen[i], &b->listen[i]))
			return false;
	}
	return true;
}

/* Sockets stay as they are, so `listen` does too. False if memory is short. */
static bool daemon_keep_listen(const struct conf *old, struct conf *fresh)
{
	struct conf_endpoint *listen;

	if (daemon_same_listen(old, fresh))
		return true;
	listen = calloc(old->listen_count, sizeof(*listen));
	if (!listen)
		return false;
	memcpy(listen, old->listen, old->listen_count * sizeof(*listen));
	free(fresh->listen);
	fresh->listen = listen;
	fresh->listen_count = old->listen_count;
	log_warning("[server] listen: a reload cannot change it; restart leasedns to listen "
		    "elsewhere. All other settings are in force");
	return true;
}

static void daemon_on_change(void *ctx)
{
	struct daemon *daemon = ctx;

	rebuild_request(daemon->rebuild);
}

int daemon_watch(struct daemon *daemon)
{
	const struct conf *conf = daemon_conf(daemon);
	struct watch *fresh = NULL;
	int rc = watch_start(&daemon->loop, (const char *const *)conf->lease_directories,
		conf->lease_directory_count, daemon_on_change, daemon, &fresh);

	if (rc < 0) {
		log_error("watching lease directories: %s", uv_strerror(rc));
		return -1;
	}
	watch_stop(daemon->watch);
	daemon->watch = fresh;
	return 0;
}

static void daemon_reconfigure(struct daemon *daemon, struct snapshot_conf *fresh)
{
	privileges_make_directory(fresh->conf.index_file);
	if (forward_configure(daemon->forward, &fresh->conf) < 0)
		log_error("reload: [forward]: %s; what was in force stays", strerror(ENOMEM));
	daemon->forwards = forward_is_on(daemon->forward);
	rebuild_configure(daemon->rebuild, fresh);
	daemon_watch(daemon);
	daemon_set_query_log(daemon);
	if (daemon->control)
		control_serve(daemon->control, daemon_conf(daemon)->index_file);
	log_info("reload: the configuration was read again");
}

void daemon_reload(struct daemon *daemon)
{
	struct snapshot_conf *fresh;

	notify_reloading(&daemon->notify);
	fresh = daemon_load_conf(daemon->conf_path);
	if (!fresh) {
		log_error("reload: refused; the configuration that was in force stays");
	} else if (!daemon_keep_listen(daemon_conf(daemon), &fresh->conf)) {
		log_error(
			"reload: %s; the configuration that was in force stays", strerror(ENOMEM));
		snapshot_conf_done(fresh);
		free(fresh);
	} else {
		daemon_reconfigure(daemon, fresh);
	}
	daemon_notify_ready(daemon);
}
