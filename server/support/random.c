#include "server/support/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* getrandom(2) cannot fail for a sane buffer once the kernel has been seeded, up to 256 octets it
 * is not even interrupted. A kernel without it has no random octets for us, and a server that
 * guesses ids is worse than none. */
static void pool_fill(struct random_pool *pool)
{
	size_t done = 0;

	while (done < sizeof(pool->octets)) {
		ssize_t got = getrandom(pool->octets + done, sizeof(pool->octets) - done, 0);

		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			abort();
	}
	pool->left = sizeof(pool->octets);
}

void random_take(struct random_pool *pool, void *out_octets, size_t len)
{
	assert(len <= sizeof(pool->octets));
	if (pool->left < len)
		pool_fill(pool);
	pool->left -= len;
	memcpy(out_octets, pool->octets + pool->left, len);
	memset(pool->octets + pool->left, 0, len);
}
