/** @file What the parser noticed, as log messages. Every text from outside is escaped. */
#ifndef SERVER_REPORT_H
#define SERVER_REPORT_H

#include "parser/index_builder.h"
#include "parser/store.h"

/** A store_event_sink that logs; `ctx` is not looked at. */
void report_store_event(void *ctx, const struct store_event *event);

/** An index_event_sink that logs; `ctx` is not looked at. */
void report_index_event(void *ctx, const struct index_event *event);

#endif
