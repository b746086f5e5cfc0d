"""HTTP endpoints as tools, against a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bombs import BOMB, NESTED

from voicechat.config.endpoint import Endpoint
from voicechat.errors import Secret
from voicechat.tools.endpoints import MAX_BYTES, endpoint_tool
from voicechat.tools.registry import Outcome, Registry

ROOM = {
    "properties": {"room": {"type": "string"}, "on": {"type": "boolean"}},
    "required": ["room"],
}


class EchoServer(BaseHTTPRequestHandler):
    """Echoes requests; some paths behave differently."""

    seen: list[dict[str, object]]
    silence = threading.Event()

    def do_GET(self) -> None:
        """Handle every method."""
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size).decode()
        asked = {
            "method": self.command,
            "path": self.path,
            "body": json.loads(body) if body else None,
            "key": self.headers.get("x-key", ""),
        }
        self.seen.append(asked)
        if self.path.startswith("/silent"):
            self.silence.wait(20)
            return
        status, answer = 200, json.dumps(asked).encode()
        if self.path.startswith("/broken"):
            status, answer = 503, b"the boiler\nis off \x1b[31m " + str(asked["key"]).encode()
        if self.path.startswith("/large"):
            answer = b"x" * (MAX_BYTES + 10)
        if self.path.startswith("/bomb"):
            answer = BOMB
        self.send_response(302 if self.path.startswith("/moved") else status)
        if self.path.startswith("/moved"):
            self.send_header("location", "/here" if "near" in self.path else "http://127.0.0.2:9/")
        if self.path.startswith("/bomb"):
            self.send_header("content-encoding", NESTED)
        if self.path.startswith("/punycode"):
            self.send_header("content-type", "text/plain; charset=punycode")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_DELETE = do_GET

    def log_message(self, *words: object) -> None:
        """Print nothing."""


@pytest.fixture
def base_url() -> Iterator[str]:
    """Run a server that records requests in `EchoServer.seen`; gives its address."""
    EchoServer.seen = []
    EchoServer.silence.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), EchoServer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    EchoServer.silence.set()
    server.shutdown()
    server.server_close()
    thread.join()


async def call(url: str, arguments: object = None, **more: object) -> Outcome:
    endpoint = Endpoint("house", url, **{"parameters": ROOM, **more})  # type: ignore[arg-type]
    return await Registry(endpoint_tool(endpoint)).run("house", json.dumps(arguments or {}))


async def test_arguments_fill_the_address_the_query_or_the_body(base_url: str) -> None:
    await call(f"{base_url}/lights/{{room}}", {"room": "a..b?c#d é", "on": True})
    await call(f"{base_url}/lights/{{room}}", {"room": "...", "on": True}, method="POST")
    await call(f"{base_url}/lights?x=1", {"room": "&x=2"}, method="DELETE")
    paths = [one["path"] for one in EchoServer.seen]
    assert paths == [
        "/lights/a..b%3Fc%23d%20%C3%A9?on=true", "/lights/...", "/lights?room=%26x%3D2",
    ]  # fmt: skip
    assert [one["method"] for one in EchoServer.seen] == ["GET", "POST", "DELETE"]
    assert EchoServer.seen[1]["body"] == {"on": True}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'room' is a required property"),
        ({"room": 3}, "room: 3 is not of type 'string'"),
        ({"room": "a", "url": "http://x"}, "Additional properties are not allowed"),
        ({"room": ""}, "room is missing"),
    ],
)
async def test_arguments_that_do_not_fit_are_never_sent(
    base_url: str, arguments: object, said: str
) -> None:
    outcome = await call(f"{base_url}/{{room}}", arguments)
    assert outcome.failed
    assert said in json.loads(outcome.output)["error"]
    assert EchoServer.seen == []


@pytest.mark.parametrize(
    "room", ["..", ".", "../admin.txt", "a/../../x", "a\\b", "%2e%2e", "..%2fx", "%252e%252e", "/"]
)
async def test_an_argument_never_leaves_its_part_of_the_address(base_url: str, room: str) -> None:
    outcome = await call(f"{base_url}/rooms/{{room}}/light", {"room": room})
    assert outcome.failed
    assert "The arguments do not fit: room cannot be a path." in outcome.output
    assert EchoServer.seen == []


async def test_keys_go_only_to_the_configured_host(base_url: str) -> None:
    key = {"x-key": Secret("hush-hush")}
    near = await call(f"{base_url}/moved/near", {"room": "a"}, headers=key)
    assert json.loads(near.output)["path"] == "/here"
    assert [one["key"] for one in EchoServer.seen] == ["hush-hush"] * 2
    far = await call(f"{base_url}/moved/far", {"room": "a"}, headers=key)
    assert "redirects to another address" in far.output
    sent = await call(f"{base_url}/moved/near", {"room": "a"}, headers=key, method="POST")
    assert "redirects to another address" in sent.output
    assert "hush" not in far.output + sent.output
    assert "hush" not in repr(endpoint_tool(Endpoint("a", base_url, headers=key)))


async def test_every_failure_is_one_clear_sentence(base_url: str) -> None:
    broken = await call(f"{base_url}/broken", {"room": "a"})
    assert "503 Service Unavailable: the boiler is off" in broken.output
    assert "\x1b" not in broken.output
    silent = await call(f"{base_url}/silent", {"room": "a"}, deadline_s=0.3)
    assert silent.failed
    assert "0.3 seconds" in silent.output or "in time" in silent.output
    assert "cannot be reached" in (await call("http://127.0.0.1:1/", {"room": "a"})).output
    assert "$X is not set" in (await call(base_url, {"room": "a"}, problem="$X is not set")).output
    bomb = await call(f"{base_url}/bomb", {"room": "a"})
    assert "house: The answer has an unknown encoding: 'gzip, gzip'." in bomb.output
    punycode = await call(f"{base_url}/punycode", {"room": "a"})
    assert "house answered in an unknown character set." in punycode.output
    assert len((await call(f"{base_url}/large", {"room": "a"})).output) < 70_000


def test_the_fingerprint_covers_every_part() -> None:
    kinds = (("http://[::1]/", "GET"), ("http://[::1]/x", "GET"), ("http://[::1]/", "POST"))
    made = [endpoint_tool(Endpoint("a", url, method)) for url, method in kinds]
    assert len({tool.fingerprint for tool in made}) == 3


@pytest.mark.parametrize("key", ["hush\nhush", "hush\x00hush", "hush\u00e9"])
async def test_a_key_that_cannot_be_sent_is_not_repeated(base_url: str, key: str) -> None:
    outcome = await call(f"{base_url}/{{room}}", {"room": "a"}, headers={"X-Key": Secret(key)})
    assert outcome.failed
    assert "the header X-Key holds characters that cannot be sent" in outcome.output
    assert "hush" not in outcome.output
    assert EchoServer.seen == []


@pytest.mark.parametrize("path", ["lights", "broken"])
async def test_a_key_in_a_response_is_removed(base_url: str, path: str) -> None:
    key = "Bearer hush-hush-0123"
    outcome = await call(f"{base_url}/{path}", {"room": "a"}, headers={"X-Key": Secret(key)})
    assert EchoServer.seen[0]["key"] == key
    assert "hush-hush" not in outcome.output
