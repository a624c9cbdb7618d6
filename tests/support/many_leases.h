/** @file Lease directories of any size, for benchmarks and load tests. */
#ifndef TESTS_SUPPORT_MANY_LEASES_H
#define TESTS_SUPPORT_MANY_LEASES_H

#include <stddef.h>
#include <stdint.h>

/** Writes `count` leases, as libvirt would, to `virbr0.status`, `virbr1.status`, … of at most
 *  60,000 each. Lease i is `vm-i` at 10.(i / 65536).(i / 256 % 256).(i % 256). */
void many_leases_write(const char *directory, size_t count, int64_t expires_unix_s);

#endif
