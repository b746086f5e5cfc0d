"""Which earcon belongs to which event, and when it plays."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted import scripted_server
from session_driver import SessionDriver, options
from virtual_audio import RATE, VirtualCard

from voicechat.core import effects
from voicechat.core.items import Role
from voicechat.server.engine_protocols import Say
from voicechat.session.earcons import Earcons
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged


def test_each_state_has_one_earcon() -> None:
    earcons = Earcons()
    floors = [
        effects.Floor.LISTENING,
        effects.Floor.HEARING,
        effects.Floor.THINKING,
        effects.Floor.WORKING,
        effects.Floor.SPEAKING,
        effects.Floor.LISTENING,
    ]
    cues = [earcons.cue(effects.FloorChanged(floor)) for floor in floors]
    assert cues == ["listening", None, "working", None, None, "listening"]


def test_push_to_talk_has_an_earcon_when_the_microphone_opens() -> None:
    earcons = Earcons()
    floors = [
        effects.Floor.HEARING,
        effects.Floor.THINKING,
        effects.Floor.SPEAKING,
        effects.Floor.IDLE,
    ]
    cues = [earcons.cue(effects.FloorChanged(floor)) for floor in floors]
    assert cues == ["listening", "working", None, None]


def test_stops_errors_and_approvals_have_earcons() -> None:
    earcons = Earcons()
    assert earcons.cue(effects.StopPlayback()) == "stopped"
    assert earcons.cue(effects.Notice("No.", effects.Level.ERROR)) == "error"
    assert earcons.cue(effects.AskApproval("c1")) == "asking"
    assert earcons.cue(effects.Notice("Well.")) is None
    assert earcons.cue(effects.EndItem("a")) is None


def test_a_lost_connection_has_one_earcon() -> None:
    earcons = Earcons()
    links = [Link.CONNECTING, Link.ONLINE, Link.RECONNECTING, Link.RECONNECTING, Link.ONLINE]
    cues = [earcons.cue(LinkChanged(link)) for link in [*links, Link.OFFLINE]]
    assert cues == [None, None, "error", None, None, None]


PITCHES = {
    659: "listening", 440: "working", 392: "stopped", 523: "ready", 784: "ready",
    311: "error", 233: "error", 300: "voice",
}  # fmt: skip


def heard(side: NDArray[np.int16]) -> list[str]:
    """Return the sounds in a recording in their order, each of at least 60 ms."""
    size = RATE // 25
    names: list[str] = []
    for begin in range(0, len(side) - size, size // 2):
        part = side[begin : begin + size].astype(float)
        pitch = int(np.argmax(np.abs(np.fft.rfft(part * np.hanning(size), RATE))))
        near = min(PITCHES, key=lambda known: abs(known - pitch))
        names.append(PITCHES[near] if np.abs(part).max() > 400 else "")
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names)]
    return [name for name, count in runs if name and count >= 3]


@pytest.mark.sound
async def test_earcons_play_at_the_change_of_state(own_card: VirtualCard) -> None:
    async with scripted_server() as backend:
        backend.assistant.answer = lambda request: [
            Say("one two three four five" + " six" * 60 + ".")
        ]
        backend.assistant.gate.clear()
        driver = SessionDriver(
            Session(dataclasses.replace(options(backend.app.url), with_sound=True, earcons=True))
        )
        both = own_card.record()
        running = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.floor is effects.Floor.LISTENING)
            await driver.until(lambda: driver.session.microphone is not None)
            await asyncio.sleep(0.8)
            driver.session.type("count")
            await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
            await asyncio.sleep(0.4)
            backend.assistant.gate.set()
            await driver.until(lambda: driver.session.floor is effects.Floor.SPEAKING)
            await asyncio.sleep(0.4)
            driver.session.interrupt()
            await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
            await asyncio.sleep(0.7)
            for connection in list(backend.app._server.connections):  # type: ignore[union-attr]
                connection.transport.abort()
            await driver.until(lambda: driver.session.link is Link.RECONNECTING)
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            await asyncio.sleep(0.7)
            cues = heard(both.stop()[:, 1])
        finally:
            driver.session.close()
            await running
    assert [name for name, _ in itertools.groupby(cues)] == [
        "listening", "ready", "working", "voice", "stopped", "listening", "error", "listening",
    ], "each is heard, one after the other"  # fmt: skip
