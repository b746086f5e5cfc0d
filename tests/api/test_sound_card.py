"""An object in place of a sound card: what reaches it, and what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from scripted import TOKEN, scripted_server, silence, tone, until

import voicechat
from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.server.engine_protocols import Partial, Say
from voicechat.session.sound_card import CardLink


class Telephone:
    """A card that plays nothing by itself: the test says what was played."""

    line: voicechat.CardLine

    def __init__(self) -> None:
        self.queued: dict[str, float] = {}
        self.played: dict[str, float] = {}
        self.ended: list[str] = []
        self.stops = self.closes = 0

    def open(self, line: voicechat.CardLine) -> None:
        self.line = line

    def play(self, item_id: str, pcm: bytes) -> None:
        ms = len(pcm) * 500 / self.line.output_rate
        self.queued[item_id] = self.queued.get(item_id, 0.0) + ms

    def end_item(self, item_id: str) -> None:
        self.ended.append(item_id)

    def stop(self) -> Mapping[str, float]:
        self.stops += 1
        return self.played

    async def close(self) -> None:
        self.closes += 1


async def test_card_hears_plays_and_is_cut_off_where_it_says() -> None:
    phone = Telephone()
    async with (
        asyncio.timeout(20),
        scripted_server() as backend,
        voicechat.connect(
            "openai",
            base_url=backend.app.url,
            api_key=TOKEN,
            tools=[],
            settings=False,
            audio=phone,
        ) as session,
    ):
        backend.stt.texts = ["count to ten"]
        backend.stt.partials = {10_000: Partial("count to ten.")}
        backend.assistant.answer = lambda request: [Say("one two three four five six")]
        phone.line.captured(silence(200, phone.line.input_rate))
        phone.line.captured(tone(400, phone.line.input_rate))
        # The line goes on, as a microphone does.
        while not phone.ended:
            phone.line.captured(silence(100, phone.line.input_rate))
            await asyncio.sleep(0.01)
        (item_id,) = phone.ended
        assert session.transcript[0].text == "count to ten"
        phone.played = {item_id: 250.0}
        phone.line.played(item_id, 200)
        await session.send("stop")
        async for event in session:
            assert not isinstance(event, voicechat.Audio)
            if isinstance(event, voicechat.Interrupted):
                break
        assert event.heard_ms == 250
        assert phone.stops == 1
    await until(lambda: phone.closes == 1)


async def test_program_begins_and_ends_the_turn_of_a_card() -> None:
    phone = Telephone()
    async with (
        asyncio.timeout(20),
        scripted_server() as backend,
        voicechat.connect(
            "openai",
            base_url=backend.app.url,
            api_key=TOKEN,
            tools=[],
            settings=False,
            audio=phone,
            push_to_talk=True,
        ) as session,
    ):
        backend.stt.texts = ["what time is it"]
        session.start_turn()
        with pytest.raises(voicechat.UsageError, match="too short, so it was not sent"):
            session.end_turn()
        session.start_turn()
        for _ in range(20):
            phone.line.captured(tone(20, phone.line.input_rate))
            await asyncio.sleep(0.02)
        session.end_turn()
        await until(lambda: bool(phone.ended))
        assert session.transcript[0].text == "what time is it"


async def test_muted_and_closed_microphones_and_late_reports() -> None:
    found: list[sound.AudioEvent] = []
    phone = Telephone()
    link = CardLink(phone, sound.AudioSettings(input_rate=16_000, output_rate=24_000), found.append)
    assert (phone.line.input_rate, phone.line.output_rate) == (16_000, 24_000)
    phone.line.captured(b"\1\1" * 2_400)
    blocks = [event for event in found if isinstance(event, inputs.MicBlock)]
    assert [len(block.pcm) for block in blocks] == [3_200, 1_600]
    link.send(sound.Mute(True))
    phone.line.captured(b"\1\1")
    assert isinstance(found[-1], inputs.MicBlock)
    assert found[-1].pcm == b"\0\0"
    link.send(effects.CloseMic(True))
    phone.line.captured(b"\1\1")
    # Reports arrive later, in order, and the first of a message says that it began.
    count = len(found)
    phone.line.played("a", 20)
    phone.line.finished("a")
    link.send(effects.StopPlayback())
    assert len(found) == count
    await asyncio.sleep(0)
    assert [type(event) for event in found[count:]] == [
        sound.Opened,
        inputs.PlaybackStarted,
        inputs.Heard,
        inputs.PlaybackFinished,
        inputs.PlaybackStopped,
    ]
    await link.close()
    phone.line.played("a", 40)
    await asyncio.sleep(0)
    assert len(found) == count + 5
