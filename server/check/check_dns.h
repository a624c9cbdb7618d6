/** @file Questions by DNS, asked in our own name, and what came back. All at once, except for names
 *  that c-ares does not carry. Blocking. */
#ifndef SERVER_CHECK_CHECK_DNS_H
#define SERVER_CHECK_CHECK_DNS_H

#include "conf/conf.h"
#include "server/check/check_probe.h"
#include "server/dns/dns.h"

/** For the first of two attempts; the second waits twice as long. */
#define CHECK_DNS_TIMEOUT_MS 600u
/** Characters of a name in text form, with a NUL (RFC 1035 section 2.3.4: 253 without escapes). */
#define CHECK_DNS_NAME_SIZE 1024

/** A question to one server. */
struct check_question {
	struct conf_endpoint server;
	char name[CHECK_DNS_NAME_SIZE]; /**< As a master file has it. */
	uint16_t type;                  /**< enum dns_type */
	/** CD (RFC 4035 section 3.2.2): who validates is to pass on what it does not believe. */
	bool is_unchecked;

	/* What came back. */
	bool has_replied;
	uint8_t rcode;                    /**< enum dns_rcode */
	bool is_cut;                      /**< TC, by TCP too. */
	size_t answer_count;              /**< Records in the answer section. */
	char mname[CHECK_DNS_NAME_SIZE];  /**< Of an SOA in the answer, with its dot; else "". */
	uint32_t serial;                  /**< Of that SOA. */
	struct check_addresses addresses; /**< Of A and AAAA. */
};

/** Asks all of them and returns when the last has its reply or none. */
void check_dns_ask(struct check_question *questions, size_t count);

/** True if that was a reply to a question for the SOA of `zone`, and leasedns made it. */
bool check_dns_is_ours(const struct check_question *question, const char *zone);

/** "NXDOMAIN", "no reply", "RCODE 11", … for people. */
#define CHECK_DNS_WORD_SIZE 32
const char *check_dns_word(
	const struct check_question *question, char out_text[CHECK_DNS_WORD_SIZE]);

#endif
