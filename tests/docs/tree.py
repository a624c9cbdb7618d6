"""The project's documents, and what is read from more than one of them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAN = ROOT / "contrib/man"


def markdown_files():
    """Every Markdown file of the project; what was built or belongs to git is none."""
    return sorted(path for path in ROOT.rglob("*.md")
                  if path.relative_to(ROOT).parts[0] not in ("build", ".git"))


def manual_pages():
    return sorted(path for path in MAN.iterdir() if path.suffix[1:].isdigit())


def commands():
    """The commands in the order of main.c's table."""
    source = (ROOT / "server/main.c").read_text(encoding="utf-8")
    table = re.search(r"commands\[\] = \{(.*?)\n\};", source, re.S)[1]
    return re.findall(r'\{"([\w-]+)",', table)
