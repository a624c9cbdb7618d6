#!/usr/bin/python3
"""The manual pages against the program: commands and options against --help, settings with their
limits and defaults against `serve --print-config`. Both ways: nothing missing, nothing invented."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

import tree

PROGRAM = os.environ.get("LEASEDNS", str(tree.ROOT / "build/dev/bin/leasedns"))
#: Keys that the user chooses are printed only where they are used.
CHOSEN_KEYS = "[network]\nvirbr0 = default\n[forward]\nzone.corp.example = 10.0.0.53\n"
#: Said of pages that are not installed here, and true of our own until we are.
NOT_INSTALLED = "referenced manual not found"


def program(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                          check=True).stdout


def mandoc(path, *options):
    done = subprocess.run(["mandoc", *options, str(path)], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "MANPATH": "/nonexistent"})
    return done.stdout


def page_text(name):
    """A page as a reader sees it, a paragraph in a line."""
    text = mandoc(tree.MAN / name, "-Tascii", "-Owidth=1000")
    return re.sub(".\b", "", text)  # bold and underlined


def section(text, title, indent):
    """The lines below a title that stands `indent` blanks from the left."""
    lines = text.split("\n")
    start = lines.index(" " * indent + title)
    for end in range(start + 1, len(lines)):
        line = lines[end]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return lines[start + 1:end]
    return lines[start + 1:]


def options_of_help(text):
    """{"-c, --config"} and the like, of the lines of --help that begin with an option."""
    found = re.findall(r"^ +(?:(-\w)(?:, | ))? *(--[\w-]+)?", text, re.M)
    return {", ".join(filter(None, pair)) for pair in found if any(pair)}


def options_of_page(command):
    lines = section(page_text("leasedns.8"), f"leasedns {command}", 3)
    tags = [line.strip() for line in lines if re.match(r"     -", line)]
    return {", ".join(re.findall(r"(?<![\w-])--?\w[\w-]*", re.split(r" {2,}", tag)[0]))
            for tag in tags}


class LintTest(unittest.TestCase):
    def test_pages_are_clean(self):
        for path in tree.manual_pages():
            said = [line for line in mandoc(path, "-Tlint").splitlines()
                    if NOT_INSTALLED not in line]
            self.assertEqual(said, [], path)


class CommandsTest(unittest.TestCase):
    def test_program_and_page_have_the_same_commands(self):
        shown = re.findall(r"^  (\w[\w-]*)  ", program("--help"), re.M)
        self.assertEqual(shown, tree.commands())
        text = page_text("leasedns.8")
        titles = [line.split()[1] for line in section(text, "COMMANDS", 0)
                  if re.fullmatch(r"   leasedns \w+", line)]
        self.assertEqual(titles, shown)
        synopsis = [line.split()[1] for line in section(text, "SYNOPSIS", 0) if line.strip()]
        self.assertEqual(synopsis, [*shown, "--version", "--help"])

    def test_options_are_those_of_help(self):
        for command in tree.commands():
            with self.subTest(command=command):
                options = options_of_help(program(command, "--help"))
                self.assertIn("-h, --help", options)
                self.assertEqual(options_of_page(command), options)

    def test_synopsis_has_the_options(self):
        lines = section(page_text("leasedns.8"), "SYNOPSIS", 0)
        for command in tree.commands():
            line, = [line for line in lines if f"leasedns {command}" in line]
            shown = set(re.findall(r"(?<![\w-])--?\w[\w-]*", line)) | {"-h"}
            for option in options_of_help(program(command, "--help")):
                self.assertTrue(shown & set(option.split(", ")), (command, option))


class EnvironmentTest(unittest.TestCase):
    def test_variables_are_those_that_are_read(self):
        read = {name for path in (tree.ROOT / "server").rglob("*.c")
                for name in re.findall(r'getenv\("(\w+)"\)', path.read_text(encoding="utf-8"))}
        tags = [line for line in section(page_text("leasedns.8"), "ENVIRONMENT", 0)
                if re.match(r"     [A-Z]", line)]
        self.assertEqual(set(re.findall(r"[A-Z_]{3,}", " ".join(tags))), read)


def settings_of_program():
    """[(section, key, limits)] in the order of the table. `limits` is as printed: "0 to 16 servers;
    default: none"."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(CHOSEN_KEYS)
        conf.flush()
        text = program("serve", "--print-config", "-c", conf.name)
    settings, where, limits = [], None, None
    for line in text.splitlines():
        if re.match(r"# (\d+ to \d+ .*; default: |Default: )", line):
            if limits:
                raise AssertionError(f"[{where}] has a key that CHOSEN_KEYS should use: {limits}")
            limits = line[2:]
        elif re.match(r"\[\w+\]$", line):
            where = line[1:-1]
        elif limits and re.match(r"[^#\s]", line):
            settings.append((where, line.split(" =")[0], limits))
            limits = None
    return settings


def settings_of_page():
    """As settings_of_program(), with the keys that the user chooses in capitals."""
    settings, where, key = [], None, None
    for line in section(page_text("leasedns.conf.5"), "SETTINGS", 0):
        title = re.fullmatch(r"   Section (\w+)", line)
        tag = re.match(r"     ([\w.-]+) = ", line)
        if title:
            where = title[1]
        elif tag:
            key = tag[1]
        elif re.match(r" +(\d+ to \d+ |Default: )", line):
            settings.append((where, key, line.strip()))
            key = None
    return settings


class SettingsTest(unittest.TestCase):
    def test_page_has_every_setting_with_limits_and_default(self):
        program_has, page_has = settings_of_program(), settings_of_page()
        self.assertGreater(len(program_has), 10)
        for entry in program_has:
            named = [key for where, key, limits in page_has
                     if (where, limits) == (entry[0], entry[2]) and
                     re.fullmatch(re.sub(r"[A-Z]+", ".+", key), entry[1])]
            self.assertEqual(len(named), 1, f"not in leasedns.conf(5), or not so: {entry}")
        self.assertEqual(len(page_has), len(program_has), f"too many: {page_has}")

    def test_examples_are_valid(self):
        text = (tree.MAN / "leasedns.conf.5").read_text(encoding="utf-8")
        examples = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.M | re.S)
        self.assertGreaterEqual(len(examples), 3)
        for example in examples:
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
                conf.write(example)
                conf.flush()
                printed = program("serve", "--print-config", "-c", conf.name).splitlines()
            for line in example.splitlines():
                if " = " in line:
                    self.assertIn(line.replace(",", ""), printed)


class HelperTest(unittest.TestCase):
    """What is read out of --help and pages, on lines that are known."""

    def test_options_of_help(self):
        text = "Usage: x\n\n  -c, --config FILE  read\n      --json    print\n  -h  help\n\nNo -x.\n"
        self.assertEqual(options_of_help(text), {"-c, --config", "--json", "-h"})


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
