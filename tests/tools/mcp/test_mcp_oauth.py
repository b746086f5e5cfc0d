"""Sign-in to MCP servers, with an authorization server on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from mcp_http_stub import Answer, McpStub, Request, mcp_stub

from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import ConnectError, Secret
from voicechat.tools.mcp import mcp_oauth
from voicechat.tools.mcp.mcp_connection import McpConnection
from voicechat.tools.mcp.mcp_oauth import SignIn, TokenFile, tokens_path

TOKEN = "access-planted-0123"
REFRESH = "refresh-planted-0123"


class Authority:
    """An authorization server, and the server that trusts it, at another origin."""

    def __init__(self) -> None:
        self.origin = ""
        self.granted = TOKEN
        self.grants: list[str] = []
        self.redirect_query = "code=c-1&state={state}"

    def answer(self, request: Request) -> Answer | None:
        origin, server = self.origin, f"http://{request.headers['host']}"
        path = urlsplit(request.path).path
        if path == "/mcp":
            if request.headers.get("authorization") == f"Bearer {self.granted}":
                return None
            where = f'resource_metadata="{server}/.well-known/oauth-protected-resource/mcp"'
            return Answer(401, headers=(f"WWW-Authenticate: Bearer {where}",))
        if path.startswith("/.well-known/oauth-protected-resource"):
            return _json({"resource": f"{server}/mcp", "authorization_servers": [origin]})
        if server != origin:
            return Answer(404)
        if path.startswith("/.well-known/oauth-authorization-server"):
            return _json(
                {
                    "issuer": origin,
                    "authorization_endpoint": f"{origin}/authorize",
                    "token_endpoint": f"{origin}/token",
                    "registration_endpoint": f"{origin}/register",
                    "response_types_supported": ["code"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        if path == "/register":
            return _json(json.loads(request.body) | {"client_id": "voicechat-1"}, 201)
        if path == "/token":
            self.grants.append(parse_qs(request.body)["grant_type"][0])
            return _json(
                {
                    "access_token": self.granted,
                    "token_type": "Bearer",
                    "expires_in": 3600,
                    "refresh_token": REFRESH,
                }
            )
        return Answer(404)

    async def browse(self, url: str) -> str:
        """Sign in as the user's browser does: follow the redirect with a code."""
        query = {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}
        target = f"{query['redirect_uri']}?{self.redirect_query.format(**query)}"
        self.browsing = asyncio.create_task(asyncio.to_thread(_visit, target))
        return ""


def _visit(url: str) -> str:
    try:
        with urlopen(url, timeout=10) as page:
            return str(page.read().decode())
    except OSError as error:
        return str(error)


def _json(found: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(found))


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Authority:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = Authority()
    monkeypatch.setattr(mcp_oauth, "open_in_browser", found.browse)
    return found


@asynccontextmanager
async def running(authority: Authority) -> AsyncIterator[McpStub]:
    """Run both servers."""
    async with mcp_stub(override=authority.answer) as home:
        authority.origin = home.origin
        async with mcp_stub(override=authority.answer) as stub:
            yield stub


async def connect(config: ServerConfig, sign_in: SignIn | None = None) -> list[str]:
    """Connect once; returns the names of the tools."""
    names: list[str] = []

    def listed(tools: object) -> None:
        names.extend(tool.name for tool in tools)  # type: ignore[attr-defined]
        link.end()

    link = McpConnection(config, listed, sign_in=sign_in)
    await link.live()
    return names


async def test_a_user_signs_in_once_and_tokens_are_refreshed(authority: Authority) -> None:
    shown: list[str] = []
    async with running(authority) as stub:
        config = ServerConfig("web", url=stub.url)
        with pytest.raises(ConnectError, match="Type: voicechat mcp login web, or add the key"):
            await connect(config)
        assert {each.path for each in stub.seen} == {"/mcp"}, "a conversation registers nowhere"

        assert await connect(config, SignIn(shown.append)) == ["nod"]
        assert "You are signed in." in await authority.browsing
        assert shown[0].startswith(f"Sign in at {authority.origin}/authorize?")
        path = tokens_path(config)
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await connect(config) == ["nod"]
        assert authority.grants == ["authorization_code"]

        # Hours later: the access token has expired, the stored refresh token has not.
        stored = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(stored | {"expires_at": 1}), encoding="utf-8")
        authority.granted = "access-planted-4567"
        assert await connect(config) == ["nod"]
        assert authority.grants == ["authorization_code", "refresh_token"]
        assert "access-planted-4567" in path.read_text(encoding="utf-8")

        # The server no longer accepts any token.
        path.write_text(json.dumps(stored | {"expires_at": None}), encoding="utf-8")
        with pytest.raises(ConnectError, match="voicechat mcp login web"):
            await connect(config)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("error=access_denied&state={state}", "The sign-in was refused: access_denied."),
        ("error_description=a%1b]0;%07&state={state}", "The sign-in was refused: a\ufffd]0;"),
    ],
)
async def test_a_refused_sign_in_gives_a_sentence(
    authority: Authority, query: str, says: str
) -> None:
    authority.redirect_query = query
    async with running(authority) as stub:
        config = ServerConfig("web", url=stub.url)
        with pytest.raises(ConnectError) as caught:
            await connect(config, SignIn(lambda text: None))
    assert str(caught.value).startswith(says)
    assert authority.grants == []


@pytest.mark.parametrize("query", ["code=c-1&state=forged", "error=denied"])
async def test_another_redirect_does_not_end_the_sign_in(authority: Authority, query: str) -> None:
    answers: list[str] = []

    async def browse(url: str) -> str:
        real = authority.redirect_query
        authority.redirect_query = query
        await browsed(url)
        answers.append(await authority.browsing)
        authority.redirect_query = real
        return await browsed(url)

    browsed = authority.browse
    async with running(authority) as stub:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mcp_oauth, "open_in_browser", browse)
            config = ServerConfig("web", url=stub.url)
            assert await connect(config, SignIn(lambda text: None))
    assert ["400" in answer for answer in answers] == [True]
    assert authority.grants == ["authorization_code"]


async def test_a_key_in_the_headers_goes_before_a_sign_in(authority: Authority) -> None:
    async with running(authority) as stub:
        config = ServerConfig("web", url=stub.url, headers={"authorization": Secret("Bearer x")})
        with pytest.raises(ConnectError, match=r"\(401\).*\. Add the key to its headers\."):
            await connect(config, SignIn(lambda text: None))
        assert {each.path for each in stub.seen} == {"/mcp"}


@pytest.mark.parametrize("content", ["", "[]", '{"tokens": 1, "client": {}, "expires_at": "x"}'])
async def test_a_broken_token_file_counts_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content, encoding="utf-8")
    stored = TokenFile(path)
    assert await stored.get_tokens() is None
    assert await stored.registration() is None
    assert (stored.expires_at, stored.redirect_port) == (None, 0)
