"""Names, definitions and results of MCP servers as text for the model and the user.

A server's text is as trustworthy as the server. It is cleaned and limited here, once. A server's
claims about the safety of its tools (annotations) are ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.pictures import Picture, picture
from voicechat.core.text import clean
from voicechat.tools.mcp.mcp_answers import REFUSED
from voicechat.tools.registry import OUTPUT_LIMIT

if TYPE_CHECKING:
    import mcp_types as types

NAME_LIMIT = 64
"""Characters of a tool's name that every provider accepts."""

MAX_TOOLS = 100
"""Tools of one server that are offered; providers accept 128 in total."""

DESCRIPTION_LIMIT = 2_000
"""Characters of a tool's description."""

SCHEMA_LIMIT = 16_384
"""Characters of a tool's schema as JSON; a tool with a larger one is left out."""

DEPTH_LIMIT = 24

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Definition:
    """A cleaned definition of a tool."""

    name: str
    """The server's own name for it."""
    offered_as: str
    """The name for the model."""
    description: str
    parameters: Json


def definitions(
    config: ServerConfig, tools: Sequence[types.Tool]
) -> tuple[list[Definition], list[str]]:
    """Return the tools that can be offered, and a sentence for each problem."""
    found: dict[str, Definition] = {}
    refused: list[str] = []
    for tool in tools:
        if len(found) >= MAX_TOOLS:
            count = len(tools) - MAX_TOOLS
            refused.append(f"{count} of its {len(tools)} tools are left out: that is too many.")
            break
        definition = _definition(config, tool)
        if isinstance(definition, str):
            refused.append(f"Its tool {clean(tool.name)[:80]!r} is left out: {definition}.")
        elif definition.offered_as in found:
            refused.append(
                f"It has two tools called {clean(tool.name)[:80]!r}; only the first is used."
            )
        else:
            found[definition.offered_as] = definition
    return list(found.values()), refused


def _definition(config: ServerConfig, tool: types.Tool) -> Definition | str:
    if not tool.name:
        return "it has no name"
    if clean(tool.name) != tool.name or len(tool.name) > 256:
        return "its name cannot be shown"
    if refused := (tool.meta or {}).get(REFUSED):
        return clean(str(refused))
    schema: Json = {"type": "object", "properties": {}, **tool.input_schema}
    schema.pop("$schema", None)
    try:
        size = len(json.dumps(schema))
        parameters = cast("Json", _cleaned(schema, DEPTH_LIMIT))
    except (ValueError, RecursionError) as problem:
        return str(problem) if type(problem) is ValueError else "its schema is nested too deeply"
    if size > SCHEMA_LIMIT:
        return "its schema is too long"
    if parameters.get("type") != "object" or not isinstance(parameters["properties"], dict):
        return "its arguments are not an object"
    description = clean(tool.description or tool.title or "").strip()[:DESCRIPTION_LIMIT]
    return Definition(tool.name, offered_as(config.tool_prefix, tool.name), description, parameters)


def _cleaned(value: object, depth: int) -> object:
    """Clean every text in a schema. Raises `ValueError` for one that cannot be cleaned."""
    if depth == 0:
        raise ValueError("its schema is nested too deeply")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each, depth - 1) for each in value]
    if isinstance(value, dict):
        if any(clean(name) != name for name in value):
            raise ValueError("its schema has names that cannot be shown")
        return {name: _cleaned(each, depth - 1) for name, each in value.items()}
    return value


def offered_as(spaced: str, name: str) -> str:
    """Return a unique name for the model: at most 64 characters of A-Z a-z 0-9 _ -.

    A name that has to change ends in six digits of its hash, so that similar names stay distinct
    in whatever order they arrive.
    """
    full_name = f"{spaced}__{name}"
    valid = re.sub(r"[^A-Za-z0-9_-]", "_", full_name)
    if valid == full_name and len(valid) <= NAME_LIMIT:
        return valid
    suffix = hashlib.sha256(full_name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{valid[: NAME_LIMIT - 7]}_{suffix}"


# ------------------------------------------------------------------------------- results


def progress_text(progress: float, total: float | None, message: str | None) -> str:
    """Convert the progress of a call to text for the user: "40 %: Reading files"."""
    if total and 0 <= progress <= total:
        count = f"{progress / total * 100:.0f} %"
    else:
        count = f"{progress:g}"
    return f"{count}: {message}" if message else count


def result_text(result: types.CallToolResult) -> str:
    """Convert a result to text; content that is not text is described. Not cleaned, not cut."""
    parts: list[str] = []
    size = 0
    for block in result.content:
        parts.append(_block(block))
        size += len(parts[-1])
        if size > 2 * OUTPUT_LIMIT:
            break
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _block(block: types.ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "image":
            end = "" if picture_of(block) else ": it cannot be shown here"
            return f"[An image, {block.mime_type}, {_bytes(block.data)}{end}]"
        case "audio":
            return f"[A recording, {block.mime_type}, {_bytes(block.data)}: it cannot be played]"
        case "resource_link":
            about = f": {block.description}" if block.description else ""
            return f"[A link to {block.title or block.name}, {block.uri}{about}]"
        case "resource":
            inner = block.resource
            text = getattr(inner, "text", None)
            if isinstance(text, str):
                return f"[{inner.uri}]\n{text}"
            kind = inner.mime_type or "unknown type"
            return f"[A file, {inner.uri}, {kind}, {_bytes(getattr(inner, 'blob', ''))}]"


def pictures(result: types.CallToolResult) -> list[Picture]:
    """Return the images of a result that can be read, also those of resources."""
    return [found for block in result.content if (found := picture_of(block)) is not None]


def picture_of(block: types.ContentBlock) -> Picture | None:
    """Return the picture in a content block, if there is one."""
    if block.type == "image":
        encoded = block.data
    elif block.type == "resource":
        encoded = getattr(block.resource, "blob", "")
    else:
        return None
    try:
        return picture(b64decode(encoded))
    except ValueError:
        return None


def _bytes(base64: str) -> str:
    size = len(base64) * 3 // 4
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.0f} kB"
