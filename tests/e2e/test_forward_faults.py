#!/usr/bin/python3
"""Upstreams that are dead, slow, flapping, refusing, ourselves or looping, and resolv.conf."""

import pathlib
import struct
import sys
import threading
import time
import unittest

import dns.rcode

from harness import sandbox, tools, upstreams
from harness.forwarding import (DNSMASQ, GOOD, KNOT, PLAYER, PLAYER2, UNBOUND, US, ZONE, Case,
                                addresses, ask, cpu_s, echo, ede, start_knot)
from harness.process import run, wait_until
from harness.upstreams import reply


class Failing(Case):
    def test_dead_slow_and_refusing_upstreams(self):
        def slow(player, query, source):
            threading.Timer(1.0, player.send, (reply(query), source)).start()

        parts = {"closed": None, "silent": lambda *_arguments: None, "slow": slow,
                 "refusing": lambda its, query, source: its.send(
                     reply(query, rcode=5, address=None), source)}
        for part, play in parts.items():
            with self.subTest(part=part), self.ending():
                player = self.player(PLAYER, play) if play else None
                us = self.us(f"upstream = {PLAYER} {KNOT}")
                for i in range(50):
                    self.assertEqual(addresses(ask(f"n{i}.{ZONE}")), [f"192.0.2.{i}"])
                # The first ones pay for what is found out, in time for any client; the others do
                # not: who must be waited for is not asked any more.
                if part in ("silent", "slow"):
                    self.assertLess(len(player.ids), 25)
                self.assertEqual(us.stop(), 0, us.log())

    def test_what_cannot_be_sent_is_asked_elsewhere_at_once(self):
        """A firewall of this host: send() fails, and nothing else tells of it."""
        rule = ("OUTPUT", "-d", PLAYER, "-p", "udp", "-j", "DROP")
        run("iptables", "-A", *rule)
        self.ends.append(lambda: run("iptables", "-D", *rule))
        player = self.player(PLAYER, echo)
        both = self.us(f"upstream = {PLAYER} {KNOT}\ncache-size = 0")
        for i in range(50):
            self.assertEqual(addresses(ask(f"n{i}.{ZONE}")), [f"192.0.2.{i}"])
        both.stop()
        self.us(f"upstream = {PLAYER}")
        answer = ask("a.example")
        self.assertEqual((answer.rcode(), ede(answer)), (dns.rcode.SERVFAIL, [23]))
        self.assertEqual(player.ids, [])

    def test_slow_upstream_alone_is_waited_for(self):
        self.player(PLAYER, lambda its, query, source: threading.Timer(
            1.0, its.send, (reply(query), source)).start())
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(addresses(ask("a.example")), [GOOD])

    def test_nobody_answers_in_bounded_time(self):
        self.player(PLAYER, lambda *_arguments: None)
        self.us(f"upstream = {PLAYER}")
        answer = ask("a.example")
        self.assertEqual((answer.rcode(), ede(answer)), (dns.rcode.SERVFAIL, [22]))

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
            wait_until(lambda: addresses(ask(f"{time.time_ns()}.example")) == [GOOD], 60,
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
        answer = ask("a.example")
        self.assertEqual((addresses(answer), ede(answer)), ([GOOD], [3]))
        self.assertEqual(answer.answer[0].ttl, 30)

    def test_failures_are_kept_for_a_moment(self):
        """RFC 9520: at least 1 s, so that nobody's retries hammer a server that fails."""
        state = {"rcode": 2}
        player = self.player(PLAYER, lambda its, query, source: its.send(
            reply(query, rcode=state["rcode"], address=None if state["rcode"] else GOOD), source))
        self.us(f"upstream = {PLAYER}")
        self.assertEqual(ask("a.example").rcode(), dns.rcode.SERVFAIL)
        asked = len(player.ids)
        answer = ask("a.example")
        self.assertEqual((answer.rcode(), ede(answer)), (dns.rcode.SERVFAIL, [13]))
        self.assertEqual(len(player.ids), asked)
        state["rcode"] = 0
        wait_until(lambda: addresses(ask("a.example")) == [GOOD], 60, "the answer after a failure")

    def test_extended_errors_say_why(self):
        """RFC 8914: nobody listens there; nobody answered; the upstream's own word."""
        def blocked(player, query, source):
            message = bytearray(reply(query, rcode=5, address=None))
            message[-2:] = struct.pack(">HHHH", 6, 15, 2, 15)
            player.send(bytes(message), source)

        for play, expected in ((None, [23]), (lambda *_arguments: None, [22]), (blocked, [15])):
            with self.subTest(expected=expected), self.ending():
                if play:
                    self.player(PLAYER, play)
                self.us(f"upstream = {PLAYER}")
                self.assertEqual(ede(ask("a.example")), expected)


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
        wait_until(found, 60, f"{expected} is the answer")

    def test_every_change_is_followed(self):
        self.player(PLAYER, echo)
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

    def test_kept_answers_are_those_of_the_servers_in_force(self):
        """A network joined, or a tunnel: the old servers' answers, and failures, are of no use."""
        alive = self.player(PLAYER, echo)
        self.player(PLAYER2, lambda its, query, source: its.send(reply(query, address="192.0.2.2"),
                                                                 source))
        self.PATH.unlink(missing_ok=True)
        self.write(f"nameserver {PLAYER}\n")
        us = self.us("upstream = resolv.conf")
        self.assertEqual(addresses(ask("kept.example")), [GOOD])
        alive.play = lambda *_arguments: None
        failing = threading.Thread(target=ask, args=("failing.example",))
        failing.start()
        wait_until(lambda: len(alive.ids) > 1, 20, "a question waits")
        self.publish(f"nameserver {PLAYER2}\n")
        failing.join()
        self.assertEqual(addresses(ask("failing.example")), ["192.0.2.2"])
        self.assertEqual(addresses(ask("kept.example")), ["192.0.2.2"])
        self.publish("")
        wait_until(lambda: "names no server" in us.log(), 20, "nobody is left to ask")
        self.assertEqual(addresses(ask("kept.example")), ["192.0.2.2"])


class Loops(Case):
    def test_own_sockets_are_never_asked(self):
        us = self.us("upstream = 127.0.0.99:5300", listen="0.0.0.0", port=5300)
        self.assertEqual(ask("a.example", port=5300).rcode(), dns.rcode.SERVFAIL)
        self.assertIn("127.0.0.99:5300 is leasedns itself", us.log())

    def check_loop(self, us, address):
        wait_until(lambda: "a loop" in us.log(), 60, "the loop is found")
        for server in (US, address):
            self.assertIn(ask(f"a{server[-1]}.example", server=server).rcode(),
                          (dns.rcode.SERVFAIL, dns.rcode.REFUSED))
        self.assertEqual(us.log().count("a loop"), 1)
        self.assertEqual(ede(ask("b.example")), [22])

    def test_us_and_dnsmasq(self):
        us = self.us(f"upstream = {DNSMASQ}")
        self.run_server(upstreams.dnsmasq, DNSMASQ, US, "libvirt")
        self.check_loop(us, DNSMASQ)

    def test_us_and_unbound(self):
        us = self.us(f"upstream = {UNBOUND}")
        self.run_server(upstreams.unbound, UNBOUND, US, "libvirt")
        self.check_loop(us, UNBOUND)

    def test_us_and_us(self):
        us = self.us("upstream = 127.0.2.4")
        other = self.us(f"upstream = {US}", listen="127.0.2.4", zone="other")
        # One of them opens it, and then the other sees none.
        wait_until(lambda: "a loop" in us.log() + other.log(), 60, "the loop is found")
        self.assertEqual(ask("a.example").rcode(), dns.rcode.SERVFAIL)

    def test_loop_that_comes_later_is_no_storm(self):
        """dnsmasq is restarted with us as its upstream, behind our back."""
        dnsmasq = upstreams.dnsmasq(DNSMASQ, KNOT, ZONE)
        us = self.us(f"upstream = {DNSMASQ}\ncache-size = 0")
        self.assertEqual(addresses(ask(f"n1.{ZONE}")), ["192.0.2.1"])
        dnsmasq.stop()
        self.run_server(upstreams.dnsmasq, DNSMASQ, US, "libvirt", name="dnsmasq2")
        before = cpu_s(us.process.pid)
        for i in range(10):
            self.assertEqual(ask(f"n{i}.{ZONE}").rcode(), dns.rcode.SERVFAIL)
        self.assertLess(cpu_s(us.process.pid) - before, 2)


def run_tests():
    tools.require()
    upstreams.own_etc()
    start_knot()
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
