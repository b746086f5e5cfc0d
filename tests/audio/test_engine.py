"""The complete engine on real PortAudio and a virtual card."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from sound_rig import Rig, milliseconds, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.messages import Cue, Levels, Mute, Opened, Played, Volume
from voicechat.core.effects import CloseMic, EndItem, Play, StopPlayback
from voicechat.core.inputs import (
    Heard,
    MicBlock,
    PlaybackFinished,
    PlaybackStarted,
    PlaybackStopped,
)

pytestmark = pytest.mark.sound
MakeRig = Callable[..., Rig]


def test_plays_an_item_without_gaps_and_reports_its_progress(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(latency_ms=60)
    opened = rig.open()
    assert opened.input_name
    assert opened.output_name
    assert not opened.problem
    recording = card.record()
    sound = tone(1.2)
    for at in range(0, len(sound), 4801):
        rig.send(Play("a", sound[at : at + 4801]))
    rig.send(EndItem("a"))
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    heard = spans(recording.stop()[:, 1])
    assert len(heard) <= 1 + rig.dropped().gaps
    assert milliseconds(heard) == pytest.approx(1200, abs=rig.within(12))
    assert rig.of(PlaybackStarted)[0].item_id == "a"
    assert rig.of(Heard)[-1].ms == pytest.approx(1200, abs=1)
    assert max(level.speaker for level in rig.of(Levels)) == pytest.approx(-13.5, abs=1.5)


def test_stop_silences_and_reports_exactly_what_was_heard(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(latency_ms=60)
    rig.open()
    recording = card.record()
    rig.send(Play("a", tone(0.3)))
    rig.send(EndItem("a"))
    rig.send(Play("b", tone(30, 660)))
    rig.send(Play("c", tone(30, 880)))
    rig.wait(Heard, lambda p: p.item_id == "b" and p.ms > 400)
    rig.send(StopPlayback())
    stopped = rig.wait(PlaybackStopped)
    rig.collect(0.3)
    recorded = recording.stop()[:, 1]
    heard = spans(recorded)
    assert set(stopped.heard) == {"b", "c"}
    assert stopped.heard["c"] == 0.0
    assert 300 + stopped.heard["b"] == pytest.approx(milliseconds(heard), abs=rig.within(12))
    assert loudest_click(recorded[heard[-1][1] - 480 : heard[-1][1] + 480]) < -30


def loudest_click(side: np.ndarray) -> float:
    """Return the largest second difference in dBFS: high for a cut tone, low for a faded one."""
    bend = np.abs(np.diff(side.astype(np.float64), 2))
    return 20 * np.log10(max(1.0, float(bend.max())) / 32768)


def test_a_device_with_a_large_buffer_is_silenced_at_once(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(latency_ms=300, barge_in="off", monitor=True)
    assert rig.open().output_latency_ms > 100
    recording = card.record()
    rig.send(Play("a", tone(30)))
    rig.wait(Heard, lambda p: p.ms > 500)
    rig.send(StopPlayback())
    stopped = rig.wait(PlaybackStopped)
    rig.collect(0.6)
    heard = milliseconds(spans(recording.stop()[:, 1]))
    assert stopped.heard["a"] == pytest.approx(heard, abs=60), "not the 300 ms it still held"
    played = np.frombuffer(b"".join(block.pcm for block in rig.of(Played)), np.int16)
    reported = np.count_nonzero(np.abs(played.astype(int)) > 200) / 24
    assert reported == pytest.approx(heard, rel=0.1), "the discarded sound is not recorded"


def test_playback_only_opens_no_microphone(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(listen=False, barge_in="off", latency_ms=200)
    opened = rig.open()
    assert opened.input_name is None
    assert opened.output_name
    assert not opened.problem
    rig.send(Play("a", tone(1.5)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackStarted)
    assert "protocol-native" in card.pactl("list", "short", "sink-inputs").stdout
    assert "protocol-native" not in card.pactl("list", "short", "source-outputs").stdout
    rig.wait(PlaybackFinished)
    assert not [event for event in rig.collect(1.5) if isinstance(event, Opened)], "complete"


def test_sound_after_a_stop_plays(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    rig.send(Play("a", tone(5)))
    rig.wait(PlaybackStarted)
    rig.send(StopPlayback())
    rig.send(Play("b", tone(0.2)))
    rig.send(EndItem("b"))
    assert rig.wait(PlaybackStopped).heard.keys() == {"a"}
    assert rig.wait(PlaybackFinished).item_id == "b"


def test_the_microphone_is_delivered_muted_and_closed(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(echo_cancel=False)
    rig.open()
    card.say(np.frombuffer(tone(12, 500, 48_000), np.int16))
    block = rig.wait(MicBlock, lambda c: np.abs(np.frombuffer(c.pcm, np.int16)).max() > 3000)
    assert len(block.pcm) == 960
    rig.send(Mute(True))
    rig.wait(MicBlock, lambda c: not any(c.pcm))
    muted = [event for event in rig.collect(0.4) if isinstance(event, MicBlock)]
    assert sum(len(block.pcm) for block in muted) >= 960 * 10, "silence, but a stream of it"
    assert not any(any(block.pcm) for block in muted)
    rig.send(Mute(False))
    rig.wait(MicBlock, lambda c: any(c.pcm))
    rig.send(CloseMic(True))
    rig.collect(0.3)
    assert not [event for event in rig.collect(0.5) if isinstance(event, MicBlock)]
    at = time.monotonic()
    rig.send(CloseMic(False))
    assert at - rig.wait(MicBlock).at > 0.2, "the last 300 ms come first"


def test_the_first_syllable_is_not_lost(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(echo_cancel=False)
    rig.open()
    rig.send(CloseMic(True))
    card.say(np.frombuffer(tone(3, 515, 48_000), np.int16))
    rig.wait(Levels, lambda level: level.mic > -20)
    rig.collect(0.35)
    began = time.monotonic()
    rig.send(CloseMic(False))
    rig.wait(MicBlock, lambda block: block.at > began + 0.2)
    blocks = [block for block in rig.of(MicBlock) if block.at > began - 1]
    times = np.array([block.at for block in blocks])
    assert began - times[0] > 0.2, "what was said before the key went down comes with it"
    assert np.diff(times).min() > 0
    whole = np.frombuffer(b"".join(block.pcm for block in blocks), np.int16).astype(float)
    steepest = np.abs(whole).max() * 2 * np.pi * 515 / 24_000
    seams = np.count_nonzero(np.abs(np.diff(whole)) > 1.5 * steepest)
    assert seams <= 2, "one sine in order; a busy machine may lose a piece"


def test_captured_pitch_and_time_are_correct(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(echo_cancel=False)
    rig.open()
    card.say(np.frombuffer(tone(1.5, 700, 48_000), np.int16))
    rig.wait(MicBlock, lambda c: np.abs(np.frombuffer(c.pcm, np.int16)).max() > 3000)
    rig.collect(0.8)
    blocks = rig.of(MicBlock)[-30:]
    sound = np.frombuffer(b"".join(block.pcm for block in blocks), np.int16)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert np.argmax(spectrum) * 24_000 / len(sound) == pytest.approx(700, rel=0.01)
    assert blocks[-1].at - blocks[0].at == pytest.approx(29 * 0.020, abs=0.02)


def test_volume_and_cues(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    recording = card.record()
    rig.send(Volume(0.1))
    rig.send(Play("a", tone(0.3)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    rig.send(Cue("ready"))
    rig.collect(0.6)
    rig.send(Volume(0.5))
    rig.send(Cue("ready"))
    rig.send(Cue("no such cue"))
    rig.collect(0.6)
    rig.send(Volume(0.0))
    rig.send(Cue("ready"))
    rig.collect(0.4)
    side = recording.stop()[:, 1]
    quiet, cue, louder = spans(side, level=60, gap_ms=120)
    assert np.abs(side[slice(*quiet)]).max() == pytest.approx(983, rel=0.1)
    assert milliseconds([cue]) == pytest.approx(310, abs=80)
    peaks = [np.abs(side[slice(*span)]).max() for span in (cue, louder)]
    assert peaks[1] / peaks[0] == pytest.approx(5, rel=0.1), "the volume applies to cues too"
