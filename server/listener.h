/** @file What the UDP and TCP listeners share: whom they ask for a reply. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <uv.h>

#include "parser/bytes.h"
#include "server/answer.h"

/** Whom a listener asks. Borrowed; must outlive the listener. */
struct listener_ops {
	/** As answer_query(), on the loop thread. */
	enum answer_verdict (*answer)(void *ctx, bool is_tcp, struct bytes query, uint8_t *reply,
		size_t reply_cap, size_t *out_reply_len);
	void *ctx;
};

#endif
