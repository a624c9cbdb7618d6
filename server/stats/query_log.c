#include "server/stats/query_log.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <ldns/ldns.h>
#include <netinet/in.h>
#include <stdio.h>

#include "server/dns/dns.h"
#include "server/stats/stats.h"
#include "server/support/log.h"

/* "TYPE65535" and more. */
#define TYPE_SIZE 32

static const char *peer_text(const struct sockaddr *peer, char text[static INET6_ADDRSTRLEN])
{
	const void *address = &((const struct sockaddr_in *)peer)->sin_addr;

	if (peer->sa_family == AF_INET6)
		address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
	else if (peer->sa_family != AF_INET)
		return "-";
	return inet_ntop(peer->sa_family, address, text, INET6_ADDRSTRLEN) ? text : "-";
}

/* "A"; of another class than IN "TXT/CH". What has no name has a number (RFC 3597). */
static const char *type_text(const struct question *question, char text[static TYPE_SIZE])
{
	const ldns_rr_descriptor *type = ldns_rr_descript(question->type);
	const ldns_lookup_table *class = ldns_lookup_by_id(ldns_rr_classes, question->class);
	int len;

	/* ldns describes all types that it does not know alike. */
	if (type->_type == question->type && type->_name)
		len = snprintf(text, TYPE_SIZE, "%s", type->_name);
	else
		len = snprintf(text, TYPE_SIZE, "TYPE%u", question->type);
	if (question->class == DNS_CLASS_IN)
		return text;
	if (class)
		snprintf(text + len, TYPE_SIZE - (size_t)len, "/%s", class->name);
	else
		snprintf(text + len, TYPE_SIZE - (size_t)len, "/CLASS%u", question->class);
	return text;
}

const char *query_log_format(
	const struct query_log_entry *entry, char out_line[static QUERY_LOG_LINE_SIZE])
{
	char peer[INET6_ADDRSTRLEN];
	char name[QUESTION_NAME_SIZE] = "-";
	char type[TYPE_SIZE] = "-";
	char rcode[STATS_RCODE_SIZE];
	const bool has_reply = entry->reply.len >= DNS_HEADER_OCTETS;

	if (entry->question) {
		question_name_text(entry->question, name);
		type_text(entry->question, type);
	}
	snprintf(out_line, QUERY_LOG_LINE_SIZE, "query: %s %s %s %s %s %s %" PRIu64 " us",
		peer_text(entry->peer, peer), name, type, entry->is_tcp ? "tcp" : "udp",
		answered_word(has_reply ? entry->answered : ANSWERED_DROPPED),
		has_reply ? stats_rcode_text(stats_rcode(entry->reply), rcode) : "-",
		entry->took_us);
	return out_line;
}

void query_log_flush(struct query_log *log)
{
	if (log->left_out > 0)
		log_info("query: %" PRIu64 " lines left out: there were too many", log->left_out);
	log->left_out = 0;
}

/* Opens a new window if it is time. */
static void query_log_turn(struct query_log *log, int64_t now_ms)
{
	/* A zeroed log has no window yet. */
	if (log->window_start_ms != 0 && now_ms - log->window_start_ms < QUERY_LOG_WINDOW_MS)
		return;
	log->window_start_ms = now_ms;
	log->passed = 0;
	if (log->left_out > 0 && log_is_ready())
		query_log_flush(log);
}

void query_log_write(struct query_log *log, const struct query_log_entry *entry, int64_t now_ms)
{
	char line[QUERY_LOG_LINE_SIZE];

	query_log_turn(log, now_ms);
	if (log->passed >= QUERY_LOG_BURST || !log_is_ready()) {
		log->left_out++;
		log->suppressed++;
		return;
	}
	log->passed++;
	log->written++;
	log_info("%s", query_log_format(entry, line));
}
