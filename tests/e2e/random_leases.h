/** @file Lease directories full of accidents: few names, addresses and clients, so that they meet;
 *  hostile names, odd files. The same seed gives the same directory. For tests that compare two who
 *  read it. */
#ifndef TESTS_E2E_RANDOM_LEASES_H
#define TESTS_E2E_RANDOM_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANDOM_LEASES_DIR      "/var/lib/libvirt/dnsmasq"
#define RANDOM_LEASES_IPV4_MAX 12u
#define RANDOM_LEASES_IPV6_MAX 6u

/** Every name that may occur, as octets, and some that do not. */
extern const char *const random_leases_names[];
extern const size_t random_leases_name_count;

/** Bridges and network names that may occur. */
extern const char *const random_leases_networks[];
extern const size_t random_leases_network_count;

struct random_leases {
	uint64_t state;
	bool sound;    /**< In: every file is one that libvirt would write. */
	bool bad;      /**< Out: some file cannot be read. */
	uint64_t used; /**< Of the file that is being written: addresses or names. */
};

/** A number below `below`. */
unsigned random_leases_below(struct random_leases *random, unsigned below);

/** Enters namespaces of its own where lease directory, configuration and index are empty places in
 *  memory, and the host is called "hypervisor". Fails the process on error. */
void random_leases_enter(void);

/** Empties RANDOM_LEASES_DIR. */
void random_leases_clear(void);

/** Empties RANDOM_LEASES_DIR and fills it. All that it holds looks old: not written a moment ago.
 */
void random_leases_write(struct random_leases *random);

/** Lets a directory, and what is in it, look old. */
void random_leases_age(const char *directory);

/** Writes the configuration file, or removes it. */
void random_leases_configure(struct random_leases *random, const char *path);

/** The addresses: number i below RANDOM_LEASES_IPV4_MAX or _IPV6_MAX, as text. */
void random_leases_ipv4(unsigned i, char out_text[64]);
void random_leases_ipv6(unsigned i, char out_text[64]);

#endif
