"""Resolvers of a host that ask leasedns, each with the file that contrib/resolvers has for it.

Around them: a signed root zone without `libvirt`, as the real one is, and leases that change.
"""

import json
import os
import pathlib
import shutil
import sys
import unittest

import dns.dnssec
import dns.message
import dns.name
import dns.query

from . import leasedns, sandbox, upstreams
from .process import Background, run, wait_until

#: Directory of the unpacked packages, set by CTest.
VARIABLE = "LEASEDNS_PACKAGES_DIR"
SNIPPETS = pathlib.Path(__file__).resolve().parents[3] / "contrib" / "resolvers"
US, ROOT_SERVER = "127.0.0.56", "127.0.1.1"
#: Not one of those for documentation: protection against rebinding holds these back.
FOREIGN, FOREIGN_ADDRESS = "www.example", "198.18.0.80"
#: Of the guest vm, which is always there.
GUEST_ADDRESS = "192.168.122.5"
ROOT_ZONE = f"""\
$ORIGIN .
$TTL 300
. SOA ns.example. hostmaster.example. 1 3600 600 86400 60
. NS ns.example.
ns.example. A {ROOT_SERVER}
{FOREIGN}. A {FOREIGN_ADDRESS}
"""


def use_packages():
    """Shows unpacked packages as if they were installed, and an /etc that may be written."""
    packages = os.environ.get(VARIABLE, "")
    if not os.path.exists(os.path.join(packages, ".packages")):
        raise AssertionError(f"${VARIABLE} has no packages: '{packages}'; "
                             "see tests/e2e/unpack_packages.py and contrib/packages.sh")
    run("mount", "-t", "overlay", "-o", f"lowerdir={packages}/usr:/usr", "overlay", "/usr")
    upstreams.own_etc(f"{packages}/etc")
    pathlib.Path("/etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
    # systemd-resolved knows the host by it.
    pathlib.Path("/etc/hostname").write_text(f"{sandbox.HOSTNAME}\n", encoding="ascii")


def run_all(cases=None):
    """Runs the tests of the main module, or those of the `cases` that are named, unless the command
    line names others. Shows the logs if one fails; returns the exit code."""
    chosen = cases if cases and len(sys.argv) == 1 else []
    program = unittest.main(argv=sys.argv + chosen, verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        for path in sorted(pathlib.Path(sandbox.STATE).glob("*.log")):
            text = path.read_text(encoding="utf-8", errors="backslashreplace")[-4000:]
            print(f"--- end of {path}\n{text}", file=sys.stderr)
    return int(not program.result.wasSuccessful())


def snippet(name, *without):
    """The text of a file of contrib/resolvers, without the lines that hold one of the words."""
    lines = (SNIPPETS / name).read_text(encoding="utf-8").splitlines(keepends=True)
    for word in without:
        kept = [line for line in lines if line[0] in "#/-;" or word not in line]
        if len(kept) == len(lines):
            raise AssertionError(f"{name} has no line with '{word}'")
        lines = kept
    return "".join(lines)


def place(name, path, *without):
    """Copies a file of contrib/resolvers to where an administrator puts it."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if without:
        path.write_text(snippet(name, *without), encoding="utf-8")
    else:
        shutil.copyfile(SNIPPETS / name, path)


def state(name):
    """A directory of the sandbox."""
    path = pathlib.Path(sandbox.STATE) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


class Leases:
    """Guests of the bridge virbr0, in a directory of their own."""

    def __init__(self):
        self.directory = state("leases")
        self.guests = {"vm": GUEST_ADDRESS}
        self._write()

    def _write(self):
        records = [{"ip-address": address, "mac-address": f"52:54:00:00:00:{number:02x}",
                    "hostname": name, "expiry-time": 0}
                   for number, (name, address) in enumerate(self.guests.items())]
        aside = self.directory / "virbr0.status.new"
        aside.write_text(json.dumps(records), encoding="ascii")
        aside.rename(self.directory / "virbr0.status")

    def add(self, name, address):
        self.guests[name] = address
        self._write()

    def remove(self, name):
        del self.guests[name]
        self._write()


def start_us(leases, forward="[forward]\nupstream = none\n", name="us"):
    return leasedns.Server(name, f"""\
[leases]
libvirt = {leases.directory}
[index]
file = {state(name + ".d")}/index.cdb
{forward}""")


class Root:
    """The root zone on a server of its own, signed. `anchor` is the DS record of its key."""

    def __init__(self):
        zone = pathlib.Path(sandbox.STATE) / "root.zone"
        zone.write_text(ROOT_ZONE, encoding="ascii")
        self.process = upstreams.knot(ROOT_SERVER, ".", zone, name="root")
        reply = dns.query.tcp(dns.message.make_query(".", "DNSKEY"), ROOT_SERVER, timeout=10)
        (key,) = [key for key in reply.answer[0] if key.flags & 1]
        self.anchor = dns.dnssec.make_ds(dns.name.root, key, "SHA256")

    @property
    def anchor_text(self):
        return self.anchor.to_text()


def start_dbus():
    os.makedirs("/run/dbus")
    Background("dbus", ["dbus-daemon", "--system", "--nofork", "--nopidfile"])
    wait_until(lambda: os.path.exists("/run/dbus/system_bus_socket"), 60, "D-Bus is there")


class NetworkManager:
    """It manages the link LINK to a network of its own, in which a name server knows FOREIGN."""

    LINK, NETWORK = "wan0", "wan"
    ADDRESS, SERVER = "10.98.0.1", "10.98.0.2"
    ETC = pathlib.Path("/etc/NetworkManager")

    def __init__(self):
        self.server = self._start_network()
        (self.ETC / "conf.d" / "test.conf").write_text(
            "[main]\nplugins=keyfile\nno-auto-default=*\nrc-manager=file\n", encoding="ascii")
        connection = self.ETC / "system-connections" / "wan.nmconnection"
        connection.write_text(f"""\
[connection]
id=wan
type=ethernet
interface-name={self.LINK}
[ipv4]
method=manual
address1={self.ADDRESS}/24
dns={self.SERVER};
[ipv6]
method=disabled
""", encoding="ascii")
        connection.chmod(0o600)
        # It waits for udev unless it may not write to /sys. Its own state is nobody else's.
        start = """\
mount -o remount,bind,ro /sys
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/NetworkManager
exec NetworkManager --debug"""
        # In a chroot the root directory need not be a mount point that could be made private.
        self.process = Background("NetworkManager", [
            "unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", start])
        wait_until(self._is_activated, 60, "NetworkManager has activated the link")

    def _start_network(self):
        # Elsewhere, because NetworkManager lets its dnsmasq ask on this link and on no other.
        inside = ["nsenter", f"--net=/run/netns/{self.NETWORK}"]
        run("ip", "netns", "add", self.NETWORK)
        run("ip", "link", "add", self.LINK, "type", "veth", "peer", "name", "eth0",
            "netns", self.NETWORK)
        run(*inside, "ip", "address", "add", f"{self.SERVER}/24", "dev", "eth0")
        run(*inside, "ip", "link", "set", "eth0", "up")
        return Background("wan", [*inside, "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv",
                                  "--no-hosts", "--user=root", "--pid-file",
                                  f"--listen-address={self.SERVER}", "--bind-interfaces",
                                  f"--address=/{FOREIGN}/{FOREIGN_ADDRESS}"])

    def _is_activated(self):
        if not self.process.is_running():
            raise AssertionError(f"NetworkManager ended:\n{self.process.log()}")
        state = run("nmcli", "--terse", "--fields", "GENERAL.STATE", "connection", "show", "wan",
                    check=False).stdout
        return "activated" in state and "deactivat" not in state

    def reactivate(self):
        run("nmcli", "connection", "down", "wan")
        run("nmcli", "connection", "up", "wan")
        wait_until(self._is_activated, 60, "NetworkManager has activated the link again")

    def stop(self):
        self.process.stop()
        self.server.stop()
        run("ip", "link", "delete", self.LINK)
        run("ip", "netns", "delete", self.NETWORK)


def _configure(name, text):
    path = state(name) / f"{name}.conf"
    path.write_text(text, encoding="ascii")
    return str(path)


def dnsmasq(address, root, *without):
    place("dnsmasq.conf", "/etc/dnsmasq.d/leasedns.conf", *without)
    anchor = ",".join(root.anchor_text.split())
    conf = _configure("dnsmasq", f"""\
listen-address={address}
bind-interfaces
user=root
pid-file=
no-resolv
no-hosts
server={ROOT_SERVER}
stop-dns-rebind
dnssec
trust-anchor=.,{anchor}
conf-dir=/etc/dnsmasq.d/,*.conf
""")
    return upstreams.start("dnsmasq", ["dnsmasq", "-k", "-C", conf], FOREIGN, address)


def unbound(address, root, *without):
    place("unbound.conf", "/etc/unbound/unbound.conf.d/leasedns.conf", *without)
    conf = _configure("unbound", f"""\
server:
  directory: "{state("unbound")}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {address}
  trust-anchor: ". DS {root.anchor_text}"
  private-address: 192.168.0.0/16
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {ROOT_SERVER}
include-toplevel: "/etc/unbound/unbound.conf.d/leasedns.conf"
""")
    # It asks ROOT_SERVER on this host only with our file, so this waits for nothing of others.
    return upstreams.start("unbound", ["unbound", "-d", "-c", conf], "localhost", address)


def named(address, root, *without):
    place("bind-zones.conf", "/etc/bind/leasedns-zones.conf")
    place("bind-options.conf", "/etc/bind/leasedns-options.conf", *without)
    tag, algorithm, digest_type, digest = root.anchor_text.split()
    conf = _configure("named", f"""\
options {{
	directory "{state("named")}";
	pid-file none;
	session-keyfile none;
	max-cache-size 32m;
	listen-on {{ {address}; }};
	listen-on-v6 {{ none; }};
	forwarders {{ {ROOT_SERVER}; }};
	forward only;
	dnssec-validation yes;
	include "/etc/bind/leasedns-options.conf";
}};
controls {{ }};
trust-anchors {{ . static-ds {tag} {algorithm} {digest_type} "{digest}"; }};
include "/etc/bind/leasedns-zones.conf";
""")
    return upstreams.start("named", ["named", "-g", "-n", "1", "-c", conf], FOREIGN, address)


def kresd(address, root, *without):
    place("kresd.lua", "/etc/knot-resolver/leasedns.lua", *without)
    conf = _configure("kresd", f"""\
net.listen('{address}', 53, {{ kind = 'dns' }})
cache.size = 10 * MB
trust_anchors.remove('.')
trust_anchors.add('. IN DS {root.anchor_text}')
dofile('/etc/knot-resolver/leasedns.lua')
policy.add(policy.all(policy.FORWARD('{ROOT_SERVER}')))
""")
    return upstreams.start("kresd", ["kresd", "-n", "-c", conf, str(state("kresd"))], FOREIGN,
                           address)
