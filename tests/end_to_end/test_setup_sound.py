"""`voicechat setup` with a virtual card: levels, echo, and a sentence that is understood."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest
from user_speech import user_speech
from virtual_audio import RATE, VirtualCard

pytestmark = [pytest.mark.sound, pytest.mark.end_to_end, pytest.mark.timeout(120)]


async def test_the_sound_is_measured_and_a_sentence_is_answered(
    start, card: VirtualCard, tmp_path: Path
) -> None:
    terminal = start("setup", columns=80, rows=36, environ=card.environment)
    terminal.see("Who should answer")
    terminal.type("\n")
    terminal.see("Check the microphone and the speaker")
    with card.echo():
        terminal.type("y\n")
        terminal.see(r"Microphone [▮▯]{20} +-\d+ dB")
        terminal.see(r"Echo [▮▯]{20} +-\d+ dB after \d+ ms")
        terminal.see("What next")
    terminal.type("\n")
    terminal.see("Try a spoken sentence")
    terminal.type("y\n")
    terminal.see("Say a sentence, for example: what is two plus two", 40)
    terminal.see(r"dB.*Microphone [▮▯]{20} +-\d+ dB$")
    await asyncio.to_thread(card.say(user_speech("what is two plus two"), RATE).wait, 10)
    terminal.see("Understood: “.*two plus two", 30)
    terminal.see("Answered: “.*four|Answered: “.*4", 30)
    terminal.see("Write them")
    terminal.type("y\n")
    assert terminal.code() == 0
    path = tmp_path / "CONFIG" / "voicechat" / "config.toml"
    assert tomllib.loads(path.read_text(encoding="utf-8"))["model"] == "local/built-in"
