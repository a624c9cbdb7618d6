"""The sample leases of contrib/sample-leases, as contrib/run.sh serves them."""

import os
import pathlib
import re
import time

TEMPLATES = pathlib.Path(__file__).resolve().parents[3] / "contrib/sample-leases"
#: Names of their networks.
CONF = "[network]\nvirbr0 = default\nvirbr1 = lab\n"


def render(template):
    """The text of a template: @+SECONDS@ becomes that time from now. "Now" is some seconds ago, so
    that of twelve hours eleven and a part are left, now as in the next seconds."""
    now = int(time.time()) - 5
    return re.sub(r"@\+(\d+)@", lambda match: str(now + int(match[1])),
                  (TEMPLATES / f"{template}.in").read_text(encoding="utf-8"))


def publish(path, text):
    """Writes a file aside and renames it, as libvirt does."""
    path = pathlib.Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def write(directory):
    """Fills a directory, which is made if it is not there."""
    directory = pathlib.Path(directory)
    directory.mkdir(mode=0o755, exist_ok=True)
    for template in sorted(TEMPLATES.glob("*.in")):
        publish(directory / template.stem, render(template.stem))
