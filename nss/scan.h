/** @file What the lease files say that can matter for one question: reads each file in pieces and
 *  keeps the few records that bear on it. The way for when there is no index to believe. */
#ifndef NSS_SCAN_H
#define NSS_SCAN_H

#include "conf/conf.h"
#include "nss/question.h"
#include "parser/store.h"

struct scan;

/** What came of it, beside the records. */
struct scan_report {
	bool seen;   /**< At least one directory was read. */
	bool failed; /**< A file or directory that is there was not: "not found" would be a guess.
		      */
	bool transient; /**< Some of that may work if it is tried again. */
};

/** True of an errno that says that memory or descriptors are short now. */
bool scan_is_transient(int system_error);

/** Lists the lease directories. NULL if memory is short. */
struct scan *scan_new(const struct conf *conf);
void scan_free(struct scan *scan);

/** Keeps all that bears on a name.
 *  @param names the kind of name that is asked for: files that cannot say are not read.
 *  @return PARSER_OK, PARSER_E_NO_MEMORY, PARSER_E_LIMIT (more records than we keep). */
enum parser_status scan_for_name(
	struct scan *scan, enum index_key_kind names, const struct question *question);

/** Keeps all that bears on the names of an address. As above. */
enum parser_status scan_for_address(struct scan *scan, const struct address *address);

/** The records that were kept, as index_draft_new() takes them. Valid until scan_free(). */
const struct store_directory *scan_directories(const struct scan *scan, size_t *out_count);

const struct scan_report *scan_report(const struct scan *scan);

#endif
