#!/usr/bin/python3
"""systemd-resolved in front of leasedns and behind it, in a sandbox, as contrib/resolvers says."""

import itertools
import pathlib
import re
import sys
import time
import unittest

import dns.message
import dns.query
import dns.rcode

from harness import nss, resolved, resolvers, sandbox, tools
from harness.dns import dig
from harness.process import run, wait_until
from harness.resolved import STUB, Capture, Resolved, Unit, query
from harness.resolvers import (FOREIGN, FOREIGN_ADDRESS, GUEST_ADDRESS, ROOT_SERVER, US)

UNIT = "leasedns-resolved.service"
NSSWITCH = pathlib.Path("/etc/nsswitch.conf")
RESOLV_CONF = pathlib.Path("/etc/resolv.conf")
SHORT_NAMES = {"DOMAINS": "libvirt ~122.168.192.in-addr.arpa"}


started = itertools.count()


class world:
    """What all tests share; set up once."""

    root = leases = None


def stub(*question):
    return dig(*question, server=STUB)


def found(name):
    """Its addresses, as getent finds them."""
    return sorted({line[0] for line in nss.getent("ahostsv4", name)})


def use_resolv_conf(text):
    if RESOLV_CONF.is_symlink() or RESOLV_CONF.exists():
        RESOLV_CONF.unlink()
    if text.startswith("/"):
        RESOLV_CONF.symlink_to(text)
    else:
        RESOLV_CONF.write_text(text, encoding="ascii")


class Case(unittest.TestCase):
    def setUp(self):
        self.ends = []
        use_resolv_conf(f"nameserver {STUB}\n")
        NSSWITCH.write_text("hosts: files resolve [!UNAVAIL=return] dns\n", encoding="ascii")

    def tearDown(self):
        while self.ends:
            self.ends.pop()()

    def us(self, upstream="none", more=""):
        server = resolvers.start_us(world.leases, f"[forward]\nupstream = {upstream}\n{more}\n",
                                    f"us{next(started)}")
        self.ends.append(server.stop)
        return server

    def resolved(self, settings="", **options):
        server = Resolved(settings, **options)
        self.ends.append(server.forget)
        return server

    def unit(self, *without, **options):
        unit = Unit(UNIT, *without, **options)
        self.ends.append(unit.stop)
        unit.start()
        return unit

    def place(self, name, path):
        path = pathlib.Path(path)
        resolvers.place(name, path)
        self.ends.append(path.unlink)

    def check_answers(self):
        reply = stub("vm.libvirt")
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", [GUEST_ADDRESS]))
        reply = stub("vm.libvirt", "AAAA")
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", []))
        self.assertEqual(stub("nobody.libvirt").rcode, "NXDOMAIN")
        self.assertEqual(stub("-x", GUEST_ADDRESS).data, ["vm.libvirt."])
        self.assertEqual(stub("-x", "192.168.122.200").rcode, "NXDOMAIN")
        self.assertEqual(stub(FOREIGN).data, [FOREIGN_ADDRESS])
        self.assertEqual(query("vm.libvirt"), [["vm.libvirt:", GUEST_ADDRESS]])
        self.assertEqual(query("nobody.libvirt"), [])
        self.assertEqual(query(GUEST_ADDRESS), [[f"{GUEST_ADDRESS}:", "vm.libvirt"]])
        self.check_nss()

    def check_nss(self):
        for services in ("resolve [!UNAVAIL=return]", "dns"):
            NSSWITCH.write_text(f"hosts: {services}\n", encoding="ascii")
            with self.subTest(services=services):
                self.assertEqual(found("vm.libvirt"), [GUEST_ADDRESS])
                self.assertEqual(found("nobody.libvirt"), [])
                self.assertEqual(nss.names(GUEST_ADDRESS), ["vm.libvirt"])
                self.assertEqual(found(FOREIGN), [FOREIGN_ADDRESS])

    def check_guest_comes_and_goes(self, name):
        self.assertEqual(stub(f"{name}.libvirt").rcode, "NXDOMAIN")
        world.leases.add(name, "192.168.122.77")
        wait_until(lambda: stub(f"{name}.libvirt").data == ["192.168.122.77"], 60, "it is found")
        self.assertEqual(stub("-x", "192.168.122.77").data, [f"{name}.libvirt."])
        world.leases.remove(name)
        wait_until(lambda: stub(f"{name}.libvirt").rcode == "NXDOMAIN", 60, "it is gone")
        self.assertEqual(query(f"{name}.libvirt"), [])


class PerLink(Case):
    """With leasedns-resolved.service."""

    def test_answers(self):
        self.us()
        self.resolved()
        self.unit()
        self.check_answers()

    def test_guest_comes_and_goes(self):
        self.us()
        self.resolved()
        self.unit()
        self.check_guest_comes_and_goes("late")

    def test_each_name_goes_where_it_belongs(self):
        self.us()
        self.resolved()
        self.unit()
        with Capture() as capture:
            for name in ("vm.libvirt", "nobody.libvirt", FOREIGN, "nobody.example"):
                stub(name)
            stub("-x", GUEST_ADDRESS)
        self.assertEqual(set(capture.to(US)), {"vm.libvirt", "nobody.libvirt",
                                               "5.122.168.192.in-addr.arpa"})
        self.assertEqual(set(capture.to(ROOT_SERVER)), {FOREIGN, "nobody.example"})

    def test_any_kind_of_link(self):
        for kind in ("dummy", "nosuchkind"):
            with self.subTest(kind=kind):
                self.us()
                self.resolved()
                self.unit(edit=lambda text, kind=kind: text.replace("type dummy", f"type {kind}"))
                self.assertEqual(query("vm.libvirt"), [["vm.libvirt:", GUEST_ADDRESS]])
                self.tearDown()

    def test_stopped_and_started_again(self):
        self.us()
        self.resolved()
        unit = self.unit()
        unit.start()  # as after a crash
        self.assertEqual(stub("vm.libvirt").data, [GUEST_ADDRESS])
        unit.stop()
        wait_until(lambda: stub("vm.libvirt").data == [], 60, "nobody knows it")
        unit.start()
        wait_until(lambda: stub("vm.libvirt").data == [GUEST_ADDRESS], 60, "it is found again")

    def test_resolved_restarts(self):
        self.us()
        server = self.resolved()
        self.unit()
        server.end()
        server.start()
        wait_until(lambda: stub("vm.libvirt").data == [GUEST_ADDRESS], 60, "it is found again")

    def test_leasedns_starts_late(self):
        self.resolved()
        self.unit()
        self.assertEqual(stub("vm.libvirt").data, [])
        self.us()
        wait_until(lambda: stub("vm.libvirt").data == [GUEST_ADDRESS], 60, "it is found")

    def test_beside_network_manager(self):
        """It tells resolved of its own links, and leaves ours as it is."""
        self.us()
        self.resolved(uplink_dns=None)
        self.unit()
        use_resolv_conf("/run/systemd/resolve/stub-resolv.conf")
        manager = resolvers.NetworkManager()
        self.ends.append(manager.stop)
        wait_until(lambda: stub(FOREIGN).data == [FOREIGN_ADDRESS], 60, "its server is asked")
        self.check_answers()
        manager.reactivate()
        wait_until(lambda: stub(FOREIGN).data == [FOREIGN_ADDRESS], 60, "its server is asked")
        self.check_answers()

    def test_short_names(self):
        """As `ssh vm` asks, through the stub and through nss-resolve."""
        self.us()
        self.resolved()
        unit = self.unit()
        use_resolv_conf("/run/systemd/resolve/stub-resolv.conf")
        self.assertEqual(found("vm"), [])
        # Its own search domain is enough for programs that read resolv.conf.
        use_resolv_conf(f"nameserver {STUB}\nsearch libvirt\n")
        NSSWITCH.write_text("hosts: dns\n", encoding="ascii")
        self.assertEqual(found("vm"), [GUEST_ADDRESS])
        use_resolv_conf("/run/systemd/resolve/stub-resolv.conf")
        unit.stop()  # resolved does not notice that only the "~" is gone
        self.unit(environment=SHORT_NAMES)
        wait_until(lambda: "search libvirt" in RESOLV_CONF.read_text(encoding="ascii"), 60,
                   "resolved writes the search domain")
        for services in ("resolve [!UNAVAIL=return]", "dns"):
            with self.subTest(services=services):
                NSSWITCH.write_text(f"hosts: {services}\n", encoding="ascii")
                self.assertEqual(found("vm"), [GUEST_ADDRESS])
                self.assertEqual(found("nobody"), [])
        self.assertEqual(query("vm"), [["vm:", GUEST_ADDRESS], ["(vm.libvirt)"]])


class Global(Case):
    """With resolved-global.conf."""

    CONF = resolved.CONF / "leasedns.conf"

    def test_answers(self):
        self.us(ROOT_SERVER)
        self.place("resolved-global.conf", self.CONF)
        self.resolved()
        self.check_answers()
        self.check_guest_comes_and_goes("late-global")

    def test_foreign_names_come_to_us(self):
        """The cost that its comment tells of."""
        self.us(ROOT_SERVER)
        self.place("resolved-global.conf", self.CONF)
        self.resolved(uplink_dns=None)
        with Capture() as capture:
            self.assertEqual(stub(FOREIGN).data, [FOREIGN_ADDRESS])
        self.assertIn(FOREIGN, capture.to(US))


class Suspicious(Case):
    """resolved that validates, or speaks TLS only."""

    def setUp(self):
        super().setUp()
        (resolved.TRUST / "root.positive").parent.mkdir(exist_ok=True)
        (resolved.TRUST / "root.positive").write_text(f". IN DS {world.root.anchor_text}\n",
                                                      encoding="ascii")

    def check_foreign_names_are_validated(self):
        self.assertIn("Data is authenticated: yes", resolved.resolvectl("query", FOREIGN))

    def test_link_without_dnssec(self):
        self.us()
        self.resolved("DNSSEC=yes")
        self.unit()
        self.check_foreign_names_are_validated()
        self.check_answers()

    def test_bogus_without_that(self):
        self.us()
        self.resolved("DNSSEC=yes")
        self.unit("resolvectl dnssec")
        self.check_foreign_names_are_validated()
        self.assertEqual(stub("vm.libvirt").rcode, "SERVFAIL")

    def test_negative_trust_anchor(self):
        self.us()
        self.place("libvirt.negative", resolved.TRUST / "libvirt.negative")
        self.resolved("DNSSEC=yes")
        self.unit("resolvectl dnssec")
        self.check_foreign_names_are_validated()
        self.check_answers()

    def test_negative_trust_anchors_of_its_own_are_kept(self):
        known = []
        for place in (False, True):
            if place:
                self.place("libvirt.negative", resolved.TRUST / "libvirt.negative")
            log = self.resolved().process.log()
            known.append(set(re.findall("Negative trust anchors: (.*)", log)[-1].split()))
            self.tearDown()
        self.assertIn("libvirt", known[1] - known[0])
        self.assertEqual(known[0] - known[1], set())

    def test_negative_trust_anchor_with_global_servers(self):
        self.us(ROOT_SERVER)
        self.place("resolved-global.conf", Global.CONF)
        self.resolved("DNSSEC=yes")
        self.assertEqual(stub("vm.libvirt").rcode, "SERVFAIL")
        self.tearDown()
        self.us(ROOT_SERVER)
        self.place("resolved-global.conf", Global.CONF)
        self.place("libvirt.negative", resolved.TRUST / "libvirt.negative")
        self.resolved("DNSSEC=yes")
        self.check_answers()

    def test_link_without_tls(self):
        self.us()
        self.resolved("DNSOverTLS=yes")
        unit = self.unit("resolvectl dnsovertls")
        asked = run("dig", f"@{STUB}", "+tries=1", "+time=3", "vm.libvirt", check=False).stdout
        self.assertNotIn(GUEST_ADDRESS, asked)
        unit.stop()
        self.unit()
        wait_until(lambda: stub("vm.libvirt").data == [GUEST_ADDRESS], 60, "it is found")


class Behind(Case):
    """resolved is our upstream."""

    def setUp(self):
        super().setUp()
        self.resolved()

    def check_foreign_names(self):
        self.assertEqual(dig(FOREIGN).data, [FOREIGN_ADDRESS])
        self.assertEqual(dig("nobody.example").rcode, "NXDOMAIN")
        self.assertEqual(dig("+tcp", FOREIGN).data, [FOREIGN_ADDRESS])
        self.assertEqual(dig("vm.libvirt").data, [GUEST_ADDRESS])

    def test_by_address(self):
        self.us(STUB)
        self.check_foreign_names()

    def test_by_resolv_conf(self):
        us = self.us("resolv.conf")
        self.check_foreign_names()
        self.assertNotIn("loop", us.log())

    def test_by_its_own_resolv_conf(self):
        use_resolv_conf("/run/systemd/resolve/stub-resolv.conf")
        self.us("resolv.conf")
        self.check_foreign_names()

    def test_in_front_as_well(self):
        """Each asks the other for what it does not know, and there is no loop in it."""
        us = self.us(STUB)
        self.unit()
        self.check_foreign_names()
        self.check_answers()
        self.assertNotIn("loop", us.log())


class Loop(Case):
    """Both ask each other for everything."""

    def setUp(self):
        super().setUp()
        self.place("resolved-global.conf", Global.CONF)
        self.resolved(uplink_dns=None)

    def loop(self, upstream):
        us = self.us(upstream)
        wait_until(lambda: "a loop" in us.log(), 60, "the loop is found")
        return us

    def check_local_names(self):
        self.assertEqual(dig("vm.libvirt").data, [GUEST_ADDRESS])
        self.assertEqual(stub("vm.libvirt").data, [GUEST_ADDRESS])

    def test_no_storm(self):
        us = self.loop(STUB)
        with Capture() as capture:
            for i in range(20):
                message = dns.message.make_query(f"n{i}.example", "A", use_edns=0)
                reply = dns.query.udp(message, US, timeout=60)
                self.assertEqual(reply.rcode(), dns.rcode.SERVFAIL)
                self.assertIn(22, [option.code for option in reply.options if option.otype == 15])
            self.assertEqual(stub("m.example").rcode, "SERVFAIL")
            self.check_local_names()
            time.sleep(2)  # a storm would go on
        self.assertLess(len(capture.questions), 60, capture.questions)
        self.assertEqual(us.log().count("a loop"), 1, us.log())

    def test_loop_that_comes_later(self):
        """resolved is told to ask us for everything behind our back."""
        self.tearDown()
        server = self.resolved()
        us = self.us(STUB, more="cache-size = 0")
        self.assertEqual(dig(FOREIGN).data, [FOREIGN_ADDRESS])
        server.forget()
        self.place("resolved-global.conf", Global.CONF)
        self.resolved(uplink_dns=None)
        with Capture() as capture:
            for i in range(20):
                self.assertEqual(dig(f"late{i}.example").rcode, "SERVFAIL")
            self.check_local_names()
        self.assertLess(len(capture.questions), 200, capture.questions)
        wait_until(lambda: "a loop" in us.log(), 60, "the loop is found")
        self.assertEqual(us.log().count("a loop"), 1, us.log())

    def test_other_server_works(self):
        self.loop(f"{STUB} {ROOT_SERVER}")
        for name in (FOREIGN, FOREIGN.upper()):
            self.assertEqual(dig(name).data, [FOREIGN_ADDRESS])
        self.assertEqual(stub(FOREIGN).data, [FOREIGN_ADDRESS])
        self.check_local_names()

    def test_through_resolv_conf(self):
        us = self.loop("resolv.conf")
        self.check_local_names()
        self.assertEqual(us.log().count("a loop"), 1, us.log())


def run_tests():
    tools.require()
    resolvers.use_packages()
    resolved.set_up()
    world.root = resolvers.Root()
    world.leases = resolvers.Leases()
    return resolvers.run_all()


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
