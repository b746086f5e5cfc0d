"""Answers of MCP servers of which one part is not valid, through the SDK's own checks."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_rig import running_servers
from mcp_types.methods import validate_server_result

from voicechat.config.mcp_server import ServerConfig
from voicechat.tools.mcp.mcp_answers import repair
from voicechat.tools.mcp.mcp_connection import load_sdk
from voicechat.tools.mcp.mcp_schema import NOT_AN_OBJECT, object_schema

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def objects(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


# --------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    ("schema", "read_as"),
    [
        (None, objects()),
        (True, objects()),
        ({}, objects()),
        ({"type": None, "properties": None}, objects()),
        ({"type": "OBJECT"}, objects()),
        ({"type": ["object", "null"], "properties": {"a": TEXT}}, objects(a=TEXT)),
        ({"properties": {"a": TEXT}, "required": []}, objects(a=TEXT) | {"required": []}),
        (objects(a=True, b=False, c="string", d=None), objects(a={}, c=TEXT, d={})),
        ({"anyOf": [objects(a=TEXT), {"type": "null"}]}, objects(a=TEXT)),
        (
            {
                "anyOf": [
                    objects(a=TEXT, b=TEXT) | {"required": ["a", "b"]},
                    objects(a=NUMBER) | {"required": ["a"]},
                    objects(a=NUMBER) | {"required": ["a"]},
                ]
            },
            objects(a={"anyOf": [TEXT, NUMBER]}, b=TEXT) | {"required": ["a"]},
        ),
        (
            {"allOf": [objects(a=TEXT) | {"required": ["a"]}, {"required": ["b"]}]}
            | objects(b=NUMBER),
            objects(a=TEXT, b=NUMBER) | {"required": ["a", "b"]},
        ),
        (
            objects(a=TEXT, b=TEXT) | {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            objects(a=TEXT, b=TEXT),
        ),
        (
            {"$ref": "#/$defs/In~1put", "$defs": {"In/put": objects(a=TEXT)}},
            objects(a=TEXT) | {"$defs": {"In/put": objects(a=TEXT)}},
        ),
        (objects(a=TEXT) | {"required": "a", "$schema": 7}, objects(a=TEXT) | {"required": []}),
    ],
    ids=repr,
)
def test_a_schema_is_read_as_an_object(schema: object, read_as: object) -> None:
    found = object_schema(schema)
    assert found == read_as
    assert object_schema(found) == found


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("string", "its schema is not a JSON schema"),
        (False, "its schema is not a JSON schema"),
        ({"type": "array"}, NOT_AN_OBJECT),
        ({"type": 3}, NOT_AN_OBJECT),
        ({"properties": ["a"]}, NOT_AN_OBJECT),
        ({"anyOf": [TEXT, NUMBER]}, NOT_AN_OBJECT),
        ({"$ref": "#/$defs/a", "$defs": {"a": TEXT}}, NOT_AN_OBJECT),
        ({"$ref": "#/$defs/a"}, "its schema refers to a part that does not exist"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "nested too deeply"),
    ],
    ids=repr,
)
def test_a_schema_that_is_no_object_gives_the_reason(schema: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        object_schema(schema)


WORDS = (
    "type properties required anyOf oneOf allOf $ref $defs $schema name inputSchema content text"
    " structuredContent isError tools mimeType data uri resource x-mcp-header _meta title"
)
KEY = st.sampled_from(WORDS.split()) | st.text(max_size=3)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["object", "text", "image", "resource", "#/$defs/a", "string"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=30)
@given(st.lists(JSON, max_size=3), JSON, JSON)
def test_any_answer_becomes_valid(parts: list[object], structured: object, about: object) -> None:
    listed = {"tools": [*parts, {"name": "fine", "inputSchema": structured}]}
    repair(listed)
    validate_server_result("tools/list", "2025-11-25", listed)
    assert len(listed["tools"]) == len(parts) + 1
    outcome = {"content": parts, "structuredContent": structured, "isError": about}
    repair(outcome)
    validate_server_result("tools/call", "2025-11-25", outcome)
    assert len(outcome["content"]) >= len(parts)
    introduction = {"protocolVersion": "2024-11-05", "capabilities": about, "serverInfo": about}
    repair(introduction)
    validate_server_result("initialize", "2025-11-25", introduction)


# ---------------------------------------------------------------------------- real servers

SLOPPY = r"""
import json, sys

results = {
    "initialize": {
        "protocolVersion": "2024-11-05",
        "capabilities": {"tools": {"listChanged": "yes"}, "prompts": None},
        "serverInfo": {"name": "sloppy"},
    },
    "tools/list": {"tools": [
        {"name": "nod", "inputSchema": {}, "outputSchema": "text", "annotations": 3},
        {"name": "say", "description": None, "inputSchema": {"anyOf": [
            {"type": "object", "properties": {"word": {"type": "string"}}}]}},
        {"name": "list", "inputSchema": {"type": "array"}},
        {"name": "bare"},
        {"inputSchema": {"type": "object"}},
        "nothing",
    ]},
    "tools/call": {"isError": None, "structuredContent": [1], "content": [
        {"type": "text", "text": "nods", "annotations": "none"},
        {"type": "hologram", "data": "A"},
        {"type": "image", "data": "AAAA"},
        {"type": "resource_link", "uri": "file:///n"},
        "plain",
    ]},
}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        broken = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": "?"}}
        print(json.dumps(broken), flush=True)
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] in results:
        answer["result"] = results[message["method"]]
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
"""


async def test_an_invalid_part_loses_only_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = ServerConfig("sloppy", (sys.executable, "-S", "-c", SLOPPY))
    async with running_servers(tmp_path, config) as rig:
        assert rig.names() == ["sloppy__nod", "sloppy__say", "sloppy__bare"]
        assert rig.servers.tools[1].spec.parameters == objects(word=TEXT)
        assert rig.reported == [
            "MCP server sloppy: Its tool 'list' is left out: its arguments are not an object.",
            "MCP server sloppy: Its tool '' is left out: it has no name.",
        ]
        outcome = await rig.call("sloppy__nod")
        assert not outcome.failed
        assert outcome.output.splitlines() == [
            "nods",
            "[Content of type 'hologram' that voicechat cannot read]",
            "[An image, unknown type, 3 bytes: it cannot be shown here]",
            "[Content of type 'resource_link' that voicechat cannot read]",
            "plain",
        ]
    assert capfd.readouterr() == ("", "")  # the SDK logs invalid notifications


def test_the_sdk_logs_nothing_to_the_terminal() -> None:
    load_sdk()
    from mcp.client import session

    logger = session.logger
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
    assert logger.name == "mcp"
    assert logging.getLogger("client").propagate


SILENT = r"""
import json, sys

capabilities = json.loads(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "tools/list" and len(sys.argv) == 2:
        continue
    answer = {"jsonrpc": "2.0", "id": message.get("id")}
    if message["method"] == "initialize":
        answer["result"] = {
            "protocolVersion": "2024-11-05",
            "capabilities": capabilities,
            "serverInfo": {"name": "x", "version": "1"},
        }
    else:
        answer["error"] = {"code": int(sys.argv[-1]), "message": "not here"}
    if "id" in message:
        print(json.dumps(answer), flush=True)
"""


@pytest.mark.parametrize("code", [-32601, -32603])
async def test_a_server_without_tools_is_ready(tmp_path: Path, code: int) -> None:
    capabilities = json.dumps({"prompts": {}, "resources": {}})
    command = (sys.executable, "-S", "-c", SILENT, capabilities, str(code))
    async with running_servers(tmp_path, ServerConfig("prompts", command)) as rig:
        assert rig.state().state == "ready"
        assert rig.reported == []
