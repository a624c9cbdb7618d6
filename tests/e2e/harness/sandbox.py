"""Private PID, mount, network and UTS namespaces in which a test module runs as root.

Everything that a test starts dies with the sandbox's first process, by the kernel's hand: there is
nothing to clean up, even after SIGKILL. All state lies in file systems in memory that only the
sandbox sees, so two runs on one machine never meet.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

#: Directories of which the sandbox has its own, empty ones.
PRIVATE = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
#: Where a test keeps files of its own.
STATE = "/run/e2e"
#: What /etc/leasedns.conf is inside: an empty file if the host has one, else nothing.
HOST_CONF = "/etc/leasedns.conf"
#: Likewise: nobody is asked in the host's name.
RESOLV_CONF = "/etc/resolv.conf"
#: What the host is called inside: no guest may be called like its host.
HOSTNAME = "e2e-host"
#: From SIGTERM until the whole sandbox is killed.
GRACE_S = 15

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(body):
    """Runs body() in a fresh sandbox; returns its exit code, as a shell would see it."""
    if os.geteuid() != 0:
        print("end-to-end tests need root: they make namespaces and run libvirtd", file=sys.stderr)
        return 1
    _check(_libc.unshare(CLONE_NEWPID))
    sys.stdout.flush()
    first = os.fork()
    if first == 0:
        os._exit(_guarded(_first_process, body))

    def ask_to_end(_number, _frame):
        os.kill(first, signal.SIGTERM)
        signal.alarm(GRACE_S)

    signal.signal(signal.SIGTERM, ask_to_end)
    signal.signal(signal.SIGINT, ask_to_end)
    signal.signal(signal.SIGALRM, lambda _number, _frame: os.kill(first, signal.SIGKILL))
    return _shell_code(os.waitpid(first, 0)[1])


def _guarded(function, *arguments):
    """The exit code that function(*arguments) returns (None is 0); 1, with the reason on standard
    error, if it raises."""
    try:
        return function(*arguments) or 0
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
            return 1
        return ending.code or 0
    except BaseException:  # a forked child must never run on in its parent's code
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _shell_code(status):
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _first_process(body):
    """PID 1 of the sandbox: starts the tests, buries orphans (libvirt waits until its dnsmasq is no
    longer there, and a zombie still is)."""
    _die_with_parent()
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS))
    _mount_private()
    socket.sethostname(HOSTNAME)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tests = os.fork()
    if tests == 0:
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
        os._exit(_guarded(body))
    signal.signal(signal.SIGTERM, lambda number, _frame: os.kill(tests, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == tests:
            return _shell_code(status)


def _die_with_parent():
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def _mount_points():
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        # Octal escapes stand for blanks; see proc(5).
        return [line.split()[4].encode().decode("unicode_escape") for line in mounts]


def _mount_private():
    # One by one, because in a chroot the root directory need not be a mount point.
    for point in _mount_points():
        done = subprocess.run(["mount", "--make-private", point], capture_output=True, text=True)
        # Until it is ours alone, it vanishes when the host unmounts it.
        if done.returncode != 0 and point in _mount_points():
            raise SystemExit(f"mount --make-private {point}: {done.stderr}")
    _mount("-t", "proc", "proc", "/proc")
    # A sysfs shows the network namespace that it was mounted in; libvirtd looks there for links.
    _mount("-t", "sysfs", "sysfs", "/sys")
    for path in PRIVATE:
        if not os.path.isdir(path):
            raise SystemExit(f"{path} is missing: install libvirt-daemon-system")
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    os.makedirs(STATE)
    # Regular files: not everybody takes a device for a configuration.
    empty = os.path.join(STATE, "empty")
    with open(empty, "x", encoding="ascii"):
        pass
    for path in (HOST_CONF, RESOLV_CONF):
        if os.path.exists(path):
            _mount("--bind", empty, path)
