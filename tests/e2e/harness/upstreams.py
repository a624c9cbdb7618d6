"""Name servers around the program under test: real ones from Debian, and one that plays any part."""

import os
import pathlib
import select
import socket
import struct
import threading

import dns.exception
import dns.message
import dns.query

from . import sandbox
from .process import Background, run, wait_until

#: socket(7): past the limit that the host sets for everybody.
SO_RCVBUFFORCE = 33


def _answers(name, server, port):
    query = dns.message.make_query(name, "SOA")
    try:
        return dns.query.udp(query, server, port=port, timeout=0.5)
    except (dns.exception.Timeout, OSError):
        return None


def start(name, command, asked, server, port=53):
    """Starts a name server and waits until it answers a question for SOA of `asked`."""
    process = Background(name, command)
    wait_until(lambda: _answers(asked, server, port) or not process.is_running(), 60,
               f"{name} answers")
    if not process.is_running():
        raise AssertionError(f"{name} ended:\n{process.log()}")
    return process


def _directory(name):
    path = pathlib.Path(sandbox.STATE) / name
    path.mkdir(exist_ok=True)
    return path


def knot(server, zone, zone_file, name="knot"):
    """An authoritative server that signs its zone, so that DO makes a difference."""
    directory = _directory(name)
    conf = directory / "knot.conf"
    conf.write_text(f"""\
server:
  rundir: {directory}
  listen: {server}@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {directory}
zone:
  - domain: {zone}
    file: {zone_file}
    dnssec-signing: on
    zonefile-sync: -1
    journal-content: none
""", encoding="ascii")
    return start(name, ["knotd", "-c", str(conf)], zone, server)


def nsd(server, zone, zone_file, name="nsd"):
    directory = _directory(name)
    conf = directory / "nsd.conf"
    conf.write_text(f"""\
server:
  ip-address: {server}
  username: ""
  server-count: 1
  rrl-ratelimit: 0
  database: ""
  pidfile: ""
  zonesdir: "{directory}"
  zonelistfile: "{directory}/zone.list"
  xfrdfile: "{directory}/xfrd.state"
  xfrdir: "{directory}"
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: {zone_file}
""", encoding="ascii")
    return start(name, ["nsd", "-d", "-c", str(conf)], zone, server)


def unbound(server, forward_to, asked, name="unbound"):
    """A resolver that asks one other server for everything."""
    directory = _directory(name)
    conf = directory / "unbound.conf"
    conf.write_text(f"""\
server:
  directory: "{directory}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {server}
  do-not-query-localhost: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {forward_to}
""", encoding="ascii")
    return start(name, ["unbound", "-d", "-c", str(conf)], asked, server)


def dnsmasq(server, forward_to, asked, name="dnsmasq"):
    return start(name, ["dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts",
                        "--bind-interfaces", f"--listen-address={server}", "--cache-size=0",
                        f"--server={forward_to}", "--user=root", "--pid-file"], asked, server)


class Player:
    """A name server that does what `play(player, query, source)` says: it gets each datagram, and
    sends what it likes. TCP, if `play_tcp` is given, gets each message and returns octets."""

    def __init__(self, server, play, play_tcp=None, port=53):
        self.play, self.play_tcp = play, play_tcp
        self.sources, self.ids = [], []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.udp.bind((server, port))
        self.other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # another source port
        self.other.bind((server, 0))
        self.tcp = socket.create_server((server, port)) if play_tcp else None
        self.ending, self._end = socket.socketpair()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        waited = [place for place in (self.udp, self.tcp, self.ending) if place]
        while True:
            ready = select.select(waited, [], [])[0]
            if self.ending in ready:
                return
            if self.udp in ready:
                self._serve_udp()
            if self.tcp in ready:
                self._serve_tcp()

    def _serve_udp(self):
        query, source = self.udp.recvfrom(4096)
        if b"\x0dleasedns-loop" in query:
            self.send(reply(query, rcode=3, address=None), source)
            return
        self.sources.append(source[1])
        self.ids.append(struct.unpack(">H", query[:2])[0])
        self.play(self, query, source)

    def _serve_tcp(self):
        connection, _ = self.tcp.accept()
        with connection:
            connection.settimeout(30)
            try:
                connection.sendall(self.play_tcp(receive_framed(connection)))
            except (OSError, struct.error):
                pass  # it is the other's right to close

    def send(self, octets, source):
        try:
            self.udp.sendto(octets, source)
        except OSError:
            pass  # closed meanwhile: a reply that was to come late

    def close(self):
        self._end.send(b"x")
        self.thread.join()
        for place in (self.udp, self.other, self.tcp, self.ending, self._end):
            if place:
                place.close()


def question_end(query):
    at = 12
    while query[at]:
        at += 1 + query[at]
    return at + 5


def reply(query, rcode=0, address="192.0.2.1", flags=0x8500, opt=True):
    """The reply to a query, octet by octet: dnspython would not write what is wrong."""
    end = question_end(query)
    has_opt = opt and query[11] == 1
    header = query[:2] + struct.pack(">HHHHH", flags | 0x80 | rcode, 1, 1 if address else 0, 0,
                                     1 if has_opt else 0)
    answer = b"" if address is None else (
        b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4" + socket.inet_aton(address))
    return header + query[12:end] + answer + (b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if has_opt else b"")


def _receive(connection, count):
    octets = b""
    while len(octets) < count:
        piece = connection.recv(count - len(octets))
        if not piece:
            raise OSError("the connection ended within a message")
        octets += piece
    return octets


def receive_framed(connection):
    return _receive(connection, struct.unpack(">H", _receive(connection, 2))[0])


def framed(message):
    return struct.pack(">H", len(message)) + message


def own_etc(*below):
    """Makes /etc a place where files may be replaced: what is written stays in the sandbox. It shows
    what lies in other directories, too."""
    upper = _directory("etc-upper")
    work = _directory("etc-work")
    if os.path.ismount("/etc/resolv.conf"):
        run("umount", "/etc/resolv.conf")
    lower = ":".join((*below, "/etc"))
    run("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}",
        "overlay", "/etc")
    if os.path.lexists("/etc/resolv.conf"):
        os.unlink("/etc/resolv.conf")
