"""Virtual machines: QEMU without KVM, which works everywhere."""

import os
import pathlib
import shutil
from xml.sax.saxutils import escape

from . import libvirt

#: Names the directory that make_guest_image.py has filled.
IMAGE_VARIABLE = "LEASEDNS_GUEST_DIR"
IMAGE_DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "build/guest"
#: Where libvirt may read it.
KERNEL_DIR = pathlib.Path("/var/lib/libvirt/e2e")

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>{memory_mib}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='network'>
      <source network='{network}'/><mac address='{mac}'/><model type='virtio'/>{rom}
    </interface>
    <serial type='file'><source path='/var/log/libvirt/{mac}.serial'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""
LINUX = """\
<kernel>{directory}/vmlinuz</kernel><initrd>{directory}/initrd</initrd>
<cmdline>console=ttyS0 quiet panic=1 tsc=unstable net.ifnames=0 hostname={hostname}</cmdline>"""
#: iPXE gives up after some seconds; the BIOS starts again then, as often as it takes.
NETWORK_BOOT = "<boot dev='network'/><bios useserial='yes' rebootTimeout='100'/>"
#: QEMU loads the card's boot code unless this says no, and it would run before the kernel.
NO_ROM = "<rom enabled='no'/>"


def require_image():
    directory = pathlib.Path(os.environ.get(IMAGE_VARIABLE) or IMAGE_DEFAULT)
    if not (directory / "vmlinuz").is_file() or not (directory / "initrd").is_file():
        raise AssertionError(f"no guest image in '{directory}': run "
                             f"tests/e2e/make_guest_image.py {directory}")
    return directory


def _create(name, mac, network, memory_mib, boot, rom):
    libvirt.Libvirt.virsh("create", "/dev/stdin", stdin=DOMAIN.format(
        name=escape(name), mac=mac, network=network, memory_mib=memory_mib, boot=boot, rom=rom))


def start_linux(name, mac, network, hostname):
    """A Linux guest that takes a lease under a host name. Returns at once."""
    if not KERNEL_DIR.exists():
        shutil.copytree(require_image(), KERNEL_DIR)
    _create(name, mac, network, 128, LINUX.format(directory=KERNEL_DIR, hostname=hostname), NO_ROM)


def start_network_boot(name, mac, network):
    """A guest without any disk: its BIOS takes a lease, without a host name, to boot from the
    network. So libvirt alone knows its name. Returns at once."""
    _create(name, mac, network, 64, NETWORK_BOOT, "")


def destroy(name):
    libvirt.Libvirt.virsh("destroy", name)
