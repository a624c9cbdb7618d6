#!/usr/bin/python3
"""What bash, zsh and fish offer at TAB: asked of the shells themselves, compared with --help and
with the names that are leased."""

import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time
import unittest

from harness import leasedns, samples, sandbox, upstreams
from harness.libvirt import DNSMASQ
from harness.process import run, wait_until

FILES = pathlib.Path(__file__).resolve().parents[2] / "contrib/completion"
WORK = pathlib.Path(sandbox.STATE) / "work"
#: Of the sample leases, as far as they begin so. The guest's own name has a blank.
NAMES_D = ["db", "db server", "db-server", "desktop-4f2k9qx"]

BASH = """\
. /usr/share/bash-completion/bash_completion
COMP_LINE=$1
read -ra COMP_WORDS <<<"${COMP_LINE//=/ = }"
[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
_completion_loader leasedns # as the first TAB does: finds the file by its name
function=$(complete -p leasedns | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" leasedns "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

#: Everything that a completion function adds is written down. Those calls of compadd that only
#: ask what would match (-O, -A, -D) are not meant.
ZSH = """\
PS1= PS2= ; unsetopt zle_bracketed_paste prompt_sp prompt_cr; unset zle_bracketed_paste
fpath=({files} $fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' list-grouped false
compadd() {{
	if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
		local -a hits
		builtin compadd -O hits "$@"
		print -rl -- $hits >>{out}
	fi
	builtin compadd "$@"
}}
ended() {{ print -r -- END >>{out}; BUFFER=; }}
zle -N ended; bindkey '^I' complete-word; bindkey '^X' ended
print READY >>{out}
"""


def environment():
    path = os.path.dirname(os.path.abspath(leasedns.program()))
    return {"PATH": f"{path}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(WORK), "TERM": "dumb",
            "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": str(WORK), "XDG_DATA_HOME": str(WORK),
            "BASH_COMPLETION_USER_DIR": str(WORK / "bash"),
            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}


def of_bash(line):
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", line], capture_output=True,
                          text=True, timeout=60, env=environment(), cwd=WORK)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"bash: {done.stderr}")
    return sorted(filter(None, done.stdout.splitlines()))


def of_fish(line):
    """Candidates and, in fish's own way behind a tabulator, their descriptions."""
    # Through the environment: what stands in a command would have to be quoted for fish.
    done = subprocess.run(["fish", "--no-config", "-c",
                           f"source {FILES}/leasedns.fish; complete -C \"$LINE\""],
                          capture_output=True, text=True, timeout=60, cwd=WORK,
                          env={**environment(), "LINE": line})
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"fish: {done.stderr}")
    return dict(sorted(line.partition("\t")[::2] for line in done.stdout.splitlines()))


class Zsh:
    """An interactive zsh on a terminal of its own, in which TAB is pressed."""

    def __init__(self):
        self.out = WORK / "zsh.out"
        start = WORK / "zshrc"
        start.write_text(ZSH.format(files=FILES, out=self.out), encoding="utf-8")
        self.out.write_text("", encoding="utf-8")
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(WORK)
            os.execvpe("zsh", ["zsh", "-f", "-i"], environment())
        self._type(f". {start}\n")
        self._wait("READY")

    def _type(self, text):
        os.write(self.terminal, text.encode())

    def _wait(self, word):
        """What was written until the line that is `word`."""
        deadline, screen = time.monotonic() + 60, b""
        while True:
            # Whoever does not read its terminal stops it.
            if select.select([self.terminal], [], [], 0.05)[0]:
                screen += os.read(self.terminal, 65536)
            lines = self.out.read_text(encoding="utf-8").splitlines()
            if word in lines:
                return lines[:lines.index(word)]
            if time.monotonic() > deadline:
                raise AssertionError(f"zsh does not come to an end: {screen.decode()}")

    def candidates(self, line):
        self.out.write_text("", encoding="utf-8")
        self._type(f"{line}\t\x18")
        return sorted(set(filter(None, self._wait("END"))))

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.child, 0)


def commands():
    """{command: its line of help}."""
    text = run(leasedns.program(), "--help").stdout
    return dict(re.findall(r"^  (\w[\w-]*)  +(.*)$", text, re.M))


def options(command):
    """The options that its --help lists."""
    text = run(leasedns.program(), command, "--help").stdout
    lines = re.findall(r"^ +((?:-\w(?:, | ))? *(?:--[\w-]+)?)", text, re.M)
    return sorted(re.findall(r"(?<!\w)--?[\w-]+", " ".join(lines)))


class CompletionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        upstreams.own_etc()
        samples.write(DNSMASQ)
        (WORK / "bash/completions").mkdir(parents=True)
        (WORK / "bash/completions/leasedns").symlink_to(FILES / "leasedns.bash")
        (WORK / "sub").mkdir()
        (WORK / "site.conf").write_text("", encoding="utf-8")
        cls.zsh = Zsh()
        cls.shells = {"bash": of_bash, "fish": lambda line: sorted(of_fish(line)),
                      "zsh": cls.zsh.candidates}

    @classmethod
    def tearDownClass(cls):
        cls.zsh.close()

    def offered(self, line):
        """[(shell, what it offers)] of each shell."""
        return [(name, ask(line)) for name, ask in self.shells.items()]

    def assert_names(self, shell, line, names):
        """Names are there. A shell does not wait for them long, so a busy machine may be asked
        again."""
        wait_until(lambda: self.shells[shell](line) == names, 60, f"{shell}: {line}: {names}")

    def test_commands(self):
        for name, offered in self.offered("leasedns "):
            self.assertEqual([word for word in offered if word[0] != "-"], sorted(commands()), name)
        for name, offered in self.offered("leasedns lo"):
            self.assertEqual(offered, ["lookup"], name)
        for name, offered in self.offered("leasedns --"):
            self.assertEqual(offered, ["--help", "--version"], name)

    def test_commands_are_described_as_by_help(self):
        of = of_fish("leasedns ")
        self.assertEqual({word: of[word] for word in commands()}, commands())
        text = (FILES / "_leasedns").read_text(encoding="utf-8")
        self.assertEqual(dict(re.findall(r"^\t\t'(\w+):(.*)'$", text, re.M)), commands())

    def test_options_are_those_of_help(self):
        for command in commands():
            long = [option for option in options(command) if option.startswith("--")]
            self.assertIn("--help", long)
            for name, offered in self.offered(f"leasedns {command} --"):
                self.assertEqual([word.removesuffix("=") for word in offered], long, name)
            short = [option for option in options(command) if not option.startswith("--")]
            for name, offered in self.offered(f"leasedns {command} -"):
                self.assertEqual([word for word in offered if re.fullmatch("-[^-]", word)], short,
                                 name)

    def test_files_behind_c(self):
        for line in ("leasedns list -c s", "leasedns lookup --config s",
                     "leasedns serve --config=s"):
            for name, offered in self.offered(line):
                self.assertEqual([re.sub("^--config=|/$", "", word) for word in offered],
                                 ["site.conf", "sub"], (name, line))

    def test_names(self):
        for shell in self.shells:
            self.assert_names(shell, "leasedns lookup d",
                              [name for name in NAMES_D if shell != "bash" or " " not in name])
            for command in ("lookup", "check"):
                self.assert_names(shell, f"leasedns {command} --json ubuntu2", ["ubuntu22.04"])

    def test_one_name_is_enough(self):
        for line in ("leasedns lookup web ", "leasedns list ", "leasedns index ",
                     "leasedns no-such-command "):
            for name, offered in self.offered(line):
                # zsh offers what is left, and options always are.
                self.assertEqual([word for word in offered if name != "zsh" or word[0] != "-"], [],
                                 (name, line))

    def test_names_by_the_configuration_on_the_line(self):
        (WORK / "leases").mkdir()
        samples.publish(WORK / "leases/virbr7.macs", json.dumps([{"domain": "other", "macs": []}]))
        (WORK / "other.conf").write_text(f"[leases]\nlibvirt = {WORK}/leases\n", encoding="utf-8")
        for shell in self.shells:
            self.assert_names(shell, "leasedns lookup -c other.conf o", ["other"])

    def test_failure_is_silent(self):
        (WORK / "bad.conf").write_text("[nonsense]\n", encoding="utf-8")
        for name, offered in self.offered("leasedns lookup -c bad.conf x"):
            self.assertEqual(offered, [], name)

    def test_nobody_waits_for_a_program_that_hangs(self):
        (WORK / "slow").mkdir()
        slow = WORK / "slow/leasedns"
        slow.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
        slow.chmod(0o755)
        for name, offered in self.offered(f"{slow} lookup x"):
            self.assertEqual(offered, [], name)


if __name__ == "__main__":
    sys.exit(sandbox.run(lambda: int(not unittest.main(verbosity=2, exit=False)
                                     .result.wasSuccessful())))
