"""MCP servers in the user's files, and the errors about them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

import pytest
from concurrent_edits import edit_at_once
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config import mcp_settings
from voicechat.config.loader import load
from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import Secret, UsageError

KEY = "planted-0123"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def read(file: Path, **variables: str) -> tuple[ServerConfig, ...]:
    return load({}, variables, file.with_name("config.toml")).mcp_servers


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(file)
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


BROKEN = {
    "{": ":1 is not valid JSON",
    "[]": "must hold an object",
    '{\n "servers": {}}': ":2: servers is not a known key. Did you mean mcpServers?",
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
    '{"mcpServers": {"a": {"url": "https://h", "type": "sse"}}}': "names sse, an old transport",
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
from voicechat.config import mcp_settings

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


ENTRY = st.sampled_from([*mcp_settings.KEYS, "mcpServers", "a"]) | st.text(max_size=4)
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
