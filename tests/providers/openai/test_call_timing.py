"""The sound of a call with events that come late: random stalls of the data channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from voicechat.core.commands import TruncateItem
from voicechat.core.events import AudioDelta, AudioDone, Event, ResponseDone
from voicechat.errors import Secret
from voicechat.providers.openai.call_codec import CallCodec
from voicechat.providers.openai.openai_codec import GENERAL

LATENCY = 3
"""Blocks of 20 ms from the provider to the codec."""
Timed = list[tuple[int, str]]


def block(number: int) -> bytes:
    """Return 20 ms of sound that tell its number; 0 is silence."""
    return np.full(480, 500 + number if number else 0, "<i2").tobytes()


def reply(number: int, begin: int, blocks: int) -> Timed:
    """Return the events of a reply whose sound begins and lasts so many blocks."""
    response, item = {"response_id": f"r{number}"}, {"item_id": f"i{number}", "content_index": 0}
    text = "response.output_audio_transcript"
    done = {"id": f"r{number}", "status": "completed"}
    return [
        (at, json.dumps({"type": kind, **fields}))
        for at, kind, fields in (
            (begin, "response.created", {"response": {"id": f"r{number}"}}),
            (begin, f"{text}.delta", {**response, **item, "delta": "Hello."}),
            (begin, "output_audio_buffer.started", response),
            (begin + blocks // 3, "response.output_audio.done", {**response, **item}),
            (begin + blocks // 3, "response.done", {"response": done}),
            (begin + blocks, "output_audio_buffer.stopped", response),
        )
    ]


def late(events: Timed, choose: Random, most: int = 100) -> Timed:
    """Return the events in their order, at most so many late, with all behind them."""
    found, at = [], 0
    for due, frame in events:
        stall = choose.randrange(10, 120) if most and choose.random() < 0.15 else 0
        most -= bool(stall)
        at = max(at + choose.choice((0, 0, 1)), due + LATENCY + stall)
        found.append((at, frame))
    return found


def talk(choose: Random) -> Iterator[tuple[list[int], list[Event]]]:
    """Yield the blocks of each reply and the events of the whole talk until the next one."""
    codec = CallCodec("wss://api.openai.com/v1/realtime?model=m", "m", Secret("key"), GENERAL)
    at, sound, events, sent = 20, {}, [], []
    for number in range(4):
        blocks = choose.randrange(15, 150)
        sent.append([*range(1 + 200 * number, 1 + 200 * number + blocks)])
        sound |= {at + LATENCY + place: which for place, which in enumerate(sent[-1])}
        events += reply(number, at, blocks)
        # The next one comes when this one is over for the client, too.
        at += blocks + 200 + choose.randrange(100)
    frames = late(events, choose)
    found: list[Event] = []
    for now in range(at + 200):
        while frames and frames[0][0] <= now:
            found += codec.decode(frames.pop(0)[1])
        found += codec.decode(block(sound.get(now, 0)))
    for number, blocks_of in enumerate(sent):
        yield blocks_of, [e for e in found if getattr(e, "response_id", "") == f"r{number}"]


@pytest.mark.parametrize("seed", range(15))
def test_all_sound_is_heard_once_under_its_item_and_then_the_response_ends(seed: int) -> None:
    for sent, events in talk(Random(seed)):
        heard = [int(np.frombuffer(e.pcm, "<i2")[0]) for e in events if isinstance(e, AudioDelta)]
        assert [value - 500 for value in heard if value] == sent
        assert [type(event) for event in events[-2:]] == [AudioDone, ResponseDone]
        assert sum(isinstance(event, ResponseDone) for event in events) == 1


def cut_talk(choose: Random) -> tuple[list[Event], list[Event], list[int]]:
    """Cut a reply; return the events after the cut, those of the next reply and its blocks."""
    codec = CallCodec("wss://api.openai.com/v1/realtime?model=m", "m", Secret("key"), GENERAL)
    at, cut_at = 20, 20 + choose.randrange(20, 60)
    # The provider plays on until it receives the clear, and its sound is on the way until then.
    over = cut_at + choose.randrange(2, 80)
    first = [event for event in reply(0, at, 600) if event[0] <= over]
    cleared = json.dumps({"type": "output_audio_buffer.cleared", "response_id": "r0"})
    again = over + choose.randrange(15, 60)
    sent = [*range(1_001, 1_001 + choose.randrange(15, 100))]
    sound = {now + LATENCY: now for now in range(at, over)}
    sound |= {again + LATENCY + place: value for place, value in enumerate(sent)}
    second = late([(over, cleared), *reply(1, again, len(sent))], choose, most=1)
    frames = [*[(due + LATENCY, frame) for due, frame in first], *second]
    found: list[Event] = []
    after: list[Event] = []
    for now in range(again + 600):
        if now == cut_at:
            codec.encode(TruncateItem("i0", 100))
            after, found = found, after
        while frames and frames[0][0] <= now:
            found += codec.decode(frames.pop(0)[1])
        found += codec.decode(block(sound.get(now, 0)))
    return found, [e for e in found if getattr(e, "response_id", "") == "r1"], sent


@pytest.mark.parametrize("seed", range(15))
def test_nothing_of_a_cut_reply_is_heard_and_all_of_the_next_one(seed: int) -> None:
    after, events, sent = cut_talk(Random(seed))
    heard = [int(np.frombuffer(e.pcm, "<i2")[0]) for e in events if isinstance(e, AudioDelta)]
    assert [value - 500 for value in heard if value] == sent
    of_the_cut = [event for event in after if isinstance(event, AudioDelta) and event not in events]
    assert of_the_cut == []
    assert sum(isinstance(event, ResponseDone) for event in events) == 1
