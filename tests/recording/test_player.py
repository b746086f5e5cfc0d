"""Playback of a recording: the sound follows the position and speed of the replay in pitch."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from following import follow
from numpy.typing import NDArray
from recorded import RATE, heading
from scripted import until
from virtual_audio import RATE as CARD_RATE
from virtual_audio import VirtualCard, tone

from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.recording import folder_format
from voicechat.recording.player import TimeStretcher, read_frames
from voicechat.recording.replayed_session import Replay
from voicechat.recording.stereo_wav import StereoFile
from voicechat.session.updates import Update


def tone_recording(folder: Path, *frequencies: float, seconds: float = 2.0) -> Path:
    """Make a recording of consecutive tones, of the user and of the model in turn."""
    (folder / folder_format.EVENTS).write_bytes(
        folder_format.heading_line(heading())
        + folder_format.event_line(inputs.Tick(), len(frequencies) * seconds)
    )
    file = StereoFile(folder / folder_format.SOUND, RATE)
    for place, frequency in enumerate(frequencies):
        add = (file.add_microphone, file.add_speaker)[place % 2]
        add(tone(seconds, frequency, RATE), (place + 1) * seconds)
    file.close()
    return folder


def frequencies_and_peaks(side: NDArray[np.int16]) -> list[tuple[int, float]]:
    """Measure the frequency in Hz and the peak of each 100 ms; 0 Hz is silence."""
    size = CARD_RATE // 10
    found: list[tuple[int, float]] = []
    for start in range(0, len(side) - size, size):
        part = side[start : start + size].astype(float)
        frequency = int(np.argmax(np.abs(np.fft.rfft(part * np.hanning(size))))) * 10
        peak = float(np.abs(part).max())
        found.append((frequency if peak > 60 else 0, peak))
    return found


@pytest.mark.sound
async def test_pause_seek_and_volume_apply_to_the_sound(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    replay = Replay(tone_recording(tmp_path, 440, 660, 880), wait_at_end=True)
    updates: list[Update] = []
    follow(replay, updates.append)
    card_recording = own_card.record()
    running = asyncio.create_task(replay.run())
    await until(lambda: replay.position > 1.0)
    replay.pause()
    replay.seek(3.2)
    await asyncio.sleep(0.6)
    assert replay.position == pytest.approx(4.2, abs=0.2)
    replay.pause()
    await asyncio.sleep(0.7)
    replay.set_volume(10)
    await asyncio.sleep(0.5)
    replay.seek(-1000)
    await asyncio.sleep(0.6)
    replay.close()
    await running
    pieces = frequencies_and_peaks(card_recording.stop()[:, 1])
    assert not [update for update in updates if isinstance(update, effects.Notice)]
    heard = [frequency for frequency, _ in pieces]
    assert 660 not in heard, "the seek skips the second tone"
    first, second = heard.index(440), heard.index(880)
    back = heard.index(440, second)
    assert heard[first:second].count(0) >= 4, "silent while paused"
    peaks = {
        frequency: max(peak for each, peak in pieces[start:end] if each == frequency)
        for frequency, start, end in ((440, first, second), (880, second, back))
    }
    quiet = max(level for frequency, level in pieces[back:] if frequency == 440)
    assert peaks[880] == pytest.approx(peaks[440], rel=0.1)
    assert quiet == pytest.approx(peaks[440] / 10, rel=0.3)


async def test_a_missing_speaker_gives_one_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.conf").write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "none.conf"))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    replay = Replay(tone_recording(tmp_path, 440), wait_at_end=True)
    updates: list[Update] = []
    follow(replay, updates.append)
    running = asyncio.create_task(replay.run())
    await until(lambda: any(isinstance(update, effects.Notice) for update in updates))
    replay.close()
    await running
    notices = [update.text for update in updates if isinstance(update, effects.Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("The recording plays without sound: ")


@pytest.mark.sound
async def test_a_blocked_sound_server_gives_one_notice_and_is_used_again_later(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    own_card.freeze()
    replay = Replay(tone_recording(tmp_path, 440, 660, seconds=20.0), wait_at_end=True)
    updates: list[Update] = []
    follow(replay, updates.append)
    running = asyncio.create_task(replay.run())
    await until(lambda: any(isinstance(update, effects.Notice) for update in updates), 15)
    speaker = replay._player
    assert speaker is not None
    # The next audio process reports the same problem.
    speaker._on_audio_event(
        sound.Opened(None, None, problem="The sound server does not answer.", echo="off")
    )
    own_card.thaw()
    await until(lambda: speaker._open, 15)
    card_recording = own_card.record()
    await asyncio.sleep(1.0)
    assert 440 in [frequency for frequency, _ in frequencies_and_peaks(card_recording.stop()[:, 1])]
    notices = [update.text for update in updates if isinstance(update, effects.Notice)]
    assert notices == ["The recording plays without sound: The sound server does not answer."]
    replay.close()
    await running


def test_a_replay_position_is_the_same_position_of_the_sound(tmp_path: Path) -> None:
    """Seek at several speeds, to the beginning and to the middle."""
    frames = read_frames(tone_recording(tmp_path, 440, 660, 880, seconds=0.5) / folder_format.SOUND)
    for speed in (0.5, 1.0, 2.0, 4.0):
        stretcher = TimeStretcher(frames, RATE, speed)
        for position, frequency in ((0.1, 440), (0.6, 660), (1.1, 880)):
            stretcher.seek(position)
            pieces = [stretcher.next_piece() for _ in range(5)]
            part = np.concatenate([piece for piece in pieces if piece is not None]).astype(float)
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), RATE))
            assert np.argmax(spectrum) == pytest.approx(frequency, abs=25), (speed, position)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.5, 3.0])
def test_stretching_keeps_pitch_and_loudness(speed: float) -> None:
    side = np.frombuffer(tone(2.0), np.int16)
    stretcher = TimeStretcher(np.stack([side, np.zeros_like(side)], 1), RATE, speed)
    pieces = []
    while (piece := stretcher.next_piece()) is not None:
        pieces.append(piece)
    stretched = np.concatenate(pieces).astype(float)
    assert len(stretched) / RATE == pytest.approx(2 / speed, rel=0.05)
    middle = stretched[2_000:-2_000]
    frequency = (
        np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))) * RATE / len(middle)
    )
    assert frequency == pytest.approx(440, rel=0.01)
    envelope = np.abs(middle[: len(middle) // 120 * 120]).reshape(-1, 120).max(1)
    assert envelope.max() == pytest.approx(np.abs(side).max(), rel=0.05)
    assert envelope.min() > 0.85 * envelope.max(), "overlapping pieces are in phase"


@pytest.mark.sound
async def test_the_first_sound_is_heard_when_it_is_shown(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    """The clock of the replay waits for the speaker, so the first sound is not late or lost."""
    replay = Replay(tone_recording(tmp_path, 440, 660, seconds=0.5))
    card_recording = own_card.record()
    started_at = card_recording.began
    await replay.run()
    pieces = frequencies_and_peaks(card_recording.stop()[:, 1])
    frequencies = [frequency for frequency, _ in pieces]
    assert frequencies.count(440) >= 4
    assert frequencies.count(660) >= 3
    shown = replay._clock_started_at - started_at
    assert frequencies.index(440) / 10 == pytest.approx(shown, abs=0.25)


@pytest.mark.sound
async def test_the_speed_of_the_replay_is_the_speed_of_the_sound(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    replay = Replay(
        tone_recording(tmp_path, 440, 660, 880, seconds=1.5), speed=32.0, wait_at_end=True
    )
    replay.set_volume(50)
    card_recording = own_card.record()
    running = asyncio.create_task(replay.run())
    await until(lambda: replay.is_over)
    replay.pause()
    replay.seek(-1000)
    replay.set_speed(1.0)
    replay.pause()
    await until(lambda: replay.position > 1.6)
    replay.set_speed(4.0)
    await until(lambda: replay.is_over)
    replay.close()
    await running
    frequencies = [frequency for frequency, _ in frequencies_and_peaks(card_recording.stop()[:, 1])]
    counts = [frequencies.count(frequency) for frequency in (440, 660, 880)]
    assert counts[0] >= 7, (
        "the first tone plays for about a second, less the time to open the speaker"
    )
    assert 1 <= counts[2] <= 6, "the last tone plays for a quarter of its time"
