"""Following the system's defaults, and devices that come and go."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from sound_rig import PATIENCE_S, Rig, milliseconds, poll, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.devices import pulse
from voicechat.audio.engine import Engine
from voicechat.audio.messages import AudioEvent, AudioSettings, Opened, Problem, Switched
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import Heard, MicBlock, PlaybackFinished

pytestmark = pytest.mark.sound
MakeRig = Callable[..., Rig]


@pytest.fixture
def desktop(card: VirtualCard) -> VirtualCard:
    """A card with a second device."""
    card.route_as_desktop()
    card.add("kitchen", "Kitchen")
    return card


def loud(captured: MicBlock) -> bool:
    return bool(np.abs(np.frombuffer(captured.pcm, np.int16)).max() > 2_000)


def test_sound_moves_to_the_new_default_and_it_is_reported_once(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(barge_in="off", latency_ms=100)
    first = rig.open()
    rig.send(Play("a", tone(1.2)))
    rig.send(EndItem("a"))
    rig.wait(Heard, lambda p: p.ms > 300)
    recording = desktop.record("kitchen.monitor")
    desktop.make_default(sink="kitchen")
    assert rig.wait(Switched) == Switched("output", "Kitchen")
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    heard = milliseconds(spans(recording.stop()[:, 0]))
    assert heard > 300, "the rest of the sentence comes from the new device"
    assert rig.of(Switched) == [Switched("output", "Kitchen")]
    assert first.output_name != "Kitchen"
    assert not rig.of(Problem)
    assert rig.of(Opened) == [first], "the server moved the stream: nothing was reopened"


def test_the_new_default_microphone_is_captured(desktop: VirtualCard, make_rig: MakeRig) -> None:
    rig = make_rig(echo_cancel=False)
    rig.open()
    rig.wait(MicBlock)
    desktop.make_default(source="kitchen_mic")
    assert rig.wait(Switched) == Switched("input", "Kitchen-Mic")
    desktop.make_default(sink="kitchen")
    rig.wait(Switched)
    rig.send(Play("a", tone(5)))
    rig.wait(MicBlock, loud)


def test_sound_moves_on_when_the_default_is_unplugged(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    desktop.make_default("kitchen", "kitchen_mic")
    rig = make_rig(barge_in="off")
    assert rig.open().output_name == "Kitchen"
    rig.send(Play("a", tone(1.2)))
    rig.send(EndItem("a"))
    rig.wait(Heard, lambda p: p.ms > 300)
    desktop.unplug("kitchen")
    rig.follow("output", lambda name: name != "Kitchen")
    rig.wait(PlaybackFinished)
    rig.wait(MicBlock)


def test_the_defaults_of_a_restarted_server_are_followed(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(barge_in="off")
    rig.open()
    desktop.kill()
    rig.wait(Opened, lambda opened: not opened.output_name)
    desktop.start()
    rig.wait(Opened, lambda opened: bool(opened.output_name))
    desktop.add("kitchen", "Kitchen")
    give_up = time.monotonic() + PATIENCE_S
    while not rig.of(Switched):
        assert time.monotonic() < give_up, "the watch has ended"
        desktop.make_default(sink="mic_in")
        desktop.make_default(sink="kitchen")
        rig.collect(0.2)
    assert rig.of(Switched)[-1].kind == "output"


def test_a_named_device_does_not_follow_the_default(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(output_device="kitchen", input_device="kitchen-mic", barge_in="off")
    opened = rig.open()
    assert (opened.input_name, opened.output_name) == ("Kitchen-Mic", "Kitchen")
    recording = desktop.record("kitchen.monitor")
    desktop.make_default(sink="mic_in")
    desktop.make_default(sink="spk")
    rig.send(Play("a", tone(0.4)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    assert milliseconds(spans(recording.stop()[:, 0])) == pytest.approx(400, abs=rig.within(60))
    assert not rig.of(Switched)


def test_a_named_device_that_is_plugged_in_later_is_adopted(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(output_device="cellar")
    opened = rig.open()
    assert opened.output_name is None
    assert "cellar" in opened.problem
    desktop.add("cellar", "Cellar")
    assert rig.wait(Opened, lambda o: o.output_name is not None).output_name == "Cellar"
    rig.send(Play("a", tone(0.2)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackFinished)


def test_a_named_device_is_used_again_when_it_returns(
    desktop: VirtualCard, make_rig: MakeRig
) -> None:
    rig = make_rig(output_device="kitchen", barge_in="off")
    rig.open()
    desktop.unplug("kitchen")
    assert rig.wait(Switched).kind == "output"
    desktop.add("kitchen", "Kitchen")
    rig.wait(Opened, lambda opened: opened.output_name == "Kitchen")
    recording = desktop.record("kitchen.monitor")
    rig.send(Play("a", tone(0.4)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    assert milliseconds(spans(recording.stop()[:, 0])) == pytest.approx(400, abs=rig.within(60))


@pytest.mark.parametrize("name", ["kitchen", None])
def test_a_device_that_goes_away_before_the_first_look_is_noticed(
    desktop: VirtualCard, name: str | None
) -> None:
    server = pulse.connection()
    assert server is not None
    desktop.make_default("kitchen")
    poll(lambda: server.nodes is not None and server.nodes.default_output == "kitchen")
    events: list[AudioEvent] = []
    settings = AudioSettings(output_device=name, barge_in="off")
    engine = Engine(settings, events.append, lambda: None)
    try:
        opening = engine._streams.opening
        assert opening is not None
        poll(lambda: opening.done)
        assert opening.result is not None
        assert opening.result.speaker is not None
        assert opening.result.speaker.name == "Kitchen"
        desktop.unplug("kitchen")
        poll(lambda: server.nodes is not None and "kitchen" not in str(server.nodes))

        def noticed() -> bool:
            engine.tick(time.monotonic())
            return any(isinstance(event, Switched) for event in events)

        poll(noticed)
    finally:
        engine.close()
