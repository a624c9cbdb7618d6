/** @file Writes what index_meta_init() reads. Private to parser/. */
#ifndef PARSER_INDEX_META_H
#define PARSER_INDEX_META_H

#include "index.h"

/** @param meta its texts at most 65,535 octets each.
 *  @param out_octets the caller's to free.
 *  @return PARSER_OK, PARSER_E_NO_MEMORY, PARSER_E_LIMIT. */
enum parser_status index_meta_encode(
	const struct index_meta *meta, uint8_t **out_octets, size_t *out_len);

#endif
