"""DNS questions: by dig, as a user asks, and by dnspython where milliseconds count."""

import re
import socket
import time
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from .process import run

#: clock_gettime(2): behind the fine clock by a tick, or more where the machine is busy.
CLOCK_REALTIME_COARSE = 5


@dataclass
class Reply:
    """What dig printed."""

    rcode: str
    flags: set
    answers: list = field(default_factory=list)  # of (owner, TTL, type, data)
    authority: list = field(default_factory=list)

    @property
    def data(self):
        """The data of the answers, sorted."""
        return sorted(answer[3] for answer in self.answers)

    @property
    def is_nodata(self):
        return self.rcode == "NOERROR" and not self.answers and self._has_soa

    @property
    def is_nxdomain(self):
        return self.rcode == "NXDOMAIN" and not self.answers and self._has_soa

    @property
    def _has_soa(self):
        return [record[2] for record in self.authority] == ["SOA"]


def dig(*question, server="127.0.0.56", port=53):
    """dig @SERVER QUESTION.., e.g. dig("vm.libvirt", "AAAA") or dig("-x", "192.168.122.2")."""
    output = run("dig", f"@{server}", "-p", str(port), "+tries=1", "+time=30", "+noall", "+comments",
                 "+answer", "+authority", *question).stdout
    header = re.search(r"status: (\w+),.*\n;; flags: ([\w ]*);", output)
    if not header:
        raise AssertionError(f"dig {' '.join(question)}: no reply:\n{output}")
    reply = Reply(header[1], set(header[2].split()))
    section = None
    for line in output.splitlines():
        title = re.match(r";; (\w+) SECTION:", line)
        if title:
            section = {"ANSWER": reply.answers, "AUTHORITY": reply.authority}.get(title[1])
        elif section is not None and line and not line.startswith(";"):
            owner, ttl, _class, rdtype, data = line.split(None, 4)
            section.append((owner, int(ttl), rdtype, data))
    return reply


@dataclass
class Sample:
    """One timed question. Times are seconds of unix time; `asked` by the clock that time(2) reads,
    so whoever answers reads none that is earlier, and `answered` by the fine one."""

    asked: float
    answered: float
    rcode: str
    data: list


class Asker:
    """Asks one question over and over on one UDP socket. A context manager."""

    def __init__(self, name, rdtype="A", server="127.0.0.56", port=53, timeout_s=30):
        self.name, self.rdtype = name, rdtype
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect((server, port))

    def ask(self):
        query = dns.message.make_query(self.name, self.rdtype)
        asked = time.clock_gettime(CLOCK_REALTIME_COARSE)
        self.socket.send(query.to_wire())
        reply = dns.message.from_wire(self.socket.recv(65535))
        answered = time.time()
        if not query.is_response(reply):
            raise AssertionError(f"not the reply to what was asked: {reply}")
        data = [item.to_text() for rrset in reply.answer for item in rrset]
        return Sample(asked, answered, dns.rcode.to_text(reply.rcode()), data)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.socket.close()
