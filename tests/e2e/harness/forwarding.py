"""What tests of forwarding share: leasedns with a [forward] section, and its clients.

Every server has an address of 127.0.0.0/8 of its own and port 53.
"""

import contextlib
import itertools
import pathlib
import re
import socket
import struct
import unittest

import dns.message
import dns.query
import dns.rdatatype

from . import leasedns, sandbox, upstreams
from .process import run
from .upstreams import Player, framed

US = "127.0.0.56"
KNOT, NSD, UNBOUND, DNSMASQ = "127.0.1.1", "127.0.1.2", "127.0.2.2", "127.0.2.3"
PLAYER, PLAYER2 = "127.0.3.1", "127.0.3.2"
ZONE = "example"
#: Names in the zone, beside special ones.
NAMES = 3000
GOOD, FORGED = "192.0.2.1", "203.0.113.66"
_started = itertools.count()


def zone_text():
    lines = [f"$ORIGIN {ZONE}.", "$TTL 300", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
             "ns A 127.0.1.1", "alias CNAME chain", "chain CNAME n1", "outside CNAME www.invalid.",
             "*.wild TXT wild", "*.any A 192.0.2.7",
             "unknown TYPE65280 \\# 5 0001020304", "empty TYPE65281 \\# 0",
             "mail MX 10 n1", "mail MX 20 n2", "_sip._tcp SRV 1 2 5060 n3",
             "caa CAA 0 issue \"ca.example\"", "naptr NAPTR 1 1 \"u\" \"sip\" \"!x!y!\" .",
             "https HTTPS 1 . alpn=h2", "od\\000d\\.name A 192.0.2.9", "MiXed A 192.0.2.8",
             "delegated NS ns.delegated", "ns.delegated A 192.0.2.53", "dname DNAME wild"]
    for size, count in (("large", 4), ("huge", 60), ("vast", 230)):
        lines += [f"{size} TXT " + '"' + f"{size}{i}".ljust(200, "x") + '"' for i in range(count)]
    for i in range(NAMES):
        lines += [f"n{i} A 192.0.2.{i % 250}", f"n{i} AAAA 2001:db8::{i:x}"]
    return "\n".join(lines) + "\n"


def start_us(forward, listen=US, zone="libvirt", port=53):
    name = f"us{next(_started)}"
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


def ask(name, rdtype="A", server=US, timeout=30, tcp=False, port=53, **options):
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
        self.socket.settimeout(30)
        self.socket.connect((server, 53))

    def ask(self, query):
        self.socket.send(query)
        return self.socket.recv(65535)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()


def ask_tcp(query, server=US):
    with socket.create_connection((server, 53), timeout=30) as connection:
        connection.sendall(framed(query))
        return upstreams.receive_framed(connection)


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


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


def start_knot():
    zone = pathlib.Path(sandbox.STATE) / "example.zone"
    zone.write_text(zone_text(), encoding="ascii")
    return upstreams.knot(KNOT, ZONE, zone)


def echo(player, query, source):
    """Play of a Player that answers everything with GOOD."""
    player.send(upstreams.reply(query), source)


def write_questions(names, name="questions"):
    """A file of questions for load(): of A, in the order of the names."""
    path = pathlib.Path(sandbox.STATE) / name
    with path.open("wb") as file:
        for owner in names:
            labels = b"".join(bytes([len(label)]) + label.encode() for label in owner.split("."))
            message = struct.pack(">6H", 0, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
            file.write(struct.pack(">H", len(message)) + message)
    return path


def load(questions, seconds, *options, server=US):
    """Asks as fast as it can, or as tests/bench/bench_udp.c is told; every RCODE must be 0. Returns
    thousands of replies a second, how many replies, how many lost."""
    client = pathlib.Path(leasedns.program()).with_name("bench_udp")
    done = run(str(client), "client", server, "53", str(seconds), "-q", str(questions), "-r",
               *options, timeout_s=600)
    kqps, replies, lost = re.match(r"client: ([\d.]+) kqps, (\d+) replies, (\d+) lost",
                                   done.stdout).groups()
    return float(kqps), int(replies), int(lost)
