"""Converts a page on standard input to text on standard output.

The arguments are its content type, and its charset or "". Runs by its path in a process of its
own, because a hostile page can take very long to decode and to parse.
Standard library only, and no import of voicechat.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import sys
from html.parser import HTMLParser

SECONDS = 10
"""Seconds of CPU time."""

UNKNOWN_CHARSET, NO_TEXT = 3, 4
"""Exit codes."""

CHARACTERS = 40_000
"""Characters of the text that are written, followed by the number of the others."""

_CHARSETS = re.compile(
    r"ascii|utf-(8|16|32)(-le|-be|-sig)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|hz"
    r"|gb(2312|k|18030)|big5(hkscs)?|shift_jisx?\w*|euc_\w+|iso2022_\w+|johab|ptcp154"
)
"""Codecs that take linear time. Python has others: `punycode` is quadratic."""

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


def charset(name: str) -> str:
    """Return the codec of a charset. Raises `LookupError` if there is none, or a slow one."""
    found = codecs.lookup(name[:40]).name if name.isascii() and "\0" not in name else ""
    if not _CHARSETS.fullmatch(found):
        raise LookupError(name)
    return found


def decode(raw: bytes, kind: str, name: str) -> str:
    """Return the text of a page. Raises `LookupError` for a charset that cannot be used.

    kind: content type. name: charset of the content type; the page itself may name one.
    """
    if not name and "html" in kind:
        named = re.search(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", raw[:2048])
        name = named[1].decode("ascii", "replace") if named else ""
    codec = charset(name or "utf-8")
    if b"\0" in raw[:4096] and "16" not in codec and "32" not in codec:
        raise ValueError("not a text")
    return raw.decode(codec, "replace")


def text_of(raw: bytes, kind: str, name: str) -> str:
    """Return the words that a reader sees. Raises as `decode`."""
    text = decode(raw, kind, name)
    if "html" not in kind and text.lstrip()[:1] != "<":
        return text.strip()
    page = PageParser()
    page.feed(text)
    page.close()
    return page.text


def main() -> None:
    """Convert standard input to standard output."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        text = text_of(sys.stdin.buffer.read(), *sys.argv[1:3])
    except LookupError:
        sys.exit(UNKNOWN_CHARSET)
    except ValueError:
        sys.exit(NO_TEXT)
    more = len(text) - CHARACTERS
    if more > 0:
        text = f"{text[:CHARACTERS]}\n[{more} more characters]"
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
