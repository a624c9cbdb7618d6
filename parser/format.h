/** @file The table of file formats. A further format is one file and one row.
 *
 *  A parser turns the text of one file into records. It never logs, opens nothing and knows
 *  nothing of DNS. A bad record is counted and skipped; for a bad document the records that the
 *  sink has already seen are void, so a caller parses into a temporary. */
#ifndef PARSER_FORMAT_H
#define PARSER_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "parser_status.h"
#include "record.h"

/** libvirt's own limit for a lease file (VIR_NETWORK_DHCP_LEASE_FILE_SIZE_MAX). */
#define FORMAT_FILE_OCTETS_MAX (32u * 1024 * 1024)
/** Entries of one file, good and bad: a /16 network full of leases. */
#define FORMAT_RECORDS_MAX 65536u

/** Octets of a line: an address and sixty-four names as long as dnsmasq's own buffer for one
 *  (MAXDNAME, 1025). A longer line is a bad record. */
#define FORMAT_LINE_OCTETS_MAX (64u * 1025)

/** What the part of a file's name before the suffix says. */
enum format_stem {
	FORMAT_STEM_BRIDGE,  /**< `virbr0.status` */
	FORMAT_STEM_NETWORK, /**< `default.hostsfile` */
};

/** Why a record was skipped. */
enum format_defect {
	FORMAT_DEFECT_NONE,
	FORMAT_DEFECT_SYNTAX,  /**< Not an entry of that format. */
	FORMAT_DEFECT_ADDRESS, /**< Address missing, malformed, or none of a host. */
	FORMAT_DEFECT_MAC,     /**< MAC address malformed. */
	FORMAT_DEFECT_NAME,    /**< Name missing where there must be one. */
	FORMAT_DEFECT_EXPIRY,  /**< Expiry time is no number or out of range. */
};

/** What a parser noticed; complete also if it failed. */
struct format_report {
	size_t records; /**< Handed to the sink. */
	size_t skipped; /**< Bad records. */
	size_t line;    /**< Where the document breaks, else the first skipped record; 0: none. */
	enum format_defect defect; /**< What is wrong with the first skipped record. */
};

/** The text of a file: whole, or piece by piece for those who may not hold all of it. */
struct format_text {
	struct bytes bytes; /**< What is there now. */
	/** Drops the first `consumed` octets of `bytes` and appends what follows. NULL if `bytes`
	 * is all. False, with `bytes` untouched, if nothing follows or there is no room for more: a
	 *  piece must hold twice FORMAT_LINE_OCTETS_MAX. */
	bool (*more)(struct format_text *text, size_t consumed);
};

struct format {
	const char *name;   /**< For messages: "lease file", "guest file", … */
	const char *suffix; /**< With its dot; a file of this format ends so. */
	enum format_stem stem;
	bool holds_leases; /**< RECORD_LEASE among others: many, where the rest is few. */
	/** Hands all records to `sink`. With pieces, the report has no lines.
	 *  @return as format_parse(). */
	enum parser_status (*parse)(struct format_text *text, record_sink sink, void *ctx,
		struct format_report *out_report);
};

/** Parses a whole text.
 *  @return PARSER_OK (also for 0 octets), PARSER_E_SYNTAX, PARSER_E_LIMIT or
 *  PARSER_E_NO_MEMORY. */
enum parser_status format_parse(const struct format *format, struct bytes text, record_sink sink,
	void *ctx, struct format_report *out_report);

/** The format of a file called `file_name` (no directory), or NULL if it is none of ours:
 *  `*.new`, hidden files, an empty stem, unknown suffixes. */
const struct format *format_find(const char *file_name);

/** The part of `file_name` before the format's suffix. */
struct bytes format_stem_of(const struct format *format, const char *file_name);

/** A short phrase for messages, e.g. "bad MAC address". Never NULL. */
const char *format_defect_text(enum format_defect defect);

/** libvirt's `<bridge>.status`: JSON, leases. */
extern const struct format format_libvirt_status;
/** libvirt's `<bridge>.macs`: JSON, guests. */
extern const struct format format_libvirt_macs;
/** libvirt's `<network>.hostsfile`: dnsmasq's --dhcp-hostsfile, reservations. */
extern const struct format format_libvirt_hostsfile;
/** libvirt's `<network>.addnhosts`: hosts(5), static names. */
extern const struct format format_libvirt_addnhosts;

#endif
