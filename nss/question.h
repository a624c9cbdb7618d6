/** @file A name as it is asked for, and what it may mean: literally, or below one of the zones. */
#ifndef NSS_QUESTION_H
#define NSS_QUESTION_H

#include "parser/index.h"

struct question {
	uint8_t literal[INDEX_KEY_OCTETS_MAX]; /**< Lower case, no trailing dot. */
	size_t literal_len;
	size_t stripped_len; /**< The part before the longest zone that fits; 0: none fits. */
	size_t zone_len;     /**< Of that zone; 0: none yet. */
	bool is_apex;        /**< It is a zone's own name. */
};

/** False if the name is empty or longer than any name that we have. */
bool question_init(struct question *question, const char *name);

/** Takes a zone (lower case, no trailing dot) into account. */
void question_try_zone(struct question *question, struct bytes zone);

static inline struct bytes question_literal(const struct question *question)
{
	return (struct bytes){question->literal, question->literal_len};
}

static inline struct bytes question_stripped(const struct question *question)
{
	return (struct bytes){question->literal, question->stripped_len};
}

#endif
