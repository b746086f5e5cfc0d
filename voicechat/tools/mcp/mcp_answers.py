"""Answers of MCP servers, read part by part.

The SDK refuses an answer as a whole when one part of it is not valid. Here such a part is replaced
before the SDK sees it: a tool keeps its name and the reason why it is left out, a content block
becomes a note, a description of the server that has gaps gets them filled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voicechat.core.text import clean
from voicechat.tools.mcp.mcp_schema import object_schema

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream
    from mcp.shared.message import SessionMessage

REFUSED = "voicechat.refused"
"""Key of a tool's `_meta` with the reason why the tool is left out."""

_VERSION = "2025-11-25"
"""Version of MCP that the parts are checked against; newer ones accept the same parts."""

_CAPABILITIES = ("tools", "resources", "prompts", "logging", "completions")

Json = dict[str, Any]


class TolerantStream:
    """A stream of messages in which every answer is repaired."""

    def __init__(
        self, stream: ReadStream[SessionMessage | Exception], on_request: Callable[[str], None]
    ) -> None:
        """Prepare the stream. `on_request` is called with the method of each server request."""
        self._stream = stream
        self._on_request = on_request

    @property
    def last_context(self) -> object:
        """The context of the sender, which the SDK looks up."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Receive the next message."""
        return self._repaired(await self._stream.receive())

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._repaired(await self._stream.__anext__())

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._stream.__aexit__(kind, problem, trace)

    def _repaired(self, message: SessionMessage | Exception) -> SessionMessage | Exception:
        from mcp_types import JSONRPCRequest, JSONRPCResponse

        if isinstance(message, Exception):
            return message
        if isinstance(message.message, JSONRPCResponse):
            repair(message.message.result)
        elif isinstance(message.message, JSONRPCRequest):
            self._on_request(message.message.method)
        return message


def repair(result: Json) -> None:
    """Replace the parts of a result that the SDK would refuse."""
    if "protocolVersion" in result:
        _repair_introduction(result)
    if isinstance(result.get("tools"), list):
        result["tools"] = [_tool(each) for each in result["tools"]]
    if "content" in result or "structuredContent" in result:
        _repair_outcome(result)


def _is_valid(method: str, result: Mapping[str, object]) -> bool:
    from mcp_types.methods import validate_server_result

    try:
        validate_server_result(method, _VERSION, result)
    except ValueError:
        return False
    return True


def _repair_introduction(result: Json) -> None:
    if _is_valid("initialize", result):
        return
    capabilities, about = _object(result.get("capabilities")), _object(result.get("serverInfo"))
    result["capabilities"] = {
        name: {"listChanged": _object(capabilities[name]).get("listChanged") is True}
        for name in _CAPABILITIES
        if capabilities.get(name) not in (None, False)
    }
    result["serverInfo"] = {
        "name": str(about.get("name") or "unknown"),
        "version": str(about.get("version") or "unknown"),
    }
    result.pop("instructions", None)
    result.pop("_meta", None)


# ---------------------------------------------------------------------- the list of tools


def _tool(entry: object) -> Json:
    """Return the parts of a tool that voicechat uses, in a shape that the SDK accepts."""
    from mcp.shared.inbound import find_invalid_x_mcp_header

    found = _object(entry)
    name = found.get("name")
    tool: Json = {"name": name if isinstance(name, str) else ""}
    tool |= {key: found[key] for key in ("title", "description") if isinstance(found.get(key), str)}
    try:
        tool["inputSchema"] = object_schema(found.get("inputSchema"))
        if find_invalid_x_mcp_header(tool["inputSchema"]) is not None:
            raise ValueError("its schema names an HTTP header that is not valid")
        if not _is_valid("tools/list", {"tools": [tool]}):
            raise ValueError("its schema is not valid")
    except (ValueError, RecursionError) as problem:
        reason = str(problem) if type(problem) is ValueError else "its schema is nested too deeply"
        tool |= {"inputSchema": {"type": "object"}, "_meta": {REFUSED: reason}}
    return tool


# ---------------------------------------------------------------------- results of a call


def _repair_outcome(result: Json) -> None:
    content = result.get("content")
    if isinstance(content, str | dict):
        content = [content]
    result["content"] = [_block(each) for each in content] if isinstance(content, list) else []
    result["isError"] = result.get("isError") is True
    if not isinstance(result.get("structuredContent"), dict):
        unusual = result.pop("structuredContent", None)
        if unusual is not None and not result["content"]:
            result["content"] = [_block(str(unusual))]


def _block(block: object) -> Json:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    found = _object(block)
    found = {name: each for name, each in found.items() if name not in {"annotations", "_meta"}}
    if found.get("type") in ("image", "audio"):
        found.setdefault("mimeType", "unknown type")
    if _is_valid("tools/call", {"content": [found]}):
        return found
    kind = clean(str(found.get("type", "unknown")))[:40]
    return {"type": "text", "text": f"[Content of type {kind!r} that voicechat cannot read]"}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}
