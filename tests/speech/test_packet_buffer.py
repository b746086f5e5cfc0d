"""The jitter buffer: order, time, delay and concealment of a packet stream."""

import random
import struct
from functools import cache

import numpy as np
import pytest

from voicechat.speech.packet_buffer import BLOCK, MAX_PACKETS, RATE, PacketBuffer
from voicechat.speech.pcm import Samples, rms


@cache
def tone(frames: int = RATE * 4) -> Samples:
    """Return a tone of 250 Hz, whole periods per block."""
    return (8_000 * np.sin(2 * np.pi * 250 * np.arange(frames) / RATE)).astype(np.int16)


def decode(payload: bytes) -> Samples:
    """Return the block that a payload names; a payload of another size is unreadable."""
    if len(payload) != 8:
        return np.empty(0, np.int16)
    at, frames = struct.unpack("ii", payload)
    return tone()[at : at + frames]


class Line:
    """Sends blocks of the tone through a buffer whose clock the test advances."""

    def __init__(self, first_sequence: int = 0, first_timestamp: int = 0) -> None:
        self.buffer = PacketBuffer(decode)
        self._sequence, self._timestamp = first_sequence, first_timestamp

    def packet(self, index: int, now: float, frames: int = BLOCK, payload: bytes | None = None):
        """Deliver packet `index` of the stream at a time in s."""
        sound = struct.pack("ii", index * BLOCK, frames)
        self.buffer.add(
            (self._sequence + index) & 0xFFFF,
            (self._timestamp + index * BLOCK) & 0xFFFFFFFF,
            sound if payload is None else payload,
            now,
        )

    def play(self, arrivals: dict[int, float], seconds: float) -> Samples:
        """Deliver packets at their times in s and return what the buffer plays."""
        played = []
        due = sorted((at, index) for index, at in arrivals.items())
        for tick in range(int(seconds * 50)):
            now = tick * 0.02
            while due and due[0][0] <= now:
                at, index = due.pop(0)
                self.packet(index, at)
            played.append(self.buffer.take(now))
        return np.concatenate(played)


def begin(played: Samples) -> int:
    """Return the frame at which the tone begins: its second sample is the first above zero."""
    return int(np.flatnonzero(played)[0]) - 1


def in_time(count: int, but: set[int] = frozenset()) -> dict[int, float]:
    return {index: index * 0.02 for index in range(count) if index not in but}


@pytest.mark.parametrize("first", [(0, 0), (65_530, 2**32 - 5 * BLOCK)])
def test_packets_in_time_come_out_unchanged_also_when_the_numbers_wrap(first):
    played = Line(*first).play(in_time(50), 1.5)
    start = begin(played)
    assert np.array_equal(played[start : start + 50 * BLOCK], tone()[: 50 * BLOCK])
    assert start <= 0.1 * RATE


def test_packets_out_of_order_come_out_in_order():
    arrivals = in_time(50)
    arrivals[20], arrivals[21] = arrivals[21], arrivals[20]
    line = Line()
    played = line.play(arrivals, 1.0)
    start = begin(played)
    assert np.array_equal(played[start : start + 40 * BLOCK], tone()[: 40 * BLOCK])
    assert (line.buffer.late, line.buffer.concealed) == (0, 0)


def test_a_lost_packet_is_concealed_and_the_time_stays():
    line = Line()
    played = line.play(in_time(50, but={20}), 0.9)
    start = begin(played)
    assert line.buffer.concealed == BLOCK
    lost = played[start + 20 * BLOCK : start + 21 * BLOCK]
    assert rms(lost) > 0.5 * rms(tone(BLOCK)), "the gap is heard"
    after = start + 21 * BLOCK + RATE // 200
    assert np.array_equal(played[after : start + 30 * BLOCK], tone()[after - start : 30 * BLOCK])


def test_late_sound_is_left_to_a_player_that_conceals_it():
    line = Line()
    line.buffer = PacketBuffer(decode, fills=False)
    late = {index: index * 0.02 + (0.4 if index >= 20 else 0) for index in range(40)}
    played = line.play(late, 1.6)
    assert np.array_equal(played, tone()[: 40 * BLOCK]), "positions are not those of the sender"


def test_an_unreadable_packet_is_concealed():
    line = Line()
    for index in range(6):
        line.packet(index, index * 0.02, payload=b"?" if index == 3 else None)
    for tick in range(5, 12):
        line.buffer.take(tick * 0.02)
    assert line.buffer.concealed >= BLOCK


def test_a_packet_after_its_time_is_counted_and_dropped():
    line = Line()
    line.play(in_time(20, but={5}), 0.4)
    line.packet(5, 0.4)
    assert line.buffer.late == 1


def test_the_delay_follows_the_jitter_and_few_packets_stay_late():
    shuffled = random.Random(5)
    arrivals = {index: index * 0.02 + shuffled.random() * 0.2 for index in range(900)}
    line = Line()
    line.buffer._decode = lambda payload: np.full(BLOCK, 1, np.int16)
    line.play(arrivals, 10)
    late_before = line.buffer.late
    assert 0.15 < line.buffer.delay_s < 0.25
    rest = {index: at for index, at in arrivals.items() if at > 10}
    for tick in range(500, 900):
        now = tick * 0.02
        for index in [index for index, at in rest.items() if at <= now]:
            line.packet(index, rest.pop(index))
        line.buffer.take(now)
    line_late = line.buffer.late - late_before
    assert line_late < 25, "more than 6 % are late although the delay has adapted"


@pytest.mark.parametrize(
    ("loss", "jitter_s", "most"), [(0.05, 0.0, 0.0), (0.2, 0.0, 0.02), (0.2, 0.2, 0.06)]
)
def test_lost_packets_are_rarely_heard_as_silence(loss, jitter_s, most):
    chance = random.Random(11)
    arrivals = {
        index: index * 0.02 + chance.random() * jitter_s
        for index in range(1_000)
        if chance.random() >= loss
    }
    line = Line()
    line.buffer._decode = lambda payload: tone()[:BLOCK]
    levels = [rms(block) for block in line.play(arrivals, 20).reshape(-1, BLOCK)]
    # The first seconds let the delay adapt.
    later = levels[250:]
    assert sum(level < 500 for level in later) <= most * len(later)
    assert line.buffer.concealed > 0.5 * loss * len(arrivals) * BLOCK


def test_a_pause_of_the_sender_is_silence_without_concealment():
    line = Line()
    for index in range(10):
        line.packet(index, index * 0.02)
        line.buffer.take(index * 0.02)
    # The sequence goes on, the timestamp does not: discontinuous transmission.
    later = 10 * BLOCK + 2 * RATE
    now = 0.2
    while now < 2.2:
        line.buffer.take(now)
        now += 0.02
    concealed = line.buffer.concealed
    played = []
    for tick in range(8):
        sound = struct.pack("ii", tick * BLOCK, BLOCK)
        line.buffer.add(10 + tick, later + tick * BLOCK, sound, now + tick * 0.02)
        played.append(line.buffer.take(now + tick * 0.02))
    assert max(rms(block) for block in played) > 4_000
    assert line.buffer.concealed == concealed


def test_another_stream_starts_again():
    line = Line()
    line.play(in_time(20), 0.5)
    other = Line(first_sequence=30_000, first_timestamp=2_000_000_000)
    other.buffer = line.buffer
    for index in range(6):
        other.packet(index, 0.5 + index * 0.02)
    played = [line.buffer.take(0.6 + tick * 0.02) for tick in range(6)]
    assert max(rms(block) for block in played) > 4_000


def test_a_flood_of_packets_is_bounded():
    line = Line()
    for index in range(4 * MAX_PACKETS):
        line.packet(index, 0.0)
    assert len(line.buffer._waiting) <= MAX_PACKETS
