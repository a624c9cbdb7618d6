#!/usr/bin/python3
"""The README's pictures: the recorder makes them, and what is in the tree is what it makes."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

from harness import leasedns, nss

DEMO = pathlib.Path(__file__).resolve().parents[2] / "docs/demo"
#: Width of a character in rich's drawings.
CHARACTER = 12.2
SVG = "{http://www.w3.org/2000/svg}"


def screens(path):
    """The text of each screen of a picture."""
    root = xml.etree.ElementTree.parse(path).getroot()
    for screen in root.iter(f"{SVG}g"):
        if not screen.get("class", "").endswith("-matrix"):
            continue
        rows = {}
        for text in screen.iter(f"{SVG}text"):
            row = rows.get(float(text.get("y")), "")
            row = row.ljust(round(float(text.get("x")) / CHARACTER))
            rows[float(text.get("y"))] = row + text.text.replace("\u00a0", " ")
        yield "\n".join(row.rstrip() for _, row in sorted(rows.items()))


def without_times(text):
    """Also without what is another on another machine. Blanks count for nothing: a column is as
    wide as its longest time."""
    text = re.sub(r"\bin \d+ (s|min|h|d)\b", "in TIME", text)
    return re.sub(" +", " ", re.sub(r"/lib/\S+-linux-gnu", "/lib", text))


class DemoTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.fresh = pathlib.Path(scratch.name)
        subprocess.run([sys.executable, "-B", str(DEMO / "record.py"), "--output", scratch.name],
                       check=True, timeout=240,
                       env={**nss.environment(), leasedns.VARIABLE: leasedns.program()})

    def test_names_are_shown_and_answered(self):
        screen, = screens(self.fresh / "names.svg")
        self.assertRegex(screen, r"(?m)^\$ leasedns list\nNAME +KIND +ADDRESS")
        self.assertRegex(screen, r"(?m)^web +guest +192\.168\.122\.10 ")
        for asked, answer in ((r"dig @127\.0\.0\.56 web\.libvirt \+short", r"192\.168\.122\.10"),
                              (r"dig @127\.0\.0\.56 -x 192\.168\.122\.11 \+short",
                               r"db-server\.libvirt\."),
                              ("getent hosts nas", r"192\.168\.150\.30 +nas")):
            self.assertRegex(screen, rf"(?m)^\$ {asked}\n{answer}$")

    def test_a_name_appears_while_it_is_watched(self):
        before, after = screens(self.fresh / "watch.svg")
        self.assertNotIn("mail", before)
        self.assertRegex(after, r"(?m)^mail +hostname +192\.168\.122\.23 ")
        self.assertEqual(without_times(before).splitlines(), [
            line for line in without_times(after).splitlines() if not line.startswith("mail ")])

    def test_a_host_is_mended(self):
        screen, = screens(self.fresh / "check.svg")
        self.assertRegex(screen, r"^\$ getent hosts web\n\$ leasedns check web\n")
        self.assertRegex(screen, r"(?m)^- +NSS +web +Name or service not known$")
        self.assertRegex(screen, r"Mend: .*nsswitch.*\n +hosts: files leasedns dns ")

    def test_pictures_in_the_tree_are_these(self):
        fresh = sorted(path.name for path in self.fresh.glob("*.svg"))
        self.assertEqual(fresh, sorted(path.name for path in DEMO.glob("*.svg")))
        for name in fresh:
            self.assertEqual([without_times(text) for text in screens(DEMO / name)],
                             [without_times(text) for text in screens(self.fresh / name)],
                             f"{name}: run docs/demo/record.py again")

    def test_pictures_ask_nobody_for_anything(self):
        for path in self.fresh.glob("*.svg"):
            text = path.read_text(encoding="utf-8")
            self.assertNotRegex(text, r"@font-face|@import|href=|<script|url\((?!#)")


if __name__ == "__main__":
    os.umask(0o022)
    unittest.main(verbosity=2)
