#!/usr/bin/python3
"""Forwarding: leasedns between clients and real upstream servers, and ones that lie."""

import collections
import pathlib
import random
import struct
import sys
import time
import unittest

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring

from harness import sandbox, tools, upstreams
from harness.forwarding import (DNSMASQ, FORGED, GOOD, KNOT, NAMES, NSD, PLAYER, PLAYER2, UNBOUND,
                                US, ZONE, Case, Wire, addresses, ask, ask_tcp, echo,
                                start_knot)
from harness.upstreams import framed, reply

COMPARED = 5000
OTHERS = ((upstreams.unbound, UNBOUND), (upstreams.dnsmasq, DNSMASQ))


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
        answer = dns.query.udp(query, US, timeout=30)
        self.assertEqual(addresses(answer), [GOOD])
        self.assertEqual(answer.options, ())
        self.assertEqual(dns.message.from_wire(seen[0]).options, ())
        self.assertEqual(dns.message.from_wire(seen[0]).payload, 1232)


class Bits(Case):
    """What leasedns says itself about a reply, and what it answers without one."""

    def test_ad_is_for_those_who_understand_it(self):
        """RFC 6840 section 5.7: only if the client sent AD or DO."""
        self.player(PLAYER, lambda its, query, source: its.send(
            reply(query, flags=0x8520), source))
        self.us(f"upstream = {PLAYER}")
        for options, expected in (({}, False), ({"want_dnssec": True}, True), ({"ad": True}, True)):
            query = dns.message.make_query("a.example", "A", want_dnssec="want_dnssec" in options)
            if "ad" in options:
                query.flags |= dns.flags.AD
            for _ in ("asked", "kept"):
                answer = dns.query.udp(query, US, timeout=30)
                self.assertEqual(bool(answer.flags & dns.flags.AD), expected, options)

    def test_aa_is_the_upstreams_and_ra_is_ours(self):
        for upstream_flags, aa in ((0x8500, True), (0x8100, False)):
            with self.subTest(aa=aa), self.ending():
                self.player(PLAYER, lambda its, query, source, flags=upstream_flags: its.send(
                    reply(query, flags=flags), source))
                self.us(f"upstream = {PLAYER}")
                answer = ask("a.example")
                self.assertEqual(bool(answer.flags & dns.flags.AA), aa)
                self.assertTrue(answer.flags & dns.flags.RA)

    def test_who_wants_no_recursion_is_refused(self):
        player = self.player(PLAYER, echo)
        self.us(f"upstream = {PLAYER}")
        query = dns.message.make_query("a.example", "A", flags=0)
        self.assertEqual(dns.query.udp(query, US, timeout=30).rcode(), dns.rcode.REFUSED)
        self.assertEqual(player.ids, [])

    def test_upstream_none_is_refused(self):
        self.us("upstream = none")
        answer = ask("a.example")
        self.assertEqual(answer.rcode(), dns.rcode.REFUSED)
        self.assertFalse(answer.flags & dns.flags.RA)

    def test_signed_questions_are_refused(self):
        """There is no key, and forwarded as it is a signed question cannot be protected."""
        player = self.player(PLAYER, echo)
        self.us(f"upstream = {PLAYER}")
        query = dns.message.make_query("a.example", "A")
        query.use_tsig(dns.tsigkeyring.from_text({"key.example.": "c2VjcmV0c2VjcmV0"}))
        with self.assertRaises(dns.tsig.PeerBadKey):
            dns.query.udp(query, US, timeout=30)
        self.assertEqual(player.ids, [])

    def test_tcp_in_is_tcp_out(self):
        seen = []

        def play_tcp(query):
            seen.append(query)
            return framed(reply(query))

        player = self.player(PLAYER, echo, play_tcp)
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(addresses(ask("a.example", tcp=True)), [GOOD])
        self.assertEqual((len(seen), player.ids), (1, []))

    def test_kept_replies_grow_old(self):
        player = self.player(PLAYER, echo)
        self.us(f"upstream = {PLAYER}")
        start = time.monotonic()
        first = ask("a.example").answer[0].ttl
        time.sleep(2.1)
        older = first - ask("A.example").answer[0].ttl
        self.assertIn(older, range(2, int(time.monotonic() - start) + 2))
        self.assertEqual(len(player.ids), 1)

    def test_negative_answers_are_kept_as_long_as_soa_says(self):
        """RFC 2308: the zone's minimum is 60 s, its SOA's TTL 300."""
        self.us(f"upstream = {KNOT}")
        for _ in ("asked", "kept"):
            answer = ask(f"nobody.{ZONE}")
            self.assertEqual(answer.rcode(), dns.rcode.NXDOMAIN)
            self.assertLessEqual(answer.authority[0].ttl, 60)


class PrivateNames(Case):
    def test_they_never_leave(self):
        player = self.player(PLAYER, echo)
        self.us(f"upstream = {PLAYER}\nzone.home.arpa = {PLAYER}")
        for name in ("printer.local", "x.test", "1.1.168.192.in-addr.arpa", "a.onion", "b.alt",
                     "c.invalid", "localhost", "1.0.0.10.in-addr.arpa"):
            ask(name)
        self.assertEqual(player.ids, [])
        self.assertEqual(addresses(ask("tv.home.arpa")), [GOOD])
        self.assertEqual(addresses(ask("localhost")), ["127.0.0.1"])

    def test_longest_domain_wins(self):
        self.player(PLAYER, echo)
        self.player(PLAYER2, lambda its, query, source: its.send(
            reply(query, address="192.0.2.2"), source))
        self.us(f"upstream = none\nzone.corp = {PLAYER}\nzone.lab.corp = {PLAYER2}")
        self.assertEqual(addresses(ask("a.corp")), [GOOD])
        self.assertEqual(addresses(ask("xlab.corp")), [GOOD])
        self.assertEqual(addresses(ask("a.Lab.corp")), ["192.0.2.2"])
        self.assertEqual(addresses(ask("lab.corp")), ["192.0.2.2"])
        self.assertEqual(ask("a.example").rcode(), dns.rcode.REFUSED)


class Unforeseeable(Case):
    def check(self, ports, ids, count):
        self.assertGreaterEqual(len(set(ports)), 4300 * count // 5000)
        # 16 classes: 15 degrees of freedom, beyond 62 once in ten million runs.
        for shift in (0, 12):
            classes = collections.Counter(number >> shift & 15 for number in ids)
            chi = sum((classes[c] - count / 16) ** 2 / (count / 16) for c in range(16))
            self.assertLess(chi, 62, f"bits from {shift}")

    def test_ports_and_ids_in_sequence(self):
        player = self.player(PLAYER, echo)
        self.us(f"upstream = {PLAYER}\ncache-size = 0")
        query = dns.message.make_query("a.example", "A").to_wire()
        with Wire() as wire:
            for _ in range(5000):
                wire.ask(query)
        # More, if a busy machine let us wait.
        self.assertGreaterEqual(len(player.ids), 5000)
        self.check(player.sources, player.ids, len(player.ids))

    def test_ports_and_ids_at_once(self):
        player = self.player(PLAYER, echo)
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

    def test_replies_from_elsewhere_are_not_heard(self):
        """Right in all but the address that they come from."""
        other = self.player(PLAYER2, echo)

        def play(player, query, source):
            for _ in range(20):
                other.send(reply(query, address=FORGED), source)
            player.send(reply(query), source)

        self.player(PLAYER, play)
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(1000), (1000, 0))

    def test_reply_in_another_case_is_not_believed(self):
        """It has the id, and is asked for again over TCP."""
        def play(player, query, source):
            forged = bytearray(reply(query, address=FORGED))
            forged[13] ^= 0x20
            player.send(bytes(forged), source)
            player.send(reply(query), source)

        self.player(PLAYER, play, lambda query: framed(reply(query)))
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(1000, "name{}.example"), (1000, 0))

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
        self.player(PLAYER2, echo)
        self.us(f"upstream = {PLAYER} {PLAYER2}")
        self.assertEqual(self.count(70), (70, 0))

    def test_tc_leads_to_the_whole_reply(self):
        self.player(PLAYER, lambda its, query, source: its.send(
            reply(query, address=None, flags=0x8700), source), lambda query: framed(reply(query)))
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(self.count(100), (100, 0))


def run_tests():
    tools.require()
    start_knot()
    upstreams.nsd(NSD, ZONE, pathlib.Path(sandbox.STATE) / "example.zone")
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
