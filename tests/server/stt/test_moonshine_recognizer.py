"""Cuts and cleanup of the recognizer, without the model."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from voicechat.server.stt.moonshine_model import read_tokens
from voicechat.server.stt.moonshine_recognizer import cleaned, quietest
from voicechat.server.worker_lanes import WorkerLane


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


def test_tokens_with_long_texts_are_read() -> None:
    long = b"x" * 300
    content = bytes([1]) + b"a" + bytes([128 + 300 % 128, 300 // 128]) + long + bytes([0])
    assert read_tokens(content) == [b"a", long, b""]


async def test_a_waiter_with_priority_goes_first_and_a_cancelled_one_blocks_nothing() -> None:
    turns = WorkerLane("stt", 0)
    order: list[str] = []

    async def take(name: str, priority: int) -> None:
        async with turns.turn(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with turns.turn(1):
        tasks = [
            asyncio.create_task(take(name, priority))
            for name, priority in (("growing", 1), ("cancelled", 0), ("paused", 0), ("later", 1))
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["paused", "growing", "later"]
