"""Model servers on this machine: recognized by their answers, and used when there is no key."""

from __future__ import annotations

import sys
from pathlib import Path

import chat_servers
import pytest
from bombs import BOMB
from chat_servers import chat_server
from faults import port_without_server

from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.session import server_discovery
from voicechat.session.model import ChosenModel
from voicechat.session.server_discovery import find_servers


@pytest.mark.parametrize(
    ("answers", "name", "models", "is_realtime"),
    [
        (chat_servers.OLLAMA, "Ollama", ("llama3.2:latest", "big:70b", "tiny:1b"), False),
        (chat_servers.OLLAMA_IN_USE, "Ollama", ("big:70b", "llama3.2:latest", "tiny:1b"), False),
        (chat_servers.LM_STUDIO, "LM Studio", ("gemma", "qwen"), False),
        (chat_servers.LLAMA_CPP, "llama.cpp", ("gemma.gguf",), False),
        (chat_servers.VLLM, "vLLM", ("mistral",), False),
        (chat_servers.LOCAL_AI, "LocalAI", ("qwen",), True),
        (chat_servers.SPEACHES, "speaches", (), True),
        (chat_servers.UNKNOWN, "Chat server", ("some-model",), False),
    ],
)
async def test_a_server_is_recognized_by_its_answers(
    answers: dict[str, object], name: str, models: tuple[str, ...], is_realtime: bool
) -> None:
    with chat_server(answers) as server:
        (found,) = await find_servers([server.port])
    assert (found.name, found.models, found.is_realtime) == (name, models, is_realtime)
    assert found.url == f"http://127.0.0.1:{server.port}/v1"


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"{}", b'{"data": 3}', b"[" * 100_000, BOMB, b'{"data": ["x", {}, null]}'],
    ids=["html", "empty", "number", "nested", "bomb", "no names"],
)
async def test_other_answers_offer_no_model(body: bytes) -> None:
    with chat_server({"/v1/models": body}) as server:
        found = await find_servers([server.port])
    assert [each.models for each in found] in ([], [()])


async def test_names_that_cannot_be_requested_are_left_out() -> None:
    names = ["good", "\x1b[2Jbad", "two words", "x" * 300, "", "good"]
    answers: dict[str, object] = {"/v1/models": {"data": [{"id": each} for each in names]}}
    with chat_server(answers) as server:
        (found,) = await find_servers([server.port])
    assert found.models == ("good",)


async def test_a_server_that_hangs_costs_its_deadline_only(monkeypatch) -> None:
    monkeypatch.setattr(server_discovery, "ANSWER_S", 0.05)
    with chat_server({}) as server, port_without_server() as closed:
        server.hangs = True
        assert await find_servers([closed, server.port]) == []


async def test_the_port_of_ollama_may_be_another_one(monkeypatch) -> None:
    monkeypatch.setattr(server_discovery, "PORTS", ())
    with chat_server(chat_servers.OLLAMA) as server:
        for text in (f"127.0.0.1:{server.port}", f"http://localhost:{server.port}"):
            monkeypatch.setenv("OLLAMA_HOST", text)
            assert len(await find_servers()) == 1
        for text in (f"example.com:{server.port}", "[", "127.0.0.1", "x:y"):
            monkeypatch.setenv("OLLAMA_HOST", text)
            assert await find_servers() == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_server_of_another_person_is_left_out(monkeypatch, tmp_path: Path) -> None:
    with chat_server(chat_servers.OLLAMA) as server:
        row = f" 0: 0100007F:{server.port:04X} 00000000:0000 0A 0:0 0:0 0 UID 0 1"
        monkeypatch.setattr(server_discovery, "SOCKET_TABLES", (str(tmp_path / "tcp"),))
        for uid, count in (("65500", 0), ("105", 1), ("0", 1)):
            (tmp_path / "tcp").write_text(f"sl\n{row.replace('UID', uid)}\n", encoding="ascii")
            assert len(await find_servers([server.port])) == count


# ------------------------------------------------------------------------- as the mind


async def chosen(monkeypatch, port: int, **options: object) -> ChosenModel:
    """The model of these options after the search for a server on this port."""
    monkeypatch.setattr(server_discovery, "PORTS", (port,))
    model = ChosenModel(Options(**options), tuple, print)  # type: ignore[arg-type]
    await model.find()
    return model


async def test_without_a_key_a_chat_server_answers_and_is_named(monkeypatch) -> None:
    keys = {"VOICECHAT_CHAT_KEY": Secret("for another server")}
    with chat_server(chat_servers.OLLAMA) as server:
        model = await chosen(monkeypatch, server.port, keys=keys)
    assert model.options.chat_url == f"http://127.0.0.1:{server.port}/v1"
    assert model.options.chat_model == "llama3.2:latest"
    assert model.options.chat_key is None
    assert (
        model.choice.why == "Using the embedded voice with llama3.2:latest of Ollama at"
        f" 127.0.0.1:{server.port}. --no-local-chat answers without it."
    )


@pytest.mark.parametrize(
    "options",
    [
        {"local_chat": False},
        {"model": "local"},
        {"keys": {"OPENAI_API_KEY": Secret("sk-x")}},
        {"chat_url": "http://127.0.0.1:9/v1"},
    ],
    ids=["turned off", "named", "key", "own server"],
)
async def test_otherwise_no_port_is_asked(monkeypatch, options: dict[str, object]) -> None:
    with chat_server(chat_servers.OLLAMA) as server:
        model = await chosen(monkeypatch, server.port, **options)
        assert server.headers == []
    assert model.options.chat_url == options.get("chat_url")
