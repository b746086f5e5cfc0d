"""What the looks of a text hide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.confusables import MOST, remarks
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
def test_honest_text_is_not_remarked_on(text: str) -> None:
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
        ("a\u2800b", "looks blank"),
        ("kill \u0661", "digit of another script"),
        (clean("a\x1b[2Jb\u200b\u202e"), "3 characters that cannot be shown"),
    ],
)
def test_what_misleads_is_told_in_words(text: str, word: str) -> None:
    assert any(word in remark for remark in remarks(text)), remarks(text)


@given(st.text())
def test_it_is_short_and_clean_whatever_comes(text: str) -> None:
    found = remarks(clean(text))
    assert len(found) <= MOST + 1
    assert all(clean(remark) == remark and "\n" not in remark for remark in found)


def test_marks_that_are_piled_up_are_told() -> None:
    assert remarks("l" + "\u0301" * 9 + "s") == [
        "Many marks are stacked on one letter; they may cover the text next to it."
    ]
    assert remarks("Vie\u0323\u0302t") == []
