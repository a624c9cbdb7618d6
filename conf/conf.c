#include "conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf_file.h"
#include "conf_message.h"
#include "conf_parse.h"
#include "conf_value.h"

const char *conf_strerror(enum conf_status status)
{
	switch (status) {
	case CONF_OK:
		return "no error";
	case CONF_E_NO_MEMORY:
		return "out of memory";
	case CONF_E_IO:
		return "cannot be read";
	case CONF_E_ABSENT:
		return "no such file";
	case CONF_E_SYNTAX:
		return "not a configuration file";
	case CONF_E_KEY:
		return "unknown or repeated key";
	case CONF_E_VALUE:
		return "bad value";
	}
	return "unknown error";
}

enum conf_status conf_init_defaults(struct conf *conf)
{
	struct conf defaults = {0};
	struct conf_error unused;

	for (unsigned i = 0; i < CONF_ENTRY_COUNT; i++) {
		const struct conf_entry *entry = &conf_table[i];
		enum conf_status rc;

		if (!entry->default_text)
			continue;
		rc = conf_value_set(entry, entry->key, entry->default_text, &defaults, &unused);
		if (rc != CONF_OK) {
			conf_done(&defaults);
			return rc;
		}
	}
	*conf = defaults;
	return CONF_OK;
}

enum conf_status conf_load(const char *path, struct conf *out_conf, struct conf_error *out_error)
{
	struct conf_error error = {0};
	struct conf fresh = {0};
	char *text = NULL;
	size_t len = 0;
	int saved_errno;
	enum conf_status rc = conf_file_read(path, &text, &len, &error);

	if (rc != CONF_OK)
		goto out;
	rc = conf_init_defaults(&fresh);
	if (rc != CONF_OK) {
		conf_fail(&error, rc, "%s", conf_strerror(rc));
		goto out;
	}
	rc = conf_parse(text, len, &fresh, &error);
	if (rc != CONF_OK)
		goto out;
	*out_conf = fresh;
	memset(&fresh, 0, sizeof(fresh));
out:
	saved_errno = errno;
	if (rc != CONF_OK)
		*out_error = error;
	conf_done(&fresh);
	free(text);
	errno = saved_errno;
	return rc;
}

void conf_done(struct conf *conf)
{
	if (!conf)
		return;
	free(conf->listen);
	for (size_t i = 0; i < conf->zone_count; i++)
		free(conf->zones[i]);
	free(conf->zones);
	for (size_t i = 0; i < conf->network_count; i++) {
		free(conf->networks[i].bridge);
		free(conf->networks[i].name);
	}
	free(conf->networks);
	for (size_t i = 0; i < conf->lease_directory_count; i++)
		free(conf->lease_directories[i]);
	free(conf->lease_directories);
	free(conf->index_file);
	free(conf->upstream_servers);
	for (size_t i = 0; i < conf->forward_zone_count; i++) {
		free(conf->forward_zones[i].name);
		free(conf->forward_zones[i].servers);
	}
	free(conf->forward_zones);
	memset(conf, 0, sizeof(*conf));
}
