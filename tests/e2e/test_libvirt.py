#!/usr/bin/python3
"""Names of real leases: libvirtd, its dnsmasq, DHCP clients and virtual machines in a sandbox, and
`leasedns serve` with its defaults, asked with dig; the same through the NSS modules.

All machines of the module start at once; a test waits for those that it is about.
"""

import concurrent.futures
import contextlib
import os
import signal
import sys
import time
import unittest

from harness import dns, guests, leasedns, libvirt, nss, sandbox, tools
from harness.clients import Client
from harness.process import wait_until

#: How soon a lease must be a name.
APPEAR_S = 60.0
#: How soon a machine must have its lease: QEMU without KVM on a busy machine takes its time.
LEASE_S = 180
#: How soon the watch over an ending lease must be over: two minutes, twice that if prolonged.
ENDING_S = LEASE_S + 250
#: How often a question is repeated where its moment counts.
INTERVAL_S = 0.005
#: Around the end of a lease: time enough for a busy machine to ask before and after.
WATCH_S = 8

DEFAULT, LAB, INFINITE = "virbr0", "virbr1", "virbr2"

#: Clients by the host name that they ask for: bridge and MAC address.
CLIENTS = {
    "vm": (DEFAULT, "52:54:00:00:00:01"),
    "renewer": (DEFAULT, "52:54:00:00:00:02"),
    "twin": (DEFAULT, "52:54:00:00:00:03"),
    "twin-too": (LAB, "52:54:00:00:01:03"),
    "Mixed-Case": (DEFAULT, "52:54:00:00:00:04"),
    "dual": (LAB, "52:54:00:00:01:02"),
    "brief": (LAB, "52:54:00:00:01:05"),
    "forever": (INFINITE, "52:54:00:00:02:01"),
}
#: The same host name on two networks.
HOSTNAMES = {"twin-too": "twin"}
IPV6_CLIENTS = ("dual",)

RESERVED_MAC, RESERVED_IP = "52:54:00:00:01:01", "192.168.150.11"

#: Guests: MAC address. The first two say no host name to DHCP.
SPACED_GUEST, SPACED_MAC = "DB Server", "52:54:00:00:00:a1"
PASSING_GUEST, PASSING_MAC = "passing", "52:54:00:00:00:a2"
LINUX_GUEST, LINUX_MAC, LINUX_HOSTNAME = "ubuntu22.04", "52:54:00:00:00:a3", "inner"

LEAVING_NETWORK = """\
<network>
  <name>leaving</name>
  <bridge name='virbr9' stp='off'/>
  <ip address='192.168.170.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.170.2' end='192.168.170.254'/></dhcp>
  </ip>
</network>
"""

world = None


class World:
    """What the tests share. Attributes of unfinished things are futures."""

    def __init__(self):
        tools.require()
        guests.require_image()
        nss.set_up()
        nss.use("files", "leasedns")
        # As at boot: the server is there before libvirt has made its directory.
        self.server = leasedns.Server()
        self.libvirt = libvirt.Libvirt()
        for network in ("default", "lab", "inf"):
            self.libvirt.start_network(network)
        self.clients = {name: Client(name, *where) for name, where in CLIENTS.items()}
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=2 * len(CLIENTS))
        self.appeared = {name: self.pool.submit(_time_appearance, name) for name in ("vm", "dual")}
        self.ipv4 = {name: self.pool.submit(client.take_ipv4, HOSTNAMES.get(name, name))
                     for name, client in self.clients.items()}
        self.ipv6 = {name: self.pool.submit(self.clients[name].take_ipv6, name)
                     for name in IPV6_CLIENTS}
        self.expiry = self.pool.submit(self._watch_expiry, "brief")
        #: Addresses that the server was seen to have.
        self.known = set()
        guests.start_network_boot(SPACED_GUEST, SPACED_MAC, "default")
        guests.start_network_boot(PASSING_GUEST, PASSING_MAC, "default")
        guests.start_linux(LINUX_GUEST, LINUX_MAC, "default", LINUX_HOSTNAME)

    def address(self, name, is_ipv6=False):
        """The address that a client has; waits for it, and for the first time until the server has
        it too."""
        futures = self.ipv6 if is_ipv6 else self.ipv4
        address = futures[name].result(timeout=LEASE_S)["ip-address"]
        if address not in self.known:
            question = (f"{HOSTNAMES.get(name, name)}.libvirt", "AAAA" if is_ipv6 else "A")
            wait_until(lambda: address in dns.dig(*question).data, APPEAR_S, f"{name} is a name")
            self.known.add(address)
        return address

    def _watch_expiry(self, name):
        """Ends a client without a word, and asks for its name around the end of its lease. dnsmasq
        is frozen then, so that its lease stays in the file: the server must know by itself."""
        self.ipv4[name].result()
        self.clients[name].vanish()
        samples = []
        with self._frozen_before_end(self.clients[name].mac) as record, \
                dns.Asker(f"{name}.libvirt") as asker, nss.Watcher(name) as watcher:
            end = record["expiry-time"] + 1
            while time.time() < end + WATCH_S:
                samples.append(asker.ask())
                time.sleep(INTERVAL_S)
            kept = libvirt.lease(LAB, self.clients[name].mac)
            self.seen_by_nss = watcher.stop()
        return record, samples, kept

    @staticmethod
    @contextlib.contextmanager
    def _frozen_before_end(mac):
        """dnsmasq is frozen from shortly before a lease of the lab network ends. Yields its record.

        A client that is gone may still have its lease prolonged: dnsmasq answers no client while it
        pings an address for another, for three seconds each, and a request that was repeated
        meanwhile waits in its socket. So what the file says counts once nobody can write it."""
        while True:
            record = libvirt.lease(LAB, mac)
            time.sleep(max(0.0, record["expiry-time"] + 1 - WATCH_S - time.time()))
            with libvirt.frozen_dnsmasq("lab"):
                if libvirt.lease(LAB, mac) == record:
                    yield record
                    return


def _time_appearance(name):
    """Asks for a name until it is there. Returns the seconds from its lease file to the answer."""
    bridge, mac = CLIENTS[name]
    written = None
    deadline = time.monotonic() + LEASE_S
    with dns.Asker(f"{name}.libvirt") as asker:
        while time.monotonic() < deadline:
            if written is None and libvirt.lease(bridge, mac):
                # libvirt writes the file aside and renames it: its mtime is before anyone saw it.
                written = os.stat(libvirt.status_path(bridge)).st_mtime
            sample = asker.ask()
            if sample.data and written is not None:
                return sample.answered - written
            time.sleep(INTERVAL_S)
    raise AssertionError(f"{name} did not appear")


def setUpModule():
    global world
    world = World()


def tearDownModule():
    """Shows the server's log, and everything else that tells why when something failed."""
    print("\nleasedns serve said:\n" + world.server.log(), file=sys.stderr)


class Case(unittest.TestCase):
    def assert_addresses(self, name, rdtype, expected):
        """dig gives these addresses, and `leasedns list` has them."""
        wait_until(lambda: dns.dig(name + ".libvirt", rdtype).data == sorted(expected), APPEAR_S,
                   f"{name} has {expected}")
        reply = dns.dig(name + ".libvirt", rdtype)
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", sorted(expected)), name)
        self.assertIn("aa", reply.flags)
        listed = listed_addresses(name)
        for address in expected:
            self.assertIn(address, listed, name)
        database = {"A": "ahostsv4", "AAAA": "ahostsv6"}[rdtype]
        for spelling in (name, name + ".libvirt"):
            self.assertEqual(sorted(nss.addresses(spelling, database)), sorted(expected), spelling)

    def assert_absent(self, name, rdtype="A"):
        reply = dns.dig(name + ".libvirt", rdtype)
        self.assertTrue(reply.is_nxdomain, reply)
        self.assertEqual(listed_addresses(name), set())
        self.assertEqual(nss.addresses(name), [])


def listed_addresses(name):
    """The addresses that `leasedns list --json` has for a name."""
    return {row["address"] for row in leasedns.listed()
            if row["name"] == name and row["address"]}


class DhcpNames(Case):
    def test_host_name_of_a_lease_is_a_name(self):
        self.assert_addresses("vm", "A", [world.address("vm")])

    def test_name_appears_within_a_second_of_its_lease(self):
        for name, future in world.appeared.items():
            with self.subTest(name=name):
                seconds = future.result(timeout=LEASE_S)
                print(f"{name} was answered {seconds * 1000:.1f} ms after its lease was written")
                self.assertLess(seconds, APPEAR_S)

    def test_case_does_not_matter_and_is_repeated(self):
        address = world.address("Mixed-Case")
        for question in ("mixed-case.libvirt.", "MIXED-CASE.LibVirt."):
            reply = dns.dig(question, "A")
            self.assertEqual([(owner, data) for owner, _ttl, _type, data in reply.answers],
                             [(question, address)])

    def test_ipv6_lease_is_an_aaaa_record(self):
        self.assert_addresses("dual", "AAAA", [world.address("dual", is_ipv6=True)])
        self.assert_addresses("dual", "A", [world.address("dual")])

    def test_never_ending_lease_is_a_name(self):
        record = world.ipv4["forever"].result(timeout=LEASE_S)
        self.assertEqual(record["expiry-time"], 0)
        self.assert_addresses("forever", "A", [record["ip-address"]])

    def test_same_host_name_on_two_networks(self):
        here, there = world.address("twin"), world.address("twin-too")
        self.assert_addresses("twin", "A", [here, there])
        for bridge, address in ((DEFAULT, here), (LAB, there)):
            reply = dns.dig(f"twin.{bridge}.libvirt", "A")
            self.assertEqual((reply.rcode, reply.data), ("NOERROR", [address]))
        self.assertTrue(dns.dig(f"twin.{INFINITE}.libvirt", "A").is_nxdomain)

    def test_ttl_never_outlives_the_lease(self):
        world.address("brief")
        asked = time.time()
        (_owner, ttl, _type, _data), = dns.dig("brief.libvirt", "A").answers
        left = libvirt.lease(LAB, world.clients["brief"].mac)["expiry-time"] - asked
        self.assertLessEqual(ttl, left + 1)


class Endings(Case):
    def test_renewed_lease_keeps_its_name_and_shows_its_new_end(self):
        address = world.address("renewer")
        record = world.clients["renewer"].renew_ipv4()
        self.assertEqual(record["ip-address"], address)

        def shown():
            return [row for row in leasedns.listed()
                    if row["name"] == "renewer" and row["expires_unix"] == record["expiry-time"]]
        wait_until(shown, APPEAR_S, "the new end of the lease is listed")
        self.assert_addresses("renewer", "A", [address])

    def test_released_addresses_are_gone_one_by_one(self):
        client = Client("leaver", LAB, "52:54:00:00:01:04")
        ipv4 = client.take_ipv4("leaver")["ip-address"]
        ipv6 = client.take_ipv6("leaver")["ip-address"]
        wait_until(lambda: dns.dig("leaver.libvirt", "AAAA").data == [ipv6], APPEAR_S, "AAAA")
        self.assert_addresses("leaver", "A", [ipv4])

        client.release_ipv6()
        wait_until(lambda: dns.dig("leaver.libvirt", "AAAA").is_nodata, APPEAR_S, "no more AAAA")
        self.assert_addresses("leaver", "A", [ipv4])

        client.release_ipv4()
        wait_until(lambda: dns.dig("leaver.libvirt", "A").is_nxdomain, APPEAR_S, "no more name")
        self.assert_absent("leaver")

    def test_name_vanishes_in_the_second_its_lease_ends(self):
        record, samples, kept = world.expiry.result(timeout=ENDING_S)
        self.assertEqual(kept, record, "the file was not rewritten")
        # A lease lives through the second that the file names.
        end = record["expiry-time"] + 1
        alive = [sample for sample in samples if sample.rcode == "NOERROR"]
        gone = [sample for sample in samples if sample.rcode == "NXDOMAIN"]
        self.assertEqual(len(alive) + len(gone), len(samples))
        self.assertTrue(alive and gone)
        print(f"last answer {(alive[-1].answered - end) * 1000:+.1f} ms, first NXDOMAIN "
              f"{(gone[0].asked - end) * 1000:+.1f} ms from the end of the lease")
        for sample in samples:
            with self.subTest(asked=sample.asked - end):
                if sample.answered < end:
                    self.assertEqual(sample.data, [record["ip-address"]])
                elif sample.asked >= end:
                    self.assertEqual(sample.rcode, "NXDOMAIN")
        self.assert_absent("brief")

    def test_nss_sees_the_end_of_a_lease_in_that_second(self):
        record, _samples, _kept = world.expiry.result(timeout=ENDING_S)
        end = record["expiry-time"] + 1
        alive = [sample for sample in world.seen_by_nss if sample[1] < end]
        gone = [sample for sample in world.seen_by_nss if sample[0] >= end]
        self.assertTrue(alive and gone)
        self.assertEqual({tuple(found) for _asked, _answered, found in alive},
                         {(record["ip-address"],)})
        self.assertEqual({tuple(found) for _asked, _answered, found in gone}, {()})


class Guests(Case):
    @staticmethod
    def wait_for_guest(mac):
        return libvirt.wait_for_lease(DEFAULT, mac, timeout_s=LEASE_S)["ip-address"]

    def test_guest_whose_name_has_a_dot(self):
        address = self.wait_for_guest(LINUX_MAC)
        self.assert_addresses(LINUX_GUEST, "A", [address])
        self.assertTrue(dns.dig("04.libvirt", "A").is_nodata, "an empty non-terminal")

    def test_host_name_inside_a_guest_is_a_name_too(self):
        address = self.wait_for_guest(LINUX_MAC)
        self.assert_addresses(LINUX_HOSTNAME, "A", [address])

    def test_guest_whose_name_has_a_space_answers_to_a_dash(self):
        address = self.wait_for_guest(SPACED_MAC)
        self.assert_addresses("db-server", "A", [address])
        reply = dns.dig(r"db\032server.libvirt", "A")
        self.assertEqual((reply.rcode, reply.data), ("NOERROR", [address]))

    def test_guest_without_lease_is_known_and_gone_when_destroyed(self):
        address = self.wait_for_guest(PASSING_MAC)
        self.assert_addresses(PASSING_GUEST, "A", [address])
        self.assertTrue(dns.dig(PASSING_GUEST + ".libvirt", "AAAA").is_nodata)
        guests.destroy(PASSING_GUEST)
        wait_until(lambda: dns.dig(PASSING_GUEST + ".libvirt", "A").is_nxdomain, APPEAR_S,
                   "the name of the destroyed guest is gone")


class StaticNames(Case):
    def test_host_of_a_network(self):
        self.assert_addresses("printer", "A", ["192.168.150.5"])
        self.assert_addresses("printer", "AAAA", ["fd00:150::5"])
        self.assert_addresses("lp", "A", ["192.168.150.5"])

    def test_reservation_answers_before_and_after_its_machine_boots(self):
        self.assertIsNone(libvirt.lease(LAB, RESERVED_MAC))
        self.assert_addresses("reserved", "A", [RESERVED_IP])
        self.assertEqual(dns.dig("-x", RESERVED_IP).data, ["reserved.libvirt."])
        client = Client("reserved", LAB, RESERVED_MAC)
        self.assertEqual(client.take_ipv4("other")["ip-address"], RESERVED_IP)
        self.assert_addresses("reserved", "A", [RESERVED_IP])

    def test_hosts_added_to_a_running_network(self):
        for section, xml in (
                ("dns-host", "<host ip='192.168.150.7'><hostname>added</hostname></host>"),
                ("ip-dhcp-host",
                 "<host mac='52:54:00:00:01:08' name='expected' ip='192.168.150.8'/>")):
            libvirt.Libvirt.virsh("net-update", "lab", "add", section, xml, "--live")
        for name, address in (("added", "192.168.150.7"), ("expected", "192.168.150.8")):
            wait_until(lambda: dns.dig(name + ".libvirt", "A").data == [address], APPEAR_S, name)
            self.assert_addresses(name, "A", [address])


class Reverse(Case):
    def test_addresses_have_names(self):
        for address, names in ((world.address("vm"), {"vm.libvirt."}),
                               (world.address("dual", is_ipv6=True), {"dual.libvirt."}),
                               ("192.168.150.5", {"printer.libvirt."})):
            with self.subTest(address=address):
                reply = dns.dig("-x", address)
                self.assertEqual(reply.rcode, "NOERROR")
                self.assertTrue(reply.data)
                self.assertLessEqual(set(reply.data), names)

    def test_other_addresses_of_our_networks_have_none(self):
        world.address("vm"), world.address("dual", is_ipv6=True)
        for address in ("192.168.122.255", "fd00:150::dead"):
            with self.subTest(address=address):
                self.assertTrue(dns.dig("-x", address).is_nxdomain)

    def test_other_networks_are_not_ours(self):
        self.assertEqual(dns.dig("-x", "198.41.0.4").rcode, "SERVFAIL")  # nobody to ask
        self.assertTrue(dns.dig("-x", "192.0.2.1").is_nxdomain)  # never asked for


class Negatives(Case):
    def test_no_such_name(self):
        self.assert_absent("no-such-machine")

    def test_other_family_and_type_are_nodata(self):
        world.address("vm")
        for rdtype in ("AAAA", "MX", "SRV"):
            with self.subTest(rdtype=rdtype):
                self.assertTrue(dns.dig("vm.libvirt", rdtype).is_nodata)

    def test_apex_and_networks_exist(self):
        world.address("vm")
        self.assertEqual([a[2] for a in dns.dig("libvirt", "SOA").answers], ["SOA"])
        self.assertEqual([a[2] for a in dns.dig("libvirt", "NS").answers], ["NS"])
        self.assertTrue(dns.dig("libvirt", "A").is_nodata)
        self.assertTrue(dns.dig(f"{DEFAULT}.libvirt", "A").is_nodata)

    def test_other_zones_cannot_be_found_without_anybody_to_ask(self):
        self.assertEqual(dns.dig("example.com", "A").rcode, "SERVFAIL")

    def test_tcp_gives_the_same(self):
        address = world.address("vm")
        self.assertEqual(dns.dig("vm.libvirt", "A", "+tcp").data, [address])


class Networks(Case):
    def test_network_that_is_undefined_takes_its_names_along(self):
        libvirt.Libvirt.virsh("net-define", "/dev/stdin", stdin=LEAVING_NETWORK)
        libvirt.Libvirt.virsh("net-start", "leaving")
        client = Client("nomad", "virbr9", "52:54:00:00:09:01")
        address = client.take_ipv4("nomad")["ip-address"]
        wait_until(lambda: dns.dig("nomad.libvirt", "A").data == [address], APPEAR_S, "nomad")

        libvirt.Libvirt.virsh("net-destroy", "leaving")
        # libvirt keeps the lease, and gives it again when the network is started.
        self.assert_addresses("nomad", "A", [address])

        libvirt.Libvirt.virsh("net-undefine", "leaving")
        wait_until(lambda: dns.dig("nomad.libvirt", "A").is_nxdomain, APPEAR_S, "nomad is gone")
        self.assert_absent("nomad")
        self.assert_addresses("vm", "A", [world.address("vm")])


def assert_by_compatible_modules(case, name, expected):
    """What libvirt's own modules would say, in the line that its documentation has."""
    nss.use("files", "libvirt", "libvirt_guest")
    try:
        case.assertEqual(nss.addresses(name), expected, name)
    finally:
        nss.use("files", "leasedns")


class NssModules(Case):
    def test_compatible_modules_know_host_names_and_guests(self):
        # Waits for all of them before the line is changed.
        expected = {
            "vm": [world.address("vm")],
            "MIXED-case": [world.address("Mixed-Case")],
            LINUX_HOSTNAME: [libvirt.wait_for_lease(DEFAULT, LINUX_MAC)["ip-address"]],
            SPACED_GUEST: [libvirt.wait_for_lease(DEFAULT, SPACED_MAC)["ip-address"]],
        }
        expected[LINUX_GUEST] = expected[LINUX_HOSTNAME]
        for name, addresses in expected.items():
            with self.subTest(name=name):
                assert_by_compatible_modules(self, name, addresses)
        # Static names are of the merged view.
        assert_by_compatible_modules(self, "printer", [])

    def test_both_families_come_in_one_answer(self):
        self.assertEqual(set(nss.addresses("dual")),
                         {world.address("dual"), world.address("dual", is_ipv6=True)})

    def test_hosts_of_getent_has_name_and_address(self):
        address = world.address("vm")
        self.assertEqual(nss.getent("hosts", "vm"), [[address, "vm"]])
        self.assertEqual(nss.names(address)[0], "vm.libvirt")


class WithoutServer(Case):
    """The server is killed: from now on its index is not the truth, and NSS must see that."""

    def test_modules_are_right_at_once(self):
        here = world.address("vm")
        world.server.process.send(signal.SIGKILL)
        world.server.process.stop()
        self.assertEqual(nss.addresses("vm"), [here])

        # As soon as the lease is in libvirt's file it is a name.
        client = Client("orphan", LAB, "52:54:00:00:01:09")
        address = client.take_ipv4("orphan")["ip-address"]
        self.assertEqual(nss.addresses("orphan"), [address])
        self.assertEqual(nss.names(address)[0], "orphan.libvirt")
        self.assertEqual(nss.addresses(f"orphan.{LAB}.libvirt"), [address])
        assert_by_compatible_modules(self, "orphan", [address])
        client.release_ipv4()
        self.assertEqual(nss.addresses("orphan"), [])
        self.assertEqual(nss.names(address), [])

        self.assertEqual(nss.addresses("ubuntu22.04"),
                         [libvirt.lease(DEFAULT, LINUX_MAC)["ip-address"]])
        guests.destroy(LINUX_GUEST)
        wait_until(lambda: LINUX_GUEST not in (libvirt.DNSMASQ / f"{DEFAULT}.macs").read_text(),
                   60, "libvirt forgets the guest")
        self.assertEqual(nss.addresses(LINUX_GUEST), [])
        assert_by_compatible_modules(self, LINUX_GUEST, [])

        # What libvirt keeps for the next start of a network stays a name.
        libvirt.Libvirt.virsh("net-destroy", "default")
        self.assertEqual(nss.addresses("vm"), [here])

    def test_server_that_starts_again_knows_the_same(self):
        world.server = leasedns.Server("again")
        self.assertEqual(dns.dig("vm.libvirt", "A").data, nss.addresses("vm"))


class Configured(Case):
    """A second server, configured."""

    def test_other_address_and_names_of_networks(self):
        address = world.address("vm")
        server = leasedns.Server("configured", f"""\
[server]
listen = 127.0.0.53

[network]
{DEFAULT} = default

[index]
file = {sandbox.STATE}/configured.cdb
""", server="127.0.0.53")
        for name in ("vm.libvirt", "vm.default.libvirt", f"vm.{DEFAULT}.libvirt"):
            with self.subTest(name=name):
                self.assertEqual(dns.dig(name, server="127.0.0.53").data, [address])
        self.assertEqual(server.stop(), 0, server.log())


class ZEnd(Case):
    """Runs last."""

    def test_server_ends_when_asked(self):
        self.assertEqual(world.server.stop(), 0, world.server.log())


ORDER = (StaticNames, DhcpNames, Networks, Reverse, Negatives, Guests, NssModules, Configured, Endings,
         WithoutServer, ZEnd)


def load_tests(loader, _tests, _pattern):
    """In an order in which nothing waits for long: what takes time has started long before."""
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in ORDER)


def run_tests():
    program = unittest.main(verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        for path, text in libvirt.logs():
            print(f"--- end of {path}\n{text}", file=sys.stderr)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
