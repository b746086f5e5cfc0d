"""What MCP servers say, made fit for the model and the person: names, definitions and results.

A server's text is as trustworthy as the server. It is cleaned and bounded here, once. What a server
says about its own tools' harmlessness (annotations) is not read at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.tools.registry import OUTPUT_LIMIT

if TYPE_CHECKING:
    import mcp_types as types

NAME_LIMIT = 64
"""Characters of a tool's name that every provider takes."""

MOST_TOOLS = 100
"""Tools of one server that are offered; providers take 128 in all."""

DESCRIPTION_LIMIT = 2_000
"""Characters of a tool's description."""

SCHEMA_LIMIT = 16_384
"""Characters of a tool's schema as JSON; a larger one leaves the tool out."""

DEPTH_LIMIT = 24

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Definition:
    """A tool of a server, cleaned."""

    name: str
    """As the server calls it."""
    offered_as: str
    """As the model calls it."""
    description: str
    parameters: Json


def definitions(
    config: ServerConfig, tools: Sequence[types.Tool]
) -> tuple[list[Definition], list[str]]:
    """The tools that can be offered, and a sentence for each kind that cannot."""
    found: dict[str, Definition] = {}
    refused: list[str] = []
    for tool in tools:
        if len(found) >= MOST_TOOLS:
            left = len(tools) - MOST_TOOLS
            refused.append(f"{left} of its {len(tools)} tools are left out: that is too many.")
            break
        made = _definition(config, tool)
        if isinstance(made, str):
            refused.append(f"Its tool {clean(tool.name)[:80]!r} is left out: {made}.")
        elif made.offered_as in found:
            refused.append(f"It has two tools called {clean(tool.name)[:80]!r}; the first counts.")
        else:
            found[made.offered_as] = made
    return list(found.values()), refused


def _definition(config: ServerConfig, tool: types.Tool) -> Definition | str:
    if not tool.name or clean(tool.name) != tool.name or len(tool.name) > 256:
        return "its name cannot be shown"
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
        return "its arguments are no object"
    description = clean(tool.description or tool.title or "").strip()[:DESCRIPTION_LIMIT]
    return Definition(tool.name, offered_as(config.spaced, tool.name), description, parameters)


def _cleaned(value: object, depth: int) -> object:
    """A schema with every text in it cleaned. Raises `ValueError` for one that cannot be."""
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
    """The name for the model: at most 64 of A-Z a-z 0-9 _ -, told apart from every other's.

    A name that has to be changed or cut ends in a few digits of its hash, so that two names that
    look alike then stay two, whatever the order in which they come.
    """
    wanted = f"{spaced}__{name}"
    fits = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)
    if fits == wanted and len(fits) <= NAME_LIMIT:
        return fits
    mark = hashlib.sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{fits[: NAME_LIMIT - 7]}_{mark}"


# ------------------------------------------------------------------------------- results


def result_text(result: types.CallToolResult) -> str:
    """A result in words: texts as they are, everything else described; not cleaned, not cut."""
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
        case "image" | "audio":
            what = "An image" if block.type == "image" else "A recording"
            return f"[{what}, {block.mime_type}, {_bytes(block.data)}: it cannot be shown here]"
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


def _bytes(base64: str) -> str:
    size = len(base64) * 3 // 4
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.0f} kB"
