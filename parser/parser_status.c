#include "parser_status.h"

const char *parser_strerror(enum parser_status status)
{
	switch (status) {
	case PARSER_OK:
		return "fine";
	case PARSER_E_NO_MEMORY:
		return "out of memory";
	case PARSER_E_IO:
		return "cannot be read or written";
	case PARSER_E_ABSENT:
		return "does not exist";
	case PARSER_E_SYNTAX:
		return "not a document of that format";
	case PARSER_E_LIMIT:
		return "larger than the limit";
	case PARSER_E_TORN:
		return "changed while it was read";
	case PARSER_E_UNTRUSTED:
		return "wrong kind of file, owner or mode";
	case PARSER_E_CORRUPT:
		return "not a sound index";
	}
	return "unknown error";
}
