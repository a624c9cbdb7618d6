#include "tests/e2e/nss_call.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_OCTETS 16384

static void *find(void *library, const char *service, const char *hook)
{
	char symbol[128];

	snprintf(symbol, sizeof(symbol), "_nss_%s_%s", service, hook);
	return dlsym(library, symbol);
}

void nss_call_load(const char *path, const char *service, struct nss_module_hooks *out_hooks)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		errx(1, "%s", dlerror());
	*(void **)&out_hooks->by_name4 = find(library, service, "gethostbyname4_r");
	*(void **)&out_hooks->by_name3 = find(library, service, "gethostbyname3_r");
	*(void **)&out_hooks->by_address = find(library, service, "gethostbyaddr2_r");
	if (!out_hooks->by_name4 || !out_hooks->by_name3)
		errx(1, "%s: hooks are missing", path);
}

static const char *word_of(enum nss_status status, int error, int h_error)
{
	switch (status) {
	case NSS_STATUS_NOTFOUND:
		return h_error == NO_DATA ? "NODATA" : "NXDOMAIN";
	case NSS_STATUS_UNAVAIL:
		return h_error == NO_DATA ? "UNAVAIL-NODATA" : "UNAVAIL";
	case NSS_STATUS_TRYAGAIN:
		return error == ERANGE ? "SMALL" : "TRYAGAIN";
	case NSS_STATUS_SUCCESS:
	case NSS_STATUS_RETURN:
		break;
	}
	return "ODD";
}

static void append(struct nss_said *said, const char *word)
{
	const size_t len = strlen(said->text);

	snprintf(said->text + len, sizeof(said->text) - len, "%s%s", len ? " " : "", word);
}

static void append_address(struct nss_said *said, int af, const void *octets)
{
	char word[INET6_ADDRSTRLEN];

	inet_ntop(af, octets, word, sizeof(word));
	append(said, word);
}

void nss_call_name_in(const struct nss_module_hooks *hooks, const char *name, size_t buffer_octets,
	struct nss_said *out_said)
{
	_Alignas(16) char buffer[BUFFER_OCTETS];
	struct gaih_addrtuple *tuples = NULL;
	int error = 0;
	int h_error = 0;
	enum nss_status status;

	out_said->text[0] = '\0';
	out_said->ttl_s = 0;
	status = hooks->by_name4(
		name, &tuples, buffer, buffer_octets, &error, &h_error, &out_said->ttl_s);

	if (status != NSS_STATUS_SUCCESS)
		append(out_said, word_of(status, error, h_error));
	else
		for (; tuples; tuples = tuples->next)
			append_address(out_said, tuples->family, tuples->addr);
}

static void call_name3(
	const struct nss_module_hooks *hooks, const char *name, int af, struct nss_said *said)
{
	_Alignas(16) char buffer[BUFFER_OCTETS];
	struct hostent host;
	char *canonical;
	int error = 0;
	int h_error = 0;
	enum nss_status status;

	said->text[0] = '\0';
	said->ttl_s = 0;
	status = hooks->by_name3(name, af, &host, buffer, sizeof(buffer), &error, &h_error,
		&said->ttl_s, &canonical);

	if (status != NSS_STATUS_SUCCESS)
		append(said, word_of(status, error, h_error));
	else
		for (char **address = host.h_addr_list; *address; address++)
			append_address(said, host.h_addrtype, *address);
}

void nss_call_name(
	const struct nss_module_hooks *hooks, const char *name, int af, struct nss_said *out_said)
{
	if (af == AF_UNSPEC)
		nss_call_name_in(hooks, name, BUFFER_OCTETS, out_said);
	else
		call_name3(hooks, name, af, out_said);
}

void nss_call_address(
	const struct nss_module_hooks *hooks, const char *text, struct nss_said *out_said)
{
	_Alignas(16) char buffer[BUFFER_OCTETS];
	const int af = strchr(text, ':') ? AF_INET6 : AF_INET;
	uint8_t octets[16];
	struct hostent host;
	int error = 0;
	int h_error = 0;
	enum nss_status status;

	out_said->text[0] = '\0';
	out_said->ttl_s = 0;
	if (inet_pton(af, text, octets) != 1)
		errx(1, "%s is no address", text);
	status = hooks->by_address(octets, af == AF_INET ? 4 : 16, af, &host, buffer,
		sizeof(buffer), &error, &h_error, &out_said->ttl_s);
	if (status != NSS_STATUS_SUCCESS) {
		append(out_said, word_of(status, error, h_error));
		return;
	}
	append(out_said, host.h_name);
	for (char **alias = host.h_aliases; *alias; alias++)
		append(out_said, *alias);
}
