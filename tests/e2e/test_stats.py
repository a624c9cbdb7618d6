#!/usr/bin/python3
"""Statistics and the query log: a real daemon between clients and real upstream servers counts what
it was asked; Prometheus's own parser reads what it prints."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import dns.flags
import dns.message
import dns.query
import dns.rcode
from prometheus_client.parser import text_string_to_metric_families

from harness import leasedns, sandbox, tools, upstreams
from harness.process import Background, run, wait_until

US = "127.0.0.56"
KNOT, DEAD = "127.0.1.1", "127.0.9.9"
ZONE = "example"
FORWARD = f"upstream = {KNOT}\nzone.dead = {DEAD}"
NOBODY = 65534

started = itertools.count()


class Us:
    """leasedns with a configuration file that may be written anew."""

    def __init__(self, forward="upstream = none", name=None, listen=US, more="", **server):
        self.name = name or f"us{next(started)}"
        self.directory = pathlib.Path(sandbox.STATE) / f"{self.name}.d"
        self.forward, self.listen = forward, listen
        (self.directory / "leases").mkdir(parents=True, exist_ok=True)
        (self.directory / "run").mkdir(exist_ok=True)
        (self.directory / "leases" / "virbr0.status").write_text(
            '[{"ip-address":"192.168.122.2","mac-address":"52:54:00:00:00:01","hostname":"vm",'
            '"expiry-time":0}]', encoding="ascii")
        self.index = self.directory / "run" / "index.cdb"
        self.conf = pathlib.Path(sandbox.STATE) / f"{self.name}.conf"
        self.server = leasedns.Server(self.name, self.text(more), server=listen.split()[0],
                                      **server)

    def text(self, more=""):
        return (f"[server]\nlisten = {self.listen}\n[leases]\nlibvirt = {self.directory}/leases\n"
                f"[index]\nfile = {self.index}\n[forward]\n{self.forward}\n{more}\n")

    @property
    def pid(self):
        return self.server.process.pid

    @property
    def control(self):
        return self.index.parent / "control"

    def reload(self, more=""):
        before = self.server.log().count("reload: ")
        self.conf.write_text(self.text(more), encoding="ascii")
        self.server.process.send(signal.SIGHUP)
        wait_until(lambda: self.server.log().count("reload: ") > before, 60, "it reloads")

    def stats(self):
        return json.loads(run(leasedns.program(), "stats", "-c", str(self.conf), "--json").stdout)

    def kill(self):
        self.server.process.send(signal.SIGKILL)
        self.server.process.stop()

    def lines(self):
        """Those of the query log, without what is in front."""
        return re.findall(r"^leasedns: query: (.*)$", self.server.log(), re.MULTILINE)

    def stop(self):
        return self.server.stop()


def ask(name, rdtype="A", server=US, tcp=False, rd=True, **options):
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232, **options)
    if not rd:
        query.flags &= ~dns.flags.RD
    return (dns.query.tcp if tcp else dns.query.udp)(query, server, timeout=60)


def send(*messages):
    """Messages that get no reply, or one that is no matter; and one that shows that they came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((US, 53))
        client.settimeout(60)
        for message in messages:
            client.send(message)
        last = dns.message.make_query("libvirt", "SOA")
        client.send(last.to_wire())
        while client.recv(65535)[:2] != last.to_wire()[:2]:
            pass


def differences(before, after):
    """What has changed among all numbers of two documents, as {"group.key": difference}."""
    changed = {}
    for group, value in after.items():
        if isinstance(value, dict):
            for key, number in value.items():
                changed[f"{group}.{key}"] = number - before[group][key]
        elif isinstance(value, int):
            changed[group] = value - before[group]
    return {key: number for key, number in changed.items() if number != 0}


class Case(unittest.TestCase):
    def us(self, *arguments, **options):
        us = Us(*arguments, **options)
        self.addCleanup(us.stop)
        return us

    @staticmethod
    def states(us):
        return {server["server"]: server["state"] for server in us.stats()["upstreams"]}


class Counting(Case):
    def settled(self, us, before, count):
        """The statistics when `count` more queries have been answered or dropped."""
        def done():
            after = us.stats()
            return after if sum(after["answers"].values()) >= sum(
                before["answers"].values()) + count else None
        return wait_until(done, 60, "all is answered")

    def expect(self, us, before, after, expected):
        changed = differences(before, after)
        groups = ("queries", "types", "answers", "rcodes")
        ours = {key: number for key, number in changed.items()
                if key.split(".")[0] in groups or key == "truncated"}
        self.assertEqual(ours, expected, us.server.log())

    def test_each_local_answer_counts_once(self):
        us = self.us()
        before = us.stats()
        for _ in range(3):
            ask("vm.libvirt")
        ask("vm.libvirt", "AAAA")
        ask("VM.Libvirt", "TXT", tcp=True)
        for _ in range(2):
            ask("none.libvirt")
        ask("2.122.168.192.in-addr.arpa", "PTR", tcp=True)
        ask("3.122.168.192.in-addr.arpa", "PTR")
        ask("www.example", "HTTPS")
        ask("libvirt", "SOA")
        self.expect(us, before, self.settled(us, before, 11), {
            "queries.udp": 9, "queries.tcp": 2,
            "types.A": 5, "types.AAAA": 1, "types.TXT": 1, "types.PTR": 2, "types.HTTPS": 1,
            "types.SOA": 1,
            "answers.local": 8, "answers.reverse": 2, "answers.refused": 1,
            "rcodes.NOERROR": 7, "rcodes.NXDOMAIN": 3, "rcodes.REFUSED": 1})

    def test_what_is_no_good_question_counts_as_that(self):
        us = self.us()
        before = us.stats()
        query = bytearray(dns.message.make_query("vm.libvirt", "A", use_edns=0).to_wire())
        update, response, version, trailing = (bytearray(query) for _ in range(4))
        update[2] |= 0x28
        response[2] |= 0x80
        version[-5] = 1
        trailing += b"x"
        send(update, response, version, trailing, query[:11], b"", query[:20])
        ask("version.bind", "TXT", rdclass="CH")
        ask("libvirt", "AXFR")
        self.expect(us, before, self.settled(us, before, 10), {
            "queries.udp": 10,
            "types.A": 4, "types.TXT": 1, "types.SOA": 1, "types.other": 1, "types.none": 3,
            "answers.local": 1, "answers.refused": 2, "answers.invalid": 4, "answers.dropped": 3,
            "rcodes.NOERROR": 1, "rcodes.NOTIMP": 1, "rcodes.BADVERS": 1, "rcodes.FORMERR": 2,
            "rcodes.REFUSED": 2})

    def test_each_forwarded_answer_counts_once(self):
        us = self.us(FORWARD)
        before = us.stats()
        ask(f"n1.{ZONE}")
        for _ in range(4):
            ask(f"n1.{ZONE}", tcp=True)
        ask(f"none.{ZONE}")
        self.assertTrue(ask(f"large.{ZONE}", "TXT").flags & dns.flags.TC)
        ask(f"large.{ZONE}", "TXT", tcp=True)
        ask(f"n2.{ZONE}", "AAAA", rd=False)
        ask("localhost")
        ask("printer.local")
        ask("vm.libvirt")
        for _ in range(2):
            self.assertEqual(ask("a.dead").rcode(), dns.rcode.SERVFAIL)
        after = self.settled(us, before, 14)
        self.expect(us, before, after, {
            "queries.udp": 9, "queries.tcp": 5,
            "types.A": 11, "types.AAAA": 1, "types.TXT": 2,
            "answers.forwarded": 3, "answers.cached": 6, "answers.refused": 1,
            "answers.special": 2, "answers.local": 1, "answers.failed": 1,
            "rcodes.NOERROR": 9, "rcodes.NXDOMAIN": 2, "rcodes.REFUSED": 1,
            "rcodes.SERVFAIL": 2, "truncated": 1})
        changed = differences(before, after)
        self.assertEqual(changed["cache.hits"], 6)
        self.assertEqual(changed["cache.misses"], 4)
        self.assertEqual(changed["cache.entries"], 4)
        self.assertEqual(changed["forward.asked"], 4)
        self.assertEqual(changed["forward.answered"], 3)
        self.assertEqual(changed["forward.failed"], 1)
        self.assertEqual(changed["forward.truncated"], 1)
        # More, if a server on a busy machine seemed to be silent.
        self.assertGreaterEqual(changed["attempts.tcp"], 1)
        servers = {server["server"]: server for server in after["upstreams"]}
        knot, dead = servers[f"{KNOT}:53"], servers[f"{DEAD}:53"]
        self.assertEqual((knot["zone"], dead["zone"]), ("", "dead"))
        self.assertGreaterEqual(knot["queries"], 4)
        self.assertGreater(knot["latency_us"], 0)
        self.assertEqual(knot["queries"] + dead["queries"],
                         changed["attempts.udp"] + changed["attempts.tcp"])
        self.assertEqual(dead["replies"], 0)
        self.assertGreater(dead["timeouts"], 0)
        wait_until(lambda: self.states(us) == {f"{KNOT}:53": "up", f"{DEAD}:53": "down"}, 60,
                   "the dead server is known to be down, and the other to live")

    def test_waiting_clients_are_counted_when_they_are_answered(self):
        """The upstream server is silent until we say so; after 4.5 s that is too late."""
        held = []
        player = upstreams.Player("127.0.3.1", lambda its, query, source: held.append(
            (query, source)))
        self.addCleanup(player.close)
        us = self.us("upstream = 127.0.3.1")
        self.assertTrue(any(self.is_answered_in_time(us, player, held, f"slow{number}.example")
                            for number in range(10)))

    def is_answered_in_time(self, us, player, held, name):
        """Three clients ask for a name. False if the machine is too busy for an answer in time."""
        before = wait_until(lambda: (lambda now: now["forward"]["clients"] == 0 and now)(
            us.stats()), 60, "nobody waits")
        held.clear()
        start = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(60)
            client.connect((US, 53))
            for number in range(3):
                query = dns.message.make_query(name, "A", id=number + 1)
                client.send(query.to_wire())
            during = wait_until(
                lambda: (lambda now: (now["forward"]["clients"] == 3 and now) or
                         time.monotonic() > start + 4)(us.stats()), 60, "three wait")
            if during is True:
                return False
            self.assertEqual(differences(before, during)["queries.udp"], 3)
            self.assertFalse(any(key.startswith("answers.")
                                 for key in differences(before, during)))
            wait_until(lambda: held, 60, "it was asked")
            for query, source in list(held):
                player.send(upstreams.reply(query), source)
            for _ in range(3):
                client.recv(4096)
            if time.monotonic() > start + 4:
                return False
        after = self.settled(us, before, 3)
        changed = differences(before, after)
        self.assertEqual(changed["answers.forwarded"], 3)
        self.assertEqual(changed["forward.merged"], 2)
        self.assertEqual(changed["forward.asked"], 1)
        self.assertEqual(after["forward"]["clients"], 0)
        return True

    def test_sums_agree_and_builds_are_counted(self):
        us = self.us()
        wait_until(lambda: us.stats()["last_build"]["is_published"] == 1, 60, "it is published")
        before = us.stats()
        leases = us.directory / "leases" / "virbr1.status"
        leases.write_text('[{"ip-address":"10.0.0.1","mac-address":"52:54:00:00:00:02",'
                          '"hostname":"more","expiry-time":0}]', encoding="ascii")
        after = wait_until(lambda: (lambda now: now["names"] > before["names"] and now)(
            us.stats()), 60, "the new name is counted")
        self.assertGreater(after["builds"]["built"], before["builds"]["built"])
        self.assertEqual(after["started_unix_s"], before["started_unix_s"])
        self.assertEqual(after["builds"]["failed"], 0)
        self.assertGreater(after["last_build"]["took_us"], 0)
        self.assertLessEqual(abs(after["last_build"]["ended_unix_s"] - time.time()), 60)
        self.assertEqual(sum(after["answers"].values()), sum(after["queries"].values()))
        self.assertEqual(sum(after["types"].values()), sum(after["queries"].values()))
        self.assertEqual(sum(after["rcodes"].values()) + after["answers"]["dropped"],
                         sum(after["answers"].values()))
        self.assertGreaterEqual(after["udp"]["received"], after["queries"]["udp"])


class Prometheus(Case):
    @staticmethod
    def quiet_moment(us):
        """The same statistics in three ways, or None if they changed between."""
        before = us.stats()
        text = run(leasedns.program(), "stats", "-c", str(us.conf), "--prometheus").stdout
        after = us.stats()
        for document in (before, after):
            document["uptime_s"] = 0
        is_probed = all(server["latency_us"] or server["failures"] for server in after["upstreams"])
        return (before, text, after) if before == after and is_probed else None

    def test_its_own_parser_reads_the_same_numbers(self):
        us = self.us(FORWARD)
        ask(f"n1.{ZONE}")
        ask("vm.libvirt", tcp=True)
        before, text, document = wait_until(lambda: self.quiet_moment(us), 60, "nothing changes")
        self.assertEqual(before["queries"], document["queries"])
        families = {family.name: family for family in text_string_to_metric_families(text)}
        self.assertEqual(len(families), text.count("# TYPE "))
        for family in families.values():
            self.assertIn(family.type, ("counter", "gauge"), family.name)
            self.assertGreater(len(family.documentation), 10, family.name)
            self.assertRegex(family.name, r"^leasedns_[a-z_]+$")
            self.assertTrue(family.samples, family.name)
            for sample in family.samples:
                self.assertEqual(sample.name,
                                 family.name + ("_total" if family.type == "counter" else ""))

        def values(name, label):
            return {sample.labels[label]: sample.value for sample in families[name].samples}

        self.assertEqual(values("leasedns_queries", "transport"), document["queries"])
        self.assertEqual(values("leasedns_query_types", "type"), document["types"])
        self.assertEqual(values("leasedns_answers", "verdict"), document["answers"])
        self.assertEqual(values("leasedns_replies", "rcode"), document["rcodes"])
        self.assertEqual(values("leasedns_index_builds", "result"), document["builds"])
        self.assertEqual(values("leasedns_build_info", "version"), {document["version"]: 1})
        self.assertEqual(families["leasedns_start_time_seconds"].samples[0].value,
                         document["started_unix_s"])
        self.assertEqual(families["leasedns_cache_limit_bytes"].samples[0].value, 4096 * 1024)
        servers = {(sample.labels["server"], sample.labels["zone"]): sample.value
                   for sample in families["leasedns_upstream_up"].samples}
        self.assertEqual(set(servers), {(f"{KNOT}:53", ""), (f"{DEAD}:53", "dead")})
        self.assertEqual(servers[(f"{KNOT}:53", "")], 1)
        latency = values("leasedns_upstream_latency_seconds", "server")
        self.assertEqual(latency[f"{KNOT}:53"], document["upstreams"][1]["latency_us"] / 1e6)

    def test_people_get_a_table(self):
        us = self.us(FORWARD)
        ask("vm.libvirt")
        wait_until(lambda: self.states(us)[f"{KNOT}:53"] == "up", 60, "the server lives")
        text = run(leasedns.program(), "stats", "-c", str(us.conf)).stdout
        self.assertRegex(text, r"(?m)^STATISTIC +OF +VALUE$")
        self.assertRegex(text, r"(?m)^queries +udp +\d+$")
        self.assertRegex(text, rf"(?m)^{KNOT}:53 +- +up +")
        self.assertNotRegex(text, r"(?m)^replied +FORMERR ")
        text = run(leasedns.program(), "stats", "-c", str(us.conf), "--all").stdout
        self.assertRegex(text, r"(?m)^replied +FORMERR +0$")


class Log(Case):
    ON = "[log]\nqueries = yes"

    def test_each_query_has_its_line(self):
        us = self.us(FORWARD, more=self.ON, listen=f"{US} ::1")
        before = len(us.lines())
        ask("vm.libvirt")
        ask("vm.libvirt", "AAAA", tcp=True, server="::1")
        ask("2.122.168.192.in-addr.arpa", "PTR")
        ask(f"n1.{ZONE}")
        ask(f"N1.{ZONE}", tcp=True)
        ask(f"none.{ZONE}", "TYPE65280")
        ask("localhost")
        ask("a.dead")
        ask("version.bind", "TXT", rdclass="CH")
        ask(".", "NS", rd=False)
        send(b"\0" * 5)
        expected = [
            "127.0.0.1 vm.libvirt A udp local NOERROR",
            "::1 vm.libvirt AAAA tcp local NOERROR",
            "127.0.0.1 2.122.168.192.in-addr.arpa PTR udp reverse NOERROR",
            f"127.0.0.1 n1.{ZONE} A udp forwarded NOERROR",
            f"127.0.0.1 N1.{ZONE} A tcp cached NOERROR",
            f"127.0.0.1 none.{ZONE} TYPE65280 udp forwarded NXDOMAIN",
            "127.0.0.1 localhost A udp special NOERROR",
            "127.0.0.1 a.dead A udp failed SERVFAIL",
            "127.0.0.1 version.bind TXT/CH udp refused REFUSED",
            "127.0.0.1 . NS udp refused REFUSED",
            "127.0.0.1 - - udp dropped -",
            "127.0.0.1 libvirt SOA udp local NOERROR",
        ]
        wait_until(lambda: len(us.lines()) >= before + len(expected), 60, "all lines are there")
        lines = us.lines()[before:]
        for line in lines:
            self.assertRegex(line, r" \d+ us$")
        self.assertEqual([line.rsplit(" ", 2)[0] for line in lines], expected)
        self.assertEqual(us.stats()["query_log"], {"written": len(us.lines()), "left_out": 0})

    def test_hostile_names_stay_words_on_their_line(self):
        us = self.us(more=self.ON)
        labels = (b"\nleasedns: query: 10.0.0.1 fake A udp local NOERROR 1 us", b"a.b", b"\x1b[2J",
                  b"\xe2\x80\xae\xff\0", b"%s%n\\\"$(id)")
        name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
        query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
        send(query)
        wait_until(lambda: any("fake" in line for line in us.lines()), 60, "it is in the log")
        line, = [line for line in us.lines() if "fake" in line]
        words = line.split(" ")
        self.assertEqual(len(words), 8, line)
        self.assertEqual(words[1], r"\010leasedns:\032query:\03210\.0\.0\.1\032fake\032A\032udp"
                         r"\032local\032NOERROR\0321\032us.a\.b.\027[2J.\226\128\174\255\000."
                         r"%s%n\\\"\$\(id\)")
        self.assertTrue(us.server.log().isascii())

    def test_reload_switches_it(self):
        us = self.us()
        ask("vm.libvirt")
        self.assertEqual(us.lines(), [])
        us.reload(self.ON)
        ask("vm.libvirt")
        wait_until(us.lines, 60, "it is in the log")
        us.reload()
        ask("vm.libvirt")
        self.assertEqual(len(us.lines()), 1)
        us.reload("[log]\nqueries = perhaps")
        self.assertIn("neither yes nor no", us.server.log())
        us.reload()
        self.assertEqual(us.stats()["query_log"]["written"], 1)

    def test_too_many_lines_are_left_out_and_counted(self):
        us = self.us(more=self.ON)
        query = dns.message.make_query("vm.libvirt", "A").to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((US, 53))
            client.settimeout(60)
            # 2,000 in ten seconds are not too many; a busy machine may take long for more.
            for _ in range(40):
                for _ in range(50):
                    for _ in range(50):
                        client.send(query)
                    for _ in range(50):
                        client.recv(4096)
                counted = us.stats()
                if counted["query_log"]["left_out"] > 0:
                    break
        us.reload()
        told = sum(map(int, re.findall(r"query: (\d+) lines left out", us.server.log())))
        lines = [line for line in us.lines() if "left out" not in line]
        self.assertGreaterEqual(len(lines), 2000)
        self.assertGreater(told, 0)
        self.assertEqual(len(lines) + told, sum(counted["queries"].values()))
        self.assertEqual(counted["query_log"], {"written": len(lines), "left_out": told})

    def test_log_that_nobody_reads_holds_up_no_answer(self):
        us = self.us(more=self.ON)
        us.stop()
        reader, writer = os.pipe()
        with open(reader, "rb") as unread, open(writer, "wb") as stderr:
            child = subprocess.Popen([leasedns.program(), "serve", "-c", str(us.conf)],
                                     stdin=subprocess.DEVNULL, stderr=stderr)
            try:
                query = dns.message.make_query("vm.libvirt", "A")
                wait_until(lambda: self.is_answered(query), 60, "it answers")
                for _ in range(1900):
                    dns.query.udp(query, US, timeout=60)
                log = us.stats()["query_log"]
                self.assertGreater(log["left_out"], 0)
                self.assertGreater(log["written"], 0)
            finally:
                stderr.close()
                child.send_signal(signal.SIGTERM)
                unread.read()
                child.wait(60)

    @staticmethod
    def is_answered(query):
        try:
            return dns.query.udp(query, US, timeout=1)
        except (OSError, dns.exception.Timeout):
            return None


class Control(Case):
    def connect(self, us):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        client.connect(str(us.control))  # Waits while the daemon's queue is full.
        client.settimeout(60)
        return client

    def raw(self, us, request):
        client = self.connect(us)
        client.sendall(request)
        text = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                text += piece
        return text

    def test_protocol_can_be_spoken_by_hand(self):
        us = self.us()
        self.assertEqual(self.raw(us, b"stats\n").count(b"\n"), 1)
        self.assertIn("answers", json.loads(self.raw(us, b"stats\n")))
        self.assertIn("error", json.loads(self.raw(us, b"reload\n")))
        self.assertEqual(self.raw(us, b"x" * 1000), b"")

    @staticmethod
    def sockets(us):
        """How many the daemon has open: builds of the index come and go among its files."""
        count = 0
        for name in os.listdir(f"/proc/{us.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"/proc/{us.pid}/fd/{name}").startswith("socket:")
        return count

    def test_hanging_clients_are_cut_off_and_disturb_nobody(self):
        us = self.us()
        before = self.sockets(us)
        silent = [self.connect(us) for _ in range(40)]
        deaf = self.connect(us)
        deaf.sendall(b"stats\n")
        half = self.connect(us)
        half.sendall(b"sta")
        self.assertIn("answers", us.stats())
        self.assertEqual(ask("vm.libvirt").rcode(), dns.rcode.NOERROR)
        self.assertLessEqual(self.sockets(us), before + 17)  # One comes, one goes.
        for client in (*silent, half):
            self.assertEqual(client.recv(100), b"")
        wait_until(lambda: self.sockets(us) == before, 60, "all are closed")

    def test_socket_follows_the_index(self):
        us = self.us()
        old = us.control
        us.index = us.directory / "elsewhere" / "index.cdb"
        us.reload()
        self.assertNotEqual(us.control, old)
        self.assertIn("answers", us.stats())
        self.assertFalse(old.exists())
        self.assertEqual(us.stop(), 0)
        self.assertFalse(us.control.exists())

    def test_two_daemons_with_one_index(self):
        first = self.us(name="pair")
        second = self.us(name="pair2", listen="127.0.0.57")
        second.index = first.index
        second.reload()
        self.assertIn(f"control socket '{first.control}': another leasedns answers there",
                      second.server.log())
        ask("vm.libvirt", tcp=True)  # of the first
        self.assertEqual(second.stats()["queries"]["tcp"], 1)
        self.assertTrue(ask("vm.libvirt", server="127.0.0.57").answer)
        first.kill()
        self.assertTrue(first.control.exists())  # Nobody listens there.
        self.assertEqual(run(leasedns.program(), "stats", "-c", str(first.conf),
                             check=False).returncode, 1)
        second.reload()
        self.assertEqual(second.stats()["queries"]["tcp"], 0)
        self.assertEqual(second.stop(), 0)
        self.assertFalse(first.control.exists())

    def test_socket_of_a_crash_is_replaced(self):
        us = self.us(name="crash")
        us.kill()
        self.assertTrue(us.control.is_socket())
        us = self.us(name="crash")
        self.assertIn("answers", us.stats())
        self.assertNotIn("control socket", us.server.log())

    def test_what_is_no_socket_stays(self):
        us = self.us(name="taken")
        us.stop()
        us.control.write_text("mine", encoding="ascii")
        us = self.us(name="taken")
        self.assertIn(f"control socket '{us.control}': Socket operation on non-socket; serving",
                      us.server.log())
        self.assertTrue(ask("vm.libvirt").answer)
        self.assertEqual(us.stop(), 0)
        self.assertEqual(us.control.read_text(encoding="ascii"), "mine")

    def test_anybody_may_read(self):
        us = self.us()
        copy = pathlib.Path(sandbox.STATE) / "leasedns"
        shutil.copy(leasedns.program(), copy)
        copy.chmod(0o755)
        text = run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                   str(copy), "stats", "-c", str(us.conf), "--json").stdout
        self.assertIn("answers", json.loads(text))

    def test_daemon_without_privileges(self):
        us = self.us(name="low")
        us.stop()
        shutil.chown(us.index.parent, NOBODY, NOBODY)
        us.index.unlink(missing_ok=True)
        copy = pathlib.Path(sandbox.STATE) / "leasedns-low"
        shutil.copy(leasedns.program(), copy)
        copy.chmod(0o755)
        us.listen = f"{US}:5300"
        us.conf.write_text(us.text(), encoding="ascii")
        daemon = Background("low-daemon", [
            "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(copy),
            "serve", "-c", str(us.conf)])
        # It is there before somebody listens.
        wait_until(lambda: run(leasedns.program(), "stats", "-c", str(us.conf),
                               check=False).returncode == 0, 60, "it answers")
        self.assertIn("answers", us.stats())
        self.assertEqual(us.control.stat().st_uid, NOBODY)
        self.assertEqual(us.control.stat().st_mode & 0o777, 0o666)
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(us.control.exists())


class Errors(Case):
    """A server of leasedns's, and other things at the place of its socket."""

    def setUp(self):
        self.directory = pathlib.Path(sandbox.STATE) / f"errors{next(started)}"
        self.directory.mkdir()
        self.conf = self.directory / "conf"
        self.conf.write_text(f"[index]\nfile = {self.directory}/index.cdb\n", encoding="ascii")

    def stats(self, *options):
        done = run(leasedns.program(), "stats", "-c", str(self.conf), *options, check=False)
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def answered(self, text):
        """What `leasedns stats` says if that is what it gets."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(f"{self.directory}/control")
            server.listen(1)
            with subprocess.Popen([leasedns.program(), "stats", "-c", str(self.conf)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
                client = server.accept()[0]
                with client:
                    client.recv(100)
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        client.sendall(text)
                output, errors = child.communicate(timeout=60)
        os.unlink(f"{self.directory}/control")
        self.assertEqual((child.returncode, output), (1, b""))
        return errors.decode()

    def test_no_server(self):
        code, text = self.stats()
        self.assertEqual(code, 1)
        self.assertIn(f"no server answers at '{self.directory}/control'", text)
        self.assertIn("-c", text)

    def test_answers_that_make_no_sense_are_refused(self):
        for text in (b"", b"hello\n", b"[1,2]\n", b"{\"names\":", b"7\n", b"\0{}\n"):
            self.assertIn("is no leasedns", self.answered(text))
        self.assertIn("says: so\\032what\\027", self.answered(b'{"error":"so what\\u001b"}\n'))
        self.assertIn("too much", self.answered(b" " * (5 << 20)))

    def test_bad_arguments(self):
        self.assertEqual(self.stats("--json", "--prometheus")[0], 2)
        self.assertEqual(self.stats("--watch")[0], 2)
        self.assertEqual(self.stats("now")[0], 2)


class Document(Case):
    """docs/monitoring.md: its commands are run, its words are the program's."""

    TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs/monitoring.md").read_text(
        encoding="utf-8")

    def shell(self, command):
        path = f"{os.path.dirname(os.path.abspath(leasedns.program()))}:{os.environ['PATH']}"
        return run("/bin/bash", "-c", f"set -eu -o pipefail; PATH={path}; {command}").stdout

    def commands(self):
        return re.findall(r"^    \$ (.*)$", self.TEXT, re.MULTILINE)

    def test_commands(self):
        """With the defaults, as on any host."""
        server = leasedns.Server("defaults")
        self.addCleanup(server.stop)
        ours = [command for command in self.commands() if command.startswith("leasedns ")]
        self.assertEqual(len(ours), 4)
        for command in ours:
            self.assertTrue(self.shell(command), command)
        self.assertIn("local", json.loads(self.shell(ours[2])))
        cron, = re.findall(r"^    \* \* \* \* \* root (.*)$", self.TEXT, re.MULTILINE)
        directory = pathlib.Path(sandbox.STATE) / "node-exporter"
        directory.mkdir()
        self.shell(cron.replace("/var/lib/prometheus/node-exporter", str(directory)))
        self.assertEqual(os.listdir(directory), ["leasedns.prom"])
        self.assertIn("leasedns_names ", (directory / "leasedns.prom").read_text("utf-8"))

    def test_names_that_fail(self):
        us = self.us(FORWARD, more=Log.ON)
        for name in ("b.dead", "a.dead", "b.dead", f"n1.{ZONE}"):
            ask(name)
        wait_until(lambda: len(us.lines()) >= 4, 60, "all lines are there")
        command, = [command for command in self.commands() if "journalctl" in command]
        command = command.replace("journalctl -u leasedns -o cat",
                                  f"sed 's/^leasedns: //' {us.server.process.log_path}")
        self.assertEqual(self.shell(command).split(), ["2", "b.dead", "1", "a.dead"])

    def test_words(self):
        us = self.us(FORWARD)
        document = us.stats()
        verdicts = re.findall(r"^\| `([a-z]+)` \|", self.TEXT.split("## Prometheus")[0],
                              re.MULTILINE)
        self.assertEqual(set(document["answers"]) - set(verdicts), set())
        text = run(leasedns.program(), "stats", "-c", str(us.conf), "--prometheus").stdout
        for name in re.findall(r"\bleasedns_\w+", self.TEXT):
            self.assertIn(f"# TYPE {name} ", text)
        lines = re.findall(r"^    query: (.*)$", self.TEXT, re.MULTILINE)
        self.assertEqual([len(line.split()) for line in lines], [8])


def zone_text():
    lines = [f"$ORIGIN {ZONE}.", "$TTL 300", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
             "ns A 127.0.1.1", "n1 A 192.0.2.1", "n2 AAAA 2001:db8::2"]
    lines += ["large TXT " + '"' + f"large{i}".ljust(200, "x") + '"' for i in range(12)]
    return "\n".join(lines) + "\n"


def run_tests():
    tools.require()
    zone = pathlib.Path(sandbox.STATE) / "example.zone"
    zone.write_text(zone_text(), encoding="ascii")
    upstreams.knot(KNOT, ZONE, zone)
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
