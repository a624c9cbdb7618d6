"""The NSS modules in the sandbox, asked through glibc by programs that know nothing of them."""

import json
import os
import pathlib
import subprocess
import sys

from . import sandbox
from .process import run

#: Directory of the modules, set by CTest.
VARIABLE = "LEASEDNS_NSS_DIR"
NSSWITCH, HOSTS = pathlib.Path("/etc/nsswitch.conf"), pathlib.Path("/etc/hosts")
#: getent(1): a name was not found.
NOT_FOUND = 2

#: Asks over and over, by getaddrinfo() of a process that lives long; one line of JSON a question.
WATCHER = """\
import json, socket, sys, time
while True:
    asked = time.time()
    try:
        found = {item[4][0] for item in socket.getaddrinfo(sys.argv[1], None)}
    except socket.gaierror:
        found = ()
    print(json.dumps([asked, time.time(), sorted(found)]), flush=True)
    time.sleep(0.02)
"""


def environment():
    directory = os.environ.get(VARIABLE, "")
    if not os.path.exists(os.path.join(directory, "libnss_leasedns.so.2")):
        raise AssertionError(f"${VARIABLE} has no modules: '{directory}'")
    return {**os.environ, "LD_LIBRARY_PATH": directory}


def set_up():
    """Gives the sandbox files of its own in place of what the host asks for names."""
    for path, text in ((NSSWITCH, ""), (HOSTS, "127.0.0.1 localhost\n")):
        own = pathlib.Path(sandbox.STATE) / path.name
        own.write_text(text, encoding="utf-8")
        run("mount", "--bind", str(own), str(path))


def use(*services):
    """Sets the line of nsswitch.conf for hosts."""
    NSSWITCH.write_text(f"hosts: {' '.join(services)}\n", encoding="utf-8")


def getent(database, *keys):
    """The lines that getent prints, split; none if it finds nothing."""
    done = subprocess.run(["getent", database, *keys], capture_output=True, text=True, timeout=120,
                          env=environment())
    if done.returncode not in (0, NOT_FOUND):
        raise AssertionError(f"getent {database} {keys}: {done.returncode}\n{done.stderr}")
    return [line.split() for line in done.stdout.splitlines()]


def addresses(name, database="ahosts"):
    """The addresses of a name in their order: of `ahosts` all, of `ahostsv4` and `ahostsv6` those of
    a family."""
    found = dict.fromkeys(line[0] for line in getent(database, name))
    # Without any address of IPv6, glibc maps those of IPv4.
    return [address for address in found if not address.startswith("::ffff:")]


def names(address):
    """The names of an address, best first."""
    return [name for line in getent("hosts", address) for name in line[1:]]


class Watcher:
    """A process that asks for a name over and over. A context manager."""

    def __init__(self, name):
        self.child = subprocess.Popen([sys.executable, "-c", WATCHER, name], text=True,
                                      stdout=subprocess.PIPE, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.child.kill()
        self.child.wait()

    def stop(self):
        """(asked, answered, addresses) of each question; the last may have been cut off."""
        self.child.kill()
        lines = self.child.communicate()[0].split("\n")[:-1]
        return [tuple(json.loads(line)) for line in lines]
