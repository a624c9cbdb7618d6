#!/usr/bin/python3
"""leasedns with the resolvers that a host may have, in a sandbox: the real programs, each with the
file of contrib/resolvers that is for it. systemd-resolved has test_resolved.py for itself.
"""

import os
import pathlib
import sys
import unittest

import dns.exception
import dns.message
import dns.query

from harness import nss, resolvers, sandbox, tools
from harness.dns import dig
from harness.process import Background, run, wait_until
from harness.resolvers import FOREIGN, FOREIGN_ADDRESS, GUEST_ADDRESS, ROOT_SERVER, US

HOST_CONF = pathlib.Path(sandbox.HOST_CONF)
NSCD_CONF = pathlib.Path("/etc/nscd.conf")
NSSWITCH = pathlib.Path("/etc/nsswitch.conf")
RESOLV_CONF = pathlib.Path("/etc/resolv.conf")


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
        wait_until(lambda: self.dig(f"{name}.libvirt").data == ["192.168.122.77"], 60,
                   "the guest is found")
        self.assertEqual(self.dig("-x", "192.168.122.77").data, [f"{name}.libvirt."])
        world.leases.remove(name)
        wait_until(lambda: self.dig(f"{name}.libvirt").rcode == "NXDOMAIN", 60,
                   "the guest is gone")

    def test_behind_us_as_well(self):
        """We ask it for the rest, and there is no loop in it."""
        world.us.stop()
        forward = f"[forward]\nupstream = {self.address}\n"
        us = resolvers.start_us(world.leases, forward, f"us-{type(self).__name__}")
        try:
            self.assertEqual(dig(FOREIGN).data, [FOREIGN_ADDRESS])
            self.assertEqual(dig("+tcp", FOREIGN).data, [FOREIGN_ADDRESS])
            self.assertEqual(dig("nobody.example").rcode, "NXDOMAIN")
            self.assertEqual(self.dig("vm.libvirt").data, [GUEST_ADDRESS])
            self.assertEqual(self.dig("nobody.libvirt").rcode, "NXDOMAIN")
            self.assertNotIn("loop", us.log())
        finally:
            us.stop()
            world.us = resolvers.start_us(world.leases)

    def found(self):
        """Whether the guest is found, by a question that does not wait long."""
        query = dns.message.make_query("vm.libvirt", "A")
        try:
            return dns.query.udp(query, self.address, timeout=1).answer
        except dns.exception.Timeout:
            return []

    def test_leasedns_is_away_for_a_while(self):
        wait_until(self.found, 60, "it is asked")
        world.us.stop()
        try:
            # Long enough for it to hear of our closed port, and to give up what it knew.
            wait_until(lambda: not self.found(), 60, "nobody answers", interval_s=0.5)
            for _ in range(3):
                self.found()
        finally:
            world.us = resolvers.start_us(world.leases)
        wait_until(self.found, 60, "it is asked again")

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


class NetworkManager(unittest.TestCase):
    """The dnsmasq that NetworkManager runs, as networkmanager.conf lets it."""

    def test_answers(self):
        etc = resolvers.NetworkManager.ETC
        resolvers.place("networkmanager.conf", etc / "conf.d" / "leasedns.conf")
        resolvers.place("dnsmasq.conf", etc / "dnsmasq.d" / "leasedns.conf")
        RESOLV_CONF.touch()
        NSSWITCH.write_text("hosts: dns\n", encoding="ascii")
        manager = resolvers.NetworkManager()
        try:
            wait_until(lambda: "127.0.0.1" in RESOLV_CONF.read_text(encoding="ascii"), 60,
                       "it names its dnsmasq in resolv.conf")
            wait_until(lambda: nss.addresses("vm.libvirt"), 60, "its dnsmasq answers")
            self.assertEqual(nss.addresses("vm.libvirt"), [GUEST_ADDRESS])
            self.assertEqual(nss.names(GUEST_ADDRESS), ["vm.libvirt"])
            # It hears of the other servers a little later.
            wait_until(lambda: nss.addresses(FOREIGN) == [FOREIGN_ADDRESS], 60, "and the others")
            self.assertEqual(dig("nobody.libvirt", server="127.0.0.1").rcode, "NXDOMAIN")
            self.assertEqual(dig("vm.libvirt", "AAAA", server="127.0.0.1").data, [])
        finally:
            manager.stop()
            RESOLV_CONF.unlink()


class OnlyNameserver(unittest.TestCase):
    """resolv.conf names us and nobody else."""

    def setUp(self):
        world.us.stop()
        text = resolvers.snippet("upstream.conf").replace("192.0.2.53", ROOT_SERVER)
        world.us = resolvers.start_us(world.leases, text)
        resolvers.place("resolv.conf", "/etc/resolv.conf")
        NSSWITCH.write_text("hosts: files dns\n", encoding="ascii")

    def tearDown(self):
        world.us.stop()
        world.us = resolvers.start_us(world.leases)
        RESOLV_CONF.unlink()

    def test_through_glibc(self):
        for name in ("vm.libvirt", "vm"):
            self.assertEqual(nss.addresses(name), [GUEST_ADDRESS])
        self.assertEqual(nss.names(GUEST_ADDRESS), ["vm.libvirt"])
        self.assertEqual(nss.addresses(FOREIGN), [FOREIGN_ADDRESS])
        for name in ("nobody.libvirt", "nobody", "nobody.example"):
            self.assertEqual(nss.addresses(name), [])

    def test_guest_comes_and_goes(self):
        self.assertEqual(nss.addresses("late-only"), [])
        world.leases.add("late-only", "192.168.122.78")
        wait_until(lambda: nss.addresses("late-only") == ["192.168.122.78"], 60, "it is found")
        world.leases.remove("late-only")
        wait_until(lambda: nss.addresses("late-only") == [], 60, "it is gone")


class Container(unittest.TestCase):
    """Another network namespace: 127.0.0.56 is its own there, so we listen on its bridge, too."""

    BRIDGE = "10.97.0.1"

    def setUp(self):
        run("ip", "netns", "add", "box")
        run("ip", "link", "add", "bridge0", "type", "bridge")
        run("ip", "address", "add", f"{self.BRIDGE}/24", "dev", "bridge0")
        run("ip", "link", "add", "port0", "type", "veth", "peer", "name", "eth0", "netns", "box")
        run("ip", "link", "set", "port0", "master", "bridge0", "up")
        run("ip", "link", "set", "bridge0", "up")
        self.inside = ["nsenter", "--net=/run/netns/box"]
        run(*self.inside, "ip", "link", "set", "lo", "up")
        run(*self.inside, "ip", "link", "set", "eth0", "up")
        run(*self.inside, "ip", "address", "add", "10.97.0.2/24", "dev", "eth0")
        world.us.stop()
        world.us = resolvers.start_us(
            world.leases, f"[forward]\nupstream = none\n[server]\nlisten = {US} {self.BRIDGE}\n")

    def tearDown(self):
        world.us.stop()
        world.us = resolvers.start_us(world.leases)
        run("ip", "link", "delete", "bridge0")
        run("ip", "netns", "delete", "box")

    def dig(self, server):
        return run(*self.inside, "dig", "+short", "+tries=1", "+time=30", f"@{server}",
                   "vm.libvirt", check=False).stdout.split()

    def test_asks_on_the_bridge(self):
        self.assertEqual(self.dig(self.BRIDGE), [GUEST_ADDRESS])
        self.assertNotIn(GUEST_ADDRESS, self.dig(US))


class Nscd(unittest.TestCase):
    """nscd in front of the module and of DNS."""

    SERVICES = ("leasedns", "dns")

    def setUp(self):
        RESOLV_CONF.write_text(f"nameserver {US}\n", encoding="ascii")
        self.text = NSCD_CONF.read_text(encoding="ascii")
        self.process = None

    def tearDown(self):
        self.stop()
        NSCD_CONF.write_text(self.text, encoding="ascii")
        RESOLV_CONF.unlink()

    def start(self, service, more):
        NSSWITCH.write_text(f"hosts: {service}\n", encoding="ascii")
        NSCD_CONF.write_text(self.text + more, encoding="ascii")
        os.makedirs("/run/nscd", exist_ok=True)
        self.process = Background("nscd", ["nscd", "--foreground"], nss.environment())
        wait_until(lambda: run("nscd", "-g", check=False).returncode == 0, 60, "nscd answers")

    def stop(self):
        if self.process:
            run("nscd", "--shutdown", check=False)
            self.process.stop()
        self.process = None

    def come(self, name):
        self.assertEqual(nss.addresses(f"{name}.libvirt"), [])
        world.leases.add(name, "192.168.122.79")
        wait_until(lambda: dig(f"{name}.libvirt").data == ["192.168.122.79"], 60, "it is there")

    def test_forgets_when_told(self):
        for service in self.SERVICES:
            with self.subTest(service=service):
                # Longer than the 20 s that are its default, so that no delay ends them.
                self.start(service, "\tnegative-time-to-live\thosts\t3600\n")
                self.come(f"told-{service}")
                self.assertEqual(nss.addresses(f"told-{service}.libvirt"), [])
                run("nscd", "-i", "hosts")
                wait_until(lambda: nss.addresses(f"told-{service}.libvirt"), 60, "it is found")
                self.stop()

    def test_keeps_nothing_with_our_line(self):
        for service in self.SERVICES:
            with self.subTest(service=service):
                self.start(service, resolvers.snippet("nscd.conf"))
                self.come(f"soon-{service}")
                self.assertEqual(nss.addresses(f"soon-{service}.libvirt"), ["192.168.122.79"])
                world.leases.remove(f"soon-{service}")
                wait_until(lambda: dig(f"soon-{service}.libvirt").rcode == "NXDOMAIN", 60, "gone")
                self.assertEqual(nss.addresses(f"soon-{service}.libvirt"), [])
                self.stop()


def run_tests():
    tools.require()
    resolvers.use_packages()
    resolvers.start_dbus()
    world.root = resolvers.Root()
    world.leases = resolvers.Leases()
    # The module, too, is to know where they are.
    HOST_CONF.write_text(f"[leases]\nlibvirt = {world.leases.directory}\n", encoding="ascii")
    world.us = resolvers.start_us(world.leases)
    return resolvers.run_all()


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
