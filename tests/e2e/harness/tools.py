"""What must be installed. A missing program fails the test with the name of its Debian package."""

import os
import shutil

#: Program: the package that has it.
PACKAGES = {
    "dhclient": "isc-dhcp-client",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "knotd": "knot",
    "nsd": "nsd",
    "unbound": "unbound",
    "iptables": "iptables",
    "libvirtd": "libvirt-daemon-system",
    "qemu-system-x86_64": "qemu-system-x86",
    "strace": "strace",
    "udhcpc": "udhcpc",
    "virsh": "libvirt-clients",
}
#: Package: where its file lies, in one release of Debian or another. QEMU's cards boot from it.
FILES = {"ipxe-qemu": ("/usr/share/qemu/pxe-virtio.rom", "/usr/lib/ipxe/qemu/pxe-virtio.rom")}


def require():
    """Fails with all that is missing at once."""
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    missing |= {package for package, paths in FILES.items() if not any(map(os.path.exists, paths))}
    if missing:
        raise AssertionError("to run these tests, install: " + " ".join(sorted(missing)))
