"""Faults of the audio process. Faults of devices: `test_device_table.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from sound_rig import Rig, child_of
from virtual_audio import VirtualCard, tone

from voicechat.audio.messages import Levels, Mute, Opened, UseDevices, Volume
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import Heard, MicBlock, PlaybackFinished, PlaybackStopped

pytestmark = pytest.mark.sound
MakeRig = Callable[..., Rig]


def test_a_crashing_library_means_no_sound(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    opened = make_rig().open()
    assert opened.input_name is opened.output_name is None
    assert opened.problem


def test_a_killed_process_is_replaced_and_its_items_are_stopped(
    card: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig()
    rig.open()
    rig.send(Play("a", tone(30)))
    rig.wait(Heard, lambda p: p.ms > 200)
    child_of(rig).kill()
    assert rig.wait(PlaybackStopped).heard["a"] > 200
    rig.wait(Opened)
    rig.send(Play("b", tone(0.2)))
    rig.send(EndItem("b"))
    rig.wait(PlaybackFinished)


def test_a_replaced_process_keeps_the_settings(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(echo_cancel=False)
    rig.open()
    card.say(np.frombuffer(tone(30, 500, 48_000), np.int16))
    rig.wait(MicBlock, lambda captured: loudest(captured) > 3_000)
    rig.send(Mute(True))
    rig.send(Volume(0.25))
    rig.wait(MicBlock, lambda captured: not any(captured.pcm))
    child_of(rig).kill()
    rig.wait(Opened)
    rig.send(Play("a", tone(0.5)))
    loud = rig.wait(Levels, lambda levels: levels.speaker > -40)
    assert loud.speaker < -20
    heard = [event for event in rig.collect(1.0) if isinstance(event, MicBlock)]
    assert len(heard) > 20
    assert not any(loudest(captured) for captured in heard), "who is muted stays it"


def test_other_devices_are_opened_while_sound_plays(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    first = rig.open()
    rig.send(Play("a", tone(30)))
    rig.wait(Heard, lambda p: p.ms > 200)
    rig.send(UseDevices("nowhere", None))
    assert rig.wait(PlaybackStopped).heard["a"] > 200
    opened = rig.wait(Opened)
    assert (opened.input_name, opened.output_name) == (None, first.output_name)
    assert opened.problem == "No microphone has 'nowhere' in its name."
    rig.send(UseDevices(None, None))
    assert rig.wait(Opened).input_name == first.input_name
    rig.send(Play("b", tone(0.2)))
    rig.send(EndItem("b"))
    rig.wait(PlaybackFinished)


def loudest(captured: MicBlock) -> int:
    return int(np.abs(np.frombuffer(captured.pcm, np.int16).astype(int)).max())


def test_a_process_that_hangs_is_ended(card: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.open()
    child = child_of(rig)
    child.suspend()
    rig.process.close(deadline=0.5)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


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
    rig.wait(MicBlock)
    assert child.is_running()
