#include "server/support/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

/* A byte becomes at most "\DDD". */
#define TEXT_ESCAPED_OCTETS_MAX 4

static char *text_escape(char *end, uint8_t byte)
{
	*end++ = '\\';
	*end++ = (char)('0' + byte / 100);
	*end++ = (char)('0' + byte / 10 % 10);
	*end++ = (char)('0' + byte % 10);
	return end;
}

static char *text_copy(char *end, const uint8_t *from, size_t octets)
{
	memcpy(end, from, octets);
	return end + octets;
}

/* Octets of the character at `raw` if it may stand as itself, else 0. */
static size_t text_printable_octets(const char *raw, size_t len)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t octets = mbrtowc(&wide, raw, len, &state);

	if (octets == 0 || octets > len || wide == L'\\')
		return 0;
	/* Width 0: combining marks, joiners, and what turns the direction of text around. */
	return iswprint((wint_t)wide) && wcwidth(wide) > 0 ? octets : 0;
}

/* Octets of the UTF-8 sequence at `raw` (RFC 3629 section 4: shortest form, no surrogates, nothing
 * above U+10FFFF), or 0. */
static size_t text_utf8_octets(const uint8_t *raw, size_t len)
{
	uint8_t first = raw[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t octets;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	octets = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (octets > len)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf4)
		high = 0x8f;
	if (raw[1] < low || raw[1] > high)
		return 0;
	for (size_t i = 2; i < octets; i++) {
		if ((raw[i] & 0xc0) != 0x80)
			return 0;
	}
	return octets;
}

char *text_printable(struct bytes raw)
{
	char *text = malloc(raw.len * TEXT_ESCAPED_OCTETS_MAX + 1);
	char *end = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < raw.len;) {
		size_t octets = text_printable_octets((const char *)raw.ptr + i, raw.len - i);

		end = octets ? text_copy(end, raw.ptr + i, octets) : text_escape(end, raw.ptr[i]);
		i += octets ? octets : 1;
	}
	*end = '\0';
	return text;
}

char *text_utf8(struct bytes raw)
{
	char *text = malloc(raw.len * TEXT_ESCAPED_OCTETS_MAX + 1);
	char *end = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < raw.len;) {
		const uint8_t *at = raw.ptr + i;
		size_t octets = text_utf8_octets(at, raw.len - i);
		bool is_control = at[0] == 0x7f || (octets == 2 && at[0] == 0xc2 && at[1] < 0xa0);

		if (at[0] == 0 || at[0] == '\\' || is_control || octets == 0) {
			/* U+0080 to U+009F are two octets: the other is invalid alone. */
			end = text_escape(end, at[0]);
			i++;
		} else {
			end = text_copy(end, at, octets);
			i += octets;
		}
	}
	*end = '\0';
	return text;
}

char *text_dns(struct bytes name, struct bytes zone)
{
	/* RFC 1035 section 5.1: characters that mean something there are quoted by a backslash. */
	static const char special[] = "\"();@$\\";
	char *text = malloc(name.len * TEXT_ESCAPED_OCTETS_MAX + 1 + zone.len + 1);
	char *end = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.ptr[i];

		if (byte <= 0x20 || byte >= 0x7f) {
			end = text_escape(end, byte);
			continue;
		}
		if (strchr(special, byte))
			*end++ = '\\';
		*end++ = (char)byte;
	}
	if (zone.len > 0) {
		*end++ = '.';
		end = text_copy(end, zone.ptr, zone.len);
	}
	*end = '\0';
	return text;
}

size_t text_prefix(const char *text, size_t width, size_t *out_width)
{
	size_t len = strlen(text);
	size_t used = 0;
	size_t columns = 0;

	while (used < len) {
		mbstate_t state = {0};
		wchar_t wide;
		size_t octets = mbrtowc(&wide, text + used, len - used, &state);
		int wide_columns = 1;

		if (octets == 0 || octets > len - used)
			octets = 1; /* Invalid here: whatever the terminal shows, it takes room. */
		else
			wide_columns = wcwidth(wide) < 0 ? 1 : wcwidth(wide);
		if (columns + (size_t)wide_columns > width)
			break;
		columns += (size_t)wide_columns;
		used += octets;
	}
	*out_width = columns;
	return used;
}

size_t text_width(const char *text)
{
	size_t width;

	text_prefix(text, SIZE_MAX / 2, &width);
	return width;
}

const char *text_ellipsis(void)
{
	static const char horizontal_ellipsis[] = "\xe2\x80\xa6"; /* U+2026 */
	mbstate_t state = {0};
	wchar_t wide;

	if (mbrtowc(&wide, horizontal_ellipsis, 3, &state) == 3 && wcwidth(wide) == 1)
		return horizontal_ellipsis;
	return "..";
}
