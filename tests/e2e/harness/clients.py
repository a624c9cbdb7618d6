"""DHCP clients, each in a network namespace of its own, plugged into a bridge of libvirt's."""

import os
import pathlib
import signal

from . import libvirt, sandbox
from .process import Background, run, wait_until

SCRIPT = str(pathlib.Path(__file__).resolve().parent.parent / "dhcp-script")
INTERFACE = "eth0"


class Client:
    """A machine that is nothing but a network card and DHCP clients."""

    def __init__(self, name, bridge, mac):
        self.name, self.bridge, self.mac = name, bridge, mac
        self.udhcpc = self.dhclient = None
        port = f"p-{name}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", port, "type", "veth",
            "peer", "name", INTERFACE, "address", mac, "netns", name)
        # Two machines with one link-local address are not what is tested here.
        self._inside("sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/{INTERFACE}/accept_dad")
        run("ip", "link", "set", port, "master", bridge, "up")
        self._inside("ip", "link", "set", INTERFACE, "up")

    def _entered(self, *command):
        # Not by "ip netns exec" or "ip -n": they insist on the root directory being a mount point.
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def _inside(self, *command):
        return run(*self._entered(*command))

    def _start(self, *command):
        return Background(f"{command[0]}-{self.name}", self._entered(*command))

    def take_ipv4(self, hostname=None):
        """Asks for an IPv4 address and keeps it renewed. Returns libvirt's record of it."""
        options = ["-x", f"hostname:{hostname}"] if hostname else []
        self.udhcpc = self._start("udhcpc", "-f", "-i", INTERFACE, "-s", SCRIPT, *options,
                                  "-t", "30", "-T", "1")
        return self._taken(is_ipv6=False)

    def take_ipv6(self, hostname):
        """Asks for an IPv6 address and keeps it renewed. Returns libvirt's record of it."""
        pathlib.Path(self._file("conf")).write_text(
            f'send fqdn.fqdn "{hostname}";\nsend fqdn.encoded on;\n', encoding="utf-8")
        self.dhclient = self._start("dhclient", "-d", *self._dhclient_options(), INTERFACE)
        return self._taken(is_ipv6=True)

    def _taken(self, is_ipv6):
        """Waits until libvirt knows the lease, and then until the client does."""
        record = libvirt.wait_for_lease(self.bridge, self.mac, is_ipv6)
        wait_until(lambda: f" {record['ip-address']}/" in self._inside("ip", "addr").stdout, 60,
                   f"{self.name} has its address")
        return record

    def _file(self, suffix):
        return os.path.join(sandbox.STATE, f"dhclient-{self.name}.{suffix}")

    def _dhclient_options(self):
        return ["-6", "-D", "LL", "-cf", self._file("conf"), "-lf", self._file("leases"),
                "-pf", self._file("pid"), "-sf", SCRIPT]

    def renew_ipv4(self):
        """Asks to prolong the lease; returns libvirt's record when its expiry has moved."""
        before = libvirt.lease(self.bridge, self.mac)["expiry-time"]
        self.udhcpc.send(signal.SIGUSR1)
        wait_until(lambda: libvirt.lease(self.bridge, self.mac)["expiry-time"] > before, 60,
                   f"{self.name} renews")
        return libvirt.lease(self.bridge, self.mac)

    def release_ipv4(self):
        """Gives the address back, and waits until libvirt has noted it."""
        self.udhcpc.send(signal.SIGUSR2)
        wait_until(lambda: not libvirt.lease(self.bridge, self.mac), 60, f"{self.name} releases")

    def release_ipv6(self):
        self._inside("dhclient", "-r", *self._dhclient_options(), INTERFACE)
        wait_until(lambda: not libvirt.lease(self.bridge, self.mac, is_ipv6=True), 60,
                   f"{self.name} releases")

    def vanish(self):
        """Ends without a word to the server, as a machine that loses power."""
        for program in (self.udhcpc, self.dhclient):
            if program:
                program.send(signal.SIGKILL)
                program.stop()
