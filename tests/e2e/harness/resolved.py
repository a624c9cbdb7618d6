"""systemd-resolved without systemd: with a D-Bus of its own, and an uplink with a name server."""

import os
import pathlib
import shlex
import shutil
import socket
import struct
import subprocess
import threading

from . import resolvers, upstreams
from .process import Background, run, wait_until

STUB = "127.0.0.53"
CONF = pathlib.Path("/etc/systemd/resolved.conf.d")
TRUST = pathlib.Path("/etc/dnssec-trust-anchors.d")
DAEMON = "/lib/systemd/systemd-resolved"
UPLINK = "uplink0"
USER = "systemd-resolve"


def set_up():
    """What the package's maintainer scripts and systemd would do; D-Bus; the uplink."""
    for path, line in (("/etc/passwd", f"{USER}:x:64990:64990::/:/usr/sbin/nologin\n"),
                       ("/etc/group", f"{USER}:x:64990:\n")):
        text = pathlib.Path(path).read_text(encoding="utf-8")
        if f"{USER}:" not in text:
            pathlib.Path(path).write_text(text + line, encoding="utf-8")
    os.makedirs("/run/systemd/resolve")
    shutil.chown("/run/systemd/resolve", USER, USER)
    resolvers.start_dbus()
    # Not a dummy: not every kernel has those.
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "uplink1")
    run("ip", "address", "add", "10.99.0.1/24", "dev", UPLINK)
    for link in (UPLINK, "uplink1"):
        run("ip", "link", "set", link, "up")


class Resolved:
    """A running systemd-resolved. `settings` are lines of [Resolve]; `uplink_dns` is the server of
    its uplink, if any."""

    def __init__(self, settings="", uplink_dns=resolvers.ROOT_SERVER):
        CONF.mkdir(parents=True, exist_ok=True)
        (CONF / "test.conf").write_text(
            f"[Resolve]\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\nFallbackDNS=\n{settings}\n",
            encoding="ascii")
        self.uplink_dns = uplink_dns
        self.start()
        if uplink_dns:
            resolvectl("dns", UPLINK, uplink_dns)
            resolvectl("default-route", UPLINK, "yes")

    def start(self):
        self.process = Background("resolved", self._command())
        wait_until(self._answers, 60, "systemd-resolved answers")

    @staticmethod
    def _command():
        return [DAEMON]

    def _answers(self):
        if not self.process.is_running():
            raise AssertionError(f"systemd-resolved ended:\n{self.process.log()}")
        return run("resolvectl", "status", check=False).returncode == 0

    def end(self):
        """As `systemctl stop` does: what links were told is kept in /run."""
        self.process.stop()

    def forget(self):
        self.end()
        shutil.rmtree("/run/systemd/resolve/netif", ignore_errors=True)


def resolvectl(*arguments):
    return run("resolvectl", *arguments).stdout


def query(name):
    """What `resolvectl query NAME` finds: the first words of its lines; or nothing."""
    done = run("resolvectl", "--legend=no", "--cache=yes", "query", name, check=False)
    return [] if done.returncode else [line.split(" --")[0].split() for line in
                                       done.stdout.splitlines()]


class Unit:
    """A unit file of contrib/resolvers whose commands are run as systemd does, as far as it uses
    that. `without`: words of lines that are left out. `environment` is what a drop-in would set."""

    def __init__(self, name, *without, environment=None, edit=lambda text: text):
        self.commands = {}
        self.environment = dict(os.environ)
        for line in edit(resolvers.snippet(name, *without)).splitlines():
            key, _, value = line.partition("=")
            if key == "Environment":
                self.environment.update([item.split("=", 1) for item in shlex.split(value)])
            elif key.startswith("Exec"):
                self.commands.setdefault(key, []).append(value)
        self.environment.update(environment or {})

    def _run(self, key):
        for command in self.commands.get(key, []):
            done = subprocess.run(["sh", "-c", command.lstrip("-")], env=self.environment,
                                  capture_output=True, text=True, timeout=120)
            if done.returncode and not command.startswith("-"):
                raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stderr}")

    def start(self):
        self._run("ExecStart")

    def stop(self):
        self._run("ExecStop")
        self._run("ExecStopPost")


class Capture:
    """The questions over UDP on the loopback interface: of each, whom it went to, and the name. A
    context manager."""

    def __init__(self):
        self.questions = []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, upstreams.SO_RCVBUFFORCE, 1 << 24)
        self.socket.bind(("lo", 0x0800))
        self.socket.settimeout(0.2)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        while True:
            try:
                packet = self.socket.recv(65535)
            except TimeoutError:
                if self.ending.is_set():
                    return
                continue
            if packet[9] == socket.IPPROTO_UDP:
                self._note(packet)

    def _note(self, packet):
        udp = packet[(packet[0] & 15) * 4:]
        message = udp[8:]
        if struct.unpack(">H", udp[2:4])[0] != 53 or len(message) < 17 or message[2] & 0x80:
            return
        end = upstreams.question_end(message)
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("ascii", "replace"))
            at += 1 + message[at]
        if end <= len(message):
            self.questions.append((socket.inet_ntoa(packet[16:20]), ".".join(labels).lower()))

    def to(self, server):
        return [name for address, name in list(self.questions) if address == server]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        """Reads what is there yet: `questions` is complete for what was asked before."""
        self.ending.set()
        self.thread.join()
        self.socket.close()
