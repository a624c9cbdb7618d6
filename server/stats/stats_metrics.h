/** @file The table of statistics: where each stands in the daemon's JSON, what it is called among
 *  people and in Prometheus, and what it means. */
#ifndef SERVER_STATS_STATS_METRICS_H
#define SERVER_STATS_STATS_METRICS_H

#include <stdbool.h>
#include <stddef.h>

enum stats_unit {
	STATS_UNIT_COUNT,
	STATS_UNIT_OCTETS,
	STATS_UNIT_US,     /**< Prometheus: seconds. */
	STATS_UNIT_S,      /**< A duration. */
	STATS_UNIT_UNIX_S, /**< A time. */
	STATS_UNIT_BOOL,   /**< 0 or 1. */
	STATS_UNIT_STATE,  /**< A word: 1 for "up", else 0. Of upstream servers only. */
};

struct stats_metric {
	const char *group; /**< Key of the object that it stands in; NULL: the document's own. */
	const char *key;   /**< NULL: all keys of the group, each a value of `label`. */
	const char *label;
	/** Behind "leasedns_". Counters, and they alone, end in "_total". */
	const char *name;
	enum stats_unit unit;
	const char *title; /**< For people; NULL: not for them. */
	const char *help;
};

/** In the order in which they are shown; those of one group are neighbours. */
extern const struct stats_metric stats_metrics[];
extern const size_t stats_metric_count;

/** Of one upstream server: `group` is NULL, and so is `title` where the column is another's. */
extern const struct stats_metric stats_server_metrics[];
extern const size_t stats_server_metric_count;

bool stats_metric_is_counter(const struct stats_metric *metric);

#endif
