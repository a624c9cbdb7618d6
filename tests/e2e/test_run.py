#!/usr/bin/python3
"""contrib/run.sh, but for the build: what it serves, on a host where the package has made its user."""

import os
import pathlib
import shutil
import signal
import sys
import unittest

from harness import leasedns, sandbox
from harness.dns import dig
from harness.process import Background, run, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER, UID = "leasedns", 64991


class RunTest(unittest.TestCase):
    def setUp(self):
        """A tree with the program in its place, and a cmake that has nothing to do."""
        self.tree = pathlib.Path(sandbox.STATE) / "tree"
        shutil.copytree(ROOT / "contrib", self.tree / "contrib")
        self.addCleanup(shutil.rmtree, self.tree)
        (self.tree / "build/release/bin").mkdir(parents=True)
        shutil.copy(leasedns.program(), self.tree / "build/release/bin")
        (self.tree / "cmake").write_text("#!/bin/sh\n", encoding="ascii")
        (self.tree / "cmake").chmod(0o755)
        self.scratch = self.tree / "scratch"
        self.scratch.mkdir(mode=0o755)
        for directory in (pathlib.Path(sandbox.STATE), self.tree):
            directory.chmod(0o755)
        self.environment = {"PATH": f"{self.tree}:{os.environ['PATH']}", "TMPDIR": str(self.scratch)}

    def test_sample_leases(self):
        script = Background("run", [str(self.tree / "contrib/run.sh"), "--sample"], self.environment)
        try:
            wait_until(lambda: "serving libvirt" in script.log(), 60, "it serves")
            self.assertEqual(dig("web.libvirt").data, ["192.168.122.10"])
            (conf,) = self.scratch.glob("*/leasedns.conf")
            run(leasedns.program(), "stats", "-c", str(conf))
            self.assertIn("from the index", run(leasedns.program(), "lookup", "-c", str(conf),
                                                "web").stdout)
            self.assertNotIn("denied", script.log())
        finally:
            script.send(signal.SIGTERM)
            script.stop(30)
        self.assertEqual(list(self.scratch.iterdir()), [])

    def test_wrong_arguments(self):
        done = run(str(self.tree / "contrib/run.sh"), "--nope", check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("contrib/run.sh --sample", done.stderr)


def main():
    for name, line in (("passwd", f"{USER}:x:{UID}:{UID}::/:/usr/sbin/nologin\n"),
                       ("group", f"{USER}:x:{UID}:\n")):
        ours, file = pathlib.Path(sandbox.STATE) / name, pathlib.Path("/etc") / name
        others = [old for old in file.read_text(encoding="utf-8").splitlines(True)
                  if not old.startswith(f"{USER}:")]
        ours.write_text("".join(others) + line, encoding="utf-8")
        run("mount", "--bind", str(ours), str(file))
    return int(not unittest.main(verbosity=2, exit=False).result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(main))
