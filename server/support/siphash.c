#include "server/support/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void state_round(struct state *state)
{
	state->v0 += state->v1;
	state->v2 += state->v3;
	state->v1 = rotate_left(state->v1, 13) ^ state->v0;
	state->v3 = rotate_left(state->v3, 16) ^ state->v2;
	state->v0 = rotate_left(state->v0, 32);
	state->v2 += state->v1;
	state->v0 += state->v3;
	state->v1 = rotate_left(state->v1, 17) ^ state->v2;
	state->v3 = rotate_left(state->v3, 21) ^ state->v0;
	state->v2 = rotate_left(state->v2, 32);
}

static inline void state_word(struct state *state, uint64_t word)
{
	state->v3 ^= word;
	state_round(state);
	state->v0 ^= word;
}

uint64_t siphash_1_3(const struct siphash_key *key, const uint8_t *octets, size_t len)
{
	/* "somepseudorandomlygeneratedbytes", section 2.1 of the paper. */
	struct state state = {
		key->words[0] ^ UINT64_C(0x736f6d6570736575),
		key->words[1] ^ UINT64_C(0x646f72616e646f6d),
		key->words[0] ^ UINT64_C(0x6c7967656e657261),
		key->words[1] ^ UINT64_C(0x7465646279746573),
	};
	uint64_t word;
	size_t at = 0;

	for (; len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, octets + at, sizeof(word));
		state_word(&state, le64toh(word));
	}
	/* The last word: what is left, and the length in its uppermost octet. */
	word = (uint64_t)len << 56;
	for (unsigned shift = 0; at < len; at++, shift += 8)
		word |= (uint64_t)octets[at] << shift;
	state_word(&state, word);
	state.v2 ^= 0xff;
	for (unsigned i = 0; i < 3; i++)
		state_round(&state);
	return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
