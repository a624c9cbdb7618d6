/* Any octets as a configuration file: they are refused with a line and a message, or what they
 * mean can be printed and reads back as what prints the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/conf_parse.h"

struct text {
	char *ptr;
	size_t len;
};

static void text_take(void *ctx, const char *text, size_t len)
{
	struct text *all = ctx;

	all->ptr = realloc(all->ptr, all->len + len);
	if (!all->ptr)
		abort();
	memcpy(all->ptr + all->len, text, len);
	all->len += len;
}

/* Parses what must be good and prints it. */
static struct text print_again(const struct text *text)
{
	struct text again = {NULL, 0};
	struct conf_error error = {0, ""};
	struct conf conf;

	if (conf_init_defaults(&conf) != CONF_OK ||
		conf_parse(text->ptr, text->len, &conf, &error) != CONF_OK)
		abort();
	conf_print(&conf, text_take, &again);
	conf_done(&conf);
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error error = {0, ""};
	struct conf conf;

	if (conf_init_defaults(&conf) != CONF_OK)
		abort();
	if (conf_parse((const char *)data, size, &conf, &error) == CONF_OK) {
		struct text printed = {NULL, 0};
		struct text again;

		conf_print(&conf, text_take, &printed);
		again = print_again(&printed);
		if (printed.len != again.len || memcmp(printed.ptr, again.ptr, again.len) != 0)
			abort();
		free(printed.ptr);
		free(again.ptr);
	} else if (error.line == 0 || error.message[0] == '\0') {
		abort();
	}
	conf_done(&conf);
	return 0;
}
