"""The parent's side of an engine process, which runs `engine_worker_main.py`.

Messages both ways are frames (`system.frames`), each a msgpack list.

    to the child     [number, method, arguments]   a job; the method "" cancels job `number`
    from the child   [number, kind, value]         kind: ready, item, done, error, event

Jobs of one part of the engine ("part.method") run one after the other in the order they were sent;
parts run at the same time, and so do the lanes of a part ("part#1.method"). The process isolates an
engine that holds the interpreter lock or crashes. The child ends with its parent: its standard
input closes, and on Linux the kernel kills it as well.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import msgspec

from voicechat.errors import ServerError
from voicechat.server.worker_frames import encode
from voicechat.system.child_process import module_command, module_environment
from voicechat.system.frames import FrameBuffer
from voicechat.system.output_tail import OutputTail

_UNREAD_LIMIT = 4 * 1024 * 1024
_RESTARTS = 3
_RESTART_SPAN_S = 60.0
_STOP_S = 2.0


class WorkerStopped(ServerError):
    """The worker process ended before it finished a job. `Worker.start()` starts it again."""


class JobFailed(ServerError):
    """The engine raised an error in a job. The worker continues."""


class _ChildProtocol(asyncio.SubprocessProtocol):
    """One run of the process: decodes its output and keeps the end of its standard error."""

    def __init__(
        self, on_frame: Callable[[int, str, Any], None], on_exit: Callable[[_ChildProtocol], None]
    ) -> None:
        self._on_frame = on_frame
        self._on_exit = on_exit
        self._incoming = FrameBuffer()
        self._errors = OutputTail()
        self._transport: asyncio.BaseTransport | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._errors.feed(data)
            return
        try:
            for body in self._incoming.feed(data):
                self._on_frame(*msgspec.msgpack.decode(body, type=tuple[int, str, Any]))
        except (msgspec.MsgspecError, ValueError):
            self._errors.add(b"it sent an invalid frame")
            if self._transport is not None:
                self._transport.close()

    def last_error_line(self) -> str:
        """The last line on standard error."""
        return self._errors.last

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.ended.done():
            self.ended.set_result(None)
        self._on_exit(self)


class Worker:
    """A handle on one engine in its own process. Use it from one event loop only.

    engine: "package.module:Class"; the class is called with `options` in the child, and its
    public methods are the jobs: each takes an `engine_worker_main.Job` and the arguments sent.
    label: the name of the engine in error messages.
    on_event: called on the loop with each event that the engine sends.
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
        self._child: _ChildProtocol | None = None
        self._ready = False
        self._last_number = 0
        self._pending: dict[int, Callable[[str, Any], None]] = {}
        self._starts: deque[float] = deque(maxlen=_RESTARTS)
        self._starting: asyncio.Task[None] | None = None
        self.epoch = 0
        """Incremented by every start. Jobs of an earlier epoch are lost."""

    @property
    def alive(self) -> bool:
        """True if the process runs and the engine is ready."""
        return self._ready

    @property
    def pid(self) -> int | None:
        """Process id of the child; None if it does not run."""
        return self._transport.get_pid() if self._transport and self._ready else None

    async def start(self, deadline: float = 20.0) -> None:
        """Start the process if it does not run, and wait until the engine is ready.

        All callers wait for the same start. It continues when a caller is cancelled.
        deadline: seconds. Raises `ServerError` if the engine is not available, or if it crashed
        more than three times within a minute.
        """
        if self.alive:
            return
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start(deadline))
            self._starting.add_done_callback(_retrieved)
        starting = self._starting
        await asyncio.wait({starting})
        if starting.cancelled():
            raise WorkerStopped(f"{self._label} was stopped.")
        starting.result()

    async def _start(self, deadline: float) -> None:
        await self._stop_process()
        self._count_start()
        await self._spawn(deadline)

    def _count_start(self) -> None:
        now = time.monotonic()
        if len(self._starts) == _RESTARTS and now - self._starts[0] < _RESTART_SPAN_S:
            raise ServerError(
                f"{self._label} crashed {_RESTARTS} times within a minute.",
                "It starts again after a minute.",
            )
        self._starts.append(now)

    async def _spawn(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Any] = loop.create_future()
        self._pending = {0: _resolver(ready)}
        command = module_command("voicechat.server.engine_worker_main", self._engine)
        child = self._child = _ChildProtocol(self._on_frame, self._on_exit)
        try:
            async with asyncio.timeout(deadline):
                transport, _ = await loop.subprocess_exec(
                    lambda: child, *command, env=module_environment()
                )
                self._transport = transport
                self._send(encode(0, "open", self._options))
                await ready
        except (OSError, TimeoutError, ServerError) as error:
            outcome = "took too long" if isinstance(error, TimeoutError) else "failed"
            detail = child.last_error_line() or str(error)
            raise ServerError(f"{self._label}: the start {outcome}.", detail) from error
        else:
            self._ready = True
            self.epoch += 1
        finally:
            if not self._ready:
                self._kill()
                await self._stop_process()

    def post(self, method: str, *arguments: object) -> int:
        """Send a job without waiting for its result; return its number.

        The job is lost if the process does not run. A child with more than 4 MB of unread input
        is stuck and is killed; the next `start()` starts a new one.
        """
        self._last_number += 1
        if self.alive:
            self._send(encode(self._last_number, method, arguments))
        return self._last_number

    async def call(self, method: str, *arguments: object, deadline: float) -> Any:
        """Run a job and return its result. Cancelling cancels the job.

        deadline: seconds; a child that exceeds it is killed. Raises `WorkerStopped`, `JobFailed`.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number = self._request(method, arguments, _resolver(answer))
        try:
            async with asyncio.timeout(deadline):
                return await answer
        except TimeoutError as error:
            self._kill()
            raise WorkerStopped(f"{self._label} did not answer within {deadline:g} s.") from error
        finally:
            self._cancel_job(number)

    async def stream(
        self, method: str, *arguments: object, deadline: float
    ) -> AsyncGenerator[Any, None]:
        """Run a job and yield the items that it sends. Closing the iterator cancels the job.

        deadline: seconds between two items. The queue has no bound, so a job must be small.
        Raises `WorkerStopped`, `JobFailed`.
        """
        inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        number = self._request(method, arguments, lambda *frame: inbox.put_nowait(frame))
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
            self._kill()
            raise WorkerStopped(f"{self._label} did not answer within {deadline:g} s.") from error
        finally:
            self._cancel_job(number)

    async def stop(self) -> None:
        """Close the standard input of the process, and kill it after two seconds. Idempotent."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._stop_process()

    async def _stop_process(self) -> None:
        transport, child = self._transport, self._child
        self._transport = None
        if transport is None or child is None:
            return
        self._on_exit(child)
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

    def _request(
        self, method: str, arguments: tuple[object, ...], on_answer: Callable[[str, Any], None]
    ) -> int:
        if not self.alive:
            raise WorkerStopped(f"{self._label} stopped working.")
        number = self.post(method, *arguments)
        self._pending[number] = on_answer
        return number

    def _cancel_job(self, number: int) -> None:
        if self._pending.pop(number, None) is not None and self.alive:
            self._send(encode(number, "", ()))

    def _send(self, frame: bytes) -> None:
        stdin = self._transport.get_pipe_transport(0) if self._transport else None
        if stdin is None or stdin.is_closing():
            return
        writer = cast(asyncio.WriteTransport, stdin)
        writer.write(frame)
        if writer.get_write_buffer_size() > _UNREAD_LIMIT:
            self._kill()

    def _kill(self) -> None:
        """Kill the child and fail every pending job."""
        if self._transport is not None:
            self._transport.close()
        if self._child is not None:
            self._on_exit(self._child)

    def _on_frame(self, number: int, kind: str, value: Any) -> None:
        if kind == "event":
            if self._on_event is not None and self.alive:
                self._on_event(value)
            return
        on_answer = self._pending.get(number)
        if on_answer is None:
            return
        if kind != "item":
            del self._pending[number]
        on_answer(kind, value)

    def _on_exit(self, child: _ChildProtocol) -> None:
        if self._child is not child:
            return
        self._ready = False
        pending, self._pending = self._pending, {}
        reason = f"{self._label} stopped working. {child.last_error_line()}".strip()
        for on_answer in pending.values():
            on_answer("stopped", reason)


def _resolver(answer: asyncio.Future[Any]) -> Callable[[str, Any], None]:
    def on_answer(kind: str, value: Any) -> None:
        if answer.done():
            return
        if kind in {"done", "ready"}:
            answer.set_result(value)
        else:
            answer.set_exception(_failure(kind, value))

    return on_answer


def _retrieved(starting: asyncio.Task[None]) -> None:
    """Mark the exception of a start as seen, even if each caller was cancelled."""
    if not starting.cancelled():
        starting.exception()


def _failure(kind: str, value: Any) -> ServerError:
    return WorkerStopped(str(value)) if kind == "stopped" else JobFailed(str(value))
