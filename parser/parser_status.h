/** @file The one set of errors of `parser/`. */
#ifndef PARSER_STATUS_H
#define PARSER_STATUS_H

/** 0 is fine, errors are negative. */
enum parser_status {
	PARSER_OK = 0,
	PARSER_E_NO_MEMORY = -1, /**< An allocation failed. */
	PARSER_E_IO = -2,        /**< A system call failed; `errno` says how. */
	PARSER_E_ABSENT = -3,    /**< There is no such file. */
	PARSER_E_SYNTAX = -4,    /**< Not a document of that format. */
	PARSER_E_LIMIT = -5,     /**< Larger than we read: octets, records or depth. */
	PARSER_E_TORN = -6,      /**< The file changed while it was read. */
	PARSER_E_UNTRUSTED = -7, /**< Wrong kind of file, owner or mode. */
	PARSER_E_CORRUPT = -8,   /**< An index that breaks its own format. */
};

/** A short lower-case phrase for messages, e.g. "changed while it was read". Never NULL. */
const char *parser_strerror(enum parser_status status);

#endif
