"""Two streams stay aligned, whichever of them loses frames."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.far_end import PLAYED, FarEnd, SampleQueue
from voicechat.audio.devices.streams import SampleRing
from voicechat.speech.pcm import Samples

RATE = 16_000
STEP_S = 0.01


class Streams:
    """Both sides carry their time in milliseconds as samples, so each frame shows its time."""

    def __init__(self, jitter_s: float = 0.0, early: int = 0, microphone_steps: int = 1) -> None:
        """microphone_steps: steps from one block of the microphone to the next."""
        self._early_s = early * STEP_S
        self._microphone_steps = microphone_steps
        self._block = np.zeros(0, np.int16)
        self._late = np.random.default_rng(3).uniform(0, jitter_s, 2_000)
        self.microphone, self.speaker = SampleRing(RATE), SampleRing(RATE)
        self.far = FarEnd(RATE, RATE)
        self.near = SampleQueue()
        self.step = 0
        self.apart: list[int] = []
        self.noticed = self.waits = self.silent = 0

    def run(
        self, steps: int, *, hears: bool = True, plays: bool = True, reported: bool = True
    ) -> None:
        """Advance time; a stalled side loses its frames, and reports it if `reported`."""
        for _ in range(steps):
            self.step += 1
            now = self.step * STEP_S
            for ring, runs in ((self.speaker, plays), (self.microphone, hears)):
                block = np.full(FRAME, self.step, np.int16)
                if runs and ring is self.microphone:
                    self._hear(block, now + self._late[self.step])
                elif runs:
                    ring.write(block, now)
                elif reported:
                    ring.drops += 1
            self.hand_over()
            self.take()

    def _hear(self, frames: Samples, called_at: float) -> None:
        self._block = np.concatenate((self._block, frames))
        if len(self._block) == self._microphone_steps * FRAME:
            self.microphone.write(self._block, called_at)
            self._block = np.zeros(0, np.int16)

    def run_in_bursts(self, bursts: int, *, late: int = 0, sounds: bool = True) -> None:
        """Advance time by 60 ms for each burst, as PulseAudio asks for sound; each comes late."""
        for _ in range(bursts):
            first = self.step + 1
            for _ in range(6):
                self.step += 1
                now = self.step * STEP_S
                self.microphone.write(np.full(FRAME, self.step, np.int16), now)
                if self.step == first + late:
                    for number in range(first, first + 6):
                        block = np.full(FRAME, number if sounds else 0, np.int16)
                        self.speaker.write(block, now - 0.06 + (number - first + 1) * STEP_S)
                self.hand_over()
                self.take()

    def hand_over(self) -> None:
        while (played := self.speaker.read(FRAME)) is not None:
            self.far.put(played)
        while (heard := self.microphone.read(FRAME)) is not None:
            self.near.put(heard)
        self.far.align(len(self.near), self._early_s)
        self.noticed += self.far.track(self.microphone, len(self.near), self.speaker)

    def take(self) -> None:
        while True:
            if len(self.near) >= FRAME and self.far.is_late(len(self.near)):
                self.waits += 1
                return
            if (near := self.near.take(FRAME)) is None:
                return
            far = self.far.next(0.0)
            self.silent += not far.any()
            if far[80]:
                self.apart.append(int(near[80]) - int(far[80]))


def test_aligned_streams_stay_aligned() -> None:
    streams = Streams()
    streams.run(500)
    assert len(set(streams.apart)) == 1
    assert not streams.noticed


@pytest.mark.parametrize("reported", [True, False])
@pytest.mark.parametrize("side", ["hears", "plays"])
@pytest.mark.parametrize("microphone_steps", [1, 2])
def test_losses_are_compensated(side: str, microphone_steps: int, reported: bool) -> None:
    streams = Streams(microphone_steps=microphone_steps)
    streams.run(200)
    before = streams.apart[-1]
    streams.run(8, reported=reported, **{side: False})
    streams.run(60 if reported else 70 + 50 * microphone_steps)
    streams.apart.clear()
    streams.run(100)
    assert len(streams.apart) >= 90
    assert all(abs(apart - before) <= 1 for apart in streams.apart), "of eight"
    assert streams.noticed


def test_a_late_callback_changes_nothing() -> None:
    streams = Streams()
    streams.run(200)
    before = streams.apart[-1]
    for ring in (streams.microphone, streams.speaker):
        ring.write(np.full(FRAME, streams.step + 1, np.int16), (streams.step + 4) * STEP_S)
    streams.step += 1
    streams.run(200)
    assert streams.apart[-1] == before
    assert not streams.noticed


def test_waiting_for_unavailable_early_sound_ends() -> None:
    streams = Streams()
    streams.run(100)
    streams.speaker.write(np.full(FRAME, 1, np.int16), (streams.step + 3) * STEP_S)
    streams.run(300, hears=True)
    noticed = streams.noticed
    streams.run(300)
    assert streams.noticed == noticed, "it settles"


@pytest.mark.parametrize("lost", [1, 2, 7])
def test_the_loss_of_whole_blocks_is_compensated_to_the_sample(lost: int) -> None:
    streams = Streams(jitter_s=0.02)
    streams.run(300)
    before = streams.apart[-1], len(streams.far._queue)
    streams.run(lost, hears=False, reported=False)
    streams.run(150)
    assert (streams.apart[-1], len(streams.far._queue)) == before
    assert streams.noticed


@pytest.mark.parametrize(("buffer", "early"), [(12, 0), (25, 0), (25, 15), (40, 0), (50, 30)])
@pytest.mark.parametrize("stops", [1, 2])
@pytest.mark.parametrize("is_late", [False, True])
def test_sound_that_is_discarded_on_purpose_is_no_loss(
    buffer: int, early: int, stops: int, *, is_late: bool
) -> None:
    streams = Streams(early=early)
    streams.run(300)
    before, now = streams.apart[-1], streams.step * STEP_S
    for _ in range(stops):
        ring = streams.speaker
        ring.discarded = ring.mark[0], ring.discarded[1] + buffer * FRAME
        ring.write(np.full(buffer * FRAME, 999, np.int16), now)
        if not is_late:
            streams.hand_over()
    streams.hand_over()
    played = streams.far.played
    assert int(played[(played > 0) & (played < 999)][-1]) == streams.step - buffer
    streams.run(150)
    assert streams.apart[-1] == pytest.approx(before, abs=1)
    assert not streams.noticed


@pytest.mark.parametrize("steps", [18, 20, 40, 300])
@pytest.mark.parametrize("unread", [0, 1, 8])
@pytest.mark.parametrize("drops", [0, 1])
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_discard_moves_the_far_end_as_soon_as_the_refill_is_read(
    steps: int, unread: int, drops: int, at_once: int
) -> None:
    streams = Streams(early=15)
    streams.microphone.drops = drops
    streams.run(steps)
    before = streams.apart[-1]
    for _ in range(2):
        for _ in range(at_once):
            ring = streams.speaker
            ring.discarded = ring.mark[0], ring.discarded[1] + 25 * FRAME
            ring.write(np.full(25 * FRAME, 999, np.int16), streams.step * STEP_S)
            for _ in range(unread):  # the callback came after the ring was read
                streams.far.track(streams.microphone, len(streams.near), ring)
        streams.apart.clear()
        streams.run(150)
        apart = {each for each in streams.apart if each > -300}  # the refill shows no time
        assert apart
        assert apart <= {before - 1, before, before + 1}
    assert not streams.noticed


@pytest.mark.parametrize("seed", range(40))
def test_the_past_stays_as_long_as_it_is_whatever_is_lost(seed: int) -> None:
    chance = np.random.default_rng(seed)
    streams = Streams()
    streams.run(300)
    for _ in range(12):
        streams.run(int(chance.integers(1, 30)), hears=chance.random() < 0.7, reported=False)
        for _ in range(chance.integers(0, 60)):  # the loop waits for a late callback
            streams.step += 1
            streams.hand_over()
        streams.run(int(chance.integers(1, 40)), plays=chance.random() < 0.7, reported=False)
        assert len(streams.far.played) == PLAYED


def test_what_was_heard_before_a_discard_stays_in_its_place() -> None:
    streams = Streams()
    streams.run(301)
    heard = streams.step - 25
    streams.speaker.discarded = streams.speaker.mark[0], 25 * FRAME
    streams.speaker.write(np.full(25 * FRAME, 999, np.int16), streams.step * STEP_S)
    streams.run(10)
    played = streams.far.played
    refill = int(np.flatnonzero(played == 999)[0])
    assert PLAYED - refill == pytest.approx(33 * FRAME, abs=2 * FRAME)
    assert played[refill - 1] == heard
    assert not np.isin(played, range(heard + 1, heard + 26)).any(), "it was never heard"


def test_a_loss_beside_a_discard_is_noticed() -> None:
    streams = Streams()
    streams.run(300)
    streams.speaker.discarded = streams.speaker.mark[0], 25 * FRAME
    streams.run(8, plays=False)
    streams.run(150)
    assert streams.noticed


def test_a_far_end_that_is_early_is_moved_although_nothing_waits() -> None:
    far = FarEnd(RATE, RATE)
    for number in range(1, 4):
        far.put(np.full(FRAME, number, np.int16))
        far.next(0.0)
    far._shift(FRAME, -2 * FRAME)
    assert far.shifted == FRAME
    assert far.next(0.0).any(), "it plays again what came before"


def test_the_microphone_waits_for_a_callback_of_the_speaker_that_is_late() -> None:
    streams = Streams()
    streams.run(300)
    before = streams.apart[-1]
    streams.apart.clear()
    streams.silent = 0
    for late in (0, 1, 3, 0, 2, 3) * 4:
        streams.run_in_bursts(1, late=late)
    streams.run_in_bursts(30)
    assert set(streams.apart) == {before}
    assert not streams.silent
    assert streams.waits


def test_sound_that_comes_too_late_is_left_out_and_nothing_is_moved() -> None:
    streams = Streams()
    streams.run(300)
    before = streams.apart[-1]
    streams.silent = 0
    for _ in range(14):
        streams.step += 1
        now = streams.step * STEP_S
        streams.microphone.write(np.full(FRAME, streams.step, np.int16), now)
        streams.hand_over()
        streams.take()
    for number in range(streams.step - 13, streams.step + 1):
        streams.speaker.write(np.full(FRAME, number, np.int16), number * STEP_S)
    assert streams.silent
    streams.apart.clear()
    streams.run(300)
    assert set(streams.apart) == {before}


def test_the_far_end_comes_later_in_silence_so_that_nothing_has_to_wait() -> None:
    streams = Streams()
    streams.run_in_bursts(40, sounds=False)
    assert streams.far.later > 0
    streams.waits = streams.silent = 0
    streams.run_in_bursts(40)
    assert not streams.waits
    assert len(set(streams.apart)) == 1
    later = streams.far.later
    assert later + len(streams.far._queue) < 10 * FRAME, "no later than needed"


def test_a_far_end_comes_no_later_than_its_echo() -> None:
    far = FarEnd(RATE, RATE)
    far.put(np.zeros(FRAME, np.int16))
    far.align(FRAME)
    for _ in range(20):
        far.next(0.0, 3 * FRAME)
    assert not far.later


def test_what_cannot_be_moved_is_told() -> None:
    far = FarEnd(RATE, RATE)
    far.put(np.ones(30 * FRAME, np.int16))
    while not far.shifted:
        far._shift(-23 * FRAME, 19 * FRAME + 80)
    assert far.shifted == -19 * FRAME
    assert far.later == 4 * FRAME


def test_sound_that_waits_is_no_silence() -> None:
    far = FarEnd(RATE, RATE)
    far.put(np.zeros(20 * FRAME, np.int16))
    far.align(FRAME)
    for _ in range(2):
        far.next(0.0)
    assert far.silent_frames == 2
    quiet_db = far.loudest_handed_db
    far.put(np.zeros(2 * FRAME, np.int16))
    far.put(np.full(40 * FRAME, 2_000, np.int16))
    far.put(np.zeros(50 * FRAME, np.int16))
    assert not far.next(0.0).any()
    assert not far.silent_frames
    assert far.loudest_handed_db > quiet_db + 40, "its echo may come before it"


def test_sound_that_is_discarded_before_the_alignment_is_known_does_not_stay_in_the_way() -> None:
    streams = Streams()
    streams.run(20)
    for _ in range(2):
        now = streams.step * STEP_S
        streams.speaker.write(np.full(40 * FRAME, 1, np.int16), now)
        streams.speaker.drops += 1
        streams.run(5)
    streams.run(40)
    assert len(streams.far._queue) < 25 * FRAME


def test_after_a_long_stall_most_of_the_sound_is_returned() -> None:
    far = FarEnd(RATE, RATE)
    far.put(np.full(10 * FRAME, 1, np.int16))
    far.align(FRAME)
    for _ in range(600):
        far.next(0.0, 3 * FRAME)
    far.put(np.full(200 * FRAME, 2, np.int16))
    assert far.next(0.0, 3 * FRAME).any()
