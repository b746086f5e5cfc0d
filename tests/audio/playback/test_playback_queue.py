"""The playback queue, driven block by block like a callback."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.playback import cue_sounds
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.speech.pcm import Samples

RATE = 24_000
BLOCK = 240


class Device:
    """Pulls blocks, and keeps them with the time each is heard (latency 30 ms)."""

    def __init__(self, queue: PlaybackQueue) -> None:
        self.queue = queue
        self.now = 0.0
        self.heard: list[Samples] = []

    def pull(self, blocks: int = 1) -> Samples:
        fresh = []
        for _ in range(blocks):
            block = np.zeros(BLOCK, np.int16)
            self.queue.render(block, self.now + 0.030)
            self.now += BLOCK / RATE
            fresh.append(block)
        self.heard += fresh
        return np.concatenate(fresh)


def ramp(frames: int, start: int = 0) -> Samples:
    return ((np.arange(start, start + frames) % 20_000) + 5_000).astype(np.int16)


@pytest.fixture
def device() -> Device:
    return Device(PlaybackQueue(RATE, seconds=2.0))


def test_plays_what_was_written_bit_by_bit_after_the_rise(device: Device) -> None:
    sound = ramp(BLOCK * 20)
    device.queue.write(sound)
    assert np.array_equal(device.pull(20)[BLOCK:], sound[BLOCK:])
    assert not device.pull(2)[192:].any(), "an end that is not silent gets a fade of 8 ms"
    assert device.queue.gaps == 0


def test_the_ring_wraps_around(device: Device) -> None:
    for round_ in range(300):
        sound = ramp(BLOCK * 3, round_ * BLOCK * 3)
        assert device.queue.write(sound) == len(sound)
        got = device.pull(3)
        assert np.array_equal(got[BLOCK:], sound[BLOCK:])
    assert device.queue.written == 300 * BLOCK * 3


def test_heard_subtracts_the_latency(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 10))
    device.pull(5)
    assert device.queue.heard(0.030) == 0
    assert device.queue.heard(0.030 + 0.0255) == pytest.approx(0.0255 * RATE, abs=1)
    assert device.queue.heard(10.0) == 5 * BLOCK


def test_sound_left_in_a_closed_device_was_not_heard(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 10))
    device.pull(8)
    device.queue.silent_at = 0.030 + 0.05
    assert device.queue.heard(0.030 + 0.02) == 2 * BLOCK
    assert device.queue.heard(99.0) == 5 * BLOCK
    assert len(device.queue.unplayed(5 * BLOCK)) == 5 * BLOCK


def test_hold_loses_nothing(device: Device) -> None:
    sound = ramp(BLOCK * 20)
    device.queue.write(sound)
    before = device.pull(6)
    device.queue.hold()
    faded = device.pull(1)
    assert faded[0] > 4_000
    assert not faded[-40:].any()
    assert not device.pull(5).any()
    device.queue.resume()
    after = device.pull(14)
    assert np.array_equal(after[BLOCK:], sound[7 * BLOCK :])
    assert np.array_equal(before[BLOCK:], sound[BLOCK : 6 * BLOCK])
    assert device.queue.heard(99.0) == len(sound)


def test_flush_fades_and_reports_the_frame(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 50))
    device.pull(5)
    device.queue.flush()
    assert device.queue.flushing
    faded = device.pull(1).astype(np.int32)
    assert not device.queue.flushing
    assert device.queue.flushed_at == 5 * BLOCK + 192
    assert np.abs(np.diff(faded)).max() < 300
    assert not device.pull(3).any()
    assert device.queue.waiting == 0


def test_playback_continues_after_an_abort_where_the_device_fell_silent(device: Device) -> None:
    sound = ramp(BLOCK * 40)
    device.queue.write(sound)
    device.pull(20)
    device.queue.hold()
    device.pull(1)
    device.queue.restart(0.03 + 0.1)
    assert device.queue.heard(0.03 + 0.05) == 0.05 * RATE
    assert device.queue.heard(0.03 + 0.2) == 0.1 * RATE, "the rest was thrown away"
    audible = 10 * BLOCK
    assert not device.pull(2).any(), "nothing of before is faded now: it is silent already"
    device.queue.resume()
    assert np.array_equal(device.pull(5)[BLOCK:], sound[audible + BLOCK : audible + 5 * BLOCK])


def test_flushed_sound_does_not_return_after_an_abort(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 40))
    device.pull(20)
    device.queue.flush()
    device.pull(1)
    device.queue.restart(0.03 + 0.1)
    assert not device.pull(5).any()
    device.queue.write(np.full(BLOCK * 2, 777, np.int16))
    assert (device.pull(2)[BLOCK:] == 777).all()


def test_an_item_starts_with_enough_sound_or_after_the_longest_wait(device: Device) -> None:
    queue = device.queue
    queue.closed = False
    queue.start_frames, queue.max_wait_frames = 4 * BLOCK, 6 * BLOCK
    queue.write(ramp(BLOCK))
    assert not device.pull(5).any(), "waits"
    queue.write(ramp(BLOCK * 3))
    assert device.pull(1).any(), "is enough"
    device = Device(PlaybackQueue(RATE))
    device.queue.closed = False
    device.queue.start_frames, device.queue.max_wait_frames = 4 * BLOCK, 6 * BLOCK
    assert not device.pull(20).any()
    device.queue.write(ramp(BLOCK))
    assert not device.pull(6).any()
    assert device.pull(1).any(), "waited long enough"
    device = Device(PlaybackQueue(RATE))
    device.queue.start_frames = 4 * BLOCK
    device.queue.write(ramp(BLOCK))
    assert device.pull(1).any(), "there will be no more"


def voice(frames: int, pitch: float = 130.0) -> Samples:
    """Return a vowel: a pitch and its harmonics around two formants."""
    time = np.arange(frames) / RATE
    parts = [
        np.sin(2 * np.pi * pitch * n * time + n) * np.exp(-(((pitch * n - 600) / 500) ** 2))
        for n in range(1, 20)
    ]
    return (5_000 * np.sum(parts, axis=0)).astype(np.int16)


def steepest(sound: Samples) -> int:
    return int(np.abs(np.diff(sound.astype(np.int32))).max())


def late(device: Device, sound: Samples, begin: int, blocks: int) -> Samples:
    """Return what is heard when `sound` is late by some blocks from frame `begin` on."""
    queue = device.queue
    queue.closed = False
    queue.write(sound[:begin])
    first = device.pull(-(-begin // BLOCK) + blocks)
    queue.write(sound[begin:])
    queue.closed = True
    return np.concatenate((first, device.pull(len(sound) // BLOCK + 2))).astype(np.int32)


@pytest.mark.parametrize("pitch", [75.0, 130.0, 220.0, 310.0])
@pytest.mark.parametrize("rest", [0, 1, 100])
def test_late_sound_is_concealed_without_a_click(device: Device, pitch: float, rest: int) -> None:
    sound = voice(40 * BLOCK, pitch)
    begin = 12 * BLOCK + rest
    heard = late(device, sound, begin, 4)
    assert steepest(heard) < 1.2 * steepest(sound)
    assert device.queue.gaps == 1
    resumed = -(-begin // BLOCK) + 4
    assert device.queue.gap_frames == resumed * BLOCK - begin
    after = heard[(resumed + 1) * BLOCK :][: len(sound) - begin - BLOCK]
    assert np.array_equal(after, sound[begin + BLOCK :]), "goes on where it was, nothing is lost"
    held = heard[begin : begin + BLOCK].astype(float)
    wanted = sound[begin : begin + BLOCK].astype(float)
    assert np.corrcoef(held, wanted)[0, 1] > 0.9, "the first 10 ms are as they might have been"


def test_faded_sound_is_not_concealed(device: Device) -> None:
    sound = voice(12 * BLOCK)
    sound[-2 * BLOCK :] = sound[-2 * BLOCK :] * np.linspace(1, 0, 2 * BLOCK) ** 2
    heard = late(device, np.concatenate((sound, sound)), len(sound), 8)
    after = heard[len(sound) : len(sound) + 8 * BLOCK]
    assert np.abs(after).max() < 0.05 * np.abs(sound).max()


def test_concealment_ends_after_sixty_ms(device: Device) -> None:
    sound = voice(40 * BLOCK)
    heard = late(device, sound, 12 * BLOCK, 20)
    assert np.abs(heard[12 * BLOCK : 17 * BLOCK]).max() > 1_000
    assert not heard[18 * BLOCK : 32 * BLOCK].any()
    assert device.queue.gap_frames == 20 * BLOCK
    loud = np.sqrt((heard[12 * BLOCK : 18 * BLOCK].reshape(6, -1) ** 2).mean(axis=1))
    assert (np.diff(loud[1:]) < 0).all(), "it fades"


def test_a_late_end_of_item_is_not_a_gap(device: Device) -> None:
    queue = device.queue
    queue.closed = False
    queue.write(voice(12 * BLOCK))
    device.pull(14)
    queue.closed = True
    assert not device.pull(2)[192:].any(), "what was sustained ends at once"
    queue.closed = False
    queue.write(voice(12 * BLOCK))
    device.pull(5)
    assert (queue.gaps, queue.gap_frames) == (0, 0)


@pytest.mark.parametrize("after", [0, 1, 3, 9])
def test_a_stop_while_sound_is_late_fades_the_rest(device: Device, after: int) -> None:
    queue = device.queue
    queue.closed = False
    queue.write(voice(12 * BLOCK + 50))
    device.pull(12 + after)
    queue.flush()
    heard = np.concatenate((device.heard[-1], device.pull(3))).astype(np.int32)
    assert steepest(heard) < 1.1 * steepest(voice(RATE))
    assert not heard[-BLOCK:].any()
    queue.closed = True
    queue.write(np.full(3 * BLOCK, 9_000, np.int16))
    assert (device.pull(3)[BLOCK:] == 9_000).all(), "nothing of before comes back"
    assert queue.heard(99.0) == 15 * BLOCK + 50
    assert queue.gaps == (1 if after else 0), "it was too late, whatever came then"


def swell(frames: int) -> Samples:
    """A deep tone is loudest every 8 ms, and so after every 40 ms, where it is cut."""
    return (16_000 * np.cos(2 * np.pi * 125 / RATE * np.arange(frames))).astype(np.int16)


@pytest.mark.parametrize("left", [0, 1, 20, 100, 191, 192, 300])
@pytest.mark.parametrize("how", ["flush", "hold"])
def test_a_stop_just_before_the_sound_is_used_up_fades(device: Device, left: int, how: str) -> None:
    queue = device.queue
    queue.closed = False
    queue.write(swell(12 * BLOCK + left))
    device.pull(12)
    getattr(queue, how)()
    heard = np.concatenate((device.heard[-1], device.pull(3))).astype(np.int32)
    assert steepest(heard) < 1.2 * steepest(swell(RATE))
    assert not heard[-BLOCK:].any()
    assert queue.waiting == (left if how == "hold" else 0)


@pytest.mark.parametrize("left", [0, 1, 3, 20, 100])
def test_loudness_changed_with_a_few_frames_left_is_no_step(device: Device, left: int) -> None:
    queue = device.queue
    queue.closed = False
    queue.write(swell(12 * BLOCK + left))
    device.pull(12)
    queue.set_gain(0.05)
    heard = np.concatenate((device.heard[-1], device.pull(3))).astype(np.int32)
    assert steepest(heard) < 1.2 * steepest(swell(RATE))


@pytest.mark.parametrize("count", [1, 5, 30, 120])
def test_short_chunks_of_late_sound_do_not_click(device: Device, count: int) -> None:
    queue = device.queue
    queue.closed = False
    sound = swell(20 * BLOCK)
    queue.write(sound[: 12 * BLOCK])
    for scrap in range(6):
        device.pull(13 if not scrap else 3)
        begin = 12 * BLOCK + scrap * count
        queue.write(sound[begin : begin + count])
    device.pull(10)
    assert steepest(np.concatenate(device.heard)) < 1.5 * steepest(sound)


def test_sound_lowered_while_late_stays_continuous(device: Device) -> None:
    queue = device.queue
    queue.closed = False
    queue.write(voice(12 * BLOCK))
    device.pull(13)
    queue.set_gain(0.1)
    queue.write(voice(12 * BLOCK))
    heard = np.concatenate((device.heard[-1], device.pull(10))).astype(np.int32)
    assert steepest(heard) < 1.1 * steepest(voice(RATE))


def test_quiet_gain_is_reached_without_a_step(device: Device) -> None:
    device.queue.write(np.full(BLOCK * 10, 10_000, np.int16))
    device.pull(3)
    device.queue.set_gain(0.1)
    got = device.pull(2).astype(np.int32)
    assert np.abs(np.diff(got)).max() < 60
    assert got[-1] == pytest.approx(1_000, abs=2)


def test_sound_above_full_scale_is_clipped(device: Device) -> None:
    queue = device.queue
    queue.set_gain(2.0)
    loud = 3 * swell(13 * BLOCK).astype(np.int32) // 2
    queue.write(loud.astype(np.int16))
    heard = device.pull(12)[BLOCK:]
    assert np.array_equal(heard, np.clip(2 * loud, -32_768, 32_767)[BLOCK : 12 * BLOCK])
    queue.hold()
    falling = device.pull(2).astype(np.int32)
    assert np.abs(np.diff(falling)).max() < 4 * steepest(swell(RATE))
    assert not falling[-BLOCK:].any()


def test_a_cue_sounds_over_silence_and_over_sound(device: Device) -> None:
    cue = np.full(BLOCK + 10, 1_000, np.float32)
    device.queue.play_cue(cue)
    assert (device.pull(1) == 1_000).all()
    assert device.pull(1).sum() == 10_000
    device.queue.write(np.full(BLOCK * 4, 500, np.int16))
    device.pull(1)
    device.queue.play_cue(cue)
    assert (device.pull(1) == 1_500).all()


@pytest.mark.parametrize("blocks", [1, 2, 5, 9])
@pytest.mark.parametrize("name", ["listening", "working"])
def test_a_cue_after_a_cue_does_not_click(device: Device, blocks: int, name: str) -> None:
    for each in ("ready", name):
        cue = cue_sounds.synthesize(each, RATE)
        assert cue is not None
        device.queue.play_cue(cue)
        device.pull(blocks)
    device.pull(60)
    heard = np.concatenate(device.heard).astype(np.int32)
    assert np.abs(np.diff(heard, 2)).max() < 700
    assert not device.queue.cue_playing


def test_a_cue_fades_in_after_an_abort(device: Device) -> None:
    cue = np.full(BLOCK * 5, 4_000, np.float32)
    device.queue.play_cue(cue)
    device.pull(1)
    device.queue.restart(device.now)
    assert steepest(np.concatenate(([0], device.pull(2)))) < 50
    assert (cue == 4_000).all(), "the sound that was given stays as it is"


def test_a_queue_that_rests_does_nothing_until_there_is_sound(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = device.queue
    queue.write(ramp(BLOCK * 3))
    device.pull(20)
    blocks: list[int] = []
    render = queue._render_queued

    def counted(out: Samples) -> int:
        blocks.append(len(out))
        return render(out)

    monkeypatch.setattr(queue, "_render_queued", counted)
    assert not device.pull(100).any()
    assert not blocks
    assert queue.heard(device.now) == 3 * BLOCK
    assert queue.next_at == pytest.approx(device.now + 0.030)

    sound = ramp(BLOCK * 5)
    queue.write(sound)
    assert np.array_equal(device.pull(5)[BLOCK:], sound[BLOCK:])
    assert queue.heard(device.now) == 3 * BLOCK + 2 * BLOCK, "30 ms of it wait in the device"
    device.pull(20)
    queue.play_cue(np.full(BLOCK, 5_000, np.float32))
    assert device.pull(1).any()
    assert not queue.gaps
