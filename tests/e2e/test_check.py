#!/usr/bin/python3
"""`leasedns check` on broken hosts: each is made in a sandbox from a healthy one, by what breaks hosts
in life, and must be told by its identifier. What is printed as the mend is done, and heals.

The daemon, the modules and the name servers are real; no host but the sandbox is changed.
"""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from harness import leasedns, nss, resolved, resolvers, sandbox, tools, upstreams
from harness.process import Background, run, wait_until

#: libvirt's own modules, set by CTest.
PEER_NSS = "LEASEDNS_PEER_NSS_DIR"
LEASES = pathlib.Path("/var/lib/libvirt/dnsmasq")
RUN = pathlib.Path("/run/leasedns")
INDEX = RUN / "index.cdb"
CONF = pathlib.Path("/etc/leasedns.conf")
RESOLV = pathlib.Path("/etc/resolv.conf")
US, OUTSIDE, FRONT, NOBODY_THERE = "127.0.0.56", "127.0.2.1", "127.0.2.2", "127.0.2.99"
USER = "leasedns"
UID = 64991
ZONES = {
    ".": "@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\nns. A 127.0.2.1\n"
         "web.corp.example. A 192.0.2.80\n",
    "vm.example.org": "@ SOA ns.example.org. hostmaster 1 3600 600 86400 60\n@ NS ns.example.org.\n",
}


def lease(address, mac, hostname=None, ends=0):
    entry = {"ip-address": address, "mac-address": mac, "expiry-time": int(ends)}
    return entry | ({"hostname": hostname} if hostname else {})


WEB = lease("192.168.122.10", "52:54:00:00:00:10", "web")
DB = lease("192.168.122.11", "52:54:00:00:00:11", "db")
#: libvirt's name of the guest that calls itself db, and of one that is off.
GUESTS = [{"domain": "db server", "macs": ["52:54:00:00:00:11"]},
          {"domain": "idle", "macs": ["52:54:00:00:00:12"]}]


def publish(name, content, directory=LEASES):
    """Writes a file aside and renames it, as libvirt does."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    aside = directory / f"{name}.new"
    aside.write_bytes(content)
    os.chmod(aside, 0o644)
    aside.rename(directory / name)


class Result:
    """What one run said."""

    def __init__(self, done):
        self.code, self.error = done.returncode, done.stderr
        self.all = json.loads(done.stdout)
        self.findings = {finding["id"]: finding for finding in self.all["findings"]}

    def mend(self, identifier):
        return self.findings[identifier]["mend"]


def argv(*arguments):
    return [leasedns.program(), "check", *arguments]


def environment(modules=True, **more):
    variables = {**(nss.environment() if modules else os.environ), **more}
    if not modules:
        variables.pop("LD_LIBRARY_PATH", None)
    return variables


def check(*arguments, user=None, **keywords):
    done = subprocess.run(argv("--json", *arguments), capture_output=True, text=True, timeout=90,
                          env=environment(**keywords), user=user, cwd="/",
                          extra_groups=[] if user else None)
    if done.returncode not in (0, 1):
        raise AssertionError(f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    return Result(done)


def dnsmasq(name, server, *options):
    """A dnsmasq that does nothing but what its options say."""
    return upstreams.start(name, [
        "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces",
        f"--listen-address={server}", "--cache-size=0", "--user=root", "--pid-file",
        *options], "libvirt", server)


def conf(text=""):
    CONF.write_text(text or f"[forward]\nupstream = {OUTSIDE}\n", encoding="utf-8")


def resolv(text):
    RESOLV.write_text(text, encoding="ascii")


class CheckCase(unittest.TestCase):
    """Each test begins with the same healthy host and its daemon."""

    @classmethod
    def setUpClass(cls):
        cls.outside = upstreams_nsd()

    @classmethod
    def tearDownClass(cls):
        cls.outside.stop()

    def setUp(self):
        shutil.rmtree(RUN, ignore_errors=True)
        shutil.rmtree(LEASES, ignore_errors=True)
        LEASES.mkdir(mode=0o755)
        publish("virbr0.status", [WEB, DB])
        publish("virbr0.macs", GUESTS)
        nss.HOSTS.write_text("127.0.0.1 localhost\n", encoding="ascii")
        nss.use("files", "leasedns", "dns")
        resolv(f"nameserver {US}\nsearch libvirt\n")
        conf()
        self.daemon = None

    def tearDown(self):
        if self.daemon:
            self.daemon.stop()

    def serve(self, **keywords):
        """Starts the daemon, and waits until the index is beyond any doubt."""
        self.daemon = leasedns.Server(f"serve-{self.id()}", **keywords)
        wait_until(lambda: INDEX.exists() and "from the index" in
                   leasedns.lookup("leasedns").stdout, 60, "the index is believed")
        return self.daemon

    def sick(self, identifier, *arguments, severity=None, code=None, **keywords):
        """Checks that a finding is told, well formed, as severe as that; what was said."""
        result = check(*arguments, **keywords)
        self.assertIn(identifier, result.findings, json.dumps(result.all, indent=1))
        finding = result.findings[identifier]
        for key in ("what", "why", "subject"):
            self.assertTrue(finding[key])
        if severity:
            self.assertEqual(finding["severity"], severity, finding)
        errors = [f for f in result.findings.values() if f["severity"] == "error"]
        self.assertEqual(result.code, 1 if errors else 0)
        self.assertEqual(result.all["resolves"], not errors)
        if code is not None:
            self.assertEqual(result.code, code, json.dumps(result.all, indent=1))
        return result

    def healed(self, identifier, *arguments, **keywords):
        """Checks that a finding is gone, and names resolve."""
        result = check(*arguments, **keywords)
        self.assertNotIn(identifier, result.findings)
        self.assertEqual(result.code, 0, json.dumps(result.all, indent=1))
        return result


def upstreams_nsd():
    """What the rest of the world is here: the root, and a domain of somebody's."""
    directory = pathlib.Path(sandbox.STATE) / "outside"
    directory.mkdir(exist_ok=True)
    lines = ["server:", f'  ip-address: {OUTSIDE}', '  username: ""', "  server-count: 1",
             "  rrl-ratelimit: 0", '  database: ""', '  pidfile: ""', f'  zonesdir: "{directory}"',
             f'  zonelistfile: "{directory}/zone.list"', f'  xfrdfile: "{directory}/xfrd.state"',
             f'  xfrdir: "{directory}"', "remote-control:", "  control-enable: no"]
    for zone, text in ZONES.items():
        path = directory / f"{zone}.zone"
        path.write_text(f"$ORIGIN {zone.rstrip('.')}.\n$TTL 60\n{text}", encoding="ascii")
        lines += ["zone:", f'  name: "{zone}"', f'  zonefile: "{path}"']
    path = directory / "nsd.conf"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return upstreams.start("outside", ["nsd", "-d", "-c", str(path)], ".", OUTSIDE)


class HealthyTest(CheckCase):
    def test_nothing_is_found_and_each_part_is_fine(self):
        self.serve()
        result = check()
        self.assertEqual((result.code, result.all["findings"], result.error), (0, [], ""),
                         json.dumps(result.all, indent=1))
        self.assertEqual({fact["subject"] for fact in result.all["facts"]},
                         {"leases", "index", "daemon", "resolver", "nsswitch", "module", "programs",
                          "upstream", "zone"})
        self.assertEqual(result.all["verdict"], "Names resolve: 0 errors, 0 warnings, 0 notes.")

    def test_only_nss_is_healthy_too(self):
        run(leasedns.program(), "index")
        resolv(f"nameserver {OUTSIDE}\n")
        conf("[forward]\nupstream = none\n")
        run(leasedns.program(), "index")
        self.assertEqual(set(check().findings), {"daemon-not-running", "resolver-not-us"})
        self.assertEqual(check().code, 0)

    def test_only_dns_is_healthy_too(self):
        nss.use("files", "dns")
        self.serve()
        result = check(modules=False)
        self.assertEqual((result.code, set(result.findings)), (0, {"nsswitch-lacks-us"}))
        self.assertEqual(result.findings["nsswitch-lacks-us"]["severity"], "note")

    def test_text_for_people(self):
        self.serve()
        done = subprocess.run(argv(), capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertTrue(all(line.startswith("ok ") for line in lines[:-2]), done.stdout)
        self.assertRegex(done.stdout, r"ok +index +/run/leasedns/index\.cdb: fresh, \d+ names")
        self.assertEqual(lines[-1], "Names resolve: 0 errors, 0 warnings, 0 notes.")
        nss.use("files", "dns")
        done = subprocess.run(argv(), capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        self.assertIn("note     nsswitch-lacks-us\n", done.stdout)
        self.assertIn("                    hosts: files leasedns dns\n", done.stdout)

    def test_host_without_libvirt_is_told_what_to_do(self):
        shutil.rmtree(LEASES)
        nss.use("files", "dns")
        resolv(f"nameserver {OUTSIDE}\n")
        CONF.unlink()
        done = subprocess.run(argv(), capture_output=True, text=True, timeout=60, check=False,
                              env=environment(modules=False))
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("virsh net-start default", done.stdout)
        for identifier in ("leases-missing", "daemon-not-running", "nsswitch-lacks-us"):
            self.assertIn(f"error    {identifier}\n", done.stdout)
        self.assertRegex(done.stdout, r"\nNames would not resolve: \d errors.*\n"
                                      r"NSS and DNS both lead to names: mending one ")


class NsswitchTest(CheckCase):
    """Here DNS is no way to guests: the host asks others."""

    def setUp(self):
        super().setUp()
        resolv(f"nameserver {OUTSIDE}\n")
        self.serve()

    def take_line(self, result, identifier):
        """Writes what was printed into nsswitch.conf."""
        (line,) = [text.strip() for text in result.mend(identifier)
                   if text.strip().startswith("hosts:")]
        nss.NSSWITCH.write_text(line + "\n", encoding="utf-8")
        return line

    def test_line_without_us(self):
        nss.use("files", "dns")
        result = self.sick("nsswitch-lacks-us", severity="error", code=1)
        self.assertEqual(result.findings["resolver-not-us"]["severity"], "error")
        self.assertEqual(self.take_line(result, "nsswitch-lacks-us"),
                         "hosts: files leasedns dns")
        self.healed("nsswitch-lacks-us")
        self.assertEqual(nss.addresses("web"), ["192.168.122.10"])

    def test_line_alone_is_no_mend_without_the_module(self):
        nss.use("files", "dns")
        installs = [["libnss-leasedns_" in line for line in check(modules=modules).mend(
            "nsswitch-lacks-us")] for modules in (True, False)]
        self.assertEqual(installs, [[False, False], [True, False, False]])

    def test_no_line_at_all_is_glibcs_default(self):
        nss.NSSWITCH.write_text("passwd: files\n", encoding="ascii")
        result = self.sick("nsswitch-lacks-us", severity="error", code=1)
        self.assertIn("'hosts: files dns' (glibc's default)",
                      result.findings["nsswitch-lacks-us"]["what"])
        nss.NSSWITCH.unlink()
        self.sick("nsswitch-lacks-us", severity="error", code=1)

    def test_entries_before_us_that_end_the_search(self):
        for services, culprit in (
                (("files", "dns [!UNAVAIL=return]", "leasedns"), "dns [!UNAVAIL=return]"),
                (("files [NOTFOUND=return]", "leasedns", "dns"), "files [NOTFOUND=return]"),
                (("files", "dns [notfound = RETURN]", "libvirt"), "dns [NOTFOUND=return]")):
            with self.subTest(culprit=culprit):
                nss.use(*services)
                self.assertEqual(nss.addresses("web"), [])
                result = self.sick("nsswitch-hides-us", severity="error", code=1)
                self.assertIn(f"'{culprit}'", result.findings["nsswitch-hides-us"]["what"])
                self.take_line(result, "nsswitch-hides-us")
                self.healed("nsswitch-hides-us")
                self.assertEqual(nss.addresses("web"), ["192.168.122.10"])

    def test_one_of_our_modules_hides_the_next(self):
        nss.use("files", "libvirt [NOTFOUND=return]", "libvirt_guest", "dns")
        self.assertEqual(nss.addresses("db server"), [])
        result = self.sick("nsswitch-hides-us", severity="warning", code=0)
        self.assertIn("nsswitch-ends-search", result.findings)
        self.take_line(result, "nsswitch-hides-us")
        self.healed("nsswitch-hides-us")
        self.assertEqual(nss.addresses("db server"), ["192.168.122.11"])

    def test_us_behind_dns(self):
        nss.use("files", "dns", "leasedns")
        result = self.sick("nsswitch-after-dns", severity="warning", code=0)
        self.take_line(result, "nsswitch-after-dns")
        self.healed("nsswitch-after-dns")

    def test_nothing_is_asked_behind_us(self):
        nss.use("files", "leasedns [NOTFOUND=return]", "dns")
        result = self.sick("nsswitch-ends-search", severity="warning", code=0)
        self.take_line(result, "nsswitch-ends-search")
        self.healed("nsswitch-ends-search")

    def test_line_that_glibc_does_not_understand(self):
        nss.use("files [NOTFOUND=retrun]", "leasedns", "dns")
        self.assertEqual(nss.addresses("web"), [])
        self.sick("nsswitch-syntax", code=1)

    def test_line_of_another_database_that_glibc_does_not_understand(self):
        for bad in ("passwd: files [NOTFOUND=", "passwd: [x", "shadow: files []"):
            with self.subTest(bad):
                nss.NSSWITCH.write_text(f"hosts: files leasedns dns\n{bad}\n", encoding="ascii")
                result = check()  # glibc crashes if it is asked for a user
                if "[x" in bad:
                    continue
                self.assertEqual(nss.addresses("web"), [])
                self.assertEqual(result.code, 1)
                self.assertIn(", line 2: ", result.findings["nsswitch-syntax"]["what"])

    def test_words_that_are_no_names(self):
        for line, odd in (("files, leasedns, dns", "files,"), ("files leasedns#ours", "leasedns#ours"),
                          ("files leasedns; dns", "leasedns;"), ("files # leasedns resolve", "#")):
            with self.subTest(line):
                nss.use(line)
                result = self.sick("nsswitch-odd-name", severity="warning")
                self.assertIn(f"'{odd}'", result.findings["nsswitch-odd-name"]["what"])
                self.take_line(result, "nsswitch-odd-name")
                self.healed("nsswitch-odd-name")
                self.assertEqual(nss.addresses("web"), ["192.168.122.10"])

    def test_last_line_without_a_newline(self):
        nss.NSSWITCH.write_text("passwd: files\nhosts: files leasedns dns", encoding="ascii")
        self.assertEqual(nss.addresses("web"), [])
        result = self.sick("nsswitch-unended", severity="warning", code=1)
        run("sh", "-c", result.mend("nsswitch-unended")[0])
        self.healed("nsswitch-unended")
        self.assertEqual(nss.addresses("web"), ["192.168.122.10"])

    def test_file_that_is_none(self):
        nss.NSSWITCH.unlink()
        nss.NSSWITCH.mkdir()
        self.addCleanup(nss.NSSWITCH.rmdir)
        self.sick("nsswitch-unreadable", code=1)

    def test_module_that_is_not_installed(self):
        self.sick("module-missing", severity="error", code=1, modules=False)
        self.healed("module-missing")

    def test_module_that_is_broken(self):
        directory = pathlib.Path(sandbox.STATE) / "broken-module"
        directory.mkdir(exist_ok=True)
        (directory / "libnss_leasedns.so.2").write_bytes(b"\x7fELF, but not really")
        self.sick("module-missing", severity="error", code=1, LD_LIBRARY_PATH=str(directory))

    def test_libvirts_own_modules(self):
        nss.use("files", "libvirt", "libvirt_guest", "dns")
        peer = os.environ[PEER_NSS]
        self.assertTrue(os.path.exists(f"{peer}/libnss_libvirt.so.2"), peer)
        result = self.sick("module-not-ours", severity="note", code=0, LD_LIBRARY_PATH=peer)
        self.assertIn(peer, result.findings["module-not-ours"]["what"])
        self.healed("module-not-ours")


class LeasesTest(CheckCase):
    def test_no_directory(self):
        shutil.rmtree(LEASES)
        self.sick("leases-missing", severity="error", code=1)

    def test_daemon_may_not_read(self):
        os.chmod(LEASES, 0o700)
        self.serve()
        nss.use("files", "dns")
        result = self.sick("leases-unreadable-for-daemon", severity="error", code=1)
        self.assertIn(str(LEASES), result.findings["leases-unreadable-for-daemon"]["what"])
        run("sh", "-c", result.mend("leases-unreadable-for-daemon")[0])
        self.assertEqual(result.mend("leases-unreadable-for-daemon")[-1],
                         "systemctl restart leasedns")
        self.daemon.stop()
        self.serve()
        self.healed("leases-unreadable-for-daemon")

    def test_directory_above_that_the_daemon_may_not_pass(self):
        above = LEASES.parent
        self.addCleanup(os.chmod, above, 0o755)
        os.chmod(above, 0o700)
        result = self.sick("leases-unreadable-for-daemon", severity="warning", code=0)
        self.assertIn(f"'{above}' cannot be passed",
                      result.findings["leases-unreadable-for-daemon"]["what"])
        run("sh", "-c", result.mend("leases-unreadable-for-daemon")[0])
        self.assertEqual(above.stat().st_mode & 0o777, 0o701)
        self.serve()
        self.healed("leases-unreadable-for-daemon")

    def test_one_file_that_the_daemon_may_not_read(self):
        os.chmod(LEASES / "virbr0.status", 0o600)
        result = self.sick("leases-unreadable-for-daemon", severity="warning", code=0)
        self.assertIn("virbr0.status", result.mend("leases-unreadable-for-daemon")[0])

    def test_nothing_there_yet(self):
        for path in LEASES.iterdir():
            path.unlink()
        self.serve()
        self.assertEqual(set(self.sick("leases-empty", severity="note", code=0).findings),
                         {"leases-empty"})

    def test_directory_of_something_else(self):
        other = pathlib.Path(sandbox.STATE) / "foreign"
        other.mkdir(exist_ok=True)
        (other / "dhcpd.leases").write_text("lease {}\n", encoding="ascii")
        conf(f"[leases]\nlibvirt = {other}\n[forward]\nupstream = {OUTSIDE}\n")
        self.serve()
        self.sick("leases-foreign", severity="warning")

    def test_bad_files_and_entries(self):
        publish("virbr1.status", b'[{"ip-address": "192.168.')
        publish("virbr0.status", [WEB, lease("224.0.0.1", "52:54:00:00:00:99", "bad")])
        result = self.sick("leases-file-bad", severity="warning")
        self.assertIn("virbr1.status", result.findings["leases-file-bad"]["what"])
        self.assertIn("leases-record-bad", result.findings)

    def test_all_leases_have_ended(self):
        publish("virbr0.status", [WEB | {"expiry-time": int(time.time()) - 60}])
        self.serve()
        self.sick("leases-ended", severity="note", code=0)

    def test_network_is_gone_and_its_leases_are_not(self):
        publish("virbr9.status", [lease("192.168.99.2", "52:54:00:00:99:02", "ghost")])
        self.serve()
        result = self.sick("leases-stale-network", severity="warning", code=0)
        self.assertIn("virbr9", result.findings["leases-stale-network"]["what"])
        command = result.mend("leases-stale-network")[1].split(": ", 1)[1]
        run("sh", "-c", command)
        self.assertFalse((LEASES / "virbr9.status").exists())
        wait_until(lambda: "web" in leasedns.lookup("web").stdout, 60, "names are there")
        self.healed("leases-stale-network")


class IndexTest(CheckCase):
    def test_none(self):
        self.assertEqual(self.sick("index-missing", code=0).findings["index-missing"]["severity"],
                         "note")
        run(leasedns.program(), "index")
        self.healed("index-missing")

    def test_older_than_its_sources(self):
        run(leasedns.program(), "index")
        publish("virbr0.status", [WEB])
        result = self.sick("index-stale", severity="warning", code=0)
        self.assertIn(f"'{LEASES}' changed", result.findings["index-stale"]["what"])
        self.assertIn("leasedns index", result.mend("index-stale")[0])
        run(leasedns.program(), "index")
        self.healed("index-stale")

    def test_built_by_root_beside_the_daemon(self):
        self.serve()
        self.assertEqual(INDEX.stat().st_uid, UID)
        run(leasedns.program(), "index")
        self.healed("index-untrusted")

    def test_others_may_write_to_it(self):
        self.serve()
        os.chmod(INDEX, 0o666)
        result = self.sick("index-untrusted", severity="warning", code=0)
        for command in result.mend("index-untrusted")[:2]:
            run("sh", "-c", command)
        self.healed("index-untrusted")
        os.chmod(RUN, 0o777)
        self.addCleanup(os.chmod, RUN, 0o755)
        result = self.sick("index-untrusted", severity="warning", code=0)
        run("sh", "-c", result.mend("index-untrusted")[0])
        self.healed("index-untrusted")

    def test_link_is_not_followed(self):
        run(leasedns.program(), "index")
        INDEX.rename(RUN / "elsewhere.cdb")
        INDEX.symlink_to("elsewhere.cdb")
        self.sick("index-untrusted", severity="warning", code=0)

    def test_no_index_at_all_in_the_file(self):
        RUN.mkdir(mode=0o755)
        INDEX.write_bytes(os.urandom(5000))
        os.chmod(INDEX, 0o644)
        result = self.sick("index-unusable", severity="warning", code=0)
        run("sh", "-c", result.mend("index-unusable")[0])
        run(leasedns.program(), "index")
        self.healed("index-unusable")

    def test_index_where_modules_do_not_look(self):
        line = "file = /run/leasedns/other.cdb"
        conf(f"[index]\n{line}\n[forward]\nupstream = {OUTSIDE}\n")
        run(leasedns.program(), "index")
        result = self.sick("index-elsewhere", severity="warning", code=0)
        self.assertIn(f"'{line}'", result.mend("index-elsewhere")[0])
        conf()
        run(leasedns.program(), "index")
        self.healed("index-elsewhere")

    def test_configuration_that_modules_do_not_read(self):
        other = pathlib.Path(sandbox.STATE) / "other.conf"
        other.write_text("[zone]\nname = other\n[forward]\nupstream = none\n", encoding="ascii")
        run(leasedns.program(), "index")
        result = self.sick("conf-elsewhere", "-c", str(other), severity="warning")
        self.assertIn("index-other-conf", result.findings)


class DaemonTest(CheckCase):
    def test_not_running(self):
        run(leasedns.program(), "index")
        self.sick("daemon-not-running", severity="warning", code=0)
        nss.use("files", "dns")
        self.sick("daemon-not-running", severity="error", code=1)
        self.serve()
        self.healed("daemon-not-running")

    def test_port_is_taken(self):
        other = dnsmasq("squatter", US)
        result = self.sick("port-taken", severity="warning", code=0)
        self.assertRegex(result.findings["port-taken"]["what"], r"taken by 'dnsmasq' \(process \d+\)")
        other.stop()
        self.serve()
        self.healed("port-taken")

    def test_port_is_held_by_one_that_says_nothing(self):
        other = Background("mute", [sys.executable, "-c", (
            "import socket, time\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            f"s.bind(('{US}', 53))\nprint('bound', flush=True)\ntime.sleep(600)\n")])
        wait_until(lambda: "bound" in other.log(), 60, "the port is taken")
        result = self.sick("port-taken", code=0)
        self.assertIn(f"(process {other.pid})", result.findings["port-taken"]["what"])
        other.stop()

    def test_hangs(self):
        daemon = self.serve()
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            self.sick("daemon-silent", severity="warning", code=0)
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        self.healed("daemon-silent")

    def test_lives_and_is_not_reached(self):
        """The control socket needs no network."""
        self.serve()
        for breaks, heals in (
                (("nft", "add table inet t; add chain inet t i { type filter hook input priority 0; };"
                         f" add rule inet t i ip daddr {US} udp dport 53 drop"),
                 ("nft", "delete table inet t")),
                (("ip", "link", "set", "lo", "down"), ("ip", "link", "set", "lo", "up"))):
            with self.subTest(heals):
                run(*breaks)
                try:
                    result = self.sick("daemon-silent", "web", severity="warning", code=0)
                finally:
                    run(*heals)
                self.assertRegex(result.findings["daemon-silent"]["what"],
                                 rf"'leasedns' \(process \d+\) runs, but no answer comes from {US}")
                self.assertNotIn("restart", "".join(result.mend("daemon-silent")))
                self.assertIn("does not answer", result.findings["trace-stops-daemon"]["what"])
        self.healed("daemon-silent")

    def test_was_not_told_of_the_configuration(self):
        daemon = self.serve()
        conf(f"[zone]\nname = guests\n[forward]\nupstream = {OUTSIDE}\n")
        self.sick("daemon-other-zone", severity="warning")
        resolv(f"nameserver {US}\nsearch guests\n")
        daemon.process.send(signal.SIGHUP)
        wait_until(lambda: "daemon-other-zone" not in check().findings, 60, "it was told")
        self.healed("daemon-other-zone")

    def test_answers_from_another_state(self):
        daemon = self.serve()
        other = pathlib.Path(sandbox.STATE) / "moved"
        other.mkdir(exist_ok=True)
        publish("virbr0.status", [WEB | {"ip-address": "192.168.122.77"}], other)
        conf(f"[leases]\nlibvirt = {other}\n[forward]\nupstream = {OUTSIDE}\n")
        result = self.sick("daemon-index-differs", severity="warning")
        self.assertIn("192.168.122.77", result.findings["daemon-index-differs"]["what"])
        daemon.process.send(signal.SIGHUP)
        wait_until(lambda: "daemon-index-differs" not in check().findings, 60, "it was told")

    def test_another_port(self):
        conf(f"[server]\nlisten = {US}:5353\n[forward]\nupstream = none\n")
        self.serve(port=5353)
        self.sick("daemon-port", severity="note", code=0)


class ResolverTest(CheckCase):
    """Here DNS is the only way to guests."""

    def setUp(self):
        super().setUp()
        nss.use("files", "dns")
        conf("[forward]\nupstream = none\n")
        self.serve()
        self.front = None

    def tearDown(self):
        if self.front:
            self.front.stop()
        super().tearDown()

    def use_front(self, *options, server=FRONT):
        if self.front:
            self.front.stop()
        self.front = dnsmasq(f"front-{len(Background.started)}", server, *options)
        resolv(f"nameserver {server}\nsearch libvirt\n")

    def test_resolver_that_does_not_ask_us(self):
        self.use_front()
        result = self.sick("resolver-not-us", severity="error", code=1)
        (option,) = [line.split("dnsmasq: ")[1].split(";")[0] for line in
                     result.mend("resolver-not-us") if "dnsmasq: " in line]
        self.assertEqual(option, f"server=/libvirt/{US}")
        self.use_front(f"--{option}")
        self.healed("resolver-not-us")

    def test_resolver_that_is_silent(self):
        resolv(f"nameserver {NOBODY_THERE}\n")
        self.sick("resolver-silent", severity="error", code=1)
        resolv(f"nameserver {NOBODY_THERE}\nnameserver {US}\n")
        self.sick("resolver-silent", severity="warning", code=0)

    def test_no_resolver_at_all(self):
        resolv("search libvirt\n")
        self.sick("resolver-none", severity="error", code=1)
        RESOLV.unlink()
        self.sick("resolver-none", severity="error", code=1)

    def test_link_to_a_file_of_systemd_resolved_that_does_not_run(self):
        target = f"{sandbox.STATE}/not-there/systemd/resolve/stub-resolv.conf"
        RESOLV.unlink()
        RESOLV.symlink_to(target)
        self.addCleanup(RESOLV.unlink)
        result = self.sick("resolver-none", severity="error", code=1)
        self.assertIn(f"there is no {target}", result.findings["resolver-none"]["what"])
        self.assertIn("enable --now systemd-resolved", result.mend("resolver-none")[0])
        self.assertNotIn("that server", "".join(result.mend("resolver-none")))

    def test_lines_that_glibc_ignores(self):
        for line, why in ((f"nameserver {US}:53", "place for a port"),
                          (f" nameserver {US}", "begins with a blank"),
                          (f"nameserver\t{US}\r", "carriage return"),
                          (f"nameserver [::1]:53", "place for a port"),
                          ("nameserver localhost", "no address"),
                          (f"nameserver {US}#us", "no address")):
            with self.subTest(line):
                # In octets: Python would take the carriage return for an end of the line.
                RESOLV.write_bytes(f"search libvirt\n{line}\n".encode())
                self.assertEqual(nss.addresses("web"), [])
                result = self.sick("resolver-line-ignored", severity="warning", code=1)
                self.assertRegex(result.findings["resolver-line-ignored"]["what"],
                                 f"resolv.conf, line 2: .*{why}")
                self.assertIn("resolver-none", result.findings)
                (mend,) = result.mend("resolver-line-ignored")
                if US in mend:
                    self.assertTrue(mend.endswith(f"let line 2 be: nameserver {US}"), mend)
        resolv(f"search libvirt\nnameserver {US} # us\n")
        self.healed("resolver-line-ignored")

    def test_systemd_resolved_does_not_run(self):
        resolv("nameserver 127.0.0.53\n")
        result = self.sick("resolver-silent", severity="error", code=1)
        self.assertIn("enable --now systemd-resolved", result.mend("resolver-silent")[0])

    def test_some_know_us_and_some_do_not(self):
        self.use_front("--local=/libvirt/")
        resolv(f"nameserver {FRONT}\nnameserver {US}\n")
        result = self.sick("resolver-mixed", severity="error", code=1)
        (line,) = [line.split("'")[1] for line in result.mend("resolver-mixed")]
        resolv(RESOLV.read_text(encoding="ascii").replace(f"{line}\n", "") + "search libvirt\n")
        self.healed("resolver-mixed")

    def test_we_come_fourth(self):
        self.use_front("--local=/libvirt/")
        resolv("".join(f"nameserver {server}\n" for server in (FRONT, OUTSIDE, NOBODY_THERE, US)))
        self.sick("resolver-beyond-third", severity="note", code=1)

    def test_dns_rebinding_protection(self):
        route = f"--server=/libvirt/{US}"
        self.use_front(route, "--stop-dns-rebind")
        result = self.sick("resolver-rebind", severity="error", code=1)
        # The zone is known, so only a name itself tells that nothing arrives.
        self.assertIn("nss-fails", result.findings)
        option = result.mend("resolver-rebind")[0].split(": ", 1)[1]
        self.use_front(route, "--stop-dns-rebind", f"--{option}")
        self.healed("resolver-rebind")

    def test_dnssec_without_a_negative_trust_anchor(self):
        zone = pathlib.Path(sandbox.STATE) / "signed-root.zone"
        zone.write_text("$ORIGIN .\n$TTL 60\n" + ZONES["."], encoding="ascii")
        root = upstreams.knot("127.0.2.3", ".", str(zone), name="signed-root")
        self.addCleanup(root.stop)
        key = next(line.split(None, 4)[4] for line in run(
            "dig", "@127.0.2.3", ".", "DNSKEY", "+noall", "+answer").stdout.splitlines()
            if " 257 " in " ".join(line.split()))
        self.validate(key)
        result = self.sick("resolver-dnssec", severity="error", code=1)
        line = result.mend("resolver-dnssec")[0].split(": ", 1)[1]
        self.assertEqual(line, 'domain-insecure: "libvirt"')
        self.validate(key, line)
        self.healed("resolver-dnssec")

    def validate(self, key, line=""):
        if self.front:
            self.front.stop()
        path = pathlib.Path(sandbox.STATE) / "validating.conf"
        path.write_text(f"""\
server:
  directory: "{sandbox.STATE}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: {FRONT}
  do-not-query-localhost: no
  trust-anchor: ". DNSKEY {key}"
  {line}
remote-control:
  control-enable: no
forward-zone:
  name: "libvirt"
  forward-addr: {US}
forward-zone:
  name: "."
  forward-addr: 127.0.2.3
""", encoding="ascii")
        self.front = upstreams.start(f"validating-{len(Background.started)}",
                                     ["unbound", "-d", "-c", str(path)], ".", FRONT)
        resolv(f"nameserver {FRONT}\nsearch libvirt\n")

    def test_short_names_need_a_search_domain(self):
        resolv(f"nameserver {US}\n")
        result = self.sick("search-lacks-zone", severity="note", code=0)
        self.assertIn("'libvirt'", result.mend("search-lacks-zone")[0])
        resolv(f"nameserver {US}\nsearch libvirt\n")
        self.healed("search-lacks-zone")

    def test_whole_names_are_searched_for_first(self):
        resolv(f"nameserver {US}\nsearch corp.example libvirt\noptions ndots:5\n")
        self.sick("ndots-high", severity="note", code=0)


class ResolvedTest(CheckCase):
    """systemd-resolved, and its NSS module."""

    def setUp(self):
        super().setUp()
        conf("[forward]\nupstream = none\n")
        self.resolved = resolved.Resolved(uplink_dns=OUTSIDE)
        resolv(f"nameserver {resolved.STUB}\n")
        self.serve()

    def tearDown(self):
        self.resolved.forget()
        super().tearDown()

    def test_does_not_ask_us(self):
        nss.use("files", "dns")
        result = self.sick("resolved-no-route", severity="error", code=1)
        self.assertIn("leasedns-resolved", result.mend("resolved-no-route")[0])
        unit = resolved.Unit("leasedns-resolved.service")
        unit.start()
        self.addCleanup(unit.stop)
        result = self.healed("resolved-no-route")
        self.assertIn("127.0.0.53 asks leasedns", json.dumps(result.all["facts"]))

    def test_unit_needs_to_know_another_zone_and_address(self):
        nss.use("files", "dns")
        self.daemon.stop()
        conf("[server]\nlisten = 127.0.0.57\n[forward]\nupstream = none\n")
        self.serve(server="127.0.0.57")
        server, zone = "    Environment=\"SERVER=127.0.0.57\"", "    Environment=\"DOMAINS=~guests "
        mend = self.sick("resolved-no-route", code=1).mend("resolved-no-route")
        self.assertEqual(mend[-1], server)
        # The reverse zone that the unit knows stays.
        self.assertNotIn("DOMAINS", "".join(mend))
        self.daemon.stop()
        conf("[server]\nlisten = 127.0.0.57\n[zone]\nname = guests\n[forward]\nupstream = none\n")
        self.serve(server="127.0.0.57", zone="guests")
        mend = self.sick("resolved-no-route", code=1).mend("resolved-no-route")
        self.assertEqual(mend[-1], server)
        self.assertTrue(mend[-2].startswith(zone), mend)
        self.assertIn("in-addr.arpa", mend[-2])

    def test_its_module_hides_ours(self):
        nss.use("files", "resolve [!UNAVAIL=return]", "leasedns", "dns")
        self.assertEqual(nss.addresses("web"), [])
        result = self.sick("nsswitch-hides-us", severity="error", code=1)
        self.assertIn("'resolve [!UNAVAIL=return]'", result.findings["nsswitch-hides-us"]["what"])
        (line,) = [text.strip() for text in result.mend("nsswitch-hides-us") if "hosts:" in text]
        self.assertEqual(line, "hosts: files leasedns resolve [!UNAVAIL=return] dns")
        nss.NSSWITCH.write_text(line + "\n", encoding="ascii")
        self.healed("nsswitch-hides-us")

    def test_its_module_leads_to_us(self):
        unit = resolved.Unit("leasedns-resolved.service")
        unit.start()
        self.addCleanup(unit.stop)
        nss.use("files", "resolve [!UNAVAIL=return]", "dns")
        result = self.healed("nsswitch-hides-us")
        self.assertEqual(set(result.findings), {"nsswitch-lacks-us", "search-lacks-zone"})


class PrivateTest(CheckCase):
    def test_files_that_root_alone_may_read(self):
        self.serve()
        for path in (nss.NSSWITCH, RESOLV, nss.HOSTS, CONF):
            with self.subTest(path=path):
                os.chmod(path, 0o640)
                try:
                    result = self.sick("file-private", severity="warning", code=0)
                    self.assertIn(f"'{path}'", result.findings["file-private"]["what"])
                    run("sh", "-c", result.mend("file-private")[0])
                    self.healed("file-private")
                finally:
                    os.chmod(path, 0o644)


class NscdTest(CheckCase):
    def test_keeps_hosts(self):
        self.serve()
        pathlib.Path("/run/nscd").mkdir(exist_ok=True)
        pathlib.Path("/var/cache/nscd").mkdir(parents=True, exist_ok=True)
        path = pathlib.Path("/etc/nscd.conf")
        for answer in ("yes", "no"):
            path.write_text(f"enable-cache\tpasswd\tno\nenable-cache\thosts\t{answer}\n",
                            encoding="ascii")
            nscd = Background(f"nscd-{answer}", ["nscd", "-F"], environment())
            try:
                wait_until(lambda: run("nscd", "-g", check=False).returncode == 0, 60,
                           "nscd answers")
                if answer == "yes":
                    result = self.sick("nscd-caches", severity="warning", code=0)
                    self.assertIn("enable-cache hosts no", result.mend("nscd-caches")[0])
                else:
                    self.healed("nscd-caches")
            finally:
                nscd.stop()


class UpstreamTest(CheckCase):
    def test_nobody_to_ask(self):
        conf("[forward]\nupstream = none\n")
        self.serve()
        self.sick("upstream-none", severity="warning", code=0)
        conf("[forward]\nupstream = resolv.conf\n")
        self.sick("upstream-none", severity="warning", code=0)

    def test_silent_one(self):
        conf(f"[forward]\nupstream = {NOBODY_THERE} {OUTSIDE}\n")
        self.serve()
        result = self.sick("upstream-silent", severity="warning", code=0)
        self.assertIn(NOBODY_THERE, result.findings["upstream-silent"]["what"])

    def test_one_that_asks_us(self):
        conf(f"[forward]\nupstream = {FRONT}\n")
        self.serve()
        front = dnsmasq("looping", FRONT, f"--server={US}")
        self.addCleanup(front.stop)
        # The daemon finds it by asking, when the server is new or suspected.
        wait_until(lambda: "upstream-loop" in check().findings, 60, "the loop is seen", 0.5)
        result = self.sick("upstream-loop", severity="warning", code=0)
        self.assertIn(FRONT, result.findings["upstream-loop"]["what"])

    def test_silent_one_of_a_domain(self):
        conf(f"[forward]\nupstream = {OUTSIDE}\nzone.corp.example = {NOBODY_THERE}\n")
        self.serve()
        wait_until(lambda: "upstream-silent" in check().findings, 60, "it is missed", 0.5)
        result = self.sick("upstream-silent", severity="warning", code=0)
        self.assertIn("zone.corp.example", result.findings["upstream-silent"]["what"])


class ZoneTest(CheckCase):
    def use_zone(self, zone):
        conf(f"[zone]\nname = {zone}\n[forward]\nupstream = {OUTSIDE}\n")
        resolv(f"nameserver {US}\nsearch {zone}\n")
        self.serve(zone=zone)

    def test_multicast_dns(self):
        self.use_zone("vm.local")
        self.sick("zone-mdns", severity="warning", code=0)

    def test_domain_that_resolvers_answer_themselves(self):
        self.use_zone("vm.onion")
        self.sick("zone-special", severity="warning", code=0)

    def test_top_level_domain(self):
        self.use_zone("dev")
        result = self.sick("zone-public", severity="warning", code=0)
        self.assertIn("top-level domain", result.findings["zone-public"]["what"])

    def test_domain_of_somebody(self):
        self.use_zone("vm.example.org")
        result = self.sick("zone-public", severity="warning", code=0)
        self.assertIn("ns.example.org.", result.findings["zone-public"]["what"])

    def test_several_are_all_ours(self):
        conf("[zone]\nname = libvirt guests.internal\n[forward]\nupstream = none\n")
        self.serve()
        front = dnsmasq("two-zones", FRONT, f"--server=/libvirt/guests.internal/{US}",
                        f"--server={OUTSIDE}")
        self.addCleanup(front.stop)
        resolv(f"nameserver {FRONT}\nsearch libvirt\n")
        self.assertEqual(check().all["findings"], [])

    def test_private_ones_are_fine(self):
        for zone in ("vm.internal", "vm.home.arpa", "vms.test"):
            with self.subTest(zone=zone):
                self.use_zone(zone)
                self.healed("zone-public")
                self.daemon.stop()


class NamesTest(CheckCase):
    def names(self, identifier, leases, severity, **files):
        publish("virbr0.status", leases)
        for name, content in files.items():
            publish(name.replace("_", "."), content)
        self.serve()
        return self.sick(identifier, severity=severity, code=0).findings[identifier]["what"]

    def test_clones_share_a_hostname(self):
        what = self.names("name-shared", [
            WEB, lease("192.168.122.12", "52:54:00:00:00:12", "WEB"),
            lease("192.168.122.13", "52:54:00:00:00:13", "web")], "warning")
        self.assertIn("3 machines call themselves 'web'", what.replace("WEB", "web"))
        self.assertIn("52:54:00:00:00:13 (192.168.122.13)", what)

    def test_both_families_of_one_machine_are_no_clones(self):
        publish("virbr0.status", [WEB, lease("fd00::10", "52:54:00:00:00:10", "web")])
        self.serve()
        self.healed("name-shared")

    def test_one_address_for_two(self):
        what = self.names("address-shared", [
            WEB, lease("192.168.122.10", "52:54:00:00:00:66", "thief")], "warning")
        self.assertIn("192.168.122.10 is leased to several", what)

    def test_guest_that_calls_itself_like_another(self):
        what = self.names("name-hidden", [
            DB, lease("192.168.122.14", "52:54:00:00:00:14", "idle")], "note")
        self.assertIn("'idle'", what)

    def test_hostnames_that_are_refused_and_why(self):
        for hostname, why in (("localhost", "programs trust"), (sandbox.HOSTNAME, "this host"),
                              ("wpad", "programs trust"), ("12345", "only digits"),
                              ("a b\x1b[31m", "characters"), ("x" * 64, "too long")):
            with self.subTest(hostname=hostname):
                what = self.names("name-refused", [
                    WEB, lease("192.168.122.15", "52:54:00:00:00:15", hostname)], "note")
                self.assertIn(why, what)
                self.assertNotIn("\x1b", what)
                self.daemon.stop()

    def test_many_of_a_kind_are_counted(self):
        publish("virbr0.status", [WEB] + [
            lease(f"192.168.122.{n}", f"52:54:00:00:01:{n:02x}", f"bad name {n}")
            for n in range(20, 60)])
        self.serve()
        result = self.sick("name-refused", code=0)
        told = [f for f in result.all["findings"] if f["id"] == "name-refused"]
        self.assertEqual(len(told) + result.all["omitted"]["name-refused"], 40)
        self.assertLess(len(told), 10)

    def test_static_name_that_is_none(self):
        what = self.names("name-invalid", [WEB], "warning",
                          default_addnhosts=b"192.168.122.20\tgood\t.bad..name\n")
        self.assertIn("bad..name", what)

    def test_two_guests_with_one_alias(self):
        what = self.names("alias-shared", [DB], "warning", virbr0_macs=[
            {"domain": "db server", "macs": ["52:54:00:00:00:11"]},
            {"domain": "db  server", "macs": ["52:54:00:00:00:12"]}])
        self.assertIn("'db-server'", what)

    def test_name_in_etc_hosts(self):
        nss.HOSTS.write_text("127.0.0.1 localhost\n192.0.2.7 other WEB # old\n", encoding="ascii")
        self.serve()
        result = self.sick("name-in-hosts", severity="warning", code=0)
        self.assertIn("line 2: 'WEB' is 192.0.2.7, its lease says 192.168.122.10",
                      result.findings["name-in-hosts"]["what"])
        nss.HOSTS.write_text("192.168.122.10 web\n", encoding="ascii")
        self.healed("name-in-hosts")

    def test_host_of_the_search_domain(self):
        resolv(f"nameserver {US}\nsearch libvirt corp.example\n")
        self.serve()
        result = self.sick("name-in-search-domain", severity="warning", code=0)
        self.assertIn("web.corp.example (192.0.2.80)",
                      result.findings["name-in-search-domain"]["what"])
        resolv(f"nameserver {US}\nsearch libvirt\n")
        self.healed("name-in-search-domain")


class TraceTest(CheckCase):
    def steps(self, result):
        return {(step["layer"], step["name"]): step for step in result.all["trace"]}

    def test_all_layers_say_the_same(self):
        self.serve()
        for name in ("web", "WEB.libvirt", "web.libvirt."):
            with self.subTest(name=name):
                result = check(name)
                self.assertEqual((result.code, result.findings), (0, {}))
                short = name.split(".")[0]
                self.assertEqual(
                    [(step["layer"], step["name"]) for step in result.all["trace"]],
                    [("lease files", short), ("index", short), ("daemon", f"{short}.libvirt"),
                     ("resolver", f"{short}.libvirt"), ("NSS", short),
                     ("NSS", f"{short}.libvirt")])
                for step in result.all["trace"]:
                    self.assertEqual((step["answer"], step["right"]), ("192.168.122.10", True))

    def test_guest_with_a_blank(self):
        self.serve()
        result = check("db server")
        self.assertEqual(result.code, 0, json.dumps(result.all, indent=1))
        self.assertTrue(self.steps(result)["daemon", "db\\032server.libvirt"]["right"])

    def test_name_that_nobody_has(self):
        self.serve()
        result = self.sick("trace-unknown", "nobody", severity="error", code=1)
        self.assertEqual(self.steps(result)["lease files", "nobody"]["answer"], "no such name")
        self.assertIn("does not resolve", result.all["verdict"])

    def test_what_is_no_guest(self):
        self.serve()
        for name in ("virbr0", "libvirt"):
            what = self.sick("trace-unknown", name, severity="error",
                             code=1).findings["trace-unknown"]["what"]
            self.assertIn("a network or a domain", what)

    def test_lease_that_ended(self):
        publish("virbr0.status", [DB, WEB | {"expiry-time": int(time.time()) - 7300}])
        self.serve()
        result = self.sick("trace-ended", "web", severity="error", code=1)
        self.assertIn("2 h ago", result.findings["trace-ended"]["what"])

    def test_name_that_no_guest_may_have(self):
        for name, reason in ((sandbox.HOSTNAME, "it is the name of this host"),
                             (sandbox.HOSTNAME.upper() + ".example", "it is the name of this host"),
                             ("wpad", "programs trust a host of that name")):
            with self.subTest(name=name):
                publish("virbr0.status", [WEB, lease("192.168.122.15", "52:54:00:00:00:15", name)])
                publish("virbr0.macs", [{"domain": "third", "macs": ["52:54:00:00:00:15"]}])
                self.serve()
                result = self.sick("trace-refused", name.split(".")[0], severity="error", code=1)
                self.assertIn(f"192.168.122.15 calls itself '{name}': {reason}",
                              result.findings["trace-refused"]["what"])
                self.assertNotIn("trace-unknown", result.findings)
                self.assertRegex(self.daemon.log(), rf"calls itself '{name}', which no guest may be "
                                 rf"called: {reason}; the address stays")
                self.assertEqual(result.mend("trace-refused")[1:],
                                 ["until then it answers to 'third'"])
                self.daemon.stop()

    def test_whole_name_that_a_guest_gave_itself(self):
        publish("virbr0.status", [lease("192.168.122.30", "52:54:00:00:00:30", "vm.corp.example")])
        self.serve()
        result = self.sick("trace-unknown", "VM.corp.example", severity="error", code=1)
        self.assertIn("192.168.122.30 calls itself 'vm.corp.example', and answers to 'vm'",
                      result.findings["trace-unknown"]["what"])
        self.assertEqual(check("vm").code, 0)

    def test_guest_of_libvirts_that_is_called_like_this_host(self):
        publish("virbr0.macs", [{"domain": sandbox.HOSTNAME, "macs": ["52:54:00:00:00:10"]}])
        nss.HOSTS.write_text(f"127.0.0.1 localhost\n127.0.1.1 {sandbox.HOSTNAME}.example "
                             f"{sandbox.HOSTNAME}\n", encoding="ascii")
        self.serve()
        result = self.sick("name-in-hosts", sandbox.HOSTNAME, severity="warning", code=0)
        self.assertIn(f"virsh domrename '{sandbox.HOSTNAME}'", result.mend("name-in-hosts")[0])

    def test_first_name_server_is_silent(self):
        """Programs go on to the next, and so does the one who follows a name."""
        nss.use("files", "dns")
        resolv(f"nameserver {NOBODY_THERE}\nnameserver {US}\nsearch libvirt\n")
        self.serve()
        result = self.sick("resolver-silent", "web", severity="warning", code=0)
        self.assertEqual(set(result.findings) & {"trace-stops-resolver", "trace-stops-nss"}, set())

    def test_guest_that_is_off(self):
        self.serve()
        self.sick("trace-no-address", "idle", severity="error", code=1)

    def test_stops_at_the_index(self):
        run(leasedns.program(), "index")
        publish("virbr0.status", [WEB, DB, lease("192.168.122.16", "52:54:00:00:00:16", "new")])
        result = self.sick("trace-stops-index", "new", severity="warning", code=0)
        self.assertEqual(self.steps(result)["index", "new"]["answer"], "no such name")
        self.assertTrue(self.steps(result)["NSS", "new"]["right"])

    def test_stops_at_the_daemon(self):
        run(leasedns.program(), "index")
        self.sick("trace-stops-daemon", "web", severity="warning", code=0)
        nss.use("files", "dns")
        result = self.sick("trace-stops-daemon", "web", severity="error", code=1)
        self.assertEqual(self.steps(result)["daemon", "web.libvirt"]["answer"], "no reply")

    def test_zone_that_was_asked_for(self):
        """Of several, each has a way of its own."""
        conf("[zone]\nname = libvirt guests\n[forward]\nupstream = none\n")
        self.serve()
        nss.use("files", "dns")
        front = dnsmasq("one-zone", FRONT, f"--server=/libvirt/{US}", "--local=/guests/")
        self.addCleanup(front.stop)
        resolv(f"nameserver {FRONT}\n")
        self.assertTrue(self.steps(check("web.libvirt"))["resolver", "web.libvirt"]["right"])
        result = self.sick("trace-stops-resolver", "web.Guests", code=1)
        self.assertTrue(self.steps(result)["daemon", "web.guests"]["right"])
        self.assertFalse(self.steps(result)["resolver", "web.guests"]["right"])

    def test_stops_at_the_resolver(self):
        self.serve()
        nss.use("files", "dns")
        front = dnsmasq("forgetful", FRONT, f"--server=/libvirt/{US}", "--local=/web.libvirt/")
        self.addCleanup(front.stop)
        resolv(f"nameserver {FRONT}\nsearch libvirt\n")
        result = self.sick("trace-stops-resolver", "web", code=1)
        self.assertTrue(self.steps(result)["daemon", "web.libvirt"]["right"])
        self.assertFalse(self.steps(result)["resolver", "web.libvirt"]["right"])

    def test_stops_at_programs(self):
        self.serve()
        resolv(f"nameserver {OUTSIDE}\n")
        result = self.sick("trace-stops-nss", "web", severity="error", code=1, modules=False)
        self.assertTrue(self.steps(result)["index", "web"]["right"])
        self.assertFalse(self.steps(result)["NSS", "web"]["right"])

    def test_programs_get_another_address(self):
        self.serve()
        nss.HOSTS.write_text("192.0.2.7 web web.libvirt\n", encoding="ascii")
        result = self.sick("trace-stops-nss", "web", severity="error", code=1)
        self.assertIn("192.0.2.7", result.findings["trace-stops-nss"]["what"])

    def test_shown_to_people(self):
        self.serve()
        done = subprocess.run(argv("web"), capture_output=True, text=True, timeout=60, check=False,
                              env=environment())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("\nweb, step by step\n", done.stdout)
        self.assertRegex(done.stdout, r"\nok +resolver +web\.libvirt +192\.168\.122\.10\n")
        self.assertTrue(done.stdout.endswith("\nweb resolves: 0 errors, 0 warnings, 0 notes.\n"))


class ActivatedTest(CheckCase):
    """A service manager hands sockets over: these count, [server] listen does not."""

    ELSEWHERE = "127.0.0.57"

    def activate(self, *sockets, port=53):
        """Starts the daemon with such sockets: pairs of an address and a type."""
        bound = []
        for address, kind in sockets:
            one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            self.addCleanup(one.close)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            one.bind((address, port))
            if kind == socket.SOCK_STREAM:
                one.listen()
            bound.append(one)

        def arrange():
            for position, one in enumerate(bound):
                os.dup2(one.fileno(), 100 + position)
            for position in range(len(bound)):
                os.dup2(100 + position, 3 + position)

        with open(pathlib.Path(sandbox.STATE) / "activated.log", "ab") as log:
            daemon = subprocess.Popen(
                ["sh", "-c", f'exec env LISTEN_PID=$$ LISTEN_FDS={len(bound)} "$@"', "sh",
                 leasedns.program(), "serve"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                preexec_fn=arrange)
        for one in bound:
            one.close()
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        wait_until(lambda: run(leasedns.program(), "stats", check=False).returncode == 0, 20,
                   "it runs")
        wait_until(lambda: "from the index" in leasedns.lookup("leasedns").stdout, 20,
                   "the index is believed")
        return daemon

    BOTH = (socket.SOCK_DGRAM, socket.SOCK_STREAM)

    def at(self, *addresses):
        return [(address, kind) for address in addresses for kind in self.BOTH]

    def test_daemon_is_asked_where_it_is(self):
        self.activate(*self.at(self.ELSEWHERE))
        resolv(f"nameserver {self.ELSEWHERE}\nsearch libvirt\n")
        result = self.sick("daemon-elsewhere", "web", severity="note", code=0)
        self.assertEqual(set(result.findings), {"daemon-elsewhere"})
        self.assertIn(f"at {self.ELSEWHERE}, not at {US}",
                      result.findings["daemon-elsewhere"]["what"])
        self.assertIn(f"[server] listen = {self.ELSEWHERE} in", result.mend("daemon-elsewhere")[0])
        self.assertIn(f"{self.ELSEWHERE} is leasedns", json.dumps(result.all["facts"]))
        self.assertTrue(all(step["right"] for step in result.all["trace"]))

    def test_resolver_that_goes_by_the_configuration(self):
        nss.use("files", "dns")
        self.activate(*self.at(self.ELSEWHERE))
        result = self.sick("resolver-silent", severity="error", code=1)
        self.assertIn(f"'nameserver {self.ELSEWHERE}'", "".join(result.mend("resolver-silent")))
        resolv(f"nameserver {self.ELSEWHERE}\nsearch libvirt\n")
        self.healed("resolver-silent")

    def test_listen_that_was_written_and_is_nothing(self):
        conf(f"[server]\nlisten = 192.0.2.1\n[forward]\nupstream = {OUTSIDE}\n")
        self.activate(*self.at(US))
        result = self.sick("daemon-listen-ignored", severity="warning", code=0)
        self.assertEqual(set(result.findings), {"daemon-listen-ignored"})
        for line in ("systemctl edit leasedns.socket", "ListenDatagram=192.0.2.1:53",
                     "ListenStream=192.0.2.1:53"):
            self.assertIn(line, "\n".join(result.mend("daemon-listen-ignored")))

    def test_more_than_the_configuration_says_is_fine(self):
        self.activate(*self.at(US, self.ELSEWHERE, "::1"))
        self.assertEqual(check().all["findings"], [])

    def test_all_addresses(self):
        self.activate(*self.at("0.0.0.0"), port=5353)
        resolv(f"nameserver {OUTSIDE}\n")
        result = self.sick("daemon-elsewhere", severity="note", code=0)
        mend = "".join(result.mend("resolver-not-us"))
        self.assertIn("server=/libvirt/127.0.0.1#5353", mend)
        self.assertNotIn("nameserver", mend)
        self.assertIn("systemctl edit leasedns.socket", "".join(result.mend("daemon-port")))

    def test_all_addresses_of_both_families(self):
        self.activate(*self.at("::"), port=5354)
        conf(f"[server]\nlisten = {US}:5354\n[forward]\nupstream = none\n")
        self.assertNotIn("daemon-listen-ignored", check().findings)

    def test_leases_that_the_service_hides(self):
        """Its unit gives the daemon a root without them: here another configuration does."""
        self.activate(*self.at(US))
        run("mount", "-t", "tmpfs", "tmpfs", "/srv")
        self.addCleanup(run, "umount", "/srv")
        other = pathlib.Path("/srv/leases")
        other.mkdir()
        publish("virbr0.status", [WEB | {"ip-address": "192.168.122.77"}], other)
        conf(f"[leases]\nlibvirt = {other}\n[forward]\nupstream = {OUTSIDE}\n")
        result = self.sick("leases-hidden-from-daemon", severity="warning", code=0)
        self.assertNotIn("daemon-index-differs", result.findings)
        self.assertIn(f"    BindReadOnlyPaths={other}", result.mend("leases-hidden-from-daemon"))

    def test_one_of_udp_and_tcp(self):
        for kind, missing in ((socket.SOCK_DGRAM, "ListenStream"),
                              (socket.SOCK_STREAM, "ListenDatagram")):
            with self.subTest(missing=missing):
                daemon = self.activate((US, kind))
                result = self.sick("daemon-one-transport", severity="warning", code=0)
                self.assertIn(f"    {missing}={US}:53", result.mend("daemon-one-transport"))
                self.assertNotIn("daemon-not-running", result.findings)
                self.assertNotIn("daemon-silent", result.findings)
                daemon.terminate()
                daemon.wait()
        self.activate(*self.at(US))
        self.healed("daemon-one-transport")


class ListenTest(CheckCase):
    def test_listen_that_a_reload_did_not_change(self):
        daemon = self.serve()
        conf(f"[server]\nlisten = 127.0.0.58\n[forward]\nupstream = {OUTSIDE}\n")
        daemon.process.send(signal.SIGHUP)
        result = self.sick("daemon-listen-ignored", severity="warning", code=0)
        self.assertIn(f"127.0.0.58 in '{CONF}', but the daemon answers at {US}",
                      result.findings["daemon-listen-ignored"]["what"])
        self.assertIn("systemctl restart leasedns", result.mend("daemon-listen-ignored")[0])
        daemon.stop()
        resolv("nameserver 127.0.0.58\nsearch libvirt\n")
        self.serve(server="127.0.0.58")
        self.healed("daemon-listen-ignored")
        # The default is no excuse where no socket unit has a say.
        conf()
        self.assertNotIn("leasedns.socket", json.dumps(
            self.sick("daemon-listen-ignored").mend("daemon-listen-ignored")))

    def test_all_addresses(self):
        conf("[server]\nlisten = 0.0.0.0:5353\n[forward]\nupstream = none\n")
        self.serve(server="127.0.0.1", port=5353)
        self.assertEqual(set(check().findings), {"daemon-port", "resolver-silent"})

    def test_all_addresses_while_another_has_one(self):
        conf(f"[server]\nlisten = 0.0.0.0\n[forward]\nupstream = {OUTSIDE}\n")
        result = self.sick("port-taken", severity="warning", code=0)
        self.assertRegex(result.findings["port-taken"]["what"], r"0\.0\.0\.0 is taken by 'nsd")
        self.assertIn("[server] listen", "".join(result.mend("port-taken")))

    def test_ipv6_and_several(self):
        conf(f"[server]\nlisten = {US} [::1]:53\n[forward]\nupstream = {OUTSIDE}\n")
        resolv("nameserver ::1\nsearch libvirt\n")
        self.serve()
        result = check("web")
        self.assertEqual((result.code, result.all["findings"]), (0, []))
        self.assertIn("::1 is leasedns", json.dumps(result.all["facts"]))


class UserTest(CheckCase):
    """Somebody who is not root."""

    def setUp(self):
        super().setUp()
        self.user = pwd.getpwnam("nobody").pw_uid

    @contextlib.contextmanager
    def program_for_all(self):
        """Where nobody may look is where programs are built."""
        path = pathlib.Path(sandbox.STATE) / "for-all"
        path.mkdir(exist_ok=True)
        os.chmod(sandbox.STATE, 0o755)
        shutil.copy(leasedns.program(), path)
        for module in pathlib.Path(os.environ[nss.VARIABLE]).glob("libnss_*.so.2"):
            shutil.copy(module, path)
        before = os.environ[leasedns.VARIABLE], os.environ[nss.VARIABLE]
        os.environ[leasedns.VARIABLE], os.environ[nss.VARIABLE] = str(path / "leasedns"), str(path)
        try:
            yield
        finally:
            os.environ[leasedns.VARIABLE], os.environ[nss.VARIABLE] = before

    def test_is_told_what_could_not_be_looked_at(self):
        self.serve()
        with self.program_for_all():
            result = self.sick("not-seen", severity="note", code=0, user=self.user)
        self.assertEqual(set(result.findings), {"not-seen"})

    def test_has_names_from_the_index(self):
        self.serve()
        os.chmod(LEASES, 0o750)
        os.chown(LEASES, 0, UID)
        with self.program_for_all():
            result = check("web", user=self.user)
        self.assertEqual(set(result.findings), {"not-seen"}, json.dumps(result.all, indent=1))
        self.assertEqual(result.code, 0)
        self.assertTrue(self.steps_right(result))

    @staticmethod
    def steps_right(result):
        return all(step["right"] for step in result.all["trace"])

    def test_may_read_nothing(self):
        os.chmod(LEASES, 0o700)
        with self.program_for_all():
            self.sick("leases-unreadable", severity="error", code=1, user=self.user)


class ArgumentsTest(CheckCase):
    def test_usage(self):
        done = run(*argv("--help"))
        self.assertTrue(done.stdout.startswith("Usage: leasedns check [OPTION]... [NAME]\n"))
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 84)
        for arguments, message in ((["192.168.122.10"], "'leasedns lookup 192.168.122.10' says"),
                                   (["::1"], "is an address, not a name"),
                                   ([""], "the name is empty"), (["."], "the name is empty"),
                                   (["--nope"], "unknown option '--nope'"),
                                   (["a", "b"], "unexpected argument 'b'"),
                                   (["--watch"], "unknown option '--watch'")):
            done = run(*argv(*arguments), check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(message, done.stderr)

    def test_configuration_that_is_none(self):
        conf("[zone]\nttl = many\n")
        done = run(*argv(), check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("/etc/leasedns.conf:2: ", done.stderr)


def prepare():
    tools.require()
    resolvers.use_packages()
    resolved.set_up()
    for path, line in (("passwd", f"{USER}:x:{UID}:{UID}::/:/usr/sbin/nologin\n"),
                       ("group", f"{USER}:x:{UID}:\n")):
        file = pathlib.Path("/etc") / path
        text = "".join(old for old in file.read_text(encoding="utf-8").splitlines(True)
                       if not old.startswith(f"{USER}:"))
        file.write_text(text + line, encoding="utf-8")
    # A network that runs has its bridge.
    run("ip", "link", "add", "virbr0", "type", "bridge")


def main():
    prepare()
    return int(not unittest.main(verbosity=2, exit=False).result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(main))
