"""How likely a request ends with the words so far."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voicechat.server.assistant import request_end
from voicechat.server.assistant.request_end import end_chance

_GOES_ON, _MAY_GO_ON = 0.05, 0.32
"""The limits of `speech.endpointing`."""


@pytest.fixture
def samples() -> Iterator[None]:
    request_end.warm()
    yield
    request_end._samples.cache_clear()


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(
    ("least", "text", "most"),
    [
        (0.0, "the weather was nice", 0.0),
        (0.0, "set a timer for", 0.0),
        (_GOES_ON, "what is nine times twenty", _MAY_GO_ON),
        (_GOES_ON, "what is the square root of two hundred and sixty", _MAY_GO_ON),
        (1e-6, "what timers are", _GOES_ON),
        (1e-6, "tell me the", _GOES_ON),
        (_MAY_GO_ON, "What time is it?", 1.0),
        (_GOES_ON, "set a timer for ten minutes", _MAY_GO_ON),
        (_MAY_GO_ON, "tell me a joke", 1.0),
        (_MAY_GO_ON, "add milk to my shopping list", 1.0),
    ],
)
def test_the_last_words_tell_how_likely_more_follow(least: float, text: str, most: float) -> None:
    assert least <= end_chance(text) <= most


def test_a_closed_request_ends_while_the_samples_are_not_there() -> None:
    request_end._samples.cache_clear()
    assert end_chance("what is nine times twenty") == 1.0
    assert end_chance("the weather was nice") == 0.0
