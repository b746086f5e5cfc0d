"""Reported playout positions against what left the speaker, however playback ended.

Each item is a slope at a level of its own, so that any two milliseconds of the speaker identify the
item and the position in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_card import Sound, Stall
from simulated_speaker import SimulatedSpeaker

from voicechat.audio.devices import streams as card_module
from voicechat.audio.messages import AudioEvent
from voicechat.core.effects import EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStopped

BLOCK_MS = 10
RUN_MS = 2
"""Length of unchanged sound in ms that identifies a position."""
RISE_MS = 12
"""On another device the first sound fades in and its edges ring: none of it is readable."""
FOOT, STEP, CLIMB = 1_000, 3_700, 3_000
HEIGHTS = 8


@dataclass(frozen=True)
class ScriptedItem:
    """An item in equal chunks with steps of 10 ms after each, then an action."""

    ms: int
    pauses: tuple[int, ...]
    then: str
    wait: int


@dataclass
class FractionalReader:
    """Reads the speaker's blocks into `heard_ms` of each item."""

    length_ms: dict[int, int] = field(default_factory=dict)
    heard_ms: dict[int, float] = field(default_factory=dict)
    unheard: set[int] = field(default_factory=set)
    newest: int = 0

    def slope(self, number: int, ms: int, rate: int) -> bytes:
        """Return the sound of an item."""
        self.length_ms[number] = ms
        rise = CLIMB * np.arange(ms * rate // 1000) / (ms * rate // 1000)
        return (FOOT + STEP * (number % HEIGHTS) + rise).round().astype(np.int16).tobytes()

    def read(self, block: Sound) -> None:
        """Read the next 10 ms of the speaker."""
        coming = range(self.newest, len(self.length_ms))
        for number in [number for number in coming if number not in self.unheard][:HEIGHTS]:
            place = self._place(block.astype(np.int32), number)
            if place is not None:
                self.newest = number
                self.heard_ms[number] = max(self.heard_ms.get(number, 0.0), place)

    def _place(self, block: np.ndarray, number: int) -> float | None:
        """Return the last unchanged ms of the item, if there are any."""
        ms, rate = self.length_ms[number], len(block) * 100
        foot = FOOT + STEP * (number % HEIGHTS)
        per_ms = CLIMB / ms
        run = RUN_MS * rate // 1000
        steps = np.diff(block)
        good = (steps >= -2) & (steps <= 2 * per_ms * 1000 / rate + 2)
        good &= (block[1:] >= foot - 2) & (block[1:] <= foot + CLIMB + 2)
        runs = np.flatnonzero(np.convolve(good, np.ones(run, np.int64), "valid") == run)
        for end in runs[::-1] + run:
            climbed = block[end] - block[end - run]
            if abs(climbed - RUN_MS * per_ms) < 0.8 * per_ms + 2:
                return min(ms, float(block[end] - foot) / per_ms)
        return None


class Listener:
    """Compares each reported position with the reader."""

    def __init__(self, card: SimulatedSpeaker) -> None:
        self.card = card
        self.reader = FractionalReader()
        self.stopped: dict[int, float] = {}
        self.finished: set[int] = set()
        self.within_ms = BLOCK_MS + RUN_MS
        self._seen = self._read = 0

    @property
    def over(self) -> bool:
        return len(self.stopped) + len(self.finished) == len(self.reader.length_ms)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self.card.run(BLOCK_MS / 1000)
            for block in self.card.spoken[self._read :]:
                self.reader.read(block)
            self._read = len(self.card.spoken)
            for _, event in self.card.events[self._seen :]:
                self._compare(event)
            self._seen = len(self.card.events)

    def finish(self) -> None:
        for _ in range(60):
            if self.over:
                break
            self.advance(10)
        assert self.over, "every item is reported as finished or stopped"
        self.advance(30)
        reported = {**self.stopped, **{n: self.reader.length_ms[n] for n in self.finished}}
        for number, ms in reported.items():
            actual = self.reader.heard_ms.get(number, 0.0)
            assert ms == pytest.approx(actual, abs=self.within_ms), f"{number} at the end"

    def _compare(self, event: AudioEvent) -> None:
        match event:
            case Heard(item_id, ms):
                actual = self.reader.heard_ms.get(int(item_id), 0.0)
                assert ms == pytest.approx(actual, abs=self.within_ms), f"{item_id} while it plays"
            case PlaybackStopped(heard):
                assert not self.finished & {int(item) for item in heard}
                self.stopped.update({int(item): ms for item, ms in heard.items()})
                self.reader.unheard.update(int(item) for item, ms in heard.items() if not ms)
            case PlaybackFinished(item_id):
                assert int(item_id) not in self.stopped
                self.finished.add(int(item_id))


def play(listener: Listener, number: int, said: ScriptedItem, rate: int) -> None:
    card = listener.card
    sound = listener.reader.slope(number, said.ms, rate)
    size = -(-len(sound) // len(said.pauses)) | 1
    for part, pause in enumerate(said.pauses):
        card.engine.command(Play(str(number), sound[part * size : (part + 1) * size]))
        listener.advance(pause)
    card.engine.command(EndItem(str(number)))
    listener.advance(said.wait)
    match said.then:
        case "stop":
            card.engine.command(StopPlayback())
            listener.advance(30)
        case "false alarm":
            card.interrupt()
            listener.advance(said.wait)
            card.engine.command(ResumePlayback())
        case "barge-in":
            card.interrupt()
            listener.advance(said.wait)
            card.engine.command(StopPlayback())
            listener.advance(30)
        case "move":
            listener.within_ms = BLOCK_MS + RISE_MS
            card.move(48_000 if card.device_rate == 16_000 else 16_000)
            listener.advance(said.wait)


items = st.builds(
    ScriptedItem,
    st.sampled_from([150, 300, 500]),
    st.sampled_from([(0,), (0,), (0, 0, 0), (4, 0, 0), (0, 12, 3), (20, 0, 9)]),
    st.sampled_from(["", "", "stop", "false alarm", "barge-in", "move"]),
    st.integers(0, 40),
)


@given(
    st.sampled_from((8_000, 16_000, 24_000)),
    st.sampled_from((16_000, 24_000, 44_100, 48_000)),
    st.sampled_from((0, 20, 60, 110, 200)),
    st.lists(items, min_size=1, max_size=5),
    st.lists(st.builds(Stall, st.floats(0.2, 2), st.floats(0.02, 0.3), st.just("engine"))),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=6),
)
def test_reported_positions_were_heard(
    rate: int,
    device_rate: int,
    latency_ms: int,
    said: list[ScriptedItem],
    stalls: list[Stall],
    lags: list[tuple[int, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card_module, "_MIXED_S", 0.0)
        card = SimulatedSpeaker(patch, rate, device_rate, latency_ms, stalls, lags)
        listener = Listener(card)
        for number, item in enumerate(said):
            play(listener, number, item, rate)
        listener.finish()


def test_a_stop_while_the_device_is_still_falling_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_module, "_MIXED_S", 0.0)
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 200, lags=[(0, 50)])
    listener = Listener(card)
    card.engine.command(Play("0", listener.reader.slope(0, 2_000, 24_000)))
    listener.advance(80)
    card.interrupt()
    card.engine.command(ResumePlayback())
    listener.advance(40)
    card.engine.command(StopPlayback())
    listener.finish()


def test_a_device_with_a_large_buffer_is_silent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 200)
    listener = Listener(card)
    card.engine.command(Play("0", listener.reader.slope(0, 2_000, 24_000)))
    listener.advance(80)
    card.engine.command(StopPlayback())
    listener.advance(2)
    assert not card.spoken[-1].any()
    listener.finish()


def test_speech_confirmed_while_the_buffer_is_discarded_is_followed_by_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(card_module, "_MIXED_S", 0.0)
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 200, lags=[(0, 5)])
    listener = Listener(card)
    card.engine.command(Play("0", listener.reader.slope(0, 2_000, 24_000)))
    listener.advance(80)
    card.engine._discard_large_buffer()  # as on suspected speech
    listener.advance(3)
    assert card.spoken[-1].any(), "the buffer is full again"
    card.interrupt()
    listener.advance(5)
    assert not card.spoken[-1].any()
    card.engine.command(StopPlayback())
    listener.finish()


def test_a_device_that_reports_less_latency_after_a_discard_is_silent_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(card_module, "_MIXED_S", 0.0)
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 200)
    listener = Listener(card)
    card.engine.command(Play("0", listener.reader.slope(0, 2_000, 24_000)))
    listener.advance(80)
    card.engine._discard_large_buffer()
    listener.advance(10)
    assert card.spoken[-1].any()
    card.engine._streams.speaker.latency = 0.02  # as PulseAudio after a restart
    card.interrupt()
    listener.advance(3)
    assert not card.spoken[-1].any()
    card.engine.command(StopPlayback())
    listener.finish()


def test_sound_left_in_a_stuck_device_is_played_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck = [Stall(0.8, 0.4, "speaker")]
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 300, stuck)
    listener = Listener(card)
    card.engine.command(Play("0", listener.reader.slope(0, 1_500, 24_000)))
    card.engine.command(EndItem("0"))
    listener.advance(92 - round(card.elapsed * 100))
    before = listener.reader.heard_ms[0]
    card.move(24_000)
    listener.finish()
    whole = [block for block in card.spoken if block.all()]
    assert len(whole) * BLOCK_MS == pytest.approx(1_500, abs=2 * BLOCK_MS), "nothing is left out"
    assert before < 1_000


def test_many_stops_do_not_look_like_a_device_without_a_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 200)
    listener = Listener(card)
    for number in range(12):
        sound = listener.reader.slope(number, 500, 24_000)
        card.engine.command(Play(str(number), sound))
        listener.advance(12)
        card.interrupt()
        card.engine.command(StopPlayback())
    listener.finish()
