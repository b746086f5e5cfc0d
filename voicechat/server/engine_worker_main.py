"""The child's side of `worker.py`: `python -m voicechat.server.engine_worker_main module:Class`.

A thread reads frames, so that a job can be taken back while it runs; the main thread runs the
jobs one by one. Standard output belongs to the frames alone: what libraries print goes to
standard error.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

import msgspec

from voicechat.server.engine_worker import FRAME_LIMIT, HEADER, encode

_JOBS = 8192
_PR_SET_PDEATHSIG = 1


class Job:
    """One piece of work: `cancelled` turns true when nobody wants it any more."""

    def __init__(self, number: int, out: _Out) -> None:
        self.number = number
        self.cancelled = False
        self._out = out

    def give(self, item: object) -> None:
        """Hand out one item of a stream."""
        self._out.send(self.number, "item", item)

    def announce(self, event: object) -> None:
        """Tell the parent something nobody asked for."""
        self._out.send(self.number, "event", event)


class _Out:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def send(self, number: int, kind: str, value: object) -> None:
        self._pipe.write(encode(number, kind, value))
        self._pipe.flush()


class _Desk:
    """The jobs sent and not yet done, in order. Bounded: a full desk lets the pipe fill up."""

    def __init__(self, out: _Out) -> None:
        self._out = out
        self._order: queue.Queue[tuple[Job, str, Any]] = queue.Queue(_JOBS)
        self._open: dict[int, Job] = {}

    def read(self, pipe: BinaryIO) -> None:
        """Take in frames until the parent closes the pipe, then end the process, whatever runs."""
        while len(header := pipe.read(HEADER.size)) == HEADER.size:
            (size,) = HEADER.unpack(header)
            body = pipe.read(min(size, FRAME_LIMIT))
            if len(body) < size:
                break
            number, method, arguments = msgspec.msgpack.decode(body)
            if method:
                job = self._open[number] = Job(number, self._out)
                self._order.put((job, method, arguments))
            elif taken_back := self._open.get(number):
                taken_back.cancelled = True
        os._exit(0)

    def next(self) -> tuple[Job, str, Any]:
        """Wait for a job."""
        return self._order.get()

    def run(self, engine: object, job: Job, method: str, arguments: Any) -> None:
        """Do one job and send its answer, unless nobody wants it."""
        if not job.cancelled:
            try:
                result = getattr(engine, method)(job, *arguments)
            except Exception as error:  # whatever an engine raises is the answer to its job
                self._out.send(job.number, "error", f"{type(error).__name__}: {error}")
            else:
                self._out.send(job.number, "done", result)
        self._open.pop(job.number, None)


def _die_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run the engine named on the command line until the parent goes."""
    _die_with_parent()
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    out = _Out(pipe)
    desk = _Desk(out)
    threading.Thread(target=desk.read, args=(sys.stdin.buffer,), daemon=True).start()
    opening, _, options = desk.next()
    module, _, name = sys.argv[1].partition(":")
    engine = getattr(importlib.import_module(module), name)(**options)
    out.send(opening.number, "ready", None)
    while True:
        desk.run(engine, *desk.next())


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # the reading thread forbids an ordinary exit of the interpreter
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.flush()
        os._exit(1)
