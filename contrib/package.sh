#!/bin/bash
# package.sh: build the packages: two .deb and two .rpm, into build/package/.
#
#   contrib/package.sh [deb|rpm]..
#
# Works on Debian 12 and later. As root it installs what it needs if that is not there. The same
# sources, compiler and libraries give the same bytes, wherever and whenever. A .deb fits the release
# of Debian that it was built on. So do the libraries that an .rpm asks for: to install one on Fedora,
# build it there (DESTDIR and dependencies are CPack's; only packages.sh speaks to apt).
#
# Environment: BUILD, where to build (build/package).
set -eu -o pipefail
umask 022

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/packages.sh
. "$ROOT/contrib/packages.sh"
BUILD=${BUILD:-$ROOT/build/package}

usage() { sed -n '2,/^[^#]/s/^#\( \|$\)//p' "$0"; }

# The time of the newest entry in the changelog stands for all times.
source_date() {
	dpkg-parsechangelog -l "$ROOT/contrib/packaging/debian/changelog" -S Timestamp
}

# package KIND [CMAKE OPTION..]. Both kinds are made from one build: only places differ.
package() {
	local kind=$1 tree=$BUILD/tree
	shift
	cmake -S "$ROOT" -B "$tree" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DCMAKE_INSTALL_PREFIX=/usr -DLEASEDNS_TESTS=OFF -DLEASEDNS_PACKAGING="${kind^^}" "$@"
	cmake --build "$tree"
	rm -rf "$tree/packages"
	cpack --config "$tree/CPackConfig.cmake" -B "$tree/packages"
	mv "$tree/packages"/*."$kind" "$BUILD/"
}

main() {
	local kinds=("$@") kind
	[ $# -gt 0 ] || kinds=(deb rpm)
	for kind in "${kinds[@]}"; do
		case $kind in
		deb | rpm) ;;
		-h | --help)
			usage
			return
			;;
		*)
			usage >&2
			return 2
			;;
		esac
	done
	packages_require "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}"
	SOURCE_DATE_EPOCH=$(source_date)
	export SOURCE_DATE_EPOCH
	mkdir -p "$BUILD"
	rm -f "$BUILD"/*.deb "$BUILD"/*.rpm
	for kind in "${kinds[@]}"; do
		case $kind in
		deb) package deb -UCMAKE_INSTALL_LIBDIR >&2 ;;
		rpm) package rpm -DCMAKE_INSTALL_LIBDIR=lib64 >&2 ;;
		esac
	done
	for kind in "${kinds[@]}"; do
		ls "$BUILD"/*."$kind"
	done
}

main "$@"
