"""The cost of a text grows no faster than its length, whatever it holds.

A text that took quadratic time would exceed the time limit of a test.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from voicechat.server.assistant import clauses, intents

SIZE = 1_000_000


@pytest.mark.parametrize("read", [intents.parse_all, intents.is_request, clauses.split])
@pytest.mark.parametrize(
    "words", ["and then ", "1", "a.", "1. ", "www.", "x" * 50 + " ", "“", "\n"]
)
def test_long_texts_are_cheap(read: Callable[[str], object], words: str) -> None:
    text = (words * (SIZE // len(words) + 1))[:SIZE]
    found = read(text)
    if read is clauses.split:
        assert isinstance(found, list)
        assert "".join(found).strip() == text.strip()
    else:
        assert not found
