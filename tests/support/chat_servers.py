"""Model servers on this machine, as their documentation says that they answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = "The capital of France is Paris."


def _entries(*names: str, **more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "object": "model", **more} for name in names]}


OLLAMA: dict[str, object] = {
    "/v1/models": _entries(
        "tiny:1b", "llama3.2:latest", "big:70b", "nomic-embed-text:latest", owned_by="library"
    ),
    "/api/tags": {
        "models": [
            {"name": "tiny:1b", "size": 700_000_000},
            {"name": "big:70b", "size": 40_000_000_000},
            {"name": "llama3.2:latest", "size": 2_000_000_000},
            {"name": "nomic-embed-text:latest", "size": 200_000_000},
            {"name": "not-for-chats:latest", "size": 1_500_000_000},
        ]
    },
    "/api/ps": {"models": []},
}
OLLAMA_IN_USE = {**OLLAMA, "/api/ps": {"models": [{"name": "big:70b", "size": 40_000_000_000}]}}
LM_STUDIO: dict[str, object] = {
    "/v1/models": _entries("qwen", "gemma", "text-embedding-nomic", owned_by="organization_owner"),
    "/api/v0/models": {
        "data": [
            {"id": "qwen", "type": "llm", "state": "not-loaded"},
            {"id": "gemma", "type": "vlm", "state": "loaded"},
            {"id": "text-embedding-nomic", "type": "embeddings", "state": "loaded"},
        ]
    },
}
LLAMA_CPP: dict[str, object] = {"/v1/models": _entries("gemma.gguf", owned_by="llamacpp")}
VLLM: dict[str, object] = {"/v1/models": _entries("mistral", owned_by="vllm")}
LOCAL_AI: dict[str, object] = {
    "/v1/models": _entries("qwen", "whisper-1", "talk"),
    "/v1/models/capabilities": {
        "data": [
            {"id": "qwen", "capabilities": ["chat", "completion"]},
            {"id": "whisper-1", "capabilities": ["transcript"]},
            {"id": "talk", "capabilities": ["realtime_audio"]},
        ]
    },
}
SPEACHES: dict[str, object] = {
    "/v1/models": _entries("kokoro", task="text-to-speech", owned_by="speaches-ai")
}
UNKNOWN: dict[str, object] = {"/v1/models": _entries("some-model", "bge-m3")}


class ChatServer(ThreadingHTTPServer):
    """Answer GET with `answers` by path, and each chat with `ANSWER`."""

    answers: dict[str, object]
    hangs = False
    """Accept connections and answer nothing."""
    hangs_on_chats = False
    """Take a chat and do not answer it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, object]] = []
        """The bodies of chats."""
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_GET(self) -> None:
        if self.server.hangs:
            self.server.over.wait(20)
            return
        found = self.server.answers.get(self.path)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.server.headers.append(dict(self.headers))
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.headers.append(dict(self.headers))
        if self.server.hangs_on_chats:
            self.server.over.wait(20)
            return
        self.send_response(200)
        self.end_headers()
        delta = json.dumps({"choices": [{"delta": {"content": ANSWER}}]})
        self.wfile.write(f"data: {delta}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def chat_server(answers: dict[str, object]) -> Iterator[ChatServer]:
    """Run a server on a free port of this machine."""
    with ChatServer() as server:
        server.answers = answers
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
