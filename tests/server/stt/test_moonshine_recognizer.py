"""Cuts and cleanup of the recognizer, without the model."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

from voicechat.server.stt import moonshine_recognizer
from voicechat.server.stt.moonshine_model import Features, TokenTexts
from voicechat.server.stt.moonshine_recognizer import (
    MoonshineRecognizer,
    cleaned,
    leveled,
    quietest,
)
from voicechat.server.worker_lanes import WorkerLane
from voicechat.speech.vad import VAD_RATE


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("You", ""),
        ("you.", ""),
        ("You too.", "You too."),
        ("Thank you.", "Thank you."),
        ("♪", ""),
        ("♪ la la ♪", "la la"),
        ("...", ""),
        ("?", ""),
        ("No.", "No."),
        ("To-morrow or to-day, not to-night.", "Tomorrow or today, not tonight."),
    ],
)
def test_what_the_model_writes_for_noise_is_dropped(text: str, kept: str) -> None:
    assert cleaned(text) == kept


def test_you_within_an_utterance_is_kept() -> None:
    assert cleaned("You", alone=False) == "You"


def test_the_cut_is_in_the_quietest_moment() -> None:
    sound = np.ones(16_000, np.float32)
    sound[9_600:11_200] = 0.0
    assert quietest(sound, 4_800) == pytest.approx(10_400, abs=1_600)


@pytest.mark.parametrize("level", [0.001, 0.05, 0.9])
def test_every_voice_reaches_the_model_at_the_same_level(level: float) -> None:
    tone = np.sin(np.arange(VAD_RATE, dtype=np.float32) / 5)
    quiet = np.concatenate((np.zeros(VAD_RATE, np.float32), np.float32(level) * tone))
    heard = leveled(quiet)
    assert heard.dtype == np.float32
    assert float(np.abs(heard).max()) == pytest.approx(0.28 if level > 0.002 else 0.1, abs=0.01)


def test_silence_is_not_made_louder() -> None:
    assert not leveled(np.zeros(VAD_RATE, np.float32)).any()
    assert not leveled(np.zeros(10, np.float32)).any()


class CountingModel:
    """A model that notes how much sound it hears at once."""

    def __init__(self, *_: object) -> None:
        self.seconds: list[float] = []
        self.most = self._now = 0
        self.meeting = threading.Barrier(1)

    def encode(self, sound: np.ndarray) -> Features:
        self.seconds.append(len(sound) / VAD_RATE)
        self._now += 1
        self.most = max(self.most, self._now)
        with suppress(threading.BrokenBarrierError):
            self.meeting.wait(0.2)
        self._now -= 1
        return Features({}, 8)

    def transcribe(self, *_: object) -> list[int]:
        return []

    def text(self, tokens: list[int]) -> str:
        return ""

    def begins_word(self, token: int) -> bool:
        return True


JOB = SimpleNamespace(cancelled=False)


def decoded(recognizer: MoonshineRecognizer, number: int, seconds: int) -> None:
    pcm = bytes(2 * VAD_RATE * seconds)
    left = recognizer.decode(JOB, number, 0, pcm, True, 2)[2]
    while left:
        left = recognizer.decode(JOB, number, len(pcm), b"", True, 2)[2]


@pytest.mark.parametrize(("options", "longest_s"), [({}, 14.3), ({"longest_s": 10.0}, 10.3)])
def test_the_model_hears_no_more_at_once(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, float], longest_s: float
) -> None:
    monkeypatch.setattr(moonshine_recognizer, "MoonshineModel", CountingModel)
    recognizer = MoonshineRecognizer("", 6.5, **options)
    decoded(recognizer, 1, 47)
    heard = recognizer._model.seconds[1:]
    assert max(heard) <= longest_s
    assert sum(heard) == pytest.approx(47 + 0.3 * len(heard))


@pytest.mark.parametrize(("encoders", "most"), [(1, 1), (None, 2)])
def test_so_many_lanes_encode_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch, encoders: int | None, most: int
) -> None:
    monkeypatch.setattr(moonshine_recognizer, "MoonshineModel", CountingModel)
    recognizer = MoonshineRecognizer("", encoders=encoders)
    recognizer._model.meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as lanes:
        list(lanes.map(lambda number: decoded(recognizer, number, 1), (1, 2)))
    assert recognizer._model.most == most


def test_freed_memory_goes_back_after_each_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[None] = []
    monkeypatch.setattr(moonshine_recognizer, "MoonshineModel", CountingModel)
    monkeypatch.setattr(moonshine_recognizer, "release_memory", lambda: given_back.append(None))
    recognizer = MoonshineRecognizer("")
    for number in (1, 2):
        decoded(recognizer, number, 1)
    recognizer.drop(JOB, 1)  # while another is open: in a recording, one always is
    assert len(given_back) == 1
    recognizer.drop(JOB, 1)
    assert len(given_back) == 1


def test_tokens_with_long_texts_are_read() -> None:
    long = b"x" * 300
    content = bytes([1]) + b"a" + bytes([128 + 300 % 128, 300 // 128]) + long + bytes([0])
    found = TokenTexts(content)
    assert [found.text(token) for token in range(len(found))] == [b"a", long, b""]


async def test_a_waiter_with_priority_goes_first_and_a_cancelled_one_blocks_nothing() -> None:
    turns = WorkerLane("stt", 0)
    order: list[str] = []

    async def take(name: str, priority: int) -> None:
        async with turns.turn(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with turns.turn(1):
        assert not turns.is_wanted
        tasks = [
            asyncio.create_task(take(name, priority))
            for name, priority in (("growing", 1), ("cancelled", 0), ("paused", 0), ("later", 1))
        ]
        await asyncio.sleep(0)
        assert turns.is_wanted
        tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["paused", "growing", "later"]
    assert not turns.is_wanted
