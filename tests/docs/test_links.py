#!/usr/bin/python3
"""Links between documents lead somewhere: files, headings, manual pages, commands. Nothing is asked
of the network."""

import re
import sys
import unittest
import urllib.parse

import tree

#: [text](target), ![text](target), and [name]: target in a line of its own.
LINKS = re.compile(r"""\]\(\s*<?([^)\s>]+)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)"""
                   r"|^\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.M)
HTML_LINKS = re.compile(r'<(?:a|img|source)\b[^>]*?\s(?:href|src|srcset)="([^"\s]+)"')
#: What stands in code and looks like a file of ours.
PATHS = re.compile(r"`((?:conf|contrib|docs|nss|parser|server|tests)/[\w./*-]+)`")
#: An example of a name rather than a file: test_x.c.
PLACEHOLDER = re.compile(r"(^|[/_])x(\.|$)")


def without_code(text):
    """The text without code blocks and code in lines, where nothing is a link."""
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.M | re.S)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text, flags=re.S)


def anchors(text):
    """The anchors that GitHub gives the headings of a text, and those that it sets itself."""
    found = set(re.findall(r'<a\b[^>]*?\s(?:id|name)="([^"]+)"', text))
    text = re.sub(r"^(```|~~~).*?^\1\s*$", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(slug if not number else f"{slug}-{number}")
    return found


def links(text):
    text = without_code(text)
    return ([match[1] or match[2] for match in LINKS.finditer(text)] +
            HTML_LINKS.findall(text))


def broken(path):
    """Says of each link of a file that leads nowhere what is missing."""
    for link in links(path.read_text(encoding="utf-8")):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue  # the network's
        target = path
        if parts.path:
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
        if not target.exists():
            yield f"{link}: no such file"
        elif tree.ROOT not in (target, *target.parents):
            yield f"{link}: leaves the project"
        elif parts.fragment and target.suffix == ".md" and \
                parts.fragment not in anchors(target.read_text(encoding="utf-8")):
            yield f"{link}: no such heading"


class MarkdownTest(unittest.TestCase):
    def test_there_is_something_to_check(self):
        files = tree.markdown_files()
        self.assertIn(tree.ROOT / "README.md", files)
        self.assertGreater(sum(len(links(path.read_text(encoding="utf-8"))) for path in files), 5)

    def test_links_lead_somewhere(self):
        for path in tree.markdown_files():
            with self.subTest(file=str(path.relative_to(tree.ROOT))):
                self.assertEqual(list(broken(path)), [])

    def test_files_named_in_code_exist(self):
        for path in tree.markdown_files():
            with self.subTest(file=str(path.relative_to(tree.ROOT))):
                named = PATHS.findall(path.read_text(encoding="utf-8"))
                missing = [name for name in named if not PLACEHOLDER.search(name)
                           and not any(tree.ROOT.glob(name.rstrip("/.")))]
                self.assertEqual(missing, [])


class CheckerTest(unittest.TestCase):
    """The checker itself: a broken link must not go unseen."""

    def test_links_are_seen_and_code_is_not(self):
        text = ("[a](x.md) ![b](y.svg 'no') ![c](<z.png>) `[d](code.md)`\n```\n[e](block.md)\n```\n"
                "[f]: ref.md\n<img alt='' src=\"img.svg\">\n")
        self.assertEqual(links(text), ["x.md", "y.svg", "z.png", "ref.md", "img.svg"])

    def test_anchors_are_githubs(self):
        text = "# The `x` file\n## A.B, (c)\n## Twice\n## Twice\n```\n# no\n```\n"
        self.assertEqual(anchors(text), {"the-x-file", "ab-c", "twice", "twice-1"})


class ManualTest(unittest.TestCase):
    def test_references_to_our_pages_lead_somewhere(self):
        pages = {(path.stem, path.suffix[1:]) for path in tree.manual_pages()}
        self.assertIn(("leasedns", "8"), pages)
        for path in tree.manual_pages():
            named = re.findall(r"\bXr (\S+) (\d)", path.read_text(encoding="utf-8"))
            self.assertTrue(named, path)
            for name, section in named:
                if "leasedns" in name:
                    self.assertIn((name, section), pages, path)

    def test_every_page_is_referred_to(self):
        for path in tree.manual_pages():
            reference = f"Xr {path.stem} {path.suffix[1:]}"
            others = [other for other in tree.manual_pages() if other != path]
            self.assertTrue(any(reference in other.read_text(encoding="utf-8")
                                for other in others), path)


class ReadmeTest(unittest.TestCase):
    def test_table_of_commands_is_the_programs(self):
        text = (tree.ROOT / "README.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `leasedns ([\w-]+)[^`]*` \|", text, re.M)
        self.assertEqual(sorted(rows), sorted(tree.commands()))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
