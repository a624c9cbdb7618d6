#!/bin/bash
# test.sh: install what the tests need, build leasedns in three ways and run all tests.
#
#   contrib/test.sh [--nightly] [CTEST ARGUMENT..]
#
# --nightly also runs the tests that are too slow for every day. CTEST ARGUMENTs go to the last run,
# which is of everything, e.g. -R e2e.
#
# As root on Debian 12 (on 13, nss_parity, packages and systemd_bookworm fail: they compare with 12's
# libvirt and rpm, and install on 12 what was built): the end-to-end tests make network namespaces
# and start libvirtd in them. On the host itself it only installs packages, without starting a
# service; all else stays in build/. Fails at the first phase that fails; ends with the summary of
# the last run.
set -eu -o pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/packages.sh
. "$ROOT/contrib/packages.sh"
JOBS=$(nproc)
# The tree is formatted by this version; others set some lines otherwise.
CLANG_FORMAT_VERSION=14

usage() { sed -n '2,/^[^#]/s/^#\( \|$\)//p' "$0"; }
phase() { printf '\n== %s (%s s)\n' "$*" "$SECONDS" >&2; }

shell_scripts() {
	grep -rlE '^#!/bin/(ba)?sh' contrib tests .ci
	echo contrib/packages.sh
	echo contrib/completion/leasedns.bash
}

check_style() {
	local scripts
	mapfile -t scripts < <(shell_scripts)
	shellcheck -x "${scripts[@]}"
	shellcheck -s dash tests/e2e/guest-init
	if clang-format --version | grep -q "version $CLANG_FORMAT_VERSION\\."; then
		find . -path ./build -prune -o -name '*.[ch]' -print0 |
			xargs -0 clang-format --dry-run -Werror
	else
		echo "Formatting is judged by clang-format $CLANG_FORMAT_VERSION alone, not by the $(
			clang-format --version) that is installed." >&2
	fi
}

# build PRESET [CMAKE OPTION..]
build() {
	local preset=$1
	shift
	cmake --preset "$preset" "$@" >/dev/null
	cmake --build --preset "$preset" -j "$JOBS"
}

# Clang's warnings are others than GCC's. Nothing is run here.
build_with_clang() {
	CC=clang cmake --preset dev -B build/clang >/dev/null
	cmake --build build/clang -j "$JOBS" -- -k 0 # to the end: all warnings at once
}

main() {
	local slow=(-LE nightly)
	case ${1:-} in
	-h | --help)
		usage
		return
		;;
	--nightly)
		shift
		slow=()
		;;
	esac
	if [ "$(id -u)" != 0 ]; then
		echo "test.sh: must be root (as anybody else: ctest --preset dev -LE e2e)" >&2
		return 1
	fi
	phase "packages"
	packages_require "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	cd "$ROOT"
	phase "guest image"
	tests/e2e/make_guest_image.py build/guest
	phase "packages that are not installed"
	tests/e2e/unpack_packages.py build/libvirt-nss libnss-libvirt
	tests/e2e/unpack_packages.py build/packages "${UNPACKED_PACKAGES[@]}"
	phase "style"
	check_style
	phase "clang's warnings"
	build_with_clang
	phase "unit tests with AddressSanitizer and UBSan"
	build asan
	ctest --preset asan -j "$JOBS" -L unit "${slow[@]}"
	phase "all tests"
	build ci
	ctest --preset ci -j "$JOBS" "${slow[@]}" "$@"
}

main "$@"
