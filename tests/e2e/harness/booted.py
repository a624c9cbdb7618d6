"""A machine with systemd as its first process: a tree of Debian, booted in namespaces of its own.

It shares the network of the sandbox, so the sandbox's programs talk to its services. What it writes
goes to a layer above the tree, which is kept over a reboot and gone with the sandbox.
"""

import ctypes
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

from . import sandbox
from .process import run, wait_until

#: Mounts what a machine finds mounted. $1: the tree; $2: a directory for the layer above it.
MOUNT = """\
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    set -- "$1" "$2" $device
    mknod -m 666 "dev/$3" c "$4" "$5"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
"""
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 1 << 18, 2
E2E = pathlib.Path(__file__).resolve().parent.parent
NAME = "machine"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
#: The cgroup that all of it lives in; systemd insists on the second version.
CGROUP = "leasedns-e2e-"
#: One of a test that was killed stays, and is removed by a later one; not while it may be young.
CGROUP_OLD_S = 60


def _cgroups():
    """A view of the cgroups: the host's own may be of the first version, or not there in a chroot."""
    root = pathlib.Path(sandbox.STATE) / "cgroup"
    if not root.exists():
        root.mkdir()
        run("mount", "-t", "cgroup2", "cgroup2", str(root))
        for left in root.glob(f"{CGROUP}*"):
            if time.time() - left.stat().st_mtime > CGROUP_OLD_S:
                _remove_cgroup(left)
    return root


def _remove_cgroup(path):
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass  # somebody lives there


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _become(tree, state):
    """In namespaces that were just made: becomes the machine's first process."""
    libc = ctypes.CDLL(None, use_errno=True)
    subprocess.run(["sh", "-euc", MOUNT, "mount", tree, state], check=True)
    root = os.open(os.path.join(state, "root"), os.O_RDONLY | os.O_DIRECTORY)
    # PrivateUsers= of a unit fails below a chroot, so the root itself is changed. Where the tests
    # run in a chroot, that is left first: all this is in a mount namespace that is ours alone.
    os.chroot(os.path.join(state, "root"))
    while os.stat("..").st_ino != os.stat(".").st_ino or os.stat("..").st_dev != os.stat(".").st_dev:
        os.chdir("..")
    os.chroot(".")
    _check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    os.fchdir(root)
    _check(libc.pivot_root(b".", b"."))  # pivot_root(2) explains the dots
    _check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    socket.sethostname(NAME)
    os.execve("/lib/systemd/systemd", ["systemd", "--system"],
              {"container": "lxc", **ENVIRONMENT})


class Machine:
    """Is there, but not booted yet."""

    def __init__(self, tree, name="machine"):
        self.state = pathlib.Path(sandbox.STATE) / name
        for part in ("upper", "work", "root"):
            (self.state / part).mkdir(parents=True)
        self.tree = tree
        self.cgroup = _cgroups() / f"{CGROUP}{random.getrandbits(48):x}"
        self.outer = self.init = None
        (self.state / "upper/etc").mkdir()
        # Empty: a machine that is booted again, not one that sees the light for the first time.
        (self.state / "upper/etc/machine-id").touch()
        (self.state / "upper/etc/hostname").write_text(f"{NAME}\n", encoding="ascii")
        (self.state / "upper/etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")

    def boot(self):
        self.cgroup.mkdir()
        with open(self.state / "console", "ab") as console:
            # "0" is whoever writes it.
            self.outer = subprocess.Popen(
                ["sh", "-euc", 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"', "boot",
                 str(self.cgroup), "unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup",
                 "--fork", "--kill-child", "--propagation", "unchanged",
                 sys.executable, "-B", "-m", "harness.booted", str(self.tree), str(self.state)],
                cwd=E2E, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        self.init = wait_until(lambda: self._alive() and children.read_text().strip(), 60,
                               "the first process is there")
        wait_until(self._booted, 300, "systemd has booted")

    def _alive(self):
        if self.outer.poll() is not None:
            raise AssertionError(f"the machine is down:\n{self.console()}")
        return True

    def _booted(self):
        self._alive()
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running", "degraded")

    def console(self):
        return (self.state / "console").read_text(encoding="utf-8", errors="replace")

    def entered(self, *command):
        """The command line that runs a command inside."""
        return ["nsenter", "-t", self.init, "-m", "-p", "-u", "-i", "-C", "--root", "--wd", "--",
                "env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), *command]

    def run(self, *command, **options):
        """Runs a command inside, as process.run()."""
        return run(*self.entered(*command), **options)

    def shell(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def path(self, inside):
        """Where a file of the machine is for the sandbox."""
        return pathlib.Path(f"/proc/{self.init}/root{inside}")

    def show(self, unit, *properties):
        """Properties of a unit: the values in that order; of one, its value."""
        lines = self.run("systemctl", "show", "-p", ",".join(properties), unit).stdout.splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return found[properties[0]] if len(properties) == 1 else [found[p] for p in properties]

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", unit).stdout

    def _ended(self):
        if self.outer:
            self.outer.wait(60)
            wait_until(self._cgroup_is_empty, 60, "all processes are gone")
        _remove_cgroup(self.cgroup)
        self.init = None

    def _cgroup_is_empty(self):
        events = self.cgroup / "cgroup.events"
        return not events.exists() or "populated 0" in events.read_text(encoding="ascii")

    def kill(self):
        """Pulls the plug, if it is still in."""
        if self.outer and self.outer.poll() is None:
            self.outer.kill()
        self._ended()

    def halt(self):
        self.run("systemctl", "--no-block", "poweroff")
        self._ended()

    def reboot(self):
        self.run("systemctl", "--no-block", "reboot")
        self._ended()
        self.boot()


if __name__ == "__main__":
    _become(*sys.argv[1:])
