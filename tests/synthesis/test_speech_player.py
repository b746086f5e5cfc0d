"""Speech through the real audio process into a virtual speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from scripted import until
from virtual_audio import VirtualCard

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.errors import SoundError
from voicechat.synthesis import speech_player
from voicechat.synthesis.speech_player import SpeechPlayer

SECOND = bytes(48_000)


class Speaker:
    """An audio process that plays what the test tells it to play."""

    def __init__(self, settings: sound.AudioSettings, on_event: Callable[[Any], None]) -> None:
        self.settings, self.tell = settings, on_event
        self.commands: list[Any] = []
        self.closed = False

    def send(self, command: Any) -> None:
        self.commands.append(command)

    async def close(self) -> None:
        self.closed = True

    @property
    def played_s(self) -> float:
        return sum(len(each.pcm) for each in self.commands if isinstance(each, effects.Play)) / 48e3


async def speech(seconds: int) -> AsyncIterator[bytes]:
    for _ in range(seconds):
        yield SECOND


def opened() -> tuple[SpeechPlayer, Speaker]:
    made: list[Speaker] = []

    def open_audio(settings: Any, on_event: Any) -> Speaker:
        made.append(Speaker(settings, on_event))
        return made[0]

    player = SpeechPlayer(Options(output_device="Lamp"), open_audio)
    return player, made[0]


async def test_it_ends_when_the_last_sample_was_heard() -> None:
    player, speaker = opened()
    playing = asyncio.create_task(player.play(speech(2)))
    await asyncio.sleep(0)
    assert speaker.settings.output_device == "Lamp"
    assert not speaker.settings.listen
    assert speaker.played_s == pytest.approx(2)
    assert isinstance(speaker.commands[-1], effects.EndItem)
    speaker.tell(sound.Opened(None, "Lamp"))
    speaker.tell(inputs.Heard("speech", 1_500))
    await asyncio.sleep(0)
    assert not playing.done()
    speaker.tell(inputs.PlaybackFinished("speech"))
    await playing
    await player.close()
    assert speaker.closed


async def test_the_provider_waits_for_the_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_player, "AHEAD_S", 3.0)
    player, speaker = opened()
    playing = asyncio.create_task(player.play(speech(10)))
    await asyncio.sleep(0)
    assert speaker.played_s == 4
    speaker.tell(inputs.Heard("speech", 2_000))
    await until(lambda: speaker.played_s == 6)
    playing.cancel()


async def test_a_text_waits_until_what_was_sent_is_heard() -> None:
    player, speaker = opened()
    await player.wait_for_text(speech_player.AHEAD_CHARACTERS)
    waiting = asyncio.create_task(player.wait_for_text(speech_player.AHEAD_CHARACTERS + 30))
    speaker.tell(inputs.Heard("speech", 1_000))
    await asyncio.sleep(0)
    assert not waiting.done()
    speaker.tell(inputs.Heard("speech", 2_000))
    async with asyncio.timeout(5):
        await waiting


async def test_without_a_speaker_it_ends() -> None:
    player, speaker = opened()
    playing = asyncio.create_task(player.play(speech(2)))
    await asyncio.sleep(0)
    speaker.tell(sound.Opened(None, None, problem="There is no \x1b[2Jspeaker.", hint="Plug."))
    with pytest.raises(SoundError, match=r"There is no .*speaker\. Plug\."):
        await playing


async def test_a_speaker_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_player, "STALL_S", 0.05)
    player, _ = opened()
    with pytest.raises(SoundError, match="plays nothing"):
        await player.play(speech(1))


@pytest.mark.sound
async def test_every_sample_is_heard(own_card: VirtualCard) -> None:
    tone = (8_000 * np.sin(np.arange(24_000) * 0.2)).astype(np.int16).tobytes()

    async def tones() -> AsyncIterator[bytes]:
        yield tone[:10_001]
        yield tone[10_001:]

    player = SpeechPlayer(Options())
    try:
        async with asyncio.timeout(20):
            await player.play(tones())
        assert player.heard_s == pytest.approx(1, abs=0.05)
    finally:
        await player.close()
