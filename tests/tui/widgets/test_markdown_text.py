"""Markdown as content: the layout, what stays as it was written, and hostile text."""

from __future__ import annotations

import pytest
from corpus import ESCAPES
from textual.content import Content
from textual.style import Style

from voicechat.tui.widgets.markdown_text import (
    MAX_MARKDOWN_CHARS,
    MarkdownText,
    is_link,
)

REPLY = """\
# Powers

A paragraph with **bold**, *soft* and `2**10`.
A second line, [docs](https://example.org/a).

- one
- two
  1. nested, with enough words that it has to wrap
  2. again

> quoted

| Name | Value |
|---|---|
| a | 1 |
| bb | long text that wraps in its own column |

```python
# x
def __init__(self): return 2**10
```

The end.
"""


def layout(source: str, width: int = 40) -> Content:
    return MarkdownText().layout(source, width)


def styles_of(content: Content, text: str) -> str:
    start = content.plain.index(text)
    return " ".join(str(span.style) for span in content.spans if span.start <= start < span.end)


def test_the_layout_of_a_reply() -> None:
    assert (
        layout(REPLY).plain
        == """\
Powers

A paragraph with bold, soft and 2**10.
A second line, docs (https://example.org/a).

• one
• two
  1. nested, with enough words that it
     has to wrap
  2. again

▎ quoted

Name │ Value
─────┼──────────────────────────────────
a    │ 1
bb   │ long text that wraps in its own
     │ column

  python
  # x
  def __init__(self): return 2**10

The end."""
    )


def test_styles() -> None:
    content = layout(REPLY)
    assert "bold" in styles_of(content, "Powers")
    assert "bold" in styles_of(content, "bold")
    assert "italic" in styles_of(content, "soft")
    assert "$text-accent" in styles_of(content, "def")
    assert "bold" in styles_of(content, "Name")


@pytest.mark.parametrize(
    "text",
    [
        "2**10 and 3**4 and a*b*c",
        "__init__ and __name__.py and snake_case_name",
        "5 * 3 * 2",
        "<b>html</b> <script>x</script>",
        "&amp; &#27; &#x202e;",
        "[x]: http://example.org\n[y]: javascript:alert(1)",
        "[x](javascript:alert)",
        "one\ntwo",
        "#hashtag and C#",
        "a list [0] and [i](j k)",
        "> " * 30 + "deep",
        "- " * 30 + "deep",
    ],
)
def test_text_that_is_no_markdown_is_shown_as_it_was_written(text: str) -> None:
    shown = layout(text, 200).plain
    assert shown.replace(" (javascript:alert)", "](javascript:alert)") == text or shown == text


def test_a_link_can_be_clicked_and_shows_its_address() -> None:
    content = layout("[docs](https://example.org/a) or https://example.org/b", 80)
    assert content.plain == "docs (https://example.org/a) or https://example.org/b"
    for text, url in (("docs", "https://example.org/a"), ("https://example.org/b", None)):
        start = content.plain.index(text)
        [style] = [
            span.style
            for span in content.spans
            if isinstance(span.style, Style) and span.start <= start < span.end
        ]
        assert style.meta["url"] == style.link == (url or text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a?b=c#d", True),
        ("mailto:a@b.org", True),
        ("HTTP://EXAMPLE.ORG", True),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("https://example.org/\x1b]0;x\x07", False),
        ("https://example.org/\u202e", False),
        ("https://example.org/" + "a" * 3_000, False),
        ("-x https://example.org", False),
    ],
)
def test_only_web_and_mail_links_can_be_opened(url: str, expected: bool) -> None:
    assert is_link(url) is expected


@pytest.mark.parametrize("text", ESCAPES)
@pytest.mark.parametrize(
    "form", ["{}", "`{}`", "```{}\n{}\n```", "[{}](http://a.b/{})", "|{}|\n|-|"]
)
def test_hostile_text_has_no_control_characters(text: str, form: str) -> None:
    content = layout(form.replace("{}", text))
    assert all(each.isprintable() or each in "\n\ufffd" for each in content.plain)
    links = [span.style.link for span in content.spans if isinstance(span.style, Style)]
    assert all(is_link(link) for link in links if link)


HOSTILE = {
    "brackets": "[" * 3_000,
    "images": "![[" * 1_000,
    "stars": "*a " * 1_000,
    "deep marks": "**a " * 500 + "a** " * 500,
    "deep quotes": "> " * 3_000,
    "deep lists": "- " * 3_000,
    "backticks": "`" * 3_000,
    "columns": "| a " * 500 + "\n" + "|-" * 500,
    "rows": "| a |\n|-|\n" + "| b |\n" * 300,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("width", [0, 1, 80])
def test_hostile_markdown_is_laid_out(text: str, width: int) -> None:
    assert isinstance(layout(text, width), Content)


def test_a_very_long_text_is_shown_as_it_was_written() -> None:
    text = "**a** " * MAX_MARKDOWN_CHARS
    assert layout(text).plain == text


@pytest.mark.parametrize("step", [1, 7, 50])
def test_a_growing_text_ends_with_the_layout_of_the_whole_text(step: int) -> None:
    growing = MarkdownText()
    for end in range(0, len(REPLY), step):
        growing.layout(REPLY[:end], 40, growing=True)
    assert growing.layout(REPLY, 40, growing=True).plain == layout(REPLY).plain
    assert growing.layout(REPLY, 40).plain == layout(REPLY).plain


def test_a_growing_text_lays_out_only_its_last_block_again() -> None:
    growing = MarkdownText()
    growing.layout("".join(f"Paragraph {n}.\n\n" for n in range(50)) + "Last.\n", 40, growing=True)
    assert growing.final_chars > 700
    narrower = growing.layout("One.\n\nTwo.\n", 20, growing=True)
    assert narrower.plain == "One.\n\nTwo."


def test_a_long_growing_block_is_laid_out_now_and_then() -> None:
    growing, text = MarkdownText(), "a **bold** word " * 240
    layouts = 0
    for _ in range(40):
        text += "a **bold** word "
        layouts += "**" not in growing.layout(text, 80, growing=True).plain
    assert 8 <= layouts <= 12


COSTLY = {
    "brackets before marks": "[a " * 400 + "*b* " * 2_000,
    "cells": "|"
    + "a|" * 100
    + "\n|"
    + "-|" * 100
    + "\n"
    + "|**a**|\n"
    + ("|" + "a|" * 100 + "\n") * 40,
    "quotes": ("> " * 18 + "**a**\n") * 250,
    "items": "1. **a**\n" * 600,
    "hosts in one word": "**a** " + "www.a==x" * 1_499,
    "links in one word": "**a** " + "xhttps://a.b/" * 900,
    "links in one line": "http://<a - " * 900,
    "mail in one line": "a@b.c " * 2_000,
    "hidden in a fence": "~~~\n```\n~~~\n" + "[a " * 400 + "*b* " * 2_000,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_a_text_that_is_costly_to_lay_out_is_shown_as_it_was_written(text: str) -> None:
    assert len(text) <= MAX_MARKDOWN_CHARS
    assert layout(text).plain == text


def test_a_long_text_is_laid_out_only_where_it_is_wide_enough() -> None:
    text = "a **b** c d " * 480
    assert "**" not in layout(text, 40).plain
    assert layout(text, 36).plain == text


def test_code_does_not_count_as_costly() -> None:
    text = "# Code\n\n```\n" + "a[b] * c[d] = *e\n" * 300 + "```\n"
    assert layout(text).plain.startswith("Code\n")


def test_many_links_in_lines_of_their_own_do_not_count_as_costly() -> None:
    shown = layout("- **a** https://example.org/a.b?c=d:e\n" * 300, 200)
    assert shown.plain.count("• a https://example.org/a.b?c=d:e") == 300


def test_a_long_run_of_one_mark_is_text_and_read_once() -> None:
    run = "*" * 2_900
    assert run in layout(f"{run} **a**").plain
