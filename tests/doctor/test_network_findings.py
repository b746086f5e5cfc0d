"""Reaching real sockets, and findings of the results."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from faults import port_without_server

from voicechat.doctor import network_findings
from voicechat.doctor.network_findings import ReachResult, Target, findings


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_listening_server_is_reached() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await network_findings.reach(Target("x", f"ws://127.0.0.1:{port}/v1"))
    assert found.failure == ""
    assert found.took_ms > 0


async def test_a_closed_port_refuses_the_connection() -> None:
    with port_without_server() as port:
        found = await network_findings.reach(Target("x", f"http://127.0.0.1:{port}"))
    assert (found.failure, found.reason) == ("refused", "Connection refused")


async def test_an_unknown_name_is_not_found() -> None:
    found = await network_findings.reach(Target("x", "https://voice.invalid/v1"))
    assert found.failure in {"dns", "timeout"}
    assert (await network_findings.reach(Target("x", "https://[::1"))).failure == "dns"


async def test_a_server_without_tls_is_a_tls_failure() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await network_findings.reach(Target("x", f"wss://127.0.0.1:{port}"))
    assert found.failure == "tls"


async def test_a_silent_server_times_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = Target("x", f"wss://127.0.0.1:{silent.getsockname()[1]}")
        found = await network_findings.reach(target, deadline=0.1)
    assert (found.failure, found.reason) == ("timeout", "connecting")


async def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("x", "https://voice.invalid")
    async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://anna:secret@127.0.0.1:{port}")
        found = await network_findings.reach(target)
    assert (found.failure, found.by_proxy) == ("", True)
    assert (await network_findings.reach(target)).failure == "proxy"


async def test_a_hanging_lookup_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **more: over.wait(30))
    found = await network_findings.reach(Target("x", "https://voice.example"), deadline=0.05)
    over.set()
    assert (found.failure, found.reason) == ("timeout", "resolving the name")


OPENAI = Target("openai", "wss://api.openai.com/v1", "OPENAI_API_KEY")
OWN_SERVER = Target("Base URL", "http://box.anna.example", is_chosen=True, is_private=True)


@pytest.mark.parametrize(
    ("result", "level", "sentence", "remedy"),
    [
        (
            ReachResult(OPENAI, took_ms=41),
            "note",
            "answers in 41 ms. OPENAI_API_KEY is not set.",
            "Set",
        ),
        (ReachResult(Target(*("openai", "wss://a", "K"), True)), "ok", "K is set.", ""),
        (
            ReachResult(Target(*("openai", "wss://a", "K"), False, True)),
            "problem",
            "not set",
            "Set K.",
        ),
        (ReachResult(OPENAI, "dns"), "note", "api.openai.com cannot be found.", "DNS"),
        (ReachResult(OPENAI, "timeout", "connecting"), "note", "in time (connecting)", "firewall"),
        (ReachResult(OPENAI, "tls", "expired"), "note", "failed (expired)", "clock"),
        (ReachResult(OPENAI, "proxy"), "note", "Its proxy", "HTTPS_PROXY"),
        (ReachResult(OPENAI, by_proxy=True), "note", "Its proxy answers.", "Set"),
        (
            ReachResult(OWN_SERVER, "refused", "Connection refused"),
            "problem",
            "Its address cannot",
            "port",
        ),
        (ReachResult(OWN_SERVER), "ok", "Its address answers", ""),
    ],
)
def test_finding_of_a_result(result: ReachResult, level: str, sentence: str, remedy: str) -> None:
    (found,) = findings([result])
    assert found.level.value == level
    assert sentence in found.sentence
    assert remedy in found.remedy
    assert bool(remedy) == bool(found.remedy)
    assert "anna" not in found.sentence + found.remedy
