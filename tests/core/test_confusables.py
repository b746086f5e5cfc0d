"""Remarks on misleading characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.confusables import MAX_REMARKS, remarks
from voicechat.core.text import clean


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf / ; echo $HOME",
        "über Straße, naïve café — “quoted” … 5 µm",
        "привет мир, он и сор",
        "Αθήνα και νόμος",
        "日本語のファイル.txt",
        "مرحبا",
        "👩‍👩‍👧 ok",
    ],
)
def test_ordinary_text_has_no_remarks(text: str) -> None:
    assert remarks(text) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("https://раураl.com", "mixes Cyrillic and Latin"),
        ("rm сору", "looks Latin but is Cyrillic"),
        ("сору", "looks Latin but is Cyrillic"),
        ("cat ΡΑΤΗ", "looks Latin but is Greek"),
        ("rm\uff0drf", "looks like '-'"),
        ("a\u2215b", "looks like '/'"),
        ("ｒｍ", "fullwidth"),
        ("a\u00a0b", "no-break space"),
        ("a\u2800b", "looks like a space"),
        ("kill \u0661", "digit of another script"),
        (clean("a\x1b[2Jb\u200b\u202e"), "3 characters cannot be displayed"),
    ],
)
def test_misleading_characters_have_a_remark(text: str, word: str) -> None:
    assert any(word in remark for remark in remarks(text)), remarks(text)


@given(st.text())
def test_remarks_are_bounded_and_clean(text: str) -> None:
    found = remarks(clean(text))
    assert len(found) <= MAX_REMARKS + 1
    assert all(clean(remark) == remark and "\n" not in remark for remark in found)


def test_stacked_marks_have_a_remark() -> None:
    assert remarks("l" + "\u0301" * 9 + "s") == [
        "Many marks are stacked on one letter; they may cover the text next to it."
    ]
    assert remarks("Vie\u0323\u0302t") == []
