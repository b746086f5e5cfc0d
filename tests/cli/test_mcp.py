"""`voicechat mcp …` and `voicechat tools` on real servers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from mcp_rig import MISBEHAVING_SERVER

from voicechat.cli import mcp
from voicechat.cli.app import main
from voicechat.config.loader import settings_path
from voicechat.config.mcp_server import ServerConfig
from voicechat.tools.mcp.mcp_oauth import tokens_path
from voicechat.tools.permissions import Approvals
from voicechat.tools.registry import Tool

KEY = "planted-0123"
SERVER = """
from mcp.server import MCPServer
server = MCPServer("small")
@server.tool()
def water(plant: str) -> str:
    "Water a plant.\x1b[2J"
    return "done"
server.run("stdio")
"""


@pytest.fixture(autouse=True)
def isolated_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error."""
    code = main(list(arguments))
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert KEY not in out + err
    return code, out, err


def test_a_server_is_added_listed_tested_and_removed(capsys, monkeypatch) -> None:
    monkeypatch.setenv("PLANT_TOKEN", KEY)
    command = (sys.executable, "-c", SERVER.replace("\x1b", "\\x1b"))
    added = run(capsys, "mcp", "add", "garden", "--env", "PLANT_TOKEN", "--", *command)
    assert added[:2] == (0, "")
    file = settings_path().with_name("mcp.json")
    assert f"Added garden to {file}." in added[2]
    stored = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["garden"]
    assert (stored["command"], stored["env"]) == (command[0], {"PLANT_TOKEN": "${PLANT_TOKEN}"})

    assert "not tested yet" in run(capsys, "mcp", "list")[1]
    code, out, err = run(capsys, "mcp", "test", "garden")
    assert code == 0
    assert out.startswith("garden answers in ")
    assert "1 tool\n  garden__water  Water a plant." in out
    assert f"Running {sys.executable} -c" in err
    (listed,) = json.loads(run(capsys, "mcp", "list", "--json")[1])
    assert listed["tools_seen"] == ["water"]
    assert listed["may_run"] is True
    assert "starts with the conversation, 1 tool" in run(capsys, "mcp", "list")[1]

    code, out, err = run(capsys, "tools", "--json")
    assert (code, err) == (0, "")
    tools_by_name = {tool["name"]: tool for tool in json.loads(out)}
    assert tools_by_name["garden__water"]["source"] == "MCP server garden"
    assert tools_by_name["garden__water"]["permission"] == "ask"
    assert tools_by_name["garden__water"]["schema"]["required"] == ["plant"]
    assert tools_by_name["current_time"]["permission"] == "auto"

    assert run(capsys, "mcp", "remove", "garden")[0] == 0
    assert json.loads(run(capsys, "mcp", "list", "--json")[1]) == []
    assert "No MCP servers" in run(capsys, "mcp", "list")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "x"], "The server has no command and no address."),
        (["add", "x", "--url", "http://far/mcp"], "must begin with https://"),
        (["add", "x", "--env", f"A_KEY={KEY}", "--", "y"], "Others can read a key"),
        (
            ["add", "x", "--url", "https://h", "--header", f"Authorization: {KEY}"],
            "Others can read a key",
        ),
        (["add", "x", "--url", "https://h", "--header", "nothing"], "must be like"),
        (["remove", "x"], "There is no MCP server 'x'."),
        (["test", "x"], "There is no MCP server 'x'."),
    ],
    ids=repr,
)
def test_a_wrong_argument_gives_one_sentence(capsys, arguments: list[str], message: str) -> None:
    code, out, err = run(capsys, "mcp", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_a_failing_server_shows_its_output(capsys, tmp_path: Path) -> None:
    code = "import sys; sys.exit('no \\x1b[31mlicence')"
    run(capsys, "mcp", "add", "bad", "--", sys.executable, "-c", code)
    code, out, err = run(capsys, "mcp", "test", "bad")
    assert (code, out) == (4, "")
    assert "  no \ufffd[31mlicence\n" in err
    assert "It ended before it answered." in err.splitlines()[-1]


def test_signing_in_and_out(capsys, tmp_path: Path) -> None:
    run(capsys, "mcp", "add", "web", "--url", "https://host/mcp")
    run(capsys, "mcp", "add", "keyed", "--url", "https://k/mcp", "--header", "Authorization: $K")
    run(capsys, "mcp", "add", "own", "--", sys.executable)
    for arguments, says in (
        (("login", "own"), "own is a program."),
        (("login", "keyed"), "keyed has a key in its headers."),
        (("logout", "web"), "You are not signed in to web."),
    ):
        code, out, err = run(capsys, "mcp", *arguments)
        assert (code, out) == (2, "")
        assert says in err
    path = tokens_path(ServerConfig("web", url="https://host/mcp"))
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    other = path.with_name(path.name.replace("web-", "web-2-"))
    other.touch()
    for arguments in (("logout", "web"), ("remove", "web")):
        path.touch()
        assert run(capsys, "mcp", *arguments)[0] == 0
        assert not path.exists()
    assert other.exists()


async def test_a_test_waits_as_long_as_a_conversation() -> None:
    silent = (sys.executable, "-S", "-c", "import sys; sys.stdin.read()")
    outcome = await mcp.test_server(ServerConfig("mute", silent, start_timeout_s=0.2))
    assert str(outcome.problem) == (
        "MCP server mute: It did not answer within 0.2 seconds."
        " If it needs longer, set its start_timeout."
    )


def test_an_unapproved_server_does_not_run(capsys, tmp_path: Path) -> None:
    file = settings_path().with_name("mcp.json")
    file.parent.mkdir(parents=True)
    entry = {"command": sys.executable, "args": [str(MISBEHAVING_SERVER), str(tmp_path)]}
    file.write_text(json.dumps({"mcpServers": {"rude": entry}}), encoding="utf-8")
    assert "asks before it first runs" in run(capsys, "mcp", "list")[1]
    code, out, err = run(capsys, "tools")
    assert code == 0
    assert "MCP server rude" not in out
    assert "has not been allowed to run yet: " in err
    assert str(MISBEHAVING_SERVER) in err
    assert not (tmp_path / "starts").exists()


def test_an_approval_is_revoked(capsys) -> None:
    from voicechat.tools.functions import tool

    def water(plant: str) -> str:
        """Water a plant."""
        return plant

    approved_tool = tool(water)
    assert isinstance(approved_tool, Tool)
    Approvals().allow(approved_tool)
    assert "Did you mean water?" in run(capsys, "tools", "--revoke", "watr")[2]
    assert run(capsys, "tools", "--revoke", "water") == (
        0,
        "",
        "voicechat: water asks again before it runs.\n",
    )
    assert not Approvals().allows(approved_tool)
    code, _, problem = run(capsys, "tools", "--revoke", "water")
    assert (code, problem.strip()) == (2, "voicechat: No tool is set to run without asking.")


def test_without_the_sdk_the_message_names_the_extra(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    run(capsys, "mcp", "add", "x", "--", sys.executable)
    code, _, err = run(capsys, "mcp", "test", "x")
    assert code == 4
    assert "pip install 'voicechat[mcp]'" in err


@pytest.mark.parametrize("name", ["b a d", "", "-x", "a/b", "x" * 41, "a\x1b[31m", "é"])
def test_an_invalid_name_is_refused(capsys, name: str) -> None:
    code, out, err = run(capsys, "mcp", "add", "--", name, sys.executable)
    assert (code, out) == (2, "")
    assert "is not a valid name of a server. Use up to 40 letters" in err
    assert not settings_path().with_name("mcp.json").exists()


def test_an_error_in_a_new_entry_names_no_line_of_a_file(capsys) -> None:
    file = settings_path().with_name("mcp.json")
    for arguments, message in (
        (("--url", "ftp://x"), "New entry: x.url must be an address like https://host/mcp."),
        (("--url", "https://x", "--cwd", "/"), "New entry: x.cwd has no effect with a url"),
        (("--cwd", "here", "--", "cat"), "New entry: x.cwd must be an absolute path."),
    ):
        code, _, err = run(capsys, "mcp", "add", "x", *arguments)
        assert (code, file.exists()) == (2, False)
        assert err.startswith(f"voicechat: {message}")
    code, _, err = run(capsys, "mcp", "add", "x", "--env", "NOT_SET", "--", "cat")
    assert f"$NOT_SET is not set ({file}:3)." in err, "this line is written"


WITHOUT_TOOLS = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        answer["result"] = {
            "protocolVersion": "2024-11-05",
            "capabilities": {"prompts": {}},
            "serverInfo": {"name": "prompts", "version": "1"},
        }
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
"""


def test_a_server_without_tools_is_not_an_error(capsys) -> None:
    run(capsys, "mcp", "add", "prompts", "--", sys.executable, "-c", WITHOUT_TOOLS)
    code, out, err = run(capsys, "mcp", "test", "prompts")
    assert code == 0
    first, second = out.splitlines()
    assert first.endswith("(MCP 2024-11-05): 0 tools")
    assert second == "It offers prompts, which voicechat does not use."
    assert "Method not found." not in err
