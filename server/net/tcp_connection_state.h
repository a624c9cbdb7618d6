/** @file A TCP connection from inside. Private to tcp_connection*.c: the connection itself and its
 *  time (tcp_connection.c), messages in (tcp_connection_read.c), replies out
 *  (tcp_connection_write.c).
 *
 *  Most of these may stop the connection; its memory lives until the loop goes on. */
#ifndef SERVER_NET_TCP_CONNECTION_STATE_H
#define SERVER_NET_TCP_CONNECTION_STATE_H

#include "server/net/tcp_connection.h"

#define TCP_PREFIX_OCTETS 2u

enum tcp_state {
	TCP_READING,
	TCP_PAUSED,    /* Too many replies not taken or not there yet: reads nothing, keeps what it
			  has read. */
	TCP_FINISHING, /* Reads no more; closes when all replies are there and taken. */
	TCP_CLOSED,    /* Waits for the close callbacks. */
};

struct tcp_connection {
	struct listener_origin origin;
	struct tcp_connections *all;
	struct tcp_connection *older;
	struct tcp_connection *newer;
	uv_tcp_t stream;
	uv_timer_t timer;
	unsigned handles_open;
	unsigned unsettled; /* Queries that wait for a later reply. */
	struct tcp_client client;
	struct listener_client asker; /* The same, for whom we ask. */
	enum tcp_state state;
	bool has_sent_octets;
	bool has_asked;
	bool is_consuming;  /* Queries are being answered: `pending` must not move. */
	bool had_its_turn;  /* The last read filled the buffer. */
	bool had_last_look; /* Its time was over, and something lay there; no progress since. */
	uint8_t *pending;   /* Read and not answered yet: when reading, less than a message. */
	size_t pending_len;
	size_t pending_cap;
	size_t queued_octets;    /* Replies not taken, with what we spend on keeping them. */
	size_t unsent_octets;    /* Of these, what the kernel has not taken, when last looked at. */
	uint64_t read_since_ms;  /* Since when the next message, or its rest, is awaited. */
	uint64_t write_since_ms; /* Since when no reply was seen to be taken. */
	uint64_t timer_due_ms;
};

static inline uv_stream_t *tcp_connection_stream(struct tcp_connection *connection)
{
	return (uv_stream_t *)&connection->stream;
}

static inline uint64_t tcp_connection_now_ms(const struct tcp_connection *connection)
{
	return uv_now(connection->all->loop);
}

/* tcp_connection.c */

/** There was progress: it moves to the end of the list. */
void tcp_connection_refresh(struct tcp_connection *connection);
/** Reads no more. What was asked before is still answered. */
void tcp_connection_finish(struct tcp_connection *connection);
/** Sees to it that the timer fires when the connection has been idle for too long. */
void tcp_connection_arm(struct tcp_connection *connection);
/** To be called when a handle is closed and when a client was settled. */
void tcp_connection_free_if_unused(struct tcp_connection *connection);

/* tcp_connection_read.c */

/** Reads from now on. @return 0 or a negative libuv error. */
int tcp_connection_read(struct tcp_connection *connection);
/** Reads on if it paused and there is room again. */
void tcp_connection_resume_if_room(struct tcp_connection *connection);

/* tcp_connection_write.c */

/** Stops reading while too many replies are not taken or not there yet. */
void tcp_connection_pause_if_full(struct tcp_connection *connection);
/** Writes the gathered replies: usually the kernel takes them all, and nothing is allocated. */
void tcp_connection_flush(struct tcp_connection *connection);
/** What each event ends with: writes what was gathered, closes if all is done. */
void tcp_connection_settle(struct tcp_connection *connection);
/** For `origin`: a reply that comes later. */
void tcp_connection_settle_client(const struct listener_client *client, struct bytes reply);

#endif
