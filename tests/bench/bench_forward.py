#!/usr/bin/python3
"""What does a forwarded question cost? bench_forward.py BIN_DIRECTORY [ROUNDS [SECONDS]]

Puts leasedns, dnsmasq and unbound in front of one Knot, in turns, on loopback: each gets the same
questions (10,000 names, 64 in flight) from BIN_DIRECTORY/bench_udp for SECONDS. Prints processor
time for each question, the rate, and the median of what the others cost as a multiple of leasedns
in the same round; then the time of one question after the other. All that with caches off, and
with caches that hold every answer.

The forwarder has a core of its own; Knot and the client share another.
"""

import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

NAMES = 10000
IN_FLIGHT = 64
KNOT = ("127.0.1.1", 5401)
FORWARDER_CORE, OTHER_CORE = 0, 1


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 0, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def pin(pid, core):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def cpu_s(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Server:
    """A name server on a port of its own, until it is stopped."""

    def __init__(self, name, address, command, core):
        self.name, self.address = name, address
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not answer: {' '.join(command)}")
            time.sleep(0.05)
        pin(self.child.pid, core)

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect(self.address)
            try:
                client.send(question("n0.example"))
                return client.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def stop(self):
        self.child.terminate()
        self.child.wait()


def knot(scratch):
    with open(f"{scratch}/example.zone", "w", encoding="ascii") as file:
        file.write("$ORIGIN example.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 60\n"
                   "@ NS ns\nns A 127.0.1.1\n")
        file.writelines(f"n{i} A 192.0.2.{i % 250}\n" for i in range(NAMES))
    with open(f"{scratch}/knot.conf", "w", encoding="ascii") as file:
        file.write(f"server:\n  rundir: {scratch}\n  listen: {KNOT[0]}@{KNOT[1]}\n"
                   "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
                   f"database:\n  storage: {scratch}\nzone:\n  - domain: example\n"
                   f"    file: {scratch}/example.zone\n")
    return Server("knot", KNOT, ["knotd", "-c", f"{scratch}/knot.conf"], OTHER_CORE)


def leasedns(scratch, binaries, is_cached):
    address = ("127.0.2.1", 5402)
    os.makedirs(f"{scratch}/leases", exist_ok=True)
    with open(f"{scratch}/leasedns.conf", "w", encoding="ascii") as file:
        file.write(f"[server]\nlisten = {address[0]}:{address[1]}\n"
                   f"[leases]\nlibvirt = {scratch}/leases\n[index]\nfile = {scratch}/index.cdb\n"
                   f"[forward]\nupstream = {KNOT[0]}:{KNOT[1]}\n"
                   f"cache-size = {16384 if is_cached else 0}\n")
    return Server("leasedns", address,
                  [f"{binaries}/leasedns", "serve", "-c", f"{scratch}/leasedns.conf"],
                  FORWARDER_CORE)


def dnsmasq(is_cached):
    address = ("127.0.2.2", 5403)
    return Server("dnsmasq", address,
                  ["dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts",
                   "--bind-interfaces", f"--listen-address={address[0]}", f"--port={address[1]}",
                   f"--cache-size={2 * NAMES if is_cached else 0}", "--dns-forward-max=1000",
                   f"--server={KNOT[0]}#{KNOT[1]}", "--user=root", "--pid-file"], FORWARDER_CORE)


def unbound(scratch, is_cached):
    address = ("127.0.2.3", 5404)
    caches = "" if is_cached else "  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n"
    with open(f"{scratch}/unbound.conf", "w", encoding="ascii") as file:
        file.write(f"server:\n  directory: \"{scratch}\"\n  chroot: \"\"\n  username: \"\"\n"
                   f"  pidfile: \"\"\n  use-syslog: no\n  interface: {address[0]}@{address[1]}\n"
                   "  do-not-query-localhost: no\n  module-config: \"iterator\"\n"
                   f"  num-threads: 1\n{caches}remote-control:\n  control-enable: no\n"
                   f"forward-zone:\n  name: \".\"\n  forward-addr: {KNOT[0]}@{KNOT[1]}\n")
    return Server("unbound", address, ["unbound", "-d", "-c", f"{scratch}/unbound.conf"],
                  FORWARDER_CORE)


def load(binaries, scratch, server, seconds, in_flight):
    """One client against one server: processor time for each question in us, thousands a second."""
    before = cpu_s(server.child.pid)
    text = subprocess.run(
        ["taskset", "-c", str(OTHER_CORE), f"{binaries}/bench_udp", "client", server.address[0],
         str(server.address[1]), str(seconds), "-w", str(in_flight), "-q", f"{scratch}/questions",
         "-r"], capture_output=True, text=True, check=False).stdout
    kqps, replies = re.match(r"client: ([\d.]+) kqps, (\d+) replies", text).groups()
    return (cpu_s(server.child.pid) - before) * 1e6 / max(int(replies), 1), float(kqps)


def compare(binaries, scratch, forwarders, rounds, seconds):
    found = {server.name: [] for server in forwarders}
    for server in forwarders:
        load(binaries, scratch, server, 0.5, IN_FLIGHT)  # fills the caches
    for _ in range(rounds):
        for server in forwarders:
            found[server.name].append(load(binaries, scratch, server, seconds, IN_FLIGHT))
    ours = [cpu for cpu, _ in found["leasedns"]]
    for server in forwarders:
        costs = [cpu for cpu, _ in found[server.name]]
        ratios = [theirs / own for theirs, own in zip(costs, ours)]
        alone = statistics.median(
            1e3 / load(binaries, scratch, server, seconds / 2, 1)[1] for _ in range(3))
        print(f"  {server.name:8} {statistics.median(costs):6.2f} us a question "
              f"({min(costs):.2f} to {max(costs):.2f}), "
              f"{statistics.median(kqps for _, kqps in found[server.name]):6.1f} kqps, "
              f"{statistics.median(ratios):.2f} times leasedns "
              f"({min(ratios):.2f} to {max(ratios):.2f}), alone {alone:.0f} us")


def main():
    binaries = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 2
    scratch = tempfile.mkdtemp(dir="/dev/shm")
    running = []
    try:
        with open(f"{scratch}/questions", "wb") as file:
            for i in range(NAMES):
                message = question(f"n{i}.example")
                file.write(struct.pack(">H", len(message)) + message)
        running.append(knot(scratch))
        for is_cached in (False, True):
            forwarders = [leasedns(scratch, binaries, is_cached), dnsmasq(is_cached),
                          unbound(scratch, is_cached)]
            running += forwarders
            print("caches on:" if is_cached else "caches off:")
            compare(binaries, scratch, forwarders, rounds, seconds)
            while len(running) > 1:
                running.pop().stop()
    finally:
        while running:
            running.pop().stop()
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
