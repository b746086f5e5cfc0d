"""The sound of a recording, out of the speaker: where the replay stands, at its speed, in pitch."""

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


def recorded(folder: Path, *pitches: float, seconds: float = 2.0) -> Path:
    """A recording in which one tone follows the other, the person's and the model's in turn."""
    (folder / folder_format.EVENTS).write_bytes(
        folder_format.heading_line(heading())
        + folder_format.event_line(inputs.Tick(), len(pitches) * seconds)
    )
    file = StereoFile(folder / folder_format.SOUND, RATE)
    for place, pitch in enumerate(pitches):
        put = (file.add_microphone, file.add_speaker)[place % 2]
        put(tone(seconds, pitch, RATE), (place + 1) * seconds)
    file.close()
    return folder


def heard(side: NDArray[np.int16]) -> list[tuple[int, float]]:
    """Pitch and loudness of each 100 ms; 0 is silence."""
    size = CARD_RATE // 10
    found: list[tuple[int, float]] = []
    for begin in range(0, len(side) - size, size):
        part = side[begin : begin + size].astype(float)
        pitch = int(np.argmax(np.abs(np.fft.rfft(part * np.hanning(size))))) * 10
        loud = float(np.abs(part).max())
        found.append((pitch if loud > 60 else 0, loud))
    return found


@pytest.mark.sound
async def test_it_pauses_moves_and_is_as_loud_as_one_says(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    again = Replay(recorded(tmp_path, 440, 660, 880), wait_at_end=True)
    told: list[Update] = []
    follow(again, told.append)
    both = own_card.record()
    running = asyncio.create_task(again.run())
    await until(lambda: again.position > 1.0)
    again.pause()
    again.seek(3.2)
    await asyncio.sleep(0.6)
    assert again.position == pytest.approx(4.2, abs=0.2)
    again.pause()
    await asyncio.sleep(0.7)
    again.set_volume(10)
    await asyncio.sleep(0.5)
    again.seek(-1000)
    await asyncio.sleep(0.6)
    again.close()
    await running
    pieces = heard(both.stop()[:, 1])
    assert not [update for update in told if isinstance(update, effects.Notice)]
    order = [pitch for pitch, _ in pieces]
    assert 660 not in order, "what lies between was jumped over"
    first, second = order.index(440), order.index(880)
    back = order.index(440, second)
    assert order[first:second].count(0) >= 4, "paused, it is silent"
    loud = {
        pitch: max(loud for each, loud in pieces[begin:end] if each == pitch)
        for pitch, begin, end in ((440, first, second), (880, second, back))
    }
    quiet = max(level for pitch, level in pieces[back:] if pitch == 440)
    assert loud[880] == pytest.approx(loud[440], rel=0.1)
    assert quiet == pytest.approx(loud[440] / 10, rel=0.3)


async def test_without_a_speaker_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.conf").write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "none.conf"))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    again = Replay(recorded(tmp_path, 440), wait_at_end=True)
    told: list[Update] = []
    follow(again, told.append)
    running = asyncio.create_task(again.run())
    await until(lambda: any(isinstance(update, effects.Notice) for update in told))
    again.close()
    await running
    notices = [update.text for update in told if isinstance(update, effects.Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("The recording plays without sound: ")


@pytest.mark.sound
async def test_a_server_that_hangs_is_told_once_and_taken_up_when_it_is_back(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    own_card.freeze()
    again = Replay(recorded(tmp_path, 440, 660, seconds=20.0), wait_at_end=True)
    told: list[Update] = []
    follow(again, told.append)
    running = asyncio.create_task(again.run())
    await until(lambda: any(isinstance(update, effects.Notice) for update in told), 15)
    speaker = again._player
    assert speaker is not None
    # The next process finds the same some seconds later.
    speaker._on_audio_event(
        sound.Opened(None, None, problem="The sound server does not answer.", echo="off")
    )
    own_card.thaw()
    await until(lambda: speaker._open, 15)
    both = own_card.record()
    await asyncio.sleep(1.0)
    assert 440 in [pitch for pitch, _ in heard(both.stop()[:, 1])]
    notices = [update.text for update in told if isinstance(update, effects.Notice)]
    assert notices == ["The recording plays without sound: The sound server does not answer."]
    again.close()
    await running


def test_a_position_in_time_is_the_same_place_in_the_sound(tmp_path: Path) -> None:
    """At any speed, from the beginning and from the middle."""
    frames = read_frames(recorded(tmp_path, 440, 660, 880, seconds=0.5) / folder_format.SOUND)
    for speed in (0.5, 1.0, 2.0, 4.0):
        stretcher = TimeStretcher(frames, RATE, speed)
        for position, pitch in ((0.1, 440), (0.6, 660), (1.1, 880)):
            stretcher.seek(position)
            pieces = [stretcher.next_piece() for _ in range(5)]
            part = np.concatenate([piece for piece in pieces if piece is not None]).astype(float)
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), RATE))
            assert np.argmax(spectrum) == pytest.approx(pitch, abs=25), (speed, position)


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
    pitch = np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))) * RATE / len(middle)
    assert pitch == pytest.approx(440, rel=0.01)
    envelope = np.abs(middle[: len(middle) // 120 * 120]).reshape(-1, 120).max(1)
    assert envelope.max() == pytest.approx(np.abs(side).max(), rel=0.05)
    assert envelope.min() > 0.85 * envelope.max(), "the pieces are laid where they fit"


@pytest.mark.sound
async def test_the_beginning_is_heard_when_it_is_shown(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    """The clock waits for the speaker; what was shown meanwhile would be heard late or never."""
    again = Replay(recorded(tmp_path, 440, 660, seconds=0.5))
    both = own_card.record()
    began = both.began
    await again.run()
    pieces = heard(both.stop()[:, 1])
    pitches = [pitch for pitch, _ in pieces]
    assert pitches.count(440) >= 4
    assert pitches.count(660) >= 3
    shown = again._clock_started_at - began
    assert pitches.index(440) / 10 == pytest.approx(shown, abs=0.25)


@pytest.mark.sound
async def test_another_speed_is_another_speed_of_the_sound(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    again = Replay(recorded(tmp_path, 440, 660, 880, seconds=1.5), speed=32.0, wait_at_end=True)
    again.set_volume(50)
    both = own_card.record()
    running = asyncio.create_task(again.run())
    await until(lambda: again.is_over)
    again.pause()
    again.seek(-1000)
    again.set_speed(1.0)
    again.pause()
    await until(lambda: again.position > 1.6)
    again.set_speed(4.0)
    await until(lambda: again.is_over)
    again.close()
    await running
    pitches = [pitch for pitch, _ in heard(both.stop()[:, 1])]
    counts = [pitches.count(pitch) for pitch in (440, 660, 880)]
    assert counts[0] >= 7, "the first second is heard in its time, but for the opening"
    assert 1 <= counts[2] <= 6, "the last at a quarter of it"
