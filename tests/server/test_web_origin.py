"""Web pages that may use a server: how their origins are read, and what the others get."""

from __future__ import annotations

import pytest
from scripted import TOKEN, check, scripted_server
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from voicechat.errors import UsageError
from voicechat.server.web_origin import web_origin, web_origins

KEY = Subprotocol(f"openai-insecure-api-key.{TOKEN}")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://App.Example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(text: str, origin: str) -> None:
    assert web_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["*", "null", "app.example", "https://app.example/path", "ftp://app.example", "https://",
     "https://me@app.example", "https://[", "https://app.example:x", "https://app.example?x"],
)  # fmt: skip
def test_another_text_is_no_origin(text: str) -> None:
    with pytest.raises(UsageError, match="must be the origin of a web page"):
        web_origin(text)


async def test_only_a_listed_page_connects() -> None:
    origins = web_origins(["https://app.example"])
    async with scripted_server(origins=origins) as backend:
        protocols = [Subprotocol("realtime"), KEY]
        for origin in ("https://evil.example", "null", "http://app.example"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    backend.app.url, subprotocols=protocols, origin=Origin(origin), proxy=None
                )
            assert refused.value.response.status_code == 403
        page = Origin("https://app.example")
        async with connect(
            backend.app.url, subprotocols=protocols, origin=page, proxy=None
        ) as socket:
            assert check(await socket.recv())["type"] == "session.created"
