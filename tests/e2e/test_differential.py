#!/usr/bin/python3
"""Asks leasedns and a Knot DNS that serves the same names, and compares what they say.

    test_differential.py [LEASEDNS]        or the program in $LEASEDNS

Writes a lease directory, starts `leasedns serve` on it and knotd with the zone that must follow
from it, both on ports of 127.0.0.1, and asks both the same questions: names that exist, that do
not, and that are empty non-terminals, in mixed case, of all types, with all sizes of EDNS, over UDP
and TCP. Response code, AA, TC, RD, EDNS, DO, answer and authority must be equal; where they are
not, the difference is in EXPLAINED, or it is a failure. Needs knotd and dnspython, no root.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename

from harness import network

ZONE = "libvirt"
TTL_S = 5
NEGATIVE_TTL_S = 2
NETWORK_NAMES = {"virbr0": "default"}  # virbr1 has none.
LATER_UNIX_S = 4102444800  # 2100-01-01
PATIENCE_S = 60.0
QUESTIONS_MIN = 2000
SEED = 4711

TYPES = ["A", "AAAA", "TXT", "PTR", "NS", "SOA", "MX", "SRV", "CNAME", "DS", "DNSKEY", "RRSIG",
         "NSEC", "NSEC3PARAM", "CAA", "NAPTR", "ANY", "TYPE65", "TYPE12345", "TYPE65534"]
EDNS_OCTETS = [None, 0, 512, 1232, 4096]

# A guest without a lease exists, and has no records: a zone file cannot say so otherwise. Nobody
# asks for this type.
EXISTS = ("TYPE65280", "\\# 0")

Lease = collections.namedtuple("Lease", "bridge address mac hostname guest expires")


def leases():
    """The leases, in words that files and zones are both written from."""
    result = []
    for i in range(1, 41):
        mac = f"52:54:00:00:00:{i:02x}"
        guest = f"vm-{i}" if i <= 20 else None
        expires = LATER_UNIX_S if i % 2 else 0
        result.append(Lease("virbr0", f"192.168.122.{10 + i}", mac, f"host-{i}", guest, expires))
        if i <= 10:
            result.append(
                Lease("virbr0", f"fd00:122::{0x100 + i:x}", mac, f"host-{i}", guest, 0))
    result.append(Lease("virbr0", "fd00:122::6", "52:54:00:00:01:01", "six", None, 0))
    result.append(Lease("virbr0", "192.168.122.200", "52:54:00:00:01:02", None, "ubuntu22.04", 0))
    result.append(Lease("virbr0", "192.168.122.201", "52:54:00:00:01:03", "both", None, 0))
    result.append(Lease("virbr1", "10.9.1.1", "52:54:00:00:01:04", "both", None, 0))
    for i in range(1, 61):
        result.append(Lease("virbr1", f"10.9.0.{i}", f"52:54:00:00:02:{i:02x}", "many", None, 0))
    for i in range(1, 101):
        result.append(Lease("virbr1", f"10.9.2.{i}", f"52:54:00:00:03:{i:02x}", "crowd", None, 0))
    return result


def write_lease_files(directory):
    status = collections.defaultdict(list)
    macs = collections.defaultdict(dict)
    for lease in leases():
        entry = {"ip-address": lease.address, "mac-address": lease.mac}
        if lease.hostname:
            entry["hostname"] = lease.hostname
        entry["expiry-time"] = lease.expires
        status[lease.bridge].append(entry)
        if lease.guest:
            macs[lease.bridge].setdefault(lease.guest, {lease.mac})
    macs["virbr0"]["ghost"] = {"52:54:00:00:09:09"}
    for bridge, entries in status.items():
        (directory / f"{bridge}.status").write_text(json.dumps(entries))
    for bridge, guests in macs.items():
        entries = [{"domain": name, "macs": sorted(own)} for name, own in guests.items()]
        (directory / f"{bridge}.macs").write_text(json.dumps(entries))
    (directory / "default.addnhosts").write_text("192.168.122.5\tprinter\n")


def txt_of(lease):
    expires = "2100-01-01T00:00:00Z" if lease.expires else "never"
    strings = [("guest", lease.guest), ("hostname", lease.hostname), ("mac", lease.mac),
               ("network", NETWORK_NAMES.get(lease.bridge, lease.bridge)),
               ("address", lease.address), ("expires", expires)]
    return " ".join(f'"{key}={value}"' for key, value in strings if value)


def networks_of(bridge):
    return [bridge] + ([NETWORK_NAMES[bridge]] if bridge in NETWORK_NAMES else [])


def reverse_zone_of(address):
    labels = dns.reversename.from_address(address).labels
    return dns.name.Name(labels[16:] if ":" in address else labels[1:])


def records():
    """All (zone, name, type, rdata) that follow from the leases, names absolute."""
    result = set()

    def add(name, rtype, rdata):
        result.add((f"{ZONE}.", f"{name}.{ZONE}.", rtype, rdata))

    def add_reverse(address, name):
        result.add((reverse_zone_of(address).to_text(),
                    dns.reversename.from_address(address).to_text(), "PTR", f"{name}.{ZONE}."))

    for lease in leases():
        for name in filter(None, (lease.guest, lease.hostname)):
            for place in [name] + [f"{name}.{network}" for network in networks_of(lease.bridge)]:
                add(place, "AAAA" if ":" in lease.address else "A", lease.address)
                add(place, "TXT", txt_of(lease))
        add_reverse(lease.address, lease.guest or lease.hostname)
    for place in ("printer", "printer.default", "printer.virbr0"):
        add(place, "A", "192.168.122.5")
        add(place, "TXT", '"network=default" "address=192.168.122.5" "expires=never"')
    add_reverse("192.168.122.5", "printer")
    for place in ("ghost", "ghost.default", "ghost.virbr0"):
        add(place, *EXISTS)
    add("leasedns", "A", "127.0.0.1")
    add("leasedns", "TXT", '"address=127.0.0.1" "expires=never"')
    return result


def write_zone_files(directory, serial):
    """@return the zones' names."""
    zones = collections.defaultdict(list)
    for zone, name, rtype, rdata in sorted(records()):
        zones[zone].append(f"{name} {TTL_S} IN {rtype} {rdata}")
    for zone, lines in zones.items():
        head = [f"{zone} {TTL_S} IN SOA leasedns.{ZONE}. hostmaster.{ZONE}. "
                f"{serial} 1200 180 1209600 {NEGATIVE_TTL_S}",
                f"{zone} {TTL_S} IN NS leasedns.{ZONE}."]
        (directory / f"{zone}zone").write_text("\n".join(head + lines) + "\n")
    return sorted(zones)


def start(command, log_path, port, zone):
    """Starts a server and waits until it has the zone."""
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        query = dns.message.make_query(zone, "SOA")
        with contextlib.suppress(OSError, dns.exception.DNSException):
            reply = dns.query.udp(query, "127.0.0.1", timeout=0.5, port=port)
            if reply.answer:
                return process, reply.answer[0][0].serial
        time.sleep(0.05)
    stop(process)
    sys.exit(f"{command[0]} did not answer:\n{pathlib.Path(log_path).read_text()}")


def stop(process):
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_leasedns(program, directory):
    port = network.free_port()
    (directory / "leases").mkdir()
    write_lease_files(directory / "leases")
    conf = directory / "leasedns.conf"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:{port}\n"
                    f"[zone]\nname = {ZONE}\nttl = {TTL_S}\nnegative-ttl = {NEGATIVE_TTL_S}\n"
                    "[network]\n"
                    + "".join(f"{bridge} = {name}\n" for bridge, name in NETWORK_NAMES.items())
                    + f"[leases]\nlibvirt = {directory}/leases\n"
                    f"[index]\nfile = {directory}/index.cdb\n"
                    "[forward]\nupstream = none\n")
    process, serial = start([program, "serve", "-c", str(conf)], directory / "leasedns.log", port,
                            ZONE)
    return process, port, serial


def start_knot(directory, serial):
    port = network.free_port()
    zones = write_zone_files(directory, serial)
    conf = directory / "knot.conf"
    conf.write_text("server:\n"
                    f"  rundir: {directory}\n  listen: 127.0.0.1@{port}\n"
                    "  udp-max-payload: 1232\n  udp-workers: 1\n  tcp-workers: 1\n"
                    "  background-workers: 1\n"
                    f"database:\n  storage: {directory}/knot\n"
                    "log:\n  - target: stderr\n    any: warning\n"
                    "template:\n  - id: default\n"
                    f"    storage: {directory}\n    file: \"%s.zone\"\n"
                    "    zonefile-load: whole\n    zonefile-sync: -1\n"
                    "    journal-content: none\n"
                    "zone:\n" + "".join(f"  - domain: {zone}\n" for zone in zones))
    process, _ = start(["knotd", "-c", str(conf)], directory / "knot.log", port, ZONE)
    return process, port


Question = collections.namedtuple("Question", "name rtype edns_octets do rd tcp")


def names_to_ask():
    known = sorted({name for _, name, _, _ in records()})
    zones = sorted({zone for zone, _, _, _ in records()})
    inner = ["virbr0", "virbr1", "default", "04", "04.default"]
    missing = ["nobody", "nobody.virbr0", "x.vm-1", "x.y.vm-1.virbr0", "many.virbr0", "vm-1.virbr1",
               "vm-1.libvirt", "libvirt", "-", "*", "xn--nxasmq6b", "ubuntu22\\.04", "vm-1\\000",
               "a" * 63, ".".join(["abcdefghi"] * 23)]
    below = ["1.122.168.192.in-addr.arpa.", "256.122.168.192.in-addr.arpa.",
             "011.122.168.192.in-addr.arpa.", "1.11.122.168.192.in-addr.arpa.",
             "g." + reverse_zone_of("fd00:122::6").to_text(),
             "f." + reverse_zone_of("fd00:122::6").to_text(),
             "0." + reverse_zone_of("fd00:122::6").to_text(),
             dns.reversename.from_address("fd00:122::7").to_text(),
             "f." + dns.reversename.from_address("fd00:122::6").to_text()]
    outside = ["example.com.", ".", "arpa.", "168.192.in-addr.arpa.", "xlibvirt.",
               "1.121.168.192.in-addr.arpa.", "2.2.1.0.0.0.d.f.ip6.arpa."]
    many = [name for name in known if name.endswith(".arpa.")]
    own = [name for name in known if not name.endswith(".arpa.")]
    return (own + random.sample(many, 30) + zones + [f"{name}.{ZONE}." for name in inner + missing]
            + below + outside)


def mixed_case(name):
    """Changes the case of letters, outside of escapes."""
    return "".join(random.choice((c.lower(), c.upper())) for c in name)


def questions():
    result = []
    for name in names_to_ask():
        for rtype in TYPES:
            result.append(Question(mixed_case(name), rtype, random.choice(EDNS_OCTETS),
                                   random.random() < 0.5, random.random() < 0.5,
                                   random.random() < 0.1))
    for name in ("many", "crowd", "host-1"):
        for rtype in ("A", "TXT"):
            for octets in EDNS_OCTETS:
                for tcp in (False, True):
                    result.append(
                        Question(f"{name}.{ZONE}.", rtype, octets, False, True, tcp))
    random.shuffle(result)
    return result


def ask(question, port):
    query = dns.message.make_query(question.name, question.rtype)
    query.flags = dns.flags.RD if question.rd else 0
    if question.edns_octets is not None:
        query.use_edns(0, dns.flags.DO if question.do else 0, question.edns_octets)
    ask_by = dns.query.tcp if question.tcp else dns.query.udp
    reply = ask_by(query, "127.0.0.1", timeout=PATIENCE_S, port=port)
    if reply.question[0].name.to_text() != query.question[0].name.to_text():
        raise AssertionError(f"{question}: the question came back in another case")
    return reply


def flat(section):
    return {(rrset.name, rrset.rdtype, rrset.ttl, rdata.to_text().lower()
             if rrset.rdtype != dns.rdatatype.TXT else rdata.to_text())
            for rrset in section for rdata in rrset}


def has_flag(reply, flag):
    return bool(reply.flags & flag)


def aspects(reply):
    """What must be equal, by name."""
    return {
        "rcode": dns.rcode.to_text(reply.rcode()),
        "AA": has_flag(reply, dns.flags.AA),
        "TC": has_flag(reply, dns.flags.TC),
        "RD": has_flag(reply, dns.flags.RD),
        "RA": has_flag(reply, dns.flags.RA),
        "AD": has_flag(reply, dns.flags.AD),
        "CD": has_flag(reply, dns.flags.CD),
        "EDNS": (reply.edns, reply.payload if reply.edns >= 0 else None),
        "DO": bool(reply.ednsflags & dns.flags.DO),
        "answer": flat(reply.answer),
        "authority": flat(reply.authority),
        "additional": flat(reply.additional),
    }


def is_any(question, ours, _theirs):
    """One RRset of those that there are; the other gives all of them, so its reply may not fit."""
    owners = {(name, rtype) for name, rtype, _, _ in ours["answer"]}
    model = {(dns.name.from_text(name), rdata if rtype == "TXT" else rdata.lower())
             for _, name, rtype, rdata in records()}
    known = all(rtype == dns.rdatatype.SOA or (name, rdata) in model
                for name, rtype, _, rdata in ours["answer"])
    return question.rtype == "ANY" and len(owners) <= 1 and known and ours["rcode"] == "NOERROR"


def is_ipv6_inner_node(question, ours, theirs):
    name = question.name.lower()
    parts = name.split(".")
    zone = reverse_zone_of("fd00:122::6").to_text()
    return (name.endswith("." + zone) and len(parts) - 3 < 32
            and all(part in "0123456789abcdef" and len(part) == 1 for part in parts[:-3])
            and ours["rcode"] == "NOERROR" and theirs["rcode"] == "NXDOMAIN"
            and not ours["answer"] and ours["authority"] == theirs["authority"])


def is_truncated(question, ours, theirs):
    return ours["TC"] and theirs["TC"] and not ours["answer"] and not question.tcp


def is_reverse_ns(question, ours, theirs):
    return (question.rtype == "NS" and question.name.lower().endswith(".arpa.")
            and {name.to_text() for name, _, _, _ in ours["additional"]} == {f"leasedns.{ZONE}."}
            and not theirs["additional"])


# (which aspects may differ, when, why)
EXPLAINED = [
    ({"answer", "authority", "additional", "TC"}, is_any,
     "ANY gets one RRset (RFC 8482 section 4.1)"),
    ({"rcode"}, is_ipv6_inner_node,
     "every name of 16 to 31 nibbles in an IPv6 reverse zone counts as an empty non-terminal"),
    ({"answer", "authority", "additional"}, is_truncated,
     "a truncated reply has no answer at all, not a part of one"),
    ({"additional"}, is_reverse_ns,
     "NS of a reverse zone comes with the server's address, though that is in another zone of ours"),
]


def compare(question, ours, theirs):
    """@return (differing aspects, None or why they may differ)."""
    differing = {aspect for aspect in ours if ours[aspect] != theirs[aspect]}
    if not differing:
        return differing, None
    for allowed, applies, why in EXPLAINED:
        if differing <= allowed and applies(question, ours, theirs):
            return differing, why
    return differing, None


def run(own_port, knot_port):
    explained = collections.Counter()
    outcomes = collections.Counter()
    failures = 0
    asked = questions()
    for question in asked:
        ours = aspects(ask(question, own_port))
        theirs = aspects(ask(question, knot_port))
        kind = "answer" if ours["answer"] else "truncated" if ours["TC"] else "no answer"
        outcomes[f"{ours['rcode']}, {kind}"] += 1
        differing, why = compare(question, ours, theirs)
        if why:
            explained[why] += 1
        elif differing:
            failures += 1
            print(f"DIFFERENT {question}")
            for aspect in sorted(differing):
                print(f"  {aspect}:\n    leasedns {ours[aspect]}\n    knot     {theirs[aspect]}")
    print(f"{len(asked)} questions, {failures} unexplained differences")
    for what, count in sorted(outcomes.items()):
        print(f"  {count:5} {what}")
    for why, count in sorted(explained.items()):
        print(f"  {count:5} explained: {why}")
    if len(asked) < QUESTIONS_MIN:
        sys.exit(f"only {len(asked)} questions")
    return failures == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("leasedns", nargs="?", default=os.environ.get("LEASEDNS"))
    program = parser.parse_args().leasedns
    if not program or not os.access(program, os.X_OK):
        sys.exit(f"no program '{program}': name it as an argument or in $LEASEDNS")
    network.own()
    random.seed(SEED)
    with tempfile.TemporaryDirectory(prefix="leasedns-differential.") as name, \
            contextlib.ExitStack() as running:
        directory = pathlib.Path(name)
        own, own_port, serial = start_leasedns(os.path.abspath(program), directory)
        running.callback(stop, own)
        knot, knot_port = start_knot(directory, serial)
        running.callback(stop, knot)
        passed = run(own_port, knot_port)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
