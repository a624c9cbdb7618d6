#!/usr/bin/python3
"""Records the terminal sessions that the README shows, as SVG.

    docs/demo/record.py [--output DIRECTORY]

What is seen is real: contrib/sample-leases served by a real leasedns, commands typed into a real
shell on a real terminal (tmux), in namespaces of their own. $LEASEDNS and $LEASEDNS_NSS_DIR name
what is run; without them it is that of build/release, or of build/dev. Needs root, and the packages
tmux, python3-rich and bind9-dnsutils. Times are relative and the width is fixed, so two recordings
of the same program differ in nothing.
"""

import argparse
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import time

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from harness import dns, leasedns, nss, samples, sandbox, upstreams  # noqa: E402
from harness.libvirt import DNSMASQ  # noqa: E402
from harness.process import run, wait_until  # noqa: E402

ROWS = 60
#: As wide as a list is; and as what check says, for it keeps in a line what is to be copied.
LIST_COLUMNS, CHECK_COLUMNS = 86, 104
#: What a shell asks before each prompt; so it is known when a command has ended.
PROMPTS = f"{sandbox.STATE}/prompts"
BASHRC = f"PROMPT_COMMAND='echo >>{PROMPTS}'; PS1='\\[\\e[1;32m\\]$ \\[\\e[0m\\]'; clear\n"
#: A machine that starts while somebody watches.
NEWCOMER = {"ip-address": "192.168.122.23", "mac-address": "52:54:00:5a:00:23", "hostname": "mail"}
#: A name server that knows no name at all.
SITE_SERVER = "127.0.0.10"
#: Width of a character in rich's drawings.
CHARACTER = 12.2
#: In place of rich's own, which has readers' browsers ask a server for a font.
FONTS = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'
THEME = TerminalTheme(
    (24, 26, 31), (214, 218, 224),
    [(24, 26, 31), (224, 108, 117), (152, 195, 121), (229, 192, 123), (97, 175, 239),
     (198, 120, 221), (86, 182, 194), (214, 218, 224)])


CHANGE = """\
<svg {size} xmlns="http://www.w3.org/2000/svg">
<style>
.first {{ visibility: hidden }}
@media (prefers-reduced-motion: no-preference) {{
.first {{ animation: first 6s step-end infinite }}
.second {{ animation: second 6s step-end infinite }}
@keyframes first {{ 0% {{ visibility: visible }} 40% {{ visibility: hidden }} }}
@keyframes second {{ 0% {{ visibility: hidden }} 40% {{ visibility: visible }} }}
}}
</style>
<g class="first">
{first}</g>
<g class="second">
{second}</g>
</svg>
"""


class Terminal:
    """A shell in a tmux of its own."""

    def __init__(self):
        rc = pathlib.Path(sandbox.STATE) / "bashrc"
        rc.write_text(BASHRC, encoding="utf-8")
        path = f"{os.path.dirname(os.path.abspath(leasedns.program()))}:/usr/sbin:/usr/bin:/bin"
        environment = {"PATH": path, "HOME": sandbox.STATE, "LC_ALL": "C.UTF-8"}
        self.tmux = ["tmux", "-S", f"{sandbox.STATE}/tmux", "-f", "/dev/null"]
        subprocess.run([*self.tmux, "new-session", "-d", "-y", str(ROWS),
                        f"exec bash --noprofile --rcfile {rc}", ";", "set", "-g", "status", "off"],
                       check=True, env=environment)
        self.columns = 0
        self.widen(LIST_COLUMNS)
        self.prompts = 0
        self.wait_for_prompt()

    def wait_for_prompt(self):
        self.prompts += 1
        wait_until(lambda: len(pathlib.Path(PROMPTS).read_bytes()) >= self.prompts
                   if os.path.exists(PROMPTS) else False, 60, "the shell has a prompt")
        wait_until(lambda: self.text().splitlines()[-1:] == ["$"], 60, "the prompt is seen")

    def widen(self, columns):
        self.columns = columns
        run(*self.tmux, "resize-window", "-x", str(columns), "-y", str(ROWS))

    def send(self, *keys):
        run(*self.tmux, "send-keys", *keys)

    def type(self, command):
        """Types a command and waits for its end."""
        self.send("-l", command)
        self.send("Enter")
        self.wait_for_prompt()

    def clear(self):
        self.type("clear")

    def _capture(self, *options):
        return run(*self.tmux, "capture-pane", "-p", *options).stdout.rstrip("\n")

    def text(self):
        return "\n".join(line.rstrip() for line in self._capture().splitlines())

    def picture(self):
        """The screen with its colours, when it stands still, without the waiting prompt."""
        seen = []

        def stands_still():
            seen.append(self._capture("-e"))
            return len(seen) > 1 and seen[-1] == seen[-2]

        wait_until(stands_still, 60, "the screen stands still", interval_s=0.2)
        lines = seen[-1].splitlines()
        if Text.from_ansi(lines[-1]).plain.strip() == "$":
            lines.pop()
        return "\n".join(lines)


def drawing(name, title, columns, picture):
    console = Console(record=True, width=columns, file=io.StringIO(), legacy_windows=False)
    for line in picture.split("\n"):
        console.print(Text.from_ansi(line), soft_wrap=True)
    head, rest = CONSOLE_SVG_FORMAT.split("@font-face", 1)
    template = head + rest[rest.index(".{unique_id}-matrix"):]
    template = template.replace("Fira Code, monospace", FONTS).replace("arial", "sans-serif")
    svg = console.export_svg(title=title, theme=THEME, code_format=template, unique_id=name)
    svg = re.sub(r'x="([\d.]+)" (y="[^"]*") textLength="([\d.]+)"( [^>]*>)((?:&#160;)+)',
                 without_blanks, svg)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def without_blanks(match):
    """A text without the blanks that it begins with, which some programs would not draw."""
    x, y, length, rest, blanks = match.groups()
    shift = CHARACTER * blanks.count("#")
    return f'x="{float(x) + shift:g}" {y} textLength="{float(length) - shift:g}"{rest}'


def save(path, title, terminal):
    path.write_text(drawing(path.stem, title, terminal.columns, terminal.picture()),
                    encoding="utf-8")


def save_change(path, title, before, after):
    """Two screens in turn. Who shows no animation, or wants none, sees the second."""
    lines = max(len(picture.splitlines()) for picture in (before, after))
    first, second = (drawing(f"{path.stem}-{name}", title, LIST_COLUMNS,
                             picture + "\n" * (lines - len(picture.splitlines())))
                     for name, picture in (("before", before), ("after", after)))
    path.write_text(CHANGE.format(size=re.search(r'viewBox="[^"]*"', second)[0],
                                  first=first, second=second), encoding="utf-8")


def lease_newcomer():
    # Half a minute more than an hour, for a steady figure.
    lease = {**NEWCOMER, "expiry-time": int(time.time()) + 3630}
    leases = json.loads((DNSMASQ / "virbr0.status").read_text(encoding="utf-8"))
    samples.publish(DNSMASQ / "virbr0.status", json.dumps([*leases, lease]))


def record_names(terminal, directory):
    for command in ("leasedns list",
                    "dig @127.0.0.56 web.libvirt +short",
                    "dig @127.0.0.56 -x 192.168.122.11 +short",
                    "getent hosts nas"):
        terminal.type(command)
    save(directory / "names.svg", "names of virtual machines", terminal)


def record_watch(terminal, directory):
    terminal.clear()
    terminal.send("-l", "leasedns list --watch")
    terminal.send("Enter")
    wait_until(lambda: "win11" in terminal.text(), 60, "the list is there")
    before = terminal.picture()
    lease_newcomer()
    wait_until(lambda: "mail" in terminal.text(), 60, "the new guest is there")
    save_change(directory / "watch.svg", "leasedns list --watch", before, terminal.picture())
    terminal.send("q")
    terminal.wait_for_prompt()


def record_check(terminal, directory):
    """A host on which DNS has the last word."""
    for path in DNSMASQ.glob("virbr1.*"):
        path.unlink()  # a small network will do
    wait_until(lambda: dns.dig("build-1.libvirt").is_nxdomain, 60, "its names are gone")
    run("ip", "link", "add", "virbr0", "type", "bridge")
    nss.use("files", "dns", "[!UNAVAIL=return]", "leasedns")
    pathlib.Path("/etc/resolv.conf").write_text("nameserver 127.0.0.56\n", encoding="ascii")
    terminal.widen(CHECK_COLUMNS)
    terminal.clear()
    terminal.type("getent hosts web")
    terminal.type("leasedns check web")
    save(directory / "check.svg", "why is there no 'web'?", terminal)


def install_modules():
    """Puts the modules where glibc looks for them, in this sandbox."""
    libraries = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"
    upper, work = f"{sandbox.STATE}/lib-upper", f"{sandbox.STATE}/lib-work"
    os.mkdir(upper)
    os.mkdir(work)
    run("mount", "-t", "overlay", "-o", f"lowerdir={libraries},upperdir={upper},workdir={work}",
        "overlay", libraries)
    shutil.copy(pathlib.Path(nss.environment()["LD_LIBRARY_PATH"]) / "libnss_leasedns.so.2",
                libraries)


def record(directory):
    install_modules()
    upstreams.own_etc()
    pathlib.Path("/etc/leasedns.conf").write_text(
        samples.CONF + f"[forward]\nupstream = {SITE_SERVER}\n", encoding="utf-8")
    nss.set_up()
    nss.use("files", "leasedns", "dns")
    samples.write(DNSMASQ)
    site = upstreams.Player(SITE_SERVER, lambda player, query, source: player.send(
        upstreams.reply(query, rcode=3, address=None), source))
    server = leasedns.Server()
    terminal = Terminal()
    record_names(terminal, directory)
    record_watch(terminal, directory)
    record_check(terminal, directory)
    server.stop()
    site.close()


def use_build():
    for build in ("release", "dev"):
        program = ROOT / "build" / build / "bin/leasedns"
        if program.exists():
            os.environ.setdefault(leasedns.VARIABLE, str(program))
            os.environ.setdefault(nss.VARIABLE, str(ROOT / "build" / build / "lib"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent,
                        help="where the pictures go")
    directory = parser.parse_args().output.resolve()
    use_build()
    return sandbox.run(lambda: record(directory))


if __name__ == "__main__":
    sys.exit(main())
