"""Model servers on this machine: which ones run, what they are, and the models they have.

Only loopback is asked, with short deadlines and bounded answers. A server is recognized by what it
answers, not by its port. On Linux, a server of another person is left out: it would hear what
the user says.

Sources: Ollama docs, `GET /api/ps` and `GET /api/tags`; LM Studio docs, `GET /api/v0/models`;
llama.cpp and vLLM, `owned_by` in `GET /v1/models`; LocalAI, `GET /v1/models/capabilities`;
speaches, `task` in `GET /v1/models`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from voicechat.providers.json_fields import as_list, as_text, fields, number, parse
from voicechat.session.served_models import list_at
from voicechat.system.dial_target import DialTarget
from voicechat.system.loopback import is_loopback

PORTS = (11434, 1234, 8080, 8000)
"""Ollama; LM Studio; llama.cpp and LocalAI; vLLM and speaches."""

OPEN_S = 0.2
"""Seconds for a port to accept a connection."""

ANSWER_S = 1.0
"""Seconds for a server to list its models."""

_MOST_MODELS = 200
_LONGEST_NAME = 200
_NO_CHAT = ("embed", "rerank", "bge-", "whisper", "tts", "kokoro", "piper", "diffusion")
"""Parts of the names of models that do not chat."""
_SMALL_BYTES = 1e9
"""Models below this size seldom call tools well."""
_FIRST_PERSON_UID = 1_000
"""The lowest user id of a person on Linux; system services have lower ones."""
_LISTENING = "0A"
SOCKET_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
"""Sockets of this machine with the user ids of their owners (Linux)."""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server on this machine."""

    name: str
    """Name of the program, such as Ollama."""
    url: str
    """Root of its API: http://127.0.0.1:11434/v1."""
    models: tuple[str, ...] = ()
    """Models that chat, those in memory first, then the fastest that call tools well first."""
    is_realtime: bool = False
    """True if it has conversations of its own, with speech."""

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


class _Listed(msgspec.Struct):
    data: list[object]


class _OllamaModels(msgspec.Struct):
    models: list[object]


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers of a server; None for those that it does not give."""

    models: list[dict[str, object]] | None = None
    capabilities: list[dict[str, object]] | None = None
    studio: list[dict[str, object]] | None = None
    tags: list[dict[str, object]] | None = None
    loaded: list[dict[str, object]] | None = None


async def find_servers(ports: Iterable[int] | None = None) -> list[FoundServer]:
    """Return the servers that answer on these ports of this machine, in their order.

    By default the usual ports, and that of OLLAMA_HOST. Takes about a second at most, and next to
    nothing if no port is open.
    """
    asked = dict.fromkeys(_ports() if ports is None else ports)
    found = await asyncio.gather(*(_server_at(port) for port in asked))
    return [each for each in found if each is not None]


def _ports() -> Iterator[int]:
    """The usual ports, first the one in the variable of Ollama."""
    host = os.environ.get("OLLAMA_HOST", "")
    with suppress(ValueError):
        parts = urlsplit(host if "://" in host else f"//{host}")
        if parts.port and is_loopback(parts.hostname or ""):
            yield parts.port
    yield from PORTS


async def _server_at(port: int) -> FoundServer | None:
    if not await _is_open(port) or _is_foreign(port):
        return None
    root = f"http://127.0.0.1:{port}"
    names = ("v1/models", "v1/models/capabilities", "api/v0/models", "api/tags", "api/ps")
    bodies = await asyncio.gather(
        *(list_at(f"{root}/{name}", DialTarget(root, {}), ANSWER_S) for name in names)
    )
    lists = [_rows(body) for body in bodies]
    return recognized(f"{root}/v1", _Answers(*lists))


async def _is_open(port: int) -> bool:
    try:
        async with asyncio.timeout(OPEN_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _is_foreign(port: int) -> bool:
    """Return True if another person of this machine listens on the port (Linux)."""
    if sys.platform != "linux":
        return False
    own = {0, os.getuid()}
    for name in SOCKET_TABLES:
        with suppress(OSError, ValueError, IndexError):
            for line in Path(name).read_text("ascii").splitlines()[1:]:
                columns = line.split()
                is_here = int(columns[1].rpartition(":")[2], 16) == port
                uid = int(columns[7])
                if is_here and columns[3] == _LISTENING and uid not in own:
                    return uid >= _FIRST_PERSON_UID
    return False


def _rows(body: bytes | None) -> list[dict[str, object]] | None:
    if body is None:
        return None
    listed, own = parse(body, _Listed), parse(body, _OllamaModels)
    rows = listed.data if listed is not None else own.models if own is not None else None
    return None if rows is None else [fields(each) for each in rows[:_MOST_MODELS]]


# --------------------------------------------------------------------------- what it is


def recognized(url: str, answers: _Answers) -> FoundServer | None:
    """Return the server that gives these answers; None if it has no list of models."""
    models = answers.models
    if models is None:
        return None
    owners = {as_text(each.get("owned_by")) for each in models}
    # The chat endpoint knows the names in this list only.
    offered = _names(models)
    if answers.capabilities is not None:
        realtime = any(_can(each, "realtime") for each in answers.capabilities)
        chats = [each for each in answers.capabilities if _can(each, "chat")]
        return FoundServer("LocalAI", url, _names(chats, among=offered), realtime)
    if answers.studio is not None:
        own = [each for each in answers.studio if each.get("type") in {"llm", "vlm"}]
        in_memory = [each for each in own if each.get("state") == "loaded"]
        return FoundServer("LM Studio", url, _names([*in_memory, *own], among=offered))
    if answers.loaded is not None and answers.tags is not None:
        by_size = sorted(answers.tags, key=_size)
        found = _names([*answers.loaded, *by_size], "name", offered)
        return FoundServer("Ollama", url, found)
    if any(each.get("task") for each in models):
        return FoundServer("speaches", url, (), is_realtime=True)
    names = {"llamacpp": "llama.cpp", "vllm": "vLLM"}
    name = next((names[owner] for owner in owners if owner in names), "Chat server")
    return FoundServer(name, url, offered)


def _size(entry: Mapping[str, object]) -> tuple[bool, float]:
    """Sort a model of Ollama: the smallest first, but those too small for tools last."""
    size = number(entry.get("size")) or 0.0
    return size < _SMALL_BYTES, size


def _can(entry: Mapping[str, object], word: str) -> bool:
    return any(word in as_text(each) for each in as_list(entry.get("capabilities")))


def _names(
    entries: Iterable[Mapping[str, object]], key: str = "id", among: Collection[str] | None = None
) -> tuple[str, ...]:
    """The names of models that chat, each once, and only those `among` others.

    A name that cannot be requested is left out.
    """
    found = (name for entry in entries if (name := as_text(entry.get(key))) == entry.get(key))
    chats = dict.fromkeys(name for name in found if _is_chat(name))
    return tuple(name for name in chats if among is None or name in among)


def _is_chat(name: str) -> bool:
    usable = 0 < len(name) <= _LONGEST_NAME and name.isprintable() and " " not in name
    return usable and not any(part in name.lower() for part in _NO_CHAT)
