#!/usr/bin/python3
"""leasedns-resolved.service and leasedns.dns-delegate on a machine with systemd.

    test_resolved_booted.py [SUITE [TEST..]]

The machine is a tree of that Debian release (bookworm), booted in namespaces. leasedns runs beside
it.
"""

import sys
import unittest

from harness import booted, resolvers, sandbox, tree
from harness.dns import dig
from harness.process import run, wait_until
from harness.resolved import STUB, UPLINK, Capture
from harness.resolvers import FOREIGN, FOREIGN_ADDRESS, GUEST_ADDRESS, ROOT_SERVER, US

SUITE = sys.argv.pop(1) if len(sys.argv) > 1 else "bookworm"
UNIT, RESOLVED = "leasedns-resolved.service", "systemd-resolved.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
DROP_IN = "/run/systemd/system/leasedns-resolved.service.d/test.conf"
DELEGATE = "/etc/systemd/dns-delegate.d/leasedns.dns-delegate"
TRUST = "/etc/dnssec-trust-anchors.d"
#: How long anything may take on a busy machine.
PATIENCE_S = 60


class world:
    """What all tests share; set up once."""

    machine = root = us = None


def write(inside, text):
    path = world.machine.path(inside)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def place(name, inside):
    write(inside, resolvers.snippet(name))


def resolved(verb="restart"):
    """More often than systemd would let it."""
    world.machine.run("systemctl", "reset-failed", RESOLVED, check=False)
    world.machine.run("systemctl", verb, RESOLVED)


def asked(*question):
    """The data that the stub answers; none if there is no stub yet."""
    try:
        return dig(*question, server=STUB).data
    except AssertionError:
        return []


class Case(unittest.TestCase):
    def setUp(self):
        # As a network manager would, and resolved keeps that over a restart.
        world.machine.run("resolvectl", "dns", UPLINK, ROOT_SERVER)
        world.machine.run("resolvectl", "default-route", UPLINK, "yes")

    def wait_for_guest(self):
        wait_until(lambda: asked("vm.libvirt") == [GUEST_ADDRESS], PATIENCE_S, "it is found")

    def check(self):
        self.wait_for_guest()
        with Capture() as capture:
            self.assertEqual(dig("-x", GUEST_ADDRESS, server=STUB).data, ["vm.libvirt."])
            self.assertEqual(dig("vm.libvirt", "AAAA", server=STUB).rcode, "NOERROR")
            self.assertEqual(dig("nobody.libvirt", server=STUB).rcode, "NXDOMAIN")
            self.assertEqual(dig(FOREIGN, server=STUB).data, [FOREIGN_ADDRESS])
        self.assertNotIn(FOREIGN, capture.to(US))
        self.assertNotIn("nobody.libvirt", capture.to(ROOT_SERVER))
        self.assertIn(GUEST_ADDRESS, world.machine.run("resolvectl", "query", "vm.libvirt").stdout)
        getent = ("getent", "-s", "hosts:resolve", "ahostsv4")
        self.assertIn(GUEST_ADDRESS, world.machine.run(*getent, "vm.libvirt").stdout)


class Unit(Case):
    def setUp(self):
        super().setUp()
        place(UNIT, UNIT_FILE)
        world.machine.run("systemctl", "daemon-reload")
        world.machine.run("systemctl", "enable", "--now", UNIT)

    def tearDown(self):
        world.machine.run("systemctl", "disable", "--now", UNIT)

    def test_verified_by_systemd(self):
        done = world.machine.run("systemd-analyze", "verify", "--man=no", UNIT_FILE)
        self.assertNotIn("leasedns-resolved", done.stdout + done.stderr)

    def test_answers(self):
        self.check()

    def test_disabled(self):
        self.wait_for_guest()
        world.machine.run("systemctl", "disable", "--now", UNIT)
        wait_until(lambda: not asked("vm.libvirt"), PATIENCE_S, "nobody knows it")
        self.assertNotIn("leasedns", run("ip", "link").stdout)

    def test_resolved_restarts(self):
        for verb in ("restart", "stop", "start", "try-restart"):
            resolved(verb)
        self.check()
        wait_until(lambda: world.machine.show(UNIT, "ActiveState") == "active", PATIENCE_S,
                   "the unit has started")
        self.assertEqual(world.machine.show(UNIT, "NRestarts"), "0", world.machine.journal(UNIT))

    def test_resolved_is_killed(self):
        self.wait_for_guest()
        old = world.machine.show(RESOLVED, "MainPID")
        world.machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", RESOLVED)
        wait_until(lambda: world.machine.show(RESOLVED, "MainPID") not in ("0", old), PATIENCE_S,
                   "systemd starts it again")
        self.check()

    def test_without_resolved(self):
        """It may be enabled on any host."""
        self.wait_for_guest()
        resolved("stop")
        left = world.machine.path("/run/systemd/resolve/stub-resolv.conf")
        left.unlink(missing_ok=True)
        world.machine.run("systemctl", "start", UNIT)
        self.assertEqual(world.machine.show(UNIT, "ActiveState", "ConditionResult"),
                         ["inactive", "no"])
        self.assertNotIn("leasedns", run("ip", "link").stdout)
        resolved("start")
        self.wait_for_guest()

    def test_reboot(self):
        self.wait_for_guest()
        world.machine.reboot()
        self.wait_for_guest()

    def test_domains_by_drop_in(self):
        write(DROP_IN,
              '[Service]\nEnvironment="DOMAINS=libvirt ~122.168.192.in-addr.arpa"\n')
        world.machine.run("systemctl", "daemon-reload")
        world.machine.run("systemctl", "restart", UNIT)
        self.wait_for_guest()
        self.assertIn(GUEST_ADDRESS, world.machine.run("resolvectl", "query", "vm").stdout)
        world.machine.path(DROP_IN).unlink()
        world.machine.run("systemctl", "daemon-reload")


class Delegate(Case):
    """systemd 258 and later."""

    def setUp(self):
        super().setUp()
        place("leasedns.dns-delegate", DELEGATE)
        resolved("reload-or-restart")

    def tearDown(self):
        world.machine.path(DELEGATE).unlink()
        resolved()

    def test_answers(self):
        self.check()
        self.assertIn(GUEST_ADDRESS, world.machine.run("resolvectl", "query", "vm").stdout)
        world.machine.path(DELEGATE).rename(world.machine.path(DELEGATE + ".off"))
        resolved()
        wait_until(lambda: dig("vm.libvirt", server=STUB).rcode == "NXDOMAIN", PATIENCE_S,
                   "nobody knows it")
        world.machine.path(DELEGATE + ".off").rename(world.machine.path(DELEGATE))

    def rcode(self):
        try:
            return dig("vm.libvirt", server=STUB).rcode
        except AssertionError:
            return None  # no stub yet

    def test_validating(self):
        write("/etc/systemd/resolved.conf.d/test.conf", "[Resolve]\nDNSSEC=yes\n")
        write(f"{TRUST}/root.positive", f". IN DS {world.root.anchor_text}\n")
        resolved()
        wait_until(lambda: self.rcode() == "SERVFAIL", PATIENCE_S, "nobody signed it")
        place("libvirt.negative", f"{TRUST}/libvirt.negative")
        resolved()
        self.check()
        for path in ("/etc/systemd/resolved.conf.d/test.conf", f"{TRUST}/root.positive",
                     f"{TRUST}/libvirt.negative"):
            world.machine.path(path).unlink()


def run_tests():
    resolvers.use_packages()
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "uplink1")
    run("ip", "address", "add", "10.99.0.1/24", "dev", UPLINK)
    for link in (UPLINK, "uplink1"):
        run("ip", "link", "set", link, "up")
    world.root = resolvers.Root()
    world.us = resolvers.start_us(resolvers.Leases())
    world.machine = booted.Machine(TREE)
    world.machine.boot()
    try:
        return resolvers.run_all(["Unit"] if SUITE in ("bookworm", "trixie") else
                                 ["Unit", "Delegate"])
    finally:
        world.machine.halt()


if __name__ == "__main__":
    TREE = tree.made(SUITE, "systemd-resolved", "libnss-resolve")
    sys.exit(sandbox.run(run_tests))
