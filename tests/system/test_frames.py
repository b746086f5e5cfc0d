"""Frames on a pipe, in pieces of any size."""

from __future__ import annotations

import io

import pytest

from voicechat.system.frames import FRAME_LIMIT, FrameBuffer, frame, read_frame

BODIES = [b"", b"a", b"x" * 70_000]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1_000, 200_000])
def test_pieces_of_any_size_give_the_same_frames(size: int) -> None:
    stream = b"".join(map(frame, BODIES))
    buffer = FrameBuffer()
    pieces = (stream[begin : begin + size] for begin in range(0, len(stream), size))
    assert [body for piece in pieces for body in buffer.feed(piece)] == BODIES


def test_a_pipe_gives_what_was_written_and_then_none() -> None:
    pipe = io.BytesIO(b"".join(map(frame, BODIES)))
    assert [read_frame(pipe) for _ in BODIES] == BODIES
    assert read_frame(pipe) is None


def test_a_truncated_frame_is_none() -> None:
    assert read_frame(io.BytesIO(frame(b"abc")[:-1])) is None


def test_a_stream_out_of_sync_is_refused() -> None:
    noise = (FRAME_LIMIT + 1).to_bytes(4, "big")
    assert read_frame(io.BytesIO(noise)) is None
    with pytest.raises(ValueError, match="out of step"):
        FrameBuffer().feed(noise)
    with pytest.raises(ValueError, match="too large"):
        frame(bytes(FRAME_LIMIT + 1))
