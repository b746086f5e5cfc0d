"""From `Play` to a queue read by the test, without a device."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pytest

from voicechat.audio.playback.playback import Playback
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.audio.playback.spill_queue import SoundPiece, SpillQueue
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted, PlaybackStopped

RATE = 24_000


class Speaker:
    """A device with 10 ms blocks and no latency."""

    def __init__(self, playback: Playback, rate: int = RATE, now: float = 1.0) -> None:
        self.playback = playback
        self.queue = PlaybackQueue(rate)
        self.now = now
        self.events: list[object] = []
        self.sound: list[np.ndarray] = []
        playback.attach(self.queue, self.now)

    def run(self, ms: int) -> None:
        for _ in range(ms // 10):
            self.playback.feed()
            block = np.zeros(self.queue.rate // 100, np.int16)
            self.queue.render(block, self.now)
            self.sound.append(block)
            self.now += 0.01
            self.events += self.playback.events(self.now, progress=True)
            stopped = self.playback.stopped(self.now)
            if stopped:
                self.events.append(stopped)


def constant(ms: float, value: int = 5_000) -> bytes:
    return np.full(int(RATE * ms / 1000), value, np.int16).tobytes()


def test_an_hour_of_sound_at_once_spills_to_disk() -> None:
    backlog = SpillQueue(memory_bytes=1_000)
    sent = [bytes([n % 256]) * 300 for n in range(50)]
    for piece in sent:
        backlog.push("a", piece)
    backlog.end("a")
    assert backlog.memory_bytes <= 1_000
    assert backlog.spilled_bytes == 47 * 300
    got = []
    while (piece := backlog.pop()) is not None:
        got.append(piece)
        if len(got) == 20:
            backlog.push("b", b"later")
    assert b"".join(p.pcm for p in got if p.item_id == "a") == b"".join(sent)
    assert got[-2:] == [SoundPiece("a", b"", last=True), SoundPiece("b", b"later")]
    assert backlog.spilled_bytes == backlog.memory_bytes == 0
    backlog.close()


class FullDisk(io.BytesIO):
    """A full disk: takes three chunks of 300 bytes and half of the next."""

    def __init__(self, **_: object) -> None:
        super().__init__()

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        room = max(0, 1_050 - self.tell())
        return super().write(bytes(piece)[:room])


def test_a_full_disk_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", FullDisk)
    backlog = SpillQueue(memory_bytes=1_000)
    for number in range(20):
        backlog.push("a", bytes([number]) * 300)
    backlog.end("a")
    assert backlog.spilled_bytes == 900
    got = [backlog.pop() for _ in range(21)]
    assert [piece.pcm[:1] for piece in got[:20] if piece] == [bytes([n]) for n in range(20)]
    assert got[20] == SoundPiece("a", b"", last=True)
    backlog.close()


def test_twelve_minutes_at_once_are_all_played() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    pace = np.random.default_rng(0).integers(1, 20_000, 12 * 60 * RATE, np.int16)
    sound = pace.tobytes()
    for at in range(0, len(sound), 96_000):
        playback.play("a", sound[at : at + 96_000], speaker.now)
    playback.end("a")
    assert playback.spilled_bytes > 6 * 60 * RATE * 2
    while not playback.idle:
        speaker.run(10)
    played = np.concatenate(speaker.sound)
    begin = int(np.argmax(played != 0)) // 240 * 240
    rise = 240
    assert np.array_equal(played[begin + rise : begin + len(pace)], pace[rise:])
    assert playback.spilled_bytes == 0
    playback.close()


@pytest.mark.parametrize("device_rate", [16_000, 24_000, 44_100, 48_000])
def test_every_millisecond_is_played_at_any_rate(device_rate: int) -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback, device_rate)
    sound = constant(1_000)
    for at in range(0, len(sound), 777):
        playback.play("a", sound[at : at + 777], speaker.now)
    playback.end("a")
    speaker.run(1_200)
    assert [type(e) for e in speaker.events if not isinstance(e, Heard)] == [
        PlaybackStarted,
        PlaybackFinished,
    ]
    progress = [e.ms for e in speaker.events if isinstance(e, Heard)]
    assert progress[-1] == pytest.approx(1_000, abs=0.5)
    loud = np.concatenate(speaker.sound) > 2_500
    assert loud.sum() / device_rate == pytest.approx(1.0, abs=0.01)


def test_sound_received_while_stopping_belongs_to_the_next_item() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    playback.play("a", constant(500), speaker.now)
    speaker.run(200)
    playback.stop(speaker.now)
    assert playback.stopping
    speaker.run(20)
    assert not playback.stopping
    stopped = [e for e in speaker.events if isinstance(e, PlaybackStopped)]
    assert stopped[0].heard["a"] == pytest.approx(208, abs=1)


@pytest.mark.parametrize("device_rate", [16_000, 24_000, 44_100, 48_000])
def test_stopped_sound_does_not_leak_into_the_next_item(device_rate: int) -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback, device_rate)
    playback.play("a", constant(10_000) + b"\x7f", speaker.now)
    speaker.run(200)
    playback.stop(speaker.now)
    speaker.run(20)
    before = len(speaker.sound)
    playback.play("b", bytes(9_600), speaker.now)
    playback.play("a", constant(100, 1_000), speaker.now)
    playback.end("a")
    speaker.run(600)
    after = np.concatenate(speaker.sound[before:])
    assert 950 < np.abs(after).max() < 1_200
    assert not after[: device_rate * 195 // 1000].any()


def test_a_stop_completes_without_a_callback() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    playback.play("a", constant(500), speaker.now)
    speaker.run(100)
    playback.stop(speaker.now)
    assert playback.stopped(speaker.now) is None
    late = playback.stopped(speaker.now + 1)
    assert late is not None
    assert late.heard["a"] == pytest.approx(100, abs=1)


def test_held_sound_continues_at_its_position() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    playback.play("a", constant(500), speaker.now)
    playback.end("a")
    speaker.run(200)
    playback.hold()
    speaker.run(1_000)
    assert not playback.sounding
    playback.resume()
    speaker.run(400)
    assert isinstance(speaker.events[-1], PlaybackFinished)
    loud = np.concatenate(speaker.sound) > 2_500
    assert loud.sum() * 1000 / RATE == pytest.approx(500, abs=8)


def test_a_new_device_at_another_rate_takes_over() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    playback.play("a", constant(1_000), speaker.now)
    playback.end("a")
    speaker.run(400)
    second = Speaker(playback, 48_000, speaker.now)
    second.run(700)
    assert isinstance(second.events[-1], PlaybackFinished)
    loud = np.concatenate(second.sound) > 2_500
    assert loud.sum() / 48_000 == pytest.approx(0.6, abs=0.02)


def test_stopped_sound_does_not_play_on_a_new_device() -> None:
    playback = Playback(RATE)
    speaker = Speaker(playback)
    playback.play("a", constant(1_000), speaker.now)
    speaker.run(300)
    playback.stop(speaker.now)
    speaker.run(10)
    second = Speaker(playback, RATE, speaker.now - 0.02)
    second.run(300)
    assert not np.concatenate(second.sound).any()


def test_without_a_speaker_items_end_at_once() -> None:
    playback = Playback(RATE)
    playback.play("a", constant(1_000), 1.0)
    assert not list(playback.detach())
    playback.end("a")
    assert list(playback.detach()) == [PlaybackFinished("a")]
