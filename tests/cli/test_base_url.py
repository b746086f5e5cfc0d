"""The command with nothing but `--base-url`, at servers of other people."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import piped_program
import pytest
from compatible_servers import CompatibleServer, LocalAI, Speaches, SpeechToSpeech, Vllm, serving
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response


async def typed(folder: Path, server: CompatibleServer, *more: str) -> tuple[int, str, str]:
    """Pipe a line to a session with this server; return exit code, output and last error."""
    address = ("--base-url", f"http://127.0.0.1:{server.port}")
    code, out, errors = await piped_program.typed(folder, "hello", *address, *more)
    return code, out, errors.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("server", "more"),
    [(LocalAI(), ()), (SpeechToSpeech(), ()), (Speaches(), ("--model", "qwen3:8b"))],
    ids=["localai", "speech-to-speech", "speaches"],
)
async def test_a_line_gets_its_answer(tmp_path, server, more) -> None:
    async with serving(server):
        code, out, last = await typed(tmp_path, server, *more)
    assert (code, out) == (0, "You said hello.\n"), last


async def test_vllm_gives_one_sentence(tmp_path) -> None:
    async with serving(Vllm()) as server:
        code, out, last = await typed(tmp_path, server)
    assert (code, out) == (4, "")
    assert "127.0.0.1 opened no session: The server only transcribes, like vLLM." in last


NO_PATH = "127.0.0.1 has no such realtime endpoint or model at /v1/realtime (HTTP 404)."
NO_KEY = "127.0.0.1 asks for a key (HTTP 401)."


class Refusing(SpeechToSpeech):
    """A server that answers every request with this status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__()
        self.status = status

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        return socket.respond(self.status, "")


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (HTTPStatus.NOT_FOUND, 4, f"{NO_PATH} Check --base-url and --model."),
        (HTTPStatus.UNAUTHORIZED, 3, f"{NO_KEY} Set it as OPENAI_API_KEY in the environment."),
    ],
)
async def test_a_refusal_gives_one_sentence(tmp_path, status, code, sentence) -> None:
    async with serving(Refusing(status)) as server:
        assert await typed(tmp_path, server) == (code, "", f"voicechat: {sentence}")
