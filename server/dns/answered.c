#include "server/dns/answered.h"

const char *answered_word(enum answered answered)
{
	switch (answered) {
	case ANSWERED_LOCAL:
		return "local";
	case ANSWERED_REVERSE:
		return "reverse";
	case ANSWERED_SPECIAL:
		return "special";
	case ANSWERED_CACHED:
		return "cached";
	case ANSWERED_STALE:
		return "stale";
	case ANSWERED_FORWARDED:
		return "forwarded";
	case ANSWERED_REFUSED:
		return "refused";
	case ANSWERED_FAILED:
		return "failed";
	case ANSWERED_INVALID:
		return "invalid";
	case ANSWERED_DROPPED:
		return "dropped";
	case ANSWERED_COUNT:
		break;
	}
	return "unknown";
}
