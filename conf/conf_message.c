#include "conf_message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Writes one octet as the message shows it and returns how many characters that takes, at most 4.
 */
static size_t quote_octet(unsigned char octet, char out_text[4])
{
	static const char digits[] = "0123456789ABCDEF";

	if (octet == '\\' || octet == '\'') {
		out_text[0] = '\\';
		out_text[1] = (char)octet;
		return 2;
	}
	if (octet >= 0x20 && octet < 0x7f) {
		out_text[0] = (char)octet;
		return 1;
	}
	out_text[0] = '\\';
	out_text[1] = 'x';
	out_text[2] = digits[octet >> 4];
	out_text[3] = digits[octet & 15];
	return 4;
}

struct conf_quote conf_quote(const char *text, size_t len)
{
	struct conf_quote quote;
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		char shown[4];
		size_t shown_len = quote_octet((unsigned char)text[i], shown);

		if (used + shown_len > CONF_QUOTE_CHARS) {
			memcpy(quote.text + used, "...", 3);
			used += 3;
			break;
		}
		memcpy(quote.text + used, shown, shown_len);
		used += shown_len;
	}
	quote.text[used] = '\0';
	return quote;
}

enum conf_status conf_fail(
	struct conf_error *out_error, enum conf_status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out_error->message, sizeof(out_error->message), format, arguments);
	va_end(arguments);
	return status;
}

enum conf_status conf_refuse(const struct conf_place *place, const char *format, ...)
{
	struct conf_error *error = place->error;
	va_list arguments;
	int used = snprintf(error->message, sizeof(error->message), "[%s] %s: ", place->section,
		conf_quote(place->key, strlen(place->key)).text);

	if (used > 0 && (size_t)used < sizeof(error->message)) {
		va_start(arguments, format);
		vsnprintf(error->message + used, sizeof(error->message) - (size_t)used, format,
			arguments);
		va_end(arguments);
	}
	return CONF_E_VALUE;
}
