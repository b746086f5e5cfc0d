"""Connecting with a short-lived token: how each provider receives it, and its sources."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from bombs import BOMB, NESTED
from fake_wires import Fake
from five_wires import WIRES
from scripted import until
from session_driver import SessionDriver
from websockets.asyncio.server import Request, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Role
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError, VoicechatError
from voicechat.session import token_command
from voicechat.session.session import Session
from voicechat.session.token_auth import read
from voicechat.session.token_command import printed_by
from voicechat.session.updates import Link

TOKENS = {
    "openai": "ek_planted",
    "azure": "ek_planted",
    "xai": "xai-planted",
    "google": "auth_tokens/planted",
    "gateway": "vcst_planted",
}
SHOWN = {
    "openai": ("Bearer ek_planted", []),
    "azure": ("Bearer ek_planted", []),
    "xai": (None, ["xai-client-secret.xai-planted"]),
    "google": ("Token auth_tokens/planted", []),
    "gateway": (None, ["ai-gateway-realtime.v1", "ai-gateway-auth.vcst_planted"]),
}


class Provider:
    """A fake of a wire that notes how clients authenticate."""

    def __init__(self, wire: str) -> None:
        self.talk, self.model, _ = WIRES[wire]
        self.fake = Fake(wants_key=False)
        self.shown: list[tuple[str | None, list[str]]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []

    def look(self, _: ServerConnection, request: Request) -> None:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        names = [name.strip() for name in offered.split(",") if name]
        self.shown.append((request.headers.get("Authorization"), names))
        names_of_keys = ("api-key", "x-goog-api-key")
        self.keys += [request.headers[name] for name in names_of_keys if name in request.headers]
        self.paths.append(request.path)

    async def hold(self, socket: ServerConnection) -> None:
        self.fake.sockets.append(socket)
        with suppress(ConnectionClosed):
            await self.talk(self.fake, socket)

    @property
    def options(self) -> Options:
        url = f"http://127.0.0.1:{self.fake.port}"
        return Options(model=self.model, with_sound=False, base_url=url)


@asynccontextmanager
async def provided(wire: str) -> AsyncIterator[Provider]:
    provider = Provider(wire)

    def chosen(_: ServerConnection, offered: list[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    async with serve(
        provider.hold, "127.0.0.1", 0, process_request=provider.look, select_subprotocol=chosen
    ) as server:
        provider.fake.port = server.sockets[0].getsockname()[1]
        yield provider


@asynccontextmanager
async def running_session(options: Options) -> AsyncIterator[SessionDriver]:
    driver = SessionDriver(Session(options))
    running = asyncio.create_task(driver.session.run())
    try:
        await driver.until(lambda: driver.session.link is Link.ONLINE or running.done())
        if running.done():
            running.result()
        yield driver
    finally:
        driver.session.close()
        with suppress(VoicechatError):
            await running


class Setup(ThreadingHTTPServer):
    """A setup endpoint."""

    status = 200
    answer: object = None
    encoding = "identity"
    asked: list[object]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/realtime"


class _Post(BaseHTTPRequestHandler):
    server: Setup

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        answer = self.server.answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Encoding", self.server.encoding)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def setup() -> Iterator[Setup]:
    with Setup(("127.0.0.1", 0), _Post) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


async def says(driver: SessionDriver, words: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: f"You said {words}." in driver.texts(Role.ASSISTANT))


@pytest.mark.parametrize("wire", list(WIRES))
async def test_each_provider_receives_a_token_in_one_way(
    wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with provided(wire) as provider:
        options = replace(provider.options, token=Secret(TOKENS[wire]))
        async with running_session(options) as driver:
            await says(driver, "hello")
        assert provider.shown == [SHOWN[wire]]
        assert provider.keys == []
        assert all("planted" not in path for path in provider.paths)
        assert ("Constrained" in provider.paths[0]) == (wire == "google")
    ours = [each.getMessage() for each in caplog.records if each.name != "websockets.server"]
    assert "planted" not in " ".join(ours)
    assert "planted" not in repr(options)


@pytest.mark.parametrize("wire", ["openai", "xai"])
async def test_a_setup_endpoint_issues_a_token_per_connection(wire: str, setup: Setup) -> None:
    async with provided(wire) as provider:
        setup.answer = {
            "token": TOKENS[wire],
            "url": f"ws://127.0.0.1:{provider.fake.port}/v1/realtime?model=another",
            "tools": [{"type": "function", "name": "fly", "parameters": {}}],
        }
        options = replace(
            provider.options, base_url=None, token_url=setup.address, instructions="Be kind."
        )
        async with running_session(options) as driver:
            await says(driver, "one")
            driver.session.new_conversation()
            await driver.until(lambda: len(provider.shown) == 2)
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            notices = [each.text for each in driver.updates if isinstance(each, effects.Notice)]
        assert provider.shown == [SHOWN[wire]] * 2
        assert provider.paths == ["/v1/realtime?model=another"] * 2
        assert [text for text in notices if "fly" in text] == [
            "The setup endpoint expects a tool that does not exist: fly."
        ]
        first, second = setup.asked
        assert isinstance(first, dict)
        assert first["sessionConfig"]["instructions"] == "Be kind."
        assert isinstance(second, dict)


@pytest.mark.parametrize(
    ("status", "answer", "error", "words"),
    [
        (403, {}, KeyMissing, "refused to issue a token"),
        (404, {}, ConnectError, "HTTP 404"),
        (200, b"not json", KeyMissing, "no token"),
        (200, b"{" * 100_000, KeyMissing, "no token"),
        (200, b"x" * 400_000, ConnectError, "more than 262,144 bytes"),
        (200, {"token": "ek", "url": "https://host"}, UsageError, "not a WebSocket address"),
        (200, {"token": "e k", "url": "wss://host"}, UsageError, "a token cannot have"),
        (200, {"token": "ek", "url": "ws://example.com/v1"}, ConnectError, "unencrypted"),
        (200, {"token": "ek", "url": "wss://api.x.ai/v1/realtime"}, UsageError, "is for xai"),
    ],
)
async def test_an_endpoint_that_issues_no_token_is_one_sentence(
    setup: Setup, status: int, answer: object, error: type[Exception], words: str
) -> None:
    setup.status, setup.answer = status, answer
    options = Options(model="openai", with_sound=False, token_url=setup.address)
    with pytest.raises(error, match=words):
        async with running_session(options):
            pass


async def test_a_token_that_expands_to_megabytes(setup: Setup) -> None:
    setup.answer, setup.encoding = BOMB, NESTED
    options = Options(model="openai", with_sound=False, token_url=setup.address)
    with pytest.raises(ConnectError, match="sent no token: The answer has an unknown encoding"):
        async with running_session(options):
            pass


async def test_a_command_prints_a_token_for_each_connection(tmp_path) -> None:
    runs = tmp_path / "runs"
    runs.write_text("")
    command = f"sh -c 'echo run >> {runs}; echo warning >&2; echo ek_planted'"
    async with provided("azure") as provider:
        options = replace(provider.options, token_command=command)
        async with running_session(options) as driver:
            await says(driver, "one")
            driver.session.new_conversation()
            await driver.until(lambda: len(provider.shown) == 2)
            await driver.until(lambda: driver.session.link is Link.ONLINE)
        assert provider.shown == [SHOWN["azure"]] * 2
        assert provider.keys == []
    assert runs.read_text() == "run\n" * 2


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("no-such-program --now", UsageError, "a program that does not exist: 'no-such-program'"),
        ("echo 'open", UsageError, "cannot be read: No closing quotation"),
        ("sh -c 'exit 3'", ConnectError, "sh failed with exit code 3"),
        ("head -c 400000 /dev/zero", ConnectError, "head printed too much"),
        ("true", KeyMissing, "There is no token in the token command"),
        ("echo two words", UsageError, "a token cannot have"),
    ],
)
async def test_a_command_that_prints_no_token_is_one_sentence(
    command: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(await printed_by(command), "the token command")


@pytest.mark.skipif(sys.platform == "win32", reason="counts file descriptors")
async def test_a_command_that_prints_too_much_leaves_no_pipe() -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(ConnectError, match="yes printed too much"):
        await printed_by("yes")
    await until(lambda: psutil.Process().num_fds() <= before)


async def test_a_command_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_command, "DEADLINE_S", 0.05)
    with pytest.raises(ConnectError, match=r"sleep did not end within 0\.05 s"):
        await printed_by("sleep 60")


async def test_a_token_command_does_not_receive_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    monkeypatch.setenv("AZURE_CONFIG_DIR", "/somewhere")
    printed = await printed_by("env")
    assert "planted" not in printed
    assert "AZURE_CONFIG_DIR=/somewhere" in printed


def test_the_output_of_the_azure_command_line_is_accepted() -> None:
    printed = '{"accessToken": "e-1", "expires_on": 1, "tokenType": "Bearer"}'
    assert read(printed, "X").token.reveal() == "e-1"


def test_the_output_of_the_token_command_is_accepted() -> None:
    given = read('{"token": "ek_1", "url": "wss://host/v1/realtime", "expiresAt": 1}', "X")
    assert (given.token.reveal(), given.url) == ("ek_1", "wss://host/v1/realtime")
    assert (read(" ek_1\n", "X").token.reveal(), read("ek_1", "X").url) == ("ek_1", "")


def test_a_token_comes_from_the_environment_alone(tmp_path) -> None:
    nowhere = tmp_path / "config.toml"
    options = loader.load({"token": True}, {"VOICECHAT_TOKEN": "ek_1\n"}, nowhere)
    assert options.token == Secret("ek_1")
    assert loader.load({}, {"VOICECHAT_TOKEN": "ek_1"}, nowhere).token is None
    with pytest.raises(KeyMissing, match="VOICECHAT_TOKEN, which is not set"):
        loader.load({"token": True}, {}, nowhere)
    with pytest.raises(UsageError, match="https://"):
        loader.load({"token_url": "http://example.com/setup"}, {}, nowhere)
    with pytest.raises(UsageError, match="takes no token"):
        Session(Options(model="local", token=Secret("x"), with_sound=False))
