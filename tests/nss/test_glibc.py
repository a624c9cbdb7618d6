"""The NSS modules as they are installed, asked through glibc: in a mount namespace with its own /etc,
/run, /var/lib and /var/cache. Needs root."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

LIB_DIR = os.environ["NSS_LIB_DIR"]
CLIENT = os.environ["NSS_CLIENT"]
LEASEDNS = os.environ["LEASEDNS"]
SANITIZED = bool(os.environ.get("NSS_SANITIZED"))
LEASES = "/var/lib/libvirt/dnsmasq"
INDEX = "/run/leasedns/index.cdb"
CONF = "/etc/leasedns.conf"
NOBODY = 65534
MODULES = ("libvirt", "libvirt_guest", "leasedns")
LONG_AGO = (1700000000, 1700000000)
# For programs that end without a /proc or descriptors, which the leak sanitizer wants.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def setUpModule():
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    shutil.copytree("/etc", "/run/etc", symlinks=True)
    mount("--bind", "/run/etc", "/etc")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/var/lib")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/var/cache")
    # Where nobody may look is where programs are built.
    os.makedirs("/run/lib")
    for name in os.listdir(LIB_DIR):
        shutil.copy(os.path.join(LIB_DIR, name), "/run/lib", follow_symlinks=False)
    shutil.copy(CLIENT, "/run/client")


def lease(address, mac, hostname=None, expires=0):
    entry = {"ip-address": address, "mac-address": mac, "expiry-time": expires}
    if hostname is not None:
        entry["hostname"] = hostname
    return entry


def publish(name, content):
    path = os.path.join(LEASES, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    os.rename(path + ".new", path)


def index():
    """What is built next is not racy."""
    for name in os.listdir(LEASES):
        os.utime(os.path.join(LEASES, name), LONG_AGO)
    os.utime(LEASES, LONG_AGO)
    if os.path.exists(CONF):
        os.utime(CONF, LONG_AGO)
    subprocess.run([LEASEDNS, "index"], check=True, capture_output=True)


def client(*actions, services=" ".join(MODULES), environment=None):
    """Lines that the client printed. It must end by itself, and well."""
    done = subprocess.run(
        ["/run/client", f"hosts={services}", *actions], capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": "/run/lib", **(environment or {})})
    if done.returncode != 0:
        raise AssertionError(f"{actions}: {done.returncode}: {done.stderr}")
    return done.stdout.splitlines()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        shutil.rmtree("/var/lib/libvirt", ignore_errors=True)
        shutil.rmtree("/run/leasedns", ignore_errors=True)
        if os.path.exists(CONF):
            os.unlink(CONF)
        os.makedirs(LEASES)
        publish("virbr0.status", [
            lease("192.168.122.10", "52:54:00:00:00:10", "web"),
            lease("fd00::10", "52:54:00:00:00:10", "web"),
            lease("192.168.122.14", "52:54:00:00:00:14"),
            lease("192.168.122.15", "52:54:00:00:00:15", "b\u00fccher"),
        ])
        publish("virbr0.macs", [
            {"domain": "box", "macs": ["52:54:00:00:00:14"]},
            {"domain": "idle", "macs": []},
            {"domain": "b\u00fccher", "macs": ["52:54:00:00:00:15"]},
        ])
        index()

    def both_ways(self):
        """With the index, then without."""
        yield "index"
        os.unlink(INDEX)
        yield "files"

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def ask(self, expected, *actions, **how):
        self.assertEqual(client(*actions, **how), expected)


class Answers(Case):
    def test_every_call_of_glibc_is_answered(self):
        for way in self.both_ways():
            with self.subTest(way):
                self.ask(["192.168.122.10 fd00::10", "192.168.122.10", "fd00::10",
                          "192.168.122.10", "fd00::10", "web", "web", "web"],
                         "getaddrinfo=web", "getaddrinfo-4=web", "getaddrinfo-6=web",
                         "gethostbyname=web", "gethostbyname2-6=web",
                         "gethostbyaddr=192.168.122.10", "gethostbyaddr=fd00::10",
                         "getnameinfo=192.168.122.10", services="libvirt")
                self.ask(["192.168.122.14", "192.168.122.14", "box", "box", "192.168.122.15"],
                         "getaddrinfo=box", "gethostbyname=BOX.libvirt",
                         "gethostbyaddr=192.168.122.14", "getnameinfo=192.168.122.14",
                         "getaddrinfo=b\u00fccher", services="libvirt_guest")
                self.ask(["192.168.122.10 fd00::10", "192.168.122.14", "web.libvirt",
                          "box.libvirt", "127.0.0.56"],
                         "getaddrinfo=web.virbr0.libvirt", "getaddrinfo=box.libvirt",
                         "gethostbyaddr=fd00::10", "getnameinfo=192.168.122.14",
                         "getaddrinfo=leasedns.libvirt", services="leasedns")

    def test_modules_complete_each_other(self):
        for way in self.both_ways():
            with self.subTest(way):
                self.ask(["192.168.122.10 fd00::10", "192.168.122.14", "box", "EAI NONAME", "none"],
                         "getaddrinfo=web", "getaddrinfo=box", "gethostbyaddr=192.168.122.14",
                         "getaddrinfo=missing", "getnameinfo=192.168.122.99",
                         services="libvirt libvirt_guest")

    def test_statuses_steer_what_is_asked_next(self):
        """glibc goes on, or not, as nsswitch.conf says for that status."""
        self.ask(["192.168.122.10 fd00::10"], "getaddrinfo=web",
                 services="libvirt_guest [NOTFOUND=continue] libvirt")
        self.ask(["EAI NONAME"], "getaddrinfo=web",
                 services="libvirt_guest [NOTFOUND=return] libvirt")
        shutil.rmtree(LEASES)
        os.unlink(INDEX)
        self.assertNotEqual(
            client("getaddrinfo=localhost", services="libvirt [UNAVAIL=return] files"),
            ["127.0.0.1"])
        # Where /etc/hosts says "::1 localhost" as well, glibc tells 127.0.0.1 twice.
        answer = client("getaddrinfo-4=localhost",
                        services="libvirt [NOTFOUND=return TRYAGAIN=return] files")
        self.assertEqual({address for line in answer for address in line.split()}, {"127.0.0.1"})

    def test_known_name_without_address_is_not_unknown(self):
        for way in self.both_ways():
            with self.subTest(way):
                answer = client("gethostbyname=idle", services="libvirt_guest")
                self.assertEqual(answer, ["h_errno 4"])  # NO_DATA
                answer = client("gethostbyname=missing", services="libvirt_guest")
                self.assertEqual(answer, ["h_errno 1"])  # HOST_NOT_FOUND

    def test_any_number_of_addresses_is_told(self):
        for count in (1, 30, 1000):
            publish("virbr1.status", [
                lease(f"10.1.{i // 250}.{i % 250 + 1}", f"52:54:01:00:{i // 250:02x}:{i % 250:02x}",
                      "clone") for i in range(count)])
            index()
            for way in self.both_ways():
                with self.subTest(way, count=count):
                    both, four = client("getaddrinfo=clone", "gethostbyname=clone")
                    self.assertEqual(len(both.split()), count)
                    self.assertEqual(both, four)
            index()

    def test_configuration_that_appears_counts(self):
        self.ask(["EAI NONAME"], "getaddrinfo=web.vm.example", services="leasedns")
        with open(CONF, "w", encoding="utf-8") as file:
            file.write("[zone]\nname = vm.example\n")
        for way in ("stale", "index"):
            with self.subTest(way):
                self.ask(["192.168.122.10 fd00::10", "web.vm.example", "EAI NONAME"],
                         "getaddrinfo=web.vm.example", "gethostbyaddr=192.168.122.10",
                         "getaddrinfo=web.libvirt", services="leasedns")
                index()

    def test_wrong_configuration_leaves_what_the_server_has(self):
        """New leases, too: the server goes on with the settings that it has, and so do we."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{probe.getsockname()[1]}"
        with open(CONF, "w", encoding="utf-8") as file:
            file.write(f"[server]\nlisten = {listen}\n[zone]\nname = vm.example\n")
        os.unlink(INDEX)
        server = subprocess.Popen([LEASEDNS, "serve"], stderr=subprocess.DEVNULL)
        try:
            self.wait_for(lambda: os.path.exists(INDEX))
            with open(CONF, "a", encoding="utf-8") as file:
                file.write("tll = 5\n")
            self.ask(["192.168.122.10 fd00::10"], "getaddrinfo=web.vm.example", services="leasedns")
            os.kill(server.pid, signal.SIGHUP)
            publish("virbr1.status", [lease("10.1.0.1", "52:54:01:00:00:01", "late")])
            self.wait_for(lambda: client("getaddrinfo=late.vm.example", services="leasedns") ==
                          ["10.1.0.1"])
            self.ask(["192.168.122.10 fd00::10", "EAI NONAME"], "getaddrinfo=web.vm.example",
                     "getaddrinfo=web.libvirt", services="leasedns")
        finally:
            server.terminate()
            server.wait(30)

    def test_index_of_another_configuration_is_believed(self):
        """A server that was started with a configuration of its own: its zone is the zone."""
        path = "/run/other.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write("[zone]\nname = other.example\n")
        os.utime(path, LONG_AGO)
        subprocess.run([LEASEDNS, "index", "-c", path], check=True, capture_output=True)
        self.ask(["192.168.122.10 fd00::10", "web.other.example"],
                 "getaddrinfo=web.other.example", "gethostbyaddr=192.168.122.10",
                 services="leasedns")


class Surroundings(Case):
    def test_unprivileged_program_is_answered(self):
        for way in self.both_ways():
            with self.subTest(way):
                self.ask(["192.168.122.10 fd00::10", "web"], f"uid={NOBODY}", "getaddrinfo=web",
                         "gethostbyaddr=192.168.122.10")

    def test_index_is_believed_where_leases_cannot_be_seen(self):
        """Behind 0700, or where an empty file system hides them: a sandbox."""
        os.chmod("/var/lib/libvirt", 0o700)
        self.ask(["192.168.122.10 fd00::10"], f"uid={NOBODY}", "getaddrinfo=web")
        os.chmod("/var/lib/libvirt", 0o755)
        for hidden in ("/var/lib/libvirt/dnsmasq", "/var/lib"):
            # An empty directory in its place can be seen: then the leases are gone.
            expected = "192.168.122.10 fd00::10" if hidden == "/var/lib" else "EAI NONAME"
            mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", hidden)
            try:
                self.ask([expected], "getaddrinfo=web")
                self.ask([expected], f"uid={NOBODY}", "getaddrinfo=web")
            finally:
                subprocess.run(["umount", hidden], check=True)

    def test_nothing_is_found_in_an_empty_root(self):
        """Loaded before, then chroot(): unavailable, and no more."""
        os.makedirs("/run/empty", exist_ok=True)
        first, second = client("getaddrinfo=web", "chroot=/run/empty", "getaddrinfo=web",
                               services="libvirt", environment=NO_LEAK_CHECK)
        self.assertEqual(first, "192.168.122.10 fd00::10")
        self.assertTrue(second.startswith("EAI "), second)

    def test_program_without_descriptors_is_told_so(self):
        """A module that is loaded opens files; with none left it says so and does not crash."""
        for way in self.both_ways():
            with self.subTest(way):
                first, second = client("getaddrinfo=web", "nofile=3", "getaddrinfo=web",
                                       services="libvirt", environment=NO_LEAK_CHECK)
                self.assertEqual(first, "192.168.122.10 fd00::10")
                self.assertEqual(second, "EAI AGAIN")

    def test_program_without_standard_streams_is_answered(self):
        for way in self.both_ways():
            with self.subTest(way):
                self.ask(["192.168.122.10 fd00::10"], "close", "getaddrinfo=web")

    @unittest.skipIf(SANITIZED, "the sanitizer's shadow does not fit a limit on addresses")
    def test_memory_that_is_short_is_survived(self):
        for way in self.both_ways():
            for more in (0, 4096, 65536, 131072, 200000, 262144, 524288, 1048576):
                with self.subTest(way, more=more):
                    first, second = client("getaddrinfo=web", f"memory={more}", "getaddrinfo=web",
                                           services="libvirt")
                    self.assertEqual(first, "192.168.122.10 fd00::10")
                    if way == "index":
                        self.assertEqual(second, first)
                    else:
                        self.assertIn(second, (first, "EAI AGAIN", "EAI MEMORY", "EAI SYSTEM"))

    @unittest.skipIf(SANITIZED, "the sanitizer must be the first library that is loaded")
    def test_other_json_libraries_do_not_matter(self):
        """The lease files hold what only json-c reads: ours, not the program's."""
        os.unlink(INDEX)
        for library in ("libjson-c.so.5", "libjansson.so.4"):
            with self.subTest(library):
                self.ask(["192.168.122.15", "192.168.122.10 fd00::10"], "getaddrinfo=b\u00fccher",
                         "getaddrinfo=web", environment={"LD_PRELOAD": library})

    def test_environment_steers_nothing(self):
        self.ask(["192.168.122.10 fd00::10", "EAI NONAME"], "getaddrinfo=web",
                 "getaddrinfo=web.vm.example", environment={
                     "LEASEDNS_INDEX_FILE": "/dev/null", "LEASEDNS_CONF_FILE": "/dev/null",
                     "LEASEDNS_CONF": "/dev/null", "LC_ALL": "tr_TR.UTF-8", "TMPDIR": "/nowhere",
                     "HOME": "/nowhere"})


@unittest.skipIf(SANITIZED, "programs without the sanitizer cannot load a module that has it")
class Installed(Case):
    """With nsswitch.conf and the loader's cache, as packages set them up."""

    @classmethod
    def setUpClass(cls):
        with open("/etc/ld.so.conf.d/leasedns-test.conf", "w", encoding="utf-8") as file:
            file.write("/run/lib\n")
        subprocess.run(["ldconfig", "-X"], check=True)
        with open("/etc/nsswitch.conf", "w", encoding="utf-8") as file:
            file.write("passwd: files\nhosts: files libvirt libvirt_guest\n")

    def test_getent_answers(self):
        for way in self.both_ways():
            with self.subTest(way):
                for name, first in (("web", "192.168.122.10"), ("box", "192.168.122.14")):
                    done = subprocess.run(["getent", "ahostsv4", name], capture_output=True,
                                          text=True, timeout=60, check=True)
                    self.assertEqual(done.stdout.split()[0], first)
                done = subprocess.run(["getent", "hosts", "192.168.122.14"], capture_output=True,
                                      text=True, timeout=60, check=True)
                self.assertEqual(done.stdout.split(), ["192.168.122.14", "box"])

    def test_setuid_program_is_answered(self):
        shutil.copy(CLIENT, "/run/setuid-client")
        os.chown("/run/setuid-client", 0, 0)
        os.chmod("/run/setuid-client", 0o4755)
        for way in self.both_ways():
            with self.subTest(way):
                done = subprocess.run(
                    ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                     "/run/setuid-client", "getaddrinfo=web", "gethostbyaddr=192.168.122.10"],
                    capture_output=True, text=True, timeout=60, check=True)
                self.assertEqual(done.stdout.splitlines(), ["192.168.122.10 fd00::10", "web"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("this test needs root, for a mount namespace of its own")
    if not os.environ.get("NSS_IN_NAMESPACE"):
        os.environ["NSS_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c",
                              # A chroot's root may be no mount point: then who made it sees to that.
                              "mount --make-rprivate / 2>/dev/null; exec \"$@\"", "sh",
                              sys.executable, "-B",
                              *sys.argv])
    unittest.main(verbosity=2)
