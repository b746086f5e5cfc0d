"""All kinds of tools in one session, and their end with it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from following import follow
from processes import descendants, gone
from scripted import TOKEN, ScriptedServer, scripted_server, until
from session_driver import SessionDriver, options

from voicechat.config.mcp_server import ServerConfig
from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Role, ToolCall, ToolState
from voicechat.core.settings import Permission, PermissionRule, ToolSpec
from voicechat.recording.recorded_session import open_session
from voicechat.recording.replayed_session import Replay
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest, Call, Say
from voicechat.session.tool_runner import ToolRunner
from voicechat.session.toolbox import Toolbox
from voicechat.session.updates import Link
from voicechat.tools.journal import Journal, journals_folder
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.permissions import Approvals
from voicechat.tools.registry import Tool

PLUGIN = '''
import os, sys, time
from voicechat.tools import tool

@tool(permission="auto")
def water(plant: str) -> str:
    """Water a plant."""
    print("printed by a plugin")
    os.write(1, b"written by a plugin")
    return f"The {plant} is wet."

@tool(permission="auto", deadline=0.3)
def block() -> str:
    """Block."""
    time.sleep(600)

@tool(permission="auto")
def fail() -> str:
    """Raise."""
    raise RuntimeError("no water")

@tool(permission="auto")
def flood() -> str:
    """Return 50 MB."""
    return "x" * 50_000_000
'''
GREETER = '''
from mcp.server import MCPServer
server = MCPServer("greeter")

@server.tool()
def greet(name: str) -> str:
    """Greet a user."""
    return f"Hello {name}"

server.run()
'''


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use settings and state folders of this test only."""
    for kind in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    return tmp_path


def plugin(folders: Path, text: str = PLUGIN) -> None:
    path = folders / "config" / "voicechat" / "tools" / "garden.py"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text(text)


def asking_for(name: str, arguments: str = "{}") -> Any:
    """Return an assistant that calls a tool once, and then speaks its result."""

    def answer(request: AssistantRequest) -> list[AssistantOutput]:
        last = request.messages[-1]
        if last.role == "tool_result":
            return [Say(last.text[:80])]
        return [Call(f"call_{len(request.messages)}", name, arguments)]

    return answer


@asynccontextmanager
async def running_session(**more: Any) -> AsyncIterator[tuple[ScriptedServer, SessionDriver]]:
    async with scripted_server() as backend:
        driver = SessionDriver(open_session(replace(options(backend.app.url, TOKEN), **more)))
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            yield backend, driver
        finally:
            driver.session.close()
            await living


def offered(driver: SessionDriver) -> dict[str, str]:
    """Return name and source of each offered tool."""
    tools = driver.session._conversation.settings.tools
    return {tool.name: tool.source for tool in tools}


def rules(driver: SessionDriver, name: str) -> tuple[PermissionRule, ...]:
    """Return the rules of an offered tool."""
    tools = driver.session._conversation.settings.tools
    (found,) = [tool.rules.rules for tool in tools if tool.name == name and tool.rules]
    return found


def calls(driver: SessionDriver) -> list[ToolCall]:
    return [entry for entry in driver.session.transcript.entries if isinstance(entry, ToolCall)]


def notices(driver: SessionDriver) -> list[str]:
    return [update.text for update in driver.updates if isinstance(update, effects.Notice)]


async def used(
    backend: ScriptedServer,
    driver: SessionDriver,
    name: str,
    arguments: str = "{}",
    decision: inputs.Decision = inputs.Decision.ONCE,
    pattern: str = "",
) -> ToolCall:
    """Have the model use a tool, and approve it if it asks; return the ended call."""
    before = len(driver.texts(Role.ASSISTANT))
    backend.assistant.answer = asking_for(name, arguments)
    driver.session.type(f"use {name}")
    await driver.until(lambda: driver.session.asking or len(driver.texts(Role.ASSISTANT)) > before)
    for call in driver.session.asking:
        driver.session.decide(call.call_id, call.arguments, decision, pattern)
    await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) > before)
    return calls(driver)[-1]


async def test_built_in_plugin_and_mcp_tools_side_by_side(
    folders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plugin(folders)
    script = folders / "greeter.py"
    script.write_text(GREETER)
    config = ServerConfig("greeter", (sys.executable, str(script)))
    Pins().allow(config)
    async with running_session(mcp_servers=(config,)) as (backend, driver):
        await until(lambda: {"water", "greeter__greet"} <= offered(driver).keys(), 20)
        assert offered(driver)["current_time"] == "built in"
        assert offered(driver)["water"].endswith("garden.py")
        assert offered(driver)["greeter__greet"] == "MCP server greeter"
        clock = await used(backend, driver, "current_time")
        assert clock.state is ToolState.DONE
        water = await used(backend, driver, "water", '{"plant": "fern"}')
        assert (water.state, water.output) == (ToolState.DONE, "The fern is wet.")
        greet = await used(backend, driver, "greeter__greet", '{"name": "Ada"}')
        assert greet.number == 1, "a tool of a server asks"
        assert "Hello Ada" in str(greet.output)
        names = [tool.name for tool in backend.assistant.requests[-1].tools]
        assert {"current_time", "water", "greeter__greet"} <= set(names)
        children = descendants()
        assert children
    assert gone(children)
    assert "plugin" not in "".join(capfd.readouterr())


async def test_misbehaving_tools_are_answered_and_leave_no_process(folders: Path) -> None:
    plugin(folders)
    async with running_session() as (backend, driver):
        await until(lambda: "flood" in offered(driver), 20)
        blocked = await used(backend, driver, "block")
        assert "longer than 0.3 seconds" in str(blocked.output)
        failed = await used(backend, driver, "fail")
        assert "no water" in str(failed.output)
        flooded = await used(backend, driver, "flood")
        assert len(str(flooded.output)) < 100_000
        assert [call.state for call in (blocked, failed)] == [ToolState.FAILED] * 2
        children = descendants()
        assert children
    assert gone(children)


async def test_missing_and_duplicate_tools_are_reported(folders: Path) -> None:
    plugin(folders, PLUGIN.replace("def fail", "def current_time"))
    async with running_session(tools=("current_time", "water", "no_such")) as (_, driver):
        await driver.until(lambda: any("'no_such'" in text for text in notices(driver)))
        assert any("two tools called current_time" in text for text in notices(driver))
        assert offered(driver).keys() == {"current_time", "water"}
        assert offered(driver)["current_time"] == "built in"


async def test_an_interrupted_call_is_reported_and_not_repeated(folders: Path) -> None:
    line = {"begins": "k", "name": "run_command", "arguments": '{"command": "make"}'}
    folder = journals_folder()
    folder.mkdir(parents=True)
    (folder / "old.jsonl").write_text(json.dumps(line) + "\n")
    async with running_session() as (_, driver):
        [told] = [text for text in notices(driver) if "not known" in text]
        assert "run_command" in told
        assert "make" in told
        assert calls(driver) == []
    assert list(folder.iterdir()) == []


async def test_tools_run_without_a_journal_and_that_is_reported(folders: Path) -> None:
    async with running_session() as (backend, driver):
        journals_folder().parent.mkdir(parents=True, exist_ok=True)
        journals_folder().write_text("in the way")
        for _ in range(2):
            assert (await used(backend, driver, "current_time")).state is ToolState.DONE
        assert len([text for text in notices(driver) if "tool journal" in text]) == 1


async def test_closing_while_plugins_load_leaves_no_process(folders: Path) -> None:
    plugin(folders, "import time\ntime.sleep(600)\n")
    async with running_session() as (_, driver):
        await until(descendants)
        children = descendants()
        assert "water" not in offered(driver)
    assert gone(children)


async def test_a_recording_contains_the_request_and_the_decision(folders: Path) -> None:
    plugin(folders)
    where = folders / "talk"
    wanted = {"current_time": Permission.ASK}
    async with running_session(record=where, permissions=wanted) as (backend, driver):
        call = await used(backend, driver, "current_time")
        assert call.number == 1
    again = Replay(where, play_sound=False)
    seen: list[object] = []
    follow(again, seen.append)
    await again.run()
    [shown] = [entry for entry in again.transcript.entries if isinstance(entry, ToolCall)]
    assert effects.AskApproval(call.call_id) in seen
    assert (shown.state, shown.output) == (ToolState.DONE, call.output)
    assert shown.source == "built in"


async def test_a_new_conversation_has_the_same_tools(folders: Path) -> None:
    async with running_session() as (backend, driver):
        driver.session.new_conversation()
        assert (await used(backend, driver, "current_time")).state is ToolState.DONE


async def test_a_tool_that_changed_after_the_decision_does_not_run(folders: Path) -> None:
    """A tool that was replaced before its call starts is not run."""
    ran: list[str] = []

    def watering(description: str) -> Tool:
        async def call(arguments: str) -> str:
            ran.append(description)
            return description

        spec = ToolSpec("water", description, {"type": "object"}, Permission.ASK)
        return Tool(spec, call, "MCP server garden")

    finished: list[inputs.ToolFinished] = []
    box = Toolbox(options("ws://127.0.0.1:9", TOKEN), ran.append, ran.append, ran.append)
    runs = ToolRunner(box, Journal(), finished.append, ran.append)
    box.registry.add([watering("Water a plant.")])
    async with asyncio.TaskGroup() as tasks:
        runs.tasks = tasks
        runs.settle(effects.RunTool("c1", "water", "{}"))
        box.registry.remove("MCP server garden")
        box.registry.add([watering("Drown a plant.")])
    assert [each.failed for each in finished] == [True]
    assert "changed" in finished[0].output
    assert ran == []


async def test_permanent_approval_is_for_the_tool_shown(folders: Path) -> None:
    async with running_session() as (_, driver):
        await driver.until(lambda: driver.session._tools.ready.is_set())
        box = driver.session._tools
        shown = Tool(ToolSpec("water", "Water.", {}, Permission.ASK), box.registry.run, "garden")
        other = replace(shown, spec=replace(shown.spec, description="Drown."))
        box.registry.add([shown])
        driver.session._runs.settle(effects.KeepApproval("water"))
        box.registry.remove("garden")
        box.registry.add([other])
        assert box._approvals is not None
        await until(lambda: list(box._approvals))
        assert [box._approvals.allows(each) for each in (shown, other)] == [True, False]


async def test_a_hanging_disk_disables_the_tools_not_the_session(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicechat.session.toolbox.DISK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(
        "voicechat.tools.journal.unfinished_calls", lambda: threading.Event().wait()
    )
    async with running_session() as (_, driver):
        await driver.session.wait_for_tools()
        notices = [each.text for each in driver.updates if isinstance(each, effects.Notice)]
        assert (
            "The tools could not be read from disk within 0.2 seconds and are not available."
            in notices
        )
        assert offered(driver) == {}


async def notices_at_start(chosen: Options) -> list[str]:
    """Load all tools; return the notices for the user."""
    notices: list[str] = []
    toolbox = Toolbox(
        chosen,
        lambda offer: None,
        lambda notice: notices.append(f"{notice.text} {notice.hint}"),
        print,
    )
    running = asyncio.create_task(toolbox.run())
    async with asyncio.timeout(30):
        await toolbox.complete.wait()
    running.cancel()
    await asyncio.wait({running})
    return notices


async def test_a_permission_without_effect_is_reported_once(folders: Path) -> None:
    permissions = {"run_command": Permission.AUTO, "set_timer": Permission.AUTO}
    (notice,) = await notices_at_start(replace(options(""), permissions=permissions))
    assert notice.startswith("permissions.run_command: “auto” has no effect; this tool always asks")


async def test_unknown_tools_are_reported_once_all_tools_are_loaded(folders: Path) -> None:
    (folders / "plugins").mkdir()
    own = folders / "config" / "voicechat" / "tools"
    own.mkdir(parents=True)
    (own / "garden.py").write_text(PLUGIN, encoding="utf-8")
    names = {"set_tiemr": Permission.NEVER, "water": Permission.ASK, "dance": Permission.AUTO}
    places = {"permissions.set_tiemr": "config.toml:4: set_tiemr", "tools": "config.toml:1: tools"}
    chosen = replace(options(""), permissions=names, tools=("wather",), origins=places)
    assert await notices_at_start(chosen) == [
        "config.toml:1: tools: there is no tool 'wather'. Did you mean water?",
        "config.toml:4: set_tiemr: there is no tool 'set_tiemr'. Did you mean set_timer?",
        "permissions.dance: there is no tool 'dance'. voicechat tools lists the tools.",
    ]


async def test_a_rule_runs_a_command_and_the_recording_shows_it(folders: Path) -> None:
    rule = PermissionRule(Permission.AUTO, (("", "echo *"),))
    where, wanted = folders / "talk", {"run_command": (rule,)}
    async with running_session(record=where, permission_rules=wanted) as (backend, driver):
        arguments = '{"command": "echo hello"}'
        call = await used(backend, driver, "run_command", arguments)
        assert (call.state, call.output, call.number) == (ToolState.DONE, "hello", 0)
    again = Replay(where, play_sound=False)
    await again.run()
    [shown] = [entry for entry in again.transcript.entries if isinstance(entry, ToolCall)]
    assert (shown.state, shown.output) == (ToolState.DONE, "hello")


async def test_an_approved_pattern_applies_at_once_and_later(folders: Path) -> None:
    async with running_session() as (backend, driver):
        echo = '{"command": "echo one"}'
        always = inputs.Decision.ALWAYS
        call = await used(backend, driver, "run_command", echo, always, "echo *")
        assert (call.output, call.number) == ("one", 1)
        await until(lambda: rules(driver, "run_command"), 20)
        call = await used(backend, driver, "run_command", '{"command": "echo two"}')
        assert (call.output, call.number) == ("two", 0)
        call = await used(backend, driver, "run_command", '{"command": "echo two; id"}')
        assert call.number == 2
    (kept,) = Approvals()
    assert (kept.name, kept.pattern) == ("run_command", "echo *")
