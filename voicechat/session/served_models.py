"""The models of a server at the user's own address: which one to use if the user names none.

Sources: OpenAI API reference, `GET /v1/models`; LocalAI, `GET /v1/models/capabilities`, where a
pipeline has no capabilities of its own; speaches, `GET /v1/models`, where each model has a `task`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.providers.json_fields import as_list, as_text, fields, parse
from voicechat.system.http_body import UNCOMPRESSED, read_all
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    from voicechat.system.dial_target import DialTarget

DEADLINE_S = 3.0
"""Seconds for each list; a server without one in time is used without it."""

MAX_BYTES = 1 << 20
"""Largest size of a list, in bytes."""

_MAX_MODELS = 1_000
_MAX_NAME = 200
_SHOWN = 8
"""Models that an error names."""

_REALTIME = "realtime"


class _List(msgspec.Struct):
    data: list[object]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server lists."""

    name: str
    is_part: bool = False
    """It only transcribes or speaks."""
    is_realtime: bool = False
    """Its capabilities are those of a model for conversations."""


async def served_model(target: DialTarget, default: str) -> str | None:
    """Return the model to request from the server of this socket; None if it has no list.

    `default` is used if the server has it. Raises `UsageError` if the choice is not clear.
    """
    root = f"{root_of(target.url)}/models"
    models = await _listed(root, target)
    if models is None:
        return None
    found = _clear(models, default)
    if found is None and len(models) > 1:
        found = _clear(await _listed(f"{root}/capabilities", target) or [], default)
    if found is not None:
        return found
    raise _unclear(urlsplit(root).hostname or "", models)


def root_of(socket: str) -> str:
    """Return the root of the HTTP API next to a realtime socket."""
    parts = urlsplit(socket)
    path = parts.path.rstrip("/").removesuffix("/realtime")
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{parts.netloc}{path}"


def _clear(models: list[ServedModel], default: str) -> str | None:
    """Return the only model that fits; None if several or none do."""
    whole = [model for model in models if not model.is_part]
    names = [model.name for model in whole]
    if default in names:
        return default
    for fitting in (
        names,
        [model.name for model in whole if model.is_realtime],
        [name for name in names if _REALTIME in name.lower()],
    ):
        if len(fitting) == 1:
            return fitting[0]
    return None


def _unclear(host: str, models: list[ServedModel]) -> UsageError:
    names = [model.name for model in models if not model.is_part]
    if not names:
        return UsageError(
            f"{clean(host)} lists no model for conversations.",
            "Name the language model to use with --model.",
        )
    more = ", …" if len(names) > _SHOWN else "."
    return UsageError(
        f"{clean(host)} has several models.",
        f"Choose one with --model: {', '.join(names[:_SHOWN])}{more}",
    )


# --------------------------------------------------------------------------- asking


async def _listed(address: str, target: DialTarget) -> list[ServedModel] | None:
    """Return the models in a list; None if the server has none at this address."""
    content = await list_at(address, target)
    return None if content is None else _read(content)


async def list_at(address: str, target: DialTarget, deadline: float = DEADLINE_S) -> bytes | None:
    """Return the list at this address of the target's server; None if there is none in time.

    deadline: seconds.
    """
    import httpx

    headers = {name: value.reveal() for name, value in target.headers.items()} | UNCOMPRESSED
    parts = urlsplit(address)
    trust_env = not is_loopback(parts.hostname or "")
    # Without TLS, the client needs no certificates, which take 15 ms to load.
    verify = trust_env or parts.scheme == "https"
    try:
        async with (
            asyncio.timeout(deadline),
            open_client(follow_redirects=False, trust_env=trust_env, verify=verify) as client,
            client.stream("GET", address, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                return None
            return await read_all(answer, MAX_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError):
        # The connection itself reports a proxy that cannot be used.
        return None


def _read(content: bytes) -> list[ServedModel] | None:
    """Read a list; None if it is not one. Names that cannot be requested are left out."""
    found = parse(content, _List)
    if found is None:
        return None
    return [
        _model(name, entry)
        for entry in map(fields, found.data[:_MAX_MODELS])
        if (name := as_text(entry.get("id"))) == entry.get("id") and _is_requestable(name)
    ]


def _model(name: str, entry: dict[str, object]) -> ServedModel:
    capabilities = [as_text(each) for each in as_list(entry.get("capabilities"))]
    is_realtime = not capabilities or any(_REALTIME in each for each in capabilities)
    return ServedModel(name, is_part=bool(entry.get("task")), is_realtime=is_realtime)


def _is_requestable(name: str) -> bool:
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and " " not in name
