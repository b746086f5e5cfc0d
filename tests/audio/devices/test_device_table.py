"""The table of device faults; each test is a row of it, on a private sound server.

row              caused by                           expected
a1 unplugged     input alone, output alone, both     one line; the other side goes on; reopened
a2 stalled       suspended input, output, both       watchdog; one line; recovers by itself;
                                                     text goes on if the stall lasts
a3 server gone   SIGSTOP, SIGKILL                    one line; new process; close never hangs
a4 nothing       no card, no server, no library,     one sentence with a remedy; items end;
                 no microphone                       a new device is opened
a5 rate refused  a device that takes only 44.1 kHz   opened at its own rate, resampled
a6 rate changed  replugged at 16 kHz while playing   reopened; pitch correct
a7 busy          another program has it exclusively  one sentence; opened when it is free
a8 switched      Bluetooth headset in call mode      follows the default; pitch correct
a9 ALSA alone    no sound server                     sound as usual, nothing to follow
a10 no clock     ALSA's null, as in containers       one sentence; no busy loop; items end
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from sound_rig import PATIENCE_S, Rig, child_of, milliseconds, spans
from virtual_audio import RATE, Recording, VirtualCard, tone

from voicechat.audio.messages import Opened, Problem, Switched
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import (
    Heard,
    MicBlock,
    PlaybackFinished,
    PlaybackStarted,
    PlaybackStopped,
)

pytestmark = pytest.mark.sound
MakeRig = Callable[..., Rig]


def whole(opened: Opened) -> bool:
    return bool(opened.input_name and opened.output_name)


def say(rig: Rig, name: str, seconds: float) -> None:
    rig.send(Play(name, tone(seconds)))
    rig.send(EndItem(name))


def works(rig: Rig, name: str = "again") -> None:
    """True if both sides work."""
    say(rig, name, 0.2)
    rig.wait(PlaybackFinished, lambda finished: finished.item_id == name)
    rig.wait(MicBlock)


def pitch(side: NDArray[np.int16], rate: int = RATE) -> float:
    """Return the frequency in Hz of the loudest tone in the longest sound of a recording."""
    begin, end = max(spans(side), key=lambda span: span[1] - span[0])
    sound = side[begin:end].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 19))
    return float(np.argmax(spectrum)) * rate / (1 << 19)


def heard_to_the_end(rig: Rig, recording: Recording) -> NDArray[np.int16]:
    """Record the speaker until the current item has ended."""
    rig.seen(PlaybackFinished)
    rig.collect(0.2)
    return recording.stop()[:, 1]


# ----------------------------------------------------------------------------- a1 unplugged


@pytest.fixture
def two_cards(card: VirtualCard) -> Iterator[tuple[VirtualCard, VirtualCard]]:
    """One card for the microphone and another for the speaker."""
    with VirtualCard() as recorder:
        card.route(microphone_of=recorder)
        yield recorder, card


def test_a1_both_unplugged_and_plugged_back(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    card.unplug()
    gone = rig.wait(Opened, lambda opened: not opened.output_name)
    assert gone.problem
    card.plug()
    rig.wait(Opened, whole)
    works(rig)
    assert len(rig.of(Problem)) <= 1


def test_a1_input_unplugged_and_the_reply_continues(
    two_cards: tuple[VirtualCard, VirtualCard], make_rig: MakeRig
) -> None:
    recorder, player = two_cards
    rig = make_rig(barge_in="off")
    rig.open()
    recording = player.record()
    say(rig, "a", 1.5)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    recorder.unplug()
    opened = rig.wait(Opened, lambda opened: not opened.input_name)
    assert (opened.input_name, bool(opened.output_name)) == (None, True)
    assert "microphone" in opened.problem
    side = heard_to_the_end(rig, recording)
    assert milliseconds(spans(side)) == pytest.approx(1_500, abs=rig.within(150))
    recorder.plug()
    rig.wait(Opened, whole)
    works(rig)
    assert len(rig.of(Problem)) <= 1


def test_a1_output_alone_unplugged_and_the_user_is_heard(
    two_cards: tuple[VirtualCard, VirtualCard], make_rig: MakeRig
) -> None:
    _, player = two_cards
    rig = make_rig()
    rig.open()
    say(rig, "a", 30)
    rig.wait(PlaybackStarted)
    player.unplug()
    opened = rig.wait(Opened, lambda opened: not opened.output_name)
    assert (bool(opened.input_name), opened.output_name) == (True, None)
    assert "speaker" in opened.problem
    rig.wait(MicBlock)
    assert rig.wait(PlaybackFinished).item_id == "a", "an inaudible item ends at once"
    player.plug()
    rig.wait(Opened, whole)
    works(rig)
    assert len(rig.of(Problem)) <= 1


def test_a1_the_last_microphone_unplugged_is_not_replaced_by_the_speakers_sound(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    card.route_as_desktop()
    card.unplug("spk_mon")
    rig = make_rig(barge_in="off")
    assert whole(rig.open())
    card.unplug("mic")
    opened = rig.wait(Opened, lambda opened: not opened.input_name)
    assert opened.output_name
    assert opened.problem == "There is no microphone."
    card.plug("mic")
    rig.wait(Opened, whole)
    works(rig)


# ------------------------------------------------------------------------------- a2 stalled


@pytest.mark.parametrize(
    ("sinks", "sources"), [("hw", "hw.monitor"), ("spk", ""), ("", "mic")], ids=str
)
def test_a2_suspended_and_the_reply_continues(
    card: VirtualCard, make_rig: MakeRig, sinks: str, sources: str
) -> None:
    rig = make_rig(barge_in="off")
    rig.open()
    recording = card.record()
    say(rig, "a", 1.5)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    card.suspend(True, sinks, sources)
    assert rig.wait(Problem).text
    card.suspend(False, sinks, sources)
    side = heard_to_the_end(rig, recording)
    rig.wait(MicBlock)
    assert milliseconds(spans(side)) == pytest.approx(1_500, abs=rig.within(150))
    assert len(rig.of(Problem)) == 1


@pytest.mark.parametrize(("sinks", "sources"), [("hw", "hw.monitor"), ("spk", "")], ids=str)
def test_a2_suspended_for_long_and_the_text_continues(
    card: VirtualCard, make_rig: MakeRig, sinks: str, sources: str
) -> None:
    rig = make_rig(barge_in="off")
    rig.open()
    say(rig, "a", 30)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    card.suspend(True, sinks, sources)
    gone = rig.wait(Opened, lambda opened: not opened.output_name)
    assert bool(gone.input_name) is not bool(sources)
    assert "does not respond" in gone.problem
    assert gone.hint
    assert rig.wait(PlaybackFinished).item_id == "a", "an inaudible item ends at once"
    card.suspend(False, sinks, sources)
    rig.wait(Opened, whole)
    works(rig)
    assert len(rig.of(Problem)) == 1
    assert rig.of(Opened).count(gone) == 1


# --------------------------------------------------------------------------- a3 server gone


def replacement(rig: Rig, child: object) -> object:
    """Wait for the process that replaces this one."""
    give_up = time.monotonic() + PATIENCE_S
    while (other := rig.process._child) is child:
        assert time.monotonic() < give_up, "it was not replaced"
        rig.collect(0.02)
    return other


def test_a3_a_hanging_server_blocks_nothing(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    say(rig, "a", 30)
    rig.wait(PlaybackStarted)
    first = rig.process._child
    card.freeze()
    rig.wait(Problem)
    gone = rig.wait(Opened, lambda each: each.problem == "The sound server does not answer.")
    assert gone.input_name is gone.output_name is None, "from now on text is read, not heard"
    assert rig.seen(PlaybackStopped).heard.keys() == {"a"}
    second = replacement(rig, first)
    replacement(rig, second)
    card.thaw()
    rig.wait(Opened, whole)
    works(rig)
    assert len(rig.of(Problem)) == 1
    assert rig.of(Opened).count(gone) == 1, "reported once, however often the process is replaced"


def test_a3_closing_while_the_server_hangs_meets_its_deadline(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig()
    rig.open()
    child = child_of(rig)
    card.freeze()
    began = time.monotonic()
    rig.process.close(deadline=1.5)
    took = time.monotonic() - began
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert took < 5.0, "bounded; the exact time is for the bench"


def test_a3_a_server_that_is_killed_and_started_again(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(barge_in="off")
    rig.open()
    say(rig, "a", 1.5)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    card.kill()
    rig.wait(Problem)
    card.start()
    rig.wait(Opened, whole)
    stopped = rig.of(
        PlaybackStopped
    )  # The sound library may end its process along with the server.
    ended = stopped[0].heard if stopped else [rig.seen(PlaybackFinished).item_id]
    assert list(ended) == ["a"]
    works(rig)
    assert len(rig.of(Problem)) == 1 + len(stopped)


# ------------------------------------------------------------------------------- a4 nothing


def test_a4_only_a_speaker_is_enough_to_be_heard(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route(source="no_such_microphone")
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is None
    assert opened.output_name
    assert "microphone" in opened.problem
    say(rig, "a", 0.3)
    rig.wait(PlaybackStarted)
    rig.wait(PlaybackFinished)


def test_a4_only_a_microphone_hears_and_items_end(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route(sink="no_such_speaker")
    rig = make_rig()
    opened = rig.open()
    assert opened.output_name is None
    assert opened.input_name
    rig.wait(MicBlock)
    say(rig, "a", 30)
    assert rig.wait(PlaybackFinished).item_id == "a"
    rig.send(Play("b", tone(30)))
    rig.send(StopPlayback())
    assert rig.wait(PlaybackStopped).heard == {"b": 0.0}


def test_a4_no_card_at_all_is_one_sentence(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "asound.conf").write_text("pcm.absent { type hw card 99 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is opened.output_name is None
    assert opened.problem.endswith(".")
    assert opened.hint
    rig.send(StopPlayback())
    rig.wait(PlaybackStopped)


def test_a4_a_server_that_is_started_later(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route_as_desktop()
    card.kill()
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is opened.output_name is None
    assert "start PipeWire or PulseAudio" in opened.hint
    card.start()
    card.add("kitchen", "Kitchen")
    rig.wait(Opened, whole)
    works(rig)


def test_a4_a_server_without_any_device(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route_as_desktop()
    card.unplug()
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is opened.output_name is None
    assert "Connect a device" in opened.hint
    card.plug()
    rig.wait(Opened, whole)
    works(rig)


def test_a4_without_the_sound_library(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    opened = make_rig().open()
    assert opened.input_name is opened.output_name is None
    assert "PortAudio" in opened.problem
    assert opened.hint


def test_a4_an_unknown_device_name(card: VirtualCard, make_rig: MakeRig) -> None:
    opened = make_rig(input_device="Unobtainium").open()
    assert "Unobtainium" in opened.problem
    assert opened.output_name


# ------------------------------------------------------------------ a5 to a7: what refuses

REFUSING = """
import pathlib
from voicechat.audio.devices import device_list as devices

library = devices.library

def refusing():
    sd = library()
    for name in ("RawInputStream", "RawOutputStream"):
        stream = getattr(sd, name)
        if not hasattr(stream, "asked"):
            class Refusing(stream):
                asked = True
                def __init__(self, *, samplerate, **rest):
                    if {refuses}:
                        raise sd.PortAudioError("Error opening stream: {why}", -9997)
                    super().__init__(samplerate=samplerate, **rest)
            setattr(sd, name, Refusing)
    return sd

devices.library = refusing
"""


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Make streams of the audio process refuse to open: `refuse(when, why)`."""

    def prepare(when: str, why: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(REFUSING.format(refuses=when, why=why))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return prepare


def test_a5_a_device_that_takes_only_its_own_rate_is_resampled(
    card: VirtualCard, make_rig: MakeRig, refuse: Callable[[str, str], None]
) -> None:
    refuse("samplerate != 44_100", "Invalid sample rate")
    rig = make_rig(barge_in="off", echo_cancel=False)
    assert whole(rig.open())
    recording = card.record()
    card.say(np.frombuffer(tone(1.5, 700, RATE), np.int16))
    say(rig, "a", 1.0)
    side = heard_to_the_end(rig, recording)
    assert milliseconds(spans(side)) == pytest.approx(1_000, abs=rig.within(15))
    assert pitch(side) == pytest.approx(440, rel=0.01)
    rig.collect(0.8)
    heard = np.frombuffer(b"".join(each.pcm for each in rig.of(MicBlock)), np.int16)
    assert pitch(heard, 24_000) == pytest.approx(700, rel=0.01)


def test_a7_a_device_in_exclusive_use(
    card: VirtualCard, make_rig: MakeRig, refuse: Callable[[str, str], None], tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    refuse(f"pathlib.Path({str(taken)!r}).exists()", "Device unavailable")
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is opened.output_name is None
    assert opened.hint
    taken.unlink()
    rig.wait(Opened, whole)
    works(rig)


def test_a6_a_device_that_comes_back_at_another_rate(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(barge_in="off")
    rig.open()
    say(rig, "a", 1.5)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    card.unplug()
    card.rate = 16_000
    card.plug("hw", "mic", "spk_mon", "mic_in", "spk")
    rig.wait(Opened, whole)
    side = heard_to_the_end(rig, card.record())
    assert pitch(side) == pytest.approx(440, rel=0.01)


# ---------------------------------------------------------------------------- a8 switched


def test_a8_a_headset_in_call_mode_is_followed(card: VirtualCard, make_rig: MakeRig) -> None:
    """Replace the device by another one at telephone rate, as a headset profile switch does."""
    card.route_as_desktop()
    card.add("music", "Headset")
    card.make_default("music", "music_mic")
    rig = make_rig(barge_in="off")
    assert rig.open().output_name == "Headset"
    say(rig, "a", 1.5)
    rig.wait(Heard, lambda progress: progress.ms > 200)
    card.unplug("music")
    card.rate = 16_000
    card.add("telephony", "Headset-Telephony")
    card.make_default("telephony", "telephony_mic")
    rig.follow("output", lambda name: name == "Headset-Telephony")
    recording = card.record("telephony.monitor")
    side = heard_to_the_end(rig, recording)
    assert pitch(side) == pytest.approx(440, rel=0.01)
    rig.wait(MicBlock)
    assert not rig.of(Problem)


# --------------------------------------------------------------------------- a9 ALSA alone


def test_a9_alsa_alone_has_sound_and_nothing_to_follow(
    card: VirtualCard, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    rig = make_rig()
    opened = rig.open()
    assert (opened.input_name, opened.output_name) == ("default", "default")
    card.make_default(sink="mic_in")
    works(rig)
    assert not rig.of(Switched)


# -------------------------------------------------------------------------- a10 no clock


def test_a10_a_device_without_a_clock_causes_no_busy_loop(
    card: VirtualCard, make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    null = "{ type null }"
    (tmp_path / "asound.conf").write_text(f"pcm.!default {null}\nctl.!default {null}\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    rig = make_rig()
    rig.open()
    child = child_of(rig)
    say(rig, "a", 60)
    opened = rig.wait(Opened, lambda opened: not opened.output_name)
    assert opened.input_name is None
    assert "dummy device without a clock" in opened.problem
    assert opened.hint
    rig.collect(1.5)
    assert [finished.item_id for finished in rig.of(PlaybackFinished)] == ["a"]
    heard = sum(len(captured.pcm) for captured in rig.of(MicBlock)) / 48_000
    assert heard < 30, "seconds of silence in as many of time"
    used = child.cpu_times().user
    rig.collect(1.0)
    assert child.cpu_times().user - used < 0.6, "it does not run as fast as it can"
