#!/usr/bin/python3
"""What the README and the manual pages show is what happens: their commands are run, and what the
README prints below one is what it prints."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

from harness import leasedns, nss, samples, sandbox, upstreams
from harness.libvirt import DNSMASQ

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ("leasedns.8", "nss-leasedns.8")


def shell(command):
    """Runs a line of a document."""
    path = os.path.dirname(os.path.abspath(leasedns.program()))
    return subprocess.run(["/bin/bash", "-c", f"set -o pipefail; {command}"], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**nss.environment(), "PATH": f"{path}:{os.environ['PATH']}"})


def examples_of(page):
    """The commands below EXAMPLES: lines behind a prompt, and those that go on after a '|'."""
    text = subprocess.run(["mandoc", "-Tascii", str(ROOT / "contrib/man" / page)], check=True,
                          capture_output=True, text=True).stdout
    text = re.search(r"^EXAMPLES\n(.*?)^\S", re.sub(".\b", "", text), re.M | re.S)[1]
    return re.findall(r"^ +[$#] ((?:.*\|\n)*.*)$", text, re.M)


def sessions_of(markdown):
    """(command, lines that are shown of its output) of each indented or fenced line "$ command"."""
    found, indent = [], None
    for line in markdown.splitlines():
        prompt = re.match(r"( *)\$ (.*)", line)
        if prompt:
            indent = prompt[1]
            found.append((prompt[2], []))
        elif indent is not None and line.startswith(indent) and line.strip() not in ("", "```"):
            found[-1][1].append(line[len(indent):])
        else:
            indent = None
    return found


class DocumentsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        upstreams.own_etc()
        pathlib.Path("/etc/leasedns.conf").write_text(
            samples.CONF + "[forward]\nupstream = none\n", encoding="utf-8")
        nss.set_up()
        nss.use("files", "leasedns")
        samples.write(DNSMASQ)
        cls.server = leasedns.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_examples_of_the_pages_succeed(self):
        for page in PAGES:
            commands = examples_of(page)
            self.assertGreaterEqual(len(commands), 3, page)
            for command in commands:
                with self.subTest(page=page, command=command):
                    done = shell(command)
                    self.assertEqual(done.returncode, 0, done.stdout)
                    self.assertNotEqual(done.stdout, "")

    def test_readme_shows_what_happens(self):
        sessions = sessions_of((ROOT / "README.md").read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(sessions), 3)
        for command, shown in sessions:
            with self.subTest(command=command):
                done = shell(command)
                self.assertEqual(done.returncode, 0, done.stdout)
                lines = iter(re.sub(" +", " ", line) for line in done.stdout.splitlines())
                self.assertNotEqual(shown, [])
                # "…" stands for the rest of a line, and alone for lines that are left out.
                for line in (re.sub(" +", " ", line) for line in shown if line != "…"):
                    start = line.removesuffix("…")
                    self.assertTrue(any(has == line or (line.endswith("…") and has.startswith(start))
                                        for has in lines), f"{line}\nis not in:\n{done.stdout}")


if __name__ == "__main__":
    sys.exit(sandbox.run(lambda: int(not unittest.main(verbosity=2, exit=False)
                                     .result.wasSuccessful())))
