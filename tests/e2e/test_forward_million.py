#!/usr/bin/python3
"""Memory over a million distinct names: the cache is full, and nothing else grows."""

import sys
import unittest

from harness import sandbox, tools
from harness.forwarding import (KNOT, ZONE, Case, load, resident_kib, start_knot,
                                write_questions)

PARTS, NAMES = 20, 50000
#: In KiB, as in test_forward_load.py.
CACHE, BESIDE, WAVE = 16384, 2048, 256


class Memory(Case):
    def test_it_is_flat_over_a_million_names(self):
        us = self.us(f"upstream = {KNOT}\ncache-size = {CACHE}")
        before = resident_kib(us.process.pid)
        sizes = []
        for part in range(PARTS):
            questions = write_questions(f"{part}-{i}.any.{ZONE}" for i in range(NAMES))
            self.assertEqual(load(questions, 300, "-1")[1:], (NAMES, 0))
            sizes.append(resident_kib(us.process.pid))
        print(f"resident: {before} KiB, then {sizes}", file=sys.stderr)
        self.assertLess(sizes[-1] - before, CACHE + BESIDE, (before, sizes))
        # The cache is full in the third part.
        self.assertLess(max(sizes[4:]) - min(sizes[4:]), WAVE, (before, sizes))


def run_tests():
    tools.require()
    start_knot()
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
