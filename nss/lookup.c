#include "nss/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf_index.h"
#include "nss/answer.h"
#include "nss/scan.h"
#include "parser/freshness.h"
#include "parser/index_draft.h"
#include "parser/index_file.h"

const struct nss_module nss_module_libvirt = {.names = INDEX_KEY_HOSTNAME};
const struct nss_module nss_module_libvirt_guest = {.names = INDEX_KEY_GUEST};
const struct nss_module nss_module_leasedns = {.names = INDEX_KEY_NAME};

/* A question of either kind. */
struct inquiry {
	const struct nss_module *module;
	struct question question; /* For a name. */
	uint8_t family;
	const struct address *address; /* For an address; else NULL. */
	const struct lookup_sink *sink;
	int32_t *out_ttl_s;
};

static enum nss_outcome inquiry_answer(
	const struct inquiry *inquiry, const struct index *index, uint32_t ttl_s, struct bytes zone)
{
	struct answer_setting setting = {
		.module = inquiry->module,
		.index = index,
		.ttl_s = ttl_s < INT32_MAX ? ttl_s : INT32_MAX,
		.zone = zone,
	};
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	setting.now_unix_s = now.tv_sec;
	inquiry->sink->restart(inquiry->sink->ctx);
	if (inquiry->address)
		return answer_address(
			&setting, inquiry->address, inquiry->sink, inquiry->out_ttl_s);
	return answer_name(
		&setting, &inquiry->question, inquiry->family, inquiry->sink, inquiry->out_ttl_s);
}

/* --- From the index ------------------------------------------------------------------------ */

/* The zones of the index; the canonical one is kept. */
static bool inquiry_take_zones(struct inquiry *inquiry, const struct index *index,
	struct index_meta *meta, char zone[INDEX_META_TEXT_SIZE])
{
	struct index_meta_cursor cursor;
	char other[256]; /* Longer than any name of DNS. */
	size_t len;

	if (index_meta_open(index, &cursor, meta) != PARSER_OK)
		return false;
	for (size_t i = 0; i < meta->zone_count; i++) {
		if (index_meta_next_text(&cursor, zone, &len) != PARSER_OK || len >= sizeof(other))
			return false;
		question_try_zone(&inquiry->question, (struct bytes){(const uint8_t *)zone, len});
		if (i == 0)
			memcpy(other, zone, len + 1);
	}
	memcpy(zone, other, sizeof(other));
	return true;
}

/* Its own frame, so that the buffers of judging and answering do not stand on each other. */
static __attribute__((noinline)) enum nss_outcome inquiry_answer_fresh(
	struct inquiry *inquiry, const struct index *index)
{
	char zone[INDEX_META_TEXT_SIZE];
	struct index_meta meta;

	if (!inquiry_take_zones(inquiry, index, &meta, zone))
		return NSS_OUTCOME_UNAVAILABLE;
	return inquiry_answer(inquiry, index, meta.ttl_s, bytes_of_text(zone));
}

/* What of its sources must be as the index knows it. */
enum index_trust {
	INDEX_TRUST_ALL,
	INDEX_TRUST_LEASES, /* The configuration may be another by now. */
};

static bool index_is_fresh(const struct index *index, enum index_trust trust)
{
	return (trust == INDEX_TRUST_ALL
			       ? freshness_of(index, NULL)
			       : freshness_but_for(index, LEASEDNS_CONF_FILE)) == FRESHNESS_FRESH;
}

/* @return false if there is no index to believe. */
static __attribute__((noinline)) bool inquiry_from_index(
	struct inquiry *inquiry, enum index_trust trust, enum nss_outcome *out_outcome)
{
	struct index_window window;
	struct index index;
	enum nss_outcome outcome = NSS_OUTCOME_UNAVAILABLE;
	uint32_t size;
	int fd;

	if (index_file_open(LEASEDNS_INDEX_FILE, &fd, &size) != PARSER_OK)
		return false;
	if (index_init_sized(&index, fd, size, &window) == PARSER_OK &&
		index_is_fresh(&index, trust))
		outcome = inquiry_answer_fresh(inquiry, &index);
	close(fd);
	*out_outcome = outcome;
	return outcome != NSS_OUTCOME_UNAVAILABLE;
}

/* --- From the lease files ------------------------------------------------------------------ */

static enum nss_outcome inquiry_ask_draft(
	struct inquiry *inquiry, const struct conf *conf, const struct scan *scan)
{
	static const struct source_stamp absent = {.state = SOURCE_ABSENT};
	struct index_draft *draft = NULL;
	struct conf_index options;
	struct index index;
	size_t directory_count;
	const struct store_directory *directories = scan_directories(scan, &directory_count);
	enum nss_outcome outcome = NSS_OUTCOME_TRANSIENT;

	if (conf_index_init(&options, conf, LEASEDNS_CONF_FILE, &absent) != PARSER_OK)
		return outcome;
	if (index_draft_new(directories, directory_count, &options.options, &draft, &index) ==
		PARSER_OK)
		outcome =
			inquiry_answer(inquiry, &index, conf->ttl_s, bytes_of_text(conf->zones[0]));
	/* An index that was never written breaks for one reason only: memory is short. */
	if (outcome == NSS_OUTCOME_UNAVAILABLE)
		outcome = NSS_OUTCOME_TRANSIENT;
	index_draft_free(draft);
	conf_index_done(&options);
	return outcome;
}

/* What was not read might have held the name. */
static enum nss_outcome inquiry_doubt(const struct scan_report *report)
{
	if (report->transient)
		return NSS_OUTCOME_TRANSIENT;
	return report->failed || !report->seen ? NSS_OUTCOME_UNAVAILABLE : NSS_OUTCOME_ABSENT;
}

static enum nss_outcome inquiry_scan(struct inquiry *inquiry, const struct conf *conf)
{
	struct scan *scan = scan_new(conf);
	enum parser_status status = PARSER_E_NO_MEMORY;
	enum nss_outcome outcome = NSS_OUTCOME_TRANSIENT;

	for (size_t i = 0; i < conf->zone_count; i++)
		question_try_zone(&inquiry->question, bytes_of_text(conf->zones[i]));
	if (scan)
		status = inquiry->address
				 ? scan_for_address(scan, inquiry->address)
				 : scan_for_name(scan, inquiry->module->names, &inquiry->question);
	if (status == PARSER_OK)
		outcome = inquiry_ask_draft(inquiry, conf, scan);
	if (status == PARSER_OK && outcome == NSS_OUTCOME_ABSENT)
		outcome = inquiry_doubt(scan_report(scan));
	if (status == PARSER_E_LIMIT)
		outcome = NSS_OUTCOME_UNAVAILABLE;
	scan_free(scan);
	return outcome;
}

static __attribute__((noinline)) enum nss_outcome inquiry_from_files(struct inquiry *inquiry)
{
	struct conf_error error;
	struct conf conf;
	enum conf_status status = conf_load(LEASEDNS_CONF_FILE, &conf, &error);
	enum nss_outcome outcome;

	if (status == CONF_E_ABSENT)
		status = conf_init_defaults(&conf);
	if (status == CONF_E_NO_MEMORY || (status == CONF_E_IO && scan_is_transient(errno)))
		return NSS_OUTCOME_TRANSIENT;
	/* A configuration that is wrong is refused, and what was in force stays: that of a running
	 * server, which the index was built with. */
	if (status != CONF_OK)
		return inquiry_from_index(inquiry, INDEX_TRUST_LEASES, &outcome)
			       ? outcome
			       : NSS_OUTCOME_UNAVAILABLE;
	outcome = inquiry_scan(inquiry, &conf);
	conf_done(&conf);
	return outcome;
}

/* --- Either -------------------------------------------------------------------------------- */

static enum nss_outcome inquiry_run(struct inquiry *inquiry)
{
	enum nss_outcome outcome;
	int cancel_state;

	/* A thread that is cancelled in open() or read() would leave our descriptors and memory
	 * behind. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (!inquiry_from_index(inquiry, INDEX_TRUST_ALL, &outcome))
		outcome = inquiry_from_files(inquiry);
	pthread_setcancelstate(cancel_state, &cancel_state);
	return outcome;
}

enum nss_outcome lookup_by_name(const struct nss_module *module, const char *name, uint8_t family,
	const struct lookup_sink *sink, int32_t *out_ttl_s)
{
	struct inquiry inquiry = {
		.module = module,
		.family = family,
		.sink = sink,
		.out_ttl_s = out_ttl_s,
	};

	if (!question_init(&inquiry.question, name))
		return NSS_OUTCOME_ABSENT;
	return inquiry_run(&inquiry);
}

enum nss_outcome lookup_by_address(const struct nss_module *module, const struct address *address,
	const struct lookup_sink *sink, int32_t *out_ttl_s)
{
	struct inquiry inquiry = {
		.module = module,
		.address = address,
		.sink = sink,
		.out_ttl_s = out_ttl_s,
	};

	return inquiry_run(&inquiry);
}
