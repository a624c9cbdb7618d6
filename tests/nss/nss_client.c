/* Asks glibc, as any program would. Arguments are done in their order:
 *
 *  hosts=SERVICES       what would stand in nsswitch.conf
 *  getaddrinfo=NAME     and -4=NAME, -6=NAME for one family
 *  gethostbyname=NAME   and gethostbyname2-6=NAME
 *  gethostbyaddr=ADDRESS
 *  getnameinfo=ADDRESS
 *  uid=N, nofile=N, memory=OCTETS (beyond what is mapped now), chroot=DIRECTORY, locale=NAME
 *  close                descriptors 0 to 2
 *
 * Each question prints one line: what was found, or the error. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netdb.h>
#include <nss.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OUTPUT_DESCRIPTOR 50
#define ADDRESSES_MAX     4096

static __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
	static char text[65536];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (write(OUTPUT_DESCRIPTOR, text, (size_t)len) != len)
		_exit(3);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void say_addresses(char (*addresses)[INET6_ADDRSTRLEN], size_t count)
{
	qsort(addresses, count, sizeof(*addresses), compare_texts);
	for (size_t i = 0; i < count; i++)
		say("%s%s", i ? " " : "", addresses[i]);
	say("\n");
}

static void ask_getaddrinfo(const char *name, int family)
{
	static char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	size_t count = 0;
	int error = getaddrinfo(name, NULL, &hints, &list);

	if (error) {
		say("EAI %s\n", error == EAI_NONAME   ? "NONAME"
				: error == EAI_NODATA ? "NODATA"
				: error == EAI_AGAIN  ? "AGAIN"
				: error == EAI_FAIL   ? "FAIL"
				: error == EAI_MEMORY ? "MEMORY"
				: error == EAI_SYSTEM ? "SYSTEM"
						      : gai_strerror(error));
		return;
	}
	for (const struct addrinfo *at = list; at && count < ADDRESSES_MAX; at = at->ai_next)
		getnameinfo(at->ai_addr, at->ai_addrlen, addresses[count++], INET6_ADDRSTRLEN, NULL,
			0, NI_NUMERICHOST);
	freeaddrinfo(list);
	say_addresses(addresses, count);
}

static void say_host(const struct hostent *host, int with_names)
{
	static char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	size_t count = 0;

	if (!host) {
		say("h_errno %d\n", h_errno);
		return;
	}
	if (with_names) {
		say("%s", host->h_name);
		for (char **alias = host->h_aliases; *alias; alias++)
			say(" %s", *alias);
		say("\n");
		return;
	}
	for (; host->h_addr_list[count] && count < ADDRESSES_MAX; count++)
		inet_ntop(host->h_addrtype, host->h_addr_list[count], addresses[count],
			INET6_ADDRSTRLEN);
	say_addresses(addresses, count);
}

static socklen_t parse_address(const char *text, struct sockaddr_storage *out_address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)out_address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out_address;

	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		errx(2, "%s", text);
	six->sin6_family = AF_INET6;
	return sizeof(*six);
}

static void ask_gethostbyaddr(const char *text)
{
	struct sockaddr_storage address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;

	if (parse_address(text, &address) == sizeof(*four))
		say_host(gethostbyaddr(&four->sin_addr, 4, AF_INET), 1);
	else
		say_host(gethostbyaddr(&six->sin6_addr, 16, AF_INET6), 1);
}

static void ask_getnameinfo(const char *text)
{
	struct sockaddr_storage address;
	socklen_t len = parse_address(text, &address);
	char name[NI_MAXHOST];
	int error = getnameinfo(
		(const struct sockaddr *)&address, len, name, sizeof(name), NULL, 0, NI_NAMEREQD);

	say("%s\n", error ? "none" : name);
}

static void limit_memory(long more)
{
	struct rlimit limit;
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		err(2, "statm");
	close(fd);
	limit.rlim_cur = limit.rlim_max =
		(rlim_t)(strtol(text, NULL, 10) * sysconf(_SC_PAGESIZE) + more);
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		err(2, "RLIMIT_AS");
}

static void limit_descriptors(long count)
{
	struct rlimit limit = {(rlim_t)count, (rlim_t)count};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(2, "RLIMIT_NOFILE");
}

static void become(long uid)
{
	if (setgid((gid_t)uid) < 0 || setuid((uid_t)uid) < 0)
		err(2, "uid");
}

static void enter(const char *directory)
{
	if (chroot(directory) < 0 || chdir("/") < 0)
		err(2, "%s", directory);
}

/* False if it is none of these. */
static int ask(const char *what, const char *argument)
{
	if (strcmp(what, "getaddrinfo") == 0)
		ask_getaddrinfo(argument, AF_UNSPEC);
	else if (strcmp(what, "getaddrinfo-4") == 0)
		ask_getaddrinfo(argument, AF_INET);
	else if (strcmp(what, "getaddrinfo-6") == 0)
		ask_getaddrinfo(argument, AF_INET6);
	else if (strcmp(what, "gethostbyname") == 0)
		say_host(gethostbyname(argument), 0);
	else if (strcmp(what, "gethostbyname2-6") == 0)
		say_host(gethostbyname2(argument, AF_INET6), 0);
	else if (strcmp(what, "gethostbyaddr") == 0)
		ask_gethostbyaddr(argument);
	else if (strcmp(what, "getnameinfo") == 0)
		ask_getnameinfo(argument);
	else
		return 0;
	return 1;
}

static void act(const char *what, const char *argument)
{
	if (strcmp(what, "hosts") == 0) {
		if (__nss_configure_lookup("hosts", argument) != 0)
			errx(2, "hosts=%s", argument);
	} else if (strcmp(what, "uid") == 0) {
		become(strtol(argument, NULL, 10));
	} else if (strcmp(what, "nofile") == 0) {
		limit_descriptors(strtol(argument, NULL, 10));
	} else if (strcmp(what, "memory") == 0) {
		limit_memory(strtol(argument, NULL, 10));
	} else if (strcmp(what, "chroot") == 0) {
		enter(argument);
	} else if (strcmp(what, "locale") == 0) {
		setlocale(LC_ALL, argument);
	} else if (strcmp(what, "close") == 0) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
	} else if (!ask(what, argument)) {
		errx(2, "what is '%s'?", what);
	}
}

int main(int argc, char **argv)
{
	if (dup3(STDOUT_FILENO, OUTPUT_DESCRIPTOR, O_CLOEXEC) < 0)
		err(2, "standard output");
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals)
			*equals = '\0';
		act(argv[i], equals ? equals + 1 : "");
	}
	return 0;
}
