#!/usr/bin/python3
"""What a lookup with a fresh index asks of the kernel: it opens the index and nothing else, and
looks at each source without opening it."""

import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

from harness import leasedns, nss, sandbox
from harness.process import run

LEASES = pathlib.Path("/var/lib/libvirt/dnsmasq")
INDEX = "/run/leasedns/index.cdb"
STATUS = """[ {"ip-address": "192.168.122.7", "mac-address": "52:54:00:00:00:01",
  "hostname": "box", "expiry-time": 0} ]"""
GUESTS = """[ {"domain": "guest", "macs": ["52:54:00:00:00:01"]} ]"""

#: The second question is traced: by then glibc has loaded and read all that it keeps. The odd
#: getpriority() calls mark where it is.
PROGRAM = """\
import ctypes, os, socket, sys
def ask():
    try:
        return socket.getaddrinfo(sys.argv[1], None)
    except socket.gaierror:
        return None
ask()
os.getpriority(os.PRIO_PROCESS, 0)
ask()
os.getpriority(os.PRIO_PROCESS, 0)
"""


def trace(name):
    """The system calls of one lookup, as strace prints them."""
    log = pathlib.Path(sandbox.STATE) / "strace"
    subprocess.run(["strace", "-o", str(log), sys.executable, "-c", PROGRAM, name], check=True,
                   env=nss.environment())
    return log.read_text(encoding="utf-8").split("getpriority(")[1].splitlines()[1:]


def calls(lines, *kinds):
    return [line for line in lines if line.split("(")[0] in kinds]


def path_of(line):
    return re.search(r'"([^"]*)"', line)[1]


class FreshIndex(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nss.set_up()
        nss.use("leasedns")
        LEASES.mkdir()
        os.mkdir(os.path.dirname(INDEX))
        (LEASES / "virbr0.status").write_text(STATUS, encoding="utf-8")
        (LEASES / "virbr0.macs").write_text(GUESTS, encoding="utf-8")
        time.sleep(0.1)  # beyond the tick in which a change could go unseen
        run(leasedns.program(), "index")

    def test_only_the_index_is_opened_and_sources_are_looked_at(self):
        sources = {"/etc/leasedns.conf", str(LEASES), *map(str, LEASES.iterdir())}
        for name in ("box", "guest", "nobody", "box.virbr0.libvirt"):
            with self.subTest(name=name):
                lines = [line for line in trace(name) if not re.search("resolv.conf|nsswitch", line)]
                opened = calls(lines, "open", "openat", "openat2")
                self.assertEqual([path_of(line) for line in opened], [INDEX])
                for flag in ("O_RDONLY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
                    self.assertIn(flag, opened[0])
                looked_at = {path_of(line) for line in
                             calls(lines, "stat", "newfstatat", "statx", "fstatat64")}
                self.assertEqual(looked_at - {""}, sources | {os.path.dirname(INDEX) + "/"})
                known = calls(lines, "openat", "newfstatat", "fstat", "pread64", "close")
                self.assertEqual(lines, [*known], "nothing else is asked for")
                if name == "box":
                    print("\n".join(["", *lines]), file=sys.stderr)
                # open, fstat and close; the directory; the sources; reads, of which three are
                # enough for a name as it stands in the index.
                self.assertLessEqual(len(lines), 3 + 1 + len(sources) + 3)

    def test_stale_index_is_followed_by_the_files(self):
        lines = trace("box")
        self.assertNotIn(str(LEASES / "virbr0.status"), map(path_of, calls(lines, "openat")))
        (LEASES / "virbr0.status").write_text(STATUS.replace(".7", ".8"), encoding="utf-8")
        opened = [path_of(line) for line in calls(trace("box"), "openat")]
        self.assertIn(str(LEASES / "virbr0.status"), opened)
        self.assertEqual(nss.addresses("box"), ["192.168.122.8"])


if __name__ == "__main__":
    sys.exit(sandbox.run(lambda: int(not unittest.main(verbosity=2, exit=False)
                                     .result.wasSuccessful())))
