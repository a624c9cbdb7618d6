#!/usr/bin/python3
"""How soon is a changed lease answered? bench_change.py LEASEDNS [LEASES [CHANGES]]

Serves LEASES leases (10.x.y.z, in files of at most 60,000) from a directory in memory, replaces the
last file CHANGES times by rename, with one more name each time, and asks for that name until it is
there. Meanwhile asks for another name all the time. Prints milliseconds from the rename to the first
answer, and the latency of the other name. Loopback only.
"""

import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

LEASES_PER_FILE = 60000
PORT = 5399
PATIENCE_S = 20.0


def query(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 1, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def client():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", PORT))
    sock.settimeout(1.0)
    return sock


def has_answer(sock, name):
    sock.send(query(name))
    reply = sock.recv(1500)
    return reply[3] & 15 == 0 and reply[6:8] != b"\0\0"


def lease(number, name=None):
    return {"ip-address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "mac-address": f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            "hostname": name or f"vm-{number}",
            "client-id": f"01:52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            "expiry-time": 4000000000}


def publish(directory, number, leases):
    path = f"{directory}/virbr{number}.status"
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(leases, file, indent=2)
    os.rename(path + ".new", path)


class Other(threading.Thread):
    """Asks for a name that does not change, a thousand times a second at most."""

    def __init__(self):
        super().__init__(daemon=True)
        self.times_ms = []
        self.lost = 0
        self.ends = False

    def run(self):
        sock = client()
        while not self.ends:
            begin = time.monotonic()
            try:
                if not has_answer(sock, "vm-1.libvirt"):
                    self.lost += 1
            except TimeoutError:
                self.lost += 1
            self.times_ms.append((time.monotonic() - begin) * 1e3)
            time.sleep(0.001)


def percentiles(times_ms):
    cuts = statistics.quantiles(times_ms, n=100)
    return f"median {cuts[49]:.2f} ms, p99 {cuts[98]:.2f}, max {max(times_ms):.2f}"


def measure(directory, leases, changes):
    sock = client()
    times_ms = []
    last = leases // LEASES_PER_FILE
    first = last * LEASES_PER_FILE
    entries = [lease(number) for number in range(first, leases)]
    for change in range(changes):
        name = f"new-{change}.libvirt"
        entries.append(lease(leases + change, f"new-{change}"))
        path = f"{directory}/virbr{last}.status"
        with open(path + ".new", "w", encoding="ascii") as file:
            json.dump(entries, file, indent=2)
        begin = time.monotonic()
        os.rename(path + ".new", path)
        while not has_answer(sock, name):
            if time.monotonic() - begin > PATIENCE_S:
                raise RuntimeError(f"{name} was never answered")
        times_ms.append((time.monotonic() - begin) * 1e3)
        time.sleep(0.05)
    return times_ms


def main():
    program = sys.argv[1]
    leases = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    changes = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        directory = scratch + "/leases"
        os.mkdir(directory)
        for number in range(0, leases, LEASES_PER_FILE):
            publish(directory, number // LEASES_PER_FILE,
                    [lease(i) for i in range(number, min(leases, number + LEASES_PER_FILE))])
        with open(scratch + "/conf", "w", encoding="ascii") as file:
            file.write(f"[server]\nlisten = 127.0.0.1:{PORT}\n[leases]\nlibvirt = {directory}\n"
                       f"[index]\nfile = {scratch}/index.cdb\n[forward]\nupstream = none\n")
        begin = time.monotonic()
        server = subprocess.Popen([program, "serve", "-c", scratch + "/conf"],
                                  stderr=subprocess.DEVNULL)
        try:
            sock = client()
            while True:
                try:
                    if has_answer(sock, "vm-1.libvirt"):
                        break
                except (ConnectionRefusedError, TimeoutError):
                    time.sleep(0.001)
            started_ms = (time.monotonic() - begin) * 1e3
            other = Other()
            other.start()
            times_ms = measure(directory, leases, changes)
            other.ends = True
            other.join()
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                rss = next(line.split()[1] for line in file if line.startswith("RssAnon"))
        finally:
            server.terminate()
            server.wait()
    print(f"{leases} leases: first answer {started_ms:.0f} ms after start; anonymous memory {rss} kB")
    print(f"  rename to answer, {changes} changes: {percentiles(times_ms)}")
    print(f"  another name meanwhile, {len(other.times_ms)} questions, {other.lost} lost: "
          f"{percentiles(other.times_ms)}")


if __name__ == "__main__":
    main()
