"""Text of MCP servers: names, definitions, results, pins and the limits of messages."""

from __future__ import annotations

import json
import re
import stat
import sys
from pathlib import Path

import mcp_types as types
import pytest
from concurrent_edits import edit_at_once
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.system.output_tail import OutputTail
from voicechat.tools.mcp.mcp_limits import MESSAGE_LIMIT, OBJECTS, VALUES, is_too_large
from voicechat.tools.mcp.mcp_pins import MAX_DEFINITIONS, Pins
from voicechat.tools.mcp.mcp_stdio import Lines, Oversized
from voicechat.tools.mcp.mcp_text import (
    MAX_TOOLS,
    Definition,
    definitions,
    offered_as,
    pictures,
    result_text,
)

HERE = ServerConfig("files", ("x",))


def tool(name: str = "read", description: str = "", **schema: object) -> types.Tool:
    return types.Tool(name=name, description=description, input_schema={"type": "object", **schema})


# ---------------------------------------------------------------------------------- names


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_fits_every_provider(server: str, name: str) -> None:
    found = offered_as(ServerConfig(server).tool_prefix, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found)


@given(st.lists(st.tuples(st.sampled_from(["a", "a_b", "a b", "b"]), st.text("ab_-.", min_size=1))))
def test_different_tools_get_different_names(pairs: list[tuple[str, str]]) -> None:
    wanted = {(ServerConfig(server).tool_prefix, name) for server, name in pairs}
    assert len({offered_as(*pair) for pair in wanted}) == len(wanted)


def test_a_name_is_prefixed_by_its_server() -> None:
    assert offered_as("files", "read_file") == "files__read_file"
    long = [offered_as("files", "x" * 70 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert {len(name) for name in long} == {64}


# ---------------------------------------------------------------------------- definitions


def test_definitions_are_cleaned() -> None:
    hostile = tool(
        description="Read.\x1b]52;c;x\x07\u202e" + "y" * 9_000,
        properties={"path": {"type": "string", "description": "a\x1b[2Jb", "enum": ["\u200b"]}},
        **{"$schema": "https://json-schema.org/"},
    )
    (found,), refused = definitions(HERE, [hostile])
    assert refused == []
    assert len(found.description) == 2_000
    text = json.dumps([found.description, found.parameters], ensure_ascii=False)
    assert clean(text) == text
    assert "$schema" not in found.parameters


def nested(depth: int) -> dict[str, object]:
    inner: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        inner = {"type": "object", "properties": {"x": inner}}
    return inner


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (tool("a\x1b[2J"), "its name cannot be shown"),
        (tool("a\u202e"), "its name cannot be shown"),
        (tool("x" * 300), "its name cannot be shown"),
        (tool(properties={"x": nested(40)}), "nested too deeply"),
        (tool(properties={"x": {"description": "y" * 20_000}}), "too long"),
        (tool(properties={"a\x1b": {}}), "names that cannot be shown"),
        (types.Tool(name="read", input_schema={"type": "array"}), "not an object"),
        (tool(properties=[]), "not an object"),
    ],
    ids=repr,
)
def test_invalid_tools_are_left_out_and_reported(refused: types.Tool, says: str) -> None:
    found, sentences = definitions(HERE, [refused, tool("fine")])
    assert [each.name for each in found] == ["fine"]
    assert says in sentences[0]
    assert clean(sentences[0]) == sentences[0]


def test_surplus_and_duplicate_tools_are_reported() -> None:
    found, sentences = definitions(HERE, [tool(f"t{n}") for n in range(1_000)])
    assert len(found) == MAX_TOOLS
    assert sentences == ["900 of its 1000 tools are left out: that is too many."]
    found, sentences = definitions(HERE, [tool(description="1"), tool(description="2")])
    assert [each.description for each in found] == ["1"]
    assert "two tools called 'read'" in sentences[0]


# -------------------------------------------------------------------------------- results


def test_every_kind_of_result_becomes_text() -> None:
    image = types.ImageContent(type="image", data="A" * 8_000, mime_type="image/png")
    sound = types.AudioContent(type="audio", data="AAAA", mime_type="audio/wav")
    link = types.ResourceLink(type="resource_link", name="notes", uri="file:///n", description="d")
    text = types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri="file:///t", text="inside")
    )
    blob = types.EmbeddedResource(
        type="resource", resource=types.BlobResourceContents(uri="file:///b", blob="AAAA")
    )
    first = types.TextContent(type="text", text="hello")
    result = types.CallToolResult(content=[first, image, sound, link, text, blob])
    assert result_text(result).splitlines() == [
        "hello",
        "[An image, image/png, 6 kB: it cannot be shown here]",
        "[A recording, audio/wav, 3 bytes: it cannot be played]",
        "[A link to notes, file:///n: d]",
        "[file:///t]",
        "inside",
        "[A file, file:///b, unknown type, 3 bytes]",
    ]
    bare = types.CallToolResult(content=[], structured_content={"a": "é"})
    assert result_text(bare) == '{"a": "é"}'
    many = types.CallToolResult(content=[first.model_copy(update={"text": "x" * 50_000})] * 100)
    assert len(result_text(many)) < 250_000


def test_images_of_a_result_become_pictures() -> None:
    png = "iVBORw0KGgoAAAANSUhEUgAAAHsAAAAtEAIAAABR"
    image = types.ImageContent(type="image", data=png, mime_type="image/png")
    broken = types.ImageContent(type="image", data="é", mime_type="image/png")
    resource = types.BlobResourceContents(uri="file:///b", blob=png)
    blob = types.EmbeddedResource(type="resource", resource=resource)
    text = types.TextContent(type="text", text=png)
    result = types.CallToolResult(content=[image, broken, blob, text])
    assert [found.caption for found in pictures(result)] == ["PNG, 123 × 45 pixels"] * 2
    assert result_text(result).startswith("[An image, image/png, 30 bytes]\n")


# ------------------------------------------------------------------------------ the stream


@given(st.lists(st.binary(max_size=12)), st.integers(1, 7))
def test_lines_do_not_depend_on_the_chunks(parts: list[bytes], size: int) -> None:
    whole = b"\n".join(parts)
    expected = [line.strip() for line in whole.split(b"\n")[:-1] if line.strip()]
    lines = Lines(100)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert [line for piece in pieces for line in lines.feed(piece)] == expected


@pytest.mark.parametrize(
    ("head", "tail", "number"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"x":"', b'"}}', 7),
        (b'{"result":{"x":"', b'"},"jsonrpc":"2.0","id":8}', 8),
        (b'{"result":{"x":"', b'"},"jsonrpc":"2.0","id":"listen-1"}', "listen-1"),
        (b'{"result":{"x":"', b'"}}', None),
    ],
)
def test_the_id_of_an_oversized_line_is_kept(
    head: bytes, tail: bytes, number: int | str | None
) -> None:
    lines = Lines(MESSAGE_LIMIT)
    found = lines.feed(head)
    for _ in range(60):
        found += lines.feed(b"x" * 65_536)
        assert sum(map(sys.getsizeof, lines._parts)) < 2 * MESSAGE_LIMIT
    found += lines.feed(tail + b"\nnext\n")
    assert isinstance(found[0], Oversized)
    assert found[0].number == number
    assert found[1:] == [b"next"]


@pytest.mark.parametrize(
    ("message", "too_large"),
    [
        ({"a": "x" * (MESSAGE_LIMIT - 100)}, False),
        ({"a": "x" * MESSAGE_LIMIT}, True),
        ({"a": [{}] * (OBJECTS - 1)}, False),
        ({"a": [{}] * OBJECTS}, True),
        ({"a": [[]] * VALUES}, True),
        ({"a": json.dumps({'"\\': [{}, []] * 50_000})}, False),
        ({"a\\": json.dumps({'"\\': [{}]}), "b": [1] * VALUES, "c": "\\"}, True),
    ],
    ids=range(7),
)
def test_oversized_messages_are_detected_by_their_punctuation(
    message: object, too_large: bool
) -> None:
    assert is_too_large(json.dumps(message, separators=(",", ":")).encode()) is too_large


def test_the_output_tail_keeps_the_last_lines_cleaned() -> None:
    ring = OutputTail()
    ring.feed(b"".join(b"line %d\n" % n for n in range(1_000)))
    ring.feed(b"half \x1b[2J")
    ring.feed(b" more\xff\n\n")
    ring.feed(b"y" * 1_000_000 + b"\n")
    assert len(ring.lines) == 100
    assert ring.lines[-2] == "half \ufffd[2J more\ufffd"
    assert len(ring.lines[-1]) == 300


# ----------------------------------------------------------------------------------- pins


def definition(name: str = "read", description: str = "Read.", **schema: object) -> Definition:
    return Definition(name, f"files__{name}", description, {"type": "object", **schema})


def test_a_difference_is_described(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins.json")
    old = definition(properties={"path": {"type": "string"}, "old": {"type": "number"}})
    assert pins.differences("files", [old]) == {}
    new = definition(
        description="Read and send.",
        properties={"path": {"type": "integer"}, "to": {"type": "string"}},
    )
    for known in (pins, Pins(tmp_path / "pins.json")):
        assert known.differences("files", [new])["read"].splitlines() == [
            "description: 'Read.' became 'Read and send.'",
            "path type: 'string' became 'integer'",
            "old type is gone: number",
            "to type is new: string",
        ]
    pins.accept("files", new)
    assert Pins(tmp_path / "pins.json").differences("files", [new]) == {}


def test_a_change_in_a_long_text_is_found(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(300)]
    pins = Pins(tmp_path / "pins.json")
    pins.differences("files", [definition(description=" ".join(words))])
    words[200] = "secretly"
    (reported,) = pins.differences("files", [definition(description=" ".join(words))]).values()
    assert "'word200' became 'secretly'" in reported
    assert len(reported) < 200


def test_pins_are_private_and_bounded_and_a_broken_file_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "state" / "pins.json"
    pins = Pins(path)
    pins.allow(HERE)
    assert Pins(path).allows(HERE)
    assert not Pins(path).allows(ServerConfig("files", ("y",)))
    assert Pins(path).allows(ServerConfig("web", url="https://h"))
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    pins.differences("files", [definition(f"t{n}") for n in range(MAX_DEFINITIONS + 9)])
    assert len(Pins(path).tools("files")) == MAX_DEFINITIONS
    Pins(path).forget("files")
    assert not Pins(path).allows(HERE)
    for broken in (b"", b"[]", b'{"files": 1}', b"\xff"):
        path.write_bytes(broken)
        assert not Pins(path).allows(HERE)


def test_two_programs_keep_what_the_other_wrote(tmp_path: Path) -> None:
    one, two = Pins(tmp_path / "pins.json"), Pins(tmp_path / "pins.json")
    one.allow(HERE)
    two.allow(ServerConfig("other", ("x",)))
    last = Pins(tmp_path / "pins.json")
    assert last.allows(HERE)
    assert last.allows(ServerConfig("other", ("x",)))


_PIN = """
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.mcp.mcp_text import Definition

pins = Pins(path, wait_s=60)

def edit(number):
    pins.differences("files", [Definition(f"{name}{number}", "", "", {})])
"""


def test_two_processes_lose_no_pin(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    edit_at_once(path, ("read", "write"), _PIN)
    expected = {f"{name}{number}" for name in ("read", "write") for number in range(60)}
    assert set(Pins(path).tools("files")) == expected


def test_a_pin_that_cannot_be_stored_applies_to_the_session(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pins = Pins(tmp_path / "file" / "pins.json")
    pins.allow(HERE)
    pins.differences("web", [definition()])
    assert pins.allows(HERE)
    assert pins.tools("web") == ("read",)
    (tmp_path / "file").unlink()
    pins.differences("web", [definition("write")])
    assert Pins(tmp_path / "file" / "pins.json").allows(HERE)
    assert Pins(tmp_path / "file" / "pins.json").tools("web") == ("read", "write")
