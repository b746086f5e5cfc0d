"""Snapshots of the pickers. `make snapshots` updates them after an intended change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from picker_rig import DEVICES, IdleSession
from scripted import until
from textual.pilot import Pilot

from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.session import device_names
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.picker_screen import PickerScreen
from voicechat.tui.widgets.pick_list import PickList


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("name", ["models", "devices", "settings"])
def test_picker(
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(device_names, "device_names", lambda: list(DEVICES))
    keys = {"OPENAI_API_KEY": Secret("sk-of-a-test")}
    session = IdleSession(Options(model="openai", voice="marin", keys=keys))

    async def show(pilot: Pilot[None]) -> None:
        pilot.app.push_screen(PickerScreen(session, name))
        await pilot.pause()
        await until(lambda: pilot.app.screen.query_one(PickList).selected)
        await pilot.pause()

    assert snap_compare(VoicechatApp(session), terminal_size=size, run_before=show)
