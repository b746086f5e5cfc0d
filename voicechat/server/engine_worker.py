"""The parent's handle on an engine process; its main is `engine_worker_main.py`.

Messages both ways are frames (`system.frames`), each a msgpack list.

    to the child     [number, method, arguments]   a job; the method "" takes back job `number`
    from the child   [number, kind, value]         kind: ready, item, done, error, event

Jobs run one after the other in the order they were sent. An engine that holds the interpreter
lock, crashes or carries a licence of its own does so over there. The child ends when its parent
does: its standard input closes, and on Linux the kernel kills it as well.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import msgspec

from voicechat.errors import ServerError
from voicechat.system.child_process import module_command, module_environment
from voicechat.system.frames import FrameBuffer, frame
from voicechat.system.output_tail import OutputTail

_UNREAD_LIMIT = 4 * 1024 * 1024
_RESTARTS = 3
_RESTART_SPAN_S = 60.0
_STOP_S = 2.0


class WorkerGone(ServerError):
    """The worker process ended while something was asked of it. `Worker.start()` brings it back."""


class JobFailed(ServerError):
    """The engine raised an error while it ran a job; the worker lives on."""


def encode(number: int, name: str, value: object) -> bytes:
    """One frame, either way."""
    return frame(msgspec.msgpack.encode((number, name, value)))


class _Child(asyncio.SubprocessProtocol):
    """One life of the process: cuts its output into frames and keeps the end of its complaints."""

    def __init__(
        self, on_frame: Callable[[int, str, Any], None], on_gone: Callable[[_Child], None]
    ) -> None:
        self._on_frame = on_frame
        self._on_gone = on_gone
        self._incoming = FrameBuffer()
        self._printed = OutputTail()
        self._transport: asyncio.BaseTransport | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._printed.feed(data)
            return
        try:
            for body in self._incoming.feed(data):
                self._on_frame(*msgspec.msgpack.decode(body, type=tuple[int, str, Any]))
        except (msgspec.MsgspecError, ValueError):
            self._printed.add(b"what it sent makes no sense")
            if self._transport is not None:
                self._transport.close()

    def last_words(self) -> str:
        """The last line on standard error."""
        return self._printed.last

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.ended.done():
            self.ended.set_result(None)
        self._on_gone(self)


class Worker:
    """A handle on one engine in its own process. Use it from one event loop only.

    engine: "package.module:Class"; the class is called with `options` in the child, and its
    public methods are the jobs: each takes a `worker_main.Job` and the arguments sent.
    label: how errors call it ("the ears").
    on_event: called on the loop with what the engine announces outside of answers.
    """

    def __init__(
        self,
        engine: str,
        label: str,
        on_event: Callable[[Any], None] | None = None,
        **options: object,
    ) -> None:
        self._engine = engine
        self._label = label
        self._on_event = on_event
        self._options = options
        self._transport: asyncio.SubprocessTransport | None = None
        self._child: _Child | None = None
        self._warm = False
        self._numbers = 0
        self._waiting: dict[int, Callable[[str, Any], None]] = {}
        self._starts: deque[float] = deque(maxlen=_RESTARTS + 1)
        self._starting = asyncio.Lock()
        self.epoch = 0
        """Grows with every start; what was sent in an earlier epoch is lost."""

    @property
    def alive(self) -> bool:
        """True if there is a process that answered to its start."""
        return self._warm

    @property
    def pid(self) -> int | None:
        """Process id of the child, None when there is none."""
        return self._transport.get_pid() if self._transport and self._warm else None

    async def start(self, deadline: float = 20.0) -> None:
        """Spawn the process unless it runs, and wait until the engine is warm.

        deadline: seconds. Raises `ServerError` when the engine is not available, or when it
        crashed more than three times within a minute.
        """
        async with self._starting:
            if not self.alive:
                await self.stop()
                self._count_start()
                await self._spawn(deadline)

    def _count_start(self) -> None:
        now = time.monotonic()
        self._starts.append(now)
        if len(self._starts) > _RESTARTS and now - self._starts[0] < _RESTART_SPAN_S:
            raise ServerError(
                f"{self._label} crashed {_RESTARTS} times within a minute and will stay off.",
                "Start voicechat again.",
            )

    async def _spawn(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Any] = loop.create_future()
        self._waiting = {0: _settle(ready)}
        command = module_command("voicechat.server.engine_worker_main", self._engine)
        child = self._child = _Child(self._on_frame, self._on_gone)
        try:
            async with asyncio.timeout(deadline):
                transport, _ = await loop.subprocess_exec(
                    lambda: child, *command, env=module_environment()
                )
                self._transport = transport
                self._send(encode(0, "open", self._options))
                await ready
        except (OSError, TimeoutError, ServerError) as error:
            why = "took too long" if isinstance(error, TimeoutError) else "failed"
            told = child.last_words() or str(error)
            raise ServerError(f"{self._label}: the start {why}.", told) from error
        else:
            self._warm = True
            self.epoch += 1
        finally:
            if not self._warm:
                self._end()
                await self.stop()

    def post(self, method: str, *arguments: object) -> int:
        """Send a job whose answer no one awaits; gives its number. Lost when no one lives there.

        A child that has 4 MB unread is stuck and is ended: the next `start()` makes a new one.
        """
        self._numbers += 1
        if self.alive:
            self._send(encode(self._numbers, method, arguments))
        return self._numbers

    async def call(self, method: str, *arguments: object, deadline: float) -> Any:
        """Run a job and give its result. Cancelling takes the job back.

        deadline: seconds; a child that misses it is ended. Raises `WorkerGone`, `JobFailed`.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number = self._ask(method, arguments, _settle(answer))
        try:
            async with asyncio.timeout(deadline):
                return await answer
        except TimeoutError as error:
            self._end()
            raise WorkerGone(f"{self._label} did not answer within {deadline:g} s.") from error
        finally:
            self._forget(number)

    async def stream(
        self, method: str, *arguments: object, deadline: float
    ) -> AsyncGenerator[Any, None]:
        """Run a job and give the items it hands out. Closing takes the job back.

        deadline: seconds between two items. The inbox is not bounded here: a job must be small.
        Raises `WorkerGone`, `JobFailed`.
        """
        inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        number = self._ask(method, arguments, lambda *frame: inbox.put_nowait(frame))
        try:
            while True:
                async with asyncio.timeout(deadline):
                    kind, value = await inbox.get()
                if kind == "done":
                    return
                if kind != "item":
                    raise _failure(kind, value)
                yield value
        except TimeoutError as error:
            self._end()
            raise WorkerGone(f"{self._label} did not answer within {deadline:g} s.") from error
        finally:
            self._forget(number)

    async def stop(self) -> None:
        """End the process: ask, wait at most two seconds, kill. Fine to call twice."""
        transport, child = self._transport, self._child
        self._transport = None
        if transport is None or child is None:
            return
        self._on_gone(child)
        stdin = transport.get_pipe_transport(0)
        if stdin is not None:
            stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await asyncio.shield(child.ended)
        except TimeoutError:
            transport.kill()
            await child.ended
        finally:
            transport.close()

    def _ask(
        self, method: str, arguments: tuple[object, ...], settle: Callable[[str, Any], None]
    ) -> int:
        if not self.alive:
            raise WorkerGone(f"{self._label} stopped working.")
        number = self.post(method, *arguments)
        self._waiting[number] = settle
        return number

    def _forget(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None and self.alive:
            self._send(encode(number, "", ()))

    def _send(self, frame: bytes) -> None:
        stdin = self._transport.get_pipe_transport(0) if self._transport else None
        if stdin is None or stdin.is_closing():
            return
        writer = cast(asyncio.WriteTransport, stdin)
        writer.write(frame)
        if writer.get_write_buffer_size() > _UNREAD_LIMIT:
            self._end()

    def _end(self) -> None:
        """Kill the child and tell everyone who waits for it."""
        if self._transport is not None:
            self._transport.close()
        if self._child is not None:
            self._on_gone(self._child)

    def _on_frame(self, number: int, kind: str, value: Any) -> None:
        if kind == "event":
            if self._on_event is not None and self.alive:
                self._on_event(value)
            return
        settle = self._waiting.get(number)
        if settle is None:
            return
        if kind != "item":
            del self._waiting[number]
        settle(kind, value)

    def _on_gone(self, child: _Child) -> None:
        if self._child is not child:
            return
        self._warm = False
        waiting, self._waiting = self._waiting, {}
        reason = f"{self._label} stopped working. {child.last_words()}".strip()
        for settle in waiting.values():
            settle("gone", reason)


def _settle(answer: asyncio.Future[Any]) -> Callable[[str, Any], None]:
    def settle(kind: str, value: Any) -> None:
        if answer.done():
            return
        if kind in {"done", "ready"}:
            answer.set_result(value)
        else:
            answer.set_exception(_failure(kind, value))

    return settle


def _failure(kind: str, value: Any) -> ServerError:
    return WorkerGone(str(value)) if kind == "gone" else JobFailed(str(value))
