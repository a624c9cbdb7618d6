"""The program under test."""

import json
import os
import pathlib

from . import sandbox
from .dns import Asker
from .process import Background, run, wait_until

#: Path of the program, set by CTest.
VARIABLE = "LEASEDNS"


def program():
    path = os.environ.get(VARIABLE, "")
    if not os.access(path, os.X_OK):
        raise AssertionError(f"${VARIABLE} is no program: '{path}'")
    return path


class Server:
    """`leasedns serve` with the given configuration file's text, or none: with its defaults."""

    def __init__(self, name="serve", conf=None, server="127.0.0.56", port=53, zone="libvirt"):
        command = [program(), "serve"]
        if conf is not None:
            path = pathlib.Path(sandbox.STATE) / f"{name}.conf"
            path.write_text(conf, encoding="utf-8")
            command += ["-c", str(path)]
        self._address = (server, port)
        self._zone = zone
        self.process = Background(name, command)
        wait_until(self._answers, 60, "leasedns answers")

    def _answers(self):
        if not self.process.is_running():
            raise AssertionError(f"leasedns ended:\n{self.process.log()}")
        with Asker(self._zone, "SOA", *self._address, timeout_s=2) as asker:
            try:
                return asker.ask()
            except (ConnectionRefusedError, TimeoutError):
                return None

    def log(self):
        return self.process.log()

    def stop(self):
        """SIGTERM; returns the exit code."""
        return self.process.stop()


def listed():
    """What `leasedns list --json` says."""
    return json.loads(run(program(), "list", "--json").stdout)


def lookup(*arguments):
    """Runs `leasedns lookup ARGUMENTS..`."""
    return run(program(), "lookup", *arguments, check=False)
