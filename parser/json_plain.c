#include "json_plain.h"

#include <endian.h>

/** Digits of an integer that we take ourselves: it fits, and json-c would not clamp it. */
#define DIGITS_MAX 18

/** A mark in each octet of `word` that is zero. Octets above one that is may be marked, too. */
static uint64_t mark_zeros(uint64_t word)
{
	return (word - 0x0101010101010101) & ~word & 0x8080808080808080;
}

/** How many octets at the cursor are ASCII, but no quote, backslash or control character. */
static size_t plain_octets(const struct json_plain *cursor)
{
	const uint8_t *at = cursor->at;

	for (; cursor->end - at >= (ptrdiff_t)sizeof(uint64_t); at += sizeof(uint64_t)) {
		uint64_t word;
		uint64_t marks;

		memcpy(&word, at, sizeof(word));
		word = le64toh(word); /* So that the lowest mark, which is exact, comes first. */
		marks = mark_zeros(word ^ 0x2222222222222222) | /* '"' */
			mark_zeros(word ^ 0x5c5c5c5c5c5c5c5c) | /* '\\' */
			mark_zeros(word & 0xe0e0e0e0e0e0e0e0) | /* below 0x20 */
			(word & 0x8080808080808080);
		if (marks)
			return (size_t)(at - cursor->at) + (size_t)__builtin_ctzll(marks) / 8;
	}
	while (at < cursor->end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return (size_t)(at - cursor->at);
}

bool json_plain_text(struct json_plain *cursor, struct bytes *out_text)
{
	if (json_plain_peek(cursor) != '"')
		return false;
	cursor->at++;
	*out_text = (struct bytes){cursor->at, plain_octets(cursor)};
	cursor->at += out_text->len;
	return json_plain_take(cursor, '"');
}

bool json_plain_digits(struct json_plain *cursor, int64_t *out_number)
{
	const uint8_t *start = cursor->at;
	int64_t number = 0;

	for (uint8_t byte = json_plain_peek(cursor); byte >= '0' && byte <= '9';
		byte = json_plain_peek(cursor)) {
		if (cursor->at - start == DIGITS_MAX)
			return false;
		number = number * 10 + (byte - '0');
		cursor->at++;
	}
	if (cursor->at == start)
		return false;
	*out_number = number;
	return true;
}

bool json_plain_integer(struct json_plain *cursor, int64_t *out_number)
{
	const uint8_t *start = cursor->at;

	if (!json_plain_digits(cursor, out_number))
		return false;
	/* RFC 8259 section 6: no leading zeros. */
	if (*start == '0' && cursor->at - start > 1)
		return false;
	json_plain_skip_space(cursor);
	return true;
}
