"""A stdio MCP server as a pair of message streams for the SDK.

The server runs below the process supervisor and ends with this process. Its standard error goes to
an `OutputTail`. Lines of standard output that are no messages are skipped. A message that is too
large (`mcp_limits`) is never parsed: its call gets an error instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.errors import ConnectError
from voicechat.system import child_process
from voicechat.system.output_tail import OutputTail
from voicechat.system.task_group import TaskGroup
from voicechat.tools.mcp.mcp_limits import MESSAGE_LIMIT, TOO_LARGE, is_too_large

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Incoming = MemoryObjectSendStream[SessionMessage | Exception]
    Outgoing = MemoryObjectReceiveStream[SessionMessage]
    Streams = tuple[
        MemoryObjectReceiveStream[SessionMessage | Exception],
        MemoryObjectSendStream[SessionMessage],
    ]

_READ_AHEAD = 16
"""Messages read ahead; further ones wait in the server's pipe."""

_SEND_QUEUE = 64
"""Messages queued for a server that does not read; then senders wait, until their deadlines."""

_ID = re.compile(rb'"id"\s*:\s*(\d{1,15}|"[\w-]{1,40}")')


@asynccontextmanager
async def stdio(
    config: ServerConfig, output: OutputTail, on_end: Callable[[], None]
) -> AsyncIterator[Streams]:
    """Run the server and connect to it. Raises `ConnectError` when it cannot start.

    Enter and leave in one task. on_end: called when the server ends by itself. After leaving,
    nothing of the server runs for longer than a second.
    """
    import anyio

    server = await _start(config)
    incoming, read = anyio.create_memory_object_stream["SessionMessage | Exception"](_READ_AHEAD)
    write, outgoing = anyio.create_memory_object_stream["SessionMessage"](_SEND_QUEUE)

    async def read_messages() -> None:
        await _read(server, incoming, output)
        on_end()

    async with TaskGroup() as tasks:
        pipes = [
            tasks.create_task(read_messages()),
            tasks.create_task(_write(server, outgoing)),
            tasks.create_task(_read_errors(server, output)),
        ]
        try:
            yield read, write
        finally:
            await child_process.stop_supervised(server, patient=True)
            for task in pipes:
                task.cancel()
            for stream in (incoming, read, write, outgoing):
                stream.close()


async def _start(config: ServerConfig) -> asyncio.subprocess.Process:
    environment = config.environment()
    name, *arguments = config.arguments()
    program = shutil.which(name, path=environment.get("PATH"))
    if program is None:
        raise ConnectError(f"The program {clean(config.command[0])!r} was not found.")
    folder = config.cwd or Path.home()
    if not folder.is_dir():
        raise ConnectError(f"There is no folder {clean(str(folder))}.")
    command = (program, *arguments)
    try:
        command = child_process.supervised_command(command)
        return await child_process.start(command, environment, folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConnectError(f"It cannot be started: {clean(reason)}.") from None


# ------------------------------------------------------------------------------- the pipes


async def _read(server: asyncio.subprocess.Process, stream: Incoming, output: OutputTail) -> None:
    """Read messages until the server ends, then close the stream."""
    assert server.stdout is not None
    lines = Lines(MESSAGE_LIMIT)
    with stream, contextlib.suppress(OSError):
        while piece := await server.stdout.read(65_536):
            for line in lines.feed(piece):
                message = _message(line, output)
                if message is not None and not await _deliver(stream, message):
                    return
            await asyncio.sleep(0)


async def _deliver(stream: Incoming, message: SessionMessage) -> bool:
    import anyio

    try:
        await stream.send(message)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return False
    return True


async def _write(server: asyncio.subprocess.Process, messages: Outgoing) -> None:
    """Write messages to the server. The end of its output reveals a server that is gone."""
    assert server.stdin is not None
    with contextlib.suppress(OSError):
        async for each in messages:
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            server.stdin.write(text.encode("utf-8", "surrogatepass") + b"\n")
            await server.stdin.drain()


async def _read_errors(server: asyncio.subprocess.Process, output: OutputTail) -> None:
    assert server.stderr is not None
    with contextlib.suppress(OSError):
        while piece := await server.stderr.read(65_536):
            output.feed(piece)


def _message(line: bytes | Oversized, output: OutputTail) -> SessionMessage | None:
    """Parse a line; None when it is not a message."""
    from mcp.shared.message import SessionMessage
    from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter

    if isinstance(line, bytes) and is_too_large(line):
        line = Oversized(line)
    if isinstance(line, Oversized):
        output.add(b"(a message that is too large)")
        number = line.number
        if number is None:
            return None
        problem = ErrorData(code=INTERNAL_ERROR, message=TOO_LARGE)
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=problem))
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        output.add(line)
        return None


class Oversized:
    """A line that is too long to keep: only its two ends are kept."""

    def __init__(self, head: bytes) -> None:
        self._head, self._tail = head[:256], head[-256:]

    def extend(self, piece: bytes) -> None:
        """Add a piece of the line."""
        self._tail = (self._tail + piece[-256:])[-256:]

    @property
    def number(self) -> int | str | None:
        """The id of the call that it answers, found at one of the ends."""
        last = [found[1] for found in _ID.finditer(self._tail)]
        found = last[-1:] or [first[1] for first in _ID.finditer(self._head)][:1]
        if not found:
            return None
        return found[0].strip(b'"').decode() if found[0].startswith(b'"') else int(found[0])


class Lines:
    """Splits a stream into lines, never keeping more than `limit` bytes of one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._oversized: Oversized | None = None

    def feed(self, piece: bytes) -> list[bytes | Oversized]:
        """Return the lines that this piece completes."""
        found: list[bytes | Oversized] = []
        *ends, rest = piece.split(b"\n")
        for part in ends:
            self._add(part)
            line = self._oversized or b"".join(self._parts).strip()
            self._parts, self._size, self._oversized = [], 0, None
            if line:
                found.append(line)
        self._add(rest)
        return found

    def _add(self, part: bytes) -> None:
        if self._oversized is not None:
            self._oversized.extend(part)
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._limit:
            self._oversized = Oversized(b"".join(self._parts))
            self._parts = []
