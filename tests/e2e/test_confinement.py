#!/usr/bin/python3
"""The AppArmor snippet: AppArmor's own parser takes it, and it allows what a module asks for."""

import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

from harness import leasedns, nss, samples, sandbox, upstreams
from harness.libvirt import DNSMASQ
from harness.process import run

SNIPPET = (pathlib.Path(__file__).resolve().parents[2] /
           "contrib/apparmor/abstractions/nameservice.d/leasedns")
POLICY = pathlib.Path(sandbox.STATE) / "apparmor.d"
PROFILE = """\
abi <abi/3.0>,
include <tunables/global>
profile tiny /usr/bin/tiny {
  include <abstractions/nameservice>
}
"""
#: Of AppArmor's tunables, as far as they bear on this machine.
VARIABLES = {"@{etc_ro}": "/etc", "@{run}": "/run"}


def parse(profile, *options):
    """Compiles a profile, for no kernel and past any cache."""
    path = POLICY / "tiny"
    path.write_text(profile, encoding="utf-8")
    return run("apparmor_parser", "-Q", "-K", "-b", str(POLICY), *options, str(path), check=False)


def pattern(glob):
    """A path of a rule, whose variables, '*' and '{a,b}' are all that we use, as a regular
    expression."""
    for variable, value in VARIABLES.items():
        glob = glob.replace(variable, value)
    parts = re.split(r"(\*|\{[^}]*\})", glob)
    return "".join("[^/]*" if part == "*" else
                   f"(?:{part[1:-1].replace(',', '|')})" if part.startswith("{") else
                   re.escape(part) for part in parts)


def allowed():
    """What the snippet's rules let a program read."""
    rules = re.findall(r"^\s+(\S+) r,$", SNIPPET.read_text(encoding="utf-8"), re.M)
    return [re.compile(pattern(rule)) for rule in rules]


def asked(name):
    """Paths of ours and of libvirt's that a lookup names to the kernel. A directory ends in '/', as
    AppArmor sees it."""
    log = pathlib.Path(sandbox.STATE) / "strace"
    subprocess.run(["strace", "-f", "-o", str(log), "getent", "-s", "hosts:leasedns", "ahosts", name],
                   check=True, env=nss.environment(), stdout=subprocess.DEVNULL)
    found = re.findall(r'"(/[^"]*)"', log.read_text(encoding="utf-8"))
    ours = {path.rstrip("/") for path in found
            if re.match(r"/etc/leasedns|/run/leasedns|/var/lib/libvirt", path)}
    return {f"{path}/" if pathlib.Path(path).is_dir() else path for path in ours}


class AppArmorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        POLICY.mkdir()
        for part in ("abi", "abstractions", "tunables"):
            shutil.copytree(f"/etc/apparmor.d/{part}", POLICY / part)
        extra = POLICY / "abstractions/nameservice.d"
        extra.mkdir(exist_ok=True)
        shutil.copy(SNIPPET, extra / "leasedns")
        upstreams.own_etc()
        pathlib.Path("/etc/leasedns.conf").write_text(samples.CONF, encoding="utf-8")
        nss.set_up()
        nss.use("leasedns")
        samples.write(DNSMASQ)
        time.sleep(0.1)  # beyond the tick in which a change could go unseen

    def test_parser_takes_a_profile_with_it(self):
        done = parse(PROFILE)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = parse(PROFILE, "-p").stdout
        for line in SNIPPET.read_text(encoding="utf-8").splitlines():
            self.assertIn(line, shown)

    def test_parser_would_refuse_nonsense(self):
        done = parse(PROFILE.replace("}\n", "  @{run}/leasedns nonsense,\n}\n"))
        self.assertNotEqual(done.returncode, 0)

    def test_it_allows_what_a_module_asks_for(self):
        without_index = asked("web")
        self.assertIn(str(DNSMASQ / "virbr0.status"), without_index)
        run(leasedns.program(), "index")
        with_index = asked("web")
        self.assertIn("/run/leasedns/index.cdb", with_index)
        rules = allowed()
        for path in without_index | with_index:
            self.assertTrue(any(rule.fullmatch(path) for rule in rules), path)
        for rule in rules:
            self.assertTrue(any(map(rule.fullmatch, without_index | with_index)),
                            f"allowed for nothing: {rule.pattern}")


if __name__ == "__main__":
    sys.exit(sandbox.run(lambda: int(not unittest.main(verbosity=2, exit=False)
                                     .result.wasSuccessful())))
