"""The playout of a call: what started and stopped, and what was heard of each item."""

from __future__ import annotations

import asyncio

from voicechat.server.webrtc.call_playout import MOST_S, RATE, CallPlayout


class Output:
    """Sends what it has when the test says so."""

    def __init__(self) -> None:
        self.sent_s = self.queued_s = 0.0

    def write(self, pcm: bytes) -> None:
        self.queued_s += len(pcm) / 2 / RATE

    def clear(self) -> float:
        dropped, self.queued_s = self.queued_s, 0.0
        return dropped

    def send(self, seconds: float) -> None:
        seconds = min(seconds, self.queued_s)
        self.sent_s += seconds
        self.queued_s -= seconds


def sound(seconds: float) -> bytes:
    return bytes(round(seconds * RATE) * 2)


def test_a_response_starts_with_its_sound_and_stops_after_it() -> None:
    output = Output()
    playout = CallPlayout(output)
    playout.add("one", "a", sound(0.5))
    assert playout.advance() == []
    output.send(0.02)
    assert playout.advance() == [("started", "one")]
    output.send(1)
    assert playout.advance() == []  # more may come
    playout.add("one", "b", sound(0.1))
    playout.end("one")
    assert playout.advance() == []
    output.send(1)
    assert playout.advance() == [("stopped", "one")]
    assert playout.advance() == []
    assert playout.clear() == (None, [])


def test_responses_follow_each_other() -> None:
    output = Output()
    playout = CallPlayout(output)
    playout.add("one", "a", sound(0.1))
    playout.end("one")
    playout.add("two", "b", sound(0.1))
    playout.end("two")
    playout.end("silent")
    output.send(0.12)
    assert playout.advance() == [("started", "one"), ("stopped", "one"), ("started", "two")]
    output.send(1)
    assert playout.advance() == [("stopped", "two")]


def test_a_clear_tells_what_was_heard_of_each_item() -> None:
    output = Output()
    playout = CallPlayout(output)
    playout.add("one", "a", sound(0.3))
    output.send(1)
    playout.advance()
    playout.add("one", "a", sound(0.3))
    playout.add("one", "b", sound(0.3))
    output.send(0.1)
    playout.advance()
    response_id, items = playout.clear()
    assert response_id == "one"
    assert [(item, round(ms)) for item, ms in items] == [("a", 400), ("b", 0)]
    assert output.queued_s == 0
    playout.end("one")
    assert playout.advance() == []
    playout.add("two", "c", sound(0.3))
    output.send(0.02)
    assert playout.advance() == [("started", "two")]


async def test_much_waiting_sound_makes_the_voice_wait() -> None:
    output = Output()
    playout = CallPlayout(output)
    playout.add("one", "a", sound(MOST_S))
    await playout.wait_for_space()
    playout.add("one", "a", sound(1))
    waiting = asyncio.create_task(playout.wait_for_space())
    await asyncio.sleep(0)
    assert not waiting.done()
    output.send(2)
    playout.advance()
    await waiting
