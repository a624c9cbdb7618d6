"""The commands list, lookup and index, as people and scripts use them."""

import errno
import fcntl
import json
import os
import pty
import pwd
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

PROGRAM = os.environ.get("LEASEDNS", "build/dev/bin/leasedns")
CAPTURES = os.path.join(os.path.dirname(__file__), "..", "data", "captures")
NOBODY = "nobody"
# A busy machine: how long anything may take before the test gives up.
PATIENCE_S = 60


def lease(address, mac, hostname=None, expires=0):
    entry = {"ip-address": address, "mac-address": mac, "expiry-time": int(expires)}
    if hostname is not None:
        entry["hostname"] = hostname
    return entry


class Host:
    """A configuration, a lease directory and a place for the index, all in a scratch directory."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="leasedns-cli-")
        os.chmod(self.root, 0o755)
        self.leases = os.path.join(self.root, "leases")
        os.mkdir(self.leases, 0o755)
        self.index = os.path.join(self.root, "run", "index.cdb")
        self.conf = os.path.join(self.root, "leasedns.conf")
        # Where nobody may look is where programs are built.
        self.program = os.path.join(self.root, "leasedns")
        shutil.copy(PROGRAM, self.program)
        os.chmod(self.program, 0o755)
        self.configure("[network]\nvirbr0 = default\n")

    def close(self):
        shutil.rmtree(self.root)

    def configure(self, text):
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"{text}[leases]\nlibvirt = {self.leases}\n[index]\nfile = {self.index}\n")

    def publish(self, name, content):
        """Writes a file aside and renames it, as libvirt does. `content`: bytes, or for JSON."""
        path = os.path.join(self.leases, name)
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)

    def capture(self, path):
        """A captured file, its expired leases made to end in an hour."""
        with open(os.path.join(CAPTURES, path), "rb") as file:
            text = file.read()
        ends = str(int(time.time()) + 3600).encode()
        text = re.sub(rb'("expiry-time": )[1-9][0-9]*', rb"\g<1>" + ends, text)
        self.publish(os.path.basename(path), text)

    def environment(self, **more):
        variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        variables.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        variables.update(more)
        return variables

    def run(self, command, *arguments, conf=True, user=None, **variables):
        argv = [self.program, command] + (["-c", self.conf] if conf else []) + list(arguments)
        return subprocess.run(argv, env=self.environment(**variables), capture_output=True,
                              timeout=PATIENCE_S, check=False, user=user, cwd="/",
                              extra_groups=[] if user else None)


class CliCase(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def good(self, command, *arguments, **keywords):
        """Runs a command that must succeed in silence; its standard output."""
        done = self.host.run(command, *arguments, **keywords)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def bad(self, code, command, *arguments, **keywords):
        """Runs a command that must fail without output; its standard error, one line."""
        done = self.host.run(command, *arguments, **keywords)
        self.assertEqual((done.returncode, done.stdout), (code, b""))
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        return done.stderr.decode()

    def use_guests(self):
        for bridge in ("virbr0", "virbr1"):
            self.host.capture(f"guests/1-two-guests/{bridge}.status")
            self.host.capture(f"guests/1-two-guests/{bridge}.macs")


class ListTest(CliCase):
    def test_table_of_captured_files(self):
        self.use_guests()
        lines = [line.split() for line in self.good("list").splitlines()]
        self.assertEqual(lines[0], ["NAME", "KIND", "ADDRESS", "MAC", "NETWORK", "EXPIRES"])
        self.assertEqual(lines[1][:5],
                         ["beta2", "hostname", "192.168.122.37", "52:54:00:00:00:0b", "default"])
        self.assertIn(lines[1][5:], (["in", "59", "min"], ["in", "60", "min"]))
        self.assertEqual(lines[2], ["db", "server", "guest", "-", "-", "default", "-"])
        self.assertEqual(lines[3][0], "gamma")
        self.assertEqual(lines[4][0], "l" * 63)
        self.assertEqual(lines[5], ["want2", "hostname", "192.168.150.12", "52:54:00:00:01:02",
                                    "virbr1", "never"])
        self.assertEqual(lines[6][:3], ["web1", "guest", "192.168.122.253"])
        self.assertEqual(len(lines), 7)

    def test_json_of_captured_files(self):
        self.use_guests()
        rows = json.loads(self.good("list", "--json"))
        web1, = [row for row in rows if row["name"] == "web1"]
        left = web1.pop("expires_unix") - time.time()
        self.assertTrue(3500 < left <= 3600, left)
        self.assertRegex(web1.pop("expires"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(web1, {
            "name": "web1", "fqdn": "web1.libvirt", "kind": "guest", "state": "live",
            "address": "192.168.122.253", "family": 4, "ttl": 5, "mac": "52:54:00:aa:00:01",
            "network": "default", "bridge": "virbr0"})
        idle, = [row for row in rows if row["name"] == "db server"]
        self.assertEqual((idle["address"], idle["fqdn"]), (None, "db\\032server.libvirt"))

    def test_static_names_and_reservations(self):
        for name in ("lab.hostsfile", "lab.addnhosts"):
            self.host.capture(f"static-hosts/{name}")
        rows = json.loads(self.good("list", "--json"))
        self.assertEqual(
            sorted((row["name"], row["kind"], row["address"]) for row in rows),
            [("byname", "reservation", "192.168.150.13"),
             ("lp.lab.example", "static", "192.168.150.5"),
             ("printer", "static", "192.168.150.5"), ("printer", "static", "fd00:150::5"),
             ("static1", "reservation", "192.168.150.11"),
             ("static1", "reservation", "fd00:150::11")])
        self.assertEqual({row["network"] for row in rows}, {"lab"})

    def test_nothing_is_told_where_it_looked(self):
        done = self.host.run("list")
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertIn(b"no virtual machine has a name yet", done.stderr)
        self.assertIn(self.host.leases.encode(), done.stderr)
        self.assertEqual(json.loads(self.good("list", "--json")), [])

    def test_expired_and_hidden_names_only_if_asked_for(self):
        now = time.time()
        mac = "52:54:00:00:00:0a"
        self.host.publish("virbr0.status", [
            lease("10.0.0.1", mac, "inner", now + 600),
            lease("10.0.0.2", "52:54:00:00:00:0b", "owner", now + 600),
            lease("10.0.0.3", "52:54:00:00:00:0c", "gone", now - 600)])
        self.host.publish("virbr0.macs", [{"domain": "owner", "macs": [mac]}])
        names = {(row["name"], row["address"]) for row in json.loads(self.good("list", "--json"))}
        self.assertEqual(names, {("inner", "10.0.0.1"), ("owner", "10.0.0.1")})
        states = {(row["name"], row["address"]): row["state"]
                  for row in json.loads(self.good("list", "--json", "--all"))}
        self.assertEqual(states, {
            ("inner", "10.0.0.1"): "live", ("owner", "10.0.0.1"): "live",
            ("owner", "10.0.0.2"): "hidden", ("gone", "10.0.0.3"): "expired",
            ("leasedns", "127.0.0.56"): "live"})
        table = self.good("list", "--all")
        self.assertRegex(table, r"(?m)^gone +hostname .* 10 min ago +expired$")
        self.assertRegex(table.splitlines()[0], "STATE$")

    def test_hostile_names_reach_no_terminal(self):
        evil = 'x\x1b]0;owned\x07\x9b2J\u202e\n\x7f"\\'
        self.host.publish("virbr0.status", [lease("10.0.0.1", "52:54:00:00:00:0a", evil)])
        self.host.publish("virbr0.macs", [{"domain": evil, "macs": ["52:54:00:00:00:0a"]},
                                          {"domain": "b\u00fcro", "macs": []}])
        for variables in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C"}):
            for arguments in ((), ("--all",), ("--json",)):
                done = self.host.run("list", *arguments, **variables)
                text = done.stdout.decode()
                self.assertEqual(done.returncode, 0)
                # JSON keeps what turns text around: it is for programs.
                harmless = "\n\u00fc" + ("\u202e" if arguments == ("--json",) else "")
                self.assertTrue(all(c in harmless or " " <= c <= "~" for c in text), repr(text))
                self.assertIn("owned", text)
        self.assertIn("b\u00fcro", self.good("list"))
        self.assertIn("b\\195\\188ro", self.good("list", LC_ALL="C"))
        names = [row["name"] for row in json.loads(self.good("list", "--json"))]
        self.assertIn("b\u00fcro", names)
        self.assertIn('x\x1b]0;owned\x07\\194\\1552j\u202e\n\\127"\\092', names)

    def test_names_that_are_not_utf8_are_valid_json(self):
        # A guest's name is libvirt's own text; its bytes are hostile only if its file is.
        self.host.publish("virbr0.macs",
                          b'[{"domain": "a\xffb", "macs": []}, {"domain": "fine", "macs": []}]')
        done = self.host.run("list", "--json")
        self.assertEqual(done.returncode, 0)
        names = [row["name"] for row in json.loads(done.stdout.decode("utf-8", "strict"))]
        self.assertIn("fine", names)

    def test_colour_only_on_a_terminal(self):
        self.use_guests()
        self.assertNotIn("\x1b", self.good("list"))
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False),
                                    ({"TERM": "dumb"}, False)):
            terminal = Terminal(self.host, "list", **variables)
            text = terminal.read_to_end()
            self.assertEqual(terminal.wait(), 0)
            self.assertEqual("\x1b[1mNAME" in text, coloured)
            self.assertEqual("\x1b" in text, coloured)

    def test_table_fits_the_terminal(self):
        self.use_guests()
        for columns in (200, 100, 80, 30):
            terminal = Terminal(self.host, "list", columns=columns, NO_COLOR="1")
            lines = terminal.read_to_end().split("\r\n")
            self.assertEqual(terminal.wait(), 0)
            self.assertLessEqual(max(len(line) for line in lines), columns)
            self.assertEqual("\u2026" in "".join(lines), columns < 140)


class LookupTest(CliCase):
    def setUp(self):
        super().setUp()
        self.use_guests()

    def test_name_in_all_its_spellings(self):
        for name in ("web1", "WEB1", "web1.libvirt", "web1.libvirt.", "web1.virbr0",
                     "web1.virbr0.libvirt", "web1.default.libvirt"):
            rows = self.good("lookup", name).splitlines()
            self.assertEqual(rows[1].split()[1:5],
                             ["guest", "192.168.122.253", "5", "52:54:00:aa:00:01"], name)

    def test_address_gives_its_name(self):
        rows = self.good("lookup", "192.168.122.37").splitlines()
        self.assertEqual(rows[1].split()[:3], ["beta2.libvirt", "hostname", "192.168.122.37"])
        self.assertIn("no such address", self.bad(1, "lookup", "192.168.122.99"))

    def test_json(self):
        answer = json.loads(self.good("lookup", "--json", "Want2.libvirt"))
        self.assertEqual((answer["query"], answer["match"]), ("Want2.libvirt", "found"))
        self.assertEqual([row["address"] for row in answer["answers"]], ["192.168.150.12"])
        self.assertIn("from the lease files in", answer["origin"])
        done = self.host.run("lookup", "--json", "nope")
        self.assertEqual(done.returncode, 1)
        absent = json.loads(done.stdout)
        self.assertEqual((absent["match"], absent["answers"]), ("absent", []))

    def test_absent_name_is_told_from_an_idle_guest(self):
        self.assertIn("no such name", self.bad(1, "lookup", "nope"))
        for name in ("DB Server", "db-server.libvirt"):
            self.assertIn("the guest is known, but has no live lease", self.bad(1, "lookup", name))

    def test_ended_lease_is_remembered(self):
        self.host.publish("virbr9.status", [
            lease("10.9.9.9", "52:54:00:00:09:09", "late", time.time() - 7300)])
        self.assertIn("no such name; its last lease ended 2 h ago", self.bad(1, "lookup", "late"))
        self.assertIn("no such address; its last lease ended 2 h ago",
                      self.bad(1, "lookup", "10.9.9.9"))

    def test_hostile_question_is_escaped(self):
        self.assertIn("a\\027[2J", self.bad(1, "lookup", "a\x1b[2J"))

    def test_says_whether_the_index_was_believed(self):
        def origin():
            return self.good("lookup", "want2").splitlines()[-1]

        self.assertEqual(origin(), f"from the lease files in {self.host.leases} "
                                   f"(there is no index {self.host.index})")
        self.good("index")
        self.assertEqual(origin(), f"from the index {self.host.index}")
        os.utime(os.path.join(self.host.leases, "virbr0.status"))
        self.assertEqual(origin(), f"from the lease files in {self.host.leases} "
                                   "(the index is stale: virbr0.status changed)")
        self.good("index")
        self.assertEqual(origin(), f"from the index {self.host.index}")
        self.host.configure("[zone]\nttl = 6\n")
        self.assertRegex(origin(), r"^from the lease files .*\(the index is stale: "
                                   r"leasedns.conf changed\)$")
        self.good("index")
        os.chmod(self.host.index, 0o666)
        self.assertRegex(origin(), "^from the lease files .* cannot be used: ")

    def test_unprivileged_user_reads_the_index(self):
        user = pwd.getpwnam(NOBODY).pw_uid
        self.good("index")
        os.chmod(self.host.leases, 0o700)
        self.assertIn(f"from the index {self.host.index}",
                      self.good("lookup", "web1", user=user))
        self.assertIn("192.168.122.253", self.good("list", user=user))

    def test_unprivileged_user_reads_the_files(self):
        user = pwd.getpwnam(NOBODY).pw_uid
        self.assertIn("from the lease files", self.good("lookup", "web1", user=user))


class IndexTest(CliCase):
    def test_publishes_once_and_tells_in_one_line(self):
        self.use_guests()
        previous = os.umask(0o077)
        try:
            text = self.good("index")
        finally:
            os.umask(previous)
        # beta2, gamma, the long one, want2, web1 and leasedns; five addresses with a name.
        self.assertRegex(text, rf"^6 names, 5 addresses, \d+ octets in {self.host.index}, \d+ ms\n$")
        status = os.stat(self.host.index)
        self.assertEqual(status.st_mode & 0o777, 0o644)
        self.assertIn(f" {status.st_size} octets", text)
        self.assertEqual(os.stat(os.path.dirname(self.host.index)).st_mode & 0o777, 0o755)
        self.assertEqual(os.listdir(os.path.dirname(self.host.index)), ["index.cdb"])

    def test_bad_file_is_told_and_costs_only_itself(self):
        self.use_guests()
        self.host.publish("virbr7.status", b'[\n{"ip-address": "10.')
        self.host.publish("virbr8.status", [
            lease("10.8.0.1", "52:54:00:00:08:01", "good"),
            lease("224.0.0.1", "52:54:00:00:08:02", "bad")])
        done = self.host.run("index")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr.decode(), r"virbr7\.status.*line \d+: ")
        self.assertRegex(done.stderr.decode(), r"virbr8\.status.*line \d+: ")
        found = self.host.run("lookup", "good")
        self.assertEqual(found.returncode, 0)
        self.assertIn(b"10.8.0.1", found.stdout)

    def test_failure_names_the_path_and_the_reason(self):
        user = pwd.getpwnam(NOBODY).pw_uid
        self.assertRegex(self.bad(1, "index", user=user),
                         rf"{self.host.index}.*No such file or directory")
        os.mkdir(os.path.dirname(self.host.index), 0o755)
        self.assertRegex(self.bad(1, "index", user=user), rf"{self.host.index}.*Permission denied")
        self.assertEqual(os.listdir(os.path.dirname(self.host.index)), [])


class ArgumentsTest(CliCase):
    def test_help_tells_usage_options_exit_codes_and_an_example(self):
        for command in ("list", "lookup", "index", "stats"):
            for option in ("--help", "-h"):
                text = self.good(command, option, conf=False)
                self.assertRegex(text, rf"^Usage: leasedns {command} ")
                for part in ("--config=FILE", "--help", "Exit codes: 0 ", "Example: leasedns"):
                    self.assertIn(part, text)
                self.assertLessEqual(max(map(len, text.splitlines())), 84)

    def test_bad_arguments_exit_2_with_a_hint(self):
        cases = (
            ("list", ["--nope"], "unknown option '--nope'"),
            ("list", ["-x"], "unknown option '-x'"),
            ("list", ["-hx"], "unknown option '-x'"),
            ("list", ["name"], "unexpected argument 'name'"),
            ("list", ["-c"], "a file name must follow"),
            ("lookup", [], "NAME or ADDRESS is missing"),
            ("lookup", ["a", "b"], "unexpected argument 'b'"),
            ("lookup", ["--watch", "a"], "unknown option '--watch'"),
            ("index", ["--json"], "unknown option '--json'"),
            ("stats", ["--watch"], "unknown option '--watch'"),
            ("index", ["x\x1b[2J"], "unexpected argument 'x\\027[2J'"),
        )
        for command, arguments, message in cases:
            text = self.bad(2, command, *arguments, conf=False)
            self.assertIn(message, text)
            self.assertIn(f"'leasedns {command} --help'", text)

    def test_bad_configuration_exits_2_with_file_and_line(self):
        with open(self.host.conf, "w", encoding="utf-8") as file:
            file.write("[zone]\n\nttl = many\n")
        for command, arguments in (("list", []), ("lookup", ["x"]), ("index", [])):
            self.assertIn(f"{self.host.conf}:3: ", self.bad(2, command, *arguments))
        os.unlink(self.host.conf)
        self.assertIn(f"{self.host.conf}: ", self.bad(2, "list"))

    def test_full_disk_is_told_and_a_closed_pipe_is_not(self):
        self.use_guests()
        for command, arguments in (("list", []), ("lookup", ["want2"]), ("index", []),
                                   ("list", ["--json"]), ("list", ["--help"])):
            argv = [self.host.program, command, "-c", self.host.conf] + arguments
            with open("/dev/full", "wb") as full:
                done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False,
                                      env=self.host.environment(), timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"No space left on device", done.stderr)
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False,
                                  env=self.host.environment(), timeout=PATIENCE_S)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (1, b""))


class Terminal:
    """A command that runs on a pseudo-terminal of its own."""

    def __init__(self, host, *arguments, columns=120, rows=30, **variables):
        argv = [host.program, arguments[0], "-c", host.conf, *arguments[1:]]
        environment = host.environment(**variables)
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                self.resize_fd(0, columns, rows)
                os.execve(argv[0], argv, environment)
            finally:
                os._exit(127)

    @staticmethod
    def resize_fd(fd, columns, rows):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.resize_fd(self.fd, columns, rows)

    def read_some(self, seconds):
        """False at the end of the output, or if none came for so long."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            octets = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            octets = b""
        self.seen += octets.decode("utf-8", "replace")
        return bool(octets)

    def read_to_end(self):
        while self.read_some(PATIENCE_S):
            pass
        return self.seen

    def screen(self):
        """What was drawn last, to its end, without escape sequences."""
        drawn = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.seen, re.DOTALL)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", drawn[-1]) if drawn else ""

    def wait_for(self, condition, seconds=PATIENCE_S):
        """Until `condition(self)` is true."""
        if not self.is_seen(condition, seconds):
            raise AssertionError(f"not seen in {seconds} s: {self.seen!r}")

    def is_seen(self, condition, seconds):
        """Whether `condition(self)` becomes true."""
        start = time.monotonic()
        while not condition(self):
            left = start + seconds - time.monotonic()
            if left <= 0 or not self.read_some(left):
                return False
        return True

    def keys(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        """The exit code."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


# How long a lease lasts whose end is seen. A busy machine may miss one that is short.
LASTS_S = (3, 10, 40)


class WatchTest(CliCase):
    def test_screen_follows_leases_and_expiries(self):
        terminal = Terminal(self.host, "list", "--watch")
        terminal.wait_for(lambda t: "no virtual machine has a name yet" in t.screen())
        for lasts_s in LASTS_S:
            ends = int(time.time()) + lasts_s
            self.host.publish("virbr0.status", [
                lease("10.0.0.1", "52:54:00:00:00:0a", "newcomer", ends)])
            if terminal.is_seen(lambda t: "newcomer" in t.screen(), ends + 1 - time.time()):
                break
        terminal.wait_for(lambda t: "newcomer" not in t.screen())
        self.assertGreaterEqual(time.time(), ends + 1)
        terminal.keys("q")
        terminal.read_to_end()
        self.assertEqual(terminal.wait(), 0)

    def test_screen_is_redrawn_for_another_size(self):
        self.host.publish("virbr0.status", [
            lease(f"10.0.0.{n}", f"52:54:00:00:00:{n:02x}", f"guest{n}") for n in range(1, 21)])
        terminal = Terminal(self.host, "list", "--watch", rows=10)
        terminal.wait_for(lambda t: "and 13 more" in t.screen())
        self.assertIn("guest2 ", terminal.screen())
        self.assertNotIn("guest20", terminal.screen())
        terminal.resize(120, 40)
        terminal.wait_for(lambda t: "guest20" in t.screen())
        terminal.keys("x q")
        terminal.read_to_end()
        self.assertEqual(terminal.wait(), 0)

    def test_signals_end_it_and_the_terminal_is_as_before(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            terminal = Terminal(self.host, "list", "--watch")
            terminal.wait_for(lambda t: "no virtual machine" in t.screen())
            self.assertFalse(self.is_cooked(terminal.fd))
            # The open terminal is shared with the shell, which expects it to block.
            with open(f"/proc/{terminal.pid}/fdinfo/0", encoding="ascii") as file:
                flags = int(re.search(r"flags:\s+(\d+)", file.read())[1], 8)
            self.assertFalse(flags & os.O_NONBLOCK)
            os.kill(terminal.pid, number)
            terminal.read_to_end()
            self.assertTrue(self.is_cooked(terminal.fd))
            self.assertEqual(terminal.wait(), 0)

    @staticmethod
    def is_cooked(fd):
        flags = termios.tcgetattr(fd)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def test_comes_back_from_the_background(self):
        terminal = Terminal(self.host, "list", "--watch")
        terminal.wait_for(lambda t: "no virtual machine" in t.screen())
        # What a shell does: it stops the job, sets its own modes, and lets the job go on.
        os.kill(terminal.pid, signal.SIGSTOP)
        os.waitpid(terminal.pid, os.WUNTRACED)
        modes = termios.tcgetattr(terminal.fd)
        modes[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(terminal.fd, termios.TCSANOW, modes)
        terminal.seen = ""
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.wait_for(lambda t: "no virtual machine" in t.screen())
        terminal.keys("q")
        terminal.read_to_end()
        self.assertEqual(terminal.wait(), 0)

    def test_key_interrupt_works_as_everywhere(self):
        terminal = Terminal(self.host, "list", "--watch")
        terminal.wait_for(lambda t: "no virtual machine" in t.screen())
        terminal.keys("\x03")
        terminal.read_to_end()
        self.assertEqual(terminal.wait(), 0)

    def piped(self, *arguments):
        process = subprocess.Popen(
            [self.host.program, "list", "-c", self.host.conf, "--watch", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.host.environment(),
            stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_json_is_one_document_a_line(self):
        process = self.piped("--json")
        self.assertEqual(json.loads(process.stdout.readline()), [])
        for lasts_s in LASTS_S:
            ends = int(time.time()) + lasts_s
            self.host.publish("virbr0.status", [
                lease("10.0.0.1", "52:54:00:00:00:0a", "brief", ends),
                lease("10.0.0.2", "52:54:00:00:00:0b", "lasting")])
            names = [row["name"] for row in json.loads(process.stdout.readline())]
            if names != ["lasting"]:
                break
        self.assertEqual(names, ["brief", "lasting"])
        # The end of a lease is a change as well, though no file tells it.
        names = [row["name"] for row in json.loads(process.stdout.readline())]
        self.assertEqual(names, ["lasting"])
        self.assertTrue(ends + 1 <= time.time() < ends + PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual((process.stdout.read(), process.stderr.read()), (b"", b""))

    def test_tables_are_parted_by_an_empty_line(self):
        self.host.publish("virbr0.status", [lease("10.0.0.1", "52:54:00:00:00:0a", "one")])
        process = self.piped()
        self.assertTrue(process.stdout.readline().startswith(b"NAME"))
        self.assertTrue(process.stdout.readline().startswith(b"one "))
        self.host.publish("virbr0.status", [lease("10.0.0.2", "52:54:00:00:00:0b", "two")])
        self.assertEqual(process.stdout.readline(), b"\n")
        self.assertTrue(process.stdout.readline().startswith(b"NAME"))
        self.assertTrue(process.stdout.readline().startswith(b"two "))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_reader_that_went_away_ends_it(self):
        process = self.piped("--json")
        process.stdout.readline()
        process.stdout.close()
        self.host.publish("virbr0.status", [lease("10.0.0.1", "52:54:00:00:00:0a", "one")])
        self.assertEqual(process.wait(PATIENCE_S), 1)
        self.assertEqual(process.stderr.read(), b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
