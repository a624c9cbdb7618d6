#!/usr/bin/python3
"""Makes the kernel and the initramfs of the test guest out of Debian's packages.

    make_guest_image.py DIRECTORY

Downloads linux-image-cloud-amd64's kernel and busybox-static with apt-get (about 28 MB), unpacks
and never installs them, and writes DIRECTORY/vmlinuz and DIRECTORY/initrd. Does nothing if both are
there. Needs apt's package lists.
"""

import gzip
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KERNEL = "linux-image-cloud-amd64"
#: What a virtio network card needs, in the order in which the modules need each other. A kernel may
#: have some built in.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "failover", "net_failover", "virtio_net")
DHCP_SCRIPT = b"""#!/bin/sh
case $1 in bound | renew) ifconfig "$interface" "$ip" netmask "$subnet" ;; esac
"""
FILE, DIRECTORY, LINK = 0o100755, 0o040755, 0o120777


def kernel_package():
    """The package that the metapackage stands for today."""
    depends = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True,
                             check=True).stdout
    for line in depends.splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise SystemExit(f"apt knows no kernel behind {KERNEL}: run apt-get update")


def unpack_packages(directory):
    # apt's own user may not write here; the download is verified all the same.
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", kernel_package(),
                    "busybox-static"], cwd=directory, check=True)
    for package in directory.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, directory / "root"], check=True)
    return directory / "root"


def only(paths, what):
    found = list(paths)
    if len(found) != 1:
        raise SystemExit(f"{what}: expected one, found {len(found)}")
    return found[0]


def read_module(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def modules(root):
    """Name and content of each module that is not built in."""
    for name in MODULES:
        found = [path for path in root.rglob(f"{name}.ko*")]
        if found:
            yield f"{name}.ko", read_module(only(found, name))


def archive(entries):
    """A cpio archive in the "newc" format (Linux, driver-api/early-userspace/buffer-format)."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        encoded = name.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, size, device (2), special device (2), name, checksum
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += bytes(-len(out) % 4)
        out += data + bytes(-len(data) % 4)
    return bytes(out)


def initramfs(root):
    kept = list(modules(root))
    entries = [(name, DIRECTORY, b"") for name in ("bin", "dev", "modules", "proc", "sys")]
    entries += [
        ("bin/busybox", FILE, only(root.rglob("bin/busybox"), "busybox").read_bytes()),
        ("bin/sh", LINK, b"busybox"),
        ("bin/dhcp-script", FILE, DHCP_SCRIPT),
        ("init", FILE, (HERE / "guest-init").read_bytes()),
        ("modules/order", FILE, "".join(f"{name}\n" for name, _ in kept).encode()),
    ]
    entries += [(f"modules/{name}", FILE, data) for name, data in kept]
    return gzip.compress(archive(entries), compresslevel=1)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    target = pathlib.Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    kernel, initrd = target / "vmlinuz", target / "initrd"
    if kernel.exists() and initrd.exists():
        return 0
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        root = unpack_packages(pathlib.Path(scratch))
        content = {
            kernel: only(root.glob("boot/vmlinuz-*"), "kernel").read_bytes(),
            initrd: initramfs(root),
        }
        for path, data in content.items():
            fresh = pathlib.Path(scratch) / path.name
            fresh.write_bytes(data)
            os.rename(fresh, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
