/** @file Asks a daemon over its control socket (control.h). Blocking, within limits. Never logs. */
#ifndef SERVER_STATS_CONTROL_CLIENT_H
#define SERVER_STATS_CONTROL_CLIENT_H

#include <stdint.h>

/** No document is longer: 16 servers for each of 65 domains are 200 KiB. */
#define CONTROL_DOCUMENT_OCTETS_MAX (4u << 20)
/** A daemon that does not say anything for so long is stopped, or none of ours. */
#define CONTROL_PATIENCE_MS 5000

enum control_result {
	CONTROL_OK,
	CONTROL_NOBODY,   /**< There is no socket, or nobody listens. */
	CONTROL_FAILED,   /**< errno says how. */
	CONTROL_SILENT,   /**< No answer in time. */
	CONTROL_TOO_LONG, /**< More than CONTROL_DOCUMENT_OCTETS_MAX. */
};

/** @param request one line, without the newline.
 *  @param patience_ms for each step, and thrice that in all.
 *  @param out_document what came, the caller's to free. */
enum control_result control_ask(
	const char *path, const char *request, int patience_ms, char **out_document);

#endif
