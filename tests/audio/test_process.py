"""Messages on the pipe between the app and its audio process."""

import io

import pytest

from voicechat.audio.process import receive, send
from voicechat.core.effects import EndItem, Play

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
