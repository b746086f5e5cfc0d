"""The plain mode after the session gave up: what the notice names connects again."""

from __future__ import annotations

import asyncio
import io
import os
from urllib.parse import urlsplit

import pytest
from faults import FaultProxy
from piped_lines import read_lines_from
from scripted import scripted_server, until
from session_driver import options

from voicechat.line_mode import app, line_client
from voicechat.session import reconnect
from voicechat.session import session as session_module
from voicechat.session.session import Session
from voicechat.session.updates import Link


async def test_a_line_connects_again_and_sends_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    monkeypatch.setattr(session_module, "RETRY_S", 3_600.0)
    reading, writing = os.pipe()
    read_lines_from(monkeypatch, reading)
    out = io.StringIO()
    async with scripted_server() as backend:
        port = urlsplit(backend.app.url).port
        assert port is not None
        async with FaultProxy(port) as proxy:
            session = Session(options(backend.app.url.replace(f":{port}/", f":{proxy.port}/")))
            chat = app.Chat(session, out, echo=False)
            running = asyncio.create_task(line_client.run_client(chat))
            os.write(writing, b"one\n")
            await until(lambda: "Assistant: You said one." in out.getvalue())
            await proxy.refuse()
            proxy.reset()
            await until(lambda: "Type a line, /new or /model to connect again." in out.getvalue())
            os.write(writing, b"hi\n")
            await until(lambda: out.getvalue().count("to connect again.") == 2)
            await until(lambda: session.link is Link.OFFLINE)
            assert "The line is sent when it is back." in out.getvalue()
            await proxy.accept()
            os.write(writing, b"there\n")
            await until(lambda: "Assistant: You said there." in out.getvalue())
            heard = [each.text for each in backend.assistant.requests[-1].messages]
            assert [text for text in heard if not text.startswith("You")] == ["one", "hi", "there"]
            os.close(writing)
            assert await running == 0
    os.close(reading)
