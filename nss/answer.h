/** @file Answers a question from an opened index, wherever that comes from. */
#ifndef NSS_ANSWER_H
#define NSS_ANSWER_H

#include "nss/lookup.h"
#include "nss/question.h"

/** What all answers need. */
struct answer_setting {
	const struct nss_module *module;
	const struct index *index;
	uint32_t ttl_s; /**< At most, and INT32_MAX at most; less if a lease ends before. */
	int64_t now_unix_s;
	struct bytes zone; /**< Canonical. */
};

/** @return NSS_OUTCOME_UNAVAILABLE if the index is corrupt: then, as with
 *  NSS_OUTCOME_BUFFER_TOO_SMALL, the sink may have seen some of an answer. */
enum nss_outcome answer_name(const struct answer_setting *setting, const struct question *question,
	uint8_t family, const struct lookup_sink *sink, int32_t *out_ttl_s);

/** @return as answer_name(). */
enum nss_outcome answer_address(const struct answer_setting *setting, const struct address *address,
	const struct lookup_sink *sink, int32_t *out_ttl_s);

#endif
