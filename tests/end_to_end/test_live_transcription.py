"""Dictation: speech into a virtual microphone, lines on a terminal, offline."""

from __future__ import annotations

import asyncio
import re

import pytest
from on_terminal import ended
from user_speech import user_speech
from virtual_audio import RATE, VirtualCard

pytestmark = [
    pytest.mark.sound,
    pytest.mark.end_to_end,
    pytest.mark.timeout(120),
]


async def test_speech_is_transcribed_to_the_last_word(start, card: VirtualCard) -> None:
    terminal = start(
        "transcribe", "--live", "--model", "local", columns=120, environ=card.environment
    )
    terminal.see("Listening with local/built-in. Press Ctrl-C to stop.", 30)
    first = user_speech("what is seven plus five")
    await asyncio.to_thread(card.say(first, RATE).wait, 10)
    terminal.see("(seven|7) plus (five|5)")
    second = user_speech("what is six times seven")
    saying = card.say(second, RATE)
    # Words in the making are there before the passage is over.
    terminal.see("[Ww]hat is .*[Ww]hat is")
    await asyncio.to_thread(saying.wait, 10)
    family = terminal.family()
    terminal.type("\x03")
    assert terminal.code() == 0
    lines = [line.strip() for line in terminal.text.splitlines() if line.strip()]
    assert len(lines) == 3, lines
    assert re.search("(seven|7) plus (five|5)", lines[1])
    assert re.search("times (seven|7)", lines[2])
    assert not ended(family)
    assert terminal.is_sane()
