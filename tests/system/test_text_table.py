"""Tables as plain text."""

from __future__ import annotations

import pytest

from voicechat.system.text_table import cells, table


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["  a"]),
        ("all of it fits", ["  a  all of it", "     fits"]),
        ("extraordinarily x", ["  a  extraordinar", "     ily x"]),
        ("日本語日本語日本語", ["  a  日本語日本語", "     日本語"]),
    ],
)
def test_a_long_last_column_continues_below_itself(text: str, lines: list[str]) -> None:
    assert table([("a", text)], width=17) == lines
    assert max(map(cells, lines)) <= 17


def test_without_a_width_a_line_keeps_its_length() -> None:
    assert table([("a", "b " * 100)]) == ["  a  " + ("b " * 100).rstrip()]
