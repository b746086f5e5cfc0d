"""Documents of the history: complete, and safe whatever the conversation contains."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from voicechat.history.history_export import FORMATS, exported
from voicechat.history.history_rows import TOOL, ConversationRow, ItemRow
from voicechat.history.stored_conversation import StoredConversation

HOSTILE = (
    "<script>alert(1)</script> [link](javascript:x) **bold** `code`\n# heading\n- item\n1. one\n"
    "```\nfence\n---\n&amp; <!-- --> ![i](http://e/x.png)"
)


def conversation(text: str, arguments: str = "{}", cut: int | None = None) -> StoredConversation:
    row = ConversationRow("abc", text, 1_000.0, 1_000.0, "openai/x", settings='{"mode": "voice"}')
    return StoredConversation(
        row,
        (
            ItemRow("abc", "1", 1.0, 1_001.5, "user", text, "completed"),
            ItemRow("abc", "2", 2.0, 1_002.0, TOOL, status="done", name=text, arguments=arguments),
            ItemRow("abc", "3", 3.0, 1_003.0, "assistant", text, "interrupted", True, cut, 1_500.0),
            ItemRow("abc", "4", 4.0, 1_004.0, "user", "hidden", "completed", hidden=True),
        ),
    )


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


OWN_TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "pre"}


@given(st.text(min_size=1))
def test_text_cannot_become_a_tag(text: str) -> None:
    page = Tags()
    page.feed(exported(conversation(text, text, cut=1), "html"))
    assert page.tags <= OWN_TAGS | {"del"}


def test_html_shows_the_text_as_it_is() -> None:
    page = Tags()
    page.feed(exported(conversation(HOSTILE), "html"))
    assert HOSTILE in page.text
    assert "script" not in page.tags


@pytest.mark.parametrize("text", [HOSTILE, "1) a\n+ b\n= c", "   four\n\n\n    five", "> quote"])
def test_text_cannot_become_markup_in_markdown(text: str) -> None:
    tokens = MarkdownIt().parse(exported(conversation(text, "```\n" + text), "md"))
    kinds = {token.type for token in tokens}
    kinds |= {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"),
        *("fence", "text", "text_special", "hardbreak", "softbreak"),
    }
    headings = [token for token in tokens if token.type == "heading_open"]
    assert [token.tag for token in headings] == ["h1", "h2", "h2", "h2"]
    shown = "".join(
        child.content
        for token in tokens
        for child in token.children or ()
        if child.type.startswith("text")
    )
    for word in re.findall(r"\w+", text):
        assert word in shown


def test_what_was_cut_is_marked() -> None:
    stored = conversation("heard unheard", cut=5)
    assert "[not heard: unheard]" in exported(stored, "txt")
    assert "~~unheard~~" in exported(stored, "md")
    assert "<del> unheard</del>" in exported(stored, "html")
    items = json.loads(exported(stored, "json"))["items"]
    assert (items[2]["heard_chars"], items[2]["text"]) == (5, "heard unheard")


def test_hidden_items_are_left_out_of_what_people_read() -> None:
    for form in FORMATS:
        assert ("hidden" in exported(conversation("x"), form)) is (form == "json")


def test_subtitles_are_cues_with_times_from_the_start() -> None:
    text = exported(conversation("Hi\n\n2\n00:00:00,000 --> 00:00:01,000\nfake"), "srt")
    cues = text.strip().split("\n\n")
    assert len(cues) == 2
    assert cues[0].splitlines()[:2] == ["1", "00:00:01,500 --> 00:00:03,000"]
    assert cues[1].splitlines()[1] == "00:00:03,000 --> 00:00:04,500"
    assert all(len(cue.splitlines()) == 3 for cue in cues)
    assert text.count("-->") == 2


def test_subtitles_have_no_tags() -> None:
    text = exported(conversation("1 < 2 <b>x</B> {\\an8}<font size=99> a<3"), "srt")
    assert "You: 1 < 2 ‹b>x‹/B> { \\an8}‹font size=99> a<3" in text


def test_broken_fields_of_a_row_do_not_stop_an_export() -> None:
    row = ConversationRow("abc", "x", settings="{broken")
    item = ItemRow("abc", "1", 1.0, 1.0, "user", "x", picture="[broken")
    for form in FORMATS:
        assert exported(StoredConversation(row, (item,)), form)
