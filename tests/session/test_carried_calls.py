"""A tool that runs while the connection is lost: its result reaches the model on every wire."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_wires import Fake
from five_wires import WIRES
from following import follow
from parity import Card, UserActions, running_session
from scripted import until

from voicechat.core.inputs import Disconnected
from voicechat.core.items import Role
from voicechat.tools.functions import tool


def told(fake: Fake) -> str:
    """Return everything the wire received of results, as results or as text."""
    return json.dumps([fake.results, fake.history])


@pytest.mark.parametrize("offline", [True, False], ids=["ends offline", "ends online"])
@pytest.mark.parametrize("wire", WIRES)
async def test_the_result_reaches_the_model_once(
    wire: str, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, runs = asyncio.Event(), []

    async def current_time(zone: str) -> str:
        """Return the time of a zone."""
        runs.append(zone)
        await gate.wait()
        return f"noon in {zone}"

    monkeypatch.setattr(
        "voicechat.tools.builtin.builtin", lambda world: (tool(permission="auto")(current_time),)
    )
    monkeypatch.setattr("voicechat.session.session.SoundLine", Card)
    async with running_session(wire) as (driver, fake):
        user = UserActions(driver, fake)
        driver.session.type("what time is it")
        await until(lambda: runs)
        first = len(fake.sockets)
        if offline:
            follow(driver.session, lambda lost: gate.set(), [Disconnected])
        fake.sockets[-1].transport.abort()
        await user.wait_for_reconnect()
        assert len(fake.sockets) == first + 1
        gate.set()
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        assert runs == ["Asia/Tokyo"]
        assert told(fake).count("noon in Asia/Tokyo") == 1
