/** @file Why names do not resolve on this host: looks at every part between a lease and a program,
 *  and says what is wrong, why it matters, and what to change.
 *
 *  Each subject has a check_*.c of its own; they run in the order of a table and leave what they
 *  found out for those behind them. Reads files and asks questions; changes nothing. */
#ifndef SERVER_CHECK_CHECK_H
#define SERVER_CHECK_CHECK_H

#include "server/check/check_dns.h"
#include "server/check/check_nss_line.h"
#include "server/check/check_probe.h"
#include "server/check/check_report.h"
#include "server/forward/upstream.h"
#include "server/names/listing.h"
#include "server/names/names_source.h"

struct json_object;

/** Where units of systemd may be. */
#define CHECK_UNIT_DIRECTORIES 4u

/** Where a host keeps what is looked at. Tests have their own. */
struct check_host {
	const char *nsswitch_path;
	const char *resolv_conf_path;
	const char *hosts_path;
	const char *nscd_conf_path;
	const char *nscd_socket;
	const char *interfaces;   /**< A directory with one entry for each. */
	const char *daemon_user;  /**< Whom the daemon becomes, if that user exists. */
	const char *module_index; /**< Where NSS modules look for the index. */
	const char *module_conf;  /**< The configuration that NSS modules read. */
	const char *systemd;      /**< Is there while systemd is the service manager. */
	const char *units[CHECK_UNIT_DIRECTORIES]; /**< Where its units are; NULL ends. */
};

extern const struct check_host check_host_default;

/** An address of the daemon. */
struct check_listen {
	struct conf_endpoint endpoint;
	bool is_activated; /**< A service manager bound it. */
	bool has_udp;      /**< Of a daemon that told. */
	bool has_tcp;
};

/** As many as the configuration may have; of more the first are looked at. */
#define CHECK_LISTEN_MAX 16u

/** Of resolv.conf(5), what is not a server. */
#define CHECK_SEARCH_MAX  6u
#define CHECK_SEARCH_SIZE 256
struct check_search {
	char domains[CHECK_SEARCH_MAX][CHECK_SEARCH_SIZE]; /**< Lower case, no trailing dot. */
	size_t count;
	unsigned ndots;
};

/** Reads `search`, `domain` (the last of both counts) and `options ndots:N`. Pure.
 *  @param text need not end in a NUL. */
void check_search_parse(const char *text, size_t len, struct check_search *out_search);

/** The name servers of this host and what they say of our zone. */
struct check_resolver {
	struct conf_endpoint servers[UPSTREAM_SERVERS_MAX];
	size_t count;
	struct check_search search;
};

/** Names that are asked for to see whether two places say the same. */
#define CHECK_COMPARED_MAX 16u

/** Questions of the first round, all asked at once. Parts of one array. */
struct check_asked {
	struct check_question *all;
	size_t count;
	struct check_question *daemon;   /**< SOA of the zone: one for each of `listen`. */
	struct check_question *compared; /**< Addresses of living names, asked of the daemon. */
	size_t compared_count;
	struct check_question *resolver;  /**< SOA of the zone: one for each name server, … */
	struct check_question *unchecked; /**< …likewise, without validation, … */
	struct check_question *passed; /**< …and the addresses of the sample, if there is one. */
	struct check_question *upstream; /**< SOA of the root: one for each that we forward to. */
	size_t upstream_count;
	struct check_question *outside; /**< SOA of each zone of ours, asked of others. */
	size_t outside_count;
};

/** A living name, to try things with. */
struct check_sample {
	bool is_set;
	char name[HOST_NAME_MAX + 1]; /**< Without zone. */
	struct address address;
};

/** A step of the way of one name through this host. */
struct check_step {
	const char *layer; /**< Static: "lease files", "index", "daemon", "resolver", "NSS". */
	char *name;        /**< As asked for. */
	char *answer;      /**< Addresses, or why there are none. */
	bool is_right;     /**< It says what the lease files say. */
};

#define CHECK_STEPS_MAX 8u

struct check {
	const struct check_host *host;
	const struct snapshot_conf *conf;
	const char *wanted; /**< The name to follow, or NULL. */
	int64_t now_unix_s;
	struct check_report report;

	/* Leases. */
	struct store *store;
	bool leases_unseen; /**< This user may not read them all. */
	bool has_names;     /**< `names` and `listing` are set. */
	struct names_source names;
	struct listing listing; /**< Living names. */
	size_t network_count;
	size_t lease_count; /**< Alive. */
	size_t ended_count;

	/** Where the daemon answers; of one that does not tell, where it is to: never empty. */
	struct check_listen listen[CHECK_LISTEN_MAX];
	size_t listen_count;
	bool listen_is_told; /**< By the daemon. */
	bool is_activated;   /**< A service manager binds its sockets: they count. */

	struct check_sample sample;   /**< Of any kind. */
	struct check_sample hostname; /**< That a guest gave to DHCP. */
	struct check_sample guest;    /**< That libvirt gave. */
	struct check_resolver resolver;
	struct check_asked asked;
	struct check_nss_line line;
	struct check_module modules[CHECK_NSS_SERVICES_MAX]; /**< Of the services of `line`. */
	bool daemon_answers;
	bool dns_leads_here; /**< The first name server that answers knows our zone. */
	bool names_resolve;  /**< Some way is open from a program to a name. */

	struct check_step steps[CHECK_STEPS_MAX];
	size_t step_count;
};

/** Looks at everything. Blocking; takes some seconds if servers are silent.
 *  @param wanted a name to follow, or NULL; borrowed like all else.
 *  @param out_check check_done() when done with it. */
void check_run(const struct check_host *host, const struct snapshot_conf *conf, const char *wanted,
	int64_t now_unix_s, struct check *out_check);
void check_done(struct check *check);

/** What only root could see, for the reader to judge. */
void check_unseen(struct check *check, const char *what);

/** The canonical zone. */
const char *check_zone(const struct check *check);

/** Reads a file that must be regular, whole.
 *  @param out_text the caller's to free.
 *  @return 0 or errno. */
int check_read(const char *path, char **out_text, size_t *out_len);

/** Asks the running daemon for its statistics, over its control socket.
 *  @return the caller's to put; NULL: none runs, or it does not say. */
struct json_object *check_ask_control(const struct check *check);

/** A text in an object of those; "" if there is none. */
const char *check_json_text(struct json_object *object, const char *key);

/** Adds to the last finding how the daemon gets this address from systemd instead of others. */
void check_mend_socket(struct check *check, const struct conf_endpoint *endpoint);

/** Where that address is asked: a wildcard at the loopback address of its family. */
struct conf_endpoint check_reachable(const struct conf_endpoint *listen);

/** Where other programs of this host ask the daemon. */
struct conf_endpoint check_our_address(const struct check *check);

/** True if the endpoint is one that the daemon listens on. */
bool check_is_us(const struct check *check, const struct conf_endpoint *server);

/** Position of one of our modules in nsswitch.conf that can be loaded; the count if there is none.
 */
size_t check_module_in_use(const struct check *check);

/* One file each. */
void check_leases(struct check *check);
void check_clones(struct check *check);
void check_names(struct check *check);
void check_names_add_event(struct check *check, const struct index_event *event);
void check_index(struct check *check);
void check_files(struct check *check);
void check_listen(struct check *check);
void check_ask(struct check *check);
void check_resolv_lines(struct check *check);
void check_daemon(struct check *check);
void check_resolv(struct check *check);
void check_nsswitch(struct check *check);
void check_upstream(struct check *check);
void check_zones(struct check *check);
void check_trace(struct check *check);

/** For people. @param colour, width of the terminal; 0: lines are not broken.
 *  @return the caller's to free; NULL if memory is short. */
char *check_print(const struct check *check, size_t width, bool colour);

/** For programs. As check_print(). */
char *check_json(const struct check *check);

/** The last line: do names resolve? In a buffer that the caller owns. */
#define CHECK_VERDICT_SIZE 512
void check_verdict(const struct check *check, char out_text[CHECK_VERDICT_SIZE]);

#endif
