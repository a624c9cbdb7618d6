#!/usr/bin/python3
"""The harness itself: what a sandbox leaves behind (nothing), whatever ends it."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from harness import dns, sandbox
from harness.process import Background, wait_until

#: Run with a marker and a path: a sandbox with a network namespace and with a process of another
#: session, whose command lines have the marker. Makes the path when all is there.
BUSY = """
import os, subprocess, sys, time
from harness import sandbox

def body():
    subprocess.run(["ip", "netns", "add", "machine"], check=True)
    subprocess.Popen(["sh", "-c", f": {sys.argv[1]}; sleep 600; :"], start_new_session=True)
    open(sys.argv[2], "w").close()
    time.sleep(600)

sys.exit(sandbox.run(body))
"""


def processes(marker):
    """Processes whose command line has the marker."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class SandboxEnds(unittest.TestCase):
    def start_busy(self, directory):
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        ready = pathlib.Path(directory) / marker
        child = subprocess.Popen([sys.executable, "-B", "-c", BUSY, marker, ready],
                                 cwd=pathlib.Path(__file__).parent)
        self.addCleanup(child.kill)
        wait_until(ready.exists, 60, "the sandbox is up")
        self.assertGreaterEqual(len(processes(marker)), 4)
        return child, marker

    def end_by(self, number):
        mounts = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as directory:
            child, marker = self.start_busy(directory)
            child.send_signal(number)
            code = child.wait(20)
            wait_until(lambda: not processes(marker), 60, "all processes are gone")
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8"), mounts)
        self.assertFalse(os.path.exists(sandbox.STATE))
        self.assertFalse(os.path.exists("/run/netns/machine"))
        return code

    def test_nothing_is_left_after_sigkill(self):
        self.assertEqual(self.end_by(signal.SIGKILL), -signal.SIGKILL)

    def test_nothing_is_left_after_sigterm(self):
        self.assertEqual(self.end_by(signal.SIGTERM), 128 + signal.SIGTERM)


class InSandbox(unittest.TestCase):
    def run_inside(self, body):
        """Runs body() in a sandbox of its own; returns the exit code."""
        child = os.fork()
        if child == 0:
            os._exit(sandbox.run(body))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_what_the_body_returns_is_its_code(self):
        self.assertEqual(self.run_inside(lambda: 0), 0)
        self.assertEqual(self.run_inside(lambda: 7), 7)

    def test_exit_of_the_body_is_its_code(self):
        self.assertEqual(self.run_inside(lambda: sys.exit(3)), 3)
        self.assertEqual(self.run_inside(lambda: sys.exit("why")), 1)

    def test_orphans_are_buried(self):
        def body():
            before = set(pathlib.Path("/proc").glob("[0-9]*"))
            subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
            wait_until(lambda: set(pathlib.Path("/proc").glob("[0-9]*")) <= before, 60, "buried")
        self.assertEqual(self.run_inside(body), 0)

    def test_dig_tells_apart_data_no_data_and_no_name(self):
        def body():
            server = Background("dnsmasq", [
                "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                "--bind-interfaces", "--listen-address=127.0.0.56", "--local=/libvirt/",
                "--host-record=vm.libvirt,192.0.2.1", "--local-ttl=7"])
            wait_until(lambda: dns.run("dig", "@127.0.0.56", "+tries=1", "+time=1", "vm.libvirt",
                                       check=False).returncode == 0, 60, "dnsmasq answers")
            reply = dns.dig("vm.libvirt", "A")
            assert reply.rcode == "NOERROR", reply
            assert reply.answers == [("vm.libvirt.", 7, "A", "192.0.2.1")], reply
            # dnsmasq gives no SOA: what we ask of leasedns, it does not fulfil.
            reply = dns.dig("vm.libvirt", "AAAA")
            assert (reply.rcode, reply.answers, reply.is_nodata) == ("NOERROR", [], False), reply
            assert dns.dig("other.libvirt", "A").rcode == "NXDOMAIN"
            with dns.Asker("vm.libvirt") as asker:
                sample = asker.ask()
            assert sample.data == ["192.0.2.1"], sample
            return server.stop()
        self.assertEqual(self.run_inside(body), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
