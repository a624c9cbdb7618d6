#!/usr/bin/python3
"""Forwarding under load: nothing is lost, memory is bounded, local answers wait for nobody."""

import statistics
import sys
import time
import unittest

import dns.message

from harness import sandbox, tools
from harness.forwarding import (KNOT, NAMES, PLAYER, ZONE, Case, Wire, load, resident_kib,
                                start_knot, write_questions)

#: In flight: what one host's programs may have at once, and less than a client's share.
WINDOW = "2000"


class Load(Case):
    def check_half_the_maximum(self, cache_kib):
        us = self.us(f"upstream = {KNOT}\ncache-size = {cache_kib}")
        questions = write_questions(f"n{i}.{ZONE}" for i in range(NAMES))
        load(questions, 1)
        maximum = load(questions, 2)[0]
        rate = maximum * 500
        # Long enough for some thousands, also where the machine is busy.
        seconds = min(60, max(4, 2000 / max(rate, 1)))
        _, replies, lost = load(questions, seconds, "-w", WINDOW, "-R", str(rate))
        self.assertEqual(lost, 0, f"of {replies}, at half of {maximum} kqps")
        self.assertGreater(replies, 100)
        self.assertEqual(us.stop(), 0, us.log())

    def test_nothing_is_lost_at_half_the_maximum(self):
        self.check_half_the_maximum(0)

    def test_nothing_is_lost_at_half_the_maximum_with_a_cache(self):
        self.check_half_the_maximum(4096)

    def test_local_answers_are_fast_while_upstreams_hang(self):
        self.player(PLAYER, lambda *_arguments: None)
        self.us(f"upstream = {PLAYER}")
        query = dns.message.make_query("vm.libvirt", "A").to_wire()
        took = []
        with Wire() as flood, Wire() as wire:
            for i in range(1500):
                flood.socket.send(dns.message.make_query(f"n{i}.example", "A").to_wire())
                start = time.monotonic()
                wire.ask(query)
                took.append(time.monotonic() - start)
        # Who waited for an upstream would wait for 400 ms at least. On a busy machine a few do.
        self.assertLess(statistics.quantiles(took, n=20)[18], 0.2)


class Memory(Case):
    """Resident, in KiB."""

    CACHE = 4096
    #: Beside the cache: questions in flight, with their clients, and what the heap keeps of them.
    BESIDE = 2048
    #: What may come and go when all has been touched: a few pages of the heap.
    WAVE = 256

    def test_it_is_flat_over_distinct_names(self):
        us = self.us(f"upstream = {KNOT}\ncache-size = {self.CACHE}")
        before = resident_kib(us.process.pid)
        sizes = []
        for part in range(4):
            questions = write_questions(f"{part}-{i}.any.{ZONE}" for i in range(25000))
            self.assertEqual(load(questions, 120, "-1")[1:], (25000, 0))
            sizes.append(resident_kib(us.process.pid))
        self.assertLess(sizes[-1] - before, self.CACHE + self.BESIDE, (before, sizes))
        self.assertLess(sizes[-1] - sizes[1], self.WAVE, (before, sizes))


def run_tests():
    tools.require()
    start_knot()
    program = unittest.main(verbosity=2, exit=False)
    return int(not program.result.wasSuccessful())


if __name__ == "__main__":
    sys.exit(sandbox.run(run_tests))
