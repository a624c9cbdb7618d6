#!/usr/bin/python3
"""Fetches Debian packages that tests use and that must not be installed, as their maintainer
scripts change /etc/nsswitch.conf or /etc/resolv.conf, or start a server on port 53.

    unpack_packages.py DIRECTORY PACKAGE..

Downloads them with apt-get, with those that they depend on and this host lacks, and unpacks them
into DIRECTORY, in which /bin, /lib and /sbin are merged into /usr. Does nothing if they are there
in the versions that apt would install. Needs apt's package lists.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

#: In the directory: what was unpacked, NAME=VERSION each.
LIST = ".packages"
APT = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"]  # apt's own user may not write here
MERGED = ("bin", "lib", "lib64", "sbin")


def wanted(packages):
    """What apt would install for them, as NAME=VERSION."""
    plan = subprocess.run([*APT, "--simulate", "--no-install-recommends", "install", *packages],
                          capture_output=True, text=True, check=False)
    if plan.returncode != 0:
        raise SystemExit(f"apt-get: {plan.stderr}")
    return ["=".join(found) for found in
            re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", plan.stdout, re.MULTILINE)]


def unpack(package, root):
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar:
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", root], stdin=tar.stdout,
                       check=True)
    if tar.returncode != 0:
        raise SystemExit(f"dpkg-deb cannot unpack {package}")


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    target = pathlib.Path(sys.argv[1]).resolve()
    packages = wanted(sys.argv[2:])
    text = "".join(f"{package}\n" for package in packages)
    if (target / LIST).exists() and (target / LIST).read_text(encoding="ascii") == text:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        scratch = pathlib.Path(name)
        root = scratch / "root"
        for directory in MERGED:
            (root / "usr" / directory).mkdir(parents=True)
            (root / directory).symlink_to(f"usr/{directory}")
        (scratch / "debs").mkdir()
        if packages:
            subprocess.run([*APT, "download", *packages], cwd=scratch / "debs", check=True)
        for package in sorted((scratch / "debs").glob("*.deb")):
            unpack(package, root)
        (root / LIST).write_text(text, encoding="ascii")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(root, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
