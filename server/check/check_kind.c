#include "server/check/check_kind.h"

#define NOTE    CHECK_NOTE, false
#define WARNING CHECK_WARNING, false
#define ERROR   CHECK_ERROR, false
/* In the way: an error if no other way is left. */
#define UNUSED CHECK_NOTE, true
#define CLOSED CHECK_WARNING, true

const struct check_kind check_kinds[CHECK_ID_COUNT] = {
	[CHECK_LEASES_MISSING] = {"leases-missing", "leases", ERROR,
		"the leases are where names come from: there are none to answer"},
	[CHECK_LEASES_UNREADABLE] = {"leases-unreadable", "leases", ERROR,
		"names that cannot be read cannot be answered"},
	[CHECK_LEASES_UNREADABLE_FOR_DAEMON] = {"leases-unreadable-for-daemon", "leases", CLOSED,
		"the daemon gives up root, and then does not see the leases: DNS knows no names"},
	[CHECK_LEASES_HIDDEN_FROM_DAEMON] = {"leases-hidden-from-daemon", "leases", CLOSED,
		"the service is locked into an empty root, where that directory is not: DNS knows "
		"no names"},
	[CHECK_LEASES_FOREIGN] = {"leases-foreign", "leases", WARNING,
		"a directory that libvirt does not write to will never have names"},
	[CHECK_LEASES_EMPTY] = {"leases-empty", "leases", NOTE,
		"libvirt makes a network's files when it starts: until then there are no names"},
	[CHECK_LEASES_FILE_BAD] = {"leases-file-bad", "leases", WARNING,
		"the names in that file are missing"},
	[CHECK_LEASES_RECORD_BAD] = {"leases-record-bad", "leases", WARNING,
		"the names of those entries are missing; all others are there"},
	[CHECK_LEASES_ENDED] = {"leases-ended", "leases", NOTE,
		"a name ends with its lease, and comes back when the guest asks for its address "
		"again"},
	[CHECK_LEASES_STALE_NETWORK] = {"leases-stale-network", "leases", WARNING,
		"libvirt leaves the leases of a stopped network behind: those names still resolve, "
		"to addresses that nobody has"},
	[CHECK_INDEX_MISSING] = {"index-missing", "index", NOTE,
		"each lookup through NSS then reads all lease files: right, but slow with many "
		"guests"},
	[CHECK_INDEX_STALE] = {"index-stale", "index", WARNING,
		"NSS modules do not believe it and read all lease files instead; the daemon may "
		"answer from the past"},
	[CHECK_INDEX_OTHER_CONF] = {"index-other-conf", "index", WARNING,
		"the daemon answers what another configuration says"},
	[CHECK_INDEX_UNTRUSTED] = {"index-untrusted", "index", WARNING,
		"who can write to it could pass off any host as another: NSS modules do not "
		"believe it"},
	[CHECK_INDEX_UNUSABLE] = {"index-unusable", "index", WARNING,
		"NSS modules cannot answer from it and read all lease files instead"},
	[CHECK_INDEX_ELSEWHERE] = {"index-elsewhere", "index", WARNING,
		"NSS modules look in one place only, which is compiled in: they never find this "
		"index and read all lease files instead"},
	[CHECK_CONF_ELSEWHERE] = {"conf-elsewhere", "index", WARNING,
		"NSS modules read the default configuration only: DNS and NSS may disagree"},
	[CHECK_FILE_PRIVATE] = {"file-private", "files", WARNING,
		"programs read it as whoever they run as: they then know nothing of it, while root "
		"sees all as it should be"},
	[CHECK_DAEMON_NOT_RUNNING] = {"daemon-not-running", "daemon", CLOSED,
		"DNS has no answers, and nobody keeps the index up to date"},
	[CHECK_DAEMON_SILENT] = {"daemon-silent", "daemon", CLOSED,
		"DNS has no answers while the daemon hangs, or something drops them on their way"},
	[CHECK_DAEMON_OTHER_ZONE] = {"daemon-other-zone", "daemon", CLOSED,
		"the daemon runs with another configuration than this one, or was not told to read "
		"it again"},
	[CHECK_DAEMON_INDEX_DIFFERS] = {"daemon-index-differs", "daemon", WARNING,
		"DNS and NSS answer from different states"},
	[CHECK_DAEMON_LISTEN_IGNORED] = {"daemon-listen-ignored", "daemon", WARNING,
		"who asks there gets no answer: the sockets that the daemon was started with count "
		"until it is started anew, and those of leasedns.socket always"},
	[CHECK_DAEMON_ONE_TRANSPORT] = {"daemon-one-transport", "daemon", WARNING,
		"nearly all questions come by UDP, and those with long answers again by TCP"},
	[CHECK_DAEMON_ELSEWHERE] = {"daemon-elsewhere", "daemon", NOTE,
		"leasedns.socket says where it listens, [server] listen does not; but the address "
		"of 'leasedns', the zone's own name server, is what stands there"},
	[CHECK_DAEMON_PORT] = {"daemon-port", "daemon", NOTE,
		"resolv.conf cannot name a port: only resolvers that can may ask the daemon there"},
	[CHECK_PORT_TAKEN] = {"port-taken", "daemon", CLOSED,
		"the daemon cannot serve an address and port that another program has"},
	[CHECK_NSSWITCH_UNREADABLE] = {"nsswitch-unreadable", "nsswitch", WARNING,
		"programs may ask for hosts in another way than is assumed here"},
	[CHECK_NSSWITCH_SYNTAX] = {"nsswitch-syntax", "nsswitch", ERROR,
		"glibc throws the whole file away and finds nothing any more: no host, no user"},
	[CHECK_NSSWITCH_UNENDED] = {"nsswitch-unended", "nsswitch", WARNING,
		"a line above it counts, or glibc's default: 'files' and 'dns' only"},
	[CHECK_NSSWITCH_ODD_NAME] = {"nsswitch-odd-name", "nsswitch", WARNING,
		"each word is taken for one, also behind a '#', and passed over if there is none: "
		"what was meant is not asked"},
	[CHECK_NSSWITCH_LACKS_US] = {"nsswitch-lacks-us", "nsswitch", UNUSED,
		"programs that ask glibc for hosts (ssh, ping, ...) are not led to guests without "
		"DNS"},
	[CHECK_NSSWITCH_HIDES_US] = {"nsswitch-hides-us", "nsswitch", CLOSED,
		"programs that ask glibc for hosts (ssh, ping, ...) never get to the names of "
		"guests"},
	[CHECK_NSSWITCH_AFTER_DNS] = {"nsswitch-after-dns", "nsswitch", WARNING,
		"each lookup of a guest first goes to the network: slow, told to others, and a "
		"host of that name there wins"},
	[CHECK_NSSWITCH_ENDS_SEARCH] = {"nsswitch-ends-search", "nsswitch", WARNING,
		"names that are no guest's are not looked for any further"},
	[CHECK_MODULE_MISSING] = {"module-missing", "nsswitch", CLOSED,
		"glibc passes over a module that it cannot load, and says nothing"},
	[CHECK_MODULE_NOT_OURS] = {"module-not-ours", "nsswitch", NOTE,
		"libvirt's own module has no vm.ZONE, no reverse lookup, and fails with more than "
		"about 30 addresses"},
	[CHECK_NSS_FAILS] = {"nss-fails", "nsswitch", ERROR,
		"a name that is known does not arrive in programs"},
	[CHECK_NSCD_CACHES] = {"nscd-caches", "nsswitch", WARNING,
		"nscd keeps 'no such name', which hides a guest that has just started"},
	[CHECK_RESOLVER_NONE] = {"resolver-none", "resolver", UNUSED,
		"without a name server glibc asks 127.0.0.1"},
	[CHECK_RESOLVER_LINE_IGNORED] = {"resolver-line-ignored", "resolver", WARNING,
		"programs that ask glibc do not ask that server; some others do"},
	[CHECK_RESOLVER_SILENT] = {"resolver-silent", "resolver", CLOSED,
		"each lookup of a name that is not found before waits for it in vain"},
	[CHECK_RESOLVER_NOT_US] = {"resolver-not-us", "resolver", UNUSED,
		"programs that ask DNS by themselves (Go, static or containerised ones) do not "
		"find guests"},
	[CHECK_RESOLVED_NO_ROUTE] = {"resolved-no-route", "resolver", UNUSED,
		"systemd-resolved asks its own servers for guests, which do not know them"},
	[CHECK_RESOLVER_DNSSEC] = {"resolver-dnssec", "resolver", CLOSED,
		"the resolver validates: the root zone proves that there is no such domain, so it "
		"takes our answers for forged"},
	[CHECK_RESOLVER_REBIND] = {"resolver-rebind", "resolver", CLOSED,
		"the resolver drops private addresses from answers, against DNS rebinding"},
	[CHECK_RESOLVER_MIXED] = {"resolver-mixed", "resolver", CLOSED,
		"'no such name' from one server is final, no other is asked: guests are found now "
		"and then, or never"},
	[CHECK_RESOLVER_BEYOND_THIRD] = {"resolver-beyond-third", "resolver", NOTE,
		"glibc asks the first three servers only"},
	[CHECK_SEARCH_LACKS_ZONE] = {"search-lacks-zone", "resolver", NOTE,
		"a guest is found by its whole name only ('ssh vm.ZONE'), not by 'ssh vm'"},
	[CHECK_NDOTS_HIGH] = {"ndots-high", "resolver", NOTE,
		"a guest's whole name is first looked for below each search domain: slow, and told "
		"to others"},
	[CHECK_UPSTREAM_NONE] = {"upstream-none", "upstream", WARNING,
		"this host asks leasedns for all names, and leasedns has nobody to ask for those "
		"that are not guests'"},
	[CHECK_UPSTREAM_SILENT] = {"upstream-silent", "upstream", WARNING,
		"names outside our zones wait for a server that does not answer"},
	[CHECK_UPSTREAM_LOOP] = {"upstream-loop", "upstream", WARNING,
		"questions outside our zones go round in a circle: none is answered"},
	[CHECK_ZONE_MDNS] = {"zone-mdns", "zone", CLOSED,
		"'.local' belongs to multicast DNS (RFC 6762): many resolvers never send such "
		"questions to a name server"},
	[CHECK_ZONE_SPECIAL] = {"zone-special", "zone", WARNING,
		"resolvers answer that domain themselves and never ask us for it"},
	[CHECK_ZONE_PUBLIC] = {"zone-public", "zone", WARNING,
		"guests hide the hosts of that domain from this host, and questions that leak go "
		"to its owner"},
	[CHECK_NAME_SHARED] = {"name-shared", "names", WARNING,
		"the name leads to either: clones keep the hostname of what they were cloned from"},
	[CHECK_NAME_HIDDEN] = {"name-hidden", "names", NOTE,
		"no guest may take another's name: libvirt's and static names win"},
	[CHECK_NAME_REFUSED] = {"name-refused", "names", NOTE,
		"a guest chooses its hostname, and could pose as another host: that name is not "
		"published, others of the guest are"},
	[CHECK_NAME_INVALID] = {"name-invalid", "names", WARNING,
		"what cannot be a host's name cannot be looked up"},
	[CHECK_ALIAS_SHARED] = {"alias-shared", "names", WARNING,
		"published for neither; their own names stay"},
	[CHECK_ADDRESS_SHARED] = {"address-shared", "names", WARNING,
		"only one of them can be reached: the other's name leads to the wrong guest"},
	[CHECK_NAME_IN_HOSTS] = {"name-in-hosts", "names", WARNING,
		"'files' comes first: programs get what /etc/hosts says, DNS says what the lease "
		"says"},
	[CHECK_NAME_IN_SEARCH_DOMAIN] = {"name-in-search-domain", "names", WARNING,
		"the short name means the guest here: that host is reached by its whole name only"},
	[CHECK_TRACE_UNKNOWN] = {"trace-unknown", "trace", ERROR,
		"what no lease file has, nobody can answer: as of a guest with a static address, "
		"on a bridge to the outside, or of a session (qemu:///session)"},
	[CHECK_TRACE_REFUSED] = {"trace-refused", "trace", ERROR,
		"a guest chooses its hostname, and could pose as another host: that name is not "
		"published, others of the guest are"},
	[CHECK_TRACE_ENDED] = {"trace-ended", "trace", ERROR,
		"a name ends with its lease, and comes back when the guest asks for its address "
		"again"},
	[CHECK_TRACE_NO_ADDRESS] = {"trace-no-address", "trace", ERROR,
		"libvirt knows the guest, but DHCP gave it no address: it is off, starts up, has a "
		"static address, or is on a bridge to the outside"},
	[CHECK_TRACE_STOPS_INDEX] = {"trace-stops-index", "trace", WARNING,
		"the lease files have it: the index is older, or from another configuration"},
	[CHECK_TRACE_STOPS_DAEMON] = {"trace-stops-daemon", "trace", CLOSED,
		"DNS does not have what the lease files have"},
	[CHECK_TRACE_STOPS_RESOLVER] = {"trace-stops-resolver", "trace", CLOSED,
		"the daemon would answer, but this host's resolver does not pass it on"},
	[CHECK_TRACE_STOPS_NSS] = {"trace-stops-nss", "trace", ERROR,
		"programs that ask glibc (ssh, ping, ...) do not get the address"},
	[CHECK_NOT_SEEN] = {"not-seen", "check", NOTE, "something may be wrong there"},
};

const char *check_severity_word(enum check_severity severity)
{
	switch (severity) {
	case CHECK_NOTE:
		return "note";
	case CHECK_WARNING:
		return "warning";
	case CHECK_ERROR:
		break;
	}
	return "error";
}
