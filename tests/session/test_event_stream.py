"""One publisher, many subscribers: bounded queues that do not affect each other."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest
from scripted import TOKEN, scripted_server
from session_driver import running_session

from voicechat.core import effects, events, inputs
from voicechat.core.items import Role
from voicechat.errors import SessionLost, UsageError
from voicechat.session.event_stream import Direction, EventStream, Overflow, RawFrame
from voicechat.session.frame_log import FrameLog, FrameTap
from voicechat.session.updates import LinkChanged


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class Word:
    text: str


class Shout(Word):
    """A subclass."""


def numbers(*values: int) -> list[object]:
    return [Number(value) for value in values]


def published(stream: EventStream, *values: int) -> None:
    for value in values:
        stream.publish(Number(value), float(value))


def test_every_subscriber_sees_every_event_in_order() -> None:
    stream = EventStream()
    first = stream.subscribe("first", limit=10, overflow=Overflow.CLOSE)
    second = stream.subscribe("second", limit=10, overflow=Overflow.CLOSE)
    published(stream, 1, 2, 3)
    assert first.pop_all() == numbers(1, 2, 3)
    assert first.take() is None
    assert second.take() == Number(1)
    assert second.pop_timed(1) == [(Number(2), 2.0)]
    assert len(second) == 1


def test_a_subscription_gets_the_classes_it_wants_and_their_subclasses() -> None:
    stream = EventStream()
    words = stream.subscribe("words", limit=10, overflow=Overflow.CLOSE, wants={Word})
    for event in (Word("a"), Number(1), Shout("b")):
        stream.publish(event, 0.0)
    assert words.pop_all() == [Word("a"), Shout("b")]
    assert stream.wanted(Shout)
    assert not stream.wanted(Number)


def test_frames_go_only_to_subscriptions_that_name_them() -> None:
    stream = EventStream()
    everything = stream.subscribe("everything", limit=10, overflow=Overflow.CLOSE)
    assert not stream.wanted(RawFrame)
    console = stream.subscribe("console", limit=10, overflow=Overflow.CLOSE, wants={RawFrame})
    assert stream.wanted(RawFrame)
    stream.publish(RawFrame(Direction.SENT, "{}", 1.0), 1.0)
    assert (len(everything), len(console)) == (0, 1)
    console.close()
    assert not stream.wanted(RawFrame)


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [
        (Overflow.DROP_OLDEST, (3, 4, 5), 2),
        (Overflow.DROP_NEWEST, (1, 2, 3), 2),
        (Overflow.CLOSE, (1, 2, 3), 1),
    ],
)
def test_a_full_queue_follows_its_policy_and_reports_the_loss(
    overflow: Overflow, kept: tuple[int, ...], dropped: int
) -> None:
    stream = EventStream()
    slow = stream.subscribe("slow", limit=3, overflow=overflow)
    fast = stream.subscribe("fast", limit=100, overflow=Overflow.CLOSE)
    published(stream, 1, 2, 3, 4, 5)
    assert (slow.pop_all(), slow.dropped) == (numbers(*kept), dropped)
    assert slow.overflowed is slow.closed is (overflow is Overflow.CLOSE)
    assert (fast.pop_all(), fast.dropped) == (numbers(1, 2, 3, 4, 5), 0)


def test_coalescing_keeps_the_last_of_equal_events() -> None:
    stream = EventStream()
    screen = stream.subscribe("screen", limit=6, overflow=Overflow.COALESCE)
    published(stream, 1, 2, 1, 2, 1, 2, 3)
    assert (screen.pop_all(), screen.dropped) == (numbers(1, 2, 3), 0)
    published(stream, *range(10, 20))
    assert screen.dropped > 0
    assert screen.pop_all()[-1] == Number(19)
    for _ in range(10):
        stream.publish([], 0.0)
    assert 0 < len(screen) <= 6, "events without a hash are never equal"


async def test_iteration_waits_and_ends_when_the_stream_closes() -> None:
    stream = EventStream()
    subscription = stream.subscribe("reader", limit=10, overflow=Overflow.CLOSE)
    seen: list[object] = []

    async def read() -> None:
        seen.extend([event async for event in subscription])

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    published(stream, 1)
    await asyncio.sleep(0)
    published(stream, 2, 3)
    stream.close()
    await asyncio.wait_for(reading, 5)
    assert seen == numbers(1, 2, 3)
    late = stream.subscribe("late", limit=1, overflow=Overflow.CLOSE)
    assert not await late.wait()


def test_a_wake_comes_once_until_the_queue_was_emptied() -> None:
    stream = EventStream()
    subscription = stream.subscribe("reader", limit=10, overflow=Overflow.CLOSE)
    wakes: list[int] = []
    subscription.wake = lambda: wakes.append(len(subscription))
    published(stream, 1, 2, 3)
    assert wakes == [1]
    subscription.pop_all()
    published(stream, 4)
    assert wakes == [1, 1]
    subscription.close()
    assert subscription.pop_all() == numbers(4), "what waits can still be taken"
    published(stream, 5)
    assert subscription.pop_all() == []


def test_a_thread_takes_everything() -> None:
    stream = EventStream()
    subscription = stream.subscribe("writer", limit=100_000, overflow=Overflow.CLOSE)
    ready, taken = threading.Event(), list[object]()
    subscription.wake = ready.set

    def run() -> None:
        while not subscription.closed or len(subscription):
            ready.wait(10)
            ready.clear()
            while batch := subscription.pop_timed(7):
                taken.extend(event for event, _ in batch)

    thread = threading.Thread(target=run)
    thread.start()
    published(stream, *range(20_000))
    stream.close()
    thread.join(10)
    assert taken == numbers(*range(20_000))


async def test_a_session_publishes_events_inputs_effects_updates_and_frames() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        everything = driver.session.subscribe("all", limit=10_000, overflow=Overflow.CLOSE)
        frames = driver.session.subscribe(
            "console", limit=10_000, overflow=Overflow.CLOSE, wants={RawFrame}
        )
        driver.session.type(f"my key is {TOKEN}")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        seen = everything.pop_all()
        for kind in (inputs.Typed, events.TextDelta, effects.EntryChanged, effects.FloorChanged):
            assert any(isinstance(event, kind) for event in seen), kind
        sent = [f for f in frames.pop_all() if isinstance(f, RawFrame)]
        assert {frame.direction for frame in sent} == {Direction.SENT, Direction.RECEIVED}
        text = "".join(str(frame.data) for frame in sent)
        assert "my key is ***" in text
        assert TOKEN not in text
    rest = everything.pop_all()
    assert any(isinstance(event, LinkChanged) for event in rest)
    assert everything.closed


async def test_an_event_of_the_user_is_checked_sent_and_seen() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        session = driver.session
        log = FrameLog()
        tap = FrameTap(session, log)
        assert "response.create" in {each.name for each in session.client_events}
        with pytest.raises(UsageError, match=r"Did you mean response\.create"):
            session.send_event('{"type": "response.creat"}')
        session.send_event('{"type": "input_audio_buffer.clear", "event_id": "mine"}')
        session.type("hello")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        tap.take()
        types = [row.facts.type for row in log.rows]
        assert types.index("input_audio_buffer.clear") < types.index("conversation.item.create")
        [cleared] = (row for row in log.rows if row.facts.type == "input_audio_buffer.cleared")
        mine = log.row(cleared.pair or 0)
        assert mine is not None
        assert mine.facts.event_id == "mine"
        answer = next(entry for entry in session.transcript.entries if entry.item_id != "typed_1")
        assert {row.facts.type for row in log.rows_of(answer.item_id)} >= {
            "response.output_item.added", "response.output_text.delta", "response.output_text.done",
        }  # fmt: skip
    assert session.client_events == ()
    with pytest.raises(SessionLost, match="no connection"):
        session.send_event('{"type": "response.create"}')
