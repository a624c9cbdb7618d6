/** @file What scan.c, which knows what bears on a question, and scan_files.c, which reads and
 * keeps, share. */
#ifndef NSS_SCAN_INTERNAL_H
#define NSS_SCAN_INTERNAL_H

#include "nss/piece.h"
#include "nss/scan.h"

/** Names of one address, and so of the machines that have it. */
#define SCAN_NAMES_MAX 64u
/** MAC addresses and DUIDs that bear on one question. */
#define SCAN_CLIENTS_MAX 256u

struct scan_kept;

struct scan {
	struct store_directory *directories;
	size_t directory_count;
	struct scan_report report;
	struct scan_kept *kept; /**< All that lives as long as the scan. */
	size_t kept_count;
	struct bytes names[SCAN_NAMES_MAX]; /**< Lower case; views of what was kept or asked. */
	size_t name_count;
	struct bytes clients[SCAN_CLIENTS_MAX]; /**< MAC or DUID octets; views likewise. */
	size_t client_count;
	struct address address; /**< Of a question for an address; else ADDRESS_NONE. */
	struct piece_reader *reader;
};

/** Decides whether a record is kept. */
typedef bool (*scan_wants)(const struct scan *scan, const struct record *record);

typedef enum parser_status (*scan_visit)(struct scan *scan, const struct record *record);

/** Octets that live as long as the scan. NULL if memory is short. */
uint8_t *scan_room(struct scan *scan, size_t len);

/** Reads all files that hold leases, or all others, and keeps what is wanted. A bad file costs that
 *  file, and is told in the report.
 *  @return PARSER_OK, PARSER_E_NO_MEMORY or PARSER_E_LIMIT. */
enum parser_status scan_read(struct scan *scan, bool leases, scan_wants wants);

/** Shows all records that were kept so far. @return PARSER_OK, or what `visit` said otherwise. */
enum parser_status scan_each(struct scan *scan, scan_visit visit);

/** Forgets the records, not the room that they take. */
void scan_drop_records(struct scan *scan);

#endif
