/** @file SipHash-1-3, a keyed hash for tables whose keys a stranger chooses: without the key nobody
 *  can foresee which keys fall together. Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 *  INDOCRYPT 2012; with one round a word and three at the end, which their follow-up and the tables
 *  of Python, Ruby and Rust find enough where the hash itself is never shown. */
#ifndef SERVER_SUPPORT_SIPHASH_H
#define SERVER_SUPPORT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t words[2];
};

uint64_t siphash_1_3(const struct siphash_key *key, const uint8_t *octets, size_t len);

#endif
