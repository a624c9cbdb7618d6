"""Trees of Debian releases, made once by mmdebstrap from the mirror that this machine's apt uses."""

import fcntl
import os
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(__file__).resolve().parents[3] / "build"
#: What a booted tree needs, and what our packages depend on, in each release.
PACKAGES = {
    "bookworm": ("libc-ares2", "libuv1", "libldns3", "libjson-c5"),
    "trixie": ("libcares2", "libuv1t64", "libldns3t64", "libjson-c5"),
    "sid": (),
}
COMMON = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "libcdb1", "libinih1")


def mirror():
    """Where apt gets this machine's Debian from. It is nowhere written down but there."""
    release = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release", encoding="utf-8")
                   if "=" in line)["VERSION_CODENAME"].strip('"')
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"],
        check=True, capture_output=True, text=True).stdout.splitlines()
    for line in found:
        name, _, uri = line.partition(" ")
        if name == release and uri.rstrip("/").endswith("debian"):
            return uri
    raise AssertionError("apt's sources name no mirror of Debian")


def _path(suite, more):
    return BUILD / "-".join(("tree", suite, *more))


def made(suite, *more):
    """The tree of a release, if it was made."""
    tree = _path(suite, more)
    if not tree.exists():
        raise AssertionError(
            f"no {tree}; in tests/e2e: python3 -m harness.tree {' '.join((suite, *more))}")
    return tree


def make(suite, *more):
    """Makes the tree of a release, below build/, with more packages if they are named. Outside of
    any sandbox, because it needs the network; the first time it takes a minute."""
    tree = _path(suite, more)
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f"{tree.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            fresh = BUILD / f"{tree.name}.new"
            subprocess.run(["rm", "-rf", fresh], check=True)
            packages = ",".join(COMMON + PACKAGES[suite] + more)
            # A mirror's copy of sid may be past its date; its signatures are checked all the same.
            done = subprocess.run(
                ["mmdebstrap", "--variant=minbase", f"--include={packages}",
                 '--aptopt=Acquire::Check-Valid-Until "false"', suite, fresh, mirror()],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(f"mmdebstrap {suite}:\n{done.stderr}")
            os.rename(fresh, tree)


if __name__ == "__main__":
    make(*sys.argv[1:])
