"""libvirtd in the sandbox, its networks and its lease files."""

import contextlib
import json
import os
import pathlib
import signal

from . import sandbox
from .process import Background, run, wait_until

DNSMASQ = pathlib.Path("/var/lib/libvirt/dnsmasq")
NETWORKS = pathlib.Path(__file__).resolve().parent.parent / "networks"
URI = "qemu:///system"
#: The sandbox hides the cgroups, and root is alone in it.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = [ ]
namespaces = [ ]
"""


class Libvirt:
    """A libvirtd that ends with the sandbox at the latest."""

    def __init__(self):
        os.environ["LIBVIRT_DEFAULT_URI"] = URI
        # Programs of one file system must find it: the lock directory of a fresh /run, for one.
        os.makedirs("/run/lock", exist_ok=True)
        pathlib.Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF, encoding="utf-8")
        self.daemon = Background("libvirtd", ["libvirtd"])
        wait_until(self._answers, 60, "libvirtd answers")

    def _answers(self):
        if not self.daemon.is_running():
            raise AssertionError(f"libvirtd ended:\n{self.daemon.log()}")
        return run("virsh", "-q", "uri", check=False).returncode == 0

    def start_network(self, name):
        """Defines and starts the network networks/NAME.xml."""
        self.virsh("net-define", str(NETWORKS / f"{name}.xml"))
        self.virsh("net-start", name)

    @staticmethod
    def virsh(*arguments, stdin=""):
        return run("virsh", "-q", *arguments, stdin=stdin).stdout

    def stop(self):
        return self.daemon.stop()


@contextlib.contextmanager
def frozen_dnsmasq(network):
    """The DHCP server of a network does nothing meanwhile: its lease files stay as they are."""
    pid = int(pathlib.Path(f"/run/libvirt/network/{network}.pid").read_text(encoding="ascii"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def status_path(bridge):
    return DNSMASQ / f"{bridge}.status"


def leases(bridge):
    """The lease records of a bridge, as libvirt wrote them."""
    try:
        text = status_path(bridge).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return json.loads(text) if text.strip() else []


def lease(bridge, mac, is_ipv6=False):
    """The lease of a MAC address on a bridge, or None."""
    for record in leases(bridge):
        if record["mac-address"] == mac and (":" in record["ip-address"]) == is_ipv6:
            return record
    return None


def wait_for_lease(bridge, mac, is_ipv6=False, timeout_s=60):
    return wait_until(lambda: lease(bridge, mac, is_ipv6), timeout_s,
                      f"a lease of {mac} on {bridge}")


def logs():
    """What to read when a test module failed: name and end of each log in the sandbox."""
    paths = sorted(pathlib.Path(sandbox.STATE).glob("*.log"))
    paths += sorted(path for path in pathlib.Path("/var/log/libvirt").rglob("*") if path.is_file())
    for path in paths:
        yield str(path), path.read_text(encoding="utf-8", errors="backslashreplace")[-4000:]
