"""Runs programs: to their end, or in the background with their output in a file."""

import os
import re
import subprocess
import time

from . import sandbox


def wait_until(condition, timeout_s, what, interval_s=0.05):
    """Polls until condition() is true and returns what it gave; fails with `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(interval_s)


def run(*command, timeout_s=120, check=True, stdin=""):
    """Runs a command; returns the completed process, its output as text. Unless `check` is off, an
    exit code other than 0 is an AssertionError that shows the output."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Background:
    """A program in the background. Its output is kept in sandbox.STATE/NAME.log. One that is not
    stopped ends with the sandbox."""

    #: All of them, because Python warns of one that is forgotten while it runs.
    started = []

    def __init__(self, name, command, environment=None):
        self.started.append(self)
        self.name = name
        self.log_path = os.path.join(sandbox.STATE, re.sub(r"[^\w.-]", "-", name) + ".log")
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="backslashreplace") as log:
            return log.read()

    def is_running(self):
        return self.child.poll() is None

    def send(self, number):
        self.child.send_signal(number)

    def stop(self, timeout_s=60):
        """Asks it to end, insists if it does not; returns its exit code."""
        if self.is_running():
            self.child.terminate()
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()
