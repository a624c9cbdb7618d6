#!/usr/bin/python3
"""leasedns behind the resolvers that a host may have, in a sandbox: each is the real program, with the
file that contrib/resolvers has for it. All but systemd-resolved, which test_resolved.py asks.
"""

import sys
import unittest

from harness import resolvers, sandbox, tools
from harness.dns import dig
from harness.process import wait_until
from harness.resolvers import FOREIGN, FOREIGN_ADDRESS, GUEST_ADDRESS, GUEST_POINTER


class world:
    """What all tests share; set up once."""

    root = leases = us = None


class Front:
    """A resolver that asks us. `start(address, root, *without)` starts it."""

    start = address = None
    #: A line without which it does not work.
    needed = ()

    def setUp(self):
        self.process = type(self).start(self.address, world.root)

    def tearDown(self):
        self.process.stop()

    def dig(self, *question):
        return dig(*question, server=self.address)

    def test_answers(self):
        reply = self.dig("vm.libvirt")
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", [GUEST_ADDRESS]))
        self.assertNotIn("ad", reply.flags)
        reply = self.dig("vm.libvirt", "AAAA")
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", []))
        self.assertEqual(self.dig("nobody.libvirt").rcode, "NXDOMAIN")
        self.assertEqual(self.dig("-x", GUEST_ADDRESS).data, ["vm.libvirt."])
        self.assertEqual(self.dig("-x", "192.168.122.200").rcode, "NXDOMAIN")
        self.assertEqual(self.dig(FOREIGN).data, [FOREIGN_ADDRESS])
        self.assertEqual(self.dig("nobody.example").rcode, "NXDOMAIN")

    def test_foreign_names_are_validated(self):
        """Or the other tests would say nothing about trust in unsigned names."""
        self.assertIn("ad", self.dig("+dnssec", FOREIGN).flags)

    def test_guest_comes_and_goes(self):
        name = f"late-{type(self).__name__}".lower()
        self.assertEqual(self.dig(f"{name}.libvirt").rcode, "NXDOMAIN")
        world.leases.add(name, "192.168.122.77")
        wait_until(lambda: self.dig(f"{name}.libvirt").data == ["192.168.122.77"], 30,
                   "the guest is found")
        self.assertEqual(self.dig("-x", "192.168.122.77").data, [f"{name}.libvirt."])
        world.leases.remove(name)
        wait_until(lambda: self.dig(f"{name}.libvirt").rcode == "NXDOMAIN", 30,
                   "the guest is gone")

    def test_each_line_is_needed(self):
        for line, question in self.needed:
            with self.subTest(line=line):
                self.process.stop()
                self.process = type(self).start(self.address, world.root, line)
                self.assertEqual(self.dig(*question).data, [], "works without it")


A, PTR = ("vm.libvirt",), ("-x", GUEST_ADDRESS)


class Dnsmasq(Front, unittest.TestCase):
    start, address = resolvers.dnsmasq, "127.0.0.10"
    needed = (("server=", A), ("rev-server=", PTR), ("rebind-domain-ok=", A))


class Unbound(Front, unittest.TestCase):
    start, address = resolvers.unbound, "127.0.0.11"
    needed = (("do-not-query-localhost", A), ('domain-insecure: "libvirt"', A),
              ('domain-insecure: "122', PTR), ("private-domain", A), ("transparent", PTR))


class Named(Front, unittest.TestCase):
    start, address = resolvers.named, "127.0.0.1"  # it looks for interfaces
    needed = (("validate-except", A), ("validate-except", PTR))


class KnotResolver(Front, unittest.TestCase):
    start, address = resolvers.kresd, "127.0.0.13"


def run_tests():
    tools.require()
    resolvers.use_packages()
    world.root = resolvers.Root()
    world.leases = resolvers.Leases()
    world.us = resolvers.start_us(world.leases)
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
