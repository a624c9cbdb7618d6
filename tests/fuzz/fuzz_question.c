/* Any octets as a message, a query and its reply: what is counted is counted once, and the line of
 * the query log is a line of nine words of printable ASCII. A question that query_parse() finds is
 * the one that question_read() reads. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dns/query.h"
#include "server/stats/query_log.h"
#include "server/stats/stats.h"
#include "tests/fuzz/fuzz_check.h"

static void line_check(const struct question *question, struct bytes reply)
{
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	const struct query_log_entry entry = {
		.peer = (const struct sockaddr *)&peer, .question = question, .reply = reply};
	char line[QUERY_LOG_LINE_SIZE];
	unsigned words = 1;

	for (const char *at = query_log_format(&entry, line); *at; at++) {
		CHECK(*at >= 0x20 && *at < 0x7f);
		CHECK(*at != ' ' || (at[1] != ' ' && at[1] != '\0'));
		words += *at == ' ';
	}
	CHECK(words == 9);
}

static void stats_check(const struct question *question, struct bytes reply)
{
	struct stats stats = {0};
	uint64_t sum = 0;

	stats_count_query(&stats, true, question);
	stats_count_reply(&stats, stats_answered(question, ANSWER_REPLY, reply), reply);
	for (size_t i = 0; i <= STATS_TYPES; i++)
		sum += stats.types[i];
	CHECK(sum + stats.unreadable == 1 && stats.queries[true] == 1);
	sum = 0;
	for (size_t i = 0; i < ANSWERED_COUNT; i++)
		sum += stats.answered[i];
	CHECK(sum == 1);
	sum = stats.answered[ANSWERED_DROPPED];
	for (size_t i = 0; i <= STATS_RCODES; i++)
		sum += stats.rcodes[i];
	CHECK(sum == 1);
}

static void query_check(const struct question *question, struct bytes message)
{
	struct query query;

	if (query_parse(message, &query) != QUERY_OK)
		return;
	CHECK(question != NULL);
	CHECK(question->type == query.type && question->class == query.class);
	CHECK(question->name.len == query.name_octets);
	for (size_t i = 0; i < query.name_octets; i++) {
		uint8_t octet = question->name.ptr[i];

		CHECK(query.name[i] == octet || query.name[i] == (octet | 0x20));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its exact size, so that a read beyond the message is seen. */
	uint8_t *octets = malloc(size ? size : 1);
	const struct bytes message = {octets, size};
	struct question question;
	const struct question *found;

	CHECK(octets != NULL);
	if (size > 0)
		memcpy(octets, data, size);
	found = question_read(message, &question) ? &question : NULL;
	line_check(found, message);
	stats_check(found, message);
	query_check(found, message);
	free(octets);
	return 0;
}
