/** @file Numbers of the DNS protocol and octets in network order: what the modules that touch the
 *  wire share. Numbers are IANA's "Domain Name System (DNS) Parameters". */
#ifndef SERVER_DNS_DNS_H
#define SERVER_DNS_DNS_H

#include <stdint.h>

#define DNS_HEADER_OCTETS 12u
/** RFC 1035 section 2.3.4. */
#define DNS_LABEL_OCTETS_MAX 63u
#define DNS_NAME_OCTETS_MAX  255u
/** 127 labels of one octet, each with its length, and the root. */
#define DNS_LABELS_MAX 127u
/** Type and class behind the name of a question. */
#define DNS_QUESTION_TAIL_OCTETS 4u
/** Type, class, TTL and length behind the owner of a record. */
#define DNS_RECORD_TAIL_OCTETS 10u
/** RFC 1035 section 4.1.4: both upper bits of the length octet. */
#define DNS_POINTER 0xc000u
/** A record's TTL is 31 bits (RFC 2181 section 8). */
#define DNS_TTL_MAX 0x7fffffffu

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_TKEY = 249,
	DNS_TYPE_TSIG = 250,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_ANY = 255,
};

enum dns_class { DNS_CLASS_IN = 1, DNS_CLASS_ANY = 255 };

#define DNS_OPCODE_QUERY 0u

enum dns_rcode {
	DNS_RCODE_NOERROR = 0,
	DNS_RCODE_FORMERR = 1,
	DNS_RCODE_SERVFAIL = 2,
	DNS_RCODE_NXDOMAIN = 3,
	DNS_RCODE_NOTIMP = 4,
	DNS_RCODE_REFUSED = 5,
	DNS_RCODE_NOTAUTH = 9,
	DNS_RCODE_BADVERS = 16, /**< Needs the upper bits in OPT (RFC 6891 section 6.1.3). */
};

static inline uint16_t dns_read_u16(const uint8_t *octets)
{
	return (uint16_t)(octets[0] << 8 | octets[1]);
}

static inline void dns_write_u16(uint8_t *octets, uint16_t number)
{
	octets[0] = (uint8_t)(number >> 8);
	octets[1] = (uint8_t)number;
}

static inline void dns_write_u32(uint8_t *octets, uint32_t number)
{
	dns_write_u16(octets, (uint16_t)(number >> 16));
	dns_write_u16(octets + 2, (uint16_t)number);
}

#endif
