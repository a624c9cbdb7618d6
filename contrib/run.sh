#!/bin/bash
# run.sh: build leasedns and serve the names of this host's virtual machines, in the foreground.
#
#   contrib/run.sh                build, then serve what libvirt has leased on this host, or sample
#                                 leases where there is no libvirt
#   contrib/run.sh --sample       serve the sample leases in any case
#   contrib/run.sh --nss [COMMAND..]
#                                 show the NSS modules at work, in a mount namespace where
#                                 nsswitch.conf names them; or run COMMAND.. in there, e.g. bash.
#                                 Nothing on the host changes
#   contrib/run.sh -- ARGUMENT..  build, then "leasedns serve ARGUMENT.." with just these
#   contrib/run.sh --help
#
# Works on Debian 12 and later. As root it installs what the build needs if that is not there;
# others must have it installed. Answers on 127.0.0.56 port 53, or port 5356 where 53 is taken or
# not allowed. End it with Ctrl-C.
set -eu -o pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/packages.sh
. "$ROOT/contrib/packages.sh"

ADDRESS=127.0.0.56
OTHER_PORT=5356
LIBVIRT_LEASES=/var/lib/libvirt/dnsmasq
BIN=$ROOT/build/release/bin/leasedns

usage() { sed -n '2,/^[^#]/s/^#\( \|$\)//p' "$0"; }

build() {
	packages_require "${BUILD_PACKAGES[@]}"
	(
		cd "$ROOT"
		cmake --preset release -DLEASEDNS_TESTS=OFF
		cmake --build --preset release
	) >&2
}

# may_bind_53: whether this user may take ports below 1024.
may_bind_53() {
	[ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -le 53 ]
}

# port_53_is_taken: whether somebody has port 53 on our address or on all addresses. Reads the
# kernel's tables because ss(8) need not be installed; addresses are little-endian words there, and
# the state is 07 for any UDP socket, 0A for a listening TCP socket.
port_53_is_taken() {
	cat /proc/net/{udp,udp6,tcp,tcp6} 2>/dev/null | awk '
		$4 != "07" && $4 != "0A" { next }
		$2 == "3800007F:0035" || $2 ~ /^0+:0035$/ { taken = 1 }
		END { exit !taken }'
}

# sample_leases DIRECTORY: fills it from the templates: @+SECONDS@ becomes that time from now.
sample_leases() {
	local template now
	now=$(date +%s)
	mkdir -p "$1"
	for template in "$ROOT"/contrib/sample-leases/*.in; do
		awk -v now="$now" '{
			while (match($0, /@\+[0-9]+@/))
				$0 = substr($0, 1, RSTART - 1) \
					sprintf("%d", now + substr($0, RSTART + 2, RLENGTH - 3)) \
					substr($0, RSTART + RLENGTH)
			print
		}' "$template" >"$1/$(basename "$template" .in)"
	done
}

# choose_port: prints the port, and on standard error why it is not 53.
choose_port() {
	if ! may_bind_53; then
		echo "Not root: answering on port $OTHER_PORT instead of 53." >&2
		echo "$OTHER_PORT"
	elif port_53_is_taken; then
		echo "Port 53 of $ADDRESS is taken: answering on port $OTHER_PORT." >&2
		echo "$OTHER_PORT"
	else
		echo 53
	fi
}

# serve ARGUMENT..: runs it as a child, so that the scratch directory can be removed behind it.
serve() {
	local child code=0
	"$BIN" serve "$@" &
	child=$!
	trap 'kill "$child" 2>/dev/null || :' INT TERM HUP
	wait "$child" || code=$?
	while kill -0 "$child" 2>/dev/null; do # wait ended by a signal
		code=0
		wait "$child" || code=$?
	done
	return "$code"
}

say_what_to_try() {
	local name=$1 port=$2 option='' conf=''
	[ "$port" = 53 ] || option="-p $port "
	[ -z "${3:-}" ] || conf=" -c $3"
	cat >&2 <<TEXT

Try in another terminal:
    dig @$ADDRESS ${option}$name
    dig @$ADDRESS ${option}-x ADDRESS
    $BIN list$conf

TEXT
}

# nss_show: asks the modules by getent(1), in the namespace.
nss_show() {
	local names=(web db-server ubuntu22.04 db printer nas installer) name
	if [ "$1" = own ]; then
		mapfile -t names < <("$BIN" list --json | grep -o '"name": *"[^"\\]*"' |
			cut -d'"' -f4 | sort -u | head -n 7)
		[ "${#names[@]}" -gt 0 ] || echo "libvirt has leased nothing on this host." >&2
	fi
	for name in "${names[@]}" no-such-guest; do
		printf '\n$ getent ahosts %s | grep STREAM\n' "$name"
		getent ahosts "$name" | grep STREAM | sed 's/^/    /' || echo "    (no such name)"
	done
	name=$(getent ahosts "${names[0]:-no-such-guest}" | awk 'NR == 1 { print $1 }')
	[ -z "$name" ] || printf '\n$ getent hosts %s\n    %s\n' "$name" "$(getent hosts "$name")"
}

# nss_inside SCRATCH own|sample [COMMAND..]: runs in the namespace.
nss_inside() {
	local scratch=$1 leases=$2
	shift 2
	# Nothing that is mounted here shows outside. Only a chroot's root may be no mount point: then who
	# made it saw to that.
	mount --make-rprivate / 2>/dev/null || :
	mount --bind "$scratch/nsswitch.conf" /etc/nsswitch.conf
	[ "$leases" = own ] || nss_mount_sample "$scratch"
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir /run/leasedns
	export LD_LIBRARY_PATH=$ROOT/build/release/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	if [ $# -gt 0 ]; then
		"$BIN" index >&2 || echo "No index: the modules read the lease files." >&2
		exec "$@"
	fi
	echo "Without an index, from the lease files:"
	nss_show "$leases"
	printf '\nWith an index, as the server keeps it:\n'
	"$BIN" index
	nss_show "$leases"
	printf '\nTo try it yourself: %s --nss bash\n' "$0"
}

nss_mount_sample() {
	if [ -d "${LIBVIRT_LEASES%/*}" ]; then
		mount -t tmpfs tmpfs "${LIBVIRT_LEASES%/*}"
	else
		mount -t tmpfs tmpfs /var/lib
	fi
	mkdir -p "$LIBVIRT_LEASES"
	cp "$1"/leases/* "$LIBVIRT_LEASES/"
}

# nss_main [COMMAND..]
nss_main() {
	local leases=own as=()
	build
	SCRATCH=$(mktemp -d)
	trap 'rm -rf "$SCRATCH"' EXIT
	chmod 755 "$SCRATCH"
	sed 's/^hosts:.*/hosts: files leasedns dns/' /etc/nsswitch.conf >"$SCRATCH/nsswitch.conf"
	if ! compgen -G "$LIBVIRT_LEASES/*.status" >/dev/null; then
		leases=sample
		echo "libvirt has no leases on this host: showing sample leases." >&2
		sample_leases "$SCRATCH/leases"
	fi
	[ "$(id -u)" = 0 ] || as=(--map-root-user)
	unshare "${as[@]}" --mount --propagation unchanged "$0" --nss-inside "$SCRATCH" "$leases" "$@"
}

main() {
	local sample='' port name=VM.libvirt
	case ${1:-} in
	-h | --help)
		usage
		return
		;;
	--)
		shift
		build
		exec "$BIN" serve "$@"
		;;
	--nss)
		shift
		nss_main "$@"
		return
		;;
	--nss-inside) # not for people: the second half of --nss
		shift
		nss_inside "$@"
		return
		;;
	--sample) sample=yes ;;
	'') ;;
	*)
		usage >&2
		return 2
		;;
	esac
	build
	port=$(choose_port)
	[ -d "$LIBVIRT_LEASES" ] || sample=yes
	if [ -z "$sample" ] && [ "$port" = 53 ] && [ "$(id -u)" = 0 ]; then
		say_what_to_try VM.libvirt 53
		exec "$BIN" serve
	fi
	SCRATCH=$(mktemp -d)
	trap 'rm -rf "$SCRATCH"' EXIT
	chmod 755 "$SCRATCH"
	# Where the server writes as the user whom it becomes, if there is one.
	mkdir "$SCRATCH/run"
	chown leasedns: "$SCRATCH/run" 2>/dev/null || :
	{
		printf '[server]\nlisten = %s:%s\n' "$ADDRESS" "$port"
		printf '[index]\nfile = %s/run/index.cdb\n' "$SCRATCH"
		if [ -n "$sample" ]; then
			printf '[leases]\nlibvirt = %s/leases\n' "$SCRATCH"
			printf '[network]\nvirbr0 = default\nvirbr1 = lab\n'
		fi
	} >"$SCRATCH/leasedns.conf"
	if [ -n "$sample" ]; then
		sample_leases "$SCRATCH/leases"
		[ -d "$LIBVIRT_LEASES" ] || echo "No libvirt on this host: serving sample leases." >&2
		name=web.libvirt
	fi
	say_what_to_try "$name" "$port" "$SCRATCH/leasedns.conf"
	serve -c "$SCRATCH/leasedns.conf"
}

main "$@"
