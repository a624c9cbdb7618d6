/** @file The lease files that tests of answers share: two networks with what can go in them. */
#ifndef TESTS_SERVER_WORLD_H
#define TESTS_SERVER_WORLD_H

#include "tests/server/asking.h"

#define WORLD_LEASE(address, mac, name, expires)                                      \
	"{\"ip-address\":\"" address "\",\"mac-address\":\"52:54:00:00:00:" mac "\"," \
	"\"hostname\":\"" name "\",\"expiry-time\":" expires "}"

/* One second before ASKING_NOW, that second, and later ones. */
#define WORLD_DEAD  "1799999999"
#define WORLD_LAST  "1800000000"
#define WORLD_3S    "1800000003"
#define WORLD_100S  "1800000100"
#define WORLD_NEVER "0"

static const char *const world_files[][2] = {
	{"virbr0.status",
		"[" WORLD_LEASE("192.168.122.10", "10", "Host-One", WORLD_100S) "," WORLD_LEASE(
			"192.168.122.20", "20", "two", WORLD_3S) "," WORLD_LEASE("192.168.122.21",
			"21", "two", WORLD_NEVER) "," WORLD_LEASE("fd00:122::20", "20", "two",
			WORLD_100S) "," WORLD_LEASE("192.168.122.30", "30", "last",
			WORLD_LAST) "," WORLD_LEASE("192.168.122.40", "40", "dead",
			WORLD_DEAD) "," WORLD_LEASE("192.168.122.50", "50", "ubuntu",
			WORLD_NEVER) "," WORLD_LEASE("fd00:122::60", "60", "six",
			WORLD_NEVER) "," WORLD_LEASE("192.168.122.70", "70", "wpad",
			WORLD_NEVER) "," WORLD_LEASE("192.168.122.80", "80", "both",
			WORLD_NEVER) "]"},
	{"virbr0.macs", "[{\"domain\":\"vm1\",\"macs\":[\"52:54:00:00:00:10\"]},"
			"{\"domain\":\"ghost\",\"macs\":[\"52:54:00:00:00:99\"]},"
			"{\"domain\":\"ubuntu22.04\",\"macs\":[\"52:54:00:00:00:50\"]},"
			"{\"domain\":\"DB Server\",\"macs\":[\"52:54:00:00:00:80\"]}]"},
	{"virbr1.status", "[" WORLD_LEASE("10.1.2.3", "a0", "both", WORLD_NEVER) "]"},
	{"virbr1.macs", "[{\"domain\":\"both\",\"macs\":[\"52:54:00:00:00:a0\"]}]"},
	{"default.addnhosts", "192.168.122.5\tprinter\n"},
};

static inline int world_open(void **state)
{
	*state = asking_open(world_files, sizeof(world_files) / sizeof(world_files[0]), NULL);
	return 0;
}

static inline int world_close(void **state)
{
	asking_close(*state);
	return 0;
}

#endif
