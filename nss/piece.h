/** @file Reads a lease file through a buffer of fixed size and hands it to its format. */
#ifndef NSS_PIECE_H
#define NSS_PIECE_H

#include "parser/store.h"

struct piece_reader;

/** NULL if memory is short. */
struct piece_reader *piece_reader_new(void);
void piece_reader_free(struct piece_reader *reader);

/** Parses `file` in `directory`. Opens neither links nor anything but regular files, never blocks.
 *  @return PARSER_OK; PARSER_E_ABSENT, PARSER_E_UNTRUSTED, PARSER_E_IO, PARSER_E_LIMIT,
 *  PARSER_E_SYNTAX, PARSER_E_NO_MEMORY; PARSER_E_TORN if it changed meanwhile: read it again. If
 *  not PARSER_OK, what the sink saw is void. */
enum parser_status piece_reader_parse(struct piece_reader *reader, const char *directory,
	const struct store_file *file, record_sink sink, void *ctx);

#endif
