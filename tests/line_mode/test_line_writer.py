"""Lines for a reader that pauses, is slow, or is gone."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import pytest
from scripted import until

from voicechat.line_mode import line_writer
from voicechat.line_mode.line_writer import LineWriter


@pytest.fixture
def pipe():
    """A pipe: the descriptor of the reader, and the stream of the writer."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
    with suppress(OSError):
        os.close(reader)


def read(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := os.read(descriptor, size - len(found))):
        found += piece
    return found


async def test_lines_for_a_reader_that_pauses_stop_nothing_and_arrive_later(pipe) -> None:
    reader, stream = pipe
    writer = LineWriter(stream)
    lines = [f"{number:06d} {'x' * 993}\n" for number in range(300)]
    for line in lines:
        writer.write(line)
    waiting = asyncio.create_task(writer.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    got = await asyncio.to_thread(read, reader, sum(map(len, lines)))
    assert got.decode() == "".join(lines)
    async with asyncio.timeout(10):
        await waiting


async def test_the_oldest_lines_are_left_out_and_counted(
    pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_writer, "MAX_WAITING", 10_000)
    reader, stream = pipe
    writer = LineWriter(stream)
    full = "f" * 200_000 + "\n"
    writer.write(full)
    await until(lambda: not writer._pieces)
    for number in range(100):
        writer.write(f"{number:03d}{'x' * 996}\n")
    got = (await asyncio.to_thread(read, reader, len(full) + 10_000)).decode()
    await writer.drained()
    assert got.startswith(full + "(90 lines left out.)\n090")


async def test_a_reader_that_is_gone_is_an_error_of_the_next_call(pipe) -> None:
    reader, stream = pipe
    writer = LineWriter(stream)
    os.close(reader)
    writer.write("lost\n")
    with pytest.raises(BrokenPipeError):
        await writer.drained()
