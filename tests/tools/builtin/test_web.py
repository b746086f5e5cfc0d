"""Pages are fetched as text, with limits, from public addresses only."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bombs import BOMB, NESTED

from voicechat.tools import public_addresses
from voicechat.tools.builtin import web
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

PAGE = """<!doctype html><html><head><title>News &amp; more</title><style>p {}</style></head>
<body><script>alert("x")</script><nav><a href="/">Home</a></nav><h1>News &amp; more</h1>
<p>Caf&eacute;s <b>open</b>
again.</p><ul><li>one<li>two</ul><template>hidden</template><svg><text>drawn</text></svg>
<table><tr><td>a</td><td>b</td></tr></table></body></html>"""


HTML = "text/html; charset=utf-8"
TANGLE = b"<!--" * 200_000 + b"<![" * 100_000 + b"<a " * 100_000
PAGES: dict[str, tuple[str, bytes]] = {
    "/latin": ("text/html", b"<meta charset=iso-8859-1><p>caf\xe9"),
    "/plain": ("text/plain", b"just <text>"),
    "/json": ("application/json", b'{"a": 1}'),
    "/picture": ("image/png", b"\x89PNG"),
    "/sneaky": ("text/plain", b"\x7fELF\0\0"),
    "/long": ("text/plain", b"x" * 5_000_000),
    "/bomb": (HTML, gzip.compress(b"x" * 50_000_000, 1)),
    "/nested-bomb": (HTML, BOMB),
    "/punycode": ("text/html; charset=punycode", b"a" * 400_000),
    "/escapes": ("text/plain; charset=unicode_escape", b"\\x61"),
    "/nowhere": ("text/html; charset=" + "x" * 200, b"text"),
    "/russian": ("text/plain; charset=koi8-r", "Привет".encode("koi8-r")),
    "/japanese": ("text/plain; charset=Shift_JIS", "日本".encode("shift_jis")),
    "/nested": (HTML, b"<div>" * 100_000 + b"deep"),
    "/tangle": (HTML, TANGLE),
}
LEADS = {
    "/there": "/json",
    "/inside": "http://inside.test:1/json",
    "/file": "file:///etc/passwd",
    "/round": "/round",
}


class Site(BaseHTTPRequestHandler):
    """Serves some pages and records the requested host names."""

    hosts: list[str]
    silence = threading.Event()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One page."""
        self.hosts.append(self.headers["host"])
        path = self.path.partition("?")[0]
        if path == "/silent":
            self.silence.wait(20)
            return
        kind, body = PAGES.get(path, (HTML, PAGE.encode()))
        self.send_response(404 if path == "/gone" else 302 if path in LEADS else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if path in LEADS:
            self.send_header("location", LEADS[path])
        if "bomb" in path:
            self.send_header("content-encoding", "gzip" if path == "/bomb" else NESTED)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Print nothing."""


class Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect."""

    daemon_threads = True

    def handle_error(self, *words: object) -> None:
        """Print nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Return the URL of a site on loopback."""
    Site.hosts = []
    Site.silence.clear()
    server = Server(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    Site.silence.set()
    server.shutdown()
    server.server_close()
    thread.join()


async def names(host: str, port: int) -> list[str]:
    """Resolve `public.test` to loopback."""
    known = {"public.test": ["127.0.0.1"], "inside.test": ["127.0.0.2"],
             "mixed.test": ["127.0.0.1", "10.0.0.1"]}  # fmt: skip
    if host not in known:
        raise OSError
    return known[host]


async def fetch(url: str) -> str:
    registry = Registry(*web.tools(ToolContext(), names, lambda address: address == "127.0.0.1"))
    return (await registry.run("fetch_page", json.dumps({"url": url}))).output


async def test_a_page_becomes_the_text_a_reader_sees(port: int) -> None:
    assert await fetch(f"http://public.test:{port}/a?b=c#d") == (
        "News & more\nHome\nNews & more\nCafés open again.\n- one\n- two\na b"
    )
    assert set(Site.hosts) == {f"public.test:{port}"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("latin", "café"),
        ("plain", "just <text>"),
        ("json", '{"a": 1}'),
        ("there", '{"a": 1}'),
        ("picture", "not a text page but image/png"),
        ("sneaky", "not a text page"),
        ("gone", "answered 404 Not Found"),
        ("inside", "'inside.test' is not a public address"),
        ("file", "Only addresses that begin with"),
        ("round", "redirects too often"),
        ("nested", "deep"),
        ("nested-bomb", "unknown encoding"),
        ("punycode", "a character set that cannot be read"),
        ("escapes", "a character set that cannot be read"),
        ("nowhere", "a character set that cannot be read"),
        ("russian", "Привет"),
        ("japanese", "日本"),
    ],
)
async def test_kinds_of_pages(port: int, path: str, said: str) -> None:
    assert said in await fetch(f"http://public.test:{port}/{path}")


async def test_large_compressed_and_slow_pages_are_limited(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("long", "bomb"):
        reported = await fetch(f"http://public.test:{port}/{path}")
        assert "more characters" in reported
        assert len(reported) < 50_000
    monkeypatch.setattr(web, "WAIT_S", 1.0)
    began = time.process_time()
    await fetch(f"http://public.test:{port}/tangle")
    assert time.process_time() - began < 1.0  # what it takes is taken by another process
    assert "did not answer in time" in await fetch(f"http://public.test:{port}/silent")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://inside.test/", "not a public address"),
        ("http://mixed.test/", "not a public address"),
        ("http://unknown.test/", "no host called"),
        ("http://127.0.0.1:1/", "no host called"),
        ("ftp://public.test/", "Only addresses"),
        ("file:///etc/passwd", "Only addresses"),
        ("javascript:alert(1)", "Only addresses"),
        ("http://me:pass@public.test/", "password"),
        ("http://public.test/\r\nX: y", "Only addresses"),
        ("http://", "Only addresses"),
        ("http://inside.test\\@public.test/", "Only addresses"),
        ("https://inside.test\\.public.test/", "Only addresses"),
        ("", "Only addresses"),
        ("http://public.test:1/", "cannot be reached"),
        ("http://[::1", "Only addresses"),
    ],
)
async def test_invalid_addresses_are_not_contacted(url: str, said: str) -> None:
    assert said in await fetch(url)


async def test_the_connection_uses_the_checked_address(port: int) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])

    async def changing(host: str, port: int) -> list[str]:
        return next(answers)

    registry = Registry(*web.tools(ToolContext(), changing, lambda address: address == "127.0.0.1"))
    url = json.dumps({"url": f"http://rebound.test:{port}/there"})
    assert "not a public address" in (await registry.run("fetch_page", url)).output
    assert Site.hosts == [f"rebound.test:{port}"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "ff02::1", "::127.0.0.1", "fec0::1", "3fff::1", "192.88.99.1", "192.0.0.8", "5f00::1",
        "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "192.0.2.1", "2001:db8::1", "nonsense",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not public_addresses.is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_that_are_public(address: str) -> None:
    assert public_addresses.is_public(address)


async def test_the_real_resolver_finds_this_machine_and_it_is_refused() -> None:
    registry = Registry(*web.tools(ToolContext()))
    for url in ("http://localhost/", "http://127.1/", "http://0x7f000001/", "http://2130706433/"):
        reported = (await registry.run("fetch_page", json.dumps({"url": url}))).output
        assert "not a public address" in reported or "no host called" in reported


async def test_a_page_is_opened_in_the_users_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {opened}.part\nmv {opened}.part {opened}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    registry = Registry(*web.tools(ToolContext()))
    url = "https://example.com/a?b=$(x)&c='d'"
    reported = await registry.run("open_url", json.dumps({"url": url}))
    assert reported.output == f"{url} is open in the browser."
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(_read_soon, opened) == url
    for wrong in ("file:///etc/passwd", "--help", "javascript:alert(1)", "vnc://x"):
        assert (await registry.run("open_url", json.dumps({"url": wrong}))).failed


def _read_soon(path: Path) -> str:
    while not path.exists():
        threading.Event().wait(0.01)
    return path.read_text("utf-8")
