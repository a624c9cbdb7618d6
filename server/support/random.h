/** @file Random octets for what an attacker must not foresee: ids, letters' case, tokens. Fetched
 *  from the kernel in blocks, so that a query does not cost a system call. */
#ifndef SERVER_SUPPORT_RANDOM_H
#define SERVER_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define RANDOM_BLOCK_OCTETS 1024u

/** Zero it at first. */
struct random_pool {
	size_t left; /**< At the front of `octets`, not given out yet. */
	uint8_t octets[RANDOM_BLOCK_OCTETS];
};

/** Fills `out_octets`; what was given out is erased from the pool.
 *  @param len at most RANDOM_BLOCK_OCTETS. */
void random_take(struct random_pool *pool, void *out_octets, size_t len);

#endif
