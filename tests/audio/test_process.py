"""Messages on the pipe between the app and its audio process."""

import io
import os
import subprocess
import sys
import threading
import time

import pytest

from voicechat.audio.messages import Problem
from voicechat.audio.process import EventWriter, receive, send
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import MicBlock

SENT = [Play("i", b"\0\1" * 100_000), EndItem("i")]


def written() -> bytes:
    pipe = io.BytesIO()
    for message in SENT:
        send(pipe, message)
    return pipe.getvalue()


def test_a_pipe_delivers_every_message_and_then_none() -> None:
    pipe = io.BufferedReader(io.BytesIO(written()))
    assert [receive(pipe) for _ in SENT] == SENT
    assert receive(pipe) is None


@pytest.mark.parametrize("cut", [1, 2, 20, 1_000])
def test_a_truncated_message_is_none(cut: int) -> None:
    pipe = io.BytesIO()
    send(pipe, SENT[0])
    assert receive(io.BytesIO(pipe.getvalue()[:-cut])) is None


def test_a_parent_that_does_not_read_is_noticed() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as pipe:
        outbox = EventWriter(pipe)
        now = time.monotonic()
        assert not outbox.is_unread(now + 60)
        block = MicBlock(bytes(1_000_000), now)
        outbox.put(block)
        while outbox._sending_since is None or outbox._events:
            threading.Event().wait(0.001)
        outbox.put(block)
        outbox.put(Problem("It waits, too."))
        assert not outbox.is_unread(outbox._sending_since + 1.9)
        assert outbox.is_unread(outbox._sending_since + 2.1)
        outbox.drop_captured()
        assert receive(source) == [block]
        assert receive(source) == [Problem("It waits, too.")], "what was captured since is dropped"
        outbox.put(block)
        assert receive(source) == [block]
        assert outbox.idle.wait(5)
        assert not outbox.is_unread(time.monotonic() + 60)


_MATRICES = """
import os
from voicechat.audio import process
process.take_pipes = lambda prints: (open(os.devnull, "rb"), open(os.devnull, "wb"))
process.main()
import numpy
matrix = numpy.ones((600, 600), numpy.float32)
matrix @ matrix
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_matrix_products_start_no_threads() -> None:
    program = [sys.executable, "-c", _MATRICES]
    assert subprocess.run(program, check=True, capture_output=True, timeout=60).stdout == b"1\n"
