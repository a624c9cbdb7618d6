#!/usr/bin/python3
"""The packages on a machine with systemd: installed, locked down, killed, rebooted, purged.

    test_systemd.py [SUITE [TEST..]]

The machine is a tree of that Debian release (bookworm), made by "python3 -m harness.tree SUITE" and
booted in namespaces. $LEASEDNS_DIST is the directory that contrib/package.sh filled.
"""

import json
import os
import pathlib
import random
import re
import select
import shutil
import socket
import sys
import threading
import time
import unittest

import dns.message
import dns.rcode

from harness import booted, sandbox, tree, upstreams
from harness.dns import dig
from harness.process import Background, run, wait_until

SUITE = sys.argv.pop(1) if len(sys.argv) > 1 else "bookworm"
SERVER = ("127.0.0.56", 53)
LEASES = "/var/lib/libvirt/dnsmasq"
CONF = "/etc/leasedns.conf"
NSSWITCH = "/etc/nsswitch.conf"
DROP_IN = "/etc/systemd/system/leasedns.service.d"
#: How long anything may take on a busy machine.
PATIENCE_S = 60
UPSTREAM = "127.0.0.57"
OWN_CONF = "[forward]\nupstream = none\n"


def packages():
    """(leasedns, libnss-leasedns)"""
    directory = pathlib.Path(os.environ["LEASEDNS_DIST"])
    return [str(next(directory.glob(pattern))) for pattern in ("leasedns_*.deb", "libnss-*.deb")]


def ask(name, rdtype="A", timeout_s=PATIENCE_S):
    """The addresses in the answer to one datagram, which is sent once: the socket has to keep it."""
    query = dns.message.make_query(name, rdtype)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        client.sendto(query.to_wire(), SERVER)
        reply = dns.message.from_wire(client.recv(4096))
    if reply.id != query.id or reply.rcode() != dns.rcode.NOERROR:
        raise AssertionError(f"{name}: {reply}")
    return [item.to_text() for rrset in reply.answer for item in rrset]


class Load:
    """Asks at a steady pace, each question once. A context manager; `lost` is there at its end."""

    def __init__(self, name="vm.libvirt", pace_s=0.002):
        self.query = dns.message.make_query(name, "A").to_wire()[2:]
        self.pace_s = pace_s
        self.sent, self.answered, self.lost, self.longest_s = 0, 0, None, 0.0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setblocking(False)
        self.open, self.ending = {}, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _receive(self):
        while True:
            try:
                reply = self.socket.recv(4096)
            except BlockingIOError:
                return
            asked = self.open.pop(int.from_bytes(reply[:2], "big"), None)
            if asked and not reply[3] & 15:
                self.answered += 1
                self.longest_s = max(self.longest_s, time.monotonic() - asked)

    def _run(self):
        while not self.ending.is_set() and self.sent < 65536:
            self.open[self.sent] = time.monotonic()
            self.socket.sendto(self.sent.to_bytes(2, "big") + self.query, SERVER)
            self.sent += 1
            select.select([self.socket], [], [], self.pace_s)
            self._receive()
            time.sleep(self.pace_s)
        deadline = time.monotonic() + PATIENCE_S
        while self.open and time.monotonic() < deadline:
            select.select([self.socket], [], [], 0.1)
            self._receive()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.ending.set()
        self.thread.join()
        self.socket.close()
        self.lost = self.sent - self.answered


class Installed(booted.Machine):
    """A machine with a guest's lease and our packages."""

    def __init__(self, name):
        super().__init__(tree.made(SUITE), name)
        self.boot()

    def put(self, path, text, mode=0o644):
        """Replaces a file as libvirt and editors do: by rename."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(mode)
        fresh.rename(target)

    def lease(self, **hosts):
        self.put(f"{LEASES}/virbr0.status", json.dumps([
            {"ip-address": address, "mac-address": f"52:54:00:00:00:{number:02x}", "hostname": name,
             "expiry-time": int(time.time()) + 36000}
            for number, (name, address) in enumerate(hosts.items())]))

    def install(self, *files):
        inside = []
        for file in files or packages():
            shutil.copy(file, self.path("/tmp"))
            inside.append(f"/tmp/{os.path.basename(file)}")
        return self.run("dpkg", "-i", *inside)

    def main_pid(self):
        return int(self.show("leasedns.service", "MainPID"))

    def active(self, unit="leasedns.service"):
        return self.show(unit, "ActiveState")

    def drop_in(self, text, unit="leasedns.service"):
        self.put(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.run("systemctl", "daemon-reload")

    def getent(self, *arguments):
        return self.run("getent", *arguments, check=False).stdout.split()

    def exposure(self):
        said = self.run("systemd-analyze", "security", "--no-pager", "leasedns.service").stdout
        return float(re.search(r"exposure level for leasedns.service: ([\d.]+)", said)[1])


class OnMachine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = Installed(cls.__name__)
        cls.addClassCleanup(cls.machine.kill)
        cls.machine.lease(vm="192.168.122.20")

    def becomes_active(self):
        """It may answer a moment before systemd has read that it is ready."""
        for unit in ("leasedns.service", "leasedns.socket"):
            wait_until(lambda unit=unit: self.machine.active(unit) == "active", PATIENCE_S,
                       f"{unit} is active")


class Service(OnMachine):
    """Each test begins with the service as it was installed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine.install()

    def setUp(self):
        machine = self.machine
        machine.lease(vm="192.168.122.20")
        machine.put(CONF, OWN_CONF)
        machine.shell(f"rm -rf {DROP_IN}; systemctl daemon-reload; systemctl restart leasedns")
        self.assertEqual(ask("vm.libvirt"), ["192.168.122.20"])

    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.errors + result.failures):
            print("\n".join(self.machine.journal("leasedns.*").splitlines()[-80:]), file=sys.stderr)

    def test_is_ready_when_it_says_so(self):
        show = self.machine.show
        self.assertEqual(show("leasedns.service", "ActiveState", "SubState", "Type", "User",
                              "WatchdogUSec", "NRestarts", "UnitFileState"),
                         ["active", "running", "notify", "leasedns", "10s", "0", "enabled"])
        self.assertRegex(show("leasedns.service", "StatusText"), r"^\d+ names on 127\.0\.0\.56:53$")
        self.assertEqual(show("leasedns.socket", "ActiveState", "SubState", "UnitFileState"),
                         ["active", "running", "enabled"])
        self.assertEqual(
            self.machine.run("stat", "-c", "%U %a %F", "/run/leasedns",
                             "/run/leasedns/index.cdb").stdout.splitlines(),
            ["leasedns 755 directory", "leasedns 644 regular file"])

    def test_units_are_sound(self):
        done = self.machine.run("systemd-analyze", "verify", "--man=no", "leasedns.service",
                                "leasedns.socket")
        self.assertEqual([line for line in (done.stdout + done.stderr).splitlines()
                          if "leasedns" in line], [])

    def test_is_locked_down(self):
        self.assertLessEqual(self.machine.exposure(), 1.0)
        pid = self.machine.main_pid()
        status = self.machine.path(f"/proc/{pid}/status").read_text(encoding="ascii")
        for line in ("CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
                     "Seccomp:\t2"):
            self.assertIn(line, status)
        self.assertEqual(self.machine.run("ls", f"/proc/{pid}/root/home", f"/proc/{pid}/root/mnt",
                                          check=False).stdout, "")
        seen = self.machine.run("ls", f"/proc/{pid}/root/var").stdout.split()
        self.assertEqual(seen, ["lib", "tmp"])

    def test_does_nothing_that_is_forbidden(self):
        """All that it does in a life, while a forbidden system call is its end."""
        self.machine.drop_in("[Service]\nSystemCallErrorNumber=kill\n")
        self.machine.put(CONF, f"[forward]\nupstream = {UPSTREAM}\n")
        self.machine.run("systemctl", "restart", "leasedns")
        pid = self.machine.main_pid()
        with_upstream(self)
        self.assertEqual(dig("vm.libvirt").data, ["192.168.122.20"])
        self.assertEqual(dig("+tcp", "vm.libvirt").data, ["192.168.122.20"])
        self.assertEqual(dig("-x", "192.168.122.20").data, ["vm.libvirt."])
        self.assertEqual(dig("elsewhere.example").data, ["192.0.2.1"])
        self.machine.lease(vm="192.168.122.21", other="192.168.122.22")
        wait_until(lambda: dig("other.libvirt").data == ["192.168.122.22"], PATIENCE_S,
                   "it is seen")
        self.machine.run("systemctl", "reload", "leasedns")
        self.assertEqual(dig("vm.libvirt").data, ["192.168.122.21"])
        self.assertIn("{", self.machine.run("leasedns", "stats", "--json").stdout)
        self.assertEqual(self.machine.main_pid(), pid)
        self.machine.run("systemctl", "stop", "leasedns")
        self.assertEqual(self.machine.show("leasedns.service", "Result", "NRestarts"),
                         ["success", "0"])

    def test_tells_statistics_to_everybody_also_after_a_crash(self):
        machine, pid = self.machine, self.machine.main_pid()

        def counted():
            done = machine.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               "leasedns", "stats", "--json", check=False)
            return json.loads(done.stdout)["answers"]["local"] if done.returncode == 0 else 0

        self.assertGreater(counted(), 0)
        machine.run("kill", "-KILL", str(pid))
        self.assertTrue(machine.path("/run/leasedns/control").is_socket())
        wait_until(lambda: ask("vm.libvirt") and machine.main_pid() != pid and counted() > 0,
                   PATIENCE_S, "it counts anew")
        self.assertNotIn("control socket", machine.journal("leasedns"))
        machine.run("systemctl", "stop", "leasedns")
        self.assertFalse(machine.path("/run/leasedns").exists())

    def test_forwards_to_what_resolv_conf_names_now(self):
        self.machine.put("/etc/resolv.conf", "nameserver 127.0.0.99\n")
        self.machine.put(CONF, "[forward]\nupstream = resolv.conf\n")
        self.machine.run("systemctl", "restart", "leasedns")
        with_upstream(self)
        self.machine.put("/etc/resolv.conf", f"nameserver {UPSTREAM}\n")
        wait_until(lambda: dig("elsewhere.example").data == ["192.0.2.1"], PATIENCE_S,
                   "the new resolv.conf is followed")
        self.assertEqual(self.machine.getent("hosts", "vm"), ["192.168.122.20", "vm"])

    def test_first_question_starts_it(self):
        self.machine.run("systemctl", "stop", "leasedns.service")
        self.assertEqual([self.machine.active(), self.machine.active("leasedns.socket")],
                         ["inactive", "active"])
        self.assertFalse(self.machine.path("/run/leasedns").exists())
        # Without its index, NSS reads the leases, and does not start it.
        self.assertEqual(self.machine.getent("hosts", "vm"), ["192.168.122.20", "vm"])
        self.assertEqual(self.machine.active(), "inactive")
        self.assertEqual(ask("vm.libvirt"), ["192.168.122.20"])
        wait_until(lambda: self.machine.active() == "active", PATIENCE_S, "it is ready")

    def test_first_connection_starts_it(self):
        self.machine.run("systemctl", "stop", "leasedns.service")
        self.assertEqual(dig("+tcp", "vm.libvirt").data, ["192.168.122.20"])

    def test_names_through_glibc(self):
        machine = self.machine
        self.assertRegex(machine.path(NSSWITCH).read_text(encoding="utf-8"),
                         r"(?m)^hosts:\s+files leasedns dns$")
        for name in ("vm", "vm.libvirt", "vm.virbr0.libvirt", "VM"):
            self.assertEqual(machine.getent("ahostsv4", name)[:2], ["192.168.122.20", "STREAM"])
        self.assertEqual(machine.getent("hosts", "192.168.122.20"),
                         ["192.168.122.20", "vm.libvirt"])
        self.assertEqual(machine.getent("hosts", "no-such-guest"), [])
        machine.run("sed", "-i", "s/leasedns dns/libvirt libvirt_guest dns/", NSSWITCH)
        self.addCleanup(machine.run, "sed", "-i", "s/libvirt libvirt_guest dns/leasedns dns/",
                        NSSWITCH)
        self.assertEqual(machine.getent("ahostsv4", "vm")[:1], ["192.168.122.20"])

    def test_reload_keeps_the_process_and_refuses_nonsense(self):
        machine, pid = self.machine, self.machine.main_pid()
        machine.put(CONF, OWN_CONF + "[zone]\nname = libvirt guests.example\n")
        machine.run("systemctl", "reload", "leasedns")
        wait_until(lambda: dig("vm.guests.example").data == ["192.168.122.20"], PATIENCE_S,
                   "the new zone is there")
        machine.put(CONF, "[zone]\nnome = x\n")
        machine.run("systemctl", "reload", "leasedns")
        wait_until(lambda: "reload: refused" in machine.journal("leasedns"), PATIENCE_S,
                   "it says that it refuses")
        self.assertEqual(dig("vm.guests.example").data, ["192.168.122.20"])
        self.becomes_active()
        self.assertEqual(machine.main_pid(), pid)

    def test_wrong_configuration_ends_it_and_when_mended_questions_are_answered(self):
        machine = self.machine
        machine.put(CONF, "[zone]\nnome = x\n")
        self.assertNotEqual(machine.run("systemctl", "restart", "leasedns", check=False).returncode,
                            0)
        self.assertEqual(machine.show("leasedns.service", "ActiveState", "ExecMainStatus"),
                         ["failed", "2"])
        self.assertIn(f"{CONF}:2", machine.journal("leasedns"))
        with Load(pace_s=0.1) as load:
            starts = machine.journal("leasedns").count("Starting ")
            wait_until(lambda: machine.journal("leasedns").count("Starting ") >= starts + 3,
                       PATIENCE_S, "it is tried again")
            self.assertEqual(load.answered, 0)
            machine.put(CONF, OWN_CONF)
        self.assertEqual(load.lost, 0)
        self.becomes_active()

    def test_watchdog_ends_what_hangs_and_no_question_is_lost(self):
        machine = self.machine
        machine.drop_in("[Service]\nWatchdogSec=2s\n")
        machine.run("systemctl", "restart", "leasedns")
        pid = machine.main_pid()
        machine.run("kill", "-STOP", str(pid))
        with Load(pace_s=0.001) as load:
            wait_until(lambda: load.sent >= 500, PATIENCE_S, "questions wait")
            wait_until(lambda: machine.main_pid() not in (0, pid), PATIENCE_S, "it is replaced")
        self.assertEqual(load.lost, 0)
        self.assertIn("Watchdog timeout", machine.journal("leasedns"))
        self.becomes_active()

    def test_restarts_under_load_lose_no_question(self):
        with Load() as load:
            for _ in range(5):
                before = load.answered
                self.machine.run("systemctl", "restart", "leasedns")
                wait_until(lambda: load.answered > before + 50, PATIENCE_S, "it answers")
        self.assertEqual(load.lost, 0)
        print(f"restarts: {load.sent} questions, longest {load.longest_s:.3f} s", file=sys.stderr)

    def test_killed_at_random_it_comes_back_and_nss_is_never_wrong(self):
        machine, dice = self.machine, random.Random(5)
        watcher = Background("getent", machine.entered(
            "sh", "-c", "while :; do getent ahostsv4 vm || echo missing; done"))
        with Load(pace_s=0.005) as load:
            for _ in range(12):
                before = load.answered
                time.sleep(dice.uniform(0.0, 0.5))
                pid = machine.main_pid()
                if pid:
                    machine.run("kill", "-KILL", str(pid), check=False)
                wait_until(lambda: load.answered > before + 10, PATIENCE_S, "DNS is back")
        wait_until(lambda: watcher.log().count("\n") > 50, PATIENCE_S, "NSS was asked often")
        watcher.stop()
        lines = watcher.log().splitlines()
        self.assertEqual({tuple(line.split()) for line in lines[:-1]} - {
            ("192.168.122.20", kind, *name) for kind in ("STREAM", "DGRAM", "RAW")
            for name in ([], ["vm"])}, set())
        # What it had read from the socket when it was killed dies with it, no more.
        self.assertLessEqual(load.lost, 12 * 16)
        print(f"kills: {load.sent} questions, {load.lost} lost, longest {load.longest_s:.3f} s",
              file=sys.stderr)
        self.becomes_active()

    def test_zone_only_has_no_network(self):
        machine = self.machine
        machine.shell("install -D -m 644 /usr/share/doc/leasedns/examples/zone-only.conf "
                      f"{DROP_IN}/zone-only.conf; systemctl daemon-reload; "
                      "systemctl restart leasedns")
        self.assertLessEqual(machine.exposure(), 0.3)
        self.assertEqual(dig("vm.libvirt").data, ["192.168.122.20"])
        self.assertEqual(dig("+tcp", "vm.libvirt").data, ["192.168.122.20"])
        self.assertEqual(dig("elsewhere.example").rcode, "REFUSED")
        spaces = machine.run("readlink", "/proc/1/ns/net", f"/proc/{machine.main_pid()}/ns/net")
        self.assertEqual(len(set(spaces.stdout.split())), 2)
        machine.lease(vm="192.168.122.23")
        wait_until(lambda: ask("vm.libvirt") == ["192.168.122.23"], PATIENCE_S, "it is seen")


def with_upstream(test):
    """A server that has 192.0.2.1 for every name, for the rest of the test."""
    player = upstreams.Player(UPSTREAM, lambda player, query, source: player.send(
        upstreams.reply(query), source))
    test.addCleanup(player.close)


class Life(OnMachine):
    """Installed, rebooted, removed, purged."""

    #: What of the system's own changes when anything is installed.
    SYSTEM = re.compile(
        r"/etc/(passwd|group|shadow|gshadow)-|/etc/\.pwd\.lock|/etc/\.updated"
        r"|/var/(log|cache/ldconfig|lib/systemd/(random-seed|catalog|timers|linger|credential)"
        r"|lib/dpkg/(lock|triggers|status|available|diversions|statoverride)|tmp|backups)")

    def files(self):
        """All files, but for those of the system itself."""
        found = self.machine.run("find", "/", "-xdev", "-not", "-type", "d").stdout.splitlines()
        found += self.machine.run("find", "/run/leasedns", "/etc/systemd", "/var/lib/systemd",
                                  "-type", "d", check=False).stdout.splitlines()
        return {path for path in found if not self.SYSTEM.match(path)}

    def test_from_the_cradle_to_the_grave(self):
        machine = self.machine
        machine.run("systemctl", "stop", "systemd-tmpfiles-clean.timer", check=False)
        before, nsswitch = self.files(), machine.path(NSSWITCH).read_bytes()
        machine.install()
        machine.put(CONF, OWN_CONF + "# mine\n")
        self.assertEqual(ask("vm.libvirt"), ["192.168.122.20"])

        machine.reboot()
        self.assertEqual(machine.getent("hosts", "vm"), ["192.168.122.20", "vm"])
        self.assertEqual(ask("vm.libvirt"), ["192.168.122.20"])
        self.assertEqual(machine.active(), "active")

        machine.run("dpkg", "--remove", "leasedns", "libnss-leasedns")
        self.assertEqual(machine.path(NSSWITCH).read_bytes(), nsswitch)
        self.assertIn("# mine", machine.path(CONF).read_text(encoding="utf-8"))
        self.assertEqual(machine.getent("hosts", "vm"), [])
        self.assertNotIn("leasedns", machine.run("ss", "-Hlnup", "-Hlntp").stdout)
        self.assertEqual(machine.run("systemctl", "is-failed", "leasedns.service", "leasedns.socket",
                                     check=False).stdout.split(), ["inactive"] * 2)

        machine.run("dpkg", "--purge", "leasedns", "libnss-leasedns")
        self.assertEqual(self.files() - before, set())
        self.assertEqual(before - self.files(), set())
        self.assertEqual(machine.path(NSSWITCH).read_bytes(), nsswitch)


class Upgrade(OnMachine):
    def setUp(self):
        self.addCleanup(self.machine.run, "dpkg", "--purge", "leasedns", "libnss-leasedns")

    def newer(self, file):
        """The same package as a later version."""
        scratch = pathlib.Path(sandbox.STATE) / "newer"
        shutil.rmtree(scratch, ignore_errors=True)
        run("dpkg-deb", "-R", file, str(scratch))
        control = scratch / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*", r"\g<0>.1", control.read_text()))
        target = pathlib.Path(sandbox.STATE) / f"newer_{os.path.basename(file)}"
        run("dpkg-deb", "--root-owner-group", "-b", str(scratch), str(target))
        return str(target)

    def test_upgrade_loses_neither_questions_nor_what_the_admin_changed(self):
        machine = self.machine
        machine.install()
        machine.put(CONF, OWN_CONF + "# mine\n")
        machine.run("systemctl", "restart", "leasedns")
        machine.run("sed", "-i", "s/ leasedns / /", NSSWITCH)
        pid, since = machine.main_pid(), machine.show("leasedns.socket", "ActiveEnterTimestamp")
        with Load() as load:
            machine.install(*map(self.newer, packages()))
        self.assertEqual(load.lost, 0)
        self.assertNotEqual(machine.main_pid(), pid)
        self.assertEqual(machine.show("leasedns.socket", "ActiveEnterTimestamp"), since)
        self.assertIn("# mine", machine.path(CONF).read_text(encoding="utf-8"))
        self.assertNotIn("leasedns", machine.path(NSSWITCH).read_text(encoding="utf-8"))

    def test_takes_the_place_of_libvirts_modules(self):
        """Also where they lie below /lib, another name of /usr/lib: dpkg removes the old package's
        files when ours are there already."""
        machine = self.machine
        scratch = pathlib.Path(sandbox.STATE) / "peer"
        triplet = machine.run("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH",
                              check=False).stdout.strip() or "x86_64-linux-gnu"
        modules = scratch / "lib" / triplet
        modules.mkdir(parents=True)
        for name in ("libvirt", "libvirt_guest"):
            (modules / f"libnss_{name}.so.2").write_text("libvirt's own\n", encoding="ascii")
        (scratch / "DEBIAN").mkdir()
        (scratch / "DEBIAN/control").write_text(
            "Package: libnss-libvirt\nVersion: 9.0.0-4\nArchitecture: amd64\n"
            "Maintainer: nobody <nobody@example.org>\nDescription: as Debian has it\n",
            encoding="ascii")
        peer = str(pathlib.Path(sandbox.STATE) / "libnss-libvirt.deb")
        run("dpkg-deb", "--root-owner-group", "-b", str(scratch), peer)
        machine.install(peer)
        machine.install()
        self.assertEqual(machine.run("dpkg", "--verify", "libnss-leasedns").stdout, "")
        self.assertEqual(machine.run("dpkg-query", "-W", "-f", "${db:Status-Status}",
                                     "libnss-libvirt", check=False).stdout, "not-installed")

    def test_what_was_turned_off_stays_off(self):
        machine = self.machine
        machine.install()
        machine.run("systemctl", "disable", "--now", "leasedns.service", "leasedns.socket")
        machine.install(*map(self.newer, packages()))
        self.assertEqual(machine.run("systemctl", "is-enabled", "leasedns.service",
                                     "leasedns.socket", check=False).stdout.split(),
                         ["disabled"] * 2)


def setUpModule():
    # With nothing but a loopback, glibc takes the host for one without addresses of any family.
    run("ip", "link", "add", "virbr0", "type", "bridge")
    run("ip", "address", "add", "192.168.122.1/24", "dev", "virbr0")
    run("ip", "link", "set", "virbr0", "up")


def main():
    return sandbox.run(lambda: unittest.main(verbosity=2, module="__main__"))


if __name__ == "__main__":
    sys.exit(main())
