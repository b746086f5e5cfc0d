"""One conversation, by voice and by typing, over the wires of all five providers.

The transcript and the tool results are the same, and a planted key appears nowhere.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from fake_wires import Fake
from five_wires import WIRES
from parity import KEY, Card, UserActions, entries, running_session
from session_driver import SessionDriver

from voicechat.core.microphone import MIN_TALK_MS
from voicechat.tools.functions import tool


def current_time(zone: str) -> str:
    """Return the time of a zone."""
    return f"noon in {zone}"


async def hold(driver: SessionDriver, fake: Fake) -> None:
    """Hold the conversation of this file."""
    user = UserActions(driver, fake)
    session = driver.session
    await user.type_line("hello")
    await user.speak()
    await user.wait_for_answer()
    await user.type_line("what time is it")
    await user.type_line("both of them")
    await user.request_story()
    await user.speak()
    user.answers += 1
    await user.wait_for_answer()
    await user.turn_hands_free_off()
    session.talk(True)
    await user.speak()
    await asyncio.sleep(MIN_TALK_MS / 1000)  # the shortest press that counts
    session.talk(False)
    await user.wait_for_answer()
    await user.request_story()
    session.interrupt()
    await user.wait_for_answer()
    fake.sockets[-1].transport.abort()
    await user.wait_for_reconnect()
    await user.type_line("again")


TIME = ("current_time", '{"zone":"Asia/Tokyo"}', "noon in Asia/Tokyo", "done")
EXPECTED: list[tuple[str, ...]] = [
    ("user", "hello", "completed"), ("assistant", "You said hello.", "completed"),
    ("user", "spoken words", "completed"), ("assistant", "You said spoken words.", "completed"),
    ("user", "what time is it", "completed"), TIME, ("assistant", "So it is.", "completed"),
    ("user", "both of them", "completed"), TIME, TIME, ("assistant", "So it is.", "completed"),
    ("user", "tell me a story", "completed"), ("assistant", "Once upon a time", "interrupted"),
    ("user", "spoken words", "completed"), ("assistant", "You said spoken words.", "completed"),
    ("user", "spoken words", "completed"), ("assistant", "You said spoken words.", "completed"),
    ("user", "tell me a story", "completed"), ("assistant", "Once upon a time", "interrupted"),
    ("user", "again", "completed"), ("assistant", "You said again.", "completed"),
]  # fmt: skip


def kept(folder: Path) -> list[Path]:
    """Return the files of a recording."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("wire", WIRES)
async def test_the_conversation_is_the_same(
    wire: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("voicechat.session.session.SoundLine", Card)
    clock = tool(permission="auto")(current_time)
    monkeypatch.setattr("voicechat.tools.builtin.builtin", lambda context: (clock,))
    async with running_session(wire, record=tmp_path) as (driver, fake):
        await hold(driver, fake)
        assert entries(driver) == EXPECTED
        assert [result["output"] for result in fake.results[:3]] == ["noon in Asia/Tokyo"] * 3
        # The fake's own log is excluded.
        told = [record for record in caplog.records if not record.name.endswith(".server")]
        shown = [repr(driver.updates), repr(vars(driver.session)), *map(repr, map(vars, told))]
    shown += [
        *capfd.readouterr(),
        *(path.read_bytes().decode("latin-1") for path in kept(tmp_path)),
    ]
    assert len(kept(tmp_path)) > 1
    assert not any(KEY in text for text in shown)
