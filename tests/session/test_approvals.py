"""A model that requests anything, over a real socket: no tool runs without the user's approval."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import until
from session_driver import SessionDriver
from websockets.asyncio.server import ServerConnection, serve

from voicechat.config.options import Options
from voicechat.core.inputs import Announce, Decision
from voicechat.core.items import ToolCall, ToolState
from voicechat.errors import Secret
from voicechat.line_mode.approval_view import approval_lines, approval_view
from voicechat.session.session import Session
from voicechat.session.updates import Link
from voicechat.tools.functions import tool
from voicechat.tools.permissions import Approvals, approvals_path
from voicechat.tools.registry import Tool

done: list[str] = []
"""What the tools of the tests did."""


class Model:
    """A provider's side of successive connections; it sends what the test requests."""

    def __init__(self) -> None:
        self.socket: ServerConnection | None = None
        self.frames: list[dict[str, Any]] = []
        """What came on the connection that is open, or was last."""
        self._count = 0

    async def hold(self, socket: ServerConnection) -> None:
        self.socket, self.frames = socket, []
        await self.say("session.created", session={"type": "realtime", "model": "m"})
        async for frame in socket:
            self.frames.append(json.loads(frame))
            if self.frames[-1]["type"] == "session.update":
                await self.say("session.updated", session={"type": "realtime", "model": "m"})

    async def say(self, kind: str, **fields: object) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps({"type": kind, "event_id": "e", **fields}))

    async def calls(self, *calls: tuple[str, str, str]) -> None:
        """Request these calls (id, name, arguments) in one response."""
        self._count += 1
        response = {"id": f"resp_{self._count}", "object": "realtime.response", "output": []}
        await self.say("response.created", response={**response, "status": "in_progress"})
        for place, (call_id, name, arguments) in enumerate(calls):
            where = {"response_id": response["id"], "output_index": place}
            item = {"id": f"item_{self._count}_{place}", "type": "function_call", "name": name,
                    "call_id": call_id, "arguments": ""}  # fmt: skip
            await self.say("response.output_item.added", **where, item=item)
            await self.say(
                "response.function_call_arguments.done", **where, item_id=item["id"],
                call_id=call_id, name=name, arguments=arguments,
            )  # fmt: skip
            item = {**item, "arguments": arguments, "status": "completed"}
            await self.say("response.output_item.done", **where, item=item)
        await self.say("response.done", response={**response, "status": "completed"})

    def items(self, kind: str) -> list[dict[str, Any]]:
        created = [f["item"] for f in self.frames if f["type"] == "conversation.item.create"]
        return [item for item in created if item["type"] == kind]

    @property
    def answers(self) -> dict[str, str]:
        """Result of each call; a second answer to a call is an error."""
        found: dict[str, str] = {}
        for item in self.items("function_call_output"):
            assert item["call_id"] not in found, "answered twice"
            found[item["call_id"]] = item["output"]
        return found

    @property
    def asked_to_go_on(self) -> int:
        return sum(frame["type"] == "response.create" for frame in self.frames)


@tool(permission="ask")
def wipe(path: str) -> str:
    """Wipe a path."""
    done.append(path)
    return f"wiped {path}"


@tool(permission="auto")
def add(a: int, b: int) -> int:
    """Add."""
    done.append("add")
    return a + b


started: list[asyncio.Event] = []


@tool(permission="auto")
async def long() -> str:
    """Run until the test opens the gate."""
    done.append("long")
    gate = asyncio.Event()
    started.append(gate)
    await gate.wait()
    return "at last"


@asynccontextmanager
async def running_session(
    monkeypatch: pytest.MonkeyPatch, *tools: Tool, **more: Any
) -> AsyncIterator[tuple[SessionDriver, Model]]:
    """Run a session with this model and these built-in tools."""
    done.clear()
    started.clear()
    monkeypatch.setattr("voicechat.tools.builtin.builtin", lambda context: tools)
    model = Model()
    async with serve(model.hold, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        options = Options(
            with_sound=False, model="openai/gpt-realtime", base_url=f"http://127.0.0.1:{port}/v1",
            keys={"OPENAI_API_KEY": Secret("k")},
        )  # fmt: skip
        driver = SessionDriver(Session(replace(options, **more)))
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            yield driver, model
        finally:
            driver.session.close()
            await living


def call(driver: SessionDriver, call_id: str = "c1") -> ToolCall:
    entry = driver.session.transcript.get(call_id)
    assert isinstance(entry, ToolCall)
    return entry


def decide(
    driver: SessionDriver, decision: Decision, call_id: str = "c1", reason: str = ""
) -> None:
    driver.session.decide(call_id, call(driver, call_id).arguments, decision, reason)


async def test_a_dangerous_call_with_disguised_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_session(monkeypatch, wipe) as (driver, model):
        mask = '{"path": "\\u001b[2J\\u001b]52;c;cm0=\\u0007/еtс\\u202e"}'
        await model.calls(("c1", "wipe", mask))
        await until(lambda: driver.session.asking)
        shown = approval_view(call(driver))
        assert (shown.name, shown.source) == ("wipe", "built in")
        assert shown.fields == (("path", "\ufffd[2J\ufffd]52;c;cm0=\ufffd/еtс\ufffd"),)
        assert any("mixes Cyrillic and Latin" in remark for remark in shown.remarks)
        assert any("4 characters cannot be displayed" in remark for remark in shown.remarks)
        assert not any("\x1b" in line for line in approval_lines(shown))
        assert done == []
        assert model.answers == {}
        driver.session.decide("c1", '{"path": "/tmp"}', Decision.ONCE)
        assert done == [], "another call than the one that was shown"
        decide(driver, Decision.ONCE)
        await until(lambda: model.asked_to_go_on)
        assert done == [shown.fields[0][1]], "what runs is what was shown"
        assert list(model.answers) == ["c1"]


async def test_unknown_tools_and_invalid_arguments_run_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_session(monkeypatch, wipe, add) as (driver, model):
        await model.calls(
            ("c1", "sudo\x1b[2J", "{}"),
            ("c2", "add", '{"a": "one", "b": [], "c": 1}'),
            ("c3", "add", '{"a": 1,'),
            ("c4", "add", '{"a": 1, "b": 2}'),
        )
        await until(lambda: model.asked_to_go_on)
        answers = model.answers
        assert "does not exist" in answers["c1"]
        assert "do not fit" in answers["c2"]
        assert "do not fit" in answers["c3"]
        assert answers["c4"] == "3"
        assert done == ["add"]
        assert model.asked_to_go_on == 1
        assert driver.session.asking == ()


async def test_the_same_id_twice_in_a_response_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_session(monkeypatch, wipe, add) as (driver, model):
        one, other = '{"path": "a"}', '{"path": "b"}'
        await model.calls(("c1", "wipe", one), ("c1", "wipe", one), ("c1", "wipe", other))
        await until(lambda: driver.session.asking)
        decide(driver, Decision.ONCE)
        await until(lambda: model.asked_to_go_on)
        await model.calls(("c9", "add", '{"a": 1, "b": 2}'))
        await until(lambda: "c9" in model.answers)
        assert done == ["a", "add"]
        assert set(model.answers) == {"c1", "c9"}


async def test_the_same_id_in_another_response_is_asked_and_answered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_session(monkeypatch, wipe) as (driver, model):
        for place in ("a", "a", "b"):
            before = model.asked_to_go_on
            await model.calls(("call_0", "wipe", f'{{"path": "{place}"}}'))
            await until(lambda: driver.session.asking)
            (asking,) = driver.session.asking
            driver.session.decide(asking.call_id, asking.arguments, Decision.ONCE)
            await until(lambda before=before: model.asked_to_go_on > before)
        assert done == ["a", "a", "b"]
        answers = [item["call_id"] for item in model.items("function_call_output")]
        assert answers == ["call_0"] * 3


async def test_denied_with_an_explanation_and_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_session(monkeypatch, wipe) as (driver, model):
        await model.calls(("c1", "wipe", '{"path": "a"}'))
        await until(lambda: driver.session.asking)
        decide(driver, Decision.DENY, reason="never that one")
        await until(lambda: model.asked_to_go_on)
        assert "never that one" in model.answers["c1"]
        await model.calls(("c2", "wipe", '{"path": "b"}'))
        await until(lambda: driver.session.asking)
        driver.session.interrupt()
        await until(lambda: "c2" in model.answers)
        assert call(driver, "c2").state is ToolState.DENIED
        assert done == []


async def test_decided_and_run_while_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_session(monkeypatch, wipe, long) as (driver, model):
        await model.calls(("c1", "wipe", '{"path": "a"}'), ("c2", "long", "{}"))
        await until(lambda: driver.session.asking and started)
        first = model.socket
        assert first is not None
        first.transport.abort()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        decide(driver, Decision.ONCE)
        await until(lambda: model.socket is not first and len(model.items("function_call")) > 1)
        assert [item["call_id"] for item in model.items("function_call")] == ["c1", "c2"]
        await until(lambda: "c1" in model.answers)
        assert model.asked_to_go_on == 0, "the other call of that response still runs"
        started[0].set()
        await until(lambda: model.asked_to_go_on)
        assert model.answers == {"c1": "wiped a", "c2": "at last"}
        assert sorted(done) == ["a", "long"], "each ran once"
        assert model.asked_to_go_on == 1


async def test_permanent_approval_is_for_exactly_this_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        async with running_session(monkeypatch, wipe) as (driver, model):
            await model.calls(("c1", "wipe", '{"path": "a"}'))
            await until(lambda: driver.session.asking)
            decide(driver, Decision.ALWAYS)
            await until(lambda: "c1" in model.answers and approvals_path().exists())
        async with running_session(monkeypatch, wipe) as (driver, model):
            await model.calls(("c1", "wipe", '{"path": "b"}'))
            await until(lambda: "c1" in model.answers)
            assert done == ["b"]

        @tool(permission="ask", name="wipe")
        def other(path: str) -> str:
            """Wipe a path, and more."""
            return path

        async with running_session(monkeypatch, other) as (driver, model):
            await model.calls(("c1", "wipe", '{"path": "b"}'))
            await until(lambda: driver.session.asking)
    finally:
        Approvals().revoke("wipe")


async def test_settings_override_the_permission(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from voicechat.config import loader

    path = tmp_path / "config.toml"
    path.write_text('folders = ["~/x"]\n[permissions]\nwipe = "auto"\nadd = "never"\n')
    chosen = loader.load(environ={}, path=path)
    assert [folder.name for folder in chosen.folders] == ["x"]
    more = {"permissions": chosen.permissions}
    async with running_session(monkeypatch, wipe, add, **more) as (driver, model):
        await until(lambda: model.frames)
        offered = [each["name"] for each in model.frames[0]["session"]["tools"]]
        assert offered == ["wipe"]
        await model.calls(("c1", "wipe", '{"path": "a"}'), ("c2", "add", '{"a": 1, "b": 2}'))
        await until(lambda: len(model.answers) == 2)
        assert done == ["a"]
        assert call(driver, "c2").state is ToolState.DENIED


async def test_an_announcement_reaches_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_session(monkeypatch, add) as (driver, model):
        driver.session._handle(Announce("The tea timer rings."))
        await until(lambda: model.asked_to_go_on)
        [message] = model.items("message")
        assert message["role"] == "system"
        assert message["content"][0]["text"] == "The tea timer rings."
