#include "server/dns/question.h"

#include <string.h>
#include <strings.h>

#include "server/dns/dns.h"

#define QDCOUNT_OFFSET 4u

/* The labels that reverse zones are below of, with their lengths. */
static bool is_label(const uint8_t *label, const char *text)
{
	const size_t len = strlen(text);

	return label[0] == len && strncasecmp((const char *)label + 1, text, len) == 0;
}

bool question_read(struct bytes message, struct question *out_question)
{
	const uint8_t *octets = message.ptr;
	size_t at = DNS_HEADER_OCTETS;
	size_t last = 0; /* Where the last label is, and the one before. */
	size_t before = 0;

	if (message.len < DNS_HEADER_OCTETS || dns_read_u16(octets + QDCOUNT_OFFSET) != 1)
		return false;
	while (at < message.len && octets[at] != 0) {
		if (octets[at] > DNS_LABEL_OCTETS_MAX)
			return false;
		before = last;
		last = at;
		at += 1u + octets[at];
	}
	at++; /* Behind the root. */
	if (at + DNS_QUESTION_TAIL_OCTETS > message.len ||
		at - DNS_HEADER_OCTETS > DNS_NAME_OCTETS_MAX)
		return false;
	*out_question = (struct question){
		.name = {octets + DNS_HEADER_OCTETS, at - DNS_HEADER_OCTETS},
		.type = dns_read_u16(octets + at),
		.class = dns_read_u16(octets + at + 2),
		.is_reverse =
			before > 0 && is_label(octets + last, "arpa") &&
			(is_label(octets + before, "in-addr") || is_label(octets + before, "ip6")),
	};
	return true;
}

static char *octet_write(char *end, uint8_t octet)
{
	if (octet <= 0x20 || octet >= 0x7f) {
		*end++ = '\\';
		*end++ = (char)('0' + octet / 100);
		*end++ = (char)('0' + octet / 10 % 10);
		*end++ = (char)('0' + octet % 10);
		return end;
	}
	if (strchr(".\"();@$\\", octet))
		*end++ = '\\';
	*end++ = (char)octet;
	return end;
}

const char *question_name_text(
	const struct question *question, char out_text[static QUESTION_NAME_SIZE])
{
	const uint8_t *label = question->name.ptr;
	char *end = out_text;

	if (label[0] == 0)
		*end++ = '.';
	while (label[0] != 0) {
		if (end > out_text)
			*end++ = '.';
		for (uint8_t i = 1; i <= label[0]; i++)
			end = octet_write(end, label[i]);
		label += 1u + label[0];
	}
	*end = '\0';
	return out_text;
}
