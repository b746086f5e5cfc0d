"""Tables as plain text."""

from __future__ import annotations

import pytest

from voicechat.system.text_table import cells, table


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("all of it fits", "  all of it fits"),
        ("one two three four", "  one two three…"),
        ("one two threes, four", "  one two…"),
        ("extraordinarily", "  extraordinarily"),
        ("incomprehensibility", "  incomprehensib…"),
        ("日本語日本語日本語", "  日本語日本語日…"),
    ],
)
def test_a_long_line_ends_after_a_word_with_an_ellipsis(text: str, line: str) -> None:
    assert table([(text,)], width=17) == [line]
    assert cells(line) <= 17


def test_without_a_width_a_line_keeps_its_length() -> None:
    assert table([("a", "b " * 100)]) == ["  a  " + ("b " * 100).rstrip()]
