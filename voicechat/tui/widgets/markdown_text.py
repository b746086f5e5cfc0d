"""Markdown laid out as content: headings, lists, quotes, tables, code and links.

One widget shows a whole reply, so a long conversation stays fast. The layout depends on the width.
Text that is no Markdown looks as it was written: raw HTML, entities, link definitions, marks inside
a word (`2**10`) and double underscores (`__init__`) are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.emphasis import tokenize as tokenize_emphasis
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from textual.content import Content
from textual.highlight import highlight
from textual.style import Style

from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.text_columns import bordered_table

MAX_MARKDOWN_CHARS = 12_000
"""Longest text that is laid out as Markdown; a longer one is shown as it was written."""
MAX_WRAPPED_LINES = 150
"""Most full lines of the width; a narrow layout has more lines, each of which takes its time."""
MAX_MARKDOWN_LINES = 500
"""Most lines that are laid out as Markdown."""
MAX_GROWING_CHARS = 4_000
"""Longest last block that is laid out with every change while it grows."""
MAX_NESTING = 20
"""Deepest nesting that is laid out; a deeper text is shown as it was written."""
MAX_MARKS = 3_000
"""Most characters outside of code that may mark something, such as * and |."""
MAX_LABEL_STEPS = 200_000
"""Most brackets times marks: the parser looks for the end of a link at each bracket."""
MAX_LINK_STEPS = 300_000
"""Most places in a line where a link may be, times its length, added up for all lines.

The parser reads the rest of the line at each of them.
"""
MAX_MARK_RUN = 20
"""Longest run of one mark, such as ***, that is more than text."""
MAX_CODE_CHARS = 5_000
"""Longest code that is highlighted."""
MAX_URL_CHARS = 2_000
"""Longest URL that can be clicked."""
_GROWTH = 1.25
"""Growth after which a longer last block is laid out again."""

QUIET = "$foreground 60%"
_HEADINGS = {"h1": "bold underline $primary", "h2": "bold $primary"}
_LINK = "underline $primary"
_INLINE = {"strong": "bold", "em": "italic", "s": "strike"}
_URL = re.compile(rf"(?:https?://|mailto:)[!-~]{{1,{MAX_URL_CHARS}}}", re.IGNORECASE)
_LANGUAGE_NAMES = (
    "bash c c++ cpp cs csharp css diff docker dockerfile go html ini java javascript js json jsx"
    " kotlin lua make makefile php powershell py python r rb ruby rs rust scala sh shell sql swift"
    " toml ts tsx typescript xml yaml yml zsh"
)
_LANGUAGES = frozenset(_LANGUAGE_NAMES.split())
"""Languages that are highlighted: the common ones, whose lexers are known to be fast."""
_CODE_INDENT = "  "
_MIN_WIDTH = 8
"""Least width in cells that a nested block is laid out for."""


def is_link(url: str) -> bool:
    """Return True if the URL may be opened: the web or mail, in printable ASCII."""
    return _URL.fullmatch(url) is not None


class MarkdownText:
    """The layout of one text. While the text grows, only its last block is laid out again."""

    def __init__(self) -> None:
        self._key: tuple[str, int, bool] = ("", 0, False)
        self._content = Content("")
        self.final_chars = 0
        """Characters of the source whose blocks cannot change any more."""
        self._final_lines: list[Content] = []
        self._parsed = 0
        """Length of the part that was parsed last."""

    def is_laid_out(self, source: str, width: int, *, growing: bool = False) -> bool:
        """Return True if `layout` returns at once."""
        return self._key == (source, width, growing)

    def layout(self, source: str, width: int, *, growing: bool = False) -> Content:
        """Return the text for a width in cells; `growing` if more of the source may follow.

        A very long or deeply nested text is returned as it was written.
        """
        key = (source, width, growing)
        if key != self._key:
            before, before_width, was_growing = self._key
            continues = was_growing and growing and source.startswith(before)
            if not continues or before_width != width:
                self.final_chars, self._final_lines = 0, []
            self._key, self._content = key, self._lay_out(source, max(width, _MIN_WIDTH), growing)
        return self._content

    def _lay_out(self, source: str, width: int, growing: bool) -> Content:
        if len(source) > MAX_WRAPPED_LINES * width or _is_costly(source):
            return plain(source)
        rest = source[self.final_chars :]
        if growing and MAX_GROWING_CHARS < len(rest) < self._parsed * _GROWTH:
            return self._join([plain(rest)])
        self._parsed = len(rest)
        tokens = _parser().parse(rest)
        if _depth(tokens) >= MAX_NESTING:
            return plain(source)
        nodes = SyntaxTreeNode(tokens).children
        if growing and nodes:
            nodes = self._keep_final(nodes, rest, width)
        return self._join(_blocks(nodes, width))

    def _join(self, lines: list[Content]) -> Content:
        return Content("\n").join(_joined(self._final_lines, lines))

    def _keep_final(
        self, nodes: list[SyntaxTreeNode], rest: str, width: int
    ) -> list[SyntaxTreeNode]:
        """Keep the lines of all blocks but the last; return the last."""
        *earlier, last = nodes
        lines = rest.split("\n")
        start = last.map[0] if last.map else 0
        # A first line that is not complete may still belong to the block before it.
        if earlier and len(lines) > start + 1:
            self._final_lines = _joined(self._final_lines, _blocks(earlier, width))
            self.final_chars += sum(len(line) + 1 for line in lines[:start])
            return [last]
        return nodes


_MARK = re.compile(r"[*_`~\[\]!<>&|\\]")
_LINK_HINT = re.compile(r"[.:@](?=\S)")
_FENCE = re.compile(r"^ {0,3}```[^`\n]*$", re.MULTILINE)


def _is_costly(source: str) -> bool:
    """Return True for a text that takes long to lay out as Markdown."""
    if len(source) > MAX_MARKDOWN_CHARS or source.count("\n") > MAX_MARKDOWN_LINES:
        return True
    parts = [source] if "~~~" in source else _FENCE.split(source)[::2]
    marks = sum(len(_MARK.findall(part)) for part in parts)
    brackets = sum(part.count("[") for part in parts)
    if marks > MAX_MARKS or brackets * marks > MAX_LABEL_STEPS:
        return True
    lines = (line for part in parts for line in part.split("\n"))
    return sum(len(_LINK_HINT.findall(line)) * len(line) for line in lines) > MAX_LINK_STEPS


def _depth(tokens: Iterable[Token]) -> int:
    """Return the deepest nesting of blocks, or of marks in a block."""
    depth = deepest = 0
    for token in tokens:
        depth += token.nesting
        deepest = max(deepest, depth, _depth(token.children or ()))
    return deepest


def _joined(above: list[Content], below: list[Content]) -> list[Content]:
    return [*above, Content(""), *below] if above and below else above or below


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("gfm-like", {"html": False, "maxNesting": MAX_NESTING})
    parser.disable(["reference", "entity"])
    parser.inline.ruler.at("emphasis", _emphasis)
    return parser


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Take marks inside a word and double underscores as text; leave the others to the library."""
    source, start = state.src, state.pos
    mark = source[start]
    if mark not in "*_":
        return False
    end = start
    while end < state.posMax and source[end] == mark:
        end += 1
    if end - start > MAX_MARK_RUN:
        state.pending += "" if silent else source[start:end]
        state.pos = end
        return True
    before, after = source[start - 1 : start], source[end : end + 1]
    is_inside = before.isalnum() and after.isalnum()
    if silent or not (is_inside or (mark == "_" and end - start > 1)):
        return tokenize_emphasis(state, silent)
    state.pending += source[start:end]
    state.pos = end
    return True


# -------------------------------------------------------------------- blocks


def _blocks(nodes: Iterable[SyntaxTreeNode], width: int, *, tight: bool = False) -> list[Content]:
    """Return the lines of blocks, with an empty line between two unless they are `tight`."""
    lines: list[Content] = []
    for node in nodes:
        block = _BLOCKS.get(node.type, _raw)(node, width)
        if lines and block and not (tight and node.type in _TIGHT):
            lines.append(Content(""))
        lines += block
    return lines


_TIGHT = {"paragraph", "bullet_list", "ordered_list"}


def _raw(node: SyntaxTreeNode, width: int) -> list[Content]:
    return [plain(node.content)] if node.content else _blocks(node.children, width)


def _paragraph(node: SyntaxTreeNode, width: int) -> list[Content]:
    return list(_inlines(node).split())


def _heading(node: SyntaxTreeNode, width: int) -> list[Content]:
    style = _HEADINGS.get(node.tag, "bold")
    return [line.stylize_before(style) for line in _inlines(node).split()]


def _code(node: SyntaxTreeNode, width: int) -> list[Content]:
    code = node.content.rstrip("\n")
    language = node.info.strip().partition(" ")[0].lower() if node.type == "fence" else ""
    content = plain(code)
    if language in _LANGUAGES and len(code) <= MAX_CODE_CHARS:
        content = highlight(content.plain, language=language)
    caption = [plain(f"{_CODE_INDENT}{language[:30]}", QUIET)] if language else []
    return caption + _indented(content.expand_tabs(4).split(allow_blank=True), width, _CODE_INDENT)


def _rule(node: SyntaxTreeNode, width: int) -> list[Content]:
    return [Content("─" * min(width, 40)).stylize(QUIET)]


def _quote(node: SyntaxTreeNode, width: int) -> list[Content]:
    lines = _blocks(node.children, _inner(width, 2))
    return _indented(lines, width, Content("▎ ").stylize(QUIET))


def _list(node: SyntaxTreeNode, width: int) -> list[Content]:
    lines: list[Content] = []
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    count = len(node.children)
    markers = ["• "] * count if number is None else [f"{number + at}. " for at in range(count)]
    size = max(map(len, markers), default=0)
    for marker, item in zip(markers, node.children, strict=True):
        block = _blocks(item.children, _inner(width, size), tight=True) or [Content("")]
        first = plain(f"{marker:>{size}}", QUIET)
        lines += _indented(block, width, " " * size, first)
    return lines


def _table(node: SyntaxTreeNode, width: int) -> list[Content]:
    rows = [
        [_inlines(cell) for cell in row.children] for part in node.children for row in part.children
    ]
    return bordered_table(rows, width)


_BLOCKS: dict[str, Callable[[SyntaxTreeNode, int], list[Content]]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "fence": _code,
    "code_block": _code,
    "hr": _rule,
    "blockquote": _quote,
    "bullet_list": _list,
    "ordered_list": _list,
    "table": _table,
}


def _inner(width: int, indent: int) -> int:
    return max(width - indent, _MIN_WIDTH)


def _indented(
    lines: Iterable[Content], width: int, indent: str | Content, first: Content | None = None
) -> list[Content]:
    """Wrap the lines and put the indent before each; `first` replaces it before the first one."""
    inner = _inner(width, len(indent))
    wrapped = [part for line in lines for part in (line.wrap(inner) if line else [line])]
    return [
        Content.assemble(first if first is not None and not index else indent, line)
        for index, line in enumerate(wrapped)
    ]


# -------------------------------------------------------------------- inline text


def _inlines(node: SyntaxTreeNode) -> Content:
    """Return the text of a block with its styles; several lines if it was written so."""
    return Content("").join(_inline_parts(node.children))


def _inline_parts(nodes: Iterable[SyntaxTreeNode]) -> Iterator[Content]:
    for node in nodes:
        if node.type in {"softbreak", "hardbreak"}:
            yield Content("\n")
        elif node.type == "code_inline":
            yield plain(node.content, "$accent on $panel")
        elif node.type == "link":
            yield _link(_inlines(node), str(node.attrs.get("href", "")))
        elif node.type == "image":
            yield Content.assemble("▣ ", _link(plain(node.content), str(node.attrs.get("src", ""))))
        elif node.children:
            yield _inlines(node).stylize_before(_INLINE.get(node.type, ""))
        else:
            yield plain(node.content)


def _link(text: Content, url: str) -> Content:
    """Return a text with its address: clickable, and visible if the text is something else."""
    address = plain(url).plain
    if not is_link(url):
        return Content.assemble(text, (f" ({address})" if address else "", QUIET))
    click = Style(link=url) + Style.from_meta({"url": url})
    shown = text.stylize_before(_LINK)
    same = text.plain.casefold().removesuffix("/") in {
        each.casefold().removesuffix("/") for each in (url, url.partition(":")[2].lstrip("/"))
    }
    if not same:
        shown = Content.assemble(shown, (f" ({address})", QUIET))
    return shown.stylize(click)
