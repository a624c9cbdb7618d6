#!/usr/bin/python3
"""Fetches libvirt's own NSS modules, to compare ours with them.

    unpack_libvirt_nss.py DIRECTORY

Downloads Debian's package libnss-libvirt with apt-get (23 kB) and unpacks its modules into
DIRECTORY. It is never installed: its maintainer scripts change /etc/nsswitch.conf. Does nothing if
they are there. Needs apt's package lists.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PACKAGE = "libnss-libvirt"
MODULES = ("libnss_libvirt.so.2", "libnss_libvirt_guest.so.2")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    target = pathlib.Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    if all((target / module).exists() for module in MODULES):
        return 0
    with tempfile.TemporaryDirectory(dir=target) as name:
        scratch = pathlib.Path(name)
        # apt's own user may not write here; the download is verified all the same.
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE],
                       cwd=scratch, check=True)
        (package,) = scratch.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, scratch / "root"], check=True)
        for module in MODULES:
            (found,) = (scratch / "root").rglob(module)
            fresh = scratch / module
            shutil.copyfile(found, fresh)
            os.rename(fresh, target / module)
    return 0


if __name__ == "__main__":
    sys.exit(main())
