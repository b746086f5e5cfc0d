"""MCP servers in the user's files, and the errors about them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from concurrent_edits import edit_at_once
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config import mcp_entry, mcp_settings
from voicechat.config.loader import load
from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import Secret, UsageError

KEY = "planted-0123"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def read(file: Path, **variables: str) -> tuple[ServerConfig, ...]:
    return load({}, variables, file.with_name("config.toml")).mcp_servers


def warned(file: Path) -> tuple[str, ...]:
    return load({}, {}, file.with_name("config.toml")).warnings


def write(file: Path, **entry: object) -> None:
    """Write a file with the server `a`."""
    file.write_text(json.dumps({"mcpServers": {"a": entry}}), encoding="utf-8")


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(file, HOST="nowhere")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_both_files_in_the_common_shape(file: Path) -> None:
    file.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "files": {"command": "npx", "args": ["-y", "x", "/a b"], "env": {"A": "1"}},
                    "web": {
                        "type": "http",
                        "url": "https://host/mcp?key=1",
                        "timeout": 5,
                        "start_timeout": 90,
                    },
                    "off": {"command": "x", "disabled": True, "type": "stdio"},
                }
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    file.with_name("config.toml").write_text(
        'voice = "x"\n[mcpServers.local]\ncommand = "./run"\ncwd = "~/here"\n'
        '[mcpServers.local.env]\nTOKEN = "$TOKEN"\n',
        encoding="utf-8",
    )
    files, web, off, local = read(file, TOKEN=KEY)
    assert files.command == ("npx", "-y", "x", "/a b")
    assert files.shown == "npx -y x '/a b' (with A)"
    assert files.place == f"{file}:3"
    assert (web.url, web.timeout_s) == ("https://host/mcp?key=1", 5)
    assert (web.start_timeout_s, files.start_timeout_s) == (90, 30)
    assert web.shown == "https://host/mcp?…"
    assert off.disabled
    assert local.env == {"TOKEN": Secret(KEY)}
    assert local.cwd == Path.home() / "here"
    assert local.place.endswith("config.toml:2")
    assert KEY not in repr(local)
    assert read(file.with_name("none") / "mcp.json") == ()


@pytest.mark.parametrize("text", ["$TOKEN", "${TOKEN}", "${env:TOKEN}", "Bearer $TOKEN $$5"])
def test_references_are_looked_up(file: Path, text: str) -> None:
    file.write_text(
        json.dumps({"mcpServers": {"web": {"url": "https://h/", "headers": {"X-A": text}}}}),
        encoding="utf-8",
    )
    (web,) = read(file, TOKEN=KEY)
    assert web.headers["X-A"].reveal() == (KEY if " " not in text else f"Bearer {KEY} $5")
    (web,) = read(file)
    assert web.problem == f"$TOKEN is not set ({file}:1)."


def test_a_reference_can_name_a_key_of_the_settings_file(file: Path) -> None:
    file.with_name("config.toml").write_text(
        f'[keys]\nMY_API_KEY = "{KEY}"\n[mcpServers.web]\nurl = "https://h"\n'
        'headers = { Authorization = "$MY_API_KEY" }\n',
        encoding="utf-8",
    )
    assert read(file)[0].headers["Authorization"].reveal() == KEY


# ------------------------------------------------------------------- references everywhere


def test_references_are_replaced_in_every_value(file: Path) -> None:
    write(
        file,
        command="~/bin/${TOOL:-serve}",
        args=["--dir=$HOME/x", "${A:-}", "${userHome}", "~", "a~/b", "$$HOME $5", "${env:TOKEN}"],
        env={"DIR": "~/d", "URL": "${URL:-http://h}", "TOKEN": "$TOKEN"},
        cwd="$HOME/work",
    )
    (server,) = read(file, HOME="/home/me", TOKEN=KEY, TOOL="")
    home = str(Path.home())
    assert server.arguments() == (
        f"{home}/bin/serve", "--dir=/home/me/x", "", home, home, "a~/b", "$HOME $5", KEY,
    )  # fmt: skip
    assert {name: each.reveal() for name, each in server.env.items()} == {
        "DIR": f"{home}/d",
        "URL": "http://h",
        "TOKEN": KEY,
    }
    assert server.cwd == Path("/home/me/work")
    assert server.problem == ""
    # The user approves the command as written; the values are not shown.
    assert server.shown.startswith("'~/bin/${TOOL:-serve}' '--dir=$HOME/x'")
    assert KEY not in repr(server)
    (other,) = read(file, HOME="/home/me", TOKEN="another")
    assert other.fingerprint == server.fingerprint


def test_references_in_an_address_are_replaced_but_not_shown(file: Path) -> None:
    write(file, url="https://${HOST:-h}/$TOKEN/mcp", headers={"X": "${USER:-me} ~/x"})
    (server,) = read(file, TOKEN=KEY)
    assert server.target() == f"https://h/{KEY}/mcp"
    assert server.headers["X"].reveal() == "me ~/x"
    assert server.shown == "https://${HOST:-h}/$TOKEN/mcp"
    assert KEY not in repr(server)
    (server,) = read(file)
    assert server.problem == f"$TOKEN is not set ({file}:1)."


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"command": "$TOOL", "args": ["$A", "$A"]}, "$TOOL, $A, $A are not set"),
        ({"command": "sh", "args": ["-c", "$1 $i"]}, "$i is not set"),
        ({"command": "x", "cwd": "$WORK"}, "$WORK is not set"),
        ({"command": "x", "args": ["${workspaceFolder}"]}, "$workspaceFolder is not set"),
        ({"command": "x", "env": {"KEY": "${input:key}"}}, "${input:key} has no meaning here"),
        ({"url": "https://h", "type": "sse"}, "Its type is sse, an old transport"),
        ({"url": "https://h", "transport": "ws"}, "Its type is ws, which voicechat does not"),
    ],
    ids=repr,
)
def test_a_server_that_cannot_work_here_says_why(file: Path, entry: dict, problem: str) -> None:
    write(file, **entry)
    (server,) = read(file)
    assert server.problem.startswith(problem)
    assert str(file) in server.problem
    assert ("for a dollar sign." in server.problem) == ("args" in entry or "env" in entry)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_default_may_be_a_key(file: Path) -> None:
    write(file, command="x", env={"TOKEN": f"${{TOKEN:-{KEY}}}"})
    file.chmod(0o644)
    read(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# ----------------------------------------------------------------- keys of other programs


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"command": "x", "transport": "stdio", "enabled": True}, ServerConfig("a", ("x",))),
        ({"command": "x", "enabled": False}, ServerConfig("a", ("x",), disabled=True)),
        ({"command": ["x", "y"], "type": "local"}, ServerConfig("a", ("x", "y"))),
        ({"serverUrl": "https://h", "type": "remote"}, ServerConfig("a", url="https://h")),
        ({"httpUrl": "https://h"}, ServerConfig("a", url="https://h")),
        ({"command": "x", "tool_timeout_sec": 9}, ServerConfig("a", ("x",), timeout_s=9)),
        ({"command": "x", "description": "y", "version": 1}, ServerConfig("a", ("x",))),
    ],
    ids=repr,
)
def test_keys_of_other_programs_are_understood(
    file: Path, entry: dict, expected: ServerConfig
) -> None:
    write(file, **entry)
    (server,) = read(file)
    assert replace(server, place="", written="") == expected
    assert warned(file) == ()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"autoApprove": ["x"]}, "autoApprove has no effect here. voicechat asks before a tool"),
        ({"alwaysAllow": []}, "alwaysAllow has no effect here. voicechat asks before a tool"),
        ({"trust": True}, "trust has no effect here. voicechat asks before a tool runs."),
        ({"excludeTools": ["x"]}, "excludeTools has no effect here. Every tool is offered."),
        ({"envFile": ".env"}, "envFile has no effect here. Write its variables under env."),
        ({"zzz\u001b": 1}, "has no effect here. It is not a setting of an MCP server."),
        ({"timeout": 60000}, "timeout is read as 60 seconds. Write seconds, at most 3600."),
    ],
    ids=repr,
)
def test_keys_without_effect_give_a_warning(file: Path, entry: dict, says: str) -> None:
    write(file, command="x", **entry)
    (server,) = read(file)
    assert server.command == ("x",)
    (sentence,) = warned(file)
    assert sentence.startswith(f"{file}:1: ")
    assert says in sentence
    assert "\x1b" not in sentence


def test_the_file_of_another_program_is_read(file: Path) -> None:
    entry = {"command": "x", "autoApprove": []}
    text = {
        "inputs": [{"id": "key"}],
        "globalShortcut": "",
        "servers": {"a": entry, "b": entry},
        "mcpServers": {"c": {"command": "z"}},
    }
    file.write_text(json.dumps(text, indent=1), encoding="utf-8")
    assert [server.name for server in read(file)] == ["c", "a", "b"]
    shortcut, approve = warned(file)
    assert shortcut == f"{file}:7: globalShortcut has no effect here. Only mcpServers is read."
    assert approve.startswith(f"{file}:11: autoApprove has no effect here.")
    with pytest.raises(UsageError, match="already"):
        mcp_settings.add(file, "b", {"command": "y"}, {})
    assert mcp_settings.add(file, "d", {"command": "y"}, {}).place == f"{file}:22"
    assert mcp_settings.remove(file, "b")
    assert [server.name for server in read(file)] == ["c", "d", "a"]


BROKEN = {
    "{": ":1 is not valid JSON",
    "[]": "must hold an object",
    '{\n "mcpServer": {}}': ":2: mcpServer is not a known key. Did you mean mcpServers?",
    '{"servers": []}': ":1: servers must hold a table for each server.",
    '{"mcpServers": []}': ":1: mcpServers must hold a table for each server.",
    '{"mcpServers": {"a": 1}}': "must hold a table for each server.",
    '{"mcpServers": {\n"a": {\n"comand": "x"}}}': ":3: a.comand is not a setting of an MCP server."
    " Did you mean command?",
    '{"mcpServers": {"a": {"command": "x"},\n"a": {"command": "y"}}}': "'a' appears twice.",
    '{"mcpServers": {\n"a": {}}}': ":2: a needs either a command or a url.",
    '{"mcpServers": {"a": {"command": "x", "url": "https://h"}}}': "a needs either",
    '{"mcpServers": {"a": {"command": ""}}}': "a.command must be text in quotes.",
    '{"mcpServers": {"a": {"command": "x\\u001b[2J"}}}': "a.command must be text in quotes.",
    '{"mcpServers": {"a": {"command": "x", "args": [1]}}}': "a.args must be a list of texts",
    '{"mcpServers": {"a": {"command": "x", "args": ["\\u202e"]}}}': "a.args must be a list",
    '{"mcpServers": {"a": {"command": "x", "env": {"A": 1}}}}': "a.env must be a table of texts",
    '{"mcpServers": {"a": {"command": "x", "env": {"A=B": ""}}}}': "a.env holds 'A=B'",
    '{"mcpServers": {"a": {"command": "x", "cwd": "here"}}}': "a.cwd must be an absolute path.",
    '{"mcpServers": {"a": {"command": "x", "headers": {}}}}': "a.headers has no effect with a"
    " command; it needs a url.",
    '{"mcpServers": {"a": {"command": "x", "timeout": 0}}}': "between 1 and 3600 seconds",
    '{"mcpServers": {"a": {"command": "x", "start_timeout": 700}}}': "between 1 and 600 seconds",
    '{"mcpServers": {"a": {"command": "x", "type": "http"}}}': "a.type is http, which needs a url.",
    '{"mcpServers": {"a": {"command": "x", "type": 3}}}': "a.type must be stdio or http.",
    '{"mcpServers": {"a": {"command": ["x", 1]}}}': "a.args must be a list of texts",
    '{"mcpServers": {"a": {"command": []}}}': "a.command must be text in quotes.",
    '{"mcpServers": {"a": {"command": "x", "enabled": 1}}}': "enabled is not a setting",
    '{"mcpServers": {"a": {"command": "x", "timeout": 1e9}}}': "between 1 and 3600 seconds",
    '{"mcpServers": {"a": {"url": "$HOST"}}}': "a.url must be an address like",
    '{"mcpServers": {"a": {"url": "http://h/mcp"}}}': "must begin with https://",
    '{"mcpServers": {"a": {"url": "ftp://h"}}}': "must be an address like",
    '{"mcpServers": {"a": {"url": "https://u:p@h"}}}': "must not hold a key or a password.",
    '{"mcpServers": {"a": {"url": "https://h", "headers": {"A": "b\\nc"}}}}': "cannot be sent",
    '{"mcpServers": {"": {"command": "x"}}}': "'' is not a valid name of a server.",
    '{"mcpServers": {"a\\u001b": {"command": "x"}}}': "is not a valid name of a server.",
    '{"mcpServers": {"a b": {"command": "x"}, "a_b": {"command": "x"}}}': "the same names",
    "[" * 100_000: "is",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_an_error_names_file_line_and_key(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    sentence = refusal(file)
    assert sentence.startswith(str(file))
    assert BROKEN[text] in sentence


def test_loopback_addresses_may_use_http(file: Path) -> None:
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:9"):
        file.write_text(
            json.dumps({"mcpServers": {"a": {"url": f"http://{host}/mcp"}}}), encoding="utf-8"
        )
        assert read(file)[0].url == f"http://{host}/mcp"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_an_mcp_file_with_keys_becomes_private(file: Path) -> None:
    for text, mode in (("$TOKEN", 0o644), (KEY, 0o600)):
        entry = {"command": "x", "env": {"TOKEN": text}}
        file.write_text(json.dumps({"mcpServers": {"a": entry}}), encoding="utf-8")
        file.chmod(0o644)
        read(file, TOKEN=KEY)
        assert stat.S_IMODE(file.stat().st_mode) == mode


def test_adding_and_removing_keep_the_rest(file: Path) -> None:
    made = mcp_settings.add(file, "one", {"command": "x", "args": ["y"]}, {})
    assert made.command == ("x", "y")
    mcp_settings.add(file, "two", {"url": "https://h/mcp"}, {})
    assert [server.name for server in read(file)] == ["one", "two"]
    assert read(file)[0].fingerprint == made.fingerprint
    with pytest.raises(UsageError, match="already"):
        mcp_settings.add(file, "one", {"command": "z"}, {})
    before = file.read_bytes()
    with pytest.raises(UsageError, match="needs either a command or a url"):
        mcp_settings.add(file, "three", {}, {})
    assert file.read_bytes() == before
    assert mcp_settings.remove(file, "one")
    assert not mcp_settings.remove(file, "one")
    assert [server.name for server in read(file)] == ["two"]
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {each.name for each in file.parent.iterdir()} == {file.name, f".{file.name}.lock"}


_ADD = """
from voicechat.config import mcp_entry, mcp_settings

def edit(number):
    mcp_settings.add(path, f"{name}{number}", {"command": "x"}, {})
"""


def test_two_processes_lose_no_server(file: Path) -> None:
    edit_at_once(file, ("one", "two"), _ADD)
    expected = {f"{name}{number}" for name in ("one", "two") for number in range(60)}
    assert {server.name for server in read(file)} == expected


def test_an_approval_covers_the_exact_command() -> None:
    def digest(command: tuple[str, ...] = ("x",), **more: object) -> str:
        return ServerConfig("a", command, **more).fingerprint  # type: ignore[arg-type]

    same = digest(env={"A": Secret("1")}, written='{"A": "$A"}')
    assert same == digest(env={"A": Secret("2")}, written='{"A": "$A"}')
    others = [digest(("x", "y")), digest(("x y",)), digest(cwd=Path("/a")), digest(written="{}")]
    assert len({same, *others}) == 5


ENTRY = st.sampled_from(
    [*mcp_entry.KEYS, *mcp_entry.ALIASES, "enabled", "mcpServers", "a"]
) | st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ENTRY, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["mcpServers"]), JSON) | JSON)
def test_any_json_is_read_or_refused(tmp_path_factory, found: object) -> None:
    file = tmp_path_factory.getbasetemp() / "any" / "mcp.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found), encoding="utf-8")
    with contextlib.suppress(UsageError):
        for server in read(file):
            assert bool(server.command) != bool(server.url)
