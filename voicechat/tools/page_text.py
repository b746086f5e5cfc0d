"""Converts HTML on standard input to text on standard output.

Runs by its path in a process of its own, because a hostile page can take very long to parse.
Standard library only, and no import of voicechat.
"""

from __future__ import annotations

import contextlib
import re
import sys
from html.parser import HTMLParser

SECONDS = 10
"""Seconds of CPU time."""

_SILENT = frozenset(
    ["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "head", "select"]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tr",
        "ul",
    ]
)


class PageParser(HTMLParser):
    """Collects the words a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Handle an opening tag."""
        if tag == "title":
            self._in_title = not self.title
        elif tag == "body":
            self._silent.clear()
        elif tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._pieces.append("\n- " if tag == "li" else "\n")
        elif tag in {"td", "th"}:
            self._pieces.append("\t")

    def handle_endtag(self, tag: str) -> None:
        """Handle a closing tag."""
        if tag == "title":
            self._in_title = False
        elif tag in self._silent:
            while self._silent.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self._pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if self._in_title:
            self.title += data
        elif not self._silent:
            self._pieces.append(re.sub(r"\s+", " ", data))

    @property
    def text(self) -> str:
        """The title and the text, one paragraph per line."""
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        kept = [line for line in lines if line and line != "-"]
        title = " ".join(self.title.split())
        return "\n".join([title, *kept] if title and title not in kept[:1] else kept)


def main() -> None:
    """Convert standard input to standard output."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    page = PageParser()
    page.feed(sys.stdin.buffer.read().decode("utf-8", "replace"))
    page.close()
    sys.stdout.buffer.write(page.text.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
