/** @file Small questions of text, answered alike in every locale. Private to conf/. */
#ifndef CONF_CONF_TEXT_H
#define CONF_CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** ASCII lower case: DNS folds nothing else (RFC 4343). */
static inline char conf_text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/** Equal without regard to ASCII case. */
static inline bool conf_text_equal_fold(const char *a, const char *b)
{
	while (*a && conf_text_lower(*a) == conf_text_lower(*b)) {
		a++;
		b++;
	}
	return conf_text_lower(*a) == conf_text_lower(*b);
}

/** Decimal digits and nothing else (strtoul() takes blanks, signs and a locale's opinion). False,
 *  and the output untouched, if `text` is no number from `min` to `max`. */
static inline bool conf_text_number(
	const char *text, size_t len, uint32_t min, uint32_t max, uint32_t *out_number)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > max)
			return false;
	}
	if (len == 0 || number < min)
		return false;
	*out_number = (uint32_t)number;
	return true;
}

#endif
