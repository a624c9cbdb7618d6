"""A network of its own for a test that needs nothing else of a sandbox, and ports in it."""

import ctypes
import pathlib
import random
import socket

from .process import run

CLONE_NEWNET = 0x40000000
#: Below it nobody has a port for a reason, and above it the kernel hands them out.
PORT_MIN = 10000


def own():
    """Moves this process to a network that is nobody else's. Who may not do that stays in that of
    the host."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        run("ip", "link", "set", "lo", "up")


def free_port(address="127.0.0.1"):
    """A port that neither UDP nor TCP uses, and that the kernel gives to no client."""
    text = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(1000):
        port = random.randrange(PORT_MIN, max(int(text.split()[0]), PORT_MIN + 1000))
        with socket.socket(family, socket.SOCK_STREAM) as tcp, \
                socket.socket(family, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((address, port))
                udp.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
