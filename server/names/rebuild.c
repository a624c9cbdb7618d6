#include "server/names/rebuild.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parser/index_file.h"
#include "server/names/build_report.h"
#include "server/support/log.h"

/* A source that was read within a tick of its last change may have changed again unseen; two ticks
 * at 250 Hz and a little are enough to know. */
#define REBUILD_SETTLE_MS 12
/* A file that never settles is looked at no more often than this. */
#define REBUILD_SETTLE_MAX_MS 2000

/* After a build that failed: memory may be there a second later, or not for a long time. */
#define REBUILD_RETRY_MS     1000
#define REBUILD_RETRY_MAX_MS 60000

/* While the index cannot be published, NSS modules parse lease files at every lookup: worth a
 * try now and then also if no lease changes. */
#define REBUILD_PUBLISH_AGAIN_MS 30000

#define REBUILD_NEVER UINT64_MAX

/* What one run of the worker brought. */
struct rebuild_outcome {
	enum parser_status status;
	int system_error;  /* Of PARSER_E_IO. */
	int publish_error; /* errno why the index is in memory only; 0: it is published. */
	bool is_unsettled;
	bool is_copy; /* Of the last index, whose events were told when that was built. */
	struct zone *zone;
	size_t names;
	struct build_report report;
};

struct rebuild {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_work_t work;
	uv_work_t warm_up;
	rebuild_publish publish;
	void *ctx;

	/* The worker's while `is_running`. */
	struct snapshot_conf *conf;
	struct store *store;
	struct snapshot_last last; /* The last index; belongs to the worker like the store. */
	size_t last_names;
	bool must_sweep;
	struct rebuild_outcome outcome;

	struct snapshot_conf *next_conf;
	bool is_running;
	bool is_warming_up;
	bool is_stopped;
	bool is_timer_closed;
	bool is_asked_again; /* While one runs. */
	uint64_t wanted_ns;  /* When the next build is due, by uv_hrtime(); or REBUILD_NEVER. */
	uint64_t paced_ns;   /* Not before. */
	uint64_t started_ns;
	uint64_t settle_ms;
	uint64_t retry_ms;

	struct build_report previous;
	struct build_report_limits limits;
	enum parser_status said_status; /* A failure that was logged. */
	int said_publish_error;
	struct rebuild_stats stats;
};

/* On the worker ----------------------------------------------------------------------------- */

/* Names with an address, for the status line. */
static size_t rebuild_count_names(const struct index *index)
{
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	struct index_value value;
	enum index_key_kind kind;
	uint32_t offset = 0;
	struct bytes key;
	size_t names = 0;

	while (index_entry_next(index, &offset, buffer, &kind, &key, &value) == PARSER_OK) {
		struct index_record record;

		if (kind != INDEX_KEY_NAME)
			continue;
		for (size_t i = 0; i < index_record_count(&value); i++) {
			if (index_record_at(&value, i, &record) == PARSER_OK &&
				record.address.family != ADDRESS_NONE) {
				names++;
				break;
			}
		}
	}
	return names;
}

/* The configuration's own stamp does not count: it is read again when we are told to. */
static bool rebuild_is_unsettled(const struct rebuild *rebuild, const struct index_meta *meta)
{
	struct bytes conf_path = bytes_of_text(rebuild->conf->path);

	if (store_is_unsettled(rebuild->store))
		return true;
	for (size_t i = 0; i < meta->source_count; i++) {
		if (source_stamp_is_racy(&meta->sources[i].stamp) &&
			!bytes_equal(meta->sources[i].path, conf_path))
			return true;
	}
	return false;
}

/* Publishes the index, or keeps it in memory where that fails. */
static enum parser_status rebuild_write(struct rebuild *rebuild, int *out_fd)
{
	struct rebuild_outcome *outcome = &rebuild->outcome;
	struct snapshot_sinks sinks = {.store_event = build_report_store_event,
		.index_event = build_report_index_event,
		.ctx = &outcome->report};
	enum parser_status status;

	if (rebuild->must_sweep)
		index_file_sweep(rebuild->conf->conf.index_file);
	rebuild->must_sweep = false;
	status = snapshot_publish(rebuild->conf, rebuild->store, &rebuild->last, &sinks, out_fd);
	if (status != PARSER_E_IO)
		return status;
	/* ENOSPC, EROFS, EACCES, no such directory: names are served all the same. */
	outcome->publish_error = errno ? errno : EIO;
	return snapshot_memory(rebuild->conf, rebuild->store, &rebuild->last, &sinks, out_fd);
}

/* The next index is a copy of this one if no name has changed by then. */
static void rebuild_keep_last(struct rebuild *rebuild, int fd)
{
	uint64_t generation = store_generation(rebuild->store);

	rebuild->outcome.is_copy = rebuild->last.fd >= 0 && rebuild->last.generation == generation;
	if (!rebuild->outcome.is_copy)
		rebuild->last_names = rebuild_count_names(zone_index(rebuild->outcome.zone));
	if (rebuild->last.fd >= 0)
		close(rebuild->last.fd);
	rebuild->last = (struct snapshot_last){fd, generation};
}

static void rebuild_forget_last(struct rebuild *rebuild)
{
	if (rebuild->last.fd >= 0)
		close(rebuild->last.fd);
	rebuild->last.fd = -1;
}

static void rebuild_run(struct rebuild *rebuild)
{
	struct rebuild_outcome *outcome = &rebuild->outcome;
	int fd = -1;

	*outcome = (struct rebuild_outcome){.status = PARSER_E_NO_MEMORY};
	if (!rebuild->store)
		rebuild->store = snapshot_store_new(rebuild->conf);
	if (!rebuild->store)
		return;
	outcome->status = rebuild_write(rebuild, &fd);
	if (outcome->status == PARSER_OK)
		outcome->status = zone_new(fd, &outcome->zone);
	outcome->system_error = errno;
	if (outcome->status != PARSER_OK) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rebuild_keep_last(rebuild, fd);
	outcome->names = rebuild->last_names;
	outcome->is_unsettled = rebuild_is_unsettled(rebuild, zone_meta(outcome->zone));
}

static void rebuild_on_work(uv_work_t *work)
{
	rebuild_run(work->data);
}

/* On the loop thread ------------------------------------------------------------------------ */

static void rebuild_log_failure(struct rebuild *rebuild)
{
	const struct rebuild_outcome *outcome = &rebuild->outcome;

	/* The same failure is said once, until it is over. */
	if (outcome->status == rebuild->said_status)
		return;
	rebuild->said_status = outcome->status;
	if (outcome->status == PARSER_OK)
		log_info("index: built again");
	else
		log_error("index: cannot be built: %s; the previous names stay, trying again",
			outcome->status == PARSER_E_IO ? strerror(outcome->system_error)
						       : parser_strerror(outcome->status));
}

static void rebuild_log_publication(struct rebuild *rebuild)
{
	const char *path = rebuild->conf->conf.index_file;
	int error = rebuild->outcome.publish_error;

	if (rebuild->outcome.status != PARSER_OK || error == rebuild->said_publish_error)
		return;
	rebuild->said_publish_error = error;
	if (error != 0)
		log_warning("index '%s': cannot be published: %s; DNS is served all the same, NSS "
			    "modules read the lease files instead",
			path, strerror(error));
	else
		log_info("index '%s': published again", path);
}

static void rebuild_log(struct rebuild *rebuild)
{
	struct build_report *report = &rebuild->outcome.report;

	build_report_log(
		report, &rebuild->previous, &rebuild->limits, (int64_t)(uv_hrtime() / 1000000));
	/* A build that failed half way told only half of what lasts, and a copy nothing. */
	if (rebuild->outcome.status == PARSER_OK && !rebuild->outcome.is_copy) {
		build_report_done(&rebuild->previous);
		rebuild->previous = *report;
		*report = (struct build_report){0};
	}
	build_report_done(report);
	rebuild_log_failure(rebuild);
	rebuild_log_publication(rebuild);
}

static uint64_t rebuild_back_off(uint64_t *delay_ms, uint64_t max_ms)
{
	uint64_t delay = *delay_ms;

	*delay_ms = delay * 2 > max_ms ? max_ms : delay * 2;
	return delay * 1000000;
}

/* When the next build is due after this one. */
static void rebuild_plan(struct rebuild *rebuild)
{
	const struct rebuild_outcome *outcome = &rebuild->outcome;
	uint64_t now_ns = uv_hrtime();

	/* As long a rest as the work took: at most half of a core. */
	rebuild->paced_ns = now_ns + (now_ns - rebuild->started_ns);
	rebuild->wanted_ns = REBUILD_NEVER;
	if (outcome->status != PARSER_OK) {
		rebuild->wanted_ns =
			now_ns + rebuild_back_off(&rebuild->retry_ms, REBUILD_RETRY_MAX_MS);
	} else {
		rebuild->retry_ms = REBUILD_RETRY_MS;
		if (outcome->is_unsettled)
			rebuild->wanted_ns = now_ns + rebuild_back_off(&rebuild->settle_ms,
							      REBUILD_SETTLE_MAX_MS);
		else
			rebuild->settle_ms = REBUILD_SETTLE_MS;
		if (outcome->publish_error && !outcome->is_unsettled)
			rebuild->wanted_ns = now_ns + REBUILD_PUBLISH_AGAIN_MS * UINT64_C(1000000);
	}
	if (rebuild->is_asked_again)
		rebuild->wanted_ns = now_ns;
	rebuild->is_asked_again = false;
}

static void rebuild_count(struct rebuild *rebuild)
{
	struct rebuild_stats *stats = &rebuild->stats;
	const struct rebuild_outcome *outcome = &rebuild->outcome;

	stats->last_ns = uv_hrtime() - rebuild->started_ns;
	stats->last_unix_s = (int64_t)time(NULL);
	if (outcome->status != PARSER_OK) {
		stats->failed++;
		return;
	}
	stats->built++;
	stats->is_published = outcome->publish_error == 0;
}

/* What a build brought goes to the log and to the zone's owner. */
static void rebuild_finish(struct rebuild *rebuild)
{
	struct zone *fresh = rebuild->outcome.zone;

	rebuild_count(rebuild);
	rebuild_log(rebuild);
	rebuild_plan(rebuild);
	rebuild->outcome.zone = NULL;
	if (fresh)
		rebuild->publish(rebuild->ctx, fresh, rebuild->outcome.names);
}

static void rebuild_conf_free(struct snapshot_conf *conf)
{
	if (conf)
		snapshot_conf_done(conf);
	free(conf);
}

static void rebuild_free(struct rebuild *rebuild)
{
	zone_free(rebuild->outcome.zone);
	build_report_done(&rebuild->outcome.report);
	build_report_done(&rebuild->previous);
	store_free(rebuild->store);
	rebuild_forget_last(rebuild);
	rebuild_conf_free(rebuild->conf);
	rebuild_conf_free(rebuild->next_conf);
	free(rebuild);
}

/* Dies when neither the worker nor the loop knows it any more. */
static void rebuild_free_if_idle(struct rebuild *rebuild)
{
	if (rebuild->is_timer_closed && !rebuild->is_running && !rebuild->is_warming_up)
		rebuild_free(rebuild);
}

static bool rebuild_same_directories(const struct conf *a, const struct conf *b)
{
	if (a->lease_directory_count != b->lease_directory_count)
		return false;
	for (size_t i = 0; i < a->lease_directory_count; i++) {
		if (strcmp(a->lease_directories[i], b->lease_directories[i]) != 0)
			return false;
	}
	return true;
}

/* While no build runs. A store of the same directories stays: it has the last good content of files
 * that are bad now. */
static void rebuild_switch_conf(struct rebuild *rebuild)
{
	if (!rebuild->next_conf)
		return;
	if (!rebuild_same_directories(&rebuild->conf->conf, &rebuild->next_conf->conf)) {
		store_free(rebuild->store);
		rebuild->store = NULL;
	}
	if (rebuild->last.fd >= 0 &&
		strcmp(rebuild->conf->conf.index_file, rebuild->next_conf->conf.index_file) != 0)
		index_file_withdraw(rebuild->conf->conf.index_file, rebuild->last.fd);
	rebuild_forget_last(rebuild);
	rebuild_conf_free(rebuild->conf);
	rebuild->conf = rebuild->next_conf;
	rebuild->next_conf = NULL;
	rebuild->must_sweep = true;
}

static void rebuild_schedule(struct rebuild *rebuild);

static void rebuild_after_work(uv_work_t *work, int status)
{
	struct rebuild *rebuild = work->data;

	(void)status; /* UV_ECANCELED only after rebuild_stop(). */
	rebuild->is_running = false;
	if (rebuild->is_stopped) {
		rebuild_free_if_idle(rebuild);
		return;
	}
	rebuild_finish(rebuild);
	rebuild_schedule(rebuild);
}

static void rebuild_on_timer(uv_timer_t *timer)
{
	rebuild_schedule(timer->data);
}

/* Starts the next build if it is due, else when it will be. */
static void rebuild_schedule(struct rebuild *rebuild)
{
	uint64_t now_ns = uv_hrtime();
	uint64_t due_ns =
		rebuild->wanted_ns > rebuild->paced_ns ? rebuild->wanted_ns : rebuild->paced_ns;

	uv_timer_stop(&rebuild->timer);
	if (rebuild->is_running || rebuild->is_stopped || rebuild->wanted_ns == REBUILD_NEVER)
		return;
	if (due_ns > now_ns) {
		/* The loop counts from its own, older idea of now. */
		uv_update_time(rebuild->loop);
		uv_timer_start(
			&rebuild->timer, rebuild_on_timer, (due_ns - now_ns + 999999) / 1000000, 0);
		return;
	}
	rebuild_switch_conf(rebuild);
	rebuild->wanted_ns = REBUILD_NEVER;
	rebuild->started_ns = now_ns;
	rebuild->is_running = true;
	/* Fails only without a function to call. */
	uv_queue_work(rebuild->loop, &rebuild->work, rebuild_on_work, rebuild_after_work);
}

static void rebuild_on_warm_up(uv_work_t *work)
{
	(void)work;
}

static void rebuild_after_warm_up(uv_work_t *work, int status)
{
	struct rebuild *rebuild = work->data;

	(void)status;
	rebuild->is_warming_up = false;
	rebuild_free_if_idle(rebuild);
}

/* libuv starts its threads with the first work and aborts if it cannot: that may happen while the
 * daemon starts, not when memory is short a month later. */
static void rebuild_start_threads(struct rebuild *rebuild)
{
	/* One build at a time is all that runs there. */
	setenv("UV_THREADPOOL_SIZE", "1", 0);
	rebuild->is_warming_up = true;
	rebuild->warm_up.data = rebuild;
	uv_queue_work(rebuild->loop, &rebuild->warm_up, rebuild_on_warm_up, rebuild_after_warm_up);
}

int rebuild_start(uv_loop_t *loop, struct snapshot_conf *conf, rebuild_publish publish, void *ctx,
	struct rebuild **out_rebuild)
{
	struct rebuild *rebuild = calloc(1, sizeof(*rebuild));

	if (!rebuild) {
		rebuild_conf_free(conf);
		return UV_ENOMEM;
	}
	rebuild->loop = loop;
	rebuild->conf = conf;
	rebuild->publish = publish;
	rebuild->ctx = ctx;
	rebuild->must_sweep = true;
	rebuild->last.fd = -1;
	rebuild->wanted_ns = REBUILD_NEVER;
	rebuild->settle_ms = REBUILD_SETTLE_MS;
	rebuild->retry_ms = REBUILD_RETRY_MS;
	rebuild->work.data = rebuild;
	rebuild->timer.data = rebuild;
	uv_timer_init(loop, &rebuild->timer);
	rebuild_start_threads(rebuild);
	*out_rebuild = rebuild;
	return 0;
}

int rebuild_first(struct rebuild *rebuild)
{
	enum parser_status status;

	rebuild->started_ns = uv_hrtime();
	rebuild_run(rebuild);
	status = rebuild->outcome.status;
	rebuild_finish(rebuild);
	rebuild_schedule(rebuild);
	return status == PARSER_OK ? 0 : -1;
}

void rebuild_request(struct rebuild *rebuild)
{
	if (rebuild->is_running) {
		rebuild->is_asked_again = true;
		rebuild->settle_ms = REBUILD_SETTLE_MS;
		return;
	}
	rebuild->wanted_ns = 0; /* Overdue: only the pace holds it back. */
	/* What comes now settles as quickly as what came first. */
	rebuild->settle_ms = REBUILD_SETTLE_MS;
	rebuild_schedule(rebuild);
}

void rebuild_configure(struct rebuild *rebuild, struct snapshot_conf *conf)
{
	rebuild_conf_free(rebuild->next_conf);
	rebuild->next_conf = conf;
	rebuild_request(rebuild);
}

const struct snapshot_conf *rebuild_conf(const struct rebuild *rebuild)
{
	return rebuild->next_conf ? rebuild->next_conf : rebuild->conf;
}

struct rebuild_stats rebuild_stats(const struct rebuild *rebuild)
{
	return rebuild->stats;
}

static void rebuild_on_close(uv_handle_t *handle)
{
	struct rebuild *rebuild = handle->data;

	rebuild->is_timer_closed = true;
	rebuild_free_if_idle(rebuild);
}

void rebuild_stop(struct rebuild *rebuild)
{
	if (!rebuild || rebuild->is_stopped)
		return;
	rebuild->is_stopped = true;
	uv_close((uv_handle_t *)&rebuild->timer, rebuild_on_close);
	if (rebuild->is_running)
		uv_cancel((uv_req_t *)&rebuild->work);
}
