#!/usr/bin/python3
"""Forwarding: leasedns between clients and real upstream servers, and ones that lie, in a sandbox.

Every server has an address of 127.0.0.0/8 of its own and port 53.
"""

import collections
import contextlib
import itertools
import pathlib
import random
import socket
import statistics
import struct
import sys
import threading
import time
import unittest

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from harness import leasedns, sandbox, tools, upstreams
from harness.process import wait_until
from harness.upstreams import Player, framed, reply

US = "127.0.0.56"
KNOT, NSD = "127.0.1.1", "127.0.1.2"
PLAYER, PLAYER2 = "127.0.3.1", "127.0.3.2"
OTHERS = ((upstreams.unbound, "127.0.2.2"), (upstreams.dnsmasq, "127.0.2.3"))
ZONE = "example"
#: Names in the zone, beside special ones.
NAMES = 3000
COMPARED = 5000
GOOD, FORGED = "192.0.2.1", "203.0.113.66"


def zone_text():
    lines = [f"$ORIGIN {ZONE}.", "$TTL 300", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
             "ns A 127.0.1.1", "alias CNAME chain", "chain CNAME n1", "outside CNAME www.invalid.",
             "*.wild TXT wild", "unknown TYPE65280 \\# 5 0001020304", "empty TYPE65281 \\# 0",
             "mail MX 10 n1", "mail MX 20 n2", "_sip._tcp SRV 1 2 5060 n3",
             "caa CAA 0 issue \"ca.example\"", "naptr NAPTR 1 1 \"u\" \"sip\" \"!x!y!\" .",
             "https HTTPS 1 . alpn=h2", "od\\000d\\.name A 192.0.2.9", "MiXed A 192.0.2.8",
             "delegated NS ns.delegated", "ns.delegated A 192.0.2.53", "dname DNAME wild"]
    for size, count in (("large", 4), ("huge", 60), ("vast", 230)):
        lines += [f"{size} TXT " + '"' + f"{size}{i}".ljust(200, "x") + '"' for i in range(count)]
    for i in range(NAMES):
        lines += [f"n{i} A 192.0.2.{i % 250}", f"n{i} AAAA 2001:db8::{i:x}"]
    return "\n".join(lines) + "\n"


started = itertools.count()


def start_us(forward, listen=US, zone="libvirt", port=53):
    name = f"us{next(started)}"
    directory = pathlib.Path(sandbox.STATE) / f"{name}.d"
    (directory / "leases").mkdir(parents=True, exist_ok=True)
    (directory / "leases" / "virbr0.status").write_text(
        '[{"ip-address":"192.168.122.2","mac-address":"52:54:00:00:00:01","hostname":"vm",'
        '"expiry-time":0}]', encoding="ascii")
    return leasedns.Server(name, f"""\
[server]
listen = {listen}:{port}
[zone]
name = {zone}
[leases]
libvirt = {directory}/leases
[index]
file = {directory}/index.cdb
[forward]
{forward}
""", server=US if listen == "0.0.0.0" else listen, port=port, zone=zone)


def ask(name, rdtype="A", server=US, timeout=8, tcp=False, port=53, **options):
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232, **options)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, server, port=port, timeout=timeout)


def addresses(message):
    return sorted(item.to_text() for rrset in message.answer for item in rrset
                  if rrset.rdtype == dns.rdatatype.A)


def ede(message):
    return [option.code for option in message.options if option.otype == 15]


class Wire:
    """A client's socket with hand-made queries."""

    def __init__(self, server=US):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(8)
        self.socket.connect((server, 53))

    def ask(self, query):
        self.socket.send(query)
        return self.socket.recv(65535)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()


def ask_tcp(query, server=US):
    with socket.create_connection((server, 53), timeout=8) as connection:
        connection.sendall(framed(query))
        return upstreams.receive_framed(connection)


def comparable(octets):
    """A message without what may differ: id, RA, CD (we copy it, they need not), TTLs, OPT."""
    message = bytearray(octets)
    message[0:2] = b"\0\0"
    message[3] &= 0x6f
    counts = struct.unpack(">HHHH", message[4:12])
    at = upstreams.question_end(message) if counts[0] else 12
    for number in range(sum(counts[1:])):
        start = at
        while message[at] and message[at] < 0xc0:
            at += 1 + message[at]
        at += 2 if message[at] >= 0xc0 else 1
        rdtype, length = struct.unpack(">H", message[at:at + 2])[0], message[at + 8:at + 10]
        end = at + 10 + struct.unpack(">H", length)[0]
        if rdtype == 41:
            del message[start:end]
            message[10:12] = struct.pack(">H", counts[3] - 1)
            at = start
            if number != sum(counts[1:]) - 1:
                raise AssertionError("OPT is not the last record")
            continue
        message[at + 4:at + 8] = b"\0\0\0\0"
        at = end
    return bytes(message)


def make_wire(name, rdtype, rng):
    """Question with random case, DO, CD, AD and size."""
    text = "".join(c.upper() if rng.random() < 0.3 else c for c in name)
    query = dns.message.make_query(text, rdtype, want_dnssec=rng.random() < 0.4,
                                   use_edns=0, payload=rng.choice((512, 1232, 4096)))
    if rng.random() < 0.3:
        query.flags |= dns.flags.CD
    return query.to_wire()


class Case(unittest.TestCase):
    def setUp(self):
        self.ends = []

    def tearDown(self):
        while self.ends:
            self.ends.pop()()

    @contextlib.contextmanager
    def ending(self):
        """Leaves nothing running behind a subtest."""
        try:
            yield
        finally:
            self.tearDown()

    def us(self, forward, **options):
        server = start_us(forward, **options)
        self.ends.append(server.stop)
        return server

    def player(self, *arguments, **options):
        player = Player(*arguments, **options)
        self.ends.append(player.close)
        return player

    def run_server(self, make, *arguments, **options):
        process = make(*arguments, **options)
        self.ends.append(process.stop)
        return process


class Faithful(Case):
    """Octet by octet what the upstream says."""

    NAMES = ["alias", "chain", "outside", "x.wild", "unknown", "empty", "mail", "_sip._tcp", "caa",
             "naptr", "https", "od\\000d\\.name", "mixed", "x.delegated", "x.dname", "nothing",
             "large", "huge", "vast", "n1.n2", ""]
    TYPES = ["A", "AAAA", "TXT", "MX", "SRV", "CAA", "NAPTR", "HTTPS", "NS", "SOA", "DNSKEY", "DS",
             "NSEC", "CNAME", "TYPE65280", "TYPE65281", "TYPE1234", "PTR", "HINFO"]

    def compare(self, upstream, count, seed):
        rng = random.Random(seed)
        differing = []
        with Wire() as ours, Wire(upstream) as theirs:
            for _ in range(count):
                self.compare_one(rng, ours, theirs, upstream, differing)
        self.assertEqual(differing, [])

    def compare_one(self, rng, ours, theirs, upstream, differing):
        name = rng.choice(self.NAMES) if rng.random() < 0.5 else f"n{rng.randrange(NAMES)}"
        name = f"{name}.{ZONE}." if name else f"{ZONE}."
        query = make_wire(name, rng.choice(self.TYPES), rng)
        opt = upstreams.question_end(query)
        # A server that hears of less room truncates earlier; we ask with ours.
        room = bytearray(query)
        struct.pack_into(">H", room, opt + 3, 1232)
        got, expected = ours.ask(query), theirs.ask(bytes(room))
        limit = struct.unpack(">H", query[opt + 3:opt + 5])[0]
        if expected[2] & 2 or len(expected) > min(1232, limit):
            if not got[2] & 2:
                differing.append(f"{name}: should be truncated")
            got, expected = ask_tcp(query), ask_tcp(query, upstream)
        self.assertEqual((got[:2], got[3] & 0x90), (query[:2], 0x80 | query[3] & 0x10))
        if comparable(got) != comparable(expected) and len(differing) < 3:
            differing.append(f"{name}\n{got.hex()}\n{expected.hex()}")

    def test_knot(self):
        self.us(f"upstream = {KNOT}\ncache-size = 0")
        self.compare(KNOT, COMPARED, 1)

    def test_nsd(self):
        self.us(f"upstream = {NSD}\ncache-size = 0")
        self.compare(NSD, COMPARED // 5, 2)

    def test_through_unbound_and_dnsmasq(self):
        for make, address in OTHERS:
            with self.subTest(make=make.__name__), self.ending():
                self.run_server(make, address, KNOT, ZONE)
                us = self.us(f"upstream = {address}")
                for i in range(50):
                    self.assertEqual(addresses(ask(f"N{i}.{ZONE}")), [f"192.0.2.{i % 250}"])
                self.assertEqual(ask(f"nothing.{ZONE}").rcode(), dns.rcode.NXDOMAIN)
                self.assertEqual(len(ask(f"huge.{ZONE}", "TXT", tcp=True).answer[0]), 60)
                self.assertEqual(us.stop(), 0, us.log())

    def test_in_front_of_us(self):
        """unbound and dnsmasq ask us, and we Knot."""
        for make, address in OTHERS:
            with self.subTest(make=make.__name__), self.ending():
                self.us(f"upstream = {KNOT}")
                self.run_server(make, address, US, ZONE)
                for i in range(50):
                    self.assertEqual(addresses(ask(f"n{i}.{ZONE}", server=address)),
                                     [f"192.0.2.{i % 250}"])
                self.assertEqual(addresses(ask("vm.libvirt", server=address)), ["192.168.122.2"])

    def test_nothing_of_the_client_but_the_question_goes_upstream(self):
        seen = []

        def play(player, query, source):
            seen.append(query)
            player.send(reply(query), source)

        self.player(PLAYER, play)
        self.us(f"upstream = {PLAYER}")
        options = [dns.edns.GenericOption(10, b"12345678"),  # a cookie
                   dns.edns.GenericOption(8, b"\0\1\x18\0\xc0\0\2"),  # a subnet
                   dns.edns.GenericOption(11, b""), dns.edns.GenericOption(12, b"\0" * 30)]
        query = dns.message.make_query("a.example", "A", use_edns=0, options=options)
        answer = dns.query.udp(query, US, timeout=5)
        self.assertEqual(addresses(answer), [GOOD])
        self.assertEqual(answer.options, ())
        self.assertEqual(dns.message.from_wire(seen[0]).options, ())
        self.assertEqual(dns.message.from_wire(seen[0]).payload, 1232)


class Unforeseeable(Case):
    def check(self, ports, ids, count):
        self.assertGreaterEqual(len(set(ports)), 4300 * count // 5000)
        # 16 classes: 15 degrees of freedom, beyond 44.3 once in 10,000 runs.
        for shift in (0, 12):
            classes = collections.Counter(number >> shift & 15 for number in ids)
            chi = sum((classes[c] - count / 16) ** 2 / (count / 16) for c in range(16))
            self.assertLess(chi, 44.3, f"bits from {shift}")

    def test_ports_and_ids_in_sequence(self):
        player = self.player(PLAYER, lambda its, query, source: its.send(reply(query), source))
        self.us(f"upstream = {PLAYER}\ncache-size = 0")
        query = dns.message.make_query("a.example", "A").to_wire()
        with Wire() as wire:
            for _ in range(5000):
                wire.ask(query)
        self.assertEqual(len(player.ids), 5000)
        self.check(player.sources, player.ids, 5000)

    def test_ports_and_ids_at_once(self):
        player = self.player(PLAYER, lambda its, query, source: its.send(reply(query), source))
        self.us(f"upstream = {PLAYER}\ncache-size = 0")
        with Wire() as wire:
            for i in range(0, 5000, 250):
                for j in range(i, i + 250):
                    wire.socket.send(dns.message.make_query(f"n{j}.example", "A").to_wire())
                for _ in range(250):
                    wire.socket.recv(4096)
        self.check(player.sources, player.ids, len(player.ids))


def lies(query):
    """What is no reply to the query, each with an address that must not be believed."""
    good = reply(query, address=FORGED)
    other_name = bytearray(good)
    other_name[13] ^= 1
    other_case = bytearray(query)
    other_case[13] ^= 0x20
    other_type = bytearray(good)
    other_type[upstreams.question_end(query) - 3] = 28
    malformed = good[:len(good) - 13]
    return [b"", b"\0" * 11, bytes([good[0] ^ 1]) + good[1:], bytes(other_name), bytes(other_type),
            good[:2] + bytes([good[2] & 0x7f]) + good[3:], malformed]


class Evil(Case):
    def count(self, questions, name="{}.example"):
        good = forged = 0
        with Wire() as wire:
            for i in range(questions):
                found = addresses(dns.message.from_wire(
                    wire.ask(dns.message.make_query(name.format(i), "A").to_wire())))
                good += found == [GOOD]
                forged += FORGED in found
        return good, forged

    def test_good_reply_wins_behind_bad_ones(self):
        def play(player, query, source):
            forged = reply(query, address=FORGED)
            for lie in lies(query):
                player.send(lie, source)
            player.other.sendto(forged, source)  # right, but from another port
            player.send(reply(query), source)

        self.player(PLAYER, play)
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(1000), (1000, 0))

    def test_forged_replies_are_never_believed(self):
        """100 guesses for each of 1,000 questions."""
        def play(player, query, source):
            forged = bytearray(reply(query, address=FORGED))
            own = struct.unpack(">H", query[:2])[0]
            for _ in range(100):
                guess = random.randrange(65536)
                struct.pack_into(">H", forged, 0, guess if guess != own else own ^ 1)
                player.send(forged, source)

        self.player(PLAYER, play, lambda query: framed(reply(query)))
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(1000), (1000, 0))

    def test_tc_and_tcp_that_dies(self):
        """The first server truncates, and its connections end in many ways; the other is fine."""
        endings = [lambda query: b"", lambda query: b"\0", lambda query: framed(reply(query))[:20],
                   lambda query: b"\0\0", lambda query: framed(lies(query)[2]),
                   lambda query: framed(reply(query)[:30]), lambda query: b"\xff\xff" + b"x" * 99]
        turn = iter(range(10 ** 9))
        self.player(PLAYER, lambda its, query, source: its.send(
            reply(query, address=None, flags=0x8700), source),
            lambda query: endings[next(turn) % len(endings)](query))
        self.player(PLAYER2, lambda its, query, source: its.send(reply(query), source))
        self.us(f"upstream = {PLAYER} {PLAYER2}")
        self.assertEqual(self.count(70), (70, 0))

    def test_tc_leads_to_the_whole_reply(self):
        self.player(PLAYER, lambda its, query, source: its.send(
            reply(query, address=None, flags=0x8700), source), lambda query: framed(reply(query)))
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(100), (100, 0))


class Failing(Case):
    def test_dead_slow_and_refusing_upstreams(self):
        def slow(player, query, source):
            threading.Timer(1.0, player.send, (reply(query), source)).start()

        parts = {"closed": None, "silent": lambda *_arguments: None, "slow": slow,
                 "refusing": lambda its, query, source: its.send(
                     reply(query, rcode=5, address=None), source)}
        for part, play in parts.items():
            with self.subTest(part=part), self.ending():
                if play:
                    self.player(PLAYER, play)
                us = self.us(f"upstream = {PLAYER} {KNOT}")
                took = []
                for i in range(50):
                    start = time.monotonic()
                    self.assertEqual(addresses(ask(f"n{i}.{ZONE}")), [f"192.0.2.{i}"])
                    took.append(time.monotonic() - start)
                self.assertLess(max(took), 1.0)
                self.assertLess(statistics.median(took), 0.05)
                self.assertEqual(us.stop(), 0, us.log())

    def test_slow_upstream_alone_is_waited_for(self):
        self.player(PLAYER, lambda its, query, source: threading.Timer(
            1.0, its.send, (reply(query), source)).start())
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(addresses(ask("a.example")), [GOOD])

    def test_nobody_answers_in_bounded_time(self):
        self.player(PLAYER, lambda *_arguments: None)
        self.us(f"upstream = {PLAYER}")
        start = time.monotonic()
        answer = ask("a.example")
        self.assertEqual((answer.rcode(), ede(answer)), (dns.rcode.SERVFAIL, [22]))
        self.assertLess(time.monotonic() - start, 5)

    def test_flapping_upstream_is_used_again(self):
        state = {"alive": True}

        def play(player, query, source):
            if state["alive"]:
                player.send(reply(query), source)

        self.player(PLAYER, play)
        us = self.us(f"upstream = {PLAYER} {PLAYER2}")
        self.player(PLAYER2, lambda its, query, source: its.send(reply(query, address="192.0.2.2"),
                                                                 source))
        for i in range(3):
            state["alive"] = True
            wait_until(lambda: addresses(ask(f"{time.time_ns()}.example")) == [GOOD], 20,
                       f"the first server is used again, {us.log()}")
            state["alive"] = False
            for j in range(20):
                self.assertEqual(ask(f"dead{i}-{j}.example").rcode(), dns.rcode.NOERROR)

    def test_stale_answers_only_if_wanted(self):
        state = {"alive": True}

        def play(player, query, source):
            if state["alive"]:
                good = bytearray(reply(query))
                at = upstreams.question_end(query) + 6
                struct.pack_into(">I", good, at, 1)
                player.send(bytes(good), source)

        self.player(PLAYER, play)
        self.us(f"upstream = {PLAYER}\nserve-stale = 3600")
        self.assertEqual(addresses(ask("a.example")), [GOOD])
        state["alive"] = False
        time.sleep(2.1)
        start = time.monotonic()
        answer = ask("a.example")
        self.assertEqual((addresses(answer), ede(answer)), ([GOOD], [3]))
        self.assertEqual(answer.answer[0].ttl, 30)
        self.assertLess(time.monotonic() - start, 3)

    def test_local_answers_are_fast_while_upstreams_hang(self):
        self.player(PLAYER, lambda *_arguments: None)
        self.us(f"upstream = {PLAYER}")
        query = dns.message.make_query("vm.libvirt", "A").to_wire()
        took = []
        with Wire() as flood, Wire() as wire:
            for i in range(1500):
                flood.socket.send(dns.message.make_query(f"n{i}.example", "A").to_wire())
                start = time.monotonic()
                wire.ask(query)
                took.append(time.monotonic() - start)
        self.assertLess(statistics.quantiles(took, n=100)[98], 0.02)


class ResolvConf(Case):
    PATH = pathlib.Path("/etc/resolv.conf")

    def write(self, text):
        self.PATH.write_text(text, encoding="ascii")

    def publish(self, text):
        aside = self.PATH.with_name("resolv.conf.aside")
        aside.write_text(text, encoding="ascii")
        aside.rename(self.PATH)

    def expect(self, expected):
        def found():
            answer = ask(f"{time.time_ns()}.example")
            return (addresses(answer) or [dns.rcode.to_text(answer.rcode())]) == [expected]
        wait_until(found, 5, f"{expected} is the answer")

    def test_every_change_is_followed(self):
        self.player(PLAYER, lambda its, query, source: its.send(reply(query), source))
        self.player(PLAYER2, lambda its, query, source: its.send(reply(query, address="192.0.2.2"),
                                                                 source))
        self.PATH.unlink(missing_ok=True)
        us = self.us("upstream = resolv.conf")
        self.expect("SERVFAIL")  # and not 127.0.0.1
        self.write(f"nameserver {PLAYER}\n")
        self.expect(GOOD)
        self.publish(f"nameserver {PLAYER2}\n")
        self.expect("192.0.2.2")
        self.write(f"nameserver {PLAYER}\n")
        self.expect(GOOD)
        self.write("")
        self.expect("SERVFAIL")
        self.publish(f"nameserver {US}\nnameserver {PLAYER2}\n")  # the first is ourselves
        self.expect("192.0.2.2")
        self.PATH.unlink()
        self.expect("SERVFAIL")
        target = pathlib.Path("/run/resolve")
        target.mkdir()
        (target / "stub").write_text(f"nameserver {PLAYER}\n", encoding="ascii")
        self.PATH.symlink_to(target / "stub")
        self.expect(GOOD)
        (target / "stub").write_text(f"nameserver {PLAYER2}\n", encoding="ascii")
        self.expect("192.0.2.2")
        self.assertIn("is leasedns itself", us.log())


class Loops(Case):
    def test_own_sockets_are_never_asked(self):
        us = self.us("upstream = 127.0.0.99:5300", listen="0.0.0.0", port=5300)
        start = time.monotonic()
        self.assertEqual(ask("a.example", port=5300).rcode(), dns.rcode.SERVFAIL)
        self.assertLess(time.monotonic() - start, 1)
        self.assertIn("127.0.0.99:5300 is leasedns itself", us.log())

    def check_loop(self, us, address):
        wait_until(lambda: "a loop" in us.log(), 10, "the loop is found")
        for server in (US, address):
            start = time.monotonic()
            self.assertIn(ask(f"a{server[-1]}.example", server=server).rcode(),
                          (dns.rcode.SERVFAIL, dns.rcode.REFUSED))
            self.assertLess(time.monotonic() - start, 6)
        self.assertEqual(us.log().count("a loop"), 1)
        self.assertEqual(ede(ask("b.example")), [22])

    def test_us_and_dnsmasq(self):
        us = self.us("upstream = 127.0.2.3")
        self.run_server(upstreams.dnsmasq, "127.0.2.3", US, "libvirt")
        self.check_loop(us, "127.0.2.3")

    def test_us_and_unbound(self):
        us = self.us("upstream = 127.0.2.2")
        self.run_server(upstreams.unbound, "127.0.2.2", US, "libvirt")
        self.check_loop(us, "127.0.2.2")

    def test_us_and_us(self):
        us = self.us("upstream = 127.0.2.4")
        other = self.us(f"upstream = {US}", listen="127.0.2.4", zone="other")
        # One of them opens it, and then the other sees none.
        wait_until(lambda: "a loop" in us.log() + other.log(), 10, "the loop is found")
        self.assertEqual(ask("a.example").rcode(), dns.rcode.SERVFAIL)

    def test_loop_that_comes_later_is_no_storm(self):
        """dnsmasq is restarted with us as its upstream, behind our back."""
        dnsmasq = upstreams.dnsmasq("127.0.2.3", KNOT, ZONE)
        us = self.us("upstream = 127.0.2.3\ncache-size = 0")
        self.assertEqual(addresses(ask(f"n1.{ZONE}")), ["192.0.2.1"])
        dnsmasq.stop()
        self.run_server(upstreams.dnsmasq, "127.0.2.3", US, "libvirt", name="dnsmasq2")
        before = cpu_s(us.process.pid)
        for i in range(10):
            self.assertEqual(ask(f"n{i}.{ZONE}").rcode(), dns.rcode.SERVFAIL)
        self.assertLess(cpu_s(us.process.pid) - before, 2)


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


class Bounded(Case):
    def test_memory_is_flat_over_distinct_names(self):
        self.player(PLAYER, lambda its, query, source: its.send(reply(query), source))
        us = self.us(f"upstream = {PLAYER}\ncache-size = 512")
        sizes = []
        with Wire() as wire:
            for part in range(3):
                for i in range(10000):
                    wire.ask(dns.message.make_query(f"{part}-{i}.example", "A").to_wire())
                sizes.append(resident_kib(us.process.pid))
        self.assertLess(sizes[2] - sizes[0], 256, sizes)

    def test_private_names_never_leave(self):
        player = self.player(PLAYER, lambda its, query, source: its.send(reply(query), source))
        self.us(f"upstream = {PLAYER}\nzone.home.arpa = {PLAYER}")
        for name in ("printer.local", "x.test", "1.1.168.192.in-addr.arpa", "a.onion", "b.alt",
                     "c.invalid", "localhost", "1.0.0.10.in-addr.arpa"):
            ask(name)
        self.assertEqual(player.ids, [])
        self.assertEqual(addresses(ask("tv.home.arpa")), [GOOD])
        self.assertEqual(addresses(ask("localhost")), ["127.0.0.1"])


def run_tests():
    tools.require()
    upstreams.own_etc()
    zone = pathlib.Path(sandbox.STATE) / "example.zone"
    zone.write_text(zone_text(), encoding="ascii")
    upstreams.knot(KNOT, ZONE, zone)
    upstreams.nsd(NSD, ZONE, zone)
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
