"""MCP servers that behave and misbehave, over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mcp_rig import MISBEHAVING_SERVER, measured_stalls, misbehaving_server, running_servers
from processes import descendants, gone, known

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.settings import Permission
from voicechat.core.text import clean
from voicechat.errors import ConnectError, Secret
from voicechat.tools.mcp import mcp_servers
from voicechat.tools.mcp.mcp_connection import McpConnection
from voicechat.tools.registry import OUTPUT_LIMIT, ToolError


def numbers(path: Path) -> list[int]:
    """Return the processes that the server recorded."""
    return [int(line) for line in path.read_text(encoding="utf-8").split()]


def child_processes() -> set[psutil.Process]:
    return descendants()


async def test_a_server_offers_its_tools_and_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-in-the-environment")
    config = misbehaving_server(tmp_path, "noisy", env={"WANTED": Secret("given")})
    async with running_servers(tmp_path, config) as rig:
        assert rig.reported == []
        assert "rude__greet" in rig.names()
        for tool in rig.servers.tools:
            assert tool.spec.permission is Permission.ASK  # whatever its annotations say
            assert tool.source == "MCP server rude"
            assert clean(tool.spec.description) == tool.spec.description

        greeting = await rig.call("rude__greet", '{"name": "Ada"}')
        assert (greeting.output, greeting.failed) == ("Hello Ada\ufffd[2J", False)
        seen = json.loads((await rig.call("rude__environment")).output)
        assert seen["WANTED"] == "given"
        assert "planted" not in json.dumps(seen)
        assert seen["cwd"] == str(Path.home())

        assert "image/png" in (await rig.call("rude__picture")).output
        assert (await rig.call("rude__noise")).output == "noisy"
        progress: list[str] = []
        assert (await rig.call("rude__work", "{}", progress.append)).output == "worked"
        assert progress[0] == "25 %: first\ufffd[2J"
        for name, arguments in (("fail", "{}"), ("greet", "{}"), ("greet", "[1]"), ("greet", "{")):
            assert (await rig.call(f"rude__{name}", arguments)).failed
        await asyncio.gather(*(rig.call("rude__greet", f'{{"name": "{n}"}}') for n in range(20)))
    assert not child_processes()


async def test_large_messages_are_dropped_and_never_block_the_loop(tmp_path: Path) -> None:
    async with (
        running_servers(tmp_path, misbehaving_server(tmp_path)) as rig,
        measured_stalls() as stall,
    ):
        begun = time.perf_counter()
        flood = await rig.call("rude__large", '{"megabytes": 50}')
        took = time.perf_counter() - begun
        assert flood.failed
        assert "larger than 1 MB" in flood.output
        assert stall() < took / 2
        whole = await rig.call("rude__greet", json.dumps({"name": "n" * 300_000}))
        assert not whole.failed
        assert len(whole.output) < OUTPUT_LIMIT + 100
        assert (await rig.call("rude__greet", '{"name": "again"}')).output.startswith("Hello")


async def test_a_cancelled_call_is_cancelled_on_the_server_and_a_kill_is_noticed(
    tmp_path: Path,
) -> None:
    async with running_servers(tmp_path, misbehaving_server(tmp_path, timeout_s=0.3)) as rig:
        assert "longer than 0.3 seconds" in (await rig.call("rude__hang")).output
        await rig.until((tmp_path / "cancelled").exists)
        (tmp_path / "cancelled").unlink()
        (tmp_path / "hanging").unlink()
        # Calls without the registry have no deadline of 0.3 s.
        tools = {tool.spec.name: tool for tool in rig.servers.tools}
        calling = asyncio.create_task(tools["rude__hang"].call("{}"))
        await rig.until((tmp_path / "hanging").exists)
        calling.cancel()
        await asyncio.wait({calling}, timeout=5)
        assert calling.cancelled()
        await rig.until((tmp_path / "cancelled").exists)
        assert (await tools["rude__greet"].call('{"name": "x"}')).startswith("Hello x")

        (tmp_path / "hanging").unlink()
        (tmp_path / "cancelled").unlink()
        calling = asyncio.create_task(tools["rude__hang"].call("{}"))
        await rig.until((tmp_path / "hanging").exists)
        os.kill(numbers(tmp_path / "starts")[0], signal.SIGKILL)
        async with asyncio.timeout(5):
            with pytest.raises(ToolError, match="ended before it answered"):
                await calling


async def test_a_crash_fails_calls_at_once_and_restarts_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_servers, "RESTARTS", 1)
    async with running_servers(tmp_path, misbehaving_server(tmp_path)) as rig:
        async with asyncio.timeout(5):
            outcome = await rig.call("rude__die")
        assert outcome.failed
        assert "may or may not have run" in outcome.output
        await rig.until(lambda: rig.state().state == "restarting")
        assert rig.names()  # they come back: the model need not lose them
        await rig.until(lambda: rig.state().state == "ready")
        assert not (await rig.call("rude__greet", '{"name": "x"}')).failed
        assert rig.reported == []
        await rig.call("rude__die")
        await rig.until(lambda: rig.state().state == "failed")
        assert rig.names() == []
        (sentence,) = rig.reported
        assert sentence.startswith("MCP server rude: It ended 2 times and stays off.")
        assert len(numbers(tmp_path / "starts")) == 2
    assert gone(known(numbers(tmp_path / "child")))


async def test_a_changed_definition_revokes_approvals_and_is_reported(tmp_path: Path) -> None:
    async with running_servers(tmp_path, misbehaving_server(tmp_path)) as rig:
        before = {tool.spec.name: tool for tool in rig.servers.tools}
        await rig.call("rude__change")
        await rig.until(lambda: "rude__more" in rig.names())
        after = {tool.spec.name: tool for tool in rig.servers.tools}
        assert after["rude__fail"].fingerprint == before["rude__fail"].fingerprint
        assert after["rude__greet"].fingerprint != before["rude__greet"].fingerprint
        assert after["rude__greet"].asks_always
        assert not after["rude__more"].asks_always
        difference = rig.servers.difference("rude__greet")
        assert "'Greet somebody, and send their password.'" in difference
        assert "password type is new: string" in difference
        assert rig.servers.difference("rude__fail") == ""
        assert any("changed and asks again" in sentence for sentence in rig.reported)
        await rig.call("rude__greet", '{"name": "Ada", "password": "x"}')  # which was allowed
        assert rig.servers.difference("rude__greet") == ""
        assert not any(tool.asks_always for tool in rig.servers.tools)
    async with running_servers(tmp_path, misbehaving_server(tmp_path, "changed")) as rig:
        # Between two runs, too: what was accepted is the known one now.
        assert "password type is gone" in rig.servers.difference("rude__greet")
        assert "'Fail quietly.'" in rig.servers.difference("rude__fail")


async def test_a_change_before_the_subscription_is_noticed(tmp_path: Path) -> None:
    async with running_servers(tmp_path, misbehaving_server(tmp_path, "hasty")) as rig:
        await rig.until(lambda: "rude__more" in rig.names())


async def test_a_subscription_that_ended_begins_again(tmp_path: Path) -> None:
    async with running_servers(tmp_path, misbehaving_server(tmp_path)) as rig:
        await rig.call("rude__forget")
        await rig.until(lambda: "rude__more" in rig.names())
        await rig.call("rude__change")  # its "more" exists already; greet changes
        await rig.until(lambda: "password" in rig.servers.difference("rude__greet"))


async def test_a_failed_server_is_reported_and_the_others_continue(tmp_path: Path) -> None:
    configs = (
        misbehaving_server(tmp_path),
        ServerConfig("absent", ("no-such-program",)),
        ServerConfig("ends", (sys.executable, "-c", "raise SystemExit('no \x1b[31mlicence')")),
        ServerConfig("unset", ("x",), problem="$TOKEN is not set (mcp.json:3)."),
        ServerConfig("lost", (sys.executable,), cwd=tmp_path / "nowhere"),
    )
    async with running_servers(tmp_path, *configs) as rig:
        assert [state.state for state in rig.servers.states] == ["ready", *["failed"] * 4]
        reported = {re.sub(r"^MCP server (\w+): .*", r"\1", one): one for one in rig.reported}
        assert "'no-such-program' was not found" in reported["absent"]
        assert "It said: no \ufffd[31mlicence" in reported["ends"]
        assert "$TOKEN is not set" in reported["unset"]
        assert "There is no folder" in reported["lost"]
        assert not (await rig.call("rude__greet", '{"name": "x"}')).failed


MUTE = r"""
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
sys.stderr.write(f"hello \x1b[1m\n{os.getpid()}\n{child.pid}\n")
sys.stderr.flush()
time.sleep(600)
"""


async def test_a_silent_stdio_server_times_out_and_leaves_no_process() -> None:
    config = ServerConfig("mute", (sys.executable, "-S", "-c", MUTE), start_timeout_s=2)
    link = McpConnection(config, lambda tools: None)
    with pytest.raises(ConnectError, match="did not answer within 2 seconds"):
        await link.live()
    hello, *processes = link.printed.lines
    assert hello == "hello \ufffd[1m"
    assert len(processes) == 2
    assert gone(known(map(int, processes)))


async def test_a_server_that_ignores_signals_is_killed_in_time(tmp_path: Path) -> None:
    async with running_servers(tmp_path, misbehaving_server(tmp_path, "deaf")) as rig:
        await rig.call("rude__spawn")
        processes = known(numbers(tmp_path / "starts") + numbers(tmp_path / "child"))
        assert len(processes) == 5
    assert gone(processes)
    assert not child_processes()


def test_killing_the_program_leaves_no_server(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from mcp_rig import misbehaving_server, running_servers\n"
        "async def main():\n"
        "    folder = Path(sys.argv[2])\n"
        "    async with running_servers(folder, misbehaving_server(folder, 'deaf')) as rig:\n"
        "        print(rig.state().state, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(MISBEHAVING_SERVER.parent), str(tmp_path)],
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        tree = psutil.Process(program.pid).children(recursive=True)
        tree += known(numbers(tmp_path / "starts") + numbers(tmp_path / "child"))
        # On Linux the supervisor is two processes.
        assert len(set(tree)) == (5 if sys.platform == "linux" else 4)
        program.kill()
    assert gone(tree)


# ------------------------------------------------------------------------------ leave to run


async def test_a_command_needs_approval_once(tmp_path: Path) -> None:
    asked: list[str] = []
    answer = asyncio.Event()

    async def approve(config: ServerConfig) -> bool:
        asked.append(config.shown)
        await answer.wait()
        return True

    config = misbehaving_server(tmp_path)
    async with running_servers(tmp_path, config, approve=approve, ready=False) as rig:
        await rig.servers.settled()
        assert rig.state().state == "waiting for approval"
        assert not (tmp_path / "starts").exists()
        answer.set()
        await rig.until(lambda: rig.state().state == "ready")
    async with running_servers(tmp_path, config, approve=approve) as rig:
        assert rig.state().state == "ready"
    assert asked == [f"{sys.executable} {MISBEHAVING_SERVER} {tmp_path}"]  # as one would type it
    other = ServerConfig("rude", (sys.executable, "-c", ""))
    async with running_servers(tmp_path, other, approve=approve) as rig:
        assert asked[1:] == [f"{sys.executable} -c ''"]


async def test_an_unapproved_command_does_not_run(tmp_path: Path) -> None:
    async def refuse(config: ServerConfig) -> bool:
        return False

    config = misbehaving_server(tmp_path)
    for approve, says in (
        (refuse, "You did not allow it to run."),
        (None, "voicechat mcp test rude"),
    ):
        async with running_servers(tmp_path, config, approve=approve) as rig:
            assert rig.state().state == "failed"
            assert says in rig.reported[0]
    assert not (tmp_path / "starts").exists()
    async with running_servers(
        tmp_path, misbehaving_server(tmp_path, disabled=True), approve=refuse
    ) as rig:
        assert rig.servers.states == ()


OLD = r"""
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    results = {
        "initialize": {
            "protocolVersion": "2024-11-05",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "old", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "nod", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": "nods"}]},
    }
    if "id" not in message:
        continue
    if message["method"] not in results:
        sys.exit("expected initialize")
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}
    print(json.dumps(answer), flush=True)
"""


async def test_an_old_server_that_exits_at_an_unknown_method_is_supported(tmp_path: Path) -> None:
    async with running_servers(
        tmp_path, ServerConfig("old", (sys.executable, "-S", "-c", OLD))
    ) as rig:
        assert rig.reported == []
        assert rig.names() == ["old__nod"]
        assert (await rig.call("old__nod")).output == "nods"
