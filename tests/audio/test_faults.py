"""What happens to devices and processes, on a private sound server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from sound_rig import Rig, milliseconds, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.messages import (
    Captured,
    EndItem,
    ItemFinished,
    ItemStarted,
    Opened,
    Play,
    Problem,
    Progress,
    Stop,
    Stopped,
)

pytestmark = pytest.mark.sound
MakeRig = Callable[..., Rig]


def child_of(rig: Rig) -> psutil.Process:
    child = rig.process._child
    assert child is not None
    return psutil.Process(child.pid)


def test_a_stalled_card_is_noticed_and_the_reply_goes_on(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig()
    rig.open()
    recording = card.record()
    rig.send(Play("a", tone(3)))
    rig.send(EndItem("a"))
    rig.wait(Progress, lambda p: p.heard_ms > 500)
    card.suspend(True)
    assert rig.wait(Problem).text
    card.suspend(False)
    rig.wait(ItemFinished)
    rig.wait(Captured)
    rig.collect(0.2)
    assert milliseconds(spans(recording.stop()[:, 1])) == pytest.approx(3_000, abs=120)


def test_an_unplugged_device_is_told_and_adopted_again(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig()
    rig.open()
    for name in ("mic", "spk_mon", "mic_in", "spk", "hw"):
        card.unplug(name)
    rig.wait(Problem)
    for name in ("hw", "spk", "mic_in", "mic"):
        card.plug(name)
    rig.wait(Opened, lambda o: bool(o.input_name and o.output_name))
    rig.send(Play("a", tone(0.3)))
    rig.send(EndItem("a"))
    rig.wait(ItemFinished)
    rig.wait(Captured)


def test_only_a_speaker_is_enough_to_be_heard(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route(source="no_such_microphone")
    rig = make_rig()
    opened = rig.open()
    assert opened.input_name is None
    assert opened.output_name
    assert "microphone" in opened.problem
    rig.send(Play("a", tone(0.3)))
    rig.send(EndItem("a"))
    rig.wait(ItemStarted)
    rig.wait(ItemFinished)


def test_only_a_microphone_hears_and_items_end(card: VirtualCard, make_rig: MakeRig) -> None:
    card.route(sink="no_such_speaker")
    rig = make_rig()
    opened = rig.open()
    assert opened.output_name is None
    assert opened.input_name
    rig.wait(Captured)
    rig.send(Play("a", tone(30)))
    rig.send(EndItem("a"))
    assert rig.wait(ItemFinished).item_id == "a"
    rig.send(Play("b", tone(30)))
    rig.send(Stop())
    assert rig.wait(Stopped).heard_ms == {"b": 0.0}


def test_no_card_at_all_is_one_sentence(
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
    rig.send(Stop())
    rig.wait(Stopped)


def test_a_library_that_crashes_is_no_sound(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    opened = make_rig().open()
    assert opened.input_name is opened.output_name is None
    assert opened.problem


def test_without_the_sound_library(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    opened = make_rig().open()
    assert opened.input_name is opened.output_name is None
    assert "PortAudio" in opened.problem
    assert opened.hint


def test_a_device_name_that_nobody_has(card: VirtualCard, make_rig: MakeRig) -> None:
    opened = make_rig(input_device="Unobtainium").open()
    assert "Unobtainium" in opened.problem
    assert opened.output_name


def test_a_hanging_sound_server_hangs_nobody(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    rig.send(Play("a", tone(30)))
    rig.wait(ItemStarted)
    first = child_of(rig).pid
    card.freeze()
    rig.wait(Problem)
    assert rig.wait(Stopped).heard_ms.keys() == {"a"}
    card.thaw()
    assert rig.wait(Opened, lambda o: o.output_name is not None)
    assert child_of(rig).pid != first
    rig.send(Play("b", tone(0.2)))
    rig.send(EndItem("b"))
    rig.wait(ItemFinished, lambda f: f.item_id == "b")


def test_closing_while_the_server_hangs_takes_no_longer_than_allowed(
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


def test_a_killed_process_is_replaced_and_its_items_are_stopped(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig()
    rig.open()
    rig.send(Play("a", tone(30)))
    rig.wait(Progress, lambda p: p.heard_ms > 200)
    child_of(rig).kill()
    assert rig.wait(Stopped).heard_ms["a"] > 200
    rig.wait(Opened)
    rig.send(Play("b", tone(0.2)))
    rig.send(EndItem("b"))
    rig.wait(ItemFinished)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_dies_with_its_parent(card: VirtualCard, how: signal.Signals) -> None:
    code = (
        "import sys, time\n"
        "from voicechat.audio.messages import AudioSettings, Opened\n"
        "from voicechat.audio.process import AudioProcess\n"
        "p = AudioProcess(AudioSettings(), lambda e: isinstance(e, Opened) and "
        "print(p._child.pid, flush=True))\n"
        "p.start()\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(how)
        parent.wait(10)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_the_process_leaves_the_terminal_alone(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    child = child_of(rig)
    if sys.platform == "linux":
        targets = {os.readlink(f"/proc/{child.pid}/fd/{number}") for number in (0, 1, 2)}
        assert targets == {os.devnull}
    assert os.getsid(child.pid) != os.getsid(0)
    child.send_signal(signal.SIGINT)
    rig.wait(Captured)
    assert child.is_running()
