"""A scripted MCP server over streamable HTTP, in the process of the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TOOLS = [{"name": "nod", "inputSchema": {"type": "object"}}]


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Answer(NamedTuple):
    """An answer: status, body, type of the body and further headers."""

    status: int
    body: str = ""
    kind: str = "application/json"
    headers: tuple[str, ...] = ()


@dataclass
class McpStub:
    """The server; `override` answers a request instead, and `results` holds results by method."""

    override: Callable[[Request], Answer | None] = lambda request: None
    results: dict[str, Any] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def messages(self, method: str) -> list[dict[str, Any]]:
        """Return the messages of this method that arrived."""
        found = [json.loads(each.body) for each in self.seen if each.path == "/mcp" and each.body]
        return [message for message in found if message.get("method") == method]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request per connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (each.partition(": ") for each in fields)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = line.split(" ", 2)
            request = Request(method, path, headers, body.decode())
            self.seen.append(request)
            writer.write(_encoded(self.override(request) or self.answer(request)))
            await writer.drain()
        writer.close()

    def answer(self, request: Request) -> Answer:
        """Answer a request as the script says."""
        if request.method != "POST" or not request.path.startswith("/mcp"):
            return Answer(405)
        message = json.loads(request.body)
        if "id" not in message:
            return Answer(202)
        answer: dict[str, object] = {"jsonrpc": "2.0", "id": message["id"]}
        known = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "stub", "version": "1"},
            },
            "tools/list": {"tools": TOOLS},
            "tools/call": {"content": [{"type": "text", "text": "nods"}]},
        } | self.results
        result = known.get(message["method"])
        if callable(result):
            result = result(message.get("params") or {})
        if result is None:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        else:
            answer["result"] = result
        return Answer(200, json.dumps(answer))


def _encoded(answer: Answer) -> bytes:
    body = answer.body.encode()
    lines = (
        f"HTTP/1.1 {answer.status} X",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *answer.headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def mcp_stub(**script: Any) -> AsyncIterator[McpStub]:
    """Run the server until the end of the block."""
    stub = McpStub(**script)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    async with server:
        yield stub
