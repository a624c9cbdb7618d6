# shellcheck shell=bash disable=SC2034
# packages.sh: sourced by run.sh and test.sh: Debian packages that they need, and how to get them.

# What building leasedns needs.
BUILD_PACKAGES=(cmake ninja-build gcc libc6-dev pkg-config
	libuv1-dev libc-ares-dev libldns-dev libjson-c-dev libcdb-dev libinih-dev)

# What packaging it needs as well.
PACKAGE_PACKAGES=(dpkg-dev file gzip rpm)

# What its tests need as well: compilers and judges, then what the end-to-end tests run.
TEST_PACKAGES=(libcmocka-dev clang clang-format shellcheck
	python3 python3-dnspython python3-prometheus-client bind9-dnsutils knot nsd unbound
	libvirt-daemon-system libvirt-clients dnsmasq-base iproute2 iptables nftables
	qemu-system-x86 ipxe-qemu udhcpc isc-dhcp-client strace dbus
	mandoc jq bash-completion zsh fish apparmor tmux python3-rich
	mmdebstrap lintian cpio)

# What the tests unpack, but never install: these would change how the host resolves names.
UNPACKED_PACKAGES=(systemd-resolved libnss-resolve bind9 knot-resolver network-manager nscd)

# packages_missing PACKAGE..: prints those that are not installed.
packages_missing() {
	local package
	for package; do
		# shellcheck disable=SC2016 # dpkg-query expands it
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			echo "$package"
	done
}

# packages_require PACKAGE..: installs what is missing; asks nobody and starts no service.
packages_require() {
	local missing policy='' failed=0
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "${0##*/}: not root, so first install: ${missing[*]}" >&2
		return 1
	fi
	echo "${0##*/}: installing ${missing[*]}" >&2
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		# Debian's policy (README.policy-rc.d.gz of init-system-helpers): 101 forbids to start.
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	packages_install "${missing[@]}" || failed=1
	rm -f ${policy:+"$policy"}
	return "$failed"
}

# Shows what apt said only if it failed.
packages_install() {
	local log options=(-o DPkg::Lock::Timeout=300) failed=0
	log=$(mktemp)
	{
		apt-get "${options[@]}" -qq update &&
			DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" -qq -y \
				--no-install-recommends install "$@" </dev/null
	} >"$log" 2>&1 || failed=1
	[ "$failed" = 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$failed"
}
